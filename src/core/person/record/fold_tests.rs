//! Events folded into a record, in many orders.

use super::*;
use crate::core::person::event::{Event, EventKind};
use crate::core::person::identity::Person;
use crate::core::person::{EmploymentState, Facts, SourceName};

fn event(at: Option<i64>, facts: Facts) -> Event {
    let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
    Event { person, kind: EventKind::Update, at: at.map(UnixMs), facts }
}

fn names(given: Option<&str>, family: Option<&str>) -> Facts {
    let stated = |name: &str| Name::parse("given_name", name).unwrap().map_or(Stated::None, Stated::Is);
    Facts { given_name: given.map(stated), family_name: family.map(stated), ..Facts::default() }
}

#[test]
fn an_unusable_address_replaces_the_earlier_one_until_the_next() {
    let email = |text: &str| Facts { email: Email::parse(text).ok(), ..Facts::default() };
    let unusable = Facts { unusable_email: true, ..Facts::default() };
    let words = [(10, email("a@x.com")), (20, unusable), (30, email("b@x.com"))];
    for (order, awaits, address) in [
        (&[1][..], true, None),
        (&[0, 1], true, Some("a@x.com")),
        (&[1, 0], true, Some("a@x.com")),
        (&[0, 2, 1], false, Some("b@x.com")),
        (&[1, 2, 0], false, Some("b@x.com")),
    ] {
        let mut record = Record::default();
        for (seq, place) in (1..).zip(order) {
            let (at, facts) = &words[*place];
            record.fold(&event(Some(*at), facts.clone()), UnixMs(100), seq);
        }
        assert_eq!((record.waits_for_email(), record.email().map(Email::lower)), (awaits, address), "{order:?}");
    }
    // Corrected for the same instant, and stated again.
    let mut record = Record::default();
    for (seq, facts) in (1..).zip([&words[1].1, &words[2].1, &words[1].1]) {
        record.fold(&event(Some(20), facts.clone()), UnixMs(100), seq);
    }
    assert!(!record.waits_for_email());
}

#[test]
fn the_preferred_name_and_the_legal_one_end_the_same_in_any_order() {
    let preferred = |name: &str| {
        let name = Name::parse("given_name", name).unwrap().map_or(Stated::None, Stated::Is);
        Facts { preferred_given_name: Some(name), ..Facts::default() }
    };
    let words = [
        (10, Facts { preferred_given_name: preferred("Ada").preferred_given_name, ..names(Some("Augusta"), None) }),
        (20, preferred("Addy")),
        (30, names(Some("Agatha"), None)),
        (40, preferred("")),
    ];
    let after = |order: &[usize]| {
        let mut record = Record::default();
        for (seq, place) in (1..).zip(order) {
            let (at, facts) = &words[*place];
            record.fold(&event(Some(*at), facts.clone()), UnixMs(100), seq);
        }
        record.given_name().map(str::to_owned)
    };
    for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
        assert_eq!(after(&order).as_deref(), Some("Addy"), "{order:?}");
    }
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]] {
        assert_eq!(after(&order).as_deref(), Some("Agatha"), "withdrawn: {order:?}");
    }
    assert_eq!(after(&[3]), None, "that none is preferred says nothing of the other");
}

#[test]
fn facts_do_not_outdate_one_another() {
    let mut record = Record::default();
    record.fold(&event(Some(20), names(None, Some("King"))), UnixMs(100), 1);
    let folded = record.fold(&event(Some(10), names(Some("Augusta"), Some("Byron"))), UnixMs(101), 2);
    assert_eq!((record.given_name(), record.family_name()), (Some("Augusta"), Some("King")));
    assert_eq!(folded.news, ["given_name"]);
}

