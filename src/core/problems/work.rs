//! Whether work goes on: holds, workers, the target, bounds, processes.

use super::{Figures, Found, ProblemCode, counted, span};
use crate::core::activity::{Bucket, Happening};
use crate::core::code::Code;
use crate::core::hold::{Hold, HoldScope};
use crate::core::processes::{Process, SILENT_MS, Unsent};
use crate::core::target_name::said;
use crate::core::time::UnixMs;

/// Over how long calls are judged.
const LATELY_MS: u64 = 60_000;
/// The fewest calls for a majority to mean something.
const CALLS_MIN: u64 = 2;
/// If people have been due for this long and nothing is served, work has stopped. Longer than a usual wait for the
/// limiter.
const STUCK_MS: u64 = 60_000;
/// If a call has been open for this long, the target most likely does not answer.
const UNANSWERED_MS: u64 = 10_000;
/// How long after its start a process does not report a missing worker, which may still be starting.
const STARTING_MS: u64 = 15_000;
/// How far clocks may differ.
const CLOCKS_MS: u64 = 10_000;
/// A pause that the target asks for is reported if it is longer than this.
const PAUSE_MS: u64 = 2 * 60_000;
/// How long an upgrade may take.
const UPGRADE_MS: u64 = 15 * 60_000;

fn people(figures: &Figures, state: &str) -> u64 {
    figures.people.get(state).copied().unwrap_or(0)
}

/// Holds, each with the people who wait.
pub(super) fn held(figures: &Figures) -> Vec<Found> {
    figures.holds.holds.iter().map(|hold| hold_found(figures, hold)).collect()
}

fn hold_found(figures: &Figures, hold: &Hold) -> Found {
    let counted_apart = figures.held.get(&hold.scope.to_string()).copied();
    let behind = if figures.holds.holds.len() == 1 { people(figures, "held") } else { counted_apart.unwrap_or(0) };
    // A hold on everything keeps due people from being claimed.
    let due = if hold.scope == HoldScope::All { people(figures, "waiting") } else { 0 };
    let waiting = behind + due;
    let who = counted(waiting, "person waits", "people wait");
    let whose = match (&hold.scope, &hold.detail) {
        (HoldScope::Fetch(source), Some(detail)) => format!(" The HR system of `{source}`: {detail}."),
        (_, Some(detail)) => format!(" Answered: {detail}."),
        (_, None) => String::new(),
    };
    let brief = format!("{} Hold `{}`: {who}.{whose}", hold.code.title(), hold.scope);
    // Alerts are sent elsewhere, and a reason may name a person.
    let set_by = hold.set_by().map(|set_by| format!(" It was {set_by}.")).unwrap_or_default();
    // Nothing says when a hold began that cannot be read.
    let since = Some(hold.since).filter(|since| *since != UnixMs::default());
    let found = Found::new(hold.code, format!("{brief}{set_by}"), hold.code.advice(), waiting).in_brief(brief);
    found.about(&hold.scope).since(since).at("/hold")
}

/// No worker is running.
pub(super) fn nobody(figures: &Figures) -> Option<Found> {
    let is_starting = figures.now.ms_since(figures.up_since) < STARTING_MS;
    // A heartbeat needs a store that can be written.
    if is_starting
        || figures.store.is_some()
        || figures.processes.heard(figures.now).any(|process| process.role.works())
    {
        return None;
    }
    // Without any heartbeat there is nothing to judge: nobody serves this store.
    figures.processes.processes.first()?;
    let waiting = people(figures, "waiting") + people(figures, "running") + people(figures, "held");
    let who = counted(waiting, "person waits", "people wait");
    let what = format!("{} {who}.", ProblemCode::WorkNobody.title());
    let since = figures.processes.worked_at.unwrap_or(figures.up_since);
    Some(Found::new(ProblemCode::WorkNobody, what, ProblemCode::WorkNobody.advice(), waiting).since(Some(since)))
}

/// The target cannot be reached, or answers most calls with errors.
pub(super) fn target(figures: &Figures) -> Option<Found> {
    failing_calls(figures).or_else(|| unanswered(figures))
}

const BAD: [Happening; 5] =
    [Happening::Failed, Happening::Unreadable, Happening::Unreachable, Happening::Unanswered, Happening::Limited];

