//! The output of `curl -v`, and the command itself: `> ` before each line sent, `< ` before each line received. The
//! output never shows the body: it is in the command, or was pasted in between.

use bytes::Bytes;

use super::raw::{lacks, of_head, request_line};
use super::shell::words;
use super::{Captured, target_of, told_length};
use crate::core::delivery::Delivery;

/// Parses the text. A body that is given elsewhere need not be in it.
pub(super) fn parse(text: &str, has_body: bool) -> Result<Captured, String> {
    let command = command(text);
    let Some(spoken) = Spoken::find(text) else {
        let command = command.ok_or("there is no request in it")?;
        return command.request(has_body);
    };
    let head: Vec<&[u8]> = spoken.head.iter().map(|line| line.as_bytes()).collect();
    let mut captured = of_head(&head)?;
    let told = told_length(&captured.delivery.headers);
    let of_command = command.and_then(|command| command.body().ok()).filter(|body| !body.is_empty());
    let body = match (spoken.body, of_command) {
        (Some(body), _) | (None, Some(body)) => body.into_bytes(),
        (None, None) if has_body || told.is_none_or(|bytes| bytes == 0) => Vec::new(),
        (None, None) => {
            return Err(
                "curl's output does not show the body: give it with --body FILE, or put the curl command before the output"
                    .to_owned(),
            );
        }
    };
    let length = told.unwrap_or(body.len());
    captured.notes.extend(lacks(body.len(), length));
    captured.delivery.body = Bytes::copy_from_slice(body.get(..length).unwrap_or(&body));
    Ok(captured)
}

/// The first request that curl sent, by its lines.
struct Spoken<'t> {
    head: Vec<&'t str>,
    /// Bytes between the head and the answer, if there are any.
    body: Option<String>,
}

impl<'t> Spoken<'t> {
    fn find(text: &'t str) -> Option<Self> {
        let sent = |line: &'t str| line.strip_prefix('>').map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let first = lines.by_ref().find_map(|line| sent(line).filter(|line| request_line(line).is_some()))?;
        let mut head = vec![first];
        let mut body: Vec<&str> = Vec::new();
        let mut is_head = true;
        for line in lines {
            match (sent(line), is_head) {
                (Some(""), true) => is_head = false,
                (Some(field), true) => head.push(field),
                // A second request: this one has ended.
                (Some(more), false) if request_line(more).is_some() => break,
                (Some(more), false) => body.push(more),
                (None, _) if line.starts_with("< ") => break,
                (None, _) if is_told(line) => {}
                (None, false) => body.push(line),
                (None, true) => {}
            }
        }
        // The text ends with a line break of its own.
        while body.last().is_some_and(|line| line.is_empty()) {
            body.pop();
        }
        Some(Self { head, body: (!body.is_empty()).then(|| body.join("\n")) })
    }
}

/// Whether this is curl's own output: `* Connected`, `} [85 bytes data]`, its table of progress.
fn is_told(line: &str) -> bool {
    line.starts_with("* ")
        || line == "*"
        || (line.starts_with(['{', '}']) && line.ends_with("bytes data]"))
        || line.trim_start().starts_with("% Total")
        || line.contains("Dload  Upload")
        || line.contains("--:--:--")
}

/// A curl command, as typed or as copied by a browser.
#[derive(Default)]
struct Command {
    method: Option<String>,
    address: String,
    headers: Vec<String>,
    data: Vec<String>,
    is_json: bool,
}

/// The command in the text, which may span several lines.
fn command(text: &str) -> Option<Command> {
    let begins = |line: &str| {
        let line = line.trim_start().trim_start_matches(['$', '#', '%']).trim_start();
        line == "curl" || line.starts_with("curl ")
    };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if begins(line) {
            at += line.find("curl")?;
            return Some(read(words(text.get(at..)?)));
        }
        at += line.len();
    }
    None
}

