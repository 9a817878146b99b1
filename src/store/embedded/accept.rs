//! Accepting deliveries.

use rusqlite::{OptionalExtension, params};

use super::dead::put_dead;
use super::figures::signed;
use super::lanes::{Newest, append};
use super::writer::Work;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::store::{Accepted, FullBound, NewDelivery, NewEntry, StoreError, share_of_source};

/// Remembers a delivery, appends its entries and keeps its unmapped records, unless it is known or the store is full.
pub(super) fn accept(work: &mut Work<'_>, now: UnixMs, delivery: &NewDelivery) -> Result<Accepted, StoreError> {
    failpoint::at("writer");
    let mut entries: Vec<&NewEntry> = delivery.entries.iter().collect();
    if let Some(dedupe) = delivery.dedupe
        && let Some((ids, said)) = known(work, now, &dedupe.key)?
    {
        if dedupe.only_while_newest {
            let mut news = Vec::new();
            for entry in entries {
                if newest(work, entry)? != Some(dedupe.key) {
                    news.push(entry);
                }
            }
            entries = news;
        }
        if !dedupe.only_while_newest || entries.is_empty() {
            return Ok(Accepted::known(ids, said, &dedupe));
        }
    }
    if let Some(bound) = bound_reached(work, delivery, entries.len() as u64) {
        return Ok(Accepted::Full(bound));
    }
    if let Some(dedupe) = delivery.dedupe {
        let unmapped = delivery.unmapped.iter().map(|unmapped| unmapped.row.id);
        let ids = entries.iter().map(|entry| entry.job).chain(unmapped);
        remember(work, &dedupe.key, now.plus_ms(dedupe.remember_ms), ids, dedupe.remembered_says())?;
    }
    let newest = delivery.dedupe.filter(|dedupe| dedupe.only_while_newest).map(|dedupe| dedupe.key);
    for entry in entries {
        append(work, now, entry, Newest::Is(newest))?;
    }
    for unmapped in &delivery.unmapped {
        put_dead(work, &unmapped.row, None, Some(&unmapped.payload))?;
    }
    Ok(Accepted::Stored)
}

/// The ids of a delivery that is remembered, and what it said.
fn known(work: &Work<'_>, now: UnixMs, key: &[u8; 16]) -> Result<Option<Remembered>, StoreError> {
    let mut statement = work.db.prepare_cached("SELECT ids FROM remembered WHERE key = ?1 AND until > ?2")?;
    let read = |row: &rusqlite::Row<'_>| {
        let bytes = row.get_ref(0)?.as_blob()?;
        let said = bytes.as_chunks::<16>().1.try_into().ok().map(u32::from_be_bytes);
        Ok((read_ids(bytes), said))
    };
    Ok(statement.query_row(params![key, now.0], read).optional()?)
}

type Remembered = (Vec<JobId>, Option<u32>);

/// Remembers a delivery under its key, replacing what was there: its ids, and behind them what it says.
pub(super) fn remember(
    work: &Work<'_>,
    key: &[u8; 16],
    until: UnixMs,
    ids: impl Iterator<Item = JobId>,
    says: Option<u32>,
) -> Result<(), StoreError> {
    let says = says.into_iter().flat_map(u32::to_be_bytes);
    let ids: Vec<u8> = ids.flat_map(|id| id.0.to_be_bytes()).chain(says).collect();
    work.db
        .prepare_cached("INSERT OR REPLACE INTO remembered (key, until, ids) VALUES (?1, ?2, ?3)")?
        .execute(params![key, until.0, ids])?;
    Ok(())
}

/// Reads the ids that [`remember`] wrote.
pub(super) fn read_ids(bytes: &[u8]) -> Vec<JobId> {
    let (ids, _) = bytes.as_chunks::<16>();
    ids.iter().map(|id| JobId(u128::from_be_bytes(*id))).collect()
}

fn newest(work: &Work<'_>, entry: &NewEntry) -> Result<Option<[u8; 16]>, StoreError> {
    let mut statement = work.db.prepare_cached("SELECT newest FROM person WHERE id = ?1")?;
    let person = signed(entry.person.id().0);
    Ok(statement.query_row([person], |row| row.get(0)).optional()?.flatten())
}

/// The bound that a delivery would exceed.
fn bound_reached(work: &Work<'_>, delivery: &NewDelivery, entries: u64) -> Option<FullBound> {
    let (bounds, tally) = (work.options.bounds, &work.control.tally);
    let unmapped = delivery.unmapped.len() as u64;
    let bytes = delivery.unmapped.iter().map(|unmapped| unmapped.payload.len() as u64).sum();
    let checks = [
        (entries, bounds.entries_max, &tally.entries, FullBound::Entries),
        (unmapped, bounds.dead_letters_max, &tally.dead_by_source, FullBound::DeadLetters),
        (bytes, bounds.dead_bytes_max, &tally.dead_bytes, FullBound::DeadBytes),
    ];
    let full = checks.into_iter().find(|(more, max, taken, _)| {
        let mine = taken.get(delivery.source.as_str()).copied().unwrap_or(0);
        *more > 0 && mine + more > share_of_source(*max, taken.values().sum(), mine)
    });
    full.map(|(_, _, _, bound)| bound)
}
