//! Rows of an imported roster.

use super::{Folding, fold_facts, take_in};
use crate::core::person::document::{Document, Staged};
use crate::core::person::employment::{EmploymentState, EmploymentWord};
use crate::core::person::event::{Event, Facts};
use crate::core::person::fact::Stamp;
use crate::core::person::record::{Record, is_since};

/// Rows of another import, and rows already applied, change nothing, so an apply may be repeated. Returns whether this one
/// changes anything.
pub(super) fn apply(document: &mut Document, folding: &mut Folding, import: &str, member: Option<String>) -> bool {
    if let Some(known) = document.member.as_mut().filter(|known| known.id.is_some() && known.id == member) {
        // The list of members has shown them.
        known.is_unshown = false;
    }
    let Some(staged) = document.staged.take_if(|staged| staged.import == import) else { return false };
    if document.member.is_none() {
        document.listed_as = member;
    }
    let Staged { job, accepted_at, seq, mut event, leaves_at, .. } = *staged;
    let said = document.record.says(accepted_at);
    let listed_as = event.facts.email.clone();
    document.record.leave_out_said_since(&mut event.facts, accepted_at, seq);
    let listed_before = listed_as.filter(|_| event.facts.email.is_none());
    // What was said about employment since then also overrides what the row announces.
    let is_said_since = |word: &EmploymentWord| !word.is_early && is_since(&word.stamp, accepted_at, seq);
    let said_since = document.record.employment.words().iter().any(is_said_since);
    let leaves_at = leaves_at.filter(|_| !said_since);
    let fold_row = |record: &mut Record| {
        if let Some(email) = listed_before {
            record.note_earlier_email(email, Stamp { at: event.at.unwrap_or(accepted_at), accepted_at, seq });
        }
        record.fold_row(&event, accepted_at, seq)
    };
    let mut folded = fold_facts(document, &event, fold_row, accepted_at);
    if let Some(leaves_at) = leaves_at {
        // For the same moment as the row, but stated after it.
        let employment = Some((EmploymentState::Left, Some(leaves_at)));
        let facts = Facts { employment, day_ends: event.facts.day_ends, ..Facts::default() };
        let leave = Event { facts, ..event.clone() };
        let told = fold_facts(document, &leave, |record| record.fold(&leave, accepted_at, seq + 1), accepted_at);
        folded.news.extend(told.news);
    }
    let counts = document.record.says(accepted_at) != said;
    take_in(document, folding, (job, None), &event, accepted_at, (&folded, counts));
    // An operator asks for it, whether the row says anything new or not.
    folding.wake(document.trouble.is_some() && document.not_followed_since.is_none());
    true
}
