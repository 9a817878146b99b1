//! A store on a real server, and short helpers for the tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::code::Code;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::person::{Person, SourceName};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::redis::{LinkOptions, Redis, RedisOptions, StoreClock};
use scim_bridge::store::{
    Accepted, Bounds, Claim, ClaimRequest, Claimed, Commit, Committed, DeadChange, Dedupe, Lane, NewDelivery, NewEntry,
    Store, StoreError, StoreOptions,
};

use crate::harness;

/// The longest time that a recovery may take; far more than any does.
const PATIENCE: Duration = Duration::from_mins(2);
/// The timeouts that the tests use, so that a hanging server is noticed soon.
pub(crate) const TIMEOUT_MS: u64 = 500;

/// The size of an entry: larger than what remains of it after folding.
const ENTRY_BYTES: usize = 2_000;

/// The store at a URL, with more options by their configuration keys.
pub(crate) fn open(url: &str, keys: &[(&str, &str)]) -> Arc<dyn Store> {
    open_at(link(url, keys))
}

/// The store over a connection pool.
pub(crate) fn open_at(link: LinkOptions) -> Arc<dyn Store> {
    Arc::new(Redis::open(&RedisOptions { link, clock: StoreClock::Server, creates: true }, options()).unwrap())
}

/// The store as a command looks at it, which makes none.
pub(crate) fn looking(url: &str) -> Arc<dyn Store> {
    let options = RedisOptions { link: link(url, &[]), clock: StoreClock::Server, creates: false };
    Arc::new(Redis::open(&options, self::options()).unwrap())
}

/// The options that [`open`] uses.
pub(crate) fn link(url: &str, keys: &[(&str, &str)]) -> LinkOptions {
    let is_bare = |value: &str| value == "true" || value.parse::<u64>().is_ok();
    let written = keys
        .iter()
        .map(|(key, value)| if is_bare(value) { format!("{key} = {value}\n") } else { format!("{key} = {value:?}\n") });
    let timeouts = format!("connect_timeout_ms = {TIMEOUT_MS}\nresponse_timeout_ms = {TIMEOUT_MS}\n");
    harness::link(url, &written.chain([timeouts]).collect::<String>())
}

/// No limit, so that a claim returns everybody.
pub(crate) fn options() -> StoreOptions {
    let none = Rate { calls: 0, window_ms: 60_000 };
    let bounds = Bounds {
        entries_max: 1_000_000,
        dead_letters_max: 100_000,
        dead_bytes_max: 1 << 28,
        story_entries_max: 100,
        story_keep_ms: 86_400_000,
    };
    StoreOptions { writes: none, reads: none, bounds }
}

/// The current time.
pub(crate) fn now() -> UnixMs {
    Clock::System.now()
}

/// A new person's id; their name is derived from it.
pub(crate) fn new_id() -> JobId {
    new_job_id(somebody().id())
}

fn somebody() -> Person {
    person(&scim_bridge::clock::new_token())
}

/// The person with this name.
pub(crate) fn person(employee_id: &str) -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), employee_id).unwrap()
}

/// Accepts an event about a new person; returns the job's id, which contains the person's number.
pub(crate) async fn accept(store: &dyn Store) -> Result<JobId, StoreError> {
    let somebody = somebody();
    let id = new_job_id(somebody.id());
    accept_about(store, id, somebody).await.map(|accepted| {
        assert_eq!(accepted, Accepted::Stored);
        id
    })
}

/// Accepts a delivery with this id.
pub(crate) async fn accept_as(store: &dyn Store, id: JobId) -> Result<Accepted, StoreError> {
    accept_about(store, id, person(&id.to_string())).await
}

async fn accept_about(store: &dyn Store, job: JobId, person: Person) -> Result<Accepted, StoreError> {
    let dedupe = Some(Dedupe { key: job.0.to_be_bytes(), only_while_newest: false, remember_ms: 86_400_000, says: 0 });
    let source = person.source.clone();
    let entries = vec![NewEntry { job, person, bytes: Bytes::from_static(&[b'x'; ENTRY_BYTES]) }];
    store.accept(now(), NewDelivery { source, dedupe, entries, unmapped: Vec::new() }).await
}

/// Whether a delivery with this id is known.
pub(crate) async fn is_there(store: &dyn Store, id: JobId) -> bool {
    store.person(id.person()).await.unwrap().is_some()
}

/// Claims everybody who is due.
pub(crate) async fn claim(store: &dyn Store) -> Result<Vec<Claimed>, StoreError> {
    let request = ClaimRequest {
        worker: "tests".into(),
        number: 1,
        lost_from: None,
        people_max: 64,
        lease_ms: 60_000,
        entries_max: 100,
        parked: None,
    };
    Ok(match store.claim(now(), &request).await? {
        Claim::People(people) => people,
        Claim::Nobody { .. } => Vec::new(),
    })
}

/// Folds the inbox, and leaves the person in sync.
pub(crate) async fn fold(store: &dyn Store, claimed: &Claimed) -> Result<Committed, StoreError> {
    let commit = Commit {
        document: Some(Bytes::from_static(b"a document")),
        person: somebody(),
        consumed_to: claimed.inbox.last().map(|entry| entry.seq),
        lane: Lane::new(),
        story: vec![Bytes::from_static(b"a note")],
        terms_added: Vec::new(),
        terms_removed: Vec::new(),
        disowned: Vec::new(),
        released: Vec::new(),
        outgoing: Vec::new(),
        dead: DeadChange::None,
    };
    store.commit(now(), &claimed.lease, commit).await
}

/// The code of a call that must fail.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Code {
    let error = result.expect_err("it must fail");
    error.code().unwrap_or_else(|| panic!("no code: {error}"))
}

/// Accepts a delivery as soon as the store works; returns how many attempts failed.
pub(crate) async fn accepts_at_last(store: &dyn Store) -> (JobId, u32) {
    at_last(async || accept(store).await).await
}

/// Accepts a delivery with this id as soon as the store works.
pub(crate) async fn accepts_as_at_last(store: &dyn Store, id: JobId) -> Accepted {
    at_last(async || accept_as(store, id).await).await.0
}

async fn at_last<T>(accept: impl AsyncFn() -> Result<T, StoreError>) -> (T, u32) {
    let deadline = Instant::now() + PATIENCE;
    let mut refused = 0;
    loop {
        match accept().await {
            Ok(accepted) => return (accepted, refused),
            Err(error) => assert!(Instant::now() < deadline, "it does not recover: {error}"),
        }
        refused += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Expects an error with this code, soon: an earlier error may be about the connection.
pub(crate) async fn fails_with(store: &dyn Store, wanted: Code) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let result = accept(store).await;
        match &result {
            Err(error) if error.code() == Some(wanted) => return,
            _ => assert!(Instant::now() < deadline, "expected {wanted}, got {result:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
