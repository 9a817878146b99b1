//! The path to a field: a JSON Pointer (RFC 6901), extended to choose an entry by a sibling field, from the record or
//! from the whole body.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::core::json::Json;

/// The prefix that makes a path start at the whole body instead of at the record.
const FROM_ROOT: &str = "root:";
/// The prefix for a record's name, if records are an object's members.
const OF_KEY: &str = "key:";

/// A record, the body that contains it, and its name there.
#[derive(Debug, Clone, Copy)]
pub struct Place<'v> {
    /// The whole body.
    pub root: &'v Json<'v>,
    /// The record.
    pub record: &'v Json<'v>,
    /// Its name, if records are an object's members.
    pub key: Option<&'v Json<'v>>,
}

/// A place in a payload: `/data/email` from the record, `root:/type` from the whole body; an empty
/// pointer is the record (`root:` the body) itself, `key:` the record's name. `/emails[type=work]/value`
/// takes the first entry whose `type` is `work` (case does not matter), `/tags[*]` all entries.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    start: Start,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Record,
    Root,
    Key,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A member, or an entry by its index.
    Name(String),
    /// The entries (or members) in which the member of this name has this value.
    Chosen { key: String, equals: String },
    /// All entries, or members.
    Each,
}

impl Path {
    /// Parses a path; the error says what a path looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (start, pointer) = match (text.strip_prefix(FROM_ROOT), text.strip_prefix(OF_KEY)) {
            (Some(rest), _) => (Start::Root, rest),
            (None, Some(rest)) => (Start::Key, rest),
            (None, None) => (Start::Record, text),
        };
        let mut tokens = pointer.split('/');
        if tokens.next() != Some("") {
            return Err(format!(
                "`{text}` is not a JSON Pointer: it begins with `/` (or is empty), as in `/data/email`"
            ));
        }
        let mut steps = Vec::new();
        for token in tokens {
            read_steps(token, &mut steps)
                .ok_or_else(|| format!("in `{text}`, `~` must be written `~0`, and a `/` in a name `~1`"))?;
        }
        if start == Start::Key && !steps.is_empty() {
            return Err(format!("`{text}`: `{OF_KEY}` is the record's own name, and nothing follows it"));
        }
        Ok(Self { text: text.to_owned(), start, steps })
    }

    /// The record itself.
    pub(super) fn record() -> Self {
        Self { text: String::new(), start: Start::Record, steps: Vec::new() }
    }

    /// A chain of names (without `/` or `~`) from the record.
    pub(super) fn names(names: &[&str]) -> Self {
        let text = names.iter().flat_map(|name| ["/", name]).collect();
        let steps = names.iter().map(|&name| Step::Name(name.to_owned())).collect();
        Self { text, start: Start::Record, steps }
    }

    /// This path, from the whole body.
    pub(super) fn of_whole_body(self) -> Self {
        Self { text: format!("{FROM_ROOT}{}", self.text), start: Start::Root, ..self }
    }

    /// Whether it starts at the whole body.
    pub(super) fn is_of_whole_body(&self) -> bool {
        self.start == Start::Root
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

    /// The names on the path, if all its steps are names.
    pub(super) fn plain_names(&self) -> Option<Vec<&str>> {
        let name = |step: &'_ Step| match step {
            Step::Name(_) => true,
            Step::Chosen { .. } | Step::Each => false,
        };
        (self.start != Start::Key && self.steps.iter().all(name)).then(|| {
            self.steps
                .iter()
                .filter_map(|step| if let Step::Name(name) = step { Some(name.as_str()) } else { None })
                .collect()
        })
    }

    /// Whether it is empty: it means the record itself.
    pub(super) fn is_whole_record(&self) -> bool {
        self.start == Start::Record && self.steps.is_empty()
    }

    /// Whether it may lead to several places.
    pub(super) fn chooses(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Name(_)))
    }

    /// The value, null included; of several, the first that is not empty.
    #[must_use]
    pub fn find<'v>(&self, place: Place<'v>) -> Option<&'v Json<'v>> {
        find(self.begin(place)?, &self.steps)
    }

    /// All values.
    #[must_use]
    pub fn find_all<'v>(&self, place: Place<'v>) -> Vec<&'v Json<'v>> {
        let mut found = Vec::new();
        if let Some(start) = self.begin(place) {
            find_all(start, &self.steps, &mut found);
        }
        found
    }

    fn begin<'v>(&self, place: Place<'v>) -> Option<&'v Json<'v>> {
        match self.start {
            Start::Record => Some(place.record),
            Start::Root => Some(place.root),
            Start::Key => place.key,
        }
    }
}

fn find<'v>(start: &'v Json<'v>, steps: &[Step]) -> Option<&'v Json<'v>> {
    let mut value = start;
    for (n, step) in steps.iter().enumerate() {
        value = match step {
            Step::Name(name) => value.step(name)?,
            Step::Chosen { .. } | Step::Each => {
                let rest = steps.get(n + 1..).unwrap_or_default();
                let mut found =
                    entries(value).filter(|entry| is_meant(entry, step)).filter_map(|entry| find(entry, rest));
                let first = found.next()?;
                return if is_something(first) {
                    Some(first)
                } else {
                    found.find(|value| is_something(value)).or(Some(first))
                };
            }
        };
    }
    Some(value)
}

