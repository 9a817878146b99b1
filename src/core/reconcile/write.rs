//! Changes to a member who was read: which one is still needed, and how it is sent.

use super::attempt::AttemptState;
use super::capabilities::Capabilities;
use super::conclusion::Aspect;
use super::member::{Changes, replacement};
use super::owner::address_key;
use super::request::{Active, Carrier, Member, Operation, Request};
use super::rules::{PlanRules, WantedMembership, is_new_word, wanted_address, within};
use super::step::Step;
use crate::core::code::Code;
use crate::core::person::Document;
use crate::core::time::UnixMs;

/// The member as the plan sees them: what the reply shows, overridden by our own last writes if the reply is a read
/// that may lag behind them.
pub(super) struct Seen {
    pub(super) active: Active,
    pub(super) user_name: String,
    pub(super) given_name: Option<String>,
    pub(super) family_name: Option<String>,
}

impl Seen {
    pub(super) fn of(document: &Document, member: &Member, rules: &PlanRules, now: UnixMs) -> Self {
        let known = document.member.as_ref();
        let active = match member.active {
            Active::Off => Active::Off,
            Active::On => {
                match known
                    .filter(|known| within(known.active_written_at, rules.read_lag_ms, now))
                    .filter(|known| !known.may_have_switched(true))
                    .and_then(|known| known.active)
                {
                    Some(false) => Active::Off,
                    Some(true) | None => Active::On,
                }
            }
            Active::Unknown => {
                match known.filter(|known| known.active_written_at.is_some()).and_then(|known| known.active) {
                    Some(true) => Active::On,
                    Some(false) => Active::Off,
                    None => Active::Unknown,
                }
            }
        };
        let taken = known.filter(|known| known.id.as_ref() == Some(&member.id));
        let (user_name, given_name, family_name) = taken
            .map_or((&member.user_name, &member.given_name, &member.family_name), |known| {
                (&known.user_name, &known.given_name, &known.family_name)
            });
        Self { active, user_name: user_name.clone(), given_name: given_name.clone(), family_name: family_name.clone() }
    }
}

pub(super) fn switch_off(
    state: &mut AttemptState,
    seen: &Seen,
    member: &Member,
    membership: WantedMembership,
    rules: &PlanRules,
    now: UnixMs,
) -> Option<Step> {
    let is_needed = membership == WantedMembership::Left
        && (seen.active != Active::Off || state.must_cover(Aspect::Membership, membership, now))
        && !state.is_refused(Aspect::Membership)
        && !state.wrote.contains(&Operation::SetActive);
    if is_needed { switch(state, seen, member, rules, false) } else { None }
}

pub(super) fn readdress(
    state: &mut AttemptState,
    seen: &Seen,
    member: &Member,
    membership: WantedMembership,
    rules: &PlanRules,
    now: UnixMs,
) -> Option<Step> {
    let email = wanted_address(&state.document)?.clone();
    let must_cover = rules.changes_addresses && state.must_cover(Aspect::Address, membership, now);
    let is_shown = email.is(&seen.user_name) && !must_cover;
    if is_shown || state.is_refused(Aspect::Address) {
        return None;
    }
    if !rules.changes_addresses {
        state.refuse(Aspect::Address, Code::ScimAddressDiffers, Operation::Get);
        return None;
    }
    let key = address_key(email.as_received());
    if !state.has_claim(&key) {
        return Some(Step::Own(vec![key]));
    }
    let user_name = email.lower().to_owned();
    let active = active_to_put(&state.document, seen, member, membership, now);
    let changes = Changes { user_name: Some(&user_name), active, ..Changes::default() };
    let by = carrier(state, rules, member, seen, Aspect::Address, changes)?;
    Some(Step::Send(Request::SetUserName { id: member.id.clone(), user_name, by }))
}

pub(super) fn switch_on(
    state: &mut AttemptState,
    seen: &Seen,
    member: &Member,
    membership: WantedMembership,
    rules: &PlanRules,
    now: UnixMs,
) -> Option<Step> {
    let is_shown = seen.active == Active::On && !state.must_cover(Aspect::Membership, membership, now);
    if membership != WantedMembership::Employed || is_shown || state.is_refused(Aspect::Membership) {
        return None;
    }
    // What a write of ours may have switched off, nobody else has.
    let is_asked = is_new_word(&state.document, now) || state.may_have_switched(false);
    let has_hrs_address = !state.is_refused(Aspect::Address) && !state.document.record.waits_for_email();
    if !is_asked || !has_hrs_address || state.wrote.contains(&Operation::SetActive) {
        return None;
    }
    switch(state, seen, member, rules, true)
}

fn switch(state: &mut AttemptState, seen: &Seen, member: &Member, rules: &PlanRules, active: bool) -> Option<Step> {
    let changes = Changes { active: Some(active), ..Changes::default() };
    let by = carrier(state, rules, member, seen, Aspect::Membership, changes)?;
    Some(Step::Send(Request::SetActive { id: member.id.clone(), active, by }))
}

