//! Folding an inbox into a person's document.

use super::document::{Document, Groups, OPEN_JOBS_MAX, OpenJob, Progress, Staged, UnknownCreate};
use super::employment::{EmploymentState, EmploymentWord};
use super::event::{Event, EventKind, Facts};
use super::identity::Person;
use super::inbox::{Asks, Entry, Word};
use super::job::{Finished, JobId};
use super::record::{Closed, Folded, OwnerNow, Record, is_since, stamp_of};
use super::story::{Note, StoryEntry};
use crate::core::code::Code;
use crate::core::fetch::verdict::OwedRead;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

/// The result of folding an inbox.
#[derive(Debug, Clone, Default)]
pub struct Folding {
    /// Entries for the story.
    pub story: Vec<StoryEntry>,
    /// Jobs that ended.
    pub ended: Vec<(JobId, Finished)>,
    /// Whether the target must be looked at.
    pub calls_for_attempt: bool,
    /// Whether that is for more than a notice, of which only the read shows whether it is news: a pause ends.
    pub ends_pause: bool,
    /// A worker was killed during an earlier attempt.
    pub is_cut_off: bool,
    /// Events about another person whose [`super::PersonId`] happens to be the same. They are not folded.
    pub strangers: Vec<(JobId, Event)>,
    /// What to send to other records about a member who was handed over.
    pub outgoing: Vec<(Person, Word)>,
    /// Dead letters about fields for which HR has stated a usable value since: they are over.
    pub answered: Vec<JobId>,
    /// How many events had a time too far ahead to be trusted.
    pub ahead: u32,
    /// How many events said something that is news.
    pub told_news: u64,
    /// How many said something that was outdated by then, and nothing else.
    pub outdated: u64,
}

/// Folds entries into the document, in order of acceptance. `seq` is each entry's place in the store.
pub fn fold(document: &mut Document, entries: Vec<(u64, Entry)>, now: UnixMs) -> Folding {
    let mut folding = Folding::default();
    for (seq, entry) in entries {
        let Entry { accepted_at, word, trace } = entry;
        match word {
            Word::Event { job, event, .. } if event.person != document.person => {
                folding.strangers.push((job, *event));
            }
            Word::Event { job, event, letter } => {
                if let Some(letter) = letter {
                    let mut stamp = stamp_of(&event, accepted_at, seq);
                    if event.facts.day_ends.is_some() {
                        // A day has no instant: what came before it on the same day does not answer it.
                        stamp.at = stamp.at.max(accepted_at);
                    }
                    document.note_letter(letter, stamp);
                }
                let folded =
                    fold_facts(document, &event, |record| fold_said(record, &event, accepted_at, seq), accepted_at);
                folding.told_news += u64::from(!folded.news.is_empty());
                if !folded.news.is_empty() {
                    // What a plan decided was about what HR had said until then.
                    document.yields_to.clear();
                }
                folding.outdated += u64::from(folded.is_outdated);
                let counts = !folded.is_outdated;
                take_in(document, &mut folding, (job, trace), &event, accepted_at, (&folded, counts));
            }
            Word::Staged { job, event, .. } if event.person != document.person => {
                folding.strangers.push((job, *event));
            }
            Word::Staged { import, job, event, leaves_at } => {
                let event = *event;
                document.staged = Some(Box::new(Staged { import, job, accepted_at, seq, event, leaves_at }));
            }
            Word::Apply { import, member, after } => {
                if apply(document, &mut folding, &import, member) {
                    document.yields_to = after;
                }
            }
            Word::HandedOver { to, is_another, address_hash, said_at } => {
                let closed = Closed { to, is_another, at: accepted_at, said_at, address_hash, owner: None };
                hand_over(document, &mut folding, closed);
            }
            Word::Groups { from, owner: Some(owner), .. } => hear_of_owner(document, &mut folding, &from, owner),
            Word::Groups { from, groups, owner: None, asks } => {
                take_groups(document, &mut folding, &from, groups);
                let asks = asks.and_then(|asks| document.note_former(from, asks.address_hash));
                folding.outgoing.extend(asks.map(|(to, owner)| (to, owner_word(document, owner))));
            }
            Word::CutOff => {
                let is_known = document.member.as_ref().is_some_and(|member| member.id.is_some());
                if !is_known {
                    let unknown = UnknownCreate::guessed(now, false);
                    document.progress.create_unknown.get_or_insert(unknown);
                }
                folding.is_cut_off = true;
                folding.wake(document.not_followed_since.is_none());
                folding.tell(now, Note::TakenOver);
            }
            Word::TryAgain { by } => {
                let Progress { create_unknown, .. } = document.progress;
                document.progress = Progress { create_unknown, ..Progress::default() };
                (document.not_followed_since, document.looked) = (None, None);
                document.gone_at_hr = None;
                // Somebody may have deleted a group that they were put into: all are looked up, and joined again.
                let joined = std::mem::take(&mut document.groups);
                let (names, of) =
                    joined.into_iter().map(|group| (group.name.clone(), (group.name, group.member))).unzip();
                document.take_unsure(names, of);
                if let Some(owed) = &mut document.owed_read {
                    owed.again();
                }
                folding.wake(true);
                folding.tell(now, Note::Replayed { by });
            }
            Word::Discard { by, .. } => discard(document, &mut folding, by, now),
        }
    }
    let surplus = document.open.len().saturating_sub(OPEN_JOBS_MAX);
    for job in document.open.drain(..surplus) {
        folding.end(now, job.id, Finished::Superseded);
    }
    document.follow_next(now);
    folding.answered = document.take_answered();
    folding
}