#[test]
fn a_status_in_an_update_keeps_announcements_unless_it_has_an_end() {
    use EmploymentState::{Employed, Left};
    let said = |kind, at, employment, tells_end| {
        let facts = Facts { employment: Some(employment), tells_end, ..Facts::default() };
        Event { kind, ..event(Some(at), facts) }
    };
    let folded = |events: &[Event], now| {
        let mut record = Record::default();
        for (seq, event) in (1..).zip(events) {
            record.fold(event, UnixMs(100), seq);
        }
        record.membership(UnixMs(now))
    };
    let hire = said(EventKind::Hire, 10, (Employed, None), false);
    let leave = said(EventKind::Leave, 12, (Left, Some(UnixMs(200))), false);
    let active = |from: Option<i64>, tells_end| said(EventKind::Update, 14, (Employed, from.map(UnixMs)), tells_end);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        for (status, ends) in [
            (active(None, false), Some(Left)),
            // With the day on which they began.
            (active(Some(5), false), Some(Left)),
            // If no end is announced any more.
            (active(None, true), Some(Employed)),
            (active(Some(5), true), Some(Employed)),
        ] {
            let events = [hire.clone(), leave.clone(), status];
            let events = order.map(|place: usize| events[place].clone());
            assert_eq!((folded(&events, 150), folded(&events, 250)), (Some(Employed), ends), "{order:?}");
        }
    }
    // A person who has yet to begin is not there.
    let begins = said(EventKind::Hire, 10, (Employed, Some(UnixMs(200))), false);
    let inactive = said(EventKind::Update, 14, (Left, None), false);
    let events = [begins, inactive];
    assert_eq!((folded(&events, 150), folded(&events, 250)), (Some(Left), Some(Employed)));
    // A status is still followed, and so is the day that it states.
    let gone = |from: Option<i64>| said(EventKind::Update, 14, (Left, from.map(UnixMs)), false);
    for from in [None, Some(5)] {
        assert_eq!(folded(&[hire.clone(), gone(from)], 150), Some(Left));
    }
}

#[test]
fn a_status_beside_a_move_out_of_scope_keeps_announcements() {
    use EmploymentState::{Employed, Left};
    let said = |kind, at, facts| Event { kind, ..event(Some(at), facts) };
    let employment = |state, from: Option<i64>| Some((state, from.map(UnixMs)));
    let hire = Facts { employment: employment(Employed, None), ..Facts::default() };
    let leave = Facts { employment: employment(Left, Some(200)), ..Facts::default() };
    // "Active", in another department: a leave by its kind.
    let scope = |scope| Some((scope, None));
    let moved =
        Facts { employment: employment(Employed, None), is_status: true, scope: scope(Scope::Out), ..Facts::default() };
    let back = Facts { scope: scope(Scope::In), ..Facts::default() };
    let mut record = Record::default();
    let events =
        [(EventKind::Hire, hire), (EventKind::Leave, leave), (EventKind::Leave, moved), (EventKind::Update, back)];
    for (seq, (kind, facts)) in (1..).zip(events) {
        record.fold(&said(kind, 10 + i64::try_from(seq).unwrap(), facts), UnixMs(100), seq);
    }
    assert_eq!([150, 250].map(|now| record.membership(UnixMs(now))), [Some(Employed), Some(Left)]);
}

#[test]
fn an_early_terminated_status_is_undone_by_an_active_one() {
    use EmploymentState::{Employed, Left};
    let status = |at, state, from: Option<i64>| {
        let facts = Facts { employment: Some((state, from.map(UnixMs))), is_status: true, ..Facts::default() };
        event(Some(at), facts)
    };
    let words = [status(10, Employed, None), status(20, Left, Some(200)), status(30, Employed, None)];
    for (order, expected) in
        [(&[0, 1][..], Left), (&[0, 1, 2], Employed), (&[2, 1, 0], Employed), (&[1, 2, 0], Employed)]
    {
        let mut record = Record::default();
        for (seq, place) in (1..).zip(order) {
            record.fold(&words[*place], UnixMs(100), seq);
        }
        assert_eq!(record.membership(UnixMs(150)), Some(Employed), "{order:?}");
        assert_eq!(record.membership(UnixMs(250)), Some(expected), "{order:?}");
    }
}

#[test]
fn a_dated_address_and_an_unusable_one_count_in_order_of_arrival() {
    let facts = |email: Option<&str>| Facts {
        email: email.and_then(|email| Email::parse(email).ok()),
        unusable_email: email.is_none(),
        day_ends: Some(UnixMs(90)),
        ..Facts::default()
    };
    for (words, awaits) in [
        (vec![None, Some("a@x.com")], false),
        (vec![Some("a@x.com"), None, None], true),
        (vec![None, Some("a@x.com"), None], true),
    ] {
        let mut record = Record::default();
        for (seq, email) in (1..).zip(&words) {
            record.fold(&event(Some(0), facts(*email)), UnixMs(100), seq);
        }
        assert_eq!(record.waits_for_email(), awaits, "{words:?}");
    }
}

