//! People: as tests set them up, as requests send them, and as SCIM shows them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::core::time::UnixMs;

pub(super) const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Attributes that the stand-in stores and returns without interpreting them.
pub type Attributes = Map<String, Value>;

/// A person to add before the stand-in starts, or while it runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The e-mail address.
    #[serde(alias = "userName")]
    pub user_name: String,
    /// Given name.
    #[serde(default, alias = "givenName")]
    pub given_name: String,
    /// Family name.
    #[serde(default, alias = "familyName")]
    pub family_name: String,
    /// The employee id.
    #[serde(default, alias = "externalId")]
    pub external_id: Option<String>,
    /// Whether the member is active.
    #[serde(default = "yes")]
    pub active: bool,
    /// SCIM id; none: a new one is generated.
    #[serde(default)]
    pub id: Option<String>,
    /// The person's relation to the team.
    #[serde(default)]
    pub standing: Standing,
    /// Any other attributes, such as `title` or an extension.
    #[serde(default)]
    pub attributes: Attributes,
    /// Other parts of the name, such as `middleName`.
    #[serde(default, alias = "nameParts")]
    pub name_parts: Attributes,
}

fn yes() -> bool {
    true
}

impl Person {
    /// An active member with a new id.
    #[must_use]
    pub fn member(user_name: &str, given_name: &str, family_name: &str) -> Self {
        Self {
            user_name: user_name.to_owned(),
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            external_id: None,
            active: true,
            id: None,
            standing: Standing::Member,
            attributes: Attributes::new(),
            name_parts: Attributes::new(),
        }
    }

    /// A person with another relation to the team.
    #[must_use]
    pub fn standing(user_name: &str, standing: Standing) -> Self {
        Self { standing, ..Self::member(user_name, "", "") }
    }
}

impl fmt::Debug for Person {
    /// Leaves out personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("active", &self.active).field("standing", &self.standing).finish_non_exhaustive()
    }
}

/// A person's relation to the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A member of the team, active or not. Two members may have the same `userName`.
    #[default]
    Member,
    /// A member of another team: a create is answered with 409, and no search finds them.
    OtherTeam,
    /// Has a Postman account but no team: a create invites them.
    Invitable,
}

/// The user that a POST or PUT carries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserIn {
    schemas: Option<Vec<String>>,
    pub(super) user_name: Option<String>,
    name: Option<NameIn>,
    pub(super) external_id: Option<String>,
    pub(super) active: Option<bool>,
    #[serde(flatten)]
    rest: Attributes,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct NameIn {
    given_name: Option<String>,
    family_name: Option<String>,
    #[serde(flatten)]
    rest: Attributes,
}

impl UserIn {
    /// Parses and checks a body; none if Postman would answer `invalidSyntax`.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let user: Self = serde_json::from_slice(body).ok()?;
        let user_name = user.user_name.as_deref()?;
        let clean = |s: &str| !s.chars().any(char::is_control);
        let fine = user.schemas.as_ref()?.iter().any(|s| s == USER_URN)
            && user_name.contains('@')
            && !user_name.contains(char::is_whitespace)
            && [Some(user_name), user.given_name(), user.family_name(), user.external_id.as_deref()]
                .into_iter()
                .flatten()
                .all(clean);
        fine.then_some(user)
    }

    pub(super) fn given_name(&self) -> Option<&str> {
        self.name.as_ref()?.given_name.as_deref()
    }

    pub(super) fn family_name(&self) -> Option<&str> {
        self.name.as_ref()?.family_name.as_deref()
    }

    /// The attributes that the stand-in does not interpret, without `id` and `meta`, which only the server sets.
    pub(super) fn attributes(&self) -> Attributes {
        let known = ["id", "meta"];
        self.rest
            .iter()
            .filter(|(key, _)| !known.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// The parts of the name other than given and family name.
    pub(super) fn name_parts(&self) -> Attributes {
        self.name.as_ref().map(|name| name.rest.clone()).unwrap_or_default()
    }
}

/// A member as SCIM represents them.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub(super) schemas: [&'static str; 1],
    /// 48 hexadecimal digits.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub id: Box<str>,
    /// The e-mail address, as it was written at creation.
    pub user_name: Box<str>,
    /// Given and family name.
    pub name: Name,
    /// The employee id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Box<str>>,
    /// Whether the member is active.
    pub active: bool,
    pub(super) meta: Meta,
    /// Any other attributes.
    #[serde(flatten)]
    pub attributes: Attributes,
    /// Incremented by each change.
    #[serde(skip)]
    pub(super) version: u64,
}

impl Member {
    /// The version as shown in `ETag` and `meta.version`.
    pub(super) fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }

    /// A copy that includes the version.
    pub(super) fn with_version(&self) -> Self {
        let mut shown = self.clone();
        shown.meta.version = Some(self.etag());
        shown
    }

    /// Records a change.
    pub(super) fn changed(&mut self, at: UnixMs) {
        self.version += 1;
        self.meta.last_modified = Stamp(at);
    }
}

/// A member's name.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Name {
    /// Given name.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub given_name: Box<str>,
    /// Family name.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub family_name: Box<str>,
    /// Other parts of the name.
    #[serde(flatten)]
    pub parts: Attributes,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    resource_type: &'static str,
    created: Stamp,
    last_modified: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

impl Meta {
    pub(super) fn new(now: UnixMs) -> Self {
        Self { resource_type: "User", created: Stamp(now), last_modified: Stamp(now), version: None }
    }
}

/// Formatted as `2021-02-22T04:24:13.000Z`: always three digits, as in Postman's examples.
#[derive(Clone, Copy)]
struct Stamp(UnixMs);

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_millisecond(self.0.0) {
            Ok(t) => to.collect_str(&format_args!("{t:.3}")),
            Err(_) => to.collect_str(&self.0),
        }
    }
}

impl fmt::Debug for Member {
    /// Leaves out personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).field("active", &self.active).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_after_the_second() {
        let stamp = serde_json::to_string(&Stamp(UnixMs::parse_rfc3339("2021-02-22T04:24:13Z").unwrap())).unwrap();
        assert_eq!(stamp, "\"2021-02-22T04:24:13.000Z\"");
    }
}
