//! A worker's side of a store: claims, leases, commits, and who owns what.

use std::sync::Arc;

use bytes::Bytes;

use super::arrival::{InboxEntry, NewEntry};
use super::dead::DeadChange;
use super::lane::{Lane, LaneState};
use crate::core::person::{Person, PersonId};
use crate::core::time::UnixMs;

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The worker's unique name, without blanks.
    pub worker: Arc<str>,
    /// The number of this claim, greater than that of the worker's earlier claims.
    pub number: u64,
    /// The first of the worker's claims whose answer it does not know. Whatever this claim and those after it (before
    /// `number`) leased is given back first: due at once, and not counted as a take-over.
    pub lost_from: Option<u64>,
    /// At most how many people; 0: only gives back.
    pub people_max: usize,
    /// How long each lease lasts.
    pub lease_ms: u64,
    /// At most how many entries of one person's inbox; the rest waits for the next claim.
    pub entries_max: usize,
    /// With a tag: those parked under it, longest wait first, due or not. Without one: those who are
    /// due, longest first, after those whose lease ran out.
    pub parked: Option<String>,
}

/// A time-limited claim on a lane. The fence refuses its late results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The person whose lane it is.
    pub person: PersonId,
    /// Grows with every claim, and with time, so that no number is used twice even if writes were lost. A commit with
    /// an older one is refused.
    pub fence: u64,
    /// When other workers may take over.
    pub until: UnixMs,
}

/// A person who is leased to a worker.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub lease: Lease,
    /// The document; none if nothing was committed about them yet.
    pub document: Option<Bytes>,
    /// The inbox in order of acceptance, as far as [`ClaimRequest::entries_max`] goes.
    pub inbox: Vec<InboxEntry>,
    /// Whether the lane was taken over from a worker that let its lease run out.
    pub taken_over: bool,
}

/// The answer to a claim.
#[derive(Debug, Clone)]
pub enum Claim {
    /// At least one person.
    People(Vec<Claimed>),
    /// Nobody now.
    Nobody {
        /// When to ask again without a wake-up: when the next person is due or the next lease runs out. None: there
        /// is no such time.
        until: Option<UnixMs>,
    },
}

/// The end of an attempt, written in one step if the fence is still the lane's own.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The document; none leaves it as it is.
    pub document: Option<Bytes>,
    /// The person; kept at the first commit, for listings.
    pub person: Person,
    /// Inbox entries up to this place are folded in, and are dropped.
    pub consumed_to: Option<u64>,
    /// The person's lane afterwards.
    pub lane: Lane,
    /// Entries to add to the story.
    pub story: Vec<Bytes>,
    /// Search terms to add.
    pub terms_added: Vec<String>,
    /// Search terms to remove.
    pub terms_removed: Vec<String>,
    /// Claims on members and addresses to give up, as far as they are this person's own.
    pub disowned: Vec<String>,
    /// The person's dead letter.
    pub dead: DeadChange,
    /// Tags to release, as by [`super::Store::release`]: at most [`RELEASED_MAX`] people of each.
    pub released: Vec<String>,
    /// Entries for other people's inboxes, whatever the bounds. A lane that wakes is due at once; an entry for somebody
    /// who does not exist (any more) is left out.
    pub outgoing: Vec<NewEntry>,
}

/// How many people of one tag a commit releases: it must stay short.
pub const RELEASED_MAX: u64 = 100;

/// The result of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It was written.
    Committed,
    /// The lease was lost: somebody else has the lane, nothing changed.
    Stale,
}

/// A claim on members and addresses. Each key belongs to at most one person.
#[derive(Debug, Clone)]
pub struct Own {
    /// The keys to claim, such as `id:…` and `address:…`: all of them or none.
    pub keys: Vec<String>,
    /// The person from whom they may be taken over.
    pub from: Option<Former>,
}

/// The person from whom claims are taken over, as they were when that was decided. If they have changed, if a worker
/// has them (it may be writing what it claimed), or if there is anything in their inbox, nothing is taken.
#[derive(Debug, Clone)]
pub struct Former {
    /// The person.
    pub person: PersonId,
    /// An entry for their inbox, written in the same step; none if they do not need what is taken.
    pub entry: Option<NewEntry>,
    /// Their document, as it was read.
    pub document: Bytes,
    /// Their lane's state.
    pub state: LaneState,
}

/// The result of an [`Own`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// All keys are this person's.
    Yes,
    /// One of them belongs to somebody else and cannot be taken over, or not now; nothing changed.
    By(PersonId),
    /// The lease was lost; nothing changed.
    Stale,
}
