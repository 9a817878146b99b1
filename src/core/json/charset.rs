//! The character encoding of a body.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8};

/// The character encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// The charset that a `Content-Type` names (RFC 9110 §8.3.2); UTF-8 if it names none.
    ///
    /// # Errors
    /// It names an unknown one.
    pub fn of(content_type: Option<&str>) -> Result<Self, UnknownCharset> {
        let parameters = content_type.unwrap_or_default().split(';').skip(1);
        let named = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        let Some((_, label)) = named else { return Ok(Self(UTF_8)) };
        let known = Encoding::for_label(label.trim().trim_matches('"').as_bytes());
        known.filter(|encoding| *encoding != REPLACEMENT).map(Self).ok_or(UnknownCharset)
    }

    /// UTF-8, the usual encoding of JSON.
    #[must_use]
    pub fn utf8() -> Self {
        Self(UTF_8)
    }

    /// The body's text, without a byte order mark; none if it is not in this charset.
    ///
    /// Text beyond ASCII that is valid UTF-8 is UTF-8, whatever single-byte charset the sender declares: many
    /// senders label every body `iso-8859-1` or `us-ascii`, and real text in these is hardly ever valid UTF-8.
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Option<Cow<'_, str>> {
        if self.0.is_single_byte()
            && !body.is_ascii()
            && let Ok(text) = std::str::from_utf8(body)
        {
            return Some(Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)));
        }
        let (encoding, mark) = Encoding::for_bom(body).unwrap_or((self.0, 0));
        encoding.decode_without_bom_handling_and_without_replacement(body.get(mark..).unwrap_or_default())
    }

    /// Decodes a body, with U+FFFD in place of everything that is not in this charset.
    #[must_use]
    pub fn decode_with_loss(self, body: &[u8]) -> Cow<'_, str> {
        let (encoding, mark) = Encoding::for_bom(body).unwrap_or((self.0, 0));
        encoding.decode_without_bom_handling(body.get(mark..).unwrap_or_default()).0
    }
}

/// An unknown charset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charset is not known")]
pub struct UnknownCharset;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_read_from_the_content_type_and_an_unknown_one_is_reported() {
        let decoded = |kind: &str, body: &[u8]| Charset::of(Some(kind)).unwrap().decode(body).map(Cow::into_owned);
        assert_eq!(decoded("application/json; charset=ISO-8859-1", b"Jos\xe9").as_deref(), Some("José"));
        assert_eq!(decoded("application/json;x=1;Charset=\"windows-1252\"", b"\x80").as_deref(), Some("€"));
        assert_eq!(decoded("text/plain; charset=utf-16le", b"A\0\xe9\0").as_deref(), Some("Aé"));
        assert_eq!(decoded("application/json", b"\xef\xbb\xbf{}").as_deref(), Some("{}"));
        assert_eq!(decoded("application/json", b"\xff\xfeA\0").as_deref(), Some("A"));
        assert_eq!(decoded("application/json", b"Jos\xe9"), None);
        for label in ["us-ascii", "ISO-8859-1", "windows-1252"] {
            let labelled = format!("application/json; charset={label}");
            assert_eq!(decoded(&labelled, "Jos\u{e9}".as_bytes()).as_deref(), Some("Jos\u{e9}"), "{label}");
        }
        for unknown in
            ["application/json; charset=klingon", "application/json; charset=", "text/plain; charset=iso-2022-kr"]
        {
            assert_eq!(Charset::of(Some(unknown)), Err(UnknownCharset), "{unknown}");
        }
        assert_eq!(Charset::of(None), Ok(Charset::utf8()));
    }
}
