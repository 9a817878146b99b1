//! How fast a backlog reaches Postman with the limits off: `cargo bench --bench drain`, or only from some
//! stores: `cargo bench --bench drain -- embedded redis valkey`.
//!
//! Hires wait in the store (Redis and Valkey with `appendfsync everysec`); the worker's pool makes one `POST /Users`
//! for each at the stand-in. Worker, stand-in and the store's server share the machine. Aims: 5,000 jobs/s from the
//! embedded store, 10,000 from Redis.

#[path = "backlog/mod.rs"]
mod backlog;
#[path = "place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;

use std::time::{Duration, Instant};

use backlog::{Backlog, Failed};
use place::Engine;
use scim_bridge::core::limiter::Rate;
use scim_bridge::lifecycle::Lifecycle;

const HIRES: u64 = 50_000;
/// The bench gives up if there is no progress for this long.
const STUCK: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Failed> {
    println!("{:<10} {:>12} {:>10} {:>12} {:>12}", "", "concurrency", "jobs", "seconds", "jobs/s");
    for engine in Engine::chosen()? {
        for concurrency in [8, 32, 128] {
            let seconds = drain(engine, concurrency).await?.as_secs_f64();
            let rate = f64::from(u32::try_from(HIRES)?) / seconds;
            println!("{:<10} {concurrency:>12} {HIRES:>10} {seconds:>12.2} {rate:>12.0}", engine.name());
        }
    }
    Ok(())
}

/// The time from the pool's start until the last job of a backlog is done.
async fn drain(engine: Engine, concurrency: usize) -> Result<Duration, Failed> {
    let unlimited = Rate { calls: 0, window_ms: 60_000 };
    let backlog = Backlog::of_hires(engine, HIRES, unlimited, concurrency).await?;
    let life = Lifecycle::new();
    let began = Instant::now();
    let pool = tokio::spawn(backlog.worker()?.run(life.clone(), Duration::from_secs(10)));
    let (mut done, mut moved) = (0, Instant::now());
    while done < HIRES {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let calls = backlog.done().await?;
        if calls > done {
            (done, moved) = (calls, Instant::now());
        } else if moved.elapsed() > STUCK {
            return Err(format!("stuck at {done} of {HIRES} jobs").into());
        }
    }
    let took = began.elapsed();
    life.stop();
    pool.await?;
    let members = backlog.sim.members().len() as u64;
    if members != HIRES {
        return Err(format!("{members} members, {HIRES} were hired").into());
    }
    Ok(took)
}
