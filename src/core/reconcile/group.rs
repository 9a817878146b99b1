//! Calls about groups, what their replies mean, and a group as it was read.

use serde_json::value::RawValue;

use super::bounds::{ID_BYTES_MAX, VERSION_BYTES_MAX};
use super::carrier::Carrier;
use super::json::{self, Object};

/// A reply that shows as many members may not show all.
const MEMBERS_SHOWN_MAX: usize = 100;

/// A call about groups.
#[derive(Clone, PartialEq, Eq)]
pub enum GroupCall {
    /// `GET /Groups?filter=displayName eq "…"`
    Find {
        /// The value to compare with.
        name: String,
    },
    /// One page of all groups.
    Page {
        /// `startIndex`, from 1.
        start_index: u32,
    },
    /// `POST /Groups`, without members.
    Create {
        /// `displayName`
        name: String,
    },
    /// `GET /Groups/{id}`
    Get {
        /// SCIM id.
        id: String,
    },
    /// Adds the member.
    Add {
        /// SCIM id of the group.
        id: String,
        /// SCIM id of the member.
        member: String,
        /// As a PATCH, or as a PUT of the whole resource.
        by: Carrier,
    },
    /// Removes the member.
    Remove {
        /// SCIM id of the group.
        id: String,
        /// SCIM id of the member.
        member: String,
        /// As a PATCH, or as a PUT of the whole resource.
        by: Carrier,
    },
}

/// A group of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupRow {
    /// SCIM `id`
    pub id: String,
    /// `displayName`
    pub name: String,
}

/// A group as it was read.
#[derive(Debug, Clone)]
pub struct ShownGroup {
    /// SCIM `id`
    pub id: String,
    pub(super) version: Option<String>,
    object: Box<RawValue>,
}

impl PartialEq for ShownGroup {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.object.get() == other.object.get()
    }
}

impl Eq for ShownGroup {}

/// What a reply about groups means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Groups of a list.
    Rows {
        /// Those that can be read.
        rows: Vec<GroupRow>,
        /// How many rows the page had.
        listed: u32,
        /// `totalResults`, if given.
        total: Option<u32>,
    },
    /// The group as it is now.
    Shown(Box<ShownGroup>),
    /// The write was accepted.
    Applied,
    /// The write was accepted, and the reply does not show that it was made.
    Unshown,
    /// The target does not filter groups: page instead.
    NoFilter,
    /// There is no group of that id, or no such member for it.
    Nobody,
    /// 412: the group is no longer the one that was read.
    Changed,
    /// The call is refused.
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

impl GroupOutcome {
    /// A word for the story.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Rows { rows, .. } if rows.is_empty() => "no group",
            Self::Rows { .. } => "groups",
            Self::Shown(_) => "group",
            Self::Applied => "applied",
            Self::Unshown => "not shown",
            Self::NoFilter => "no filter",
            Self::Nobody => "no such group",
            Self::Changed => "changed meanwhile",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether the reply shows that the target serves such calls.
    #[must_use]
    pub fn is_served(&self) -> bool {
        match self {
            Self::Rows { .. } | Self::Shown(_) | Self::Applied | Self::Nobody | Self::Changed => true,
            Self::NoFilter | Self::Unshown | Self::Refused { .. } => false,
        }
    }
}

/// What a refusal means (4xx, 501), beyond what holds for every call.
pub(super) fn refused(call: &GroupCall, status: u16) -> GroupOutcome {
    match (call, status) {
        (GroupCall::Find { .. }, 400 | 414 | 501) => GroupOutcome::NoFilter,
        (GroupCall::Page { start_index: 2.. }, 400 | 404) => {
            GroupOutcome::Rows { rows: Vec::new(), listed: 0, total: None }
        }
        (GroupCall::Get { .. } | GroupCall::Add { .. } | GroupCall::Remove { .. }, 404 | 410) => GroupOutcome::Nobody,
        (GroupCall::Add { .. } | GroupCall::Remove { .. }, 412) => GroupOutcome::Changed,
        _ => GroupOutcome::Refused { status },
    }
}

/// What a success (2xx) means. None if it cannot be read.
pub(super) fn served(call: &GroupCall, body: &[u8], etag: Option<&str>) -> Option<GroupOutcome> {
    match call {
        GroupCall::Find { .. } | GroupCall::Page { .. } => read_list(body),
        GroupCall::Get { .. } => ShownGroup::read(body, etag).map(|shown| GroupOutcome::Shown(Box::new(shown))),
        GroupCall::Create { .. } => Some(
            ShownGroup::read(body, etag).map_or(GroupOutcome::Applied, |shown| GroupOutcome::Shown(Box::new(shown))),
        ),
        GroupCall::Add { member, .. } => Some(written(body, member, true)),
        GroupCall::Remove { member, .. } => Some(written(body, member, false)),
    }
}

