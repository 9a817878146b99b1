//! Folding an inbox into a person's document.

pub use self::handover::owner_word;
use self::handover::{hand_over, hear_of_owner, reopen, take_groups};
use self::operator::{discard, try_again};
pub use self::read::fold_read;
use self::read::say_again;
use self::row::apply;
use super::aspect::Aspect;
use super::document::{Document, OPEN_JOBS_MAX, OpenJob, Staged, UnknownCreate};
use super::employment::EmploymentState;
use super::event::{Event, EventKind, Facts};
use super::identity::Person;
use super::inbox::{Entry, Word};
use super::job::{Finished, JobId};
use super::record::{Closed, Folded, Record, stamp_of};
use super::story::{Note, StoryEntry};
use crate::core::fetch::verdict::OwedRead;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

mod handover;
#[cfg(test)]
mod handover_tests;
mod operator;
#[cfg(test)]
mod operator_tests;
mod read;
mod row;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod tests;

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
    /// What HR wanted of the member after each entry, each aspect with a hash of its value; and before them, unless that
    /// was in effect. A worker that died had folded some of them, and may have written it.
    pub wishes: Vec<(Aspect, u32)>,
}

/// Folds entries into the document, in order of acceptance. `seq` is each entry's place in the store.
pub fn fold(document: &mut Document, entries: Vec<(u64, Entry)>, now: UnixMs) -> Folding {
    let mut folding = Folding::default();
    let mut in_effect = Vec::new();
    document.note_wishes(&mut in_effect, now);
    if document.owes_attempt() {
        folding.wishes.append(&mut in_effect);
    }
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
            Word::TryAgain { by } => try_again(document, &mut folding, by, now),
            Word::Discard { by, .. } => discard(document, &mut folding, by, now),
        }
        document.note_wishes(&mut folding.wishes, now);
    }
    folding.wishes.retain(|wish| !in_effect.contains(wish));
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
    let named: Vec<String> = document.earlier_keys().map(str::to_owned).collect();
    let mut folded = document.folding(event.facts.email.as_ref(), accepted_at, fold);
    if document.earlier_keys().any(|key| named.iter().all(|known| known != key)) {
        // Their account may be under it, wherever they were looked for before.
        (document.paged, document.looked) = (None, None);
        folded.is_outdated = false;
        if !folded.news.contains(&"email") {
            folded.news.push("email");
        }
    }
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
