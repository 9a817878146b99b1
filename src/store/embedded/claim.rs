//! Claims: giving people out with leases.

use rusqlite::{OptionalExtension, params};

use super::control::SET_BACK_MS;
use super::figures::{count, signed, unsigned};
use super::inbox;
use super::lanes::{LaneRow, give_back, parked};
use super::writer::Work;
use crate::core::person::PersonId;
use crate::core::time::UnixMs;
use crate::store::{Claim, ClaimRequest, Claimed, Lane, LaneState, Lease, StoreError};
use crate::telemetry::store_log;

/// How long an unreadable person is skipped: long enough not to fill the log, short enough that a repaired row is
/// soon found.
const SET_ASIDE_MS: u64 = 10 * 60_000;

/// Gives back people whose claim the worker lost, and gives out others.
pub(super) fn claim(work: &mut Work<'_>, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
    if let Some(from) = request.lost_from {
        let lost = lost(work, request, from)?;
        give_back(work, now, &lost)?;
    }
    let people_max = if request.parked.is_some() { request.people_max.min(1) } else { request.people_max };
    let (mut people, mut passed) = (Vec::new(), Vec::new());
    while people.len() < people_max {
        // A person who cannot be read must not take the place of one who can.
        let room = (people_max - people.len() + passed.len()) as u64;
        let mut chosen = match &request.parked {
            Some(tag) => parked(work, tag, room)?,
            None => claimable(work, now, room)?,
        };
        chosen.retain(|person| !passed.contains(person));
        if chosen.is_empty() {
            break;
        }
        for person in chosen.into_iter().take(people_max - people.len()) {
            match lease(work, now, person, request) {
                Ok(claimed) => people.push(claimed),
                Err(StoreError::Damaged(what)) => {
                    set_aside(work, now, person, &what)?;
                    passed.push(person);
                }
                Err(error) => return Err(error),
            }
        }
    }
    if people.is_empty() { Ok(Claim::Nobody { until: next_at(work, now)? }) } else { Ok(Claim::People(people)) }
}

