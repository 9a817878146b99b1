//! The rate limit in rough weather: a store that is slow, a call that is held up on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Event, Person};
use scim_bridge::core::hold::{Hold, HoldScope, ProbePauses};
use scim_bridge::core::job::{DeadLetter, JobId, JobState};
use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::core::time::UnixMs;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, DeadAction, DeadSummary, Dedupe, JobView, Lease, NewDelivery, NewJob, Page,
    PersonView, Retention, Settled, Settlement, Stats, Store, StoreError, StoreOptions, Token, TrialResult,
};
use scim_bridge::worker::{Stepped, Worker, WorkerOptions};

use crate::bench::{RULES, hire};

fn store(folder: &tempfile::TempDir, writes: Rate) -> Arc<Embedded> {
    let options = StoreOptions {
        writes,
        reads: Rate { calls: 0, window_ms: writes.window_ms },
        high_water_jobs: 10_000,
        retention: Retention { finished_ms: 1_000_000_000, finished_jobs_max: 1000 },
        probe_pauses: ProbePauses { first_ms: 30_000, max_ms: 300_000 },
    };
    Arc::new(Embedded::open(folder.path(), options).unwrap())
}

fn worker(store: Arc<dyn Store>, base_url: &str, window_ms: u64) -> Worker {
    let client = Client::new(ClientOptions {
        base_url: base_url.parse().unwrap(),
        key: LiveSecret::new(SimOptions::default().key.into()),
        auth: Auth::Bearer,
        x_api_key: false,
        locale: "en-US".to_owned(),
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(5),
        ca_pem: None,
    })
    .unwrap();
    let options = WorkerOptions {
        concurrency: 8,
        lease_ms: 60_000,
        call_timeout_ms: 20_000,
        rate_window_ms: window_ms,
        look_up_pages_max: 20,
        retry: RULES,
    };
    Worker::new(store, client, Clock::System, options)
}

async fn accept(store: &dyn Store, event: Event) {
    let id = new_job_id();
    let delivery = NewDelivery {
        source: event.person.source.clone(),
        dedupe: Dedupe { key: id.0.to_be_bytes(), fingerprint: [0; 16], remember_ms: 1 },
        jobs: vec![NewJob { id, event }],
        unmapped: Vec::new(),
    };
    assert_eq!(store.accept(Clock::System.now(), delivery).await.unwrap(), Accepted::Stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_always_slow_slows_the_worker_and_does_not_starve_it() {
    let folder = tempfile::tempdir().unwrap();
    let sim = PostmanSim::start(SimOptions { writes: 0, reads: 0, ..SimOptions::default() }).unwrap();
    let store = store(&folder, Rate { calls: 180, window_ms: 60_000 });
    accept(store.as_ref(), hire("E-1", "Ada", "Lovelace")).await;
    // Slower than the margin in which a token is good.
    let slow = Arc::new(Slow { store, pause: Duration::from_millis(700), tokens: AtomicU64::new(0) });
    let worker = worker(slow, &sim.base_url(), 60_000);
    let step = tokio::time::timeout(Duration::from_secs(15), worker.step());
    assert!(matches!(step.await.expect("it ends").unwrap(), Stepped::Attempted(_)));
    assert_eq!(sim.journal().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_held_up_on_its_way_is_charged_for_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let sim = PostmanSim::start(SimOptions { writes: 0, reads: 0, ..SimOptions::default() }).unwrap();
    let store = store(&folder, Rate { calls: 0, window_ms: 60_000 });
    let watched = Arc::new(Slow { store, pause: Duration::ZERO, tokens: AtomicU64::new(0) });
    let worker = worker(watched.clone(), &sim.base_url(), 60_000);
    for n in 0..21 {
        accept(watched.as_ref(), hire(&format!("E-{n}"), "Ada", "Lovelace")).await;
        if n == 20 {
            // Without a limit a claim brings its token, so whatever is taken now is a charge.
            watched.tokens.store(0, Ordering::SeqCst);
            sim.order("create:delay:1:delay=1500".parse().unwrap()).unwrap();
        }
        assert!(matches!(worker.step().await.unwrap(), Stepped::Attempted(_)));
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while watched.tokens.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "it was not charged");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A store whose every claim and token takes a while.
struct Slow {
    store: Arc<Embedded>,
    pause: Duration,
    /// Tokens asked for outside of a claim.
    tokens: AtomicU64,
}

#[async_trait]
impl Store for Slow {
    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        tokio::time::sleep(self.pause).await;
        self.store.claim(now, request).await
    }
    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.tokens.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.pause).await;
        self.store.take_token(now, kind).await
    }
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        self.store.accept(now, delivery).await
    }
    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        self.store.renew(now, lease, lease_ms).await
    }
    async fn settle(&self, now: UnixMs, lease: &Lease, settlement: Settlement) -> Result<Settled, StoreError> {
        self.store.settle(now, lease, settlement).await
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
