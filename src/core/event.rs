//! What happened to whom: the values that intake makes and the worker acts on.
//!
//! Raw strings are parsed here, once; everything behind works with these types. An error names the
//! field and the shape of its value, never the value: it may be personal data.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

/// Longest name we take, in characters. Far above any real name, far below what would hurt a log,
/// a page or Postman.
pub const NAME_CHARS_MAX: usize = 256;
/// Longest employee id we take, in characters.
pub const EMPLOYEE_ID_CHARS_MAX: usize = 256;
/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3 less the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;

/// Why a field of a payload was refused. Shows the field and the shape of the value, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The event's field, in the words of the default payload: `employee_id`, `email`, …
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not there, null, or blank.
    #[error("missing or blank")]
    Missing,
    /// There, but of another JSON type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// The JSON types that would do.
        expected: &'static str,
        /// The JSON type that is there.
        found: &'static str,
    },
    /// Longer than we take.
    #[error("{found} characters, at most {max}")]
    TooLong {
        /// Characters found.
        found: usize,
        /// Characters allowed.
        max: usize,
    },
    /// Contains control characters (Unicode category Cc), such as NUL or a line break.
    #[error("contains a control character")]
    ControlCharacter,
    /// Not of the form `local@domain`.
    #[error("not an e-mail address ({chars} characters, {at_signs} at signs)")]
    NotAnEmail {
        /// Characters found.
        chars: usize,
        /// How many `@` it has.
        at_signs: usize,
    },
    /// Not an instant in the configured unit.
    #[error("not a timestamp ({chars} characters; RFC 3339, or Unix seconds or milliseconds, is expected)")]
    NotATimestamp {
        /// Characters found.
        chars: usize,
    },
}

/// The name of a configured source: what stands in `/webhooks/{source}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

impl SourceName {
    /// Parses 1 to 63 of `a-z 0-9 - _`, beginning with a letter or digit: fit for a URL, a metric
    /// label and a key without any escaping.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let well_formed = (1..=63).contains(&raw.len())
            && raw.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
            && !raw.starts_with(['-', '_']);
        if well_formed {
            Ok(Self(raw.to_owned()))
        } else {
            Err("a source name is 1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit".to_owned())
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SourceName {
    type Error = String;
    fn try_from(raw: String) -> Result<Self, String> {
        Self::parse(&raw)
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who an event is about: `{source}/{employee id}`. Its text is also the key of the person's lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The HR system that names the person.
    pub source: SourceName,
    /// The person's id there: trimmed, 1 to 256 characters, no control characters, else anything
    /// (slashes and quotes too).
    pub employee_id: String,
}

impl Person {
    /// Parses an employee id as a source gave it.
    pub fn parse(source: SourceName, employee_id: &str) -> Result<Self, InvalidField> {
        let employee_id = text("employee_id", employee_id, EMPLOYEE_ID_CHARS_MAX)?;
        Ok(Self { source, employee_id })
    }

    /// Parses what `Display` wrote: the part before the first slash is the source.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let (source, employee_id) = key.split_once('/')?;
        Self::parse(SourceName::parse(source).ok()?, employee_id).ok()
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.employee_id)
    }
}

/// An e-mail address: trimmed, and known both as it was received and lower-cased. Postman's filter
/// minds the case, so both are tried; what we send is lower-cased.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    as_received: String,
    lower: String,
}

impl Email {
    /// Parses `local@domain`. What lies between is for Postman to judge.
    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        let raw = text("email", raw, EMAIL_BYTES_MAX)?;
        let well_formed = raw.len() <= EMAIL_BYTES_MAX
            && raw.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty()
                    && local.len() <= 64
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && !domain.starts_with(['.', '-'])
                    && !domain.ends_with(['.', '-'])
                    && !domain.contains("..")
            })
            && !raw
                .contains(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"' | '\\' | '(' | ')'));
        if !well_formed {
            let problem = Problem::NotAnEmail { chars: raw.chars().count(), at_signs: raw.matches('@').count() };
            return Err(InvalidField { field: "email", problem });
        }
        let lower = raw.to_lowercase();
        Ok(Self { as_received: raw, lower })
    }

    /// As the source wrote it, trimmed.
    #[must_use]
    pub fn as_received(&self) -> &str {
        &self.as_received
    }

    /// Lower-cased: the `userName` that we send.
    #[must_use]
    pub fn lower(&self) -> &str {
        &self.lower
    }
}

impl fmt::Debug for Email {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({} bytes)", self.as_received.len())
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidField;
    fn try_from(raw: String) -> Result<Self, InvalidField> {
        Self::parse(&raw)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.as_received
    }
}

/// A person's names: at least one of the two. Some people have only one, and some renames only
/// tell the one that changed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// `name.givenName`, trimmed, else as received.
    #[serde(default, rename = "given", skip_serializing_if = "Option::is_none")]
    given: Option<String>,
    /// `name.familyName`, trimmed, else as received.
    #[serde(default, rename = "family", skip_serializing_if = "Option::is_none")]
    family: Option<String>,
}

impl Names {
    /// Parses both names; a blank one counts as absent, and one of the two must be there.
    pub fn parse(given: Option<&str>, family: Option<&str>) -> Result<Self, InvalidField> {
        let optional = |field, raw: Option<&str>| match raw {
            Some(raw) if !raw.trim().is_empty() => text(field, raw, NAME_CHARS_MAX).map(Some),
            Some(_) | None => Ok(None),
        };
        let names = Self { given: optional("given_name", given)?, family: optional("family_name", family)? };
        if names.given.is_none() && names.family.is_none() {
            return Err(InvalidField { field: "given_name", problem: Problem::Missing });
        }
        Ok(names)
    }

