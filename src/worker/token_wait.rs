//! How long was waited for tokens, as a counter of seconds.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::limiter::CallKind;
use crate::telemetry::metrics as names;

/// Adds up milliseconds: the counter takes whole numbers only, and most waits are below a second.
#[derive(Debug, Default)]
pub(super) struct TokenWait {
    write_ms: AtomicU64,
    read_ms: AtomicU64,
}

impl TokenWait {
    /// Adds a wait.
    pub(super) fn add(&self, kind: CallKind, ms: u64) {
        let total = match kind {
            CallKind::Write => &self.write_ms,
            CallKind::Read => &self.read_ms,
        };
        let total_ms = total.fetch_add(ms, Ordering::Relaxed) + ms;
        metrics::counter!(names::RATE_LIMIT_WAIT_SECONDS_TOTAL, names::KIND => kind.as_str()).absolute(total_ms / 1000);
    }
}
