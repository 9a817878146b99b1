//! What an attempt learns from each reply.

use super::attempt::AttemptState;
use super::capabilities::Capabilities;
use super::conclusion::{Aspect, Conclusion, try_again};
use super::owner;
use super::reply::Outcome;
use super::request::{Active, Member, Operation, Request};
use super::rules::{PlanRules, within};
use super::search::Search;
use super::shown::ShownBy;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::KnownMember;
use crate::core::person::document::UnknownCreate;
use crate::core::time::UnixMs;

/// How often a member may have changed between our read and our write before we wait.
const CHANGED_MAX: u32 = 5;

/// After this many attempts, a conflict that no version explains counts as a refusal.
const CONFLICTS_MAX: u32 = 5;

/// How many earlier values are remembered, to recognise a read that lags behind. Writes are paced, so a few are
/// enough.
const BEFORE_MAX: usize = 8;

impl AttemptState {
    /// Learns from the outcome of `request`.
    pub fn learn(&mut self, rules: &PlanRules, request: &Request, outcome: Outcome, now: UnixMs) {
        self.calls += 1;
        let operation = request.operation();
        self.asked_by_id |= operation == Operation::Get;
        if let Request::Group(call) = request
            && !matches!(outcome, Outcome::Group(_) | Outcome::NoPatch)
        {
            self.groups.note_in_doubt(&mut self.document, call);
        }
        if self.learn_in_the_way(request, &outcome) {
            return;
        }
        match outcome {
            Outcome::Created(member) => self.learn_created(request, member.map(|member| *member), now),
            Outcome::Member(member) => self.learn_member(rules, request, *member, now),
            Outcome::Applied => {
                self.note_open(rules, request, false, now);
                self.unshown = Some(operation);
                self.shown = None;
            }
            Outcome::Members(listing) => self.search.learn(request, listing),
            Outcome::NoFilter => self.search.learn_no_filter(request),
            Outcome::NoPatch if matches!(request, Request::Group(_)) => self.groups.learn_no_patch(),
            Outcome::NoPatch => {
                let capabilities = self.capabilities.unwrap_or(Capabilities::UNTOLD);
                self.capabilities = Some(Capabilities { patch: false, ..capabilities });
            }
            Outcome::Served(capabilities) => self.capabilities = Some(capabilities),
            Outcome::Group(outcome) => {
                if let Request::Group(call) = request {
                    self.groups.learn(&mut self.document, call, outcome, operation.as_http());
                }
            }
            Outcome::AlreadyMember { is_told } => {
                self.already_member = true;
                self.is_bare_conflict = !is_told;
                self.search = Search::default();
            }
            Outcome::NotMember if operation == Operation::Get => self.learn_nobody(),
            Outcome::Nowhere { not_before, status } => {
                let status = Some(status);
                self.nowhere = Some(Conclusion::Suspect { operation, status, not_before });
                self.learn_nobody();
            }
            Outcome::Changed if request.replaces() == Some(true) => {
                self.shown = None;
                self.changed += 1;
                if self.changed > CHANGED_MAX {
                    self.end = Some(try_again(Code::ScimLag, None, false));
                }
            }
            // A read shows whether the member is still there, and in what state.
            Outcome::NotMember | Outcome::Changed => self.learn_conflict(operation),
            Outcome::UsernameRefused => {
                self.document.progress.username_refused += 1;
                if self.document.progress.username_refused >= rules.username_tries {
                    self.learn_refusal(operation, Code::ScimUsername);
                } else {
                    self.end = Some(try_again(Code::ScimUsername, None, false));
                }
            }
            Outcome::AddressRefused { is_taken, status } => {
                self.address_is_in_doubt = !is_taken && status == 403;
                if is_taken {
                    let detail = format!("after {}: another account has this address", operation.as_http());
                    self.refused.push((Aspect::Address, Code::ScimAddress, detail));
                } else {
                    self.refuse(Aspect::Address, Code::ScimAddress, operation);
                }
            }
            Outcome::Permanent(code) => self.learn_refusal(operation, code),
            Outcome::Hold(scope, code, not_before) => {
                self.end = Some(Conclusion::Hold { scope, code, not_before });
            }
            Outcome::Suspect { not_before, status } => {
                self.end = Some(Conclusion::Suspect { operation, status: Some(status), not_before });
            }
            Outcome::RateLimited { until } => self.end = Some(Conclusion::RateLimited { until }),
            Outcome::Passing { code, not_before } => self.end = Some(try_again(code, not_before, false)),
            Outcome::Unknown { code, not_before } => {
                let answered = matches!(code, Code::ScimUnavailable | Code::HoldQuota);
                if operation == Operation::Create {
                    self.document.progress.create_unknown = Some(UnknownCreate::made(now, answered));
                } else {
                    self.note_open(rules, request, true, now);
                }
                self.end = Some(match code {
                    Code::HoldQuota => Conclusion::Hold { scope: HoldScope::All, code, not_before },
                    _ => try_again(code, not_before, false),
                });
            }
        }
    }

