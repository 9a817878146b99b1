//! Inboxes: entries in the order of acceptance, each linked to the same person's next one. An index by person would
//! cost every delivery one more page, at a random place.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::unreadable;
use super::figures::{count, signed, unsigned};
use super::writer::Work;
use crate::store::{InboxEntry, StoreError};

/// Appends an entry for an existing person.
pub(super) fn push(work: &mut Work<'_>, person: i64, seq: i64, bytes: &[u8]) -> Result<(), StoreError> {
    let (source, last): (String, Option<i64>) = work
        .db
        .prepare_cached("SELECT source, inbox_last FROM person WHERE id = ?1")?
        .query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))?;
    work.db
        .prepare_cached(
            "UPDATE person SET inbox_first = coalesce(inbox_first, ?2), inbox_last = ?2, inbox_count = inbox_count + 1
             WHERE id = ?1",
        )?
        .execute([person, seq])?;
    if let Some(last) = last {
        work.db.prepare_cached("UPDATE inbox SET next = ?2 WHERE seq = ?1")?.execute([last, seq])?;
    }
    insert(work, &source, seq, bytes)
}

/// Writes an entry as the person's last, and counts it.
pub(super) fn insert(work: &mut Work<'_>, source: &str, seq: i64, bytes: &[u8]) -> Result<(), StoreError> {
    let mut statement = work.db.prepare_cached("INSERT INTO inbox (seq, bytes) VALUES (?1, ?2)")?;
    statement.execute(params![seq, bytes])?;
    count(&mut work.control.tally.entries, source, 1);
    Ok(())
}

/// The first entries of an inbox, and how many there are.
pub(super) fn read(db: &Connection, person: i64, entries_max: usize) -> Result<(Vec<InboxEntry>, u64), StoreError> {
    let mut statement = db.prepare_cached("SELECT inbox_first, inbox_count FROM person WHERE id = ?1")?;
    let ends = statement.query_row([person], |row| Ok((row.get(0)?, unsigned(row.get(1)?)))).optional()?;
    let (mut next, all): (Option<i64>, u64) = ends.unwrap_or((None, 0));
    let wanted = usize::try_from(all).unwrap_or(usize::MAX).min(entries_max);
    let mut entries = Vec::new();
    while entries.len() < wanted {
        // A broken link, or a chain that ends too early, must not lose the entries behind it.
        let seq = next.ok_or_else(|| unreadable(person, "inbox"))?;
        let (following, bytes) = entry(db, seq)?.ok_or_else(|| unreadable(person, "inbox"))?;
        entries.push(InboxEntry { seq: unsigned(seq), bytes });
        next = following;
    }
    Ok((entries, all))
}

/// An entry's bytes, and the person's next entry.
pub(super) fn entry(db: &Connection, seq: i64) -> Result<Option<(Option<i64>, Bytes)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT next, bytes FROM inbox WHERE seq = ?1")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)));
    Ok(statement.query_row([seq], read).optional()?)
}

/// The entry after this one of the same person.
pub(super) fn next_of(db: &Connection, seq: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = db.prepare_cached("SELECT next FROM inbox WHERE seq = ?1")?;
    Ok(statement.query_row([seq], |row| row.get(0)).optional()?.flatten())
}

/// Drops entries up to this place; returns whether any are left.
pub(super) fn fold(work: &mut Work<'_>, person: i64, to: u64) -> Result<bool, StoreError> {
    let (source, first, all): (String, Option<i64>, i64) = work
        .db
        .prepare_cached("SELECT source, inbox_first, inbox_count FROM person WHERE id = ?1")?
        .query_row([person], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (mut next, mut gone) = (first, 0);
    while let Some(seq) = next.filter(|seq| *seq <= signed(to)) {
        let mut statement = work.db.prepare_cached("DELETE FROM inbox WHERE seq = ?1 RETURNING next")?;
        next = statement.query_row([seq], |row| row.get(0)).optional()?.flatten();
        gone += 1;
    }
    if gone > 0 {
        work.db
            .prepare_cached(
                "UPDATE person SET inbox_first = ?2, inbox_last = iif(?2 IS NULL, NULL, inbox_last), inbox_count = ?3
                 WHERE id = ?1",
            )?
            .execute(params![person, next, if next.is_some() { all - gone } else { 0 }])?;
        count(&mut work.control.tally.entries, &source, -gone);
    }
    Ok(next.is_some())
}
