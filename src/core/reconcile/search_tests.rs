//! Whoever has no known member is looked for, and how far.

use serde_json::json;

use super::team_tests::{Fault, Team};
use super::world_tests::{World, ada, hire, leave, person, shown, update};
use crate::core::code::Code;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;
use crate::core::person::{Email, Event, Facts};

#[test]
fn whose_known_id_is_nobodys_is_looked_for_under_the_address_that_was_last_known_too() {
    let moved = "ada.king@example.com";
    let with_address = |event: Event| {
        let facts = Facts { email: Email::parse(moved).ok(), ..event.facts };
        Event { facts, ..event }
    };
    let words = [
        (with_address(leave(20)), Finished::Deactivated, false),
        (update(20, moved, "-", "-"), Finished::Updated, true),
        (hire(20, moved, "Ada", "Lovelace"), Finished::Updated, true),
    ];
    for (word, finished, active) in words {
        // They were added again by hand, under another id; or a 404 was not the target's.
        for is_added_again in [true, false] {
            let mut world = World::new();
            world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
            world.now = world.now.plus_ms(120_000);
            if is_added_again {
                world.team.users[0]["id"] = json!("of-another-invitation");
            } else {
                world.faults = vec![Fault::Wordless(404)];
            }
            let ending = world.tell(std::slice::from_ref(&word));
            assert_eq!(ending.ended[0].1, finished, "{:?} {:?}", ending.document.trouble, world.calls());
            assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
            assert_eq!(world.team.users[0]["active"], active, "{:?}", world.calls());
        }
    }
}

#[test]
fn whoever_got_the_last_known_address_since_is_somebody_else() {
    for word in [leave(20), hire(20, "-", "Ada", "Lovelace")] {
        let facts = Facts { email: Email::parse("ada.king@example.com").ok(), ..word.facts };
        let word = Event { facts, ..word };
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.now = world.now.plus_ms(120_000);
        // She was removed, and somebody else was invited by hand.
        world.team.users.clear();
        world.team.add("ada@example.com", "Adam", "Smith", true, &json!({}));
        world.tell(std::slice::from_ref(&word));
        assert_eq!(shown(&world.team.users[0]), ada("Adam", "Smith", true), "{:?}", world.calls());
    }
}

#[test]
fn where_nothing_is_filtered_and_the_list_is_too_long_nobody_is_made_twice_and_it_is_told() {
    let mut world = World::of_a_provider(Team { no_filter: true, ..Team::default() });
    for n in 1..=2_100 {
        world.team.add(&format!("p{n}@example.com"), "Ada", "Lovelace", true, &json!({}));
    }
    world.faults = vec![Fault::None, Fault::LostAfter];
    world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
    let ending = world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!((trouble.code, world.team.users.len()), (Code::ScimLookUp, 2_101), "{}", trouble.detail);
}

/// Somebody whom the bridge does not know, the `n`th member of a team, in other letters than HR has.
fn in_a_large_team(n: usize, members: usize) -> World {
    let mut world = World::new();
    for place in 1..=members {
        let other = format!("p{place}@example.com");
        let address = if place == n { "Ada@Example.com" } else { &other };
        world.team.add(address, "Ada", "Lovelace", true, &json!({}));
    }
    world
}

fn leave_by_address() -> Event {
    let mut event = leave(20);
    event.facts.email = Email::parse("ada@example.com").ok();
    event
}

#[test]
fn a_leave_pages_on_where_a_hire_would_not_and_says_where_it_has_to_stop() {
    let mut world = in_a_large_team(2_101, 2_101);
    let ending = world.tell(&[leave_by_address()]);
    assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", ending.document.trouble);
    assert_eq!(world.team.member("Ada@Example.com").unwrap()["active"], false);
    let mut world = in_a_large_team(0, 10_001);
    let ending = world.tell(&[leave_by_address()]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimLookUp);
    assert!(trouble.detail.contains("look_up_pages_max"), "{}", trouble.detail);
    assert_eq!(world.calls().len(), 101);
}

#[test]
fn a_list_that_hides_members_is_asked_again_and_makes_no_leaver_a_stranger() {
    let mut world = in_a_large_team(3, 3);
    world.team.hides = (2, 3);
    let ending = world.tell(&[leave_by_address()]);
    assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", world.calls());
    assert_eq!(world.team.member("Ada@Example.com").unwrap()["active"], false);
    let mut world = in_a_large_team(3, 3);
    world.team.hides = (2, 100);
    let ending = world.tell(&[leave_by_address()]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!((trouble.code, trouble.detail.as_str()), (Code::ScimLookUp, "2 of 3 members were looked at"));
    assert_eq!(world.calls().len(), 5 * 3, "{:?}", world.calls());
}

#[test]
fn a_leave_looks_at_everybody_though_somebody_did_so_lately() {
    let mut provider = World::of_a_provider(Team { no_filter: true, ..Team::default() });
    for world in [&mut World::new(), &mut provider] {
        let ending = world.tell(&[update(10, "ada@example.com", "Ada", "Lovelace")]);
        assert_eq!(ending.ended[0].1, Finished::NotAMember);
        world.team.add("Ada@Example.com", "Ada", "Lovelace", true, &json!({}));
        let ending = world.tell(&[leave(20)]);
        assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", world.calls());
        assert_eq!(world.team.member("Ada@Example.com").unwrap()["active"], false);
    }
}

#[test]
fn the_leave_of_somebody_whose_invitation_may_be_open_is_told_and_a_replay_finds_who_has_joined() {
    let mut world = World::new();
    world.faults = vec![Fault::Bare];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(ending.ended[0].1, Finished::Invited);
    let ending = world.tell(&[leave(20)]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimInvited);
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    let again = Entry { accepted_at: world.now, word: Word::TryAgain { by: "test".to_owned() }, trace: None };
    let ending = world.work(&person("E-1"), &[(100, again)]);
    assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::Adopted, None));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
}

#[test]
fn whoever_is_hired_again_is_looked_for_where_the_known_id_is_somebody_elses() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[leave(20)]);
    world.team.users[0]["userName"] = "somebody.else@example.com".into();
    let ending = world.tell(&[hire(30, "-", "-", "-")]);
    let code = ending.document.trouble.map(|trouble| trouble.code);
    assert_eq!(code, Some(Code::ScimDoubt), "{:?}", world.calls());
    assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
}
