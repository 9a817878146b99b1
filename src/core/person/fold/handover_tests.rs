//! Members who are handed over, and people who come back.

use super::tests::{ada, other, update};
use super::{Folding, fold, fold_read, owner_word};
use crate::core::person::document::{Document, Groups, JoinedGroup, KnownMember};
use crate::core::person::employment::EmploymentState;
use crate::core::person::event::{Event, EventKind, Facts};
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::{Finished, JobId};
use crate::core::person::samples::member;
use crate::core::person::{AddressHash, Email, Person, SourceName};
use crate::core::time::UnixMs;

#[test]
fn a_closed_record_keeps_events_and_applies_none() {
    let mut document = Document::new(ada());
    let to = Person::parse(SourceName::parse("hr").unwrap(), "E-2").unwrap();
    let folding = fold(
        &mut document,
        vec![
            other(1, Word::HandedOver { to, is_another: true, address_hash: None, said_at: None }),
            update(2, 20, "King"),
        ],
        UnixMs(3_000),
    );
    assert_eq!(document.words_after_close, 1);
    assert_eq!(folding.ended, [(JobId::about(2 << 64, ada().id()), Finished::HandedOver)]);
    assert!(!folding.calls_for_attempt);
}

/// Ada was handed over to somebody else at 1,500.
fn handed_over() -> (u64, Entry) {
    let to = Person::parse(SourceName::parse("hr").unwrap(), "E-2").unwrap();
    let word = Word::HandedOver { to, is_another: true, address_hash: None, said_at: None };
    (1, Entry { accepted_at: UnixMs(1_500), word, trace: None })
}

fn handed_to(to: &Person) -> (u64, Entry) {
    other(1, Word::HandedOver { to: to.clone(), is_another: false, address_hash: None, said_at: None })
}

/// The groups that are sent to others.
fn groups_sent(folding: Folding) -> Vec<(Person, Groups)> {
    let groups = |(to, word)| match word {
        Word::Groups { groups, owner: None, .. } => (to, groups),
        other => panic!("{other:?}"),
    };
    folding.outgoing.into_iter().map(groups).collect()
}

fn said(n: u64, kind: EventKind, at: i64, facts: Facts) -> (u64, Entry) {
    let event = Event { person: ada(), kind, at: Some(UnixMs(at)), facts };
    let word = Word::Event { job: JobId::about(u128::from(n) << 64, ada().id()), event: Box::new(event), letter: None };
    (n, Entry { accepted_at: UnixMs(1_600 + i64::try_from(n).unwrap()), word, trace: None })
}

#[test]
fn a_return_is_seen_in_any_batching_and_at_any_time() {
    let employed = |from: Option<i64>| Some((EmploymentState::Employed, from.map(UnixMs)));
    let address = Email::parse("ada.king@example.com").ok();
    let whole = |at| {
        said(2, EventKind::Hire, at, Facts { employment: employed(None), email: address.clone(), ..Facts::default() })
    };
    let hire = |n| said(n, EventKind::Hire, 1_600, Facts { employment: employed(None), ..Facts::default() });
    let update = |n| said(n, EventKind::Update, 1_601, Facts { email: address.clone(), ..Facts::default() });
    let ahead = Facts { employment: employed(Some(9_000)), email: address.clone(), ..Facts::default() };
    let day =
        Facts { employment: employed(None), email: address.clone(), day_ends: Some(UnixMs(2_000)), ..Facts::default() };
    for (told, comes_back) in [
        (vec![whole(1_550)], true),
        (vec![whole(1_400)], false),
        (vec![hire(2), update(3)], true),
        (vec![update(2), hire(3)], true),
        (vec![hire(2)], false),
        (vec![said(2, EventKind::Hire, 1_600, ahead)], true),
        (vec![said(2, EventKind::Hire, 1_000, day)], true),
    ] {
        for (batches, now) in [(1, 1_700), (1, 900_000), (2, 1_700), (3, 900_000)] {
            let mut document = Document::new(ada());
            let mut entries = vec![handed_over()];
            entries.extend(told.clone());
            let mut ended = Vec::new();
            for batch in entries.chunks(entries.len().div_ceil(batches)) {
                ended.extend(fold(&mut document, batch.to_vec(), UnixMs(now)).ended);
            }
            assert_eq!(document.record.closed.is_none(), comes_back, "{told:?} {batches} {now}");
            assert_eq!(document.open.is_empty(), !comes_back);
        }
    }
}

