//! Where people are kept: what HR said and no worker has processed yet (inboxes), one document per
//! person, lanes with leases and fences, who owns which member, dead letters, stories, the rate
//! limiters' state, and a few small documents that all processes share.
//!
//! One trait, several engines. **Core decides, engines keep**: an engine stores bytes, keeps a few
//! indexes, and checks the fence. It knows nothing of hires, verdicts or holds. Each method is one
//! atomic, durable transition: when the future is ready, it has happened whole or not at all. The
//! conformance suite in `tests/store/` is what an engine must pass.
//!
//! Lives here: the trait, its values and its errors. Not here: configuration, HTTP, judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::core::code::Code;
use crate::core::limiter::{CallKind, Rate};
use crate::core::person::job::JobId;
use crate::core::person::{EventKind, Person, PersonId, SourceName};
use crate::core::time::UnixMs;

pub mod copy;
pub mod documents;
pub mod embedded;
pub mod holds;
mod lane;
mod listing;
pub mod memory;
pub mod recorded;
pub mod redis;
pub mod target;
pub mod tokens;
pub mod transfer;

pub use self::listing::{INBOX_SHOWN_MAX, PAGE_BYTES_MAX};

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
    /// The store was written by a version from before 0.1.0, whose layout this one does not read.
    #[error(
        "the store has the layout of a version that was never released (schema {found}): give this one another directory or `[store] key_prefix`, and have the HR system send again"
    )]
    OlderSchema {
        /// Version found.
        found: u32,
    },
    /// The store belongs to another target.
    #[error(
        "the store is kept for {theirs}, and this process would serve {ours}: give it another directory or `[store] key_prefix`"
    )]
    OtherTarget {
        /// Whose it is.
        theirs: String,
        /// Who asks.
        ours: String,
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
            Self::Unavailable(_) | Self::InUse { .. } | Self::OlderSchema { .. } | Self::OtherTarget { .. } => None,
        }
    }

    /// The code under which it is told and counted.
    #[must_use]
    pub fn told_as(&self) -> Code {
        self.code().unwrap_or(Code::StoreUnwritable)
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
            Self::InUse { .. }
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::OtherTarget { .. }
            | Self::Damaged(_) => false,
        }
    }
}

/// What every engine is built with.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The target's limit for writes.
    pub writes: Rate,
    /// The target's limit for reads.
    pub reads: Rate,
    /// The bounds.
    pub bounds: Bounds,
}

/// What a store holds at the most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Inbox entries of all people together; see [`share_left`] for what one source may have of it.
    pub entries_max: u64,
    /// Dead letters, blocked people and unmapped records together. Only unmapped records are refused
    /// at it.
    pub dead_letters_max: u64,
    /// What the unmapped records' payloads take together, in bytes.
    pub dead_bytes_max: u64,
    /// Entries of a person's story; beyond, the oldest go, and are counted.
    pub story_entries_max: u32,
    /// How long people who are idle keep their story, in milliseconds.
    pub story_keep_ms: u64,
}

/// How much of a bound a source may take in all: half of what the others leave. However much one
/// source takes, there is room for the next.
#[must_use]
pub fn share_of_source(max: u64, all: u64, mine: u64) -> u64 {
    max.saturating_sub(all.saturating_sub(mine)) / 2
}

/// What an entry takes in memory beside its bytes, about.
const ENTRY_BYTES: usize = 256;

/// A delivery to be accepted: remembered and queued in one step.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Who sent it.
    pub source: SourceName,
    /// How to know it again; none: it is never a duplicate.
    pub dedupe: Option<Dedupe>,
    /// What it says, in order; several entries may be of one person.
    pub entries: Vec<NewEntry>,
    /// Its records that could not be mapped.
    pub unmapped: Vec<NewUnmapped>,
}

impl NewDelivery {
    /// The ids it gets: jobs, then unmapped records, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = JobId> {
        let unmapped = self.unmapped.iter().map(|unmapped| unmapped.row.id);
        self.entries.iter().map(|entry| entry.job).chain(unmapped)
    }

    /// What it takes until it is stored, about.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.entries.iter().map(|entry| entry.bytes.len() + ENTRY_BYTES);
        let unmapped = self.unmapped.iter().map(|unmapped| unmapped.payload.len() + ENTRY_BYTES);
        entries.chain(unmapped).sum()
    }
}

/// How a delivery is known again.
#[derive(Debug, Clone, Copy)]
pub struct Dedupe {
    /// Hash of source and event id (or of source and body).
    pub key: [u8; 16],
    /// The key is of the body alone. Then it counts only for people whose newest delivery it is: a body
    /// that comes again after another one is a change back.
    pub only_while_newest: bool,
    /// How long it is remembered.
    pub remember_ms: u64,
    /// What it says, as a number: another one under the same id is told. See
    /// [`crate::core::delivery::Says`].
    pub says: u32,
}

