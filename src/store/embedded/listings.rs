//! Listings for people. A row that cannot be read is logged and left out; the others are unaffected.

use rusqlite::{Connection, OptionalExtension, Params, Row as SqlRow, Rows, params};

use super::claim::person_id;
use super::dead::{DEAD, read as read_dead};
use super::failure::unreadable;
use super::figures::{signed, unsigned};
use super::inbox;
use super::lanes::read_state;
use crate::core::person::PersonId;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;
use crate::store::listing::{INBOX_SHOWN_MAX, Row, cursor, page, read_cursor};
use crate::store::{DeadFilter, DeadRow, Lane, LaneState, Listed, Page, PersonRow, Shared, StoreError, Story};
use crate::telemetry::store_log;

/// Most dead letters that are read for one page. If few match the filter, a page may be short without being the last.
const LOOKED_AT_MAX: usize = 5_000;

/// The columns that [`person_row`] reads.
const ROW: &str = "id, document, state, due, wakes, tag, since";

fn person_row(db: &Connection, row: &SqlRow<'_>) -> Result<PersonRow, StoreError> {
    let person: i64 = row.get(0)?;
    let document: Option<Vec<u8>> = row.get(1).map_err(|_| unreadable(person, "document"))?;
    let state = row.get_ref(2)?.as_str().ok().and_then(read_state).ok_or_else(|| unreadable(person, "state"))?;
    let lane = Lane {
        state,
        due: row.get::<_, Option<i64>>(3).map_err(|_| unreadable(person, "due time"))?.map(UnixMs),
        wakes: row.get(4).map_err(|_| unreadable(person, "lane"))?,
        tag: row.get(5).map_err(|_| unreadable(person, "tag"))?,
    };
    let (inbox, inbox_entries) = inbox::read(db, person, INBOX_SHOWN_MAX).map_err(|_| unreadable(person, "inbox"))?;
    Ok(PersonRow {
        id: person_id(person),
        document: document.map(bytes::Bytes::from),
        lane,
        since: UnixMs(row.get(6).map_err(|_| unreadable(person, "lane"))?),
        inbox_entries,
        inbox,
    })
}

/// One person.
pub(super) fn person(db: &Connection, person: i64) -> Result<Option<PersonRow>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {ROW} FROM person WHERE id = ?1"))?;
    let mut rows = statement.query([person])?;
    rows.next()?.map(|row| person_row(db, row)).transpose()
}

