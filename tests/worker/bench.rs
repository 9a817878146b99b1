//! What every test here stands on.

use std::sync::Arc;
use std::time::Duration;

use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::job::{JobId, JobState};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::time::UnixMs;
use scim_bridge::core::verdict::RetryRules;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Accepted, Dedupe, NewDelivery, NewJob, Retention, Store, StoreOptions, WaitReason};
use scim_bridge::worker::{Attempted, Stepped, Worker, WorkerOptions};

pub(crate) const LEASE_MS: u64 = 60_000;

pub(crate) const RULES: RetryRules = RetryRules {
    first_ms: 1000,
    max_ms: 900_000,
    give_up_after_ms: 72 * 3_600_000,
    not_found_tries: 5,
    username_tries: 3,
    take_overs_max: 3,
};

pub(crate) struct Bench {
    pub(crate) store: Arc<Embedded>,
    pub(crate) sim: PostmanSim,
    pub(crate) clock: Clock,
    pub(crate) key: LiveSecret,
    pub(crate) _folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A bench with a stand-in of its own kind. Limits are off on both sides.
    pub(crate) fn with(change: impl FnOnce(&mut SimOptions)) -> Self {
        let mut options = SimOptions { writes: 0, reads: 0, ..SimOptions::default() };
        change(&mut options);
        let folder = tempfile::tempdir().unwrap();
        let unlimited = Rate { calls: 0, window_ms: 60_000 };
        let store = Embedded::open(
            folder.path(),
            StoreOptions {
                writes: unlimited,
                reads: unlimited,
                high_water_jobs: 1000,
                retention: Retention { finished_ms: 1_000_000_000, finished_jobs_max: 1000 },
                probe_pauses: ProbePauses { first_ms: 30_000, max_ms: 300_000 },
            },
        )
        .unwrap();
        Self {
            store: Arc::new(store),
            key: LiveSecret::new(options.key.clone().into()),
            sim: PostmanSim::start(options).unwrap(),
            clock: Clock::manual(UnixMs(1_795_341_600_000)),
            _folder: folder,
        }
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_on(self.store.clone())
    }

    /// A worker that sees the store through something.
    pub(crate) fn worker_on(&self, store: Arc<dyn Store>) -> Worker {
        let client = Client::new(ClientOptions {
            base_url: self.sim.base_url().parse().unwrap(),
            key: self.key.clone(),
            auth: Auth::Bearer,
            x_api_key: false,
            locale: "en-US".to_owned(),
            timeout: Duration::from_millis(400),
            connect_timeout: Duration::from_millis(400),
            ca_pem: None,
        })
        .unwrap();
        let options = WorkerOptions {
            concurrency: 4,
            lease_ms: LEASE_MS,
            call_timeout_ms: 400,
            rate_window_ms: 60_000,
            look_up_pages_max: 20,
            retry: RULES,
        };
        Worker::new(store, client, self.clock.clone(), options)
    }

    pub(crate) async fn accept(&self, event: Event) -> JobId {
        let id = new_job_id();
        let delivery = NewDelivery {
            source: event.person.source.clone(),
            dedupe: Dedupe { key: id.0.to_be_bytes(), fingerprint: [0; 16], remember_ms: 1 },
            jobs: vec![NewJob { id, event }],
            unmapped: Vec::new(),
        };
        assert_eq!(self.store.accept(self.clock.now(), delivery).await.unwrap(), Accepted::Stored);
        id
    }

    pub(crate) async fn hire(&self, id: &str, given: &str, family: &str) -> JobId {
        self.accept(hire(id, given, family)).await
    }

    pub(crate) async fn rename(&self, id: &str, given: &str, family: &str) -> JobId {
        self.accept(rename(id, given, family)).await
    }

    /// One step that must attempt a job.
    pub(crate) async fn attempt(&self) -> Attempted {
        match self.worker().step().await.unwrap() {
            Stepped::Attempted(attempted) => attempted,
            other => panic!("{other:?}"),
        }
    }

    /// One step that must find nothing to do.
    pub(crate) async fn nothing(&self) -> WaitReason {
        match self.worker().step().await.unwrap() {
            Stepped::Nothing(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Steps, letting time pass between them, until a job ends for good.
    pub(crate) async fn attempt_until_settled(&self) -> Attempted {
        for _ in 0..40 {
            match self.worker().step().await.unwrap() {
                Stepped::Attempted(ended @ (Attempted::Done(_) | Attempted::Dead(_))) => return ended,
                Stepped::Attempted(_) | Stepped::Nothing(_) | Stepped::Probed => self.clock.advance_ms(901_000),
            }
        }
        panic!("the job did not settle")
    }

    pub(crate) async fn state(&self, id: JobId) -> JobState {
        self.store.job(id).await.unwrap().unwrap().state
    }

    /// The calls made, as `operation status`.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.sim
            .journal()
            .iter()
            .map(|call| match call.status {
                Some(status) => format!("{} {status}", call.operation.as_str()),
                None => format!("{} -", call.operation.as_str()),
            })
            .collect()
    }

    /// The names that the team shows for a person.
    pub(crate) fn names(&self, id: &str) -> Vec<String> {
        let members = self.sim.members_named(&email(id));
        members.iter().map(|member| format!("{} {}", member.name.given_name, member.name.family_name)).collect()
    }
}

pub(crate) fn person(id: &str) -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), id).unwrap()
}

pub(crate) fn email(id: &str) -> String {
    format!("{}@example.com", id.to_lowercase())
}

pub(crate) fn hire(id: &str, given: &str, family: &str) -> Event {
    let names = Names::parse(Some(given), Some(family)).unwrap();
    let change = Change::Hire { email: Email::parse(&email(id)).unwrap(), names };
    Event { person: person(id), change, locale: None, occurred_at: None }
}

pub(crate) fn rename(id: &str, given: &str, family: &str) -> Event {
    let names = Names::parse(Some(given), Some(family)).unwrap();
    let change = Change::Rename { email: Some(Email::parse(&email(id)).unwrap()), names };
    Event { person: person(id), change, locale: None, occurred_at: None }
}
