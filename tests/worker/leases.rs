//! Workers die, hang and stop: lanes are taken over, late results refused, unfinished work handed back.

use std::time::Duration;

use bytes::Bytes;
use scim_bridge::clock::new_job_id;
use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::{Accepted, LaneState, NewDelivery, NewEntry};
use scim_bridge::worker::{Attempted, Stepped, end_leases};

use crate::bench::{Bench, LEASE_MS, person, until};

fn inject(bench: &Bench, fault: &str) {
    bench.sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
}

#[tokio::test]
async fn a_worker_killed_after_its_create_makes_no_second_member() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.claimed_by("doomed").await;
    bench.sim.add_member(scim_bridge::postman_sim::Person::member("e-1@example.com", "Ada", "Lovelace"));
    bench.nothing().await;
    bench.clock.advance_ms(LEASE_MS + 1);
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
    assert_eq!(bench.calls(), ["find 200"]);
}

#[tokio::test]
async fn a_process_killed_after_its_create_leaves_no_leaver_in_the_team() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.claimed_by("doomed").await;
    // The create took effect, but reads do not show it yet. HR's next event goes to the next process at once.
    bench.leave("E-1").await;
    end_leases(bench.store.as_ref(), bench.clock.now()).await.unwrap();
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimUnknownOutcome));
    bench.sim.add_member(scim_bridge::postman_sim::Person::member("e-1@example.com", "Ada", "Lovelace"));
    assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created));
    assert!(!bench.sim.members()[0].active, "{:?}", bench.calls());
    assert_eq!(bench.document("E-1").await.progress.take_overs, 0);
}

#[tokio::test]
async fn an_entry_of_another_version_is_reported_and_stays_in_the_inbox() {
    let bench = Bench::new();
    let id = new_job_id(person("E-1").id());
    let entries = vec![NewEntry { job: id, person: person("E-1"), bytes: Bytes::from_static(b"another version's") }];
    let delivery = NewDelivery { source: person("E-1").source, dedupe: None, entries, unmapped: Vec::new() };
    assert_eq!(bench.store.accept(bench.clock.now(), delivery).await.unwrap(), Accepted::Stored);
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Attempted::Unreadable);
    assert_eq!(bench.row("E-1").await.inbox.len(), 2);
    assert_eq!(bench.state("E-1").await, LaneState::Blocked);
    assert_eq!(bench.store.stats().await.unwrap().dead[Code::StoreDamaged.as_str()], 1);
}

#[tokio::test]
async fn a_person_who_kills_several_workers_is_set_aside() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    // A worker's death counts only once its lane is taken over and committed: each attempt is interrupted.
    inject(&bench, "create:hang:forever");
    for _ in 0..4 {
        bench.claimed_by("doomed").await;
        bench.clock.advance_ms(LEASE_MS + 1);
        let stepped = bench.worker().step().await.unwrap();
        assert!(matches!(stepped, Stepped::Attempted(_)), "{stepped:?}");
        bench.clock.advance_ms(901_000);
    }
    assert_eq!(bench.document("E-1").await.trouble.unwrap().code, Code::JobPoison);
    bench.sim.clear_faults();
    bench.try_again("E-1").await;
    assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created));
}

#[tokio::test]
async fn a_worker_that_slept_past_its_lease_commits_nothing() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    inject(&bench, "create:delay:1:delay=200");
    let worker = bench.worker();
    let slow = tokio::spawn(async move { worker.step().await.unwrap() });
    // Its lease expires during its call, and another worker takes the lane over.
    until("Postman is called", || !bench.sim.journal().is_empty()).await;
    bench.clock.advance_ms(LEASE_MS + 1);
    bench.claimed_by("doomed").await;
    assert_eq!(slow.await.unwrap(), Stepped::Attempted(Attempted::LeaseLost));
    assert_eq!(bench.state("E-1").await, LaneState::Running);
    bench.clock.advance_ms(LEASE_MS + 1);
    assert!(matches!(bench.attempt().await, Attempted::InLine(_)));
    assert_eq!(bench.names("E-1").len(), 1);
}

#[tokio::test]
async fn the_pool_drains_the_queue_and_stops_on_request() {
    let bench = Bench::new();
    for n in 0..50 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
        bench.rename(&format!("E-{n}"), "Ada", "King").await;
    }
    let life = Lifecycle::new();
    let pool = tokio::spawn(bench.worker().run(life.clone(), Duration::from_secs(5)));
    until("all are members", || bench.sim.members().len() >= 50).await;
    life.stop();
    pool.await.unwrap();
    assert!((0..50).all(|n| bench.names(&format!("E-{n}")) == ["Ada King"]));
    assert_eq!(bench.calls().len(), 50, "no more calls than needed");
}

#[tokio::test]
async fn a_stop_gives_back_unfinished_work_after_the_grace() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    inject(&bench, "create:hang:1");
    let life = Lifecycle::new();
    let pool = tokio::spawn(bench.worker().run(life.clone(), Duration::from_millis(50)));
    until("Postman is called", || !bench.sim.journal().is_empty()).await;
    life.stop();
    pool.await.unwrap();
    assert_eq!(bench.state("E-1").await, LaneState::Waiting);
    let progress = bench.document("E-1").await.progress;
    assert_eq!(progress.failures, 0);
    assert!(progress.create_unknown.is_some(), "the interrupted create may have taken effect");
    let after = bench.worker_on(bench.store.clone());
    after.step().await.unwrap();
    assert_eq!(bench.calls()[1], "find 200");
}
