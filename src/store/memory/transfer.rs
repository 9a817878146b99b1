//! The content in an engine-neutral form.

use async_trait::async_trait;

use super::Memory;
use super::state::{Letter, Remembered, State, StoredPerson};
use crate::core::person::PersonId;
use crate::core::time::UnixMs;
use crate::store::transfer::{
    Activity, Exported, Marks, PersonRecord, RECORDS_MAX, Record, Section, Transfer, Transferred,
};
use crate::store::{Lane, LaneState, StoreError};

#[async_trait]
impl Transfer for Memory {
    async fn activity(&self, now: UnixMs) -> Result<Activity, StoreError> {
        let state = self.look();
        let holders = state.people.values().filter_map(|stored| stored.holder.as_ref());
        Ok(Activity { leases: holders.filter(|holder| holder.until > now).count() as u64, listeners: 0 })
    }

    async fn export(&self, now: UnixMs, section: Section, after: Option<&str>) -> Result<Exported, StoreError> {
        let mut records = self.look().records(now, section);
        let from = after.map_or(0, |after| after.parse().unwrap_or(usize::MAX)).min(records.len());
        let to = records.len().min(from.saturating_add(RECORDS_MAX));
        let next = (to < records.len()).then(|| to.to_string());
        Ok(Exported { records: records.drain(from..to).collect(), next })
    }

    async fn import(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError> {
        let mut state = self.look();
        let known = state.known(now, &records);
        for (record, fate) in records.into_iter().zip(&known) {
            if *fate == Transferred::Taken {
                state.take_in(record);
            }
        }
        Ok(known)
    }

    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError> {
        Ok(self.look().known(now, &records))
    }
}

impl State {
    fn records(&self, now: UnixMs, section: Section) -> Vec<Record> {
        match section {
            Section::Marks => vec![Record::Marks(self.marks())],
            Section::Remembered => {
                let remembered = self.remembered.iter().filter(|(_, remembered)| remembered.until > now);
                let record = |(key, remembered): (&[u8; 16], &Remembered)| Record::Remembered {
                    key: *key,
                    until: remembered.until,
                    ids: remembered.ids.clone(),
                };
                remembered.map(record).collect()
            }
            Section::People => self
                .people
                .iter()
                .map(|(id, stored)| Record::Person(Box::new(self.person_record(*id, stored))))
                .collect(),
            Section::Inbox => {
                let entries = self.people.iter().flat_map(|(id, stored)| stored.inbox.iter().map(|entry| (*id, entry)));
                let record = |(person, (seq, bytes)): (PersonId, (&u64, &bytes::Bytes))| Record::Entry {
                    person,
                    seq: *seq,
                    bytes: bytes.clone(),
                };
                entries.map(record).collect()
            }
            Section::Unmapped => self
                .dead
                .values()
                .filter_map(|letter| {
                    let payload = letter.payload.clone()?;
                    Some(Record::Unmapped { row: letter.row.clone(), payload })
                })
                .collect(),
            Section::Shared => self
                .shared
                .iter()
                .map(|(name, document)| Record::Shared { name: name.clone(), document: document.clone() })
                .collect(),
        }
    }

    fn marks(&self) -> Marks {
        Marks { last_seq: self.last_seq, last_fence: self.last_fence, tats: self.tats }
    }

    fn person_record(&self, id: PersonId, stored: &StoredPerson) -> PersonRecord {
        let is_running = stored.lane.state == LaneState::Running;
        PersonRecord {
            id,
            source: stored.source.clone(),
            document: stored.document.clone(),
            lane: if is_running { Lane::due_at(stored.since) } else { stored.lane.clone() },
            since: stored.since,
            newest: stored.newest,
            story: stored.story.clone(),
            terms: stored.terms.iter().cloned().collect(),
            owned: self.owners.iter().filter(|(_, owner)| **owner == id).map(|(key, _)| key.clone()).collect(),
            dead: self.dead.values().find(|letter| letter.blocks == Some(id)).map(|letter| letter.row.clone()),
        }
    }

    fn known(&self, now: UnixMs, records: &[Record]) -> Vec<Transferred> {
        let is_known = |record: &Record| match record {
            Record::Marks(marks) => self.marks().max(*marks) == self.marks(),
            Record::Remembered { key, until, ids } => {
                let there = self.remembered.get(key);
                *until <= now || there.is_some_and(|there| there.until == *until && there.ids == *ids)
            }
            Record::Person(record) => {
                self.people.get(&record.id).is_some_and(|stored| self.person_record(record.id, stored) == **record)
            }
            Record::Entry { person, seq, bytes } => {
                self.people.get(person).is_some_and(|stored| stored.inbox.get(seq) == Some(bytes))
            }
            Record::Unmapped { row, payload } => self
                .dead
                .get(&row.id)
                .is_some_and(|letter| letter.row == *row && letter.payload.as_ref() == Some(payload)),
            Record::Shared { name, document } => self.shared.get(name) == Some(document),
        };
        records
            .iter()
            .map(|record| if is_known(record) { Transferred::AlreadyThere } else { Transferred::Taken })
            .collect()
    }

    fn take_in(&mut self, record: Record) {
        match record {
            Record::Marks(marks) => {
                let marks = self.marks().max(marks);
                (self.last_seq, self.last_fence, self.tats) = (marks.last_seq, marks.last_fence, marks.tats);
            }
            Record::Remembered { key, until, ids } => {
                self.remembered.insert(key, Remembered { until, ids, says: None });
            }
            Record::Person(record) => self.take_person(*record),
            Record::Entry { person, seq, bytes } => {
                if let Some(stored) = self.people.get_mut(&person) {
                    stored.inbox.insert(seq, bytes);
                }
            }
            Record::Unmapped { row, payload } => {
                self.dead.insert(row.id, Letter { row, blocks: None, payload: Some(payload) });
            }
            Record::Shared { name, document } => {
                self.shared.insert(name, document);
            }
        }
    }

    fn take_person(&mut self, record: PersonRecord) {
        let id = record.id;
        self.owners.retain(|_, owner| *owner != id);
        self.owners.extend(record.owned.into_iter().map(|key| (key, id)));
        self.dead.retain(|_, letter| letter.blocks != Some(id));
        if let Some(row) = record.dead {
            self.dead.insert(row.id, Letter { row, blocks: Some(id), payload: None });
        }
        let mut stored = StoredPerson::new(record.source, record.since);
        stored.document = record.document;
        stored.lane = record.lane;
        stored.newest = record.newest;
        stored.story = record.story;
        stored.terms = record.terms.into_iter().collect();
        self.people.insert(id, stored);
    }
}
