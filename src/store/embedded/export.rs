//! The content as no engine in particular has it, read page by page from the last commit.

use rusqlite::{Connection, OptionalExtension, Params, params};

use super::rows::{blob, signed, unsigned};
use super::views::{SELECT_VIEW, dead_jobs, letters, view};
use super::writer::Work;
use crate::core::event::Person;
use crate::core::job::{HistoryEntry, JobId, JobState, Note, extend_history};
use crate::core::time::UnixMs;
use crate::store::transfer::MARK;
use crate::store::{Exported, Origin, Position, Record, Remembered, Section, StoreError};

/// Which store this is; made so where it is nameless.
pub(super) fn origin(work: &Work<'_>, fresh: [u8; 16]) -> Result<Origin, StoreError> {
    let id = if let Some(id) = identity(work.db)? {
        id
    } else {
        let (halves, _) = fresh.as_chunks::<8>();
        for (name, half) in IDENTITY.iter().zip(halves) {
            set_number(work.db, name, i64::from_be_bytes(*half))?;
        }
        fresh
    };
    Ok(Origin { id, next_seq: unsigned(work.control.next_seq) })
}

/// Two halves of 16 bytes: numbers are all that is kept there.
const IDENTITY: [&str; 2] = ["identity_high", "identity_low"];

pub(super) fn identity(db: &Connection) -> Result<Option<[u8; 16]>, StoreError> {
    let mut id = [0; 16];
    for (name, bytes) in IDENTITY.iter().zip(id.chunks_mut(8)) {
        let Some(half) = number(db, name)? else { return Ok(None) };
        bytes.copy_from_slice(&half.to_be_bytes());
    }
    Ok(Some(id))
}

/// A number of the control table that is not kept in memory.
pub(super) fn number(db: &Connection, name: &str) -> Result<Option<i64>, StoreError> {
    let mut statement = db.prepare_cached("SELECT value FROM control WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

pub(super) fn set_number(db: &Connection, name: &str, value: i64) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO control (name, value) VALUES (?1, ?2)")?.execute(params![name, value])?;
    Ok(())
}

/// A page of a section. A position is the number of the last row looked at, or its id or key, behind a
/// letter for the table.
pub(super) fn export(
    db: &Connection,
    now: UnixMs,
    section: Section,
    after: Option<&Position>,
    rows_max: usize,
) -> Result<Exported, StoreError> {
    let (table, after) = after.and_then(|position| position.0.split_first()).unwrap_or((&b'j', &[]));
    let number = after.try_into().map_or(0, i64::from_be_bytes);
    let limit = signed(rows_max as u64);
    match (section, table) {
        // They are in memory: see `Embedded::export`.
        (Section::Holds, _) => Ok(Exported { records: Vec::new(), next: None }),
        (Section::People, _) => people(db, number, limit),
        (Section::Dead, b'j') => {
            // By number and not by index: the table is gone through once over all pages.
            let dead = dead_jobs(db, "WHERE +state = 'dead' AND seq > ?1 ORDER BY seq LIMIT ?2", [number, limit])?;
            let last = dead.last().and_then(|letter| match &letter.origin {
                crate::core::job::DeadOrigin::Job(job) => Some(at('j', &signed(job.seq).to_be_bytes())),
                crate::core::job::DeadOrigin::Unmapped { .. } => None,
            });
            let next = if dead.len() < rows_max { Some(at('u', &[])) } else { last };
            Ok(Exported { records: dead.into_iter().map(|letter| Record::Dead(Box::new(letter))).collect(), next })
        }
        (Section::Dead, _) => {
            let dead = letters(db, "SELECT * FROM unmapped WHERE id > ?1 ORDER BY id LIMIT ?2", params![after, limit])?;
            let next = dead.last().filter(|_| dead.len() == rows_max).map(|letter| at('u', &blob(letter.id)));
            Ok(Exported { records: dead.into_iter().map(|letter| Record::Dead(Box::new(letter))).collect(), next })
        }
        (Section::Waiting, _) => jobs(db, "live", number, rows_max, |row| waiting(row, now)),
        (Section::Finished, _) => jobs(db, "done", number, rows_max, finished),
        (Section::Deliveries, _) => deliveries(db, now, after, limit),
    }
}

fn at(table: char, key: &[u8]) -> Position {
    let mut bytes = vec![table as u8];
    bytes.extend(key);
    Position(bytes)
}

/// What `read` makes of each row, and the number of the last.
fn page(
    db: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<(Position, Record), StoreError>,
) -> Result<(Vec<Record>, Option<Position>), StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let (mut records, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let (position, record) = read(row)?;
        records.push(record);
        last = Some(position);
    }
    Ok((records, last))
}

