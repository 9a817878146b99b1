//! What an attempt knows.

use std::collections::{BTreeMap, BTreeSet};

use super::capabilities::Capabilities;
use super::conclusion::{Aspect, Conclusion};
use super::groups::{self, GroupsState};
use super::owner;
use super::request::{Member, Operation};
use super::rules::address_to_look_for;
use super::search::Search;
use crate::core::code::Code;
use crate::core::person::document::UnknownCreate;
use crate::core::person::email::compare_key;
use crate::core::person::job::Finished;
use crate::core::person::{Document, Email, KnownMember, OpenWrite, Person};
use crate::core::time::UnixMs;

/// What an attempt knows. Whatever is learnt about the member is written into the document at once.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct AttemptState {
    /// The person's document with the inbox folded in, as it will be committed.
    pub document: Document,
    /// The member as known at the start. Replies are judged by this id and address.
    pub(super) known: Option<KnownMember>,
    /// The member as shown by the newest reply of this attempt.
    pub(super) shown: Option<Member>,
    /// The look-up.
    pub(super) search: Search,
    /// The target says that the person is a member already.
    pub(super) already_member: bool,
    /// A member was asked for by id, so no other read shows more of them.
    pub(super) asked_by_id: bool,
    /// Only the status of the reply said so: it may be refused to everybody.
    pub(super) is_bare_conflict: bool,
    /// A create of unknown outcome may be ours: look before posting.
    pub(super) may_have_created: bool,
    /// Addresses before HR's present one under which a create of ours may have gone out.
    pub(super) former_addresses: Vec<Email>,
    /// The known id, if it turned out that no member has it, or somebody else does.
    pub(super) stale_id: Option<String>,
    /// How the attempt ends if the look-up finds nobody either. Set when the 404 for the known id may be a proxy's
    /// rather than the target's.
    pub(super) nowhere: Option<Conclusion>,
    /// The known id shows an address that neither HR nor we gave.
    pub(super) in_doubt: bool,
    /// HR's earlier addresses whose account turned out to be somebody else's, by key.
    pub(super) passed_over: BTreeSet<String>,
    /// HR's earlier addresses that somebody has claimed who has no member and cannot get one, by key.
    pub(super) unclaimed: BTreeMap<String, Person>,
    /// Somebody else may have this person's account: the claim, and who.
    pub(super) contested: Option<(String, Person)>,
    /// Gives up the claim on HR's address, for somebody who is looked for there first.
    pub(super) gives_way: bool,
    /// Claims that this attempt asked for and got.
    pub(super) claims: Vec<String>,
    /// A leaver's account that may still have the address this person needs: its SCIM id, and the claim on that
    /// address. It is read next.
    pub(super) in_the_way: Option<(String, String)>,
    /// SCIM ids of others' accounts that were in the way, and do not have the address any more.
    pub gone: BTreeSet<String>,
    /// SCIM ids of accounts in the way that this attempt has read.
    pub(super) looked_at: BTreeSet<String>,
    /// Writes of this attempt whose effect a reply has shown.
    pub(super) wrote: Vec<Operation>,
    /// A write whose effect the reply did not show, so that a read must.
    pub(super) unshown: Option<Operation>,
    /// Aspects that this attempt leaves alone, most of them because a write of theirs is not shown yet.
    pub(super) left_alone: Vec<Aspect>,
    pub(super) created: bool,
    pub(super) adopted: bool,
    pub(super) refused: Vec<(Aspect, Code, String)>,
    /// The address was refused with a status that may also mean that all writes are refused.
    pub(super) address_is_in_doubt: bool,
    pub(super) changed: u32,
    /// A worker died during an earlier attempt, and what it may have done is not noted yet.
    pub(super) is_taken_over: bool,
    /// What that worker may have written to a member whom this attempt has not found yet.
    pub(super) guessed: Vec<OpenWrite>,
    /// What is known of groups.
    pub(super) groups: GroupsState,
    /// What the target can do, where it is known.
    pub capabilities: Option<Capabilities>,
    /// The calls made.
    pub calls: u32,
    pub(super) end: Option<Conclusion>,
}

