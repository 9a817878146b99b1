//! What waits in a person's inbox, as it is stored.

use serde::{Deserialize, Serialize};

use super::document::Groups;
use super::email::AddressHash;
use super::event::Event;
use super::identity::Person;
use super::job::JobId;
use super::letter::Letter;
use super::record::OwnerNow;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

/// One entry of an inbox; engines do not look into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was accepted. A replayed record keeps the time of its first arrival.
    pub accepted_at: UnixMs,
    /// What it says.
    pub word: Word,
    /// The span of its delivery, if traces are on.
    #[serde(default, deserialize_with = "TraceContext::stored", skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// HR says something.
    Event {
        /// The job.
        job: JobId,
        /// What HR says.
        event: Box<Event>,
        /// The dead letter about fields of it that could not be used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        letter: Option<Letter>,
    },
    /// A row of an imported roster: kept, and applied on an operator's request.
    Staged {
        /// The import.
        import: String,
        /// The job that it will become.
        job: JobId,
        /// What it says.
        event: Box<Event>,
        /// When they will leave, if the row announces that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leaves_at: Option<UnixMs>,
    },
    /// The staged row of this import counts from now on, as of the moment of the import.
    Apply {
        /// The import.
        import: String,
        /// The person's SCIM id in the list of members.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The people to whom the plan gives a member or an address before this person claims it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<Person>,
    },
    /// The member belongs to another record from now on.
    HandedOver {
        /// The new owner.
        to: Person,
        /// They have another name, so it is not another record of the same human being.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_another: bool,
        /// The address that HR gives the new owner.
        #[serde(default, alias = "address", skip_serializing_if = "Option::is_none")]
        address_hash: Option<AddressHash>,
        /// HR's newest statement about the new owner, by HR's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said_at: Option<UnixMs>,
    },
    /// What one of the two records sends the other after a hand-over. The former one sends the groups of the member, in
    /// case the new owner could not record them, and asks to be notified; the new owner sends what HR says about them
    /// since.
    Groups {
        /// The former owner.
        from: Person,
        /// The groups.
        groups: Groups,
        /// What HR says about the new owner, if they are the sender.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<OwnerNow>,
        /// Set if the sender is the former owner, right after the hand-over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asks: Option<Asks>,
    },
    /// The process was killed while a worker had them: an unrecorded call may have gone out.
    CutOff,
    /// An operator asks for another try.
    TryAgain {
        /// The operator, by the name of their token.
        by: String,
    },
    /// An operator discarded what blocks the person: what HR says is not applied until HR's next event.
    Discard {
        /// The operator, by the name of their token.
        by: String,
        /// The reason, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// A former record asks its member's new owner to be notified of what HR says about them from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks {
    /// The address that HR gave the new owner when the member was handed over.
    #[serde(default, alias = "address", skip_serializing_if = "Option::is_none")]
    pub address_hash: Option<AddressHash>,
}

impl Entry {
    /// Who it is about, if it says.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        match &self.word {
            Word::Event { event, .. } | Word::Staged { event, .. } => Some(event.person.clone()),
            Word::Apply { .. }
            | Word::HandedOver { .. }
            | Word::Groups { .. }
            | Word::CutOff
            | Word::TryAgain { .. }
            | Word::Discard { .. } => None,
        }
    }

    /// Adds the dead letter about the rest of its record to a stored entry.
    #[must_use]
    pub fn with_letter(bytes: &[u8], letter: Letter) -> Option<Vec<u8>> {
        let mut entry = Self::from_bytes(bytes)?;
        let Word::Event { letter: slot, .. } = &mut entry.word else { return None };
        *slot = Some(letter);
        Some(entry.to_bytes())
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of strings and numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was stored; none if it is damaged or of a version that this one does not know.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_entry_carries_its_trace_and_reads_without_one_or_from_another_version() {
        let word = Word::TryAgain { by: "test".to_owned() };
        let bare = Entry { accepted_at: UnixMs(1), word, trace: None };
        assert!(!String::from_utf8(bare.to_bytes()).unwrap().contains("trace"));
        let traced = Entry { trace: TraceContext::parse(TRACE), ..bare.clone() };
        assert!(traced.trace.is_some());
        assert_eq!(Entry::from_bytes(&traced.to_bytes()), Some(traced.clone()));
        assert_eq!(Entry::from_bytes(&bare.to_bytes()), Some(bare.clone()));
        let text = String::from_utf8(traced.to_bytes()).unwrap();
        for other in [text.replace(TRACE, "of another kind"), text.replace(&format!("\"{TRACE}\""), "{\"id\":7}")] {
            assert_eq!(Entry::from_bytes(other.as_bytes()), Some(bare.clone()), "{other}");
        }
    }
}
