//! A rolling upgrade and a rollback: an earlier version's processes and this one's on one Redis, each alone and both
//! together, while webhooks keep coming.
//!
//! `script/upgrade-test` builds the earlier version and passes its binary's path in [`PREVIOUS`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::postman_sim::{Fault, PostmanSim, SimOptions};

use crate::oracle::the_newest_facts_took_effect_once;
use crate::process::{Bridge, Home, KEY, PATIENCE};
use crate::redis_server::RedisServer;
use crate::senders::{Intakes, Sent, send_all};

const PREVIOUS: &str = "SCIM_BRIDGE_PREVIOUS";
const SENDERS: u64 = 4;
const PEOPLE_EACH: u32 = 500;
/// Words about each person.
const WORDS: u32 = 6;
/// How many times to upgrade and roll back.
const ROLLS: usize = 4;

/// One version's processes.
struct Pair {
    intake: Bridge,
    worker: Bridge,
}

impl Pair {
    fn start(home: &Home, binary: &Path) -> Self {
        Self { intake: home.serve_version(binary, "intake"), worker: home.serve_version(binary, "worker") }
    }

    /// Shuts both down gracefully.
    fn end(self) {
        for process in [self.intake, self.worker] {
            process.signal(Signal::TERM);
            let (status, log) = process.ended();
            assert_eq!(status.code(), Some(0), "{log}");
        }
    }
}

/// Waits until Postman has been called this often.
async fn calls(sim: &PostmanSim, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    while sim.stats().calls < count {
        assert!(Instant::now() < deadline, "there is no progress: {:?}", sim.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs an earlier version's binary: script/upgrade-test"]
async fn an_upgrade_and_a_rollback_lose_nothing_and_repeat_nothing() {
    let previous = PathBuf::from(std::env::var_os(PREVIOUS).expect("SCIM_BRIDGE_PREVIOUS names the earlier binary"));
    let this = PathBuf::from(env!("CARGO_BIN_EXE_scim-bridge"));
    let redis = RedisServer::start();
    let sim = PostmanSim::start(SimOptions { key: KEY.to_owned(), writes: 0, reads: 0, ..SimOptions::default() });
    let sim = sim.unwrap();
    for fault in ["create:create-failed:5%", "write:reset:3%:after"] {
        sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
    }
    let home = Home::new(
        &sim,
        &format!(
            "[server]\nadmin_token = \"the token of the tests, long enough\"\n[store]\nurl = \"{}\"\n[worker]\n\
             take_overs_max = 100\n",
            redis.url()
        ),
    );
    let mut serving = Pair::start(&home, &previous);
    let addresses: Intakes = Arc::new(RwLock::new(vec![serving.intake.listen.clone()]));
    let sending: Vec<_> =
        (0..SENDERS).map(|n| tokio::spawn(send_all(n, 7, PEOPLE_EACH, WORDS, addresses.clone()))).collect();
    for roll in 0..ROLLS {
        let done = sim.stats().calls;
        calls(&sim, done + 100).await;
        let next = tokio::task::block_in_place(|| Pair::start(&home, if roll % 2 == 0 { &this } else { &previous }));
        addresses.write().unwrap().push(next.intake.listen.clone());
        // Both versions together.
        let done = sim.stats().calls;
        calls(&sim, done + 100).await;
        addresses.write().unwrap().remove(0);
        tokio::task::block_in_place(|| std::mem::replace(&mut serving, next).end());
    }
    assert!(sending.iter().any(|sender| !sender.is_finished()), "the senders ended before the last roll");
    let mut sent = Sent::default();
    for sender in sending {
        sent.add(sender.await.unwrap());
    }
    serving.worker.settled().await;
    // Those whose writes were not answered, or made by a worker that died, are looked at once more.
    serving.worker.until("scheduled", 0).await;
    assert_eq!(serving.worker.jobs(&["dead", "scheduled", "incomplete"]).await, 0);
    serving.worker.all_have_ended(&sent.jobs).await;
    let words = the_newest_facts_took_effect_once(&sim, &sent.accepted);
    println!("{ROLLS} rolls, {} people, {words} words, {} calls", sent.accepted.len(), sim.stats().calls);
}
