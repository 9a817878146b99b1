//! Who waits for an address, or for the day of an announced leave.

use serde_json::json;

use super::attempt::AttemptState;
use super::conclusion::Conclusion;
use super::suspicion::Suspicions;
use super::team_tests::Fault;
use super::verdict::{Ending, NextState, decide};
use super::world_tests::{RULES, World, ada, hire, leave, person, shown, update};
use crate::core::code::Code;
use crate::core::limiter::CallKind;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::{Finished, JobId};
use crate::core::person::{Document, EmploymentState, Event, Mark, samples};
use crate::core::time::UnixMs;

#[test]
fn a_leave_without_a_known_address_waits_for_one_and_is_reported() {
    // If rules decide who is in scope, they may have been out of it all the time.
    let mut world = World::new();
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    assert_eq!(world.tell(&[leave(20)]).ended[0].1, Finished::NotAMember);
    let mut world = World::new();
    world.has_scope = false;
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    let ending = world.tell(&[leave(20)]);
    assert_eq!(
        (ending.next_state, ending.document.missing),
        (NextState::Incomplete { at: None }, vec!["email".to_owned()])
    );
    assert_eq!(world.calls(), [""; 0]);
    let ending = world.tell(&[update(30, "ada@example.com", "-", "-")]);
    assert_eq!(ending.ended.len(), 2);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
    // Somebody whose hire came without an address was never created in the team.
    let mut world = World::new();
    world.tell(&[hire(10, "-", "Ada", "Lovelace")]);
    let ending = world.tell(&[leave(20)]);
    assert_eq!((ending.next_state, ending.ended[0].1), (NextState::Idle, Finished::NotAMember));
    // Nor does a roster that lists people who left long ago need their addresses.
    let mut world = World::new();
    let job = JobId::about(7 << 64, person("E-1").id());
    let (import, event) = ("i".to_owned(), Box::new(leave(20)));
    let words = [
        Word::Staged { import: import.clone(), job, event, leaves_at: None },
        Word::Apply { import, member: None, after: Vec::new() },
    ];
    let now = world.now;
    let entry = |(word, n)| (n, Entry { accepted_at: now, word, trace: None });
    let entries: Vec<_> = words.into_iter().zip(1..).map(entry).collect();
    let ending = world.work(&person("E-1"), &entries);
    assert_eq!((ending.next_state, ending.ended[0].1), (NextState::Idle, Finished::NotAMember));
}

