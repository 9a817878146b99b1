//! An inbox folded into a document; and what the tests beside this one share.

use super::{fold, fold_read};
use crate::core::person::document::{Document, OPEN_JOBS_MAX};
use crate::core::person::employment::{EmploymentState, Scope};
use crate::core::person::event::{Event, EventKind, Facts, Stated};
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::{Finished, JobId};
use crate::core::person::letter::Letter;
use crate::core::person::{Name, Person, SourceName};
use crate::core::time::UnixMs;

pub(super) fn ada() -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap()
}

pub(super) fn update(n: u64, at: i64, family: &str) -> (u64, Entry) {
    let name = Name::parse("family_name", family).unwrap().map(Stated::Is);
    let facts = Facts { family_name: name, ..Facts::default() };
    let event = Event { person: ada(), kind: EventKind::Update, at: Some(UnixMs(at)), facts };
    let job = JobId::about(u128::from(n) << 64, ada().id());
    let accepted_at = UnixMs(1_000 + i64::try_from(n).unwrap());
    (n, Entry { accepted_at, word: Word::Event { job, event: Box::new(event), letter: None }, trace: None })
}

pub(super) fn other(n: u64, word: Word) -> (u64, Entry) {
    (n, Entry { accepted_at: UnixMs(2_000), word, trace: None })
}

#[test]
fn outdated_events_end_at_once_and_the_rest_stay_open() {
    let mut document = Document::new(ada());
    let folding = fold(&mut document, vec![update(1, 20, "King"), update(2, 10, "Byron")], UnixMs(3_000));
    assert_eq!(document.record.family_name(), Some("King"));
    assert_eq!(document.open.len(), 1);
    assert_eq!(folding.ended.len(), 1);
    assert_eq!(folding.ended[0].1, Finished::Superseded);
    assert!(folding.calls_for_attempt);
}

#[test]
fn thousands_of_events_leave_a_bounded_document() {
    let mut document = Document::new(ada());
    let words = (1..=10_000).map(|n| update(n, i64::try_from(n).unwrap(), &format!("No{n}"))).collect();
    let folding = fold(&mut document, words, UnixMs(30_000));
    assert_eq!(document.record.family_name(), Some("No10000"));
    assert_eq!(document.open.len(), OPEN_JOBS_MAX);
    assert_eq!(folding.ended.len(), 10_000 - OPEN_JOBS_MAX);
    assert!(document.to_bytes().len() < 64 * 1024);
}

#[test]
fn an_event_without_news_is_outdated_if_the_record_says_otherwise() {
    let mut document = Document::new(ada());
    let folded = |document: &mut Document, entry| {
        let folding = fold(document, vec![entry], UnixMs(3_000));
        (folding.told_news, folding.outdated)
    };
    assert_eq!(folded(&mut document, update(1, 20, "King")), (1, 0));
    assert_eq!(folded(&mut document, update(2, 10, "Byron")), (0, 1));
    assert_eq!(folded(&mut document, update(3, 10, "King")), (0, 0), "it is so");
    assert_eq!(folded(&mut document, update(4, 20, "King")), (0, 0), "redelivered");
}

#[test]
fn only_a_removal_in_effect_makes_a_removal_notice() {
    use EventKind::{Leave, Notice};
    let left = |from: Option<i64>| Some((EmploymentState::Left, from.map(UnixMs)));
    for (kind, employment, is_removal) in [
        (Notice, left(None), true),
        (Notice, left(Some(500)), true),
        (Notice, left(Some(9_000)), false),
        (Notice, None, false),
        // For a time before the last read.
        (Leave, left(None), false),
        (Leave, left(Some(9_000)), false),
    ] {
        let mut document = Document { read_at: Some(UnixMs(900)), ..Document::new(ada()) };
        let (seq, mut entry) = update(1, 800, "King");
        if let Word::Event { event, .. } = &mut entry.word {
            event.kind = kind;
            event.facts = Facts { employment, ..Facts::default() };
        }
        fold(&mut document, vec![(seq, entry)], UnixMs(3_000));
        assert_eq!(document.owed_read.unwrap().removed, is_removal, "{kind:?} {employment:?}");
    }
}

