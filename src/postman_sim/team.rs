//! The team: its members, the seats they take, and the people who are somewhere else.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::options::InvitedId;
use super::replies::ReplyName;
use crate::core::time::UnixMs;

const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Somebody to put in place before, or while, the stand-in runs.
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
    /// Switched on?
    #[serde(default = "yes")]
    pub active: bool,
    /// SCIM id; none: a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// Where they stand.
    #[serde(default)]
    pub standing: Standing,
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
        }
    }

    /// Somebody who stands somewhere else.
    #[must_use]
    pub fn standing(user_name: &str, standing: Standing) -> Self {
        Self { standing, ..Self::member(user_name, "", "") }
    }
}

impl fmt::Debug for Person {
    /// Without personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("active", &self.active).field("standing", &self.standing).finish_non_exhaustive()
    }
}

/// Where a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A member of the team, active or not. The same `userName` may be put in place twice.
    #[default]
    Member,
    /// A member of another team: a create is a 409, and no look-up finds them.
    OtherTeam,
    /// Has a Postman account but no team: a create invites them.
    Invitable,
    /// Was invited and accepts: from now on a member.
    Accepted,
}

/// The user that a POST or PUT carries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserIn {
    schemas: Option<Vec<String>>,
    pub(super) user_name: Option<String>,
    name: Option<NameIn>,
    external_id: Option<String>,
    pub(super) active: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct NameIn {
    given_name: Option<String>,
    family_name: Option<String>,
}

impl UserIn {
    /// Reads and checks a body; none where Postman would call it `invalidSyntax`.
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
}

/// A member as SCIM tells them.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    schemas: [&'static str; 1],
    /// 48 hexadecimal digits.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub id: Box<str>,
    /// The e-mail address, spelt as it was created.
    pub user_name: Box<str>,
    /// Given and family name.
    pub name: Name,
    /// The employee id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Box<str>>,
    /// Switched on?
    pub active: bool,
    meta: Meta,
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
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    resource_type: &'static str,
    #[serde(serialize_with = "to_the_millisecond")]
    created: UnixMs,
    #[serde(serialize_with = "to_the_millisecond")]
    last_modified: UnixMs,
}

/// `2021-02-22T04:24:13.000Z`: always three digits, as in Postman's examples.
fn to_the_millisecond<S: serde::Serializer>(at: &UnixMs, to: S) -> Result<S::Ok, S::Error> {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(t) => to.collect_str(&format_args!("{t:.3}")),
        Err(_) => to.collect_str(at),
    }
}

impl fmt::Debug for Member {
    /// Without personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).field("active", &self.active).finish_non_exhaustive()
    }
}

/// Everybody that the stand-in knows of.
#[derive(Debug, Default)]
pub(super) struct Team {
    members: Vec<Member>,
    by_id: HashMap<Box<str>, usize>,
    /// By lower-cased `userName`; more than one only where they were put in place so.
    by_name: HashMap<Box<str>, Vec<usize>>,
    active: usize,
    other_team: HashSet<Box<str>>,
    invitable: HashSet<Box<str>>,
    invited: HashMap<Box<str>, Member>,
}

fn fold(user_name: &str) -> Box<str> {
    user_name.to_lowercase().into_boxed_str()
}

impl Team {
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Puts somebody in place. False: nobody of that name is invited, so nobody can accept.
    pub(super) fn put(&mut self, person: Person, now: UnixMs, rng: &mut fastrand::Rng) -> bool {
        let key = fold(&person.user_name);
        match person.standing {
            Standing::Member => {
                let id = person.id.map_or_else(|| new_id(rng), String::into_boxed_str);
                self.insert(Member {
                    schemas: [USER_URN],
                    id,
                    user_name: person.user_name.into(),
                    name: Name { given_name: person.given_name.into(), family_name: person.family_name.into() },
                    external_id: person.external_id.map(Into::into),
                    active: person.active,
                    meta: Meta { resource_type: "User", created: now, last_modified: now },
                });
            }
            Standing::OtherTeam => {
                self.other_team.insert(key);
            }
            Standing::Invitable => {
                self.invitable.insert(key);
            }
            Standing::Accepted => match self.invited.remove(&key) {
                Some(mut member) => {
                    member.meta.last_modified = now;
                    self.insert(member);
                }
                None => return false,
            },
        }
        true
    }