/// The people leased by the worker's claims since then.
fn lost(work: &Work<'_>, request: &ClaimRequest, from: u64) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM person WHERE lease_until IS NOT NULL AND worker = ?1 AND claim >= ?2 AND claim < ?3";
    let mut statement = work.db.prepare_cached(sql)?;
    let rows =
        statement.query_map(params![&*request.worker, signed(from), signed(request.number)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// People whose lease expired, then those who are due. People whose wait began before the clock was set back are due,
/// too: nobody knows how long they still have to wait, and they should not wait until the clock has caught up. Instants
/// that HR announced are kept.
fn claimable(work: &Work<'_>, now: UnixMs, people_max: u64) -> Result<Vec<i64>, StoreError> {
    let mut found: Vec<i64> = Vec::new();
    for (sql, at) in [
        ("SELECT id FROM person WHERE lease_until <= ?1 ORDER BY lease_until, id LIMIT ?2", work.clock.at(now)),
        ("SELECT id FROM person WHERE due <= ?1 ORDER BY due, id LIMIT ?2", now),
        (
            "SELECT id FROM person WHERE state = 'waiting' AND since > ?1 AND due IS NOT NULL
             ORDER BY since, id LIMIT ?2",
            now.plus_ms(SET_BACK_MS),
        ),
    ] {
        if people_max > found.len() as u64 {
            let mut statement = work.db.prepare_cached(sql)?;
            let rows = statement.query_map([at.0, signed(people_max)], |row| row.get::<_, i64>(0))?;
            for person in rows {
                let person = person?;
                if (found.len() as u64) < people_max && !found.contains(&person) {
                    found.push(person);
                }
            }
        }
    }
    Ok(found)
}

fn lease(work: &mut Work<'_>, now: UnixMs, person: i64, request: &ClaimRequest) -> Result<Claimed, StoreError> {
    let gone = || StoreError::Damaged(format!("person number {person:016x} is in an index and not in the store"));
    let row = LaneRow::find(work, person)?.ok_or_else(gone)?;
    let document = document(work, person)?;
    let (inbox, _) = inbox::read(work.db, person, request.entries_max)?;
    let fence = work.control.next_fence(now);
    let lease_until = work.clock.at(now).plus_ms(request.lease_ms);
    let running = Lane::running();
    work.db
        .prepare_cached(
            "UPDATE person SET state = 'running', due = NULL, wakes = ?2, tag = NULL, since = ?3,
                 worker = ?4, claim = ?5, fence = ?6, lease_until = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            person,
            running.wakes,
            now.0,
            &*request.worker,
            signed(request.number),
            signed(fence),
            lease_until.0
        ])?;
    row.count(work, running.state);
    let lease = Lease { person: person_id(person), fence, until: now.plus_ms(request.lease_ms) };
    Ok(Claimed { lease, document, inbox, taken_over: row.fence.is_some() })
}

pub(super) fn person_id(person: i64) -> PersonId {
    PersonId(unsigned(person))
}

fn document(work: &Work<'_>, person: i64) -> Result<Option<bytes::Bytes>, StoreError> {
    let mut statement = work.db.prepare_cached("SELECT document FROM person WHERE id = ?1")?;
    let document: Option<Vec<u8>> = statement.query_row([person], |row| row.get(0))?;
    Ok(document.map(bytes::Bytes::from))
}

/// One unreadable row must not stop everybody else: its lane is tried again later.
fn set_aside(work: &mut Work<'_>, now: UnixMs, person: i64, what: &str) -> Result<(), StoreError> {
    tracing::error!(person = %person_id(person), what, "a person cannot be read: their lane is set aside for ten minutes");
    store_log::passed_over();
    let state: Option<String> = {
        let mut statement = work.db.prepare_cached("SELECT CAST(state AS TEXT) FROM person WHERE id = ?1")?;
        statement.query_row([person], |row| row.get(0)).optional()?
    };
    work.db
        .prepare_cached(
            "UPDATE person SET state = 'waiting', due = ?2, tag = NULL, since = ?3,
                 worker = NULL, claim = NULL, fence = NULL, lease_until = NULL
             WHERE id = ?1",
        )?
        .execute(params![person, now.plus_ms(SET_ASIDE_MS).0, now.0])?;
    let lanes = &mut work.control.tally.lanes;
    if let Some(state) = state.filter(|state| super::lanes::read_state(state).is_some()) {
        count(lanes, &state, -1);
    }
    count(lanes, LaneState::Waiting.as_str(), 1);
    Ok(())
}

/// The next instant at which a claim may find a person.
fn next_at(work: &Work<'_>, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
    let first = |sql: &str| -> Result<Option<i64>, StoreError> {
        Ok(work.db.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
    };
    let due = first("SELECT due FROM person WHERE due IS NOT NULL ORDER BY due LIMIT 1")?.map(UnixMs);
    let lease = first("SELECT lease_until FROM person WHERE lease_until IS NOT NULL ORDER BY lease_until LIMIT 1")?;
    // By the caller's clock.
    let lease = lease.map(|until| now.plus_ms(UnixMs(until).ms_since(work.clock.at(now))));
    Ok(due.into_iter().chain(lease).min())
}

/// The lane that has this lease.
pub(super) fn held(work: &Work<'_>, lease: &Lease) -> Result<Option<LaneRow>, StoreError> {
    let row = LaneRow::find(work, signed(lease.person.0))?;
    Ok(row.filter(|row| row.fence == Some(signed(lease.fence))))
}

pub(super) fn renew(work: &Work<'_>, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
    let until = work.clock.at(now).plus_ms(lease_ms);
    let renewed = work
        .db
        .prepare_cached("UPDATE person SET lease_until = ?3 WHERE id = ?1 AND fence = ?2")?
        .execute(params![signed(lease.person.0), signed(lease.fence), until.0])?;
    Ok((renewed > 0).then(|| Lease { until: now.plus_ms(lease_ms), ..lease.clone() }))
}
