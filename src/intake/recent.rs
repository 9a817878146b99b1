//! The last deliveries of a source, until all processes see them.

use std::sync::{Mutex, PoisonError};

use crate::core::deliveries::{Delivered, Deliveries, document};
use crate::store::{Store, StoreError, documents};

/// What this process saw since it last reported to the others.
#[derive(Default)]
pub(super) struct Recent(Mutex<Deliveries>);

impl Recent {
    pub(super) fn push(&self, delivered: Delivered) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(delivered);
    }

    /// Adds them to those that all processes see of a source; nothing is written if there are none.
    pub(super) async fn publish(&self, store: &dyn Store, source: &str) -> Result<(), StoreError> {
        let fresh = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if fresh.is_empty() {
            return Ok(());
        }
        let add = |all: &mut Deliveries| {
            all.add(&fresh);
            Some(())
        };
        let written = documents::change(store, &document(source), add).await;
        if written.is_err() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).add(&fresh);
        }
        written.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::deliveries::Answered;
    use crate::core::limiter::Rate;
    use crate::core::time::UnixMs;
    use crate::store::memory::Memory;
    use crate::store::{Bounds, StoreOptions};

    fn delivered(at: i64) -> Delivered {
        Delivered {
            at: UnixMs(at),
            request: at.to_string(),
            answered: Answered::Accepted,
            reason: None,
            peer: "192.0.2.1".to_owned(),
            event_id: None,
            types: Vec::new(),
            jobs: Vec::new(),
            jobs_all: 0,
        }
    }

    #[tokio::test]
    async fn lists_of_two_processes_merge_and_no_news_writes_nothing() {
        let rate = Rate { calls: 0, window_ms: 60_000 };
        let bounds =
            Bounds { entries_max: 1, dead_letters_max: 1, dead_bytes_max: 1, story_entries_max: 1, story_keep_ms: 1 };
        let store = Memory::new(StoreOptions { writes: rate, reads: rate, bounds });
        let (one, two) = (Recent::default(), Recent::default());
        one.push(delivered(1));
        two.push(delivered(2));
        one.publish(&store, "hr").await.unwrap();
        two.publish(&store, "hr").await.unwrap();
        let (all, version) = documents::read::<Deliveries>(&store, &document("hr")).await.unwrap();
        assert_eq!(all.newest_first().iter().map(|one| one.at.0).collect::<Vec<_>>(), [2, 1]);
        one.publish(&store, "hr").await.unwrap();
        assert_eq!(documents::read::<Deliveries>(&store, &document("hr")).await.unwrap().1, version);
    }
}
