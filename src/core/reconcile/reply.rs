//! A target's reply, and what it can mean.

use bytes::Bytes;

use super::capabilities::Capabilities;
use super::group::GroupOutcome;
use super::listing::Listing;
use super::no_reply::NoReply;
use super::request::Member;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::time::UnixMs;

/// What came back for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An HTTP reply.
    Http(HttpReply),
    /// The request was not sent, so nothing happened.
    NotSent {
        /// The reason given.
        reason: NoReply,
    },
    /// Sent, but no reply came: it may have taken effect.
    Lost {
        /// The reason given.
        reason: NoReply,
    },
}

impl Reply {
    /// The HTTP status, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http(http) => Some(http.status),
            Self::NotSent { .. } | Self::Lost { .. } => None,
        }
    }
}

/// An HTTP reply as received.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The headers that say when to try again, names in lower case. See [`retry_hint`].
    pub hints: Vec<(String, String)>,
    /// The `ETag`.
    pub etag: Option<String>,
    /// The body, as far as it was received.
    pub body: Bytes,
    /// Whether the whole body was received.
    pub body_complete: bool,
}

impl std::fmt::Debug for HttpReply {
    /// A reply holds personal data: only its shape is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpReply")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("body_complete", &self.body_complete)
            .finish_non_exhaustive()
    }
}

/// What a reply means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The member was created or invited, and is here if the reply shows them. The plan compares them with what was
    /// asked for.
    Created(Option<Box<Member>>),
    /// The member as they are now: read, or after a write.
    Member(Box<Member>),
    /// The write was accepted; the reply does not show the member.
    Applied,
    /// A page of members.
    Members(Listing),
    /// The target serves us (discovery), and can do this.
    Served(Capabilities),
    /// The person is already a member, of this team or of another one.
    AlreadyMember {
        /// The reply says so, by more than its status.
        is_told: bool,
    },
    /// No member of the team has that id.
    NotMember,
    /// 404 or 410 to a read of a member, with a body that no SCIM server sends: it may come from a proxy.
    Nowhere {
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
        /// The HTTP status.
        status: u16,
    },
    /// The target does not support this filter, or any: page instead.
    NoFilter,
    /// The target does not support PATCH: PUT instead.
    NoPatch,
    /// 400: the username could not be updated this time.
    UsernameRefused,
    /// The target refuses this address for this member.
    AddressRefused {
        /// Somebody else has it.
        is_taken: bool,
        /// The HTTP status: if all writes are refused with it, the address is not the reason.
        status: u16,
    },
    /// The outcome of a call about groups.
    Group(GroupOutcome),
    /// 412: the member is no longer the one that was read.
    Changed,
    /// This request can never succeed.
    Permanent(Code),
    /// The target refuses everything, or every call of a kind; it had no effect.
    Hold(HoldScope, Code, Option<UnixMs>),
    /// An undocumented refusal: it may be about this person, or about the target.
    Suspect {
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
        /// The HTTP status.
        status: u16,
    },
    /// 429: nobody may call before then.
    RateLimited {
        /// When calls are welcome again.
        until: UnixMs,
    },
    /// A temporary failure; the request had no effect, or repeating it does no harm.
    Passing {
        /// The code of the trouble.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
    /// A temporary failure, and a write to a user may have taken effect: look up before posting again, and do not
    /// believe every read.
    Unknown {
        /// The reason; a used-up quota holds everything, as after any other call.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
}

impl Outcome {
    /// Whether something answered that does not speak SCIM.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(
            self,
            Self::Passing { code: Code::ScimUnreadable, .. } | Self::Unknown { code: Code::ScimUnreadable, .. }
        )
    }

    /// The code of a refusal or a failure, for calls that are not about a person. Anything else counts as an undocumented
    /// refusal.
    #[must_use]
    pub fn refusal(&self) -> Code {
        match self {
            Self::Hold(_, code, _)
            | Self::Permanent(code)
            | Self::Passing { code, .. }
            | Self::Unknown { code, .. } => *code,
            Self::RateLimited { .. } => Code::ScimRateLimited,
            Self::Created(_)
            | Self::Member(_)
            | Self::Applied
            | Self::Members(_)
            | Self::Served(_)
            | Self::AlreadyMember { .. }
            | Self::NotMember
            | Self::Nowhere { .. }
            | Self::NoFilter
            | Self::NoPatch
            | Self::Group(_)
            | Self::Changed
            | Self::UsernameRefused
            | Self::AddressRefused { .. }
            | Self::Suspect { .. } => Code::HoldRefused,
        }
    }

    /// A word or code for the person's story and the logs.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Member(_) => "member",
            Self::Applied => "applied",
            Self::Members(listing) => match listing.members.len() {
                0 => "nobody",
                1 => "one member",
                _ => "members",
            },
            Self::Served(_) => "served",
            Self::AlreadyMember { .. } => "already a member",
            Self::NotMember => "not a member",
            Self::Nowhere { .. } => "not found (not a SCIM reply)",
            Self::NoFilter => "no filter",
            Self::NoPatch => "no PATCH",
            Self::UsernameRefused => Code::ScimUsername.as_str(),
            Self::AddressRefused { is_taken: false, .. } => "address refused",
            Self::AddressRefused { is_taken: true, .. } => "address taken",
            Self::Group(outcome) => outcome.meaning(),
            Self::Changed => "changed meanwhile",
            Self::Permanent(code)
            | Self::Hold(_, code, _)
            | Self::Passing { code, .. }
            | Self::Unknown { code, .. } => code.as_str(),
            Self::Suspect { .. } => "refused",
            Self::RateLimited { .. } => Code::ScimRateLimited.as_str(),
        }
    }
}
