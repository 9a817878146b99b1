//! What a reply of an HR system's API means, before looking for facts in it.

use std::fmt;

use bytes::Bytes;

use super::rules::Step;
use crate::core::code::Code;
use crate::core::json::Json;
use crate::core::mapping::{Path, Place};
use crate::core::retry_hint;
use crate::core::time::UnixMs;

/// The longest reply about a person, in bytes: usually they have a few KB.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// The longest page of a list, in bytes: some systems show everybody on one page, with some 500 bytes each.
pub const LIST_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long to wait after a 429 that names no time.
const LIMITED_MS: u64 = 30_000;

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub enum HrReply {
    /// An HTTP reply.
    Http {
        /// The status.
        status: u16,
        /// Names in lower case, and values: the headers for the media type and for when to come back.
        headers: Vec<(String, String)>,
        /// The body, as far as it was read.
        body: Bytes,
        /// Whether it is complete: it may have been cut off, or too long.
        body_complete: bool,
    },
    /// No answer came.
    Nothing(NoReply),
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoReply {
    /// No connection could be made.
    Unreachable,
    /// The request was sent, but no answer came in time.
    Lost,
    /// The request could not be made: a credential that no header can carry.
    Unfit,
}

impl HrReply {
    /// The status, if there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } => Some(*status),
            Self::Nothing(_) => None,
        }
    }

    /// The headers that are kept.
    pub(super) fn headers(&self) -> &[(String, String)] {
        match self {
            Self::Http { headers, .. } => headers,
            Self::Nothing(_) => &[],
        }
    }
}

impl fmt::Debug for HrReply {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HrReply").field(&self.status()).finish()
    }
}

/// What a reply means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// An answer: JSON text.
    Answer(String),
    /// Nobody has this id.
    NotFound,
    /// 401: the login is not accepted.
    Unauthorized,
    /// 403: this login may not read this.
    Forbidden {
        /// When to come back, where it said so.
        not_before: Option<UnixMs>,
    },
    /// Something other than the API answered: a redirect, or a web page.
    Elsewhere {
        /// What answered.
        what: &'static str,
    },
    /// 429.
    Limited {
        /// When to try again.
        until: UnixMs,
    },
    /// Temporary trouble.
    Passing {
        /// The code of the trouble.
        code: Code,
        /// When to come back, where it said so.
        not_before: Option<UnixMs>,
    },
    /// The request is refused, or the answer cannot be used.
    Refused {
        /// The code of the trouble.
        code: Code,
        /// What, without values.
        detail: String,
    },
}

/// The checks for a step's or a list's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judging<'r> {
    pub(super) step: Option<&'r Step>,
}

impl Judging<'_> {
    /// Judges a reply that came at `now`.
    pub(super) fn judge(self, reply: &HrReply, now: UnixMs) -> Said {
        let (status, headers, body, body_complete) = match reply {
            HrReply::Http { status, headers, body, body_complete } => (*status, headers, body, *body_complete),
            HrReply::Nothing(NoReply::Unreachable | NoReply::Lost) => {
                return Said::Passing { code: Code::FetchUnreachable, not_before: None };
            }
            HrReply::Nothing(NoReply::Unfit) => return Said::Unauthorized,
        };
        let not_before = not_before(headers, now);
        match of_status(status, not_before, now) {
            None => {}
            Some(said) => return said,
        }
        if !body_complete {
            let bytes_max = if self.step.is_some() { REPLY_BYTES_MAX } else { LIST_BYTES_MAX };
            let detail = if body.len() >= bytes_max { "is too long" } else { "broke off" };
            return Said::Refused {
                code: Code::FetchUnreadable,
                detail: format!("the answer {detail} ({} bytes)", body.len()),
            };
        }
        let is_page =
            headers.iter().any(|(name, value)| name == "content-type" && value.to_ascii_lowercase().contains("html"));
        let Some(text) = text_of(body) else {
            return Said::Refused { code: Code::FetchUnreadable, detail: "the answer is not UTF-8 text".to_owned() };
        };
        if is_page || text.starts_with('<') {
            return Said::Elsewhere { what: "an HTML page" };
        }
        match Json::with(text, |answer| self.look(answer, not_before, now)) {
            Ok(Some(said)) => said,
            Ok(None) => Said::Answer(text.to_owned()),
            // These messages name a syntax error and its place, and contain no values.
            Err(error) => {
                Said::Refused { code: Code::FetchUnreadable, detail: format!("the answer is not JSON: {error}") }
            }
        }
    }

    /// The error that the answer itself reports; none for a success.
    fn look(self, answer: &Json<'_>, not_before: Option<UnixMs>, now: UnixMs) -> Option<Said> {
        let step = self.step?;
        let place = Place { root: answer, record: answer, key: None };
        let stated = step.status_at.as_ref().and_then(|path| path.find(place)).and_then(Json::scalar);
        if let Some(said) =
            stated.and_then(|status| status.parse().ok()).and_then(|status| of_status(status, not_before, now))
        {
            return Some(said);
        }
        let has_error = step.error_at.as_ref().is_some_and(|path| is_something(path, place));
        if has_error || !step.ok_if.iter().all(|condition| condition.holds(place)) {
            return Some(Said::Refused {
                code: Code::FetchRefused,
                detail: "the answer is an error, with a status of success".to_owned(),
            });
        }
        (!step.found_if.iter().all(|condition| condition.holds(place))).then_some(Said::NotFound)
    }
}

/// What a status means without its body; none for a success.
fn of_status(status: u16, not_before: Option<UnixMs>, now: UnixMs) -> Option<Said> {
    Some(match status {
        200 | 201 | 203..=299 => return None,
        300..=399 => Said::Elsewhere { what: "a redirect" },
        401 | 407 => Said::Unauthorized,
        403 => Said::Forbidden { not_before },
        404 | 410 => Said::NotFound,
        429 => Said::Limited { until: not_before.unwrap_or(now.plus_ms(LIMITED_MS)) },
        // 202, "Accepted": the data is not there yet.
        202 | 408 | 425 | 500..=599 => Said::Passing { code: Code::FetchUnavailable, not_before },
        _ => Said::Refused { code: Code::FetchRefused, detail: format!("status {status}") },
    })
}

/// When the system wants to be asked again.
pub(super) fn not_before(headers: &[(String, String)], now: UnixMs) -> Option<UnixMs> {
    // Workable's spelling.
    let known = |(name, value): &(String, String)| match name.as_str() {
        "x-rate-limit-reset" => ("x-ratelimit-reset".to_owned(), value.clone()),
        _ => (name.clone(), value.clone()),
    };
    let headers: Vec<_> = headers.iter().map(known).collect();
    let at = retry_hint::read(&headers, now)?.at;
    Some(at.min(now.plus_ms(retry_hint::SLEEP_MS_MAX)))
}

/// RFC 8259 §8.1: a byte order mark may be ignored.
pub(super) fn text_of(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text).trim())
}

/// Whether there is a value: not null, not false, not empty.
fn is_something(path: &Path, place: Place<'_>) -> bool {
    match path.find(place) {
        None | Some(Json::Null | Json::Bool(false)) => false,
        Some(Json::Text(text)) => !text.trim().is_empty(),
        Some(Json::List(items)) => !items.is_empty(),
        Some(Json::Object(members)) => !members.is_empty(),
        Some(Json::Bool(true) | Json::Number(_)) => true,
    }
}
