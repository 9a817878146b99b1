//! A store as an operator configures it, and the few things that the tests do with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use scim_bridge::app;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::config::Config;
use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::job::{Finished, JobId};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, ClaimedJob, Dedupe, NewDelivery, NewJob, Settled, Settlement, Store, StoreError,
    Verdict,
};

/// How long a recovery may take; far more than any does.
const PATIENCE: Duration = Duration::from_secs(30);
/// The timeouts that the tests configure, so that a hung server is told soon.
pub(crate) const TIMEOUT_MS: u64 = 500;

/// The configuration of a process, with these keys of `[store]` and more in the form of the environment.
pub(crate) fn config(url: &str, keys: &[(&str, &str)]) -> Config {
    let mut env = vec![
        ("HR_SECRET".to_owned(), "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=".to_owned()),
        ("POSTMAN_SCIM_KEY".to_owned(), "PMAK-of-the-tests".to_owned()),
        ("SCIM_BRIDGE__STORE__URL".to_owned(), url.to_owned()),
        ("SCIM_BRIDGE__STORE__CONNECT_TIMEOUT_MS".to_owned(), TIMEOUT_MS.to_string()),
        ("SCIM_BRIDGE__STORE__RESPONSE_TIMEOUT_MS".to_owned(), TIMEOUT_MS.to_string()),
        // No limit, so that a claim gives all there is.
        ("SCIM_BRIDGE__POSTMAN__WRITES_PER_MINUTE".to_owned(), "0".to_owned()),
        ("SCIM_BRIDGE__SERVER__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("SCIM_BRIDGE__SERVER__ADMIN_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
    ];
    for (key, value) in keys {
        let name = if key.contains("__") { (*key).to_owned() } else { format!("STORE__{}", key.to_uppercase()) };
        env.push((format!("SCIM_BRIDGE__{name}"), (*value).to_owned()));
    }
    Config::load(None, env.into_iter()).unwrap()
}

/// The store of such a process.
pub(crate) fn open(url: &str, keys: &[(&str, &str)]) -> Arc<dyn Store> {
    app::open_store(&config(url, keys)).unwrap()
}

/// Now.
pub(crate) fn now() -> UnixMs {
    Clock::System.now()
}

/// Accepts a hire of somebody new.
pub(crate) async fn accept(store: &dyn Store) -> Result<JobId, StoreError> {
    let id = new_job_id();
    accept_as(store, id).await.map(|accepted| {
        assert_eq!(accepted, Accepted::Stored);
        id
    })
}

/// Accepts a delivery that has this id, and a hire of somebody of that name.
pub(crate) async fn accept_as(store: &dyn Store, id: JobId) -> Result<Accepted, StoreError> {
    let source = SourceName::parse("hr").unwrap();
    let change = Change::Hire {
        email: Email::parse("ada@example.com").unwrap(),
        names: Names::parse(Some("Ada"), Some("Lovelace")).unwrap(),
    };
    let person = Person::parse(source.clone(), &id.to_string()).unwrap();
    let event = Event { person, change, locale: None, occurred_at: None };
    let dedupe = Dedupe { key: id.0.to_be_bytes(), fingerprint: [0; 16], remember_ms: 86_400_000 };
    store.accept(now(), NewDelivery { source, dedupe, jobs: vec![NewJob { id, event }], unmapped: Vec::new() }).await
}

/// Claims what there is.
pub(crate) async fn claim(store: &dyn Store) -> Result<Vec<ClaimedJob>, StoreError> {
    let request = ClaimRequest { worker: "tests".into(), number: 1, lost_from: None, jobs_max: 64, lease_ms: 60_000 };
    Ok(match store.claim(now(), &request).await? {
        Claim::Jobs(jobs) => jobs,
        Claim::Probe(_) | Claim::Wait { .. } => Vec::new(),
    })
}

/// Settles a job as done.
pub(crate) async fn settle(store: &dyn Store, job: &ClaimedJob) -> Result<Settled, StoreError> {
    let verdict = Verdict::Done(Finished::Created);
    let settlement = Settlement { verdict, history: Vec::new(), trial: None, directory: None };
    store.settle(now(), &job.lease, settlement).await
}

/// The code of what must fail.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Code {
    let error = result.expect_err("it must fail");
    error.code().unwrap_or_else(|| panic!("no code: {error}"))
}

/// Accepts as soon as the store serves, and says how often it did not.
pub(crate) async fn accepts_at_last(store: &dyn Store) -> (JobId, u32) {
    let deadline = Instant::now() + PATIENCE;
    let mut refused = 0;
    loop {
        match accept(store).await {
            Ok(id) => return (id, refused),
            Err(error) => assert!(Instant::now() < deadline, "it does not recover: {error}"),
        }
        refused += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails with a code, soon: the failure before may be of the connection.
pub(crate) async fn fails_with(store: &dyn Store, wanted: Code) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let result = accept(store).await;
        match &result {
            Err(error) if error.code() == Some(wanted) => return,
            _ => assert!(Instant::now() < deadline, "{wanted} is not told, but {result:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
