//! Giving out lanes.

use rusqlite::{OptionalExtension, params};

use super::holds;
use super::lanes::{LANE_COLUMNS, Lane, LaneState};
use super::rows::{JobRow, from_json, signed, unsigned};
use super::writer::Work;
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::hold::HoldScope;
use crate::core::job::{DirectoryEntry, HistoryEntry, JobId, Note, extend_history};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::{Claim, ClaimRequest, ClaimedJob, Lease, StoreError, Token, WaitReason};

/// Long enough not to fill the log, short enough that a repaired row is soon found.
const SET_ASIDE_MS: u64 = 3_600_000;

const BOTH: [EventKind; 2] = [EventKind::Hire, EventKind::Rename];

/// What happens while a claim looks around.
struct Round<'a> {
    now: UnixMs,
    request: &'a ClaimRequest,
    jobs: Vec<ClaimedJob>,
    /// The kinds of token that were missing, and when they can be had.
    no_token: Vec<(CallKind, UnixMs)>,
}

impl Round<'_> {
    fn room(&self) -> usize {
        self.request.jobs_max.saturating_sub(self.jobs.len())
    }
}

pub(super) fn claim(work: &mut Work<'_>, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
    if let Some(from) = request.lost_from {
        give_back(work, now, request, from)?;
    }
    let mut round = Round { now, request, jobs: Vec::new(), no_token: Vec::new() };
    if request.jobs_max == 0 {
        return wait(work, &round);
    }
    if let Some(hold) = work.control.slot(HoldScope::All).hold.clone() {
        if holds::probe_is_due(work.control.slot(HoldScope::All), now) {
            trial_of_all(work, &mut round, hold.code)?;
            if round.jobs.is_empty() && round.no_token.is_empty() {
                return probe(work, &mut round, HoldScope::All);
            }
        }
    } else if work.control.slot(HoldScope::Creates).hold.is_some() {
        if holds::probe_is_due(work.control.slot(HoldScope::Creates), now) {
            give(work, &mut round, &[EventKind::Hire], Some(HoldScope::Creates))?;
        }
        give(work, &mut round, &[EventKind::Rename], None)?;
    } else {
        give(work, &mut round, &BOTH, None)?;
    }
    if round.jobs.is_empty() { wait(work, &round) } else { Ok(Claim::Jobs(round.jobs)) }
}

