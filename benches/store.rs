//! How fast the stores are, and whether they stay fast: `cargo bench --bench store`, or only some of them: `cargo bench
//! --bench store -- embedded redis valkey`.
//!
//! Claim and commit with 1 k, 100 k and 1 M people waiting (aim: the last takes at most 1.25 times as long as the
//! first), deliveries accepted from 32 producers, people drained at a concurrency of 64, and on Redis the memory of a
//! waiting job with an entry of 400 bytes (aim: 800 bytes on Redis 7.0, 700 on Valkey 9.1). Files are in the temporary
//! folder (`TMPDIR`); Redis and Valkey are those of `script/setup`, with `appendfsync everysec`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::person::{Person, SourceName};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::redis::StoreClock;
use scim_bridge::store::{
    Bounds, Claim, ClaimRequest, Claimed, Commit, DeadChange, Dedupe, Lane, NewDelivery, NewEntry, Store, StoreOptions,
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
/// Claims and commits measured one after the other, each with a flush of its own.
const ONE_BY_ONE: u32 = 2_000;
const PRODUCERS: u32 = 32;
const ACCEPTED: u32 = 100_000;
const DRAINED: u32 = 50_000;
const CONCURRENCY: usize = 64;
/// An entry and a document, about as large as the bridge's.
const ENTRY_BYTES: usize = 400;
const DOCUMENT_BYTES: usize = 900;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    for engine in Engine::chosen()? {
        measure(engine).await?;
    }
    Ok(())
}

async fn measure(engine: Engine) -> Result<(), Failed> {
    println!("{}: claim + commit, one after the other (medians)", engine.name());
    println!("{:>10} {:>12} {:>12} {:>8}", "waiting", "us each", "stats, us", "ratio");
    let mut first = None;
    for (waiting, job, stats) in claim_and_commit(engine).await? {
        let base = *first.get_or_insert(job);
        let ratio = job.as_secs_f64() / base.as_secs_f64();
        println!("{waiting:>10} {:>12.1} {:>12.1} {ratio:>8.2}", micros(job), micros(stats));
    }
    let (accepted, drained) = accept_and_drain(engine).await?;
    println!("accept, {PRODUCERS} producers:      {:>8.0} deliveries/s", f64::from(ACCEPTED) / accepted.as_secs_f64());
    println!("drain, {CONCURRENCY} at once:         {:>8.0} people/s", f64::from(DRAINED) / drained.as_secs_f64());
    let place = Place::new(engine)?;
    if let Some(before) = place.memory()? {
        produce(&place.open(options(), StoreClock::Caller)?).await?;
        let bytes = place.memory()?.unwrap_or_default().saturating_sub(before) / u64::from(ACCEPTED);
        println!("memory of a waiting job:     {bytes:>8} bytes");
    }
    Ok(())
}

