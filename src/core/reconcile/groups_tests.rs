//! Groups derived from a fact, at Postman and at providers that can do less.

use serde_json::json;

use super::owner::{self, Owner};
use super::team_tests::{Fault, Team};
use super::verdict::{Ending, NextState};
use super::world_tests::{World, ada, hire, leave, of_department, person, shown, update};
use crate::core::code::Code;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;
use crate::core::person::{Event, Mark};

const ADA: &str = "ada@example.com";

fn worlds() -> [World; 3] {
    let provider = |no_patch, no_filter| World::of_a_provider(Team { no_patch, no_filter, ..Team::default() });
    [World::new(), provider(true, false), provider(true, true)].map(World::with_groups)
}

fn joins(world: &mut World) {
    world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Engineering")]);
    world.now = world.now.plus_ms(120_000);
}

#[test]
fn taking_a_member_over_removes_them_from_the_former_records_groups() {
    let mut world = World::new().with_groups();
    world.tell(&[of_department(hire(10, "ada@example.com", "Ada", "Lovelace"), "Sales")]);
    assert_eq!(world.groups_of("ada@example.com"), ["Sales"]);
    let again = |event: Event| Event { person: person("E-2"), ..event };
    world.tell(&[again(of_department(hire(20, "ada@example.com", "Ada", "Lovelace"), "Engineering"))]);
    assert_eq!(world.groups_of("ada@example.com"), ["Builders", "Engineering"], "{:?}", world.calls());
    world.tell(&[again(leave(30))]);
    assert_eq!(world.groups_of("ada@example.com"), [""; 0], "{:?}", world.calls());
}

#[test]
fn a_member_follows_the_fact_into_groups_and_out_of_them() {
    for mut world in worlds() {
        joins(&mut world);
        assert_eq!(world.groups_of(ADA), ["Builders", "Engineering"]);
        world.tell(&[of_department(update(20, "-", "-", "-"), "Sales")]);
        assert_eq!(world.groups_of(ADA), ["Sales"]);
        world.now = world.now.plus_ms(120_000);
        let ending = world.tell(&[leave(30)]);
        assert_eq!(ending.ended[0].1, Finished::Deactivated);
        assert_eq!(world.groups_of(ADA), [""; 0]);
        assert_eq!(world.team.groups.len(), 3, "groups stay");
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
    }
}

#[test]
fn a_target_that_repeats_a_page_of_groups_is_not_paged_twenty_times() {
    let team = Team { no_filter: true, repeats_groups: true, ..Team::default() };
    let mut world = World::of_a_provider(team).with_groups();
    world.team.groups = ["Others", "More"].map(|name| (name.to_owned(), Vec::new())).into();
    joins(&mut world);
    assert_eq!(world.groups_of(ADA), ["Builders", "Engineering"]);
    // Before each claim and under it, two pages at most.
    let pages = world.calls().iter().filter(|call| call.contains("group")).count();
    assert!(pages <= 12, "{:?}", world.calls());
}

#[test]
fn a_member_added_to_a_group_by_hand_stays() {
    for mut world in worlds() {
        world.team.groups.push(("Engineering".to_owned(), vec!["somebody".to_owned()]));
        joins(&mut world);
        world.tell(&[of_department(update(20, "-", "-", "-"), "")]);
        assert_eq!(world.team.groups[0], ("Engineering".to_owned(), vec!["somebody".to_owned()]));
    }
}

#[test]
fn without_configuration_no_group_is_requested() {
    let mut world = World::new();
    joins(&mut world);
    assert_eq!(world.calls(), ["POST /Users"]);
}

#[test]
fn an_invited_person_joins_their_groups_once_they_accept() {
    let mut world = World::new().with_groups();
    let id = world.team.add(ADA, "Ada", "King", true, &json!({}));
    world.team.not_joined.push(id);
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    assert!(ending.document.open.is_empty() && ending.document.trouble.is_none(), "nobody waits for it");
    let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
    assert_eq!(world.groups_of(ADA), [""; 0]);
    world.team.not_joined.clear();
    world.now = at;
    let ending = world.work(&ending.document.person, &[]);
    assert_eq!(ending.next_state, NextState::Idle);
    assert_eq!(world.groups_of(ADA), ["Sales"]);
}