/// Folds an event's facts into the record by `fold`.
fn fold_facts(
    document: &mut Document,
    event: &Event,
    fold: impl FnOnce(&mut Record) -> Folded,
    accepted_at: UnixMs,
) -> Folded {
    let before = document.record.employment.at(accepted_at);
    document.note_labels(event);
    let folded = document.folding(event.facts.email.as_ref(), accepted_at, fold);
    if event.kind == EventKind::Update || event.facts.is_status {
        say_again(document, before, accepted_at);
    }
    folded
}

/// Folds in what an event states. Of a notice, only scope counts, which may be known from it alone; the read brings the
/// rest.
fn fold_said(record: &mut Record, event: &Event, accepted_at: UnixMs, seq: u64) -> Folded {
    if event.kind == EventKind::Notice {
        let facts = Facts { scope: event.facts.scope, day_ends: event.facts.day_ends, ..Facts::default() };
        record.fold(&Event { facts, ..event.clone() }, accepted_at, seq)
    } else {
        record.fold(event, accepted_at, seq)
    }
}

/// Opens a job for the event, or ends it at once. `counts`: it makes HR's statements count again after a discard.
fn take_in(
    document: &mut Document,
    folding: &mut Folding,
    (job, trace): (JobId, Option<TraceContext>),
    event: &Event,
    accepted_at: UnixMs,
    (folded, counts): (&Folded, bool),
) {
    folding.ahead += u32::from(folded.is_ahead);
    let is_notice = event.kind == EventKind::Notice;
    let is_back = reopen(document);
    let is_news = !folded.news.is_empty() || is_notice || is_back;
    folding.tell(
        accepted_at,
        Note::Received {
            job,
            kind: event.kind,
            told_at: event.at,
            facts: event.facts.names().into_iter().map(str::to_owned).collect(),
            news: folded.news.iter().map(|name| (*name).to_owned()).collect(),
        },
    );
    // A notice does not say whether they are back; only the read does.
    let may_be_back = |closed: &Closed| closed.is_another || closed.is_doubtful();
    let asks_read = is_notice && document.record.closed.as_ref().is_some_and(may_be_back);
    if document.record.closed.is_some() && !asks_read {
        document.words_after_close = document.words_after_close.saturating_add(1);
        folding.end(accepted_at, job, Finished::HandedOver);
        return;
    }
    // A read since then may be newer, or may have been a moment too early, so read again.
    let is_doubtful = !is_notice && event.at.is_some_and(|at| document.read_at.is_some_and(|read| at <= read));
    // The first event after a discard makes HR's statements count again, even if it says the same; an outdated one does
    // not, nor does a row that repeats what is known: the same roster may come every night.
    let ends_discard = counts && document.not_followed_since.is_some();
    if !is_doubtful && !ends_discard && (!is_news || document.not_followed_since.is_some()) {
        folding.end(accepted_at, job, Finished::Superseded);
        return;
    }
    if is_notice || is_doubtful {
        // If the leave may be older than the last read, or is still ahead, a 404 does not mean that they have left.
        let says_removed = |from: Option<UnixMs>| from.is_none_or(|from| from <= accepted_at);
        let is_removal =
            is_notice && matches!(event.facts.employment, Some((EmploymentState::Left, from)) if says_removed(from));
        OwedRead::note(&mut document.owed_read, accepted_at, is_removal);
    }
    // A joiner or leaver is looked for again, however many members there are.
    document.looked.take_if(|_| event.facts.employment.is_some() || event.facts.scope.is_some());
    // Of a notice, the read will show whether it is news.
    if is_back || ends_discard || !(is_notice || is_doubtful) || !folded.news.is_empty() {
        document.progress.heed_news();
        folding.ends_pause = true;
    }
    (document.not_followed_since, document.gone_at_hr) = (None, None);
    folding.calls_for_attempt = true;
    let employment = event.facts.employment.and_then(|(_, from)| from);
    let scope = event.facts.scope.and_then(|(_, from)| from);
    let from = employment.or(scope).or(event.facts.starts).filter(|from| *from > accepted_at);
    let kind = if is_doubtful { EventKind::Notice } else { event.kind };
    document.open.push(OpenJob { id: job, kind, accepted_at, from, trace });
}

