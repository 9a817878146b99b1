//! The result of a claim on a member or an address, and how the attempt goes on after it.

use super::attempt::AttemptState;
use super::conclusion::{Conclusion, try_again};
use super::groups;
use super::owner;
use super::reply::Outcome;
use super::request::Request;
use super::rules::{PlanRules, WantedMembership, membership_wanted};
use super::search::Search;
use crate::core::code::Code;
use crate::core::person::document::{Groups, Standstill};
use crate::core::person::job::Finished;
use crate::core::person::{Email, EmploymentState, KnownMember, Person};
use crate::core::time::UnixMs;

/// The result of a claim on a member or an address.
#[derive(Debug, Clone)]
pub enum ClaimResult {
    /// It is this person's.
    Ours,
    /// It was taken over from somebody; the same step put an entry into their inbox.
    TakenFrom {
        /// The former owner.
        person: Person,
        /// The member as they last read or wrote it.
        member: Option<Box<KnownMember>>,
        /// Claims that came with it, besides those asked for.
        along: Vec<String>,
        /// The groups that they put the member into, or may have put them into.
        groups: Groups,
    },
    /// It is somebody else's.
    Others(owner::Owner),
}

impl AttemptState {
    /// Takes in the result of a claim.
    pub fn learn_claim(&mut self, rules: &PlanRules, keys: &[String], result: ClaimResult, now: UnixMs) {
        match result {
            ClaimResult::Ours => self.claims.extend_from_slice(keys),
            // Another worker is creating or writing this group, and will soon be done.
            ClaimResult::Others(_) if keys.iter().any(|key| groups::is_claim(key)) => {
                self.end = Some(try_again(Code::ScimMoving, None, true));
            }
            ClaimResult::TakenFrom { person, member, along, groups } => {
                self.claims.extend_from_slice(keys);
                self.claims.extend(along);
                // The former owner may have written between our look-up and our claim. So the member is read again,
                // by id, and the owner's last write counts for more than a read that lags behind.
                let is_claimed = |known: &KnownMember| {
                    let id = known.id.as_deref().map(owner::id_key);
                    let address = owner::address_key(&known.user_name);
                    id.is_some_and(|id| keys.iter().any(|key| *key == id || *key == address))
                };
                if let Some(member) = member.filter(|known| is_claimed(known))
                    && self.known.as_ref().is_none_or(|known| known.id.is_none())
                {
                    self.take_groups(person, &member, groups);
                    self.document.member = Some(*member);
                }
                self.shown = None;
                self.search = Search::default();
            }
            ClaimResult::Others(owner) if self.earlier_of(keys).is_some() => self.learn_earlier(keys, &owner, now),
            // There is nothing to switch off: the account belongs to somebody who works there.
            ClaimResult::Others(owner)
                if self.leaves_with_nothing(now) && owner.keeps_it() && !owner.may_be_left_by(&self.document, now) =>
            {
                self.forget_guess();
                self.end = Some(Conclusion::InLine(Finished::NotAMember));
            }
            // This is another record of the same human being. HR does not report them as employed under this id, so
            // there is nothing to do.
            ClaimResult::Others(owner)
                if membership_wanted(&self.document, rules, now) == WantedMembership::Unsaid
                    && self.has_nothing()
                    && owner.keeps_it()
                    && owner.may_be_one_with(&self.document) =>
            {
                self.forget_guess();
                self.end = Some(Conclusion::InLine(Finished::NotAMember));
            }
            ClaimResult::Others(owner) if owner.is_of_earlier() => {
                // They can get the account only if this person gives up the claim on its address.
                self.gives_way = true;
                self.end = Some(self.kept_by(&owner, now));
            }
            ClaimResult::Others(owner) => match owner.account_in_the_way(&self.document) {
                Some(id) if !self.looked_at.contains(id) => self.in_the_way = Some((id.to_owned(), owner.key.clone())),
                Some(_) | None => self.end = Some(self.kept_by(&owner, now)),
            },
        }
    }

    /// The key of the earlier address of HR's that these claims are for.
    fn earlier_of(&self, keys: &[String]) -> Option<String> {
        let is_asked = |email: &Email| {
            keys.contains(&owner::address_key(email.lower())) || keys.contains(&owner::earlier_key(email.lower()))
        };
        self.earlier().into_iter().find(is_asked).map(|email| email.key().to_owned())
    }

