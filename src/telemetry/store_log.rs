//! How the store's operations go in this process: counted where they are called, judged by
//! `crate::core::store_health`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::metrics as metric;
use crate::core::code::Code;
use crate::core::store_health::{FailingOperation, StoreOperation, StoreOperations};
use crate::core::time::UnixMs;

/// Remembers how operations went; clones share it.
#[derive(Debug, Clone, Default)]
pub struct StoreLog(Arc<Mutex<StoreOperations>>);

impl StoreLog {
    /// An operation ended: with this failure, or well.
    pub fn ended(&self, now: UnixMs, operation: StoreOperation, failure: Option<Code>) {
        match failure {
            Some(code) => {
                count(code);
                self.look().failed(now, operation, code);
            }
            None => self.look().succeeded(operation),
        }
    }

    /// The store was checked: with this failure, or well.
    pub fn checked(&self, failure: Option<Code>) {
        match failure {
            Some(code) => count(code),
            None => self.look().checked(),
        }
    }

    /// Operations that something has to be done about.
    #[must_use]
    pub fn failing(&self, now: UnixMs) -> Vec<FailingOperation> {
        self.look().failing(now)
    }

    /// Why deliveries cannot be stored; none if they can.
    #[must_use]
    pub fn refuses_deliveries(&self, now: UnixMs) -> Option<Code> {
        self.look().refuses_deliveries(now)
    }

    fn look(&self) -> MutexGuard<'_, StoreOperations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(code: Code) {
    metrics::counter!(metric::STORE_ERRORS_TOTAL, metric::CODE => code.as_str()).increment(1);
}
