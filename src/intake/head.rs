//! The head of a request: read strictly (RFC 9112), since a proxy in front of us may read it
//! differently.

use http::{Method, Uri};

/// The longest head, in bytes. Webhooks have some hundred, and proxies add some hundred.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most fields of a head.
const FIELDS_MAX: usize = 100;

/// A head that can be answered.
#[derive(Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path and query, as they were sent.
    pub target: String,
    /// All fields.
    pub headers: Fields,
    /// How long the body is.
    pub length: Length,
    /// Whether the sender wants to keep the connection.
    pub keeps_alive: bool,
    /// Whether the sender waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// The fields of a head: a copy of its bytes, and the position of each field. A head stays in memory until its body
/// has arrived, and a map of strings would take several times as much.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Box<[u8]>,
    places: Box<[Place]>,
}

/// The position of a field. The longest head is shorter than the range of these numbers.
#[derive(Debug, Clone, Copy)]
struct Place {
    name: (u16, u16),
    value: (u16, u16),
}

impl Fields {
    fn of(bytes: &[u8], fields: &[httparse::Header<'_>]) -> Option<Self> {
        let place = |part: &[u8]| {
            // An empty slice need not point into the bytes.
            let from = if part.is_empty() { 0 } else { part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())? };
            Some((u16::try_from(from).ok()?, u16::try_from(from + part.len()).ok()?))
        };
        let place = |field: &httparse::Header<'_>| {
            Some(Place { name: place(field.name.as_bytes())?, value: place(field.value)? })
        };
        let places = fields.iter().map(place).collect::<Option<_>>()?;
        Some(Self { bytes: bytes.into(), places })
    }

    /// Names, in the case in which they were sent, and values, in the order of their arrival; a name may recur.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let part = |(from, to): (u16, u16)| self.bytes.get(from.into()..to.into()).unwrap_or_default();
        // A name is ASCII.
        self.places
            .iter()
            .map(move |place| (std::str::from_utf8(part(place.name)).unwrap_or_default(), part(place.value)))
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn kept_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.places)
    }
}

/// How long the body is (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// This many bytes.
    Bytes(u64),
    /// As its chunks say.
    Chunked,
}

impl Head {
    /// The path alone.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The memory it takes.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.headers.kept_bytes() + self.target.len()
    }

    /// The query, without its question mark.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    /// It is not HTTP/1.1, or can be read in more than one way.
    Malformed,
    /// Too many bytes or fields.
    TooLarge,
}

/// Where the head at the beginning of `input` ends. The first `searched` bytes are known not to contain the end.
/// Empty lines before it are not part of it (RFC 9112 §2.2).
#[must_use]
pub fn end_of_head(input: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let at = input.get(from..)?.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(from + at + 4)
}

/// Reads a complete head; `input` has nothing else.
pub fn parse(bytes: &[u8]) -> Result<Head, HeadError> {
    // For some readers a bare line feed ends a line, and two of them end a head; for others, such as us, they do not.
    if has_bare_line_feed(bytes) {
        return Err(HeadError::Malformed);
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(end)) if end == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Ok(httparse::Status::Complete(_) | httparse::Status::Partial) | Err(_) => return Err(HeadError::Malformed),
    }
    let (Some(method), Some(path), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed);
    };
    let headers = Fields::of(bytes, request.headers).ok_or(HeadError::TooLarge)?;
    if headers.all("host").nth(1).is_some() {
        return Err(HeadError::Malformed);
    }
    let is_1_1 = version == 1;
    Ok(Head {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Malformed)?,
        target: target(path)?,
        length: length(&headers, is_1_1)?,
        keeps_alive: is_1_1 && !lists(&headers, "connection", "close"),
        expects_continue: is_1_1 && lists(&headers, "expect", "100-continue"),
        headers,
    })
}

fn has_bare_line_feed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'\n') || bytes.windows(2).any(|two| two[1] == b'\n' && two[0] != b'\r')
}

/// Path and query of a request's target, whatever its form (RFC 9112 §3.2).
fn target(raw: &str) -> Result<String, HeadError> {
    if raw.starts_with('/') {
        return Ok(raw.to_owned());
    }
    let uri: Uri = raw.parse().map_err(|_| HeadError::Malformed)?;
    Ok(uri.path_and_query().map_or("*", |target| target.as_str()).to_owned())
}

