//! How fast the stores are, and whether they stay so: `cargo bench --bench store`, or only some of them:
//! `cargo bench --bench store -- embedded redis valkey`.
//!
//! Claim and settle with 1 k, 100 k and 1 M waiting jobs (aim: the last within 1.5 times the first, on
//! Redis 1.25), events accepted from 32 producers, jobs drained at a concurrency of 64, and on Redis the
//! memory of a waiting job whose event has 400 bytes. Files are in the temporary folder (`TMPDIR`);
//! Redis and Valkey are those of `script/setup`, with `appendfsync everysec`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::job::{Finished, HistoryEntry, JobId, Note};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::redis::StoreClock;
use scim_bridge::store::{
    Claim, ClaimRequest, ClaimedJob, Dedupe, NewDelivery, NewJob, Retention, Settlement, Store, StoreOptions, Verdict,
};

#[path = "figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;
#[path = "place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;

use figures::{micros, percentile};
use place::{Engine, Place};

const NOW: UnixMs = UnixMs(1_800_000_000_000);
/// Claims and settlements measured one after the other, each with a flush of its own.
const ONE_BY_ONE: u32 = 2_000;
const PRODUCERS: u32 = 32;
const ACCEPTED: u32 = 100_000;
const DRAINED: u32 = 50_000;
const CONCURRENCY: usize = 64;
/// Fewer than are drained: that the number is bounded has its price, too.
const FINISHED_KEPT: u64 = 10_000;

/// So long a family name makes the event, as JSON, 400 bytes.
const LONG_NAME: usize = 233;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    for engine in Engine::chosen()? {
        measure(engine).await?;
    }
    Ok(())
}

async fn measure(engine: Engine) -> Result<(), Failed> {
    println!("{}: claim + settle, one after the other (medians)", engine.name());
    println!("{:>10} {:>12} {:>12} {:>8}", "waiting", "us a job", "stats, us", "ratio");
    let mut first = None;
    for (waiting, job, stats) in claim_and_settle(engine).await? {
        let base = *first.get_or_insert(job);
        let ratio = job.as_secs_f64() / base.as_secs_f64();
        println!("{waiting:>10} {:>12.1} {:>12.1} {ratio:>8.2}", micros(job), micros(stats));
    }
    let (accepted, drained) = accept_and_drain(engine).await?;
    println!("accept, {PRODUCERS} producers:      {:>8.0} events/s", f64::from(ACCEPTED) / accepted.as_secs_f64());
    println!("drain, {CONCURRENCY} at once:         {:>8.0} jobs/s", f64::from(DRAINED) / drained.as_secs_f64());
    let place = Place::new(engine)?;
    if let Some(before) = place.memory()? {
        produce(&place.open(options(), StoreClock::Caller)?, &"x".repeat(LONG_NAME)).await?;
        let bytes = place.memory()?.unwrap_or_default().saturating_sub(before) / u64::from(ACCEPTED);
        println!("memory of a waiting job:     {bytes:>8} bytes");
    }
    Ok(())
}

