//! What the cases work with: a store that can be closed and reopened between any two steps, and short helpers for
//! deliveries, claims and commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use scim_bridge::app;
use scim_bridge::config::{Config, StoreUrl};
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::person::{EventKind, Person, SourceName};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::redis::LinkOptions;
use scim_bridge::store::transfer::Transfer;
use scim_bridge::store::{
    Accepted, Bounds, Claim, ClaimRequest, Claimed, Commit, Committed, DeadChange, DeadFilter, DeadRow, Dedupe, Lane,
    LaneState, Lease, NewDelivery, NewEntry, NewUnmapped, Page, PersonRow, StoreOptions,
};

/// The time at which the tests start.
pub(crate) const T0: UnixMs = UnixMs(1_800_000_000_000);
/// How long leases last in the tests.
pub(crate) const LEASE_MS: u64 = 60_000;
/// How long deliveries are remembered.
pub(crate) const REMEMBER_MS: u64 = 86_400_000;
/// How long people who are idle keep their story.
pub(crate) const STORY_KEEP_MS: u64 = 90 * 86_400_000;

/// This many milliseconds after the start.
pub(crate) fn at(ms: u64) -> UnixMs {
    T0.plus_ms(ms)
}

/// The number of ids made so far: stores that are copied into one another share no ids.
static IDS: AtomicU64 = AtomicU64::new(1);

/// Opens an engine, again and again in the same place.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Opens the store. The previous one is closed by then.
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer>;
}

/// No limits, and bounds that no test reaches by accident.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        writes: Rate { calls: 0, window_ms: 60_000 },
        reads: Rate { calls: 0, window_ms: 60_000 },
        bounds: Bounds {
            entries_max: 1_000_000,
            dead_letters_max: 1_000_000,
            dead_bytes_max: 1_000_000_000,
            story_entries_max: 100,
            story_keep_ms: STORY_KEEP_MS,
        },
    }
}

/// How a Redis is reached by a configuration with this URL, and these further keys of `[store]`.
pub(crate) fn link(url: &str, keys: &str) -> LinkOptions {
    let config = Config::of_text(&format!("[store]\nurl = {url:?}\n{keys}")).unwrap();
    let StoreUrl::Redis(url) = &config.store.url else { panic!("{url} names no Redis") };
    app::redis_link(url, &config.store.redis)
}

/// A store under test.
pub(crate) struct Bench {
    engine: Box<dyn Engine>,
    options: StoreOptions,
    store: Option<Arc<dyn Transfer>>,
    reopens: bool,
}

impl Bench {
    /// A new store; with `reopens`, it is closed and reopened before every single step.
    pub(crate) async fn new(engine: impl Engine + 'static, reopens: bool) -> Self {
        let store = engine.open(options()).await;
        Self { engine: Box::new(engine), options: options(), store: Some(store), reopens }
    }

    /// Continues with other options.
    pub(crate) async fn with(&mut self, change: impl FnOnce(&mut StoreOptions)) {
        change(&mut self.options);
        self.reopen().await;
    }

