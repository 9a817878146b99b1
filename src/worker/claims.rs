//! Numbered claims: the next one says which earlier answers were lost.

use tokio::sync::Mutex;

use super::Worker;
use crate::core::hold::HoldScope;
use crate::store::{Claim, ClaimRequest, StoreError};

/// How many entries of one inbox an attempt folds; the rest comes with the next attempt.
const ENTRIES_MAX: usize = 1_000;

/// The claims of one worker, one at a time: otherwise the answer to a concurrent claim would count as lost.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    last: u64,
    /// The first claim whose answer was lost, if no later one was answered. Set before the store is asked, so that it
    /// stays set if the future is dropped.
    lost_from: Option<u64>,
}

impl Worker {
    /// Claims up to `people_max` people, and gives back those of earlier claims whose answers were lost. `parked`:
    /// only people behind this hold.
    pub(super) async fn claim(&self, people_max: usize, parked: Option<&HoldScope>) -> Result<Claim, StoreError> {
        let mut numbers = self.claims.0.lock().await;
        numbers.last += 1;
        let request = ClaimRequest {
            worker: self.name.clone(),
            number: numbers.last,
            lost_from: numbers.lost_from,
            people_max,
            lease_ms: self.options.lease_ms,
            entries_max: ENTRIES_MAX,
            parked: parked.map(ToString::to_string),
        };
        numbers.lost_from.get_or_insert(request.number);
        let claim = self.store.claim(self.clock.now(), &request).await?;
        numbers.lost_from = None;
        Ok(claim)
    }

    /// Gives back the people of earlier claims whose answers were lost, and claims nobody.
    pub(super) async fn give_back_lost(&self) -> Result<(), StoreError> {
        if self.claims.0.lock().await.lost_from.is_some() {
            self.claim(0, None).await?;
        }
        Ok(())
    }
}
