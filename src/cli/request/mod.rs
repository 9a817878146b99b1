//! Captured deliveries in any form: raw HTTP, the output of `curl -v` or a curl command, a HAR file, or what
//! `capture` writes. The form is recognised by the file's content.

mod curl;
mod har;
mod raw;
mod shell;

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use super::failure::Failure;
use super::payload;
use crate::admin::api::shapes::CaptureBody;
use crate::core::delivery::Delivery;
use crate::core::time::UnixMs;

/// The accepted forms, for the error message.
const FORMS: &str = "It takes raw HTTP (request line, headers, blank line, body), the text of `curl -v`, a HAR file, or what `capture` writes.";

/// A delivery from a file.
pub(super) struct Captured {
    pub(super) delivery: Delivery,
    /// When it came in, if known.
    pub(super) at: Option<UnixMs>,
    /// What is odd about the capture itself.
    pub(super) notes: Vec<String>,
}

/// What to read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// A file with the body, if the capture has none, like the output of `curl -v`.
    pub(super) body: Option<&'a Path>,
    /// Which of several, counted from 1; else all that are POSTs.
    pub(super) entry: Option<usize>,
}

/// Reads the file; `-` is standard input. At least one delivery.
pub(super) fn read(file: &Path, wanted: Wanted<'_>) -> Result<Vec<Captured>, Failure> {
    let body = wanted.body.map(payload::read).transpose()?;
    let refused = |problem: String| Failure::advise(format!("{}: {problem}", file.display()), FORMS);
    let all = parse(&payload::read(file)?, body).map_err(refused)?;
    chosen(all, wanted.entry).map_err(refused)
}

/// The delivery as the API shows it.
pub(super) fn of_capture(capture: &CaptureBody) -> Result<Vec<Captured>, String> {
    har::parse(&serde_json::to_value(capture).map_err(|error| error.to_string())?)
}

/// The deliveries in a captured file.
pub(super) fn parse(bytes: &[u8], body: Option<Vec<u8>>) -> Result<Vec<Captured>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut all = match serde_json::from_slice::<Value>(bytes) {
        Ok(json) => har::parse(&json)?,
        Err(_) if raw::is_one(bytes) => vec![raw::parse(bytes)?],
        Err(_) => vec![curl::parse(&String::from_utf8_lossy(bytes), body.is_some())?],
    };
    if let (Some(body), [one]) = (body, all.as_mut_slice()) {
        one.delivery.body = Bytes::from(body);
        one.notes.clear();
    }
    Ok(all)
}

fn chosen(mut all: Vec<Captured>, entry: Option<usize>) -> Result<Vec<Captured>, String> {
    let count = all.len();
    if let Some(entry) = entry {
        let index = entry.checked_sub(1).filter(|index| *index < count);
        let index = index.ok_or_else(|| format!("--entry {entry} is not there: it has 1 to {count}"))?;
        return Ok(vec![all.swap_remove(index)]);
    }
    if count > 1 {
        all.retain(|captured| captured.delivery.method == "POST");
    }
    if all.is_empty() { Err(format!("none of its {count} requests is a POST: name one with --entry")) } else { Ok(all) }
}

/// The path and query of an address, as in a request line.
fn target_of(address: &str) -> String {
    let after_scheme = address.split_once("://").map_or("", |(_, rest)| rest);
    if after_scheme.is_empty() {
        return address.to_owned();
    }
    let target = after_scheme.find(['/', '?']).and_then(|at| after_scheme.get(at..)).unwrap_or("/");
    let target = target.split('#').next().unwrap_or(target);
    if target.starts_with('/') { target.to_owned() } else { format!("/{target}") }
}

