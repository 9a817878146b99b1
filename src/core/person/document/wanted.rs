//! What HR wants of each aspect of the member, as writes of unknown outcome are compared with it, and when such writes
//! call for another look.

use super::{Document, KnownMember};
use crate::core::person::{Aspect, EmploymentState, OpenWrite};
use crate::core::time::UnixMs;

/// The aspects that one write to a member sets.
const WRITTEN: [Aspect; 3] = [Aspect::Membership, Aspect::Address, Aspect::Names];
/// How many wishes are remembered: they are kept only while an inbox is folded.
const WISHES_MAX: usize = 32;

impl Document {
    /// A hash of the value that this aspect should have by HR's word; none if HR says nothing about it.
    #[must_use]
    pub fn wanted(&self, aspect: Aspect, now: UnixMs) -> Option<u32> {
        let record = &self.record;
        match aspect {
            Aspect::Membership => record.membership(now).map(|state| u32::from(state == EmploymentState::Employed)),
            Aspect::Address => {
                let email = record.email().filter(|_| !record.waits_for_email())?;
                Some(KnownMember::address_hash(email.lower()))
            }
            Aspect::Names => {
                let (given, family) = (record.given_name(), record.family_name());
                given.or(family)?;
                let member = self.member.as_ref();
                let given = given.or(member.and_then(|member| member.given_name.as_deref()));
                let family = family.or(member.and_then(|member| member.family_name.as_deref()));
                Some(KnownMember::open_names(given, family))
            }
            Aspect::Groups => None,
        }
    }

    /// Adds what HR wants now: a worker that has folded this far may write it.
    pub(in crate::core::person) fn note_wishes(&self, wishes: &mut Vec<(Aspect, u32)>, now: UnixMs) {
        for aspect in WRITTEN {
            let wish = self.wanted(aspect, now).map(|value| (aspect, value));
            let is_new = wish.is_some_and(|wish| !wishes.contains(&wish));
            wishes.extend(wish.filter(|_| is_new && wishes.len() < WISHES_MAX));
        }
    }

    /// Whether an attempt was still owed before the inbox was folded, so that a worker may have made it.
    pub(in crate::core::person) fn owes_attempt(&self) -> bool {
        !self.open.is_empty() || self.trouble.is_some() || !self.progress.is_new()
    }

    fn may_undo(&self, write: &OpenWrite, now: UnixMs) -> bool {
        write.may_land && self.wanted(write.aspect, now).is_some_and(|wanted| wanted != write.value)
    }

    /// Whether an open write may still undo this aspect.
    #[must_use]
    pub fn may_be_undone(&self, aspect: Aspect, now: UnixMs) -> bool {
        let open = self.member.iter().flat_map(|member| &member.open_writes);
        open.filter(|write| write.aspect == aspect).any(|write| self.may_undo(write, now))
    }

    /// When the member is looked at once more, because a write that brought no answer may still undo what HR wants.
    #[must_use]
    pub fn second_look(&self, now: UnixMs) -> Option<UnixMs> {
        if self.record.closed.is_some() || self.not_followed_since.is_some() {
            return None;
        }
        let open = self.member.iter().flat_map(|member| &member.open_writes);
        open.filter(|write| self.may_undo(write, now)).map(|write| write.until).min()
    }

    /// Forgets the open writes whose time is over: a read since then has shown what came of them, or no read shows the
    /// member. `was_shown`: a reply of this attempt did.
    pub fn settle_open_writes(&mut self, was_shown: bool, now: UnixMs) {
        if let Some(member) = &mut self.member {
            let seen_at = member.seen_at;
            member.open_writes.retain(|write| write.until > now || (was_shown && write.until > seen_at));
        }
    }
}
