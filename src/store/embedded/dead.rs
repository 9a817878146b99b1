//! What an operator does with dead letters.

use rusqlite::params;

use super::accept::enqueue;
use super::lanes::{Lane, LaneState};
use super::rows::{JobRow, blob, to_json};
use super::writer::Work;
use crate::core::event::EventKind;
use crate::core::job::{HistoryEntry, JobId, Note, Progress, extend_history};
use crate::core::time::UnixMs;
use crate::store::{DeadAction, NewJob, StoreError};

/// Back to its place in its lane, by its own sequence.
pub(super) fn replay(work: &mut Work<'_>, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
    let Some(mut job) = JobRow::find_dead(work.db, id)? else {
        return Ok(if is_unmapped(work, id)? { DeadAction::WrongOrigin } else { DeadAction::NotFound });
    };
    extend_history(&mut job.history, [HistoryEntry { at: now, note: Note::Replayed }]);
    let progress = Progress { create_unknown: job.progress.create_unknown, ..Progress::default() };
    work.db
        .prepare_cached(
            "UPDATE jobs SET state = 'live', due_at = ?2, attempts = 0, take_overs = 0, first_attempt_at = NULL,
                 ended_at = NULL, code = NULL, detail = NULL, progress = ?3, history = ?4 WHERE seq = ?1",
        )?
        .execute(params![job.seq, now.0, to_json(&progress)?, to_json(&job.history)?])?;
    work.control.tally.dead -= 1;
    let mut lane = Lane::of(work, job.person)?;
    lane.enter(job.seq, job.kind, now);
    unpark(work, &mut lane, job.kind, now)?;
    lane.save(work)?;
    Ok(DeadAction::Done)
}

/// New jobs in the place of a record that could not be mapped.
pub(super) fn replay_as(
    work: &mut Work<'_>,
    now: UnixMs,
    id: JobId,
    jobs: &[NewJob],
) -> Result<DeadAction, StoreError> {
    if !drop_unmapped(work, id)? {
        let is_job = JobRow::find_dead(work.db, id)?.is_some();
        return Ok(if is_job { DeadAction::WrongOrigin } else { DeadAction::NotFound });
    }
    for job in jobs {
        enqueue(work, now, job)?;
    }
    Ok(DeadAction::Done)
}

/// Gone for good.
pub(super) fn discard(work: &mut Work<'_>, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
    if drop_unmapped(work, id)? {
        return Ok(DeadAction::Done);
    }
    let Some(job) = JobRow::find_dead(work.db, id)? else { return Ok(DeadAction::NotFound) };
    work.db.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([job.seq])?;
    work.control.tally.dead -= 1;
    let mut lane = Lane::of(work, job.person)?;
    unpark(work, &mut lane, job.kind, now)?;
    lane.save(work)?;
    Ok(DeadAction::Done)
}

/// Where a dead Hire is gone, what waits behind it goes on.
fn unpark(work: &Work<'_>, lane: &mut Lane, kind: EventKind, now: UnixMs) -> Result<(), StoreError> {
    if kind != EventKind::Hire {
        return Ok(());
    }
    lane.parks -= 1;
    if lane.state == LaneState::Parked { lane.advance(work, now) } else { Ok(()) }
}

fn is_unmapped(work: &Work<'_>, id: JobId) -> Result<bool, StoreError> {
    Ok(work.db.prepare_cached("SELECT 1 FROM unmapped WHERE id = ?1")?.exists([blob(id)])?)
}

fn drop_unmapped(work: &mut Work<'_>, id: JobId) -> Result<bool, StoreError> {
    let dropped = work.db.prepare_cached("DELETE FROM unmapped WHERE id = ?1")?.execute([blob(id)])?;
    work.control.tally.dead -= i64::from(dropped > 0);
    Ok(dropped > 0)
}
