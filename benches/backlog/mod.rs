//! A backlog of hires in a store, a stand-in with the same limits, and a worker for them.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use scim_bridge::app;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::config::Config;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::{
    Email, EmploymentState, Entry, Event, EventKind, Facts, Name, Person, SourceName, Stated, Word,
};
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::redis::StoreClock;
use scim_bridge::store::{Bounds, NewDelivery, NewEntry, Store, StoreOptions};
use scim_bridge::worker::{Worker, WorkerOptions};

use crate::place::{Engine, Place};

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Events per delivery while the backlog is filled.
const BATCH: u64 = 1_000;

pub(crate) struct Backlog {
    pub(crate) sim: PostmanSim,
    store: Arc<dyn Store>,
    hires: u64,
    rate: Rate,
    concurrency: usize,
    _place: Place,
}

impl Backlog {
    /// This many hires, each of another person; reads have the same limit as writes.
    pub(crate) async fn of_hires(engine: Engine, hires: u64, rate: Rate, concurrency: usize) -> Result<Self, Failed> {
        let place = Place::new(engine)?;
        let options = StoreOptions {
            writes: rate,
            reads: rate,
            bounds: Bounds {
                // One source may use half of it.
                entries_max: 2 * hires,
                dead_letters_max: 100,
                dead_bytes_max: 1_000_000,
                story_entries_max: 100,
                story_keep_ms: u64::MAX / 4,
            },
        };
        let store = place.open(options, StoreClock::Server)?;
        let source = SourceName::parse("hr")?;
        for from in (0..hires).step_by(usize::try_from(BATCH)?) {
            let entries = (from..hires.min(from + BATCH)).map(hire).collect::<Result<Vec<_>, Failed>>()?;
            let delivery = NewDelivery { source: source.clone(), dedupe: None, entries, unmapped: Vec::new() };
            store.accept(Clock::System.now(), delivery).await?;
        }
        let sim = PostmanSim::start(SimOptions {
            writes: rate.calls,
            reads: rate.calls,
            window_ms: rate.window_ms,
            ..SimOptions::default()
        })?;
        Ok(Self { sim, store, hires, rate, concurrency, _place: place })
    }

    pub(crate) fn worker(&self) -> Result<Worker, Failed> {
        let client = Client::new(ClientOptions {
            base_url: self.sim.base_url().parse()?,
            key: LiveSecret::new(SimOptions::default().key.into()),
            auth: Auth::Bearer,
            x_api_key: false,
            locale: "en-US".to_owned(),
            timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            ca_pem: None,
        })?;
        let options = WorkerOptions {
            concurrency: self.concurrency,
            rate_window_ms: self.rate.window_ms,
            ..app::worker_options(&Config::of_text("")?)
        };
        Ok(Worker::new(self.store.clone(), client, Clock::System, options))
    }

    /// How many people are in sync.
    pub(crate) async fn done(&self) -> Result<u64, Failed> {
        let waiting: u64 = self.store.stats().await?.lanes.values().sum();
        Ok(self.hires.saturating_sub(waiting))
    }
}

fn hire(n: u64) -> Result<NewEntry, Failed> {
    let person = Person::parse(SourceName::parse("hr")?, &format!("E-{n:06}"))?;
    let (now, job) = (Clock::System.now(), new_job_id(person.id()));
    let name = |name| Name::parse("name", name).map(|name| name.map_or(Stated::None, Stated::Is));
    let facts = Facts {
        employment: Some((EmploymentState::Employed, None)),
        email: Some(Email::parse(&format!("person{n:06}@example.com"))?),
        given_name: Some(name("Ada")?),
        family_name: Some(name("Lovelace")?),
        locale: None,
        ..Facts::default()
    };
    let event = Event { person: person.clone(), kind: EventKind::Hire, at: Some(now), facts };
    let entry =
        Entry { accepted_at: now, word: Word::Event { job, event: Box::new(event), letter: None }, trace: None };
    Ok(NewEntry { job, person, bytes: entry.to_bytes().into() })
}
