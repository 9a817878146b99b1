//! A member as a reply shows them, and the JSON that writes them back: what was read, with the
//! names set. What the bridge does not know about a member passes through byte for byte.

use serde_json::value::RawValue;

use super::bounds::{ID_BYTES_MAX, VERSION_BYTES_MAX};
use super::json::{self, Object};
use super::request::{Active, Attributes, Member};

/// Longest `userName` that is accepted. An address has up to 254 bytes in the script in which HR writes it.
pub const USER_NAME_BYTES_MAX: usize = 1024;
/// Longest part of a name that is read. HR's are shorter, so a longer one differs in any case.
const NAME_BYTES_MAX: usize = 4 * 1024;

/// Reads the member in a body. None without a usable `id` and `userName`.
#[must_use]
pub fn read(body: &[u8], etag: Option<&str>) -> Option<Member> {
    of_object(json::document(body)?, etag)
}

pub(super) fn of_object(object: &RawValue, etag: Option<&str>) -> Option<Member> {
    let [id, user_name, name, active, meta] = json::pick(object, ["id", "userName", "name", "active", "meta"])?;
    let [given, family] = name.and_then(|name| json::pick(name, ["givenName", "familyName"])).unwrap_or_default();
    let name_part = |part: Option<&RawValue>| not_blank(json::text(part?, NAME_BYTES_MAX)?);
    let [version] = meta.and_then(|meta| json::pick(meta, ["version"])).unwrap_or_default();
    Some(Member {
        id: json::text(id?, ID_BYTES_MAX).filter(|id| !id.is_empty())?,
        user_name: json::text(user_name?, USER_NAME_BYTES_MAX).and_then(not_blank)?,
        given_name: name_part(given),
        family_name: name_part(family),
        active: active.map_or(Active::Unknown, is_active),
        version: version_of(version.and_then(|version| json::text(version, VERSION_BYTES_MAX)), etag),
        attributes: Attributes::of(object),
    })
}

/// A member of a long list: what the bridge knows of them, and nothing else.
pub(super) fn without_attributes(object: &RawValue) -> Option<Member> {
    let member = of_object(object, None)?;
    Some(Member { attributes: Attributes::default(), ..member })
}

fn not_blank(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

fn is_active(value: &RawValue) -> Active {
    let text = json::text(value, 16).unwrap_or_else(|| value.get().to_owned());
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Active::On,
        "false" | "0" => Active::Off,
        _ => Active::Unknown,
    }
}

/// `meta.version` is what the server itself says (RFC 7643 §3.1). An `ETag` alone counts, too; if both name the same
/// version, the `ETag` has the spelling that `If-Match` needs.
fn version_of(version: Option<String>, etag: Option<&str>) -> Option<String> {
    let opaque = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
    let etag = etag.map(str::to_owned);
    let chosen = match (version, etag) {
        (Some(version), Some(etag)) if opaque(&version) == opaque(&etag) => etag,
        (Some(version), _) => version,
        (None, etag) => etag?,
    };
    let fits_a_header = chosen.len() <= VERSION_BYTES_MAX && chosen.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    not_blank(chosen).filter(|_| fits_a_header)
}

/// What a PUT changes of what was read.
#[derive(Clone, Copy, Default)]
pub struct Changes<'a> {
    /// HR's given name; `""` if HR says that there is none, `None` if it says nothing.
    pub given: Option<&'a str>,
    /// The family name, likewise.
    pub family: Option<&'a str>,
    /// The address.
    pub user_name: Option<&'a str>,
    /// Whether the member is switched on.
    pub active: Option<bool>,
    /// Sent if there was none.
    pub external_id: &'a str,
    /// Sent with `groups` if they were not shown, as in the published samples; none: neither is sent.
    pub locale: Option<&'a str>,
}

