//! Remembering and queueing: one step.

use rusqlite::{OptionalExtension, params};

use super::lanes::Lane;
use super::rows::{self, blob};
use super::writer::Work;
use crate::core::job::JobId;
use crate::core::time::UnixMs;
use crate::store::{Accepted, NewDelivery, NewJob, StoreError};

pub(super) fn accept(work: &mut Work<'_>, now: UnixMs, delivery: &NewDelivery) -> Result<Accepted, StoreError> {
    let tally = &work.control.tally;
    if rows::unsigned(tally.waiting + tally.parked) >= work.options.high_water_jobs {
        return Ok(remembered(work, now, delivery)?.unwrap_or(Accepted::Full));
    }
    // Written before it is looked for: most deliveries are new.
    if !remember(work, now, delivery)?
        && let Some(known) = remembered(work, now, delivery)?
    {
        return Ok(known);
    }
    for job in &delivery.jobs {
        enqueue(work, now, job)?;
    }
    for record in &delivery.unmapped {
        work.db
            .prepare_cached(
                "INSERT INTO unmapped (id, source, person, died_at, code, detail, payload)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                blob(record.id),
                delivery.source.as_str(),
                record.person.as_ref().map(ToString::to_string),
                now.0,
                rows::to_json(&record.code)?,
                record.detail,
                record.payload
            ])?;
        work.control.tally.dead += 1;
    }
    Ok(Accepted::Stored)
}

/// Puts a new job at the end of its person's lane.
pub(super) fn enqueue(work: &mut Work<'_>, now: UnixMs, job: &NewJob) -> Result<(), StoreError> {
    let (key, kind) = (job.event.person.to_string(), job.event.kind());
    let seq = work.control.next_seq;
    work.control.next_seq += 1;
    let person = if let Some(mut lane) = Lane::find(work, &key)? {
        lane.enter(seq, kind, now);
        lane.save(work)?;
        lane.person
    } else {
        Lane::begin(work, &key, seq, kind, now)?
    };
    rows::insert(work.db, seq, job.id, person, &job.event, now)
}

fn remembered(work: &Work<'_>, now: UnixMs, delivery: &NewDelivery) -> Result<Option<Accepted>, StoreError> {
    let mut statement =
        work.db.prepare_cached("SELECT fingerprint, ids FROM deliveries WHERE key = ?1 AND until > ?2")?;
    let known: Option<([u8; 16], Vec<u8>)> =
        statement.query_row(params![delivery.dedupe.key, now.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(known.map(|(fingerprint, ids)| {
        if fingerprint == delivery.dedupe.fingerprint {
            let (ids, _) = ids.as_chunks::<16>();
            Accepted::Duplicate { jobs: ids.iter().map(|id| JobId(u128::from_be_bytes(*id))).collect() }
        } else {
            Accepted::Conflict
        }
    }))
}

/// Whether this delivery is remembered from now on; not where an earlier one of its key still is.
fn remember(work: &Work<'_>, now: UnixMs, delivery: &NewDelivery) -> Result<bool, StoreError> {
    let jobs = delivery.jobs.iter().map(|job| job.id);
    let unmapped = delivery.unmapped.iter().map(|record| record.id);
    let ids: Vec<u8> = jobs.chain(unmapped).flat_map(blob).collect();
    // Replaces one that is past its time.
    let written = work
        .db
        .prepare_cached(
            "INSERT INTO deliveries (key, fingerprint, until, ids) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET fingerprint = ?2, until = ?3, ids = ?4 WHERE until <= ?5",
        )?
        .execute(params![
            delivery.dedupe.key,
            delivery.dedupe.fingerprint,
            now.plus_ms(delivery.dedupe.remember_ms).0,
            ids,
            now.0
        ])?;
    Ok(written > 0)
}
