//! The fixture of all tests here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use scim_bridge::app;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::config::Config;
use scim_bridge::core::guard::GuardOptions;
use scim_bridge::core::hold::{Holds, ProbePauses};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::job::{Finished, JobId};
use scim_bridge::core::person::story::{Note, StoryEntry};
use scim_bridge::core::person::{
    Document, Email, EmploymentState, Entry, Event, EventKind, Facts, Name, Person, SourceName, Stated, Word,
};
use scim_bridge::core::reconcile::groups::GroupRule;
use scim_bridge::core::reconcile::plan::PlanRules;
use scim_bridge::core::reconcile::verdict::RetryRules;
use scim_bridge::core::time::UnixMs;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::holds::SharedHolds;
use scim_bridge::store::memory::Memory;
use scim_bridge::store::{
    Accepted, Bounds, Claim, ClaimRequest, Claimed, LaneState, NewDelivery, NewEntry, PersonRow, Store, StoreOptions,
    documents,
};
use scim_bridge::worker::{Attempted, Stepped, Worker, WorkerOptions};
use tempfile::TempDir;

pub(crate) const LEASE_MS: u64 = 60_000;
pub(crate) const PAUSES: ProbePauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };

pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sim: PostmanSim,
    pub(crate) clock: Clock,
    pub(crate) key: LiveSecret,
    pub(crate) guard: GuardOptions,
    pub(crate) groups: Vec<GroupRule>,
    /// One worker for all steps: it remembers who was refused and who was served.
    pub(crate) worker: std::sync::OnceLock<Worker>,
    pub(crate) times_asked: AtomicU64,
    /// The folder of the store's files, if it has any.
    pub(crate) _folder: Option<TempDir>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A bench with stand-in options of its own. Rate limits are off on both sides.
    pub(crate) fn with(change: impl FnOnce(&mut SimOptions)) -> Self {
        let mut options = SimOptions { writes: 0, reads: 0, ..SimOptions::default() };
        change(&mut options);
        Self {
            store: Arc::new(Memory::new(store_options(Rate { calls: 0, window_ms: 60_000 }))),
            key: LiveSecret::new(options.key.clone().into()),
            sim: PostmanSim::start(options).unwrap(),
            clock: Clock::manual(UnixMs(1_795_341_600_000)),
            guard: worker_options().guard,
            groups: Vec::new(),
            worker: std::sync::OnceLock::new(),
            times_asked: AtomicU64::new(0),
            _folder: None,
        }
    }

    /// A bench over another engine.
    pub(crate) fn over(store: Arc<dyn Store>, folder: Option<TempDir>) -> Self {
        Self { store, _folder: folder, ..Self::new() }
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker.get_or_init(|| self.worker_on(self.store.clone())).clone()
    }

    /// A worker of its own that uses the store through a wrapper.
    pub(crate) fn worker_on(&self, store: Arc<dyn Store>) -> Worker {
        let client = client(&self.sim, self.key.clone(), Duration::from_millis(400));
        let mut options = WorkerOptions { call_timeout_ms: 400, guard: self.guard, ..worker_options() };
        options.plan.groups.clone_from(&self.groups);
        Worker::new(store, client, self.clock.clone(), options)
    }

    pub(crate) fn holds(&self) -> SharedHolds {
        SharedHolds::new(self.store.clone(), self.clock.clone(), PAUSES)
    }

    pub(crate) async fn holds_in_force(&self) -> Holds {
        documents::read(self.store.as_ref(), "holds").await.unwrap().0
    }

    pub(crate) async fn accept(&self, event: Event) -> JobId {
        let id = new_job_id(event.person.id());
        accept(self.store.as_ref(), self.clock.now(), id, event).await;
        id
    }

    /// Puts entries into somebody's inbox, as an import does.
    pub(crate) async fn accept_words(&self, id: &str, words: Vec<Word>) {
        let entry = |word| {
            let bytes = Bytes::from(Entry { accepted_at: self.clock.now(), word, trace: None }.to_bytes());
            NewEntry { job: new_job_id(person(id).id()), person: person(id), bytes }
        };
        let entries = words.into_iter().map(entry).collect();
        let delivery = NewDelivery { source: person(id).source, dedupe: None, entries, unmapped: Vec::new() };
        assert_eq!(self.store.accept(self.clock.now(), delivery).await.unwrap(), Accepted::Stored);
    }

    /// A time by HR's clock, a second after the previous one.
    pub(crate) fn next_at(&self) -> UnixMs {
        let n = self.times_asked.fetch_add(1, Ordering::SeqCst);
        UnixMs(1_795_000_000_000).plus_ms(n * 1000)
    }

    pub(crate) async fn hire(&self, id: &str, given: &str, family: &str) -> JobId {
        self.accept(Event { at: Some(self.next_at()), ..hire(id, given, family) }).await
    }

    pub(crate) async fn rename(&self, id: &str, given: &str, family: &str) -> JobId {
        self.accept(Event { at: Some(self.next_at()), ..rename(id, given, family) }).await
    }

    pub(crate) async fn leave(&self, id: &str) -> JobId {
        self.accept(Event { at: Some(self.next_at()), ..leave(id) }).await
    }

    /// An operator asks to try somebody again.
    pub(crate) async fn try_again(&self, id: &str) {
        self.say(id, Word::TryAgain { by: "test".to_owned() }).await;
    }

    /// An operator discards what blocks somebody.
    pub(crate) async fn discard(&self, id: &str) {
        let word = Word::Discard { by: "test".to_owned(), reason: None };
        self.say(id, word).await;
    }

    async fn say(&self, id: &str, word: Word) {
        let bytes = Bytes::from(Entry { accepted_at: self.clock.now(), word, trace: None }.to_bytes());
        let entry = NewEntry { job: new_job_id(person(id).id()), person: person(id), bytes };
        assert!(self.store.put(self.clock.now(), entry).await.unwrap());
    }

    /// One step, in which somebody must be worked on. Of several people who are due at the same time, it may be any:
    /// let one of them come later.
    pub(crate) async fn attempt(&self) -> Attempted {
        match self.worker().step().await.unwrap() {
            Stepped::Attempted(attempted) => attempted,
            other => panic!("{other:?}; {:?}", self.calls()),
        }
    }

    /// One step, in which there must be nothing to do.
    pub(crate) async fn nothing(&self) {
        let stepped = self.worker().step().await.unwrap();
        assert!(matches!(stepped, Stepped::Nothing { .. }), "{stepped:?}");
    }

    /// Steps, advancing the clock in between, until somebody is in sync, blocked, or waits for HR.
    pub(crate) async fn attempt_until_settled(&self) -> Attempted {
        for _ in 0..60 {
            match self.worker().step().await.unwrap() {
                Stepped::Attempted(
                    ended @ (Attempted::InLine(_) | Attempted::Blocked(_) | Attempted::Incomplete | Attempted::Folded),
                ) => return ended,
                Stepped::Attempted(_) | Stepped::Nothing { .. } | Stepped::Probed { .. } => {
                    self.clock.advance_ms(61_000);
                }
            }
        }
        panic!("nobody settled: {:?}", self.calls())
    }

    /// Claims the next person with another worker, which then goes silent.
    pub(crate) async fn claimed_by(&self, worker: &str) -> Claimed {
        let request = ClaimRequest {
            worker: worker.into(),
            number: 1,
            lost_from: None,
            people_max: 1,
            lease_ms: LEASE_MS,
            entries_max: 100,
            parked: None,
        };
        match self.store.claim(self.clock.now(), &request).await.unwrap() {
            Claim::People(mut claimed) => claimed.remove(0),
            other @ Claim::Nobody { .. } => panic!("{other:?}"),
        }
    }

    pub(crate) async fn row(&self, id: &str) -> PersonRow {
        self.store.person(person(id).id()).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: &str) -> LaneState {
        self.row(id).await.lane.state
    }

    pub(crate) async fn document(&self, id: &str) -> Document {
        Document::from_bytes(&self.row(id).await.document.unwrap()).unwrap()
    }

    /// None if nothing has been committed yet.
    pub(crate) async fn document_if_any(&self, id: &str) -> Option<Document> {
        Some(Document::from_bytes(&self.row(id).await.document?).unwrap())
    }

    pub(crate) async fn story(&self, id: &str) -> Vec<Note> {
        let story = self.store.story(person(id).id()).await.unwrap();
        story.entries.iter().map(|bytes| StoryEntry::from_bytes(bytes).unwrap().note).collect()
    }

    /// How a job has ended, if it has.
    pub(crate) async fn outcome(&self, job: JobId, id: &str) -> Option<Finished> {
        self.story(id).await.into_iter().find_map(|note| match note {
            Note::Ended { job: ended, outcome } if ended == job => Some(outcome),
            _ => None,
        })
    }

    /// The calls so far, as `operation status`.
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

