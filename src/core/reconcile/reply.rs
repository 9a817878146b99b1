//! What the target said, and what that means: the one place that judges a status.
//!
//! The table is Postman's own (every documented reply of *Create User* and *Update User
//! Information*), and RFC 7644 where Postman's is silent. Refusals are judged in [`super::refusal`].

use bytes::Bytes;

use super::capabilities::Capabilities;
use super::group::{self, GroupOutcome};
use super::listing::{self, Listing, Sought};
use super::member;
use super::no_reply::NoReply;
use super::refusal;
use super::request::{Member, Operation, Request};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::email::compare_key;
use crate::core::retry_hint::{self, RetryHint, SLEEP_MS_MAX};
use crate::core::time::UnixMs;

/// How long everybody waits after a 429 that does not say: "Wait for a minute and then try again."
pub const RATE_LIMITED_WAIT_MS: u64 = 60_000;

/// What came back of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An HTTP reply.
    Http(HttpReply),
    /// The request was not sent, so nothing happened.
    NotSent {
        /// Why.
        reason: NoReply,
    },
    /// Sent, but no reply came: it may have taken effect.
    Lost {
        /// Why.
        reason: NoReply,
    },
}

impl Reply {
    /// The HTTP status, where there was one.
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
    /// The headers that say when to come back, names in lower case. See [`retry_hint`].
    pub hints: Vec<(String, String)>,
    /// The `ETag`.
    pub etag: Option<String>,
    /// The body, as far as it came.
    pub body: Bytes,
    /// Whether the body came whole.
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
    /// The member was made, or invited; shown where the reply shows them. Whether it is the one that
    /// was asked for is for the plan to compare.
    Created(Option<Box<Member>>),
    /// The member as they are now: read, or after a write.
    Member(Box<Member>),
    /// The write was taken; the reply does not show the member.
    Applied,
    /// A page of members.
    Members(Listing),
    /// The target serves us (discovery), and can do this.
    Served(Capabilities),
    /// Already a member, of this team or of another one.
    AlreadyMember,
    /// Nobody of that id is in the team.
    NotMember,
    /// The target does not filter, or not this: page instead.
    NoFilter,
    /// The target knows no PATCH: PUT instead.
    NoPatch,
    /// 400: the username could not be updated this time.
    UsernameRefused,
    /// The target does not take this address for this member.
    AddressRefused {
        /// Somebody else has it.
        is_taken: bool,
        /// The HTTP status: where writes of all kinds are refused with it, it is not about the address.
        status: u16,
    },
    /// What a call about groups came to.
    Group(GroupOutcome),
    /// 412: the member is no longer the one that was read.
    Changed,
    /// This request can never succeed.
    Permanent(Code),
    /// The target refuses everything, or every call of a kind. A create that is answered 5xx with this
    /// may have taken effect.
    Hold(HoldScope, Code, Option<UnixMs>),
    /// A refusal that nobody documents: this person's trouble, or the target's.
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
    /// Passing trouble; the request had no effect, or repeating it does no harm.
    Passing {
        /// Which.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
    /// Passing trouble, and a create may have taken effect: look up before posting again.
    Unknown {
        /// Which.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
}

impl Outcome {
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
            Self::AlreadyMember => "already a member",
            Self::NotMember => "not a member",
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

/// Judges the reply to what was `asked`. `sought` is the key of the address that is looked for
/// ([`compare_key`]): of a page, only the members of that address are kept. `now` is when it came.
#[must_use]
pub fn classify(asked: &Request, sought: Option<&str>, reply: &Reply, now: UnixMs) -> Outcome {
    match reply {
        Reply::NotSent { reason: NoReply::KeyUnusable } => Outcome::Hold(HoldScope::All, Code::HoldKey, None),
        Reply::NotSent { .. } => Outcome::Passing { code: Code::ScimUnreachable, not_before: None },
        Reply::Lost { .. } => passing(asked.operation(), Code::ScimUnknownOutcome, None),
        Reply::Http(http) => classify_http(asked, sought, http, now),
    }
}

fn classify_http(asked: &Request, sought: Option<&str>, http: &HttpReply, now: UnixMs) -> Outcome {
    let operation = asked.operation();
    let hint = retry_hint::read(&http.hints, now);
    let not_before = short_of_a_hold(hint, now);
    match http.status {
        200..=299 => success(asked, sought, http),
        429 => match quota(http.status, hint, now) {
            Some(hold) => hold,
            None => Outcome::RateLimited { until: not_before.unwrap_or_else(|| now.plus_ms(RATE_LIMITED_WAIT_MS)) },
        },
        501 if operation == Operation::Find => Outcome::NoFilter,
        // Not implemented: it had no effect, and will have none.
        501 => match asked {
            Request::Group(call) => Outcome::Group(group::refused(call, http.status)),
            _ => refusal::suspect(operation, http.status, not_before),
        },
        408 | 425 | 500..=599 => {
            quota(http.status, hint, now).unwrap_or_else(|| passing(operation, Code::ScimUnavailable, not_before))
        }
        300..=499 => refusal::classify(asked, http, hint, now),
        _ => passing(operation, Code::ScimUnreadable, not_before),
    }
}

/// What may be slept through; longer waits are holds, or the target's limit for somebody else.
pub(super) fn short_of_a_hold(hint: Option<RetryHint>, now: UnixMs) -> Option<UnixMs> {
    hint.map(|hint| hint.at.min(now.plus_ms(SLEEP_MS_MAX)))
}

/// A wait of more than an hour: a quota. That a limit's window ends late says so only where the reply is
/// about a limit.
pub(super) fn quota(status: u16, hint: Option<RetryHint>, now: UnixMs) -> Option<Outcome> {
    let hint = hint.filter(|hint| hint.at.ms_since(now) > SLEEP_MS_MAX)?;
    let is_about_a_limit = matches!(status, 429 | 503);
    (hint.is_asked || is_about_a_limit).then_some(Outcome::Hold(HoldScope::All, Code::HoldQuota, Some(hint.at)))
}

/// Trouble that passes: for a create it leaves the outcome unknown, all else can be repeated as the
/// next attempt reads first.
fn passing(operation: Operation, code: Code, not_before: Option<UnixMs>) -> Outcome {
    if operation == Operation::Create {
        Outcome::Unknown { code, not_before }
    } else {
        Outcome::Passing { code, not_before }
    }
}

fn success(asked: &Request, sought: Option<&str>, http: &HttpReply) -> Outcome {
    let unreadable = || passing(asked.operation(), Code::ScimUnreadable, None);
    let body = if http.body_complete { &http.body[..] } else { &[] };
    let member = || member::read(body, http.etag.as_deref()).map(Box::new);
    let page = |start_index, sought| listing::read(body, start_index, sought).map_or_else(unreadable, Outcome::Members);
    match asked {
        // 201 is as good as its word, whatever became of the body; any other 2xx must show the member.
        Request::Create(_) => match member() {
            None if http.status != 201 => unreadable(),
            shown => Outcome::Created(shown),
        },
        Request::Get { .. } => member().map_or_else(unreadable, Outcome::Member),
        Request::Replace { .. }
        | Request::SetActive { .. }
        | Request::SetUserName { .. }
        | Request::SetNames { .. } => {
            match member() {
                Some(member) => Outcome::Member(member),
                // 204, or a 200 that says no more.
                None if http.body_complete && body.is_empty() => Outcome::Applied,
                None => unreadable(),
            }
        }
        Request::Find { user_name } => page(1, Some(Sought::Address(&compare_key(user_name)))),
        Request::FindExternalId { external_id } => page(1, Some(Sought::ExternalId(external_id))),
        Request::Page { start_index } => page(*start_index, sought.map(Sought::Address)),
        Request::Probe => page(1, None),
        Request::Group(call) => group::served(call, body, http.etag.as_deref()).map_or_else(unreadable, Outcome::Group),
        Request::Discover => Capabilities::read(body).map_or_else(unreadable, Outcome::Served),
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