/// A person who comes back has nothing to do with the member who was handed over. Returns whether they come back.
fn reopen(document: &mut Document) -> bool {
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
fn hear_of_owner(document: &mut Document, folding: &mut Folding, from: &Person, owner: OwnerNow) {
    let Some(closed) = document.record.closed.as_mut().filter(|closed| closed.to == *from) else { return };
    closed.owner = Some(owner);
    let is_back = reopen(document);
    folding.wake(is_back);
}

/// Rows of another import, and rows already applied, change nothing, so an apply may be repeated. Returns whether this one
/// changes anything.
fn apply(document: &mut Document, folding: &mut Folding, import: &str, member: Option<String>) -> bool {
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
    document.record.leave_out_said_since(&mut event.facts, accepted_at, seq);
    // What was said about employment since then also overrides what the row announces.
    let is_said_since = |word: &EmploymentWord| !word.is_early && is_since(&word.stamp, accepted_at, seq);
    let said_since = document.record.employment.words().iter().any(is_said_since);
    let leaves_at = leaves_at.filter(|_| !said_since);
    let mut folded = fold_facts(document, &event, |record| record.fold_row(&event, accepted_at, seq), accepted_at);
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
fn say_again(document: &mut Document, before: Option<EmploymentWord>, now: UnixMs) {
    let after = document.record.employment.at(now);
    if let (Some(before), Some(after)) = (before, after)
        && before.state == after.state
        && document.employment_done.is_some_and(|done| done >= before.stamp && done < after.stamp)
    {
        document.employment_done = Some(after.stamp);
    }
}

fn hand_over(document: &mut Document, folding: &mut Folding, closed: Closed) {
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

/// Takes in the groups of a member who was taken over, so that the member is removed from them. They came with the
/// take-over, but are sent once more, since the worker may have died before it noted them.
fn take_groups(document: &mut Document, folding: &mut Folding, from: &Person, groups: Groups) {
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

fn discard(document: &mut Document, folding: &mut Folding, by: String, now: UnixMs) {
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
    document.not_followed_since = Some(now);
    folding.calls_for_attempt = false;
}

impl Folding {
    fn wake(&mut self, is_needed: bool) {
        self.calls_for_attempt |= is_needed;
        self.ends_pause |= is_needed;
    }

    fn tell(&mut self, at: UnixMs, note: Note) {
        self.story.push(StoryEntry { at, note });
    }

    fn end(&mut self, at: UnixMs, job: JobId, outcome: Finished) {
        self.ended.push((job, outcome));
        self.tell(at, Note::Ended { job, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::code::Code;
    use crate::core::person::document::{JoinedGroup, KnownMember, Trouble};
    use crate::core::person::letter::Letter;
    use crate::core::person::samples::member;
    use crate::core::person::{
        AddressHash, Email, EmploymentState, Facts, Mark, Name, Person, Scope, SourceName, Stated,
    };

    fn ada() -> Person {
        Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap()
    }

    fn update(n: u64, at: i64, family: &str) -> (u64, Entry) {
        let name = Name::parse("family_name", family).unwrap().map(Stated::Is);
        let facts = Facts { family_name: name, ..Facts::default() };
        let event = Event { person: ada(), kind: EventKind::Update, at: Some(UnixMs(at)), facts };
        let job = JobId::about(u128::from(n) << 64, ada().id());
        let accepted_at = UnixMs(1_000 + i64::try_from(n).unwrap());
        (n, Entry { accepted_at, word: Word::Event { job, event: Box::new(event), letter: None }, trace: None })
    }

    fn other(n: u64, word: Word) -> (u64, Entry) {
        (n, Entry { accepted_at: UnixMs(2_000), word, trace: None })
    }

    #[test]
    fn outdated_events_end_at_once_and_the_rest_stay_open() {
        let mut document = Document::new(ada());
        let folding = fold(&mut document, vec![update(1, 20, "King"), update(2, 10, "Byron")], UnixMs(3_000));
        assert_eq!(document.record.family_name(), Some("King"));
        assert_eq!(document.open.len(), 1);
        assert_eq!(folding.ended.len(), 1);
        assert_eq!(folding.ended[0].1, Finished::Superseded);
        assert!(folding.calls_for_attempt);
    }

    #[test]
    fn thousands_of_events_leave_a_bounded_document() {
        let mut document = Document::new(ada());
        let words = (1..=10_000).map(|n| update(n, i64::try_from(n).unwrap(), &format!("No{n}"))).collect();
        let folding = fold(&mut document, words, UnixMs(30_000));
        assert_eq!(document.record.family_name(), Some("No10000"));
        assert_eq!(document.open.len(), OPEN_JOBS_MAX);
        assert_eq!(folding.ended.len(), 10_000 - OPEN_JOBS_MAX);
        assert!(document.to_bytes().len() < 64 * 1024);
    }

    #[test]
    fn a_closed_record_keeps_events_and_applies_none() {
        let mut document = Document::new(ada());
        let to = Person::parse(SourceName::parse("hr").unwrap(), "E-2").unwrap();
        let folding = fold(
            &mut document,
            vec![
                other(1, Word::HandedOver { to, is_another: true, address_hash: None, said_at: None }),
                update(2, 20, "King"),
            ],
            UnixMs(3_000),
        );
        assert_eq!(document.words_after_close, 1);
        assert_eq!(folding.ended, [(JobId::about(2 << 64, ada().id()), Finished::HandedOver)]);
        assert!(!folding.calls_for_attempt);
    }

    /// Ada was handed over to somebody else at 1,500.
    fn handed_over() -> (u64, Entry) {
        let to = Person::parse(SourceName::parse("hr").unwrap(), "E-2").unwrap();
        let word = Word::HandedOver { to, is_another: true, address_hash: None, said_at: None };
        (1, Entry { accepted_at: UnixMs(1_500), word, trace: None })
    }

    fn handed_to(to: &Person) -> (u64, Entry) {
        other(1, Word::HandedOver { to: to.clone(), is_another: false, address_hash: None, said_at: None })
    }

    /// The groups that are sent to others.
    fn groups_sent(folding: Folding) -> Vec<(Person, Groups)> {
        let groups = |(to, word)| match word {
            Word::Groups { groups, owner: None, .. } => (to, groups),
            other => panic!("{other:?}"),
        };
        folding.outgoing.into_iter().map(groups).collect()
    }

    fn said(n: u64, kind: EventKind, at: i64, facts: Facts) -> (u64, Entry) {
        let event = Event { person: ada(), kind, at: Some(UnixMs(at)), facts };
        let word =
            Word::Event { job: JobId::about(u128::from(n) << 64, ada().id()), event: Box::new(event), letter: None };
        (n, Entry { accepted_at: UnixMs(1_600 + i64::try_from(n).unwrap()), word, trace: None })
    }

    #[test]
    fn a_return_is_seen_in_any_batching_and_at_any_time() {
        let employed = |from: Option<i64>| Some((EmploymentState::Employed, from.map(UnixMs)));
        let address = Email::parse("ada.king@example.com").ok();
        let whole = |at| {
            said(
                2,
                EventKind::Hire,
                at,
                Facts { employment: employed(None), email: address.clone(), ..Facts::default() },
            )
        };
        let hire = |n| said(n, EventKind::Hire, 1_600, Facts { employment: employed(None), ..Facts::default() });
        let update = |n| said(n, EventKind::Update, 1_601, Facts { email: address.clone(), ..Facts::default() });
        let ahead = Facts { employment: employed(Some(9_000)), email: address.clone(), ..Facts::default() };
        let day = Facts {
            employment: employed(None),
            email: address.clone(),
            day_ends: Some(UnixMs(2_000)),
            ..Facts::default()
        };
        for (told, comes_back) in [
            (vec![whole(1_550)], true),
            (vec![whole(1_400)], false),
            (vec![hire(2), update(3)], true),
            (vec![update(2), hire(3)], true),
            (vec![hire(2)], false),
            (vec![said(2, EventKind::Hire, 1_600, ahead)], true),
            (vec![said(2, EventKind::Hire, 1_000, day)], true),
        ] {
            for (batches, now) in [(1, 1_700), (1, 900_000), (2, 1_700), (3, 900_000)] {
                let mut document = Document::new(ada());
                let mut entries = vec![handed_over()];
                entries.extend(told.clone());
                let mut ended = Vec::new();
                for batch in entries.chunks(entries.len().div_ceil(batches)) {
                    ended.extend(fold(&mut document, batch.to_vec(), UnixMs(now)).ended);
                }
                assert_eq!(document.record.closed.is_none(), comes_back, "{told:?} {batches} {now}");
                assert_eq!(document.open.is_empty(), !comes_back);
            }
        }
    }

    /// Deliveries of hours ago, as after an outage: HR's own order counts.
    #[test]
    fn a_return_is_newer_than_a_hand_over_by_hrs_clock_and_not_by_the_bridges() {
        let employed = Some((EmploymentState::Employed, None));
        let facts = |email: &str| Facts { employment: employed, email: Email::parse(email).ok(), ..Facts::default() };
        for (is_another, at, email, comes_back) in [
            (true, 130, "ann2@example.com", true),
            (true, 110, "ann2@example.com", true),
            (true, 110, "ann@example.com", false),
            (false, 130, "ann2@example.com", false),
            // HR had moved them away before it gave the address to somebody else.
            (false, 110, "ann2@example.com", true),
        ] {
            let mut document = Document::new(ada());
            fold(&mut document, vec![said(1, EventKind::Hire, 100, facts("ann@example.com"))], UnixMs(1_650));
            let to = Person::parse(SourceName::parse("hr").unwrap(), "E-2").unwrap();
            let address_hash = Some(AddressHash::of("ann@example.com"));
            let word = Word::HandedOver { to, is_another, address_hash, said_at: Some(UnixMs(120)) };
            let handed = (2, Entry { accepted_at: UnixMs(1_660), word, trace: None });
            fold(&mut document, vec![handed], UnixMs(1_660));
            let (seq, mut told) = said(3, EventKind::Hire, at, facts(email));
            told.accepted_at = UnixMs(1_700);
            fold(&mut document, vec![(seq, told)], UnixMs(1_700));
            assert_eq!(document.record.closed.is_none(), comes_back, "{is_another} {at} {email}");
        }
    }

    #[test]
    fn a_notice_about_a_closed_record_is_read_and_may_reopen_it() {
        let mut document = Document::new(ada());
        let folding = fold(
            &mut document,
            vec![handed_over(), said(2, EventKind::Notice, 1_600, Facts::default())],
            UnixMs(1_700),
        );
        assert!(folding.calls_for_attempt && document.owed_read.is_some() && document.open.len() == 1);
        let facts = |state| Facts {
            employment: Some((state, None)),
            email: Email::parse("ada.king@example.com").ok(),
            ..Facts::default()
        };
        let read = |facts| vec![Event { person: ada(), kind: EventKind::Update, at: Some(UnixMs(1_800)), facts }];
        fold_read(&mut document, read(facts(EmploymentState::Left)), UnixMs(1_800), 2);
        assert!(document.record.closed.is_some());
        fold_read(&mut document, read(facts(EmploymentState::Employed)), UnixMs(1_900), 3);
        assert!(document.record.closed.is_none());
    }

    #[test]
    fn groups_go_to_the_members_new_owner_and_are_sent_twice_in_case_the_first_was_lost() {
        let group = JoinedGroup { name: "Sales".to_owned(), id: "g".to_owned(), member: "m".to_owned() };
        let mut former =
            Document { groups: vec![group.clone()], groups_unsure: vec!["R&D".to_owned()], ..Document::new(ada()) };
        let folding = fold(&mut former, vec![handed_over()], UnixMs(1_700));
        let (to, groups) = groups_sent(folding).remove(0);
        assert!(former.groups.is_empty() && former.groups_unsure.is_empty());
        let word = |n| other(n, Word::Groups { from: ada(), groups: groups.clone(), owner: None, asks: None });
        let mut document = Document::new(to.clone());
        assert!(fold(&mut document, vec![word(1)], UnixMs(3_000)).calls_for_attempt);
        assert_eq!((&document.groups, &document.groups_unsure), (&vec![group], &vec!["R&D".to_owned()]));
        assert!(!fold(&mut document, vec![word(2)], UnixMs(3_000)).calls_for_attempt, "known");
        // Noted, and out of the groups by now.
        let mut noted = Document { groups_taken_from: Some(ada()), ..Document::new(to.clone()) };
        assert!(!fold(&mut noted, vec![word(1)], UnixMs(3_000)).calls_for_attempt);
        assert_eq!((noted.groups.len(), noted.groups_taken_from), (0, None));
        // Handed on meanwhile.
        let mut closed = Document::new(to);
        let next = Person::parse(SourceName::parse("hr").unwrap(), "E-3").unwrap();
        let told = groups_sent(fold(&mut closed, vec![handed_to(&next), word(2)], UnixMs(3_000)));
        assert_eq!(told, [(next.clone(), Groups::default()), (next.clone(), groups.clone())]);
        // Of two former owners in one inbox.
        let mut closed = Document::new(next.clone());
        let last = Person::parse(SourceName::parse("hr").unwrap(), "E-4").unwrap();
        let others = Groups { unsure: vec!["Other".to_owned()], ..Groups::default() };
        let second = other(3, Word::Groups { from: next, groups: others.clone(), owner: None, asks: None });
        let told = groups_sent(fold(&mut closed, vec![handed_to(&last), word(2), second], UnixMs(3_000)));
        assert_eq!(told, [(last.clone(), Groups::default()), (last.clone(), groups), (last, others)]);
    }

    /// What is sent to others after a fold.
    fn sent(document: &mut Document, entries: Vec<(u64, Entry)>) -> Vec<(Person, Word)> {
        let mut sent = fold(document, entries, UnixMs(5_000)).outgoing;
        sent.extend(document.tell_formers(UnixMs(5_000)).into_iter().map(|(to, owner)| {
            let word = owner_word(document, owner);
            (to, word)
        }));
        sent
    }

    #[test]
    fn former_records_are_notified_of_the_members_present_owner() {
        let person = |id: &str| Person::parse(SourceName::parse("hr").unwrap(), id).unwrap();
        let address = Email::parse("ada@example.com").ok();
        let handed = |to: &str| {
            other(
                1,
                Word::HandedOver {
                    to: person(to),
                    is_another: false,
                    address_hash: address.as_ref().map(|email| AddressHash::of(email.key())),
                    said_at: None,
                },
            )
        };
        let [mut one, mut two, mut three] = ["E-1", "E-2", "E-3"].map(|id| Document::new(person(id)));
        let said = |id, from: Option<&str>, employment| {
            let facts = Facts {
                email: from.and_then(|email| Email::parse(email).ok()),
                employment: Some((employment, None)),
                ..Facts::default()
            };
            let event = Box::new(Event { person: person(id), kind: EventKind::Update, at: None, facts });
            other(2, Word::Event { job: JobId::about(2 << 64, person(id).id()), event, letter: None })
        };
        let (to, asks) = sent(&mut one, vec![handed("E-2")]).remove(0);
        assert_eq!(to, person("E-2"));
        let kept = String::from_utf8(one.to_bytes()).unwrap();
        assert!(!kept.contains("ada@example.com"), "the new owner may be erased: {kept}");
        // The new owner moves before the word arrives.
        let moved = said("E-2", Some("ada2@example.com"), EmploymentState::Employed);
        let (to, word) = sent(&mut two, vec![moved, other(3, asks)]).remove(0);
        assert_eq!(to, person("E-1"));
        sent(&mut one, vec![other(3, word)]);
        assert!(one.record.closed.as_ref().unwrap().owner_has_moved());
        // Handed on to a third record: its end reaches the first.
        let told = sent(&mut two, vec![handed("E-3")]);
        assert_eq!(told.len(), 1, "{told:?}");
        let asks = told.into_iter().map(|(_, word)| other(4, word)).collect();
        assert_eq!(sent(&mut three, asks), []);
        let (to, word) = sent(&mut three, vec![said("E-3", None, EmploymentState::Left)]).remove(0);
        assert_eq!(to, person("E-2"));
        let again = (to, word.clone());
        let (to, passed_on) = sent(&mut two, vec![other(5, word)]).remove(0);
        assert_eq!(to, person("E-1"));
        assert_eq!(sent(&mut two, vec![other(6, again.1)]), [], "sent before");
        sent(&mut one, vec![other(5, passed_on)]);
        let owner = one.record.closed.as_ref().unwrap().owner.unwrap();
        assert_eq!((owner.has_moved, owner.left.is_some()), (true, true));
        // What HR says afterwards of the second one is about nobody's member.
        assert_eq!(sent(&mut two, vec![said("E-2", Some("ada3@example.com"), EmploymentState::Left)]), []);
    }

    #[test]
    fn unsure_groups_belong_to_one_member() {
        let mut former = Document { member: Some(member("m", Some(true))), ..Document::new(ada()) };
        former.note_unsure("R&D".to_owned());
        let (to, groups) = groups_sent(fold(&mut former, vec![handed_over()], UnixMs(1_700))).remove(0);
        let taken = |whose: Option<KnownMember>| {
            let mut document = Document { member: whose, ..Document::new(to.clone()) };
            let word = other(1, Word::Groups { from: ada(), groups: groups.clone(), owner: None, asks: None });
            let asks = fold(&mut document, vec![word], UnixMs(3_000)).calls_for_attempt;
            (asks, document)
        };
        assert!(!taken(Some(member("n", Some(true)))).0, "somebody else may have put that one in");
        assert!(taken(Some(member("m", Some(true)))).0);
        let (asks, mut document) = taken(None);
        assert!(asks);
        document.keep_unsure_of("m");
        assert_eq!(document.groups_unsure, ["R&D"]);
        document.keep_unsure_of("n");
        assert!(document.groups_unsure.is_empty() && document.groups_unsure_of.is_empty());
    }

    #[test]
    fn an_event_without_news_is_outdated_if_the_record_says_otherwise() {
        let mut document = Document::new(ada());
        let folded = |document: &mut Document, entry| {
            let folding = fold(document, vec![entry], UnixMs(3_000));
            (folding.told_news, folding.outdated)
        };
        assert_eq!(folded(&mut document, update(1, 20, "King")), (1, 0));
        assert_eq!(folded(&mut document, update(2, 10, "Byron")), (0, 1));
        assert_eq!(folded(&mut document, update(3, 10, "King")), (0, 0), "it is so");
        assert_eq!(folded(&mut document, update(4, 20, "King")), (0, 0), "redelivered");
    }

    #[test]
    fn only_a_removal_in_effect_makes_a_removal_notice() {
        use EventKind::{Leave, Notice};
        let left = |from: Option<i64>| Some((EmploymentState::Left, from.map(UnixMs)));
        for (kind, employment, is_removal) in [
            (Notice, left(None), true),
            (Notice, left(Some(500)), true),
            (Notice, left(Some(9_000)), false),
            (Notice, None, false),
            // For a time before the last read.
            (Leave, left(None), false),
            (Leave, left(Some(9_000)), false),
        ] {
            let mut document = Document { read_at: Some(UnixMs(900)), ..Document::new(ada()) };
            let (seq, mut entry) = update(1, 800, "King");
            if let Word::Event { event, .. } = &mut entry.word {
                event.kind = kind;
                event.facts = Facts { employment, ..Facts::default() };
            }
            fold(&mut document, vec![(seq, entry)], UnixMs(3_000));
            assert_eq!(document.owed_read.unwrap().removed, is_removal, "{kind:?} {employment:?}");
        }
    }

    #[test]
    fn scope_that_was_read_counts_now_even_after_statements_dated_ahead() {
        let now = UnixMs(2_000_000);
        let ahead = now.plus_ms(600_000);
        let mut document = Document::new(ada());
        let (seq, mut entry) = update(1, ahead.0, "King");
        entry.accepted_at = now;
        fold(&mut document, vec![(seq, entry)], now);
        let read = |document: &mut Document, scope, seq| {
            let facts = Facts { scope: Some((scope, None)), ..Facts::default() };
            let event = Event { person: ada(), kind: EventKind::Update, at: Some(now), facts };
            fold_read(document, vec![event], now, seq);
            document.record.is_out_of_scope(now)
        };
        assert!(read(&mut document, Scope::Out, 2));
        assert!(!read(&mut document, Scope::In, 3));
        assert_eq!(document.record.next_change(now), None);
    }

    #[test]
    fn after_a_discard_the_record_is_not_followed_until_the_next_event() {
        let mut document = Document::new(ada());
        fold(&mut document, vec![update(1, 20, "King")], UnixMs(3_000));
        document.trouble = Some(Trouble {
            id: document.open[0].id,
            code: Code::ScimRejected,
            detail: String::new(),
            since: UnixMs(0),
            tried_at: None,
        });
        let by = "admin".to_owned();
        let folding = fold(&mut document, vec![other(2, Word::Discard { by, reason: None })], UnixMs(3_001));
        assert_eq!((document.open.len(), document.trouble.clone()), (0, None));
        assert_eq!(document.not_followed_since, Some(UnixMs(3_001)));
        assert!(!folding.calls_for_attempt);
        let mut again = document.clone();
        fold(&mut document, vec![update(3, 30, "Lovelace")], UnixMs(3_002));
        assert_eq!(document.not_followed_since, None);
        // HR says the same once more.
        let folding = fold(&mut again, vec![update(3, 20, "King")], UnixMs(3_002));
        assert_eq!((again.not_followed_since, again.open.len()), (None, 1));
        assert!(folding.calls_for_attempt && folding.ended.is_empty());
    }

    #[test]
    fn a_row_that_repeats_what_is_known_and_an_outdated_event_leave_a_discard_alone() {
        let row = |seq: u64, import: &str, family: &str| {
            let facts = Facts {
                family_name: Name::parse("family_name", family).unwrap().map(Stated::Is),
                employment: Some((EmploymentState::Employed, None)),
                ..Facts::default()
            };
            let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: None, facts });
            let job = JobId::about(u128::from(seq) << 64, ada().id());
            let import = import.to_owned();
            let staged = Word::Staged { import: import.clone(), job, event, leaves_at: None };
            let at = UnixMs(i64::try_from(seq).unwrap() * 1_000);
            let entry = |seq, word| (seq, Entry { accepted_at: at, word, trace: None });
            vec![entry(seq, staged), entry(seq + 1, Word::Apply { import, member: None, after: Vec::new() })]
        };
        let mut document = Document::new(ada());
        fold(&mut document, row(4, "first", "King"), UnixMs(4_000));
        fold(&mut document, vec![other(6, Word::Discard { by: "admin".to_owned(), reason: None })], UnixMs(6_000));
        document.not_followed_since = Some(UnixMs(6_000));
        // The same file again, the next night.
        let folding = fold(&mut document, row(8, "second", "King"), UnixMs(8_000));
        assert_eq!((document.not_followed_since, document.open.len()), (Some(UnixMs(6_000)), 0));
        assert!(!folding.calls_for_attempt && folding.ended.iter().all(|(_, end)| *end == Finished::Superseded));
        fold(&mut document, vec![update(10, 20, "Older")], UnixMs(10_000));
        assert_eq!(document.not_followed_since, Some(UnixMs(6_000)), "it is outdated");
        let folding = fold(&mut document, row(12, "third", "Stone"), UnixMs(12_000));
        assert!(document.not_followed_since.is_none() && folding.calls_for_attempt, "a fact has changed");
    }

    #[test]
    fn a_notice_calls_for_an_attempt_and_ends_no_pause() {
        let mut document = Document::new(ada());
        document.progress.suspicions = 2;
        let event = Event { person: ada(), kind: EventKind::Notice, at: None, facts: Facts::default() };
        let word =
            |event: Event| Word::Event { job: JobId::about(1 << 64, ada().id()), event: Box::new(event), letter: None };
        let folding = fold(&mut document, vec![other(1, word(event))], UnixMs(3_000));
        assert!(folding.calls_for_attempt && !folding.ends_pause);
        assert_eq!(document.progress.suspicions, 2, "it may say nothing");
        let folding = fold(&mut document, vec![update(2, 20, "King")], UnixMs(3_001));
        assert!(folding.ends_pause);
        assert_eq!(document.progress.suspicions, 0);
    }

    #[test]
    fn a_person_unknown_to_hr_stays_marked_after_a_discard_while_they_may_be_active() {
        let discarded = |active| {
            let mut document = Document::new(ada());
            fold(&mut document, vec![update(1, 20, "King")], UnixMs(3_000));
            let (id, since) = (document.open[0].id, UnixMs(0));
            document.trouble =
                Some(Trouble { id, code: Code::FetchNotFound, detail: String::new(), since, tried_at: None });
            document.member = Some(member("m1", active));
            let by = "admin".to_owned();
            fold(&mut document, vec![other(2, Word::Discard { by, reason: None })], UnixMs(3_001));
            document
        };
        assert_eq!(discarded(Some(false)).marks(), []);
        let mut document = discarded(Some(true));
        assert_eq!(document.marks(), [Mark::GoneAtHr]);
        assert_eq!(document.marked_since(Mark::GoneAtHr), Some(UnixMs(3_001)));
        fold(&mut document, vec![update(3, 30, "Lovelace")], UnixMs(3_002));
        assert_eq!(document.marks(), [], "HR says something of them");
    }

    #[test]
    fn a_value_of_the_same_day_that_came_before_answers_no_letter() {
        let mut document = Document::new(ada());
        fold(&mut document, vec![update(1, 500, "King")], UnixMs(3_000));
        // Dated with the day from 0 to 10,000.
        let facts = Facts { day_ends: Some(UnixMs(10_000)), ..Facts::default() };
        let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: Some(UnixMs(0)), facts });
        let job = JobId::about(2 << 64, ada().id());
        let letter = Letter::of(job, &["family_name"]);
        let folding = fold(&mut document, vec![other(2, Word::Event { job, event, letter })], UnixMs(3_001));
        assert_eq!((folding.answered.len(), document.letters.len()), (0, 1));
        let folding = fold(&mut document, vec![update(3, 4_000, "Byron")], UnixMs(5_000));
        assert_eq!((folding.answered, document.letters.len()), (vec![job], 0));
    }

    #[test]
    fn a_listed_member_no_longer_counts_as_invited() {
        let mut document = Document::new(ada());
        document.member = Some(KnownMember { is_unshown: true, ..member("m1", Some(true)) });
        for (shown, is_unshown) in [(None, true), (Some("m2"), true), (Some("m1"), false)] {
            let word = Word::Apply { import: String::new(), member: shown.map(str::to_owned), after: Vec::new() };
            let folding = fold(&mut document, vec![other(1, word)], UnixMs(3_000));
            assert_eq!(document.member.as_ref().unwrap().is_unshown, is_unshown, "{shown:?}");
            assert!(!folding.calls_for_attempt);
        }
    }

    #[test]
    fn a_staged_row_may_announce_a_leave_and_counts_once_it_is_applied() {
        let mut document = Document::new(ada());
        let facts = Facts { employment: Some((EmploymentState::Employed, None)), ..Facts::default() };
        let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: None, facts });
        let job = JobId::about(1 << 64, ada().id());
        let staged = Word::Staged { import: "i".to_owned(), job, event, leaves_at: Some(UnixMs(9_000)) };
        fold(&mut document, vec![other(1, staged)], UnixMs(3_000));
        assert_eq!(document.record.employment.at(UnixMs(3_000)), None);
        let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
        fold(&mut document, vec![other(2, apply)], UnixMs(3_000));
        let state = |at: i64| document.record.employment.at(UnixMs(at)).map(|word| word.state);
        assert_eq!(state(3_000), Some(EmploymentState::Employed));
        assert_eq!(state(9_000), Some(EmploymentState::Left));
    }

    #[test]
    fn a_row_does_not_override_news_since_the_roster_was_read() {
        let employed = Some((EmploymentState::Employed, None));
        let facts = Facts {
            employment: employed,
            family_name: Name::parse("family_name", "Old").unwrap().map(Stated::Is),
            ..Facts::default()
        };
        let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: None, facts });
        let job = JobId::about(1 << 64, ada().id());
        let staged = Word::Staged { import: "i".to_owned(), job, event, leaves_at: None };
        let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
        // A webhook's time is a little before its arrival.
        let leave = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
        let leave = Event { person: ada(), kind: EventKind::Leave, at: Some(UnixMs(1_900)), facts: leave };
        let leave = |seq, at| {
            let word = Word::Event { job, event: Box::new(leave.clone()), letter: None };
            (seq, Entry { accepted_at: UnixMs(at), word, trace: None })
        };
        for (leave, state) in [(leave(3, 2_050), EmploymentState::Left), (leave(1, 1_950), EmploymentState::Employed)] {
            let mut document = Document::new(ada());
            let mut entries = vec![other(2, staged.clone()), leave, other(4, apply.clone())];
            entries.sort_by_key(|(seq, _)| *seq);
            fold(&mut document, entries, UnixMs(4_000));
            assert_eq!(document.record.employment.at(UnixMs(4_000)).map(|word| word.state), Some(state));
            assert_eq!(document.record.family_name(), Some("Old"), "nothing was said of it since");
        }
    }

    #[test]
    fn an_older_statement_loses_to_a_roster_row_however_late_it_arrives() {
        let email = |email: &str| Facts { email: Email::parse(email).ok(), ..Facts::default() };
        let event = |at, facts| Box::new(Event { person: ada(), kind: EventKind::Update, at, facts });
        let (job, day) = (JobId::about(1 << 64, ada().id()), 86_400_000);
        let staged =
            Word::Staged { import: "i".to_owned(), job, event: event(None, email("new@example.com")), leaves_at: None };
        let late = Word::Event { job, event: event(Some(UnixMs(day)), email("old@example.com")), letter: None };
        let accepted = |seq, at, word| (seq, Entry { accepted_at: UnixMs(at), word, trace: None });
        let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
        let entries =
            vec![accepted(1, 9 * day, staged), accepted(2, 9 * day + 1, late), accepted(3, 9 * day + 2, apply)];
        let mut document = Document::new(ada());
        fold(&mut document, entries, UnixMs(9 * day + 3));
        assert_eq!(document.record.email(), Email::parse("new@example.com").ok().as_ref());
    }

    #[test]
    fn a_person_whose_worker_was_killed_may_have_been_created() {
        let mut document = Document::new(ada());
        let folding = fold(&mut document, vec![update(1, 20, "King"), other(2, Word::CutOff)], UnixMs(3_000));
        assert!(folding.is_cut_off && folding.calls_for_attempt);
        assert_eq!(
            document.progress.create_unknown.map(|create| (create.at, create.answered)),
            Some((UnixMs(3_000), false))
        );
        assert_eq!(document.progress.take_overs, 0, "it blames nobody");
    }

    #[test]
    fn another_person_with_the_same_number_is_distinguished() {
        let mut document = Document::new(ada());
        let (seq, mut entry) = update(1, 20, "King");
        if let Word::Event { event, .. } = &mut entry.word {
            event.person = Person::parse(SourceName::parse("hr").unwrap(), "E-9").unwrap();
            event.facts.employment = Some((EmploymentState::Employed, None));
        }
        let folding = fold(&mut document, vec![(seq, entry)], UnixMs(3_000));
        assert_eq!(folding.strangers.len(), 1);
        assert_eq!(document, Document::new(ada()));
    }
}
