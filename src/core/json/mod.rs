//! JSON as senders write it: parsed without copying, small in memory, and tolerant of single bad escapes.
//!
//! Lives here: the value, reading it out of a body in any charset, and forms as JSON. Not here: what
//! any of it means.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

pub use self::bounded::bounded;
pub use self::charset::{Charset, UnknownCharset};
pub use self::form::form;
pub use self::mended::mended;

mod bounded;
mod charset;
mod form;
mod mended;

/// A JSON value that borrows its texts. An object is a list of its members: with one member, it takes a tenth of the
/// memory of a map, since a body of a million tiny objects must not fill the memory.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number. One beyond 64 bits is a fraction.
    Number(Number),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object, in order; if a name occurs twice, the last one counts.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Parses a text. What is nested deeper than the parser goes is an error: see [`bounded`].
    ///
    /// # Errors
    /// What is wrong and where, without values.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Parses a text, and looks at the value. Values that the parser cannot hold are [`bounded`]: most likely, nobody
    /// needs them.
    ///
    /// # Errors
    /// What is wrong and where, without values.
    pub fn with<R>(text: &str, look: impl FnOnce(&Json<'_>) -> R) -> Result<R, serde_json::Error> {
        let error = match Json::parse(text) {
            Ok(json) => return Ok(look(&json)),
            Err(error) => error,
        };
        let bounded = bounded(text).ok_or(error)?;
        Json::parse(&bounded).map(|json| look(&json))
    }

    /// Whether a text or name in it contains U+FFFD, at any depth.
    #[must_use]
    pub fn has_lost_characters(&self) -> bool {
        let is_lossy = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => false,
            Self::Text(text) => is_lossy(text),
            Self::List(items) => items.iter().any(Self::has_lost_characters),
            Self::Object(members) => members.iter().any(|(name, value)| is_lossy(name) || value.has_lost_characters()),
        }
    }

    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The member of this name, or the entry at this index (RFC 6901 §4).
    #[must_use]
    pub fn step(&self, token: &str) -> Option<&Self> {
        match self {
            Self::Object(_) => self.get(token),
            Self::List(items) => items.get(index(token)?),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// A text, or a whole number of 64 bits as text; an empty text is none.
    #[must_use]
    pub fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
            Self::Number(number) if !number.is_f64() => Some(Cow::Owned(number.to_string())),
            Self::Text(_) | Self::Number(_) | Self::Null | Self::Bool(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The word for its type in details and explanations.
    #[must_use]
    pub fn type_word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(number) if number.is_f64() => "a fraction or a number beyond 64 bits",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl fmt::Debug for Json<'_> {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({})", self.type_word())
    }
}

/// RFC 6901 §4: no leading zeros, no sign.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    canonical.then(|| token.parse().ok()).flatten()
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
                Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
                Ok(Json::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
                Ok(Json::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                items.shrink_to_fit();
                Ok(Json::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                members.shrink_to_fit();
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A member's name, borrowed if it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_borrows_and_the_last_of_two_members_counts() {
        let json = Json::parse(r#"{"a":{"b":[1,"x"]},"a":{"b":["y",2.5]}}"#).unwrap();
        let b = json.get("a").unwrap().get("b").unwrap();
        assert!(matches!(b.step("0"), Some(Json::Text(Cow::Borrowed("y")))));
        assert_eq!(b.step("1").unwrap().scalar(), None);
        assert_eq!((b.step("01"), b.step("+1"), b.step("2")), (None, None, None));
        assert_eq!(format!("{json:?}"), "Json(object)");
    }

    #[test]
    fn a_tiny_object_takes_little_memory() {
        assert!(size_of::<Json<'_>>() <= 32 && size_of::<(Cow<'_, str>, Json<'_>)>() <= 56);
    }

    proptest! {
        #[test]
        fn mending_never_makes_parsing_worse(text in "[\\[\\]{}\":,\\\\u0-9a-fd\n]{0,40}") {
            if Json::parse(&text).is_ok() {
                prop_assert_eq!(mended(&text), None);
            }
            let is_json = Json::parse(&text).is_ok();
            prop_assert!(!is_json || bounded(&text).is_none());
            let _ = form(&text);
        }

        #[test]
        fn mending_a_string_of_anything_makes_it_parse(text in "[ -~\n]{0,30}") {
            let body = format!("\"{}\"", text.replace('"', ""));
            prop_assume!(!body.ends_with("\\\""));
            let mended = mended(&body).unwrap_or(body);
            prop_assert!(Json::parse(&mended).is_ok(), "{}", mended);
        }
    }
}