/// What the reply to a change of a group's members means. Many targets answer without a body, or with the group as far as
/// they like; anything else shows nothing.
fn written(body: &[u8], member: &str, is_in: bool) -> GroupOutcome {
    if body.trim_ascii().is_empty() {
        return GroupOutcome::Applied;
    }
    match ShownGroup::read(body, None) {
        Some(shown) if shown.has(member, is_in) => GroupOutcome::Applied,
        Some(_) | None => GroupOutcome::Unshown,
    }
}

/// The member that a row of a group's `members` is about.
fn member_of(row: &RawValue) -> Option<String> {
    let [value] = json::pick(row, ["value"]).unwrap_or_default();
    value.and_then(|value| json::text(value, usize::MAX))
}

fn read_list(body: &[u8]) -> Option<GroupOutcome> {
    let [total, resources] = json::pick(json::document(body)?, ["totalResults", "Resources"])?;
    let total = total.and_then(|total| json::text(total, 32)?.trim().parse().ok());
    let (mut rows, mut listed) = (Vec::new(), 0_u32);
    if let Some(resources) = resources.filter(|resources| !json::is_null(resources)) {
        json::for_each_element(resources, |row| {
            listed = listed.saturating_add(1);
            let [id, name] = json::pick(row, ["id", "displayName"]).unwrap_or_default();
            let text = |value: Option<&RawValue>| json::text(value?, ID_BYTES_MAX);
            rows.extend(text(id).zip(text(name)).map(|(id, name)| GroupRow { id, name }));
        })?;
    }
    Some(GroupOutcome::Rows { rows, listed, total })
}

impl ShownGroup {
    fn read(body: &[u8], etag: Option<&str>) -> Option<Self> {
        let object = json::document(body)?;
        let [id, meta] = json::pick(object, ["id", "meta"])?;
        let [version] = meta.and_then(|meta| json::pick(meta, ["version"])).unwrap_or_default();
        let version =
            version.and_then(|version| json::text(version, VERSION_BYTES_MAX)).or_else(|| etag.map(str::to_owned));
        let id = json::text(id?, ID_BYTES_MAX).filter(|id| !id.is_empty())?;
        Some(Self { id, version, object: object.to_owned() })
    }

    /// Whether the member is in it, or out of it, as far as the reply shows: it may leave members out.
    pub(super) fn has(&self, member: &str, is_in: bool) -> bool {
        let [members] = json::pick(&self.object, ["members"]).unwrap_or_default();
        let (mut shown, mut found, mut are_read) = (0_usize, false, true);
        let row = |row: &RawValue| {
            shown += 1;
            let id = member_of(row);
            are_read &= id.is_some();
            found |= id.as_deref() == Some(member);
        };
        let are_shown = members.is_some_and(|members| json::for_each_element(members, row).is_some());
        if is_in { found || !are_shown || !are_read || shown >= MEMBERS_SHOWN_MAX } else { !found }
    }

    /// The body of a PUT: what was read, with this member added or removed. None if the reply shows no members and
    /// the group is not known to be empty: the PUT would remove everybody.
    pub(super) fn with_member(&self, member: &str, is_in: bool, is_empty: bool) -> Option<String> {
        with_member(&self.object, member, is_in, is_empty)
    }
}

fn with_member(group: &RawValue, member: &str, is_in: bool, is_empty: bool) -> Option<String> {
    let mut body = Object::new();
    let (mut has_members, mut are_read) = (false, true);
    let _ = json::for_each_attribute(group, |key, value| match key.to_ascii_lowercase().as_str() {
        "meta" => {}
        "members" => {
            has_members = true;
            match members_with(Some(value), member, is_in) {
                Some(members) => body.raw(key, &members),
                None => are_read = false,
            }
        }
        _ => body.raw(key, value.get()),
    });
    if !has_members {
        are_read &= is_empty;
        body.raw("members", &members_with(None, member, is_in).unwrap_or_default());
    }
    are_read.then(|| body.ended())
}

