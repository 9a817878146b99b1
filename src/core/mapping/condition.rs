//! Conditions on a payload: which records count, which people are in scope, which kind of event it
//! is.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::jq::Jq;
use super::path::{Path, Place, is_something};
use crate::core::json::Json;
use crate::core::person::Problem;

const EXPECTED: &str = "a condition has a `path` or `jq`, and exactly one of `equals`, `in`, `exists` and `contains`; \
                        `jq` alone asks whether it gives anything but null and false";

/// One condition: `{ path = "/status", equals = "active" }`, or `in = […]`, `exists = true`,
/// `contains = "firstName"` (or a list, one of which is enough). A jq filter may take the place of the path; without
/// a test, it holds if its result is neither null nor false.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Condition {
    of: Of,
    test: Test,
}

/// What is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Path(Path),
    Jq(Jq),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// The value is one of these texts.
    Is(Vec<String>),
    /// Whether there is a value.
    Exists(bool),
    /// One of these is among the value's entries, or the names of its members.
    Contains(Vec<String>),
    /// The value is neither null nor false.
    IsTrue,
}

#[derive(Deserialize)]
struct Raw {
    path: Option<Path>,
    jq: Option<Jq>,
    equals: Option<Scalar>,
    r#in: Option<Vec<Scalar>>,
    exists: Option<bool>,
    contains: Option<OneOrMore>,
}

/// A text, a whole number or a truth value, as its text.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl Visitor<'_> for AsText {
            type Value = Scalar;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a whole number, true or false")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar(flag.to_string()))
            }
        }
        deserializer.deserialize_any(AsText)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Scalar),
    More(Vec<Scalar>),
}

impl TryFrom<Raw> for Condition {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, &'static str> {
        let texts = |scalars: Vec<Scalar>| scalars.into_iter().map(|Scalar(text)| text).collect();
        let of = match (raw.path, raw.jq) {
            (Some(path), None) => Of::Path(path),
            (None, Some(filter)) => Of::Jq(filter),
            _ => return Err(EXPECTED),
        };
        let test = match (raw.equals, raw.r#in, raw.exists, raw.contains) {
            (Some(Scalar(text)), None, None, None) => Test::Is(vec![text]),
            (None, Some(values), None, None) => Test::Is(texts(values)),
            (None, None, Some(exists), None) => Test::Exists(exists),
            (None, None, None, Some(OneOrMore::One(Scalar(text)))) => Test::Contains(vec![text]),
            (None, None, None, Some(OneOrMore::More(values))) => Test::Contains(texts(values)),
            (None, None, None, None) if matches!(of, Of::Jq(_)) => Test::IsTrue,
            _ => return Err(EXPECTED),
        };
        Ok(Self { of, test })
    }
}

impl Of {
    /// The first value found; a filter that fails is an error.
    fn find<'v>(&self, place: Place<'v>) -> Result<Option<Cow<'v, Json<'v>>>, Problem> {
        match self {
            Self::Path(path) => Ok(path.find(place).map(Cow::Borrowed)),
            Self::Jq(filter) => Ok(filter.first(place.record)?.map(Cow::Owned)),
        }
    }

    fn find_all<'v>(&self, place: Place<'v>) -> Result<Vec<Cow<'v, Json<'v>>>, Problem> {
        match self {
            Self::Path(path) => Ok(path.find_all(place).into_iter().map(Cow::Borrowed).collect()),
            Self::Jq(filter) => Ok(filter.all(place.record)?.into_iter().map(Cow::Owned).collect()),
        }
    }
}