fn read(words: Vec<String>) -> Command {
    let mut words = words.into_iter().skip(1);
    let mut command = Command::default();
    while let Some(word) = words.next() {
        let (flag, joined) = split(&word);
        let mut value = || joined.map(str::to_owned).or_else(|| words.next()).unwrap_or_default();
        match flag {
            "-X" | "--request" => command.method = Some(value()),
            "-H" | "--header" => command.headers.push(value()),
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-ascii" => command.data.push(value()),
            "--json" => {
                command.is_json = true;
                command.data.push(value());
            }
            "--url" => command.address = value(),
            "-A" | "--user-agent" | "-e" | "--referer" | "-u" | "--user" | "-o" | "--output" | "-b" | "--cookie"
            | "-m" | "--max-time" | "--connect-timeout" | "-x" | "--proxy" | "--cacert" | "--resolve" | "-w"
            | "--write-out" => {
                value();
            }
            _ if flag.starts_with('-') => {}
            _ if command.address.is_empty() => word.clone_into(&mut command.address),
            _ => {}
        }
    }
    command
}

/// A flag with an attached value: `--data={}`, `-XPOST`.
fn split(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value)));
    }
    let with_value = ["-X", "-H", "-d"].into_iter().find(|flag| word.len() > 2 && word.starts_with(flag));
    with_value.map_or((word, None), |flag| (flag, word.get(2..)))
}

impl Command {
    /// What it sends.
    fn body(&self) -> Result<String, String> {
        if self.data.iter().any(|data| data.starts_with('@')) {
            return Err("the body of the curl command is in another file: give it with --body FILE".to_owned());
        }
        Ok(self.data.join(if self.is_json { "" } else { "&" }))
    }

    fn request(&self, has_body: bool) -> Result<Captured, String> {
        let body = if has_body { String::new() } else { self.body()? };
        if self.address.is_empty() {
            return Err("the curl command names no address".to_owned());
        }
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        for header in &self.headers {
            if let Some((name, value)) = header.split_once(':') {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
            }
        }
        if !headers.iter().any(|(name, _)| name == "content-type") && !self.data.is_empty() {
            let kind = if self.is_json { "application/json" } else { "application/x-www-form-urlencoded" };
            headers.push(("content-type".to_owned(), kind.as_bytes().to_vec()));
        }
        let method =
            self.method.clone().unwrap_or_else(|| if self.data.is_empty() { "GET" } else { "POST" }.to_owned());
        let delivery = Delivery { method, url: target_of(&self.address), headers, body: Bytes::from(body) };
        Ok(Captured { delivery, at: None, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Vec<u8> {
        parse(text, false).unwrap_or_else(|problem| panic!("{text}: {problem}")).delivery.body.to_vec()
    }

    #[test]
    fn the_body_is_found_in_the_command_or_in_the_verbose_output() {
        let spoken =
            "* Connected to localhost\n> POST /webhooks/hr HTTP/1.1\n> Host: localhost\n> Content-Length: 9\n>\n";
        let answer =
            "* upload completely sent off: 9 bytes\n< HTTP/1.1 401 Unauthorized\n< content-length: 2\n< \n{}\n";
        for text in [
            format!("$ curl -v -X POST localhost/webhooks/hr \\\n  -d '{{\"a\":\"é\"}}'\n{spoken}{answer}"),
            format!("{spoken}{{\"a\":\"é\"}}\n{answer}").replace('\n', "\r\n"),
            format!("{spoken}> {{\"a\":\"é\"}}\n{answer}"),
            format!("{spoken}}} [9 bytes data]\n{{\"a\":\"é\"}}\n{answer}"),
        ] {
            let text = text.replace("Content-Length: 9", "Content-Length: 10");
            assert_eq!(String::from_utf8(body(&text)).unwrap(), "{\"a\":\"é\"}", "{text}");
        }
        assert!(
            parse(&format!("curl -d @body.json localhost\n{spoken}{answer}"), false).err().unwrap().contains("--body")
        );
    }

    #[test]
    fn a_command_alone_is_a_request_as_browsers_copy_it() {
        let text = "curl 'https://h.example/webhooks/hr?x=1' \\\n  -X 'POST' \\\n  -H 'x-sig: ab' \\\n  --data-raw $'{\"a\":\"it\\'s\\u0021\"}' --compressed";
        let captured = parse(text, false).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!((captured.delivery.method.as_str(), captured.delivery.url.as_str()), ("POST", "/webhooks/hr?x=1"));
        assert_eq!(&*captured.delivery.body, b"{\"a\":\"it's!\"}");
        let json = parse("curl --json '{}' -XPUT h.example", false).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!((json.delivery.method.as_str(), json.delivery.content_type()), ("PUT", Some("application/json")));
        assert!(parse("curl -d @x h.example/a", false).is_err() && parse("nothing", false).is_err());
    }
}