fn find_all<'v>(value: &'v Json<'v>, steps: &[Step], found: &mut Vec<&'v Json<'v>>) {
    match steps.split_first() {
        None => found.push(value),
        Some((Step::Name(name), rest)) => {
            if let Some(value) = value.step(name) {
                find_all(value, rest, found);
            }
        }
        Some((step, rest)) => {
            for entry in entries(value).filter(|entry| is_meant(entry, step)) {
                find_all(entry, rest, found);
            }
        }
    }
}

fn entries<'v>(value: &'v Json<'v>) -> Box<dyn Iterator<Item = &'v Json<'v>> + 'v> {
    match value {
        Json::List(items) => Box::new(items.iter()),
        Json::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => Box::new(std::iter::empty()),
    }
}

fn is_meant(entry: &Json<'_>, step: &Step) -> bool {
    match step {
        Step::Each => true,
        Step::Chosen { key, equals } => match entry.get(key) {
            Some(Json::Bool(flag)) => equals.eq_ignore_ascii_case(if *flag { "true" } else { "false" }),
            Some(value) => value.scalar().is_some_and(|text| text.trim().eq_ignore_ascii_case(equals)),
            None => false,
        },
        Step::Name(_) => false,
    }
}

/// Whether a value is not empty: null, blank text, and arrays and objects without entries are empty.
pub(super) fn is_something(value: &Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Text(text) => !crate::core::person::text::stripped(text).is_empty(),
        Json::List(items) => !items.is_empty(),
        Json::Object(members) => !members.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

/// Reads `name`, `name[key=text]` or `name[*]`.
fn read_steps(token: &str, steps: &mut Vec<Step>) -> Option<()> {
    let chosen = token.strip_suffix(']').and_then(|token| token.rsplit_once('['));
    let selector = chosen.and_then(|(name, inner)| match (inner, inner.split_once('=')) {
        ("*", _) => Some((name, Step::Each)),
        (_, Some((key, equals))) => Some((name, Step::Chosen { key: unescape(key)?, equals: unescape(equals)? })),
        (_, None) => None,
    });
    match selector {
        Some((name, step)) => {
            if !name.is_empty() {
                steps.push(Step::Name(unescape(name)?));
            }
            steps.push(step);
        }
        None => steps.push(Step::Name(unescape(token)?)),
    }
    Some(())
}

/// RFC 6901 §3: `~` occurs only as `~0` or `~1`.
fn unescape(token: &str) -> Option<String> {
    let well_formed = token.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    well_formed.then(|| token.replace("~1", "/").replace("~0", "~"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, body: &str) -> Option<String> {
        let root = Json::parse(body).unwrap();
        let place = Place { root: &root, record: &root, key: None };
        Path::parse(text)
            .unwrap()
            .find(place)
            .map(|value| value.scalar().unwrap_or(value.type_word().into()).into_owned())
    }

    #[test]
    fn a_path_finds_names_with_slashes_and_tildes_and_places_in_arrays() {
        let body = r#"{"a/b": {"m~n": [10, 20]}, "": {"~1": 1}}"#;
        assert_eq!(found("/a~1b/m~0n/1", body).as_deref(), Some("20"));
        assert_eq!(found("//~01", body).as_deref(), Some("1"));
        for nothing in ["/a~1b/m~0n/01", "/a~1b/m~0n/+1", "/a~1b/m~0n/99999999999999999999999"] {
            assert_eq!(found(nothing, body), None);
        }
        assert_eq!(found("", body).as_deref(), Some("object"));
    }

    #[test]
    fn a_path_chooses_by_a_sibling() {
        let body = r#"{"emails":[{"type":"home","value":"h@x.co"},{"type":"Work","value":null},{"type":"work","value":"w@x.co"}],
            "parts":{"1":{"main":true,"v":"a"},"2":{"main":false,"v":"b"}}}"#;
        assert_eq!(found("/emails[type=work]/value", body).as_deref(), Some("w@x.co"));
        assert_eq!(found("/emails[type=other]/value", body), None);
        assert_eq!(found("/emails[*]/value", body).as_deref(), Some("h@x.co"));
        assert_eq!(found("/parts[main=false]/v", body).as_deref(), Some("b"));
        assert_eq!(found("/[type=home]/value", r#"[{"type":"home","value":"h"}]"#).as_deref(), Some("h"));
        assert_eq!(found("/a[0]", r#"{"a[0]":"plain"}"#).as_deref(), Some("plain"));
    }

    #[test]
    fn a_path_starts_at_the_record_unless_it_says_root_or_key() {
        let root = Json::parse(r#"{"type":"outer","people":[{"type":"inner"}]}"#).unwrap();
        let record = root.get("people").unwrap().step("0").unwrap();
        let key = Json::Text("12".into());
        let place = Place { root: &root, record, key: Some(&key) };
        let at = |path: &str| Path::parse(path).unwrap().find(place).and_then(Json::as_text);
        assert_eq!((at("/type"), at("root:/type"), at("key:")), (Some("inner"), Some("outer"), Some("12")));
        assert!(Path::parse("root:").unwrap().find(place) == Some(&root));
    }

    #[test]
    fn an_invalid_pointer_is_refused_with_an_example() {
        for text in ["data/email", "$.data", "root:data", "/a~b", "/a~", "/a[b~=c]", "key:/a"] {
            assert!(Path::parse(text).unwrap_err().contains('`'), "{text}");
        }
    }
}
