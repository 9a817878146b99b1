//! Who owns a member or an address, who takes it over, and who is refused it.

use proptest::prelude::*;
use serde_json::json;

use super::order_tests::any_fault;
use super::team_tests::Fault;
use super::verdict::NextState;
use super::world_tests::{World, ada, hire, leave, person, shown, update};
use crate::core::code::Code;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;
use crate::core::person::{Document, Email, Event};
use crate::core::time::UnixMs;

#[test]
fn an_address_that_was_not_obtained_is_free_for_somebody_else() {
    let mut world = World::new();
    // A create that is refused.
    world.faults = vec![Fault::Content];
    let ending = world.tell(&[hire(10, "typo@example.com", "Ada", "Lovelace")]);
    assert!(matches!(ending.next_state, NextState::Blocked { .. }), "{:?}", ending.next_state);
    assert!(world.claims.contains_key("address:typo@example.com"), "{:?}", world.claims);
    world.tell(&[update(30, "ada@example.com", "-", "-")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    assert!(!world.claims.contains_key("address:typo@example.com"), "{:?}", world.claims);
    assert!(world.claims.contains_key("address:ada@example.com"), "{:?}", world.claims);
}

#[test]
fn a_person_refused_under_many_addresses_claims_only_the_last() {
    let mut world = World::new();
    world.faults = [Fault::Content].repeat(100);
    world.tell(&[hire(10, "ada0@example.com", "Ada", "Lovelace")]);
    for n in 1..40 {
        let ending = world.tell(&[update(10 + n, &format!("ada{n}@example.com"), "-", "-")]);
        assert!(matches!(ending.next_state, NextState::Blocked { .. }), "{:?}", ending.next_state);
        assert!(ending.document.addresses.is_empty(), "{}", ending.document.addresses.len());
        let claims: Vec<_> = world.claims.keys().cloned().collect();
        assert_eq!(claims, [format!("address:ada{n}@example.com")]);
    }
}

#[test]
fn a_member_of_another_employee_is_a_dead_letter_that_names_both() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let mut adam = hire(20, "ada@example.com", "Adam", "Smith");
    adam.person = person("E-2");
    let ending = world.tell(&[adam]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

/// A worker died while it had somebody who has left, and whose address another employee has by now.
#[test]
fn a_create_that_is_only_assumed_is_not_another_employees_member() {
    let mut world = World::new();
    let mut adam = hire(20, "ada@example.com", "Adam", "Smith");
    adam.person = person("E-2");
    world.tell(&[adam]);
    let cut_off = Entry { accepted_at: world.now, word: Word::CutOff, trace: None };
    world.work(&person("E-1"), &[(50, cut_off)]);
    let ending = world.tell(&[hire(5, "ada@example.com", "Ada", "Lovelace"), leave(10)]);
    assert_eq!((ending.document.trouble, ending.ended.last().unwrap().1), (None, Finished::NotAMember));
    assert_eq!(ending.document.progress.create_unknown, None);
    assert_eq!(shown(&world.team.users[0]), ada("Adam", "Smith", true));
}

#[test]
fn a_leave_ends_the_dead_letter_of_a_hire_that_met_another_employees_account() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let of_adam = |event: Event| Event { person: person("E-2"), ..event };
    let ending = world.tell(&[of_adam(hire(20, "ada@example.com", "Adam", "Smith"))]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimOwned);
    let ending = world.tell(&[of_adam(leave(30))]);
    assert_eq!((ending.ended.last().unwrap().1, ending.document.trouble), (Finished::NotAMember, None));
    // A leave with the same address, under an id that HR never called hired, may be about the same human being or not.
    let mut stranger = Event { person: person("E-3"), ..leave(40) };
    stranger.facts.email = Email::parse("ada@example.com").ok();
    let trouble = world.tell(std::slice::from_ref(&stranger)).document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-3"), "{}", trouble.detail);
    // One from before the owner was hired is not about them.
    let before = Event { person: person("E-4"), at: Some(UnixMs(5)), ..stranger };
    let ending = world.tell(&[before]);
    assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::NotAMember, None));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

#[test]
fn a_rehire_under_a_new_id_who_leaves_is_switched_off_in_any_batching() {
    let again = |event: Event| Event { person: person("E-2"), ..event };
    let words = [again(hire(20, "ada@example.com", "Ada", "Lovelace")), again(leave(30))];
    for batches in [vec![&words[..1], &words[1..]], vec![&words[..]]] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        for batch in batches {
            world.tell(batch);
        }
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false), "{:?}", world.calls());
    }
}

