//! Answers of the store that come late or not at all, and connections that break: no person is affected.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use scim_bridge::core::person::job::Finished;
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::store::{LaneState, StoreError};
use scim_bridge::worker::{Attempted, Stepped};

use crate::bench::{Bench, LEASE_MS};
use crate::rough_store::Rough;

fn rough(bench: &Bench) -> Arc<Rough> {
    Arc::new(Rough::over(bench.store.clone()))
}

async fn take_overs(bench: &Bench, id: &str) -> u32 {
    bench.document(id).await.progress.take_overs
}

#[tokio::test]
async fn claims_answered_long_after_their_lease_dead_letter_nobody() {
    let bench = Bench::new();
    for n in 0..6 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
    }
    let store = rough(&bench);
    let worker = bench.worker_on(store.clone());
    store.claims_lost.store(8, Ordering::SeqCst);
    for _ in 0..8 {
        assert!(matches!(worker.step().await, Err(StoreError::Trouble { .. })));
        bench.clock.advance_ms(LEASE_MS + 1);
    }
    for _ in 0..6 {
        let stepped = worker.step().await.unwrap();
        assert!(matches!(stepped, Stepped::Attempted(Attempted::InLine(Finished::Created))), "{stepped:?}");
    }
    for n in 0..6 {
        let id = format!("E-{n}");
        assert_eq!((bench.state(&id).await, take_overs(&bench, &id).await), (LaneState::Idle, 0));
    }
}

#[tokio::test]
async fn the_next_claim_gives_back_a_lost_one() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    let store = rough(&bench);
    store.claims_hung.store(1, Ordering::SeqCst);
    let worker = bench.worker_on(store);
    let dropped = tokio::spawn({
        let worker = worker.clone();
        async move { worker.step().await }
    });
    while bench.state("E-1").await != LaneState::Running {
        tokio::task::yield_now().await;
    }
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    let stepped = worker.step().await.unwrap();
    assert!(matches!(stepped, Stepped::Attempted(Attempted::InLine(Finished::Created))), "{stepped:?}");
    assert_eq!(take_overs(&bench, "E-1").await, 0);
}

#[tokio::test]
async fn a_stopping_worker_gives_back_a_lost_claim() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    let store = rough(&bench);
    store.claims_lost.store(1, Ordering::SeqCst);
    let life = Lifecycle::new();
    let pool = tokio::spawn(bench.worker_on(store.clone()).run(life.clone(), Duration::from_secs(5)));
    while store.claims_lost.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    life.stop();
    pool.await.unwrap();
    assert_eq!(bench.state("E-1").await, LaneState::Waiting);
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn a_broken_connection_before_a_call_costs_a_moment_and_not_the_lease() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.rename("E-1", "Ada", "King").await;
    let store = rough(&bench);
    store.broken.store(1, Ordering::SeqCst);
    let began = Instant::now();
    // A token for the read, one for the write, and the one whose request failed.
    let stepped = bench.worker_on(store.clone()).step().await.unwrap();
    assert!(matches!(stepped, Stepped::Attempted(Attempted::InLine(Finished::Updated))), "{stepped:?}");
    assert_eq!(store.tokens.load(Ordering::SeqCst), 3);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(take_overs(&bench, "E-1").await, 0);
}

#[tokio::test]
async fn a_store_outage_as_long_as_the_lease_gives_a_person_back_uncounted() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.rename("E-1", "Ada", "King").await;
    let store = rough(&bench);
    store.broken.store(u64::MAX, Ordering::SeqCst);
    let worker = bench.worker_on(store.clone());
    let step = tokio::spawn(async move { worker.step().await.unwrap() });
    while store.tokens.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance_ms(LEASE_MS);
    let stepped = step.await.unwrap();
    assert!(matches!(stepped, Stepped::Attempted(Attempted::GivenBack)), "{stepped:?}");
    let progress = bench.document("E-1").await.progress;
    assert_eq!((bench.state("E-1").await, progress.take_overs, progress.failures), (LaneState::Waiting, 0, 0));
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Updated));
}

#[tokio::test]
async fn a_commit_with_a_lost_answer_loses_no_lease() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    let store = rough(&bench);
    store.commits_lost.store(1, Ordering::SeqCst);
    let stepped = bench.worker_on(store).step().await.unwrap();
    assert!(matches!(stepped, Stepped::Attempted(Attempted::InLine(Finished::Created))), "{stepped:?}");
    assert_eq!(bench.state("E-1").await, LaneState::Idle);
}
