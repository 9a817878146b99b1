//! Writes of unknown outcome, and what HR says next.

use super::team_tests::{Fault, Team};
use super::verdict::{Ending, NextState};
use super::world_tests::{World, hire, leave, shown, update};
use crate::core::person::Event;

type Shown = (String, String, String, bool);

fn member(address: &str, family: &str, active: bool) -> Shown {
    (address.to_owned(), "Ada".to_owned(), family.to_owned(), active)
}

/// What HR says, what it says next, and the member that it wants in the end; each is about somebody who works there,
/// or has left.
fn opposites() -> Vec<(bool, Event, Event, Shown)> {
    let (ada, king) = ("ada@example.com", "ada.king@example.com");
    let back = || hire(30, ada, "Ada", "Byron");
    vec![
        (true, leave(20), back(), member(ada, "Byron", true)),
        (false, hire(20, ada, "Ada", "Byron"), leave(30), member(ada, "Byron", false)),
        (true, update(20, "-", "-", "King"), update(30, "-", "-", "Byron"), member(ada, "Byron", true)),
        (true, update(20, "-", "-", "King"), update(30, "-", "-", "Stone"), member(ada, "Stone", true)),
        (true, update(20, king, "-", "-"), update(30, ada, "-", "-"), member(ada, "Byron", true)),
    ]
}

/// Somebody who has been in the team for long, and works there, or has left.
fn begun(mut world: World, works: bool) -> World {
    world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
    world.now = world.now.plus_ms(600_000);
    if !works {
        world.tell(&[leave(15)]);
        world.now = world.now.plus_ms(600_000);
    }
    world.team.calls.clear();
    world
}

/// The write for the first word meets this fault, and the second word comes before it is tried again.
fn contradicted(world: &mut World, fault: Fault, first: Event, second: Event) -> Ending {
    // A provider is asked first what it can do.
    let reads = if world.team.patches_names { 2 } else { 1 };
    world.faults = vec![Fault::None; reads];
    world.faults.push(fault);
    world.arriving = vec![second];
    let ending = world.tell(&[first]);
    assert!(world.arriving.is_empty() && world.faults.is_empty(), "{:?}", world.calls());
    ending
}

fn worlds() -> [World; 3] {
    let without_patch = Team { no_patch: true, ..Team::default() };
    [World::new(), World::of_a_provider(Team::default()), World::of_a_provider(without_patch)]
}

#[test]
fn a_read_that_lags_behind_an_unanswered_write_is_no_proof() {
    for fault in [Fault::LostAfter, Fault::ErrorAfter, Fault::BareAfter] {
        for (works, first, second, expected) in opposites() {
            for world in worlds() {
                let mut world = begun(world, works);
                world.team.lag_ms = 30_000;
                let what = format!("{fault:?} {:?} {:?}", first.kind, second.facts.names());
                contradicted(&mut world, fault, first.clone(), second.clone());
                assert_eq!(shown(&world.team.users[0]), expected, "{what}: {:?}", world.calls());
                let ending = world.pass(600_000);
                assert_eq!(shown(&world.team.users[0]), expected, "{what}, later: {:?}", world.calls());
                assert_eq!(ending.next_state, NextState::Idle, "{what}");
            }
        }
    }
}

#[test]
fn a_write_that_takes_effect_late_is_seen_and_undone() {
    for (works, first, second, expected) in opposites() {
        for (n, world) in worlds().into_iter().enumerate() {
            let mut world = begun(world, works);
            let what = format!("{:?} {:?}, target {n}", first.kind, second.facts.names());
            let ending = contradicted(&mut world, Fault::LandsLate(20_000), first.clone(), second.clone());
            assert!(matches!(ending.next_state, NextState::Scheduled { .. }), "{what}: {:?}", ending.next_state);
            assert!(ending.document.open.is_empty(), "{what}: what HR said is in effect");
            let ending = world.pass(600_000);
            assert!(world.team.late.is_empty());
            assert_eq!(shown(&world.team.users[0]), expected, "{what}: {:?}", world.calls());
            assert_eq!(ending.next_state, NextState::Idle, "{what}");
        }
    }
}

#[test]
fn a_late_put_of_names_that_switches_a_leaver_on_is_undone() {
    let mut world = begun(World::new(), true);
    contradicted(&mut world, Fault::LandsLate(20_000), update(20, "-", "-", "King"), leave(30));
    world.pass(600_000);
    assert_eq!(shown(&world.team.users[0]), member("ada@example.com", "King", false), "{:?}", world.calls());
}

#[test]
fn what_a_dead_worker_may_still_write_is_seen_and_undone() {
    for (works, first, second, expected) in opposites() {
        let mut world = begun(World::new(), works);
        world.faults = vec![Fault::None, Fault::LandsLate(90_000)];
        world.crashes = vec![2];
        world.arriving = vec![second.clone()];
        world.tell(std::slice::from_ref(&first));
        assert!(world.arriving.is_empty() && world.crashes.is_empty());
        let ending = world.pass(600_000);
        assert!(world.team.late.is_empty());
        assert_eq!(shown(&world.team.users[0]), expected, "{:?}: {:?}", second.facts.names(), world.calls());
        assert_eq!(ending.next_state, NextState::Idle);
    }
}

#[test]
fn an_unanswered_write_costs_one_write_and_one_look_and_only_if_hr_says_otherwise() {
    let (get, patch) = ("GET /Users/{id}", "PATCH /Users/{id} active");
    let back = hire(30, "ada@example.com", "Ada", "Byron");
    let repeated = update(30, "-", "-", "-");
    for (fault, second, expected) in [
        // It took effect, and a read shows it: nothing else is written.
        (Fault::LostAfter, repeated.clone(), vec![get, patch, get]),
        (Fault::LostBefore, repeated, vec![get, patch, get, patch]),
        (Fault::LostAfter, back.clone(), vec![get, patch, get, patch, get]),
        (Fault::LostBefore, back.clone(), vec![get, patch, get, patch, get]),
        // A refusal had no effect.
        (Fault::Limited, back, vec![get, patch, get]),
    ] {
        let mut world = begun(World::new(), true);
        contradicted(&mut world, fault, leave(20), second);
        let ending = world.pass(600_000);
        assert_eq!(world.calls(), expected, "{fault:?}");
        assert_eq!(ending.next_state, NextState::Idle);
    }
}

#[test]
fn a_worker_that_died_over_one_word_costs_no_other_look() {
    for calls in [1, 2] {
        let mut world = begun(World::new(), true);
        world.crashes = vec![calls];
        let ending = world.tell(&[leave(30)]);
        assert_eq!(ending.next_state, NextState::Idle);
        assert_eq!(world.team.writes(), 1, "{:?}", world.calls());
    }
}

/// Somebody whom an administrator has switched off stays off, although a PUT that brought no answer carried that.
#[test]
fn a_put_of_what_others_switched_is_no_word_of_hrs() {
    let mut world = begun(World::new(), true);
    world.team.users[0]["active"] = serde_json::json!(false);
    contradicted(&mut world, Fault::LostAfter, update(20, "-", "-", "King"), update(30, "-", "-", "Stone"));
    world.pass(600_000);
    assert_eq!(shown(&world.team.users[0]), member("ada@example.com", "Stone", false), "{:?}", world.calls());
}
