//! What the cases work with: a store that can be closed and opened again between any two steps, and
//! short words for deliveries, claims and settlements.

use std::sync::Arc;

use async_trait::async_trait;
use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::job::{DirectoryEntry, Finished, JobId, JobState, Progress};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, ClaimedJob, Dedupe, Lease, NewDelivery, NewJob, NewUnmapped, Page, Retention,
    Settled, Settlement, StoreOptions, Transfer, TrialResult, Verdict, WaitReason,
};

/// When the tests begin.
pub(crate) const T0: UnixMs = UnixMs(1_800_000_000_000);
/// How long leases last in the tests.
pub(crate) const LEASE_MS: u64 = 60_000;
/// Before the first probe of a hold, and at the most.
pub(crate) const PAUSES: ProbePauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };

/// So many milliseconds after the beginning.
pub(crate) fn at(ms: u64) -> UnixMs {
    T0.plus_ms(ms)
}

/// Opens an engine on a place of its own, again and again on the same.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Opens the store. The one before is closed by then.
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer>;
}

/// Looks at lanes in an engine's own records, past the engine.
pub(crate) trait Lanes {
    /// The lane of a person.
    fn look(&mut self, person: &str) -> SeenLane;
}

/// A lane as its records have it.
#[derive(Debug, Default)]
pub(crate) struct SeenLane {
    /// Where it is: `due`, `leased`, `parked`.
    pub(crate) places: Vec<&'static str>,
    /// Live jobs as the lane counts them.
    pub(crate) counted: u64,
    /// Live jobs that are there.
    pub(crate) live: u64,
}

/// Without limits and with bounds that no test reaches by chance.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        writes: Rate { calls: 0, window_ms: 60_000 },
        reads: Rate { calls: 0, window_ms: 60_000 },
        high_water_jobs: 1_000_000,
        retention: Retention { finished_ms: 7 * 86_400_000, finished_jobs_max: 1_000_000 },
        probe_pauses: PAUSES,
    }
}

/// A store under test.
pub(crate) struct Bench {
    engine: Box<dyn Engine>,
    options: StoreOptions,
    store: Option<Arc<dyn Transfer>>,
    reopens: bool,
    ids: u128,
}

impl Bench {
    /// A fresh store; with `reopens`, it is closed and opened again before every single step.
    pub(crate) async fn new(engine: impl Engine + 'static, reopens: bool) -> Self {
        let store = engine.open(options()).await;
        Self { engine: Box::new(engine), options: options(), store: Some(store), reopens, ids: 0 }
    }

    /// Goes on with other options.
    pub(crate) async fn with(&mut self, change: impl FnOnce(&mut StoreOptions)) {
        change(&mut self.options);
        self.reopen().await;
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(self.engine.open(self.options.clone()).await);
    }

    /// The store, for one step.
    pub(crate) async fn s(&mut self) -> &dyn Transfer {
        if self.reopens {
            self.reopen().await;
        }
        self.store.as_deref().expect("the store is open")
    }

    /// An id that is newer than all before.
    pub(crate) fn id(&mut self) -> JobId {
        self.ids += 1;
        JobId((0x0195 << 112) + self.ids)
    }

    /// Leaves ids out: another store has them.
    pub(crate) fn skip_ids(&mut self, count: u128) {
        self.ids += count;
    }

    /// Accepts a delivery of these events, remembered by a key that nothing else has; the jobs' ids.
    pub(crate) async fn accept(&mut self, now: UnixMs, events: &[Event]) -> Vec<JobId> {
        let jobs: Vec<NewJob> = events.iter().map(|event| NewJob { id: self.id(), event: event.clone() }).collect();
        let ids = jobs.iter().map(|job| job.id).collect();
        let key = self.id().0.to_be_bytes();
        let delivery = delivery(key, [0; 16], jobs);
        assert_eq!(self.s().await.accept(now, delivery).await.unwrap(), Accepted::Stored);
        ids
    }

    /// Accepts one event.
    pub(crate) async fn accept_one(&mut self, now: UnixMs, event: Event) -> JobId {
        self.accept(now, &[event]).await[0]
    }

    /// Keeps a record that could not be mapped.
    pub(crate) async fn accept_unmapped(&mut self, now: UnixMs, person: Option<Person>) -> JobId {
        let id = self.id();
        let mut delivery = delivery(self.id().0.to_be_bytes(), [0; 16], Vec::new());
        delivery.unmapped.push(unmapped(id, person));
        assert_eq!(self.s().await.accept(now, delivery).await.unwrap(), Accepted::Stored);
        id
    }

    /// Claims up to so many jobs; none where the answer is another.
    pub(crate) async fn claim_up_to(&mut self, now: UnixMs, jobs_max: usize) -> Vec<ClaimedJob> {
        match self.claim(now, jobs_max).await {
            Claim::Jobs(jobs) => jobs,
            Claim::Probe(_) | Claim::Wait { .. } => Vec::new(),
        }
    }

