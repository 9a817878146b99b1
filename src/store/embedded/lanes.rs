//! A person's lane: loaded, moved from state to state, saved, and counted along.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::control::Tally;
use super::writer::Work;
use crate::core::event::EventKind;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// Where a lane stands. A lane with anything in it, or with a dead Hire before it, is in exactly one
/// of the last three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneState {
    /// Nothing waits.
    Idle,
    /// Its head may run from `at`.
    Due { head: i64, kind: EventKind, at: UnixMs },
    /// A worker has `job` until then. Another job may have come to the head meanwhile, by a replay.
    Leased { job: i64, kind: EventKind, until: UnixMs },
    /// Behind a dead Hire, whether or not anything waits.
    Parked,
}

/// A person's lane.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) person: i64,
    pub(super) state: LaneState,
    pub(super) fence: i64,
    /// Of whose claim the lease is, and which of theirs.
    pub(super) claim: Option<(Arc<str>, i64)>,
    /// Live jobs, the leased one included.
    pub(super) queued: i64,
    /// Dead Hires that the lane waits behind.
    pub(super) parks: i64,
    /// As it was loaded, for the tally.
    counted: Tally,
}

macro_rules! lane_columns {
    () => {
        "person, lane_state, lane_seq, lane_kind, lane_at, fence, queued, parks, worker, claim"
    };
}

pub(super) const LANE_COLUMNS: &str = lane_columns!();

impl Lane {
    /// The lane of a person, where the store has heard of them.
    pub(super) fn find(work: &Work<'_>, key: &str) -> Result<Option<Self>, StoreError> {
        let mut statement =
            work.db.prepare_cached(concat!("SELECT ", lane_columns!(), " FROM people WHERE key = ?1"))?;
        Ok(statement.query_row([key], Self::read).optional()?)
    }

    /// The lane of a person who is known to have one.
    pub(super) fn of(work: &Work<'_>, person: i64) -> Result<Self, StoreError> {
        let mut statement =
            work.db.prepare_cached(concat!("SELECT ", lane_columns!(), " FROM people WHERE person = ?1"))?;
        Ok(statement.query_row([person], Self::read)?)
    }

    /// Makes the lane of a person whom the store has not heard of, with a first job that is due from
    /// now, and gives the person. Written at once: most of what is accepted is a hire.
    pub(super) fn begin(
        work: &mut Work<'_>,
        key: &str,
        seq: i64,
        kind: EventKind,
        now: UnixMs,
    ) -> Result<i64, StoreError> {
        work.db
            .prepare_cached(
                "INSERT INTO people (key, lane_state, lane_seq, lane_kind, lane_at, queued)
                 VALUES (?1, 'due', ?2, ?3, ?4, 1)",
            )?
            .execute(params![key, seq, kind.as_str(), now.0])?;
        work.control.tally.waiting += 1;
        work.control.tally.lanes += 1;
        *work.wake = true;
        Ok(work.db.last_insert_rowid())
    }

