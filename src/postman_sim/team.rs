//! The team: its members, their seats, and people of other teams.

use std::collections::{HashMap, HashSet};

use super::history::History;
use super::member::{Attributes, Member, Meta, Name, Person, Standing, USER_URN, UserIn};
use super::now::Now;
use super::options::{InvitedId, PutMeaning, SimOptions, UsernameChange};
use super::replies::ReplyName;

/// Everybody the stand-in knows.
#[derive(Debug, Default)]
pub(super) struct Team {
    members: Vec<Member>,
    by_id: HashMap<Box<str>, usize>,
    /// By lower-cased `userName`; several members share one only if a test set them up so.
    by_name: HashMap<Box<str>, Vec<usize>>,
    active: usize,
    elsewhere: HashSet<Box<str>>,
    invitable: HashSet<Box<str>>,
    invited: HashMap<Box<str>, Member>,
    history: History,
}

fn fold(user_name: &str) -> Box<str> {
    user_name.to_lowercase().into_boxed_str()
}

impl Team {
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The members as they were at `at_us`.
    pub(super) fn members_at(&self, at_us: u64) -> Vec<&Member> {
        let then = self.history.at(at_us);
        let seen = |(place, now)| then.get(&place).copied().unwrap_or(Some(now));
        self.members.iter().enumerate().filter_map(seen).collect()
    }

    /// Adds a person.
    pub(super) fn put(&mut self, person: Person, now: Now, rng: &mut fastrand::Rng) {
        let key = fold(&person.user_name);
        match person.standing {
            Standing::Member => {
                let id = person.id.map_or_else(|| new_id(rng), String::into_boxed_str);
                self.insert(
                    Member {
                        schemas: [USER_URN],
                        id,
                        user_name: person.user_name.into(),
                        name: Name {
                            given_name: person.given_name.into(),
                            family_name: person.family_name.into(),
                            parts: person.name_parts,
                        },
                        external_id: person.external_id.map(Into::into),
                        active: person.active,
                        meta: Meta::new(now.at),
                        attributes: person.attributes,
                        version: 1,
                    },
                    now,
                );
            }
            Standing::OtherTeam => {
                self.elsewhere.insert(key);
            }
            Standing::Invitable => {
                self.invitable.insert(key);
            }
        }
    }

    /// An invited person joins; none: nobody of that name is invited.
    pub(super) fn accept(&mut self, user_name: &str, now: Now) -> Option<&Member> {
        let mut member = self.invited.remove(&fold(user_name))?;
        member.changed(now.at);
        self.insert(member, now);
        self.members.last()
    }

