//! Lanes as rows, and how many are in each state.

use rusqlite::{OptionalExtension, Row, params};

use super::failure::unreadable;
use super::figures::{count, signed};
use super::inbox;
use super::writer::Work;
use crate::core::time::UnixMs;
use crate::store::{Lane, LaneState, NewEntry, StoreError};

/// A lane as stored.
#[derive(Debug)]
pub(super) struct LaneRow {
    pub(super) person: i64,
    pub(super) lane: Lane,
    pub(super) since: UnixMs,
    pub(super) newest: Option<[u8; 16]>,
    /// The lease's fence, while there is one.
    pub(super) fence: Option<i64>,
}

pub(super) fn read_state(text: &str) -> Option<LaneState> {
    LaneState::ALL.into_iter().find(|state| state.as_str() == text)
}

impl LaneRow {
    /// Reads `id, state, due, wakes, tag, since, newest, fence`.
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let person = row.get(0)?;
        let state = row.get_ref(1)?.as_str().ok().and_then(read_state);
        Ok(Self {
            person,
            lane: Lane {
                state: state.ok_or_else(|| unreadable(person, "state"))?,
                due: row.get::<_, Option<i64>>(2)?.map(UnixMs),
                wakes: row.get(3)?,
                tag: row.get(4)?,
            },
            since: UnixMs(row.get(5)?),
            newest: row.get(6)?,
            fence: row.get(7)?,
        })
    }

    /// This person's place in the queue; none if there is no such person.
    pub(super) fn find(work: &Work<'_>, person: i64) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT id, state, due, wakes, tag, since, newest, fence FROM person WHERE id = ?1";
        let mut statement = work.db.prepare_cached(sql)?;
        statement.query_row([person], |row| Ok(Self::read(row))).optional()?.transpose()
    }

    /// Moves the lane in the queue; a lease on it ends.
    pub(super) fn move_to(&mut self, work: &mut Work<'_>, lane: Lane, now: UnixMs) -> Result<(), StoreError> {
        let state = lane.state.as_str();
        work.db
            .prepare_cached(
                "UPDATE person SET state = ?2, due = ?3, wakes = ?4, tag = ?5, since = ?6,
                     worker = NULL, claim = NULL, fence = NULL, lease_until = NULL
                 WHERE id = ?1",
            )?
            .execute(params![self.person, state, lane.due.map(|due| due.0), lane.wakes, lane.tag, now.0])?;
        self.count(work, lane.state);
        *work.wake |= lane.due.is_some();
        (self.lane, self.since, self.fence) = (lane, now, None);
        Ok(())
    }

    /// Counts a lane that changes its state.
    pub(super) fn count(&self, work: &mut Work<'_>, to: LaneState) {
        let lanes = &mut work.control.tally.lanes;
        count(lanes, self.lane.state.as_str(), -1);
        count(lanes, to.as_str(), 1);
    }
}

/// What to remember as the key of the person's newest delivery.
#[derive(Debug, Clone, Copy)]
pub(super) enum Newest {
    /// It stays: the entry does not come from a delivery.
    Stays,
    /// This key, if it is a hash of the body.
    Is(Option<[u8; 16]>),
}

/// Appends an entry to a person's inbox, and creates the person if necessary. The lane becomes due if the entry wakes
/// it.
pub(super) fn append(work: &mut Work<'_>, now: UnixMs, entry: &NewEntry, newest: Newest) -> Result<(), StoreError> {
    let person = signed(entry.person.id().0);
    let seq = signed(work.control.next_seq());
    if let Some(mut row) = LaneRow::find(work, person)? {
        if let Some(lane) = row.lane.woken(now) {
            row.move_to(work, lane, now)?;
        }
        if let Newest::Is(newest) = newest
            && newest != row.newest
        {
            work.db.prepare_cached("UPDATE person SET newest = ?2 WHERE id = ?1")?.execute(params![person, newest])?;
        }
        return inbox::push(work, person, seq, &entry.bytes);
    }
    let newest = match newest {
        Newest::Is(newest) => newest,
        Newest::Stays => None,
    };
    let source = entry.person.source.as_str();
    work.db
        .prepare_cached(
            "INSERT INTO person (id, source, state, due, wakes, since, newest, inbox_first, inbox_last, inbox_count)
             VALUES (?1, ?2, 'waiting', ?3, 1, ?3, ?4, ?5, ?5, 1)",
        )?
        .execute(params![person, source, now.0, newest, seq])?;
    count(&mut work.control.tally.lanes, LaneState::Waiting.as_str(), 1);
    *work.wake = true;
    inbox::insert(work, source, seq, &entry.bytes)
}

/// Puts an operator's entry into the inbox; unless a worker has the person, they become due. Returns whether there is
/// such a person.
pub(super) fn put(work: &mut Work<'_>, now: UnixMs, entry: &NewEntry) -> Result<bool, StoreError> {
    let person = signed(entry.person.id().0);
    if LaneRow::find(work, person)?.is_none() {
        return Ok(false);
    }
    append(work, now, entry, Newest::Stays)?;
    if let Some(mut row) = LaneRow::find(work, person)?.filter(|row| row.fence.is_none()) {
        let lane = row.lane.released(now);
        if lane != row.lane {
            row.move_to(work, lane, now)?;
        }
        *work.wake = true;
    }
    Ok(true)
}

/// Makes the people due who are parked under a tag, those parked the longest first.
pub(super) fn release(work: &mut Work<'_>, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
    let mut released = 0;
    for person in parked(work, tag, people_max)? {
        if let Some(mut row) = LaneRow::find(work, person)? {
            let lane = row.lane.released(now);
            row.move_to(work, lane, now)?;
            released += 1;
        }
    }
    Ok(released)
}

/// People parked under a tag, those parked longest first.
pub(super) fn parked(work: &Work<'_>, tag: &str, people_max: u64) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM person WHERE tag = ?1 ORDER BY since, id LIMIT ?2";
    let mut statement = work.db.prepare_cached(sql)?;
    let rows = statement.query_map(params![tag, signed(people_max)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends every lease: its person is due at once, and it does not count as a take-over.
pub(super) fn end_leases(work: &mut Work<'_>, now: UnixMs) -> Result<u64, StoreError> {
    let leased: Vec<i64> = {
        let mut statement = work.db.prepare_cached("SELECT id FROM person WHERE lease_until IS NOT NULL")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    give_back(work, now, &leased)
}

/// Makes people due whose lease ends without a commit.
pub(super) fn give_back(work: &mut Work<'_>, now: UnixMs, people: &[i64]) -> Result<u64, StoreError> {
    let mut given_back = 0;
    for person in people {
        if let Some(mut row) = LaneRow::find(work, *person)? {
            row.move_to(work, Lane::due_at(now), now)?;
            given_back += 1;
        }
    }
    Ok(given_back)
}