#[test]
fn a_first_day_that_is_moved_counts_in_either_order() {
    use EmploymentState::Employed;
    let hire = |at, from| {
        let facts = Facts { employment: Some((Employed, Some(UnixMs(from)))), ..Facts::default() };
        Event { kind: EventKind::Hire, ..event(Some(at), facts) }
    };
    let moved = |at, starts| event(Some(at), Facts { starts: Some(UnixMs(starts)), ..Facts::default() });
    for (words, before, from) in [
        // Put off, brought forward, both, and put off again after the first of the days had passed.
        (vec![hire(10, 500), moved(20, 700)], 600, 700),
        (vec![hire(10, 500), moved(20, 300)], 200, 300),
        (vec![hire(10, 500), moved(20, 300), moved(30, 600)], 550, 600),
        (vec![hire(10, 500), moved(20, 700), moved(600, 900)], 850, 900),
        // Said before HR reported the hire, or after the day on which they began.
        (vec![hire(30, 500), moved(20, 700)], 450, 500),
        (vec![hire(10, 15), moved(20, 700)], 14, 15),
    ] {
        for turn in 0..words.len() {
            for is_reversed in [false, true] {
                let mut order = words.clone();
                order.rotate_left(turn);
                if is_reversed {
                    order.reverse();
                }
                let mut record = Record::default();
                for (seq, word) in (1..).zip(&order) {
                    record.fold(word, UnixMs(100), seq);
                }
                let at = |now: i64| record.membership(UnixMs(now));
                let now = [before, from, 950];
                assert_eq!(now.map(at), [None, Some(Employed), Some(Employed)], "{order:?}");
            }
        }
    }
    // Moved to a day in the past.
    let mut record = Record::default();
    record.fold(&hire(10, 500), UnixMs(100), 1);
    assert_eq!(record.fold(&moved(20, 5), UnixMs(100), 2).news, ["starts"]);
    assert_eq!((record.membership(UnixMs(100)), record.next_change(UnixMs(100))), (Some(Employed), None));
    // Somebody who has left meanwhile does not start.
    let left = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
    let left = Event { kind: EventKind::Leave, ..event(Some(15), left) };
    for order in [[0_usize, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1]] {
        let words = [hire(10, 500), left.clone(), moved(20, 700)];
        let mut record = Record::default();
        for (seq, place) in (1..).zip(order) {
            record.fold(&words[place], UnixMs(100), seq);
        }
        assert_eq!(record.membership(UnixMs(800)), Some(EmploymentState::Left), "{order:?}");
    }
}

