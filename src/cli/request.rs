//! A delivery that somebody captured, as raw HTTP: request line, headers, blank line, body.

use std::path::Path;

use bytes::Bytes;

use super::failure::Failure;
use super::payload;
use crate::core::delivery::Delivery;

/// Headers at the most, as at the intake.
const HEADERS_MAX: usize = 100;

/// Reads the file; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<Delivery, Failure> {
    parse(&payload::read(file)?)
        .map_err(|problem| Failure::failed(format!("{} is no HTTP request: {problem}", file.display())))
}

/// Lines may end with a line feed alone, as editors leave them; the body is taken as it is, but for what
/// is beyond its `Content-Length`.
fn parse(bytes: &[u8]) -> Result<Delivery, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request
        .parse(bytes)
        .map_err(|_| "it begins with a request line and headers, such as `POST /webhooks/hr HTTP/1.1`")?;
    let httparse::Status::Complete(head) = parsed else {
        return Err("a blank line ends the headers, and the body follows it");
    };
    let headers: Vec<_> =
        request.headers.iter().map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    let body = bytes.get(head..).unwrap_or_default();
    let body = body.get(..length.unwrap_or(body.len())).unwrap_or(body);
    Ok(Delivery {
        method: request.method.unwrap_or_default().to_owned(),
        url: request.path.unwrap_or("/").to_owned(),
        headers,
        body: Bytes::copy_from_slice(body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_either_line_end_and_no_more_than_its_length() {
        for text in [
            "POST /webhooks/hr?a=1 HTTP/1.1\r\nX-Sig: ab\r\nContent-Length: 2\r\n\r\n{}\n",
            "POST /webhooks/hr?a=1 HTTP/1.1\nX-Sig: ab\n\n{}",
        ] {
            let delivery = parse(text.as_bytes()).unwrap();
            assert_eq!(
                (delivery.method.as_str(), delivery.url.as_str(), &*delivery.body),
                ("POST", "/webhooks/hr?a=1", &b"{}"[..])
            );
            assert_eq!(delivery.headers[0], ("x-sig".to_owned(), b"ab".to_vec()));
        }
        for wrong in ["", "{}", "POST /webhooks/hr HTTP/1.1\r\nX-Sig: ab\r\n"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
