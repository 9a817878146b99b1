//! How fast the console and the API answer: `cargo bench --bench console`, or only on some stores:
//! `cargo bench --bench console -- embedded redis valkey`.
//!
//! The release binary in a process of its own, with its worker running. Each page and each listing is requested, one
//! after the other, with a hundred people in the store and with 1 M waiting and 100 k dead letters (aim: every answer
//! within 50 ms at the 99th percentile). The small store is the baseline.

#[path = "figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;
#[path = "place/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod place;
#[path = "process/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod process;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use figures::{millis, percentile, sorted};
use futures_util::future::try_join_all;
use place::{Engine, Place};
use process::{Serving, Start};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use rustix::process::Signal;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::code::Code;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::{
    Document, Email, EmploymentState, Entry, Event, EventKind, Facts, Name, Person, SourceName, Stated, Trouble, Word,
};
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::store::redis::StoreClock;
use scim_bridge::store::{
    Bounds, Claim, ClaimRequest, Claimed, Commit, DeadChange, DeadRow, Lane, LaneState, NewDelivery, NewEntry, Store,
    StoreOptions,
};

type Failed = Box<dyn Error + Send + Sync>;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "a-token-of-this-benchmark-only";
/// People per batch while a store is filled.
const BATCH: u32 = 1_000;
const ROUNDS: usize = 200;

/// How many are in a store: waiting, and blocked.
#[derive(Clone, Copy)]
struct Size {
    waiting: u32,
    dead: u32,
}

const SMALL: Size = Size { waiting: 100, dead: 10 };
const LARGE: Size = Size { waiting: 1_000_000, dead: 100_000 };

fn main() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for engine in Engine::chosen()? {
        let small = runtime.block_on(measure(engine, SMALL))?;
        let large = runtime.block_on(measure(engine, LARGE))?;
        println!("{}: ms, of {ROUNDS} requests each, one after the other", engine.name());
        println!("{:<44} {:>16} {:>22}", "", "110 people", "1 M waiting, 100 k dead");
        println!("{:<44} {:>8} {:>7} {:>12} {:>9}", "", "median", "p99", "median", "p99");
        for ((path, few), (_, many)) in small.iter().zip(&large) {
            let [few_50, few_99, many_50, many_99] =
                [(few, 50), (few, 99), (many, 50), (many, 99)].map(|(times, percent)| percentile(times, percent));
            println!("{path:<44} {few_50:>8.1} {few_99:>7.1} {many_50:>12.1} {many_99:>9.1}");
        }
    }
    Ok(())
}

/// How long each path took, in order.
async fn measure(engine: Engine, size: Size) -> Result<Vec<(&'static str, Vec<f64>)>, Failed> {
    let place = Place::new(engine)?;
    let store = place.open(options(), StoreClock::Server)?;
    let began = Instant::now();
    fill(&store, size).await?;
    drop(store);
    eprintln!("{}: filled in {:.0} s", engine.name(), began.elapsed().as_secs_f64());
    let (sim, folder) = (PostmanSim::start(SimOptions::default())?, tempfile::tempdir()?);
    let keys = [("SERVER__ADMIN_TOKEN", TOKEN)];
    let start = Start { role: "all", url: &place.url(), folder: folder.path(), secret: SECRET, keys: &keys };
    let serving = Serving::start(&start, &sim)?;
    let asked = ask_all(serving.admin).await;
    serving.end(Signal::TERM)?;
    asked
}

async fn ask_all(admin: SocketAddr) -> Result<Vec<(&'static str, Vec<f64>)>, Failed> {
    // Nothing here is encrypted, but reqwest requires a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let base = format!("http://{admin}");
    let login = client.post(format!("{base}/login")).header(ORIGIN, &base);
    let login = login.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(format!("token={TOKEN}"));
    let login = login.send().await?;
    let cookie = login.headers().get(SET_COOKIE).ok_or("no session")?.to_str()?.split(';').next().unwrap_or_default();
    let paths = [
        "/",
        "/people",
        "/people?search=person54",
        "/people?search=love",
        "/people?state=waiting",
        "/people?state=blocked",
        "/person?source=hr&employee_id=E-54",
        "/dead",
        "/dead?code=SCIM-REFUSED",
        "/dead?source=hr&event=hire",
        "/deliveries",
        "/roster",
        "/hold",
        "/audit",
        "/settings",
        "/api/v1/status",
        "/api/v1/jobs",
        "/api/v1/people?state=waiting&limit=500",
        "/api/v1/people?search=ada+love",
        "/api/v1/person?who=person54@example.com",
        "/api/v1/dead?code=SCIM-REFUSED&limit=500",
        "/api/v1/dead?older_than_s=86400",
        "/api/v1/deliveries",
        "/api/v1/hold",
        "/api/v1/audit",
        "/metrics",
        "/readyz",
    ];
    let mut all = Vec::new();
    for path in paths {
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let request = client.get(format!("{base}{path}")).header(COOKIE, cookie);
            let response = request.header(AUTHORIZATION, format!("Bearer {TOKEN}")).send().await?;
            let status = response.status();
            response.bytes().await?;
            times.push(millis(began.elapsed()));
            // A search that finds one person redirects to them.
            if !status.is_success() && !status.is_redirection() {
                return Err(format!("{path}: {status}").into());
            }
        }
        let times = sorted(times.into_iter());
        eprintln!("  {path}: {:.1} ms", percentile(&times, 50));
        all.push((path, times));
    }
    Ok(all)
}

