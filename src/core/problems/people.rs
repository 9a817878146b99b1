//! People who need an operator: dead letters, marks, the incomplete.

use super::{DeadFigure, Figures, Found, LeaverFigure, MarkFigure, ProblemCode, counted};
use crate::core::code::Code;
use crate::core::person::Mark;

/// Dead letters by code, the most frequent first.
pub(super) fn dead(figures: &Figures) -> Vec<Found> {
    let mut dead: Vec<_> = figures.dead.iter().filter(|dead| dead.count > 0).collect();
    dead.sort_by_key(|dead| std::cmp::Reverse(dead.count));
    dead.into_iter().map(letters).collect()
}

fn letters(dead: &DeadFigure) -> Found {
    let known = Code::ALL.iter().find(|code| code.as_str() == dead.code);
    let title = known.map_or("This version does not know what it means.", |code| code.title());
    let advice = known.map_or("Look at them with the version that wrote them.", |code| code.advice());
    let detail = if dead.detail.is_empty() { String::new() } else { format!(" The newest: {}.", dead.detail) };
    let brief = format!("{}: {title}", counted(dead.count, "dead letter", "dead letters"));
    let what = format!("{brief}{detail}");
    let page = format!("/dead?code={}", dead.code);
    let one = dead.newest_at.filter(|_| dead.count == 1);
    Found::new(&dead.code, what, advice, dead.count).in_brief(brief).about("dead").since(one).at(page)
}

/// People that the operator should know about, although nothing blocks them.
pub(super) fn marked(figures: &Figures) -> Vec<Found> {
    figures.marked.iter().filter(|marked| marked.count > 0).map(with_mark).collect()
}

fn with_mark(MarkFigure { mark, count, since, unread }: &MarkFigure) -> Found {
    let code = match mark {
        Mark::AfterClose => ProblemCode::PeopleAfterClose,
        Mark::SwitchedOff => ProblemCode::PeopleSwitchedOff,
        Mark::Failing => ProblemCode::WorkFailing,
        Mark::GoneAtHr => ProblemCode::PeopleGone,
        Mark::Groupless => ProblemCode::PeopleGroupless,
        Mark::GroupsForbidden => ProblemCode::PeopleGroupsForbidden,
    };
    let mut what = format!("{} {}.", code.title(), counted(*count, "person", "people"));
    for (source, n) in unread {
        what.push_str(&format!(" {n} of them cannot be read at the HR system of `{source}`."));
    }
    Found::new(code, what, code.advice(), *count).since(*since).at(format!("/people?mark={}", mark.as_str()))
}

/// Rows that the last import of a source refused.
pub(super) fn imports(figures: &Figures) -> Vec<Found> {
    let refused = figures.imports.iter().filter(|import| import.refused > 0);
    let all = refused.map(|import| {
        let code = ProblemCode::RosterRefused;
        let rows = counted(import.refused, "row", "rows");
        let brief = format!("{rows} of the last roster of {} refused", import.source);
        let what = format!("{brief}: {}.", import.first);
        let found = Found::new(code, what, code.advice(), import.refused).in_brief(format!("{brief}."));
        found.about(&import.source).since(Some(import.at))
    });
    all.collect()
}

/// Lists of HR systems that were incomplete.
pub(super) fn fetches(figures: &Figures) -> Vec<Found> {
    let all = figures.fetches.iter().filter_map(|fetch| {
        let code = ProblemCode::RosterUnlisted;
        let brief = format!("The HR system's list of {} is incomplete", fetch.source);
        let what = format!("{brief}: {}.", fetch.failure.as_ref()?);
        let found = Found::new(code, what, code.advice(), 1).in_brief(format!("{brief}."));
        Some(found.about(&fetch.source).since(Some(fetch.since)).at("/roster"))
    });
    all.collect()
}

