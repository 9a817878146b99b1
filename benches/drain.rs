//! How fast a backlog reaches Postman with the limits off: `cargo bench --bench drain`.
//!
//! Hires wait in the embedded store; the worker's pool makes one `POST /Users` each at the stand-in,
//! which runs on the same machine. Aim: 5,000 jobs/s.

#[path = "backlog/mod.rs"]
mod backlog;

use std::time::{Duration, Instant};

use backlog::{Backlog, Failed};
use scim_bridge::core::limiter::Rate;
use scim_bridge::lifecycle::Lifecycle;

const HIRES: u64 = 50_000;
/// How long nothing may move before the bench gives up.
const STUCK: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Failed> {
    println!("{:>12} {:>10} {:>12} {:>12}", "concurrency", "jobs", "seconds", "jobs/s");
    for concurrency in [8, 32, 128] {
        let unlimited = Rate { calls: 0, window_ms: 60_000 };
        let backlog = Backlog::of_hires(HIRES, unlimited, concurrency).await?;
        let life = Lifecycle::new();
        let pool = tokio::spawn(backlog.worker()?.run(life.clone(), Duration::from_secs(10)));
        let began = Instant::now();
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
        let seconds = began.elapsed().as_secs_f64();
        life.stop();
        pool.await?;
        let members = backlog.sim.members().len() as u64;
        if members != HIRES {
            return Err(format!("{members} members, {HIRES} were hired").into());
        }
        let rate = f64::from(u32::try_from(HIRES)?) / seconds;
        println!("{concurrency:>12} {HIRES:>10} {seconds:>12.2} {rate:>12.0}");
    }
    Ok(())
}