    /// Claims one job that must be there.
    pub(crate) async fn claim_one(&mut self, now: UnixMs) -> ClaimedJob {
        let mut jobs = self.claim_up_to(now, 1).await;
        assert_eq!(jobs.len(), 1, "one job is to be had");
        jobs.remove(0)
    }

    /// Claims.
    pub(crate) async fn claim(&mut self, now: UnixMs, jobs_max: usize) -> Claim {
        let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max, lease_ms: LEASE_MS };
        self.s().await.claim(now, &request).await.unwrap()
    }

    /// Claims where nothing is to be had.
    pub(crate) async fn claim_none(&mut self, now: UnixMs) -> (Option<UnixMs>, WaitReason) {
        match self.claim(now, 64).await {
            Claim::Wait { until, reason } => (until, reason),
            Claim::Probe(scope) => panic!("a probe of {scope:?} instead of nothing"),
            Claim::Jobs(jobs) => panic!("{} jobs instead of nothing", jobs.len()),
        }
    }

    /// Settles with a verdict alone.
    pub(crate) async fn settle(&mut self, now: UnixMs, lease: &Lease, verdict: Verdict) -> Settled {
        self.settle_trial(now, lease, verdict, None).await
    }

    /// Settles with a verdict and a trial's result.
    pub(crate) async fn settle_trial(
        &mut self,
        now: UnixMs,
        lease: &Lease,
        verdict: Verdict,
        trial: Option<TrialResult>,
    ) -> Settled {
        let settlement = Settlement { verdict, history: Vec::new(), trial, directory: None };
        self.s().await.settle(now, lease, settlement).await.unwrap()
    }

    /// Claims the next job and ends it so.
    pub(crate) async fn work_off(&mut self, now: UnixMs, verdict: Verdict) -> JobId {
        let claimed = self.claim_one(now).await;
        assert_eq!(self.settle(now, &claimed.lease, verdict).await, Settled::Settled);
        claimed.job.id
    }

    /// Where a job stands.
    pub(crate) async fn state(&mut self, id: JobId) -> Option<JobState> {
        self.s().await.job(id).await.unwrap().map(|view| view.state)
    }

    /// How many jobs are in a state.
    pub(crate) async fn count(&mut self, state: JobState) -> u64 {
        self.s().await.stats(T0).await.unwrap().jobs[state.as_str()]
    }
}

/// A delivery of jobs.
pub(crate) fn delivery(key: [u8; 16], fingerprint: [u8; 16], jobs: Vec<NewJob>) -> NewDelivery {
    let dedupe = Dedupe { key, fingerprint, remember_ms: 86_400_000 };
    NewDelivery { source: source(), dedupe, jobs, unmapped: Vec::new() }
}

/// A record that could not be mapped.
pub(crate) fn unmapped(id: JobId, person: Option<Person>) -> NewUnmapped {
    let detail = "email: missing or blank".to_owned();
    NewUnmapped { id, person, code: Code::MapField, detail, payload: r#"{"x":1}"#.to_owned() }
}

pub(crate) fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

pub(crate) fn person(employee_id: &str) -> Person {
    Person::parse(source(), employee_id).unwrap()
}

pub(crate) fn hire(employee_id: &str) -> Event {
    let email = Email::parse("Ada@example.com").unwrap();
    let names = Names::parse(Some("Ada"), Some("Lovelace")).unwrap();
    Event { person: person(employee_id), change: Change::Hire { email, names }, locale: None, occurred_at: Some(T0) }
}

pub(crate) fn rename(employee_id: &str) -> Event {
    let names = Names::parse(Some("Ada"), Some("King")).unwrap();
    let change = Change::Rename { email: None, names };
    Event { person: person(employee_id), change, locale: Some("de-DE".to_owned()), occurred_at: None }
}

pub(crate) fn entry() -> DirectoryEntry {
    DirectoryEntry {
        scim_id: Some("405775".to_owned()),
        user_name: "ada@example.com".to_owned(),
        in_line_at: T0,
        occurred_at: None,
        seq: 1,
    }
}

pub(crate) fn done() -> Verdict {
    Verdict::Done(Finished::Created)
}

pub(crate) fn dead() -> Verdict {
    dead_knowing(Progress::default())
}

/// Dead, with what a replay must know.
pub(crate) fn dead_knowing(progress: Progress) -> Verdict {
    Verdict::Dead { code: Code::ScimSyntax, detail: "name: too long".to_owned(), progress }
}

pub(crate) fn retry(at: UnixMs) -> Verdict {
    Verdict::Retry { at, counted: true, progress: Progress::default() }
}

pub(crate) fn give_back() -> Verdict {
    Verdict::GiveBack { progress: Progress::default() }
}

/// The first rows of a listing.
pub(crate) fn first(rows_max: usize) -> Page {
    Page { rows_max, before: None }
}
