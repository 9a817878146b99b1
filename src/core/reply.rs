//! What Postman said, and what that means: the one place that judges a status.
//!
//! The table is Postman's own (every documented reply of *Create User* and *Update User
//! Information*). The status line comes first, `scimType` next, fragments of `detail` last, with
//! quotes and dashes normalised: the published copies differ in them. Bodies are parsed leniently,
//! since some errors are not SCIM.

use bytes::Bytes;
use serde_json::Value;

use super::code::Code;
use super::hold::HoldScope;
use super::retry_hint;
use super::scim::{Member, Operation};
use super::time::UnixMs;

/// How long everybody waits after a 429 that does not say: "Wait for a minute and then try again."
pub const RATE_LIMITED_WAIT_MS: u64 = 60_000;

/// What came back of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An HTTP reply.
    Http(HttpReply),
    /// No connection: the request was not sent, so nothing happened.
    NotSent,
    /// Sent, but no reply came (timed out, reset, closed): it may have taken effect.
    Lost,
}

impl Reply {
    /// The HTTP status, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http(http) => Some(http.status),
            Self::NotSent | Self::Lost => None,
        }
    }
}

/// An HTTP reply as received.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The headers that say when to come back, names in lower case. See [`retry_hint`].
    pub hints: Vec<(String, String)>,
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

/// What a reply means for the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The member was made, or invited. The id is there where the reply had one that can be used.
    Created {
        /// SCIM `id`.
        id: Option<String>,
        /// `userName` as Postman spells it.
        user_name: Option<String>,
    },
    /// The member as they are now: read, or after a write.
    Member(Member),
    /// The write took effect; the reply does not show the member (204).
    Applied,
    /// Members that fit the question.
    Members(Listing),
    /// The target serves us (discovery).
    Served,
    /// 409: already a member, of this team or of another one.
    AlreadyMember,
    /// 403 or 404: nobody of that id is in the team.
    NotMember,
    /// 400: the username could not be updated this time.
    UsernameRefused,
    /// This request can never succeed.
    Permanent(Code),
    /// The target refuses everything, or every create.
    Hold(HoldScope, Code),
    /// An undocumented refusal: the job's fault or the target's? A probe tells.
    Suspect,
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
    /// A word or code for the job's history and the logs.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Member(_) => "member",
            Self::Applied => "applied",
            Self::Members(listing) => match listing.members.len() {
                0 => "nobody",
                1 => "one member",
                _ => "members",
            },
            Self::Served => "served",
            Self::AlreadyMember => "already a member",
            Self::NotMember => "not a member",
            Self::UsernameRefused => Code::ScimUsername.as_str(),
            Self::Permanent(code) | Self::Hold(_, code) | Self::Passing { code, .. } | Self::Unknown { code, .. } => {
                code.as_str()
            }
            Self::Suspect => "refused",
            Self::RateLimited { .. } => Code::ScimRateLimited.as_str(),
        }
    }
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Those that could be read.
    pub members: Vec<Member>,
    /// How many the page held, readable or not.
    pub listed: u32,
    /// `totalResults`, where told.
    pub total: Option<u32>,
}

/// Judges a reply. `now` is when it came.
#[must_use]
pub fn classify(operation: Operation, reply: &Reply, now: UnixMs) -> Outcome {
    match reply {
        Reply::NotSent => Outcome::Passing { code: Code::ScimUnreachable, not_before: None },
        Reply::Lost => passing(operation, Code::ScimUnknownOutcome, None),
        Reply::Http(http) => classify_http(operation, http, now),
    }
}

