//! Whether HR systems' deliveries get through: what is refused, ignored or left out, and which sources have fallen
//! silent.

use std::cmp::Reverse;

use super::{EXPIRES_MS, Figures, Found, GoneFigure, ProblemCode, SourceFigures, counted, span};
use crate::core::tally::{self, SELDOM, Seen, SourceTrouble, TroubleKind};

/// A source that delivered at least this much…
const REGULAR_MIN: u64 = 50;
/// …and nothing for this long, is reported: above a week of holidays at a small company.
const QUIET_MS: u64 = 10 * 86_400_000;

/// Deliveries count as redirected once none went to the unknown name for this long.
const FOUND_MS: u64 = 60_000;

/// At most this many unknown names are separate problems: anybody can post to more.
const NAMED_MAX: usize = 5;

/// What to do about deliveries from elsewhere.
const OTHER_ADDRESS: &str = "If it is the HR system that posts from there, add its networks to `allow_from` of this source; behind proxies, see `[server] trusted_proxies` and `trusted_hops`. If it is somebody else, no action is needed.";

/// What to do about deliveries to a path that nothing is at.
const OTHER_PATH: &str = "The HR system posts to a path that is not this source's: set its webhook URL to the one that ends in `/webhooks/` and the source's name. What was refused meanwhile, most HR systems do not send again: import a roster (docs/operating.md).";

/// What to do about deliveries that were deferred because of the memory that requests may take.
const NO_MEMORY: &str = "Too much arrived at the same moment; the HR system sends it again. If it happens again, have it send smaller batches, or fewer at once. Strangers may be part of the cause: see `scim_bridge_connections_cut_total`, and docs/security.md for the bounds.";
/// What to do about deliveries that were deferred because of the number of connections.
const NO_CONNECTION: &str = "Too many connections were open at the same moment; the HR system sends it again. See `scim_bridge_connections` and who holds them; raise `[server] connections_max` or `connections_per_peer`, or name the proxy in `trusted_proxies`.";

fn page(source: &SourceFigures) -> String {
    format!("/deliveries#{}", source.name)
}

/// What is wrong according to the tallies.
pub(super) fn troubles(figures: &Figures) -> Vec<Found> {
    let of_source = |source: &SourceFigures| {
        let troubles = source.tally.troubles(figures.now).into_iter();
        troubles
            .filter(|trouble| !is_found(figures, source, trouble))
            .map(|trouble| found(source, &trouble))
            .collect::<Vec<_>>()
    };
    let (mut rest, mut often): (Vec<_>, Vec<_>) = figures.strangers.iter().partition(|stranger| is_seldom(stranger));
    often.sort_by_key(|stranger| Reverse(stranger.tally.unknown_rank(figures.now)));
    rest.extend(often.split_off(NAMED_MAX.min(often.len())));
    let mut found: Vec<_> = figures.sources.iter().chain(often).flat_map(of_source).collect();
    found.extend(other_names(figures, &rest));
    found
}

/// Whether so few deliveries went to a name that anybody may have made it up.
fn is_seldom(stranger: &SourceFigures) -> bool {
    (1..SELDOM).contains(&stranger.tally.unknown().count)
}

/// Names that got a delivery or two, and those beyond [`NAMED_MAX`], are one problem: somebody who tries names must not
/// make as many of them.
fn other_names(figures: &Figures, strangers: &[&SourceFigures]) -> Option<Found> {
    let mut names = Vec::new();
    let mut all = Seen::default();
    for stranger in strangers {
        let troubles = stranger.tally.troubles(figures.now);
        for trouble in troubles.iter().filter(|trouble| !is_found(figures, stranger, trouble)) {
            names.push(format!("`{}`", stranger.name));
            all.add(trouble.seen);
        }
    }
    for trouble in figures.other_strangers.troubles(figures.now) {
        names.push("others".to_owned());
        all.add(trouble.seen);
    }
    let code = ProblemCode::SourceUnknown;
    let deliveries = counted(all.count, "delivery was", "deliveries were");
    let brief = format!("{deliveries} refused (unknown source). {}", code.title());
    let what = format!("{brief} They name {}.", names.join(", "));
    let found = Found::new(code, what, code.advice(), all.count).in_brief(brief);
    (!names.is_empty()).then(|| found.about(tally::OTHERS).since(Some(all.since)).at("/deliveries"))
}

