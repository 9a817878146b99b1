//! Claims, numbered: the next one tells the store which answers were never heard.

use tokio::sync::Mutex;

use super::Worker;
use crate::core::time::UnixMs;
use crate::store::{Claim, ClaimRequest, StoreError};

/// The claims of one worker. One at a time: what another has just been given would be taken for lost.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    last: u64,
    /// The first whose answer was not heard; none that was heard came after it. Set before the store is
    /// asked, so that a future that is dropped on the way leaves it behind.
    unheard_from: Option<u64>,
}

impl Worker {
    /// Claims up to so many jobs, and gives back what earlier claims got whose answers never came.
    pub(super) async fn claim(&self, now: UnixMs, jobs_max: usize) -> Result<Claim, StoreError> {
        let mut numbers = self.claims.0.lock().await;
        numbers.last += 1;
        let request = ClaimRequest {
            worker: self.name.clone(),
            number: numbers.last,
            lost_from: numbers.unheard_from,
            jobs_max,
            lease_ms: self.options.lease_ms,
        };
        numbers.unheard_from.get_or_insert(request.number);
        let claim = self.store.claim(now, &request).await?;
        numbers.unheard_from = None;
        Ok(claim)
    }

    /// Gives back what earlier claims got whose answers never came, and takes nothing.
    pub(super) async fn give_back_unheard(&self) -> Result<(), StoreError> {
        if self.claims.0.lock().await.unheard_from.is_some() {
            self.claim(self.clock.now(), 0).await?;
        }
        Ok(())
    }
}
