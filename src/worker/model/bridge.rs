//! Which steps there are, and what must hold in every state.

use std::sync::Arc;

use stateright::{Model, Property};

use super::busy_worker::{BusyWorker, Next};
use super::world::{Flaw, Mishaps, World};
use crate::core::person::Event;
use crate::core::reconcile::team_tests::Fault;
use crate::core::reconcile::world_tests::shown;
use crate::store::{Accepted, Owned};

/// What HR says about one person, in any order, and what becomes of it.
pub(super) struct Bridge {
    pub(super) events: Vec<Event>,
    /// Names, and whether they are switched on.
    pub(super) ends: (&'static str, &'static str, bool),
    pub(super) workers: usize,
    pub(super) mishaps: Mishaps,
    pub(super) flaw: Flaw,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// HR sends an event, and gets the answer.
    Deliver(usize),
    /// HR sends an event, and hangs up before the answer.
    DeliverAndHangUp(usize),
    /// A remembered delivery is queued, and HR gets the answer.
    Queue,
    /// The intake dies between remembering and queueing.
    IntakeDies,
    /// A worker claims.
    Claim(usize),
    /// A worker makes its next step.
    Go(usize),
    /// A worker calls, and the reply is lost.
    LoseReply(usize),
    /// A worker dies.
    Crash(usize),
    /// A worker is so slow that its lease runs out.
    Expire(usize),
    /// Nobody works: time passes until a person is due.
    Pass,
}

impl Model for Bridge {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.events[0].person.id(), self.events.len(), self.workers, self.mishaps)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Act>) {
        let left = world.left;
        if world.half.is_some() {
            actions.push(Act::Queue);
            actions.extend((left.may(|left| &mut left.crashes)).then_some(Act::IntakeDies));
        } else {
            for n in (0..self.events.len()).filter(|n| !world.heard[*n]) {
                actions.push(Act::Deliver(n));
                actions.extend((left.may(|left| &mut left.hang_ups)).then_some(Act::DeliverAndHangUp(n)));
            }
        }
        // Workers are all alike: the first that has nothing to do claims.
        actions.extend(world.workers.iter().position(Option::is_none).map(Act::Claim));
        for (n, worker) in world.workers.iter().enumerate() {
            let Some(worker) = worker else { continue };
            actions.push(Act::Go(n));
            let calls = matches!(worker.next, Next::Send(_));
            actions.extend((calls && left.may(|left| &mut left.lost_replies)).then_some(Act::LoseReply(n)));
            actions.extend((left.may(|left| &mut left.crashes)).then_some(Act::Crash(n)));
            let is_valid = worker.lease.until > world.now;
            actions.extend((is_valid && left.may(|left| &mut left.expiries)).then_some(Act::Expire(n)));
        }
        if world.workers.iter().all(Option::is_none) {
            actions.push(Act::Pass);
        }
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut world = world.before_step();
        match act {
            Act::Deliver(n) => self.deliver(&mut world, n, true),
            Act::DeliverAndHangUp(n) => {
                world.left.happens(|left| &mut left.hang_ups);
                self.deliver(&mut world, n, false);
            }
            Act::Queue => {
                let n = world.half.take()?;
                world.accept(n, &self.events[n], false, true);
                world.heard[n] = true;
            }
            Act::IntakeDies => {
                world.left.happens(|left| &mut left.crashes);
                world.half = None;
            }
            Act::Claim(n) => {
                let claimed = world.claim().ok()?;
                world.workers[n] = BusyWorker::new(&claimed, world.now, |key| world.owner(key)).map(Arc::new);
            }
            Act::Go(n) => self.go(&mut world, n, Fault::None),
            Act::LoseReply(n) => {
                world.left.happens(|left| &mut left.lost_replies);
                self.go(&mut world, n, Fault::LostAfter);
            }
            Act::Crash(n) => {
                world.left.happens(|left| &mut left.crashes);
                world.workers[n] = None;
            }
            Act::Expire(n) => {
                world.left.happens(|left| &mut left.expiries);
                world.now = world.workers[n].as_ref()?.lease.until;
            }
            Act::Pass => {
                // On a copy: the claim itself is made by `Claim`.
                let until = world.clone().claim().err()??;
                world.now = until.max(world.now);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(LOST, |model: &Self, world: &World| world.has_all(&model.events)),
            Property::always(ORDER, |_: &Self, world: &World| !world.went_back),
            Property::always(FENCE, |_: &Self, world: &World| !world.stale_taken),
            Property::always(ONE, |_: &Self, world: &World| world.team.users.len() <= 1),
            Property::always(IN_LINE, |model: &Self, world: &World| !world.is_done() || model.is_in_line(world)),
            Property::eventually(ENDS, |_: &Self, world: &World| world.is_done()),
            // The interesting cases do occur.
            Property::sometimes("a lane is taken over", |_: &Self, world: &World| world.taken_over),
            Property::sometimes("a late commit is refused", |_: &Self, world: &World| world.stale_refused),
            Property::sometimes("a delivery is known again", |_: &Self, world: &World| world.known_again),
        ]
    }
}

pub(super) const LOST: &str = "nothing that was accepted is lost";
pub(super) const ORDER: &str = "no commit goes back behind an earlier one";
pub(super) const FENCE: &str = "no commit under an old fence is taken";
pub(super) const ONE: &str = "there is at most one member";
pub(super) const IN_LINE: &str = "the member ends as the newest facts say";
pub(super) const ENDS: &str = "it comes to an end";

impl Bridge {
    fn deliver(&self, world: &mut World, n: usize, is_heard: bool) {
        let at_once = self.flaw != Flaw::RememberBeforeQueue;
        let accepted = world.accept(n, &self.events[n], true, at_once);
        if at_once || accepted != Accepted::Stored {
            world.heard[n] |= is_heard;
        } else {
            world.half = Some(n);
        }
    }

    fn go(&self, world: &mut World, n: usize, fault: Fault) {
        let Some(worker) = world.workers[n].take() else { return };
        let mut worker = BusyWorker::clone(&worker);
        let now = world.now;
        world.workers[n] = match worker.next.clone() {
            Next::Own(keys) => match world.own(&worker.lease, keys.clone()) {
                Owned::Yes => Some(worker.learn_claim(&keys, now)),
                Owned::Stale => None,
                Owned::By(_) => panic!("there is nobody else"),
            },
            Next::Send(_) => {
                // No call begins without a lease that outlives it.
                if worker.lease.until <= now {
                    match world.renew(&worker.lease) {
                        None => return,
                        Some(lease) => worker = worker.renewed(lease),
                    }
                }
                let next = world.call(&worker, fault);
                Some(worker.with(next))
            }
            Next::Learn(request, reply) => Some(worker.learn(&request, &reply, now)),
            Next::Commit(commit) if self.flaw == Flaw::CommitInTwoSteps => {
                world.consume(&worker.lease, &commit).then(|| worker.with(Next::CommitRest(commit)))
            }
            Next::Commit(commit) | Next::CommitRest(commit) => {
                world.commit(&worker.lease, *commit, self.flaw);
                None
            }
        }
        .map(Arc::new);
    }

    fn is_in_line(&self, world: &World) -> bool {
        let (given, family, is_active) = self.ends;
        let mut users = world.team.users.iter().map(shown);
        match users.next() {
            None => !is_active,
            Some((_, _, _, false)) => !is_active && users.next().is_none(),
            Some(user) => is_active && (user.1.as_str(), user.2.as_str()) == (given, family) && users.next().is_none(),
        }
    }
}
