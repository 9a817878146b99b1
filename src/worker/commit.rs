//! The end of an attempt, in one step of the store.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tracing::{error, warn};

use super::Worker;
use super::attempted::{Attempted, Tried};
use super::lease::{LeaseGuard, STORE_RETRY};
use crate::clock::new_job_id;
use crate::core::code::Code;
use crate::core::person::document::Unreadable;
use crate::core::person::fold::{Folding, owner_word};
use crate::core::person::job::JobId;
use crate::core::person::story::StoryEntry;
use crate::core::person::{Document, Entry, Person, PersonId, SourceName, Word};
use crate::core::reconcile::owner;
use crate::core::reconcile::verdict::{Ending, NextState};
use crate::core::time::UnixMs;
use crate::store::{
    Claimed, Commit, Committed, DeadChange, DeadRow, Lane, LaneState, NewEntry, RELEASED_MAX, StoreError,
};
use crate::telemetry::metrics as metric;
use crate::telemetry::rate_limited_log::RateLimitedLog;

/// Limits how often failed commits are logged while the store is unavailable.
static LOGGED: RateLimitedLog = RateLimitedLog::new();

/// A person whose document cannot be parsed is looked at again after this long: another version may be able to, or it
/// may have been repaired.
const UNREADABLE_AGAIN_MS: u64 = 60_000;

/// What is committed in addition to the ending.
pub(super) struct CommitInput<'a> {
    pub(super) folding: Folding,
    pub(super) consumed_to: Option<u64>,
    pub(super) before: &'a Before,
}

/// What matters about a person's state before the attempt.
#[derive(Debug)]
pub(super) struct Before {
    terms: Vec<String>,
    claims: BTreeSet<String>,
}

impl Before {
    /// The search terms and claims before the attempt. A new person has no terms in the index yet, although an empty
    /// document has some.
    pub(super) fn of(document: &Document, is_new: bool) -> Self {
        let terms = if is_new { Vec::new() } else { document.search_terms() };
        Self { terms, claims: owner::claims(document) }
    }
}

impl Worker {
    /// Commits how an attempt ended.
    pub(super) async fn end(
        &self,
        guard: &LeaseGuard<'_>,
        ending: Ending,
        story: Vec<StoryEntry>,
        leaving: CommitInput<'_>,
        attempted: Attempted,
    ) -> Result<Tried, StoreError> {
        let jobs = ending.ended.len() + leaving.folding.ended.len();
        // This person waits for another's claim: check once more after the commit.
        let mut waits = None;
        if let NextState::Blocked { wants: Some(key), .. } = &ending.next_state {
            waits = Some((key.clone(), ending.document.clone()));
        }
        let has_applied = matches!(attempted, Attempted::InLine(_));
        let applied = ending.applied.clone();
        let commit = commit_of(ending, story, leaving, self.clock.now());
        if self.commit(guard, commit).await? == Committed::Stale {
            return Ok(Attempted::LeaseLost.untried());
        }
        metrics::counter!(metric::JOBS_ENDED_TOTAL).increment(u64::try_from(jobs).unwrap_or_default());
        if has_applied {
            let now = self.clock.now();
            for (kind, at) in applied {
                metrics::counter!(metric::JOB_OUTCOMES_TOTAL, metric::EVENT => kind.as_str(), metric::OUTCOME => attempted.word())
                    .increment(1);
                metrics::histogram!(metric::TIME_TO_POSTMAN_SECONDS).record(Duration::from_millis(now.ms_since(at)));
            }
        }
        if let Some((key, document)) = waits
            && let Err(error) = self.release_if_free(&key, &document).await
        {
            // The attempt has ended anyway; the owner's next commit releases them.
            warn!(%error, "could not check whether somebody may now have the claim that they wait for");
        }
        Ok(attempted.untried())
    }

    /// If the claim became free just before this person was parked, they were not released then: so it is looked at once
    /// more.
    async fn release_if_free(&self, key: &str, document: &Document) -> Result<(), StoreError> {
        if self.can_be_had(key, document).await? {
            self.store.release(self.clock.now(), &owner::tag(key), RELEASED_MAX).await?;
        }
        Ok(())
    }

    /// Commits; tries again for as long as the store does not answer and the lease is good.
    async fn commit(&self, guard: &LeaseGuard<'_>, commit: Commit) -> Result<Committed, StoreError> {
        // An earlier try may have taken effect: then the lease is stale because of our own commit.
        let mut unsure = false;
        loop {
            match self.store.commit(self.clock.now(), guard.lease(), commit.clone()).await {
                Err(error) if error.is_passing() && guard.left_ms() > 0 && !self.stop_now.is_cancelled() => {
                    if let Some(left_out) = LOGGED.line("commit", "") {
                        warn!(%error, left_out, "the store cannot commit: trying again");
                    }
                    unsure |= error.may_have_happened();
                    tokio::time::sleep(STORE_RETRY).await;
                }
                Ok(Committed::Stale) if unsure => return Ok(Committed::Committed),
                committed => return committed,
            }
        }
    }