impl AttemptState {
    /// The state at the start. `taken_over`: a worker died during an earlier attempt.
    #[must_use]
    pub fn new(mut document: Document, taken_over: bool, now: UnixMs) -> Self {
        let unknown_id = document.member.as_ref().is_none_or(|member| member.id.is_none());
        if taken_over && unknown_id && document.progress.create_unknown.is_none() {
            document.progress.create_unknown = Some(UnknownCreate::guessed(now, true));
        }
        Self {
            may_have_created: document.progress.create_unknown.is_some() || document.progress.made_unshown,
            former_addresses: Vec::new(),
            known: document.member.clone(),
            document,
            shown: None,
            search: Search::default(),
            already_member: false,
            asked_by_id: false,
            is_bare_conflict: false,
            stale_id: None,
            nowhere: None,
            in_doubt: false,
            passed_over: BTreeSet::new(),
            unclaimed: BTreeMap::new(),
            contested: None,
            gives_way: false,
            claims: Vec::new(),
            in_the_way: None,
            gone: BTreeSet::new(),
            looked_at: BTreeSet::new(),
            wrote: Vec::new(),
            unshown: None,
            left_alone: Vec::new(),
            created: false,
            adopted: false,
            refused: Vec::new(),
            address_is_in_doubt: false,
            changed: 0,
            capabilities: None,
            is_taken_over: taken_over,
            guessed: Vec::new(),
            groups: GroupsState::default(),
            calls: 0,
            end: None,
        }
    }

    /// Addresses under which an unrecorded create may have gone out: earlier ones and, if a worker stopped during an
    /// attempt, the present one. No create is made without a claim on its address, so the caller looks next whether
    /// this person has that claim.
    #[must_use]
    pub fn addresses_in_doubt(&self) -> Vec<Email> {
        let document = &self.document;
        if document.member.as_ref().is_some_and(|member| member.id.is_some()) {
            return Vec::new();
        }
        let is_guessed = document.progress.create_unknown.is_some_and(|unknown| unknown.is_guess);
        let before = document.addresses.iter().filter(|email| !self.is_present(email));
        before.chain(document.record.email().filter(|_| is_guessed)).cloned().collect()
    }

    fn is_present(&self, email: &Email) -> bool {
        self.document.record.email().is_some_and(|present| present.key() == email.key())
    }

    /// Notes whether this person has the claim on an address in doubt. Without it, no create went out.
    pub fn learn_address_in_doubt(&mut self, email: Email, is_theirs: bool, now: UnixMs) {
        if self.is_present(&email) {
            self.claims.extend(is_theirs.then(|| owner::address_key(email.lower())));
            return;
        }
        if !is_theirs {
            self.document.addresses.retain(|noted| noted.key() != email.key());
            return;
        }
        self.claims.push(owner::address_key(email.lower()));
        self.former_addresses.push(email);
        self.may_have_created = true;
        self.document.progress.create_unknown.get_or_insert(UnknownCreate::guessed(now, true));
    }

    /// The claims of this attempt: first those on groups, which are given up when it ends, then those on members and
    /// addresses.
    #[must_use]
    pub fn claims(&self) -> (Vec<String>, Vec<String>) {
        let others = self.claims.iter().filter(|key| !groups::is_claim(key)).cloned().collect();
        (self.groups.claims(&self.document, &self.claims), others)
    }

    /// Drops a member whom this attempt found but did not claim: a later attempt would take them for this person's, and
    /// two people would have one member.
    pub fn drop_unclaimed(&mut self) {
        let id_of = |member: &Option<KnownMember>| member.as_ref().and_then(|member| member.id.clone());
        let found = id_of(&self.document.member).filter(|id| !self.created && !self.has_claim(&owner::id_key(id)));
        if found.is_some() && found != id_of(&self.known) {
            self.document.member.clone_from(&self.known);
        }
    }

    /// Whether the address was refused in a way that may concern all writes, and this attempt has made no other write
    /// that shows the contrary.
    pub(super) fn doubts_address(&self) -> bool {
        self.address_is_in_doubt && self.wrote.is_empty() && !self.created
    }

