//! How many signed deliveries are taken in a second: `cargo bench --bench intake`.
//!
//! Bodies of 1 KB signed as Standard Webhooks says, 32 connections, the embedded store in the
//! temporary folder (`TMPDIR`), the log at its default level to `/dev/null`. Beside it, in rounds that
//! take turns, two bare actix handlers: one reads the body, one verifies and parses it, too. Aim: 40%
//! of the first. `cargo bench --bench intake -- bridge` runs that one alone, to profile it.

mod cpu;
mod load;
mod servers;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use load::{CONNECTIONS, REQUESTS_EACH, Round};
use scim_bridge::core::signature::Scheme;
use scim_bridge::telemetry::logs::{self, Format, LogOptions};
use scim_bridge::telemetry::metrics::Metrics;
use secrecy::SecretString;

/// Rounds of each server that count; one more before them does not.
const ROUNDS: usize = 9;
const FLUSHES: usize = 200;

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

#[derive(serde::Deserialize)]
struct Preset {
    signature: Scheme,
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let options = LogOptions { format: Format::Json, ..LogOptions::default() };
    let nowhere = Arc::new(File::options().write(true).open("/dev/null")?);
    tracing::subscriber::set_global_default(logs::subscriber(&options, false, nowhere)?)?;
    let _metrics = Metrics::install()?;
    let scheme = toml::from_str::<Preset>(include_str!("../../config/presets/standard-webhooks.toml"))?.signature;
    let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let folder = tempfile::tempdir()?;
    println!("one write of 4 KiB with its flush, median: {:.0} us", micros(flush(folder.path())?));

    let mut servers = vec![("bridge", servers::bridge(folder.path(), scheme.clone(), secret.clone())?)];
    if !std::env::args().any(|argument| argument == "bridge") {
        servers.insert(0, ("verify, parse", servers::verify_and_parse(&secret)?));
        servers.insert(0, ("body only", servers::body_only()?));
    }
    let rounds = tokio::task::spawn_blocking(move || measure(&servers, &scheme, &secret)).await??;
    report(&rounds);
    Ok(())
}

/// The rounds of each server. They take turns, so that whatever else the machine does slows all alike.
fn measure(
    servers: &[(&'static str, SocketAddr)],
    scheme: &Scheme,
    secret: &SecretString,
) -> Result<Vec<(&'static str, Vec<Round>)>, Failed> {
    let mut rounds: Vec<_> = servers.iter().map(|(name, _)| (*name, Vec::with_capacity(ROUNDS + 1))).collect();
    for n in 0..=ROUNDS {
        for ((_, address), (_, rounds)) in servers.iter().zip(&mut rounds) {
            rounds.push(load::round(*address, scheme, secret, n * CONNECTIONS * REQUESTS_EACH)?);
        }
    }
    for (_, rounds) in &mut rounds {
        rounds.remove(0);
    }
    Ok(rounds)
}

fn report(servers: &[(&str, Vec<Round>)]) {
    println!("medians of {ROUNDS} rounds of {} requests on {CONNECTIONS} connections", CONNECTIONS * REQUESTS_EACH);
    println!(
        "{:<14} {:>10} {:>8} {:>8} {:>8} {:>8}   (least..most)",
        "", "requests/s", "p50, ms", "p99, ms", "CPU, us", "ratio"
    );
    for (name, rounds) in servers {
        let rates = sorted(rounds.iter().map(|round| round.per_second));
        // Round by round: what slowed one slowed the other, too.
        let first = servers.first().map_or(rounds, |(_, first)| first);
        let ratios = sorted(rounds.iter().zip(first).map(|(round, first)| round.per_second / first.per_second));
        println!(
            "{name:<14} {:>10.0} {:>8.2} {:>8.2} {:>8.1} {:>8.2}   ({:.0}..{:.0})",
            rates[rates.len() / 2],
            median(rounds, |round| millis(at(&round.latencies, 50))),
            median(rounds, |round| millis(at(&round.latencies, 99))),
            median(rounds, |round| micros(round.cpu)),
            ratios[ratios.len() / 2],
            rates[0],
            rates[rates.len() - 1],
        );
    }
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
    Ok(at(&times, 50))
}

fn median(rounds: &[Round], value: impl Fn(&Round) -> f64) -> f64 {
    let values = sorted(rounds.iter().map(value));
    values[values.len() / 2]
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000_000.0
}
