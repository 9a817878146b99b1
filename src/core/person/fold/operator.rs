//! What an operator does about a person: another try, or a discard.

use super::Folding;
use crate::core::code::Code;
use crate::core::person::document::{Document, OpenJob, Progress};
use crate::core::person::job::Finished;
use crate::core::person::story::{Note, StoryEntry};
use crate::core::time::UnixMs;

pub(super) fn try_again(document: &mut Document, folding: &mut Folding, by: String, now: UnixMs) {
    let Progress { create_unknown, .. } = document.progress;
    document.progress = Progress { create_unknown, ..Progress::default() };
    (document.not_followed_since, document.looked) = (None, None);
    document.gone_at_hr = None;
    // Somebody may have deleted a group that they were put into: all are looked up, and joined again.
    let joined = std::mem::take(&mut document.groups);
    let (names, of) = joined.into_iter().map(|group| (group.name.clone(), (group.name, group.member))).unzip();
    document.take_unsure(names, of);
    if let Some(owed) = &mut document.owed_read {
        owed.again();
    }
    folding.wake(true);
    folding.tell(now, Note::Replayed { by });
}

pub(super) fn discard(document: &mut Document, folding: &mut Folding, by: String, now: UnixMs) {
    folding.tell(now, Note::Discarded { by });
    // What HR announced for later did not block them: it takes effect on its day.
    let waits = |job: &OpenJob| job.from.is_some_and(|from| from > now) && document.record.next_change(now).is_some();
    let (waiting, given_up): (Vec<_>, Vec<_>) = std::mem::take(&mut document.open).into_iter().partition(waits);
    document.open = waiting;
    for job in given_up {
        folding.ended.push((job.id, Finished::Discarded));
        folding.story.push(StoryEntry { at: now, note: Note::Ended { job: job.id, outcome: Finished::Discarded } });
    }
    let Progress { create_unknown, .. } = document.progress;
    document.progress = Progress { create_unknown, ..Progress::default() };
    let trouble = document.trouble.take();
    // HR no longer knows them, and nothing else will say that they have left.
    document.gone_at_hr = trouble.as_ref().filter(|trouble| trouble.code == Code::FetchNotFound).map(|_| now);
    if trouble.is_some_and(|trouble| trouble.code == Code::ScimInvited) {
        // The operator has withdrawn the invitation: HR's next hire makes another one.
        (document.member, document.groups_wait) = (None, None);
    }
    document.owed_read = None;
    document.missing.clear();
    document.waiting_since = None;
    // Somebody else may have the account that was theirs: the operator has decided about it.
    document.record.earlier_emails.clear();
    document.not_followed_since = Some(now);
    folding.calls_for_attempt = false;
}