/// Whether deliveries that went to an unknown name go where they should by now: there is a source of that name, or
/// another one got its first delivery since.
fn is_found(figures: &Figures, source: &SourceFigures, trouble: &SourceTrouble) -> bool {
    if trouble.kind != TroubleKind::Refused || trouble.what != tally::UNKNOWN_SOURCE {
        return false;
    }
    let is_configured = figures.sources.iter().any(|known| known.name == source.name);
    let has_begun =
        |known: &SourceFigures| known.tally.accepted.count > 0 && known.tally.accepted.since > trouble.seen.last_at;
    figures.now.ms_since(trouble.seen.last_at) > FOUND_MS && (is_configured || figures.sources.iter().any(has_begun))
}

fn found(source: &SourceFigures, trouble: &SourceTrouble) -> Found {
    let count = trouble.seen.count;
    let deliveries = counted(count, "delivery was", "deliveries were");
    let records = counted(count, "record was", "records were");
    let what = &trouble.what;
    let (code, text) = match trouble.kind {
        TroubleKind::Refused => {
            let code = code_of(what);
            (code, format!("{deliveries} refused ({}). {}", what.replace('_', " "), code.title()))
        }
        TroubleKind::Full => (ProblemCode::SourceFull, format!("{deliveries} put off ({}).", what.replace('_', " "))),
        TroubleKind::UnnamedType => {
            (ProblemCode::SourceIgnored, format!("{records} ignored: the mapping does not name their type, `{what}`."))
        }
        TroubleKind::Dropped => {
            (ProblemCode::SourceDropped, format!("{records} used without `{what}`, which is there and cannot be used."))
        }
        TroubleKind::Ahead => {
            let events = counted(count, "event gives", "events give");
            (
                ProblemCode::SourceAhead,
                format!("{events} a time more than an hour ahead: the moment of arrival counts."),
            )
        }
        TroubleKind::Elsewhere => {
            let events = counted(count, "event gives", "events give");
            let text = format!(
                "{events} a time without a zone, hours before their arrival: it is read in the zone of `[source.mapping] zone`, and whatever a roster or another event has said since then counts as newer."
            );
            (ProblemCode::SourceZone, text)
        }
        TroubleKind::Untimed => {
            let events = counted(count, "event carries", "events carry");
            let text = format!(
                "{events} no time, and others have one: another event with a time before their arrival counts as older."
            );
            (ProblemCode::SourceUntimed, text)
        }
        TroubleKind::Conflict => {
            let what = format!("{deliveries} taken for duplicates by their event id, but said something else.");
            (ProblemCode::SourceConflict, what)
        }
        TroubleKind::TokenOffered => (ProblemCode::SourceToken, ProblemCode::SourceToken.title().to_owned()),
    };
    let subject = format!("{} {what}", source.name);
    let advice = match (trouble.kind, what.as_str()) {
        (TroubleKind::Refused, "address") => OTHER_ADDRESS,
        (TroubleKind::Refused, "path") => OTHER_PATH,
        (TroubleKind::Full, "large_bodies" | "small_bodies" | "source" | "parsed" | "heads") => NO_MEMORY,
        (TroubleKind::Full, "connections" | "peer") => NO_CONNECTION,
        _ => code.advice(),
    };
    Found::new(code, format!("Source `{}`: {text}", source.name), advice, count)
        .about(subject.trim_end())
        .since(Some(trouble.seen.since))
        .at(page(source))
}

/// The problem that a refusal belongs to.
fn code_of(reason: &str) -> ProblemCode {
    match reason {
        "too_old" | "too_new" | "missing_timestamp" | "malformed_timestamp" => ProblemCode::SourceTime,
        "missing_header"
        | "repeated_header"
        | "malformed_signature"
        | "mismatch"
        | "expired_secret"
        | "no_usable_secret" => ProblemCode::SourceSignature,
        tally::UNKNOWN_SOURCE => ProblemCode::SourceUnknown,
        _ => ProblemCode::SourceRefused,
    }
}

/// Sources that send too many repetitions.
pub(super) fn again(figures: &Figures) -> Vec<Found> {
    let of_source = |source: &SourceFigures| {
        let lately = source.tally.hours.unusual(figures.now)?;
        let code = ProblemCode::SourceDuplicates;
        let all = counted(lately.all, "delivery", "deliveries");
        let what = format!("Source `{}`: {} of the last {all} had come before.", source.name, lately.again);
        Some(Found::new(code, what, code.advice(), lately.again).about(&source.name).at(page(source)))
    };
    figures.sources.iter().filter_map(of_source).collect()
}

