//! Numbered claims: the next one says which earlier answers were lost.

use tokio::sync::Mutex;

use super::Worker;
use crate::core::hold::HoldScope;
use crate::store::{Claim, ClaimRequest, StoreError};

/// Entries of one inbox that an attempt folds at most: the rest comes with the next.
const ENTRIES_MAX: usize = 1_000;

/// The claims of one worker. One at a time: what another has just been given would be taken for lost.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    last: u64,
    /// The first whose answer was lost; none that came was asked for after it. Set before the store is
    /// asked, so that a future that is dropped on the way leaves it behind.
    lost_from: Option<u64>,
}

impl Worker {
    /// Claims up to `people_max` people, and gives back what earlier claims got whose answers were lost. `parked`:
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

    /// Gives back what earlier claims got whose answers were lost, and takes nothing.
    pub(super) async fn give_back_lost(&self) -> Result<(), StoreError> {
        if self.claims.0.lock().await.lost_from.is_some() {
            self.claim(0, None).await?;
        }
        Ok(())
    }
}