/// A page of people from a statement; `cursor` makes each row's cursor.
fn list(
    db: &Connection,
    wanted: &Page,
    sql: &str,
    params: impl Params,
    cursor: impl Fn(&SqlRow<'_>, &PersonRow) -> Result<String, StoreError>,
) -> Result<Listed<PersonRow>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let next = |rows: &mut Rows<'_>| -> Result<Option<Row<PersonRow>>, StoreError> {
        while let Some(row) = rows.next()? {
            match person_row(db, row) {
                Ok(shown) => {
                    return Ok(Some(Row { cursor: cursor(row, &shown)?, bytes: shown.bytes(), shown }));
                }
                Err(StoreError::Damaged(what)) => {
                    tracing::error!(what, "a person is left out of a listing");
                    store_log::passed_over();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    };
    page(wanted, std::iter::from_fn(|| next(&mut rows).transpose()))
}

/// People in the order of their ids.
pub(super) fn people(db: &Connection, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
    let after = match wanted.after.as_deref().map(PersonId::parse) {
        None => -1,
        Some(Some(after)) => signed(after.0),
        Some(None) => return Err(StoreError::Cursor),
    };
    let sql = format!("SELECT {ROW} FROM person WHERE id > ?1 ORDER BY id");
    list(db, wanted, &sql, [after], |_, row| Ok(row.id.to_string()))
}

/// People in this state, those who have been in it longest first.
pub(super) fn lanes(db: &Connection, state: LaneState, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
    let after = match wanted.after.as_deref().map(|after| read_cursor(after, PersonId::parse)) {
        None => (i64::MIN, -1),
        Some(Some((since, after))) => (since.0, signed(after.0)),
        Some(None) => return Err(StoreError::Cursor),
    };
    // Written so that the index leads straight to the first row of the page.
    let sql = format!(
        "SELECT {ROW} FROM person WHERE state = ?1 AND since >= ?2 AND (since > ?2 OR id > ?3) ORDER BY since, id"
    );
    list(db, wanted, &sql, params![state.as_str(), after.0, after.1], |_, row| Ok(cursor(row.since, row.id)))
}

/// People with a term that starts with `prefix`, each listed at the first such term.
pub(super) fn search(db: &Connection, prefix: &str, wanted: &Page) -> Result<Listed<PersonRow>, StoreError> {
    let after = wanted.after.as_deref().map(|after| {
        let (person, term) = after.split_once(':')?;
        Some((term.to_owned(), signed(PersonId::parse(person)?.0)))
    });
    let (term, person) = match after {
        None => (prefix.to_owned(), -1),
        Some(Some(after)) => after,
        Some(None) => return Err(StoreError::Cursor),
    };
    let columns = ROW.replace(", ", ", p.");
    let sql = format!(
        "SELECT p.{columns}, t.term FROM term t JOIN person p ON p.id = t.person
         WHERE (t.term, t.person) > (?1, ?2) AND substr(t.term, 1, length(?3)) = ?3
             AND t.term < ?3 || char(1114111)
             AND NOT EXISTS (SELECT 1 FROM term e WHERE e.person = t.person AND e.term >= ?3 AND e.term < t.term)
         ORDER BY t.term, t.person"
    );
    list(db, wanted, &sql, params![term, person, prefix], |row, shown| {
        Ok(format!("{}:{}", shown.id, row.get::<_, String>(7)?))
    })
}

/// Dead letters, newest first.
pub(super) fn dead(db: &Connection, filter: &DeadFilter, wanted: &Page) -> Result<Listed<DeadRow>, StoreError> {
    let before = match wanted.after.as_deref().map(|after| read_cursor(after, JobId::parse)) {
        None => (filter.died_before.map_or(i64::MAX, |before| before.0), [0; 16]),
        Some(Some((at, id))) => (at.0, id.0.to_be_bytes()),
        Some(None) => return Err(StoreError::Cursor),
    };
    // Uses the most selective index; the rest of the filter is applied row by row.
    let (which, value) = match (&filter.code, &filter.source) {
        (Some(code), _) => ("code = ?3 AND", code.as_str()),
        (None, Some(source)) => ("source = ?3 AND", source.as_str()),
        (None, None) => ("?3 = '' AND", ""),
    };
    let sql = format!("SELECT {DEAD} FROM dead WHERE {which} (died_at, id) < (?1, ?2) ORDER BY died_at DESC, id DESC");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![before.0, before.1, value])?;
    let (mut looked_at, mut last) = (0, None);
    let mut next = || -> Result<Option<Row<DeadRow>>, StoreError> {
        while looked_at < LOOKED_AT_MAX {
            let Some(row) = rows.next()? else {
                last = None;
                return Ok(None);
            };
            looked_at += 1;
            match read_dead(row) {
                Ok(shown) => {
                    let cursor = cursor(shown.died_at, shown.id);
                    last = Some(cursor.clone());
                    if filter.takes(&shown) {
                        return Ok(Some(Row { cursor, bytes: shown.bytes(), shown }));
                    }
                }
                Err(StoreError::Damaged(what)) => {
                    tracing::error!(what, "a dead letter is left out of a listing");
                    store_log::passed_over();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    };
    let listed = page(wanted, std::iter::from_fn(|| next().transpose()))?;
    Ok(Listed { next: listed.next.or(if looked_at < LOOKED_AT_MAX { None } else { last }), rows: listed.rows })
}

/// One dead letter, with the payload of an unmapped record.
pub(super) fn dead_letter(db: &Connection, id: JobId) -> Result<Option<(DeadRow, Option<bytes::Bytes>)>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {DEAD}, payload FROM dead WHERE id = ?1"))?;
    let mut rows = statement.query([id.0.to_be_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let payload: Option<Vec<u8>> = row.get(8)?;
    Ok(Some((read_dead(row)?, payload.map(bytes::Bytes::from))))
}

/// A person's story.
pub(super) fn story(db: &Connection, person: i64) -> Result<Story, StoreError> {
    let mut statement = db.prepare_cached("SELECT story_next FROM person WHERE id = ?1")?;
    let Some(next) = statement.query_row([person], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(Story::default());
    };
    let mut statement = db.prepare_cached("SELECT bytes FROM story WHERE person = ?1 ORDER BY number")?;
    let entry = |row: &SqlRow<'_>| Ok(bytes::Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?));
    let entries = statement.query_map([person], entry)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Story { dropped: unsigned(next).saturating_sub(entries.len() as u64), entries })
}

/// A small shared document.
pub(super) fn shared(db: &Connection, name: &str) -> Result<Shared, StoreError> {
    let mut statement = db.prepare_cached("SELECT version, bytes FROM shared WHERE name = ?1")?;
    let document = |row: &SqlRow<'_>| {
        Ok(Shared { version: unsigned(row.get(0)?), bytes: bytes::Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?) })
    };
    Ok(statement.query_row([name], document).optional()?.unwrap_or_default())
}

/// When the person who is due first became due.
pub(super) fn oldest_due_at(db: &Connection) -> Result<Option<UnixMs>, StoreError> {
    let sql = "SELECT due FROM person WHERE due IS NOT NULL ORDER BY due LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.map(UnixMs))
}