#[test]
fn a_hire_without_an_address_waits_for_it() {
    let mut world = World::new();
    let ending = world.tell(&[hire(10, "-", "Ada", "Lovelace")]);
    assert_eq!(ending.next_state, NextState::Incomplete { at: None });
    assert_eq!(ending.document.missing, ["email"]);
    let ending = world.tell(&[update(20, "ada@example.com", "-", "-")]);
    assert_eq!(ending.ended.len(), 2);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

#[test]
fn who_waits_for_hr_does_not_count_as_failing() {
    let mut world = World::new();
    world.has_scope = false;
    world.people.insert("hr/E-1".to_owned(), {
        let mut document = Document::new(person("E-1"));
        (document.progress.failures, document.progress.failing_since) = (7, Some(world.now));
        document
    });
    let ending = world.tell(&[hire(10, "-", "Ada", "Lovelace")]);
    assert_eq!(ending.document.missing, ["email"]);
    let progress = &ending.document.progress;
    assert_eq!((progress.failures, progress.failing_since), (0, None));
}

/// A hire with an address that cannot be used.
fn hire_under_a_bad_address(at: i64) -> Event {
    let mut event = hire(at, "-", "Ada", "Lovelace");
    event.facts.unusable_email = true;
    event
}

#[test]
fn a_hire_under_an_unusable_address_waits_for_the_next_one() {
    let waits = |ending: &Ending| {
        assert_eq!(ending.next_state, NextState::Incomplete { at: None });
        assert_eq!(ending.document.missing, ["email"]);
    };
    let mut world = World::new();
    waits(&world.tell(&[hire_under_a_bad_address(10)]));
    world.tell(&[update(20, "ada@example.com", "-", "-")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    // A member stays in the team, under the address that they have.
    let ending = world.tell(&[hire_under_a_bad_address(30)]);
    assert_eq!((ending.next_state, ending.ended[0].1), (NextState::Idle, Finished::Unchanged));
    // Somebody who has left is not switched on under their former address.
    world.tell(&[leave(40)]);
    world.now = world.now.plus_ms(120_000);
    waits(&world.tell(&[hire_under_a_bad_address(50)]));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
    world.tell(&[update(60, "ada.king@example.com", "-", "-")]);
    let expected = ("ada.king@example.com".to_owned(), "Ada".to_owned(), "Lovelace".to_owned(), true);
    assert_eq!(world.team.users.iter().map(shown).collect::<Vec<_>>(), [expected]);
    // Nor is anybody invited under an address from an earlier event.
    let mut world = World::new();
    world.tell(&[update(10, "ada@example.com", "Ada", "Lovelace")]);
    waits(&world.tell(&[hire_under_a_bad_address(20)]));
    assert!(world.team.users.is_empty());
    world.tell(&[leave(30)]);
    assert!(world.team.users.is_empty());
}

#[test]
fn a_leave_ahead_of_time_waits_and_is_withdrawn_by_a_newer_hire() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let mut ahead = leave(20);
    ahead.facts.employment = Some((EmploymentState::Left, Some(world.now.plus_ms(3_600_000))));
    let ending = world.tell(&[ahead]);
    assert!(matches!(ending.next_state, NextState::Scheduled { .. }));
    assert_eq!(ending.document.open.len(), 1, "the leave is open until it takes effect");
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    world.tell(&[update(25, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true), "it blocks nothing");
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.next_state, NextState::Idle);
    assert!(ending.document.open.is_empty());
}

#[test]
fn an_announced_leave_outlives_the_discard_of_what_blocks_the_person() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let day = world.now.plus_ms(3_600_000);
    let mut ahead = leave(20);
    ahead.facts.employment = Some((EmploymentState::Left, Some(day)));
    world.tell(&[ahead]);
    world.faults = vec![Fault::None, Fault::Taken];
    let ending = world.tell(&[update(30, "ada.king@example.com", "-", "-")]);
    assert_eq!(ending.document.trouble.map(|trouble| trouble.code), Some(Code::ScimAddress));
    let discard = Word::Discard { by: "test".to_owned(), reason: None };
    let ending = world.work(&person("E-1"), &[(100, Entry { accepted_at: world.now, word: discard, trace: None })]);
    assert_eq!((ending.next_state, ending.document.open.len()), (NextState::Scheduled { at: day }, 1));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    world.now = day;
    let ending = world.work(&person("E-1"), &[]);
    assert_eq!((ending.ended[0].1, ending.document.not_followed_since), (Finished::Deactivated, None));
    assert_eq!(world.team.users[0]["active"], false);
}

#[test]
fn a_person_who_alone_is_rate_limited_repeatedly_is_marked_as_failing() {
    let (mut now, mut suspicions) = (UnixMs(1_000_000), Suspicions::default());
    let mut document = samples::ada("E-1", Some("ada@example.com"), "King", EmploymentState::Employed);
    let mut marked = Vec::new();
    for _ in 0..6 {
        let conclusion = Conclusion::RateLimited { until: now.plus_ms(20_000) };
        let state = AttemptState::new(document, false, now);
        document = decide(state, &conclusion, &mut suspicions, &RULES, now, 0.5).document;
        marked.push(document.marks().contains(&Mark::Failing));
        now = now.plus_ms(10_000);
        suspicions.served(CallKind::Write, person("E-2").id(), now);
        now = now.plus_ms(10_000);
    }
    assert_eq!(marked, [false, false, false, false, false, true]);
}

#[test]
fn an_update_of_a_person_possibly_beyond_the_search_bound_is_reported() {
    let mut world = World::new();
    for n in 0..2_001 {
        world.team.add(&format!("p{n}@example.com"), "P", "Q", true, &json!({}));
    }
    // A second event finds nobody either.
    for at in [10, 20] {
        let ending = world.tell(&[update(at, "ada@example.com", "-", "King")]);
        assert_eq!(ending.document.trouble.map(|trouble| trouble.code), Some(Code::ScimLookUp));
    }
    // The bound does not matter for somebody whom the filter finds.
    let ending = world.tell(&[update(30, "p7@example.com", "-", "King")]);
    assert_eq!(ending.document.trouble, None);
}