/// Deliveries of hours ago, as after an outage: HR's own order counts.
#[test]
fn a_return_is_newer_than_a_hand_over_by_hrs_clock_and_not_by_the_bridges() {
    let employed = Some((EmploymentState::Employed, None));
    let facts = |email: &str| Facts { employment: employed, email: Email::parse(email).ok(), ..Facts::default() };
    for (is_another, at, email, comes_back) in [
        (true, 130, "ann2@example.com", true),
        (true, 110, "ann2@example.com", true),
        (true, 110, "ann@example.com", false),
        (false, 130, "ann2@example.com", false),
        // HR had moved them away before it gave the address to somebody else.
        (false, 110, "ann2@example.com", true),
    ] {
        let mut document = Document::new(ada());
        fold(&mut document, vec![said(1, EventKind::Hire, 100, facts("ann@example.com"))], UnixMs(1_650));
        let to = Person::parse(SourceName::parse("hr").unwrap(), "E-2").unwrap();
        let address_hash = Some(AddressHash::of("ann@example.com"));
        let word = Word::HandedOver { to, is_another, address_hash, said_at: Some(UnixMs(120)) };
        let handed = (2, Entry { accepted_at: UnixMs(1_660), word, trace: None });
        fold(&mut document, vec![handed], UnixMs(1_660));
        let (seq, mut told) = said(3, EventKind::Hire, at, facts(email));
        told.accepted_at = UnixMs(1_700);
        fold(&mut document, vec![(seq, told)], UnixMs(1_700));
        assert_eq!(document.record.closed.is_none(), comes_back, "{is_another} {at} {email}");
    }
}

#[test]
fn a_notice_about_a_closed_record_is_read_and_may_reopen_it() {
    let mut document = Document::new(ada());
    let folding =
        fold(&mut document, vec![handed_over(), said(2, EventKind::Notice, 1_600, Facts::default())], UnixMs(1_700));
    assert!(folding.calls_for_attempt && document.owed_read.is_some() && document.open.len() == 1);
    let facts = |state| Facts {
        employment: Some((state, None)),
        email: Email::parse("ada.king@example.com").ok(),
        ..Facts::default()
    };
    let read = |facts| vec![Event { person: ada(), kind: EventKind::Update, at: Some(UnixMs(1_800)), facts }];
    fold_read(&mut document, read(facts(EmploymentState::Left)), UnixMs(1_800), 2);
    assert!(document.record.closed.is_some());
    fold_read(&mut document, read(facts(EmploymentState::Employed)), UnixMs(1_900), 3);
    assert!(document.record.closed.is_none());
}

#[test]
fn groups_go_to_the_members_new_owner_and_are_sent_twice_in_case_the_first_was_lost() {
    let group = JoinedGroup { name: "Sales".to_owned(), id: "g".to_owned(), member: "m".to_owned(), may_be_out: false };
    let mut former =
        Document { groups: vec![group.clone()], groups_unsure: vec!["R&D".to_owned()], ..Document::new(ada()) };
    let folding = fold(&mut former, vec![handed_over()], UnixMs(1_700));
    let (to, groups) = groups_sent(folding).remove(0);
    assert!(former.groups.is_empty() && former.groups_unsure.is_empty());
    let word = |n| other(n, Word::Groups { from: ada(), groups: groups.clone(), owner: None, asks: None });
    let mut document = Document::new(to.clone());
    assert!(fold(&mut document, vec![word(1)], UnixMs(3_000)).calls_for_attempt);
    assert_eq!((&document.groups, &document.groups_unsure), (&vec![group], &vec!["R&D".to_owned()]));
    assert!(!fold(&mut document, vec![word(2)], UnixMs(3_000)).calls_for_attempt, "known");
    // Noted, and out of the groups by now.
    let mut noted = Document { groups_taken_from: Some(ada()), ..Document::new(to.clone()) };
    assert!(!fold(&mut noted, vec![word(1)], UnixMs(3_000)).calls_for_attempt);
    assert_eq!((noted.groups.len(), noted.groups_taken_from), (0, None));
    // Handed on meanwhile.
    let mut closed = Document::new(to);
    let next = Person::parse(SourceName::parse("hr").unwrap(), "E-3").unwrap();
    let told = groups_sent(fold(&mut closed, vec![handed_to(&next), word(2)], UnixMs(3_000)));
    assert_eq!(told, [(next.clone(), Groups::default()), (next.clone(), groups.clone())]);
    // Of two former owners in one inbox.
    let mut closed = Document::new(next.clone());
    let last = Person::parse(SourceName::parse("hr").unwrap(), "E-4").unwrap();
    let others = Groups { unsure: vec!["Other".to_owned()], ..Groups::default() };
    let second = other(3, Word::Groups { from: next, groups: others.clone(), owner: None, asks: None });
    let told = groups_sent(fold(&mut closed, vec![handed_to(&last), word(2), second], UnixMs(3_000)));
    assert_eq!(told, [(last.clone(), Groups::default()), (last.clone(), groups), (last, others)]);
}

