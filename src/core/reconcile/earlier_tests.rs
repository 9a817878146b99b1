//! Addresses that HR named before the newest one: the account of somebody who was there before the bridge may be under
//! any of them.

use serde_json::json;

use super::team_tests::{Fault, Team};
use super::verdict::NextState;
use super::world_tests::{World, ada, hire, leave, person, shown, update};
use crate::core::code::Code;
use crate::core::person::Event;
use crate::core::person::document::UnknownCreate;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;

const NEWEST: &str = "ada.king@example.com";

/// Ada was in the team before the bridge, under the address that HR named first.
fn ada_is_there(mut world: World) -> World {
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({"title": "Ada's work"}));
    world
}

/// HR's words, oldest first: a hire, two changes of address, and perhaps a leave.
fn words(leaves: bool) -> Vec<Event> {
    let mut words = vec![
        hire(10, "ada@example.com", "Ada", "Lovelace"),
        update(20, "ada.byron@example.com", "-", "-"),
        update(30, NEWEST, "Ada", "Lovelace"),
    ];
    words.extend(leaves.then(|| leave(40)));
    words
}

fn of_bob(event: Event) -> Event {
    Event { person: person("E-2"), ..event }
}

/// Bob is hired under the address that Ada had.
fn hire_of_bob() -> Event {
    of_bob(hire(50, "ada@example.com", "Bob", "Stone"))
}

fn orders(of: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for n in 0..of {
        let with_n =
            |order: Vec<usize>| (0..=order.len()).map(move |place| [&order[..place], &[n], &order[place..]].concat());
        orders = orders.into_iter().flat_map(with_n).collect();
    }
    orders
}

#[test]
fn a_member_from_before_the_bridge_is_found_in_any_order_and_batching() {
    let providers = [
        World::new(),
        World::of_a_provider(Team::default()),
        World::of_a_provider(Team { no_filter: true, no_patch: true, ..Team::default() }),
    ];
    for (leaves, world) in [true, false].into_iter().flat_map(|leaves| providers.clone().map(|world| (leaves, world))) {
        let words = words(leaves);
        for order in orders(words.len()) {
            for batch in 1..=words.len() {
                let mut world = ada_is_there(world.clone());
                for batch in order.chunks(batch) {
                    let batch: Vec<_> = batch.iter().map(|place| words[*place].clone()).collect();
                    world.tell(&batch);
                    world.now = world.now.plus_ms(120_000);
                }
                let team: Vec<_> = world.team.users.iter().map(shown).collect();
                let expected = (NEWEST.to_owned(), "Ada".to_owned(), "Lovelace".to_owned(), !leaves);
                assert_eq!(team, [expected], "{order:?} by {batch}: {:?}", world.calls());
                let document = &world.people["hr/E-1"];
                assert!(document.record.earlier_emails.is_empty() && document.trouble.is_none(), "{order:?}");
            }
        }
    }
}

#[test]
fn a_late_address_counts_although_nothing_else_in_the_event_is_news() {
    let mut world = ada_is_there(World::new());
    world.tell(&[update(20, NEWEST, "Ada", "Lovelace"), leave(30)]);
    assert_eq!(world.team.users[0]["active"], true, "nobody knows that this is her");
    let ending = world.tell(&[update(10, "ada@example.com", "-", "-")]);
    assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", world.calls());
    assert_eq!(world.team.users[0]["active"], false);
}

#[test]
fn an_account_whose_address_differs_in_case_is_found_although_the_list_was_paged_lately() {
    let mut world = World::new();
    world.team.add("Ada@Example.com", "Ada", "Lovelace", true, &json!({}));
    world.tell(&[update(30, NEWEST, "-", "-")]);
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
    assert_eq!(world.team.users[0]["userName"], NEWEST);
}

#[test]
fn somebody_of_one_address_is_looked_for_as_seldom_as_before() {
    let mut world = World::new();
    let twice = [hire(10, "ada@example.com", "Ada", "Byron"), update(20, "ADA@example.com", "-", "Lovelace")];
    world.tell(&twice);
    assert_eq!(world.calls(), ["POST /Users"]);
    // With a second one, once.
    let mut world = World::new();
    world.tell(&words(false));
    let finds = world.calls().iter().filter(|call| call.starts_with("GET")).count();
    assert_eq!((world.team.users.len(), world.team.writes()), (1, 1));
    assert!(finds <= 4, "{:?}", world.calls());
    assert!(world.people["hr/E-1"].record.earlier_emails.is_empty());
    assert_eq!(
        world.claims.keys().filter(|key| !key.starts_with("id:")).collect::<Vec<_>>(),
        ["address:ada.king@example.com"]
    );
}