/// Sources whose events are all older than what is known.
pub(super) fn outdated(figures: &Figures) -> Vec<Found> {
    let of_source = |source: &SourceFigures| {
        let seen = source.outdated?;
        let code = ProblemCode::SourceOutdated;
        let what = format!(
            "Source `{}`: the last {} events that contradict what is known are older than that, and not applied.",
            source.name, seen.count
        );
        Some(
            Found::new(code, what, code.advice(), seen.count)
                .about(&source.name)
                .since(Some(seen.since))
                .at(page(source)),
        )
    };
    figures.sources.iter().filter_map(of_source).collect()
}

/// Sources that are not configured, but have data in the store.
pub(super) fn gone(figures: &Figures) -> Vec<Found> {
    let of_source = |gone: &GoneFigure| {
        let code = ProblemCode::SourceGone;
        let parts = [(gone.people, "person", "people"), (gone.dead, "dead letter", "dead letters")];
        let parts: Vec<_> =
            parts.iter().filter(|(n, ..)| *n > 0).map(|(n, one, more)| counted(*n, one, more)).collect();
        let belong = if gone.people + gone.dead == 1 { "belongs" } else { "belong" };
        let what = format!("{} {belong} to source `{}`, which is not configured.", parts.join(" and "), gone.source);
        Found::new(code, what, code.advice(), gone.people.max(gone.dead))
            .about(&gone.source)
            .since(gone.since)
            .at("/people")
    };
    figures.gone.iter().filter(|gone| gone.people + gone.dead > 0).map(of_source).collect()
}

/// Sources that have fallen silent, or will.
pub(super) fn quiet(figures: &Figures) -> Vec<Found> {
    figures.sources.iter().flat_map(|source| [silent(figures, source), expires(figures, source)]).flatten().collect()
}

fn silent(figures: &Figures, source: &SourceFigures) -> Option<Found> {
    let (at, accepted) = (source.tally.good_at(), source.tally.accepted.count);
    let quiet_ms = figures.now.ms_since(at);
    (accepted >= REGULAR_MIN && quiet_ms >= QUIET_MS).then(|| {
        let code = ProblemCode::SourceQuiet;
        let what = format!("Source `{}`: nothing came for {}.", source.name, span(quiet_ms));
        Found::new(code, what, code.advice(), accepted).about(&source.name).since(Some(at)).at(page(source))
    })
}

fn expires(figures: &Figures, source: &SourceFigures) -> Option<Found> {
    let until = source.secret_until.filter(|until| until.ms_since(figures.now) < EXPIRES_MS)?;
    let code = ProblemCode::SourceSecretExpires;
    let what = format!("Source `{}`: {} It is set to end at {until}.", source.name, code.title());
    let since = until.minus_ms(EXPIRES_MS);
    Some(Found::new(code, what, code.advice(), 1).about(&source.name).since(Some(since)).at("/settings"))
}

#[cfg(test)]
mod tests {
    use super::super::{Problem, problems};
    use super::*;
    use crate::core::person::{EventKind, SourceName};
    use crate::core::tally::GenuineResult;
    use crate::core::time::UnixMs;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn reported(change: impl FnOnce(&mut SourceFigures)) -> Vec<Problem> {
        let mut source = SourceFigures::new(SourceName::parse("hr").unwrap());
        change(&mut source);
        problems(
            &Figures { now: NOW, up_since: NOW, sources: vec![source], ..Figures::default() },
            &super::super::Seen::default(),
        )
    }

    #[test]
    fn deliveries_put_off_for_a_sources_own_bound_get_matching_advice() {
        for (bound, advice) in
            [("entries", "high_water_jobs"), ("large_bodies", "smaller batches"), ("peer", "connections_per_peer")]
        {
            let reported = reported(|source| source.tally.full(NOW, bound));
            assert_eq!(reported[0].code, "SOURCE-FULL");
            assert!(reported[0].action.contains(advice), "{bound}: {}", reported[0].action);
        }
    }

