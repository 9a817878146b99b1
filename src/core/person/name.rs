//! Names and locales.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::{self, InvalidField};

/// Longest name we take, in characters. Far above any real name, far below what would hurt a log,
/// a page or the target.
pub const NAME_CHARS_MAX: usize = 256;
/// Longest locale we accept, in characters: the length that RFC 5646 §4.4.1 asks everybody to support.
pub const LOCALE_CHARS_MAX: usize = 35;

/// A given or family name as HR writes it, except that it is stripped and in NFC.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Parses a name; none if it is blank.
    pub fn parse(field: &'static str, raw: &str) -> Result<Option<Self>, InvalidField> {
        if text::stripped(raw).is_empty() {
            return Ok(None);
        }
        text::name(field, raw, NAME_CHARS_MAX).map(Self).map(Some)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(…)")
    }
}

/// A locale, such as `en-US`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Locale(String);

impl Locale {
    /// Parses a locale; none if it is blank or malformed, since a locale is never worth a refusal.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        text::identifier("locale", raw, LOCALE_CHARS_MAX).ok().map(Self)
    }

    /// The locale.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::Problem;

    fn name(raw: &str) -> Result<Option<String>, InvalidField> {
        Ok(Name::parse("given_name", raw)?.map(|name| name.as_str().to_owned()))
    }

    #[test]
    fn names_keep_their_letters() {
        for raw in
            ["Zoë-Æther", "O’Brien\u{a0}Łukasz", "van der Berg", "李小龍", "عبد الرحمن", "می\u{200c}خواهم", "Cher"]
        {
            assert_eq!(name(raw).unwrap().as_deref(), Some(raw));
        }
        assert_eq!(name(" Jose\u{301} ").unwrap().as_deref(), Some("José"));
    }

    #[test]
    fn an_invisible_name_is_no_name() {
        for raw in ["", "  ", "\u{200b}", "\u{feff} \u{3164}", "\u{fe0f}\u{2800}"] {
            assert_eq!(name(raw).unwrap(), None);
        }
    }

    #[test]
    fn a_name_of_impossible_shape_is_refused() {
        assert_eq!(name("a\u{0}b").unwrap_err().problem, Problem::ControlCharacter);
        assert_eq!(name("a\u{200b}b").unwrap_err().problem, Problem::InvisibleCharacter);
        assert!(name("\u{2764}\u{fe0f}a").is_ok() && name("Zo\u{fffd}").is_ok());
        assert_eq!(name(&"x".repeat(10_000)).unwrap_err().to_string(), "given_name: 10000 characters, at most 256");
    }
}