/// A length that two readers could understand differently is refused: it could be used to smuggle requests.
fn length(headers: &Fields, is_1_1: bool) -> Result<Length, HeadError> {
    let mut codings = headers.all("transfer-encoding");
    let mut lengths = headers.all("content-length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Length::Bytes(0)),
        (None, Some(digits)) if lengths.next().is_none() => {
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(HeadError::Malformed);
            }
            // A number that is too large for the type is too large for a body, which is refused later.
            let bytes = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            Ok(Length::Bytes(bytes))
        }
        (Some(coding), None) if is_1_1 && codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Length::Chunked)
        }
        (_, _) => Err(HeadError::Malformed),
    }
}

/// A value as text, if it is ASCII, as all values that we read are.
#[must_use]
pub fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

/// Whether a header that is a list of words has this one.
fn lists(headers: &Fields, name: &str, word: &str) -> bool {
    let values = headers.all(name).filter_map(text);
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, HeadError> {
        parse(text.as_bytes())
    }

    fn with(fields: &str) -> Result<Length, HeadError> {
        read(&format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).map(|head| head.length)
    }

    #[test]
    fn a_body_has_one_length_or_the_head_is_refused() {
        assert_eq!(with(""), Ok(Length::Bytes(0)));
        assert_eq!(with("Content-Length: 12\r\n"), Ok(Length::Bytes(12)));
        assert_eq!(with("content-length: 99999999999999999999999\r\n"), Ok(Length::Bytes(u64::MAX)));
        assert_eq!(with("Transfer-Encoding: Chunked\r\n"), Ok(Length::Chunked));
        for ambiguous in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding : chunked\r\n",
            "X-A: b\r\n folded\r\n",
            "Host: b\r\n",
        ] {
            assert_eq!(with(ambiguous), Err(HeadError::Malformed), "{ambiguous:?}");
        }
        let old = read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old.err(), Some(HeadError::Malformed));
    }

    #[test]
    fn fields_are_kept_as_received_and_found_in_any_case() {
        let head = read("GET /a HTTP/1.1\r\nHost: a\r\nX-A:  one \r\nEmpty:\r\nx-a: \u{e9}\r\n\r\n").unwrap();
        let fields: Vec<_> = head.headers.iter().collect();
        assert_eq!(fields, [("Host", &b"a"[..]), ("X-A", b"one"), ("Empty", b""), ("x-a", "\u{e9}".as_bytes())]);
        assert_eq!(head.headers.all("X-a").collect::<Vec<_>>(), [&b"one"[..], "\u{e9}".as_bytes()]);
        assert_eq!((head.headers.len(), head.headers.all("x-b").count()), (4, 0));
    }

    #[test]
    fn a_head_takes_little_more_memory_than_its_bytes() {
        let short = format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(FIELDS_MAX));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(10_000));
        assert!(read(&short).unwrap().kept_bytes() <= short.len() + 8 * FIELDS_MAX + 1);
        assert!((20_000..21_000).contains(&read(&long).unwrap().kept_bytes()));
    }

    #[test]
    fn a_head_with_a_bare_line_feed_or_trailing_bytes_is_refused() {
        for malformed in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\nPOST /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\nPOST /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\n b\r\n\r\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\r b\r\n\r\n",
        ] {
            assert_eq!(read(malformed).err(), Some(HeadError::Malformed), "{malformed:?}");
        }
        assert!(read("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok(), "an empty line before it");
    }

    #[test]
    fn a_target_of_any_form_is_reduced_to_path_and_query() {
        for (raw, target) in [("/a?b=c", "/a?b=c"), ("http://host/a?b", "/a?b"), ("http://host", "/"), ("*", "*")] {
            let head = read(&format!("POST {raw} HTTP/1.1\r\n\r\n")).unwrap();
            assert_eq!(head.target, target);
        }
        assert_eq!(read("POST /a?b=c HTTP/1.1\r\n\r\n").unwrap().path(), "/a");
    }

    #[test]
    fn the_sender_decides_whether_the_connection_stays_open() {
        for (head, keeps_alive) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            assert_eq!(read(head).unwrap().keeps_alive, keeps_alive, "{head}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_across_any_chunks() {
        let head = b"GET / HTTP/1.1\r\n\r\nrest";
        for searched in 0..head.len() - 4 {
            assert_eq!(end_of_head(head, searched.min(17)), Some(18), "{searched}");
        }
        assert_eq!(end_of_head(&head[..17], 0), None);
        assert_eq!(read(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101))).err(), Some(HeadError::TooLarge));
    }
}