/// An entry for a person's inbox.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// The job's id.
    pub job: JobId,
    /// Whose inbox. `job.person()` is `person.id()`.
    pub person: Person,
    /// What it says: opaque.
    pub bytes: Bytes,
}

/// A record to be kept as a dead letter because it could not be mapped.
#[derive(Debug, Clone)]
pub struct NewUnmapped {
    /// Its line in the listing. `person` is told where the record told at least that; `event` is none.
    pub row: DeadRow,
    /// The record, or the whole body, as received.
    pub payload: Bytes,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored durably: at least something of it was news.
    Stored,
    /// Known already, for everybody whom it is about.
    Duplicate {
        /// The ids it got the first time: jobs, then unmapped records, in order.
        ids: Vec<JobId>,
    },
    /// Known by its id, and it said something else the first time. Nothing was stored.
    Conflict {
        /// The ids that the first one got.
        ids: Vec<JobId>,
    },
    /// A bound is reached. Nothing was stored or remembered.
    Full(FullBound),
}

impl Accepted {
    /// A delivery that is known again, by what it said the first time; none: that is not remembered.
    pub(crate) fn known(ids: Vec<JobId>, said: Option<u32>, dedupe: &Dedupe) -> Self {
        if said.is_some_and(|said| said != dedupe.says) { Self::Conflict { ids } } else { Self::Duplicate { ids } }
    }
}

impl Dedupe {
    /// What is remembered of what it says: of a body, its key says it all.
    pub(crate) fn remembered_says(&self) -> Option<u32> {
        (!self.only_while_newest).then_some(self.says)
    }
}

/// Which bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullBound {
    /// [`Bounds::entries_max`], or this source's share of it.
    Entries,
    /// [`Bounds::dead_letters_max`], or this source's share of it.
    DeadLetters,
    /// [`Bounds::dead_bytes_max`], or this source's share of it.
    DeadBytes,
}

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Unique per worker, for people to read; without blanks.
    pub worker: Arc<str>,
    /// Which of the worker's claims this is: greater than that of every claim before.
    pub number: u64,
    /// The first of the worker's claims whose answers it does not know. What this one and those after it
    /// (before `number`) leased is given back first: due at once, and no take-over.
    pub lost_from: Option<u64>,
    /// How many people at the most; 0: nobody is given out, only given back.
    pub people_max: usize,
    /// How long each lease lasts.
    pub lease_ms: u64,
    /// Entries of one person's inbox at the most; the rest waits for the next claim.
    pub entries_max: usize,
    /// From among those parked under this tag, the one who has waited longest, due or not; none: from
    /// among the due, longest due first. Leases that ran out are taken over only without a tag.
    pub parked: Option<String>,
}

/// A time-limited claim on a lane. The fence refuses its late results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose lane.
    pub person: PersonId,
    /// Grows with every claim, and with time, so that none comes twice after writes were lost; a commit
    /// with an older one is refused.
    pub fence: u64,
    /// When others may take over.
    pub until: UnixMs,
}

/// A person whom a worker has.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub lease: Lease,
    /// The document; none for somebody of whom nothing was committed yet.
    pub document: Option<Bytes>,
    /// The inbox in order of acceptance, as far as [`ClaimRequest::entries_max`] goes.
    pub inbox: Vec<InboxEntry>,
    /// Whether the lane was taken over from a worker that let its lease run out.
    pub taken_over: bool,
}

/// An entry of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its place among all that the store accepted.
    pub seq: u64,
    /// What it says: opaque.
    pub bytes: Bytes,
}

/// The answer to a claim.
#[derive(Debug, Clone)]
pub enum Claim {
    /// At least one person.
    People(Vec<Claimed>),
    /// Nobody now.
    Nobody {
        /// When it is worth asking again without a wake-up: the next due person or the next lease that
        /// runs out. None: nobody waits for a time.
        until: Option<UnixMs>,
    },
}

/// How an attempt ends: written in one step, if the fence is the lane's own.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The document; none leaves it as it is.
    pub document: Option<Bytes>,
    /// Whose it is: kept with the first commit, for listings.
    pub person: Person,
    /// Entries up to this place in the claimed inbox are folded in, and go.
    pub consumed_to: Option<u64>,
    /// Where the person stands afterwards.
    pub lane: Lane,
    /// What is added to the story; opaque.
    pub story: Vec<Bytes>,
    /// Words by which the person is found from now on.
    pub terms_added: Vec<String>,
    /// Words by which they are not found any more.
    pub terms_removed: Vec<String>,
    /// Claims on members and addresses that are given up, where they are this person's own.
    pub disowned: Vec<String>,
    /// The person's dead letter.
    pub dead: DeadChange,
    /// Whoever is parked under these tags is due, as by [`Store::release`]: at most [`RELEASED_MAX`] of each.
    pub released: Vec<String>,
}