    /// A call was interrupted: a write may have taken effect.
    pub fn learn_cut_off(&mut self, rules: &PlanRules, request: &Request, now: UnixMs) {
        self.note_open(rules, request, true, now);
        if request.operation() == Operation::Create {
            self.document.progress.create_unknown = Some(UnknownCreate::made(now, false));
        }
        if let Request::Group(call) = request {
            self.groups.note_in_doubt(&mut self.document, call);
        }
    }

    fn learn_created(&mut self, request: &Request, member: Option<Member>, now: UnixMs) {
        let Request::Create(asked) = request else { return };
        self.created = true;
        let Some(mut member) = member else {
            // A 201 is trusted; a look-up must show the member that it created.
            self.document.member = Some(KnownMember {
                id: None,
                user_name: asked.user_name.clone(),
                given_name: asked.given_name.clone(),
                family_name: asked.family_name.clone(),
                active: Some(true),
                seen_at: now,
                created_at: Some(now),
                is_unshown: true,
                user_name_written_at: Some(now),
                address_hashes_before: Vec::new(),
                name_hashes_before: Vec::new(),
                names_written_at: Some(now),
                active_written_at: Some(now),
                open_writes: Vec::new(),
            });
            self.document.progress.made_unshown = true;
            self.document.progress.create_unknown = None;
            self.may_have_created = true;
            self.stale_id = None;
            self.search = Search::default();
            return;
        };
        if owner::address_key(&member.user_name) != owner::address_key(&asked.user_name) {
            let detail = "the reply to the create shows another userName than the one posted".to_owned();
            self.end = Some(Conclusion::Blocked { code: Code::ScimDoubt, detail, wants: None });
            return;
        }
        // A reply that leaves out the names or `active` does not contradict what was asked for.
        if member.given_name.is_none() && member.family_name.is_none() {
            member.given_name.clone_from(&asked.given_name);
            member.family_name.clone_from(&asked.family_name);
        }
        if member.active == Active::Unknown {
            member.active = Active::On;
        }
        self.note_shown(member, ShownBy::Write, now);
        if let Some(known) = &mut self.document.member {
            known.created_at = Some(now);
            known.is_unshown = true;
            known.user_name_written_at = Some(now);
            known.names_written_at = Some(now);
        }
        self.document.progress.create_unknown = None;
    }

