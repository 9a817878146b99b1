//! The small types of a scheme whose TOML forms serde cannot derive.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::lookup;
use crate::core::json;

/// How far a timestamp may differ from our clock: seconds, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// At most this many seconds.
    Seconds(u32),
    /// Any difference.
    Off,
}

impl Default for Tolerance {
    /// 300 s: what Standard Webhooks, Stripe and Slack use.
    fn default() -> Self {
        Self::Seconds(300)
    }
}

/// One header name, or several alternatives; in lower case, as in HTTP/2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderNames(Vec<String>);

impl HeaderNames {
    /// The names, the preferred one first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// `authorization`, the standard HTTP authentication header.
    pub(super) fn authorization() -> Self {
        Self(vec!["authorization".to_owned()])
    }

    /// Whether it has no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(raw: &str) -> Result<String, &'static str> {
        // A token (RFC 9110 §5.6.2).
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !raw.is_empty() && raw.bytes().all(token) {
            Ok(raw.to_ascii_lowercase())
        } else {
            Err("a header name is letters, digits and '-'")
        }
    }
}

impl<'de> Deserialize<'de> for HeaderNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = HeaderNames;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header name, or a list of them")
            }
            fn visit_str<E: de::Error>(self, raw: &str) -> Result<HeaderNames, E> {
                HeaderNames::parse(raw).map(|name| HeaderNames(vec![name])).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<HeaderNames, A::Error> {
                let mut names = Vec::new();
                while let Some(raw) = seq.next_element::<String>()? {
                    names.push(HeaderNames::parse(&raw).map_err(de::Error::custom)?);
                }
                Ok(HeaderNames(names))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondsOrOff;
        impl Visitor<'_> for SecondsOrOff {
            type Value = Tolerance;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, or \"off\"")
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Tolerance, E> {
                u32::try_from(seconds).map(Tolerance::Seconds).map_err(|_| E::custom("too many seconds"))
            }
            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Tolerance, E> {
                u32::try_from(seconds).map(Tolerance::Seconds).map_err(|_| E::custom("0 to 4294967295 seconds"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tolerance, E> {
                match text {
                    "off" => Ok(Tolerance::Off),
                    // Environment variables can only hold text.
                    _ => text
                        .parse()
                        .map(Tolerance::Seconds)
                        .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(SecondsOrOff)
    }
}

/// A valid JSON Pointer (RFC 6901): it begins with `/`, and has `~` only in `~0` and `~1`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct JsonPointer(String);

impl JsonPointer {
    /// The text, number, boolean or null that it points to in a JSON body.
    #[must_use]
    pub fn find(&self, body: &[u8]) -> Option<serde_json::Value> {
        let steps = self.steps();
        lookup::scalar_at(&steps, body).or_else(|| {
            // A bad escape elsewhere in the body must not hide its id.
            let mended = json::mended(std::str::from_utf8(body).ok()?)?;
            lookup::scalar_at(&steps, mended.as_bytes())
        })
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The steps, unescaped.
    fn steps(&self) -> Vec<String> {
        self.0.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
    }

    /// The last step, unescaped: the field's name.
    #[must_use]
    pub fn last_step(&self) -> String {
        self.steps().pop().unwrap_or_default()
    }
}

impl TryFrom<String> for JsonPointer {
    type Error = &'static str;
    fn try_from(raw: String) -> Result<Self, Self::Error> {
        let escapes_well = raw.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        if raw.starts_with('/') && escapes_well {
            Ok(Self(raw))
        } else {
            Err("a JSON Pointer begins with '/', such as \"/data/id\"; '~' is written ~0 and '/' in a name ~1")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scheme::Scheme;
    use super::*;

    #[test]
    fn header_names_are_one_or_many_and_always_lower_case() {
        let scheme: Scheme = toml::from_str("header = ['Webhook-Signature', 'svix-signature']").unwrap();
        assert_eq!(scheme.header.names(), ["webhook-signature", "svix-signature"]);
        assert!(toml::from_str::<Scheme>("header = 'a b'").is_err());
    }

    #[test]
    fn a_tolerance_is_seconds_or_off() {
        let read = |past: &str| {
            toml::from_str::<Scheme>(&format!("timestamp = {{ from = {{ header = 'x' }}, past_s = {past} }}"))
                .map(|scheme| scheme.timestamp.unwrap().past_s)
        };
        assert_eq!(read("5").unwrap(), Tolerance::Seconds(5));
        assert_eq!(read("'5'").unwrap(), Tolerance::Seconds(5));
        assert_eq!(read("'off'").unwrap(), Tolerance::Off);
        assert!(read("-1").is_err());
        assert!(read("'on'").is_err());
    }

    #[test]
    fn an_invalid_pointer_is_refused() {
        for (raw, good) in [("/a/b~1c", true), ("", false), ("a", false), ("/a~2", false), ("/a~", false)] {
            assert_eq!(JsonPointer::try_from(raw.to_owned()).is_ok(), good, "{raw}");
        }
        assert_eq!(JsonPointer::try_from("/a/b~1c".to_owned()).unwrap().last_step(), "b/c");
    }
}
