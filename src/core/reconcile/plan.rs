//! The next step: from what HR says and what is known about the member to the fewest calls that
//! reconcile the member.
//!
//! Access is taken away before it is given: switch off, address, switch on, names. If one is refused, the others are
//! still applied, but nobody is switched on under an address that HR does not give.

pub use super::rules::PlanRules;
pub use super::step::Step;

use super::attempt::AttemptState;
use super::capabilities::Capabilities;
use super::conclusion::{Aspect, Conclusion, try_again};
use super::confirm::confirm;
use super::groups::{self, Next};
use super::owner::{address_key, earlier_key, folded, id_key};
use super::request::{Active, Member, Operation, Request, UserToCreate};
use super::rules::{WantedMembership, address_to_look_for, is_new_word, membership_wanted, within};
use super::search::{Found, PAGE_MEMBERS, PAGE_MEMBERS_MIN, Search, Step as Look};
use super::shown::ShownBy;
use super::step::{blocked, finish};
use super::write::{Seen, readdress, rename, switch_off, switch_on};
use crate::core::code::Code;
use crate::core::person::document::{Looked, UnknownCreate};
use crate::core::person::email::compare_key;
use crate::core::person::job::Finished;
use crate::core::person::record::Record;
use crate::core::person::{Document, Email, EmploymentState, KnownMember};
use crate::core::time::UnixMs;

/// How long to look for the result of a create before making another one. An error most likely means that it had no
/// effect; without an answer, the member may be shown late.
const ANSWERED_UNKNOWN_MS: u64 = 5_000;
const UNANSWERED_UNKNOWN_MS: u64 = 10_000;
/// This many times more members are paged through to find a leaver, who would otherwise stay switched on.
const LEFT_ROWS: u32 = 5;
/// How often all members are paged through to find a leaver, if the list shows fewer members than its total.
const LOOKS_MAX: u32 = 5;
/// How long to wait before paging through all members for the same person again.
const PAGED_AGAIN_MS: u64 = 86_400_000;
/// A hire that comes sooner than this after an invitation makes no second one.
const INVITED_AGAIN_MS: u64 = 86_400_000;
const INVITED_BEFORE: &str = "invited under an earlier address, and no look-up shows them";

/// The most calls that an attempt makes, not counting the pages of a look-up. Far above what one person needs: it
/// stops an attempt whose replies contradict one another.
const CALLS_MAX: u32 = 1_000;

/// The next step of an attempt at `now`. Records in the state what the step decides.
pub fn plan(state: &mut AttemptState, rules: &PlanRules, now: UnixMs) -> Step {
    if std::mem::take(&mut state.is_taken_over) {
        groups::note_unsure(&mut state.document, &mut state.groups, &rules.groups);
    }
    if let Some(end) = state.end.clone() {
        if matches!(end, Conclusion::InLine(_)) && !wait_for_member(state, rules, now) {
            return never_joined();
        }
        return Step::Finish(end);
    }
    if state.calls >= CALLS_MAX.saturating_add(rows_of(rules).saturating_mul(LEFT_ROWS) / PAGE_MEMBERS_MIN) {
        return finish(try_again(Code::ScimUnreadable, None, false));
    }
    let Some(capabilities) = state.capabilities.or(rules.target.capabilities()) else {
        return Step::Send(Request::Discover);
    };
    state.capabilities = Some(capabilities);
    if !capabilities.filter {
        state.search.never_filter();
    }
    if let Some((id, _)) = &state.in_the_way {
        return Step::Send(Request::Get { id: id.clone() });
    }
    let membership = membership_wanted(&state.document, rules, now);
    if let Some(member) = state.shown.clone() {
        return reconcile_shown(state, rules, &member, membership, now);
    }
    match usable_id(state) {
        Some(id) => Step::Send(Request::Get { id }),
        None => look(state, rules, membership, now),
    }
}

/// The id to use, unless it turned out to be stale: the known one, or the one in the list of members.
fn usable_id(state: &AttemptState) -> Option<String> {
    let document = &state.document;
    let known = document.member.as_ref().and_then(|member| member.id.as_ref());
    let id = known.or(document.listed_as.as_ref())?;
    (state.stale_id.as_ref() != Some(id)).then(|| id.clone())
}

