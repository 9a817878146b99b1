//! Where a field is: a JSON Pointer (RFC 6901), from the record or from the whole body.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What makes a path start at the whole body instead of at the record.
const FROM_ROOT: &str = "root:";

/// A place in a payload: `/data/email` from the record, `root:/type` from the whole body; an empty
/// pointer is the record (`root:` the body) itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    from_root: bool,
    tokens: Vec<String>,
}

impl Path {
    /// Parses a path; the error says what a path looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (from_root, pointer) = text.strip_prefix(FROM_ROOT).map_or((false, text), |rest| (true, rest));
        let mut tokens = pointer.split('/');
        if tokens.next() != Some("") {
            return Err(format!("`{text}` is no JSON Pointer: it begins with `/` (or is empty), as in `/data/email`"));
        }
        let tokens = tokens.map(unescape).collect::<Option<_>>();
        let tokens =
            tokens.ok_or_else(|| format!("in `{text}`, `~` must be written `~0`, and a `/` in a name `~1`"))?;
        Ok(Self { text: text.to_owned(), from_root, tokens })
    }

    /// The record itself.
    pub(super) fn record() -> Self {
        Self { text: String::new(), from_root: false, tokens: Vec::new() }
    }

    /// A chain of names (without `/` or `~`) from the record.
    pub(super) fn names(names: &[&str]) -> Self {
        let text = names.iter().flat_map(|name| ["/", name]).collect();
        Self { text, from_root: false, tokens: names.iter().map(|&name| name.to_owned()).collect() }
    }

    /// The same from the whole body.
    pub(super) fn of_whole_body(self) -> Self {
        Self { text: format!("{FROM_ROOT}{}", self.text), from_root: true, ..self }
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The pointer alone.
    pub(super) fn pointer(&self) -> &str {
        self.text.strip_prefix(FROM_ROOT).unwrap_or(&self.text)
    }

    /// What is there, null included.
    #[must_use]
    pub fn find<'v>(&self, root: &'v Value, record: &'v Value) -> Option<&'v Value> {
        let start = if self.from_root { root } else { record };
        self.tokens.iter().try_fold(start, |value, token| match value {
            Value::Object(map) => map.get(token),
            Value::Array(items) => items.get(index(token)?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    /// What is there, to be changed.
    pub(super) fn find_in_root_mut<'v>(&self, root: &'v mut Value) -> Option<&'v mut Value> {
        self.tokens.iter().try_fold(root, |value, token| match value {
            Value::Object(map) => map.get_mut(token),
            Value::Array(items) => items.get_mut(index(token)?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Paths in order of preference. In TOML one string, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths(Vec<Path>);

impl Paths {
    /// Parses paths in order of preference.
    pub fn parse(texts: &[&str]) -> Result<Self, String> {
        texts.iter().map(|text| Path::parse(text)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none, so that the field is never read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths in order of preference.
    pub(super) fn as_slice(&self) -> &[Path] {
        &self.0
    }

    /// The first place where there is something: null, and text of nothing but blanks, is nothing.
    #[must_use]
    pub fn first_present<'v>(&self, root: &'v Value, record: &'v Value) -> Option<(&Path, &'v Value)> {
        self.0.iter().find_map(|path| path.find(root, record).filter(|value| is_present(value)).map(|v| (path, v)))
    }
}

impl FromIterator<Path> for Paths {
    fn from_iter<I: IntoIterator<Item = Path>>(paths: I) -> Self {
        Self(paths.into_iter().collect())
    }
}

impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, path) in self.0.iter().enumerate() {
            write!(f, "{}`{}`", if n == 0 { "" } else { ", " }, path.as_str())?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Paths;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path such as \"/data/email\", or a list of them")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Paths, E> {
                Path::parse(text).map(|path| Paths(vec![path])).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = items.next_element()? {
                    paths.push(path);
                }
                Ok(Paths(paths))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// RFC 6901 §4: no leading zeros, no sign.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    canonical.then(|| token.parse().ok()).flatten()
}

/// RFC 6901 §3: `~` comes as `~0` or `~1` only.
fn unescape(token: &str) -> Option<String> {
    let well_formed = token.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    well_formed.then(|| token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_names_with_slashes_and_tildes_and_places_in_arrays() {
        let value = json!({"a/b": {"m~n": [10, 20]}, "": {"~1": 1}});
        let find = |text: &str| Path::parse(text).unwrap().find(&value, &value).cloned();
        assert_eq!(find("/a~1b/m~0n/1"), Some(json!(20)));
        assert_eq!(find("//~01"), Some(json!(1)));
        assert_eq!(find("/a~1b/m~0n/01"), None);
        assert_eq!(find("/a~1b/m~0n/+1"), None);
        assert_eq!(find("/a~1b/m~0n/99999999999999999999999"), None);
        assert_eq!(find(""), Some(value.clone()));
    }

    #[test]
    fn a_path_starts_at_the_record_unless_it_says_root() {
        let root = json!({"type": "outer", "people": [{"type": "inner"}]});
        let record = &root["people"][0];
        assert_eq!(Path::parse("/type").unwrap().find(&root, record), Some(&json!("inner")));
        assert_eq!(Path::parse("root:/type").unwrap().find(&root, record), Some(&json!("outer")));
        assert_eq!(Path::parse("root:").unwrap().find(&root, record), Some(&root));
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_an_example() {
        for text in ["data/email", "$.data", "root:data", "/a~b", "/a~"] {
            assert!(Path::parse(text).unwrap_err().contains('`'), "{text}");
        }
    }

    #[test]
    fn null_and_blank_fall_back_to_the_next_path() {
        let value = json!({"preferred": " ", "given": null, "first": "Ada", "flag": false});
        let paths = Paths::parse(&["/preferred", "/given", "/first", "/flag"]).unwrap();
        let (path, found) = paths.first_present(&value, &value).unwrap();
        assert_eq!((path.as_str(), found), ("/first", &json!("Ada")));
    }
}
