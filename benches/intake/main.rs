//! How many signed deliveries are accepted per second: `cargo bench --bench intake`, or only on some stores: `cargo
//! bench --bench intake -- embedded redis valkey`.
//!
//! Bodies of 1 KB signed as in Standard Webhooks, 32 connections, files in the temporary folder (`TMPDIR`), Redis and
//! Valkey with `appendfsync everysec`, the log at its default level to `/dev/null`. Two bare actix handlers serve as a
//! baseline, in alternating rounds: one reads the body, one also verifies and parses it. The generator is a thread of
//! this process and the store's server is on the same machine, so both compete with the intake for the processors.
//! Aims: on the embedded store 40% of the first handler; on Redis 45% of the second, and 12 us of the server's
//! processor time per delivery. `--alone` leaves the handlers out, to profile a store's rounds. `--express` adds a
//! hand-written equivalent on a Redis of its own (aim: five times its throughput); it needs Node and `npm install
//! --prefix target/express express@5 bullmq@6 ioredis@5`.

mod cpu;
#[path = "../deliveries/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod deliveries;
mod express;
#[path = "../figures/mod.rs"]
mod figures;
mod load;
#[path = "../place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;
mod servers;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use figures::{median, micros, millis, percentile, sorted};
use load::{CONNECTIONS, REQUESTS_EACH, Round};
use place::{Engine, Place};
use scim_bridge::core::signature::Scheme;
use scim_bridge::telemetry::logs::{self, Format, LogOptions};
use scim_bridge::telemetry::metrics::Metrics;
use secrecy::SecretString;

/// Rounds per server that count; one more before them does not.
const ROUNDS: usize = 9;
const FLUSHES: usize = 200;
const BODY_ONLY: &str = "body only";
const VERIFY_AND_PARSE: &str = "verify, parse";

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// A server under test.
struct Server {
    name: &'static str,
    address: SocketAddr,
    /// Where its store is, if it has one.
    place: Option<Place>,
    rounds: Vec<Round>,
}

impl Server {
    fn new(name: &'static str, address: SocketAddr, place: Option<Place>) -> Self {
        Self { name, address, place, rounds: Vec::with_capacity(ROUNDS + 1) }
    }

    fn server_cpu(&self) -> Result<Option<Duration>, Failed> {
        self.place.as_ref().map_or(Ok(None), Place::server_cpu)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let engines = Engine::chosen()?;
    let options = LogOptions { format: Format::Json, ..LogOptions::default() };
    let nowhere = Arc::new(File::options().write(true).open("/dev/null")?);
    tracing::subscriber::set_global_default(logs::subscriber(&options, false, nowhere)?)?;
    let _metrics = Metrics::install()?;
    let scheme = deliveries::scheme()?;
    let secret = SecretString::from(deliveries::SECRET);
    println!("one write of 4 KiB with its flush, median: {:.0} us", micros(flush(tempfile::tempdir()?.path())?));

    let mut servers = Vec::new();
    if !std::env::args().any(|argument| argument == "--alone") {
        servers.push(Server::new(BODY_ONLY, servers::body_only()?, None));
        servers.push(Server::new(VERIFY_AND_PARSE, servers::verify_and_parse(&secret)?, None));
    }
    for engine in engines {
        let place = Place::new(engine)?;
        let address = servers::bridge(&place, scheme.clone(), secret.clone()).await?;
        servers.push(Server::new(engine.name(), address, Some(place)));
    }
    // Ends when dropped.
    let mut by_hand = None;
    if std::env::args().any(|argument| argument == "--express") {
        let place = Place::new(Engine::Redis)?;
        let express = by_hand.insert(express::Express::start(&place.url())?);
        servers.push(Server::new("express, bullmq", express.address, Some(place)));
    }
    let servers = tokio::task::spawn_blocking(move || measure(servers, &scheme, &secret)).await??;
    report(&servers);
    Ok(())
}

/// The rounds of each server. They alternate, so that other load on the machine slows all servers alike.
fn measure(mut servers: Vec<Server>, scheme: &Scheme, secret: &SecretString) -> Result<Vec<Server>, Failed> {
    for n in 0..=ROUNDS {
        for server in &mut servers {
            let before = server.server_cpu()?;
            let mut round = load::round(server.address, scheme, secret, n * CONNECTIONS * REQUESTS_EACH)?;
            let requests = u32::try_from(round.latencies.len())?;
            round.server_cpu =
                before.zip(server.server_cpu()?).map(|(before, after)| after.saturating_sub(before) / requests);
            if n > 0 {
                server.rounds.push(round);
            }
        }
    }
    Ok(servers)
}

fn report(servers: &[Server]) {
    println!("medians of {ROUNDS} rounds of {} requests on {CONNECTIONS} connections", CONNECTIONS * REQUESTS_EACH);
    println!("us of processor time for each request: of this process without the generator, of the generator, of");
    println!("the store's server");
    println!(
        "{:<14} {:>10} {:>8} {:>8} {:>8} {:>10} {:>10} {:>8} {:>9}   (least..most)",
        "", "requests/s", "p50, ms", "p99, ms", "us", "generator", "server", "of body", "of verify"
    );
    for Server { name, rounds, .. } in servers {
        let rates = sorted(rounds.iter().map(|round| round.per_second));
        let server_cpu: Option<Vec<Duration>> = rounds.iter().map(|round| round.server_cpu).collect();
        println!(
            "{name:<14} {:>10.0} {:>8.2} {:>8.2} {:>8.1} {:>10.1} {:>10} {:>8} {:>9}   ({:.0}..{:.0})",
            percentile(&rates, 50),
            median(rounds.iter().map(|round| millis(percentile(&round.latencies, 50)))),
            median(rounds.iter().map(|round| millis(percentile(&round.latencies, 99)))),
            median(rounds.iter().map(|round| micros(round.cpu))),
            median(rounds.iter().map(|round| micros(round.generator_cpu))),
            server_cpu.map_or(String::new(), |spent| format!("{:.1}", median(spent.into_iter().map(micros)))),
            ratio(rounds, servers, BODY_ONLY),
            ratio(rounds, servers, VERIFY_AND_PARSE),
            rates[0],
            rates[rates.len() - 1],
        );
    }
}

/// The median ratio of these rounds to those of a handler, if it was measured.
fn ratio(rounds: &[Round], servers: &[Server], beside: &str) -> String {
    let Some(beside) = servers.iter().find(|server| server.name == beside) else { return String::new() };
    // Round by round: other load slowed both alike.
    let ratios = rounds.iter().zip(&beside.rounds).map(|(round, beside)| round.per_second / beside.per_second);
    format!("{:.2}", median(ratios))
}

/// The median time that the disk takes to make a page durable.
fn flush(folder: &Path) -> Result<Duration, Failed> {
    let mut file = File::create(folder.join("flush"))?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(percentile(&times, 50))
}
