//! Stores. They keep inboxes (what HR said and no worker has processed yet), one document per person, lanes with
//! leases and fences, the owners of members, dead letters, stories, the rate limiters' state, and a few small
//! documents that all processes share.
//!
//! One trait, several engines. **Core decides, engines keep**: an engine stores bytes, keeps a few indexes, and
//! checks the fence. It knows nothing of hires, verdicts or holds. Each method is one atomic, durable transition:
//! when the future is ready, it has happened completely or not at all. The conformance suite in `tests/store/` is
//! what an engine must pass.
//!
//! Lives here: the trait, its values and its errors. Not here: configuration, HTTP, judgement.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::core::limiter::{CallKind, Rate};
use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId};
use crate::core::time::UnixMs;

mod arrival;
pub mod copy;
mod dead;
pub mod documents;
pub mod embedded;
mod error;
pub mod holds;
mod lane;
mod listing;
pub mod memory;
pub mod recorded;
pub mod redis;
mod rows;
pub mod target;
pub mod tokens;
pub mod transfer;
mod work;

pub use self::arrival::{
    Accepted, Bounds, Dedupe, FullBound, InboxEntry, NewDelivery, NewEntry, NewUnmapped, share_of_source,
};
pub use self::dead::{DeadChange, DeadFilter, DeadRow};
pub use self::error::StoreError;
pub use self::lane::{Lane, LaneState};
pub use self::listing::{INBOX_SHOWN_MAX, PAGE_BYTES_MAX};
pub use self::rows::{Listed, Page, PersonRow, Stats, Story};
pub use self::work::{Claim, ClaimRequest, Claimed, Commit, Committed, Former, Lease, Own, Owned, RELEASED_MAX};

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

/// The limiter's answer to a request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The call may go out.
    Granted,
    /// Ask again then, or sooner: see [`TOKEN_LOOK_MAX`].
    NotBefore(UnixMs),
}

/// Callers that wait for a token must ask at least this often: an engine that uses a server's clock takes a longer
/// silence for a leap of that clock.
pub const TOKEN_LOOK_MAX: Duration = Duration::from_secs(1);

/// A small document that all processes share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// Grows with every change; 0 where there is none yet.
    pub version: u64,
    /// Its content, which engines do not look into.
    pub bytes: Bytes,
}

/// See the module's documentation.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Remembers the delivery, appends its entries to inboxes, and keeps its unmapped records, in one
    /// atomic and durable step. A lane that wakes is due at once.
    ///
    /// With [`Dedupe::only_while_newest`] and a known key, entries are left out for people whose newest delivery has
    /// the same key. If none are left, it is a duplicate; otherwise it is remembered again, with the ids of what is
    /// stored now.
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError>;

    /// Gives out people, each with a lease and a fence: first those whose lease ran out, then those who have been due
    /// the longest (at the same instant, by number, as far as not thousands share it). A person who cannot be read does
    /// not hold up the others: their lane is skipped for a while, and logged.
    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError>;

    /// Extends a lease to `now + lease_ms`; none if it is lost.
    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError>;

    /// Ends an attempt. Stale if the fence is no longer the lane's own; a lease that ran out, but that nobody took
    /// over, still commits.
    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError>;

    /// Claims members and addresses for a person, under the fence.
    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError>;

    /// The owner of a key.
    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError>;

    /// Makes up to `people_max` people due who are parked under this tag, longest parked first. Returns how many.
    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError>;

    /// Puts an entry into a person's inbox, whatever the bounds, and makes them due. False if there is no such
    /// person.
    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError>;

    /// Takes a token from the limiter that all workers share.
    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError>;

    /// After a 429: no token of either kind before `until`, for anybody.
    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError>;

    /// Until when tokens of at least one kind are withheld; none if both kinds are available now. Takes no token.
    async fn paused_until(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError>;

    /// A small shared document.
    async fn shared(&self, name: &str) -> Result<Shared, StoreError>;

    /// Writes a small shared document if its version is still `version`. Returns whether it was.
    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError>;

    /// One person.
    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError>;

    /// A person's story.
    async fn story(&self, person: PersonId) -> Result<Story, StoreError>;

    /// People by number, all of them.
    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError>;

    /// People in this state, longest first.
    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError>;

    /// People with a search term that begins with `prefix`, each once.
    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError>;

    /// Dead letters, newest first.
    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError>;

    /// A dead letter with the payload of an unmapped record.
    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError>;

    /// Puts what a corrected mapping reads in an unmapped record into inboxes, and drops the record, in one step,
    /// whatever the bounds. False if there is no such record (any more).
    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError>;

    /// Drops an unmapped record. False if there is no such record (any more).
    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError>;

    /// Erases a person: document, inbox, story, terms, claims, dead letters, and unmapped records that name them; and
    /// makes people due who are parked under these tags (of each at most [`RELEASED_MAX`]), in one step. False if
    /// there is no such person.
    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError>;

    /// The store in figures, without reading everything in it.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Ends every lease without counting a take-over: for the start of a process that is alone on its store.
    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// Drops remembered deliveries past their time, and old stories, in small steps. Returns how many rows; if there
    /// are many, call it again.
    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// Proves that the store can be written to.
    async fn check(&self) -> Result<(), StoreError>;

    /// Checks whether the store's server is still configured to keep its data, as every new connection
    /// does. Problems are reported, but keep nobody from being served.
    async fn settings(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Waits for a sign that a person may be due.
    async fn woken(&self);

    /// Waits until a part of the store has ended without which it will never serve again.
    async fn broken(&self) {
        std::future::pending::<()>().await;
    }
}
