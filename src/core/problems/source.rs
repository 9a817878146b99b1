//! Whether the HR systems get through: what is refused, ignored, misread, and who has fallen silent.

use super::{Counted, Figures, Found, ProblemCode, SourceFigures, counted, span};
use crate::core::time::UnixMs;

/// Nothing was refused for so long: whoever it was has given up, or it was mended.
const REFUSED_MS: u64 = 3_600_000;
/// Nothing of it came for so long: it is over.
const OVER_MS: u64 = 7 * 86_400_000;
/// A source that delivered at least so much…
const REGULAR_MIN: u64 = 50;
/// …and nothing for so long, is told: above a week of holidays at a small company.
const QUIET_MS: u64 = 10 * 86_400_000;
/// How long before its end a secret is told.
const EXPIRES_MS: u64 = 14 * 86_400_000;

fn page(source: &SourceFigures) -> String {
    format!("/deliveries#{}", source.name)
}

fn is_recent(now: UnixMs, counted: &Counted, within_ms: u64) -> bool {
    now.ms_since(counted.last_at) < within_ms
}

/// Deliveries that are refused or put off.
pub(super) fn refused(figures: &Figures) -> Vec<Found> {
    let mut found = Vec::new();
    for source in &figures.sources {
        for (reason, seen) in source.refused.iter().filter(|(_, seen)| is_recent(figures.now, seen, REFUSED_MS)) {
            let code = code_of(reason);
            let deliveries = counted(seen.count, "delivery was", "deliveries were");
            let what = format!("Source `{}`: {deliveries} refused ({}). {}", source.name, words(reason), code.title());
            let subject = format!("{} {reason}", source.name);
            let problem = Found::new(code, what, code.advice(), seen.count);
            found.push(problem.about(subject).since(Some(seen.since)).at(page(source)));
        }
        found.extend(seen_of(figures.now, source, ProblemCode::SourceFull, source.full.as_ref(), 60_000, "put off"));
    }
    found
}

/// Which problem a refusal is.
fn code_of(reason: &str) -> ProblemCode {
    match reason {
        "too_old" | "too_new" | "missing_timestamp" | "malformed_timestamp" => ProblemCode::SourceTime,
        "missing_header" | "repeated_header" | "malformed_signature" | "mismatch" | "expired_secret"
        | "no_usable_secret" => ProblemCode::SourceSignature,
        _ => ProblemCode::SourceRefused,
    }
}

fn words(reason: &str) -> String {
    reason.replace('_', " ")
}

/// Deliveries that are accepted, and do not say what they should.
pub(super) fn misread(figures: &Figures) -> Vec<Found> {
    let mut found = Vec::new();
    for source in &figures.sources {
        for (name, seen) in source.ignored.iter().filter(|(_, seen)| is_recent(figures.now, seen, OVER_MS)) {
            let code = ProblemCode::SourceIgnored;
            let what = format!(
                "Source `{}`: {} of type `{name}` ignored; the mapping does not name it.",
                source.name,
                counted(seen.count, "delivery was", "deliveries were")
            );
            let problem = Found::new(code, what, code.advice(), seen.count);
            let subject = format!("{} {name}", source.name);
            found.push(problem.about(subject).since(Some(seen.since)).at(page(source)));
        }
        let conflicts = source.conflicts.as_ref();
        let day_ms = 86_400_000;
        found.extend(seen_of(figures.now, source, ProblemCode::SourceConflict, conflicts, day_ms, "taken for duplicates"));
        let ahead = source.ahead.as_ref();
        found.extend(seen_of(figures.now, source, ProblemCode::SourceAhead, ahead, day_ms, "dated ahead"));
    }
    found
}

fn seen_of(
    now: UnixMs,
    source: &SourceFigures,
    code: ProblemCode,
    seen: Option<&Counted>,
    within_ms: u64,
    done: &str,
) -> Option<Found> {
    let seen = seen.filter(|seen| is_recent(now, seen, within_ms))?;
    let deliveries = counted(seen.count, "delivery was", "deliveries were");
    let what = format!("Source `{}`: {deliveries} {done}. {}", source.name, code.title());
    Some(Found::new(code, what, code.advice(), seen.count).about(&source.name).since(Some(seen.since)).at(page(source)))
}

