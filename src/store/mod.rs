//! Where accepted events wait: one lane per person, leases with fences, the directory, holds, the
//! rate limiters' state, dead letters and the history of finished jobs.
//!
//! One trait, several engines. Each method is one atomic, durable transition: it has happened when
//! the future is ready, and it has happened whole or not at all. The conformance suite in
//! `tests/store/` is what an engine must pass.
//!
//! Lives here: state and its transitions. Not here: configuration, HTTP, judgement of replies.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::core::code::Code;
use crate::core::event::{Event, EventKind, Person, SourceName};
use crate::core::hold::{Hold, HoldScope, ProbePauses};
use crate::core::job::{DeadLetter, DirectoryEntry, Finished, HistoryEntry, Job, JobId, JobState};
use crate::core::limiter::{CallKind, Rate};
use crate::core::time::UnixMs;
pub use crate::core::verdict::Verdict;

pub use self::transfer::{Activity, Exported, Fate, Origin, Position, Record, Remembered, Room, Section, Transfer};

pub mod copy;
pub mod embedded;
pub mod redis;
pub mod transfer;

/// Why a store could not do what was asked. Nothing has changed then, unless it says so.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or cannot write (disk full, read-only, timed out). Passing.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// Another process has the embedded store open.
    #[error(
        "the store at {path} is in use by another process: stop it, give this one another `[store] url`, or use Redis for several processes"
    )]
    InUse {
        /// Where the store is.
        path: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store has schema version {found}, this binary knows up to {known}: run the newer scim-bridge, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// Version found.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store's server does not serve. Tried again by itself; a write may have happened where the
    /// code is [`Code::StoreLost`], [`Code::StoreTimeout`] or [`Code::StoreNotDurable`].
    #[error("{code}: {} ({detail})", code.title())]
    Trouble {
        /// What kind of trouble: one of the `STORE-` codes.
        code: Code,
        /// Where and with which word of the server; never keys, values or secrets.
        detail: String,
    },
}

impl StoreError {
    /// Its stable code, where it has one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Trouble { code, .. } => Some(*code),
            Self::NewerSchema { .. } => Some(Code::StoreNewerSchema),
            Self::Damaged(_) => Some(Code::StoreDamaged),
            Self::Unavailable(_) | Self::InUse { .. } => None,
        }
    }

    /// Whether what was asked for may have taken effect all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(
            self,
            Self::Trouble { code: Code::StoreLost | Code::StoreTimeout | Code::StoreNotDurable, .. }
                | Self::Unavailable(_)
        )
    }

    /// Whether the same may go well a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Trouble { .. } => true,
            Self::InUse { .. } | Self::NewerSchema { .. } | Self::Damaged(_) => false,
        }
    }
}

/// What every engine is built with.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Postman's limit for writes.
    pub writes: Rate,
    /// Postman's limit for reads.
    pub reads: Rate,
    /// Waiting and parked jobs at which `accept` says [`Accepted::Full`].
    pub high_water_jobs: u64,
    /// How long and how many finished jobs are kept.
    pub retention: Retention,
    /// Pauses between the probes of a hold.
    pub probe_pauses: ProbePauses,
}

/// Bounds of what is kept for the timeline. Dead letters have none.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Finished jobs older than this go.
    pub finished_ms: u64,
    /// Beyond this number the oldest finished jobs go.
    pub finished_jobs_max: u64,
}

/// A delivery to be accepted: remembered and queued in one step.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Who sent it.
    pub source: SourceName,
    /// How to know it again.
    pub dedupe: Dedupe,
    /// Its events, in order.
    pub jobs: Vec<NewJob>,
    /// Its records that could not be mapped.
    pub unmapped: Vec<NewUnmapped>,
}

/// How a delivery is known again.
#[derive(Debug, Clone, Copy)]
pub struct Dedupe {
    /// Hash of source and event id (or of source and body).
    pub key: [u8; 16],
    /// Hash of the body: the same key with another fingerprint is a conflict.
    pub fingerprint: [u8; 16],
    /// How long it is remembered.
    pub remember_ms: u64,
}

/// An event to be queued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What happened.
    pub event: Event,
}

