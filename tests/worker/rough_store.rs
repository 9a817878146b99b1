//! A store that is slow, whose answers are lost, whose connections break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use scim_bridge::core::code::Code;
use scim_bridge::core::event::Person;
use scim_bridge::core::hold::{Hold, HoldScope};
use scim_bridge::core::job::{DeadLetter, JobId, JobState};
use scim_bridge::core::limiter::CallKind;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, DeadAction, DeadSummary, JobView, Lease, NewDelivery, NewJob, Page, PersonView,
    Settled, Settlement, Stats, Store, StoreError, Token, TrialResult,
};

/// A store in rough weather.
pub(crate) struct Rough {
    store: Arc<Embedded>,
    /// How long every claim and token takes.
    pause: Duration,
    /// So many claims take effect, and are never answered.
    pub(crate) claims_hung: AtomicU64,
    /// Tokens asked for outside of a claim.
    pub(crate) tokens: AtomicU64,
    /// So many claims take effect, but are not answered in time.
    pub(crate) claims_lost: AtomicU64,
    /// So many settlements take effect, but their answer is lost.
    pub(crate) settlements_lost: AtomicU64,
    /// So many requests for a token or a longer lease meet a broken connection.
    pub(crate) broken: AtomicU64,
}

impl Rough {
    /// A store whose every claim and token takes so long.
    pub(crate) fn slow(store: Arc<Embedded>, pause: Duration) -> Self {
        Self { pause, ..Self::over(store) }
    }

    /// A store in fair weather, so far.
    pub(crate) fn over(store: Arc<Embedded>) -> Self {
        Self {
            store,
            pause: Duration::ZERO,
            claims_hung: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            claims_lost: AtomicU64::new(0),
            settlements_lost: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        }
    }
}

/// An error, so often.
fn fails(left: &AtomicU64, code: Code) -> Result<(), StoreError> {
    let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if fails { Err(StoreError::Trouble { code, detail: "rough weather".to_owned() }) } else { Ok(()) }
}

#[async_trait]
impl Store for Rough {
    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        tokio::time::sleep(self.pause).await;
        // Counted before it is done: whoever sees it done may drop this future.
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
    async fn settle(&self, now: UnixMs, lease: &Lease, settlement: Settlement) -> Result<Settled, StoreError> {
        let settled = self.store.settle(now, lease, settlement).await;
        fails(&self.settlements_lost, Code::StoreLost)?;
        settled
    }
    async fn settle_probe(&self, now: UnixMs, scope: HoldScope, result: TrialResult) -> Result<(), StoreError> {
        self.store.settle_probe(now, scope, result).await
    }
    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.store.back_off(now, until).await
    }
    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.store.holds().await
    }
    async fn set_hold(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Hold, StoreError> {
        self.store.set_hold(now, scope, code).await
    }
    async fn lift_hold(&self, now: UnixMs, scope: Option<HoldScope>) -> Result<Vec<Hold>, StoreError> {
        self.store.lift_hold(now, scope).await
    }
    async fn lift_hold_of(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Option<Hold>, StoreError> {
        self.store.lift_hold_of(now, scope, code).await
    }
    async fn dead_letters(&self, page: &Page) -> Result<Vec<DeadSummary>, StoreError> {
        self.store.dead_letters(page).await
    }
    async fn dead_letter(&self, id: JobId) -> Result<Option<DeadLetter>, StoreError> {
        self.store.dead_letter(id).await
    }
    async fn replay(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
        self.store.replay(now, id).await
    }
    async fn replay_as(&self, now: UnixMs, id: JobId, jobs: Vec<NewJob>) -> Result<DeadAction, StoreError> {
        self.store.replay_as(now, id, jobs).await
    }
    async fn discard(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
        self.store.discard(now, id).await
    }
    async fn jobs(&self, state: JobState, page: &Page) -> Result<Vec<JobView>, StoreError> {
        self.store.jobs(state, page).await
    }
    async fn job(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        self.store.job(id).await
    }
    async fn person(&self, person: &Person) -> Result<Option<PersonView>, StoreError> {
        self.store.person(person).await
    }
    async fn stats(&self, now: UnixMs) -> Result<Stats, StoreError> {
        self.store.stats(now).await
    }
    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.store.tidy(now).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
    async fn woken(&self) {
        self.store.woken().await;
    }
}