/// No id is known: create the member, or look for them.
fn look(state: &mut AttemptState, rules: &PlanRules, membership: WantedMembership, now: UnixMs) -> Step {
    // A read may lag behind our own create.
    let created_at = state.document.member.as_ref().and_then(|known| known.created_at);
    if state.stale_id.is_some() && !state.in_doubt && within(created_at, rules.read_lag_ms, now) {
        return finish(try_again(Code::ScimLag, None, true));
    }
    if rules.target.finds_by_external_id && !state.in_doubt {
        match state.search.next_by_external_id(&state.document.person.employee_id) {
            Look::Send(request) => return Step::Send(request),
            Look::Ended(Found::One(member)) if !state.is_passed_over(&member.user_name) => {
                return adopt(state, rules, &member.clone(), membership, now);
            }
            Look::Ended(Found::Several) => return blocked(Code::ScimAmbiguous, "after the look-up by externalId"),
            Look::Ended(Found::One(_) | Found::Nobody { .. }) => {}
        }
    }
    let Some(email) = address_to_look_for(&state.document) else {
        if let Some(nowhere) = state.nowhere.clone() {
            return finish(nowhere);
        }
        return match membership {
            WantedMembership::Employed => finish(Conclusion::Incomplete(vec!["email"])),
            // This person may be in the team, and still switched on.
            WantedMembership::Left
                if rules.unscoped.contains(&state.document.person.source) && leaves_unnamed(&state.document, now) =>
            {
                finish(Conclusion::Incomplete(vec!["email"]))
            }
            WantedMembership::Left | WantedMembership::Unsaid => not_a_member(state),
        };
    };
    match membership {
        WantedMembership::Employed if !must_look_first(state, &email, now) => create(state, rules, &email),
        WantedMembership::Employed | WantedMembership::Left | WantedMembership::Unsaid => {
            search(state, rules, membership, &email, now)
        }
    }
}

/// Whether HR reports a leave without ever having reported a hire or an address: most likely they were there before
/// the bridge. A roster that lists them as gone does not count: it may list everybody who ever worked there. Nor does
/// it count if the source has rules of scope: the person may never have been in scope.
fn leaves_unnamed(document: &Document, now: UnixMs) -> bool {
    let record = &document.record;
    let has_left = record.employment.at(now).is_some_and(|word| word.state == EmploymentState::Left);
    let words = record.employment.words();
    let was_asked = words.iter().any(|word| word.state == EmploymentState::Left && !word.is_of_row);
    let was_here = words.iter().any(|word| word.state == EmploymentState::Employed);
    has_left && was_asked && !was_here && !record.is_out_of_scope(now)
}

/// Whether the member may exist already, so that a POST would be too early.
fn must_look_first(state: &AttemptState, email: &Email, now: UnixMs) -> bool {
    let record = &state.document.record;
    let is_nameless =
        record.given_name().unwrap_or_default().is_empty() && record.family_name().unwrap_or_default().is_empty();
    let was_known = state.document.member.is_some();
    // Removed at the target after HR's last statement was in effect: that is not undone.
    let is_removed = was_known && !is_new_word(&state.document, now);
    // A person who was in the team before they went out of scope is most likely still there.
    let is_back = state.document.is_back_in_scope(now);
    // The member with the known id has an address that neither HR nor we gave: this person may have another member.
    state.in_doubt
        || state.nowhere.is_some()
        || state.already_member
        || state.may_have_created
        || is_invited(&state.document)
        || is_nameless
        || record.email().is_none()
        || is_removed
        || is_back
        || !state.earlier().is_empty()
        || state.contested.is_some()
        || state.last_known_address().is_some_and(|known| known.key() != email.key())
}

fn create(state: &AttemptState, rules: &PlanRules, email: &Email) -> Step {
    if state.document.record.waits_for_email() {
        return finish(Conclusion::Incomplete(vec!["email"]));
    }
    let key = address_key(email.as_received());
    if !state.has_claim(&key) {
        return Step::Own(vec![key]);
    }
    let record = &state.document.record;
    let text = |name: Option<&str>| name.filter(|name| !name.is_empty()).map(str::to_owned);
    Step::Send(Request::Create(UserToCreate {
        user_name: email.lower().to_owned(),
        given_name: text(record.given_name()),
        family_name: text(record.family_name()),
        external_id: rules.target.external_id(&state.document.person),
        locale: record.locale().map(str::to_owned),
    }))
}

