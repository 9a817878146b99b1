//! Reads JSON in place: looks up a few attributes and skips everything else; and writes objects. A reply never
//! becomes a tree, so the cost is linear in its length, and no memory is needed beyond the bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The document in a body; a byte order mark before it is skipped.
pub(super) fn document(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
}

/// The values of these attributes of an object, whatever the case of their names (RFC 7643 §2.1).
/// An exact name wins over one in another case, and the last of several over those before. None if it is not an
/// object.
pub(super) fn pick<'a, const N: usize>(object: &'a RawValue, names: [&str; N]) -> Option<[Option<&'a RawValue>; N]> {
    let mut picked: [Option<(bool, &RawValue)>; N] = [None; N];
    for_each_attribute(object, |key, value| {
        for (place, name) in picked.iter_mut().zip(names) {
            let is_exact = key == name;
            if (is_exact || key.eq_ignore_ascii_case(name)) && place.is_none_or(|(was_exact, _)| is_exact >= was_exact)
            {
                *place = Some((is_exact, value));
            }
        }
    })?;
    Some(picked.map(|found| found.map(|(_, value)| value)))
}

/// Calls `each` with every attribute of an object, in order. None if it is not an object.
pub(super) fn for_each_attribute<'a>(object: &'a RawValue, each: impl FnMut(&str, &'a RawValue)) -> Option<()> {
    serde_json::Deserializer::from_str(object.get()).deserialize_map(EachAttribute(each)).ok()
}

/// Calls `each` with every element of an array, in order. None if it is not an array.
pub(super) fn for_each_element<'a>(array: &'a RawValue, each: impl FnMut(&'a RawValue)) -> Option<()> {
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(EachElement(each)).ok()
}

/// A string, or a number as written, of at most `bytes_max`.
pub(super) fn text(value: &RawValue, bytes_max: usize) -> Option<String> {
    let written = value.get();
    // An escaped character takes up to six bytes: `\u0041`.
    if written.len() > bytes_max.saturating_mul(6).saturating_add(2) {
        return None;
    }
    let text = match written.as_bytes().first()? {
        b'"' => serde_json::from_str(written).ok()?,
        b'-' | b'0'..=b'9' => written.to_owned(),
        _ => return None,
    };
    (text.len() <= bytes_max).then_some(text)
}

/// A value that is `null`.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// A JSON object that is being written.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub(super) fn raw(&mut self, key: &str, value: &str) {
        if !self.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&quoted(key));
        self.0.push(':');
        self.0.push_str(value);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quoted(value));
    }

    pub(super) fn ended(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct EachAttribute<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for EachAttribute<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            (self.0)(&key, map.next_value()?);
        }
        Ok(())
    }
}

struct EachElement<F>(F);

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for EachElement<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(element) = array.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

/// The name of an attribute, borrowed if it is written without escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an attribute")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value as it is written; `-` where the object has none.
    fn picked(json: &str, name: &str) -> Option<String> {
        let [value] = pick(document(json.as_bytes())?, [name])?;
        Some(value.map_or("-", RawValue::get).to_owned())
    }

    #[test]
    fn an_attribute_is_found_in_any_case_and_the_exact_spelling_wins() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(picked(r#"{"USERNAME":1}"#, "userName"), some("1"));
        assert_eq!(picked(r#"{"userName":1,"username":2}"#, "userName"), some("1"));
        assert_eq!(picked(r#"{"username":2,"userName":1}"#, "userName"), some("1"));
        assert_eq!(picked(r#"{"userName":1,"userName":2}"#, "userName"), some("2"));
        assert_eq!(picked(r#"{"user\u004eame":1}"#, "userName"), some("1"));
        assert_eq!(picked("{}", "userName"), some("-"));
        assert_eq!(picked("[]", "userName"), None);
        assert_eq!(picked("\u{feff}{\"a\":1}", "a"), some("1"));
    }

    #[test]
    fn a_text_is_a_string_or_a_number_as_written_and_no_longer_than_is_taken() {
        let read = |json: &str| text(document(json.as_bytes()).unwrap(), 8);
        assert_eq!(read(r#""a\u00e9""#).as_deref(), Some("a\u{e9}"));
        assert_eq!(read("1.50").as_deref(), Some("1.50"));
        assert_eq!(read("-12345678"), None);
        assert_eq!(read(r#""123456789""#), None);
        for nothing in ["null", "true", "[1]", "{}", r#""\ud800""#] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_skipped() {
        let deep = format!("{{\"x\":{}{},\"a\":7}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(picked(&deep, "a"), Some("7".to_owned()));
    }
}
