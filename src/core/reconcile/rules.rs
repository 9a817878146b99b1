//! The rules for planning: those of the configuration, and what HR's statements mean at a given time.

use std::collections::BTreeSet;

use super::groups::GroupRule;
use super::target::TargetRules;
use crate::core::person::{Document, Email, EmploymentState, SourceName};
use crate::core::time::UnixMs;

/// What the configuration says about planning.
#[derive(Debug, Clone)]
pub struct PlanRules {
    /// How long after a write a read may still show the state before it.
    pub read_lag_ms: u64,
    /// Whether addresses are changed at the target; otherwise differences are only reported.
    pub changes_addresses: bool,
    /// Sources whose updates create people whom HR has not reported as hired.
    pub updates_create: BTreeSet<SourceName>,
    /// Sources without rules of scope (any more). Nothing is known about a source that is not configured here: people
    /// out of its scope stay switched off.
    pub unscoped: BTreeSet<SourceName>,
    /// How many pages of members a look-up reads at most.
    pub pages_max: u32,
    /// After how many answers "Couldn't update this team member's username. Try again" it is a refusal.
    pub username_tries: u32,
    /// `locale` of members whose HR system gives none.
    pub locale: String,
    /// How the target differs from others.
    pub target: TargetRules,
    /// The groups, and the rules for their members.
    pub groups: Vec<GroupRule>,
}

impl PlanRules {
    /// Whether updates invite a person about whose employment HR has said nothing.
    pub(super) fn invites(&self, document: &Document) -> bool {
        document.record.employment.newest().is_none() && self.updates_create.contains(&document.person.source)
    }
}

/// What HR wants for the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedMembership {
    /// In the team.
    Employed,
    /// Not in the team.
    Left,
    /// HR has not said.
    Unsaid,
}

pub(super) fn membership_wanted(document: &Document, rules: &PlanRules, now: UnixMs) -> WantedMembership {
    match document.record.membership(now) {
        Some(EmploymentState::Employed) => WantedMembership::Employed,
        Some(EmploymentState::Left) => WantedMembership::Left,
        None if rules.invites(document) => WantedMembership::Employed,
        // When they went out of scope, they were switched off even if HR had never reported them as employed.
        None if document.is_back_in_scope(now) && document.member.is_some() => WantedMembership::Employed,
        None => WantedMembership::Unsaid,
    }
}

/// What HR says, or else the last known address.
pub(super) fn address_to_look_for(document: &Document) -> Option<Email> {
    let known = || document.member.as_ref().and_then(|known| Email::parse(&known.user_name).ok());
    document.record.email().cloned().or_else(known)
}

/// The address that the member should have, if HR's last one can be used.
pub(super) fn wanted_address(document: &Document) -> Option<&Email> {
    document.record.email().filter(|_| !document.record.waits_for_email())
}

/// Whether HR's statement on the membership is newer than what was last reconciled.
pub(super) fn is_new_word(document: &Document, now: UnixMs) -> bool {
    document.has_new_word(now).unwrap_or(true)
}

/// Whether something was done so recently that reads may still show the state before it.
pub(super) fn within(at: Option<UnixMs>, ms: u64, now: UnixMs) -> bool {
    at.is_some_and(|at| now.ms_since(at) < ms)
}