/// Whether all of the first hold and none of the second. An error if a filter fails.
pub(super) fn all_and_none(only_if: &[Condition], except_if: &[Condition], place: Place<'_>) -> Result<bool, Problem> {
    for (conditions, wanted) in [(only_if, true), (except_if, false)] {
        for condition in conditions {
            if (condition.judge(place)? == Some(true)) != wanted {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// What it looks at.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Of::Path(path) => f.write_str(path.as_str()),
            Of::Jq(_) => f.write_str("(a jq filter)"),
        }
    }
}

impl Condition {
    /// The path whose value it looks at, if it looks at a single place.
    pub(super) fn plain_path(&self) -> Option<&Path> {
        match &self.of {
            Of::Path(path) if path.plain_names().is_some() => Some(path),
            Of::Path(_) | Of::Jq(_) => None,
        }
    }

    /// Whether it holds; none if there is no value to judge by. An error if its filter fails.
    pub(super) fn judge(&self, place: Place<'_>) -> Result<Option<bool>, Problem> {
        let judged = match &self.test {
            Test::Exists(exists) => {
                let found = self.of.find(place)?;
                Some(found.is_some_and(|value| is_something(&value)) == *exists)
            }
            Test::IsTrue => {
                let found = self.of.find(place)?;
                found.map(|found| !matches!(&*found, Json::Null | Json::Bool(false)))
            }
            Test::Is(values) => {
                let found = self.of.find(place)?.filter(|value| is_something(value));
                let is_one = |text: &str| values.iter().any(|value| *value == *text.trim());
                found.map(|found| text(&found).is_some_and(|text| is_one(&text)))
            }
            Test::Contains(values) => {
                let found = self.of.find_all(place)?;
                let is_there = found.iter().any(|value| is_something(value));
                is_there.then(|| found.iter().any(|within| values.iter().any(|value| contains(within, value))))
            }
        };
        Ok(judged)
    }

    /// Whether it holds; false if there is no value, or its filter fails.
    pub(in crate::core) fn holds(&self, place: Place<'_>) -> bool {
        self.judge(place) == Ok(Some(true))
    }

    /// How many values it compares with.
    pub(super) fn values(&self) -> usize {
        match &self.test {
            Test::Is(values) | Test::Contains(values) => values.len(),
            Test::Exists(_) | Test::IsTrue => 0,
        }
    }

    /// Bytes of its path; a filter has a bound of its own.
    pub(super) fn path_bytes(&self) -> usize {
        match &self.of {
            Of::Path(path) => path.as_str().len(),
            Of::Jq(_) => 0,
        }
    }
}

/// A text, number or truth value as text.
pub(super) fn text<'v>(value: &'v Json<'v>) -> Option<Cow<'v, str>> {
    match value {
        Json::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Json::Text(_) | Json::Number(_) => value.scalar(),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    }
}

fn contains(within: &Json<'_>, wanted: &str) -> bool {
    let is = |value: &Json<'_>| text(value).is_some_and(|text| text.trim() == wanted);
    match within {
        Json::List(items) => items.iter().any(is),
        Json::Object(members) => members.iter().any(|(name, value)| name == wanted || is(value)),
        Json::Text(list) => list.split(',').any(|word| word.trim() == wanted),
        Json::Null | Json::Bool(_) | Json::Number(_) => is(within),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(toml: &str, body: &str) -> Option<bool> {
        let condition: Condition = toml::from_str(toml).unwrap();
        let root = Json::parse(body).unwrap();
        condition.judge(Place { root: &root, record: &root, key: None }).unwrap()
    }

    #[test]
    fn a_condition_is_true_false_or_undecidable() {
        assert_eq!(judged("path = '/a'\nequals = 'x'", r#"{"a":" x "}"#), Some(true));
        assert_eq!(judged("path = '/a'\nequals = 5", r#"{"a":5}"#), Some(true));
        assert_eq!(judged("path = '/a'\nequals = true", r#"{"a":false}"#), Some(false));
        assert_eq!(judged("path = '/a'\nin = ['x', 'y']", r#"{"a":"y"}"#), Some(true));
        assert_eq!(judged("path = '/a'\nin = ['x']", r#"{"a":null}"#), None);
        assert_eq!(judged("path = '/a'\nexists = false", r#"{"a":""}"#), Some(true));
    }

    #[test]
    fn the_names_of_changed_fields_are_found_in_every_shape() {
        let wanted = "path = '/changed'\ncontains = ['firstName', 'lastName']";
        for body in [
            r#"{"changed":["x","lastName"]}"#,
            r#"{"changed":{"lastName":{"old":1}}}"#,
            r#"{"changed":{"0":"firstName"}}"#,
            r#"{"changed":"x, firstName"}"#,
        ] {
            assert_eq!(judged(wanted, body), Some(true), "{body}");
        }
        assert_eq!(
            judged("path = '/changed[*]/id'\ncontains = 'b'", r#"{"changed":[{"id":"a"},{"id":"b"}]}"#),
            Some(true)
        );
        assert_eq!(judged(wanted, r#"{"changed":["jobTitle"]}"#), Some(false));
        assert_eq!(judged(wanted, r"{}"), None);
    }

    #[test]
    fn a_condition_has_exactly_one_test() {
        assert_eq!(judged("jq = '.a > 3'", r#"{"a":5}"#), Some(true));
        assert_eq!(judged("jq = '.a'", r#"{"a":null}"#), Some(false));
        assert_eq!(judged("jq = '.a[]'", r#"{"a":[]}"#), None);
        assert_eq!(judged("jq = '.a[]'\ncontains = 'y'", r#"{"a":["x","y"]}"#), Some(true));
        assert_eq!(judged("jq = '.a + .b'\nequals = 5", r#"{"a":2,"b":3}"#), Some(true));
        for wrong in [
            "path = '/a'",
            "path = '/a'\njq = '.a'\nequals = 'x'",
            "path = '/a'\nequals = 'x'\nexists = true",
            "equals = 'x'",
        ] {
            assert!(toml::from_str::<Condition>(wrong).is_err(), "{wrong}");
        }
    }
}
