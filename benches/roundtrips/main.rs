//! How concurrent deliveries best share round trips to Redis: `cargo bench --bench roundtrips`, or only on
//! one make: `cargo bench --bench roundtrips -- redis`.
//!
//! 32 producers accept hires of one person each, without HTTP and signatures, in five ways that take
//! turns. `shared`: a script call each on one multiplexed connection. `pool`: a script call each on a
//! connection from a pool. The others collect what has queued while the last round trip was out, and send
//! it in one: `pipeline`, the same script calls; `looped`, one call of a script that does the same for
//! each; `grouped`, one call of a script that writes what they have in common by one command each
//! (`several.lua`). The first three run `accept.lua`, the fourth has its text in a loop, the last one is a
//! sketch for deliveries of one hire each, of people who have no lane. AOF with `appendfsync everysec`.

#[path = "../intake/cpu.rs"]
#[expect(dead_code, reason = "shared with a bench that uses more of it")]
mod cpu;
#[path = "../figures/mod.rs"]
mod figures;
#[path = "../place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;
mod producers;
mod scripts;

use std::error::Error;

use figures::{median, micros, millis};
use place::{Engine, Place};
use producers::{DELIVERIES, Round, Way};

/// Rounds of each way, each on a fresh server.
const ROUNDS: usize = 5;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    println!("medians of {ROUNDS} rounds of {DELIVERIES}; us of processor time for each delivery: here, the server's");
    for engine in Engine::chosen()? {
        if engine == Engine::Embedded {
            println!("{}: no round trips", engine.name());
            continue;
        }
        let mut rounds: Vec<(Way, Vec<Round>)> = Way::ALL.map(|way| (way, Vec::with_capacity(ROUNDS))).into();
        for _ in 0..ROUNDS {
            for (way, rounds) in &mut rounds {
                rounds.push(producers::round(&Place::new(engine)?, *way).await?);
            }
        }
        println!(
            "{:<10} {:>12} {:>8} {:>8} {:>8} {:>8} {:>8}",
            engine.name(),
            "deliveries/s",
            "p50, ms",
            "p99, ms",
            "here",
            "server",
            "a trip"
        );
        for (way, rounds) in &rounds {
            println!(
                "{:<10} {:>12.0} {:>8.2} {:>8.2} {:>8.1} {:>8.1} {:>8.1}",
                way.name(),
                median(rounds.iter().map(|round| round.per_second)),
                median(rounds.iter().map(|round| millis(round.p50))),
                median(rounds.iter().map(|round| millis(round.p99))),
                median(rounds.iter().map(|round| micros(round.cpu))),
                median(rounds.iter().map(|round| micros(round.server_cpu))),
                median(rounds.iter().map(|round| round.a_trip)),
            );
        }
    }
    Ok(())
}
