//! What is reported of a source, and for how long.

use std::collections::BTreeMap;

use super::ledger::PROCESSES_MAX;
use super::*;

const MINUTE: u64 = 60_000;

fn at(minutes: u64) -> UnixMs {
    UnixMs(1_000_000).plus_ms(minutes * MINUTE)
}

fn kinds(tally: &SourceTally, now: UnixMs) -> Vec<(TroubleKind, String, u64)> {
    tally.troubles(now).into_iter().map(|trouble| (trouble.kind, trouble.what, trouble.seen.count)).collect()
}

#[test]
fn refusals_are_reported_until_a_success_and_a_minute_without_any() {
    let mut tally = SourceTally::default();
    tally.genuine(at(0), GenuineResult::Accepted);
    tally.refused(at(1), "mismatch");
    tally.refused(at(2), "mismatch");
    assert_eq!(kinds(&tally, at(30)), [(TroubleKind::Refused, "mismatch".to_owned(), 2)]);
    tally.genuine(at(31), GenuineResult::Duplicate);
    assert_eq!(kinds(&tally, at(31)), []);
    tally.refused(at(40), "mismatch");
    let trouble = &tally.troubles(at(40))[0];
    assert_eq!((trouble.seen.count, trouble.seen.since), (1, at(40)), "another run");
    assert_eq!(kinds(&tally, at(40 + 60)).len(), 1);
    assert_eq!(kinds(&tally, at(40 + 61)), [], "none was refused for an hour");
}

#[test]
fn a_handshake_that_anybody_can_send_is_no_sign_of_life() {
    let mut tally = SourceTally::default();
    tally.genuine(at(0), GenuineResult::Accepted);
    tally.refused(at(1), "mismatch");
    tally.unsigned_handshake(at(2));
    assert_eq!((tally.good_at(), tally.unsigned_handshakes.count), (at(0), 1));
    assert_eq!(kinds(&tally, at(30)), [(TroubleKind::Refused, "mismatch".to_owned(), 1)]);
    tally.genuine(at(31), GenuineResult::Handshake);
    assert_eq!((tally.good_at(), kinds(&tally, at(31))), (at(31), vec![]));
}

#[test]
fn distrusted_times_are_reported_until_one_is_trusted() {
    let mut tally = SourceTally::default();
    tally.note_ahead(at(0));
    tally.note_ahead(at(1));
    assert_eq!(kinds(&tally, at(30)), [(TroubleKind::Ahead, String::new(), 2)]);
    tally.in_time_at = at(31);
    assert_eq!(kinds(&tally, at(31)), []);
}

#[test]
fn events_without_a_time_are_reported_only_if_others_have_one() {
    let mut tally = SourceTally::default();
    tally.note_event(at(0), EventKind::Leave, false);
    tally.note_event(at(1), EventKind::Leave, false);
    assert_eq!(kinds(&tally, at(30)), []);
    tally.note_event(at(31), EventKind::Hire, true);
    assert_eq!(kinds(&tally, at(50)), [(TroubleKind::Untimed, String::new(), 2)]);
    let mut merged = SourceTally::default();
    merged.add(&tally);
    assert_eq!(kinds(&merged, at(50)), kinds(&tally, at(50)));
    tally.forget_named(&Mapping::default());
    assert_eq!(kinds(&tally, at(50)).len(), 1);
    tally.forget_named(&toml::from_str("occurred_at = []").unwrap());
    assert_eq!(kinds(&tally, at(50)), []);
    // Nothing shows that it is over.
    assert_eq!((kinds(&merged, at(61)).len(), kinds(&merged, at(62))), (1, vec![]));
    merged.note_event(at(70), EventKind::Leave, false);
    assert_eq!(kinds(&merged, at(75)).len(), 1);
    merged.note_event(at(76), EventKind::Leave, true);
    assert_eq!(kinds(&merged, at(76)), [], "the next of that kind has a time");
}

#[test]
fn other_content_under_a_known_id_is_reported_for_an_hour() {
    let mut tally = SourceTally::default();
    tally.conflict(at(0));
    tally.genuine(at(5), GenuineResult::Accepted);
    assert_eq!(kinds(&tally, at(60)), [(TroubleKind::Conflict, String::new(), 1)]);
    assert_eq!(kinds(&tally, at(61)), []);
}

#[test]
fn unknown_types_are_reported_until_the_mapping_names_them() {
    let mut tally = SourceTally::default();
    tally.unnamed_type(at(0), "employee.created");
    tally.genuine(at(5), GenuineResult::Accepted);
    assert_eq!(kinds(&tally, at(60)), [(TroubleKind::UnnamedType, "employee.created".to_owned(), 1)]);
    assert_eq!(kinds(&tally, at(60 * 24 * 365)).len(), 1, "a year later it is named nowhere, still");
    tally.forget_named(&toml::from_str("ignore = ['employee.created']").unwrap());
    assert_eq!(kinds(&tally, at(60)), []);
}

#[test]
fn words_are_bounded() {
    let mut tally = SourceTally::default();
    for n in 0..1000 {
        tally.unnamed_type(at(0), &format!("type-{n}"));
    }
    assert_eq!(tally.unnamed_types.len(), WORDS_MAX + 1);
    assert_eq!(tally.unnamed_types[OTHERS].count, 950);
}

#[test]
fn a_restart_that_names_the_type_clears_its_report() {
    let mut tally = SourceTally::default();
    tally.unnamed_type(at(0), "worker.onboarded");
    let mut ledger = Ledger::default();
    ledger.put(at(0), "before", BTreeMap::from([("hr".to_owned(), tally)]));
    ledger.put(at(0), "after", BTreeMap::new());
    let mapping: Mapping = toml::from_str("hire = ['worker.onboarded']").unwrap();
    ledger.forget_mended(at(0), |_| Some(&mapping));
    assert_eq!(kinds(&ledger.by_source()["hr"], at(0)), []);
}