    /// Closes the store and reopens it.
    pub(crate) async fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(self.engine.open(self.options.clone()).await);
    }

    /// The store, for one step.
    pub(crate) async fn store(&mut self) -> &dyn Transfer {
        if self.reopens {
            self.reopen().await;
        }
        self.store.as_deref().expect("the store is open")
    }

    /// Whether it is closed and reopened before every step.
    pub(crate) fn reopens(&self) -> bool {
        self.reopens
    }

    /// An id that is newer than all before.
    #[expect(clippy::unused_self, reason = "a bench's ids, by whatever they are numbered")]
    pub(crate) fn id(&mut self, who: &Person) -> JobId {
        let newest = IDS.fetch_add(1, Ordering::Relaxed);
        JobId::about((0x0195 << 112) + (u128::from(newest) << 64), who.id())
    }

    /// A unique key.
    pub(crate) fn key(&mut self) -> [u8; 16] {
        self.id(&person("nobody")).0.to_be_bytes()
    }

    /// An entry for somebody's inbox.
    pub(crate) fn entry(&mut self, who: &str, word: &str) -> NewEntry {
        let person = person(who);
        NewEntry { job: self.id(&person), person, bytes: Bytes::copy_from_slice(word.as_bytes()) }
    }

    /// Accepts a delivery of these words, under a unique key; returns the jobs' ids.
    pub(crate) async fn accept(&mut self, now: UnixMs, words: &[(&str, &str)]) -> Vec<JobId> {
        let entries: Vec<_> = words.iter().map(|(who, word)| self.entry(who, word)).collect();
        let ids = entries.iter().map(|entry| entry.job).collect();
        let delivery = delivery(self.key(), entries);
        assert_eq!(self.deliver(now, delivery).await, Accepted::Stored);
        ids
    }

    pub(crate) async fn deliver(&mut self, now: UnixMs, delivery: NewDelivery) -> Accepted {
        self.store().await.accept(now, delivery).await.unwrap()
    }

    /// Keeps a record that could not be mapped.
    pub(crate) async fn accept_unmapped(&mut self, now: UnixMs, who: Option<&str>, payload: &str) -> JobId {
        let unmapped = self.unmapped(now, who, payload);
        let id = unmapped.row.id;
        let mut delivery = delivery(self.key(), Vec::new());
        delivery.unmapped.push(unmapped);
        assert_eq!(self.deliver(now, delivery).await, Accepted::Stored);
        id
    }

    pub(crate) fn unmapped(&mut self, now: UnixMs, who: Option<&str>, payload: &str) -> NewUnmapped {
        let id = self.id(&person(who.unwrap_or("nobody")));
        let row = DeadRow {
            id,
            source: source(),
            person: who.map(person),
            event: None,
            died_at: now,
            code: "MAP-FIELD".to_owned(),
            detail: "email: missing or blank".to_owned(),
            unmapped: true,
        };
        NewUnmapped { row, payload: Bytes::copy_from_slice(payload.as_bytes()) }
    }

    /// Claims up to this many people.
    pub(crate) async fn claim(&mut self, now: UnixMs, people_max: usize) -> Vec<Claimed> {
        match self.ask(now, &request(people_max)).await {
            Claim::People(people) => people,
            Claim::Nobody { .. } => Vec::new(),
        }
    }

    pub(crate) async fn ask(&mut self, now: UnixMs, request: &ClaimRequest) -> Claim {
        self.store().await.claim(now, request).await.unwrap()
    }

    /// Claims one person; there must be one.
    pub(crate) async fn claim_one(&mut self, now: UnixMs) -> Claimed {
        let mut people = self.claim(now, 1).await;
        assert_eq!(people.len(), 1, "one person can be claimed");
        people.remove(0)
    }

    /// Claims when nobody can be claimed; returns until when.
    pub(crate) async fn claim_none(&mut self, now: UnixMs) -> Option<UnixMs> {
        match self.ask(now, &request(64)).await {
            Claim::Nobody { until } => until,
            Claim::People(people) => panic!("{} people instead of nobody", people.len()),
        }
    }

    pub(crate) async fn commit(&mut self, now: UnixMs, lease: &Lease, commit: Commit) -> Committed {
        self.store().await.commit(now, lease, commit).await.unwrap()
    }

    /// Claims the next person, folds the whole inbox, and commits.
    pub(crate) async fn process(&mut self, now: UnixMs, who: &str, commit: Commit) {
        let claimed = self.claim_one(now).await;
        assert_eq!(claimed.lease.person, person(who).id(), "somebody else is next");
        let commit = Commit { consumed_to: claimed.inbox.last().map(|entry| entry.seq), ..commit };
        assert_eq!(self.commit(now, &claimed.lease, commit).await, Committed::Committed);
    }

    /// Creates a person with a document, in this lane.
    pub(crate) async fn settled(&mut self, now: UnixMs, who: &str, lane: Lane) {
        self.accept(now, &[(who, "x")]).await;
        self.process(now, who, Commit { document: Some(Bytes::from(format!("doc of {who}"))), ..commit(who, lane) })
            .await;
    }

    pub(crate) async fn row(&mut self, who: &str) -> PersonRow {
        self.store().await.person(person(who).id()).await.unwrap().expect("there is such a person")
    }

    pub(crate) async fn lane(&mut self, who: &str) -> Lane {
        self.row(who).await.lane
    }

    /// How many lanes are in a state.
    pub(crate) async fn count(&mut self, state: LaneState) -> u64 {
        self.store().await.stats().await.unwrap().lanes[state.as_str()]
    }

    /// Inbox entries of all sources.
    pub(crate) async fn entries(&mut self) -> u64 {
        self.store().await.stats().await.unwrap().entries.values().sum()
    }

    /// The ids of all dead letters that match.
    pub(crate) async fn dead(&mut self, filter: &DeadFilter) -> Vec<JobId> {
        let listed = self.store().await.dead(filter, &first(1_000)).await.unwrap();
        listed.rows.iter().map(|row| row.id).collect()
    }
}

