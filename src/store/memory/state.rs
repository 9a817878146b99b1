//! What the engine keeps, and what expires.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId, SourceName};
use crate::core::time::UnixMs;
use crate::store::listing::INBOX_SHOWN_MAX;
use crate::store::tokens::Tats;
use crate::store::{
    DeadRow, InboxEntry, Lane, LaneState, NewEntry, NewUnmapped, PersonRow, RELEASED_MAX, Shared, StoreOptions, Story,
};

/// All of it.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) people: BTreeMap<PersonId, StoredPerson>,
    pub(super) remembered: BTreeMap<[u8; 16], Remembered>,
    pub(super) owners: BTreeMap<String, PersonId>,
    pub(super) dead: BTreeMap<JobId, Letter>,
    pub(super) shared: BTreeMap<String, Shared>,
    pub(super) tats: Tats,
    /// The last place that was given to an entry.
    pub(super) last_seq: u64,
    /// The last fence that was given out.
    pub(super) last_fence: u64,
    /// Set when a person became due.
    pub(super) wakes: bool,
}

impl fmt::Debug for State {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("people", &self.people.len()).finish_non_exhaustive()
    }
}

/// A person.
#[derive(Clone)]
pub(super) struct StoredPerson {
    pub(super) source: SourceName,
    pub(super) document: Option<Bytes>,
    pub(super) lane: Lane,
    pub(super) since: UnixMs,
    pub(super) holder: Option<Holder>,
    /// The key of the newest delivery, if it was a hash of the body.
    pub(super) newest: Option<[u8; 16]>,
    pub(super) inbox: BTreeMap<u64, Bytes>,
    pub(super) story: Story,
    pub(super) terms: BTreeSet<String>,
}

/// The holder of a lease.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) worker: Arc<str>,
    /// The number of the claim.
    pub(super) number: u64,
    pub(super) fence: u64,
    pub(super) until: UnixMs,
}

/// A remembered delivery.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) until: UnixMs,
    pub(super) ids: Vec<JobId>,
    pub(super) says: Option<u32>,
}

/// A dead letter.
#[derive(Clone)]
pub(super) struct Letter {
    pub(super) row: DeadRow,
    /// The person whose lane it blocks; none for an unmapped record.
    pub(super) blocks: Option<PersonId>,
    /// The payload of an unmapped record.
    pub(super) payload: Option<Bytes>,
}

impl Letter {
    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload.as_ref().map_or(0, |payload| payload.len() as u64)
    }
}

impl StoredPerson {
    pub(super) fn new(source: SourceName, now: UnixMs) -> Self {
        Self {
            source,
            document: None,
            lane: Lane::new(),
            since: now,
            holder: None,
            newest: None,
            inbox: BTreeMap::new(),
            story: Story::default(),
            terms: BTreeSet::new(),
        }
    }

    /// As it is shown.
    pub(super) fn row(&self, id: PersonId) -> PersonRow {
        PersonRow {
            id,
            document: self.document.clone(),
            lane: self.lane.clone(),
            since: self.since,
            inbox_entries: self.inbox.len() as u64,
            inbox: self.entries(INBOX_SHOWN_MAX),
        }
    }

    /// The first entries of the inbox.
    pub(super) fn entries(&self, entries_max: usize) -> Vec<InboxEntry> {
        let first = self.inbox.iter().take(entries_max);
        first.map(|(seq, bytes)| InboxEntry { seq: *seq, bytes: bytes.clone() }).collect()
    }

    /// Changes the lane; returns whether the person may be due now.
    pub(super) fn move_to(&mut self, lane: Lane, now: UnixMs) -> bool {
        self.lane = lane;
        self.since = now;
        self.lane.due.is_some()
    }
}

