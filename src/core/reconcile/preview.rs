//! What an attempt would do, without making a call: the worker's own plan, run against the list of members, with
//! every write succeeding.

pub use super::claims::Claims;

use serde::Serialize;

use super::attempt::AttemptState;
use super::capabilities::Capabilities;
use super::claims::{Claiming, Turn};
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
    /// Somebody of another name, who has left, whose member would become this person's.
    #[serde(skip)]
    pub left_behind_by: Option<Person>,
    /// Somebody who would give up what this person needs, but is not part of the plan.
    #[serde(skip)]
    pub waits_for: Option<Person>,
    /// It could not be done: why.
    pub blocked: Option<(Code, String)>,
    /// The calls, in order.
    pub operations: Vec<Operation>,
    /// The calls with all that would be sent.
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

/// The members of the target as the plan has left them so far.
pub trait Team {
    /// The member with this SCIM id.
    fn with_id(&self, id: &str) -> Option<&Member>;
    /// A member, other than the one with this SCIM id, who has this address.
    fn with_address(&self, user_name: &str, but: &str) -> Option<&Member>;
}

/// Nothing is known of the others.
impl Team for () {
    fn with_id(&self, _: &str) -> Option<&Member> {
        None
    }

    fn with_address(&self, _: &str, _: &str) -> Option<&Member> {
        None
    }
}

/// What would be done for `document` (with a staged row folded in) if the list of members shows `listed`: their member
/// or, if addresses differ only in case, several that may be theirs. Claims that would be made
/// are noted in `claims`.
#[must_use]
pub fn preview(document: Document, listed: &[Member], claims: &mut Claims, rules: &PlanRules, now: UnixMs) -> Preview {
    claims.begin(Turn::Only);
    preview_in(document, listed.to_vec(), &(), claims, rules, now).map(|(preview, ..)| preview).unwrap_or_default()
}

/// A preview as part of a plan for `team`, of which `members` may be this person's. Returns these, and the document, as
/// they would be then; none if they wait for somebody who is not planned for yet.
pub fn preview_in(
    mut document: Document,
    mut members: Vec<Member>,
    team: &dyn Team,
    claims: &mut Claims,
    rules: &PlanRules,
    now: UnixMs,
) -> Option<(Preview, Document, Vec<Member>)> {
    let mut preview = Preview::default();
    document.heed_scope(!rules.unscoped.contains(&document.person.source), now);
    if document.member.is_none() {
        document.listed_as = if let [member] = &members[..] { Some(member.id.clone()) } else { None };
    }
    // By then, whoever may go first will have.
    document.progress.has_let_others_first = true;
    let mut state = AttemptState::new(document, false, now);
    // The number of calls does not depend on what a provider can do.
    state.capabilities = Some(Capabilities::POSTMAN);
    for _ in 0..STEPS_MAX {
        match plan(&mut state, rules, now) {
            Step::Finish(conclusion) => {
                preview.note_end(&conclusion);
                let is_in_line = matches!(conclusion, Conclusion::InLine(_));
                preview.switched_off = is_in_line && state.document.switched_off_elsewhere;
                return Some((preview, state.document, members));
            }
            Step::Own(keys) => match claims.claim(&keys, &state.document, now) {
                Claiming::Later => return None,
                Claiming::Claimed { claimed, from, waits_for } => {
                    preview.waits_for = waits_for;
                    preview.note_taken(from.as_deref(), &state.document);
                    state.learn_claim(rules, &keys, *claimed, now);
                    members.retain(|member| !state.is_passed_over(&member.user_name));
                }
            },
            Step::Send(request) => {
                preview.note_call(&request);
                let outcome = answer(&request, &mut members, team, &state.document, rules.target);
                // Refused, since the person is a member already: the look-up that follows shows which one.
                preview.create &= !matches!(outcome, Outcome::AlreadyMember { .. });
                preview.readdress &= !matches!(outcome, Outcome::AddressRefused { .. });
                state.learn(rules, &request, outcome, now);
            }
        }
    }
    preview.blocked = Some((Code::ScimGaveUp, "the plan does not end".to_owned()));
    Some((preview, state.document, members))
}

/// What a target would answer if everything succeeds.
fn answer(
    request: &Request,
    members: &mut Vec<Member>,
    team: &dyn Team,
    document: &Document,
    target: TargetRules,
) -> Outcome {
    let listed = |members: Vec<Member>| {
        let listed = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Outcome::Members(Listing { members, listed, total: Some(listed), ..Listing::default() })
    };
    let (is_empty, is_alone) = (members.is_empty(), members.len() == 1);
    let place = request.member_id().and_then(|id| members.iter().position(|member| member.id == id));
    let mut member = place.and_then(|place| members.get_mut(place));
    match request {
        Request::Create(_) if !is_empty => return Outcome::AlreadyMember { is_told: true },
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
        Request::SetUserName { id, user_name, .. } if team.with_address(user_name, id).is_some() => {
            return Outcome::AddressRefused { is_taken: true, status: 409 };
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
        // An account in the way is somebody else's.
        Request::Get { id } if place.is_none() => {
            return team.with_id(id).map_or(Outcome::NotMember, |other| Outcome::Member(Box::new(other.clone())));
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
    /// Notes whose member would become this person's.
    fn note_taken(&mut self, from: Option<&Owner>, document: &Document) {
        let Some(owner) = from else { return };
        if !owner.has_left {
            self.taken_from = Some(owner.person.clone());
        } else if !owner.may_be_one_with(document) {
            self.left_behind_by = Some(owner.person.clone());
        }
    }

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
