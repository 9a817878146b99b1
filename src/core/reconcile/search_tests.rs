//! How far a person without a known member is searched for.

use serde_json::json;

use super::team_tests::{Fault, Team};
use super::world_tests::{World, ada, hire, leave, person, shown, update};
use crate::core::code::Code;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;
use crate::core::person::{Email, Event, Facts};

#[test]
fn a_person_with_a_dead_id_is_also_searched_under_the_last_known_address() {
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
fn a_proxys_page_instead_of_a_member_creates_nobody_twice() {
    for moved in ["ada@example.com", "ada.king@example.com"] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.now = world.now.plus_ms(120_000);
        // Somebody gave her another address at the target, so that no look-up finds her.
        world.team.users[0]["userName"] = json!("ada.lovelace@example.com");
        world.team.page_at = world.team.users[0]["id"].as_str().map(str::to_owned);
        let ending = world.tell(&[hire(20, moved, "Ada", "Lovelace")]);
        let trouble = ending.document.trouble.unwrap();
        assert_eq!((trouble.code, world.team.users.len()), (Code::ScimRejected, 1), "{:?}", world.calls());
        assert!(trouble.detail.contains("404"), "{}", trouble.detail);
        // Once the proxy is gone, the target says who has that id.
        world.team.page_at = None;
        let ending = world.tell(&[hire(30, moved, "Ada", "King")]);
        let code = ending.document.trouble.map(|trouble| trouble.code);
        assert_eq!((code, world.team.users.len()), (Some(Code::ScimDoubt), 1), "{:?}", world.calls());
    }
}

#[test]
fn a_new_holder_of_the_last_known_address_is_somebody_else() {
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
fn without_a_filter_a_too_long_list_creates_nobody_twice_and_is_reported() {
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

/// Somebody whom the bridge does not know, the `n`th member of a team, in another case than HR's.
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
fn a_leave_pages_further_than_a_hire_and_reports_where_it_stops() {
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
fn a_list_that_hides_members_is_read_again_and_no_leaver_becomes_a_stranger() {
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
fn updates_of_a_person_missing_from_a_large_team_page_through_it_once_a_day() {
    let mut world = in_a_large_team(0, 10_001);
    let mut told = Vec::new();
    let mut calls = |world: &mut World, event: &Event| {
        world.team.calls.clear();
        let trouble = world.tell(std::slice::from_ref(event)).document.trouble.unwrap();
        assert_eq!(trouble.code, Code::ScimLookUp);
        told.push(trouble.detail);
        world.calls().len()
    };
    let named = |at| update(at, "ada@example.com", "Ada", &format!("No{at}"));
    assert_eq!([10, 20, 30].map(|at| calls(&mut world, &named(at))), [21, 1, 1]);
    // A leaver is searched for further, and also only once.
    assert_eq!([leave(40), named(50)].map(|event| calls(&mut world, &event)), [101, 1]);
    assert_eq!(calls(&mut world, &leave(60)), 101, "a new word");
    world.now = world.now.plus_ms(86_400_000);
    assert_eq!([70, 80].map(|at| calls(&mut world, &named(at))), [101, 1]);
    assert!(told.iter().all(|detail| detail.contains(" of 10001 members")), "{told:?}");
}

#[test]
fn a_person_reported_in_another_team_is_paged_for_once_a_day_until_a_replay() {
    let mut world = in_a_large_team(0, 250);
    let calls = |world: &mut World, entries: &[(u64, Entry)], event: &Event| {
        world.team.calls.clear();
        world.faults = vec![Fault::Taken];
        let ending = if entries.is_empty() {
            world.tell(std::slice::from_ref(event))
        } else {
            world.work(&person("E-1"), entries)
        };
        assert_eq!(ending.document.trouble.map(|trouble| trouble.code), Some(Code::ScimElsewhere));
        world.calls().len()
    };
    let hired = hire(10, "ada@example.com", "Ada", "Lovelace");
    assert_eq!(calls(&mut world, &[], &hired), 1 + 1 + 3);
    let named = |at| update(at, "-", "Ada", &format!("No{at}"));
    assert_eq!([20, 30].map(|at| calls(&mut world, &[], &named(at))), [2, 2]);
    let again = Entry { accepted_at: world.now, word: Word::TryAgain { by: "test".to_owned() }, trace: None };
    assert_eq!(calls(&mut world, &[(100, again)], &hired), 1 + 1 + 3);
}

#[test]
fn a_leave_pages_through_everybody_despite_a_recent_search() {
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
fn a_leave_with_a_possibly_open_invitation_is_reported_and_a_replay_finds_a_late_joiner() {
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
fn a_rehire_is_searched_for_if_the_known_id_is_somebody_elses() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[leave(20)]);
    world.team.users[0]["userName"] = "somebody.else@example.com".into();
    let ending = world.tell(&[hire(30, "-", "-", "-")]);
    let code = ending.document.trouble.map(|trouble| trouble.code);
    assert_eq!(code, Some(Code::ScimDoubt), "{:?}", world.calls());
    assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
}
