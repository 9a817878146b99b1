//! Texts with placeholders: `/v1/employees/{id}`.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::credential::Credential;

/// A placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// The employee id.
    Id,
    /// The start of the list's time range.
    Since,
    /// What identifies a list's page: its number, its offset, or the previous page's cursor.
    Cursor,
    /// One of the source's own `values`.
    Value(String),
    /// A part of the login, only in a login's templates.
    Credential(Credential),
}

impl Slot {
    /// The name of one of the source's own values.
    pub(super) fn value_name(&self) -> Option<&str> {
        match self {
            Self::Value(name) => Some(name),
            Self::Id | Self::Since | Self::Cursor | Self::Credential(_) => None,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "since" => Self::Since,
            "cursor" | "page" | "offset" => Self::Cursor,
            _ => match name.strip_prefix("values.") {
                Some(value) => Self::Value(value.to_owned()),
                None => Self::Credential(Credential::parse(name)?),
            },
        })
    }
}

/// A text with placeholders. A brace that does not enclose just a name is an ordinary character: `{ id }`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Slot(Slot),
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// An unknown name in braces.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            let inner = brace.get(1..).unwrap_or_default();
            if let Some((name, after)) = inner.split_once('}').filter(|(name, _)| is_name(name)) {
                let slot = Slot::parse(name).ok_or_else(|| {
                    format!("`{{{name}}}` is unknown: known are {{id}}, {{since}}, {{cursor}}, {{values.NAME}}, and the fields of a login")
                })?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Slot(slot));
                rest = after;
            } else {
                literal.push('{');
                rest = inner;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its placeholders.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(slot) => Some(slot),
            Part::Literal(_) => None,
        })
    }

    /// The text with everything filled in, each value as `encode` writes it; none if one is missing.
    pub(super) fn fill(
        &self,
        value_of: &dyn Fn(&Slot) -> Option<String>,
        encode: fn(&str) -> String,
    ) -> Option<String> {
        let mut filled = String::with_capacity(self.text.len());
        for part in &self.parts {
            match part {
                Part::Literal(literal) => filled.push_str(literal),
                Part::Slot(slot) => filled.push_str(&encode(&value_of(slot)?)),
            }
        }
        Some(filled)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Unchanged: for headers, and for texts that are encoded as a whole.
pub(super) fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// RFC 3986 §2.1: encodes everything but the unreserved characters, so that a value cannot end a segment, a query's
/// value or the path.
pub(super) fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, id: &str, encode: fn(&str) -> String) -> Option<String> {
        let value_of = |slot: &Slot| (*slot == Slot::Id).then(|| id.to_owned());
        Template::parse(text).unwrap().fill(&value_of, encode)
    }

    #[test]
    fn a_value_never_leaves_its_place_in_a_url() {
        assert_eq!(
            filled("/e/{id}/x", "a/../b?c#d %é", percent).as_deref(),
            Some("/e/a%2F..%2Fb%3Fc%23d%20%25%C3%A9/x")
        );
    }

    #[test]
    fn a_brace_of_a_query_language_stays_a_brace() {
        assert_eq!(
            filled("query { e(id: $id) { id } } {}", "7", as_it_is).as_deref(),
            Some("query { e(id: $id) { id } } {}")
        );
        assert!(Template::parse("/{employee}").is_err());
    }

    #[test]
    fn a_field_without_a_value_is_not_sent() {
        assert_eq!(filled("{values.company}/{id}", "7", as_it_is), None);
    }
}
