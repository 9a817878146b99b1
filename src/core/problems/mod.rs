//! What needs attention: judged from figures in one place, for console, API, `status`, alerts and metrics. "All is
//! well" means that nothing was found.
//!
//! Lives here: the judgement, in `store`, `work`, `source`, `people` and `upkeep`, and its codes. Not here: how the figures
//! are collected.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

pub use self::code::ProblemCode;
pub use self::figures::{
    AlertFigure, BoundFigures, CertificateFigure, DeadFigure, FetchFigure, Figures, GoneFigure, ImportFigure,
    LeaverFigure, MarkFigure, SourceFigures,
};
pub use self::people::LEAVERS_TOLD_MS;

pub mod code;
pub mod figures;
mod people;
mod source;
mod store;
mod upkeep;
mod work;

/// How long before its expiry a secret or certificate is reported.
const EXPIRES_MS: u64 = 14 * 86_400_000;

/// One thing that needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its stable code: a [`ProblemCode`], or a [`super::code::Code`].
    pub code: String,
    /// What it is about, if there can be several with this code: a source, a scope, a type.
    pub subject: String,
    /// What is wrong, in a line.
    pub what: String,
    /// What is wrong, without anything that was received except names of types: alerts are sent elsewhere.
    pub brief: String,
    /// How many people, deliveries, calls or dead letters: all of them.
    pub count: u64,
    /// When it began.
    pub since: UnixMs,
    /// What to do about it, in a line.
    pub action: String,
    /// The console's page with exactly these.
    pub page: String,
}

impl Problem {
    /// The key by which it is recognised as the same problem.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.code, &self.subject)
    }
}

/// Whether a problem with this code may be why nothing is known of somebody whom HR has reported.
#[must_use]
pub fn hides_people(code: &str) -> bool {
    const OF_DELIVERIES: [ProblemCode; 12] = [
        ProblemCode::SourceSignature,
        ProblemCode::SourceTime,
        ProblemCode::SourceRefused,
        ProblemCode::SourceFull,
        ProblemCode::SourceIgnored,
        ProblemCode::SourceUnknown,
        ProblemCode::SourceConflict,
        ProblemCode::SourceToken,
        ProblemCode::SourceGone,
        ProblemCode::SourceQuiet,
        ProblemCode::SourceSecretExpires,
        ProblemCode::RosterRefused,
    ];
    ["STORE-", "MAP-"].iter().any(|kind| code.starts_with(kind)) || OF_DELIVERIES.iter().any(|one| one.as_str() == code)
}

/// The key of a problem with this code, about this.
pub(super) fn key(code: &str, subject: &str) -> String {
    format!("{code} {subject}").trim_end().to_owned()
}

/// A problem being judged. If the figures do not say since when, that is remembered.
struct Found {
    code: String,
    subject: String,
    what: String,
    brief: Option<String>,
    count: u64,
    since: Option<UnixMs>,
    action: String,
    page: String,
}

impl Found {
    fn new(code: impl Display, what: String, action: &str, count: u64) -> Self {
        let (subject, page) = (String::new(), "/".to_owned());
        Self { code: code.to_string(), subject, what, brief: None, count, since: None, action: action.to_owned(), page }
    }

    /// What alerts say instead, if `what` repeats something that was received.
    fn in_brief(self, brief: String) -> Self {
        Self { brief: Some(brief), ..self }
    }

    fn about(self, subject: impl Display) -> Self {
        Self { subject: subject.to_string(), ..self }
    }

    fn since(self, since: Option<UnixMs>) -> Self {
        Self { since, ..self }
    }

    fn at(self, page: impl Into<String>) -> Self {
        Self { page: page.into(), ..self }
    }
}

