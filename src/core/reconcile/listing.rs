//! A page of members (RFC 7644 §3.4.2); only the requested ones are kept.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;

use super::json;
use super::member::{self, USER_NAME_BYTES_MAX};
use super::request::Member;
use crate::core::person::email::compare_key;
use crate::core::roster::ListedMember;

/// Members kept for each address: two are enough to know that it is ambiguous.
const MATCHES_MAX: usize = 8;

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Those with an address that was asked for: each `id` once, and only a few for each address.
    pub members: Vec<Member>,
    /// How many rows the page held, readable or not.
    pub listed: u32,
    /// `totalResults`, if given. Some servers count only the page.
    pub total: Option<u32>,
    /// A hash of each row's `id` (or else `userName`), so that a member who is shown twice counts once.
    pub rows: Vec<u64>,
}

impl Listing {
    fn has_room_for(&self, member: &Member) -> bool {
        let key = compare_key(&member.user_name);
        let of_address = self.members.iter().filter(|known| compare_key(&known.user_name) == key).count();
        of_address < MATCHES_MAX && self.members.iter().all(|known| known.id != member.id)
    }
}

/// The person searched for.
#[derive(Clone, Copy)]
pub(super) enum Sought<'a> {
    /// Members whose `userName` has one of these keys.
    Addresses(&'a [String]),
    /// The member with exactly this `externalId` (RFC 7643 §3.1).
    ExternalId(&'a str),
}

impl Sought<'_> {
    fn is(self, user_name: Option<&RawValue>, external_id: Option<&RawValue>) -> bool {
        let text = |value: Option<&RawValue>| value.and_then(|value| json::text(value, USER_NAME_BYTES_MAX));
        match self {
            Self::Addresses(keys) => text(user_name).is_some_and(|name| keys.iter().any(|key| is_address(&name, key))),
            Self::ExternalId(id) => text(external_id).is_some_and(|other| other == id),
        }
    }
}

/// Reads a page that begins at `start_index`, and keeps the members who are `sought`. None if it is not a page, or
/// shows one of them without an `id`: then it does not prove that nobody is there.
pub(super) fn read(body: &[u8], start_index: u32, sought: Option<Sought<'_>>) -> Option<Listing> {
    let [total, resources] = json::pick(json::document(body)?, ["totalResults", "Resources"])?;
    let total = total.and_then(count);
    let mut page = Listing { total, ..Listing::default() };
    let Some(resources) = resources.filter(|resources| !json::is_null(resources)) else {
        // An empty page may leave its rows out, and null is an empty array (RFC 7643 §2.5).
        let is_empty = match total {
            Some(total) => total < start_index,
            None => resources.is_some(),
        };
        return is_empty.then_some(page);
    };
    let mut is_readable = true;
    json::for_each_element(resources, |row| {
        page.listed = page.listed.saturating_add(1);
        let [id, user_name, external_id] = json::pick(row, ["id", "userName", "externalId"]).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        id.or(user_name).map_or("", RawValue::get).hash(&mut hasher);
        page.rows.push(hasher.finish());
        let is_sought = sought.is_some_and(|sought| sought.is(user_name, external_id));
        if is_sought {
            match member::of_object(row, None) {
                Some(found) if page.has_room_for(&found) => page.members.push(found),
                Some(_) => {}
                None => is_readable = false,
            }
        }
    })?;
    is_readable.then_some(page)
}

/// All members of a page, how many rows it held, and `totalResults` if given. None if it is not a page.
#[must_use]
pub fn everybody(body: &[u8]) -> Option<(Vec<ListedMember>, u32, Option<u32>)> {
    let [total, resources] = json::pick(json::document(body)?, ["totalResults", "Resources"])?;
    let total = total.and_then(count);
    let Some(resources) = resources.filter(|resources| !json::is_null(resources)) else {
        return Some((Vec::new(), 0, total));
    };
    let (mut members, mut listed) = (Vec::new(), 0_u32);
    json::for_each_element(resources, |row| {
        listed = listed.saturating_add(1);
        let [external_id] = json::pick(row, ["externalId"]).unwrap_or_default();
        let external_id = external_id.and_then(|id| json::text(id, USER_NAME_BYTES_MAX));
        members.extend(member::without_attributes(row).map(|member| ListedMember { member, external_id }));
    })?;
    Some((members, listed, total))
}

/// Whether a `userName` has this key. Comparing the part before the `@` first settles most rows, and costs less than
/// the domain.
fn is_address(user_name: &str, sought: &str) -> bool {
    let local = |address: &str| address.rsplit_once('@').map_or(0, |(local, _)| local.len());
    let is_another = user_name.is_ascii() && {
        let user_name = user_name.trim();
        !user_name[..local(user_name)].eq_ignore_ascii_case(&sought[..local(sought)])
    };
    !is_another && compare_key(user_name) == sought
}

/// A count, as a number or as text.
fn count(value: &RawValue) -> Option<u32> {
    let total: u64 = json::text(value, 32)?.trim().parse().ok()?;
    Some(u32::try_from(total).unwrap_or(u32::MAX))
}
