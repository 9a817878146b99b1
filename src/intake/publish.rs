//! Publishes the results of each source's deliveries to all processes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Shared;
use crate::clock;
use crate::core::activity::Counts;
use crate::core::tally::{DOCUMENT, Ledger, WRITE_EVERY_MS};
use crate::failpoint;
use crate::store::StoreError;

/// How often a write is tried if other processes were quicker.
const TRIES_MAX: usize = 5;

/// A name that no other process has.
pub(super) fn process_name() -> String {
    clock::new_token().chars().take(12).collect()
}

/// Writes every few seconds until `stop`, and then once more.
pub(super) async fn keep_publishing(shared: std::sync::Arc<Shared>, stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_millis(WRITE_EVERY_MS));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut counted = BTreeMap::new();
    loop {
        failpoint::at("series");
        let stops = stop.run_until_cancelled(every.tick()).await.is_none();
        happened(&shared, &mut counted);
        note(publish_all(&shared).await);
        if stops {
            return;
        }
    }
}

/// Adds the deliveries since the last time to the activity by minute.
fn happened(shared: &Shared, counted: &mut BTreeMap<String, Counts>) {
    let seen = shared.sources.seen();
    counted.retain(|source, _| seen.contains_key(source));
    for (source, tally) in seen {
        let totals = tally.totals();
        let before = counted.insert(source, totals.clone()).unwrap_or_default();
        let fresh = totals.into_iter().map(|(what, n)| {
            let known = before.get(&what).copied().unwrap_or(0);
            // Fewer than before: it started over.
            (what, n.checked_sub(known).unwrap_or(n))
        });
        shared.services.activity.add(&fresh.filter(|(_, n)| *n > 0).collect());
    }
}

/// Counts do not deserve an alarm of their own: a failing store is reported by the code that needs it.
fn note(written: Result<(), StoreError>) {
    if let Err(error) = written {
        debug!(%error, "the tallies of the sources could not be written");
    }
}

async fn publish_all(shared: &Shared) -> Result<(), StoreError> {
    publish(shared).await?;
    let store = shared.services.store.as_ref();
    shared.misnamed.publish(store, "").await?;
    for endpoint in shared.sources.all() {
        endpoint.recent.publish(store, endpoint.name.as_str()).await?;
    }
    Ok(())
}

async fn publish(shared: &Shared) -> Result<(), StoreError> {
    let store = &shared.services.store;
    for _ in 0..TRIES_MAX {
        let stored = store.shared(DOCUMENT).await?;
        let mut ledger = Ledger::from_bytes(&stored.bytes);
        let now = shared.services.clock.now();
        ledger.put(now, &shared.process, shared.sources.seen());
        ledger.forget_mended(now, |name| shared.sources.find(name).map(|endpoint| &endpoint.mapping));
        if store.put_shared(DOCUMENT, stored.version, ledger.to_bytes().into()).await? {
            return Ok(());
        }
        // Another process wrote in between: wait a random time, so that they do not collide again.
        tokio::time::sleep(Duration::from_secs_f64(clock::jitter() * 0.1)).await;
    }
    Ok(())
}