/// So many people of one tag are due by one commit: it must stay short.
pub const RELEASED_MAX: u64 = 100;

/// What becomes of a person's dead letter.
#[derive(Debug, Clone)]
pub enum DeadChange {
    /// None from now on.
    None,
    /// This one from now on.
    Is(Box<DeadRow>),
}

/// Where a person stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// What they wait for: counted and listed.
    pub state: LaneState,
    /// When they are due; none: not by time.
    pub due: Option<UnixMs>,
    /// Whether a new entry in the inbox makes them due at once. Entries that are in the inbox already
    /// at a commit do, too.
    pub wakes: bool,
    /// The tag under which they are parked, for [`Store::release`] and [`ClaimRequest::parked`].
    pub tag: Option<String>,
}

/// What a person waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Nothing: in line.
    Idle,
    /// For a worker, or for the next try.
    Waiting,
    /// A worker has them. Only engines set it: a lane that is leased.
    Running,
    /// For a hold to be lifted.
    Held,
    /// For an instant that HR announced.
    Scheduled,
    /// For HR to say more.
    Incomplete,
    /// For something to change: a dead letter.
    Blocked,
}

impl LaneState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Idle, Self::Waiting, Self::Running, Self::Held, Self::Scheduled, Self::Incomplete, Self::Blocked];

    /// The word for it in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Held => "held",
            Self::Scheduled => "scheduled",
            Self::Incomplete => "incomplete",
            Self::Blocked => "blocked",
        }
    }
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is so.
    Committed,
    /// The lease was lost: somebody else has the lane, nothing changed.
    Stale,
}

/// A claim on members and addresses: each key belongs to one person at the most.
#[derive(Debug, Clone)]
pub struct Own {
    /// What is claimed: opaque keys, such as `id:…` and `address:…`. All of them, or none.
    pub keys: Vec<String>,
    /// Whom they may be taken from.
    pub from: Option<Former>,
}

/// Whom claims are taken from, as they were when somebody decided so. Where they are not so any more, nothing is
/// taken: not while a worker has them (it may be writing what it claimed), nor with anything in their inbox.
#[derive(Debug, Clone)]
pub struct Former {
    /// Who.
    pub person: PersonId,
    /// What is put into their inbox in the same step; none where they have no use for what is taken.
    pub entry: Option<NewEntry>,
    /// Their document, as it was read.
    pub document: Bytes,
    /// Where they stood.
    pub state: LaneState,
}

/// What became of an [`Own`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// All keys are this person's.
    Yes,
    /// One of them is somebody else's, and cannot be taken from them, or not now; nothing changed.
    By(PersonId),
    /// The lease was lost; nothing changed.
    Stale,
}

/// The limiter's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Go.
    Granted,
    /// Ask again then, or sooner: see [`TOKEN_LOOK_MAX`].
    NotBefore(UnixMs),
}

/// Whoever waits for a token asks at least so often: an engine that tells time by a server's clock takes a long
/// silence for a leap of that clock, in which nobody has waited.
pub const TOKEN_LOOK_MAX: Duration = Duration::from_secs(1);

/// A small document that all processes share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// Grows with every change; 0 where there is none yet.
    pub version: u64,
    /// What it says: opaque.
    pub bytes: Bytes,
}

/// A dead letter's line in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadRow {
    /// Its id.
    pub id: JobId,
    /// The HR system it came from.
    pub source: SourceName,
    /// Whose it is, where known.
    pub person: Option<Person>,
    /// What the newest job that it stopped was; none for an unmapped record.
    pub event: Option<EventKind>,
    /// When it died.
    pub died_at: UnixMs,
    /// Why: the text of a [`Code`], which may be one that this version does not know.
    pub code: String,
    /// Fields and shapes, never values.
    pub detail: String,
    /// Whether it is a record that could not be mapped.
    pub unmapped: bool,
}

/// Which dead letters.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// Only of this code.
    pub code: Option<String>,
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only whose newest stopped job was of this kind.
    pub event: Option<EventKind>,
    /// Only those that died before.
    pub died_before: Option<UnixMs>,
}

impl DeadFilter {
    /// Whether a dead letter is meant.
    #[must_use]
    pub fn takes(&self, row: &DeadRow) -> bool {
        self.code.as_ref().is_none_or(|code| *code == row.code)
            && self.source.as_ref().is_none_or(|source| *source == row.source)
            && self.event.is_none_or(|event| row.event == Some(event))
            && self.died_before.is_none_or(|before| row.died_at < before)
    }
}

/// A page of a listing. Pages go on after a cursor that the page before gave; they are bounded in rows
/// and in bytes, so that a page may be short and yet not the last.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// How many rows at the most.
    pub rows_max: usize,
    /// Where the page before ended: opaque.
    pub after: Option<String>,
}

