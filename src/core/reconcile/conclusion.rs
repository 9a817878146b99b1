//! How an attempt ends.

pub use crate::core::person::Aspect;

use super::request::Operation;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::job::Finished;
use crate::core::time::UnixMs;

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The member is as HR says.
    InLine(Finished),
    /// HR has not said enough: the facts that are missing.
    Incomplete(Vec<&'static str>),
    /// It cannot be done until something changes.
    Blocked {
        /// The reason.
        code: Code,
        /// More about it: names of fields, shapes of values, employee ids; no personal data.
        detail: String,
        /// The claim that somebody else has: when they give it up, this heals.
        wants: Option<String>,
    },
    /// Temporary trouble of the target, or on the way to it.
    TryAgain {
        /// The code of the trouble.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
        /// A wait for something that is known to come, which does not count as a failure.
        patient: bool,
    },
    /// An undocumented refusal.
    Suspect {
        /// Which call this is about.
        operation: Operation,
        /// Its status.
        status: Option<u16>,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
    /// 429.
    RateLimited {
        /// When calls are welcome again.
        until: UnixMs,
    },
    /// The target refuses everybody.
    Hold {
        /// What it refuses.
        scope: HoldScope,
        /// The reason.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
}

impl Aspect {
    /// The aspect of a member that a call writes; none for reads, creates and calls about groups.
    pub(super) fn written_by(operation: Operation) -> Option<Self> {
        match operation {
            Operation::Replace | Operation::SetNames => Some(Self::Names),
            Operation::SetUserName => Some(Self::Address),
            Operation::SetActive => Some(Self::Membership),
            Operation::Create
            | Operation::Get
            | Operation::Find
            | Operation::Page
            | Operation::Probe
            | Operation::Discover
            | Operation::FindGroup
            | Operation::GetGroup
            | Operation::CreateGroup
            | Operation::AddToGroup
            | Operation::RemoveFromGroup => None,
        }
    }
}

pub(super) fn try_again(code: Code, not_before: Option<UnixMs>, patient: bool) -> Conclusion {
    Conclusion::TryAgain { code, not_before, patient }
}
