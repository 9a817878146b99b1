//! Taking in what another store holds.

use rusqlite::{OptionalExtension, params};

use super::export::{identity, number, set_number};
use super::lanes::{Lane, LaneState};
use super::rows::{blob, signed, to_json, unsigned};
use super::settle::learn;
use super::writer::Work;
use crate::core::event::{EventKind, Person};
use crate::core::hold::Hold;
use crate::core::job::{DeadLetter, DeadOrigin, DirectoryEntry, Finished, Job, JobId};
use crate::core::time::UnixMs;
use crate::store::{Fate, Origin, Record, Remembered, Room, StoreError};

/// Sequences below this one are other stores' or free for them.
const TAKEN_IN_BELOW: &str = "taken_in_below";

/// Finds the range of an origin, or makes it where nothing was accepted since the last was made.
pub(super) fn make_room(work: &mut Work<'_>, origin: &Origin) -> Result<Room, StoreError> {
    if identity(work.db)? == Some(origin.id) {
        return Ok(Room::Same);
    }
    let id = u128::from_be_bytes(origin.id);
    let (base_name, end_name) = (format!("origin:{id:032x}:base"), format!("origin:{id:032x}:end"));
    let known = number(work.db, &base_name)?.zip(number(work.db, &end_name)?);
    let wanted = signed(origin.next_seq);
    if let Some((base, end)) = known
        && base + wanted <= end
    {
        return Ok(Room::Kept(unsigned(base)));
    }
    let next = work.control.next_seq;
    let is_untouched = next == number(work.db, TAKEN_IN_BELOW)?.unwrap_or(1);
    let base = match known {
        // The last range, and nothing behind it: it grows.
        Some((base, end)) if is_untouched && end == next => base,
        // What is new in the origin was accepted after the first copy, as was what is new here.
        Some(_) => next - 1,
        None if is_untouched => next - 1,
        None => return Ok(Room::Newer),
    };
    let end = base + wanted;
    set_number(work.db, &base_name, base)?;
    set_number(work.db, &end_name, end)?;
    if is_untouched {
        set_number(work.db, TAKEN_IN_BELOW, end)?;
    }
    work.control.next_seq = next.max(end);
    Ok(Room::Kept(unsigned(base)))
}

/// What becomes of a record; with `writes`, it becomes so.
pub(super) fn import(
    work: &mut Work<'_>,
    now: UnixMs,
    base: u64,
    record: &Record,
    writes: bool,
) -> Result<Fate, StoreError> {
    if is_known(work, now, record)? {
        return Ok(Fate::Known);
    }
    if !writes {
        return Ok(Fate::Taken);
    }
    let is_in = match record {
        Record::Hold(hold) => {
            take_hold(work, hold);
            true
        }
        Record::Person(person, entry) => {
            let lane = lane(work, person)?;
            let seq = if entry.seq == 0 { 0 } else { base + entry.seq };
            learn(work, lane.person, &DirectoryEntry { seq, ..entry.clone() })?;
            true
        }
        Record::Dead(letter) => bury(work, base, letter)?,
        Record::Waiting { job, due_at } => queue(work, base, job, *due_at)?,
        Record::Finished { job, at, outcome } => finish(work, base, job, *at, *outcome)?,
        Record::Delivery(delivery) => {
            remember(work, delivery)?;
            true
        }
    };
    if !is_in {
        return Ok(Fate::Displaced);
    }
    if let Some(mark) = record.mark() {
        let until = now.plus_ms(mark.remember_ms);
        remember(work, &Remembered { key: mark.key, fingerprint: mark.fingerprint, until, ids: Vec::new() })?;
    }
    Ok(Fate::Taken)
}

fn is_known(work: &Work<'_>, now: UnixMs, record: &Record) -> Result<bool, StoreError> {
    if let Some(mark) = record.mark()
        && remembered_until(work, &mark.key)?.is_some_and(|until| until > now)
    {
        return Ok(true);
    }
    match record {
        Record::Hold(hold) => Ok(work.control.slot(hold.scope).hold.is_some()),
        Record::Person(person, entry) => {
            let mut statement = work.db.prepare_cached("SELECT directory FROM people WHERE key = ?1")?;
            let found: Option<Option<String>> =
                statement.query_row([person.to_string()], |row| row.get(0)).optional()?;
            let Some(text) = found.flatten() else { return Ok(false) };
            let there: DirectoryEntry = serde_json::from_str(&text)
                .map_err(|_| StoreError::Damaged("a person's directory entry does not read back".to_owned()))?;
            Ok(there.in_line_at >= entry.in_line_at)
        }
        Record::Dead(letter) => is_there(work, letter.id),
        Record::Waiting { job, .. } | Record::Finished { job, .. } => is_there(work, job.id),
        Record::Delivery(delivery) => {
            let there = remembered_until(work, &delivery.key)?;
            Ok(there.is_some_and(|until| until > now || until >= delivery.until))
        }
    }
}