    /// Blocks a person whose document or inbox cannot be parsed: a dead letter, and another look in a minute. Document and
    /// inbox stay as they are.
    pub(super) async fn block_unreadable(
        &self,
        guard: &LeaseGuard<'_>,
        claimed: &Claimed,
        unreadable: Unreadable,
    ) -> Result<Tried, StoreError> {
        error!(code = %Code::StoreDamaged, "{unreadable}: left as it is, looked at again in a minute");
        let Some(person) = placeholder(claimed.lease.person) else { return Ok(Attempted::Unreadable.untried()) };
        let now = self.clock.now();
        let row = DeadRow {
            id: JobId::about(0, claimed.lease.person),
            source: person.source.clone(),
            person: None,
            event: None,
            died_at: now,
            code: Code::StoreDamaged.to_string(),
            detail: unreadable.to_string(),
            unmapped: false,
        };
        let commit = Commit {
            document: None,
            person,
            consumed_to: None,
            lane: Lane {
                state: LaneState::Blocked,
                due: Some(now.plus_ms(UNREADABLE_AGAIN_MS)),
                wakes: false,
                tag: None,
            },
            story: Vec::new(),
            terms_added: Vec::new(),
            terms_removed: Vec::new(),
            disowned: Vec::new(),
            dead: DeadChange::Is(Box::new(row)),
            released: Vec::new(),
            outgoing: Vec::new(),
        };
        Ok(match self.commit(guard, commit).await? {
            Committed::Committed => Attempted::Unreadable.untried(),
            Committed::Stale => Attempted::LeaseLost.untried(),
        })
    }
}

pub(super) fn commit_of(ending: Ending, of_attempt: Vec<StoryEntry>, leaving: CommitInput<'_>, now: UnixMs) -> Commit {
    let CommitInput { folding, consumed_to, before } = leaving;
    let gives_up = ending.gives_up(&before.claims);
    let released = ending.releases(&gives_up, now);
    let mut document = ending.document;
    if let Some(trouble) = document.trouble.as_mut().filter(|_| !matches!(ending.next_state, NextState::Blocked { .. }))
    {
        trouble.tried_at = None;
    }
    let outgoing = outgoing(&mut document, folding.outgoing, now);
    let terms = document.search_terms();
    let terms_added = terms.iter().filter(|term| !before.terms.contains(term)).cloned().collect();
    let terms_removed = before.terms.iter().filter(|term| !terms.contains(term)).cloned().collect();
    let story = folding.story.into_iter().chain(of_attempt).chain(ending.story);
    Commit {
        document: Some(document.to_bytes().into()),
        person: document.person.clone(),
        consumed_to,
        lane: lane_of(&ending.next_state),
        story: story.map(|entry| entry.to_bytes().into()).collect(),
        terms_added,
        terms_removed,
        disowned: gives_up.into_iter().collect(),
        dead: dead_of(&document),
        released,
        outgoing,
    }
}

/// Entries for other people's inboxes: those of the fold, and news for former owners of this person's member.
fn outgoing(document: &mut Document, mut outgoing: Vec<(Person, Word)>, now: UnixMs) -> Vec<NewEntry> {
    for (to, owner) in document.tell_formers(now) {
        outgoing.push((to, owner_word(document, owner)));
    }
    let entry = |(to, word): (Person, Word)| {
        let bytes = Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes());
        NewEntry { job: new_job_id(to.id()), person: to, bytes }
    };
    outgoing.into_iter().map(entry).collect()
}

fn lane_of(next_state: &NextState) -> Lane {
    let lane = |state, due, wakes| Lane { state, due, wakes, tag: None };
    match next_state {
        NextState::Idle => lane(LaneState::Idle, None, true),
        NextState::Retry { at, wakes } => lane(LaneState::Waiting, Some(*at), *wakes),
        NextState::Read { at } => lane(LaneState::Waiting, Some(*at), true),
        NextState::Held { scope, at } => Lane { tag: Some(scope.to_string()), ..lane(LaneState::Held, *at, true) },
        NextState::Scheduled { at } => lane(LaneState::Scheduled, Some(*at), true),
        NextState::Incomplete { at } => lane(LaneState::Incomplete, *at, true),
        NextState::Blocked { wants, at } => {
            Lane { tag: wants.as_deref().map(owner::tag), ..lane(LaneState::Blocked, *at, true) }
        }
    }
}

/// The person's dead letter, which stays until they are up to date.
fn dead_of(document: &Document) -> DeadChange {
    let Some(trouble) = &document.trouble else { return DeadChange::None };
    DeadChange::Is(Box::new(DeadRow {
        id: trouble.id,
        source: document.person.source.clone(),
        person: Some(document.person.clone()),
        event: document.open.last().map(|job| job.kind),
        died_at: trouble.since,
        code: trouble.code.to_string(),
        detail: trouble.detail.clone(),
        unmapped: false,
    }))
}

/// A person known only by number.
pub(super) fn placeholder(id: PersonId) -> Option<Person> {
    Person::parse(SourceName::parse("unreadable").ok()?, &id.to_string()).ok()
}
