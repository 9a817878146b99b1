//! The holds that all processes share: one small document in the store, read often and changed by compare and swap.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tracing::{error, info};

use super::documents::CONFLICTS_MAX;
use super::{Store, StoreError};
use crate::clock::Clock;
use crate::core::code::Code;
use crate::core::hold::{HoldScope, Holds, ProbePauses};
use crate::core::time::UnixMs;

/// The document's name.
pub const HOLDS: &str = "holds";
/// How old our copy may be: short compared with the pauses between probes, long compared with a call.
pub const REFRESH_MS: u64 = 500;
/// People made due in one step when a hold is lifted.
const RELEASED_AT_ONCE: u64 = 1_000;

/// Reads the holds in force.
///
/// # Errors
/// Those of the store. What is there and cannot be read is a hold, too: see [`Holds::from_bytes`].
pub async fn read(store: &dyn Store) -> Result<Holds, StoreError> {
    Ok(Holds::from_bytes(&store.shared(HOLDS).await?.bytes))
}

/// Changes the holds; `change` returns the result, or none if it changed nothing.
///
/// # Errors
/// Those of the store.
pub async fn change<R>(
    store: &dyn Store,
    mut change: impl FnMut(&mut Holds) -> Option<R>,
) -> Result<Option<R>, StoreError> {
    for _ in 0..CONFLICTS_MAX {
        let found = store.shared(HOLDS).await?;
        let mut holds = Holds::from_bytes(&found.bytes);
        let Some(result) = change(&mut holds) else { return Ok(None) };
        let bytes = serde_json::to_vec(&holds)
            .map_err(|error| StoreError::Damaged(format!("the holds cannot be written: {error}")))?;
        if store.put_shared(HOLDS, found.version, Bytes::from(bytes)).await? {
            return Ok(Some(result));
        }
    }
    Err(StoreError::Unavailable("others keep changing the holds".to_owned()))
}

/// The holds in force, as last read.
pub struct SharedHolds {
    store: Arc<dyn Store>,
    clock: Clock,
    pauses: ProbePauses,
    known: Mutex<(Holds, Option<u64>)>,
}

impl SharedHolds {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock, pauses: ProbePauses) -> Self {
        Self { store, clock, pauses, known: Mutex::default() }
    }

    /// What is known.
    #[must_use]
    pub fn current(&self) -> Holds {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Reads them again if our copy is old.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.monotonic_ms();
        let looked_at = self.known.lock().unwrap_or_else(PoisonError::into_inner).1;
        if looked_at.is_none_or(|at| now_ms.saturating_sub(at) >= REFRESH_MS) {
            self.look().await?;
        }
        Ok(())
    }

    /// Reads them again, however old our copy is.
    pub async fn look(&self) -> Result<(), StoreError> {
        self.note(read(self.store.as_ref()).await?);
        Ok(())
    }

    fn note(&self, holds: Holds) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = (holds, Some(self.clock.monotonic_ms()));
    }

    /// Changes the document; `change` returns whether it changed anything.
    async fn change(&self, is_changed: impl Fn(&mut Holds) -> bool) -> Result<bool, StoreError> {
        match change(self.store.as_ref(), |holds| is_changed(holds).then(|| holds.clone())).await? {
            Some(holds) => {
                self.note(holds);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Sets a hold; see [`Holds::set`].
    pub async fn set(&self, scope: &HoldScope, code: Code, not_before: Option<UnixMs>) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let is_new = self.change(|holds| holds.set(now, scope.clone(), code, self.pauses, not_before)).await?;
        if is_new {
            error!(%code, %scope, advice = code.advice(), "held: {}", code.title());
        }
        Ok(is_new)
    }

    /// Sets a hold with what was answered.
    pub async fn set_saying(
        &self,
        scope: &HoldScope,
        code: Code,
        not_before: Option<UnixMs>,
        detail: &str,
    ) -> Result<(), StoreError> {
        self.set(scope, code, not_before).await?;
        self.change(|holds| holds.say(scope, code, detail)).await?;
        Ok(())
    }

    /// Lifts a hold by hand, and makes those due who waited for it.
    pub async fn lift(&self, scope: &HoldScope) -> Result<bool, StoreError> {
        let was_there = self.change(|holds| !holds.lift(Some(scope)).is_empty()).await?;
        self.release(scope).await?;
        Ok(was_there)
    }

    /// Takes a due probe; none if none is due, or another worker has it.
    pub async fn begin_probe(&self, by: &str, lease_ms: u64) -> Result<Option<HoldScope>, StoreError> {
        let now = self.clock.now();
        let Some(scope) = self.current().due_probe(now).map(|hold| hold.scope.clone()) else { return Ok(None) };
        let got = self.change(|holds| holds.begin_probe(now, &scope, by, now.plus_ms(lease_ms))).await?;
        Ok(got.then_some(scope))
    }

    /// Ends a probe. If it was served, the people who waited are made due.
    pub async fn end_probe(&self, scope: &HoldScope, by: &str, has_passed: bool) -> Result<(), StoreError> {
        let now = self.clock.now();
        let ended = self.change(|holds| holds.end_probe(now, scope, by, has_passed, self.pauses)).await?;
        if ended && has_passed {
            info!(%scope, "hold lifted: the target serves again");
            self.release(scope).await?;
        }
        Ok(())
    }

    /// Makes everybody due who waits for this hold.
    pub async fn release(&self, scope: &HoldScope) -> Result<(), StoreError> {
        let tag = scope.to_string();
        while self.store.release(self.clock.now(), &tag, RELEASED_AT_ONCE).await? >= RELEASED_AT_ONCE {}
        Ok(())
    }
}
