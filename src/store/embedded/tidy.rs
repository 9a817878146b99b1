//! Deletes what has expired, in bounded pieces, and lets the file shrink. Dead letters never expire.

use rusqlite::params;

use super::figures::unsigned;
use super::writer::Work;
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

/// Drops deliveries past their time and stories of people who have been idle for long.
pub(super) fn tidy(work: &mut Work<'_>, now: UnixMs) -> Result<u64, StoreError> {
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
    let mut told = 0;
    for person in old {
        told += work.db.prepare_cached("DELETE FROM story WHERE person = ?1")?.execute([person])?;
        work.db.prepare_cached("UPDATE person SET has_story = 0 WHERE id = ?1")?.execute([person])?;
    }
    Ok((forgotten + told) as u64 + give_space_back(work)?)
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
