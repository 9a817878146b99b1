//! What happens to a job after an attempt: the one place that counts attempts and gives up.

use std::time::Duration;

use super::code::Code;
use super::hold::HoldScope;
use super::job::{DirectoryEntry, Finished, Job, Progress};
use super::plan::{AtPostman, Care, Conclusion, happened_at};
use super::time::UnixMs;

/// What happens to a job after an attempt.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Finished: leaves its lane, is kept for the timeline.
    Done(Finished),
    /// Stays at the head of its lane, not due before `at`.
    Retry {
        /// When.
        at: UnixMs,
        /// Whether it counts as an attempt.
        counted: bool,
        /// What the next attempt must know.
        progress: Progress,
    },
    /// Stays at the head of its lane, due at once, uncounted; the hold is set in the same step.
    Hold {
        /// What is held.
        scope: HoldScope,
        /// Why.
        code: Code,
        /// What the next attempt must know.
        progress: Progress,
    },
    /// Becomes a dead letter. A Hire parks its lane, a Rename lets the next job run.
    Dead {
        /// Why.
        code: Code,
        /// Fields and shapes, never values.
        detail: String,
        /// What a replay must know.
        progress: Progress,
    },
    /// Given back unfinished, due at once, uncounted.
    GiveBack {
        /// What the next attempt must know.
        progress: Progress,
    },
}

/// How failures are tried again, and when they are given up.
#[derive(Debug, Clone, Copy)]
pub struct RetryRules {
    /// Upper bound of the first pause.
    pub first_ms: u64,
    /// Upper bound of every pause.
    pub max_ms: u64,
    /// A job that has been failing for so long becomes a dead letter.
    pub give_up_after_ms: u64,
    /// How often nobody may be found for a rename before it is a dead letter.
    pub not_found_tries: u32,
    /// How often the username may not be updated before it is a dead letter.
    pub username_tries: u32,
    /// After so many crash take-overs a job is taken for poison.
    pub take_overs_max: u32,
}

/// Fewest attempts before a job is given up, however old it is: the time that it spent behind a hold
/// or in a store that was switched off is not time in which it failed.
pub const GIVE_UP_ATTEMPTS_MIN: u32 = 10;

impl RetryRules {
    /// The pause before the next attempt: exponential with full jitter, capped.
    ///
    /// `failures` is how many there were before; `jitter` is a random share in `[0, 1)`.
    #[must_use]
    pub fn pause_ms(&self, failures: u32, jitter: f64) -> u64 {
        let cap_ms = self.first_ms.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX)).min(self.max_ms);
        Duration::from_millis(cap_ms).mul_f64(jitter.clamp(0.0, 1.0)).as_millis().try_into().unwrap_or(cap_ms)
    }

    /// The care that the attempt at `job` that begins at `now` takes. A rename that would be a dead
    /// letter next is looked for among all members, on up to `pages_max` pages; a job that has failed
    /// for long and often is given up if it alone fails.
    #[must_use]
    pub fn care(&self, job: &Job, pages_max: u32, now: UnixMs) -> Care {
        let failing_ms = job.first_attempt_at.map_or(0, |first| now.ms_since(first));
        Care {
            thorough: job.progress.not_found + 1 >= self.not_found_tries,
            pages_max,
            at_wits_end: failing_ms >= self.give_up_after_ms && job.attempts + 1 >= GIVE_UP_ATTEMPTS_MIN,
        }
    }

    /// Whether worker after worker died of this job.
    #[must_use]
    pub fn is_poison(&self, job: &Job) -> bool {
        job.take_overs > self.take_overs_max
    }
}

/// Makes a verdict of how an attempt ended. `now` is the end of the attempt, `jitter` a random share
/// in `[0, 1)`.
#[must_use]
pub fn decide(rules: &RetryRules, job: &Job, conclusion: &Conclusion, now: UnixMs, jitter: f64) -> Verdict {
    let progress = job.progress;
    match conclusion {
        Conclusion::Done { finished, .. } => Verdict::Done(*finished),
        Conclusion::Dead { code, detail, create_unknown } => {
            let progress = Progress { create_unknown: progress.create_unknown || *create_unknown, ..progress };
            Verdict::Dead { code: *code, detail: detail.clone(), progress }
        }
        Conclusion::Hold { scope, code } => Verdict::Hold { scope: *scope, code: *code, progress },
        // The limiter keeps everybody waiting; the job itself has done nothing wrong.
        Conclusion::RateLimited { until } => Verdict::Retry { at: *until, counted: false, progress },
        Conclusion::NobodyFound => {
            let progress = Progress { not_found: progress.not_found + 1, ..progress };
            let spent = progress.not_found >= rules.not_found_tries;
            few_tries(rules, spent, progress.not_found, Code::ScimNotMember, progress, now, jitter)
        }
        Conclusion::UsernameRefused => {
            let progress = Progress { username_refused: progress.username_refused + 1, ..progress };
            let spent = progress.username_refused >= rules.username_tries;
            few_tries(rules, spent, progress.username_refused, Code::ScimUsername, progress, now, jitter)
        }
        Conclusion::TryAgain { not_before, create_unknown, .. } => {
            let progress = Progress { create_unknown: progress.create_unknown || *create_unknown, ..progress };
            let at = now.plus_ms(rules.pause_ms(job.attempts, jitter)).max(not_before.unwrap_or(now));
            Verdict::Retry { at, counted: true, progress }
        }
    }
}

/// For what few repetitions can mend: again after a pause, or a dead letter once they are spent.
fn few_tries(
    rules: &RetryRules,
    spent: bool,
    tries: u32,
    code: Code,
    progress: Progress,
    now: UnixMs,
    jitter: f64,
) -> Verdict {
    if spent {
        return Verdict::Dead { code, detail: format!("after {tries} tries"), progress };
    }
    let at = now.plus_ms(rules.pause_ms(tries, jitter));
    Verdict::Retry { at, counted: true, progress }
}

/// The directory entry of a person after `job` was applied at `now`: never older than it was.
#[must_use]
pub fn directory_after(
    before: Option<&DirectoryEntry>,
    job: &Job,
    at_postman: &AtPostman,
    now: UnixMs,
) -> DirectoryEntry {
    DirectoryEntry {
        scim_id: at_postman.scim_id.clone(),
        user_name: at_postman.user_name.clone(),
        in_line_at: now,
        occurred_at: happened_at(job).max(before.and_then(|entry| entry.occurred_at)),
        seq: job.seq.max(before.map_or(0, |entry| entry.seq)),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
