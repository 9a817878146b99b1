//! The rate limit in rough weather: a store that is slow, a call that is held up on its way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::event::Event;
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::limiter::Rate;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Accepted, Dedupe, NewDelivery, NewJob, Retention, Store, StoreOptions};
use scim_bridge::worker::{Stepped, Worker, WorkerOptions};

use crate::bench::{RULES, hire};
use crate::rough_store::Rough;

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
    let slow = Arc::new(Rough::slow(store, Duration::from_millis(700)));
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
    let watched = Arc::new(Rough::over(store));
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