    fn learn_member(&mut self, rules: &PlanRules, request: &Request, member: Member, now: UnixMs) {
        let operation = request.operation();
        let shows_it = match request {
            Request::SetActive { active, .. } => match member.active {
                // The reply does not show `active`. Unless a later read does, the status code has to do.
                Active::Unknown => true,
                shown => shown.known() == Some(*active),
            },
            Request::SetUserName { user_name, .. } => {
                owner::address_key(&member.user_name) == owner::address_key(user_name)
            }
            Request::Replace { .. } | Request::SetNames { .. } => has_names(&member, &self.wanted_names(&member)),
            Request::Create(_)
            | Request::Get { .. }
            | Request::Find { .. }
            | Request::FindExternalId { .. }
            | Request::Page { .. }
            | Request::Probe
            | Request::Discover
            | Request::Group(_) => {
                self.note_shown(member, ShownBy::Read { lag_ms: rules.read_lag_ms }, now);
                return;
            }
        };
        // A reply that shows somebody else says nothing about the member that was written.
        if !shows_it || request.member_id() != Some(&*member.id) {
            // The reply is not trusted; a read must show the state.
            self.note_open(rules, request, false, now);
            self.unshown = Some(operation);
            self.shown = None;
            return;
        }
        self.wrote.push(operation);
        self.unshown = None;
        let mut member = member;
        if let (Request::SetActive { active, .. }, Active::Unknown) = (request, member.active) {
            member.active = if *active { Active::On } else { Active::Off };
        }
        let before = self.document.member.clone();
        self.note_shown(member, ShownBy::Write, now);
        self.note_written(operation, now);
        let (Some(before), Some(known)) = (before, &mut self.document.member) else { return };
        if operation == Operation::SetUserName {
            let lags = within(before.user_name_written_at, rules.read_lag_ms, now);
            let hash = KnownMember::address_hash(&before.user_name);
            known.address_hashes_before = with_one_more(before.address_hashes_before, lags, hash);
        } else if matches!(operation, Operation::Replace | Operation::SetNames) {
            let lags = within(before.names_written_at, rules.read_lag_ms, now);
            let hash = KnownMember::name_hash(before.given_name.as_deref(), before.family_name.as_deref());
            known.name_hashes_before = with_one_more(before.name_hashes_before, lags, hash);
        }
    }

    /// No member has the known id.
    fn learn_nobody(&mut self) {
        self.shown = None;
        let known = self.document.member.as_ref().and_then(|known| known.id.clone());
        self.stale_id = known.or_else(|| self.document.listed_as.take());
        self.search = Search::default();
    }

    /// A write was refused because the member has changed, or is not there. They are read again: at once, then in
    /// later attempts, until it counts as a refusal like any other.
    fn learn_conflict(&mut self, operation: Operation) {
        self.shown = None;
        self.changed += 1;
        if self.changed == 1 {
            return;
        }
        self.document.progress.conflicts += 1;
        if self.document.progress.conflicts < CONFLICTS_MAX {
            self.end = Some(try_again(Code::ScimLag, None, false));
        } else {
            self.learn_refusal(operation, Code::ScimRejected);
        }
    }

    fn learn_refusal(&mut self, operation: Operation, code: Code) {
        if let Some(aspect) = Aspect::written_by(operation) {
            self.refuse(aspect, code, operation);
        } else {
            let detail = format!("after {}", operation.as_http());
            self.end = Some(Conclusion::Blocked { code, detail, wants: None });
        }
    }
}

fn has_names(member: &Member, (given, family): &(Option<String>, Option<String>)) -> bool {
    // Trimmed, since a target may trim what it stores; otherwise exactly.
    let same = |wanted: &Option<String>, shown: &Option<String>| {
        wanted.as_deref().unwrap_or_default().trim() == shown.as_deref().unwrap_or_default().trim()
    };
    same(given, &member.given_name) && same(family, &member.family_name)
}

/// Adds to the earlier values that a read may still show, newest last. If reads no longer lag, the others are
/// dropped.
fn with_one_more(mut before: Vec<u32>, lags: bool, newest: u32) -> Vec<u32> {
    if !lags {
        before.clear();
    }
    if before.len() >= BEFORE_MAX {
        before.remove(0);
    }
    before.push(newest);
    before
}
