//! Commits, and claims on members.

use rusqlite::{OptionalExtension, params};

use super::claim::{held, person_id};
use super::dead::{heal, put_dead};
use super::figures::signed;
use super::inbox;
use super::lanes::{LaneRow, Newest, append, release};
use super::writer::Work;
use crate::core::time::UnixMs;
use crate::store::{Commit, Committed, DeadChange, Former, Lease, Own, Owned, RELEASED_MAX, StoreError};

/// Ends an attempt under its fence.
pub(super) fn commit(
    work: &mut Work<'_>,
    now: UnixMs,
    lease: &Lease,
    commit: &Commit,
) -> Result<Committed, StoreError> {
    let Some(mut row) = held(work, lease)? else { return Ok(Committed::Stale) };
    let person = row.person;
    if let Some(document) = &commit.document {
        let had_one: bool = work
            .db
            .prepare_cached("SELECT document IS NOT NULL FROM person WHERE id = ?1")?
            .query_row([person], |row| row.get(0))?;
        work.db
            .prepare_cached("UPDATE person SET document = ?2 WHERE id = ?1")?
            .execute(params![person, &document[..]])?;
        work.control.tally.people += u64::from(!had_one);
    }
    let has_more = inbox::fold(work, person, commit.consumed_to.unwrap_or(0))?;
    let woken = if has_more { commit.lane.woken(now) } else { None };
    row.move_to(work, woken.unwrap_or_else(|| commit.lane.clone()), now)?;
    append_story(work, person, &commit.story)?;
    for term in &commit.terms_removed {
        let sql = "DELETE FROM term WHERE person = ?1 AND term = ?2";
        work.db.prepare_cached(sql)?.execute(params![person, term])?;
    }
    for term in &commit.terms_added {
        let sql = "INSERT OR IGNORE INTO term (person, term) VALUES (?1, ?2)";
        work.db.prepare_cached(sql)?.execute(params![person, term])?;
    }
    for key in &commit.disowned {
        let sql = "DELETE FROM owner WHERE key = ?1 AND person = ?2";
        work.db.prepare_cached(sql)?.execute(params![key, person])?;
    }
    heal(work, person)?;
    if let DeadChange::Is(row) = &commit.dead {
        put_dead(work, row, Some(person), None)?;
    }
    for tag in &commit.released {
        release(work, now, tag, RELEASED_MAX)?;
    }
    for entry in &commit.outgoing {
        if LaneRow::find(work, signed(entry.person.id().0))?.is_some() {
            append(work, now, entry, Newest::Stays)?;
        }
    }
    Ok(Committed::Committed)
}

/// Appends to a story, and drops its oldest entries at the bound.
fn append_story(work: &Work<'_>, person: i64, entries: &[bytes::Bytes]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let next: i64 = work
        .db
        .prepare_cached(
            "UPDATE person SET story_next = story_next + ?2, has_story = 1 WHERE id = ?1 RETURNING story_next",
        )?
        .query_row([person, signed(entries.len() as u64)], |row| row.get(0))?;
    for (number, entry) in (next - signed(entries.len() as u64)..).zip(entries) {
        let sql = "INSERT OR REPLACE INTO story (person, number, bytes) VALUES (?1, ?2, ?3)";
        work.db.prepare_cached(sql)?.execute(params![person, number, &entry[..]])?;
    }
    work.db
        .prepare_cached("DELETE FROM story WHERE person = ?1 AND number < ?2")?
        .execute([person, next - i64::from(work.options.bounds.story_entries_max)])?;
    Ok(())
}

/// Claims keys under the fence: all of them, or none.
pub(super) fn own(work: &mut Work<'_>, now: UnixMs, lease: &Lease, own: &Own) -> Result<Owned, StoreError> {
    if held(work, lease)?.is_none() {
        return Ok(Owned::Stale);
    }
    let mine = signed(lease.person.0);
    let from = match &own.from {
        Some(former) if is_as_read(work, former)? => Some(signed(former.person.0)),
        Some(_) | None => None,
    };
    let mut is_taken = false;
    for key in &own.keys {
        match owner(work.db, key)? {
            Some(owner) if owner != mine && Some(owner) == from => is_taken = true,
            Some(owner) if owner != mine => return Ok(Owned::By(person_id(owner))),
            Some(_) | None => {}
        }
    }
    for key in &own.keys {
        let sql = "INSERT OR REPLACE INTO owner (key, person) VALUES (?1, ?2)";
        work.db.prepare_cached(sql)?.execute(params![key, mine])?;
    }
    if let Some(entry) = own.from.as_ref().filter(|_| is_taken).and_then(|former| former.entry.as_ref()) {
        append(work, now, entry, Newest::Stays)?;
    }
    Ok(Owned::Yes)
}

/// Whether a person is unchanged since the decision to take something over from them.
fn is_as_read(work: &Work<'_>, former: &Former) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM person
         WHERE id = ?1 AND fence IS NULL AND inbox_count = 0 AND state = ?2 AND document = ?3";
    let mut statement = work.db.prepare_cached(sql)?;
    Ok(statement.exists(params![signed(former.person.0), former.state.as_str(), &former.document[..]])?)
}

/// The owner of a key.
pub(super) fn owner(db: &rusqlite::Connection, key: &str) -> Result<Option<i64>, StoreError> {
    let mut statement = db.prepare_cached("SELECT person FROM owner WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}
