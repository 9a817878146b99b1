//! How attempts end.

use rusqlite::params;

use super::claim::held_lane;
use super::lanes::Lane;
use super::rows::{JobRow, to_json};
use super::writer::Work;
use super::{holds, tidy};
use crate::core::event::EventKind;
use crate::core::job::{DirectoryEntry, Finished, Progress, extend_history};
use crate::core::time::UnixMs;
use crate::store::{Lease, Settled, Settlement, StoreError, Verdict};

pub(super) fn settle(
    work: &mut Work<'_>,
    now: UnixMs,
    lease: &Lease,
    settlement: &Settlement,
) -> Result<Settled, StoreError> {
    let Some((mut lane, seq, _)) = held_lane(work, lease)? else { return Ok(Settled::Stale) };
    let mut job = JobRow::find(work.db, seq)?
        .ok_or_else(|| StoreError::Damaged(format!("a lease points at job number {seq}, which is not there")))?;
    if let Some(entry) = &settlement.directory {
        learn(work, lane.person, entry)?;
    }
    extend_history(&mut job.history, settlement.history.iter().cloned());
    // The trial ends first: a hold that the verdict sets is a new one, or goes on.
    if let Some(scope) = lease.trial_of {
        holds::end(work, now, scope, Some(lane.fence), settlement.trial);
    }
    match &settlement.verdict {
        Verdict::Done(outcome) => finish(work, now, &mut lane, &job, *outcome)?,
        Verdict::Dead { code, detail, progress } => {
            job.progress = *progress;
            bury(work, now, &mut lane, &job, &to_json(code)?, detail)?;
        }
        Verdict::Retry { at, counted, progress } => {
            if *counted {
                job.attempts = job.attempts.saturating_add(1);
            }
            job.due_at = *at;
            job.progress = *progress;
            job.save(work.db)?;
        }
        Verdict::Hold { scope, code, progress } => {
            holds::set(work, now, *scope, *code);
            put_back(work, now, job, *progress)?;
        }
        Verdict::GiveBack { progress } => put_back(work, now, job, *progress)?,
    }
    lane.advance(work, now)?;
    lane.save(work)?;
    Ok(Settled::Settled)
}

fn put_back(work: &Work<'_>, now: UnixMs, mut job: JobRow, progress: Progress) -> Result<(), StoreError> {
    job.undo_attempt(now);
    job.progress = progress;
    job.save(work.db)
}

fn finish(
    work: &mut Work<'_>,
    now: UnixMs,
    lane: &mut Lane,
    job: &JobRow,
    outcome: Finished,
) -> Result<(), StoreError> {
    work.db
        .prepare_cached("UPDATE jobs SET state = 'done', ended_at = ?2, outcome = ?3, history = ?4 WHERE seq = ?1")?
        .execute(params![job.seq, now.0, to_json(&outcome)?, to_json(&job.history)?])?;
    lane.queued -= 1;
    work.control.tally.done += 1;
    tidy::bound_finished(work)
}

fn bury(
    work: &mut Work<'_>,
    now: UnixMs,
    lane: &mut Lane,
    job: &JobRow,
    code: &str,
    detail: &str,
) -> Result<(), StoreError> {
    work.db
        .prepare_cached(
            "UPDATE jobs SET state = 'dead', ended_at = ?2, code = ?3, detail = ?4, history = ?5, progress = ?6
             WHERE seq = ?1",
        )?
        .execute(params![job.seq, now.0, code, detail, to_json(&job.history)?, to_json(&job.progress)?])?;
    lane.queued -= 1;
    if job.kind == EventKind::Hire {
        lane.parks += 1;
    }
    work.control.tally.dead += 1;
    Ok(())
}

/// Keeps what is known of a person at Postman.
pub(super) fn learn(work: &mut Work<'_>, person: i64, entry: &DirectoryEntry) -> Result<(), StoreError> {
    let text = to_json(entry)?;
    let is_new = work
        .db
        .prepare_cached("UPDATE people SET directory = ?2 WHERE person = ?1 AND directory IS NULL")?
        .execute(params![person, text])?;
    if is_new == 1 {
        work.control.tally.people += 1;
    } else {
        work.db.prepare_cached("UPDATE people SET directory = ?2 WHERE person = ?1")?.execute(params![person, text])?;
    }
    Ok(())
}
