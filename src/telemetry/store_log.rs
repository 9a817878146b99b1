//! How the store's operations end in this process: counted where they are called, judged by
//! `crate::core::store_health`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::metrics as metric;
use crate::core::code::Code;
use crate::core::store_health::{FailingOperation, StoreOperation, StoreOperations};
use crate::core::time::UnixMs;

/// How often something damaged was skipped. Engines count it deep inside, like metrics.
static PASSED_OVER: AtomicU64 = AtomicU64::new(0);

/// Notes that something damaged was skipped, so that nobody else waits for it.
pub fn passed_over() {
    count(Code::StoreDamaged);
    PASSED_OVER.fetch_add(1, Ordering::Relaxed);
}

/// Remembers how operations went; clones share it.
#[derive(Debug, Clone)]
pub struct StoreLog(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    operations: StoreOperations,
    /// How much of [`PASSED_OVER`] has been added to the operations.
    passed_over: u64,
}

impl Default for StoreLog {
    fn default() -> Self {
        let passed_over = PASSED_OVER.load(Ordering::Relaxed);
        Self(Arc::new(Mutex::new(Seen { operations: StoreOperations::default(), passed_over })))
    }
}

impl StoreLog {
    /// Notes the end of an operation: with this failure, or successfully.
    pub fn ended(&self, now: UnixMs, operation: StoreOperation, failure: Option<Code>) {
        match failure {
            Some(code) => {
                count(code);
                self.look().operations.failed(now, operation, code);
            }
            None => self.look().operations.succeeded(operation),
        }
    }

    /// Notes the end of a check: with this failure, or successfully.
    pub fn checked(&self, failure: Option<Code>) {
        match failure {
            Some(code) => count(code),
            None => self.look().operations.checked(),
        }
    }

    /// Operations that need attention.
    #[must_use]
    pub fn failing(&self, now: UnixMs) -> Vec<FailingOperation> {
        let mut seen = self.look();
        let passed_over = PASSED_OVER.load(Ordering::Relaxed);
        if passed_over > seen.passed_over {
            seen.passed_over = passed_over;
            seen.operations.passed_over(now);
        }
        seen.operations.failing(now)
    }

    /// Why deliveries cannot be stored; none if they can.
    #[must_use]
    pub fn refuses_deliveries(&self, now: UnixMs) -> Option<Code> {
        self.look().operations.refuses_deliveries(now)
    }

    fn look(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(code: Code) {
    metrics::counter!(metric::STORE_ERRORS_TOTAL, metric::CODE => code.as_str()).increment(1);
}
