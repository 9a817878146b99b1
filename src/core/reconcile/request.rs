//! Requests to the target, and members as it shows them: the part of SCIM 2.0 (RFC 7643, RFC 7644) that the bridge
//! needs. HTTP is in `crate::scim`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use super::carrier::Carrier;
use super::group::GroupCall;
use crate::core::limiter::CallKind;

/// Which call was made: a label in metrics and stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /Users`
    Create,
    /// `GET /Users/{id}`
    Get,
    /// `GET /Users?filter=userName eq "…"`
    Find,
    /// `GET /Users?startIndex=…&count=…`
    Page,
    /// `PUT /Users/{id}`
    Replace,
    /// `PATCH /Users/{id}` with `active`
    SetActive,
    /// `PATCH /Users/{id}` with `userName`
    SetUserName,
    /// `PATCH /Users/{id}` with the names
    SetNames,
    /// `GET /Users?startIndex=1&count=1`: does the target serve us at all?
    Probe,
    /// `GET /ServiceProviderConfig`
    Discover,
    /// `GET /Groups`, by filter or page by page
    FindGroup,
    /// `GET /Groups/{id}`
    GetGroup,
    /// `POST /Groups`
    CreateGroup,
    /// `PATCH /Groups/{id}`: adds a member
    AddToGroup,
    /// `PATCH /Groups/{id}`: removes a member
    RemoveFromGroup,
}

impl Operation {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Find => "find",
            Self::Page => "page",
            Self::Replace => "replace",
            Self::SetActive => "set_active",
            Self::SetUserName => "set_user_name",
            Self::SetNames => "set_names",
            Self::Probe => "probe",
            Self::Discover => "discover",
            Self::FindGroup => "find_group",
            Self::GetGroup => "get_group",
            Self::CreateGroup => "create_group",
            Self::AddToGroup => "add_to_group",
            Self::RemoveFromGroup => "remove_from_group",
        }
    }

    /// Method and path, for people.
    #[must_use]
    pub fn as_http(self) -> &'static str {
        match self {
            Self::Create => "POST /Users",
            Self::Get => "GET /Users/{id}",
            Self::Find => "GET /Users?filter=userName",
            Self::Page => "GET /Users?startIndex",
            Self::Replace => "PUT /Users/{id}",
            Self::SetActive => "PATCH /Users/{id} active",
            Self::SetUserName => "PATCH /Users/{id} userName",
            Self::SetNames => "PATCH /Users/{id} name",
            Self::Probe => "GET /Users?count=1",
            Self::Discover => "GET /ServiceProviderConfig",
            Self::FindGroup => "GET /Groups",
            Self::GetGroup => "GET /Groups/{id}",
            Self::CreateGroup => "POST /Groups",
            Self::AddToGroup => "PATCH /Groups/{id} add",
            Self::RemoveFromGroup => "PATCH /Groups/{id} remove",
        }
    }

    /// Which limit it counts against.
    #[must_use]
    pub fn call_kind(self) -> CallKind {
        match self {
            Self::Create
            | Self::Replace
            | Self::SetActive
            | Self::SetUserName
            | Self::SetNames
            | Self::CreateGroup
            | Self::AddToGroup
            | Self::RemoveFromGroup => CallKind::Write,
            Self::Get | Self::Find | Self::Page | Self::Probe | Self::Discover | Self::FindGroup | Self::GetGroup => {
                CallKind::Read
            }
        }
    }
}

/// The user that a create sends.
#[derive(Clone, PartialEq, Eq)]
pub struct UserToCreate {
    /// `userName`
    pub user_name: String,
    /// `name.givenName`
    pub given_name: Option<String>,
    /// `name.familyName`
    pub family_name: Option<String>,
    /// `externalId`: the employee id.
    pub external_id: String,
    /// `locale`; none: the configured one.
    pub locale: Option<String>,
}

/// One SCIM request.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// `POST /Users`, with `active: true`.
    Create(UserToCreate),
    /// `GET /Users/{id}`
    Get {
        /// SCIM id.
        id: String,
    },
    /// `GET /Users?filter=userName eq "…"`; Postman's filter is case-sensitive.
    Find {
        /// The value to compare with.
        user_name: String,
    },
    /// `GET /Users?filter=externalId eq "…"`
    FindExternalId {
        /// The employee id.
        external_id: String,
    },
    /// One page of all members.
    Page {
        /// `startIndex`, from 1.
        start_index: u32,
    },
    /// `PUT /Users/{id}`
    Replace {
        /// SCIM id.
        id: String,
        /// The JSON that replaces the member.
        body: String,
        /// `If-Match`, if a version was read.
        if_match: Option<String>,
    },
    /// `active`: `PATCH /Users/{id}` `{"active": …}`
    SetActive {
        /// SCIM id.
        id: String,
        /// On or off.
        active: bool,
        /// As a PATCH, or as a PUT of the whole resource.
        by: Carrier,
    },
    /// `userName`: `PATCH /Users/{id}`
    SetUserName {
        /// SCIM id.
        id: String,
        /// The address.
        user_name: String,
        /// As a PATCH, or as a PUT of the whole resource.
        by: Carrier,
    },
    /// `PATCH /Users/{id}` with `name.givenName` and `name.familyName`, for targets where a PUT could do harm.
    SetNames {
        /// SCIM id.
        id: String,
        /// The given name; none leaves it as it is.
        given_name: Option<String>,
        /// The family name; none leaves it as it is.
        family_name: Option<String>,
        /// Each by its own path, for servers that do not accept a complex value. Postman does not accept these paths.
        by_path: bool,
    },
    /// `GET /Users?startIndex=1&count=1`
    Probe,
    /// `GET /ServiceProviderConfig`
    Discover,
    /// About groups.
    Group(GroupCall),
}