/// A claim of worker `w`.
pub(crate) fn request(people_max: usize) -> ClaimRequest {
    ClaimRequest {
        worker: "w".into(),
        number: 1,
        lost_from: None,
        people_max,
        lease_ms: LEASE_MS,
        entries_max: 1_000,
        parked: None,
    }
}

/// A delivery of entries, remembered under this key.
pub(crate) fn delivery(key: [u8; 16], entries: Vec<NewEntry>) -> NewDelivery {
    let dedupe = Dedupe { key, only_while_newest: false, remember_ms: REMEMBER_MS, says: 0 };
    NewDelivery { source: source(), dedupe: Some(dedupe), entries, unmapped: Vec::new() }
}

/// A delivery that is recognised by the hash of its body.
pub(crate) fn body(key: u8, entries: Vec<NewEntry>) -> NewDelivery {
    let dedupe = Dedupe { key: [key; 16], only_while_newest: true, remember_ms: REMEMBER_MS, says: 0 };
    NewDelivery { source: source(), dedupe: Some(dedupe), entries, unmapped: Vec::new() }
}

/// A commit that leaves somebody in this lane and changes nothing else.
pub(crate) fn commit(who: &str, lane: Lane) -> Commit {
    Commit {
        document: None,
        person: person(who),
        consumed_to: None,
        lane,
        story: Vec::new(),
        terms_added: Vec::new(),
        terms_removed: Vec::new(),
        disowned: Vec::new(),
        released: Vec::new(),
        outgoing: Vec::new(),
        dead: DeadChange::None,
    }
}

/// In sync.
pub(crate) fn idle() -> Lane {
    Lane::new()
}

/// To be tried again at that time; new entries wake the lane.
pub(crate) fn retry(due: UnixMs) -> Lane {
    Lane { state: LaneState::Waiting, due: Some(due), wakes: true, tag: None }
}

/// Parked behind a hold; new entries do not wake the lane.
pub(crate) fn held(tag: &str) -> Lane {
    Lane { state: LaneState::Held, due: None, wakes: false, tag: Some(tag.to_owned()) }
}

/// Blocked until something changes.
pub(crate) fn blocked() -> Lane {
    Lane { state: LaneState::Blocked, due: None, wakes: true, tag: None }
}

/// The dead letter of a person.
pub(crate) fn dead_row(id: JobId, who: &str, now: UnixMs, code: &str) -> DeadRow {
    DeadRow {
        id,
        source: source(),
        person: Some(person(who)),
        event: Some(EventKind::Hire),
        died_at: now,
        code: code.to_owned(),
        detail: "name: too long".to_owned(),
        unmapped: false,
    }
}

/// A commit that blocks somebody with this dead letter.
pub(crate) fn dies(row: DeadRow, who: &str) -> Commit {
    Commit { dead: DeadChange::Is(Box::new(row)), ..commit(who, blocked()) }
}

/// The contents of an inbox.
pub(crate) fn contents(claimed: &Claimed) -> Vec<String> {
    claimed.inbox.iter().map(|entry| String::from_utf8(entry.bytes.to_vec()).unwrap()).collect()
}

pub(crate) fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

pub(crate) fn person(employee_id: &str) -> Person {
    Person::parse(source(), employee_id).unwrap()
}

/// A person of another source.
pub(crate) fn person_of(source: &str, employee_id: &str) -> Person {
    Person::parse(SourceName::parse(source).unwrap(), employee_id).unwrap()
}

/// The first rows of a listing.
pub(crate) fn first(rows_max: usize) -> Page {
    Page { rows_max, after: None }
}