    /// The given name, where the source told it.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        self.given.as_deref()
    }

    /// The family name, where the source told it.
    #[must_use]
    pub fn family(&self) -> Option<&str> {
        self.family.as_deref()
    }
}

impl fmt::Debug for Names {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names(…)")
    }
}

/// What can happen to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Somebody joins: they are to be in the team.
    Hire,
    /// Somebody's name changed: it is to be the same in the team.
    Rename,
}

impl EventKind {
    /// The word for it in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hire => "hire",
            Self::Rename => "rename",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened, with what it takes to act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Change {
    /// See [`EventKind::Hire`].
    Hire {
        /// Becomes the `userName`.
        email: Email,
        /// The names.
        names: Names,
    },
    /// See [`EventKind::Rename`].
    Rename {
        /// To find the person by, where the directory does not know them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<Email>,
        /// The new names; an absent one stays as it is at Postman.
        names: Names,
    },
}

/// One thing that happened to one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who.
    pub person: Person,
    /// What.
    #[serde(flatten)]
    pub change: Change,
    /// `locale` to send, where the source tells one (else `[postman] locale`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// When it happened, by the source's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<UnixMs>,
}

impl Event {
    /// What kind of change it is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self.change {
            Change::Hire { .. } => EventKind::Hire,
            Change::Rename { .. } => EventKind::Rename,
        }
    }

    /// The person's e-mail, where the source told it.
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        match &self.change {
            Change::Hire { email, .. } => Some(email),
            Change::Rename { email, .. } => email.as_ref(),
        }
    }

    /// The names that are to be at Postman afterwards.
    #[must_use]
    pub fn names(&self) -> &Names {
        match &self.change {
            Change::Hire { names, .. } | Change::Rename { names, .. } => names,
        }
    }
}

/// Trims, and refuses blanks, control characters and excess.
fn text(field: &'static str, raw: &str, chars_max: usize) -> Result<String, InvalidField> {
    let trimmed = raw.trim();
    let chars = trimmed.chars().count();
    let problem = if trimmed.is_empty() {
        Problem::Missing
    } else if chars > chars_max {
        Problem::TooLong { found: chars, max: chars_max }
    } else if trimmed.chars().any(char::is_control) {
        Problem::ControlCharacter
    } else {
        return Ok(trimmed.to_owned());
    };
    Err(InvalidField { field, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceName {
        SourceName::parse("hr").unwrap()
    }

    #[test]
    fn an_email_is_trimmed_and_known_in_both_cases() {
        let email = Email::parse("  Ada.Lovelace@Example.com ").unwrap();
        assert_eq!(email.as_received(), "Ada.Lovelace@Example.com");
        assert_eq!(email.lower(), "ada.lovelace@example.com");
    }

    #[test]
    fn what_is_no_email_is_refused_by_shape_and_without_its_value() {
        for raw in [
            "ada",
            "@",
            "ada@",
            "@example.com",
            "a@b@c",
            "ada@exa mple.com",
            "ada@.com",
            "a\"b@c.d",
            "x@y..z",
            "a,b@c.d",
        ] {
            let error = Email::parse(raw).unwrap_err();
            assert_eq!(error.field, "email");
            assert!(!error.to_string().contains("example"), "{error}");
        }
        assert_eq!(Email::parse(" ").unwrap_err().problem, Problem::Missing);
        let long = format!("{}@example.com", "a".repeat(300));
        assert!(matches!(Email::parse(&long).unwrap_err().problem, Problem::TooLong { .. }));
    }

    #[test]
    fn names_keep_their_unicode_and_need_one_of_two() {
        let names = Names::parse(Some(" Zoë-Æther "), Some("O’Brien\u{a0}Łukasz")).unwrap();
        assert_eq!(names.given(), Some("Zoë-Æther"));
        assert_eq!(names.family(), Some("O’Brien\u{a0}Łukasz"));
        assert_eq!(Names::parse(None, Some("Cher")).unwrap().given(), None);
        assert_eq!(Names::parse(Some("  "), None).unwrap_err().problem, Problem::Missing);
        let long = "x".repeat(10_000);
        let error = Names::parse(Some(&long), None).unwrap_err();
        assert_eq!(error.to_string(), "given_name: 10000 characters, at most 256");
        assert_eq!(Names::parse(None, Some("a\u{0}b")).unwrap_err().problem, Problem::ControlCharacter);
    }

    #[test]
    fn a_person_survives_slashes_and_quotes_in_the_id() {
        let person = Person::parse(source(), " a/b\"c'd ").unwrap();
        assert_eq!(person.to_string(), "hr/a/b\"c'd");
        assert_eq!(Person::from_key(&person.to_string()), Some(person));
        assert!(Person::parse(source(), "a\nb").is_err());
    }

    #[test]
    fn a_source_name_needs_no_escaping_anywhere() {
        for good in ["hr", "bamboo-hr_2", "0"] {
            assert!(SourceName::parse(good).is_ok());
        }
        for bad in ["", "-a", "HR", "a/b", "a b", "é", &"a".repeat(64)] {
            assert!(SourceName::parse(bad).is_err());
        }
    }

    #[test]
    fn personal_data_is_not_in_the_debug_form() {
        let event = Event {
            person: Person::parse(source(), "E-1").unwrap(),
            change: Change::Hire {
                email: Email::parse("ada@example.com").unwrap(),
                names: Names::parse(Some("Ada"), Some("Lovelace")).unwrap(),
            },
            locale: None,
            occurred_at: None,
        };
        let debug = format!("{event:?}");
        assert!(!debug.contains("Ada") && !debug.contains("ada@"), "{debug}");
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
