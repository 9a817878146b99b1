//! The cost of a whole roster: `cargo bench --bench roster`, or only on some stores: `cargo bench --bench roster --
//! embedded redis valkey`.
//!
//! The release binary in a process of its own; the stand-in has a team of the same people. Rosters of 400, 10,000 and
//! 100,000 people are imported and planned (aim: 400 in 5 s and 10,000 in 3 minutes at Postman's read rate, with 101
//! reads; 100,000 within 256 MiB, here without a limit on reads). Then 720 people are applied to an empty team, with a
//! window of 12 s (aim: 98% of the writes that Postman allows, and no violation).

#[path = "place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;
#[path = "process/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod process;

use std::error::Error;
use std::time::{Duration, Instant};

use place::{Engine, Place};
use process::{Serving, Start};
use reqwest::header::AUTHORIZATION;
use rustix::process::Signal;
use scim_bridge::postman_sim::{Operation, Person, PostmanSim, SimOptions};
use serde_json::Value;
use tempfile::TempDir;

type Failed = Box<dyn Error + Send + Sync>;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "a-token-of-this-benchmark-only";
const READS: u32 = 300;
const APPLIED: u32 = 720;
const WRITES: u32 = 180;
const WINDOW_S: u32 = 12;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    // Nothing here is encrypted, but reqwest requires a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    for engine in Engine::chosen()? {
        println!("{}", engine.name());
        println!(
            "{:>8} {:>10} {:>9} {:>7} {:>16} {:>15}",
            "people", "import s", "plan s", "reads", "reads a minute", "resident MiB"
        );
        for (people, reads) in [(400, READS), (10_000, READS), (100_000, 0)] {
            plan(engine, people, reads).await?;
        }
        apply(engine).await?;
    }
    Ok(())
}

async fn plan(engine: Engine, people: u32, reads: u32) -> Result<(), Failed> {
    let sim = PostmanSim::start(SimOptions { reads, ..SimOptions::default() })?;
    (0..people).for_each(|n| sim.add_member(Person::member(&address(n), "Ada", "Lovelace")));
    let reads_key = reads.to_string();
    let bridge = Bridge::start(engine, &sim, &[("POSTMAN__READS_PER_MINUTE", &reads_key)])?;
    let began = Instant::now();
    bridge.import(people).await?;
    let imported = began.elapsed();
    let began = Instant::now();
    let plan = bridge.send(bridge.client.get(bridge.url("/api/v1/roster/plan"))).await?;
    let planned = began.elapsed();
    if ["create", "rename", "blocked", "strangers"].iter().any(|list| plan[list] != Value::Array(Vec::new())) {
        return Err("everybody is in the team, but the plan is not empty".into());
    }
    let resident = bridge.serving.memory("VmHWM")? >> 20;
    let pages = sim.journal().iter().filter(|entry| entry.operation == Operation::Page).count();
    println!(
        "{people:>8} {:>10.1} {:>9.1} {pages:>7} {:>16} {resident:>15}",
        imported.as_secs_f64(),
        planned.as_secs_f64(),
        if reads == 0 { "no limit".to_owned() } else { reads_key.clone() }
    );
    bridge.serving.end(Signal::TERM)
}

async fn apply(engine: Engine) -> Result<(), Failed> {
    let window_ms = u64::from(WINDOW_S) * 1_000;
    let sim = PostmanSim::start(SimOptions { window_ms, ..SimOptions::default() })?;
    let bridge = Bridge::start(engine, &sim, &[("POSTMAN__RATE_WINDOW_S", &WINDOW_S.to_string())])?;
    bridge.import(APPLIED).await?;
    bridge.send(bridge.client.post(bridge.url("/api/v1/roster/apply"))).await?;
    let began = Instant::now();
    while sim.members().len() < APPLIED as usize {
        if began.elapsed() > Duration::from_secs(u64::from(APPLIED / WRITES * WINDOW_S) * 2) {
            return Err("applying the roster took more than twice the expected time".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let writes: Vec<u64> =
        sim.journal().iter().filter(|entry| entry.operation.is_write()).map(|entry| entry.at_us).collect();
    let (Some(first), Some(last)) = (writes.first(), writes.last()) else { return Err("no writes".into()) };
    let windows = Duration::from_micros(last - first).as_secs_f64() / f64::from(WINDOW_S);
    // The first call opens the first window; the others are spread over the time since then.
    let used = f64::from(u32::try_from(writes.len())? - 1) / windows / f64::from(WRITES);
    let stats = sim.stats();
    println!(
        "applied {APPLIED}: {:.1}% of the writes allowed, at most {} of {WRITES} in a window, {} violations",
        used * 100.0,
        stats.max_writes_in_window,
        stats.write_violations + stats.read_violations
    );
    bridge.serving.end(Signal::TERM)
}

/// The bridge with a store of its own.
struct Bridge {
    serving: Serving,
    client: reqwest::Client,
    _place: Place,
    _folder: TempDir,
}

impl Bridge {
    fn start(engine: Engine, sim: &PostmanSim, keys: &[(&str, &str)]) -> Result<Self, Failed> {
        let (place, folder) = (Place::new(engine)?, tempfile::tempdir()?);
        let keys: Vec<_> = keys.iter().copied().chain([("SERVER__ADMIN_TOKEN", TOKEN)]).collect();
        let start = Start { role: "all", url: &place.url(), folder: folder.path(), secret: SECRET, keys: &keys };
        let serving = Serving::start(&start, sim)?;
        Ok(Self { serving, client: reqwest::Client::builder().no_proxy().build()?, _place: place, _folder: folder })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.serving.admin)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failed> {
        let answer = request.header(AUTHORIZATION, format!("Bearer {TOKEN}")).send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    async fn import(&self, people: u32) -> Result<(), Failed> {
        let rows = (0..people).map(|n| format!("E-{n},{},Ada,Lovelace\n", address(n)));
        let file: String = std::iter::once("employee_id,email,first_name,last_name\n".to_owned()).chain(rows).collect();
        let imported = self.send(self.client.post(self.url("/api/v1/roster?source=hr")).body(file)).await?;
        if imported["staged"] != people {
            return Err(format!("not everybody is staged: {imported}").into());
        }
        Ok(())
    }
}

fn address(n: u32) -> String {
    format!("person{n}@example.com")
}