#[test]
fn an_unaccepted_invitation_is_finally_reported_and_blocks_no_name() {
    let mut world = World::new().with_groups();
    let id = world.team.add(ADA, "Ada", "Byron", true, &json!({}));
    world.team.not_joined.push(id);
    let mut ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    let mut tries = 0;
    while let NextState::Scheduled { at } = ending.next_state {
        world.now = at;
        ending = world.work(&ending.document.person, &[]);
        tries += 1;
    }
    assert!((30..50).contains(&tries), "{tries} tries in thirty days");
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimGroup);
}

#[test]
fn a_member_whom_no_group_accepts_is_marked_after_a_day() {
    let mut world = World::new().with_groups();
    let id = world.team.add(ADA, "Ada", "King", true, &json!({}));
    world.team.not_joined.push(id);
    let began = world.now;
    let mut ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    loop {
        let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
        let waited_ms = world.now.ms_since(began);
        assert_eq!(ending.document.marks().contains(&Mark::Groupless), waited_ms >= 86_400_000, "{waited_ms}");
        if waited_ms > 3 * 86_400_000 {
            break;
        }
        world.now = at;
        ending = world.work(&ending.document.person, &[]);
    }
    assert!(ending.document.marked_since(Mark::Groupless).is_some_and(|since| since >= began));
}

#[test]
fn a_group_forbidden_for_a_member_is_reported_after_a_few_tries_and_for_an_invitee_once_they_are_shown() {
    let mut world = World::new().with_groups();
    world.team.forbidden_groups = &["Sales"];
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    let NextState::Scheduled { at } = ending.next_state else {
        panic!("nothing has shown them: {:?}", ending.next_state)
    };
    world.now = at;
    // Nobody else's tries tell whether it is forbidden to everybody.
    let mut ending = world.work(&ending.document.person, &[]);
    for _ in 0..2 {
        let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
        world.now = at;
        ending = world.work(&ending.document.person, &[]);
    }
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimGroup);
    assert!(trouble.detail.contains("403"), "{}", trouble.detail);
    assert_eq!(ending.document.groups_wait, None);
}

/// A key that may not write groups, or groups that an identity provider manages.
#[test]
fn groups_that_are_forbidden_to_everybody_make_nobody_a_dead_letter() {
    let mut world = World::new().with_groups();
    world.team.forbidden_groups = &["Sales"];
    world.team.groups.push(("Sales".to_owned(), Vec::new()));
    let mut people: Vec<_> = (1..=4)
        .map(|n| {
            let address = format!("p{n}@example.com");
            world.team.add(&address, "Ada", "King", true, &json!({}));
            let hire = of_department(
                Event { person: person(&format!("E-{n}")), ..hire(10, &address, "Ada", "King") },
                "Sales",
            );
            world.tell(&[hire])
        })
        .collect();
    let is_told = |ending: &Ending| ending.document.marks().contains(&Mark::GroupsForbidden);
    assert!(people.iter().all(|ending| ending.document.trouble.is_none()), "{people:?}");
    assert_eq!(people.iter().filter(|ending| is_told(ending)).count(), 3, "the first one has nobody to compare with");
    for _ in 0..12 {
        for ending in &mut people {
            let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
            world.now = world.now.max(at);
            *ending = world.work(&ending.document.person.clone(), &[]);
            assert!(ending.document.trouble.is_none() && is_told(ending), "{:?}", ending.document.groups_wait);
        }
    }
    // What HR says goes on being followed.
    let named = Event { person: person("E-2"), ..update(20, "-", "Ada", "Byron") };
    let ending = world.tell(&[named]);
    assert_eq!(world.team.member("p2@example.com").unwrap()["name"]["familyName"], "Byron");
    assert!(is_told(&ending));
    world.team.forbidden_groups = &[];
    for ending in &people {
        world.now = world.now.plus_ms(86_400_000);
        let ending = world.work(&ending.document.person.clone(), &[]);
        assert!(!is_told(&ending));
    }
    for n in 1..=4 {
        assert_eq!(world.groups_of(&format!("p{n}@example.com")), ["Sales"]);
    }
}

