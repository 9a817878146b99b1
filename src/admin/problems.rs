//! What is wrong and what to do first: a pure judgement over the store's figures.

use std::collections::BTreeMap;

use crate::core::code::Code;
use crate::core::hold::Hold;
use crate::core::job::JobState;
use crate::store::{DeadSummary, JobView};

use super::answer::last_retry;
use super::service::Status;

/// A due job this old, with no hold to explain it, means that workers are missing or too slow:
/// above the longest lease and a usual wait for the limiter.
const OVERDUE_MS: u64 = 5 * 60_000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The stable code, where there is one.
    pub(super) code: Option<Code>,
    /// What is wrong, in a line.
    pub(super) what: String,
    /// What to do about it, in a line.
    pub(super) action: &'static str,
    /// The console's page about it.
    pub(super) page: &'static str,
}

/// What is wrong, most pressing first. `dead` and `waiting` are the newest of their kind: counts by
/// code are of these, and totals come from the figures.
pub(super) fn problems(status: &Status, dead: &[DeadSummary], waiting: &[JobView]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = status.holds.iter().map(held).collect();
    let retried = count(waiting.iter().filter_map(last_retry));
    problems.extend(retried.into_iter().map(|(code, n)| Problem {
        code: Some(code),
        what: format!("{} tried again: {}", counted(n, "job is", "jobs are"), code.title()),
        action: code.advice(),
        page: "/jobs?state=waiting",
    }));
    problems.extend(overdue(status));
    problems.extend(count(dead.iter().map(|d| d.code)).into_iter().map(|(code, n)| Problem {
        code: Some(code),
        what: format!("{}: {}", counted(n, "dead letter", "dead letters"), code.title()),
        action: code.advice(),
        page: "/dead",
    }));
    problems
}

fn held(hold: &Hold) -> Problem {
    Problem { code: Some(hold.code), what: hold.code.title().to_owned(), action: hold.code.advice(), page: "/hold" }
}

fn overdue(status: &Status) -> Option<Problem> {
    let age_ms = status.now.ms_since(status.stats.oldest_due_at?);
    (status.holds.is_empty() && age_ms >= OVERDUE_MS).then(|| Problem {
        code: None,
        what: format!("A job has been due for {} minutes.", age_ms / 60_000),
        action: "A backlog drains at Postman's limit; if none is being worked on, see whether a worker runs.",
        page: "/jobs?state=waiting",
    })
}

/// Counts by code, the most frequent first.
fn count(codes: impl Iterator<Item = Code>) -> Vec<(Code, usize)> {
    let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
    for code in codes {
        *counts.entry(code).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
    counts
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// How many jobs of a state there are.
pub(super) fn jobs_in(status: &Status, state: JobState) -> u64 {
    status.stats.jobs.get(state.as_str()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::SourceName;
    use crate::core::hold::HoldScope;
    use crate::core::job::JobId;
    use crate::core::time::UnixMs;
    use crate::store::Stats;

    fn status(oldest_due_at: Option<UnixMs>, holds: Vec<Hold>) -> Status {
        Status { now: UnixMs(600_000), stats: Stats { oldest_due_at, ..Stats::default() }, holds }
    }

    fn dead(code: Code) -> DeadSummary {
        DeadSummary {
            id: JobId(1),
            source: SourceName::parse("hr").unwrap(),
            person: None,
            event: None,
            died_at: UnixMs(0),
            code,
            detail: String::new(),
            parks_lane: false,
        }
    }

    #[test]
    fn nothing_wrong_is_an_empty_list() {
        assert!(problems(&status(Some(UnixMs(599_000)), Vec::new()), &[], &[]).is_empty());
    }

    #[test]
    fn a_hold_comes_first_and_explains_the_overdue_job() {
        let hold =
            Hold { scope: HoldScope::All, code: Code::HoldKey, since: UnixMs(0), next_probe_at: None, probes: 1 };
        let all = problems(&status(Some(UnixMs(0)), vec![hold]), &[dead(Code::MapField)], &[]);
        let codes: Vec<_> = all.iter().map(|p| p.code).collect();
        assert_eq!(codes, [Some(Code::HoldKey), Some(Code::MapField)]);
    }

    #[test]
    fn an_overdue_job_without_a_hold_is_told() {
        let all = problems(&status(Some(UnixMs(0)), Vec::new()), &[], &[]);
        assert_eq!(all[0].what, "A job has been due for 10 minutes.");
    }

    #[test]
    fn dead_letters_are_counted_by_code_the_most_frequent_first() {
        let letters = [dead(Code::MapField), dead(Code::ScimElsewhere), dead(Code::ScimElsewhere)];
        let all = problems(&status(None, Vec::new()), &letters, &[]);
        assert!(all[0].what.starts_with("2 dead letters: Postman says"), "{}", all[0].what);
        assert!(all[1].what.starts_with("1 dead letter: "), "{}", all[1].what);
    }
}
