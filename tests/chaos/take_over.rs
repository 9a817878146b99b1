//! A worker is killed in the middle of a call, and another process takes over the person: at most the lease and a
//! second after the kill, and not before the lease has expired.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::clock::Clock;
use scim_bridge::core::time::UnixMs;
use scim_bridge::postman_sim::{Entry, Fault, Operation, PostmanSim};

use crate::process::{Bridge, Home, PATIENCE, http, job_id, payload, post, sim};
use crate::redis_server::RedisServer;

/// The longest time allowed from the kill to the next call, in addition to the lease.
const NOTICED_MS: u64 = 1_000;
/// The longest time from the claim to the arrival of its call at the stand-in: the lease starts with the claim, but the
/// test only knows when the call came.
const CLAIMED_BEFORE_MS: u64 = 1_000;

/// An intake and two workers on one Redis; the first worker's call for the person is in flight.
struct Stage {
    _redis: RedisServer,
    sim: PostmanSim,
    intake: Bridge,
    busy: Bridge,
    /// Stopped (SIGSTOP), so that it does not claim the person.
    other: Bridge,
    /// The id of the hire's job.
    job: String,
}

impl Stage {
    async fn with_a_call_out(timeout_s: u64, lease_s: u64) -> Self {
        let redis = RedisServer::start();
        let sim = sim();
        let config = format!(
            "[server]\nadmin_token = \"the token of the tests, long enough\"\n[store]\nurl = \"{}\"\n\
             [postman]\ntimeout_s = {timeout_s}\n[worker]\nlease_s = {lease_s}\n[log]\nlevel = \"debug\"\n",
            redis.url(),
        );
        let home = Home::new(&sim, &config);
        let (intake, busy, other) = (home.serve_as("intake"), home.serve_as("worker"), home.serve_as("worker"));
        other.signal(Signal::STOP);
        // Postman carries out the call, but the answer never arrives.
        sim.inject("create:hang:1:after".parse::<Fault>().unwrap()).unwrap();
        let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
        let (status, answer) = post(&http(), &intake.listen, "m1", &hire).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let stage = Self { _redis: redis, sim, intake, busy, other, job: job_id(&answer).to_owned() };
        stage.calls(1).await;
        stage
    }

    /// Waits until this many calls have arrived.
    async fn calls(&self, count: usize) -> Vec<Entry> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let journal = self.sim.journal();
            if journal.len() >= count {
                return journal;
            }
            assert!(Instant::now() < deadline, "{journal:?}\n{}\n{}", self.busy.log(), self.other.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills the worker whose call is in flight, and returns when.
    fn kill(&self) -> UnixMs {
        let at = Clock::System.now();
        self.busy.signal(Signal::KILL);
        self.other.signal(Signal::CONT);
        at
    }

    /// Waits until the lease of the call in flight has been renewed.
    async fn renewed(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.busy.log().contains("lease renewed") {
            assert!(Instant::now() < deadline, "{}", self.busy.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The call in flight, and the other worker's first one.
    async fn calls_about_the_person(&self, killed_at: UnixMs) -> (Entry, Entry) {
        let mut journal = self.calls(2).await;
        let (next, out) = (journal.remove(1), journal.remove(0));
        assert!(next.at >= killed_at, "the call that was out ended before the kill");
        // It may have taken effect: the other worker searches before it creates anybody.
        assert_eq!((out.operation, next.operation), (Operation::Create, Operation::Find));
        assert_eq!(next.user_name, out.user_name);
        (out, next)
    }

    async fn ends_well(&self) {
        self.intake.settled().await;
        assert_eq!(self.intake.outcome(&self.job).await, "created");
        assert_eq!(self.sim.members().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_workers_person_is_taken_over_within_the_lease_and_a_second() {
    // The shortest lease that the configuration allows.
    let lease_ms = 11_000;
    let stage = Stage::with_a_call_out(1, lease_ms / 1000).await;
    let killed_at = stage.kill();
    let (out, next) = stage.calls_about_the_person(killed_at).await;
    let after_ms = next.at.ms_since(killed_at);
    assert!(after_ms <= lease_ms + NOTICED_MS, "{after_ms} ms after the kill\n{}", stage.other.log());
    let apart_ms = next.at.ms_since(out.at);
    assert!(apart_ms + CLAIMED_BEFORE_MS >= lease_ms, "{apart_ms} ms after the call: the lease was not over");
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_renewed_during_a_call_counts_from_its_renewal() {
    let (timeout_s, lease_ms) = (8, 18_000);
    let stage = Stage::with_a_call_out(timeout_s, lease_ms / 1000).await;
    stage.renewed().await;
    let killed_at = stage.kill();
    let (out, next) = stage.calls_about_the_person(killed_at).await;
    let after_ms = next.at.ms_since(killed_at);
    assert!(after_ms <= lease_ms + NOTICED_MS, "{after_ms} ms after the kill\n{}", stage.other.log());
    // It is renewed after a third of it has passed.
    let apart_ms = next.at.ms_since(out.at);
    let renewed_until_ms = lease_ms / 3 + lease_ms;
    assert!(apart_ms + CLAIMED_BEFORE_MS >= renewed_until_ms, "{apart_ms} ms after the call: the lease was not over");
    stage.ends_well().await;
}
