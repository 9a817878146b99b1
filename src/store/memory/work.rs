//! What workers do: claim, renew, own, commit.

use super::state::{Holder, Letter, State, StoredPerson};
use crate::core::person::PersonId;
use crate::core::time::UnixMs;
use crate::store::{
    Claim, ClaimRequest, Claimed, Commit, Committed, DeadChange, Former, Lane, Lease, Own, Owned, RELEASED_MAX,
    StoreOptions,
};

/// Fences grow faster per millisecond than they are given out, so that none is used twice even if writes were lost.
const FENCES_A_MS: u64 = 256;

impl State {
    pub(super) fn claim(&mut self, now: UnixMs, request: &ClaimRequest) -> Claim {
        if let Some(from) = request.lost_from {
            let lost = from..request.number;
            self.give_back(now, |holder| holder.worker == request.worker && lost.contains(&holder.number));
        }
        let chosen = match &request.parked {
            Some(tag) => self.parked(tag).into_iter().take(1.min(request.people_max)).collect(),
            None => self.claimable(now, request.people_max),
        };
        let people: Vec<_> = chosen.into_iter().filter_map(|id| self.lease(now, id, request)).collect();
        if people.is_empty() { Claim::Nobody { until: self.next_at() } } else { Claim::People(people) }
    }

    /// People whose lease expired, then those who are due.
    fn claimable(&self, now: UnixMs, people_max: usize) -> Vec<PersonId> {
        let mut found: Vec<_> = self
            .people
            .iter()
            .filter_map(|(id, stored)| {
                let ran_out = stored.holder.as_ref().map(|holder| (0, holder.until, *id));
                ran_out.or_else(|| stored.lane.due.map(|due| (1, due, *id)))
            })
            .filter(|(_, at, _)| *at <= now)
            .collect();
        found.sort_unstable();
        found.into_iter().take(people_max).map(|(_, _, id)| id).collect()
    }

    fn lease(&mut self, now: UnixMs, id: PersonId, request: &ClaimRequest) -> Option<Claimed> {
        let stored = self.people.get_mut(&id)?;
        let until = now.plus_ms(request.lease_ms);
        let by_time = u64::try_from(now.0).unwrap_or(0).saturating_mul(FENCES_A_MS);
        let fence = by_time.max(self.last_fence + 1);
        self.last_fence = fence;
        let holder = Holder { worker: request.worker.clone(), number: request.number, fence, until };
        let taken_over = stored.holder.replace(holder).is_some();
        stored.move_to(Lane::running(), now);
        let lease = Lease { person: id, fence, until };
        Some(Claimed {
            lease,
            document: stored.document.clone(),
            inbox: stored.entries(request.entries_max),
            taken_over,
        })
    }

    /// The next instant at which a claim may find a person.
    fn next_at(&self) -> Option<UnixMs> {
        self.people
            .values()
            .filter_map(|stored| stored.holder.as_ref().map_or(stored.lane.due, |holder| Some(holder.until)))
            .min()
    }

    /// The person of a lease, if it is still the lane's own.
    fn held(&mut self, lease: &Lease) -> Option<&mut StoredPerson> {
        let stored = self.people.get_mut(&lease.person)?;
        stored.holder.as_ref().is_some_and(|holder| holder.fence == lease.fence).then_some(stored)
    }

    /// Whether a person is unchanged since the decision to take something over from them.
    fn is_as_read(&self, former: &Former) -> bool {
        self.people.get(&former.person).is_some_and(|stored| {
            let is_at_rest = stored.holder.is_none() && stored.inbox.is_empty();
            is_at_rest && stored.lane.state == former.state && stored.document.as_ref() == Some(&former.document)
        })
    }

    pub(super) fn renew(&mut self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Option<Lease> {
        let until = now.plus_ms(lease_ms);
        self.held(lease)?.holder.as_mut()?.until = until;
        Some(Lease { until, ..lease.clone() })
    }

    pub(super) fn own(&mut self, now: UnixMs, lease: &Lease, own: Own) -> Owned {
        if self.held(lease).is_none() {
            return Owned::Stale;
        }
        let from = own.from.as_ref().filter(|former| self.is_as_read(former)).map(|former| former.person);
        let mut is_taken = false;
        for key in &own.keys {
            match self.owners.get(key) {
                Some(owner) if *owner == lease.person => {}
                Some(owner) if Some(*owner) == from => is_taken = true,
                Some(owner) => return Owned::By(*owner),
                None => {}
            }
        }
        self.owners.extend(own.keys.into_iter().map(|key| (key, lease.person)));
        if let Some(entry) = own.from.filter(|_| is_taken).and_then(|former| former.entry) {
            self.append(now, entry);
        }
        Owned::Yes
    }

    pub(super) fn commit(&mut self, options: &StoreOptions, now: UnixMs, lease: &Lease, commit: Commit) -> Committed {
        let id = lease.person;
        let Some(stored) = self.held(lease) else { return Committed::Stale };
        stored.holder = None;
        if commit.document.is_some() {
            stored.document = commit.document;
        }
        if let Some(to) = commit.consumed_to {
            stored.inbox.retain(|seq, _| *seq > to);
        }
        for term in &commit.terms_removed {
            stored.terms.remove(term);
        }
        stored.terms.extend(commit.terms_added);
        let story = &mut stored.story;
        story.entries.extend(commit.story);
        let surplus = story.entries.len().saturating_sub(options.bounds.story_entries_max as usize);
        story.entries.drain(..surplus);
        story.dropped += surplus as u64;
        let woken = if stored.inbox.is_empty() { None } else { commit.lane.woken(now) };
        let is_due = stored.move_to(woken.unwrap_or(commit.lane), now);
        self.wakes |= is_due;
        for key in &commit.disowned {
            if self.owners.get(key) == Some(&id) {
                self.owners.remove(key);
            }
        }
        self.dead.retain(|_, letter| letter.blocks != Some(id));
        if let DeadChange::Is(row) = commit.dead {
            self.dead.insert(row.id, Letter { row: *row, blocks: Some(id), payload: None });
        }
        for tag in &commit.released {
            self.release(now, tag, RELEASED_MAX);
        }
        for entry in commit.outgoing {
            if self.people.contains_key(&entry.person.id()) {
                self.append(now, entry);
            }
        }
        Committed::Committed
    }
}