/// For each number of waiting jobs: the median time of a claim with its settlement, and of the figures.
/// The stores take turns, so that whatever else the disk has to do slows all of them alike.
async fn claim_and_settle(engine: Engine) -> Result<Vec<(u32, Duration, Duration)>, Failed> {
    let mut stores = Vec::new();
    for waiting in [1_000, 100_000, 1_000_000] {
        let place = Place::new(engine)?;
        let store = place.open(options(), StoreClock::Caller)?;
        for from in (0..waiting + ONE_BY_ONE).step_by(1_000) {
            let jobs = (from..from + 1_000).map(|n| job(n, "Lovelace")).collect::<Result<_, _>>()?;
            store.accept(NOW, delivery(from, jobs)?).await?;
        }
        // Opened anew: nothing is warm but what the store itself keeps.
        drop(store);
        let store = place.open(options(), StoreClock::Caller)?;
        stores.push((waiting, place, store, Vec::new(), Vec::new()));
    }
    for _ in 0..ONE_BY_ONE {
        for (_, _, store, jobs, stats) in &mut stores {
            let begin = Instant::now();
            for claimed in claim(&**store, 1).await? {
                settle(&**store, claimed).await?;
            }
            jobs.push(begin.elapsed());
            let begin = Instant::now();
            store.stats(NOW).await?;
            stats.push(begin.elapsed());
        }
    }
    Ok(stores.into_iter().map(|(waiting, _, _, jobs, stats)| (waiting, median(jobs), median(stats))).collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    percentile(&times, 50)
}

/// How long it takes to accept events from all producers, and to drain them.
async fn accept_and_drain(engine: Engine) -> Result<(Duration, Duration), Failed> {
    let place = Place::new(engine)?;
    let store = place.open(options(), StoreClock::Caller)?;
    let begin = Instant::now();
    produce(&store, "Lovelace").await?;
    let accepted = begin.elapsed();
    let begin = Instant::now();
    let mut left = DRAINED as usize;
    while left > 0 {
        let jobs = claim(&*store, CONCURRENCY.min(left)).await?;
        left -= jobs.len();
        let settled = jobs.into_iter().map(|claimed| settle(&*store, claimed));
        futures_util::future::try_join_all(settled).await?;
    }
    Ok((accepted, begin.elapsed()))
}

/// Events of so many people from all producers.
async fn produce(store: &Arc<dyn Store>, family_name: &str) -> Result<(), Failed> {
    let mut producers = tokio::task::JoinSet::<Result<(), Failed>>::new();
    for producer in 0..PRODUCERS {
        let (store, family_name) = (Arc::clone(store), family_name.to_owned());
        producers.spawn(async move {
            for n in (producer..ACCEPTED).step_by(PRODUCERS as usize) {
                store.accept(NOW, delivery(n, vec![job(n, &family_name)?])?).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = producers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn claim(store: &dyn Store, jobs_max: usize) -> Result<Vec<ClaimedJob>, Failed> {
    let request = ClaimRequest { worker: "bench".into(), number: 1, lost_from: None, jobs_max, lease_ms: 60_000 };
    match store.claim(NOW, &request).await? {
        Claim::Jobs(jobs) => Ok(jobs),
        Claim::Probe(_) | Claim::Wait { .. } => Err("no job is due although many wait".into()),
    }
}

async fn settle(store: &dyn Store, claimed: ClaimedJob) -> Result<(), Failed> {
    let outcome = Finished::Created;
    let history = vec![HistoryEntry { at: NOW, note: Note::Done { outcome } }];
    let settlement = Settlement { verdict: Verdict::Done(outcome), history, trial: None, directory: None };
    store.settle(NOW, &claimed.lease, settlement).await?;
    Ok(())
}

fn job(n: u32, family_name: &str) -> Result<NewJob, Failed> {
    let event = Event {
        person: Person::parse(source()?, &format!("E-{n}"))?,
        change: Change::Hire {
            email: Email::parse(&format!("ada.lovelace.{n}@example.com"))?,
            names: Names::parse(Some("Ada"), Some(family_name))?,
        },
        locale: None,
        occurred_at: Some(NOW),
    };
    Ok(NewJob { id: JobId((0x0195 << 112) + u128::from(n)), event })
}

fn delivery(n: u32, jobs: Vec<NewJob>) -> Result<NewDelivery, Failed> {
    // Spread as a hash would be.
    let spread = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let dedupe = Dedupe { key: spread.to_be_bytes(), fingerprint: [0; 16], remember_ms: 604_800_000 };
    Ok(NewDelivery { source: source()?, dedupe, jobs, unmapped: Vec::new() })
}

fn source() -> Result<SourceName, Failed> {
    Ok(SourceName::parse("hr")?)
}

fn options() -> StoreOptions {
    let unlimited = Rate { calls: 0, window_ms: 60_000 };
    StoreOptions {
        writes: unlimited,
        reads: unlimited,
        high_water_jobs: u64::MAX,
        retention: Retention { finished_ms: 604_800_000, finished_jobs_max: FINISHED_KEPT },
        probe_pauses: ProbePauses { first_ms: 30_000, max_ms: 300_000 },
    }
}
