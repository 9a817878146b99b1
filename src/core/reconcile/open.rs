//! Writes whose outcome is not known. A read that shows what HR wants is no proof as long as such a write may have set
//! something else, or may still do so.

use super::attempt::AttemptState;
use super::carrier::Carrier;
use super::conclusion::Aspect;
use super::member;
use super::request::{Active, Request};
use super::rules::{PlanRules, WantedMembership, membership_wanted};
use crate::core::person::{KnownMember, OpenWrite};
use crate::core::time::UnixMs;

impl AttemptState {
    /// Notes that a write may have taken effect. `may_land`: it brought no answer, or an error, so it may also take
    /// effect later.
    pub(super) fn note_open(&mut self, rules: &PlanRules, request: &Request, may_land: bool, now: UnixMs) {
        let membership = membership_wanted(&self.document, rules, now);
        let until = now.plus_ms(rules.read_lag_ms);
        let Some(known) = &mut self.document.member else { return };
        if known.id.as_deref() != request.member_id() {
            return;
        }
        for (aspect, value) in written(request) {
            // A PUT also carries what somebody else switched: that is not HR's word.
            if aspect != Aspect::Membership || wanted_membership(membership) == Some(value) {
                known.note_open(OpenWrite { aspect, value, until, is_uncovered: true, may_land });
            }
        }
    }

    /// A worker died during an earlier attempt, and may have written what HR wanted when it had folded a part of the
    /// inbox. Which part is not known, nor what a read at the HR system brought it. One look at the member is proof
    /// enough for now; another one follows if the write may still undo what it shows.
    pub fn guess_writes(&mut self, wishes: &[(Aspect, u32)], rules: &PlanRules, now: UnixMs) {
        let until = now.plus_ms(rules.read_lag_ms);
        let document = &self.document;
        let is_other =
            |(aspect, value): &&(Aspect, u32)| document.wanted(*aspect, now).is_some_and(|now| now != *value);
        let guess =
            |&(aspect, value): &(Aspect, u32)| OpenWrite { aspect, value, until, is_uncovered: false, may_land: true };
        self.guessed = wishes.iter().filter(is_other).map(guess).collect();
        self.note_guessed();
    }

    /// Notes what a dead worker may have written, as soon as it is known about which member.
    pub(super) fn note_guessed(&mut self) {
        let Some(known) = self.document.member.as_mut().filter(|known| known.id.is_some()) else { return };
        for write in self.guessed.drain(..) {
            if !known.may_have(write.aspect, write.value) {
                known.note_open(write);
            }
        }
    }

    /// Whether what HR wants of this aspect must be written although a read shows it.
    pub(super) fn must_cover(&self, aspect: Aspect, membership: WantedMembership, now: UnixMs) -> bool {
        let wanted = match aspect {
            Aspect::Membership => wanted_membership(membership),
            Aspect::Address | Aspect::Names | Aspect::Groups => self.document.wanted(aspect, now),
        };
        let open = self.document.member.iter().flat_map(|known| &known.open_writes);
        let is_uncovered = |write: &OpenWrite| write.aspect == aspect && write.is_uncovered && write.until > now;
        wanted.is_some_and(|wanted| open.filter(|write| is_uncovered(write)).any(|write| write.value != wanted))
    }

    /// Whether this membership, as a read shows it, may come from a write of ours whose outcome is not known.
    pub(super) fn may_have_switched(&self, active: bool) -> bool {
        self.document.member.as_ref().is_some_and(|known| known.may_have_switched(active))
    }
}

fn wanted_membership(membership: WantedMembership) -> Option<u32> {
    match membership {
        WantedMembership::Employed => Some(u32::from(true)),
        WantedMembership::Left => Some(u32::from(false)),
        WantedMembership::Unsaid => None,
    }
}

/// The aspects that a request sets, each with a hash of its value. A PUT sets all.
fn written(request: &Request) -> Vec<(Aspect, u32)> {
    let names = |given: &Option<String>, family: &Option<String>| {
        (Aspect::Names, KnownMember::open_names(given.as_deref(), family.as_deref()))
    };
    match request {
        Request::Replace { body, .. }
        | Request::SetActive { by: Carrier::Put { body, .. }, .. }
        | Request::SetUserName { by: Carrier::Put { body, .. }, .. } => {
            let Some(put) = member::read(body.as_bytes(), None) else { return Vec::new() };
            let active = match put.active {
                Active::On => Some((Aspect::Membership, u32::from(true))),
                Active::Off => Some((Aspect::Membership, u32::from(false))),
                Active::Unknown => None,
            };
            let address = (Aspect::Address, KnownMember::address_hash(&put.user_name));
            active.into_iter().chain([address, names(&put.given_name, &put.family_name)]).collect()
        }
        Request::SetActive { active, by: Carrier::Patch, .. } => vec![(Aspect::Membership, u32::from(*active))],
        Request::SetUserName { user_name, by: Carrier::Patch, .. } => {
            vec![(Aspect::Address, KnownMember::address_hash(user_name))]
        }
        Request::SetNames { given_name, family_name, .. } => vec![names(given_name, family_name)],
        Request::Create(_)
        | Request::Get { .. }
        | Request::Find { .. }
        | Request::FindExternalId { .. }
        | Request::Page { .. }
        | Request::Probe
        | Request::Discover
        | Request::Group(_) => Vec::new(),
    }
}
