//! What an attempt would do, without making a call: the worker's own plan, run against the list of members, with
//! every write succeeding.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attempt::AttemptState;
use super::capabilities::Capabilities;
use super::claimed::Claimed;
use super::conclusion::Conclusion;
use super::group::{GroupCall, GroupOutcome, GroupRow};
use super::listing::Listing;
use super::owner::Owner;
use super::plan::{PlanRules, Step, plan};
use super::reply::Outcome;
use super::request::{Active, Attributes, Member, Operation, Request};
use super::target::TargetRules;
use crate::core::code::Code;
use crate::core::limiter::CallKind;
use crate::core::person::document::Groups;
use crate::core::person::job::Finished;
use crate::core::person::{Document, KnownMember, Person};
use crate::core::time::UnixMs;

/// Far above what a plan needs; a plan that does not end is reported as blocked.
const STEPS_MAX: usize = 64;

/// What would be done for one person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each call is made or not")]
pub struct Preview {
    /// A member would be created.
    pub create: bool,
    /// A member would be switched on.
    pub switch_on: bool,
    /// Names would be written.
    pub rename: bool,
    /// The address would be changed.
    pub readdress: bool,
    /// A member would be switched off.
    pub deactivate: bool,
    /// An existing member would become this person's.
    pub adopt: bool,
    /// The member would be added to a group, or removed from one.
    pub regroup: bool,
    /// HR has not said enough.
    pub incomplete: bool,
    /// Somebody switched the member off at the target, although HR says employed: that is left alone.
    pub switched_off: bool,
    /// Somebody else whose member would become this person's, although HR says neither that they left nor that they leave.
    #[serde(skip)]
    pub taken_from: Option<Person>,
    /// It could not be done: why.
    pub blocked: Option<(Code, String)>,
    /// The calls, in order.
    pub operations: Vec<Operation>,
    /// The same with all that would be sent.
    #[serde(skip)]
    pub requests: Vec<Request>,
    /// Calls that read.
    pub reads: u32,
    /// Calls that write.
    pub writes: u32,
}

impl Preview {
    /// Whether anything would be written.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        self.create || self.switch_on || self.rename || self.readdress || self.deactivate || self.regroup
    }
}

/// A member as last read or written.
#[must_use]
pub fn as_listed(known: &KnownMember) -> Member {
    Member {
        id: known.id.clone().unwrap_or_default(),
        user_name: known.user_name.clone(),
        given_name: known.given_name.clone(),
        family_name: known.family_name.clone(),
        active: match known.active {
            Some(true) => Active::On,
            Some(false) => Active::Off,
            None => Active::Unknown,
        },
        version: None,
        attributes: Attributes::default(),
    }
}

/// The owner of each claim, by key, over all people of a plan.
pub type Claims = BTreeMap<String, Owner>;

/// What would be done for `document` (with a staged row folded in) if the list of members shows `listed`: their member
/// or, if addresses differ only in case, several that may be theirs. Claims that would be made
/// are noted in `claims`.
#[must_use]
pub fn preview(
    mut document: Document,
    listed: &[Member],
    claims: &mut Claims,
    rules: &PlanRules,
    now: UnixMs,
) -> Preview {
    let mut preview = Preview::default();
    document.heed_scope(!rules.unscoped.contains(&document.person.source), now);
    if document.member.is_none() {
        document.listed_as = if let [member] = listed { Some(member.id.clone()) } else { None };
    }
    let mut members = listed.to_vec();
    let mut state = AttemptState::new(document, false, now);
    // The number of calls does not depend on what a provider can do.
    state.capabilities = Some(Capabilities::POSTMAN);
    for _ in 0..STEPS_MAX {
        match plan(&mut state, rules, now) {
            Step::Finish(conclusion) => {
                preview.note_end(&conclusion);
                let is_in_line = matches!(conclusion, Conclusion::InLine(_));
                preview.switched_off = is_in_line && state.document.switched_off_elsewhere;
                return preview;
            }
            Step::Own(keys) => {
                let claimed = claim(claims, &keys, &state.document, &mut preview, now);
                state.learn_claim(rules, &keys, claimed, now);
            }
            Step::Send(request) => {
                preview.note_call(&request);
                let outcome = answer(&request, &mut members, &state.document, rules.target);
                // Refused, since the person is a member already: the look-up that follows shows which one.
                preview.create &= outcome != Outcome::AlreadyMember;
                state.learn(rules, &request, outcome, now);
            }
        }
    }
    preview.blocked = Some((Code::ScimGaveUp, "the plan does not end".to_owned()));
    preview
}