/// Everybody was hired and is known; some are blocked, and HR has news about the others.
async fn fill(store: &Arc<dyn Store>, size: Size) -> Result<(), Failed> {
    let everybody = size.waiting + size.dead;
    let mut number = 0;
    for from in (0..everybody).step_by(BATCH as usize) {
        let people = from..everybody.min(from + BATCH);
        accept(store, people.clone().map(|n| event(n, "Lovelace"))).await?;
        let mut left = people.len();
        while left > 0 {
            number += 1;
            let claimed = claim(&**store, number, left).await?;
            left -= claimed.len();
            try_join_all(claimed.into_iter().map(|claimed| commit(&**store, claimed, size.waiting))).await?;
        }
    }
    for from in (0..size.waiting).step_by(BATCH as usize) {
        accept(store, (from..size.waiting.min(from + BATCH)).map(|n| event(n, "King"))).await?;
    }
    Ok(())
}

async fn accept(store: &Arc<dyn Store>, events: impl Iterator<Item = Result<Event, Failed>>) -> Result<(), Failed> {
    let entry = |event: Result<Event, Failed>| {
        let event = event?;
        let (person, job) = (event.person.clone(), new_job_id(event.person.id()));
        let entry = Entry {
            accepted_at: Clock::System.now(),
            word: Word::Event { job, event: Box::new(event), letter: None },
            trace: None,
        };
        Ok::<_, Failed>(NewEntry { job, person, bytes: entry.to_bytes().into() })
    };
    let entries = events.map(entry).collect::<Result<_, _>>()?;
    let delivery = NewDelivery { source: source()?, dedupe: None, entries, unmapped: Vec::new() };
    store.accept(Clock::System.now(), delivery).await?;
    Ok(())
}

async fn claim(store: &dyn Store, number: u64, people_max: usize) -> Result<Vec<Claimed>, Failed> {
    let request = ClaimRequest {
        worker: "bench".into(),
        number,
        lost_from: None,
        people_max,
        lease_ms: 60_000,
        entries_max: 100,
        parked: None,
    };
    match store.claim(Clock::System.now(), &request).await? {
        Claim::People(people) => Ok(people),
        Claim::Nobody { .. } => Err("nobody is due although many are waiting".into()),
    }
}

async fn commit(store: &dyn Store, claimed: Claimed, first_dead: u32) -> Result<(), Failed> {
    let now = Clock::System.now();
    let entry = claimed.inbox.last().ok_or("an empty inbox")?;
    let Word::Event { job, event, .. } = Entry::from_bytes(&entry.bytes).ok_or("no entry")?.word else {
        return Err("no event".into());
    };
    let mut document = Document::new(event.person.clone());
    document.record.fold(&event, now, entry.seq);
    let number: u32 = event.person.employee_id.trim_start_matches("E-").parse()?;
    let (mut state, mut dead) = (LaneState::Idle, DeadChange::None);
    if number >= first_dead {
        let (code, detail) = (Code::ScimRefused, "after POST /Users: 400".to_owned());
        state = LaneState::Blocked;
        dead = DeadChange::Is(Box::new(DeadRow {
            id: job,
            source: event.person.source.clone(),
            person: Some(event.person.clone()),
            event: Some(EventKind::Hire),
            died_at: now,
            code: code.to_string(),
            detail: detail.clone(),
            unmapped: false,
        }));
        document.trouble = Some(Trouble { id: job, code, detail, since: now, tried_at: None });
    }
    let commit = Commit {
        document: Some(document.to_bytes().into()),
        person: event.person.clone(),
        consumed_to: Some(entry.seq),
        lane: Lane { state, due: None, wakes: true, tag: None },
        story: Vec::new(),
        terms_added: document.search_terms(),
        terms_removed: Vec::new(),
        disowned: Vec::new(),
        released: Vec::new(),
        outgoing: Vec::new(),
        dead,
    };
    store.commit(now, &claimed.lease, commit).await?;
    Ok(())
}

fn event(n: u32, family: &str) -> Result<Event, Failed> {
    let name = |name: &str| Name::parse("name", name).map(|name| name.map_or(Stated::None, Stated::Is));
    let facts = Facts {
        employment: Some((EmploymentState::Employed, None)),
        email: Some(Email::parse(&format!("person{n}@example.com"))?),
        given_name: Some(name("Ada")?),
        family_name: Some(name(family)?),
        ..Facts::default()
    };
    Ok(Event { person: Person::parse(source()?, &format!("E-{n}"))?, kind: EventKind::Hire, at: None, facts })
}

fn source() -> Result<SourceName, Failed> {
    Ok(SourceName::parse("hr")?)
}

fn options() -> StoreOptions {
    let limit = |calls| Rate { calls, window_ms: 60_000 };
    StoreOptions {
        writes: limit(180),
        reads: limit(300),
        bounds: Bounds {
            entries_max: u64::MAX,
            dead_letters_max: u64::MAX,
            dead_bytes_max: u64::MAX,
            story_entries_max: 100,
            story_keep_ms: u64::MAX / 4,
        },
    }
}
