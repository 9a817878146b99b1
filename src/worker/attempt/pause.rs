//! Whether there is anything to do at the target, and whether a pause between two tries goes on.

use crate::core::person::Document;
use crate::core::person::fold::Folding;
use crate::core::reconcile::verdict::Ending;
use crate::core::time::UnixMs;
use crate::worker::fetch::Fetched;

/// When a pause between two tries ends that goes on: HR has said nothing new. What takes away comes first, and what HR
/// corrects may be what is refused.
pub(super) fn still_paused_until(
    document: &mut Document,
    folding: &Folding,
    was_woken: bool,
    now: UnixMs,
) -> Option<UnixMs> {
    // Unless an entry woke the lane, or a read is due, the store says that the pause is over.
    let was_woken = was_woken || document.owed_read.is_some();
    let at = document.progress.again_at.take().filter(|at| *at > now && was_woken)?;
    let at = if folding.told_news > 0 || folding.ends_pause {
        document.progress.rests_until().map_or(now, |floor| floor.min(at))
    } else {
        at
    };
    if at <= now {
        document.progress.woken_at = Some(now);
        document.progress.woken = document.progress.woken.saturating_add(1);
        return None;
    }
    document.progress.again_at = Some(at);
    Some(at)
}

/// Whether the target must be looked at.
pub(in crate::worker) fn needs_attempt(document: &Document, folding: &Folding, now: UnixMs) -> bool {
    if document.record.closed.is_some() {
        return document.owed_read.is_some();
    }
    let word_is_new = document.has_new_word(now) == Some(true);
    let is_followed = document.not_followed_since.is_none();
    let read_is_owed = document.owed_read.is_some();
    let is_rested = is_rested(document, now);
    // Only a look-up shows whether the member was created.
    let is_guessed = document.progress.create_unknown.is_some_and(|unknown| unknown.is_guess);
    let groups_are_due = document.groups_wait.is_some_and(|wait| wait.due <= now);
    let look_is_due = document.second_look(now).is_some_and(|at| at <= now);
    folding.calls_for_attempt
        || (is_followed
            && (read_is_owed
                || groups_are_due
                || look_is_due
                || (is_rested
                    && (is_guessed || !document.open.is_empty() || document.trouble.is_some() || word_is_new))))
}

/// The ending of an attempt whose read brought no news, for somebody who waits for another try at the target.
pub(super) fn rest(
    document: &Document,
    folding: &Folding,
    fetched: &Fetched,
    paused_until: Option<UnixMs>,
    now: UnixMs,
) -> Option<Ending> {
    if let Some(at) = paused_until {
        // The read may be due before that.
        let at = fetched.due().map_or(at, |due| due.min(at));
        return Some(Ending::still_paused(document.clone(), at));
    }
    let is_blocked = document.trouble.as_ref().is_some_and(|trouble| !trouble.code.is_of_fetch());
    let is_notice = !folding.ends_pause && folding.told_news == 0 && fetched.was_served && !fetched.waits();
    (is_blocked && is_notice && !is_rested(document, now)).then(|| Ending::of_folding(document.clone(), now))
}

/// Whether what blocks them, if anything does, was not tried just now, or something has changed since: otherwise an event that
/// says the same is no reason for another call yet.
fn is_rested(document: &Document, now: UnixMs) -> bool {
    let again_at = document.trouble.as_ref().and_then(|trouble| trouble.again_at().zip(trouble.tried_at));
    again_at.is_none_or(|(again_at, tried_at)| {
        again_at <= now || document.record.next_change(tried_at).is_some_and(|change| change <= now)
    })
}