fn claim(claims: &mut Claims, keys: &[String], document: &Document, preview: &mut Preview, now: UnixMs) -> Claimed {
    let others = keys.iter().find_map(|key| claims.get(key).filter(|owner| owner.person != document.person));
    // By then, what is planned for the owner will have been done.
    if let Some(owner) = others.map(|owner| owner.clone().followed()) {
        if !owner.hands_over_to(document, now) {
            return Claimed::Others(owner);
        }
        let from = owner.person;
        preview.taken_from = (!owner.has_left).then(|| from.clone());
        for key in keys {
            claims.insert(key.clone(), Owner::of(document, key, now));
        }
        return Claimed::TakenFrom { person: from, member: None, along: Vec::new(), groups: Groups::default() };
    }
    for key in keys {
        claims.insert(key.clone(), Owner::of(document, key, now));
    }
    Claimed::Ours
}

/// What a target would answer if everything succeeds.
fn answer(request: &Request, members: &mut Vec<Member>, document: &Document, target: TargetRules) -> Outcome {
    let listed = |members: Vec<Member>| {
        let listed = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Outcome::Members(Listing { members, listed, total: Some(listed), ..Listing::default() })
    };
    let (is_empty, is_alone) = (members.is_empty(), members.len() == 1);
    let place = request.member_id().and_then(|id| members.iter().position(|member| member.id == id));
    let mut member = place.and_then(|place| members.get_mut(place));
    match request {
        Request::Create(_) if !is_empty => return Outcome::AlreadyMember,
        Request::Create(user) => {
            let member = Member {
                // Nobody else has it, since a created member has a new id.
                id: format!("of {}", document.person),
                user_name: user.user_name.clone(),
                given_name: user.given_name.clone(),
                family_name: user.family_name.clone(),
                active: Active::On,
                version: None,
                attributes: Attributes::default(),
            };
            members.push(member.clone());
            return Outcome::Created(Some(Box::new(member)));
        }
        Request::Find { user_name } => {
            let shows = |member: &&Member| target.filters_alike(&member.user_name, user_name);
            return listed(members.iter().filter(shows).cloned().collect());
        }
        // Of several, it is not known which one has the `externalId`.
        Request::FindExternalId { .. } if !is_alone => return listed(Vec::new()),
        Request::FindExternalId { .. } | Request::Page { .. } => return listed(members.clone()),
        Request::SetActive { active, .. } => {
            if let Some(member) = &mut member {
                member.active = if *active { Active::On } else { Active::Off };
            }
        }
        Request::SetUserName { user_name, .. } => {
            if let Some(member) = &mut member {
                member.user_name.clone_from(user_name);
            }
        }
        Request::Replace { body, .. } => {
            let name = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
            let text = |key: &str| name["name"][key].as_str().map(str::to_owned);
            if let Some(member) = &mut member {
                (member.given_name, member.family_name) = (text("givenName"), text("familyName"));
            }
        }
        Request::SetNames { given_name, family_name, .. } => {
            if let Some(member) = &mut member {
                (member.given_name, member.family_name) = (given_name.clone(), family_name.clone());
            }
        }
        Request::Get { .. } => {}
        Request::Group(call) => return Outcome::Group(answer_of_group(call)),
        Request::Probe | Request::Discover => return Outcome::Served(Capabilities::POSTMAN),
    }
    member.map_or(Outcome::NotMember, |member| Outcome::Member(Box::new(member.clone())))
}

/// As if every group existed already.
fn answer_of_group(call: &GroupCall) -> GroupOutcome {
    match call {
        GroupCall::Find { name } => {
            let row = GroupRow { id: format!("of {name}"), name: name.clone() };
            GroupOutcome::Rows { rows: vec![row], listed: 1, total: Some(1) }
        }
        GroupCall::Page { .. } => GroupOutcome::Rows { rows: Vec::new(), listed: 0, total: None },
        GroupCall::Create { .. } | GroupCall::Get { .. } | GroupCall::Add { .. } | GroupCall::Remove { .. } => {
            GroupOutcome::Applied
        }
    }
}

