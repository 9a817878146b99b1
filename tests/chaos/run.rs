//! The chaos run itself.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::postman_sim::{Fault, PostmanSim, SimOptions};

use crate::oracle::the_newest_facts_took_effect_once;
use crate::process::{Bridge, Home, KEY, MOVING};
use crate::redis_server::RedisServer;
use crate::senders::{Intakes, Sent, send_all};

const INTAKES: usize = 2;
const WORKERS: usize = 3;
const SENDERS: u64 = 4;
/// Words about each person.
const WORDS: u32 = 6;
/// The lease is the shortest that the configuration allows for a timeout of a second.
const TIMEOUT_S: u64 = 1;
const LEASE_S: u64 = 11;
/// Long enough for every lease of a stopped process to expire.
const STOPPED: Duration = Duration::from_secs(LEASE_S + 2);
const WINDOW_S: u64 = 10;

/// The size of a run.
struct Amount {
    seed: u64,
    people: u32,
    /// Calls of either kind in a window.
    calls: u32,
    /// After this many failures the rest drains undisturbed, once everything is sent.
    kills: u32,
    redis_restarts: u32,
    /// The pause between two disruptions.
    pause_ms: std::ops::Range<u64>,
    patience: Duration,
}

/// The processes, by index.
struct Fleet {
    home: Home,
    intakes: Vec<Bridge>,
    workers: Vec<Bridge>,
    addresses: Intakes,
}

impl Fleet {
    fn start(home: Home) -> Self {
        let intakes: Vec<_> = (0..INTAKES).map(|_| home.serve_as("intake")).collect();
        let workers = (0..WORKERS).map(|_| home.serve_as("worker")).collect();
        let addresses = Arc::new(RwLock::new(intakes.iter().map(|intake| intake.listen.clone()).collect()));
        Self { home, intakes, workers, addresses }
    }

    /// Ends one process, usually immediately, and replaces it. The worker at `spared` is stopped instead: it must
    /// resume after its lease has expired.
    fn end_one(&mut self, spared: Option<usize>, chance: &mut fastrand::Rng) {
        let signal = if chance.u8(..4) == 0 { Signal::TERM } else { Signal::KILL };
        let place = chance.usize(..WORKERS);
        if chance.bool() && spared != Some(place) {
            end(&mut self.workers[place], signal, || self.home.serve_as("worker"));
        } else {
            let place = chance.usize(..INTAKES);
            end(&mut self.intakes[place], signal, || self.home.serve_as("intake"));
            self.addresses.write().unwrap()[place] = self.intakes[place].listen.clone();
        }
    }
}

