//! What is past its keep goes, in bounded pieces. Dead letters never do.
//!
//! The index is named in the statements: left to itself, SQLite sorts all finished jobs for a few.

use rusqlite::params;

use super::rows::signed;
use super::writer::Work;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// Rows of each sort that one tidying drops: it shares the writer with everybody.
const ROWS_AT_ONCE: i64 = 500;
/// Finished jobs that one settlement drops: more than it adds, so that a lowered bound is reached.
const ROWS_PER_SETTLE: i64 = 4;

/// Drops finished jobs past their age or number, and deliveries past their time.
pub(super) fn tidy(work: &mut Work<'_>, now: UnixMs) -> Result<u64, StoreError> {
    let retention = work.options.retention;
    let old = work
        .db
        .prepare_cached(
            "DELETE FROM jobs WHERE seq IN
                 (SELECT seq FROM jobs INDEXED BY jobs_finished WHERE state = 'done' AND ended_at < ?1 ORDER BY ended_at, seq LIMIT ?2)",
        )?
        .execute(params![now.minus_ms(retention.finished_ms).0, ROWS_AT_ONCE])?;
    work.control.tally.done -= signed(old as u64);
    let surplus = drop_surplus(work, ROWS_AT_ONCE)?;
    let forgotten = work
        .db
        .prepare_cached(
            "DELETE FROM deliveries WHERE key IN
                 (SELECT key FROM deliveries WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        )?
        .execute(params![now.0, ROWS_AT_ONCE])?;
    Ok((old + forgotten) as u64 + surplus)
}

/// Keeps the number of finished jobs within its bound while jobs finish.
pub(super) fn bound_finished(work: &mut Work<'_>) -> Result<(), StoreError> {
    drop_surplus(work, ROWS_PER_SETTLE).map(|_| ())
}

fn drop_surplus(work: &mut Work<'_>, rows_max: i64) -> Result<u64, StoreError> {
    let surplus = work.control.tally.done.saturating_sub(signed(work.options.retention.finished_jobs_max));
    if surplus <= 0 {
        return Ok(0);
    }
    let dropped = work
        .db
        .prepare_cached(
            "DELETE FROM jobs WHERE seq IN
                 (SELECT seq FROM jobs INDEXED BY jobs_finished WHERE state = 'done' ORDER BY ended_at, seq LIMIT ?1)",
        )?
        .execute([surplus.min(rows_max)])?;
    work.control.tally.done -= signed(dropped as u64);
    Ok(dropped as u64)
}