    #[test]
    fn a_rotated_secret_is_reported_with_its_source_and_advice() {
        let reported = reported(|source| (0..12).for_each(|n| source.tally.refused(NOW.minus_ms(12 - n), "mismatch")));
        assert_eq!((reported[0].code.as_str(), reported[0].count), ("SOURCE-SIGNATURE", 12));
        assert!(reported[0].what.contains("`hr`") && reported[0].action.contains("secret"), "{reported:?}");
        assert_eq!(reported[0].since, NOW.minus_ms(12));
    }

    #[test]
    fn each_reason_has_its_advice() {
        let reported = reported(|source| {
            for reason in ["too_old", "content_type", "mismatch", "address", "path", tally::UNKNOWN_SOURCE] {
                source.tally.refused(NOW, reason);
            }
        });
        let codes: Vec<_> = reported.iter().map(|problem| problem.code.as_str()).collect();
        let of = |code: &str| codes.iter().filter(|other| **other == code).count();
        assert_eq!(["SOURCE-REFUSED", "SOURCE-SIGNATURE", "SOURCE-TIME", "SOURCE-UNKNOWN"].map(of), [3, 1, 1, 1]);
        assert!(
            reported.iter().any(|problem| problem.what.contains("(path)") && problem.action.contains("/webhooks/"))
        );
        assert!(
            reported.iter().any(|problem| problem.what.contains("(address)") && problem.action.contains("allow_from"))
        );
    }

    #[test]
    fn every_trouble_of_a_source_is_reported_by_name() {
        let reported = reported(|source| {
            source.tally.unnamed_type(NOW, "worker.onboarded");
            source.tally.dropped(NOW, "first_name");
            source.tally.full(NOW, "dead_letters");
            source.tally.note_ahead(NOW);
            source.tally.conflict(NOW);
            source.tally.note_event(NOW, EventKind::Hire, true);
            source.tally.note_event(NOW, EventKind::Leave, false);
        });
        let texts: Vec<_> = reported.iter().map(|problem| format!("{} {}", problem.code, problem.what)).collect();
        for (code, word) in [
            ("SOURCE-IGNORED", "`worker.onboarded`"),
            ("SOURCE-DROPPED", "`first_name`"),
            ("SOURCE-FULL", "dead letters"),
            ("SOURCE-AHEAD", "`hr`: 1 event gives"),
            ("SOURCE-UNTIMED", "`hr`: 1 event carries no time"),
            ("SOURCE-CONFLICT", "`hr`: 1 delivery was taken for duplicates"),
        ] {
            assert!(texts.iter().any(|text| text.starts_with(code) && text.contains(word)), "{texts:?}");
        }
    }

    #[test]
    fn an_unknown_source_name_is_reported_until_its_sender_is_corrected() {
        let minutes = |n: u64| NOW.minus_ms(n * 60_000);
        let reported = |last: u64, name: &str, first: Option<u64>| {
            let mut astray = SourceFigures::new(SourceName::parse(name).unwrap());
            astray.tally.refused(minutes(last), tally::UNKNOWN_SOURCE);
            let mut hr = SourceFigures::new(SourceName::parse("hr").unwrap());
            for at in first.into_iter().flat_map(|first| [first, 0]) {
                hr.tally.genuine(minutes(at), GenuineResult::Accepted);
            }
            let (sources, strangers) = if name == "hr" { (vec![astray], Vec::new()) } else { (vec![hr], vec![astray]) };
            let figures = Figures { now: NOW, up_since: NOW, sources, strangers, ..Figures::default() };
            !problems(&figures, &super::super::Seen::default()).is_empty()
        };
        assert!(reported(5, "h", None) && reported(1, "h", Some(0)), "nothing shows it, or it may not last");
        assert!(reported(5, "h", Some(30)), "that source got its own all the time");
        assert!(!reported(5, "h", Some(3)), "corrected in the HR system");
        assert!(!reported(5, "hr", None), "there is a source of that name now");
    }

