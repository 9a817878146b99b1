//! The end of an attempt, in one step of the store.

use std::time::Duration;

use tracing::{error, warn};

use super::Worker;
use super::attempted::{Attempted, Tried};
use super::lease::{Interrupted, LeaseGuard, STORE_RETRY};
use crate::core::code::Code;
use crate::core::person::document::Unreadable;
use crate::core::person::fold::Folding;
use crate::core::person::job::{Finished, JobId};
use crate::core::person::story::StoryEntry;
use crate::core::person::{Document, Person, PersonId, SourceName};
use crate::core::reconcile::owner;
use crate::core::reconcile::verdict::{Ending, Standing};
use crate::store::{
    Claimed, Commit, Committed, DeadChange, DeadRow, Former, Lane, LaneState, Own, Owned, StoreError,
};
use crate::telemetry::metrics as metric;
use crate::telemetry::seldom::Seldom;

/// While the store is away, everybody who is being worked on waits for it.
static LOGGED: Seldom = Seldom::new();

/// Somebody whose document cannot be read is looked at again after so long: another version may be
/// able to, or somebody has mended it.
const UNREADABLE_AGAIN_MS: u64 = 60_000;
/// Waiting for a claim to be given up, at the most, in one step.
const RELEASED_AT_ONCE: u64 = 100;

/// What is committed beside the ending.
pub(super) struct Leaving<'a> {
    pub(super) folding: Folding,
    pub(super) consumed_to: Option<u64>,
    pub(super) terms_before: &'a [String],
}

impl Worker {
    /// Commits how an attempt ended.
    pub(super) async fn end(
        &self,
        guard: &LeaseGuard<'_>,
        ending: Ending,
        story: Vec<StoryEntry>,
        leaving: Leaving<'_>,
        attempted: Attempted,
    ) -> Result<Tried, StoreError> {
        let jobs = ending.ended.len() + leaving.folding.ended.len();
        let given_up = given_up(&ending, &attempted);
        let has_applied = matches!(attempted, Attempted::InLine(_));
        let accepted: Vec<_> = ending.applied.clone();
        let commit = commit_of(ending, story, leaving);
        if self.commit(guard, commit).await? == Committed::Stale {
            return Ok(Attempted::LeaseLost.untried());
        }
        metrics::counter!(metric::JOBS_ENDED_TOTAL).increment(u64::try_from(jobs).unwrap_or_default());
        if has_applied {
            let now = self.clock.now();
            for (kind, at) in accepted {
                metrics::counter!(metric::JOB_OUTCOMES_TOTAL, metric::EVENT => kind.as_str(), metric::OUTCOME => attempted.word())
                    .increment(1);
                metrics::histogram!(metric::TIME_TO_POSTMAN_SECONDS).record(Duration::from_millis(now.ms_since(at)));
            }
        }
        // Who waits for what was given up is tried again at once.
        for tag in given_up {
            self.store.release(self.clock.now(), &tag, RELEASED_AT_ONCE).await?;
        }
        Ok(attempted.untried())
    }

    /// Commits, and keeps trying while the store does not answer and the lease is good.
    async fn commit(&self, guard: &LeaseGuard<'_>, commit: Commit) -> Result<Committed, StoreError> {
        // An earlier try may have taken effect: then the lane is not this lease's any more, by our own doing.
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

    /// A document that cannot be read is left as it is, and told: nothing else is disturbed.
    pub(super) async fn set_aside(
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
        };
        Ok(match self.commit(guard, commit).await? {
            Committed::Committed => Attempted::Unreadable.untried(),
            Committed::Stale => Attempted::LeaseLost.untried(),
        })
    }

    /// Claims keys for the person of this lease. The owner, where somebody else has one of them.
    pub(super) async fn claim_keys(
        &self,
        guard: &LeaseGuard<'_>,
        keys: &[String],
        from: Option<Former>,
    ) -> Result<Result<(), PersonId>, Interrupted> {
        let now = self.clock.now();
        match self.store.own(now, guard.lease(), Own { keys: keys.to_vec(), from }).await? {
            Owned::Yes => Ok(Ok(())),
            Owned::By(owner) => Ok(Err(owner)),
            Owned::Stale => Err(Interrupted::LeaseLost),
        }
    }
}

/// The tags of who may be waiting for what this person gives up: an address, or, with a leave, all.
fn given_up(ending: &Ending, attempted: &Attempted) -> Vec<String> {
    let mut keys = ending.disowned.clone();
    if *attempted == Attempted::InLine(Finished::Deactivated)
        && let Some(member) = &ending.document.member
    {
        keys.push(owner::address_key(&member.user_name));
        keys.extend(member.id.as_deref().map(owner::id_key));
    }
    keys.iter().map(|key| owner::tag(key)).collect()
}

pub(super) fn commit_of(ending: Ending, calls: Vec<StoryEntry>, leaving: Leaving<'_>) -> Commit {
    let Leaving { folding, consumed_to, terms_before } = leaving;
    let document = ending.document;
    let terms = document.search_terms();
    let terms_added = terms.iter().filter(|term| !terms_before.contains(term)).cloned().collect();
    let terms_removed = terms_before.iter().filter(|term| !terms.contains(term)).cloned().collect();
    let story = folding.story.into_iter().chain(calls).chain(ending.story);
    Commit {
        document: Some(document.to_bytes().into()),
        person: document.person.clone(),
        consumed_to,
        lane: lane_of(&ending.standing),
        story: story.map(|entry| entry.to_bytes().into()).collect(),
        terms_added,
        terms_removed,
        disowned: ending.disowned,
        dead: dead_of(&document),
    }
}

fn lane_of(standing: &Standing) -> Lane {
    let lane = |state, due, wakes| Lane { state, due, wakes, tag: None };
    match standing {
        Standing::Idle => lane(LaneState::Idle, None, true),
        // What a pause is for, a new word does not end: the target asked for it, or the way to it.
        Standing::Retry { at } => lane(LaneState::Waiting, Some(*at), false),
        Standing::Read { at } => lane(LaneState::Waiting, Some(*at), true),
        Standing::Held { scope, at } => Lane { tag: Some(scope.to_string()), ..lane(LaneState::Held, *at, true) },
        Standing::Scheduled { at } => lane(LaneState::Scheduled, Some(*at), true),
        Standing::Incomplete { at } => lane(LaneState::Incomplete, *at, true),
        Standing::Blocked { wants, at } => Lane { tag: wants.clone(), ..lane(LaneState::Blocked, *at, true) },
    }
}

/// The person's dead letter: it stands until the person is in line again.
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

/// Somebody of whom only the number is known.
fn placeholder(id: PersonId) -> Option<Person> {
    Person::parse(SourceName::parse("unreadable").ok()?, &id.to_string()).ok()
}
