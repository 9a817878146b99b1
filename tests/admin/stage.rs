//! A served admin listener with an embedded store, and short words to fill that store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use scim_bridge::admin::readiness::StoreHealth;
use scim_bridge::admin::service::{AdminState, Remap};
use scim_bridge::admin::{Admin, AdminOptions};
use scim_bridge::clock::{self, Clock};
use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::job::{DirectoryEntry, Finished, HistoryEntry, JobId, Note};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::{Mapping, remap};
use scim_bridge::core::scim::Operation;
use scim_bridge::core::time::UnixMs;
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::peer::TrustedProxies;
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, ClaimedJob, Dedupe, NewDelivery, NewJob, NewUnmapped, Retention, Settlement, Store,
    StoreOptions, Verdict,
};
use scim_bridge::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use crate::http::{Answer, send};

pub(crate) const TOKEN: &str = "a-token-for-tests";
/// When the tests play.
pub(crate) const NOW: UnixMs = UnixMs(1_800_000_000_000);

/// A listener, and what is behind it.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Embedded>,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) token: LiveSecret,
    pub(crate) stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// Serves on a free port.
    pub(crate) fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(dir.path(), options()).unwrap());
        let (clock, lifecycle, stop) = (Clock::manual(NOW), Lifecycle::new(), CancellationToken::new());
        let token = LiveSecret::new(TOKEN.to_owned().into());
        // Source `gone` sent what is kept, and is not configured any more.
        let remap: Remap = Arc::new(|source, payload| {
            (source.as_str() != "gone").then(|| remap(&Mapping::default(), source, payload))
        });
        let state = AdminState {
            store: store.clone(),
            health: StoreHealth::new(store.clone(), Duration::from_secs(1)),
            clock: clock.clone(),
            token: token.clone(),
            lifecycle: lifecycle.clone(),
            remap,
            sources: vec![source("hr")],
            version: "0.0.0-test",
            started_at: NOW.minus_ms(90_000),
            role: "all",
            metrics: Metrics::install().unwrap(),
        };
        let options = AdminOptions {
            listen: "127.0.0.1:0".to_owned(),
            hosts: vec!["bridge.example.com".to_owned()],
            // A proxy of the tests binds to this address.
            proxies: TrustedProxies::new(&["127.0.0.2/32".parse().unwrap()]),
        };
        let admin = Admin::bind(&options, state).unwrap();
        let address = admin.address();
        tokio::spawn(admin.serve(stop.clone()));
        lifecycle.serve();
        Self { address, store, clock, lifecycle, token, stop, _dir: dir }
    }

    /// Asks without a token.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        send(self.address, "GET", target, &[], "").await
    }

    /// Asks the API with the token.
    pub(crate) async fn api(&self, method: &str, target: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        send(self.address, method, target, &[("Authorization", &bearer), ("Content-Type", "application/json")], body)
            .await
    }

    /// Accepts events.
    pub(crate) async fn accept(&self, events: Vec<Event>) -> Vec<JobId> {
        let jobs: Vec<_> = events.into_iter().map(|event| NewJob { id: clock::new_job_id(), event }).collect();
        let ids = jobs.iter().map(|job| job.id).collect();
        self.deliver(jobs, Vec::new()).await;
        ids
    }

    /// Accepts a record that could not be mapped.
    pub(crate) async fn accept_unmapped(&self, source_name: &str, payload: &str) -> JobId {
        let id = clock::new_job_id();
        let detail = "email: missing or blank".to_owned();
        let payload = payload.to_owned();
        let unmapped = NewUnmapped { id, person: None, code: Code::MapField, detail, payload };
        let delivery = NewDelivery { source: source(source_name), ..delivery(Vec::new(), vec![unmapped]) };
        assert_eq!(self.store.accept(self.clock.now(), delivery).await.unwrap(), Accepted::Stored);
        id
    }

    async fn deliver(&self, jobs: Vec<NewJob>, unmapped: Vec<NewUnmapped>) {
        let accepted = self.store.accept(self.clock.now(), delivery(jobs, unmapped)).await.unwrap();
        assert_eq!(accepted, Accepted::Stored);
    }

    /// Takes the next job, as a worker does.
    pub(crate) async fn claim(&self) -> ClaimedJob {
        let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max: 1, lease_ms: 60_000 };
        match self.store.claim(self.clock.now(), &request).await.unwrap() {
            Claim::Jobs(mut jobs) => jobs.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Ends the next job with a verdict, after one call.
    pub(crate) async fn settle_next(&self, verdict: Verdict, status: u16) -> JobId {
        let claimed = self.claim().await;
        let meaning = "told by the test".to_owned();
        let note = Note::Called { operation: Operation::Create, status: Some(status), meaning };
        let done = matches!(verdict, Verdict::Done(_));
        let directory = done.then(|| DirectoryEntry {
            scim_id: Some("405775".to_owned()),
            user_name: claimed.job.event.email().map(|e| e.lower().to_owned()).unwrap_or_default(),
            in_line_at: self.clock.now(),
            occurred_at: None,
            seq: claimed.job.seq,
        });
        let history = vec![HistoryEntry { at: self.clock.now(), note }];
        let settlement = Settlement { verdict, history, trial: None, directory };
        self.store.settle(self.clock.now(), &claimed.lease, settlement).await.unwrap();
        claimed.job.id
    }

    /// The next job becomes a dead letter.
    pub(crate) async fn bury_next(&self, code: Code) -> JobId {
        self.settle_next(
            Verdict::Dead {
                code,
                detail: "status 409".to_owned(),
                progress: scim_bridge::core::job::Progress::default(),
            },
            409,
        )
        .await
    }

    /// The next job succeeds.
    pub(crate) async fn finish_next(&self) -> JobId {
        self.settle_next(Verdict::Done(Finished::Created), 201).await
    }
}

fn delivery(jobs: Vec<NewJob>, unmapped: Vec<NewUnmapped>) -> NewDelivery {
    let key = clock::new_job_id().0.to_be_bytes();
    let dedupe = Dedupe { key, fingerprint: key, remember_ms: 1_000 };
    NewDelivery { source: source("hr"), dedupe, jobs, unmapped }
}

fn options() -> StoreOptions {
    StoreOptions {
        writes: Rate { calls: 0, window_ms: 60_000 },
        reads: Rate { calls: 0, window_ms: 60_000 },
        high_water_jobs: 1_000,
        retention: Retention { finished_ms: 86_400_000, finished_jobs_max: 1_000 },
        probe_pauses: ProbePauses { first_ms: 30_000, max_ms: 300_000 },
    }
}

pub(crate) fn source(name: &str) -> SourceName {
    SourceName::parse(name).unwrap()
}

fn event(employee_id: &str, change: Change) -> Event {
    Event { person: Person::parse(source("hr"), employee_id).unwrap(), change, locale: None, occurred_at: None }
}

/// A hire of somebody of this name.
pub(crate) fn hire(employee_id: &str, given: &str, family: &str) -> Event {
    let email = Email::parse("ada@example.com").unwrap();
    event(employee_id, Change::Hire { email, names: Names::parse(Some(given), Some(family)).unwrap() })
}

/// A rename.
pub(crate) fn rename(employee_id: &str, family: &str) -> Event {
    event(employee_id, Change::Rename { email: None, names: Names::parse(None, Some(family)).unwrap() })
}