fn is_there(work: &Work<'_>, id: JobId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM jobs WHERE state IN ('live', 'dead', 'done') AND id = ?1
               UNION ALL SELECT 1 FROM unmapped WHERE id = ?1";
    Ok(work.db.prepare_cached(sql)?.exists([blob(id)])?)
}

fn remembered_until(work: &Work<'_>, key: &[u8; 16]) -> Result<Option<UnixMs>, StoreError> {
    let mut statement = work.db.prepare_cached("SELECT until FROM deliveries WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?.map(UnixMs))
}

fn remember(work: &Work<'_>, delivery: &Remembered) -> Result<(), StoreError> {
    let ids: Vec<u8> = delivery.ids.iter().flat_map(|id| blob(*id)).collect();
    work.db
        .prepare_cached("INSERT OR REPLACE INTO deliveries (key, fingerprint, until, ids) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![delivery.key, delivery.fingerprint, delivery.until.0, ids])?;
    Ok(())
}

fn take_hold(work: &mut Work<'_>, hold: &Hold) {
    work.control.slot_mut(hold.scope).hold = Some(hold.clone());
}

/// A person's lane, made where there is none.
fn lane(work: &Work<'_>, person: &Person) -> Result<Lane, StoreError> {
    let key = person.to_string();
    work.db.prepare_cached("INSERT OR IGNORE INTO people (key) VALUES (?1)")?.execute([&key])?;
    Lane::find(work, &key)?.ok_or_else(|| StoreError::Damaged("a person that was just made is not there".to_owned()))
}

/// What only a job that has ended has.
struct End<'a> {
    state: &'static str,
    at: Option<UnixMs>,
    outcome: Option<Finished>,
    why: Option<(String, &'a str)>,
}

/// Writes a job's row. Not where another job has its place.
fn insert(
    work: &mut Work<'_>,
    base: u64,
    person: i64,
    job: &Job,
    due_at: UnixMs,
    end: &End<'_>,
) -> Result<bool, StoreError> {
    let seq = signed(base + job.seq);
    let written = work
        .db
        .prepare_cached(
            "INSERT INTO jobs (seq, id, person, state, kind, accepted_at, due_at, attempts, take_overs,
                 first_attempt_at, ended_at, outcome, code, detail, progress, event, history)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (seq) DO NOTHING",
        )?
        .execute(params![
            seq,
            blob(job.id),
            person,
            end.state,
            job.event.kind().as_str(),
            job.accepted_at.0,
            due_at.0,
            job.attempts,
            job.take_overs,
            job.first_attempt_at.map(|at| at.0),
            end.at.map(|at| at.0),
            end.outcome.map(|outcome| to_json(&outcome)).transpose()?,
            end.why.as_ref().map(|(code, _)| code),
            end.why.as_ref().map(|(_, detail)| detail),
            to_json(&job.progress)?,
            to_json(&job.event)?,
            to_json(&job.history)?
        ])?;
    work.control.next_seq = work.control.next_seq.max(seq + 1);
    Ok(written > 0)
}

fn queue(work: &mut Work<'_>, base: u64, job: &Job, due_at: UnixMs) -> Result<bool, StoreError> {
    let mut lane = lane(work, &job.event.person)?;
    let live = End { state: "live", at: None, outcome: None, why: None };
    if !insert(work, base, lane.person, job, due_at, &live)? {
        return Ok(false);
    }
    lane.enter(signed(base + job.seq), job.event.kind(), due_at);
    lane.save(work)?;
    Ok(true)
}

fn bury(work: &mut Work<'_>, base: u64, letter: &DeadLetter) -> Result<bool, StoreError> {
    let code = to_json(&letter.code)?;
    match &letter.origin {
        DeadOrigin::Job(job) => {
            let mut lane = lane(work, &job.event.person)?;
            let why = Some((code, letter.detail.as_str()));
            let dead = End { state: "dead", at: Some(letter.died_at), outcome: None, why };
            if !insert(work, base, lane.person, job, job.accepted_at, &dead)? {
                return Ok(false);
            }
            if job.event.kind() == EventKind::Hire {
                lane.parks += 1;
                if !matches!(lane.state, LaneState::Leased { .. }) {
                    lane.state = LaneState::Parked;
                }
                lane.save(work)?;
            }
        }
        DeadOrigin::Unmapped { person, payload } => {
            work.db
                .prepare_cached(
                    "INSERT INTO unmapped (id, source, person, died_at, code, detail, payload)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    blob(letter.id),
                    letter.source.as_str(),
                    person.as_ref().map(ToString::to_string),
                    letter.died_at.0,
                    code,
                    letter.detail,
                    payload
                ])?;
        }
    }
    work.control.tally.dead += 1;
    Ok(true)
}

fn finish(work: &mut Work<'_>, base: u64, job: &Job, at: UnixMs, outcome: Finished) -> Result<bool, StoreError> {
    let lane = lane(work, &job.event.person)?;
    let done = End { state: "done", at: Some(at), outcome: Some(outcome), why: None };
    let is_in = insert(work, base, lane.person, job, job.accepted_at, &done)?;
    work.control.tally.done += i64::from(is_in);
    Ok(is_in)
}