/// What is sent to others after a fold.
fn sent(document: &mut Document, entries: Vec<(u64, Entry)>) -> Vec<(Person, Word)> {
    let mut sent = fold(document, entries, UnixMs(5_000)).outgoing;
    sent.extend(document.tell_formers(UnixMs(5_000)).into_iter().map(|(to, owner)| {
        let word = owner_word(document, owner);
        (to, word)
    }));
    sent
}

#[test]
fn former_records_are_notified_of_the_members_present_owner() {
    let person = |id: &str| Person::parse(SourceName::parse("hr").unwrap(), id).unwrap();
    let address = Email::parse("ada@example.com").ok();
    let handed = |to: &str| {
        other(
            1,
            Word::HandedOver {
                to: person(to),
                is_another: false,
                address_hash: address.as_ref().map(|email| AddressHash::of(email.key())),
                said_at: None,
            },
        )
    };
    let [mut one, mut two, mut three] = ["E-1", "E-2", "E-3"].map(|id| Document::new(person(id)));
    let said = |id, from: Option<&str>, employment| {
        let facts = Facts {
            email: from.and_then(|email| Email::parse(email).ok()),
            employment: Some((employment, None)),
            ..Facts::default()
        };
        let event = Box::new(Event { person: person(id), kind: EventKind::Update, at: None, facts });
        other(2, Word::Event { job: JobId::about(2 << 64, person(id).id()), event, letter: None })
    };
    let (to, asks) = sent(&mut one, vec![handed("E-2")]).remove(0);
    assert_eq!(to, person("E-2"));
    let kept = String::from_utf8(one.to_bytes()).unwrap();
    assert!(!kept.contains("ada@example.com"), "the new owner may be erased: {kept}");
    // The new owner moves before the word arrives.
    let moved = said("E-2", Some("ada2@example.com"), EmploymentState::Employed);
    let (to, word) = sent(&mut two, vec![moved, other(3, asks)]).remove(0);
    assert_eq!(to, person("E-1"));
    sent(&mut one, vec![other(3, word)]);
    assert!(one.record.closed.as_ref().unwrap().owner_has_moved());
    // Handed on to a third record: its end reaches the first.
    let told = sent(&mut two, vec![handed("E-3")]);
    assert_eq!(told.len(), 1, "{told:?}");
    let asks = told.into_iter().map(|(_, word)| other(4, word)).collect();
    assert_eq!(sent(&mut three, asks), []);
    let (to, word) = sent(&mut three, vec![said("E-3", None, EmploymentState::Left)]).remove(0);
    assert_eq!(to, person("E-2"));
    let again = (to, word.clone());
    let (to, passed_on) = sent(&mut two, vec![other(5, word)]).remove(0);
    assert_eq!(to, person("E-1"));
    assert_eq!(sent(&mut two, vec![other(6, again.1)]), [], "sent before");
    sent(&mut one, vec![other(5, passed_on)]);
    let owner = one.record.closed.as_ref().unwrap().owner.unwrap();
    assert_eq!((owner.has_moved, owner.left.is_some()), (true, true));
    // What HR says afterwards of the second one is about nobody's member.
    assert_eq!(sent(&mut two, vec![said("E-2", Some("ada3@example.com"), EmploymentState::Left)]), []);
}

#[test]
fn unsure_groups_belong_to_one_member() {
    let mut former = Document { member: Some(member("m", Some(true))), ..Document::new(ada()) };
    former.note_unsure("R&D".to_owned());
    let (to, groups) = groups_sent(fold(&mut former, vec![handed_over()], UnixMs(1_700))).remove(0);
    let taken = |whose: Option<KnownMember>| {
        let mut document = Document { member: whose, ..Document::new(to.clone()) };
        let word = other(1, Word::Groups { from: ada(), groups: groups.clone(), owner: None, asks: None });
        let asks = fold(&mut document, vec![word], UnixMs(3_000)).calls_for_attempt;
        (asks, document)
    };
    assert!(!taken(Some(member("n", Some(true)))).0, "somebody else may have put that one in");
    assert!(taken(Some(member("m", Some(true)))).0);
    let (asks, mut document) = taken(None);
    assert!(asks);
    document.keep_unsure_of("m");
    assert_eq!(document.groups_unsure, ["R&D"]);
    document.keep_unsure_of("n");
    assert!(document.groups_unsure.is_empty() && document.groups_unsure_of.is_empty());
}