pub(super) fn rename(
    state: &mut AttemptState,
    seen: &Seen,
    member: &Member,
    membership: WantedMembership,
    rules: &PlanRules,
    now: UnixMs,
) -> Option<Step> {
    let is_shown = !names_differ(state, seen) && !state.must_cover(Aspect::Names, membership, now);
    if is_shown || state.is_refused(Aspect::Names) {
        return None;
    }
    let (given_name, family_name) = state.wanted_names(member);
    let capabilities = state.capabilities.unwrap_or(Capabilities::UNTOLD);
    let active = if capabilities.patch {
        // If `active` is not shown, the last known value. If there is none, no PUT, since it could switch the member
        // on.
        seen.active.known().filter(|_| member.active == Active::Unknown)
    } else {
        active_to_put(&state.document, seen, member, membership, now)
    };
    let changes =
        Changes { given: given_name.as_deref(), family: family_name.as_deref(), active, ..Changes::default() };
    let body = (!rules.target.patches_names(capabilities)).then(|| put(state, rules, member, seen, changes)).flatten();
    match body {
        Some(body) => {
            let if_match = version_to_match(member, capabilities);
            Some(Step::Send(Request::Replace { id: member.id.clone(), body, if_match }))
        }
        None if capabilities.patch => {
            let by_path = rules.target.patches_names(capabilities);
            Some(Step::Send(Request::SetNames { id: member.id.clone(), given_name, family_name, by_path }))
        }
        // A list may leave `active` out.
        None if !state.asked_by_id => Some(Step::Send(Request::Get { id: member.id.clone() })),
        None => {
            state.refuse(Aspect::Names, Code::ScimNotApplied, Operation::Get);
            None
        }
    }
}

/// How a change of one attribute goes out. None if it cannot: the aspect is refused then.
fn carrier(
    state: &mut AttemptState,
    rules: &PlanRules,
    member: &Member,
    seen: &Seen,
    aspect: Aspect,
    changes: Changes<'_>,
) -> Option<Carrier> {
    let capabilities = state.capabilities.unwrap_or(Capabilities::UNTOLD);
    if capabilities.patch {
        return Some(Carrier::Patch);
    }
    let Some(body) = put(state, rules, member, seen, changes) else {
        state.refuse(aspect, Code::ScimNotApplied, Operation::Get);
        return None;
    };
    Some(Carrier::Put { body, if_match: version_to_match(member, capabilities) })
}

fn put(state: &AttemptState, rules: &PlanRules, member: &Member, seen: &Seen, changes: Changes<'_>) -> Option<String> {
    let document = &state.document;
    let locale = document.record.locale().unwrap_or(&rules.locale);
    let locale = rules.target.completes_replacements().then_some(locale);
    // What was read may be older than our own writes, which must not be undone.
    let name =
        |seen: &'_ Option<String>, read: &Option<String>| (seen != read).then(|| seen.clone().unwrap_or_default());
    let given = name(&seen.given_name, &member.given_name);
    let family = name(&seen.family_name, &member.family_name);
    let user_name = (seen.user_name != member.user_name).then_some(seen.user_name.as_str());
    let active = seen.active.known().filter(|active| member.active.known() == Some(!active));
    let changes = Changes {
        given: changes.given.or(given.as_deref()),
        family: changes.family.or(family.as_deref()),
        user_name: changes.user_name.or(user_name),
        active: changes.active.or(active),
        external_id: &rules.target.external_id(&document.person),
        locale,
    };
    replacement(member, &changes)
}

fn version_to_match(member: &Member, capabilities: Capabilities) -> Option<String> {
    member.version.clone().filter(|_| capabilities.etag)
}

/// `active` in a PUT at a target that has no PATCH and does not show it: the last known value, or else HR's new
/// statement, since a PUT without it might switch the member on. None: not known, so no PUT.
fn active_to_put(
    document: &Document,
    seen: &Seen,
    member: &Member,
    membership: WantedMembership,
    now: UnixMs,
) -> Option<bool> {
    if member.active != Active::Unknown {
        return None;
    }
    seen.active.known().or(match membership {
        WantedMembership::Employed => {
            (is_new_word(document, now) && !document.record.waits_for_email()).then_some(true)
        }
        WantedMembership::Left => Some(false),
        WantedMembership::Unsaid => None,
    })
}

pub(super) fn names_differ(state: &AttemptState, seen: &Seen) -> bool {
    let record = &state.document.record;
    let differs = |wanted: Option<&str>, is: &Option<String>| {
        wanted.is_some_and(|wanted| wanted.trim() != is.as_deref().unwrap_or_default().trim())
    };
    differs(record.given_name(), &seen.given_name) || differs(record.family_name(), &seen.family_name)
}