fn search(
    state: &mut AttemptState,
    rules: &PlanRules,
    membership: WantedMembership,
    email: &Email,
    now: UnixMs,
) -> Step {
    for earlier in state.earlier() {
        let (first, then) = (earlier_key(earlier.lower()), address_key(earlier.lower()));
        for key in [first, then] {
            if !state.has_claim(&key) && !state.unclaimed.contains_key(earlier.key()) {
                return Step::Own(vec![key]);
            }
        }
    }
    for former in [state.may_be_under(email), state.earlier()].concat() {
        match state.search.next(&former.spellings(), former.key(), 0) {
            Look::Send(request) => return Step::Send(request),
            Look::Ended(Found::One(_)) if state.unclaimed.contains_key(former.key()) => {
                let owner = state.unclaimed.remove(former.key());
                state.contested = owner.map(|owner| (address_key(former.lower()), owner));
                state.pass_over(former.key().to_owned());
            }
            Look::Ended(Found::One(member)) if may_be_theirs(state, &former, member) => {
                let member = member.clone();
                return adopt(state, rules, &member, membership, now);
            }
            Look::Ended(Found::Several) => return blocked(Code::ScimAmbiguous, "after the look-up by userName"),
            Look::Ended(Found::One(_) | Found::Nobody { .. }) => {}
        }
    }
    let rows_max = rows_max(state, rules, membership, email, now);
    let before = looked_before(state, email, rows_max, now);
    match state.search.next(&email.spellings(), email.key(), if before.is_some() { 0 } else { rows_max }) {
        Look::Send(request) => Step::Send(request),
        Look::Ended(Found::One(member)) if seems_another(state, member) => {
            // Whoever has the account already settles it.
            let keys = keys_to_adopt(state, member);
            if !keys.iter().all(|key| state.has_claim(key)) {
                return Step::Own(keys);
            }
            state.document.progress.has_let_others_first = true;
            state.gives_way = true;
            finish(try_again(Code::ScimMoving, None, true))
        }
        Look::Ended(Found::One(member)) => adopt(state, rules, &member.clone(), membership, now),
        Look::Ended(Found::Several) => blocked(Code::ScimAmbiguous, "after the look-up by userName"),
        Look::Ended(Found::Nobody { paged, complete }) => {
            // If nobody may be created, the look-up is repeated until it has covered all members.
            if paged && (complete || membership == WantedMembership::Employed) {
                state.document.paged = Some((now, email.key().to_owned()));
            }
            let complete = complete && before.as_ref().is_none_or(|before| before.in_part.is_none());
            let looked =
                before.unwrap_or_else(|| Looked { at: now, key: email.key().to_owned(), rows_max, in_part: None });
            nobody(state, rules, membership, email, Nobody { looked, complete }, now)
        }
    }
}

/// Whether the member found under an earlier address may be this person. HR may have named the address by mistake, and
/// taken it back: then the name is another one. Under the last known address, somebody else may have been invited by hand
/// since the member was removed.
fn may_be_theirs(state: &AttemptState, former: &Email, found: &Member) -> bool {
    if state.last_known_address().is_none_or(|known| known.key() != former.key()) {
        return state.may_have_created || !has_another_name(&state.document.record, found);
    }
    let (record, known) = (&state.document.record, state.document.member.as_ref());
    let shown = folded(found.given_name.as_deref(), found.family_name.as_deref());
    let is_known =
        known.is_some_and(|known| shown == folded(known.given_name.as_deref(), known.family_name.as_deref()));
    is_known || shown == folded(record.given_name(), record.family_name())
}

/// Whether the account found has an entirely different name: it may be somebody's for whom HR named its address
/// before, in an event that waits in line. Whoever is due before the next try goes first, once.
fn seems_another(state: &AttemptState, found: &Member) -> bool {
    !state.document.progress.has_let_others_first
        && state.known.is_none()
        && !state.may_have_created
        && has_another_name(&state.document.record, found)
}

/// Whether the account has an entirely different name.
fn has_another_name(record: &Record, found: &Member) -> bool {
    let differs = |hrs: Option<&str>, shown: Option<&str>| {
        let (hrs, shown) = (hrs.unwrap_or_default().to_lowercase(), shown.unwrap_or_default().to_lowercase());
        !hrs.is_empty() && !shown.is_empty() && hrs != shown
    };
    differs(record.given_name(), found.given_name.as_deref())
        && differs(record.family_name(), found.family_name.as_deref())
}

