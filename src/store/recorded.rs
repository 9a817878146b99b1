//! Wraps any engine and records how its operations go: the one place where failures are counted.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Accepted, Claim, ClaimRequest, Commit, Committed, DeadFilter, DeadRow, LaneState, Lease, Listed, NewDelivery,
    NewEntry, NewUnmapped, Own, Owned, Page, PersonRow, Shared, Stats, Store, StoreError, Story, Token,
};
use crate::clock::Clock;
use crate::core::limiter::CallKind;
use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId};
use crate::core::store_health::StoreOperation;
use crate::core::time::UnixMs;
use crate::telemetry::store_log::StoreLog;

/// A store whose failures are remembered and counted.
pub struct Recorded {
    store: Arc<dyn Store>,
    clock: Clock,
    log: StoreLog,
}

impl Recorded {
    /// Records in `log` how this store's operations go.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock, log: StoreLog) -> Self {
        Self { store, clock, log }
    }

    fn ended<T>(&self, operation: StoreOperation, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.log.ended(self.clock.now(), operation, result.as_ref().err().map(StoreError::told_as));
        result
    }
}

#[async_trait]
impl Store for Recorded {
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        self.ended(StoreOperation::Accept, self.store.accept(now, delivery).await)
    }

    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        self.ended(StoreOperation::Claim, self.store.claim(now, request).await)
    }

    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        self.ended(StoreOperation::Renew, self.store.renew(now, lease, lease_ms).await)
    }

    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError> {
        self.ended(StoreOperation::Commit, self.store.commit(now, lease, commit).await)
    }

    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError> {
        self.ended(StoreOperation::Own, self.store.own(now, lease, own).await)
    }

    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError> {
        self.ended(StoreOperation::Owner, self.store.owner(key).await)
    }

    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
        self.ended(StoreOperation::Release, self.store.release(now, tag, people_max).await)
    }

    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError> {
        self.ended(StoreOperation::Put, self.store.put(now, entry).await)
    }

    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.ended(StoreOperation::TakeToken, self.store.take_token(now, kind).await)
    }

    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.ended(StoreOperation::BackOff, self.store.back_off(now, until).await)
    }

    async fn paused_until(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.ended(StoreOperation::PausedUntil, self.store.paused_until(now).await)
    }

    async fn settings(&self) -> Result<(), StoreError> {
        self.ended(StoreOperation::Settings, self.store.settings().await)
    }

    async fn shared(&self, name: &str) -> Result<Shared, StoreError> {
        self.ended(StoreOperation::Shared, self.store.shared(name).await)
    }

    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError> {
        self.ended(StoreOperation::PutShared, self.store.put_shared(name, version, bytes).await)
    }

    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError> {
        self.ended(StoreOperation::Person, self.store.person(person).await)
    }

    async fn story(&self, person: PersonId) -> Result<Story, StoreError> {
        self.ended(StoreOperation::Story, self.store.story(person).await)
    }

    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.ended(StoreOperation::People, self.store.people(page).await)
    }

    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.ended(StoreOperation::Lanes, self.store.lanes(state, page).await)
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.ended(StoreOperation::Search, self.store.search(prefix, page).await)
    }

    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError> {
        self.ended(StoreOperation::Dead, self.store.dead(filter, page).await)
    }

    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError> {
        self.ended(StoreOperation::DeadLetter, self.store.dead_letter(id).await)
    }

    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError> {
        self.ended(StoreOperation::ReplayUnmapped, self.store.replay_unmapped(now, id, entries, unmapped).await)
    }

    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError> {
        self.ended(StoreOperation::DiscardUnmapped, self.store.discard_unmapped(id).await)
    }

    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError> {
        self.ended(StoreOperation::Erase, self.store.erase(now, person, released).await)
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.ended(StoreOperation::Stats, self.store.stats().await)
    }

    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.ended(StoreOperation::EndLeases, self.store.end_leases(now).await)
    }

    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.ended(StoreOperation::Tidy, self.store.tidy(now).await)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let checked = self.store.check().await;
        self.log.checked(checked.as_ref().err().map(StoreError::told_as));
        checked
    }

    async fn woken(&self) {
        self.store.woken().await;
    }

    async fn broken(&self) {
        self.store.broken().await;
    }
}