impl State {
    /// Appends an entry; the lane becomes due if it wakes.
    pub(super) fn append(&mut self, now: UnixMs, entry: NewEntry) -> &mut StoredPerson {
        let stored =
            self.people.entry(entry.person.id()).or_insert_with(|| StoredPerson::new(entry.person.source.clone(), now));
        self.last_seq += 1;
        stored.inbox.insert(self.last_seq, entry.bytes);
        if let Some(lane) = stored.lane.woken(now) {
            self.wakes |= stored.move_to(lane, now);
        }
        stored
    }

    pub(super) fn put_dead(&mut self, unmapped: Vec<NewUnmapped>) {
        for NewUnmapped { row, payload } in unmapped {
            self.dead.insert(row.id, Letter { row, blocks: None, payload: Some(payload) });
        }
    }

    pub(super) fn put(&mut self, now: UnixMs, entry: NewEntry) -> bool {
        if !self.people.contains_key(&entry.person.id()) {
            return false;
        }
        let stored = self.append(now, entry);
        if stored.holder.is_none() {
            let lane = stored.lane.released(now);
            self.wakes |= lane == stored.lane || stored.move_to(lane, now);
        }
        true
    }

    pub(super) fn release(&mut self, now: UnixMs, tag: &str, people_max: u64) -> u64 {
        let parked = self.parked(tag);
        let released = &parked[..parked.len().min(usize::try_from(people_max).unwrap_or(usize::MAX))];
        for id in released {
            if let Some(stored) = self.people.get_mut(id) {
                let lane = stored.lane.released(now);
                self.wakes |= stored.move_to(lane, now);
            }
        }
        released.len() as u64
    }

    /// Who is parked under a tag, longest first.
    pub(super) fn parked(&self, tag: &str) -> Vec<PersonId> {
        let mut parked: Vec<_> =
            self.people.iter().filter(|(_, stored)| stored.lane.tag.as_deref() == Some(tag)).collect();
        parked.sort_by_key(|(id, stored)| (stored.since, **id));
        parked.into_iter().map(|(id, _)| *id).collect()
    }

    /// Ends the leases of these holders: due at once, and not counted as a take-over.
    pub(super) fn give_back(&mut self, now: UnixMs, is_meant: impl Fn(&Holder) -> bool) -> u64 {
        let mut given_back = 0;
        for stored in self.people.values_mut() {
            if stored.holder.take_if(|holder| is_meant(holder)).is_some() {
                self.wakes |= stored.move_to(Lane::due_at(now), now);
                given_back += 1;
            }
        }
        given_back
    }

    pub(super) fn replay_unmapped(
        &mut self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> bool {
        if !self.discard_unmapped(id) {
            return false;
        }
        for entry in entries {
            self.append(now, entry);
        }
        self.put_dead(unmapped);
        true
    }

    pub(super) fn discard_unmapped(&mut self, id: JobId) -> bool {
        let is_there = self.dead.get(&id).is_some_and(|letter| letter.row.unmapped);
        is_there && self.dead.remove(&id).is_some()
    }

    pub(super) fn erase(&mut self, now: UnixMs, person: &Person, released: &[String]) -> bool {
        let id = person.id();
        let letters = self.dead.len();
        self.dead.retain(|_, letter| letter.blocks != Some(id) && letter.row.person.as_ref() != Some(person));
        self.owners.retain(|_, owner| *owner != id);
        let was_there = self.people.remove(&id).is_some() || self.dead.len() < letters;
        for tag in released {
            self.release(now, tag, RELEASED_MAX);
        }
        was_there
    }

    pub(super) fn tidy(&mut self, options: &StoreOptions, now: UnixMs) -> u64 {
        let before = self.remembered.len();
        self.remembered.retain(|_, remembered| remembered.until > now);
        let mut gone = (before - self.remembered.len()) as u64;
        for stored in self.people.values_mut() {
            let is_old = stored.since.plus_ms(options.bounds.story_keep_ms) <= now;
            if stored.lane.state == LaneState::Idle && is_old {
                let old = stored.story.entries.len() as u64;
                stored.story.entries.clear();
                stored.story.dropped += old;
                gone += old;
            }
        }
        gone
    }
}
