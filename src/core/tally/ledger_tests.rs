//! Counts of several processes in one document.

use std::collections::BTreeMap;

use super::ledger::{Ledger, PROCESSES_MAX, UNKNOWN_SOURCES_MAX};
use super::tests::{at, kinds};
use super::*;

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