/// The `members` of a group with this member added or removed. None if what was read is not an array.
fn members_with(members: Option<&RawValue>, member: &str, is_in: bool) -> Option<String> {
    let mut kept: Vec<String> = Vec::new();
    if let Some(members) = members.filter(|members| members.get() != "null") {
        let row = |row: &RawValue| {
            if member_of(row).as_deref() != Some(member) {
                kept.push(row.get().to_owned());
            }
        };
        json::for_each_element(members, row)?;
    }
    if is_in {
        let mut row = Object::new();
        row.text("value", member);
        kept.push(row.ended());
    }
    Some(format!("[{}]", kept.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_a_member_to_a_group_changes_nothing_else() {
        let group = r#"{"id":"g","displayName":"R&D","members":[{"value":"1","display":"Ada"},{"value":"2"}],"x":1.50,"meta":{"version":"W/\"3\""}}"#;
        let shown = ShownGroup::read(group.as_bytes(), None).unwrap();
        assert_eq!(shown.version.as_deref(), Some("W/\"3\""));
        let with = |group: &ShownGroup, member, is_in| group.with_member(member, is_in, false);
        let expected = r#"{"id":"g","displayName":"R&D","members":[{"value":"1","display":"Ada"},{"value":"2"},{"value":"3"}],"x":1.50}"#;
        assert_eq!(with(&shown, "3", true).as_deref(), Some(expected));
        let expected = r#"{"id":"g","displayName":"R&D","members":[{"value":"2"}],"x":1.50}"#;
        assert_eq!(with(&shown, "1", false).as_deref(), Some(expected));
        for empty in [r#"{"id":"g","members":[]}"#, r#"{"id":"g","members":null}"#] {
            let empty = ShownGroup::read(empty.as_bytes(), None).unwrap();
            assert_eq!(with(&empty, "1", true).as_deref(), Some(r#"{"id":"g","members":[{"value":"1"}]}"#));
        }
    }

    #[test]
    fn the_reply_to_a_change_of_members_is_compared_with_what_was_asked() {
        let call = |is_in| {
            let (id, member) = ("g".to_owned(), "1".to_owned());
            let by = Carrier::Patch;
            if is_in { GroupCall::Add { id, member, by } } else { GroupCall::Remove { id, member, by } }
        };
        let meaning = |is_in, body: &str| served(&call(is_in), body.as_bytes(), None).map(|outcome| outcome.meaning());
        let has = r#"{"id":"g","members":[{"value":"1"},{"value":"2"}]}"#;
        let has_not = r#"{"id":"g","members":[{"value":"2"}]}"#;
        assert_eq!((meaning(true, has), meaning(false, has_not)), (Some("applied"), Some("applied")));
        assert_eq!((meaning(true, has_not), meaning(false, has)), (Some("not shown"), Some("not shown")));
        let many = (10..110).map(|n| format!(r#"{{"value":"{n}"}}"#)).collect::<Vec<_>>().join(",");
        let many = format!(r#"{{"id":"g","members":[{many}]}}"#);
        for unshown in [
            "",
            " \n",
            r#"{"id":"g"}"#,
            r#"{"id":"g","members":"many"}"#,
            r#"{"id":"g","members":[{"$ref":"x"}]}"#,
            &many,
        ] {
            assert_eq!(
                (meaning(true, unshown), meaning(false, unshown)),
                (Some("applied"), Some("applied")),
                "{unshown}"
            );
        }
        for other in ["<html>Log in</html>", r#"{"id":"g","mem"#, r#"{"error":"no"}"#, r#"{"status":"403"}"#, "null"] {
            let meanings = (meaning(true, other), meaning(false, other));
            assert_eq!(meanings, (Some("not shown"), Some("not shown")), "{other}");
        }
    }

    #[test]
    fn a_group_that_does_not_show_its_members_is_not_emptied_by_a_put() {
        for group in [r#"{"id":"g"}"#, r#"{"id":"g","members":{"value":"1"}}"#, r#"{"id":"g","members":"many"}"#] {
            let shown = ShownGroup::read(group.as_bytes(), None).unwrap();
            assert_eq!((shown.with_member("1", true, false), shown.with_member("1", false, false)), (None, None));
        }
        let made = ShownGroup::read(br#"{"id":"g"}"#, None).unwrap();
        assert_eq!(made.with_member("1", true, true).as_deref(), Some(r#"{"id":"g","members":[{"value":"1"}]}"#));
    }

    #[test]
    fn a_refusal_is_about_the_group_the_filter_or_the_member() {
        let add = GroupCall::Add { id: "g".to_owned(), member: "1".to_owned(), by: Carrier::Patch };
        assert_eq!(refused(&add, 404), GroupOutcome::Nobody);
        assert_eq!(refused(&add, 400), GroupOutcome::Refused { status: 400 });
        assert_eq!(refused(&GroupCall::Find { name: "R&D".to_owned() }, 400), GroupOutcome::NoFilter);
        assert_eq!(refused(&GroupCall::Find { name: "R&D".to_owned() }, 404), GroupOutcome::Refused { status: 404 });
    }
}
