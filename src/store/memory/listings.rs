//! Listings and figures.

use std::cmp::Reverse;

use super::state::State;
use crate::core::person::PersonId;
use crate::core::person::job::JobId;
use crate::store::listing::{Row, cursor, page, read_cursor};
use crate::store::{DeadFilter, DeadRow, LaneState, Listed, Page, PersonRow, Stats, StoreError};

impl State {
    pub(super) fn list_people(&self, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let after = after(wanted, PersonId::parse)?;
        let rows = self.people.iter().map(|(id, stored)| (id.to_string(), stored.row(*id)));
        list(wanted, rows.filter(|(_, row)| after.is_none_or(|after| row.id > after)))
    }

    pub(super) fn list_lanes(&self, state: LaneState, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let after = after(wanted, |after| read_cursor(after, PersonId::parse))?;
        let mut rows: Vec<_> = self.people.iter().filter(|(_, stored)| stored.lane.state == state).collect();
        rows.sort_by_key(|(id, stored)| (stored.since, **id));
        rows.retain(|(id, stored)| after.is_none_or(|after| (stored.since, **id) > after));
        list(wanted, rows.into_iter().map(|(id, stored)| (cursor(stored.since, id), stored.row(*id))))
    }

    /// Ordered by the person's id.
    pub(super) fn search(&self, prefix: &str, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let after = after(wanted, PersonId::parse)?;
        let found = self.people.iter().filter(|(id, stored)| {
            after.is_none_or(|after| **id > after)
                && stored.terms.range(prefix.to_owned()..).next().is_some_and(|term| term.starts_with(prefix))
        });
        list(wanted, found.map(|(id, stored)| (id.to_string(), stored.row(*id))))
    }

    pub(super) fn list_dead(&self, filter: &DeadFilter, wanted: &Page) -> Result<Listed<DeadRow>, StoreError> {
        let after = after(wanted, |after| read_cursor(after, JobId::parse))?;
        let mut rows: Vec<_> = self.dead.values().map(|letter| &letter.row).filter(|row| filter.takes(row)).collect();
        rows.sort_by_key(|row| Reverse((row.died_at, row.id)));
        rows.retain(|row| after.is_none_or(|after| (row.died_at, row.id) < after));
        let row = |row: &DeadRow| Row { cursor: cursor(row.died_at, row.id), bytes: row.bytes(), shown: row.clone() };
        page(wanted, rows.into_iter().map(|found| Ok(row(found))))
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats {
            people: self.people.values().filter(|stored| stored.document.is_some()).count() as u64,
            dead_bytes: self.dead.values().map(super::state::Letter::payload_bytes).sum(),
            oldest_due_at: self.people.values().filter_map(|stored| stored.lane.due).min(),
            ..Stats::default()
        };
        for state in LaneState::ALL.into_iter().filter(|state| *state != LaneState::Idle) {
            let there = self.people.values().filter(|stored| stored.lane.state == state).count() as u64;
            stats.lanes.insert(state.as_str().to_owned(), there);
        }
        for stored in self.people.values().filter(|stored| !stored.inbox.is_empty()) {
            *stats.entries.entry(stored.source.to_string()).or_default() += stored.inbox.len() as u64;
        }
        for letter in self.dead.values() {
            *stats.dead.entry(letter.row.code.clone()).or_default() += 1;
            *stats.dead_by_source.entry(letter.row.source.to_string()).or_default() += 1;
        }
        stats
    }
}

fn list(wanted: &Page, rows: impl Iterator<Item = (String, PersonRow)>) -> Result<Listed<PersonRow>, StoreError> {
    page(wanted, rows.map(|(cursor, row)| Ok(Row { cursor, bytes: row.bytes(), shown: row })))
}

/// The position after which a page begins.
fn after<T>(wanted: &Page, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
    wanted.after.as_deref().map(|after| read(after).ok_or(StoreError::Cursor)).transpose()
}