    fn insert(&mut self, member: Member, now: Now) {
        let at = self.members.len();
        self.by_id.insert(member.id.clone(), at);
        self.by_name.entry(fold(&member.user_name)).or_default().push(at);
        self.active += usize::from(member.active);
        self.members.push(member);
        self.history.note(now.at_us, at, None);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Member> {
        self.members.get(*self.by_id.get(id)?)
    }

    /// Members with exactly this `userName`: Postman's filter is case-sensitive.
    pub(super) fn find<'a>(&'a self, user_name: &'a str) -> impl Iterator<Item = &'a Member> {
        let hits = self.by_name.get(&fold(user_name)).map_or(&[][..], Vec::as_slice);
        hits.iter().filter_map(|at| self.members.get(*at)).filter(move |m| &*m.user_name == user_name)
    }

    fn has_a_seat(&self, seats: Option<usize>) -> bool {
        seats.is_none_or(|seats| self.active + self.invited.len() < seats)
    }

    fn is_taken(&self, key: &str) -> bool {
        let is_members = self.by_name.get(key).is_some_and(|places| !places.is_empty());
        is_members || self.elsewhere.contains(key) || self.invited.contains_key(key)
    }

    /// `POST /Users`: the new member, or the invited person.
    pub(super) fn create(
        &mut self,
        user: &UserIn,
        options: &SimOptions,
        now: Now,
        rng: &mut fastrand::Rng,
    ) -> Result<Member, ReplyName> {
        let user_name = user.user_name.as_deref().unwrap_or_default();
        let key = fold(user_name);
        if self.is_taken(&key) {
            return Err(ReplyName::AlreadyMember);
        }
        if !self.has_a_seat(options.seats) {
            return Err(ReplyName::NoSlots);
        }
        let member = Member {
            schemas: [USER_URN],
            id: new_id(rng),
            user_name: user_name.into(),
            name: Name {
                given_name: user.given_name().unwrap_or_default().into(),
                family_name: user.family_name().unwrap_or_default().into(),
                parts: Attributes::new(),
            },
            external_id: user.external_id.as_deref().map(Into::into),
            active: user.active.unwrap_or(true),
            meta: Meta::new(now.at),
            attributes: Attributes::new(),
            version: 1,
        };
        if self.invitable.remove(&key) {
            let mut shown = member.clone();
            self.invited.insert(key, member);
            if options.invited_id == InvitedId::Absent {
                shown.id = Box::default();
            }
            return Ok(shown);
        }
        self.insert(member.clone(), now);
        Ok(member)
    }

    /// `PUT /Users/{id}`: sets given and family name, and `active`; everything else only if a PUT replaces the whole
    /// member.
    pub(super) fn replace(
        &mut self,
        id: &str,
        user: &UserIn,
        options: &SimOptions,
        now: Now,
    ) -> Result<&Member, ReplyName> {
        let member = self.get(id).ok_or(ReplyName::NotMember404)?;
        let same = user.user_name.as_deref().is_some_and(|sent| fold(sent) == fold(&member.user_name));
        if options.username_change == UsernameChange::Refuse && !same {
            return Err(ReplyName::UsernameFailed);
        }
        let active = user.active.unwrap_or(member.active);
        let member = self.switch(id, active, options, now)?;
        if let Some(given) = user.given_name() {
            member.name.given_name = given.into();
        }
        if let Some(family) = user.family_name() {
            member.name.family_name = family.into();
        }
        if options.put == PutMeaning::Whole {
            member.name = Name {
                given_name: user.given_name().unwrap_or_default().into(),
                family_name: user.family_name().unwrap_or_default().into(),
                parts: user.name_parts(),
            };
            member.external_id = user.external_id.as_deref().map(Into::into);
            member.attributes = user.attributes();
        }
        Ok(member)
    }

    /// `PATCH /Users/{id}` of `userName`: only between addresses of verified domains, and to an unused one.
    pub(super) fn readdress(
        &mut self,
        id: &str,
        user_name: &str,
        options: &SimOptions,
        now: Now,
    ) -> Result<&Member, ReplyName> {
        let at = *self.by_id.get(id).ok_or(ReplyName::NotMember404)?;
        let member = self.members.get_mut(at).ok_or(ReplyName::NotMember404)?;
        let (old, new) = (fold(&member.user_name), fold(user_name));
        if !options.is_verified(&old) || !options.is_verified(&new) {
            return Err(ReplyName::UsernameFailed);
        }
        if old != new && self.is_taken(&new) {
            return Err(ReplyName::AlreadyMember);
        }
        let member = self.change(at, now).ok_or(ReplyName::NotMember404)?;
        member.user_name = user_name.into();
        if let Some(places) = self.by_name.get_mut(&old) {
            places.retain(|place| *place != at);
        }
        self.by_name.entry(new).or_default().push(at);
        self.get(id).ok_or(ReplyName::NotMember404)
    }

    /// Switches a member on or off; switching on takes a seat.
    pub(super) fn switch(
        &mut self,
        id: &str,
        active: bool,
        options: &SimOptions,
        now: Now,
    ) -> Result<&mut Member, ReplyName> {
        let at = *self.by_id.get(id).ok_or(ReplyName::NotMember404)?;
        let was = self.members.get(at).ok_or(ReplyName::NotMember404)?.active;
        match (was, active) {
            (false, true) if !self.has_a_seat(options.seats) => return Err(ReplyName::NoSlots),
            (false, true) => self.active += 1,
            (true, false) => self.active -= 1,
            (true, true) | (false, false) => {}
        }
        let member = self.change(at, now).ok_or(ReplyName::NotMember404)?;
        member.active = active;
        Ok(member)
    }

    /// A member about to change; remembers the previous state.
    fn change(&mut self, at: usize, now: Now) -> Option<&mut Member> {
        let member = self.members.get_mut(at)?;
        self.history.note(now.at_us, at, Some(member.clone()));
        member.changed(now.at);
        Some(member)
    }
}

/// 48 hexadecimal digits.
fn new_id(rng: &mut fastrand::Rng) -> Box<str> {
    format!("{:032x}{:016x}", rng.u128(..), rng.u64(..)).into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::UnixMs;

    fn at(ms: u64) -> Now {
        Now { at: UnixMs(0).plus_ms(ms), at_us: ms * 1000 }
    }

    fn user(user_name: &str) -> UserIn {
        let body = serde_json::json!({"schemas": [USER_URN], "userName": user_name});
        UserIn::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_open_invitation_takes_a_seat_and_keeps_it_when_accepted() {
        let (mut team, mut rng) = (Team::default(), fastrand::Rng::with_seed(1));
        team.put(Person::standing("ada@x.test", Standing::Invitable), at(0), &mut rng);
        let options = SimOptions { seats: Some(1), ..SimOptions::default() };
        let mut create = |team: &mut Team, who: &str| team.create(&user(who), &options, at(0), &mut rng).err();
        assert_eq!(create(&mut team, "ada@x.test"), None);
        assert_eq!(create(&mut team, "bob@x.test"), Some(ReplyName::NoSlots));
        assert!(team.accept("ADA@x.test", at(5)).is_some());
        assert_eq!(create(&mut team, "bob@x.test"), Some(ReplyName::NoSlots));
    }

    #[test]
    fn members_are_shown_as_of_an_earlier_time() {
        let (mut team, mut rng, options) = (Team::default(), fastrand::Rng::with_seed(1), SimOptions::default());
        let id = team.create(&user("ada@x.test"), &options, at(10), &mut rng).unwrap().id;
        team.readdress(&id, "lovelace@x.test", &options, at(20)).unwrap();
        team.switch(&id, false, &options, at(30)).unwrap();
        let shown = |ms: u64| -> Vec<(String, bool)> {
            team.members_at(ms * 1000).iter().map(|m| (m.user_name.to_string(), m.active)).collect()
        };
        assert_eq!(shown(9), []);
        assert_eq!(shown(10), [("ada@x.test".to_owned(), true)]);
        assert_eq!(shown(29), [("lovelace@x.test".to_owned(), true)]);
        assert_eq!(shown(30), [("lovelace@x.test".to_owned(), false)]);
    }
}
