//! What the model of `crate::worker` needs from the engine: independent copies, a comparison of two of them, and the
//! steps of wrong engines.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use super::Memory;
use super::state::Holder;
use crate::core::time::UnixMs;
use crate::store::{Commit, Committed, Lease};

impl Memory {
    /// An independent copy with the same content.
    pub(crate) fn apart(&self) -> Self {
        let state = self.look().clone();
        Self { options: self.options.clone(), state: Arc::new(Mutex::new(state)), woken: Arc::default() }
    }

    /// Hashes everything that later steps depend on, but not what is only shown (stories, terms, dead letters), nor
    /// who holds a lane under which fence.
    pub(crate) fn hash_content(&self, hasher: &mut impl Hasher) {
        let state = self.look();
        for (id, stored) in &state.people {
            let lane = &stored.lane;
            (id, &stored.document, lane.state, lane.due, lane.wakes, &lane.tag, stored.since, &stored.inbox)
                .hash(hasher);
            let holder = stored.holder.as_ref();
            holder.map(|holder| holder.until).hash(hasher);
        }
        for (key, remembered) in &state.remembered {
            (key, remembered.until).hash(hasher);
        }
        (&state.owners, state.last_seq).hash(hasher);
    }

    /// Whether a lane is held under this lease's fence.
    pub(crate) fn is_held_by(&self, lease: &Lease) -> bool {
        let state = self.look();
        let holder = state.people.get(&lease.person).and_then(|stored| stored.holder.as_ref());
        holder.is_some_and(|holder| holder.fence == lease.fence)
    }

    /// An engine without fences: the last commit wins.
    pub(crate) fn commit_unfenced(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Committed {
        let mut state = self.look();
        if let Some(stored) = state.people.get_mut(&lease.person) {
            stored.holder = Some(Holder { worker: "w".into(), number: 1, fence: lease.fence, until: lease.until });
        }
        state.commit(&self.options, now, lease, commit)
    }

    /// The first step of an engine that commits in two: folded entries leave the inbox. Returns whether the fence was
    /// valid.
    pub(crate) fn consume(&self, lease: &Lease, to: u64) -> bool {
        let mut state = self.look();
        let stored = state.people.get_mut(&lease.person);
        let held = stored.filter(|stored| stored.holder.as_ref().is_some_and(|holder| holder.fence == lease.fence));
        held.map(|stored| stored.inbox.retain(|seq, _| *seq > to)).is_some()
    }
}
