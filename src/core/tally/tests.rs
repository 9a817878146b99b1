//! What is reported of a source, and for how long.

use super::*;

const MINUTE: u64 = 60_000;

pub(super) fn at(minutes: u64) -> UnixMs {
    UnixMs(1_000_000).plus_ms(minutes * MINUTE)
}

pub(super) fn kinds(tally: &SourceTally, now: UnixMs) -> Vec<(TroubleKind, String, u64)> {
    tally.troubles(now).into_iter().map(|trouble| (trouble.kind, trouble.what, trouble.seen.count)).collect()
}

#[test]
fn times_of_another_zone_are_told_and_late_ones_are_not() {
    const MINUTE_MS: u64 = 60_000;
    let told = |late_min: &[u64]| {
        let mut tally = SourceTally::default();
        let mut now = UnixMs(1_800_000_000_000);
        for minutes in late_min {
            now = now.plus_ms(MINUTE_MS);
            tally.note_zoneless(now, now.minus_ms(minutes * MINUTE_MS + 1_500));
        }
        let troubles = tally.troubles(now.plus_ms(1_000));
        troubles
            .iter()
            .filter(|trouble| trouble.kind == TroubleKind::Elsewhere)
            .map(|trouble| trouble.seen.count)
            .sum::<u64>()
    };
    assert_eq!(told(&[300, 300, 301]), 3, "New York");
    assert_eq!(told(&[300, 300]), 0, "it may be chance");
    assert_eq!(told(&[300, 300, 300, 0]), 0, "the last one fits");
    assert_eq!(told(&[47, 183, 611, 512]), 0, "they come in batches");
    assert_eq!(told(&[0, 0, 15, 3 * 24 * 60]), 0, "retried, or old");
    assert_eq!(told(&[0, 210, 210, 210]), 3, "Newfoundland");
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