/// Sources that have fallen silent, or will.
pub(super) fn quiet(figures: &Figures) -> Vec<Found> {
    let mut found = Vec::new();
    for source in &figures.sources {
        if let Some(at) = source.genuine_at {
            let quiet_ms = figures.now.ms_since(at);
            if quiet_ms >= QUIET_MS && source.accepted >= REGULAR_MIN {
                let code = ProblemCode::SourceQuiet;
                let what = format!("Source `{}`: nothing came for {}.", source.name, span(quiet_ms));
                let problem = Found::new(code, what, code.advice(), source.accepted);
                found.push(problem.about(&source.name).since(Some(at)).at(page(source)));
            }
        }
        if let Some(until) = source.secret_until {
            if until.ms_since(figures.now) < EXPIRES_MS {
                let code = ProblemCode::SourceSecretExpires;
                let what = format!("Source `{}`: {} It ends at {until}.", source.name, code.title());
                let since = until.minus_ms(EXPIRES_MS);
                let problem = Found::new(code, what, code.advice(), 1);
                found.push(problem.about(&source.name).since(Some(since)).at("/settings"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Problem, Seen, problems};
    use super::*;
    use crate::core::person::SourceName;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn counted(count: u64, ago_ms: u64) -> Counted {
        Counted { count, since: NOW.minus_ms(ago_ms + 1_000), last_at: NOW.minus_ms(ago_ms) }
    }

    fn told(change: impl FnOnce(&mut SourceFigures)) -> Vec<Problem> {
        let mut source = SourceFigures::new(SourceName::parse("hr").unwrap());
        change(&mut source);
        problems(&Figures { now: NOW, up_since: NOW, sources: vec![source], ..Figures::default() }, &Seen::default())
    }

    #[test]
    fn a_rotated_secret_is_told_with_its_source_and_what_to_do() {
        let told = told(|source| {
            source.refused.insert("mismatch".to_owned(), counted(12, 5_000));
        });
        assert_eq!((told[0].code.as_str(), told[0].count), ("SOURCE-SIGNATURE", 12));
        assert!(told[0].what.contains("`hr`") && told[0].action.contains("secret"), "{told:?}");
        assert_eq!(told[0].since, NOW.minus_ms(6_000));
    }

    #[test]
    fn a_refusal_of_more_than_an_hour_ago_is_over() {
        let told = told(|source| {
            source.refused.insert("mismatch".to_owned(), counted(12, REFUSED_MS));
        });
        assert_eq!(told, []);
    }

    #[test]
    fn each_reason_has_its_advice() {
        let told = told(|source| {
            for reason in ["too_old", "bad_request", "mismatch"] {
                source.refused.insert(reason.to_owned(), counted(1, 0));
            }
        });
        let codes: Vec<_> = told.iter().map(|problem| problem.code.as_str()).collect();
        assert_eq!(codes, ["SOURCE-REFUSED", "SOURCE-SIGNATURE", "SOURCE-TIME"]);
    }

    #[test]
    fn a_type_that_nothing_names_is_told_by_its_name() {
        let told = told(|source| {
            source.ignored.insert("worker.onboarded".to_owned(), counted(5, 3_600_000));
        });
        assert_eq!((told[0].code.as_str(), told[0].count), ("SOURCE-IGNORED", 5));
        assert!(told[0].what.contains("`worker.onboarded`"), "{told:?}");
    }

    #[test]
    fn only_a_source_that_used_to_deliver_can_fall_silent() {
        let quiet = |accepted| {
            told(|source| {
                (source.accepted, source.genuine_at) = (accepted, Some(NOW.minus_ms(QUIET_MS)));
            })
        };
        assert_eq!(quiet(REGULAR_MIN)[0].code, "SOURCE-QUIET");
        assert_eq!(quiet(REGULAR_MIN - 1), []);
    }

    #[test]
    fn a_secret_that_ends_soon_is_told_two_weeks_ahead() {
        let ends = |in_ms: u64| told(|source| source.secret_until = Some(NOW.plus_ms(in_ms)));
        assert_eq!(ends(EXPIRES_MS), []);
        assert_eq!(ends(EXPIRES_MS - 1)[0].code, "SOURCE-SECRET-EXPIRES");
    }
}