#[test]
fn a_forbidden_group_keeps_nobody_out_of_the_others() {
    let mut world = World::new().with_groups();
    world.team.forbidden_groups = &["Builders"];
    let id = world.team.add(ADA, "Ada", "King", true, &json!({}));
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Engineering")]);
    assert_eq!(world.groups_of(ADA), ["Engineering"], "{id}: {:?}", world.calls());
    let trouble = ending.document.trouble.unwrap();
    assert!(trouble.code == Code::ScimGroup && trouble.detail.contains("403"), "{trouble:?}");
}

#[test]
fn another_try_that_fails_forgets_no_group() {
    let mut world = World::new().with_groups();
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    let id = world.team.member(ADA).unwrap()["id"].as_str().unwrap().to_owned();
    world.now = world.now.plus_ms(120_000);
    world.team.not_joined.push(id);
    let again = Entry { accepted_at: world.now, trace: None, word: Word::TryAgain { by: "admin".to_owned() } };
    world.work(&ending.document.person, &[(99, again)]);
    world.team.not_joined.clear();
    world.now = world.now.plus_ms(120_000);
    let ending = world.tell(&[of_department(update(20, "-", "-", "-"), "Engineering")]);
    assert_eq!(world.groups_of(ADA), ["Builders", "Engineering"], "{:?}", world.calls());
    assert!(ending.document.groups_unsure.is_empty());
}

#[test]
fn another_try_joins_a_group_that_was_deleted_and_created_again() {
    let mut world = World::new().with_groups();
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    assert_eq!(world.groups_of(ADA), ["Sales"]);
    let gone = world.team.groups.iter().position(|(name, _)| name == "Sales").unwrap();
    world.team.groups[gone] = ("Deleted".to_owned(), Vec::new());
    world.team.groups.push(("Sales".to_owned(), Vec::new()));
    world.now = world.now.plus_ms(120_000);
    let again = Entry { accepted_at: world.now, trace: None, word: Word::TryAgain { by: "admin".to_owned() } };
    let ending = world.work(&ending.document.person, &[(99, again)]);
    assert_eq!((world.groups_of(ADA), ending.document.trouble), (vec!["Sales"], None));
}

#[test]
fn two_groups_of_one_name_are_reported_and_neither_is_written() {
    let mut world = World::new().with_groups();
    for _ in 0..2 {
        world.team.groups.push(("Sales".to_owned(), Vec::new()));
    }
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimGroup);
    assert_eq!(world.groups_of(ADA), [""; 0]);
}

#[test]
fn a_try_without_a_purpose_does_not_stay_due() {
    let mut world = World::new().with_groups();
    let id = world.team.add(ADA, "Ada", "King", true, &json!({}));
    world.team.not_joined.push(id);
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
    // The group is taken out of the configuration while they wait.
    world.groups.clear();
    world.now = at;
    let ending = world.work(&ending.document.person, &[]);
    assert_eq!((ending.next_state, ending.document.groups_wait), (NextState::Idle, None));
}

#[test]
fn a_clock_leap_gives_up_no_invitation() {
    let mut world = World::new().with_groups();
    let id = world.team.add(ADA, "Ada", "Byron", true, &json!({}));
    world.team.not_joined.push(id);
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
    world.now = at.plus_ms(400 * 86_400_000);
    let ending = world.work(&ending.document.person, &[]);
    assert!(matches!(ending.next_state, NextState::Scheduled { .. }), "{:?}", ending.next_state);
    assert_eq!(ending.document.trouble, None);
}

#[test]
fn a_claim_on_a_group_is_never_handed_over() {
    let mut world = World::new().with_groups();
    let ending = world.tell(&[hire(10, ADA, "Ada", "King"), leave(20)]);
    let (theirs, now) = (&ending.document, world.now);
    assert!(Owner::of(theirs, &owner::address_key(ADA), now).has_left);
    let of_group = Owner::of(theirs, "group:sales", now);
    assert!(!of_group.hands_over_to(theirs, now) && of_group.moves_away);
}

#[test]
fn groups_that_a_killed_worker_removed_them_from_are_joined_again() {
    let mut world = World::new().with_groups();
    world.tell(&[of_department(hire(10, "ada@example.com", "Ada", "Lovelace"), "Engineering")]);
    // Out of two, into one; then the worker dies, and the change is taken back.
    world.crashes = vec![world.team.calls.len() + 7];
    world.arriving = vec![of_department(update(40, "-", "-", "-"), "Engineering")];
    world.tell(&[of_department(update(30, "-", "-", "-"), "Sales")]);
    assert_eq!(world.groups_of("ada@example.com"), ["Builders", "Engineering"], "{:?}", world.calls());
}