    fn insert(&mut self, member: Member) {
        let at = self.members.len();
        self.by_id.insert(member.id.clone(), at);
        self.by_name.entry(fold(&member.user_name)).or_default().push(at);
        self.active += usize::from(member.active);
        self.members.push(member);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Member> {
        self.members.get(*self.by_id.get(id)?)
    }

    /// Those whose `userName` is exactly this one: Postman's filter minds the case.
    pub(super) fn find<'a>(&'a self, user_name: &'a str) -> impl Iterator<Item = &'a Member> {
        let hits = self.by_name.get(&fold(user_name)).map_or(&[][..], Vec::as_slice);
        hits.iter().filter_map(|at| self.members.get(*at)).filter(move |m| &*m.user_name == user_name)
    }

    fn has_a_seat(&self, seats: Option<usize>) -> bool {
        seats.is_none_or(|seats| self.active + self.invited.len() < seats)
    }

    /// `POST /Users`: the new member, or the one who is invited.
    pub(super) fn create(
        &mut self,
        user: &UserIn,
        seats: Option<usize>,
        invited_id: InvitedId,
        now: UnixMs,
        rng: &mut fastrand::Rng,
    ) -> Result<Member, ReplyName> {
        let user_name = user.user_name.as_deref().unwrap_or_default();
        let key = fold(user_name);
        if self.by_name.contains_key(&key) || self.other_team.contains(&key) || self.invited.contains_key(&key) {
            return Err(ReplyName::AlreadyMember);
        }
        if !self.has_a_seat(seats) {
            return Err(ReplyName::NoSlots);
        }
        let member = Member {
            schemas: [USER_URN],
            id: new_id(rng),
            user_name: user_name.into(),
            name: Name {
                given_name: user.given_name().unwrap_or_default().into(),
                family_name: user.family_name().unwrap_or_default().into(),
            },
            external_id: user.external_id.as_deref().map(Into::into),
            active: user.active.unwrap_or(true),
            meta: Meta { resource_type: "User", created: now, last_modified: now },
        };
        if self.invitable.remove(&key) {
            let mut told = member.clone();
            self.invited.insert(key, member);
            if invited_id == InvitedId::Absent {
                told.id = Box::default();
            }
            return Ok(told);
        }
        self.insert(member.clone());
        Ok(member)
    }

    /// `PUT /Users/{id}`: given and family name, and `active`; nothing else is brought over.
    pub(super) fn replace(
        &mut self,
        id: &str,
        user: &UserIn,
        refuse_username: bool,
        seats: Option<usize>,
        now: UnixMs,
    ) -> Result<&Member, ReplyName> {
        let member = self.get(id).ok_or(ReplyName::NotMember404)?;
        let same = user.user_name.as_deref().is_some_and(|sent| fold(sent) == fold(&member.user_name));
        if refuse_username && !same {
            return Err(ReplyName::UsernameFailed);
        }
        let active = user.active.unwrap_or(member.active);
        let member = self.switch(id, active, seats, now)?;
        if let Some(given) = user.given_name() {
            member.name.given_name = given.into();
        }
        if let Some(family) = user.family_name() {
            member.name.family_name = family.into();
        }
        Ok(member)
    }

    /// Switches a member on or off; on takes a seat.
    pub(super) fn switch(
        &mut self,
        id: &str,
        active: bool,
        seats: Option<usize>,
        now: UnixMs,
    ) -> Result<&mut Member, ReplyName> {
        let at = *self.by_id.get(id).ok_or(ReplyName::NotMember404)?;
        let seat = self.has_a_seat(seats);
        let member = self.members.get_mut(at).ok_or(ReplyName::NotMember404)?;
        match (member.active, active) {
            (false, true) if !seat => return Err(ReplyName::NoSlots),
            (false, true) => self.active += 1,
            (true, false) => self.active -= 1,
            (true, true) | (false, false) => {}
        }
        member.active = active;
        member.meta.last_modified = now;
        Ok(member)
    }
}

/// 48 hexadecimal digits.
fn new_id(rng: &mut fastrand::Rng) -> Box<str> {
    format!("{:032x}{:016x}", rng.u128(..), rng.u64(..)).into_boxed_str()
}