/// What needs attention, most urgent first. `seen` has the start of problems whose figures lack it.
#[must_use]
pub fn problems(figures: &Figures, seen: &Seen) -> Vec<Problem> {
    let mut found: Vec<_> = store::troubles(figures);
    found.extend(work::held(figures));
    found.extend(work::nobody(figures));
    found.extend(work::target(figures));
    found.extend(work::paused(figures));
    found.extend(work::stuck(figures));
    found.extend(source::troubles(figures));
    found.extend(source::again(figures));
    found.extend(source::outdated(figures));
    found.extend(source::gone(figures));
    found.extend(work::bounds(figures));
    found.extend(people::dead(figures));
    found.extend(people::marked(figures));
    found.extend(people::incomplete(figures));
    found.extend(people::imports(figures));
    found.extend(people::fetches(figures));
    found.extend(people::drift(figures));
    found.extend(source::quiet(figures));
    found.extend(work::processes(figures));
    found.extend(upkeep::secrets(figures));
    found.extend(upkeep::alerts(figures));
    found.extend(upkeep::certificates(figures));
    found.into_iter().map(|found| dated(found, figures.now, seen)).collect()
}

/// What is wrong with the store if nothing else is known; since this instant, unless the start is known.
#[must_use]
pub fn store_problems(figures: &Figures, since: UnixMs) -> Vec<Problem> {
    let dated_since = |found: Found| Found { since: found.since.or(Some(since)), ..found };
    let found = store::troubles(figures).into_iter().map(dated_since);
    found.map(|found| dated(found, figures.now, &Seen::default())).collect()
}

fn dated(found: Found, now: UnixMs, seen: &Seen) -> Problem {
    let Found { code, subject, what, brief, count, since, action, page } = found;
    let brief = brief.unwrap_or_else(|| what.clone());
    let mut problem = Problem { code, subject, what, brief, count, since: now, action, page };
    problem.since = since.or_else(|| seen.first.get(&problem.key()).copied()).unwrap_or(now);
    problem
}

/// Since when each problem has been there: a small shared document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// By [`Problem::key`].
    pub first: BTreeMap<String, UnixMs>,
}

impl Seen {
    /// Updates it to what is there now. Returns whether anything changed.
    pub fn fold(&mut self, problems: &[Problem]) -> bool {
        let first: BTreeMap<_, _> = problems
            .iter()
            .map(|problem| {
                let known = self.first.get(&problem.key());
                (problem.key(), known.map_or(problem.since, |known| (*known).min(problem.since)))
            })
            .collect();
        let has_changed = first != self.first;
        self.first = first;
        has_changed
    }
}

/// `1 person`, `3 people`.
fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `3 min`, `2 h`.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str, since: i64) -> Problem {
        let text = String::new;
        Problem {
            code: code.to_owned(),
            subject: text(),
            what: text(),
            brief: text(),
            count: 1,
            since: UnixMs(since),
            action: text(),
            page: text(),
        }
    }

    #[test]
    fn without_problems_all_is_well() {
        assert_eq!(problems(&Figures { up_since: UnixMs(0), ..Figures::default() }, &Seen::default()), []);
    }

    #[test]
    fn the_start_is_remembered_until_the_problem_goes() {
        let mut seen = Seen::default();
        assert!(seen.fold(&[problem("A", 5)]));
        assert!(!seen.fold(&[problem("A", 9)]));
        assert_eq!(seen.first["A"], UnixMs(5));
        assert!(seen.fold(&[]));
        assert!(seen.fold(&[problem("A", 20)]));
        assert_eq!(seen.first["A"], UnixMs(20));
    }

    #[test]
    fn codes_are_distinct_and_say_what_to_do() {
        let mut texts: Vec<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        texts.extend(crate::core::code::Code::ALL.iter().map(|code| code.as_str()));
        let all = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), all);
        let document = include_str!("../../../docs/runbook.md");
        for code in ProblemCode::ALL {
            assert!(document.contains(&format!("\n### {code}\n")), "{code} has no entry in the documentation");
            assert!(code.title().ends_with('.') && code.advice().ends_with('.'), "{code}");
        }
    }
}
