//! What a read means for the rest of an attempt.

use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::document::OpenJob;
use crate::core::person::story::StoryEntry;
use crate::core::person::{Document, EventKind};
use crate::core::reconcile::verdict::Ending;
use crate::core::time::UnixMs;

/// How a person waits for a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::worker) enum ReadWait {
    /// Until this time.
    Until { at: UnixMs, code: Code },
    /// Behind the source's hold.
    Held { code: Code, not_before: Option<UnixMs> },
    /// Until something changes.
    Blocked { code: Code, detail: String },
}

/// The result of a read.
#[derive(Debug, Default)]
pub(in crate::worker) struct Fetched {
    /// What to add to the story.
    pub(in crate::worker) story: Vec<StoryEntry>,
    /// Whether the HR system served us.
    pub(in crate::worker) was_served: bool,
    /// A list of other people was read: there is nothing to do for this person.
    pub(in crate::worker) is_list: bool,
    /// The answer stated something that has to be reconciled.
    pub(super) has_told: bool,
    /// The read is still owed.
    pub(super) wait: Option<ReadWait>,
    /// An announced end that is due waits for the read until then.
    pub(super) end_waits_until: Option<UnixMs>,
    /// Jobs that end only with the read: the notices that asked for it, and a leave that waits for an address.
    pub(super) notices: Vec<OpenJob>,
}

impl Fetched {
    pub(super) fn waiting(document: &mut Document, wait: ReadWait) -> Self {
        Self::default().with_wait(document, wait)
    }

    /// Takes out the notices, so that the rest can be reconciled without ending them.
    pub(super) fn with_wait(mut self, document: &mut Document, wait: ReadWait) -> Self {
        let lacks_address = lacks_address(document);
        let waits = |job: &OpenJob| job.kind == EventKind::Notice || (lacks_address && job.kind == EventKind::Leave);
        let (notices, rest) = std::mem::take(&mut document.open).into_iter().partition(waits);
        self.notices = notices;
        document.open = rest;
        self.wait = Some(wait);
        self
    }

    /// When the read is due, if it waits for a time.
    pub(in crate::worker) fn due(&self) -> Option<UnixMs> {
        match self.wait {
            Some(ReadWait::Until { at, .. }) => Some(at),
            Some(ReadWait::Held { .. } | ReadWait::Blocked { .. }) | None => None,
        }
    }

    /// Whether the read is still owed.
    pub(in crate::worker) fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Whether nothing can be reconciled before the read.
    pub(in crate::worker) fn is_all(&self, document: &Document, now: UnixMs) -> bool {
        if self.wait.is_some() && self.end_waits_until.is_some() {
            return true;
        }
        let word_is_new = document.has_new_word(now) == Some(true);
        let leaves_unfound = lacks_address(document) && self.notices.iter().any(|job| job.kind == EventKind::Leave);
        self.wait.is_some() && !self.has_told && document.open.is_empty() && (!word_is_new || leaves_unfound)
    }

    /// Puts the notices back after an interrupted attempt.
    pub(in crate::worker) fn give_back(self, document: &mut Document) {
        document.open.extend(self.notices);
        document.open.sort_by_key(|job| job.accepted_at);
    }

    /// Makes the person wait for the read, besides whatever else they wait for.
    pub(in crate::worker) fn put_back(self, ending: &mut Ending, now: UnixMs) {
        let Some(wait) = self.wait else { return };
        ending.document.open.extend(self.notices);
        ending.document.open.sort_by_key(|job| job.accepted_at);
        match wait {
            ReadWait::Until { at, code } => ending.wait_for_read(at, code, now),
            ReadWait::Held { code, not_before } => {
                let scope = HoldScope::Fetch(ending.document.person.source.clone());
                ending.wait_for_hold(scope, code, not_before, now);
            }
            ReadWait::Blocked { code, detail } => ending.block_for_read(code, detail, now),
        }
        if let Some(until) = self.end_waits_until {
            ending.due_by(until);
        }
    }
}

/// Whether neither HR nor the target has given an address to look for.
pub(super) fn lacks_address(document: &Document) -> bool {
    document.record.email().is_none() && document.member.is_none() && document.listed_as.is_none()
}