/// Ends a process; one that gets SIGTERM has time for a graceful shutdown.
fn end(process: &mut Bridge, signal: Signal, next: impl FnOnce() -> Bridge) {
    process.signal(signal);
    let old = std::mem::replace(process, next());
    if signal == Signal::TERM {
        let (status, log) = old.ended();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

fn stand_in(amount: &Amount) -> PostmanSim {
    let sim = PostmanSim::start(SimOptions {
        key: KEY.to_owned(),
        writes: amount.calls,
        reads: amount.calls,
        window_ms: WINDOW_S * 1000,
        seed: amount.seed,
        ..SimOptions::default()
    })
    .unwrap();
    let slow = format!("any:delay:5%:after:delay={}", TIMEOUT_S * 1000 + 300);
    for fault in
        ["create:create-failed:10%", "replace:update-failed:10%", "activate:500:5%", "write:reset:5%:after", &slow]
    {
        sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
    }
    sim
}

fn home(sim: &PostmanSim, redis: &RedisServer, amount: &Amount) -> Home {
    let config = format!(
        "[server]\nadmin_token = \"the token of the tests, long enough\"\n\
         [store]\nurl = \"{}\"\n\
         [postman]\nlook_up_pages_max = 1\ntimeout_s = {TIMEOUT_S}\nrate_window_s = {WINDOW_S}\nwrites_per_minute = {}\nreads_per_minute = {}\n\
         [worker]\nlease_s = {LEASE_S}\ntake_overs_max = 100\n\
         [hold]\nprobe_first_s = 1\nprobe_max_s = 2\n",
        redis.url(),
        amount.calls,
        amount.calls,
    );
    Home::new(sim, &config)
}

async fn chaos(amount: Amount) {
    let began = Instant::now();
    let mut redis = RedisServer::start();
    let sim = stand_in(&amount);
    let mut fleet = Fleet::start(home(&sim, &redis, &amount));
    let mut chance = fastrand::Rng::with_seed(amount.seed);
    let share = amount.people / u32::try_from(SENDERS).unwrap();
    let mut sending: Vec<_> =
        (0..SENDERS).map(|n| tokio::spawn(send_all(n, amount.seed, share, WORDS, fleet.addresses.clone()))).collect();

    let (mut kills, mut stops, mut restarts, mut storm) = (0, 0, 0, false);
    let mut stopped: Option<(Instant, usize)> = None;
    while sending.iter().any(|sender| !sender.is_finished())
        || stopped.is_some()
        || (kills < amount.kills && fleet.intakes[0].jobs_if_known(&MOVING).await != Some(0))
    {
        assert!(began.elapsed() < amount.patience, "it does not end");
        tokio::time::sleep(Duration::from_millis(chance.u64(amount.pause_ms.clone()))).await;
        match stopped {
            Some((since, place)) if since.elapsed() > STOPPED => {
                fleet.workers[place].signal(Signal::CONT);
                stopped = None;
            }
            Some(_) => {}
            None => {
                let place = chance.usize(..WORKERS);
                fleet.workers[place].signal(Signal::STOP);
                stopped = Some((Instant::now(), place));
                stops += 1;
            }
        }
        tokio::task::block_in_place(|| fleet.end_one(stopped.map(|(_, place)| place), &mut chance));
        kills += 1;
        if restarts < amount.redis_restarts && chance.u8(..4) == 0 {
            tokio::task::block_in_place(|| redis.kill_and_restart());
            restarts += 1;
        }
        if !storm && kills > 3 {
            // A burst of 401s in the middle: everything is held, nobody is dead-lettered.
            sim.set_key("rotated");
            tokio::time::sleep(Duration::from_secs(2)).await;
            sim.set_key(KEY);
            storm = true;
        }
    }
    let mut sent = Sent::default();
    for sender in &mut sending {
        sent.add(sender.await.unwrap());
    }
    let watch = &fleet.intakes[0];
    while watch.jobs_if_known(&MOVING).await != Some(0) {
        assert!(began.elapsed() < amount.patience, "{}", watch.api("/api/v1/status").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Those whose writes were not answered, or made by a worker that died, are looked at once more.
    watch.until("scheduled", 0).await;
    assert_eq!(watch.jobs(&["dead", "scheduled", "incomplete"]).await, 0, "{}", watch.api("/api/v1/dead").await);
    watch.all_have_ended(&sent.jobs).await;
    let words = the_newest_facts_took_effect_once(&sim, &sent.accepted);
    let stats = sim.stats();
    assert_eq!(stats.write_violations + stats.read_violations, 0, "the rate was exceeded: {stats:?}");
    println!(
        "seed {}: {} people, {words} words, {} calls ({} faults), {kills} kills, {stops} stops past the lease, \
         {restarts} restarts of Redis, at most {} writes and {} reads of {} in {WINDOW_S} s, {:.0} s",
        amount.seed,
        sent.accepted.len(),
        stats.calls,
        stats.faults,
        stats.max_writes_in_window,
        stats.max_reads_in_window,
        amount.calls,
        began.elapsed().as_secs_f64(),
    );
}

/// The seed, as `script/soak` sets it.
fn seed() -> Option<u64> {
    std::env::var_os("SCIM_BRIDGE_CHAOS_SEED")?.to_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_short() {
    chaos(Amount {
        seed: seed().unwrap_or(20_261_122),
        people: 200,
        calls: 600,
        kills: 20,
        redis_restarts: 2,
        pause_ms: 500..1500,
        patience: Duration::from_mins(10),
    })
    .await;
}

/// `cargo test --release --test chaos -- --ignored chaos_long --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long form of chaos_short"]
async fn chaos_long() {
    chaos(Amount {
        seed: 1,
        people: 20_000,
        calls: 3_000,
        kills: 400,
        redis_restarts: 60,
        pause_ms: 1000..4000,
        patience: Duration::from_secs(4000),
    })
    .await;
}