pub(crate) fn store_options(writes: Rate) -> StoreOptions {
    StoreOptions {
        writes,
        reads: Rate { calls: 0, window_ms: writes.window_ms },
        bounds: Bounds {
            entries_max: 100_000,
            dead_letters_max: 1_000,
            dead_bytes_max: 1 << 20,
            story_entries_max: 64,
            story_keep_ms: 30 * 86_400_000,
        },
    }
}

/// The defaults of the configuration, for a source with rules of scope.
pub(crate) fn worker_options() -> WorkerOptions {
    let defaults = app::worker_options(&Config::of_text("").unwrap());
    let plan = PlanRules { unscoped: BTreeSet::new(), ..defaults.plan };
    let retry = RetryRules { take_overs_max: 3, ..defaults.retry };
    WorkerOptions { concurrency: 4, lease_ms: LEASE_MS, plan, retry, ..defaults }
}

pub(crate) fn client(sim: &PostmanSim, key: LiveSecret, timeout: Duration) -> Client {
    Client::new(ClientOptions {
        base_url: sim.base_url().parse().unwrap(),
        key,
        auth: Auth::Bearer,
        x_api_key: false,
        locale: "en-US".to_owned(),
        timeout,
        connect_timeout: timeout,
        ca_pem: None,
    })
    .unwrap()
}

