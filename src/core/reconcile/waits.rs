//! How long a target asks us to wait.

use super::reply::Outcome;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::retry_hint::{RetryHint, SLEEP_MS_MAX};
use crate::core::time::UnixMs;

/// When the target may be called again, at most as far ahead as an attempt is put off; a longer wait is a hold, see
/// [`quota`].
pub(super) fn short_of_a_hold(hint: Option<RetryHint>, now: UnixMs) -> Option<UnixMs> {
    hint.map(|hint| hint.at.min(now.plus_ms(SLEEP_MS_MAX)))
}

/// A wait of more than an hour is a quota. A header with the end of a limit's window counts only if the reply is
/// about a limit.
pub(super) fn quota(status: u16, hint: Option<RetryHint>, now: UnixMs) -> Option<Outcome> {
    let hint = hint.filter(|hint| hint.at.ms_since(now) > SLEEP_MS_MAX)?;
    let is_about_a_limit = matches!(status, 429 | 503);
    (hint.is_asked || is_about_a_limit).then_some(Outcome::Hold(HoldScope::All, Code::HoldQuota, Some(hint.at)))
}
