//! Dead letters, and people who are erased.

use rusqlite::{Row, params};

use super::figures::{count, signed};
use super::inbox;
use super::lanes::{Newest, append, release};
use super::writer::Work;
use crate::core::person::Person;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;
use crate::store::{DeadRow, NewEntry, NewUnmapped, RELEASED_MAX, StoreError};

/// The columns that [`read`] reads.
pub(super) const DEAD: &str = "id, source, person, event, died_at, code, detail, blocks";

pub(super) fn read(row: &Row<'_>) -> Result<DeadRow, StoreError> {
    let id = JobId(u128::from_be_bytes(row.get(0)?));
    let damaged = |column| StoreError::Damaged(format!("dead letter {id}: its {column} cannot be parsed"));
    let source: String = row.get(1)?;
    let person: Option<String> = row.get(2)?;
    let event: Option<String> = row.get(3)?;
    Ok(DeadRow {
        id,
        source: source.try_into().map_err(|_| damaged("source"))?,
        person: person.as_deref().and_then(Person::from_key),
        // A kind that this version does not know is shown as none.
        event: event.and_then(|event| serde_json::from_value(event.into()).ok()),
        died_at: UnixMs(row.get(4)?),
        code: row.get(5)?,
        detail: row.get(6)?,
        unmapped: row.get::<_, Option<i64>>(7)?.is_none(),
    })
}

/// Adds a dead letter: one that blocks a lane, or an unmapped record with its payload.
pub(super) fn put_dead(
    work: &mut Work<'_>,
    row: &DeadRow,
    blocks: Option<i64>,
    payload: Option<&[u8]>,
) -> Result<(), StoreError> {
    let id = row.id.0.to_be_bytes();
    drop_where(work, "id = ?1", id)?;
    work.db
        .prepare_cached(
            "INSERT INTO dead (id, blocks, source, person, event, died_at, code, detail, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            id,
            blocks,
            row.source.as_str(),
            row.person.as_ref().map(ToString::to_string),
            row.event.map(crate::core::person::EventKind::as_str),
            row.died_at.0,
            row.code,
            row.detail,
            payload
        ])?;
    let tally = &mut work.control.tally;
    count(&mut tally.dead, &row.code, 1);
    count(&mut tally.dead_by_source, row.source.as_str(), 1);
    count(&mut tally.dead_bytes, row.source.as_str(), signed(payload.map_or(0, <[u8]>::len) as u64));
    Ok(())
}

/// Drops the dead letter that blocks a lane.
pub(super) fn heal(work: &mut Work<'_>, person: i64) -> Result<(), StoreError> {
    drop_where(work, "blocks = ?1", person).map(|_| ())
}

/// Drops dead letters, and subtracts them from the totals.
fn drop_where(work: &mut Work<'_>, which: &str, value: impl rusqlite::ToSql) -> Result<u64, StoreError> {
    let sql = format!("DELETE FROM dead WHERE {which} RETURNING code, source, coalesce(length(payload), 0)");
    let mut statement = work.db.prepare_cached(&sql)?;
    let mut rows = statement.query([value])?;
    let tally = &mut work.control.tally;
    let mut dropped = 0;
    while let Some(row) = rows.next()? {
        let (code, source, bytes): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        count(&mut tally.dead, &code, -1);
        count(&mut tally.dead_by_source, &source, -1);
        count(&mut tally.dead_bytes, &source, -bytes);
        dropped += 1;
    }
    Ok(dropped)
}

/// Drops an unmapped record; returns whether there was one.
pub(super) fn discard_unmapped(work: &mut Work<'_>, id: JobId) -> Result<bool, StoreError> {
    Ok(drop_where(work, "id = ?1 AND blocks IS NULL", id.0.to_be_bytes())? > 0)
}

/// Replaces an unmapped record by what a corrected mapping reads in it: entries for inboxes, and whatever is still
/// unmapped.
pub(super) fn replay_unmapped(
    work: &mut Work<'_>,
    now: UnixMs,
    id: JobId,
    entries: &[NewEntry],
    unmapped: &[NewUnmapped],
) -> Result<bool, StoreError> {
    if !discard_unmapped(work, id)? {
        return Ok(false);
    }
    for entry in entries {
        append(work, now, entry, Newest::Stays)?;
    }
    for unmapped in unmapped {
        put_dead(work, &unmapped.row, None, Some(&unmapped.payload))?;
    }
    Ok(true)
}

/// Erases a person and everything that names them, and makes the people due who are parked under these tags. Returns
/// whether there was anything to erase.
pub(super) fn erase(
    work: &mut Work<'_>,
    now: UnixMs,
    person: &Person,
    released: &[String],
) -> Result<bool, StoreError> {
    let letters = drop_where(work, "person = ?1", person.to_string())?;
    let was_there = drop_person(work, signed(person.id().0))?;
    for tag in released {
        release(work, now, tag, RELEASED_MAX)?;
    }
    Ok(was_there || letters > 0)
}

/// Drops a person with everything kept about them; returns whether there was one.
pub(super) fn drop_person(work: &mut Work<'_>, person: i64) -> Result<bool, StoreError> {
    let exists = work.db.prepare_cached("SELECT 1 FROM person WHERE id = ?1")?.exists([person])?;
    if !exists {
        return Ok(false);
    }
    heal(work, person)?;
    inbox::fold(work, person, u64::MAX)?;
    for sql in [
        "DELETE FROM story WHERE person = ?1",
        "DELETE FROM term WHERE person = ?1",
        "DELETE FROM owner WHERE person = ?1",
    ] {
        work.db.prepare_cached(sql)?.execute([person])?;
    }
    let (state, has_document): (String, bool) = work
        .db
        .prepare_cached("DELETE FROM person WHERE id = ?1 RETURNING state, document IS NOT NULL")?
        .query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let tally = &mut work.control.tally;
    count(&mut tally.lanes, &state, -1);
    tally.people = tally.people.saturating_sub(u64::from(has_document));
    Ok(true)
}
