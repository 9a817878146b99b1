//! Reads a scheme's headers: raw bytes in, raw bytes out, nothing trusted yet.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

use super::fields::HeaderNames;
use super::refusal::{Refusal, Role};
use super::scheme::{Encoding, Layout};
use crate::core::delivery::Delivery;

/// How many signatures in one header are checked at most; a rotation needs two.
const CANDIDATES_MAX: usize = 16;

/// The value of the one header of these names. None if it is missing or empty; an error if there is more than one,
/// unless several names have the same value.
pub(super) fn header<'a>(delivery: &'a Delivery, names: &HeaderNames, role: Role) -> Result<Option<&'a [u8]>, Refusal> {
    let mut found: Option<&[u8]> = None;
    for name in names.names() {
        let mut values = delivery.headers.iter().filter(|(other, _)| other == name);
        let Some((_, value)) = values.next() else { continue };
        if values.next().is_some() || found.is_some_and(|other| other != value) {
            return Err(Refusal::RepeatedHeader(role));
        }
        found = Some(value);
    }
    Ok(found.filter(|value| !value.is_empty()))
}

/// Like [`header()`], but an error if it is missing.
pub(super) fn needed<'a>(delivery: &'a Delivery, names: &HeaderNames, role: Role) -> Result<&'a [u8], Refusal> {
    header(delivery, names, role)?.ok_or(Refusal::MissingHeader(role))
}

/// The signatures in a header's value, decoded; an error if there are none.
pub(super) fn candidates(value: &[u8], layout: &Layout, encoding: Encoding) -> Result<Vec<Vec<u8>>, Refusal> {
    let value = std::str::from_utf8(value).map_err(|_| Refusal::MalformedSignature)?;
    let decoded: Vec<Vec<u8>> = match layout {
        Layout::Single { prefix, optional } => {
            let text = value.strip_prefix(prefix.as_str()).or(optional.then_some(value));
            text.and_then(|text| decode(text, encoding)).into_iter().collect()
        }
        Layout::List { separator, prefix } => value
            .split(separator.as_str())
            .filter_map(|entry| entry.trim_matches(' ').strip_prefix(prefix.as_str()))
            .filter_map(|text| decode(text, encoding))
            .take(CANDIDATES_MAX)
            .collect(),
        Layout::Pairs { separator, key } => pairs(value, separator)
            .filter(|(name, _)| name == key)
            .filter_map(|(_, text)| decode(text, encoding))
            .take(CANDIDATES_MAX)
            .collect(),
    };
    if decoded.is_empty() { Err(Refusal::MalformedSignature) } else { Ok(decoded) }
}

/// The value of the one pair with this name; an error if there are two.
pub(super) fn pair<'a>(value: &'a [u8], separator: &str, name: &str) -> Result<&'a [u8], Refusal> {
    let value = std::str::from_utf8(value).map_err(|_| Refusal::MalformedSignature)?;
    let mut named = pairs(value, separator).filter(|(other, _)| *other == name);
    let (_, first) = named.next().ok_or(Refusal::MissingHeader(Role::Timestamp))?;
    if named.next().is_some() {
        return Err(Refusal::RepeatedHeader(Role::Timestamp));
    }
    Ok(first.as_bytes())
}

fn pairs<'a>(value: &'a str, separator: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    value.split(separator).filter_map(|pair| pair.trim_matches(' ').split_once('='))
}

/// Decodes a signature: case does not matter in hex, nor padding in base64.
fn decode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    let unpadded = || text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text).as_bytes();
    let decoded = match encoding {
        Encoding::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
        Encoding::Base64 => BASE64_NOPAD.decode(unpadded()),
        Encoding::Base64url => BASE64URL_NOPAD.decode(unpadded()),
    };
    decoded.ok().filter(|bytes| !bytes.is_empty())
}

/// Encodes a signature as a source would.
pub(super) fn encode(signature: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Hex => HEXLOWER_PERMISSIVE.encode(signature),
        Encoding::Base64 => data_encoding::BASE64.encode(signature),
        Encoding::Base64url => BASE64URL_NOPAD.encode(signature),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn delivery(headers: &[(&str, &str)]) -> Delivery {
        Delivery {
            method: "POST".into(),
            url: "/webhooks/hr".into(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn a_repeated_header_is_refused_even_with_equal_values() {
        let names: HeaderNames = serde_json::from_str(r#"["a", "b"]"#).unwrap();
        let read = |headers: &[(&str, &str)]| {
            let delivery = delivery(headers);
            header(&delivery, &names, Role::Id).map(|value| value.map(<[u8]>::to_vec))
        };
        assert_eq!(read(&[("a", "1")]), Ok(Some(b"1".to_vec())));
        assert_eq!(read(&[("b", "1"), ("c", "2")]), Ok(Some(b"1".to_vec())));
        assert_eq!(read(&[("a", "1"), ("b", "1")]), Ok(Some(b"1".to_vec())));
        assert_eq!(read(&[("a", "1"), ("b", "2")]), Err(Refusal::RepeatedHeader(Role::Id)));
        assert_eq!(read(&[("a", "1"), ("a", "1")]), Err(Refusal::RepeatedHeader(Role::Id)));
        assert_eq!(read(&[("a", "")]), Ok(None));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn signatures_are_found_in_every_layout_whatever_their_case_and_padding() {
        let single = Layout::Single { prefix: "sha256=".into(), optional: false };
        let list = Layout::List { separator: " ".into(), prefix: "v1,".into() };
        let pairs = Layout::Pairs { separator: ",".into(), key: "v1".into() };
        let hex = Encoding::Hex;
        assert_eq!(candidates(b"sha256=00fF", &single, hex), Ok(vec![vec![0, 0xff]]));
        assert_eq!(candidates(b"sha1=00ff", &single, hex), Err(Refusal::MalformedSignature));
        assert_eq!(candidates(b"v1,AP8= v2,AP8= v1,AQ", &list, Encoding::Base64), Ok(vec![vec![0, 0xff], vec![1]]));
        assert_eq!(candidates(b"v1,?? v1,AQ==", &list, Encoding::Base64), Ok(vec![vec![1]]));
        assert_eq!(candidates(b"t=1, v1=00,v0=11,v1=22", &pairs, hex), Ok(vec![vec![0], vec![0x22]]));
        assert_eq!(candidates(b"-_8", &Layout::default(), Encoding::Base64url), Ok(vec![vec![0xfb, 0xff]]));
        for malformed in [&b""[..], b"v1,", b"v1", b"\xff", b"v1,A", b"v1,AB="] {
            assert_eq!(candidates(malformed, &list, Encoding::Base64), Err(Refusal::MalformedSignature));
        }
        assert_eq!(
            candidates(&b"00,".repeat(1000), &Layout::List { separator: ",".into(), prefix: String::new() }, hex)
                .unwrap()
                .len(),
            CANDIDATES_MAX
        );
    }

    #[test]
    fn a_repeated_pair_is_refused() {
        assert_eq!(pair(b"t=12,v1=aa", ",", "t"), Ok(&b"12"[..]));
        assert_eq!(pair(b"t=12,v1=aa,t=13", ",", "t"), Err(Refusal::RepeatedHeader(Role::Timestamp)));
        assert_eq!(pair(b"v1=aa", ",", "t"), Err(Refusal::MissingHeader(Role::Timestamp)));
    }
}
