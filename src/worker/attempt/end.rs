//! How an attempt ended.

use tracing::{error, info};

use crate::core::code::Code;
use crate::core::person::Document;
use crate::core::reconcile::conclusion::Conclusion;
use crate::core::reconcile::verdict::{Ending, NextState};
use crate::core::time::UnixMs;
use crate::worker::attempted::Attempted;
use crate::worker::fetch::Fetched;

/// The ending if there is nothing to do at the target (yet).
pub(super) fn ending_without_call(document: Document, fetched: &Fetched, now: UnixMs) -> Ending {
    if fetched.is_list {
        Ending::read_for_others(document, now)
    } else if document.record.closed.is_some() && !fetched.waits() {
        Ending::still_closed(document, now)
    } else {
        Ending::untouched(document)
    }
}

pub(super) fn attempted(conclusion: &Conclusion, ending: &Ending) -> Attempted {
    match (&ending.next_state, conclusion) {
        (NextState::Idle | NextState::Scheduled { .. }, Conclusion::InLine(finished)) => Attempted::InLine(*finished),
        _ => attempted_by_state(ending),
    }
}

/// How the attempt ended, by the state that the person is in then.
pub(super) fn attempted_by_state(ending: &Ending) -> Attempted {
    match &ending.next_state {
        NextState::Idle | NextState::Scheduled { .. } => Attempted::Folded,
        NextState::Retry { .. } | NextState::Read { .. } => {
            Attempted::Retry(ending.code().unwrap_or(Code::ScimUnavailable))
        }
        NextState::Held { scope, .. } => Attempted::Held(scope.clone()),
        NextState::Incomplete { .. } => Attempted::Incomplete,
        NextState::Blocked { .. } => {
            Attempted::Blocked(ending.document.trouble.as_ref().map_or(Code::ScimRejected, |trouble| trouble.code))
        }
    }
}

/// Logs how an attempt ended, once.
pub(super) fn tell(attempted: &Attempted, ending: &Ending) {
    let jobs = ending.ended.len();
    match attempted {
        Attempted::InLine(finished) => info!(outcome = finished.as_str(), jobs, "in sync"),
        Attempted::Retry(code) => info!(%code, failures = ending.document.progress.failures, "tried again later"),
        Attempted::Held(scope) => info!(%scope, "waits for the hold to be lifted"),
        Attempted::Blocked(code) => {
            let detail = ending.document.trouble.as_ref().map(|trouble| trouble.detail.as_str());
            error!(%code, detail, advice = code.advice(), "dead letter");
        }
        Attempted::Incomplete => info!(missing = ending.document.missing.join(","), "waits for HR to say more"),
        Attempted::Folded | Attempted::GivenBack | Attempted::LeaseLost | Attempted::Unreadable => {}
    }
}