/// How many members a look-up pages through.
fn rows_of(rules: &PlanRules) -> u32 {
    rules.pages_max.saturating_mul(PAGE_MEMBERS)
}

/// How many members to page through for this person now, if the filter shows nobody.
fn rows_max(state: &AttemptState, rules: &PlanRules, membership: WantedMembership, email: &Email, now: UnixMs) -> u32 {
    let document = &state.document;
    let is_paged_lately =
        document.paged.as_ref().is_some_and(|(at, key)| key == email.key() && now.ms_since(*at) < PAGED_AGAIN_MS);
    let unknown_at = document.progress.create_unknown.map(|unknown| unknown.at);
    // A member who may not be shown yet is looked for with the filter first, and in the list once reads must show
    // them.
    let is_early = is_made_lately(state, rules, now)
        || (membership == WantedMembership::Left && within(unknown_at, rules.read_lag_ms, now));
    match membership {
        _ if state.search.has_filter() && is_early => 0,
        WantedMembership::Left => rows_of(rules).saturating_mul(LEFT_ROWS),
        WantedMembership::Employed | WantedMembership::Unsaid
            if state.search.has_filter() && is_paged_lately && !state.already_member =>
        {
            0
        }
        WantedMembership::Employed | WantedMembership::Unsaid => rows_of(rules),
    }
}

/// An earlier look-up that paged through as many members and need not be repeated yet. Paging takes a call for each
/// hundred members of the team, and otherwise every event about the person would cause it. The filter is still asked.
fn looked_before(state: &AttemptState, email: &Email, rows_max: u32, now: UnixMs) -> Option<Looked> {
    let looked = state.document.looked.as_ref().filter(|looked| looked.key == email.key())?;
    let is_lately = now.ms_since(looked.at) < PAGED_AGAIN_MS && looked.rows_max >= rows_max;
    let says_it_all = looked.in_part.is_some() || (state.already_member && state.search.has_filter());
    (rows_max > 0 && is_lately && says_it_all).then(|| looked.clone())
}

/// A look-up that found nobody.
struct Nobody {
    looked: Looked,
    /// Whether everybody was looked at, as far as can be known.
    complete: bool,
}

/// Whether a create of ours was answered so recently, without the member, that reads need not show them yet.
fn is_made_lately(state: &AttemptState, rules: &PlanRules, now: UnixMs) -> bool {
    let made_at = state.document.member.as_ref().and_then(|made| made.created_at);
    state.document.progress.made_unshown && within(made_at, rules.read_lag_ms, now)
}

/// The look-up found a member: this person's, unless somebody else has the claim.
fn adopt(
    state: &mut AttemptState,
    rules: &PlanRules,
    member: &Member,
    membership: WantedMembership,
    now: UnixMs,
) -> Step {
    // Listed, but "not a member" when read by id: treated as not there.
    if state.stale_id.as_deref() == Some(&member.id) && !state.in_doubt {
        return finish(try_again(Code::ScimLag, None, false));
    }
    let keys = keys_to_adopt(state, member);
    if !keys.iter().all(|key| state.has_claim(key)) {
        return Step::Own(keys);
    }
    let known_before = state.document.member.as_ref().is_some_and(|known| known.id.is_some());
    let ours = state.may_have_created && !state.already_member;
    state.created |= ours;
    state.adopted |= !ours && !known_before;
    state.document.progress.create_unknown = None;
    state.document.progress.made_unshown = false;
    state.in_doubt = false;
    state.document.looked = None;
    state.note_shown(member.clone(), ShownBy::Read { lag_ms: rules.read_lag_ms }, now);
    reconcile_shown(state, rules, member, membership, now)
}

/// The claims on a member who was not known before. The account may be that of somebody for whom HR named its address
/// earlier, unless it is known, or likely, that our own create made it.
fn keys_to_adopt(state: &AttemptState, member: &Member) -> Vec<String> {
    let is_ours = state.created || state.may_have_created || state.has_claim(&id_key(&member.id));
    let earlier = (!is_ours).then(|| earlier_key(&member.user_name));
    [address_key(&member.user_name), id_key(&member.id)].into_iter().chain(earlier).collect()
}

