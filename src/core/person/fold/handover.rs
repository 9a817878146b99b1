//! A member who is handed over to another employee: what the former record and the new owner's learn of each other.

use super::Folding;
use crate::core::person::document::{Document, Groups, Progress};
use crate::core::person::identity::Person;
use crate::core::person::inbox::{Asks, Word};
use crate::core::person::job::Finished;
use crate::core::person::record::{Closed, OwnerNow};
use crate::core::person::story::{Note, StoryEntry};

pub(super) fn hand_over(document: &mut Document, folding: &mut Folding, closed: Closed) {
    // The address and the member may be handed over one after the other.
    if document.record.closed.as_ref().is_some_and(|before| before.to == closed.to) {
        return;
    }
    // The time of the hand-over, however much later it is folded: what HR has said since is newer.
    let now = closed.at;
    folding.tell(now, Note::HandedOver { person: closed.to.clone() });
    for job in document.open.drain(..) {
        folding.ended.push((job.id, Finished::HandedOver));
        folding.story.push(StoryEntry { at: now, note: Note::Ended { job: job.id, outcome: Finished::HandedOver } });
    }
    // The groups went with the member.
    let groups = Groups::taken_from(document);
    let asks = Some(Asks { address_hash: closed.address_hash });
    let word = Word::Groups { from: document.person.clone(), groups, owner: None, asks };
    folding.outgoing.push((closed.to.clone(), word));
    document.hand_on_formers(&closed.to, now);
    document.record.closed = Some(closed);
    document.record.earlier_emails.clear();
    document.member = None;
    document.listed_as = None;
    document.groups_taken_from = None;
    document.groups_wait = None;
    document.trouble = None;
    document.owed_read = None;
    document.progress = Progress::default();
    document.missing.clear();
    document.waiting_since = None;
}

/// A person who comes back has nothing to do with the member who was handed over. Returns whether they come back.
pub(super) fn reopen(document: &mut Document) -> bool {
    let is_back = document.record.comes_back();
    if is_back {
        document.reopen();
        document.words_after_close = 0;
        // HR's statements have not been applied to a member of theirs yet.
        document.employment_done = None;
        // HR's word counts again, whatever was discarded before.
        (document.not_followed_since, document.gone_at_hr) = (None, None);
    }
    is_back
}

/// What HR says since the hand-over about the member's new owner: it may show that they are two people, or that the
/// member must go back.
pub(super) fn hear_of_owner(document: &mut Document, folding: &mut Folding, from: &Person, owner: OwnerNow) {
    let Some(closed) = document.record.closed.as_mut().filter(|closed| closed.to == *from) else { return };
    closed.owner = Some(owner);
    let is_back = reopen(document);
    folding.wake(is_back);
}

/// Takes in the groups of a member who was taken over, so that the member is removed from them. They came with the
/// take-over, but are sent once more, since the worker may have died before it noted them.
pub(super) fn take_groups(document: &mut Document, folding: &mut Folding, from: &Person, groups: Groups) {
    if groups.is_empty() {
        return;
    }
    if let Some(closed) = &document.record.closed {
        let word = Word::Groups { from: document.person.clone(), groups, owner: None, asks: None };
        folding.outgoing.push((closed.to.clone(), word));
        return;
    }
    if document.groups_taken_from.take_if(|noted| noted == from).is_some() {
        return;
    }
    let member = document.member.as_ref().and_then(|member| member.id.as_ref());
    let Groups { joined, unsure, unsure_of } = groups;
    let is_theirs = |whose: &String| member.is_none_or(|member| member == whose);
    let joined: Vec<_> =
        joined.into_iter().filter(|group| is_theirs(&group.member) && !document.groups.contains(group)).collect();
    let is_new = |name: &String| !document.groups_unsure.contains(name) && unsure_of.get(name).is_none_or(is_theirs);
    let unsure: Vec<_> = unsure.into_iter().filter(is_new).collect();
    folding.wake(document.not_followed_since.is_none() && !(joined.is_empty() && unsure.is_empty()));
    document.groups.extend(joined);
    document.take_unsure(unsure, unsure_of);
}

/// The entry that notifies a former record of what HR says about this person.
#[must_use]
pub fn owner_word(document: &Document, owner: OwnerNow) -> Word {
    Word::Groups { from: document.person.clone(), groups: Groups::default(), owner: Some(owner), asks: None }
}