/// Somebody hired less than a month ago leaves, in a record that has their first day; and another event says nothing of it.
#[test]
fn what_says_nothing_of_employment_changes_nothing_about_it() {
    use EmploymentState::{Employed, Left};
    let said = |kind, at, employment, starts| {
        let facts = Facts { employment, starts, is_status: kind == EventKind::Update, ..Facts::default() };
        Event { kind, ..event(Some(at), facts) }
    };
    let hire = said(EventKind::Hire, 10, Some((Employed, Some(UnixMs(40)))), None);
    let named = event(Some(100), names(Some("Ada"), None));
    for left_from in [None, Some(UnixMs(60)), Some(UnixMs(500))] {
        let left = said(EventKind::Update, 60, Some((Left, left_from)), Some(UnixMs(40)));
        let words = [hire.clone(), left, named.clone()];
        for order in [[0_usize, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut record = Record::default();
            for (seq, place) in (1..).zip(order) {
                record.fold(&words[place], UnixMs(100), seq);
            }
            let states = [30, 50, 90, 600].map(|now| record.membership(UnixMs(now)));
            let is_ahead = left_from == Some(UnixMs(500));
            assert_eq!(states[3], Some(Left), "{order:?} {left_from:?}");
            assert!(!is_ahead || states[..3] == [None, Some(Employed), Some(Employed)], "{order:?} {states:?}");
        }
    }
}

/// A first day that is moved, and the end of a fixed term.
#[test]
fn a_first_day_that_is_moved_counts_whatever_end_is_announced() {
    use EmploymentState::{Employed, Left};
    let said = |kind, at, state, from| {
        let facts = Facts { employment: Some((state, Some(UnixMs(from)))), ..Facts::default() };
        Event { kind, ..event(Some(at), facts) }
    };
    let moved = |at, starts| event(Some(at), Facts { starts: Some(UnixMs(starts)), ..Facts::default() });
    for (starts, left_at, states) in [
        (500, 900, [None, None, Some(Employed), Some(Left)]),
        (150, 900, [Some(Employed), Some(Employed), Some(Employed), Some(Left)]),
        // They leave before they begin.
        (500, 400, [None, None, Some(Left), Some(Left)]),
    ] {
        let words =
            [said(EventKind::Hire, 10, Employed, 200), moved(20, starts), said(EventKind::Leave, 30, Left, left_at)];
        for order in [[0_usize, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut record = Record::default();
            for (seq, place) in (1..).zip(order) {
                record.fold(&words[place], UnixMs(100), seq);
            }
            let found = [160, 300, 600, 950].map(|now| record.membership(UnixMs(now)));
            assert_eq!(found, states, "{order:?} {starts} {left_at}");
        }
    }
}

#[test]
fn an_announced_leave_ends_working_here_and_an_announced_start_begins_it() {
    use EmploymentState::{Employed, Left};
    let word = |at, state, from: Option<i64>| {
        let facts = Facts { employment: Some((state, from.map(UnixMs))), ..Facts::default() };
        event(Some(at), facts)
    };
    for (words, works_here) in [
        (vec![word(10, Employed, None)], true),
        (vec![word(10, Employed, Some(500))], true),
        (vec![word(10, Employed, None), word(20, Left, None)], false),
        (vec![word(10, Employed, None), word(20, Left, Some(500))], false),
        (vec![word(10, Left, Some(500)), word(20, Employed, Some(900))], true),
        (vec![word(20, Left, Some(500))], false),
    ] {
        for is_reversed in [false, true] {
            let mut record = Record::default();
            let mut order: Vec<_> = words.iter().collect();
            if is_reversed {
                order.reverse();
            }
            for (seq, word) in (1..).zip(order) {
                record.fold(word, UnixMs(100), seq);
            }
            assert_eq!(record.works_here(), works_here, "{words:?}");
        }
    }
}

#[test]
fn scope_is_a_separate_fact_and_its_newest_value_wins_in_any_order() {
    let facts = |employment, scope| Facts { employment, scope, ..Facts::default() };
    let employed = Some((EmploymentState::Employed, None));
    let words = [
        (10, facts(employed, None)),
        (20, facts(None, Some((Scope::Out, None)))),
        (30, facts(None, Some((Scope::In, None)))),
    ];
    for (order, expected) in [
        (vec![0], Some(EmploymentState::Employed)),
        (vec![0, 1], Some(EmploymentState::Left)),
        (vec![1, 0], Some(EmploymentState::Left)),
        (vec![1], Some(EmploymentState::Left)),
        (vec![0, 1, 2], Some(EmploymentState::Employed)),
        (vec![2, 0, 1], Some(EmploymentState::Employed)),
        (vec![1, 2], None),
    ] {
        let mut record = Record::default();
        for (seq, n) in (1..).zip(&order) {
            record.fold(&event(Some(words[*n].0), words[*n].1.clone()), UnixMs(100), seq);
        }
        assert_eq!(record.membership(UnixMs(100)), expected, "{order:?}");
    }
}

#[test]
fn an_empty_name_is_a_statement_and_an_absent_one_is_none() {
    let mut record = Record::default();
    record.fold(&event(Some(10), names(Some("Ada"), Some("King"))), UnixMs(100), 1);
    record.fold(&event(Some(20), names(Some(""), None)), UnixMs(101), 2);
    assert_eq!((record.given_name(), record.family_name()), (Some(""), Some("King")));
}

#[test]
fn without_a_time_or_with_one_far_ahead_the_moment_of_acceptance_counts() {
    let mut record = Record::default();
    let hour = 3_600_000;
    let folded = record.fold(&event(Some(100 + 2 * hour), names(Some("Ahead"), None)), UnixMs(100), 1);
    assert!(folded.is_ahead);
    record.fold(&event(None, names(Some("Newer"), None)), UnixMs(200), 2);
    assert_eq!(record.given_name(), Some("Newer"));
    record.fold(&event(Some(300 + hour), names(Some("Believed"), None)), UnixMs(300), 3);
    record.fold(&event(None, names(Some("Before"), None)), UnixMs(400), 4);
    assert_eq!(record.given_name(), Some("Believed"));
}