fn nobody(
    state: &mut AttemptState,
    rules: &PlanRules,
    membership: WantedMembership,
    email: &Email,
    Nobody { looked, complete }: Nobody,
    now: UnixMs,
) -> Step {
    if state.in_doubt {
        return blocked(
            Code::ScimDoubt,
            "the known id shows another userName, and no member has the one that HR gives",
        );
    }
    if let Some(nowhere) = state.nowhere.clone() {
        return finish(nowhere);
    }
    // A look-up soon after a create proves nothing if it finds nobody.
    if is_made_lately(state, rules, now) {
        return finish(try_again(Code::ScimLag, None, true));
    }
    let is_under_another = !state.may_be_under(email).is_empty();
    if let Some(unknown) = state.document.progress.create_unknown {
        let wait_ms = match unknown.answered {
            // There is a member, and reads may lag for this long: do not take it for an invitation yet.
            _ if state.already_member => rules.read_lag_ms,
            // No POST under that address follows whose refusal would reveal the member, so a member who is missed now
            // would stay for good.
            _ if membership != WantedMembership::Employed => rules.read_lag_ms,
            _ if !unknown.is_guess && is_under_another => rules.read_lag_ms,
            true => rules.read_lag_ms.min(ANSWERED_UNKNOWN_MS),
            false => rules.read_lag_ms.min(UNANSWERED_UNKNOWN_MS),
        };
        if now.ms_since(unknown.at) < wait_ms {
            return finish(try_again(Code::ScimUnknownOutcome, None, true));
        }
    }
    // Without a filter, an earlier address is only looked for while paging, and no refused POST shows who has it.
    let is_unseen = (is_under_another || !state.earlier().is_empty()) && !state.search.has_filter();
    let is_unsaid = state.document.record.membership(now).is_none() && !rules.invites(&state.document);
    if (membership == WantedMembership::Left || is_unsaid || is_unseen) && !complete {
        return not_everybody(state, looked);
    }
    let made_unshown = state.document.progress.made_unshown;
    // The earlier addresses were looked for, too, and no member has them.
    state.document.addresses.clear();
    if let Some((key, other)) = state.contested.clone().filter(|_| membership != WantedMembership::Unsaid) {
        let detail = format!(
            "the account of {other} may be that of {}, for whom HR had named its address before",
            state.document.person
        );
        return finish(Conclusion::Blocked { code: Code::ScimOwned, detail, wants: Some(key) });
    }
    if state.contested.is_none() {
        state.document.record.earlier_emails.clear();
    }
    match membership {
        WantedMembership::Left if is_invited(&state.document) => {
            state.document.groups_wait = None;
            blocked(Code::ScimInvited, "created or invited, but no look-up shows them")
        }
        WantedMembership::Left | WantedMembership::Unsaid => not_a_member(state),
        // They should be switched on again, but the bridge creates nobody whom HR has not reported as employed.
        WantedMembership::Employed if is_unsaid => not_a_member(state),
        WantedMembership::Employed if made_unshown && is_of_another_address(&state.document, email) => {
            blocked(Code::ScimInvited, INVITED_BEFORE)
        }
        WantedMembership::Employed if made_unshown => invited(state, rules, now),
        WantedMembership::Employed if state.already_member && state.may_have_created => {
            let record = &state.document.record;
            state.document.member = Some(KnownMember {
                id: None,
                user_name: email.lower().to_owned(),
                given_name: record.given_name().map(str::to_owned),
                family_name: record.family_name().map(str::to_owned),
                active: None,
                seen_at: now,
                created_at: Some(now),
                is_unshown: true,
                user_name_written_at: None,
                address_hashes_before: Vec::new(),
                name_hashes_before: Vec::new(),
                names_written_at: None,
                active_written_at: None,
                open_writes: Vec::new(),
            });
            invited(state, rules, now)
        }
        // Most likely, our own invitation is still open.
        WantedMembership::Employed if state.already_member && is_invited_as(&state.document, email) => {
            if let Some(known) = &mut state.document.member {
                known.created_at = Some(now);
            }
            invited(state, rules, now)
        }
        WantedMembership::Employed if state.already_member => {
            state.document.looked = Some(looked);
            if state.is_bare_conflict {
                let (operation, status) = (Operation::Create, Some(409));
                return finish(Conclusion::Suspect { operation, status, not_before: None });
            }
            blocked(Code::ScimElsewhere, "after POST /Users")
        }
        // Each invitation sends an e-mail, so it is not repeated. If it was withdrawn meanwhile, HR's next hire makes
        // another one.
        WantedMembership::Employed if is_invited_as(&state.document, email) && !is_to_be_invited_again(state, now) => {
            invited(state, rules, now)
        }
        // If both invitations were accepted, there would be two members.
        WantedMembership::Employed if is_invited(&state.document) && is_of_another_address(&state.document, email) => {
            blocked(Code::ScimInvited, INVITED_BEFORE)
        }
        WantedMembership::Employed => create_or_say_why_not(state, rules, email, now),
    }
}

