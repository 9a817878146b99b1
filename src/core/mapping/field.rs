//! One record, field by field: from JSON values to the types of `core::event`.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::path::Paths;
use super::{Mapping, TimeUnit};
use crate::core::event::{Change, Email, Event, EventKind, InvalidField, Names, Person, Problem, SourceName};
use crate::core::time::UnixMs;

/// Longest locale we take, in characters: the longest that RFC 5646 §4.4.1 asks everybody to hold.
const LOCALE_CHARS_MAX: usize = 35;
/// From here on a bare number is taken for milliseconds: as seconds it would be the year 5138.
const AUTO_MS_FROM: f64 = 1e11;

/// A record and the body it stands in.
#[derive(Clone, Copy)]
pub(super) struct Place<'v> {
    pub(super) root: &'v Value,
    pub(super) record: &'v Value,
}

/// What a record's type means.
pub(super) enum Meaning {
    /// A change that we act on.
    Kind(EventKind),
    /// A type that the mapping does not name.
    NotNamed,
}

impl<'v> Place<'v> {
    /// What the type of the record means.
    pub(super) fn meaning(self, mapping: &Mapping) -> Result<Meaning, InvalidField> {
        match self.type_value(mapping)? {
            Some(text) => Ok(mapping.meaning(&text).map_or(Meaning::NotNamed, Meaning::Kind)),
            None => mapping.assume.map(Meaning::Kind).ok_or_else(|| missing("type")),
        }
    }

    /// The type as text.
    pub(super) fn type_value(self, mapping: &Mapping) -> Result<Option<Cow<'v, str>>, InvalidField> {
        self.text_or_whole_number("type", &mapping.kind)
    }

    /// Whose record it is.
    pub(super) fn person(self, mapping: &Mapping, source: &SourceName) -> Result<Person, InvalidField> {
        let id = self.text_or_whole_number("employee_id", &mapping.employee_id)?;
        Person::parse(source.clone(), &id.ok_or_else(|| missing("employee_id"))?)
    }

    /// The e-mail address.
    pub(super) fn email(self, mapping: &Mapping) -> Result<Option<Email>, InvalidField> {
        self.text("email", &mapping.email)?.map(Email::parse).transpose()
    }

    /// The names.
    pub(super) fn names(self, mapping: &Mapping) -> Result<Names, InvalidField> {
        let given = self.text("given_name", &mapping.given_name)?;
        Names::parse(given, self.text("family_name", &mapping.family_name)?)
    }

    /// The locale.
    pub(super) fn locale(self, mapping: &Mapping) -> Result<Option<String>, InvalidField> {
        let Some(text) = self.text("locale", &mapping.locale)?.map(str::trim) else { return Ok(None) };
        let chars = text.chars().count();
        let problem = if chars > LOCALE_CHARS_MAX {
            Problem::TooLong { found: chars, max: LOCALE_CHARS_MAX }
        } else if text.chars().any(char::is_control) {
            Problem::ControlCharacter
        } else {
            return Ok(Some(text.to_owned()));
        };
        Err(InvalidField { field: "locale", problem })
    }

    /// When it happened.
    pub(super) fn occurred_at(self, mapping: &Mapping) -> Result<Option<UnixMs>, InvalidField> {
        let Some((_, value)) = mapping.occurred_at.first_present(self.root, self.record) else { return Ok(None) };
        instant(value, mapping.occurred_at_unit).map(Some)
    }

    /// The whole event, or everything that is wrong with it.
    pub(super) fn event(
        self,
        mapping: &Mapping,
        source: &SourceName,
        kind: EventKind,
    ) -> Result<Event, Vec<InvalidField>> {
        let person = self.person(mapping, source);
        let email = match (kind, self.email(mapping)) {
            (EventKind::Hire, Ok(None)) => Err(missing("email")),
            (EventKind::Hire | EventKind::Rename, email) => email,
        };
        let names = self.names(mapping);
        let occurred_at = self.occurred_at(mapping);
        let locale = self.locale(mapping);
        match (person, email, names, occurred_at, locale) {
            (Ok(person), Ok(email), Ok(names), Ok(occurred_at), Ok(locale)) => {
                let change = match (kind, email) {
                    (EventKind::Hire, Some(email)) => Change::Hire { email, names },
                    (EventKind::Hire, None) => return Err(vec![missing("email")]),
                    (EventKind::Rename, email) => Change::Rename { email, names },
                };
                Ok(Event { person, change, locale, occurred_at })
            }
            (person, email, names, occurred_at, locale) => {
                let problems = [person.err(), email.err(), names.err(), occurred_at.err(), locale.err()];
                Err(problems.into_iter().flatten().collect())
            }
        }
    }

    fn text(self, field: &'static str, paths: &Paths) -> Result<Option<&'v str>, InvalidField> {
        match paths.first_present(self.root, self.record) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((_, other)) => Err(wrong_type(field, "text", other)),
        }
    }

    /// Ids come as numbers, too. One that JSON's usual reader cannot hold exactly (a fraction, or
    /// beyond 64 bits) would become somebody else's, so it is refused.
    fn text_or_whole_number(self, field: &'static str, paths: &Paths) -> Result<Option<Cow<'v, str>>, InvalidField> {
        match paths.first_present(self.root, self.record) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(Cow::Borrowed(text.trim()))),
            Some((_, Value::Number(number))) if !number.is_f64() => Ok(Some(Cow::Owned(number.to_string()))),
            Some((_, other)) => Err(wrong_type(field, "text or a whole number", other)),
        }
    }
}

/// The word for a JSON type in details and explanations.
pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "a fraction or a number beyond 64 bits",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn missing(field: &'static str) -> InvalidField {
    InvalidField { field, problem: Problem::Missing }
}

fn wrong_type(field: &'static str, expected: &'static str, value: &Value) -> InvalidField {
    InvalidField { field, problem: Problem::WrongType { expected, found: json_type(value) } }
}

fn instant(value: &Value, unit: TimeUnit) -> Result<UnixMs, InvalidField> {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.trim()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(wrong_type("occurred_at", "text or a number", value));
        }
    };
    let at = match unit {
        TimeUnit::Rfc3339 => UnixMs::parse_rfc3339(&text),
        TimeUnit::S => unix(&text, |_| true),
        TimeUnit::Ms => unix(&text, |_| false),
        TimeUnit::Auto => unix(&text, |number| number.abs() < AUTO_MS_FROM).or_else(|| UnixMs::parse_rfc3339(&text)),
    };
    let not_a_timestamp = || Problem::NotATimestamp { chars: text.chars().count() };
    at.ok_or_else(|| InvalidField { field: "occurred_at", problem: not_a_timestamp() })
}

/// A bare number as an instant, where it is one that a calendar knows.
fn unix(text: &str, is_seconds: impl Fn(f64) -> bool) -> Option<UnixMs> {
    // serde_json's grammar: "inf", "NaN", "0x1" and "+5" are no numbers.
    let number: Number = serde_json::from_str(text).ok()?;
    let seconds = is_seconds(number.as_f64()?);
    let at = match number.as_i64() {
        Some(whole) if seconds => jiff::Timestamp::from_second(whole).ok()?,
        Some(whole) => jiff::Timestamp::from_millisecond(whole).ok()?,
        None => {
            let value = number.as_f64()?;
            let since_epoch = if seconds { value } else { value / 1000.0 };
            let since_epoch = jiff::SignedDuration::try_from_secs_f64(since_epoch).ok()?;
            jiff::Timestamp::from_duration(since_epoch).ok()?.round(jiff::Unit::Millisecond).ok()?
        }
    };
    Some(UnixMs(at.as_millisecond()))
}
