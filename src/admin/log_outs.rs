//! Sessions that were logged out before they expired: their cookie is refused from then on, by every process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{access, shared};
use crate::core::time::UnixMs;
use crate::store::{Store, StoreError, documents};

/// How many log-outs are remembered: far more than operators make in a day.
const LOGGED_OUT_MAX: usize = 1_000;

/// Sessions by the token in their forms.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LoggedOut {
    /// When each would have expired.
    ended: Vec<(UnixMs, String)>,
}

impl LoggedOut {
    pub(super) fn has(&self, form_token: &str) -> bool {
        self.ended.iter().any(|(_, ended)| access::same(ended, form_token))
    }

    fn add(&mut self, now: UnixMs, form_token: &str) {
        self.ended.retain(|(until, _)| *until > now);
        if self.ended.len() >= LOGGED_OUT_MAX {
            self.ended.remove(0);
        }
        self.ended.push((now.plus_ms(access::SESSION_MS), form_token.to_owned()));
    }
}

/// The log-outs that this process knows. Clones share them.
///
/// They are in the store. While it is away, the last ones that were read count: somebody paged because of the store
/// must be able to see what is wrong.
#[derive(Debug, Clone, Default)]
pub struct LogOuts(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    read: LoggedOut,
    /// Those that were made here, whether or not the store has them.
    own: LoggedOut,
}

impl LogOuts {
    /// The present ones; the last known ones if the store cannot be read.
    pub(super) async fn known(&self, store: &dyn Store) -> LoggedOut {
        match self.read(store).await {
            Ok((ended, _)) => ended,
            Err(_) => self.lock().all(),
        }
    }

    /// The present ones, with the version of the store's document.
    pub(super) async fn read(&self, store: &dyn Store) -> Result<(LoggedOut, u64), StoreError> {
        let (read, version) = documents::read(store, shared::LOGGED_OUT).await?;
        let mut known = self.lock();
        known.read = read;
        Ok((known.all(), version))
    }

    /// Adds a session. If the store cannot be written, only this process knows of it.
    pub(super) async fn add(&self, store: &dyn Store, now: UnixMs, form_token: &str) {
        self.lock().own.add(now, form_token);
        let end = |ended: &mut LoggedOut| {
            ended.add(now, form_token);
            Some(())
        };
        if let Err(error) = shared::update(store, shared::LOGGED_OUT, end).await {
            warn!(%error, "a log-out could not be stored: other processes will honour the session until it expires");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn all(&self) -> LoggedOut {
        let mut all = self.read.clone();
        all.ended.extend(self.own.ended.iter().cloned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_out_is_remembered_until_the_session_would_have_expired() {
        let mut ended = LoggedOut::default();
        ended.add(UnixMs(1), "one");
        ended.add(UnixMs(2).plus_ms(access::SESSION_MS), "two");
        assert!(!ended.has("one") && ended.has("two"));
    }

    #[test]
    fn remembered_log_outs_are_bounded() {
        let mut ended = LoggedOut::default();
        for n in 0..=LOGGED_OUT_MAX {
            ended.add(UnixMs(1), &n.to_string());
        }
        assert!(!ended.has("0") && ended.has("1") && ended.has(&LOGGED_OUT_MAX.to_string()));
    }
}