/// A page's rows.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none: that was the last.
    pub next: Option<String>,
}

/// A person as a store has them.
#[derive(Debug, Clone)]
pub struct PersonRow {
    /// Their number.
    pub id: PersonId,
    /// The document; none for somebody of whom nothing was committed yet.
    pub document: Option<Bytes>,
    /// Where they stand. `Running` while a worker has them.
    pub lane: Lane,
    /// Since when they stand there: the lane's last change.
    pub since: UnixMs,
    /// How many entries are in the inbox.
    pub inbox_entries: u64,
    /// The first of them, at most a few hundred.
    pub inbox: Vec<InboxEntry>,
}

/// A story: the newest entries, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Story {
    /// The entries; opaque.
    pub entries: Vec<Bytes>,
    /// How many older ones are gone.
    pub dropped: u64,
}

/// The store in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Stats {
    /// How many people stand in each state; every state but `idle` is there.
    pub lanes: BTreeMap<String, u64>,
    /// People of whom there is a document.
    pub people: u64,
    /// Inbox entries of each source that nobody has folded yet.
    pub entries: BTreeMap<String, u64>,
    /// Dead letters by code: exact.
    pub dead: BTreeMap<String, u64>,
    /// Dead letters by source.
    pub dead_by_source: BTreeMap<String, u64>,
    /// What the unmapped records take, in bytes.
    pub dead_bytes: u64,
    /// Since when the person is due who is due first; it may lie ahead, and nobody is due then.
    pub oldest_due_at: Option<UnixMs>,
}

/// See the module's documentation.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Remembers the delivery, appends its entries to inboxes, and keeps its unmapped records, in one
    /// atomic and durable step. A lane that wakes is due at once.
    ///
    /// With [`Dedupe::only_while_newest`], a key that is remembered leaves out the entries of people whose
    /// newest delivery has it, too; where that leaves none, it is a duplicate. Otherwise it is remembered
    /// anew, with the ids of what is stored now.
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError>;

    /// Gives out people, each with a lease and a fence: those whose lease ran out, then those who are due,
    /// longest first (and of one instant by number). What cannot be read of one does not hold up the
    /// others: that lane is set aside for a while, and told in the log.
    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError>;

    /// Prolongs a lease to `now + lease_ms`; none where it is lost.
    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError>;

    /// Ends an attempt. Refused as stale where the fence is not the lane's own any more; a lease that
    /// ran out, but that nobody took over, still commits.
    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError>;

    /// Claims members and addresses for a person, under the fence.
    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError>;

    /// Whose a key is.
    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError>;

    /// Makes people due who are parked under this tag, longest parked first, at most so many. How many
    /// it were.
    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError>;

    /// Puts an entry into a person's inbox, whatever the bounds, and makes them due. False where there
    /// is no such person.
    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError>;

    /// Takes a token from the limiter that all workers share.
    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError>;

    /// After a 429: no token of either kind before `until`, for anybody.
    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError>;

    /// A small shared document.
    async fn shared(&self, name: &str) -> Result<Shared, StoreError>;

    /// Writes a small shared document, if its version is still `version`. Whether it was.
    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError>;

    /// One person.
    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError>;

    /// A person's story.
    async fn story(&self, person: PersonId) -> Result<Story, StoreError>;

    /// People by number, all of them.
    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError>;

    /// People who stand in this state, longest first.
    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError>;

    /// People with a search term that begins so, each once.
    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError>;

    /// Dead letters, newest first.
    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError>;

    /// A dead letter with the payload of an unmapped record.
    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError>;

    /// Puts what an unmapped record says with a corrected mapping into inboxes, and drops the record, in
    /// one step. Whatever the bounds. False where there is no such record (any more).
    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError>;

    /// Drops an unmapped record. False where there is no such record (any more).
    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError>;

    /// Erases a person: document, inbox, story, terms, claims, dead letters, and unmapped records that
    /// name them; and makes people due who are parked under these tags (of each at most [`RELEASED_MAX`]), in one
    /// step. False where there is no such person.
    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError>;

    /// The store in figures, without a walk through what it holds.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Ends every lease, uncounted: for a process that knows that it is alone, at its start.
    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// Forgets deliveries that were remembered for long enough, and old stories, in small steps. How
    /// many rows went; fewer than were due where there are many: call it again.
    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// Proves that the store can be written to.
    async fn check(&self) -> Result<(), StoreError>;

    /// Waits for a sign that somebody may be due.
    async fn woken(&self);

    /// Ready when a part of the store's own has ended without which it never serves again.
    async fn broken(&self) {
        std::future::pending::<()>().await;
    }
}
