//! Counts the seconds that workers waited for tokens of the rate limiter.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::limiter::CallKind;
use crate::telemetry::metrics as metric;

/// Adds up milliseconds: the counter only takes whole seconds, and most waits are shorter.
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
        metrics::counter!(metric::RATE_LIMIT_WAIT_SECONDS_TOTAL, metric::KIND => kind.as_str())
            .absolute(total_ms / 1000);
    }
}
