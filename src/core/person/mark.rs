//! What about a person an operator should know of, although nothing blocks them. Each mark is a search
//! term that nobody can type: a store finds the marked without knowing what a mark is.

use super::document::Document;
use crate::core::time::UnixMs;

/// Failures in a row after which a person is told of: passing trouble is over by then.
const FAILURES_TOLD: u32 = 5;

/// One thing to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// HR said something of them after their member was handed over to another record.
    AfterClose,
    /// Somebody switched the member off at the target, although HR says employed.
    SwitchedOff,
    /// Attempt after attempt fails.
    Failing,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AfterClose, Self::SwitchedOff, Self::Failing];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterClose => "after_close",
            Self::SwitchedOff => "switched_off",
            Self::Failing => "failing",
        }
    }

    /// The search term that stands for it: begins with a control character, which no name, address or
    /// employee id has.
    #[must_use]
    pub fn term(self) -> String {
        format!("\u{1}{}", self.as_str())
    }

    /// Those of a person.
    #[must_use]
    pub fn of(document: &Document) -> Vec<Self> {
        let is = |mark: &Self| match mark {
            Self::AfterClose => document.words_after_close > 0,
            Self::SwitchedOff => document.switched_off_elsewhere,
            Self::Failing => failures(document) >= FAILURES_TOLD && document.trouble.is_none(),
        };
        Self::ALL.into_iter().filter(is).collect()
    }

    /// Since when, as far as the person's document says.
    #[must_use]
    pub fn since(self, document: &Document) -> Option<UnixMs> {
        match self {
            Self::AfterClose => document.record.closed.as_ref().map(|closed| closed.at),
            Self::SwitchedOff => document.member.as_ref().map(|member| member.seen_at),
            Self::Failing => {
                document.progress.failing_since.or(document.owed_read.as_ref().and_then(|owed| owed.failing_since))
            }
        }
    }
}

/// Of attempts at the target, or of reads at the HR system.
fn failures(document: &Document) -> u32 {
    document.progress.failures.max(document.owed_read.as_ref().map_or(0, |owed| owed.tries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::{Person, SourceName};

    #[test]
    fn a_marked_person_is_found_by_a_term_that_no_name_has() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let mut document = Document::new(person);
        assert!(Mark::of(&document).is_empty());
        document.switched_off_elsewhere = true;
        document.progress.failures = FAILURES_TOLD;
        assert_eq!(Mark::of(&document), [Mark::SwitchedOff, Mark::Failing]);
        assert!(document.search_terms().contains(&"\u{1}failing".to_owned()));
        assert!(Mark::ALL.iter().all(|mark| mark.term().starts_with('\u{1}')));
    }
}