/// For each number of people waiting: the median time of a claim with its commit, and of the statistics. The stores
/// alternate, so that other load on the disk slows all of them alike.
async fn claim_and_commit(engine: Engine) -> Result<Vec<(u32, Duration, Duration)>, Failed> {
    let mut stores = Vec::new();
    for waiting in [1_000, 100_000, 1_000_000] {
        let place = Place::new(engine)?;
        let store = place.open(options(), StoreClock::Caller)?;
        for from in (0..waiting + ONE_BY_ONE).step_by(1_000) {
            let entries = (from..from + 1_000).map(entry).collect::<Result<_, _>>()?;
            store.accept(NOW, delivery(from, entries)?).await?;
        }
        // Reopened: only the store's own caches are warm.
        drop(store);
        let store = place.open(options(), StoreClock::Caller)?;
        stores.push((waiting, place, store, Vec::new(), Vec::new()));
    }
    for _ in 0..ONE_BY_ONE {
        for (_, _, store, worked, stats) in &mut stores {
            let begin = Instant::now();
            for claimed in claim(&**store, 1).await? {
                commit(&**store, claimed).await?;
            }
            worked.push(begin.elapsed());
            let begin = Instant::now();
            store.stats().await?;
            stats.push(begin.elapsed());
        }
    }
    Ok(stores.into_iter().map(|(waiting, _, _, worked, stats)| (waiting, median(worked), median(stats))).collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    percentile(&times, 50)
}

/// How long it takes to accept deliveries from all producers, and to drain them.
async fn accept_and_drain(engine: Engine) -> Result<(Duration, Duration), Failed> {
    let place = Place::new(engine)?;
    let store = place.open(options(), StoreClock::Caller)?;
    let begin = Instant::now();
    produce(&store).await?;
    let accepted = begin.elapsed();
    let begin = Instant::now();
    let mut left = DRAINED as usize;
    while left > 0 {
        let people = claim(&*store, CONCURRENCY.min(left)).await?;
        left -= people.len();
        let committed = people.into_iter().map(|claimed| commit(&*store, claimed));
        futures_util::future::try_join_all(committed).await?;
    }
    Ok((accepted, begin.elapsed()))
}

/// A delivery about each of this many people, from all producers.
async fn produce(store: &Arc<dyn Store>) -> Result<(), Failed> {
    let mut producers = tokio::task::JoinSet::<Result<(), Failed>>::new();
    for producer in 0..PRODUCERS {
        let store = Arc::clone(store);
        producers.spawn(async move {
            for n in (producer..ACCEPTED).step_by(PRODUCERS as usize) {
                store.accept(NOW, delivery(n, vec![entry(n)?])?).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = producers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn claim(store: &dyn Store, people_max: usize) -> Result<Vec<Claimed>, Failed> {
    let request = ClaimRequest {
        worker: "bench".into(),
        number: 1,
        lost_from: None,
        people_max,
        lease_ms: 60_000,
        entries_max: 100,
        parked: None,
    };
    match store.claim(NOW, &request).await? {
        Claim::People(people) => Ok(people),
        Claim::Nobody { .. } => Err("nobody is due although many are waiting".into()),
    }
}

/// As after a hire that succeeded.
async fn commit(store: &dyn Store, claimed: Claimed) -> Result<(), Failed> {
    let commit = Commit {
        document: Some(Bytes::from(vec![b'x'; DOCUMENT_BYTES])),
        person: person(0)?,
        consumed_to: claimed.inbox.last().map(|entry| entry.seq),
        lane: Lane::new(),
        story: (0..3).map(|_| Bytes::from(vec![b'x'; 120])).collect(),
        terms_added: ["ada", "lovelace"].map(str::to_owned).into(),
        terms_removed: Vec::new(),
        disowned: Vec::new(),
        released: Vec::new(),
        outgoing: Vec::new(),
        dead: DeadChange::None,
    };
    store.commit(NOW, &claimed.lease, commit).await?;
    Ok(())
}

fn person(n: u32) -> Result<Person, Failed> {
    Ok(Person::parse(source()?, &format!("E-{n}"))?)
}

fn entry(n: u32) -> Result<NewEntry, Failed> {
    let person = person(n)?;
    let job = JobId::about((0x0195 << 112) + (u128::from(n) << 64), person.id());
    Ok(NewEntry { job, person, bytes: Bytes::from(vec![b'x'; ENTRY_BYTES]) })
}

fn delivery(n: u32, entries: Vec<NewEntry>) -> Result<NewDelivery, Failed> {
    // Distributed as by a hash.
    let spread = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let dedupe = Dedupe { key: spread.to_be_bytes(), only_while_newest: false, remember_ms: 604_800_000, says: 0 };
    Ok(NewDelivery { source: source()?, dedupe: Some(dedupe), entries, unmapped: Vec::new() })
}

fn source() -> Result<SourceName, Failed> {
    Ok(SourceName::parse("hr")?)
}

fn options() -> StoreOptions {
    let unlimited = Rate { calls: 0, window_ms: 60_000 };
    StoreOptions {
        writes: unlimited,
        reads: unlimited,
        bounds: Bounds {
            entries_max: u64::MAX,
            dead_letters_max: u64::MAX,
            dead_bytes_max: u64::MAX,
            story_entries_max: 100,
            story_keep_ms: 604_800_000,
        },
    }
}