#[test]
fn whoever_hr_named_first_gets_the_account_and_the_next_one_an_own_one() {
    // Who claims first; a call that fails stops them in the middle.
    for is_bob_first in [true, false] {
        let mut world = ada_is_there(World::new());
        let tell_ada = |world: &mut World| {
            world.faults = vec![Fault::Limited];
            world.once(&person("E-1"), &words(false))
        };
        let tell_bob = |world: &mut World| {
            world.faults = vec![Fault::Limited];
            world.once(&person("E-2"), &[hire_of_bob()])
        };
        if is_bob_first {
            tell_bob(&mut world);
            tell_ada(&mut world);
        } else {
            tell_ada(&mut world);
            tell_bob(&mut world);
        }
        world.faults.clear();
        for _ in 0..6 {
            for who in ["E-2", "E-1"] {
                world.now = world.now.plus_ms(60_000);
                world.once(&person(who), &[]);
            }
        }
        let mut team: Vec<_> = world.team.users.iter().map(shown).collect();
        team.sort();
        let adas = (NEWEST.to_owned(), "Ada".to_owned(), "Lovelace".to_owned(), true);
        assert_eq!(team, [adas, ada("Bob", "Stone", true)], "{is_bob_first}: {:?}", world.calls());
        assert_eq!(world.team.member(NEWEST).map(|user| user["title"] == "Ada's work"), Some(true));
        for who in ["hr/E-1", "hr/E-2"] {
            assert!(world.people[who].trouble.is_none() && world.people[who].open.is_empty(), "{is_bob_first} {who}");
        }
    }
}

#[test]
fn an_account_of_another_name_waits_for_whoever_is_due_before() {
    let mut world = ada_is_there(World::new());
    let ending = world.once(&person("E-2"), &[hire_of_bob()]);
    assert!(matches!(ending.next_state, NextState::Retry { .. }), "{:?}", ending.next_state);
    assert_eq!(world.team.users[0]["name"]["givenName"], "Ada");
    world.tell(&words(false));
    let ending = world.work(&person("E-2"), &[]);
    assert_eq!(ending.ended[0].1, Finished::Created, "{:?}", world.calls());
    assert_eq!(world.team.member(NEWEST).map(|user| user["title"] == "Ada's work"), Some(true));
    // If there is nobody, it is theirs; and one of whom HR says only another family name is not let wait.
    for (given, least) in [("Bob", 2), ("Ada", 1)] {
        let mut world = ada_is_there(World::new());
        world.tell(&[of_bob(hire(50, "ada@example.com", given, "Stone"))]);
        assert_eq!(world.team.users.iter().map(shown).collect::<Vec<_>>(), [ada(given, "Stone", true)]);
        assert_eq!(world.calls().iter().filter(|call| call.starts_with("POST")).count(), least);
    }
}

#[test]
fn an_account_that_somebody_else_got_before_hr_named_its_address_for_its_holder_is_told() {
    for leaves in [true, false] {
        let mut world = ada_is_there(World::new());
        let words = words(leaves);
        world.tell(&words[1..]);
        world.tell(&[hire_of_bob()]);
        assert_eq!(world.team.users[0]["name"]["givenName"], "Bob", "nobody could know");
        world.now = world.now.plus_ms(120_000);
        let ending = world.tell(&words[..1]);
        let trouble = ending.document.trouble.unwrap();
        assert_eq!(trouble.code, Code::ScimOwned);
        assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
        assert_eq!((world.team.users.len(), world.team.users[0]["active"].as_bool()), (1, Some(true)));
        // A replay does not make a second account of it; once an operator has decided, HR's next word does.
        let again = Word::TryAgain { by: "test".to_owned() };
        let again = (u64::MAX, Entry { accepted_at: world.now, word: again, trace: None });
        let ending = world.work(&person("E-1"), &[again]);
        assert_eq!(ending.document.trouble.map(|trouble| trouble.code), Some(Code::ScimOwned));
        let discard = Word::Discard { by: "test".to_owned(), reason: None };
        world.work(&person("E-1"), &[(u64::MAX, Entry { accepted_at: world.now, word: discard, trace: None })]);
        assert!(world.people["hr/E-1"].record.earlier_emails.is_empty());
        world.now = world.now.plus_ms(120_000);
        world.tell(&[hire(60, NEWEST, "Ada", "Lovelace")]);
        assert!(world.team.member(NEWEST).is_some(), "{:?}", world.calls());
    }
}

