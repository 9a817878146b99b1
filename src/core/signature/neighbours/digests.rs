//! Everything in the headers that could be a signature.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

use super::super::read;
use super::super::scheme::{Algorithm, Auth, Encoding, Layout, Scheme};
use super::super::template::{Part, Template};
use super::{TRIED_MAX, VALUE_BYTES_MAX};
use crate::core::delivery::Delivery;

/// Something in a header that could be a signature.
pub(super) struct Digest {
    header: String,
    /// The text before it in the header, or in its part of the header.
    prefix: String,
    encoding: Encoding,
    pub(super) algorithm: Algorithm,
    pub(super) bytes: Vec<u8>,
}

/// Whatever in the headers could be a signature; the configured header comes first.
pub(super) fn digests(scheme: &Scheme, delivery: &Delivery) -> Vec<Digest> {
    let mut found = Vec::new();
    let configured = |name: &str| scheme.header.names().iter().any(|known| known == name);
    let mut headers: Vec<_> = delivery.headers.iter().filter(|(_, value)| value.len() <= VALUE_BYTES_MAX).collect();
    headers.sort_by_key(|(name, _)| !configured(name));
    for (name, value) in headers {
        let Ok(text) = std::str::from_utf8(value) else { continue };
        for (prefix, token) in tokens(text) {
            for (encoding, bytes) in decoded(token) {
                let algorithm = match bytes.len() {
                    20 => Algorithm::Sha1,
                    32 => Algorithm::Sha256,
                    48 => Algorithm::Sha384,
                    64 => Algorithm::Sha512,
                    _ => continue,
                };
                found.push(Digest { header: name.clone(), prefix: prefix.to_owned(), encoding, algorithm, bytes });
            }
        }
    }
    found.truncate(2 * TRIED_MAX);
    found
}

/// The whole value and its parts, each with and without the text up to its first `=`, `,`, `:` or space.
fn tokens(value: &str) -> Vec<(&str, &str)> {
    let mut tokens = vec![("", value.trim())];
    for part in value.split([' ', ',', ';']).filter(|part| !part.is_empty()) {
        tokens.push(("", part));
    }
    for part in value.split([' ', ';']).chain([value]) {
        if let Some(at) = part.find(['=', ',', ' ', ':']) {
            let (prefix, rest) = part.split_at(at + 1);
            tokens.push((prefix, rest.trim()));
        }
    }
    for part in value.split(',') {
        if let Some((name, rest)) = part.trim().split_once('=') {
            tokens.push((part.trim().get(..=name.len()).unwrap_or_default(), rest));
        }
    }
    let mut distinct: Vec<(&str, &str)> = Vec::new();
    for token in &tokens {
        let is_split_elsewhere =
            token.0.is_empty() && tokens.iter().any(|other| other.1 == token.1 && !other.0.is_empty());
        if !is_split_elsewhere && !distinct.contains(token) {
            distinct.push(*token);
        }
    }
    distinct
}

fn decoded(text: &str) -> Vec<(Encoding, Vec<u8>)> {
    let unpadded = text.trim_end_matches('=').as_bytes();
    let all = [
        (Encoding::Hex, HEXLOWER_PERMISSIVE.decode(text.as_bytes())),
        (Encoding::Base64, BASE64_NOPAD.decode(unpadded)),
        (Encoding::Base64url, BASE64URL_NOPAD.decode(unpadded)),
    ];
    let found = all.into_iter().filter_map(|(encoding, bytes)| Some((encoding, bytes.ok()?)));
    // If no character shows which alphabet it is, the common one is assumed.
    found.filter(|(encoding, _)| *encoding != Encoding::Base64url || text.contains(['-', '_'])).collect()
}

/// Which of the scheme's auth, header, layout and hash would have to change for this signature to be found.
pub(super) fn changes_of(scheme: &Scheme, digest: &Digest, delivery: &Delivery, template: &Template) -> Vec<String> {
    let mut changes = Vec::new();
    if scheme.auth != Auth::Hmac {
        changes.push("auth = \"hmac\"".to_owned());
    }
    if !scheme.header.names().contains(&digest.header) {
        changes.push(format!("header = {:?}", digest.header));
    }
    // The two base64 alphabets differ in two characters only; without one of these it may be either.
    let fits = |encoding| {
        scheme.encoding == encoding || (scheme.encoding == Encoding::Base64url && encoding == Encoding::Base64)
    };
    let value = value_of(delivery, &digest.header);
    let is_read = |layout: &Layout, encoding| {
        read::candidates(value, layout, encoding).is_ok_and(|found| found.contains(&digest.bytes))
    };
    let encoding = if fits(digest.encoding) && is_read(&scheme.value, scheme.encoding) {
        scheme.encoding
    } else {
        digest.encoding
    };
    if scheme.encoding != encoding {
        let word = match encoding {
            Encoding::Hex => "hex",
            Encoding::Base64 => "base64",
            Encoding::Base64url => "base64url",
        };
        changes.push(format!("encoding = {word:?}"));
    }
    if scheme.algorithm != digest.algorithm {
        let word = match digest.algorithm {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        };
        changes.push(format!("algorithm = {word:?}"));
    }
    if !is_read(&scheme.value, encoding) {
        changes.push(layout(value, &digest.prefix, template, |layout| is_read(layout, encoding)));
    }
    changes
}

/// The layout with which the header would be parsed.
fn layout(value: &[u8], prefix: &str, template: &Template, is_read: impl Fn(&Layout) -> bool) -> String {
    let single = Layout::Single { prefix: prefix.to_owned(), optional: false };
    let has_more = value.windows(prefix.len().max(1)).filter(|window| *window == prefix.as_bytes()).count() > 1;
    let named = prefix.strip_suffix('=').filter(|_| template.has(&Part::Timestamp) || has_more || !is_read(&single));
    for separator in [",", ";", " "] {
        if let Some(key) = named {
            let pairs = Layout::Pairs { separator: separator.to_owned(), key: key.to_owned() };
            if value.windows(1).any(|byte| byte == separator.as_bytes()) && is_read(&pairs) {
                let more = if separator == "," { String::new() } else { format!(", separator = {separator:?}") };
                return format!("value = {{ pairs = {{ key = {key:?}{more} }} }}");
            }
        }
    }
    if is_read(&single) {
        return format!("value = {{ single = {{ prefix = {prefix:?} }} }}");
    }
    for separator in [" ", ",", ";"] {
        if is_read(&Layout::List { separator: separator.to_owned(), prefix: prefix.to_owned() }) {
            return format!("value = {{ list = {{ separator = {separator:?}, prefix = {prefix:?} }} }}");
        }
    }
    format!("value = {{ single = {{ prefix = {prefix:?} }} }}")
}

fn value_of<'d>(delivery: &'d Delivery, header: &str) -> &'d [u8] {
    let found = delivery.headers.iter().find(|(name, _)| name == header);
    found.map(|(_, value)| value.as_slice()).unwrap_or_default()
}
