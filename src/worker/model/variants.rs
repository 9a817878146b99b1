//! The properties hold in every state up to the bound. With a flaw in one step, the model finds a counterexample.

use stateright::{Checker, HasDiscoveries, Model};

use super::bridge::{Bridge, FENCE, LOST, ORDER};
use super::world::{Flaw, Mishaps};
use crate::core::reconcile::world_tests::{hire, leave, update};

/// Any two things go wrong: this takes some seconds in a debug build.
const TWO: Mishaps = Mishaps { all: 2, crashes: 1, expiries: 1, hang_ups: 1, lost_replies: 1 };
/// Any three go wrong, two of them perhaps the same: this takes minutes, so only `script/soak` runs it.
const THREE: Mishaps = Mishaps { all: 3, crashes: 2, expiries: 2, hang_ups: 2, lost_replies: 2 };

/// A person is hired, and marries.
fn marries(flaw: Flaw) -> Bridge {
    Bridge {
        events: vec![hire(10, "ada@example.com", "Ada", "Byron"), update(20, "-", "-", "Lovelace")],
        ends: ("Ada", "Lovelace", true),
        workers: 2,
        mishaps: TWO,
        flaw,
    }
}

/// A person is hired, and leaves.
fn leaves() -> Bridge {
    Bridge {
        events: vec![hire(10, "ada@example.com", "Ada", "Byron"), leave(20)],
        ends: ("Ada", "Byron", false),
        ..marries(Flaw::None)
    }
}

fn holds(model: Bridge) {
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    eprintln!("{} states, {} deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// Finds a way in which a property does not hold.
fn fails(flaw: Flaw, property: &'static str) {
    let finish = HasDiscoveries::AllOf([property].into());
    let checker = marries(flaw).checker().threads(2).finish_when(finish).spawn_bfs().join();
    let path = checker.discovery(property).expect("a counterexample");
    eprintln!("{property}: not with {flaw:?}: {:?}", path.into_actions());
}

#[test]
fn a_change_of_name_holds_in_every_state() {
    holds(marries(Flaw::None));
}

#[test]
fn a_leave_holds_in_every_state() {
    holds(leaves());
}

#[test]
#[ignore = "takes minutes: script/soak runs it"]
fn both_hold_in_every_state_where_more_goes_wrong() {
    holds(Bridge { mishaps: THREE, ..marries(Flaw::None) });
    holds(Bridge { mishaps: THREE, ..leaves() });
}

#[test]
fn without_fences_accepted_events_are_lost() {
    fails(Flaw::NoFence, LOST);
}

#[test]
fn without_fences_a_commit_undoes_a_newer_one() {
    fails(Flaw::NoFence, ORDER);
    fails(Flaw::NoFence, FENCE);
}

#[test]
fn a_commit_in_two_steps_loses_accepted_events() {
    fails(Flaw::CommitInTwoSteps, LOST);
}

#[test]
fn a_delivery_remembered_before_it_is_queued_is_lost() {
    fails(Flaw::RememberBeforeQueue, LOST);
}