/// Gives back what the worker's claims since then leased: nobody has heard of it.
fn give_back(work: &mut Work<'_>, now: UnixMs, request: &ClaimRequest, from: u64) -> Result<(), StoreError> {
    let lanes = {
        let mut statement = work.db.prepare_cached(&format!(
            "SELECT {LANE_COLUMNS} FROM people WHERE lane_state = 'leased' AND worker = ?1 AND claim >= ?2 AND claim < ?3"
        ))?;
        let range = params![&request.worker, signed(from), signed(request.number)];
        let rows = statement.query_map(range, Lane::read)?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    for mut lane in lanes {
        let Some((seq, _)) = job_of(lane.state) else { continue };
        // One that cannot be read is set aside when its lease runs out.
        let Ok(Some(mut job)) = JobRow::find(work.db, seq) else { continue };
        for scope in [HoldScope::All, HoldScope::Creates] {
            holds::end(work, now, scope, Some(lane.fence), None);
        }
        job.undo_attempt(now);
        job.save(work.db)?;
        lane.advance(work, now)?;
        lane.save(work)?;
    }
    Ok(())
}

/// One job that shows whether the target serves us again.
fn trial_of_all(work: &mut Work<'_>, round: &mut Round<'_>, code: Code) -> Result<(), StoreError> {
    let scope = Some(HoldScope::All);
    if matches!(code, Code::HoldPlan | Code::HoldSeats) {
        // Postman documents these for POST only: another call may pass although they stand.
        give(work, round, &[EventKind::Hire], scope)?;
        // A Hire that is merely short of a token is waited for.
        if round.jobs.is_empty() && round.no_token.is_empty() {
            give(work, round, &[EventKind::Rename], scope)?;
        }
        Ok(())
    } else if work.control.slot(HoldScope::Creates).hold.is_some() {
        give(work, round, &[EventKind::Rename], scope)
    } else {
        give(work, round, &BOTH, scope)
    }
}

/// No job is there to be the trial: a harmless call is.
fn probe(work: &mut Work<'_>, round: &mut Round<'_>, scope: HoldScope) -> Result<Claim, StoreError> {
    match holds::take_token(work, round.now, CallKind::Read) {
        Token::Granted => {
            let until = round.now.plus_ms(round.request.lease_ms);
            let pauses = work.options.probe_pauses;
            holds::hand_out(work.control.slot_mut(scope), pauses, round.now, None, until);
            Ok(Claim::Probe(scope))
        }
        Token::NotBefore(at) => {
            round.no_token.push((CallKind::Read, at));
            wait(work, round)
        }
    }
}

/// Gives out lanes of these kinds, as many as there is room for (one, where it is a trial): those
/// whose lease ran out, then those that are due, the oldest first.
fn give(
    work: &mut Work<'_>,
    round: &mut Round<'_>,
    kinds: &[EventKind],
    trial_of: Option<HoldScope>,
) -> Result<(), StoreError> {
    for state in ["leased", "due"] {
        let room = if trial_of.is_some() { 1 } else { round.room() };
        let mut lanes = Vec::new();
        for &kind in kinds {
            lanes.extend(candidates(work, state, kind, round.now, room)?);
        }
        lanes.sort_by_key(|lane| order(lane.state));
        for lane in lanes {
            let Some((_, kind)) = job_of(lane.state) else { continue };
            if round.room() == 0 || (trial_of.is_some() && !round.jobs.is_empty()) {
                return Ok(());
            }
            let (token, person) = (first_call(kind), lane.person);
            if round.no_token.iter().any(|(missing, _)| *missing == token) {
                continue;
            }
            match holds::take_token(work, round.now, token) {
                Token::Granted => match lease(work, round, lane, trial_of, token) {
                    Ok(claimed) => round.jobs.push(claimed),
                    Err(StoreError::Damaged(what)) => set_aside(work, round.now, person, &what)?,
                    Err(error) => return Err(error),
                },
                Token::NotBefore(at) => round.no_token.push((token, at)),
            }
        }
    }
    Ok(())
}

fn candidates(
    work: &Work<'_>,
    state: &str,
    kind: EventKind,
    now: UnixMs,
    rows_max: usize,
) -> Result<Vec<Lane>, StoreError> {
    let mut statement = work.db.prepare_cached(&format!(
        "SELECT {LANE_COLUMNS} FROM people WHERE lane_state = ?1 AND lane_kind = ?2 AND lane_at <= ?3
         ORDER BY lane_at, lane_seq LIMIT ?4"
    ))?;
    let rows = statement.query_map(params![state, kind.as_str(), now.0, signed(rows_max as u64)], Lane::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn lease(
    work: &mut Work<'_>,
    round: &Round<'_>,
    mut lane: Lane,
    trial_of: Option<HoldScope>,
    token: CallKind,
) -> Result<ClaimedJob, StoreError> {
    let Some((seq, kind)) = job_of(lane.state) else {
        return Err(StoreError::Damaged("a lane that is neither due nor leased was to be claimed".to_owned()));
    };
    let mut row = JobRow::find(work.db, seq)?
        .ok_or_else(|| StoreError::Damaged(format!("a lane points at job number {seq}, which is not there")))?;
    let taken_over = matches!(lane.state, LaneState::Leased { .. });
    if taken_over {
        row.take_overs = row.take_overs.saturating_add(1);
        extend_history(&mut row.history, [HistoryEntry { at: round.now, note: Note::TakenOver }]);
    }
    // A hold harms no job: the time to give up begins anew after it.
    let free_since = holds::free_since(work.control, round.now, kind);
    let first_attempt_at =
        Some(row.first_attempt_at.map_or(round.now, |at| free_since.map_or(at, |free| at.max(free))));
    if taken_over || row.first_attempt_at != first_attempt_at {
        row.first_attempt_at = first_attempt_at;
        row.save(work.db)?;
    }
    let until = round.now.plus_ms(round.request.lease_ms);
    // Never one that was given out before, not even by a file that was put back from a copy: fences grow
    // by more a millisecond than are given out.
    let fence = work.control.next_fence.max(round.now.0.saturating_mul(256));
    work.control.next_fence = fence + 1;
    lane.fence = fence;
    lane.claim = Some((round.request.worker.clone(), signed(round.request.number)));
    lane.state = LaneState::Leased { job: seq, kind, until };
    lane.save(work)?;
    if let Some(scope) = trial_of {
        let pauses = work.options.probe_pauses;
        holds::hand_out(work.control.slot_mut(scope), pauses, round.now, Some(fence), until);
    }
    let directory = directory(work, row.id, lane.person)?;
    let job = row.into_job()?;
    let lease = Lease { person: job.event.person.clone(), job: job.id, fence: unsigned(fence), until, trial_of };
    Ok(ClaimedJob { lease, job, directory, token })
}

/// One row that cannot be read must not stop everybody else: its lane is looked at again later.
fn set_aside(work: &mut Work<'_>, now: UnixMs, person: i64, what: &str) -> Result<(), StoreError> {
    let mut lane = Lane::of(work, person)?;
    tracing::error!(lane = person, what, "a lane cannot be read: it is set aside for an hour");
    if let Some((head, kind)) = job_of(lane.state) {
        lane.state = LaneState::Due { head, kind, at: now.plus_ms(SET_ASIDE_MS) };
        lane.save(work)?;
    }
    Ok(())
}

fn directory(work: &Work<'_>, job: JobId, person: i64) -> Result<Option<DirectoryEntry>, StoreError> {
    let mut statement = work.db.prepare_cached("SELECT directory FROM people WHERE person = ?1")?;
    let text: Option<String> = statement.query_row([person], |row| row.get(0))?;
    text.map(|text| from_json(job, "person's directory entry", &text)).transpose()
}

/// Why there is nothing, and until when.
fn wait(work: &Work<'_>, round: &Round<'_>) -> Result<Claim, StoreError> {
    let all = work.control.slot(HoldScope::All);
    let creates = work.control.slot(HoldScope::Creates);
    let mut until: Option<UnixMs> = None;
    let mut held = false;
    let earlier = |until: &mut Option<UnixMs>, at: UnixMs| *until = Some(until.map_or(at, |before| before.min(at)));
    for (_, at) in &round.no_token {
        earlier(&mut until, *at);
    }
    if all.hold.is_some() {
        // A probe is made whether or not a job is there for it.
        if let Some(at) = holds::probe_at(all).filter(|at| *at > round.now) {
            earlier(&mut until, at);
        }
    }
    for kind in BOTH {
        let next = next_at(work, "due", kind)?.into_iter().chain(next_at(work, "leased", kind)?).min();
        let Some(next) = next else { continue };
        if all.hold.is_some() {
            held |= next <= round.now;
        } else if kind == EventKind::Hire && creates.hold.is_some() {
            held |= next <= round.now;
            if let Some(at) = holds::probe_at(creates).map(|at| at.max(next)).filter(|at| *at > round.now) {
                earlier(&mut until, at);
            }
        } else if next > round.now {
            earlier(&mut until, next);
        }
    }
    let reason = match round.no_token.first() {
        Some((kind, _)) => WaitReason::Token(*kind),
        None if held => WaitReason::Hold,
        None => WaitReason::NothingDue,
    };
    Ok(Claim::Wait { until, reason })
}

fn next_at(work: &Work<'_>, state: &str, kind: EventKind) -> Result<Option<UnixMs>, StoreError> {
    let mut statement = work.db.prepare_cached(
        "SELECT lane_at FROM people WHERE lane_state = ?1 AND lane_kind = ?2 ORDER BY lane_at, lane_seq LIMIT 1",
    )?;
    Ok(statement.query_row(params![state, kind.as_str()], |row| row.get(0)).optional()?.map(UnixMs))
}

/// The job that a claim of this lane would give.
fn job_of(state: LaneState) -> Option<(i64, EventKind)> {
    match state {
        LaneState::Due { head: seq, kind, .. } | LaneState::Leased { job: seq, kind, .. } => Some((seq, kind)),
        LaneState::Idle | LaneState::Parked => None,
    }
}

fn order(state: LaneState) -> (UnixMs, i64) {
    match state {
        LaneState::Due { head: seq, at, .. } | LaneState::Leased { job: seq, until: at, .. } => (at, seq),
        LaneState::Idle | LaneState::Parked => (UnixMs(i64::MAX), i64::MAX),
    }
}

/// What a job's first call counts against.
fn first_call(kind: EventKind) -> CallKind {
    match kind {
        EventKind::Hire => CallKind::Write,
        EventKind::Rename => CallKind::Read,
    }
}

/// Prolongs a lease, and the trial that goes with it.
pub(super) fn renew(
    work: &mut Work<'_>,
    now: UnixMs,
    lease: &Lease,
    lease_ms: u64,
) -> Result<Option<Lease>, StoreError> {
    let Some((mut lane, job, kind)) = held_lane(work, lease)? else { return Ok(None) };
    let until = now.plus_ms(lease_ms);
    lane.state = LaneState::Leased { job, kind, until };
    lane.save(work)?;
    if let Some(scope) = lease.trial_of
        && let Some(trial) = &mut work.control.slot_mut(scope).trial
        && trial.fence == Some(lane.fence)
    {
        trial.until = until;
    }
    Ok(Some(Lease { until, ..lease.clone() }))
}

/// The lane of a lease with the job that is worked on, where the lease is still its own, and the job that one.
pub(super) fn held_lane(work: &Work<'_>, lease: &Lease) -> Result<Option<(Lane, i64, EventKind)>, StoreError> {
    let lane = Lane::find(work, &lease.person.to_string())?;
    let held = lane.and_then(|lane| match lane.state {
        LaneState::Leased { job, kind, .. } if unsigned(lane.fence) == lease.fence => Some((lane, job, kind)),
        LaneState::Leased { .. } | LaneState::Idle | LaneState::Due { .. } | LaneState::Parked => None,
    });
    let Some((lane, seq, kind)) = held else { return Ok(None) };
    let is_that_job = JobRow::id_of(work.db, seq)? == Some(lease.job);
    Ok(is_that_job.then_some((lane, seq, kind)))
}