/// A leaver, or a member created under an earlier address, may be among those who were not looked at.
fn not_everybody(state: &mut AttemptState, looked: Looked) -> Step {
    if let Some(detail) = &looked.in_part {
        return blocked(Code::ScimLookUp, detail);
    }
    let extent = state.search.extent();
    let looks = &mut state.document.progress.looks_in_part;
    *looks = looks.saturating_add(1);
    if !extent.has_more && *looks < LOOKS_MAX {
        return finish(try_again(Code::ScimUnreadable, None, false));
    }
    let seen = extent.seen;
    let seen = extent.total.map_or_else(|| seen.to_string(), |total| format!("{seen} of {total}"));
    let what_to_do = if extent.has_more { ": raise `[postman] look_up_pages_max`" } else { "" };
    let detail = format!("{seen} members were looked at{what_to_do}");
    let step = blocked(Code::ScimLookUp, &detail);
    state.document.looked = Some(Looked { in_part: Some(detail), ..looked });
    step
}

/// There is no member, and HR wants none. But a create that went out may be an open invitation, which no look-up
/// finds. So may a create that is only assumed, if its address was claimed; without the claim, none went out.
fn not_a_member(state: &mut AttemptState) -> Step {
    let key = state.document.record.email().map(|email| address_key(email.lower()));
    let is_claimed = key.is_some_and(|key| state.has_claim(&key));
    let progress = &mut state.document.progress;
    let unknown = progress.create_unknown.filter(|unknown| !unknown.is_guess || is_claimed);
    progress.create_unknown = unknown.map(|unknown| UnknownCreate::made(unknown.at, unknown.answered));
    // Something about them must have changed, or nobody would have asked for the read. Most likely, the bridge's access
    // to the HR system does not cover their employment.
    if state.document.read_without_employment && state.document.record.employment.is_empty() {
        return finish(Conclusion::Incomplete(vec!["employment"]));
    }
    finish(Conclusion::InLine(Finished::NotAMember))
}

/// Created or invited, but never shown by a read.
fn is_invited(document: &Document) -> bool {
    document.member.as_ref().is_some_and(|known| !known.is_shown())
}

fn is_invited_as(document: &Document, email: &Email) -> bool {
    is_invited(document) && !is_of_another_address(document, email)
}

/// Whether HR reports the person as employed again, long after the invitation. Soon after it, that may just be a full
/// record or a redelivered hire.
fn is_to_be_invited_again(state: &AttemptState, now: UnixMs) -> bool {
    let made_at = state.document.member.as_ref().and_then(|known| known.created_at);
    is_new_word(&state.document, now) && state.document.groups_wait.is_none() && !within(made_at, INVITED_AGAIN_MS, now)
}

fn is_of_another_address(document: &Document, email: &Email) -> bool {
    document.member.as_ref().is_some_and(|known| known.address_key() != email.key())
}

/// There is no member, and HR says employed.
fn create_or_say_why_not(state: &mut AttemptState, rules: &PlanRules, email: &Email, now: UnixMs) -> Step {
    let record = &state.document.record;
    let nameless =
        record.given_name().unwrap_or_default().is_empty() && record.family_name().unwrap_or_default().is_empty();
    if state.document.member.is_some() && !is_new_word(&state.document, now) {
        return blocked(Code::ScimNotMember, "the member was removed at the target after HR's last word on employment");
    }
    if record.email().is_none() {
        return finish(Conclusion::Incomplete(vec!["email"]));
    }
    if nameless {
        return finish(Conclusion::Incomplete(vec!["given_name", "family_name"]));
    }
    create(state, rules, email)
}