/// What the last comparison of HR and the members showed.
pub(super) fn drift(figures: &Figures) -> Vec<Found> {
    let Some(report) = &figures.drift else { return Vec::new() };
    let unsure = report.trouble().map(|trouble| {
        let code = ProblemCode::DriftUnsure;
        Found::new(code, format!("{} {trouble}.", code.title()), code.advice(), 1)
    });
    let left = report.different.saturating_sub(report.repaired);
    let differs = (left > 0 && unsure.is_none()).then(|| {
        let lists = report.lists().into_iter().filter(|(_, list)| list.count > 0);
        let lists: Vec<String> = lists.map(|(what, list)| format!("{} {what}", list.count)).collect();
        let code = ProblemCode::DriftDifferent;
        let what = format!("{} as HR says: {}.", counted(left, "person is not", "people are not"), lists.join(", "));
        Found::new(code, what, code.advice(), left)
    });
    let invited = (report.invited_long > 0 && unsure.is_none()).then(|| {
        let code = ProblemCode::PeopleInvited;
        let what = format!("{} {}.", code.title(), counted(report.invited_long, "person", "people"));
        Found::new(code, what, code.advice(), report.invited_long).since(report.invited_since)
    });
    let of_now = unsure.into_iter().chain(differs).map(|found| found.since(Some(report.at)));
    of_now.chain(invited).map(|found| found.at("/roster")).collect()
}

/// How long a leaver is reported whose member is not known.
pub const LEAVERS_TOLD_MS: u64 = 7 * 86_400_000;
const LEAVERS_ADVICE: &str = "If they are in the team, switch them off there, or import a roster that has them with their addresses, and the bridge does it. Then, or if they never were there, erase the record (`scim-bridge person erase WHO --yes`); this is not reported for longer than seven days. A roster of everybody, imported once, says who people are before they leave.";

/// People about whom HR has not said enough. Leavers are reported separately: nobody completes them in the HR system.
pub(super) fn incomplete(figures: &Figures) -> Vec<Found> {
    waiting(figures).into_iter().chain(leavers(figures)).collect()
}

fn leavers(figures: &Figures) -> Option<Found> {
    let LeaverFigure { recent, since, .. } = figures.leavers;
    let who = match recent {
        0 => return None,
        1 => "1 person has left, and it is not known which member is theirs".to_owned(),
        n => format!("{n} people have left, and it is not known which members are theirs"),
    };
    let what = format!("{who}: nobody is switched off.");
    let found = Found::new(ProblemCode::PeopleIncomplete, what, LEAVERS_ADVICE, recent);
    Some(found.about("leavers").since(since).at("/people?state=incomplete"))
}

fn waiting(figures: &Figures) -> Option<Found> {
    let LeaverFigure { recent, long_ago, unseen, .. } = figures.leavers;
    let count = figures.people.get("incomplete").copied()?.saturating_sub(recent + long_ago);
    if count == 0 {
        return None;
    }
    let code = ProblemCode::PeopleIncomplete;
    let who = counted(count, "person waits", "people wait");
    let missing: Vec<_> = figures.missing.iter().map(|(field, n)| format!("`{field}` of {n}")).collect();
    let what = match missing.as_slice() {
        [] => format!("{who} for HR to say more."),
        missing => format!("{who} for HR to say more. Missing: {}.", missing.join(", ")),
    };
    let what = match unseen {
        0 => what,
        n => format!("{what} {n} of them were not examined: some of these may have left."),
    };
    let found = Found::new(code, what, code.advice(), count);
    Some(found.since(figures.oldest_incomplete_at).at("/people?state=incomplete"))
}

#[cfg(test)]
mod tests {
    use super::super::{Seen, problems};
    use super::*;
    use crate::core::roster::DriftReport;
    use crate::core::time::UnixMs;

    fn letters(code: &str, count: u64, detail: &str) -> DeadFigure {
        DeadFigure { code: code.to_owned(), count, newest_at: Some(UnixMs(9)), detail: detail.to_owned() }
    }

    #[test]
    fn dead_letters_are_reported_by_code_and_field_most_frequent_first() {
        let dead =
            vec![letters("SCIM-409-ELSEWHERE", 1, ""), letters("MAP-FIELD", 30, "employee_id: missing or blank")];
        let reported = problems(&Figures { dead, ..Figures::default() }, &Seen::default());
        let counts: Vec<_> = reported.iter().map(|problem| (problem.code.as_str(), problem.count)).collect();
        assert_eq!(counts, [("MAP-FIELD", 30), ("SCIM-409-ELSEWHERE", 1)]);
        assert!(reported[0].what.contains("employee_id"), "{reported:?}");
        assert_eq!((reported[0].page.as_str(), reported[1].since), ("/dead?code=MAP-FIELD", UnixMs(9)));
    }

    #[test]
    fn missing_facts_of_incomplete_people_are_named() {
        let mut figures = Figures { missing: [("email".to_owned(), 30)].into(), ..Figures::default() };
        assert_eq!(problems(&figures, &Seen::default()), []);
        figures.people.insert("incomplete".to_owned(), 30);
        let reported = problems(&figures, &Seen::default());
        assert_eq!(reported[0].what, "30 people wait for HR to say more. Missing: `email` of 30.");
    }

