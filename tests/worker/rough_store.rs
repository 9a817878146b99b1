//! A store that is slow, whose answers get lost, and whose connections break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use scim_bridge::core::code::Code;
use scim_bridge::core::limiter::CallKind;
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::person::{Person, PersonId};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, Commit, Committed, DeadFilter, DeadRow, LaneState, Lease, Listed, NewDelivery,
    NewEntry, NewUnmapped, Own, Owned, Page, PersonRow, Shared, Stats, Store, StoreError, Story, Token,
};
use tokio::sync::Semaphore;

/// A wrapper around a store that injects such faults.
pub(crate) struct Rough {
    store: Arc<dyn Store>,
    /// The delay of every claim and token.
    pause: Duration,
    /// How many more claims take effect but are never answered.
    pub(crate) claims_hung: AtomicU64,
    /// How many tokens were requested outside of claims.
    pub(crate) tokens: AtomicU64,
    /// How many more claims take effect but are answered too late.
    pub(crate) claims_lost: AtomicU64,
    /// How many more commits take effect but lose their answer.
    pub(crate) commits_lost: AtomicU64,
    /// How many more requests for tokens or renewals find a broken connection.
    pub(crate) broken: AtomicU64,
    /// How many more reads of shared documents find a broken connection.
    pub(crate) documents_broken: AtomicU64,
    /// All holds are lifted behind the back of whoever reads them this many times from now.
    pub(crate) holds_end_after: AtomicU64,
    /// Commits wait here until they are let through: the permits, and how many passed.
    pub(crate) gate: Option<Arc<(Semaphore, AtomicU64)>>,
}

impl Rough {
    /// A store that delays every claim and token.
    pub(crate) fn slow(store: Arc<dyn Store>, pause: Duration) -> Self {
        Self { pause, ..Self::over(store) }
    }

    /// A store without faults, so far.
    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            pause: Duration::ZERO,
            claims_hung: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            claims_lost: AtomicU64::new(0),
            commits_lost: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            documents_broken: AtomicU64::new(0),
            holds_end_after: AtomicU64::new(0),
            gate: None,
        }
    }
}

/// An error, this many times.
fn fails(left: &AtomicU64, code: Code) -> Result<(), StoreError> {
    let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if fails { Err(StoreError::Trouble { code, detail: "rough weather".to_owned() }) } else { Ok(()) }
}

#[async_trait]
impl Store for Rough {
    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        tokio::time::sleep(self.pause).await;
        // Counted before the call: the caller may drop this future as soon as the effect is visible.
        let hangs = fails(&self.claims_hung, Code::StoreTimeout).is_err();
        let lost = fails(&self.claims_lost, Code::StoreTimeout);
        let claim = self.store.claim(now, request).await;
        if hangs {
            std::future::pending::<()>().await;
        }
        lost?;
        claim
    }
    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.tokens.fetch_add(1, Ordering::SeqCst);
        fails(&self.broken, Code::StoreLost)?;
        tokio::time::sleep(self.pause).await;
        self.store.take_token(now, kind).await
    }
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        self.store.accept(now, delivery).await
    }
    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        fails(&self.broken, Code::StoreLost)?;
        self.store.renew(now, lease, lease_ms).await
    }
    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError> {
        if let Some(gate) = &self.gate {
            gate.1.fetch_add(1, Ordering::SeqCst);
            gate.0.acquire().await.unwrap().forget();
        }
        let committed = self.store.commit(now, lease, commit).await;
        fails(&self.commits_lost, Code::StoreLost)?;
        committed
    }
    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError> {
        self.store.own(now, lease, own).await
    }
    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError> {
        self.store.owner(key).await
    }
    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
        self.store.release(now, tag, people_max).await
    }
    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError> {
        self.store.put(now, entry).await
    }
    async fn paused_until(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.store.paused_until(now).await
    }
    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.store.back_off(now, until).await
    }
    async fn shared(&self, name: &str) -> Result<Shared, StoreError> {
        fails(&self.documents_broken, Code::StoreLost)?;
        let read = self.store.shared(name).await;
        if name == "holds" && self.holds_end_after.load(Ordering::SeqCst) > 0 {
            // The last of these reads is out of date as soon as it was made.
            if self.holds_end_after.fetch_sub(1, Ordering::SeqCst) == 1 {
                scim_bridge::store::holds::change(&*self.store, |holds| Some(holds.lift(None))).await?;
            }
        }
        read
    }
    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError> {
        self.store.put_shared(name, version, bytes).await
    }
    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError> {
        self.store.person(person).await
    }
    async fn story(&self, person: PersonId) -> Result<Story, StoreError> {
        self.store.story(person).await
    }
    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.store.people(page).await
    }
    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.store.lanes(state, page).await
    }
    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.store.search(prefix, page).await
    }
    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError> {
        self.store.dead(filter, page).await
    }
    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError> {
        self.store.dead_letter(id).await
    }
    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError> {
        self.store.replay_unmapped(now, id, entries, unmapped).await
    }
    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError> {
        self.store.discard_unmapped(id).await
    }
    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError> {
        self.store.erase(now, person, released).await
    }
    async fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats().await
    }
    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.store.end_leases(now).await
    }
    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.store.tidy(now).await
    }
    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
    async fn woken(&self) {
        self.store.woken().await;
    }
}
