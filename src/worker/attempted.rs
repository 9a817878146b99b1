//! How an attempt ended, as one value for the log and the metrics.

use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::job::Finished;
use crate::telemetry::metrics as metric;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// The person is up to date.
    InLine(Finished),
    /// There was nothing to do: the events were outdated, or known already.
    Folded,
    /// They wait for HR to say more.
    Incomplete,
    /// They are tried again.
    Retry(Code),
    /// They wait for a hold to be lifted.
    Held(HoldScope),
    /// They are blocked: a dead letter.
    Blocked(Code),
    /// They were given back unfinished.
    GivenBack,
    /// Another worker has the lane: nothing was committed.
    LeaseLost,
    /// The stored data about them cannot be read: it was left unchanged, and they are blocked.
    Unreadable,
}

impl Attempted {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::InLine(finished) => finished.as_str(),
            Self::Folded => Finished::Superseded.as_str(),
            Self::Incomplete => metric::OUTCOME_INCOMPLETE,
            Self::Retry(_) => metric::OUTCOME_RETRY,
            Self::Held(_) => metric::OUTCOME_HELD,
            Self::Blocked(_) => metric::OUTCOME_DEAD,
            Self::GivenBack => metric::OUTCOME_GIVEN_BACK,
            Self::LeaseLost => metric::OUTCOME_LEASE_LOST,
            Self::Unreadable => metric::OUTCOME_UNREADABLE,
        }
    }

    /// An attempt that showed nothing about a hold.
    pub(super) fn untried(self) -> Tried {
        Tried { attempted: self, has_passed: false, was_refused: false }
    }
}

/// How an attempt ended, and what it showed about the hold that it probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) attempted: Attempted,
    /// Whether the target serves again what is held.
    pub(super) has_passed: bool,
    /// Whether it was refused in a way that may be this person's own trouble.
    pub(super) was_refused: bool,
}
