//! One HTTP POST from a source, and the mark that its sender is authenticated.

use std::hash::Hasher;

use bytes::Bytes;

/// A delivery as received: nothing is parsed, nothing is trusted.
#[derive(Clone)]
pub struct Delivery {
    /// The HTTP method, upper-case.
    pub method: String,
    /// The URL that the sender posted to, as the scheme signs it (path and query, or the whole URL).
    pub url: String,
    /// Header names in lower case with their raw values, in order of arrival; a name may recur.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The raw body.
    pub body: Bytes,
}

impl Delivery {
    /// The value of `Content-Type`, if it is text.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "content-type")?;
        std::str::from_utf8(value).ok()
    }
}

/// Whether a body of this `Content-Type` is one of the media types, given in lower case and without parameters.
/// `application/json` stands for every `…+json` too (RFC 6839 §3.1); a delivery without a type is accepted.
#[must_use]
pub fn is_taken(media_types: &[String], content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_types.iter().any(|taken| *taken == essence || (taken == "application/json" && essence.ends_with("+json")))
}

/// What a delivery says, as a number: to notice that another one under the same event id says something else. A retry
/// whose body only counts its attempts says the same. FNV-1a is cheap: every delivery pays for it.
#[derive(Debug, Clone, Copy)]
pub struct Says(u64);

impl Default for Says {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Says {
    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        u32::try_from((self.0 ^ (self.0 >> 32)) & u64::from(u32::MAX)).unwrap_or_default()
    }
}

impl Hasher for Says {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Something whose sender is authenticated. Only [`super::signature`] can make one.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Attests that the sender of `value` is authenticated.
    pub(super) fn attest(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, to keep.
    pub fn into_inner(self) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_by_any_name_is_taken_and_other_types_are_not() {
        let types = ["application/json".to_owned()];
        for taken in ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json"] {
            assert!(is_taken(&types, Some(taken)), "{taken}");
        }
        for refused in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"] {
            assert!(!is_taken(&types, Some(refused)), "{refused}");
        }
        assert!(is_taken(&types, None));
    }
}