/// A record to be kept as a dead letter because it could not be mapped.
#[derive(Debug, Clone)]
pub struct NewUnmapped {
    /// Its id.
    pub id: JobId,
    /// Whose it is, where the record told.
    pub person: Option<Person>,
    /// Why it could not be mapped.
    pub code: Code,
    /// Field and shape, never values.
    pub detail: String,
    /// The record, or the whole body.
    pub payload: String,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored durably.
    Stored,
    /// Known already, with the same body. The ids it got the first time.
    Duplicate {
        /// Jobs and dead letters, in order.
        jobs: Vec<JobId>,
    },
    /// The id is known with another body. Nothing was stored.
    Conflict,
    /// Over the high-water mark. Nothing was stored or remembered.
    Full,
}

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Unique per worker, for people to read; without blanks.
    pub worker: Arc<str>,
    /// Which of the worker's claims this is: greater than that of every claim before.
    pub number: u64,
    /// The first of the worker's claims whose answers it does not know. What this one and those after it
    /// (before `number`) leased is given back first: due at once, and uncounted.
    pub lost_from: Option<u64>,
    /// How many jobs at the most; 0: nothing is given out, only given back.
    pub jobs_max: usize,
    /// How long each lease lasts.
    pub lease_ms: u64,
}

/// A time-limited claim on a lane. The fence refuses its late results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose lane.
    pub person: Person,
    /// The job at its head.
    pub job: JobId,
    /// Grows with every claim, and with time, so that none comes twice after writes were lost; a settle
    /// with an older one is refused.
    pub fence: u64,
    /// When others may take over.
    pub until: UnixMs,
    /// Set where this job is the trial of these holds: settle with the result.
    pub trial_of: Option<HoldScope>,
}

/// A job that a worker has.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The claim.
    pub lease: Lease,
    /// The job. `take_overs` counts this claim where it was one.
    pub job: Job,
    /// What is known of the person.
    pub directory: Option<DirectoryEntry>,
    /// The token that was taken for the job's first call: a write for a Hire, a read for a Rename.
    pub token: CallKind,
}

/// The answer to a claim.
#[derive(Debug, Clone)]
pub enum Claim {
    /// At least one job.
    Jobs(Vec<ClaimedJob>),
    /// A hold's probe is due, and no job is there to be its trial: make a harmless call (its token
    /// is taken), and tell with [`Store::settle_probe`].
    Probe(HoldScope),
    /// Nothing now.
    Wait {
        /// When it is worth asking again without a wake-up: the next due job, token, expiring
        /// lease or probe. None: nothing is waiting at all.
        until: Option<UnixMs>,
        /// What is waited for.
        reason: WaitReason,
    },
}

/// Why there is nothing to claim now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// No job is due.
    NothingDue,
    /// Jobs are due, but no token of their kind is left.
    Token(CallKind),
    /// Jobs are due, but held.
    Hold,
}

/// How an attempt ends.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// What happens to the job.
    pub verdict: Verdict,
    /// What the attempt did; appended to the job's history.
    pub history: Vec<HistoryEntry>,
    /// For a lease with `trial_of`: whether the hold is lifted by this.
    pub trial: Option<TrialResult>,
    /// What was learnt about the person; none leaves the directory as it is.
    pub directory: Option<DirectoryEntry>,
}

/// What a hold's trial or probe showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialResult {
    /// The target serves us again: the hold is lifted.
    Passed,
    /// Still refused, or not to be told: the next probe comes after a longer pause.
    Failed,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is so.
    Settled,
    /// The lease was lost: somebody else has the lane, nothing changed.
    Stale,
}

/// The limiter's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Go.
    Granted,
    /// Ask again then.
    NotBefore(UnixMs),
}

/// What became of an operator's request on a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadAction {
    /// Done.
    Done,
    /// There is no such dead letter (any more).
    NotFound,
    /// The dead letter is of the other origin: use the other method.
    WrongOrigin,
}

/// A page of a listing, newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// How many rows at the most.
    pub rows_max: usize,
    /// Only rows older than this one.
    pub before: Option<JobId>,
}

/// A dead letter's line in a listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadSummary {
    /// Its id.
    pub id: JobId,
    /// The HR system it came from.
    pub source: SourceName,
    /// Whose it is, where known.
    pub person: Option<Person>,
    /// What it was; none for an unmapped record.
    pub event: Option<EventKind>,
    /// When it died.
    pub died_at: UnixMs,
    /// Why.
    pub code: Code,
    /// Fields and shapes, never values.
    pub detail: String,
    /// Whether the person's lane waits behind it.
    pub parks_lane: bool,
}

/// A job with where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// Where it stands.
    pub state: JobState,
    /// When it is due, where it is at the head of a waiting lane.
    pub due_at: Option<UnixMs>,
    /// When and how it finished, where it did.
    pub finished: Option<(UnixMs, Finished)>,
}

/// All that is known of a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PersonView {
    /// Who.
    pub person: Person,
    /// What is known of them at Postman.
    pub directory: Option<DirectoryEntry>,
    /// Their jobs in order: finished ones that are still kept, dead ones, and what waits.
    pub jobs: Vec<JobView>,
    /// Their dead letters, unmapped records among them.
    pub dead: Vec<DeadSummary>,
}