/// The member is shown: make the next change, or finish.
fn reconcile_shown(
    state: &mut AttemptState,
    rules: &PlanRules,
    member: &Member,
    membership: WantedMembership,
    now: UnixMs,
) -> Step {
    if !is_theirs(state, member, rules, now) {
        if readdressed_lately(state, member, rules, now).is_some() {
            // The read shows an address from before our own write, or somebody else's: do not take it over.
            state.document.member = state.known.clone();
            return finish(try_again(Code::ScimLag, None, true));
        }
        if state.known.is_none() && state.document.listed_as.take().is_some() {
            // Only a list named this id, for an address that the member has given up since: it was never this person's,
            // and says nothing about whether they have a member.
            (state.document.member, state.shown, state.search) = (None, None, Search::default());
            return plan(state, rules, now);
        }
        // Neither the last known address nor HR's: the member is never written, and HR's address is looked up. The id
        // to ignore is the one that was requested, whatever id the reply shows.
        state.document.member = state.known.clone();
        state.stale_id = usable_id(state).or_else(|| Some(member.id.clone()));
        state.in_doubt = true;
        state.shown = None;
        state.search = Search::default();
        return plan(state, rules, now);
    }
    if state.unshown == Some(Operation::SetActive)
        && let Some(known) = &mut state.document.member
    {
        // Our own write was just answered, and this read is meant to show it: what was read before no longer counts.
        known.active = member.active.known().or(known.active);
        known.active_written_at = None;
    }
    let seen = Seen::of(&state.document, member, rules, now);
    if may_lag(state, member, membership, rules, now) {
        return finish(try_again(Code::ScimLag, None, true));
    }
    confirm(state, &seen, membership, rules, now);
    let write = switch_off(state, &seen, member, membership, rules, now)
        .or_else(|| readdress(state, &seen, member, membership, rules, now))
        .or_else(|| switch_on(state, &seen, member, membership, rules, now))
        .or_else(|| rename(state, &seen, member, membership, rules, now));
    // A member is claimed before it is written, adopted or found in sync: it may have been handed over.
    let is_new = state.known.as_ref().and_then(|known| known.id.as_deref()) != Some(&member.id);
    let keys = if is_new { keys_to_adopt(state, member) } else { vec![id_key(&member.id)] };
    if !keys.iter().all(|key| state.has_claim(key)) {
        return Step::Own(keys);
    }
    state.adopted |= is_new && !state.created && state.known.is_none();
    write
        .or_else(|| regroup(state, rules, member, &seen, membership, now))
        .unwrap_or_else(|| done(state, &seen, membership, now))
}

/// Whether a shown member is this person's: they have the address last read or written, HR's present one, or one that
/// an attempt may have written since.
fn is_theirs(state: &AttemptState, member: &Member, rules: &PlanRules, now: UnixMs) -> bool {
    let key = compare_key(&member.user_name);
    let is_hrs = state.document.record.email().is_some_and(|email| email.is(&member.user_name));
    let is_known = state.known.as_ref().is_some_and(|known| known.address_key() == key);
    let was_known = readdressed_lately(state, member, rules, now)
        .is_some_and(|known| known.address_hashes_before.contains(&KnownMember::address_hash(&member.user_name)));
    // HR named it earlier: an attempt that was interrupted, or whose answer was lost, may have written it.
    let was_hrs = state.known.as_ref().is_some_and(|known| known.id.as_ref() == Some(&member.id))
        && state.document.addresses.iter().any(|email| email.is(&member.user_name));
    // Nobody was known, and the list of members shows them under an address that HR named earlier.
    let was_named = state.is_earlier(&member.user_name);
    // A member that a look-up found, or that our create returned, is claimed by address.
    is_hrs || is_known || was_known || was_hrs || was_named || state.has_claim(&address_key(&member.user_name))
}

/// The member as known at the start, if their address was written so recently that a read may still show the old one.
fn readdressed_lately<'s>(
    state: &'s AttemptState,
    member: &Member,
    rules: &PlanRules,
    now: UnixMs,
) -> Option<&'s KnownMember> {
    let known = state.known.as_ref().filter(|known| known.id.as_ref() == Some(&member.id))?;
    within(known.user_name_written_at, rules.read_lag_ms, now).then_some(known)
}