#[test]
fn an_account_that_was_made_for_somebody_else_is_no_conflict() {
    for is_made in [true, false] {
        let mut world = World::new();
        if !is_made {
            // It was his before the bridge, too.
            world.team.add("ada@example.com", "Bob", "Stone", true, &json!({}));
        }
        world.tell(&[hire_of_bob()]);
        world.now = world.now.plus_ms(120_000);
        let ending = world.tell(&words(false));
        assert_eq!(ending.document.trouble, None, "{:?}", world.calls());
        assert_eq!(ending.ended[0].1, Finished::Created, "{:?}", world.calls());
        assert_eq!(world.team.member("ada@example.com").map(shown), Some(ada("Bob", "Stone", true)));
        // A leaver finds nobody to switch off.
        let carl = |event: Event| Event { person: person("E-3"), ..event };
        let left: Vec<_> = words(true).into_iter().map(carl).collect();
        let ending = world.tell(&[left[0].clone(), carl(update(15, "carl@example.com", "-", "-")), left[3].clone()]);
        assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::NotAMember, None), "{:?}", world.calls());
        assert_eq!(world.team.users.iter().filter(|user| user["active"] == true).count(), 2);
    }
}

#[test]
fn a_leavers_account_is_not_taken_by_somebody_who_was_named_with_its_address_before() {
    let mut world = World::new();
    world.tell(&[hire_of_bob()]);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[of_bob(leave(60))]);
    world.tell(&words(false));
    assert_eq!(
        world.team.member("ada@example.com").map(shown),
        Some(ada("Bob", "Stone", false)),
        "{:?}",
        world.calls()
    );
    assert!(world.team.member(NEWEST).is_some(), "{:?}", world.calls());
}

#[test]
fn an_address_that_hr_took_back_gives_nobody_the_account_of_another_name() {
    for leaves in [true, false] {
        let mut world = World::new();
        world.team.add("bob@example.com", "Bob", "Stone", true, &json!({"title": "Bob's work"}));
        let before = world.team.users[0].clone();
        let mut words = vec![hire(10, "bob@example.com", "Ada", "King"), update(20, "ada@example.com", "Ada", "King")];
        words.extend(leaves.then(|| leave(30)));
        let ending = world.tell(&words);
        assert_eq!(world.team.users[0], before, "{:?}", world.calls());
        assert_eq!((ending.document.trouble, world.team.users.len()), (None, if leaves { 1 } else { 2 }));
    }
}

#[test]
fn a_create_of_unknown_outcome_is_nobody_elses_account() {
    // Bob's account was made, but nobody knows.
    let mut world = World::new();
    world.faults = vec![Fault::LostAfter];
    let ending = world.once(&person("E-2"), &[hire_of_bob()]);
    assert!(ending.document.progress.create_unknown.is_some_and(|UnknownCreate { is_guess, .. }| !is_guess));
    world.faults.clear();
    let ending = world.once(&person("E-1"), &words(false));
    assert!(matches!(ending.next_state, NextState::Retry { .. }), "{:?}", ending.next_state);
    world.work(&person("E-2"), &[]);
    world.work(&person("E-1"), &[]);
    assert_eq!(world.team.member("ada@example.com").map(shown), Some(ada("Bob", "Stone", true)), "{:?}", world.calls());
    assert!(world.team.member(NEWEST).is_some(), "{:?}", world.calls());
}

#[test]
fn two_who_were_named_with_one_address_get_an_account_each() {
    let mut world = World::new();
    let bob = [of_bob(hire(15, "ada@example.com", "Bob", "Stone")), of_bob(update(25, "bob@example.com", "-", "-"))];
    world.faults = vec![Fault::Limited, Fault::Limited];
    world.once(&person("E-1"), &words(false));
    world.once(&person("E-2"), &bob);
    world.faults.clear();
    world.work(&person("E-1"), &[]);
    world.work(&person("E-2"), &[]);
    assert_eq!(world.team.users.len(), 2, "{:?}", world.calls());
    assert!(world.people.values().all(|document| document.trouble.is_none()), "{:?}", world.calls());
}

#[test]
fn a_closed_record_and_an_erased_past_keep_no_earlier_address() {
    let mut world = World::new();
    world.faults = vec![Fault::Limited];
    world.once(&person("E-1"), &words(false));
    assert_eq!(world.people["hr/E-1"].record.earlier_emails.len(), 2);
    let word = Word::HandedOver { to: person("E-2"), is_another: true, address_hash: None, said_at: None };
    let entry = Entry { accepted_at: world.now, word, trace: None };
    world.work(&person("E-1"), &[(u64::MAX, entry)]);
    world.tell(&[update(5, "ada.earliest@example.com", "-", "-")]);
    assert!(world.people["hr/E-1"].record.earlier_emails.is_empty());
}
