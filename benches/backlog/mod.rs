//! A backlog of hires in a store, a stand-in with the same limits, and a worker for them.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::verdict::RetryRules;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::redis::StoreClock;
use scim_bridge::store::{Dedupe, NewDelivery, NewJob, Retention, Store, StoreOptions};
use scim_bridge::worker::{Worker, WorkerOptions};

use crate::place::{Engine, Place};

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Events in one delivery, while the backlog is made.
const BATCH: u64 = 1_000;

pub(crate) struct Backlog {
    pub(crate) sim: PostmanSim,
    store: Arc<dyn Store>,
    rate: Rate,
    concurrency: usize,
    _place: Place,
}

impl Backlog {
    /// So many hires of as many people; reads are as limited as writes.
    pub(crate) async fn of_hires(engine: Engine, hires: u64, rate: Rate, concurrency: usize) -> Result<Self, Failed> {
        let place = Place::new(engine)?;
        let options = StoreOptions {
            writes: rate,
            reads: rate,
            high_water_jobs: hires + 1,
            retention: Retention { finished_ms: u64::MAX / 4, finished_jobs_max: hires },
            probe_pauses: ProbePauses { first_ms: 30_000, max_ms: 300_000 },
        };
        let store = place.open(options, StoreClock::Server)?;
        let source = SourceName::parse("hr")?;
        for from in (0..hires).step_by(usize::try_from(BATCH)?) {
            let jobs = (from..hires.min(from + BATCH)).map(hire).collect::<Result<Vec<_>, Failed>>()?;
            let dedupe = Dedupe { key: new_job_id().0.to_be_bytes(), fingerprint: [0; 16], remember_ms: 1 };
            let delivery = NewDelivery { source: source.clone(), dedupe, jobs, unmapped: Vec::new() };
            store.accept(Clock::System.now(), delivery).await?;
        }
        let sim = PostmanSim::start(SimOptions {
            writes: rate.calls,
            reads: rate.calls,
            window_ms: rate.window_ms,
            ..SimOptions::default()
        })?;
        Ok(Self { sim, store, rate, concurrency, _place: place })
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
            lease_ms: 60_000,
            call_timeout_ms: 20_000,
            rate_window_ms: self.rate.window_ms,
            look_up_pages_max: 20,
            retry: RetryRules {
                first_ms: 1000,
                max_ms: 900_000,
                give_up_after_ms: 72 * 3_600_000,
                not_found_tries: 5,
                username_tries: 3,
                take_overs_max: 3,
            },
        };
        Ok(Worker::new(self.store.clone(), client, Clock::System, options))
    }

    /// How many jobs are done.
    pub(crate) async fn done(&self) -> Result<u64, Failed> {
        let stats = self.store.stats(Clock::System.now()).await?;
        Ok(stats.jobs.get("done").copied().unwrap_or(0))
    }
}

fn hire(n: u64) -> Result<NewJob, Failed> {
    let event = Event {
        person: Person::parse(SourceName::parse("hr")?, &format!("E-{n:06}"))?,
        change: Change::Hire {
            email: Email::parse(&format!("person{n:06}@example.com"))?,
            names: Names::parse(Some("Ada"), Some("Lovelace"))?,
        },
        locale: None,
        occurred_at: Some(Clock::System.now()),
    };
    Ok(NewJob { id: new_job_id(), event })
}