fn is_mostly_bad(bucket: &Bucket) -> Option<bool> {
    let calls = bucket.count(&Happening::CALLS);
    (calls > 0).then(|| bucket.count(&BAD) * 2 > calls)
}

fn failing_calls(figures: &Figures) -> Option<Found> {
    let lately = |of: &[Happening]| figures.activity.lately(figures.now, LATELY_MS, of);
    let says_something = lately(&Happening::CALLS) >= CALLS_MIN;
    // Long pauses between tries: people who wait do so because of the same failure as before.
    let minute = telling_minute(figures).filter(|_| people(figures, "waiting") > 0);
    let count =
        |of: &[Happening]| if says_something { lately(of) } else { minute.map_or(0, |minute| minute.count(of)) };
    let (bad, all) = (count(&BAD), count(&Happening::CALLS));
    if all < CALLS_MIN || bad * 2 <= all {
        return None;
    }
    let worst = BAD.into_iter().max_by_key(|of| count(&[*of]))?;
    let code = code_of(worst);
    let mut what = format!("{} {bad} of the last {} ended like this.", code.title(), counted(all, "call", "calls"));
    let mut action = code.advice();
    if let Some(unsent) = unsent(figures).filter(|_| worst == Happening::Unreachable) {
        what.push_str(&format!(" The last one: {}.", unsent.reason));
        if !unsent.action.is_empty() {
            action = &unsent.action;
        }
    }
    let since = figures.activity.since(is_mostly_bad);
    Some(Found::new(code, what, action, bad).about("target").since(since).at("/people?state=waiting"))
}

/// Why calls cannot be sent, from the process with the newest heartbeat.
fn unsent(figures: &Figures) -> Option<&Unsent> {
    let heard = figures.processes.heard(figures.now).filter(|process| process.unsent.is_some());
    heard.max_by_key(|process| process.beat_at)?.unsent.as_ref()
}

/// The last minute with calls that say something, unless a later call was served.
fn telling_minute(figures: &Figures) -> Option<&Bucket> {
    let calls = |minute: &Bucket| minute.count(&Happening::CALLS);
    let newest_first = || figures.activity.minutes.iter().rev();
    let newest = newest_first().find(|minute| calls(minute) >= CALLS_MIN || minute.count(&BAD) < calls(minute))?;
    (calls(newest) >= CALLS_MIN).then_some(newest)
}

fn code_of(happening: Happening) -> Code {
    match happening {
        Happening::Unreachable => Code::ScimUnreachable,
        Happening::Unreadable => Code::ScimUnreadable,
        Happening::Unanswered => Code::ScimUnknownOutcome,
        Happening::Limited => Code::ScimRateLimited,
        Happening::Accepted
        | Happening::Duplicate
        | Happening::Ignored
        | Happening::Unmapped
        | Happening::Refused
        | Happening::Served
        | Happening::Denied
        | Happening::Failed
        | Happening::Write
        | Happening::Read
        | Happening::Other => Code::ScimUnavailable,
    }
}

/// Calls are open and none is answered: reported before they time out.
fn unanswered(figures: &Figures) -> Option<Found> {
    let now = figures.now;
    let waits = |process: &&Process| {
        process.calling_since.is_some_and(|since| {
            now.ms_since(since) >= UNANSWERED_MS && process.answered_at.is_none_or(|answered| answered < since)
        })
    };
    let waiting: Vec<_> = figures.processes.heard(now).filter(waits).collect();
    let since = waiting.iter().filter_map(|process| process.calling_since).min()?;
    let count = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
    let what = format!(
        "{}: the oldest call has been open for {}.",
        said("Postman does not answer"),
        span(now.ms_since(since))
    );
    let code = Code::ScimUnknownOutcome;
    Some(Found::new(code, what, Code::ScimUnreachable.advice(), count).about("target").since(Some(since)))
}

/// The target has asked not to be called for a long time, and people wait for it.
pub(super) fn paused(figures: &Figures) -> Option<Found> {
    let now = figures.now;
    let until = figures.paused_until?;
    let waiting = people(figures, "waiting") + people(figures, "running");
    if until.ms_since(now) < PAUSE_MS || waiting == 0 {
        return None;
    }
    let code = Code::ScimRateLimited;
    let who = counted(waiting, "person waits", "people wait");
    let what = format!("{} No calls for another {}: {who}.", code.title(), span(until.ms_since(now)));
    Some(Found::new(code, what, code.advice(), waiting).about("pause").at("/people?state=waiting"))
}