impl Request {
    /// Which call it is.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::Create,
            Self::Get { .. } => Operation::Get,
            Self::Find { .. } | Self::FindExternalId { .. } => Operation::Find,
            Self::Page { .. } => Operation::Page,
            Self::Replace { .. } => Operation::Replace,
            Self::SetActive { .. } => Operation::SetActive,
            Self::SetUserName { .. } => Operation::SetUserName,
            Self::SetNames { .. } => Operation::SetNames,
            Self::Probe => Operation::Probe,
            Self::Discover => Operation::Discover,
            Self::Group(GroupCall::Find { .. } | GroupCall::Page { .. }) => Operation::FindGroup,
            Self::Group(GroupCall::Get { .. }) => Operation::GetGroup,
            Self::Group(GroupCall::Create { .. }) => Operation::CreateGroup,
            Self::Group(GroupCall::Add { .. }) => Operation::AddToGroup,
            Self::Group(GroupCall::Remove { .. }) => Operation::RemoveFromGroup,
        }
    }
}

impl Request {
    /// The id of the member that it is about.
    #[must_use]
    pub(super) fn member_id(&self) -> Option<&str> {
        match self {
            Self::Get { id }
            | Self::Replace { id, .. }
            | Self::SetActive { id, .. }
            | Self::SetUserName { id, .. }
            | Self::SetNames { id, .. } => Some(id),
            Self::Create(_)
            | Self::Find { .. }
            | Self::FindExternalId { .. }
            | Self::Page { .. }
            | Self::Probe
            | Self::Discover
            | Self::Group(_) => None,
        }
    }

    /// Whether it replaces the member that was read; if so, whether it names the version that was read.
    #[must_use]
    pub(super) fn replaces(&self) -> Option<bool> {
        match self {
            Self::Replace { if_match, .. }
            | Self::SetActive { by: Carrier::Put { if_match, .. }, .. }
            | Self::SetUserName { by: Carrier::Put { if_match, .. }, .. }
            | Self::Group(
                GroupCall::Add { by: Carrier::Put { if_match, .. }, .. }
                | GroupCall::Remove { by: Carrier::Put { if_match, .. }, .. },
            ) => Some(if_match.is_some()),
            _ => None,
        }
    }
}

impl fmt::Debug for Request {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.operation().as_str())
    }
}

/// Whether a member is switched on, as a reply shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// `true`, "True", 1.
    On,
    /// `false`, "False", 0.
    Off,
    /// Not shown, or unreadable: never taken for "on".
    Unknown,
}

impl Active {
    /// As a known value.
    #[must_use]
    pub fn known(self) -> Option<bool> {
        match self {
            Self::On => Some(true),
            Self::Off => Some(false),
            Self::Unknown => None,
        }
    }
}

/// A member as a reply shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// SCIM `id`
    pub id: String,
    /// `userName`
    pub user_name: String,
    /// `name.givenName`
    pub given_name: Option<String>,
    /// `name.familyName`
    pub family_name: Option<String>,
    /// `active`
    pub active: Active,
    /// `meta.version` or the `ETag`, if there is one.
    pub version: Option<String>,
    /// The member's JSON object, byte for byte as it was read.
    pub attributes: Attributes,
}

impl fmt::Debug for Member {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("active", &self.active).finish_non_exhaustive()
    }
}

/// The JSON object of a member as it was read, so that unknown attributes survive writes byte for byte.
#[derive(Clone)]
pub struct Attributes(Box<RawValue>);

impl Attributes {
    /// Those of this object.
    #[must_use]
    pub fn of(object: &RawValue) -> Self {
        Self(object.to_owned())
    }

    /// The object as it was read.
    #[must_use]
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }
}

impl Default for Attributes {
    /// No attributes.
    fn default() -> Self {
        Self(RawValue::from_string("{}".to_owned()).unwrap_or_default())
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Attributes {}

impl fmt::Debug for Attributes {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({} bytes)", self.0.get().len())
    }
}
