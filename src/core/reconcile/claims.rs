//! Who has which claim, over all people of a plan: the plan makes the claims that the workers will make, in its own
//! order.

use std::collections::BTreeMap;

use super::claim_result::ClaimResult;
use super::owner::{self, Owner};
use crate::core::person::document::Groups;
use crate::core::person::{Document, Person};
use crate::core::time::UnixMs;

/// How far a ring of people who swap addresses is followed, as by a worker.
const RING_MAX: usize = 64;

/// A claim in a plan.
#[derive(Debug, Clone)]
struct Held {
    owner: Owner,
    /// They are planned for: what they will have is known.
    is_planned: bool,
}

/// How far a plan has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Turn {
    /// Nobody waits for anybody: a preview of one person.
    #[default]
    Only,
    /// Nobody is planned for yet: whoever waits for what others give up is planned for later.
    First,
    /// Those who have waited are planned for again.
    Again,
    /// Nobody else gives anything up.
    Last,
}

/// What claiming came to.
#[derive(Debug)]
pub enum Claiming {
    /// As a worker would see it.
    Claimed {
        /// What the attempt learns.
        claimed: Box<ClaimResult>,
        /// Whose member is taken over, as they are by then.
        from: Option<Box<Owner>>,
        /// Somebody who would give it up, but is not part of the plan.
        waits_for: Option<Person>,
    },
    /// The owner gives it up, and is not planned for yet.
    Later,
}

/// The owner of each claim, by key, over all people of a plan.
#[derive(Debug, Default)]
pub struct Claims {
    held: BTreeMap<String, Held>,
    /// What somebody who is planned for gives up.
    freed: BTreeMap<String, Person>,
    /// What the present person has claimed, with what was there before.
    made: Vec<(String, Option<Held>)>,
    /// The people who come before the present person at something that both claim.
    met: Vec<Person>,
    turn: Turn,
}

impl Claims {
    /// Nobody has claimed anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes an owner. Returns the one before.
    pub fn insert(&mut self, key: String, owner: Owner) -> Option<Owner> {
        self.held.insert(key, Held { owner, is_planned: false }).map(|before| before.owner)
    }

    /// The person who has a claim.
    #[must_use]
    pub fn owner(&self, key: &str) -> Option<&Person> {
        self.held.get(key).map(|held| &held.owner.person)
    }

    /// Starts with the next person.
    pub fn begin(&mut self, turn: Turn) {
        (self.turn, self.made, self.met) = (turn, Vec::new(), Vec::new());
    }

    /// The people planned for earlier who claim what the present person claims, too, or give it up: they go first.
    pub fn take_met(&mut self) -> Vec<Person> {
        std::mem::take(&mut self.met)
    }

    /// Undoes what the present person has claimed: they are planned for later, or not at all.
    pub fn undo(&mut self) {
        for (key, before) in std::mem::take(&mut self.made).into_iter().rev() {
            match before {
                Some(before) => self.held.insert(key, before),
                None => self.held.remove(&key),
            };
        }
    }

    /// Claims for a person what their attempt asks for.
    pub fn claim(&mut self, keys: &[String], document: &Document, now: UnixMs) -> Claiming {
        let me = &document.person;
        self.note_met(keys, me);
        let ours = |claims: &mut Self, keys: &[String]| {
            for key in keys {
                let held = Held { owner: Owner::of(document, key, now), is_planned: true };
                let before = claims.held.insert(key.clone(), held);
                claims.made.push((key.clone(), before));
            }
        };
        let others = keys.iter().find_map(|key| self.held.get(key).filter(|held| held.owner.person != *me));
        let Some(Held { owner, is_planned }) = others.cloned() else {
            ours(self, keys);
            return Claiming::Claimed { claimed: Box::new(ClaimResult::Ours), from: None, waits_for: None };
        };
        let ring = self.ring(&owner, document);
        let owner = owner.in_ring(ring);
        let is_awaited = !is_planned && owner.gives_it_up() && !owner.changes_places_with(document);
        if is_awaited && matches!(self.turn, Turn::First | Turn::Again) {
            return Claiming::Later;
        }
        // By then, what is planned for the owner will have been done.
        let owner = owner.followed();
        if !owner.hands_over_to(document, now) {
            let waits_for = (is_awaited && self.turn == Turn::Last).then(|| owner.person.clone());
            return Claiming::Claimed { claimed: Box::new(ClaimResult::Others(owner)), from: None, waits_for };
        }
        let person = owner.person.clone();
        // The member goes over whole, whichever claim on it was asked for.
        let along: Vec<_> = owner.claims_on_member().filter(|key| self.owner(key) == Some(&person)).collect();
        ours(self, keys);
        ours(self, &along);
        let from = Some(Box::new(owner));
        let groups = Groups::default();
        let claimed = Box::new(ClaimResult::TakenFrom { person, member: None, along: Vec::new(), groups });
        Claiming::Claimed { claimed, from, waits_for: None }
    }

    /// Notes what a person will have once their plan is done, and what they give up.
    pub fn settle(&mut self, before: &[String], document: &Document, is_blocked: bool, now: UnixMs) {
        let has = document.member.as_ref().map(owner::claims_on).unwrap_or_default();
        let made: Vec<_> = std::mem::take(&mut self.made).into_iter().map(|(key, _)| key).collect();
        for key in before.iter().chain(&made).chain(&has) {
            if self.owner(key).is_some_and(|owner| *owner != document.person) {
                continue;
            }
            if is_blocked || has.contains(key) || (document.member.is_none() && made.contains(key)) {
                let owner = Owner::of(document, key, now).blocked(is_blocked);
                self.held.insert(key.clone(), Held { owner, is_planned: true });
            } else if self.held.remove(key).is_some() {
                self.freed.insert(key.clone(), document.person.clone());
            }
        }
    }

    fn note_met(&mut self, keys: &[String], me: &Person) {
        for key in keys {
            let planned = self.held.get(key).filter(|held| held.is_planned).map(|held| &held.owner.person);
            for person in planned.into_iter().chain(self.freed.get(key)) {
                if person != me && !self.met.contains(person) {
                    self.met.push(person.clone());
                }
            }
        }
    }

    /// The people who swap addresses with this person: see the worker's own ring.
    fn ring(&self, first: &Owner, by: &Document) -> Vec<Person> {
        let Some(mine) = owner::address_given_up(by) else { return Vec::new() };
        let mut ring = vec![first.person.clone()];
        let mut wants = first.moves_to();
        while let Some(key) = wants.filter(|_| ring.len() < RING_MAX) {
            if key == mine {
                return ring;
            }
            let Some(next) = self.held.get(key).map(|held| &held.owner) else { break };
            if next.person == by.person || ring.contains(&next.person) {
                break;
            }
            ring.push(next.person.clone());
            wants = next.moves_to();
        }
        Vec::new()
    }
}
