//! Groups as Postman documents them: created, listed by `displayName`, renamed, and members added and removed
//! by a path. Only people who have joined can be in one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::replies::ReplyName;
use super::response::Response;
use super::team::Team;

const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PAGE_MAX: usize = 100;

/// A group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    schemas: [&'static str; 1],
    id: String,
    display_name: String,
    members: Vec<MemberRef>,
    meta: Meta,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MemberRef {
    value: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    resource_type: &'static str,
}

/// What to do with groups.
pub(super) enum GroupAction {
    Create { name: String, members: Vec<String> },
    List { name: Option<String>, start: usize, count: usize },
    Get,
    Patch(Vec<Step>),
}

/// A step of a PATCH.
pub(super) enum Step {
    Rename(String),
    Add(Vec<String>),
    Remove(String),
}

/// All groups, oldest first.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

impl GroupAction {
    /// Reads a `POST /Groups`.
    pub(super) fn create(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let name = body["displayName"].as_str().filter(|name| !name.trim().is_empty())?;
        let members = body.get("members").map_or(Some(Vec::new()), member_ids)?;
        Some(Self::Create { name: name.to_owned(), members })
    }

    /// Reads the query of a `GET /Groups`; none if it filters by anything other than `displayName`.
    pub(super) fn list(query: &str) -> Option<Self> {
        let (mut name, mut start, mut count) = (None, 1, PAGE_MAX);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "startIndex" => start = value.parse::<usize>().ok()?.max(1),
                "count" => count = value.parse::<usize>().ok()?.min(PAGE_MAX),
                "filter" => {
                    let (attribute, quoted) = value.split_once(" eq ")?;
                    let is_name = attribute.trim().eq_ignore_ascii_case("displayName");
                    name = Some(is_name.then(|| serde_json::from_str(quoted.trim()).ok()).flatten()?);
                }
                _ => {}
            }
        }
        Some(Self::List { name, start, count })
    }

    /// Reads a `PATCH /Groups/{id}`.
    pub(super) fn patch(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let steps = body["Operations"].as_array().filter(|steps| !steps.is_empty())?;
        Some(Self::Patch(steps.iter().map(step).collect::<Option<_>>()?))
    }
}

fn step(step: &Value) -> Option<Step> {
    let path = step["path"].as_str();
    match (step["op"].as_str()?.to_ascii_lowercase().as_str(), path) {
        ("replace", None) => Some(Step::Rename(step["value"]["displayName"].as_str()?.to_owned())),
        ("add", Some("members")) => Some(Step::Add(member_ids(&step["value"])?)),
        ("remove", Some(path)) => {
            let quoted = path.strip_prefix("members[value eq ")?.strip_suffix(']')?;
            Some(Step::Remove(serde_json::from_str(quoted).ok()?))
        }
        _ => None,
    }
}

fn member_ids(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|member| member["value"].as_str().map(str::to_owned)).collect()
}

impl Groups {
    /// For tests and for readers of the journal.
    pub(super) fn all(&self) -> &[Group] {
        &self.0
    }

    /// Deletes the groups of this name, as an admin does in the team's settings.
    pub(super) fn delete(&mut self, name: &str) {
        self.0.retain(|group| group.display_name != name);
    }

    /// Carries out the action, and returns the reply.
    pub(super) fn act(
        &mut self,
        id: &str,
        action: &GroupAction,
        team: &Team,
        rng: &mut fastrand::Rng,
    ) -> Result<Response, ReplyName> {
        let has_joined = |id: &String| team.get(id).is_some_and(|member| member.active);
        let reply = |status, group: &Group| Response::json(status, serde_json::to_vec(group).unwrap_or_default());
        match action {
            GroupAction::Create { name, members } => {
                if !members.iter().all(has_joined) {
                    return Err(ReplyName::NotJoined);
                }
                let members = members.iter().map(|value| MemberRef { value: value.clone() }).collect();
                self.0.push(Group {
                    schemas: [GROUP_URN],
                    id: format!("{:016x}", rng.u64(..)),
                    display_name: name.clone(),
                    members,
                    meta: Meta { resource_type: "Group" },
                });
                self.0.last().map(|group| reply(201, group)).ok_or(ReplyName::NoGroup)
            }
            GroupAction::List { name, start, count } => {
                let fits = |group: &&Group| name.as_ref().is_none_or(|name| group.display_name == *name);
                let rows: Vec<&Group> = self.0.iter().filter(fits).collect();
                let shown: Vec<_> = rows.iter().skip(start - 1).take(*count).collect();
                let list = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                    "totalResults": rows.len(),
                    "startIndex": start,
                    "itemsPerPage": count,
                    "Resources": shown,
                });
                Ok(Response::json(200, list.to_string().into_bytes()))
            }
            GroupAction::Get => {
                self.0.iter().find(|group| group.id == id).map(|g| reply(200, g)).ok_or(ReplyName::NoGroup)
            }
            GroupAction::Patch(steps) => {
                let group = self.0.iter_mut().find(|group| group.id == id).ok_or(ReplyName::NoGroup)?;
                let joins = |step: &Step| matches!(step, Step::Add(ids) if !ids.iter().all(has_joined));
                if steps.iter().any(joins) {
                    return Err(ReplyName::NotJoined);
                }
                for step in steps {
                    match step {
                        Step::Rename(name) => group.display_name.clone_from(name),
                        Step::Add(ids) => {
                            for value in ids {
                                let member = MemberRef { value: value.clone() };
                                if !group.members.contains(&member) {
                                    group.members.push(member);
                                }
                            }
                        }
                        Step::Remove(value) => group.members.retain(|member| member.value != *value),
                    }
                }
                Ok(reply(200, group))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_patches_are_understood() {
        let patch = |op: Value| GroupAction::patch(json!({ "Operations": [op] }).to_string().as_bytes());
        assert!(patch(json!({ "op": "add", "path": "members", "value": [{ "value": "1" }] })).is_some());
        assert!(patch(json!({ "op": "Remove", "path": "members[value eq \"1\"]" })).is_some());
        assert!(patch(json!({ "op": "replace", "value": { "id": "g", "displayName": "R&D" } })).is_some());
        assert!(patch(json!({ "op": "replace", "path": "members", "value": [] })).is_none());
        assert!(patch(json!({ "op": "remove", "path": "members" })).is_none());
    }

    #[test]
    fn a_list_is_filtered_by_name_alone() {
        let list = |query: &str| GroupAction::list(query);
        let name = |query: &str| match list(query) {
            Some(GroupAction::List { name, .. }) => name,
            _ => None,
        };
        assert_eq!(name("filter=displayName%20eq%20%22R%26D%22").as_deref(), Some("R&D"));
        assert!(list("filter=members%20eq%20%221%22").is_none());
    }
}
