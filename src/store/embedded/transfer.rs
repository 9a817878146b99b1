//! The content in an engine-neutral form, read from the last commit and written by the writer.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Params, Row as SqlRow, params};

use super::Embedded;
use super::accept::{read_ids, remember};
use super::dead::{DEAD, drop_person, put_dead, read as read_dead};
use super::figures::{count, signed, unsigned};
use super::inbox;
use super::listings::{self, shared, story};
use super::writer::Work;
use crate::core::person::PersonId;
use crate::core::time::UnixMs;
use crate::store::listing::{Row, page};
use crate::store::transfer::{
    Activity, Exported, Marks, PersonRecord, RECORDS_MAX, Record, Section, Transfer, Transferred,
};
use crate::store::{DeadRow, Lane, LaneState, Page, Shared, StoreError};

#[async_trait]
impl Transfer for Embedded {
    /// Only the calling process itself listens to this store.
    async fn activity(&self, now: UnixMs) -> Result<Activity, StoreError> {
        let until = self.clock.at(now).0;
        let sql = "SELECT count(*) FROM person WHERE lease_until > ?1";
        let leases = self.readers.read(move |db| Ok(unsigned(db.query_row(sql, [until], |row| row.get(0))?))).await?;
        Ok(Activity { leases, listeners: 0 })
    }

    async fn export(&self, now: UnixMs, section: Section, after: Option<&str>) -> Result<Exported, StoreError> {
        if section == Section::Marks {
            let marks = self.shared.control().marks();
            return Ok(Exported { records: vec![Record::Marks(marks)], next: None });
        }
        let wanted = Page { rows_max: RECORDS_MAX, after: after.map(ToOwned::to_owned) };
        self.readers.read(move |db| export(db, now, section, &wanted)).await
    }