#[test]
fn nobody_moves_to_a_leavers_address_and_the_leaver_may_return() {
    let mut world = World::new();
    let second = |event: Event| Event { person: person("E-2"), ..event };
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[second(hire(10, "bob@example.com", "Bob", "Byron"))]);
    world.tell(&[leave(20)]);
    let ending = world.tell(&[second(update(30, "ada@example.com", "-", "-"))]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
    let ending = world.tell(&[second(update(40, "bob@example.com", "-", "-"))]);
    assert_eq!(ending.document.trouble, None);
    world.tell(&[hire(50, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true), "{:?}", world.calls());
}

#[test]
fn a_leavers_address_is_free_if_their_account_is_gone_or_has_another() {
    for is_renamed in [false, true] {
        let mut world = World::new();
        let second = |event: Event| Event { person: person("E-2"), ..event };
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.tell(&[second(hire(10, "bob@example.com", "Bob", "Byron"))]);
        world.tell(&[leave(20)]);
        world.now = world.now.plus_ms(120_000);
        let ending = world.tell(&[second(update(30, "ada@example.com", "-", "-"))]);
        assert_eq!(ending.document.trouble.unwrap().code, Code::ScimOwned);
        let NextState::Blocked { at: Some(again), .. } = ending.next_state else { panic!("{:?}", ending.next_state) };
        // Somebody frees the address in the team, unknown to the bridge.
        let place = world.team.users.iter().position(|user| user["userName"] == "ada@example.com").unwrap();
        if is_renamed {
            world.team.users[place]["userName"] = json!("former.ada@example.com");
        } else {
            world.team.users.remove(place);
        }
        world.now = again;
        let ending = world.work(&person("E-2"), &[]);
        assert_eq!((ending.next_state, ending.document.trouble), (NextState::Idle, None), "{:?}", world.calls());
        assert_eq!(world.team.member("ada@example.com").map(|user| shown(user).1), Some("Bob".to_owned()));
    }
}

#[test]
fn a_proxys_page_instead_of_a_leavers_account_frees_no_address() {
    let mut world = World::new();
    let second = |event: Event| Event { person: person("E-2"), ..event };
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[second(hire(10, "bob@example.com", "Bob", "Byron"))]);
    world.tell(&[leave(20)]);
    world.now = world.now.plus_ms(120_000);
    world.team.page_at = world.team.member("ada@example.com").and_then(|ada| ada["id"].as_str()).map(str::to_owned);
    let ending = world.tell(&[second(update(30, "ada@example.com", "-", "-"))]);
    assert_eq!(ending.document.trouble.map(|trouble| trouble.code), Some(Code::ScimOwned), "{:?}", world.calls());
    assert!(!world.calls().iter().any(|call| call.starts_with("PATCH") && call.contains("userName")));
    assert_eq!(world.claims.get("address:ada@example.com").map(String::as_str), Some("hr/E-1"));
}

#[test]
fn a_rehire_under_a_new_id_takes_the_leavers_member_over() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[leave(20)]);
    let mut again = hire(30, "ada@example.com", "Ada", "King");
    again.person = person("E-2");
    let ending = world.tell(&[again]);
    assert_eq!(ending.ended[0].1, Finished::Adopted);
    assert_eq!(world.team.users.len(), 1);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn a_member_taken_over_is_read_again_and_the_read_may_lag() {
    let mut world = World::new();
    world.team.lag_ms = 30_000;
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[leave(20)]);
    world.team.calls.clear();
    let mut again = hire(30, "ada@example.com", "Ada", "Lovelace");
    again.person = person("E-2");
    world.tell(&[again]);
    assert_eq!(
        shown(&world.team.users[0]),
        ada("Ada", "Lovelace", true),
        "the read shows them on: {:?}",
        world.calls()
    );
    assert_eq!(world.calls()[0], "GET /Users/{id}", "whose the member is, is known");
}