/// The store in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// How many jobs are in each state. Every state is there. `dead` counts unmapped records too.
    pub jobs: BTreeMap<String, u64>,
    /// Since when the job has been due that has been due the longest; none where no job is due.
    pub oldest_due_at: Option<UnixMs>,
    /// Lanes with anything in them.
    pub lanes: u64,
    /// Persons in the directory.
    pub people: u64,
}

/// See the module's documentation.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Remembers the delivery and queues its jobs, in one atomic and durable step.
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError>;

    /// Gives out due lanes, oldest first, each with a lease, a fence and a token for its first call.
    ///
    /// In this order: an unlifted hold gates what it covers (its trial: see [`Lease::trial_of`]);
    /// expired leases are taken over; a due lane is chosen whose head's token can be had (a Hire's
    /// is a write, a Rename's a read).
    ///
    /// An answer can be lost (a timeout, a broken connection, a future that is dropped) although its
    /// lanes are leased: [`ClaimRequest::lost_from`] gives them back. What was given out together is not
    /// held up by one that cannot be read: that lane is set aside for a while, and told in the log.
    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError>;

    /// Prolongs a lease to `now + lease_ms`; none where it is lost.
    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError>;

    /// Ends an attempt. Refused as stale where the fence is not the lane's own any more, or the job not
    /// the one at its head (a store that lost writes is not told about another job); a lease that ran
    /// out, but that nobody took over, still settles.
    async fn settle(&self, now: UnixMs, lease: &Lease, settlement: Settlement) -> Result<Settled, StoreError>;

    /// Ends a probe that [`Claim::Probe`] asked for. Without effect where none is out, or where the
    /// hold is another by now.
    async fn settle_probe(&self, now: UnixMs, scope: HoldScope, result: TrialResult) -> Result<(), StoreError>;

    /// Takes a token from the limiter that all workers share.
    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError>;

    /// After a 429: no token of either kind before `until`, for anybody.
    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError>;

    /// The holds in force.
    async fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// Sets a hold, or replaces the one of that scope. An operator's has no probe.
    ///
    /// One that stands with the same code stays as it is (so do its pauses), and an operator's stays
    /// whatever the code, until it is lifted: the answer is the hold that stands afterwards. One that
    /// comes back within `probe_pauses.max_ms` after a trial lifted it goes on with its pauses.
    async fn set_hold(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Hold, StoreError>;

    /// Lifts the hold of a scope, or all; says which were lifted.
    async fn lift_hold(&self, now: UnixMs, scope: Option<HoldScope>) -> Result<Vec<Hold>, StoreError>;

    /// Lifts the hold of a scope where it is of this code still; says which was lifted. Another that has
    /// taken its place meanwhile stays.
    async fn lift_hold_of(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Option<Hold>, StoreError>;

    /// Dead letters, newest first.
    async fn dead_letters(&self, page: &Page) -> Result<Vec<DeadSummary>, StoreError>;

    /// One dead letter, whole.
    async fn dead_letter(&self, id: JobId) -> Result<Option<DeadLetter>, StoreError>;

    /// Puts a dead job back to its place in its lane (before everything that waits there), due now,
    /// with its counts at zero and `progress.create_unknown` kept; a lane parked behind it goes on. A
    /// lease of that lane is not disturbed: the replayed job comes next. In a lane that is parked
    /// behind another job, it waits there too.
    async fn replay(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError>;

    /// Replaces an unmapped dead letter by the jobs that a corrected mapping made of it, queued at
    /// the end of their lanes.
    async fn replay_as(&self, now: UnixMs, id: JobId, jobs: Vec<NewJob>) -> Result<DeadAction, StoreError>;

    /// Drops a dead letter for good; a lane parked behind it goes on.
    async fn discard(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError>;

    /// Jobs of a state, newest first (dead ones: see [`Store::dead_letters`]).
    async fn jobs(&self, state: JobState, page: &Page) -> Result<Vec<JobView>, StoreError>;

    /// One job, wherever it stands.
    async fn job(&self, id: JobId) -> Result<Option<JobView>, StoreError>;

    /// All about a person; none where the store has never heard of them.
    async fn person(&self, person: &Person) -> Result<Option<PersonView>, StoreError>;

    /// The store in figures; cheap enough for every scrape, at a million jobs too.
    async fn stats(&self, now: UnixMs) -> Result<Stats, StoreError>;

    /// Drops what is past its keep (finished jobs, remembered deliveries), a bounded piece of it;
    /// says how many rows went. Call again at once while it is not zero.
    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// Proves that the store can be written to, as durably as a delivery is accepted: it may wait for disks.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Ready when there may be something new to claim. A hint: it may come too often or not at all.
    async fn woken(&self);
}