    #[test]
    fn rarely_tried_names_are_one_problem() {
        let stranger = |name: &str, deliveries: u64| {
            let mut stranger = SourceFigures::new(SourceName::parse(name).unwrap());
            (0..deliveries).for_each(|n| stranger.tally.refused(NOW.minus_ms(deliveries - n), tally::UNKNOWN_SOURCE));
            stranger
        };
        let reported = |strangers: Vec<SourceFigures>| {
            let figures = Figures { now: NOW, up_since: NOW, strangers, ..Figures::default() };
            problems(&figures, &super::super::Seen::default())
        };
        let one = &reported(vec![stranger("hrr", 1)])[0];
        assert!(one.code == "SOURCE-UNKNOWN" && one.what.contains("`hrr`") && !one.brief.contains("hrr"), "{one:?}");
        let all = reported(vec![stranger("hrr", 200), stranger("s0", 1), stranger("s1", 2)]);
        let counts: Vec<_> = all.iter().map(|problem| (problem.key(), problem.count)).collect();
        assert_eq!(
            counts,
            [("SOURCE-UNKNOWN hrr unknown_source".to_owned(), 200), ("SOURCE-UNKNOWN (others)".to_owned(), 3)]
        );
        let many = (0..12_u64).map(|n| stranger(&format!("s{n}"), 100 - n)).collect();
        let mut figures = Figures { now: NOW, up_since: NOW, strangers: many, ..Figures::default() };
        figures.other_strangers.add_unknown(NOW, Seen { count: 7, since: NOW, last_at: NOW });
        let all = problems(&figures, &super::super::Seen::default());
        assert_eq!(all.len(), 6, "{all:?}");
        assert!(all.iter().any(|problem| problem.what.contains("`s0`") && problem.count == 100), "the first is named");
        let rest = all.iter().find(|problem| problem.key() == "SOURCE-UNKNOWN (others)").unwrap();
        let sum: u64 = (5..12).map(|n| 100 - n).sum();
        assert!(rest.count == sum + 7 && rest.what.ends_with("others."), "{rest:?}");
    }

    #[test]
    fn unusual_resending_is_reported_and_usual_resending_is_not() {
        let reported = |again: u64| {
            reported(|source| {
                (0..10).for_each(|_| source.tally.genuine(NOW, GenuineResult::Accepted));
                (0..again).for_each(|_| source.tally.genuine(NOW, GenuineResult::Duplicate));
            })
        };
        assert_eq!(reported(10), []);
        let reported = &reported(30)[0];
        assert_eq!((reported.key().as_str(), reported.count), ("SOURCE-DUPLICATES hr", 30));
        assert!(reported.what.contains("30 of the last 40 deliveries"), "{reported:?}");
    }

    #[test]
    fn a_source_with_only_outdated_events_is_reported() {
        let seen = Seen { count: 12, since: NOW.minus_ms(5_000), last_at: NOW };
        let reported = &reported(|source| source.outdated = Some(seen))[0];
        assert_eq!((reported.key().as_str(), reported.count, reported.since), ("SOURCE-OUTDATED hr", 12, seen.since));
        assert!(reported.what.contains("last 12 events"), "{reported:?}");
    }

    #[test]
    fn a_removed_source_is_reported_with_what_the_store_has_of_it() {
        let reported = |people, dead| {
            let gone = vec![GoneFigure { source: "hr2".to_owned(), people, dead, since: Some(NOW) }];
            problems(&Figures { now: NOW, up_since: NOW, gone, ..Figures::default() }, &super::super::Seen::default())
        };
        let both = &reported(3, 1)[0];
        assert_eq!((both.key().as_str(), both.count, both.since), ("SOURCE-GONE hr2", 3, NOW));
        assert!(
            both.what.contains("3 people and 1 dead letter belong to source `hr2`, which is not configured."),
            "{both:?}"
        );
        assert!(reported(0, 1)[0].what.starts_with("1 dead letter belongs to"));
        assert_eq!(reported(0, 0), []);
    }

    #[test]
    fn only_a_source_that_used_to_deliver_can_fall_silent() {
        let quiet = |accepted| {
            reported(|source| {
                (0..accepted).for_each(|_| source.tally.genuine(NOW.minus_ms(QUIET_MS), GenuineResult::Accepted));
            })
        };
        assert_eq!(quiet(REGULAR_MIN)[0].code, "SOURCE-QUIET");
        assert_eq!(quiet(REGULAR_MIN - 1), []);
    }

    #[test]
    fn a_secret_that_expires_soon_is_reported_two_weeks_ahead() {
        let ends = |in_ms: u64| reported(|source| source.secret_until = Some(NOW.plus_ms(in_ms)));
        assert_eq!(ends(EXPIRES_MS), []);
        assert_eq!(ends(EXPIRES_MS - 1)[0].code, "SOURCE-SECRET-EXPIRES");
    }
}
