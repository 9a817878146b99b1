//! Who an event is about.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::text::{self, InvalidField};

/// Longest employee id we take, in characters.
pub const EMPLOYEE_ID_CHARS_MAX: usize = 256;

/// The name of a configured source, as in `/webhooks/{source}`.
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

/// Who an event is about: `{source}/{employee id}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The HR system that names the person.
    pub source: SourceName,
    /// The person's id there, in its normal form: 1 to 256 characters, none invisible, else anything
    /// (slashes and quotes too).
    pub employee_id: String,
}

impl Person {
    /// Parses an employee id as a source gave it.
    pub fn parse(source: SourceName, employee_id: &str) -> Result<Self, InvalidField> {
        let employee_id = text::identifier("employee_id", employee_id, EMPLOYEE_ID_CHARS_MAX)?;
        Ok(Self { source, employee_id })
    }

    /// Parses what `Display` wrote: the part before the first slash is the source.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let (source, employee_id) = key.split_once('/')?;
        Self::parse(SourceName::parse(source).ok()?, employee_id).ok()
    }

    /// The number that stores keep the person under.
    #[must_use]
    pub fn id(&self) -> PersonId {
        let digest = Sha256::digest(self.to_string());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        PersonId(u64::from_be_bytes(first) >> 2)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.employee_id)
    }
}

/// 62 bits of a hash of a person's key: short in a store, and part of the ids of their jobs. Two people with one
/// number (one chance in nine million among a million people) are distinguished by the key in the document, and the
/// second is refused, never mixed up with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub u64);

impl fmt::Display for PersonId {
    /// 16 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl PersonId {
    /// Parses 16 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_survives_slashes_and_quotes_in_the_id() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), " a/b\"c'd ").unwrap();
        assert_eq!(person.to_string(), "hr/a/b\"c'd");
        assert_eq!(Person::from_key(&person.to_string()), Some(person));
    }

    #[test]
    fn invisible_characters_around_an_id_are_not_part_of_it() {
        let hr = SourceName::parse("hr").unwrap();
        let plain = Person::parse(hr.clone(), "E-3").unwrap();
        assert_eq!(Person::parse(hr.clone(), "\u{feff}E-3\u{200b} ").unwrap(), plain);
        assert!(Person::parse(hr, "E\u{200b}-3").is_err());
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_id() {
        let hr = || SourceName::parse("hr").unwrap();
        assert_eq!(Person::parse(hr(), "E\u{301}").unwrap().id(), Person::parse(hr(), "\u{c9}").unwrap().id());
    }

    #[test]
    fn a_number_is_62_bits_and_reads_back() {
        let id = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap().id();
        assert!(id.0 < 1 << 62);
        assert_eq!(PersonId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn a_source_name_is_fit_for_urls() {
        for bad in ["", "-a", "A", "a b", "ä", &"a".repeat(64)] {
            assert!(SourceName::parse(bad).is_err(), "{bad}");
        }
        assert!(SourceName::parse("hr-2_eu").is_ok());
    }
}
