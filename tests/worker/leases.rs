//! Workers die, hang and stop: lanes are taken over, late results refused, unfinished jobs given back.

use std::time::Duration;

use scim_bridge::core::code::Code;
use scim_bridge::core::job::{Finished, JobState};
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::{Claim, ClaimRequest, Store};
use scim_bridge::worker::Attempted;

use crate::bench::{Bench, LEASE_MS};

fn order(bench: &Bench, fault: &str) {
    bench.sim.order(fault.parse::<Fault>().unwrap()).unwrap();
}

/// A worker that claims and is never heard of again.
async fn claim_and_die(bench: &Bench) {
    let request = ClaimRequest { worker: "doomed".into(), number: 1, lost_from: None, jobs_max: 1, lease_ms: LEASE_MS };
    let claim = bench.store.claim(bench.clock.now(), &request).await.unwrap();
    assert!(matches!(claim, Claim::Jobs(_)), "{claim:?}");
}

#[tokio::test]
async fn a_worker_that_died_after_its_create_leaves_no_second_member() {
    let bench = Bench::new();
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    claim_and_die(&bench).await;
    bench.sim.add_member(scim_bridge::postman_sim::Person::member("e-1@example.com", "Ada", "Lovelace"));
    bench.nothing().await;
    bench.clock.advance_ms(LEASE_MS + 1);
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
    assert_eq!(bench.calls(), ["find 200"]);
    let job = bench.store.job(id).await.unwrap().unwrap().job;
    assert_eq!((job.attempts, job.take_overs), (0, 1));
}

#[tokio::test]
async fn a_job_that_kills_worker_after_worker_is_set_aside() {
    let bench = Bench::new();
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    for _ in 0..4 {
        claim_and_die(&bench).await;
        bench.clock.advance_ms(LEASE_MS + 1);
    }
    assert_eq!(bench.attempt().await, Attempted::Dead(Code::JobPoison));
    assert!(bench.calls().is_empty());
    bench.store.replay(bench.clock.now(), id).await.unwrap();
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
}

#[tokio::test]
async fn a_worker_that_slept_past_its_lease_settles_nothing() {
    let bench = Bench::new();
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    order(&bench, "create:delay:1:delay=200");
    let worker = bench.worker();
    let slow = tokio::spawn(async move { worker.step().await.unwrap() });
    // While its call is under way, its lease runs out, and another worker takes the lane over.
    while bench.sim.journal().is_empty() {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.clock.advance_ms(LEASE_MS + 1);
    claim_and_die(&bench).await;
    let stepped = slow.await.unwrap();
    assert!(format!("{stepped:?}").contains("LeaseLost"), "{stepped:?}");
    assert_eq!(bench.state(id).await, JobState::Running);
    bench.clock.advance_ms(LEASE_MS + 1);
    assert!(matches!(bench.attempt().await, Attempted::Done(_)));
    assert_eq!(bench.names("E-1").len(), 1);
}

#[tokio::test]
async fn the_pool_drains_what_is_there_and_stops_when_told() {
    let bench = Bench::new();
    for n in 0..50 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
        bench.rename(&format!("E-{n}"), "Ada", "King").await;
    }
    let life = Lifecycle::new();
    let pool = tokio::spawn(bench.worker().run(life.clone(), Duration::from_secs(5)));
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while bench.store.stats(bench.clock.now()).await.unwrap().jobs["done"] < 100 {
        assert!(std::time::Instant::now() < deadline, "{:?}", bench.store.stats(bench.clock.now()).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    life.stop();
    pool.await.unwrap();
    assert!((0..50).all(|n| bench.names(&format!("E-{n}")) == ["Ada King"]));
    assert_eq!(bench.calls().len(), 150, "not a call more than needed");
}

#[tokio::test]
async fn a_stop_gives_back_what_does_not_end_within_the_grace() {
    let bench = Bench::new();
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    order(&bench, "create:hang:1");
    let life = Lifecycle::new();
    let pool = tokio::spawn(bench.worker().run(life.clone(), Duration::from_millis(50)));
    while bench.sim.journal().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    life.stop();
    pool.await.unwrap();
    let view = bench.store.job(id).await.unwrap().unwrap();
    assert_eq!((view.state, view.job.attempts), (JobState::Waiting, 0));
    assert!(view.job.progress.create_unknown, "the create that was broken off may have taken effect");
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
    assert_eq!(bench.calls()[1], "find 200");
}
