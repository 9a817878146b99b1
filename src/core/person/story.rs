//! What happened to a person, entry by entry, without personal data.

use serde::{Deserialize, Serialize};

use super::event::EventKind;
use super::identity::Person;
use super::job::{Finished, JobId};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::reconcile::request::Operation;
use crate::core::time::UnixMs;

/// Longest text of the target's own that is kept, in characters.
pub const DETAIL_CHARS_MAX: usize = 200;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryEntry {
    /// When it happened.
    pub at: UnixMs,
    /// What happened.
    #[serde(flatten)]
    pub note: Note,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// HR said something.
    Received {
        /// The job.
        job: JobId,
        /// The kind of event.
        kind: EventKind,
        /// When it became so, by HR's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told_at: Option<UnixMs>,
        /// Which facts it states; names, not values.
        facts: Vec<String>,
        /// Which of them are news: the others were known already, or are outdated.
        news: Vec<String>,
    },
    /// A call was made.
    Called {
        /// The operation.
        operation: Operation,
        /// HTTP status, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What it meant, in a word or a code.
        meaning: String,
        /// How long it took.
        ms: u64,
        /// The target's own words for a refusal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The person was read at their HR system.
    Read {
        /// The HTTP status of the last answer, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Its result, in a word or a code.
        meaning: String,
        /// How long it took.
        ms: u64,
        /// Which facts it states; names, not values.
        facts: Vec<String>,
        /// The part of the answer that cannot be used but is not needed, since a later record replaces it. Fields and
        /// shapes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<String>,
    },
    /// Taken over from a worker whose lease ran out.
    TakenOver,
    /// Tried again at that time.
    RetryAt {
        /// When it is due.
        due_at: UnixMs,
        /// The reason.
        code: Code,
    },
    /// Waits for a hold to be lifted; no attempt is counted.
    Held {
        /// The scope of the hold.
        scope: HoldScope,
        /// The reason.
        code: Code,
    },
    /// An announced leave waits for its time.
    Scheduled {
        /// When it takes effect.
        due_at: UnixMs,
    },
    /// The member is looked at once more, because a write that brought no answer may still take effect.
    LooksAgain {
        /// When.
        due_at: UnixMs,
    },
    /// Waits for HR to say more.
    Incomplete {
        /// What is missing.
        missing: Vec<String>,
    },
    /// Given back unfinished (shutdown, lost lease); no attempt is counted.
    GivenBack,
    /// Blocked: a dead letter, until something changes.
    Blocked {
        /// The reason.
        code: Code,
    },
    /// An operator asked for another try.
    Replayed {
        /// The operator, by the name of their token.
        by: String,
    },
    /// An operator discarded what blocked them.
    Discarded {
        /// The operator, by the name of their token.
        by: String,
    },
    /// The member was taken over from another record.
    TakenFrom {
        /// The former owner.
        person: Person,
    },
    /// The member was handed over to another record: events about this one are not applied any more.
    HandedOver {
        /// The new owner.
        person: Person,
    },
    /// A job ended.
    Ended {
        /// The job.
        job: JobId,
        /// How it ended.
        outcome: Finished,
    },
    /// An entry that this version does not know, because another version wrote it; kept as it is.
    #[serde(untagged)]
    Other(serde_json::Map<String, serde_json::Value>),
}

impl StoryEntry {
    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of strings and numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what was stored; none if it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