#[test]
fn scope_that_was_read_counts_now_even_after_statements_dated_ahead() {
    let now = UnixMs(2_000_000);
    let ahead = now.plus_ms(600_000);
    let mut document = Document::new(ada());
    let (seq, mut entry) = update(1, ahead.0, "King");
    entry.accepted_at = now;
    fold(&mut document, vec![(seq, entry)], now);
    let read = |document: &mut Document, scope, seq| {
        let facts = Facts { scope: Some((scope, None)), ..Facts::default() };
        let event = Event { person: ada(), kind: EventKind::Update, at: Some(now), facts };
        fold_read(document, vec![event], now, seq);
        document.record.is_out_of_scope(now)
    };
    assert!(read(&mut document, Scope::Out, 2));
    assert!(!read(&mut document, Scope::In, 3));
    assert_eq!(document.record.next_change(now), None);
}

#[test]
fn a_notice_calls_for_an_attempt_and_ends_no_pause() {
    let mut document = Document::new(ada());
    document.progress.suspicions = 2;
    let event = Event { person: ada(), kind: EventKind::Notice, at: None, facts: Facts::default() };
    let word =
        |event: Event| Word::Event { job: JobId::about(1 << 64, ada().id()), event: Box::new(event), letter: None };
    let folding = fold(&mut document, vec![other(1, word(event))], UnixMs(3_000));
    assert!(folding.calls_for_attempt && !folding.ends_pause);
    assert_eq!(document.progress.suspicions, 2, "it may say nothing");
    let folding = fold(&mut document, vec![update(2, 20, "King")], UnixMs(3_001));
    assert!(folding.ends_pause);
    assert_eq!(document.progress.suspicions, 0);
}

#[test]
fn a_value_of_the_same_day_that_came_before_answers_no_letter() {
    let mut document = Document::new(ada());
    fold(&mut document, vec![update(1, 500, "King")], UnixMs(3_000));
    // Dated with the day from 0 to 10,000.
    let facts = Facts { day_ends: Some(UnixMs(10_000)), ..Facts::default() };
    let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: Some(UnixMs(0)), facts });
    let job = JobId::about(2 << 64, ada().id());
    let letter = Letter::of(job, &["family_name"]);
    let folding = fold(&mut document, vec![other(2, Word::Event { job, event, letter })], UnixMs(3_001));
    assert_eq!((folding.answered.len(), document.letters.len()), (0, 1));
    let folding = fold(&mut document, vec![update(3, 4_000, "Byron")], UnixMs(5_000));
    assert_eq!((folding.answered, document.letters.len()), (vec![job], 0));
}

#[test]
fn a_person_whose_worker_was_killed_may_have_been_created() {
    let mut document = Document::new(ada());
    let folding = fold(&mut document, vec![update(1, 20, "King"), other(2, Word::CutOff)], UnixMs(3_000));
    assert!(folding.is_cut_off && folding.calls_for_attempt);
    assert_eq!(
        document.progress.create_unknown.map(|create| (create.at, create.answered)),
        Some((UnixMs(3_000), false))
    );
    assert_eq!(document.progress.take_overs, 0, "it blames nobody");
}

#[test]
fn another_person_with_the_same_number_is_distinguished() {
    let mut document = Document::new(ada());
    let (seq, mut entry) = update(1, 20, "King");
    if let Word::Event { event, .. } = &mut entry.word {
        event.person = Person::parse(SourceName::parse("hr").unwrap(), "E-9").unwrap();
        event.facts.employment = Some((EmploymentState::Employed, None));
    }
    let folding = fold(&mut document, vec![(seq, entry)], UnixMs(3_000));
    assert_eq!(folding.strangers.len(), 1);
    assert_eq!(document, Document::new(ada()));
}
