//! Background tasks, in addition to intake and worker: changed secrets, expired data, corrected mappings.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::token::KeptToken;
use crate::admin::service::AdminState;
use crate::clock::Clock;
use crate::config::SecretFiles;
use crate::core::capture::{self, Captures};
use crate::core::processes::FailingSecret;
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::roster::Roster;
use crate::store::{Store, StoreError, documents, holds};

/// How often secret files are read: a change is seen soon, and a few small reads cost nothing.
const SECRETS_EVERY: Duration = Duration::from_secs(2);
/// How many unusable secrets a process reports to the others at most.
const FAILING_SECRETS_MAX: usize = 50;
/// How often expired data is dropped.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// How often to try again to reach a store that was missing at the start.
const CONNECT_EVERY: Duration = Duration::from_secs(1);
/// How often we check whether a comparison of HR and the members is due.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// How often to check whether a removed source still has people.
const GONE_EVERY: Duration = Duration::from_secs(5);
/// How often to check whether an HR system's list was requested.
const FETCH_EVERY: Duration = Duration::from_secs(1);
/// People made due in one step when a hold is lifted.
const RELEASED_AT_ONCE: u64 = 1_000;
/// A restart may bring another key, so what a key can have caused is tried again at once.
pub(super) const RESTARTED: &str = "the process started";

/// Does what is due after a restart, once the store is there. A missing store is reported elsewhere.
pub(super) async fn lift_when_connected(store: Arc<dyn Store>) {
    failpoint::at("holds");
    while lift_what_a_key_can_cause(store.as_ref(), RESTARTED).await.is_err() {
        tokio::time::sleep(CONNECT_EVERY).await;
    }
}

/// Lifts the holds that a key may have caused. If one comes back, its pauses go on growing.
pub(super) async fn lift_what_a_key_can_cause(store: &dyn Store, why: &str) -> Result<(), StoreError> {
    let now = Clock::System.now();
    let lifted = holds::change(store, |holds| {
        let scopes = holds.lift_what_a_key_can_cause(now);
        (!scopes.is_empty()).then_some(scopes)
    });
    for scope in lifted.await?.into_iter().flatten() {
        info!(%scope, "hold lifted: {why}");
        while store.release(now, &scope.to_string(), RELEASED_AT_ONCE).await? >= RELEASED_AT_ONCE {}
    }
    Ok(())
}

/// Checks the secret files regularly, and that of the admin token. A changed key lifts the hold that the old one caused.
pub(super) async fn refresh_secrets(
    files: Arc<Mutex<SecretFiles>>,
    token: Option<KeptToken>,
    store: Option<Arc<dyn Store>>,
    failing: watch::Sender<Vec<FailingSecret>>,
) {
    if token.is_none() && files.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        return;
    }
    loop {
        failpoint::at("secrets");
        tokio::time::sleep(SECRETS_EVERY).await;
        let (files, token) = (files.clone(), token.clone());
        let look = move || {
            let mut refreshed = files.lock().unwrap_or_else(PoisonError::into_inner).refresh();
            refreshed.failing.extend(token.as_ref().and_then(KeptToken::tend));
            refreshed
        };
        let refreshed = match tokio::task::spawn_blocking(look).await {
            Ok(refreshed) => refreshed,
            // `supervision` counts it, and starts the task again.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going away.
                Err(_) => return,
            },
        };
        for (key, problem) in &refreshed.failed {
            warn!(key, problem, "a secret cannot be read again: the last value stays in use");
        }
        failing.send_if_modified(|known| note_failing(known, refreshed.failing, Clock::System.now()));
        for key in &refreshed.changed {
            info!(key, "a secret changed");
        }
        if refreshed.changed.iter().any(|key| key == "postman.key" || key.contains("].fetch."))
            && let Some(store) = &store
            && let Err(error) = lift_what_a_key_can_cause(store.as_ref(), "the key changed").await
        {
            error!(%error, "the hold of the former key could not be lifted");
        }
    }
}

/// Notes which secrets cannot be used any more, and since when. Returns whether that is news.
fn note_failing(known: &mut Vec<FailingSecret>, failing: Vec<(String, String)>, now: UnixMs) -> bool {
    let since = |key: &str| known.iter().find(|known| known.key == key).map_or(now, |known| known.since);
    let now_failing: Vec<_> = failing
        .into_iter()
        .take(FAILING_SECRETS_MAX)
        .map(|(key, reason)| FailingSecret { since: since(&key), key, reason })
        .collect();
    let is_news = *known != now_failing;
    *known = now_failing;
    is_news
}

/// Drops expired data, piece by piece.
pub(super) async fn tidy(store: Arc<dyn Store>, clock: Clock) {
    loop {
        failpoint::at("tidy");
        tokio::time::sleep(TIDY_EVERY).await;
        // An intake drops the deliveries that it captured in time; this drops them if no intake runs any more.
        let now = clock.now();
        let forget = |captures: &mut Captures| captures.tidy(now).then_some(());
        if let Err(error) = documents::change(store.as_ref(), capture::DOCUMENT, forget).await {
            warn!(%error, "captured deliveries that have expired could not be dropped");
        }
        loop {
            match store.tidy(clock.now()).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "expired data could not be dropped");
                    break;
                }
            }
        }
    }
}

/// Compares HR and the members when that is due; only one of the processes does it.
pub(super) async fn compare(roster: Roster) {
    if roster.drift_options().every_ms == 0 {
        return;
    }
    loop {
        failpoint::at("drift");
        // A failing store is reported elsewhere, and the result is kept in the store.
        if let Err(error) = roster.compare_if_due().await {
            warn!(%error, "HR and the members could not be compared");
        }
        tokio::time::sleep(COMPARE_EVERY).await;
    }
}

/// Reads HR systems' lists on request.
pub(super) async fn fetch(roster: Roster) {
    loop {
        failpoint::at("lists");
        match roster.fetch_if_ordered().await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(FETCH_EVERY).await,
            Err(error) => {
                warn!(%error, "cannot find out whether an HR system's list was requested");
                tokio::time::sleep(FETCH_EVERY).await;
            }
        }
    }
}

/// Counts the people of sources that are not configured any more.
pub(super) async fn count_gone(state: AdminState) {
    loop {
        failpoint::at("gone");
        // A failing store is reported elsewhere.
        let pause = if state.count_gone().await.is_ok() { GONE_EVERY } else { CONNECT_EVERY };
        tokio::time::sleep(pause).await;
    }
}

/// Tries unmapped records again when the mappings have changed.
pub(super) async fn remap(state: AdminState) {
    failpoint::at("mappings");
    loop {
        match state.remap_all().await {
            Ok(healed) => {
                if healed > 0 {
                    info!(records = healed, "records that could not be mapped are mapped now");
                }
                return;
            }
            // The store is not there yet, which is reported elsewhere.
            Err(_) => tokio::time::sleep(CONNECT_EVERY).await,
        }
    }
}
