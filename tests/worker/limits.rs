//! The rate limit with a slow store, and with a call that is delayed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::Event;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::Store;
use scim_bridge::store::memory::Memory;
use scim_bridge::worker::{Stepped, Worker};

use crate::bench::{accept, client, hire, store_options, until, worker_options};
use crate::rough_store::Rough;

fn store(writes: Rate) -> Arc<dyn Store> {
    Arc::new(Memory::new(store_options(writes)))
}

fn worker(store: Arc<dyn Store>, sim: &PostmanSim) -> Worker {
    let key = LiveSecret::new(SimOptions::default().key.into());
    Worker::new(store, client(sim, key, Duration::from_secs(20)), Clock::System, worker_options())
}

async fn deliver(store: &dyn Store, event: Event) {
    let id = new_job_id(event.person.id());
    accept(store, Clock::System.now(), id, event).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_always_slow_slows_the_worker_and_does_not_starve_it() {
    let sim = PostmanSim::start(SimOptions { writes: 0, reads: 0, ..SimOptions::default() }).unwrap();
    let store = store(Rate { calls: 180, window_ms: 60_000 });
    deliver(store.as_ref(), hire("E-1", "Ada", "Lovelace")).await;
    // Slower than the time for which a token is valid.
    let slow = Arc::new(Rough::slow(store, Duration::from_millis(700)));
    let worker = worker(slow, &sim);
    let step = tokio::time::timeout(Duration::from_secs(15), worker.step());
    assert!(matches!(step.await.expect("it ends").unwrap(), Stepped::Attempted(_)));
    assert_eq!(sim.journal().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_call_is_charged_a_second_token() {
    let sim = PostmanSim::start(SimOptions { writes: 0, reads: 0, ..SimOptions::default() }).unwrap();
    let store = store(Rate { calls: 0, window_ms: 60_000 });
    let watched = Arc::new(Rough::over(store));
    let worker = worker(watched.clone(), &sim);
    // After twenty ordinary calls, the usual duration is known.
    for n in 0..21 {
        deliver(watched.as_ref(), hire(&format!("E-{n}"), "Ada", "Lovelace")).await;
        if n == 20 {
            // The second token is the charge.
            watched.tokens.store(0, Ordering::SeqCst);
            sim.inject("create:delay:1:delay=1500".parse().unwrap()).unwrap();
        }
        assert!(matches!(worker.step().await.unwrap(), Stepped::Attempted(_)));
    }
    until("it is charged", || watched.tokens.load(Ordering::SeqCst) >= 2).await;
}