fn classify_http(operation: Operation, http: &HttpReply, now: UnixMs) -> Outcome {
    let not_before = retry_hint::not_before(&http.hints, now);
    match http.status {
        200..=299 => success(operation, http),
        300..=399 => Outcome::Hold(HoldScope::All, Code::HoldRedirect),
        409 if operation == Operation::Create => Outcome::AlreadyMember,
        429 => Outcome::RateLimited { until: not_before.unwrap_or_else(|| now.plus_ms(RATE_LIMITED_WAIT_MS)) },
        408 | 425 | 500..=599 => passing(operation, Code::ScimUnavailable, not_before),
        400..=499 => refusal(operation, http),
        _ => passing(operation, Code::ScimUnreadable, not_before),
    }
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

fn success(operation: Operation, http: &HttpReply) -> Outcome {
    let body = json(http);
    let unreadable = || passing(operation, Code::ScimUnreadable, None);
    match operation {
        Operation::Create => {
            let id = body.as_ref().and_then(id_of);
            let user_name = body.as_ref().and_then(|body| text_of(body, "userName"));
            // 201 is as good as its word, whatever became of the body; any other 2xx must show the member.
            if http.status == 201 || (id.is_some() && user_name.is_some()) {
                Outcome::Created { id, user_name }
            } else {
                unreadable()
            }
        }
        Operation::Get | Operation::Replace | Operation::Activate => match body.as_ref().and_then(member) {
            Some(member) => Outcome::Member(member),
            None if http.status == 204 && operation != Operation::Get => Outcome::Applied,
            None => unreadable(),
        },
        Operation::Find | Operation::Page | Operation::Probe => {
            body.as_ref().and_then(listing).map_or_else(unreadable, Outcome::Members)
        }
        // RFC 7643 §5: `patch` is a required attribute.
        Operation::Discover => match body.as_ref().and_then(|body| body.get("patch")) {
            Some(_) => Outcome::Served,
            None => unreadable(),
        },
    }
}

/// A 4xx other than those whose status alone says it all.
fn refusal(operation: Operation, http: &HttpReply) -> Outcome {
    if !http.body_complete {
        // What is missing may be the reason. A 4xx had no effect, so asking again does no harm.
        return Outcome::Passing { code: Code::ScimUnreadable, not_before: None };
    }
    let Some(body) = json(http).filter(Value::is_object) else {
        // Postman answers in JSON: somebody else may be speaking.
        return suspect(operation);
    };
    let detail = normalised(body.get("detail").and_then(Value::as_str).unwrap_or_default());
    let says = |fragment: &str| detail.contains(fragment);
    let takes_a_seat = matches!(operation, Operation::Create | Operation::Activate);
    let about_a_member = matches!(operation, Operation::Get | Operation::Replace | Operation::Activate);
    match http.status {
        400 if body.get("scimType").and_then(Value::as_str) == Some("invalidSyntax") => {
            Outcome::Permanent(Code::ScimSyntax)
        }
        400 if says("enterprise plan") => Outcome::Hold(HoldScope::All, Code::HoldPlan),
        // Only what takes a seat can wait for one: a hold on creates would not keep a rename waiting.
        400 if says("no slots available") && takes_a_seat => Outcome::Hold(HoldScope::Creates, Code::HoldSeats),
        400 if says("no slots available") => suspect(operation),
        400 if says("team doesn't exist") => Outcome::Hold(HoldScope::All, Code::HoldTeamGone),
        400 if says("couldn't update this team member's username") => Outcome::UsernameRefused,
        401 if says("unable to access the team") || says("valid api key") => {
            Outcome::Hold(HoldScope::All, Code::HoldKey)
        }
        403 if says("no longer on your team") => Outcome::Hold(HoldScope::All, Code::HoldAdminLeft),
        403 if says("admin is not allowed") => Outcome::Permanent(Code::ScimNotAllowed),
        403 if says("isn't a member of the team") => Outcome::NotMember,
        404 if about_a_member => Outcome::NotMember,
        401 | 402 | 403 | 404 | 405 | 407 => suspect(operation),
        _ => Outcome::Permanent(Code::ScimRejected),
    }
}

/// An undocumented refusal is first taken for the target's trouble. The probe itself is harmless and
/// always allowed, so its refusal is the target's for certain.
fn suspect(operation: Operation) -> Outcome {
    match operation {
        Operation::Probe | Operation::Discover => Outcome::Hold(HoldScope::All, Code::HoldRefused),
        Operation::Create
        | Operation::Get
        | Operation::Find
        | Operation::Page
        | Operation::Replace
        | Operation::Activate => Outcome::Suspect,
    }
}

fn json(http: &HttpReply) -> Option<Value> {
    if http.body_complete { serde_json::from_slice(&http.body).ok() } else { None }
}

/// Lower case, straight quotes, plain dashes, single spaces.
fn normalised(detail: &str) -> String {
    let plain: String = detail
        .chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2010}'..='\u{2015}' => '-',
            c => c,
        })
        .collect();
    plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn member(user: &Value) -> Option<Member> {
    let name = user.get("name");
    let part = |key| name.and_then(|name| text_of(name, key));
    Some(Member {
        id: id_of(user)?,
        user_name: text_of(user, "userName")?,
        given_name: part("givenName"),
        family_name: part("familyName"),
        active: user.get("active").and_then(Value::as_bool),
    })
}

/// A list response (RFC 7644 §3.4.2). An empty one may leave `Resources` out.
fn listing(body: &Value) -> Option<Listing> {
    let total = body
        .get("totalResults")
        .and_then(|total| total.as_u64().or_else(|| total.as_str()?.parse().ok()))
        .map(|total| u32::try_from(total).unwrap_or(u32::MAX));
    let resources = match body.get("Resources") {
        Some(Value::Array(resources)) => resources.as_slice(),
        None if total == Some(0) => &[],
        Some(_) | None => return None,
    };
    Some(Listing {
        members: resources.iter().filter_map(member).collect(),
        listed: u32::try_from(resources.len()).unwrap_or(u32::MAX),
        total,
    })
}

fn id_of(user: &Value) -> Option<String> {
    text_of(user, "id")
}

/// A non-blank string, or a number as one.
fn text_of(object: &Value, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
