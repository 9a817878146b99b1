//! What an idle `serve` costs and how fast it starts: `cargo bench --bench serve`.
//!
//! The release binary in a process of its own with default settings, and the stand-in as Postman: resident memory a
//! second after it is ready (aim: under 30 MB), and the time from its start to the first 200 of `/readyz` (aim: under
//! 200 ms). On an empty store, and on one with many waiting jobs, opened after an orderly stop and after a kill.

#[path = "figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;
#[path = "process/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod process;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use figures::{millis, percentile, sorted};
use process::{Serving, Start};
use rustix::process::Signal;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::{
    Email, EmploymentState, Entry, Event, EventKind, Facts, Name, Person, SourceName, Stated, Word,
};
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Bounds, Dedupe, NewDelivery, NewEntry, Store, StoreOptions};

type Failed = Box<dyn Error + Send + Sync>;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STARTS: usize = 11;
const WAITING: u32 = 100_000;
/// The pause between ready and idle.
const REST: Duration = Duration::from_secs(1);

fn main() -> Result<(), Failed> {
    let sim = PostmanSim::start(SimOptions::default())?;
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_scim-bridge"))?.len();
    println!("the binary, stripped: {:.1} MB; medians of {STARTS} starts", megabytes(bytes));
    println!("{:<38} {:>10} {:>18} {:>10}", "", "ready, ms", "(least..most)", "RSS, MB");
    let empty = tempfile::tempdir()?;
    let full = tempfile::tempdir()?;
    fill(full.path())?;
    let rows = [
        ("empty store".to_owned(), empty.path(), Signal::TERM),
        (format!("{WAITING} jobs waiting"), full.path(), Signal::TERM),
        (format!("{WAITING} jobs waiting, killed before"), full.path(), Signal::KILL),
    ];
    for (name, folder, end) in rows {
        let mut starts = Vec::with_capacity(STARTS);
        for n in 0..=STARTS {
            let start = start(&sim, folder, end)?;
            // At the first start, the binary may not be in memory yet, and no process was killed before.
            if n > 0 {
                starts.push(start);
            }
        }
        let ready = sorted(starts.iter().map(|(ready, _)| millis(*ready)));
        let resident = sorted(starts.iter().map(|(_, bytes)| megabytes(*bytes)));
        let range = format!("({:.0}..{:.0})", ready[0], ready[STARTS - 1]);
        println!("{name:<38} {:>10.0} {range:>18} {:>10.1}", percentile(&ready, 50), percentile(&resident, 50));
    }
    Ok(())
}

/// One start: the time to `/readyz`, and resident bytes at rest.
fn start(sim: &PostmanSim, folder: &Path, end: Signal) -> Result<(Duration, u64), Failed> {
    let url = format!("embedded:{}", folder.join("data").display());
    let start = Start { role: "all", url: &url, folder, secret: SECRET, keys: &[] };
    let serving = Serving::start(&start, sim)?;
    let ready = serving.took;
    std::thread::sleep(REST);
    let resident = serving.memory("VmRSS")?;
    serving.end(end)?;
    Ok((ready, resident))
}

/// Hires of this many people, in the store that `serve` opens.
#[tokio::main(flavor = "current_thread")]
async fn fill(folder: &Path) -> Result<(), Failed> {
    let limit = |calls| Rate { calls, window_ms: 60_000 };
    let options = StoreOptions {
        writes: limit(180),
        reads: limit(300),
        bounds: Bounds {
            entries_max: u64::MAX,
            dead_letters_max: 100_000,
            dead_bytes_max: 256 << 20,
            story_entries_max: 100,
            story_keep_ms: u64::MAX / 4,
        },
    };
    let store = Embedded::open(&folder.join("data"), options)?;
    let source = SourceName::parse("hr")?;
    // One delivery each, as they would have arrived.
    for from in (0..WAITING).step_by(1_000) {
        let accepts = (from..from + 1_000).map(|n| {
            let (source, store) = (source.clone(), &store);
            async move {
                let entry = hire(&source, n)?;
                let key = entry.job.0.to_be_bytes();
                let dedupe = Some(Dedupe { key, only_while_newest: false, remember_ms: 604_800_000, says: 0 });
                let delivery = NewDelivery { entries: vec![entry], source, dedupe, unmapped: Vec::new() };
                store.accept(Clock::System.now(), delivery).await?;
                Ok::<_, Failed>(())
            }
        });
        futures_util::future::try_join_all(accepts).await?;
    }
    store.close().await;
    Ok(())
}

fn hire(source: &SourceName, n: u32) -> Result<NewEntry, Failed> {
    let person = Person::parse(source.clone(), &format!("E-{n}"))?;
    let job = new_job_id(person.id());
    let name = |name| Name::parse("name", name).map(|name| name.map_or(Stated::None, Stated::Is));
    let facts = Facts {
        employment: Some((EmploymentState::Employed, None)),
        email: Some(Email::parse(&format!("person{n}@example.com"))?),
        given_name: Some(name("Ada")?),
        family_name: Some(name("Lovelace")?),
        locale: None,
        ..Facts::default()
    };
    let event = Event { person: person.clone(), kind: EventKind::Hire, at: None, facts };
    let entry = Entry {
        accepted_at: Clock::System.now(),
        word: Word::Event { job, event: Box::new(event), letter: None },
        trace: None,
    };
    Ok(NewEntry { job, person, bytes: entry.to_bytes().into() })
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) * 1024.0 / 1_000_000.0
}