/// People are due, but nothing moves.
pub(super) fn stuck(figures: &Figures) -> Option<Found> {
    let now = figures.now;
    let since = figures.oldest_due_at?;
    let moves = figures.activity.lately(now, STUCK_MS, &Happening::CALLS) > 0;
    let is_explained = figures.store.is_some()
        || !figures.store_failing.is_empty()
        || !figures.holds.holds.is_empty()
        || nobody(figures).is_some()
        || target(figures).is_some()
        || paused(figures).is_some();
    if now.ms_since(since) < STUCK_MS || moves || is_explained {
        return None;
    }
    let waiting = people(figures, "waiting").max(1);
    let who = counted(waiting, "person is", "people are");
    let what = format!("{who} due, the first for {}, and nothing moves.", span(now.ms_since(since)));
    let code = ProblemCode::WorkStuck;
    Some(Found::new(code, what, code.advice(), waiting).since(Some(since)).at("/people?state=waiting"))
}

/// Bounds that are near, or reached.
pub(super) fn bounds(figures: &Figures) -> Vec<Found> {
    let bounds = figures.bounds;
    let entries: u64 = figures.entries.values().sum();
    let dead: u64 = figures.dead.iter().map(|dead| dead.count).sum();
    let near = |code: ProblemCode, n: u64, max: u64, page: &str| {
        // 80%
        (max > 0 && n.saturating_mul(5) >= max.saturating_mul(4)).then(|| {
            let what = format!("{} {n} of {max}.", code.title());
            Found::new(code, what, code.advice(), n).at(page)
        })
    };
    let mut found: Vec<_> = [
        near(ProblemCode::BoundEntries, entries, bounds.entries_max, "/people?state=waiting"),
        near(ProblemCode::BoundDeadLetters, dead, bounds.dead_letters_max, "/dead"),
        near(ProblemCode::BoundDeadBytes, figures.dead_bytes, bounds.dead_bytes_max, "/dead"),
    ]
    .into_iter()
    .flatten()
    .collect();
    found.extend(shares(
        ProblemCode::BoundEntries,
        &figures.entries,
        entries,
        bounds.entries_max,
        "/people?state=waiting",
    ));
    found.extend(shares(
        ProblemCode::BoundDeadLetters,
        &figures.dead_by_source,
        dead,
        bounds.dead_letters_max,
        "/dead",
    ));
    found
}

/// Sources that are near their share of a bound: half of what the others leave.
fn shares(
    code: ProblemCode,
    by_source: &std::collections::BTreeMap<String, u64>,
    all: u64,
    max: u64,
    page: &str,
) -> Vec<Found> {
    let share = |mine: u64| max.saturating_sub(all.saturating_sub(mine)) / 2;
    let is_near = |mine: u64| max > 0 && mine.saturating_mul(5) >= share(mine).saturating_mul(4);
    by_source
        .iter()
        .filter(|(_, mine)| **mine > 0 && is_near(**mine))
        .map(|(source, mine)| {
            let what = format!(
                "Source `{source}` has {mine} of the {} that one source may have. {}",
                share(*mine),
                code.title()
            );
            Found::new(code, what, code.advice(), *mine).about(source).at(page)
        })
        .collect()
}