    /// The keys of the addresses to look for: HR's present one, and earlier ones under which the member may still be.
    #[must_use]
    pub fn sought(&self) -> Vec<String> {
        let Some(email) = address_to_look_for(&self.document) else { return Vec::new() };
        let (former, earlier) = (self.may_be_under(&email), self.earlier());
        former.iter().chain(&earlier).chain([&email]).map(|email| email.key().to_owned()).collect()
    }

    /// The addresses that HR named before the newest one, newest first, if no member was known at the start: the
    /// member may be under any of them.
    pub(super) fn earlier(&self) -> Vec<Email> {
        if self.known.as_ref().is_some_and(|known| known.id.is_some()) {
            return Vec::new();
        }
        let earlier = self.document.record.earlier_emails.iter().map(|earlier| &earlier.email);
        earlier.filter(|email| !self.passed_over.contains(email.key())).cloned().collect()
    }

    /// Whether HR named this address before the newest one, and the account under it may be this person's.
    pub(super) fn is_earlier(&self, user_name: &str) -> bool {
        self.earlier().iter().any(|email| email.is(user_name))
    }

    /// Whether the account under this address turned out to be somebody else's.
    pub(super) fn is_passed_over(&self, user_name: &str) -> bool {
        self.passed_over.contains(&compare_key(user_name))
    }

    /// The account under one of HR's earlier addresses is somebody else's.
    pub(super) fn pass_over(&mut self, key: String) {
        self.passed_over.insert(key);
        if self.shown.take().is_some() {
            self.document.member.clone_from(&self.known);
            self.document.listed_as = None;
        }
    }

    /// Earlier addresses under which the member may still be: a create went out, or may have, or they were last known
    /// under it.
    pub(super) fn may_be_under(&self, present: &Email) -> Vec<Email> {
        let made = self.document.member.as_ref().filter(|known| known.id.is_none());
        let made = made.and_then(|known| Email::parse(&known.user_name).ok());
        let former = self.former_addresses.iter().cloned().chain(made).chain(self.last_known_address());
        former.filter(|former| former.key() != present.key()).collect()
    }

    /// The last known address of a member whose id is nobody's any more: somebody may have removed them and added
    /// them again by hand, or the 404 was not Postman's.
    pub(super) fn last_known_address(&self) -> Option<Email> {
        let known = self.document.member.as_ref().filter(|known| known.id.is_some() && known.id == self.stale_id);
        known.filter(|_| !self.in_doubt).and_then(|known| Email::parse(&known.user_name).ok())
    }

    /// Notes that this aspect was refused; the others go on.
    pub(super) fn refuse(&mut self, aspect: Aspect, code: Code, operation: Operation) {
        self.refused.push((aspect, code, format!("after {}", operation.as_http())));
    }

    /// Notes that the groups were refused; the rest goes on.
    pub(super) fn refuse_groups(&mut self, detail: String) {
        self.refused.push((Aspect::Groups, Code::ScimGroup, detail));
    }

    /// What the attempt has done for the member, if it ends well.
    pub(super) fn finished(&self) -> Finished {
        if self.created {
            Finished::Created
        } else if self.adopted {
            Finished::Adopted
        } else if self.wrote.is_empty() {
            Finished::Unchanged
        } else {
            Finished::Updated
        }
    }

    /// Leaves an aspect alone in this attempt: something else keeps it back.
    pub fn leave_alone(&mut self, aspect: Aspect) {
        self.left_alone.push(aspect);
    }

    pub(super) fn is_refused(&self, aspect: Aspect) -> bool {
        self.left_alone.contains(&aspect) || self.refused.iter().any(|(refused, _, _)| *refused == aspect)
    }

    pub(super) fn has_claim(&self, key: &str) -> bool {
        self.claims.iter().any(|claim| claim == key)
    }

    /// The names that the member should have: what HR says, or else what they have.
    pub(super) fn wanted_names(&self, member: &Member) -> (Option<String>, Option<String>) {
        let record = &self.document.record;
        let given = record.given_name().map(str::to_owned).or_else(|| member.given_name.clone());
        let family = record.family_name().map(str::to_owned).or_else(|| member.family_name.clone());
        (given, family)
    }
}
