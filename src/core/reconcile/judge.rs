//! What a reply means: the one place that judges a status.
//!
//! The table is Postman's own (every documented reply of *Create User* and *Update User
//! Information*), and RFC 7644 where Postman's is silent. Refusals are judged in [`super::refusal`].

use super::capabilities::Capabilities;
use super::conclusion::Aspect;
use super::listing::{self, Sought};
use super::no_reply::NoReply;
use super::reply::{HttpReply, Outcome, Reply};
use super::request::{Operation, Request};
use super::waits::{quota, short_of_a_hold};
use super::{group, member, refusal};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::email::compare_key;
use crate::core::retry_hint;
use crate::core::time::UnixMs;

/// How long everybody waits after a 429 that does not say: "Wait for a minute and then try again."
pub const RATE_LIMITED_WAIT_MS: u64 = 60_000;

/// Judges the reply to `asked`. `sought` holds the keys of the addresses that are looked for ([`compare_key`]): only
/// members with one of these are kept from a page. `now` is when the reply came.
#[must_use]
pub fn classify(asked: &Request, sought: &[String], reply: &Reply, now: UnixMs) -> Outcome {
    match reply {
        Reply::NotSent { reason: NoReply::KeyUnusable } => Outcome::Hold(HoldScope::All, Code::HoldKey, None),
        Reply::NotSent { .. } => Outcome::Passing { code: Code::ScimUnreachable, not_before: None },
        Reply::Lost { .. } => passing(asked.operation(), Code::ScimUnknownOutcome, None),
        Reply::Http(http) => classify_http(asked, sought, http, now),
    }
}

fn classify_http(asked: &Request, sought: &[String], http: &HttpReply, now: UnixMs) -> Outcome {
    let operation = asked.operation();
    let hint = retry_hint::read(&http.hints, now);
    let not_before = short_of_a_hold(hint, now);
    match http.status {
        200..=299 => success(asked, sought, http),
        429 => quota(http.status, hint, now).unwrap_or_else(|| {
            let told = not_before.or_else(|| retry_hint::asks_now(&http.hints, now).then_some(now));
            Outcome::RateLimited { until: told.unwrap_or_else(|| now.plus_ms(RATE_LIMITED_WAIT_MS)) }
        }),
        501 if operation == Operation::Find => Outcome::NoFilter,
        // Not implemented, so it had no effect, and never will.
        501 => match asked {
            Request::Group(call) => Outcome::Group(group::refused(call, http.status)),
            _ => refusal::suspect(operation, http.status, not_before),
        },
        408 | 425 | 500..=599 => match quota(http.status, hint, now) {
            // Whatever the target asks for: a write may have taken effect.
            Some(Outcome::Hold(_, code, until)) if writes_a_user(operation) => {
                Outcome::Unknown { code, not_before: until }
            }
            Some(quota) => quota,
            None => passing(operation, Code::ScimUnavailable, not_before),
        },
        300..=499 => refusal::classify(asked, http, hint, now),
        _ => passing(operation, Code::ScimUnreadable, not_before),
    }
}

/// Whether a call creates or changes a member.
fn writes_a_user(operation: Operation) -> bool {
    operation == Operation::Create || Aspect::written_by(operation).is_some()
}

/// Temporary trouble. The outcome of a write to a user is unknown then; anything else can be repeated, since the next
/// attempt reads first.
fn passing(operation: Operation, code: Code, not_before: Option<UnixMs>) -> Outcome {
    if writes_a_user(operation) { Outcome::Unknown { code, not_before } } else { Outcome::Passing { code, not_before } }
}

fn success(asked: &Request, sought: &[String], http: &HttpReply) -> Outcome {
    let unreadable = || passing(asked.operation(), Code::ScimUnreadable, None);
    let body = if http.body_complete { &http.body[..] } else { &[] };
    let member = || member::read(body, http.etag.as_deref()).map(Box::new);
    let page = |start_index, sought| listing::read(body, start_index, sought).map_or_else(unreadable, Outcome::Members);
    match asked {
        // A 201 is trusted, whatever happened to the body; any other 2xx must show the member.
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
        Request::Find { user_name } => page(1, Some(Sought::Addresses(&[compare_key(user_name)]))),
        Request::FindExternalId { external_id } => page(1, Some(Sought::ExternalId(external_id))),
        Request::Page { start_index } => page(*start_index, Some(Sought::Addresses(sought))),
        Request::Probe => page(1, None),
        Request::Group(call) => group::served(call, body, http.etag.as_deref()).map_or_else(unreadable, Outcome::Group),
        Request::Discover => Capabilities::read(body).map_or_else(unreadable, Outcome::Served),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
