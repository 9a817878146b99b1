//! Claims on members and addresses, and those of others that stand in their way.

use bytes::Bytes;
use tracing::warn;

use super::Worker;
use super::lease::{Interrupted, LeaseGuard};
use crate::clock::new_job_id;
use crate::core::person::{Document, Entry, PersonId, Word};
use crate::core::reconcile::attempt::{AttemptState, Claimed as ClaimedKeys};
use crate::core::reconcile::groups;
use crate::core::reconcile::owner::{self, Owner};
use crate::store::{Former, LaneState, NewEntry, Own, Owned, StoreError};

/// Somebody as others find them.
struct Found {
    /// What blocked them counts for as long as they stand there and no longer.
    document: Document,
    /// The same as it was read.
    bytes: Bytes,
    state: LaneState,
}

impl Worker {
    /// Claims members and addresses, and finds out who has them where it cannot be.
    pub(super) async fn own(
        &self,
        state: &AttemptState,
        guard: &LeaseGuard<'_>,
        keys: &[String],
    ) -> Result<ClaimedKeys, Interrupted> {
        let now = self.clock.now();
        let whose = match self.claim_keys(guard, keys, None).await? {
            Ok(()) => return Ok(ClaimedKeys::Ours),
            Err(whose) => whose,
        };
        let wanted = keys.first().map_or("", String::as_str);
        let Some(theirs) = self.find(whose).await? else {
            return Ok(ClaimedKeys::Others(Owner::in_between(state.document.person.clone(), wanted)));
        };
        let has = self.keys_of(keys, whose).await?;
        let uses = owner::claims(&theirs.document);
        let Some(wanted) = has.iter().find(|key| uses.contains(*key) || groups::is_claim(key)) else {
            // Such as a worker that was killed leaves behind.
            let former = Former { person: whose, entry: None, document: theirs.bytes, state: theirs.state };
            let claimed = self.claim_keys(guard, keys, Some(former)).await?;
            let in_between = |_| ClaimedKeys::Others(Owner::in_between(theirs.document.person, wanted));
            return Ok(claimed.map_or_else(in_between, |()| ClaimedKeys::Ours));
        };
        let owner_is = Owner::of(&theirs.document, wanted, now);
        if !owner_is.hands_over_to(&state.document, now) {
            return Ok(ClaimedKeys::Others(owner_is));
        }
        let Document { person, member, .. } = theirs.document;
        let word = Word::HandedOver { to: state.document.person.clone() };
        let bytes = Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes());
        let entry = Some(NewEntry { job: new_job_id(whose), person: person.clone(), bytes });
        let former = Former { person: whose, entry, document: theirs.bytes, state: theirs.state };
        // A member and their address go in one step, so that neither stays behind where the attempt breaks off.
        let of_member = member.as_ref().map(owner::claims_on).unwrap_or_default();
        let mut along = Vec::new();
        if of_member.iter().any(|key| keys.contains(key)) {
            along = self.keys_of(&of_member, whose).await?;
            along.retain(|key| !keys.contains(key));
        }
        match self.claim_keys(guard, &[keys, &along].concat(), Some(former)).await? {
            Ok(()) => {
                warn!(from = %person, "the member is taken over from another record");
                Ok(ClaimedKeys::TakenFrom { person, member: member.map(Box::new), along })
            }
            Err(_) => Ok(ClaimedKeys::Others(Owner::in_between(person, wanted))),
        }
    }

    /// Whether somebody who was refused a claim would have it by now.
    pub(super) async fn can_be_had(&self, key: &str, by: &Document) -> Result<bool, StoreError> {
        let Some(owner) = self.store.owner(key).await?.filter(|owner| *owner != by.person.id()) else {
            return Ok(true);
        };
        let Some(theirs) = self.find(owner).await? else { return Ok(true) };
        let now = self.clock.now();
        let is_of_use = owner::claims(&theirs.document).contains(key);
        Ok(!is_of_use || Owner::of(&theirs.document, key, now).can_be_had_by(by, now))
    }

    /// Which of the keys somebody has.
    async fn keys_of(&self, keys: &[String], owner: PersonId) -> Result<Vec<String>, StoreError> {
        let mut has = Vec::new();
        for key in keys {
            if self.store.owner(key).await? == Some(owner) {
                has.push(key.clone());
            }
        }
        Ok(has)
    }

    /// Somebody as others find them. None: there is nothing to judge them by, or they are about to change. What is in
    /// their inbox and cannot be read blocks them.
    async fn find(&self, person: PersonId) -> Result<Option<Found>, StoreError> {
        let Some(row) = self.store.person(person).await? else { return Ok(None) };
        let state = row.lane.state;
        let Some(bytes) = row.document.filter(|_| row.inbox_entries == 0 || state == LaneState::Blocked) else {
            return Ok(None);
        };
        let Ok(mut document) = Document::from_bytes(&bytes) else { return Ok(None) };
        if state != LaneState::Blocked {
            document.trouble = None;
        }
        Ok(Some(Found { document, bytes, state }))
    }

    /// Claims keys for the person of this lease. The owner, where somebody else has one of them.
    async fn claim_keys(
        &self,
        guard: &LeaseGuard<'_>,
        keys: &[String],
        from: Option<Former>,
    ) -> Result<Result<(), PersonId>, Interrupted> {
        let now = self.clock.now();
        match self.store.own(now, guard.lease(), Own { keys: keys.to_vec(), from }).await? {
            Owned::Yes => Ok(Ok(())),
            Owned::By(owner) => Ok(Err(owner)),
            Owned::Stale => Err(Interrupted::LeaseLost),
        }
    }
}