#[test]
fn deliveries_to_an_unknown_source_are_reported_for_an_hour_even_after_a_restart() {
    let mut tally = SourceTally::default();
    tally.refused(at(0), UNKNOWN_SOURCE);
    let mut ledger = Ledger::default();
    ledger.put(at(0), "a", BTreeMap::from([("hr2".to_owned(), tally)]));
    ledger.put(at(10), "b", BTreeMap::new());
    ledger.forget_mended(at(10), |_| None);
    let tally = &ledger.by_source()["hr2"];
    assert_eq!(kinds(tally, at(59)), [(TroubleKind::Refused, UNKNOWN_SOURCE.to_owned(), 1)]);
    assert_eq!(kinds(tally, at(61)), []);
    ledger.forget_mended(at(61), |_| None);
    assert!(ledger.by_source().is_empty(), "what is no longer reported is no longer kept");
}

#[test]
fn the_latest_unknown_source_names_of_all_processes_are_kept() {
    let mut ledger = Ledger::default();
    for process in 0..5 {
        let named = |n: u64| {
            let mut tally = SourceTally::default();
            tally.refused(at(0).plus_ms(process * 15 + n), UNKNOWN_SOURCE);
            (format!("guess-{process}-{n}"), tally)
        };
        ledger.put(at(process), &format!("p{process}"), (0..15).map(named).collect());
        ledger.forget_mended(at(process), |_| None);
    }
    let kept = ledger.by_source();
    assert_eq!(kept.keys().filter(|name| *name != OTHERS).count(), UNKNOWN_SOURCES_MAX);
    assert!(kept.contains_key("guess-4-0") && kept.contains_key("guess-3-14") && !kept.contains_key("guess-3-1"));
}

#[test]
fn made_up_names_displace_no_used_name() {
    let mut hrr = SourceTally::default();
    (0..200).for_each(|n| hrr.refused(at(0).plus_ms(n), UNKNOWN_SOURCE));
    let mut ledger = Ledger::default();
    ledger.put(at(0), "a", BTreeMap::from([("hrr".to_owned(), hrr)]));
    let made_up = |n: u64| {
        let mut tally = SourceTally::default();
        tally.refused(at(1).plus_ms(n), UNKNOWN_SOURCE);
        (format!("s{n}"), tally)
    };
    ledger.put(at(1), "b", (0..50).map(made_up).collect());
    ledger.forget_mended(at(2), |_| None);
    let kept = ledger.by_source();
    assert_eq!((kept.len(), kept["hrr"].unknown().count), (UNKNOWN_SOURCES_MAX, 200));
}

#[test]
fn busier_names_displace_no_name_and_every_dropped_name_is_counted() {
    let posted = |at: UnixMs, count: u64| {
        let mut tally = SourceTally::default();
        (0..count).for_each(|n| tally.refused(at.plus_ms(n), UNKNOWN_SOURCE));
        tally
    };
    let mut ledger = Ledger::default();
    ledger.put(at(0), "a", BTreeMap::from([("hrr".to_owned(), posted(at(0), 5))]));
    ledger.put(at(1), "b", (0..30).map(|n| (format!("s{n}"), posted(at(1), 200))).collect());
    // Both are gone, and what they counted is kept.
    ledger.put(at(5), "c", BTreeMap::new());
    ledger.forget_mended(at(5), |_| None);
    let kept = ledger.by_source();
    assert_eq!((kept["hrr"].unknown().count, kept.len()), (5, UNKNOWN_SOURCES_MAX + 1));
    assert_eq!(kept[OTHERS].unknown().count, 11 * 200);
    ledger.forget_mended(at(70), |_| None);
    assert!(ledger.by_source().is_empty());
}

#[test]
fn counts_of_all_processes_merge_and_outlive_them() {
    let (mut one, mut two) = (SourceTally::default(), SourceTally::default());
    one.refused(at(1), "mismatch");
    two.refused(at(2), "mismatch");
    two.unnamed_type(at(2), "x");
    let mut ledger = Ledger::default();
    ledger.put(at(2), "a", BTreeMap::from([("hr".to_owned(), one)]));
    ledger.put(at(2), "b", BTreeMap::from([("hr".to_owned(), two)]));
    let all = Ledger::from_bytes(&ledger.to_bytes()).by_source();
    assert_eq!((all["hr"].refused["mismatch"].count, all["hr"].refused["mismatch"].since), (2, at(1)));
    ledger.put(at(10), "c", BTreeMap::new());
    assert_eq!(ledger.processes.keys().collect::<Vec<_>>(), ["c"]);
    assert_eq!(ledger.by_source(), all);
    let mapping: Mapping = toml::from_str("hire = ['x']").unwrap();
    ledger.forget_mended(at(10), |source| (source == "hr").then_some(&mapping));
    assert!(ledger.by_source()["hr"].unnamed_types.is_empty());
    ledger.forget_mended(at(10), |_| None);
    assert!(ledger.by_source().is_empty());
}

#[test]
fn processes_are_bounded_and_nothing_of_them_is_lost() {
    let mut ledger = Ledger::default();
    for n in 0..200 {
        let mut tally = SourceTally::default();
        tally.genuine(at(0), GenuineResult::Accepted);
        ledger.put(at(0), &format!("p{n}"), BTreeMap::from([("hr".to_owned(), tally)]));
    }
    assert!(ledger.processes.len() <= PROCESSES_MAX);
    assert_eq!(ledger.by_source()["hr"].accepted.count, 200);
    assert_eq!(Ledger::from_bytes(b"damaged"), Ledger::default());
}
