//! What HR says about a person besides their identity: a department, a location, teams. Groups are derived
//! from these.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How many values of one fact are kept; the rest is ignored.
pub const LABELS_MAX: usize = 50;
/// Longest value.
const CHARS_MAX: usize = 100;

/// One value: trimmed, in one normal form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(String);

/// Facts by the names that the mapping gives them, each with all its values.
pub type FurtherFacts<T> = BTreeMap<String, T>;

impl Label {
    /// Parses a value; none if it is empty, too long, or contains a control character.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let text: String = raw.trim().nfc().collect();
        let fits = !text.is_empty() && text.chars().count() <= CHARS_MAX && !text.chars().any(char::is_control);
        fits.then_some(Self(text))
    }

    /// As HR writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that all its spellings share.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }
}

impl std::fmt::Debug for Label {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Label({} characters)", self.0.chars().count())
    }
}

/// The key that all spellings of a value, or of a group's name, share.
#[must_use]
pub fn key(text: &str) -> String {
    text.trim().nfc().collect::<String>().to_lowercase()
}

/// The values, sorted and without duplicates, up to the maximum.
#[must_use]
pub fn distinct(labels: impl IntoIterator<Item = Label>) -> Vec<Label> {
    let mut distinct: Vec<Label> = labels.into_iter().take(LABELS_MAX).collect();
    distinct.sort();
    distinct.dedup_by_key(|label| label.key());
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_trimmed_and_compared_without_case() {
        let label = |raw: &str| Label::parse(raw);
        assert_eq!(label(" R&D ").unwrap().as_str(), "R&D");
        assert_eq!(label("Zu\u{308}rich").unwrap().key(), "z\u{fc}rich");
        for bad in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert_eq!(label(bad), None, "{bad:?}");
        }
        let values = ["b", "a", "a"].into_iter().filter_map(Label::parse);
        assert_eq!(distinct(values).iter().map(Label::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }
}
