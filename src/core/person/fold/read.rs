//! Reads at the HR system.

use super::handover::reopen;
use crate::core::person::document::Document;
use crate::core::person::employment::EmploymentWord;
use crate::core::person::event::Event;
use crate::core::time::UnixMs;

/// Folds in the result of a read at the HR system, at `now` after the entry `seq`. It is newer than every earlier
/// event, whatever their times.
pub fn fold_read(document: &mut Document, told: Vec<Event>, now: UnixMs, seq: u64) {
    let before = document.record.employment.at(now);
    let after_all = document.record.newest_at().map(|newest| newest.plus_ms(1));
    // Events of one read have the same time, so their places decide the order.
    for (place, mut event) in (seq..).zip(told) {
        event.at = event.at.max(after_all);
        event.facts.day_ends = None;
        // A statement without a date of its own counts from now on, however far ahead the earlier ones were.
        event.facts.employment = event.facts.employment.map(|(state, from)| (state, from.or(Some(now))));
        event.facts.scope = event.facts.scope.map(|(scope, from)| (scope, from.or(Some(now))));
        document.note_labels(&event);
        document.folding(event.facts.email.as_ref(), now, |record| record.fold(&event, now, place));
    }
    document.read_at = Some(now);
    say_again(document, before, now);
    reopen(document);
}

/// A repetition is not a new statement on employment: it does not switch on a member whom somebody has switched off
/// at the target since.
pub(super) fn say_again(document: &mut Document, before: Option<EmploymentWord>, now: UnixMs) {
    let after = document.record.employment.at(now);
    if let (Some(before), Some(after)) = (before, after)
        && before.state == after.state
        && document.employment_done.is_some_and(|done| done >= before.stamp && done < after.stamp)
    {
        document.employment_done = Some(after.stamp);
    }
}
