//! Who leaves the scope of a source's rules, and comes back.

use proptest::prelude::*;
use serde_json::json;

use super::order_tests::{EventSeed, any_event, any_fault, end_of, event_of};
use super::owner;
use super::verdict::NextState;
use super::world_tests::{World, ada, hire, leave, person, shown, update};
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;
use crate::core::person::{EmploymentState, Event, EventKind, Facts, Scope};

/// An update that states only whether they are in scope.
fn scoped(at: i64, scope: Scope) -> Event {
    let mut event = update(at, "-", "-", "-");
    event.facts.scope = Some((scope, None));
    event
}

#[test]
fn leaving_scope_switches_off_and_any_event_back_in_scope_switches_on() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let ending = world.tell(&[scoped(20, Scope::Out)]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    world.tell(&[update(25, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false), "a word without a scope brings nobody back");
    world.tell(&[hire(27, "ada@example.com", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false), "nor does one on employment");
    world.tell(&[scoped(30, Scope::In)]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    // A person who left meanwhile stays off.
    world.tell(&[scoped(40, Scope::Out)]);
    world.tell(&[leave(50)]);
    world.tell(&[scoped(60, Scope::In)]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
}

#[test]
fn a_leave_in_a_record_out_of_scope_counts_for_a_known_person_and_for_nobody_else() {
    let mut left = leave(20);
    left.facts.asks_nothing = true;
    let hired = hire(10, "ada@example.com", "Ada", "Lovelace");
    for words in [vec![hired.clone(), left.clone()], vec![left.clone(), hired]] {
        let mut world = World::new();
        world.has_scope = false;
        for word in &words {
            world.tell(std::slice::from_ref(word));
        }
        assert!(world.team.users.iter().all(|user| user["active"] == false), "{:?}", world.calls());
        assert_eq!(world.people["hr/E-1"].trouble, None);
    }
    let mut world = World::new();
    world.has_scope = false;
    let ending = world.tell(&[left]);
    assert_eq!((ending.next_state, ending.ended[0].1), (NextState::Idle, Finished::NotAMember));
    assert_eq!(world.calls(), [""; 0]);
}

#[test]
fn still_being_in_scope_is_no_news() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace"), scoped(10, Scope::In)]);
    world.team.users[0]["active"] = json!(false);
    let calls = world.calls().len();
    let ending = world.tell(&[scoped(20, Scope::In)]);
    assert_eq!((world.calls().len(), ending.document.record.newest_at().map(|at| at.0)), (calls, Some(20)));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
    // A leave announced before still takes effect.
    world.tell(&[hire(30, "ada@example.com", "Ada", "Lovelace")]);
    let mut ahead = leave(40);
    ahead.facts.employment = Some((EmploymentState::Left, Some(world.now.plus_ms(3_600_000))));
    world.tell(&[ahead]);
    world.tell(&[scoped(50, Scope::In)]);
    world.now = world.now.plus_ms(3_600_001);
    world.tell(&[scoped(60, Scope::In)]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
}

#[test]
fn a_person_switched_off_for_scope_frees_their_address() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let out = world.tell(&[scoped(20, Scope::Out)]);
    assert!(owner::has_left(&out.document, false, world.now));
    let mut other = hire(30, "ada@example.com", "Adam", "Smith");
    other.person = person("E-2");
    assert_eq!(world.tell(&[other]).ended[0].1, Finished::Adopted);
}

#[test]
fn an_announced_move_out_of_scope_waits_for_its_day_and_can_be_withdrawn() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let moves = |world: &World, at: i64| {
        let mut event = scoped(at, Scope::Out);
        event.facts.scope = Some((Scope::Out, Some(world.now.plus_ms(3_600_000))));
        (event, world.now.plus_ms(3_600_000))
    };
    let (event, day) = moves(&world, 20);
    let ending = world.tell(std::slice::from_ref(&event));
    assert_eq!(ending.next_state, NextState::Scheduled { at: day });
    assert!(shown(&world.team.users[0]).3);
    // The same again: nothing is new.
    let ending = world.tell(&[event]);
    assert_eq!((ending.next_state, ending.ended.len()), (NextState::Scheduled { at: day }, 0));
    let ending = world.tell(&[scoped(30, Scope::In)]);
    assert_eq!(ending.next_state, NextState::Idle, "withdrawn");
    let (event, day) = moves(&world, 40);
    world.tell(&[event]);
    world.now = day;
    let ending = world.work(&person("E-1"), &[]);
    assert_eq!(ending.ended.last().unwrap().1, Finished::Deactivated);
    world.tell(&[scoped(50, Scope::In)]);
    assert!(shown(&world.team.users[0]).3);
}

#[test]
fn without_scope_rules_the_next_event_brings_back_a_person_out_of_scope() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let ending = world.tell(&[scoped(20, Scope::Out)]);
    assert_eq!(ending.document.format, 2, "an older version would switch them on");
    world.has_scope = false;
    let ending = world.tell(&[update(30, "-", "-", "King")]);
    assert_eq!((ending.document.format, ending.document.was_out_of_scope), (1, false));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    // And a leave is still a leave.
    world.tell(&[leave(40)]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
    world.tell(&[hire(50, "ada@example.com", "Ada", "King")]);
    assert!(shown(&world.team.users[0]).3);
}

#[test]
fn a_person_never_stated_as_employed_is_switched_off_and_on_but_never_created() {
    let mut world = World::new();
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    world.tell(&[update(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[scoped(20, Scope::Out)]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
    world.tell(&[scoped(30, Scope::In)]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    // Somebody removed them meanwhile.
    world.tell(&[scoped(40, Scope::Out)]);
    world.now = world.now.plus_ms(120_000);
    world.team.users.clear();
    let ending = world.tell(&[scoped(50, Scope::In)]);
    assert_eq!((ending.ended[0].1, world.team.users.len()), (Finished::NotAMember, 0));
}

#[test]
fn a_thin_notice_that_states_scope_still_asks_for_a_read() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[scoped(20, Scope::Out)]);
    let facts = Facts { scope: Some((Scope::In, None)), ..Facts::default() };
    let ending = world.tell(&[Event { kind: EventKind::Notice, facts, ..scoped(30, Scope::In) }]);
    assert!(ending.document.owed_read.is_some());
    assert!(shown(&world.team.users[0]).3);
}

#[test]
fn a_worker_that_dies_after_it_switched_somebody_off_does_not_keep_them_off() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    // The event that brings them back arrives while the earlier one is still in the inbox.
    let mut member = world.team.users[0].clone();
    member["active"] = json!(false);
    world.team.users[0] = member;
    world.tell(&[scoped(20, Scope::Out), scoped(30, Scope::In)]);
    assert!(shown(&world.team.users[0]).3);
}

fn run(world: &mut World, events: &[Event]) {
    for event in events {
        world.tell(std::slice::from_ref(event));
        world.now = world.now.plus_ms(120_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// A member who was there all along and whom HR never calls hired, with changes of scope in any order.
    #[test]
    fn in_any_order_a_person_known_by_updates_ends_the_same(
        mut told in prop::collection::vec(any_event(), 1..=5),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        batches in prop::collection::vec(1_usize..4, 5),
        faults in prop::collection::vec(any_fault(), 0..12),
        crashes in prop::collection::vec(1_usize..25, 0..3),
        leaves in prop::bool::ANY,
    ) {
        for (n, event) in told.iter_mut().enumerate() {
            event.0 = if leaves && n == 2 { 0 } else { 3 };
            // They have an address from the beginning, and keep it.
            event.1 = event.1.min(1);
        }
        let first: EventSeed = (3, 1, 1, 1, 0, 0);
        let all: Vec<Event> = std::iter::once(first).chain(told).enumerate().map(|(n, told)| event_of(n, told)).collect();
        let (first, rest) = all.split_at(1);
        let mut plain = World::new();
        plain.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
        run(&mut plain, first);
        let mut other = plain.clone();
        run(&mut plain, rest);
        let mut crashes = crashes;
        crashes.sort_unstable();
        (other.faults, other.crashes) = (faults, crashes);
        let turned: Vec<Event> = order.iter().filter_map(|&n| rest.get(n).cloned()).collect();
        let mut left = turned.as_slice();
        for size in batches.iter().cycle() {
            if left.is_empty() { break; }
            let (batch, after) = left.split_at((*size).min(left.len()));
            other.tell(batch);
            other.now = other.now.plus_ms(120_000);
            left = after;
        }
        other.faults.clear();
        other.crashes.clear();
        let retry = Entry { accepted_at: other.now, word: Word::TryAgain { by: "test".to_owned() }, trace: None };
        other.work(&person("E-1"), &[(u64::MAX, retry)]);
        prop_assert_eq!(end_of(&plain), end_of(&other));
        let is_out = plain.people["hr/E-1"].record.is_out_of_scope(plain.now);
        let has_left = rest.iter().any(|event| event.kind == EventKind::Leave);
        prop_assert_eq!(shown(&plain.team.users[0]).3, !is_out && !has_left);
    }

    /// Without rules for scope, statements about it do not count.
    #[test]
    fn without_scope_rules_scope_has_no_effect(
        mut told in prop::collection::vec(any_event(), 1..=6),
        with_rules in 0_usize..6,
    ) {
        told[0] = (1, 1, 1, 1, 1, 0);
        let events: Vec<Event> = told.iter().enumerate().map(|(n, told)| event_of(n, *told)).collect();
        let untold: Vec<Event> = told.iter().enumerate().map(|(n, told)| event_of(n, (told.0, told.1, told.2, told.3, told.4, 0))).collect();
        let (mut world, mut plain) = (World::new(), World::new());
        plain.has_scope = false;
        run(&mut plain, &untold);
        // The rules are removed on the way, and more events come after that.
        let (before, after) = events.split_at(with_rules.min(events.len()));
        run(&mut world, before);
        world.has_scope = false;
        run(&mut world, after);
        let last = [event_of(50, (3, 0, 1, 1, 0, 0))];
        run(&mut world, &last);
        run(&mut plain, &last);
        prop_assert_eq!(end_of(&plain), end_of(&world));
    }
}