    /// Somebody else has a claim that is for one of HR's earlier addresses.
    fn learn_earlier(&mut self, keys: &[String], owner: &owner::Owner, now: UnixMs) {
        let Some(earlier) = self.earlier_of(keys) else { return };
        if owner.has_member_there() {
            if owner.may_have_account_of(&self.document) {
                self.contested = Some((owner.key.clone(), owner.person.clone()));
            }
            self.pass_over(earlier);
        } else if owner.gives_it_up() {
            self.end = Some(self.kept_by(owner, now));
        } else if owner.is_blocked || owner.has_left || owner.stands_still {
            // They may never get on. Whoever is found there, it must not be settled without an operator.
            self.unclaimed.insert(earlier, owner.person.clone());
        } else {
            self.end = Some(try_again(Code::ScimMoving, None, true));
        }
    }

    /// Takes in the reply to a read of the account in the way. False if this was another call, or if the reply says
    /// nothing about that account.
    pub(super) fn learn_in_the_way(&mut self, request: &Request, outcome: &Outcome) -> bool {
        let is_asked = |(id, _): &mut (String, String)| matches!(request, Request::Get { id: asked } if asked == id);
        let Some((id, address)) = self.in_the_way.take_if(is_asked) else { return false };
        let has_it = match outcome {
            Outcome::NotMember => false,
            // The 404 may be a proxy's, so it does not prove that the account is gone.
            Outcome::Nowhere { .. } => true,
            Outcome::Member(member) => owner::address_key(&member.user_name) == address,
            _ => return false,
        };
        self.looked_at.insert(id.clone());
        if !has_it {
            self.gone.insert(id);
        }
        true
    }

    /// From now on it is this record that removes the member from groups into which the former record put them.
    fn take_groups(&mut self, person: Person, member: &KnownMember, groups: Groups) {
        self.document.groups_taken_from = Some(person).filter(|_| !groups.is_empty());
        let Groups { joined, unsure, unsure_of } = groups;
        self.document.groups.extend(joined.into_iter().filter(|group| Some(&group.member) == member.id.as_ref()));
        self.document.take_unsure(unsure, unsure_of);
    }

    /// Whether HR says that they have left, or are out of scope, although there has never been a member, and no create
    /// of ours may have made one.
    fn leaves_with_nothing(&self, now: UnixMs) -> bool {
        let has_left = self.document.record.membership(now) == Some(EmploymentState::Left);
        has_left && self.has_nothing()
    }

    /// Whether there has never been a member, and no create of ours may have made one.
    fn has_nothing(&self) -> bool {
        self.document.member.is_none() && (!self.may_have_created || self.is_only_guessed())
    }

    /// Whether a create of ours is only assumed, because a worker died. None went out under an address whose claim is
    /// somebody else's, nor under an earlier one that was not claimed.
    fn is_only_guessed(&self) -> bool {
        let is_guess = self.document.progress.create_unknown.is_some_and(|unknown| unknown.is_guess);
        is_guess && self.former_addresses.is_empty() && !self.document.progress.made_unshown
    }

    fn forget_guess(&mut self) {
        if self.is_only_guessed() {
            self.document.progress.create_unknown = None;
        }
    }

    /// How the attempt ends if somebody else has the claim.
    fn kept_by(&mut self, owner: &owner::Owner, now: UnixMs) -> Conclusion {
        let me = self.document.person.to_string();
        let blocked = |detail| Conclusion::Blocked { code: Code::ScimOwned, detail, wants: Some(owner.key.clone()) };
        let standstill = self.document.progress.standstill.take();
        if owner.ring.len() > 1 {
            let others: Vec<_> = owner.ring.iter().map(ToString::to_string).collect();
            return blocked(format!("{me}, {} swap addresses: each should get the next one's", others.join(", ")));
        }
        if owner.changes_places_with(&self.document) {
            return blocked(format!("{me} and {} swap addresses: each should get the other's", owner.person));
        }
        if !owner.gives_it_up() {
            let left = if owner.has_left { ", who has left" } else { "" };
            return blocked(format!("{me} should get the member of {}{left}", owner.person));
        }
        let looked = if owner.stands_still { Some(Standstill::again(standstill, &owner.key, now)) } else { standstill };
        let is_over = owner.stands_still && looked.as_ref().is_some_and(|looked| looked.is_over(now));
        self.document.progress.standstill = looked;
        if is_over {
            let other = &owner.person;
            return blocked(format!("{me} waits for {other} to give it up, but no work on {other} is pending"));
        }
        try_again(Code::ScimMoving, None, true)
    }
}