    async fn import(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError> {
        let take = move |work: &mut Work<'_>| records.iter().map(|record| import(work, now, record)).collect();
        self.writer.call(take).await
    }

    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError> {
        let marks = self.shared.control().marks();
        let compare = move |record: &Record, db: &Connection| {
            Ok(if is_known(db, marks, now, record)? { Transferred::AlreadyThere } else { Transferred::Taken })
        };
        self.readers.read(move |db| records.iter().map(|record| compare(record, db)).collect()).await
    }
}

fn export(db: &Connection, now: UnixMs, section: Section, wanted: &Page) -> Result<Exported, StoreError> {
    let after = wanted.after.as_deref().unwrap_or_default();
    match section {
        Section::Marks => Ok(Exported { records: Vec::new(), next: None }),
        Section::Remembered => {
            let sql = "SELECT key, until, ids FROM remembered WHERE key > ?1 AND until > ?2 ORDER BY key";
            let after = data_encoding::HEXLOWER.decode(after.as_bytes()).unwrap_or_default();
            read(db, wanted, sql, params![after, now.0], |row| {
                let (key, ids): ([u8; 16], Vec<u8>) = (row.get(0)?, row.get(2)?);
                let record = Record::Remembered { key, until: UnixMs(row.get(1)?), ids: read_ids(&ids) };
                Ok(Row { cursor: data_encoding::HEXLOWER.encode(&key), bytes: ids.len(), shown: record })
            })
        }
        Section::People => {
            let after = if after.is_empty() { -1 } else { after.parse().unwrap_or(i64::MAX) };
            read(db, wanted, "SELECT id FROM person WHERE id > ?1 ORDER BY id", [after], |row| {
                let id: i64 = row.get(0)?;
                let record = person(db, id)?.ok_or_else(|| super::failure::unreadable(id, "row"))?;
                let document = record.document.as_ref().map_or(0, bytes::Bytes::len);
                let bytes = document + record.story.entries.iter().map(bytes::Bytes::len).sum::<usize>();
                Ok(Row { cursor: id.to_string(), bytes, shown: Record::Person(Box::new(record)) })
            })
        }
        Section::Inbox => {
            let number = |text: &str| text.parse().unwrap_or(i64::MAX);
            let after = after.split_once(':').map_or((-1, -1), |(person, seq)| (number(person), number(seq)));
            entries(db, wanted, after)
        }
        Section::Unmapped => {
            let sql = format!("SELECT {DEAD}, payload FROM dead WHERE id > ?1 AND blocks IS NULL ORDER BY id");
            let after = data_encoding::HEXLOWER.decode(after.as_bytes()).unwrap_or_default();
            read(db, wanted, &sql, [after], |row| {
                let payload = bytes::Bytes::from(row.get::<_, Vec<u8>>(8)?);
                let row = read_dead(row)?;
                let (cursor, bytes) = (row.id.to_string(), payload.len());
                Ok(Row { cursor, bytes, shown: Record::Unmapped { row, payload } })
            })
        }
        Section::Shared => {
            let sql = "SELECT name, version, bytes FROM shared WHERE name > ?1 ORDER BY name";
            read(db, wanted, sql, [after], |row| {
                let name: String = row.get(0)?;
                let bytes = bytes::Bytes::from(row.get::<_, Vec<u8>>(2)?);
                let (cursor, taken) = (name.clone(), bytes.len());
                let document = Shared { version: unsigned(row.get(1)?), bytes };
                Ok(Row { cursor, bytes: taken, shown: Record::Shared { name, document } })
            })
        }
    }
}

/// A page of records from the rows of a statement.
fn read(
    db: &Connection,
    wanted: &Page,
    sql: &str,
    params: impl Params,
    record: impl Fn(&SqlRow<'_>) -> Result<Row<Record>, StoreError>,
) -> Result<Exported, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let listed = page(
        wanted,
        std::iter::from_fn(|| match rows.next() {
            Ok(row) => row.map(&record),
            Err(error) => Some(Err(error.into())),
        }),
    )?;
    Ok(Exported { records: listed.rows, next: listed.next })
}

/// A page of inbox entries: person by person, in order.
fn entries(db: &Connection, wanted: &Page, after: (i64, i64)) -> Result<Exported, StoreError> {
    let mut people =
        db.prepare_cached("SELECT id, inbox_first FROM person WHERE id > ?1 AND inbox_first IS NOT NULL ORDER BY id")?;
    let mut people = people.query([after.0])?;
    let mut at = inbox::next_of(db, after.1)?.map(|seq| (after.0, seq));
    let mut next = || -> Result<Option<Row<Record>>, StoreError> {
        if at.is_none() {
            at = people.next()?.map(|row| Ok::<_, rusqlite::Error>((row.get(0)?, row.get(1)?))).transpose()?;
        }
        let Some((person, seq)) = at else { return Ok(None) };
        let (following, bytes) = inbox::entry(db, seq)?.ok_or_else(|| super::failure::unreadable(person, "inbox"))?;
        at = following.map(|seq| (person, seq));
        let (cursor, taken) = (format!("{person}:{seq}"), bytes.len());
        let record = Record::Entry { person: PersonId(unsigned(person)), seq: unsigned(seq), bytes };
        Ok(Some(Row { cursor, bytes: taken, shown: record }))
    };
    let listed = page(wanted, std::iter::from_fn(|| next().transpose()))?;
    Ok(Exported { records: listed.rows, next: listed.next })
}

/// Everything kept about a person except their inbox.
fn person(db: &Connection, person: i64) -> Result<Option<PersonRecord>, StoreError> {
    let Some(row) = listings::person(db, person)? else { return Ok(None) };
    let texts = |sql: &str| -> Result<Vec<String>, StoreError> {
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement.query_map([person], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let (source, newest): (String, Option<[u8; 16]>) = db
        .prepare_cached("SELECT source, newest FROM person WHERE id = ?1")?
        .query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let is_running = row.lane.state == LaneState::Running;
    Ok(Some(PersonRecord {
        id: row.id,
        source: source.try_into().map_err(|_| super::failure::unreadable(person, "source"))?,
        document: row.document,
        lane: if is_running { Lane::due_at(row.since) } else { row.lane },
        since: row.since,
        newest,
        story: story(db, person)?,
        terms: texts("SELECT term FROM term WHERE person = ?1 ORDER BY term")?,
        owned: texts("SELECT key FROM owner WHERE person = ?1 ORDER BY key")?,
        dead: dead_of(db, person)?,
    }))
}

fn dead_of(db: &Connection, person: i64) -> Result<Option<DeadRow>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {DEAD} FROM dead WHERE blocks = ?1"))?;
    let mut rows = statement.query([person])?;
    rows.next()?.map(read_dead).transpose()
}

fn is_known(db: &Connection, marks: Marks, now: UnixMs, record: &Record) -> Result<bool, StoreError> {
    match record {
        Record::Marks(other) => Ok(marks.max(*other) == marks),
        Record::Remembered { key, until, ids } => {
            let mut statement = db.prepare_cached("SELECT until, ids FROM remembered WHERE key = ?1")?;
            let there: Option<(i64, Vec<u8>)> =
                statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            Ok(*until <= now || there.is_some_and(|(at, found)| at == until.0 && read_ids(&found) == *ids))
        }
        Record::Person(record) => Ok(person(db, signed(record.id.0))?.as_ref() == Some(&**record)),
        Record::Entry { person, seq, bytes } => {
            let mut statement = db.prepare_cached(
                "SELECT bytes = ?3 AND EXISTS (SELECT 1 FROM person WHERE id = ?1 AND inbox_count > 0)
                 FROM inbox WHERE seq = ?2",
            )?;
            let params = params![signed(person.0), signed(*seq), &bytes[..]];
            Ok(statement.query_row(params, |row| row.get(0)).optional()?.unwrap_or(false))
        }
        Record::Unmapped { row, payload } => {
            Ok(listings::dead_letter(db, row.id)? == Some((row.clone(), Some(payload.clone()))))
        }
        Record::Shared { name, document } => Ok(shared(db, name)? == *document),
    }
}

fn import(work: &mut Work<'_>, now: UnixMs, record: &Record) -> Result<Transferred, StoreError> {
    let marks = work.control.marks();
    if is_known(work.db, marks, now, record)? {
        return Ok(Transferred::AlreadyThere);
    }
    match record {
        Record::Marks(other) => {
            let marks = marks.max(*other);
            let control = &mut *work.control;
            (control.last_seq, control.last_fence, control.tats) = (marks.last_seq, marks.last_fence, marks.tats);
        }
        Record::Remembered { key, until, ids } => remember(work, key, *until, ids.iter().copied(), None)?,
        Record::Person(record) => take_person(work, record)?,
        // In order, and after the person, whose inbox was emptied.
        Record::Entry { person, seq, bytes } => inbox::push(work, signed(person.0), signed(*seq), bytes)?,
        Record::Unmapped { row, payload } => put_dead(work, row, None, Some(payload))?,
        Record::Shared { name, document } => {
            work.db
                .prepare_cached("INSERT OR REPLACE INTO shared (name, version, bytes) VALUES (?1, ?2, ?3)")?
                .execute(params![name, signed(document.version), &document.bytes[..]])?;
        }
    }
    Ok(Transferred::Taken)
}

fn take_person(work: &mut Work<'_>, record: &PersonRecord) -> Result<(), StoreError> {
    let person = signed(record.id.0);
    drop_person(work, person)?;
    let (lane, story) = (&record.lane, &record.story);
    let story_next = story.dropped + story.entries.len() as u64;
    work.db
        .prepare_cached(
            "INSERT INTO person (id, source, state, due, wakes, tag, since, newest, story_next, has_story, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            person,
            record.source.as_str(),
            lane.state.as_str(),
            lane.due.map(|due| due.0),
            lane.wakes,
            lane.tag,
            record.since.0,
            record.newest,
            signed(story_next),
            !story.entries.is_empty(),
            record.document.as_deref()
        ])?;
    count(&mut work.control.tally.lanes, lane.state.as_str(), 1);
    work.control.tally.people += u64::from(record.document.is_some());
    for (number, entry) in (signed(story.dropped)..).zip(&story.entries) {
        work.db.prepare_cached("INSERT INTO story (person, number, bytes) VALUES (?1, ?2, ?3)")?.execute(params![
            person,
            number,
            &entry[..]
        ])?;
    }
    for term in &record.terms {
        let sql = "INSERT OR IGNORE INTO term (person, term) VALUES (?1, ?2)";
        work.db.prepare_cached(sql)?.execute(params![person, term])?;
    }
    for key in &record.owned {
        let sql = "INSERT OR REPLACE INTO owner (key, person) VALUES (?1, ?2)";
        work.db.prepare_cached(sql)?.execute(params![key, person])?;
    }
    if let Some(row) = &record.dead {
        put_dead(work, row, Some(person), None)?;
    }
    *work.wake |= lane.due.is_some();
    Ok(())
}