/// Whether a read shows the opposite of how we recently switched the member. Either it lags behind, or somebody
/// switched them since (perhaps an interrupted attempt of ours). A PUT of what was read could do harm, and a leaver
/// must not count as switched off too early, so a later read must decide. A newer statement from HR to switch them on
/// settles it at once, and what a write of unknown outcome may have undone is written again at once.
fn may_lag(
    state: &AttemptState,
    member: &Member,
    membership: WantedMembership,
    rules: &PlanRules,
    now: UnixMs,
) -> bool {
    let known = state.document.member.as_ref();
    let wrote = known
        .filter(|known| within(known.active_written_at, rules.read_lag_ms, now))
        .and_then(|known| known.active)
        .filter(|_| !state.wrote.contains(&Operation::SetActive));
    match (wrote, member.active) {
        (Some(true), Active::Off) => {
            let is_settled = is_new_word(&state.document, now) || state.may_have_switched(false);
            !(membership == WantedMembership::Employed && is_settled)
        }
        (Some(false), Active::On) => match membership {
            WantedMembership::Left => !state.may_have_switched(true),
            WantedMembership::Employed => true,
            WantedMembership::Unsaid => false,
        },
        (Some(true | false) | None, _) => false,
    }
}

/// The next call for the groups, once the member is otherwise up to date.
fn regroup(
    state: &mut AttemptState,
    rules: &PlanRules,
    member: &Member,
    seen: &Seen,
    membership: WantedMembership,
    now: UnixMs,
) -> Option<Step> {
    if rules.groups.is_empty() || state.is_refused(Aspect::Groups) {
        return None;
    }
    let wanted = match membership {
        // The groups of a member who was switched off there stay as they are.
        WantedMembership::Employed if seen.active == Active::Off || state.is_refused(Aspect::Membership) => {
            return None;
        }
        WantedMembership::Employed => groups::wanted(&state.document.record, &rules.groups),
        WantedMembership::Left => groups::Names::new(),
        WantedMembership::Unsaid => return None,
    };
    let known = groups::GroupContext {
        claims: &state.claims,
        capabilities: state.capabilities.unwrap_or(Capabilities::UNTOLD),
        member: &member.id,
    };
    match state.groups.next(&mut state.document, &wanted, known, now) {
        Next::Send(call) => Some(Step::Send(Request::Group(call))),
        Next::Own(claim) => Some(Step::Own(vec![claim])),
        Next::Refuse(detail) => {
            state.refuse_groups(detail);
            None
        }
        Next::Done => None,
    }
}

/// Invited, and not shown yet.
fn invited(state: &mut AttemptState, rules: &PlanRules, now: UnixMs) -> Step {
    if wait_for_member(state, rules, now) { finish(Conclusion::InLine(Finished::Invited)) } else { never_joined() }
}

fn never_joined() -> Step {
    blocked(Code::ScimGroup, groups::NEVER_JOINED)
}

/// A member who is not shown yet is put into their groups later; false: time is up.
fn wait_for_member(state: &mut AttemptState, rules: &PlanRules, now: UnixMs) -> bool {
    let is_employed = membership_wanted(&state.document, rules, now) == WantedMembership::Employed;
    if is_employed && !groups::wanted(&state.document.record, &rules.groups).is_empty() {
        return groups::wait(&mut state.document, now);
    }
    true
}

/// Nothing is left to write.
fn done(state: &mut AttemptState, seen: &Seen, membership: WantedMembership, now: UnixMs) -> Step {
    let is_to_be_on =
        membership == WantedMembership::Employed && seen.active != Active::On && is_new_word(&state.document, now);
    if is_to_be_on && state.document.record.waits_for_email() {
        return finish(Conclusion::Incomplete(vec!["email"]));
    }
    if !state.left_alone.is_empty() {
        return finish(try_again(Code::ScimNotApplied, None, true));
    }
    if let Some((_, code, detail)) = state.refused.first().cloned() {
        return finish(Conclusion::Blocked { code, detail, wants: None });
    }
    state.document.switched_off_elsewhere = membership == WantedMembership::Employed && seen.active == Active::Off;
    let finished = match state.finished() {
        Finished::Updated if membership == WantedMembership::Left && state.wrote.contains(&Operation::SetActive) => {
            Finished::Deactivated
        }
        finished => finished,
    };
    finish(Conclusion::InLine(finished))
}
