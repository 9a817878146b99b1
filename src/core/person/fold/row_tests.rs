//! Rows of a roster among other words.

use super::fold;
use super::tests::{ada, other, update};
use crate::core::person::document::{Document, KnownMember};
use crate::core::person::employment::EmploymentState;
use crate::core::person::event::{Event, EventKind, Facts, Stated};
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::{Finished, JobId};
use crate::core::person::samples::member;
use crate::core::person::{Email, Name};
use crate::core::time::UnixMs;

#[test]
fn a_row_that_repeats_what_is_known_and_an_outdated_event_leave_a_discard_alone() {
    let row = |seq: u64, import: &str, family: &str| {
        let facts = Facts {
            family_name: Name::parse("family_name", family).unwrap().map(Stated::Is),
            employment: Some((EmploymentState::Employed, None)),
            ..Facts::default()
        };
        let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: None, facts });
        let job = JobId::about(u128::from(seq) << 64, ada().id());
        let import = import.to_owned();
        let staged = Word::Staged { import: import.clone(), job, event, leaves_at: None };
        let at = UnixMs(i64::try_from(seq).unwrap() * 1_000);
        let entry = |seq, word| (seq, Entry { accepted_at: at, word, trace: None });
        vec![entry(seq, staged), entry(seq + 1, Word::Apply { import, member: None, after: Vec::new() })]
    };
    let mut document = Document::new(ada());
    fold(&mut document, row(4, "first", "King"), UnixMs(4_000));
    fold(&mut document, vec![other(6, Word::Discard { by: "admin".to_owned(), reason: None })], UnixMs(6_000));
    document.not_followed_since = Some(UnixMs(6_000));
    // The same file again, the next night.
    let folding = fold(&mut document, row(8, "second", "King"), UnixMs(8_000));
    assert_eq!((document.not_followed_since, document.open.len()), (Some(UnixMs(6_000)), 0));
    assert!(!folding.calls_for_attempt && folding.ended.iter().all(|(_, end)| *end == Finished::Superseded));
    fold(&mut document, vec![update(10, 20, "Older")], UnixMs(10_000));
    assert_eq!(document.not_followed_since, Some(UnixMs(6_000)), "it is outdated");
    let folding = fold(&mut document, row(12, "third", "Stone"), UnixMs(12_000));
    assert!(document.not_followed_since.is_none() && folding.calls_for_attempt, "a fact has changed");
}

#[test]
fn a_listed_member_no_longer_counts_as_invited() {
    let mut document = Document::new(ada());
    document.member = Some(KnownMember { is_unshown: true, ..member("m1", Some(true)) });
    for (shown, is_unshown) in [(None, true), (Some("m2"), true), (Some("m1"), false)] {
        let word = Word::Apply { import: String::new(), member: shown.map(str::to_owned), after: Vec::new() };
        let folding = fold(&mut document, vec![other(1, word)], UnixMs(3_000));
        assert_eq!(document.member.as_ref().unwrap().is_unshown, is_unshown, "{shown:?}");
        assert!(!folding.calls_for_attempt);
    }
}

#[test]
fn a_staged_row_may_announce_a_leave_and_counts_once_it_is_applied() {
    let mut document = Document::new(ada());
    let facts = Facts { employment: Some((EmploymentState::Employed, None)), ..Facts::default() };
    let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: None, facts });
    let job = JobId::about(1 << 64, ada().id());
    let staged = Word::Staged { import: "i".to_owned(), job, event, leaves_at: Some(UnixMs(9_000)) };
    fold(&mut document, vec![other(1, staged)], UnixMs(3_000));
    assert_eq!(document.record.employment.at(UnixMs(3_000)), None);
    let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
    fold(&mut document, vec![other(2, apply)], UnixMs(3_000));
    let state = |at: i64| document.record.employment.at(UnixMs(at)).map(|word| word.state);
    assert_eq!(state(3_000), Some(EmploymentState::Employed));
    assert_eq!(state(9_000), Some(EmploymentState::Left));
}

#[test]
fn a_row_does_not_override_news_since_the_roster_was_read() {
    let employed = Some((EmploymentState::Employed, None));
    let facts = Facts {
        employment: employed,
        family_name: Name::parse("family_name", "Old").unwrap().map(Stated::Is),
        ..Facts::default()
    };
    let event = Box::new(Event { person: ada(), kind: EventKind::Update, at: None, facts });
    let job = JobId::about(1 << 64, ada().id());
    let staged = Word::Staged { import: "i".to_owned(), job, event, leaves_at: None };
    let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
    // A webhook's time is a little before its arrival.
    let leave = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
    let leave = Event { person: ada(), kind: EventKind::Leave, at: Some(UnixMs(1_900)), facts: leave };
    let leave = |seq, at| {
        let word = Word::Event { job, event: Box::new(leave.clone()), letter: None };
        (seq, Entry { accepted_at: UnixMs(at), word, trace: None })
    };
    for (leave, state) in [(leave(3, 2_050), EmploymentState::Left), (leave(1, 1_950), EmploymentState::Employed)] {
        let mut document = Document::new(ada());
        let mut entries = vec![other(2, staged.clone()), leave, other(4, apply.clone())];
        entries.sort_by_key(|(seq, _)| *seq);
        fold(&mut document, entries, UnixMs(4_000));
        assert_eq!(document.record.employment.at(UnixMs(4_000)).map(|word| word.state), Some(state));
        assert_eq!(document.record.family_name(), Some("Old"), "nothing was said of it since");
    }
}

#[test]
fn an_older_statement_loses_to_a_roster_row_however_late_it_arrives() {
    let email = |email: &str| Facts { email: Email::parse(email).ok(), ..Facts::default() };
    let event = |at, facts| Box::new(Event { person: ada(), kind: EventKind::Update, at, facts });
    let (job, day) = (JobId::about(1 << 64, ada().id()), 86_400_000);
    let staged =
        Word::Staged { import: "i".to_owned(), job, event: event(None, email("new@example.com")), leaves_at: None };
    let late = Word::Event { job, event: event(Some(UnixMs(day)), email("old@example.com")), letter: None };
    let accepted = |seq, at, word| (seq, Entry { accepted_at: UnixMs(at), word, trace: None });
    let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
    let entries = vec![accepted(1, 9 * day, staged), accepted(2, 9 * day + 1, late), accepted(3, 9 * day + 2, apply)];
    let mut document = Document::new(ada());
    fold(&mut document, entries, UnixMs(9 * day + 3));
    assert_eq!(document.record.email(), Email::parse("new@example.com").ok().as_ref());
}
