//! What we ask of Postman and what a member looks like there: SCIM 2.0 (RFC 7643, RFC 7644) as far
//! as this bridge needs it. The JSON and HTTP of it are in `crate::scim`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limiter::CallKind;

/// Which call was made: a label in metrics and history.
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
    /// `PATCH /Users/{id}` with `active: true`
    Activate,
    /// `GET /Users?startIndex=1&count=1`: does the target serve us at all?
    Probe,
    /// `GET /ServiceProviderConfig`
    Discover,
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
            Self::Activate => "activate",
            Self::Probe => "probe",
            Self::Discover => "discover",
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
            Self::Activate => "PATCH /Users/{id}",
            Self::Probe => "GET /Users?count=1",
            Self::Discover => "GET /ServiceProviderConfig",
        }
    }

    /// Which limit it counts against.
    #[must_use]
    pub fn call_kind(self) -> CallKind {
        match self {
            Self::Create | Self::Replace | Self::Activate => CallKind::Write,
            Self::Get | Self::Find | Self::Page | Self::Probe | Self::Discover => CallKind::Read,
        }
    }
}

/// The user that a create or replace sends.
#[derive(Clone, PartialEq, Eq)]
pub struct UserToSend {
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
    /// `active`; none leaves it out: a replace sends the value just read, where one was read.
    pub active: Option<bool>,
}

/// One SCIM request.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// `POST /Users`
    Create(UserToSend),
    /// `GET /Users/{id}`
    Get {
        /// SCIM id.
        id: String,
    },
    /// `GET /Users?filter=userName eq "…"`; Postman minds the case.
    Find {
        /// The value to compare with.
        user_name: String,
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
        /// What replaces the member.
        user: UserToSend,
    },
    /// `PATCH /Users/{id}`: switch a member on again.
    Activate {
        /// SCIM id.
        id: String,
    },
    /// `GET /Users?startIndex=1&count=1`
    Probe,
    /// `GET /ServiceProviderConfig`
    Discover,
}

impl Request {
    /// Which call it is.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::Create,
            Self::Get { .. } => Operation::Get,
            Self::Find { .. } => Operation::Find,
            Self::Page { .. } => Operation::Page,
            Self::Replace { .. } => Operation::Replace,
            Self::Activate { .. } => Operation::Activate,
            Self::Probe => Operation::Probe,
            Self::Discover => Operation::Discover,
        }
    }
}

impl fmt::Debug for Request {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.operation().as_str())
    }
}

/// A member as Postman tells them.
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
    /// `active`; none where the reply does not say.
    pub active: Option<bool>,
}

impl fmt::Debug for Member {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).field("active", &self.active).finish_non_exhaustive()
    }
}
