//! A record whose member was handed over to another person: it is closed, unless HR shows that it should not be.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::core::person::email::{AddressHash, Email};
use crate::core::person::employment::{EmploymentState, Scope};
use crate::core::person::fact::{Fact, Stamp};
use crate::core::person::identity::Person;
use crate::core::time::UnixMs;

/// A record whose member was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The member's new owner.
    pub to: Person,
    /// The new owner has another name: it is another human being, not the same one under a new id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_another: bool,
    /// When the member was handed over, by the bridge's clock.
    pub at: UnixMs,
    /// HR's newest statement about the new owner at that time, by HR's clock: what it says later about this person is newer,
    /// however late or early it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<UnixMs>,
    /// The address that HR gave for the new owner at that time.
    #[serde(default, alias = "address", skip_serializing_if = "Option::is_none")]
    pub address_hash: Option<AddressHash>,
    /// What HR has said since then about the member's new owner, as far as it matters to this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerNow>,
}

impl Closed {
    /// What HR says from then on is newer than the hand-over. Older versions knew only the bridge's own time of it.
    pub(super) fn said_at(&self) -> UnixMs {
        self.said_at.unwrap_or(self.at)
    }

    /// Whether a statement is newer than the one for which the member was handed over.
    fn is_before(&self, stamp: &Stamp) -> bool {
        match self.said_at {
            Some(said_at) => stamp.at > said_at || (stamp.at == said_at && stamp.accepted_at > self.at),
            None => stamp.accepted_at > self.at && stamp.at >= self.at,
        }
    }

    /// Whether HR has changed the new owner's address since the hand-over: then they are two human beings, whatever
    /// their names.
    #[must_use]
    pub fn owner_has_moved(&self) -> bool {
        self.owner.is_some_and(|owner| owner.has_moved)
    }

    /// Says to whom the member was handed over, and what has since cast doubt on it.
    #[must_use]
    pub fn describe(&self) -> String {
        let owner = self.owner.unwrap_or_default();
        let since = match (owner.has_moved, owner.left) {
            (_, Some(_)) => ", who has left",
            (true, None) => ", to whom HR has given another address since",
            (false, None) if owner.is_out_of_sight => {
                ", who no longer notifies this record (too many records asked for it)"
            }
            (false, None) => "",
        };
        format!("their member was handed over to {}{since}", self.to)
    }

    /// When the new owner left.
    #[must_use]
    pub fn owner_left_at(&self) -> Option<UnixMs> {
        self.owner.and_then(|owner| owner.left)
    }

    /// Whether what HR has said since casts doubt on the new owner being the same human being.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.owner.is_some_and(|owner| owner.has_moved || owner.left.is_some() || owner.is_out_of_sight)
    }
}

/// What HR says about the person to whom a member was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnerNow {
    /// HR has changed their address since the hand-over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_moved: bool,
    /// When they left or went out of scope, or when HR said so, whichever is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<UnixMs>,
    /// No more notifications about them will come: too many records asked for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_out_of_sight: bool,
}

impl OwnerNow {
    /// Derived from that person's record; `address` is that at the hand-over.
    #[must_use]
    pub fn of(record: &Record, address: Option<AddressHash>, now: UnixMs) -> Self {
        let out = record.scope.at(now).filter(|word| word.state == Scope::Out).map(|word| word.from.max(word.stamp.at));
        let left = record.employment.at(now).filter(|word| word.state == EmploymentState::Left);
        let left = left.map(|word| word.from.max(word.stamp.at));
        let has_moved =
            address.zip(record.email()).is_some_and(|(before, email)| AddressHash::of(email.key()) != before);
        Self { has_moved, left: left.max(out), is_out_of_sight: false }
    }

    /// For two people who owned the member one after the other: what is true of either.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        Self {
            has_moved: self.has_moved || next.has_moved,
            left: self.left.max(next.left),
            is_out_of_sight: self.is_out_of_sight || next.is_out_of_sight,
        }
    }
}

impl Record {
    /// Whether somebody whose member was handed over should get a new one. Since the hand-over HR must have said that
    /// they work there, or will; and the new owner must be another human being: either their names differ and HR has
    /// since given an address for this person, or HR has changed the new owner's address. If the new owner has left, it
    /// is enough that HR has hired this person after that, even if they are the same human being.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        let Some(closed) = &self.closed else { return false };
        let is_since = |stamp: &Stamp| closed.is_before(stamp);
        let in_scope = self.scope.counting().filter(|word| word.state == Scope::In).max_by_key(|word| word.stamp);
        let hired = self.newest_hire().map(|word| word.stamp).filter(is_since);
        let is_said = hired.is_some() || in_scope.is_some_and(|word| is_since(&word.stamp));
        let is_own = |email: &Fact<Email>| {
            email.stamp.accepted_at > closed.at || closed.address_hash != Some(AddressHash::of(email.value.key()))
        };
        let has_own_address = self.email.as_ref().is_some_and(|email| is_since(&email.stamp) && is_own(email));
        let is_another = (closed.is_another && has_own_address) || closed.owner_has_moved();
        // It would not have been handed over, had this arrived in HR's order.
        if self.works_here() && self.had_moved_away(closed) {
            return true;
        }
        let is_newer = closed.owner_left_at().is_some_and(|left| hired.is_some_and(|hired| hired.at > left));
        self.works_here() && ((is_said && is_another) || is_newer)
    }

    /// Whether they work there but have no member: it was handed over to somebody who seems to be another human being,
    /// and HR has said nothing since that gives them a new one.
    #[must_use]
    pub fn lacks_member(&self) -> bool {
        let Some(closed) = &self.closed else { return false };
        let has_own_address =
            closed.address_hash.zip(self.email()).is_some_and(|(had, own)| had != AddressHash::of(own.key()));
        (closed.is_doubtful() || has_own_address) && self.works_here() && !self.comes_back()
    }

    /// Whether HR had given them another address before it gave theirs to the new owner, and that arrived afterwards.
    fn had_moved_away(&self, closed: &Closed) -> bool {
        let (Some(email), Some(handed), Some(said_at)) = (&self.email, closed.address_hash, closed.said_at) else {
            return false;
        };
        let is_late = email.stamp.accepted_at > closed.at && email.stamp.at <= said_at;
        is_late && AddressHash::of(email.value.key()) != handed
    }
}