/// The body of a PUT: what was read, with the changes. None without an object to start from, or if `active` could not
/// be read anywhere, since a PUT could then switch the member on.
///
/// - `meta` is left out: it is the server's (RFC 7643 §3.1).
/// - `externalId` is set only if there was none; `groups` and `locale` only if they were not shown.
/// - `name.formatted` stays unless it still contains a name that is changed here: with the old name it would
///   contradict, and a target that derives names from it would revert the change. `displayName` and `nickName` stay as
///   they are: people choose them.
#[must_use]
pub fn replacement(member: &Member, changes: &Changes<'_>) -> Option<String> {
    let Changes { given, family, user_name, active, external_id, locale } = *changes;
    if member.active == Active::Unknown && active.is_none() {
        return None;
    }
    let names = Names { member, given, family };
    let mut body = Object::new();
    let (mut has_schemas, mut has_name, mut has_external_id, mut has_locale, mut has_groups, mut has_active) =
        (false, false, false, false, false, false);
    json::for_each_attribute(member.attributes.as_raw(), |key, value| {
        match key.to_ascii_lowercase().as_str() {
            "meta" => return,
            "name" => {
                has_name = true;
                return body.raw(key, &names.written_over(Some(value)));
            }
            "username" if user_name.is_some() => return body.text(key, user_name.unwrap_or_default()),
            "active" if active.is_some() => {
                has_active = true;
                return body.raw(key, if active == Some(true) { "true" } else { "false" });
            }
            "externalid" => {
                has_external_id = true;
                if json::is_null(value) || json::text(value, usize::MAX).is_some_and(|id| id.trim().is_empty()) {
                    return body.text(key, external_id);
                }
            }
            "schemas" => has_schemas = true,
            "locale" => has_locale = true,
            "groups" => has_groups = true,
            _ => {}
        }
        body.raw(key, value.get());
    })?;
    if !has_schemas {
        body.raw("schemas", r#"["urn:ietf:params:scim:schemas:core:2.0:User"]"#);
    }
    if !has_name && (given.is_some_and(|name| !name.is_empty()) || family.is_some_and(|name| !name.is_empty())) {
        body.raw("name", &names.written_over(None));
    }
    if let (Some(active), false) = (active, has_active) {
        body.raw("active", if active { "true" } else { "false" });
    }
    if !has_external_id {
        body.text("externalId", external_id);
    }
    if let Some(locale) = locale {
        if !has_locale {
            body.text("locale", locale);
        }
        if !has_groups {
            body.raw("groups", "[]");
        }
    }
    Some(body.ended())
}

/// The names to be written into a member's `name`.
struct Names<'a> {
    member: &'a Member,
    given: Option<&'a str>,
    family: Option<&'a str>,
}

impl Names<'_> {
    fn written_over(&self, name: Option<&RawValue>) -> String {
        let mut object = Object::new();
        let (mut has_given, mut has_family) = (false, false);
        let read = name.and_then(|name| {
            json::for_each_attribute(name, |key, value| {
                let part = match key.to_ascii_lowercase().as_str() {
                    "givenname" => {
                        has_given = true;
                        self.given
                    }
                    "familyname" => {
                        has_family = true;
                        self.family
                    }
                    "formatted" if json::text(value, usize::MAX).is_some_and(|text| self.contradicts(&text)) => return,
                    _ => None,
                };
                match part {
                    Some(part) => object.text(key, part),
                    None => object.raw(key, value.get()),
                }
            })
        });
        let additions = [("givenName", has_given, self.given), ("familyName", has_family, self.family)];
        for (key, is_there, part) in additions {
            if let Some(part) = part.filter(|part| !is_there && !part.is_empty()) {
                object.text(key, part);
            }
        }
        match name {
            // `null`, or something that is not a name, stays if there is no name to write.
            Some(name) if read.is_none() && object.is_empty() => name.get().to_owned(),
            _ => object.ended(),
        }
    }

    /// Whether the text contains a name that is changed, and not the new one.
    fn contradicts(&self, formatted: &str) -> bool {
        let formatted = formatted.to_lowercase();
        let parts = [(&self.member.given_name, self.given), (&self.member.family_name, self.family)];
        parts.into_iter().any(|(was, is)| {
            let (Some(was), Some(is)) = (was, is) else { return false };
            let (was, is) = (was.to_lowercase(), is.to_lowercase());
            let tells_the_new_one = !is.is_empty() && formatted.contains(&is) && !was.contains(&is);
            was != is && formatted.contains(&was) && !tells_the_new_one
        })
    }
}

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
