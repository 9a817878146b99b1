//! The in-memory engine: the trait in its plainest form. It keeps nothing across restarts. The other engines are
//! compared with it, and tests that need no disk use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use self::state::State;
use super::{
    Accepted, Claim, ClaimRequest, Commit, Committed, DeadFilter, DeadRow, LaneState, Lease, Listed, NewDelivery,
    NewEntry, NewUnmapped, Own, Owned, Page, PersonRow, Shared, Stats, Store, StoreError, StoreOptions, Story, Token,
};
use crate::core::limiter::CallKind;
use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId};
use crate::core::time::UnixMs;

mod accept;
mod listings;
mod state;
mod transfer;
mod work;

#[cfg(test)]
mod model_tests;

/// The in-memory engine. See the module's documentation.
#[derive(Debug)]
pub struct Memory {
    options: StoreOptions,
    state: Arc<Mutex<State>>,
    woken: Arc<Notify>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        Self { options, state: Arc::default(), woken: Arc::default() }
    }

    /// Opens the same content with other options, as if it were closed and opened again.
    #[must_use]
    pub fn reopened(&self, options: StoreOptions) -> Self {
        Self { options, state: Arc::clone(&self.state), woken: Arc::clone(&self.woken) }
    }

    fn look(&self) -> MutexGuard<'_, State> {
        // Nothing here panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the content, and wakes workers if a person became due.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.look();
        let result = change(&mut state);
        if std::mem::take(&mut state.wakes) {
            // Wakes those who wait now, or the next one to wait.
            self.woken.notify_waiters();
            self.woken.notify_one();
        }
        result
    }
}

#[async_trait]
impl Store for Memory {
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        Ok(self.change(|state| state.accept(&self.options, now, delivery)))
    }

    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        Ok(self.change(|state| state.claim(now, request)))
    }

    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        Ok(self.change(|state| state.renew(now, lease, lease_ms)))
    }

    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError> {
        Ok(self.change(|state| state.commit(&self.options, now, lease, commit)))
    }

    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError> {
        Ok(self.change(|state| state.own(now, lease, own)))
    }

    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError> {
        Ok(self.look().owners.get(key).copied())
    }

    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
        Ok(self.change(|state| state.release(now, tag, people_max)))
    }

    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError> {
        Ok(self.change(|state| state.put(now, entry)))
    }

    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        Ok(self.look().tats.take(&self.options, now, kind))
    }

    async fn back_off(&self, _now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.look().tats.back_off(&self.options, until);
        Ok(())
    }

    async fn paused_until(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        Ok(self.look().tats.paused_until(&self.options, now))
    }

    async fn shared(&self, name: &str) -> Result<Shared, StoreError> {
        Ok(self.look().shared.get(name).cloned().unwrap_or_default())
    }

    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError> {
        let mut state = self.look();
        let is_that = state.shared.get(name).map_or(0, |shared| shared.version) == version;
        if is_that {
            state.shared.insert(name.to_owned(), Shared { version: version + 1, bytes });
        }
        Ok(is_that)
    }

    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError> {
        let state = self.look();
        Ok(state.people.get(&person).map(|stored| stored.row(person)))
    }

    async fn story(&self, person: PersonId) -> Result<Story, StoreError> {
        Ok(self.look().people.get(&person).map(|stored| stored.story.clone()).unwrap_or_default())
    }

    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.look().list_people(page)
    }

    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.look().list_lanes(state, page)
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.look().search(prefix, page)
    }

    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError> {
        self.look().list_dead(filter, page)
    }

    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError> {
        Ok(self.look().dead.get(&id).map(|letter| (letter.row.clone(), letter.payload.clone())))
    }

    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError> {
        Ok(self.change(|state| state.replay_unmapped(now, id, entries, unmapped)))
    }

    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError> {
        Ok(self.change(|state| state.discard_unmapped(id)))
    }

    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError> {
        Ok(self.change(|state| state.erase(now, person, released)))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(self.look().stats())
    }

    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError> {
        Ok(self.change(|state| state.give_back(now, |_| true)))
    }

    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        Ok(self.change(|state| state.tidy(&self.options, now)))
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn woken(&self) {
        self.woken.notified().await;
    }
}
