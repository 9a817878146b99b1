//! Whether the store can be written: checked every few seconds and whenever somebody asks, one check at a
//! time; while a check takes long, the last result is returned at once.
//!
//! A check is as durable as a delivery: with Redis it may wait for disks, a second or two in good
//! health. Whoever asks (a Kubernetes probe gives up after 1 s) does not wait for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::core::code::Code;
use crate::store::{Store, StoreError};

/// How long whoever asks waits for a look: below the second that a probe of Kubernetes waits by default.
const ANSWER_MAX: Duration = Duration::from_millis(800);

/// What is known of the store. Clones share it.
#[derive(Clone)]
pub struct StoreHealth(Arc<Inner>);

/// What the last look found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// There was none yet.
    NotYet,
    /// It can be written.
    Well,
    /// Why it cannot: the code, and all of it in words.
    Trouble(Code, String),
}

struct Inner {
    store: Arc<dyn Store>,
    patience: Duration,
    found: watch::Sender<Found>,
    /// Since when a look has been under way.
    since: Mutex<Option<Instant>>,
}

impl StoreHealth {
    /// Looks at this store, whose answer may take so long before it is taken for gone.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, patience: Duration) -> Self {
        Self(Arc::new(Inner { store, patience, found: watch::Sender::new(Found::NotYet), since: Mutex::default() }))
    }

    /// Begins a look, unless one is under way; says since when. Must be called within a tokio runtime.
    pub(super) fn look(&self) -> Instant {
        let mut since = self.0.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since.get_or_insert_with(|| {
            let inner = self.0.clone();
            tokio::spawn(async move {
                let found = inner.store.check().await.err();
                inner.found_is(found);
            });
            Instant::now()
        })
    }

    /// Why the store cannot be written; none where it can.
    pub(super) async fn trouble(&self) -> Option<String> {
        let mut found = self.0.found.subscribe();
        let since = self.look();
        let told = tokio::time::timeout(ANSWER_MAX, found.changed()).await;
        let patience = self.0.patience;
        if told.is_err() && since.elapsed() > patience {
            return Some(format!("the store has not answered within {} ms", patience.as_millis()));
        }
        match &*found.borrow() {
            Found::NotYet => Some("the store has not answered yet".to_owned()),
            Found::Well => None,
            Found::Trouble(_, reason) => Some(reason.clone()),
        }
    }

    /// What the last look found in the way, without another one.
    pub(super) fn known_trouble(&self) -> Option<Code> {
        match &*self.0.found.borrow() {
            Found::NotYet | Found::Well => None,
            Found::Trouble(code, _) => Some(*code),
        }
    }
}

impl Inner {
    fn found_is(&self, error: Option<StoreError>) {
        let told = |code: Code| format!("{code}: {} {}", code.title(), code.advice());
        let reason =
            |error: &StoreError| error.code().map_or_else(|| "the store cannot be reached or written".to_owned(), told);
        let code = |error: &StoreError| error.code().unwrap_or(Code::StoreUnwritable);
        let found = error.as_ref().map_or(Found::Well, |error| Found::Trouble(code(error), reason(error)));
        let before = self.found.borrow().clone();
        match error {
            // The same trouble again is no news.
            Some(error) if before != found => tracing::warn!(%error, "the store cannot be written"),
            None if matches!(before, Found::Trouble(..)) => tracing::info!("the store can be written again"),
            Some(_) | None => {}
        }
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.found.send_replace(found);
    }
}