/// The length that a delivery declares for its body.
fn told_length(headers: &[(String, Vec<u8>)]) -> Option<usize> {
    let (_, value) = headers.iter().find(|(name, _)| name == "content-length")?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_detected_from_the_content() {
        let raw = "POST /webhooks/hr?a=1 HTTP/1.1\r\nX-Sig: ab\r\nContent-Length: 2\r\n\r\n{}\n";
        let curl = "* Connected\n> POST /webhooks/hr?a=1 HTTP/1.1\n> X-Sig: ab\n> Content-Length: 2\n> \n{}\n< HTTP/1.1 200 OK\n< \n{\"status\":\"accepted\"}\n";
        let command = "curl -v 'https://hooks.example.com/webhooks/hr?a=1' -H 'X-Sig: ab' --data-raw '{}'";
        let har = r#"{"log":{"entries":[{"startedDateTime":"2026-03-02T10:00:00.5Z","request":{"method":"POST","url":"https://hooks.example.com/webhooks/hr?a=1","headers":[{"name":"X-Sig","value":"ab"}],"postData":{"mimeType":"application/json","text":"{}"}}}]}}"#;
        let capture = r#"{"captures":[{"id":"c","at":"2026-03-02T10:00:00.5Z","method":"POST","url":"/webhooks/hr?a=1","headers":[{"name":"X-Sig","value":"ab"}],"body_base64":"e30="}]}"#;
        for text in [raw, curl, command, har, capture] {
            let captured = parse(text.as_bytes(), None).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            let [one] = &captured[..] else { panic!("{text}") };
            let delivery = &one.delivery;
            assert_eq!(
                (delivery.method.as_str(), delivery.url.as_str(), &*delivery.body),
                ("POST", "/webhooks/hr?a=1", &b"{}"[..]),
                "{text}"
            );
            assert!(delivery.headers.contains(&("x-sig".to_owned(), b"ab".to_vec())), "{text}");
            assert_eq!(one.at.is_some(), text.contains("2026-03-02"), "{text}");
        }
        for wrong in
            ["", "{}", "[1]", "hello", "POST /webhooks/hr HTTP/1.1\r\nX-Sig: ab\r\n", "> GET\n", "{\"log\":{}}"]
        {
            assert!(parse(wrong.as_bytes(), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_several_requests_the_posts_or_the_chosen_one_are_taken() {
        let entry = |method: &str, n: u8| {
            format!(r#"{{"request":{{"method":"{method}","url":"/{n}","headers":[],"postData":{{"text":"{n}"}}}}}}"#)
        };
        let har =
            format!("{{\"log\":{{\"entries\":[{},{},{}]}}}}", entry("GET", 1), entry("POST", 2), entry("POST", 3));
        let read = |wanted| {
            let all = chosen(parse(har.as_bytes(), None).unwrap(), wanted);
            all.map(|all| all.into_iter().map(|one| one.delivery.url).collect::<Vec<_>>())
        };
        assert_eq!(read(None), Ok(vec!["/2".to_owned(), "/3".to_owned()]));
        assert_eq!(read(Some(1)), Ok(vec!["/1".to_owned()]));
        assert!(read(Some(4)).unwrap_err().contains("1 to 3") && read(Some(0)).is_err());
    }

    #[test]
    fn a_separate_body_file_fills_in_a_missing_body() {
        let curl = "> POST / HTTP/2\n> x-sig: ab\n> content-length: 3\n> \n* upload completely sent off: 3 bytes\n< HTTP/2 401\n< \nno";
        assert!(parse(curl.as_bytes(), None).err().unwrap().contains("--body"));
        let all = parse(curl.as_bytes(), Some(b"\x00\xffx".to_vec())).unwrap();
        assert_eq!((&*all[0].delivery.body, all[0].notes.len()), (&b"\x00\xffx"[..], 0));
    }

    #[test]
    fn a_url_is_reduced_to_path_and_query() {
        for (address, target) in [
            ("https://a.example/b?c=d#e", "/b?c=d"),
            ("https://a.example", "/"),
            ("https://a.example?x=1", "/?x=1"),
            ("/b?c", "/b?c"),
        ] {
            assert_eq!(target_of(address), target);
        }
    }
}
