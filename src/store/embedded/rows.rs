//! Jobs as rows.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::unreadable;
use super::lanes::kind;
use crate::core::event::{Event, EventKind};
use crate::core::job::{HistoryEntry, Job, JobId, Progress};
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// A job's row without its event.
pub(super) struct JobRow {
    pub(super) seq: i64,
    pub(super) id: JobId,
    pub(super) person: i64,
    pub(super) kind: EventKind,
    pub(super) attempts: u32,
    pub(super) take_overs: u32,
    pub(super) first_attempt_at: Option<UnixMs>,
    pub(super) due_at: UnixMs,
    pub(super) progress: Progress,
    pub(super) history: Vec<HistoryEntry>,
    accepted_at: UnixMs,
    event: String,
}

/// What [`JobRow::read`] reads; complete a statement with `FROM jobs …`.
pub(super) const SELECT_JOB: &str = "SELECT seq, id, person, kind, accepted_at, due_at, attempts, take_overs,
     first_attempt_at, progress, event, history FROM jobs";

impl JobRow {
    /// By sequence.
    pub(super) fn find(db: &Connection, seq: i64) -> Result<Option<Self>, StoreError> {
        let mut statement = db.prepare_cached(&format!("{SELECT_JOB} WHERE seq = ?1"))?;
        statement.query_row([seq], |row| Ok(Self::read(row))).optional()?.transpose()
    }

    /// A dead job.
    pub(super) fn find_dead(db: &Connection, id: JobId) -> Result<Option<Self>, StoreError> {
        let mut statement = db.prepare_cached(&format!("{SELECT_JOB} WHERE state = 'dead' AND id = ?1"))?;
        statement.query_row([blob(id)], |row| Ok(Self::read(row))).optional()?.transpose()
    }

    /// Reads the columns of [`SELECT_JOB`].
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let id = id(row, 1)?;
        Ok(Self {
            seq: row.get(0)?,
            id,
            person: row.get(2)?,
            kind: kind(row, 3)?,
            accepted_at: UnixMs(row.get(4)?),
            due_at: UnixMs(row.get(5)?),
            attempts: row.get(6)?,
            take_overs: row.get(7)?,
            first_attempt_at: row.get::<_, Option<i64>>(8)?.map(UnixMs),
            // What cannot be read (a newer version's, or damaged) is no reason not to do the job.
            progress: from_json(id, "progress", row.get_ref(9)?.as_str().map_err(rusqlite::Error::from)?)
                .unwrap_or_default(),
            event: row.get(10)?,
            history: from_json(id, "history", row.get_ref(11)?.as_str().map_err(rusqlite::Error::from)?)
                .unwrap_or_default(),
        })
    }

    /// The whole job.
    pub(super) fn into_job(self) -> Result<Job, StoreError> {
        let event: Event = from_json(self.id, "event", &self.event)?;
        Ok(Job {
            id: self.id,
            seq: unsigned(self.seq),
            event,
            accepted_at: self.accepted_at,
            attempts: self.attempts,
            take_overs: self.take_overs,
            first_attempt_at: self.first_attempt_at,
            progress: self.progress,
            history: self.history,
        })
    }

    /// The id of a job, by sequence; an id that does not read is an error.
    pub(super) fn id_of(db: &Connection, seq: i64) -> Result<Option<JobId>, StoreError> {
        let mut statement = db.prepare_cached("SELECT id FROM jobs WHERE seq = ?1")?;
        Ok(statement.query_row([seq], |row| id(row, 0)).optional()?)
    }

    /// Due at once, and as if it had not been tried: the time to give up starts with the first attempt
    /// that counts.
    pub(super) fn undo_attempt(&mut self, now: UnixMs) {
        self.due_at = now;
        if self.attempts == 0 {
            self.first_attempt_at = None;
        }
    }

    /// Writes what an attempt changes.
    pub(super) fn save(&self, db: &Connection) -> Result<(), StoreError> {
        db.prepare_cached(
            "UPDATE jobs SET due_at = ?2, attempts = ?3, take_overs = ?4, first_attempt_at = ?5, progress = ?6,
                 history = ?7 WHERE seq = ?1",
        )?
        .execute(params![
            self.seq,
            self.due_at.0,
            self.attempts,
            self.take_overs,
            self.first_attempt_at.map(|at| at.0),
            to_json(&self.progress)?,
            to_json(&self.history)?
        ])?;
        Ok(())
    }
}

/// Writes a new live job.
pub(super) fn insert(
    db: &Connection,
    seq: i64,
    id: JobId,
    person: i64,
    event: &Event,
    now: UnixMs,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO jobs (seq, id, person, state, kind, accepted_at, due_at, progress, event, history)
         VALUES (?1, ?2, ?3, 'live', ?4, ?5, ?5, ?6, ?7, '[]')",
    )?
    .execute(params![
        seq,
        blob(id),
        person,
        event.kind().as_str(),
        now.0,
        to_json(&Progress::default())?,
        to_json(event)?
    ])?;
    Ok(())
}

/// An id as it is stored.
pub(super) fn blob(id: JobId) -> [u8; 16] {
    id.0.to_be_bytes()
}

/// Reads an id.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<JobId> {
    Ok(JobId(u128::from_be_bytes(row.get(column)?)))
}

/// Numbers here are never negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A limit of rows for SQL.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a column of JSON; an error does not quote it.
pub(super) fn from_json<T: DeserializeOwned>(id: JobId, column: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(id, column))
}

/// Writes a column of JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Damaged("a value cannot be written as JSON".to_owned()))
}