/// Clocks and versions of the processes.
pub(super) fn processes(figures: &Figures) -> Vec<Found> {
    let heard: Vec<_> = figures.processes.heard(figures.now).collect();
    let apart_ms = heard.iter().map(|process| process.others_ahead_ms).max().unwrap_or(0);
    // A silent process's clock reading is old, not behind.
    let apart = (apart_ms > CLOCKS_MS).then(|| {
        let code = ProblemCode::ProcessClock;
        let behind = heard.iter().filter(|process| process.others_ahead_ms > CLOCKS_MS).count();
        let what = format!("{} The furthest apart are {}.", code.title(), span(apart_ms));
        Found::new(code, what, code.advice(), u64::try_from(behind).unwrap_or(u64::MAX))
    });
    let mut versions: Vec<_> = heard.iter().map(|process| process.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    let newest = heard.iter().map(|process| process.since).max().unwrap_or(figures.now);
    let mixed = (versions.len() > 1 && figures.now.ms_since(newest) >= UPGRADE_MS).then(|| {
        let code = ProblemCode::ProcessVersions;
        let what = format!("{} Running: {}.", code.title(), versions.join(", "));
        let count = u64::try_from(versions.len()).unwrap_or(u64::MAX);
        Found::new(code, what, code.advice(), count).since(Some(newest))
    });
    [apart, mixed].into_iter().flatten().collect()
}

const _: () = assert!(STARTING_MS < SILENT_MS + 40_000, "that nobody works is reported within a minute");

#[cfg(test)]
mod tests {
    use super::super::{BoundFigures, DeadFigure, Problem, Seen, problems};
    use super::*;
    use crate::core::activity::Counts;
    use crate::core::processes::ProcessRole;
    use crate::core::reconcile::no_reply::NoReply;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn process(role: ProcessRole) -> Process {
        Process {
            id: role.as_str().to_owned(),
            role,
            version: "1".to_owned(),
            since: UnixMs(0),
            beat_at: NOW,
            calling_since: None,
            answered_at: None,
            unsent: None,
            store_failing: Vec::new(),
            failing_secrets: Vec::new(),
            others_ahead_ms: 0,
        }
    }

    /// All is well: a worker runs, and this many people wait.
    fn figures(waiting: u64) -> Figures {
        let mut figures = Figures { now: NOW, ..Figures::default() };
        figures.people.insert("waiting".to_owned(), waiting);
        figures.processes.beat(process(ProcessRole::All));
        figures
    }

    fn reported(figures: &Figures) -> Vec<Problem> {
        problems(figures, &Seen::default())
    }

    fn codes(figures: &Figures) -> Vec<String> {
        reported(figures).into_iter().map(|problem| problem.code).collect()
    }

    fn happened(figures: &mut Figures, ago_ms: u64, happening: Happening, n: u64) {
        figures.activity.add(NOW.minus_ms(ago_ms), &Counts::from([(happening, n)]));
    }

    #[test]
    fn a_backlog_that_moves_is_no_problem_however_old() {
        let mut figures = figures(5_769);
        figures.oldest_due_at = Some(UnixMs(0));
        happened(&mut figures, 5_000, Happening::Served, 3);
        assert_eq!(reported(&figures), []);
        assert_eq!(codes(&Figures { activity: crate::core::activity::Activity::default(), ..figures }), ["WORK-STUCK"]);
    }

    #[test]
    fn an_operators_hold_says_who_set_it_and_why_but_not_in_alerts() {
        let mut figures = figures(0);
        figures.holds.set_by_hand(UnixMs(7), &HoldScope::Creates);
        figures.holds.sign(&HoldScope::Creates, "admin", Some("Ada moves"));
        let reported = reported(&figures);
        assert!(reported[0].what.ends_with("It was set by admin: Ada moves."), "{reported:?}");
        assert!(!reported[0].brief.contains("Ada") && reported[0].since == UnixMs(7), "{reported:?}");
    }

    #[test]
    fn an_unreadable_document_of_holds_does_not_date_from_1970() {
        let figures = Figures { holds: crate::core::hold::Holds::from_bytes(b"garbage"), ..figures(0) };
        let reported = reported(&figures);
        assert_eq!((reported[0].code.as_str(), reported[0].since), ("HOLD-UNREADABLE", NOW));
        assert!(reported[0].action.contains("hold lift --scope"), "{reported:?}");
    }

    #[test]
    fn an_unwritable_store_is_reported_first() {
        let mut figures = figures(3);
        figures.dead.push(DeadFigure {
            code: "MAP-FIELD".to_owned(),
            count: 1,
            newest_at: None,
            detail: String::new(),
        });
        figures.store = Some(Code::StoreMemory);
        assert_eq!(codes(&figures), ["STORE-MEMORY", "MAP-FIELD"]);
        assert!(reported(&figures)[0].what.contains("503"));
    }

    #[test]
    fn something_answering_in_the_targets_place_is_reported_with_where_to_look() {
        let mut figures = figures(1);
        happened(&mut figures, 5_000, Happening::Unreadable, 2);
        assert_eq!(codes(&figures), ["SCIM-UNREADABLE"]);
        assert!(reported(&figures)[0].action.contains("base_url"));
    }

    #[test]
    fn a_failure_is_reported_through_long_pauses_until_a_call_is_served() {
        let mut figures = figures(1);
        happened(&mut figures, 300_000, Happening::Failed, 2);
        assert_eq!(codes(&figures), ["SCIM-5XX"]);
        happened(&mut figures, 200_000, Happening::Failed, 1);
        assert_eq!(codes(&figures), ["SCIM-5XX"], "one more failure ends nothing");
        happened(&mut figures, 30_000, Happening::Failed, 1);
        assert_eq!(codes(&figures), ["SCIM-5XX"]);
        happened(&mut figures, 0, Happening::Served, 1);
        assert!(codes(&figures).is_empty());
        figures.now = NOW.plus_ms(120_000);
        figures.processes.processes[0].beat_at = figures.now;
        assert!(codes(&figures).is_empty(), "it stays mended");
    }

    #[test]
    fn a_long_pause_that_the_target_asks_for_is_reported_while_somebody_waits() {
        let mut figures = figures(20);
        figures.people.insert("running".to_owned(), 3);
        figures.paused_until = Some(NOW.plus_ms(60_000));
        assert!(codes(&figures).is_empty(), "a minute is nothing");
        figures.paused_until = Some(NOW.plus_ms(1_800_000));
        assert_eq!(codes(&figures), ["SCIM-429"]);
        assert!(reported(&figures)[0].what.contains("30 min") && reported(&figures)[0].what.contains("3 people wait"));
        figures.people.clear();
        assert!(codes(&figures).is_empty());
    }

    #[test]
    fn a_hold_names_the_work_it_keeps_and_explains_the_backlog() {
        let mut figures = figures(20);
        figures.oldest_due_at = Some(UnixMs(0));
        figures.people.insert("held".to_owned(), 30);
        let pauses = crate::core::hold::ProbePauses { first_ms: 1, max_ms: 1 };
        figures.holds.set(UnixMs(7), HoldScope::All, Code::HoldKey, pauses, None);
        let reported = reported(&figures);
        assert_eq!(
            (reported.len(), reported[0].code.as_str(), reported[0].count, reported[0].since),
            (1, "HOLD-KEY", 50, UnixMs(7))
        );
    }

    #[test]
    fn each_of_several_holds_names_the_work_it_keeps() {
        let mut figures = figures(0);
        figures.people.insert("held".to_owned(), 9);
        figures.held = [("creates", 7), ("deactivations", 2)].map(|(scope, n)| (scope.to_owned(), n)).into();
        let pauses = crate::core::hold::ProbePauses { first_ms: 1, max_ms: 1 };
        figures.holds.set(UnixMs(7), HoldScope::Creates, Code::HoldSeats, pauses, None);
        figures.holds.set(UnixMs(7), HoldScope::Deactivations, Code::HoldGuard, pauses, None);
        assert_eq!(reported(&figures).iter().map(|problem| problem.count).collect::<Vec<_>>(), [7, 2]);
    }

    #[test]
    fn without_a_worker_the_number_waiting_is_reported() {
        let mut figures = Figures { processes: crate::core::processes::Processes::default(), ..figures(3) };
        figures.processes.beat(process(ProcessRole::Intake));
        let reported = reported(&figures);
        assert_eq!((reported[0].code.as_str(), reported[0].count), ("WORK-NOBODY", 3));
        figures.up_since = NOW.minus_ms(STARTING_MS - 1);
        assert_eq!(codes(&figures), [""; 0]);
    }

    #[test]
    fn a_target_that_fails_most_calls_is_reported_with_the_start() {
        let mut figures = figures(9);
        happened(&mut figures, 50_000, Happening::Served, 9);
        happened(&mut figures, 20_000, Happening::Failed, 9);
        assert_eq!(codes(&figures), [""; 0]);
        happened(&mut figures, 10_000, Happening::Unreachable, 30);
        let reported = reported(&figures);
        assert_eq!((reported[0].code.as_str(), reported[0].count), ("SCIM-UNREACHABLE", 39));
        assert_eq!(reported[0].since, NOW.minus_ms(20_000));
    }

    #[test]
    fn an_unreachable_target_is_reported_with_reason_and_advice() {
        let unreachable = |why: Option<NoReply>| {
            let mut figures = figures(1);
            happened(&mut figures, 10_000, Happening::Unreachable, 5);
            figures.processes.beat(Process { unsent: why.map(Unsent::from), ..process(ProcessRole::All) });
            reported(&figures).remove(0)
        };
        let expired = unreachable(Some(NoReply::CertificateExpired));
        assert!(expired.what.ends_with("The last one: the server's certificate has expired."), "{}", expired.what);
        assert_eq!(
            (expired.code.as_str(), expired.action.as_str()),
            ("SCIM-UNREACHABLE", "Have the server's certificate renewed.")
        );
        for why in [None, Some(NoReply::ConnectTimedOut)] {
            assert_eq!(unreachable(why).action, Code::ScimUnreachable.advice());
        }
    }

    #[test]
    fn an_hr_systems_answer_is_attributed_to_it() {
        let mut figures = figures(0);
        let scope = HoldScope::parse("fetch:hr").unwrap();
        let pauses = crate::core::hold::ProbePauses { first_ms: 1, max_ms: 1 };
        figures.holds.set(NOW, scope.clone(), Code::HoldFetch, pauses, None);
        figures.holds.say(&scope, Code::HoldFetch, "the login may not read this (403)");
        let reported = &reported(&figures)[0];
        assert!(
            reported.what.ends_with("The HR system of `hr`: the login may not read this (403)."),
            "{}",
            reported.what
        );
        assert!(reported.action.contains("for 403"), "{}", reported.action);
    }

    #[test]
    fn between_long_pauses_trouble_is_still_reported_while_somebody_waits() {
        let mut figures = figures(1);
        happened(&mut figures, 200_000, Happening::Failed, 4);
        assert_eq!(codes(&figures), ["SCIM-5XX"]);
        figures.people.clear();
        assert_eq!(codes(&figures), [""; 0]);
    }

    #[test]
    fn a_target_that_never_answers_is_reported_before_the_calls_time_out() {
        let mut figures = figures(5_769);
        let mut calling = process(ProcessRole::All);
        calling.calling_since = Some(NOW.minus_ms(12_000));
        calling.answered_at = Some(NOW.minus_ms(30_000));
        figures.processes.beat(calling.clone());
        assert_eq!(codes(&figures), ["SCIM-UNKNOWN"]);
        calling.answered_at = Some(NOW);
        figures.processes.beat(calling);
        assert_eq!(codes(&figures), [""; 0]);
    }

    #[test]
    fn a_bound_and_a_sources_share_are_reported_at_eighty_percent() {
        let mut figures = figures(0);
        figures.bounds = BoundFigures { entries_max: 1_000, dead_letters_max: 100, dead_bytes_max: 0 };
        figures.entries.insert("hr".to_owned(), 399);
        assert_eq!(codes(&figures), [""; 0]);
        figures.entries.insert("hr".to_owned(), 400);
        assert_eq!(reported(&figures)[0].key(), "BOUND-ENTRIES hr");
        let dead = DeadFigure { code: "MAP-FIELD".to_owned(), count: 80, newest_at: None, detail: String::new() };
        figures.dead.push(dead);
        assert!(codes(&figures).contains(&"BOUND-DEAD-LETTERS".to_owned()));
    }

    #[test]
    fn differing_clocks_and_mixed_versions_are_reported() {
        let mut figures = figures(0);
        let late = Process { id: "late".to_owned(), beat_at: NOW.minus_ms(60_000), ..process(ProcessRole::Intake) };
        figures.processes.beat(late);
        assert_eq!(codes(&figures), ["PROCESS-CLOCK"]);
        let mut figures = self::figures(0);
        let other = Process {
            id: "new".to_owned(),
            version: "2".to_owned(),
            since: NOW.minus_ms(UPGRADE_MS),
            ..process(ProcessRole::All)
        };
        figures.processes.beat(other.clone());
        assert_eq!(codes(&figures), ["PROCESS-VERSIONS"]);
        figures.processes.beat(Process { since: NOW, ..other });
        assert_eq!(codes(&figures), [""; 0]);
    }
}