fn whole_page((records, last): (Vec<Record>, Option<Position>), rows_max: usize) -> Exported {
    let next = last.filter(|_| records.len() == rows_max);
    Exported { records, next }
}

fn people(db: &Connection, after: i64, limit: i64) -> Result<Exported, StoreError> {
    let sql = "SELECT person, key, directory FROM people WHERE person > ?1 AND directory IS NOT NULL
               ORDER BY person LIMIT ?2";
    let read = |row: &rusqlite::Row<'_>| {
        let number: i64 = row.get(0)?;
        let damage =
            || StoreError::Damaged(format!("the directory entry of person number {number} does not read back"));
        let person = Person::from_key(&row.get::<_, String>(1)?).ok_or_else(damage)?;
        let entry = serde_json::from_str(&row.get::<_, String>(2)?).map_err(|_| damage())?;
        Ok((at('j', &number.to_be_bytes()), Record::Person(person, entry)))
    };
    Ok(whole_page(page(db, sql, [after, limit], read)?, usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// Jobs of a state by their numbers: the table is gone through once over all pages.
fn jobs(
    db: &Connection,
    state: &str,
    after: i64,
    rows_max: usize,
    record: impl Fn(&rusqlite::Row<'_>) -> Result<Record, StoreError>,
) -> Result<Exported, StoreError> {
    let sql = format!("{SELECT_VIEW} WHERE +j.state = ?1 AND j.seq > ?2 ORDER BY j.seq LIMIT ?3");
    let read = |row: &rusqlite::Row<'_>| {
        let seq: i64 = row.get(0)?;
        Ok((at('j', &seq.to_be_bytes()), record(row)?))
    };
    Ok(whole_page(page(db, &sql, params![state, after, signed(rows_max as u64)], read)?, rows_max))
}

fn waiting(row: &rusqlite::Row<'_>, now: UnixMs) -> Result<Record, StoreError> {
    let own_due_at = UnixMs(row.get(5)?);
    let view = view(row)?;
    let mut job = view.job;
    // The store's lock is ours: whoever had the lease is gone, and this is what the next claim would do.
    if view.state == JobState::Running {
        job.take_overs = job.take_overs.saturating_add(1);
        extend_history(&mut job.history, [HistoryEntry { at: now, note: Note::TakenOver }]);
        return Ok(Record::Waiting { job: Box::new(job), due_at: now });
    }
    Ok(Record::Waiting { job: Box::new(job), due_at: view.due_at.unwrap_or(own_due_at) })
}

fn finished(row: &rusqlite::Row<'_>) -> Result<Record, StoreError> {
    let view = view(row)?;
    let (at, outcome) = view.finished.ok_or_else(|| super::failure::unreadable(view.job.id, "outcome"))?;
    Ok(Record::Finished { job: Box::new(view.job), at, outcome })
}

fn deliveries(db: &Connection, now: UnixMs, after: &[u8], limit: i64) -> Result<Exported, StoreError> {
    let sql = "SELECT key, fingerprint, until, ids FROM deliveries
               WHERE key > ?1 AND until > ?2 AND fingerprint <> ?3 ORDER BY key LIMIT ?4";
    let read = |row: &rusqlite::Row<'_>| {
        let (key, ids): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(3)?);
        let (ids, _) = ids.as_chunks::<16>();
        let ids = ids.iter().map(|id| JobId(u128::from_be_bytes(*id))).collect();
        let delivery = Remembered { key, fingerprint: row.get(1)?, until: UnixMs(row.get(2)?), ids };
        Ok((at('j', &key), Record::Delivery(delivery)))
    };
    let rows_max = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(whole_page(page(db, sql, params![after, now.0, MARK, limit], read)?, rows_max))
}
