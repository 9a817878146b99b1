//! How much of Postman's limit a backlog uses, and whether it is ever exceeded: `cargo bench --bench limiter`, or only
//! on some stores: `cargo bench --bench limiter -- redis`.
//!
//! Hires for ten windows, each shortened to 6 s, against the stand-in, which counts arrivals in a sliding window. Aim:
//! 98% or more, and no violation.

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

const WINDOW_MS: u64 = 6_000;
const WINDOWS: u64 = 10;
const CALLS: u32 = 180;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    for engine in Engine::chosen()? {
        drain(engine).await?;
    }
    Ok(())
}

async fn drain(engine: Engine) -> Result<(), Failed> {
    let jobs = WINDOWS * u64::from(CALLS);
    let rate = Rate { calls: CALLS, window_ms: WINDOW_MS };
    let backlog = Backlog::of_hires(engine, jobs, rate, 8).await?;
    let life = Lifecycle::new();
    let pool = tokio::spawn(backlog.worker()?.run(life.clone(), Duration::from_secs(10)));
    let limit = Duration::from_millis(WINDOW_MS * (WINDOWS + 5));
    let began = Instant::now();
    while backlog.done().await? < jobs {
        if began.elapsed() > limit {
            return Err("the backlog did not drain in one and a half times its windows".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    life.stop();
    pool.await?;
    let stats = backlog.sim.stats();
    let journal = backlog.sim.journal();
    let (Some(first), Some(last)) = (journal.first(), journal.last()) else { return Err("no calls".into()) };
    let windows =
        Duration::from_micros(last.at_us - first.at_us).as_secs_f64() * 1000.0 / f64::from(u32::try_from(WINDOW_MS)?);
    // The first call opens the first window; the others are spread over the time since then.
    let used = f64::from(u32::try_from(journal.len())? - 1) / windows / f64::from(CALLS);
    println!("{}", engine.name());
    println!("calls made / calls allowed: {:.2}%", used * 100.0);
    println!("most in any window:         {} of {CALLS}", stats.max_writes_in_window);
    println!("violations:                 {}", stats.write_violations + stats.read_violations);
    Ok(())
}
