//! Deletes what has expired, in bounded pieces, and lets the file shrink. Dead letters never expire.

use rusqlite::params;

use super::control::was_set_back;
use super::figures::unsigned;
use super::writer::Work;
use crate::clock::LeaseClock;
use crate::core::clock_watch::ClockWatch;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// How many rows of each kind one run drops: it shares the writer with everybody.
const ROWS_AT_ONCE: i64 = 500;
/// How many stories one run drops.
const PEOPLE_AT_ONCE: i64 = 50;
/// How many pages one run gives back.
const PAGES_AT_ONCE: i64 = 1_024;
/// Free pages that are kept, so that the file does not shrink and grow all day.
const PAGES_KEPT: i64 = 1_024;
/// And this share of the file.
const SHARE_KEPT: i64 = 4;

/// How often it is noted that it was tidied.
const NOTED_MS: u64 = 60_000;
/// A clock that has advanced by more than this between two runs may be wrong.
const AWAY_MS: u64 = 86_400_000;
/// Then nothing is forgotten for this long: time to correct the clock.
const DOUBT_MS: u64 = 3_600_000;

/// Drops deliveries past their time and stories of people who have been idle for long.
pub(super) fn tidy(work: &mut Work<'_>, now: UnixMs) -> Result<u64, StoreError> {
    Ok(match time_that_counts(work, now) {
        Some(now) => forget(work, now)?,
        None => 0,
    } + give_space_back(work)?)
}

/// What the wall clock showed when the store was opened.
pub(super) fn watch(clock: &LeaseClock) -> ClockWatch {
    let mut watch = ClockWatch::default();
    if let LeaseClock::Steady { at, .. } = clock {
        watch.look(*at, 0, DOUBT_MS);
    }
    watch
}

/// What is forgotten does not come back. So a leap of the wall clock counts as passed time only once that clock has run on
/// evenly for a while; and none counts for a while if the clock may have been wrong when the store was opened.
fn time_that_counts(work: &mut Work<'_>, now: UnixMs) -> Option<UnixMs> {
    let before = UnixMs(work.control.tidied);
    let counts = match work.clock {
        LeaseClock::Caller => now,
        LeaseClock::Steady { .. } => {
            let running_ms = work.clock.running_ms();
            let range = work.clock_watch.look(now, running_ms, DOUBT_MS);
            if now.ms_since(before) > AWAY_MS && running_ms < DOUBT_MS {
                return None;
            }
            range.earliest
        }
    };
    if counts.ms_since(before) >= NOTED_MS || was_set_back(before, counts) {
        work.control.tidied = counts.0;
    }
    Some(counts)
}

fn forget(work: &Work<'_>, now: UnixMs) -> Result<u64, StoreError> {
    let forgotten = work
        .db
        .prepare_cached(
            "DELETE FROM remembered WHERE key IN
                 (SELECT key FROM remembered WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        )?
        .execute(params![now.0, ROWS_AT_ONCE])?;
    let idle_since = now.minus_ms(work.options.bounds.story_keep_ms);
    let old: Vec<i64> = {
        let sql =
            "SELECT id FROM person WHERE state = 'idle' AND has_story = 1 AND since <= ?1 ORDER BY since LIMIT ?2";
        let mut statement = work.db.prepare_cached(sql)?;
        let rows = statement.query_map([idle_since.0, PEOPLE_AT_ONCE], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut entries = 0;
    for person in old {
        entries += work.db.prepare_cached("DELETE FROM story WHERE person = ?1")?.execute([person])?;
        work.db.prepare_cached("UPDATE person SET has_story = 0 WHERE id = ?1")?.execute([person])?;
    }
    Ok((forgotten + entries) as u64)
}

/// Returns free pages to the file system; the result is their number.
fn give_space_back(work: &Work<'_>) -> Result<u64, StoreError> {
    let number =
        |name: &str| -> Result<i64, StoreError> { Ok(work.db.pragma_query_value(None, name, |row| row.get(0))?) };
    let (free, all) = (number("freelist_count")?, number("page_count")?);
    let surplus = free - PAGES_KEPT.max(all / SHARE_KEPT);
    if surplus <= 0 {
        return Ok(0);
    }
    let sql = format!("PRAGMA incremental_vacuum({})", surplus.min(PAGES_AT_ONCE));
    let mut statement = work.db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(unsigned(free - number("freelist_count")?))
}
