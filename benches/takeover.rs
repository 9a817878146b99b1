//! How soon the next call for a person is made after their worker was killed during one: `cargo bench --bench
//! takeover`, or only on some stores: `cargo bench --bench takeover -- redis valkey`.
//!
//! The release binary, an intake and two workers in processes of their own, with the shortest lease that the
//! configuration allows (11 s for a timeout of 1 s). In every round one worker has calls in flight for eight people,
//! which the stand-in does not answer, and is killed (SIGKILL) at a random moment within the timeout; the other worker
//! takes over their lanes. `killed to called`: from before the kill until the stand-in has read the person's next
//! request. Aim: at most the lease and a second.

#[path = "deliveries/mod.rs"]
mod deliveries;
#[path = "figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;
#[path = "place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;
#[path = "process/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod process;

use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use figures::{percentile, sorted};
use place::{Engine, Place};
use process::{Serving, Start};
use rustix::process::Signal;
use scim_bridge::clock::Clock;
use scim_bridge::core::time::UnixMs;
use scim_bridge::postman_sim::{Fault, PostmanSim, SimOptions};
use secrecy::SecretString;

const ROUNDS: usize = 10;
/// As many as a worker works on at once by default.
const PEOPLE: usize = 8;
const LEASE_MS: u64 = 11_000;
const KEYS: [(&str, &str); 4] = [
    ("POSTMAN__WRITES_PER_MINUTE", "0"),
    ("POSTMAN__READS_PER_MINUTE", "0"),
    ("POSTMAN__TIMEOUT_S", "1"),
    ("WORKER__LEASE_S", "11"),
];
/// The longest time from the last call to the kill: well before any call times out.
const KILL_MS_MAX: u64 = 700;
const PATIENCE: Duration = Duration::from_secs(30);
const SEED: u64 = 20_261_122;

type Failed = Box<dyn Error + Send + Sync>;

/// A person's two calls.
struct TakenOver {
    /// From the kill to the next call.
    after_kill_ms: u64,
    /// From the interrupted call to the next one: the lease, plus the delay in noticing its end.
    apart_ms: u64,
}

fn main() -> Result<(), Failed> {
    println!("{ROUNDS} rounds of {PEOPLE} people; a lease of {LEASE_MS} ms; ms, least / median / most");
    println!("{:<10} {:>26} {:>26}", "", "killed to called", "call to call");
    for engine in Engine::chosen()? {
        if engine == Engine::Embedded {
            println!("{:<10} one process only: a restart ends its leases at once", engine.name());
            continue;
        }
        let mut chance = fastrand::Rng::with_seed(SEED);
        let mut people = Vec::with_capacity(ROUNDS * PEOPLE);
        for _ in 0..ROUNDS {
            people.extend(round(engine, Duration::from_millis(chance.u64(..KILL_MS_MAX)))?);
        }
        let three = |ms: Vec<f64>| format!("{:.0} / {:.0} / {:.0}", ms[0], percentile(&ms, 50), ms[ms.len() - 1]);
        println!(
            "{:<10} {:>26} {:>26}",
            engine.name(),
            three(sorted(people.iter().map(|one| as_f64(one.after_kill_ms)))),
            three(sorted(people.iter().map(|one| as_f64(one.apart_ms)))),
        );
    }
    Ok(())
}

fn as_f64(ms: u64) -> f64 {
    f64::from(u32::try_from(ms).unwrap_or(u32::MAX))
}

/// One kill, this long after the last call.
fn round(engine: Engine, kill_after: Duration) -> Result<Vec<TakenOver>, Failed> {
    let sim = PostmanSim::start(SimOptions { writes: 0, reads: 0, ..SimOptions::default() })?;
    let place = Place::new(engine)?;
    let (url, folder) = (place.url(), tempfile::tempdir()?);
    let intake = serve("intake", &url, folder.path(), &sim)?;
    let (killed, other) = (serve("worker", &url, folder.path(), &sim)?, serve("worker", &url, folder.path(), &sim)?);
    // Stopped until the kill, so that all open calls are the doomed worker's.
    other.signal(Signal::STOP)?;
    sim.inject(format!("create:hang:{PEOPLE}").parse::<Fault>()?)?;
    hire(intake.listen)?;
    until(|| sim.journal().len() == PEOPLE)?;
    std::thread::sleep(kill_after);
    let kill_at = Clock::System.now();
    killed.end(Signal::KILL)?;
    other.signal(Signal::CONT)?;
    // For each person, the interrupted call and the next one.
    let calls = |n| -> Vec<UnixMs> {
        let (journal, person) = (sim.journal(), deliveries::email(n));
        journal.iter().filter(|entry| entry.user_name.as_deref() == Some(&*person)).map(|entry| entry.at).collect()
    };
    until(|| (0..PEOPLE).all(|n| calls(n).len() >= 2))?;
    let both = |n| match *calls(n).as_slice() {
        [out, next, ..] if next >= kill_at => {
            Ok(TakenOver { after_kill_ms: next.ms_since(kill_at), apart_ms: next.ms_since(out) })
        }
        [_, _, ..] => Err("a call came before the kill: it timed out".into()),
        [] | [_] => Err("a person was not called about again".into()),
    };
    (0..PEOPLE).map(both).collect()
}

fn serve(role: &str, url: &str, folder: &Path, sim: &PostmanSim) -> Result<Serving, Failed> {
    Serving::start(&Start { role, url, folder, secret: deliveries::SECRET, keys: &KEYS }, sim)
}

/// Sends everybody's hire.
fn hire(to: SocketAddr) -> Result<(), Failed> {
    let (scheme, secret) = (deliveries::scheme()?, SecretString::from(deliveries::SECRET));
    let mut socket = TcpStream::connect(to)?;
    for n in 0..PEOPLE {
        deliveries::exchange(&mut socket, &deliveries::request(&scheme, &secret, n)?)?;
    }
    Ok(())
}

fn until(done: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        if Instant::now() > deadline {
            return Err("the awaited calls did not come".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
