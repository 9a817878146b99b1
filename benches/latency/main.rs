//! How soon an event reaches Postman: `cargo bench --bench latency`, or only on some stores: `cargo bench --bench
//! latency -- embedded redis valkey`.
//!
//! The release binary with default settings and no rate limits: an intake and a worker in processes of their own, on
//! Redis and Valkey with `appendfsync everysec`; on the embedded store one process that does both. Signed hires of 1
//! KB, each of a new person, arrive at random, 100 a second on average, whether or not earlier ones have been answered,
//! for 30 s; those of the first 2 s do not count. Sender, stand-in and all processes share the machine.
//!
//! Three instants of each event, by one clock: `sent`, before its first byte is written; `200`, when the answer has
//! been read; `called`, when the stand-in has read the event's first request completely, a little after its first byte.
//! The worker may be faster than the 200, so `200 to called` may be negative; `sent to called` is the whole latency.
//! Aims, for both: a median of 5 ms, 25 ms at the 99th percentile.

#[path = "../deliveries/mod.rs"]
mod deliveries;
#[path = "../figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;
#[path = "../place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;
#[path = "../process/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod process;
mod sender;
mod stand_in;

use std::error::Error;
use std::time::Duration;

use figures::{percentile, sorted};
use place::{Engine, Place};
use process::{Serving, Start};
use sender::Delivered;
use stand_in::StandIn;

/// Events per second, on average.
const RATE: f64 = 100.0;
/// Events that count, and those before them that do not.
const EVENTS: usize = 3_000;
const BEFORE: usize = 200;
const KEYS: [(&str, &str); 2] = [("POSTMAN__WRITES_PER_MINUTE", "0"), ("POSTMAN__READS_PER_MINUTE", "0")];

type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    println!("{EVENTS} events, {RATE} a second on average; ms, median / 99th percentile");
    println!(
        "{:<10} {:>17} {:>17} {:>17} {:>14} {:>16}",
        "", "sent to 200", "sent to called", "200 to called", "called first", "sent late, most"
    );
    for engine in Engine::chosen()? {
        measure(engine)?;
    }
    Ok(())
}

fn measure(engine: Engine) -> Result<(), Failed> {
    let place = Place::new(engine)?;
    let stand_in = StandIn::start()?;
    let (url, folder) = (place.url(), tempfile::tempdir()?);
    let serve = |role| {
        let start = Start { role, url: &url, folder: folder.path(), secret: deliveries::SECRET, keys: &KEYS };
        Serving::start(&start, &stand_in.sim)
    };
    let (intake, _worker) = match engine {
        Engine::Embedded => (serve("all")?, None),
        Engine::Redis | Engine::Valkey => (serve("intake")?, Some(serve("worker")?)),
    };
    let sent = sender::send(intake.listen, BEFORE + EVENTS, RATE)?;
    let called = stand_in.first_calls(BEFORE + EVENTS)?;
    let mut rows = Vec::with_capacity(EVENTS);
    for one in sent.iter().filter(|one| one.n >= BEFORE) {
        let called = called.get(&deliveries::email(one.n)).ok_or("an event that never came")?;
        rows.push((one, signed_ms(one.sent, *called)));
    }
    report(engine, &rows);
    println!("{:<10} the stand-in's clock is known to {:.0} us", "", figures::micros(stand_in.uncertain));
    Ok(())
}

fn report(engine: Engine, rows: &[(&Delivered, f64)]) {
    let answered = |one: &Delivered| signed_ms(one.sent, one.answered);
    let both = |values: Vec<f64>| format!("{:.2} / {:.2}", percentile(&values, 50), percentile(&values, 99));
    let late = rows.iter().map(|(one, _)| one.late).max().unwrap_or_default();
    let first = rows.iter().filter(|(one, called)| *called < answered(one)).count();
    println!(
        "{:<10} {:>17} {:>17} {:>17} {:>12} % {:>13.2} ms",
        engine.name(),
        both(sorted(rows.iter().map(|(one, _)| answered(one)))),
        both(sorted(rows.iter().map(|(_, called)| *called))),
        both(sorted(rows.iter().map(|(one, called)| called - answered(one)))),
        first * 100 / rows.len().max(1),
        figures::millis(late),
    );
}

/// Milliseconds from one instant to another; negative if that is earlier.
fn signed_ms(from: std::time::Instant, to: std::time::Instant) -> f64 {
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    ms(to.saturating_duration_since(from)) - ms(from.saturating_duration_since(to))
}