#[test]
fn two_people_of_one_name_keep_their_members_despite_a_mistaken_address() {
    let mut world = World::new();
    let second = |event: Event| Event { person: person("E-2"), ..event };
    world.tell(&[hire(10, "ada1@example.com", "Ada", "King")]);
    world.tell(&[second(hire(10, "ada2@example.com", "Ada", "King"))]);
    let ending = world.tell(&[update(20, "ada2@example.com", "-", "-")]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
    let ending = world.tell(&[update(30, "ada1@example.com", "-", "-")]);
    assert_eq!(ending.document.trouble, None);
    let ending = world.tell(&[second(leave(40))]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    let active: Vec<_> = world.team.users.iter().map(|user| user["active"] == true).collect();
    assert_eq!(active, [true, false]);
}

#[test]
fn a_late_event_of_a_former_employment_takes_nothing_from_the_rehire() {
    let again = |event: Event| Event { person: person("E-2"), ..event };
    let former = [hire(10, "ada@example.com", "Ada", "Lovelace"), leave(20)];
    for batches in [vec![&former[..1], &former[1..]], vec![&former[..]]] {
        let mut world = World::new();
        world.tell(&[again(hire(30, "ada@example.com", "Ada", "Lovelace"))]);
        for batch in batches {
            world.tell(batch);
        }
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true), "{:?}", world.calls());
        let ending = world.tell(&[again(update(40, "ada@example.com", "Ada", "King"))]);
        assert_eq!(ending.document.trouble, None);
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    }
}

#[test]
fn a_change_to_a_record_without_a_hire_takes_nothing_from_an_employee() {
    let mut world = World::new();
    world.tell(&[hire(30, "ada@example.com", "Ada", "Lovelace")]);
    let of_another = |event: Event| Event { person: person("E-2"), ..event };
    let ending = world.tell(&[of_another(update(40, "ada@example.com", "Ada", "Lovelace"))]);
    assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::NotAMember, None));
    // With another name it is reported, since somebody must decide.
    let ending = world.tell(&[of_another(update(50, "ada@example.com", "Adam", "Smith"))]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimOwned);
    let ending = world.tell(&[update(60, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.document.trouble, None);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

/// A roster gives somebody another address, and the address to a new employee.
#[test]
fn an_id_that_only_a_list_named_is_dropped_once_it_shows_another_address() {
    for has_left in [false, true] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "King")]);
        world.now = world.now.plus_ms(120_000);
        world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
        world.now = world.now.plus_ms(120_000);
        let listed_as = world.team.users[0]["id"].as_str().map(str::to_owned);
        world.people.insert("hr/E-2".to_owned(), Document { listed_as, ..Document::new(person("E-2")) });
        let mut words = vec![Event { person: person("E-2"), ..hire(30, "ada@example.com", "Bob", "Byron") }];
        words.extend(has_left.then(|| Event { person: person("E-2"), ..leave(31) }));
        world.tell(&words);
        let document = &world.people["hr/E-2"];
        assert_eq!((document.trouble.as_ref(), document.listed_as.as_ref()), (None, None), "{has_left}");
        assert_eq!((document.member.is_some(), world.team.users.len()), (!has_left, 2 - usize::from(has_left)));
        let (address, _, family, is_active) = shown(&world.team.users[0]);
        assert_eq!((address.as_str(), family.as_str(), is_active), ("ada.king@example.com", "King", true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// One owner a member: [`World`] checks it after every commit.
    #[test]
    fn nobody_gets_a_member_without_the_claim(
        busy in 0_u32..4,
        (is_listed, is_namesake) in (any::<bool>(), any::<bool>()),
        at in 5_i64..15,
        former in 0_u8..3,
        faults in prop::collection::vec(any_fault(), 0..6),
    ) {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "King")]);
        world.now = world.now.plus_ms(120_000);
        match former {
            0 => {}
            1 => _ = world.tell(&[leave(20)]),
            _ => _ = world.tell(&[update(20, "ada.king@example.com", "-", "-")]),
        }
        world.now = world.now.plus_ms(120_000);
        let listed_as = world.team.users[0]["id"].as_str().filter(|_| is_listed).map(str::to_owned);
        let document = Document { listed_as, ..Document::new(person("E-2")) };
        world.people.insert("hr/E-2".to_owned(), document);
        (world.busy, world.faults) = (busy, faults);
        let family = if is_namesake { "King" } else { "Byron" };
        world.tell(&[Event { person: person("E-2"), ..hire(at, "ada@example.com", "Ada", family) }]);
        for n in 0..2 {
            let word = Word::TryAgain { by: "test".to_owned() };
            let entry = Entry { accepted_at: world.now, word, trace: None };
            world.work(&person("E-2"), &[(u64::MAX - n, entry)]);
        }
    }
}