impl Preview {
    fn note_call(&mut self, request: &Request) {
        self.operations.push(request.operation());
        self.requests.push(request.clone());
        match request.operation().call_kind() {
            CallKind::Read => self.reads += 1,
            CallKind::Write => self.writes += 1,
        }
        match request {
            Request::Create(_) => self.create = true,
            Request::SetActive { active: true, .. } => self.switch_on = true,
            Request::SetActive { active: false, .. } => self.deactivate = true,
            Request::SetUserName { .. } => self.readdress = true,
            Request::Replace { .. } | Request::SetNames { .. } => self.rename = true,
            Request::Get { .. }
            | Request::Find { .. }
            | Request::FindExternalId { .. }
            | Request::Page { .. }
            | Request::Probe
            | Request::Discover
            | Request::Group(GroupCall::Find { .. } | GroupCall::Page { .. } | GroupCall::Get { .. }) => {}
            Request::Group(GroupCall::Create { .. } | GroupCall::Add { .. } | GroupCall::Remove { .. }) => {
                self.regroup = true;
            }
        }
    }

    fn note_end(&mut self, conclusion: &Conclusion) {
        match conclusion {
            Conclusion::InLine(Finished::Adopted) => self.adopt = true,
            Conclusion::Incomplete(_) => self.incomplete = true,
            Conclusion::Blocked { code, detail, .. } => self.blocked = Some((*code, detail.clone())),
            Conclusion::TryAgain { code, patient: false, .. } | Conclusion::Hold { code, .. } => {
                self.blocked = Some((*code, String::new()));
            }
            // A patient wait is not reported: it will soon be over.
            Conclusion::TryAgain { patient: true, .. }
            | Conclusion::InLine(_)
            | Conclusion::Suspect { .. }
            | Conclusion::RateLimited { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::{EmploymentState, samples};
    use crate::core::reconcile::world_tests;

    fn document(id: &str, address: &str, family: &str) -> Document {
        samples::ada(id, Some(address), family, EmploymentState::Employed)
    }

    fn member(address: &str, family: &str, active: bool) -> Member {
        let json = format!(
            r#"{{"id":"x","userName":"{address}","name":{{"givenName":"Ada","familyName":"{family}"}},"active":{active}}}"#
        );
        super::super::member::read(json.as_bytes(), None).unwrap()
    }

    fn rules() -> PlanRules {
        world_tests::rules(TargetRules::default(), Vec::new())
    }

    #[expect(clippy::needless_pass_by_value, reason = "who was previewed is done with")]
    fn previewed(document: Document, listed: Option<Member>) -> Preview {
        preview(document, listed.as_slice(), &mut Claims::new(), &rules(), UnixMs(2_000))
    }

    #[test]
    fn a_missing_member_would_be_created_and_a_correct_one_left_alone() {
        let new = previewed(document("E-1", "ada@example.com", "King"), None);
        assert!(new.create && new.writes == 1 && new.blocked.is_none(), "{new:?}");
        let right =
            previewed(document("E-1", "ada@example.com", "King"), Some(member("ada@example.com", "King", true)));
        assert!(!right.changes_anything() && right.adopt, "{right:?}");
    }

    #[test]
    fn a_difference_is_shown_as_the_planned_change() {
        let renamed =
            previewed(document("E-1", "ada@example.com", "King"), Some(member("ada@example.com", "Byron", true)));
        assert!(renamed.rename && !renamed.switch_on && !renamed.create, "{renamed:?}");
        let off = previewed(document("E-1", "ada@example.com", "King"), Some(member("ada@example.com", "King", false)));
        assert!(off.switch_on && !off.rename, "{off:?}");
    }

    #[test]
    fn two_people_with_one_address_are_reported_before_anything_is_written() {
        let mut claims = Claims::new();
        let first = preview(document("E-1", "ada@example.com", "King"), &[], &mut claims, &rules(), UnixMs(2_000));
        let second = preview(document("E-2", "ADA@example.com", "Stone"), &[], &mut claims, &rules(), UnixMs(2_000));
        assert!(first.create);
        let third = preview(document("E-3", "bob@example.com", "Byron"), &[], &mut claims, &rules(), UnixMs(2_000));
        assert!(third.create && third.blocked.is_none(), "{third:?}");
        assert_eq!(second.blocked.as_ref().map(|(code, _)| *code), Some(Code::ScimOwned), "{second:?}");
    }
}