#[test]
fn a_removal_without_an_answer_is_made_good_if_hr_takes_it_back() {
    for fault in [Fault::LostAfter, Fault::ErrorAfter, Fault::LostBefore] {
        let mut world = World::new().with_groups();
        world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
        assert_eq!(world.groups_of(ADA), ["Sales"]);
        world.now = world.now.plus_ms(120_000);
        // A read of the member, and the removal.
        world.faults = vec![Fault::None, fault];
        world.arriving = vec![of_department(update(40, "-", "-", "-"), "Sales")];
        world.tell(&[of_department(update(30, "-", "-", "-"), "Other")]);
        assert_eq!(world.groups_of(ADA), ["Sales"], "{fault:?}: {:?}", world.calls());
    }
}

#[test]
fn a_removal_that_is_tried_again_needs_no_name() {
    let mut world = World::new().with_groups();
    world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    world.now = world.now.plus_ms(120_000);
    for group in &mut world.team.groups {
        group.0 = format!("{} (renamed)", group.0);
    }
    world.faults = vec![Fault::None, Fault::Error];
    world.tell(&[of_department(update(30, "-", "-", "-"), "Other")]);
    assert_eq!(world.groups_of(ADA), ["Other"], "{:?}", world.calls());
}

#[test]
fn a_change_that_its_reply_does_not_show_is_looked_at() {
    let mut world = World::new().with_groups();
    world.team.groups.push(("Sales".to_owned(), Vec::new()));
    world.team.ignores_groups = true;
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    // It waits like that of somebody who has not joined.
    let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
    assert!(ending.document.groups.is_empty() && ending.document.trouble.is_none());
    let reads = world.calls().iter().filter(|call| **call == "GET /Groups/{id}").count();
    assert_eq!(reads, 3, "{:?}", world.calls());
    world.team.ignores_groups = false;
    world.now = at;
    world.work(&ending.document.person, &[]);
    assert_eq!(world.groups_of(ADA), ["Sales"]);
    // A reply of another shape, and the change was made.
    world.team.talks_of_groups = true;
    world.now = world.now.plus_ms(120_000);
    let ending = world.tell(&[of_department(update(50, "-", "-", "-"), "Other")]);
    assert_eq!((world.groups_of(ADA), ending.document.trouble), (vec!["Other"], None));
}

#[test]
fn a_look_at_a_group_that_is_refused_is_not_repeated_at_once() {
    let mut world = World::new().with_groups();
    world.team.groups.push(("Sales".to_owned(), Vec::new()));
    world.team.talks_of_groups = true;
    // The create, the look-up of the group and the change are served; the look at it is not.
    world.faults = vec![Fault::None, Fault::None, Fault::None, Fault::Refused];
    let ending = world.tell(&[of_department(hire(10, ADA, "Ada", "King"), "Sales")]);
    assert_eq!(world.calls().iter().filter(|call| **call == "GET /Groups/{id}").count(), 1, "{:?}", world.calls());
    let NextState::Scheduled { at } = ending.next_state else { panic!("{:?}", ending.next_state) };
    world.now = at;
    let ending = world.work(&ending.document.person, &[]);
    assert_eq!((world.groups_of(ADA), ending.document.trouble), (vec!["Sales"], None), "{:?}", world.calls());
}

#[test]
fn a_team_without_groups_makes_nobody_a_dead_letter() {
    let mut world = World::new().with_groups();
    world.team.no_groups = Some(404);
    let endings: Vec<_> = (1..=3)
        .map(|n| {
            let address = format!("p{n}@example.com");
            let person = person(&format!("E-{n}"));
            world.tell(&[of_department(Event { person, ..hire(10, &address, "Ada", "King") }, "Sales")])
        })
        .collect();
    assert!(endings.iter().all(|ending| ending.document.trouble.is_none()), "{endings:?}");
    world.team.no_groups = None;
    world.now = world.now.plus_ms(86_400_000);
    for (ending, n) in endings.iter().zip(1..) {
        world.work(&ending.document.person.clone(), &[]);
        assert_eq!(world.groups_of(&format!("p{n}@example.com")), ["Sales"]);
    }
}