pub(crate) async fn accept(store: &dyn Store, now: UnixMs, id: JobId, event: Event) {
    let (source, person) = (event.person.source.clone(), event.person.clone());
    let word = Word::Event { job: id, event: Box::new(event), letter: None };
    let bytes = Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes());
    let entries = vec![NewEntry { job: id, person, bytes }];
    let delivery = NewDelivery { source, dedupe: None, entries, unmapped: Vec::new() };
    assert_eq!(store.accept(now, delivery).await.unwrap(), Accepted::Stored);
}

pub(crate) fn person(id: &str) -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), id).unwrap()
}

pub(crate) fn email(id: &str) -> String {
    format!("{}@example.com", id.to_lowercase())
}

fn names(given: &str, family: &str) -> Facts {
    let stated = |name: &str| Name::parse("name", name).unwrap().map(Stated::Is);
    Facts { given_name: stated(given), family_name: stated(family), ..Facts::default() }
}

pub(crate) fn hire(id: &str, given: &str, family: &str) -> Event {
    let facts = Facts {
        employment: Some((EmploymentState::Employed, None)),
        email: Some(Email::parse(&email(id)).unwrap()),
        ..names(given, family)
    };
    Event { person: person(id), kind: EventKind::Hire, at: None, facts }
}

pub(crate) fn rename(id: &str, given: &str, family: &str) -> Event {
    let facts = Facts { email: Some(Email::parse(&email(id)).unwrap()), ..names(given, family) };
    Event { person: person(id), kind: EventKind::Update, at: None, facts }
}

pub(crate) fn leave(id: &str) -> Event {
    let facts = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
    Event { person: person(id), kind: EventKind::Leave, at: None, facts }
}

/// Polls until this holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_mins(2), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A time of the tests.
#[expect(clippy::unnecessary_wraps, reason = "as an event has it")]
pub(crate) fn at(ms: i64) -> Option<UnixMs> {
    Some(UnixMs(1_795_341_500_000 + ms))
}

/// A hire with somebody else's address.
pub(crate) fn hire_as(id: &str, address: &str, given: &str, family: &str, ms: i64) -> Event {
    let mut event = Event { at: at(ms), ..hire(id, given, family) };
    event.facts.email = Some(Email::parse(address).unwrap());
    event
}

/// An update with a name and another address.
pub(crate) fn moved(id: &str, address: &str, given: &str, family: &str, ms: i64) -> Event {
    let mut event = Event { at: at(ms), ..rename(id, given, family) };
    event.facts.email = Some(Email::parse(address).unwrap());
    event
}

/// Steps until nobody is due, and a few more later.
pub(crate) async fn settle(bench: &Bench) {
    for _ in 0..8 {
        if matches!(bench.worker().step().await.unwrap(), Stepped::Nothing { .. }) {
            bench.clock.advance_ms(61_000);
        }
    }
}