    /// Reads [`LANE_COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let state: Option<String> = row.get(1)?;
        let state = match state.as_deref() {
            None => LaneState::Idle,
            Some("due") => LaneState::Due { head: row.get(2)?, kind: kind(row, 3)?, at: UnixMs(row.get(4)?) },
            Some("leased") => LaneState::Leased { job: row.get(2)?, kind: kind(row, 3)?, until: UnixMs(row.get(4)?) },
            Some(_) => LaneState::Parked,
        };
        let mut lane = Self {
            person: row.get(0)?,
            state,
            fence: row.get(5)?,
            queued: row.get(6)?,
            parks: row.get(7)?,
            claim: row.get::<_, Option<Arc<str>>>(8)?.zip(row.get(9)?),
            counted: Tally::default(),
        };
        lane.counted = lane.tally();
        Ok(lane)
    }

    /// Puts a live job into the lane, that may run there from `at`.
    pub(super) fn enter(&mut self, seq: i64, kind: EventKind, at: UnixMs) {
        self.queued += 1;
        match self.state {
            LaneState::Idle => self.state = LaneState::Due { head: seq, kind, at },
            LaneState::Due { head, .. } if seq < head => self.state = LaneState::Due { head: seq, kind, at },
            LaneState::Due { .. } | LaneState::Leased { .. } | LaneState::Parked => {}
        }
    }

    /// Finds out where the lane stands after its leased job was settled, or a dead Hire before it
    /// is gone: parked, or due with its first job.
    pub(super) fn advance(&mut self, work: &Work<'_>, now: UnixMs) -> Result<(), StoreError> {
        if self.parks > 0 {
            self.state = LaneState::Parked;
            return Ok(());
        }
        let mut statement = work.db.prepare_cached(
            "SELECT seq, kind, due_at FROM jobs WHERE person = ?1 AND state = 'live' ORDER BY seq LIMIT 1",
        )?;
        let head = statement
            .query_row([self.person], |row| Ok((row.get(0)?, kind(row, 1)?, UnixMs(row.get(2)?))))
            .optional()?;
        self.state = match head {
            Some((head, kind, due_at)) => LaneState::Due { head, kind, at: due_at.max(now) },
            None => LaneState::Idle,
        };
        Ok(())
    }

    /// Writes the lane, and counts the difference.
    pub(super) fn save(&self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let (state, seq, kind, at) = match self.state {
            LaneState::Idle => (None, None, None, None),
            LaneState::Due { head, kind, at } => (Some("due"), Some(head), Some(kind), Some(at)),
            LaneState::Leased { job, kind, until } => (Some("leased"), Some(job), Some(kind), Some(until)),
            LaneState::Parked => (Some("parked"), None, None, None),
        };
        let claim = self.claim.as_ref().filter(|_| matches!(self.state, LaneState::Leased { .. }));
        work.db
            .prepare_cached(
                "UPDATE people SET lane_state = ?2, lane_seq = ?3, lane_kind = ?4, lane_at = ?5,
                     fence = ?6, queued = ?7, parks = ?8, worker = ?9, claim = ?10 WHERE person = ?1",
            )?
            .execute(params![
                self.person,
                state,
                seq,
                kind.map(EventKind::as_str),
                at.map(|at| at.0),
                self.fence,
                self.queued,
                self.parks,
                claim.map(|(worker, _)| worker.as_ref()),
                claim.map(|(_, number)| number)
            ])?;
        let (now, was, tally) = (self.tally(), self.counted, &mut work.control.tally);
        tally.waiting += now.waiting - was.waiting;
        tally.running += now.running - was.running;
        tally.parked += now.parked - was.parked;
        tally.lanes += now.lanes - was.lanes;
        if matches!(self.state, LaneState::Due { .. }) {
            *work.wake = true;
        }
        Ok(())
    }

    fn tally(&self) -> Tally {
        let queued = self.queued;
        let mut tally = Tally { lanes: i64::from(queued > 0), ..Tally::default() };
        match self.state {
            LaneState::Idle => {}
            LaneState::Due { .. } => tally.waiting = queued,
            LaneState::Leased { .. } => (tally.running, tally.waiting) = (1, queued - 1),
            LaneState::Parked => tally.parked = queued,
        }
        tally
    }
}

/// Reads a column that says `hire` or `rename`.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<EventKind> {
    match row.get_ref(column)?.as_str()? {
        "hire" => Ok(EventKind::Hire),
        "rename" => Ok(EventKind::Rename),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(column, 0)),
    }
}

/// Nothing is ever put off for longer (the longest pause is a day): what is due later than that was put
/// off by a clock that has been set back since.
const PUT_OFF_MS_MAX: u64 = 86_400_000;

/// Ends every lease: the next claim takes its lane over. What a wrong clock put off is due now.
pub(super) fn end_leases(work: &mut Work<'_>, now: UnixMs) -> Result<(), StoreError> {
    work.db.prepare_cached("UPDATE people SET lane_at = 0 WHERE lane_state = 'leased'")?.execute([])?;
    work.db
        .prepare_cached("UPDATE people SET lane_at = ?1 WHERE lane_state = 'due' AND lane_at > ?2")?
        .execute([now.0, now.plus_ms(PUT_OFF_MS_MAX).0])?;
    Ok(())
}
