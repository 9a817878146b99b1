//! Raw HTTP: request line, headers, blank line, body.

use bytes::Bytes;

use super::{Captured, target_of, told_length};
use crate::core::delivery::Delivery;
use crate::intake::unchunked;

/// Whether it begins with a request line.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| request_line(line).is_some())
}

/// Lines may end with a line feed alone, as editors leave them; the body is taken as it is, except for what is
/// beyond its `Content-Length`, and for chunks, which are put together.
pub(super) fn parse(bytes: &[u8]) -> Result<Captured, String> {
    let mut rest = bytes.trim_ascii_start();
    let mut head = Vec::new();
    let body = loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err("a blank line ends the headers, and the body follows it".to_owned());
        };
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break rest;
        }
        head.push(line);
    };
    let mut captured = of_head(&head)?;
    let headers = &captured.delivery.headers;
    let is_chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value.to_ascii_lowercase().ends_with(b"chunked"));
    captured.delivery.body = match (told_length(headers), is_chunked.then(|| unchunked(body)).flatten()) {
        (_, Some(whole)) => Bytes::from(whole),
        (Some(length), None) => {
            captured.notes.extend(lacks(body.len(), length));
            Bytes::copy_from_slice(body.get(..length).unwrap_or(body))
        }
        (None, None) => Bytes::copy_from_slice(body),
    };
    Ok(captured)
}

/// The message about a body that is shorter than declared.
pub(super) fn lacks(bytes: usize, told: usize) -> Option<String> {
    (bytes < told).then(|| format!("the body has {bytes} bytes, but Content-Length says {told}: it is incomplete"))
}

/// A request of the lines of its head, without a body.
pub(super) fn of_head(lines: &[&[u8]]) -> Result<Captured, String> {
    let (first, fields) = lines.split_first().ok_or("there is no request line")?;
    let (method, target) = std::str::from_utf8(first)
        .ok()
        .and_then(request_line)
        .ok_or("it begins with a request line, such as `POST /webhooks/hr HTTP/1.1`")?;
    let mut headers = Vec::with_capacity(fields.len());
    for (n, line) in fields.iter().enumerate() {
        let at = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
        let (name, value) = at.map(|at| line.split_at(at)).ok_or_else(|| {
            format!("line {} is not a header: a name, `:`, a value; and a blank line ends them", n + 2)
        })?;
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        headers.push((name, value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
    }
    let delivery = Delivery { method: method.to_owned(), url: target_of(target), headers, body: Bytes::new() };
    Ok(Captured { delivery, at: None, notes: Vec::new() })
}

/// Method and target, of `POST /webhooks/hr HTTP/1.1`.
pub(super) fn request_line(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_one = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) && version.starts_with("HTTP/");
    (is_one && words.next().is_none()).then_some((method, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_either_line_end_and_no_more_than_its_length() {
        for (text, body) in [
            ("POST /a HTTP/1.1\r\nX-Sig:ab \r\nContent-Length: 2\r\n\r\n{}\n", "{}"),
            ("\nPOST /a HTTP/1.1\nX-Sig: ab\n\n{}\r\n\r\n", "{}\r\n\r\n"),
            ("POST https://h.example/a HTTP/2\nx-sig: ab\n\n{}", "{}"),
            ("POST /a HTTP/1.1\r\nX-Sig: ab\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", "{}"),
            ("POST /a HTTP/1.1\nX-Sig: ab\nTransfer-Encoding: chunked\n\n{}", "{}"),
        ] {
            assert!(is_one(text.as_bytes()), "{text}");
            let delivery = parse(text.as_bytes()).ok().unwrap().delivery;
            assert_eq!((delivery.url.as_str(), &*delivery.body), ("/a", body.as_bytes()), "{text}");
            assert_eq!(delivery.headers[0], ("x-sig".to_owned(), b"ab".to_vec()));
        }
        let short = parse(b"POST /a HTTP/1.1\nContent-Length: 9\n\n{}").ok().unwrap();
        assert!(short.notes[0].contains("2 bytes, but Content-Length says 9"), "{:?}", short.notes);
        let binary = parse(b"POST /a HTTP/1.1\n\n\x00\xff\n").ok().unwrap();
        assert_eq!(&*binary.delivery.body, b"\x00\xff\n");
        for (wrong, said) in [
            ("POST /a HTTP/1.1\r\nX-Sig: ab\r\n", "a blank line"),
            ("POST /a HTTP/1.1\nX-Sig: ab\n{\"a\" 1}\n\n", "line 3"),
        ] {
            assert!(parse(wrong.as_bytes()).err().unwrap().contains(said), "{wrong}");
        }
    }
}
