//! Whether the store can be written: checked every few seconds and whenever somebody asks, one check at a time; while
//! a check takes long, the last result is returned at once. A check writes little and may pass while real writes
//! fail, so the failures of deliveries and workers count, too.
//!
//! A check is as durable as a delivery: with Redis it may wait for disks, a second or two in good
//! health. A caller (a Kubernetes probe gives up after 1 s) does not wait for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::core::code::Code;
use crate::core::store_health::FailingOperation;
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::store::{Store, StoreError};
use crate::supervision;
use crate::telemetry::store_log::StoreLog;

/// How long a request waits for a check: less than the second after which a Kubernetes probe gives up by default.
const ANSWER_MAX: Duration = Duration::from_millis(800);
/// The least time after which [`StoreCheck::known_trouble`] takes a check that still runs for failed: a disk may be slow
/// for a moment.
const HANGS: Duration = Duration::from_secs(5);

/// How often the settings of the store's server are checked.
const SETTINGS_EVERY: Duration = Duration::from_secs(20);

/// What is known about the store. Clones share it.
#[derive(Clone)]
pub struct StoreCheck(Arc<Inner>);

/// The result of the last check.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LastCheck {
    /// No check has finished yet.
    NotYet,
    /// It can be written.
    Passed,
    /// It cannot be written: the code, and the reason in words.
    Failed(Code, String),
}

struct Inner {
    store: Arc<dyn Store>,
    log: StoreLog,
    patience: Duration,
    found: watch::Sender<LastCheck>,
    /// When the check that is running started.
    since: Mutex<Option<Instant>>,
    /// When the server's settings were checked.
    settings_at: Mutex<Option<Instant>>,
}

impl StoreCheck {
    /// Checks this store, which counts as unavailable if it takes longer than `patience` to answer. `log` has the
    /// results of its operations.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, log: StoreLog, patience: Duration) -> Self {
        let found = watch::Sender::new(LastCheck::NotYet);
        let (since, settings_at) = Default::default();
        Self(Arc::new(Inner { store, log, patience, found, since, settings_at }))
    }

    /// Starts a check, unless one is running. Returns the time at which the running one began. Must be called within a tokio runtime.
    pub(super) fn start_check(&self) -> Instant {
        let mut since = self.0.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since.get_or_insert_with(|| {
            let inner = self.0.clone();
            tokio::spawn(async move {
                let check = async {
                    failpoint::at("check");
                    inner.store.check().await
                };
                // A check that panicked counts as failed, and must not keep later ones from starting.
                let panicked = || Err(StoreError::Unavailable("the check of the store panicked".to_owned()));
                let found = supervision::caught(Box::pin(check)).await.unwrap_or_else(panicked);
                let is_well = found.is_ok();
                inner.found_is(found.err());
                if is_well {
                    inner.check_settings().await;
                }
            });
            Instant::now()
        })
    }

    /// Why the store cannot be written, or takes no deliveries; none if it can.
    pub(super) async fn trouble(&self, now: UnixMs) -> Option<String> {
        let unwritable = self.unwritable().await;
        let refused = || {
            let code = self.0.log.refuses_deliveries(now)?;
            Some(format!("{code}: deliveries cannot be stored. {} {}", code.title(), code.advice()))
        };
        unwritable.or_else(refused)
    }

    async fn unwritable(&self) -> Option<String> {
        let mut found = self.0.found.subscribe();
        let since = self.start_check();
        let found_in_time = tokio::time::timeout(ANSWER_MAX, found.changed()).await;
        let patience = self.0.patience;
        if found_in_time.is_err() && since.elapsed() > patience {
            return Some(format!("the store has not answered within {} ms", patience.as_millis()));
        }
        match &*found.borrow() {
            LastCheck::NotYet => Some("the store has not answered yet".to_owned()),
            LastCheck::Passed => None,
            LastCheck::Failed(_, reason) => Some(reason.clone()),
        }
    }

    /// What the last check found wrong, or that the present one takes too long. Starts no check.
    pub(super) fn known_trouble(&self) -> Option<Code> {
        let since = *self.0.since.lock().unwrap_or_else(PoisonError::into_inner);
        let hangs = since.is_some_and(|since| since.elapsed() > self.0.patience.max(HANGS));
        match &*self.0.found.borrow() {
            LastCheck::Failed(code, _) => Some(*code),
            LastCheck::NotYet | LastCheck::Passed => hangs.then_some(Code::StoreUnwritable),
        }
    }

    /// What fails in the store for this process.
    pub(super) fn failing(&self, now: UnixMs) -> Vec<FailingOperation> {
        self.0.log.failing(now)
    }
}

impl Inner {
    /// Checks the server's settings, every [`SETTINGS_EVERY`] at most. Failures are recorded with the store's operations.
    async fn check_settings(&self) {
        {
            let mut at = self.settings_at.lock().unwrap_or_else(PoisonError::into_inner);
            if at.is_some_and(|at| at.elapsed() < SETTINGS_EVERY) {
                return;
            }
            *at = Some(Instant::now());
        }
        if let Err(error) = self.store.settings().await {
            tracing::warn!(%error, "the store's server may lose what it is given");
        }
    }

    fn found_is(&self, error: Option<StoreError>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let told = |code: Code| format!("{code}: {} {}", code.title(), code.advice());
        let reason =
            |error: &StoreError| error.code().map_or_else(|| "the store cannot be reached or written".to_owned(), told);
        let trouble = |error: &StoreError| LastCheck::Failed(error.told_as(), reason(error));
        let found = error.as_ref().map_or(LastCheck::Passed, trouble);
        let before = self.found.borrow().clone();
        match error {
            // The same trouble again need not be logged again.
            Some(error) if before != found => tracing::warn!(%error, "the store cannot be written"),
            None if matches!(before, LastCheck::Failed(..)) => tracing::info!("the store can be written again"),
            Some(_) | None => {}
        }
        self.found.send_replace(found);
    }
}