    #[test]
    fn an_unknown_leaver_is_reported_apart_from_the_incomplete_and_not_for_ever() {
        let mut figures = Figures { missing: [("email".to_owned(), 1)].into(), ..Figures::default() };
        figures.people.insert("incomplete".to_owned(), 6);
        figures.leavers = LeaverFigure { recent: 2, since: Some(UnixMs(7)), long_ago: 3, unseen: 0 };
        let reported = problems(&figures, &Seen::default());
        let counts: Vec<_> = reported.iter().map(|problem| (problem.count, problem.since)).collect();
        assert_eq!(counts, [(1, UnixMs(0)), (2, UnixMs(7))], "{reported:?}");
        assert!(
            reported[0].what.contains("`email` of 1") && reported[0].action.contains("complete them in the HR system")
        );
        assert!(!reported[1].action.contains("complete them"), "nobody completes a leaver: {reported:?}");
        figures.people.insert("incomplete".to_owned(), 3);
        figures.leavers = LeaverFigure { recent: 0, since: None, long_ago: 3, unseen: 0 };
        assert_eq!(problems(&figures, &Seen::default()), []);
        figures.people.insert("incomplete".to_owned(), 5);
        figures.leavers.unseen = 2;
        let reported = problems(&figures, &Seen::default());
        assert!(
            reported[0].what.ends_with("2 of them were not examined: some of these may have left."),
            "{reported:?}"
        );
    }

    #[test]
    fn a_code_of_a_newer_version_is_reported_as_such() {
        let figures = Figures { dead: vec![letters("SCIM-NEW", 2, "")], ..Figures::default() };
        let reported = problems(&figures, &Seen::default());
        assert!(reported[0].what.contains("This version does not know"), "{reported:?}");
    }

    #[test]
    fn drift_is_reported_with_its_counts_and_an_unsure_comparison_as_such() {
        let mut report = DriftReport { at: UnixMs(7), different: 3, repaired: 1, ..DriftReport::default() };
        report.rename.count = 2;
        report.blocked.count = 1;
        let figures = |report: &DriftReport| Figures { drift: Some(report.clone()), ..Figures::default() };
        let reported = problems(&figures(&report), &Seen::default());
        assert_eq!(
            (reported[0].code.as_str(), reported[0].count, reported[0].since),
            ("DRIFT-DIFFERENT", 2, UnixMs(7))
        );
        assert!(reported[0].what.contains("2 of another name"), "{reported:?}");
        (report.invited_long, report.invited_since) = (2, Some(UnixMs(3)));
        let reported = problems(&figures(&report), &Seen::default());
        assert_eq!((reported[1].code.as_str(), reported[1].count, reported[1].since), ("PEOPLE-INVITED", 2, UnixMs(3)));
        assert!(reported[1].action.contains("drift --now"), "{reported:?}");
        report.warnings.push("the list of members lacks 3 of 5".to_owned());
        let reported = problems(&figures(&report), &Seen::default());
        assert_eq!((reported.len(), reported[0].code.as_str()), (1, "DRIFT-UNSURE"));
        let repaired = DriftReport { different: 3, repaired: 3, ..DriftReport::default() };
        assert_eq!(problems(&figures(&repaired), &Seen::default()), []);
    }

    #[test]
    fn incomplete_and_marked_people_are_reported_with_their_start() {
        let mut figures = Figures { now: UnixMs(50), oldest_incomplete_at: Some(UnixMs(3)), ..Figures::default() };
        figures.people.insert("incomplete".to_owned(), 2);
        figures.marked.push(MarkFigure {
            mark: Mark::SwitchedOff,
            count: 1,
            since: None,
            unread: std::collections::BTreeMap::new(),
        });
        figures.marked.push(MarkFigure {
            mark: Mark::Failing,
            count: 0,
            since: None,
            unread: std::collections::BTreeMap::new(),
        });
        let reported = problems(&figures, &Seen::default());
        let reported: Vec<_> = reported.iter().map(|problem| (problem.code.as_str(), problem.since)).collect();
        assert_eq!(reported, [("PEOPLE-SWITCHED-OFF", UnixMs(50)), ("PEOPLE-INCOMPLETE", UnixMs(3))]);
    }
}
