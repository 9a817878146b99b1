//! Every answer of the public listener, in one place.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::memory::Bound;
use crate::core::person::job::JobId;
use crate::store::FullBound;

/// What marks an answer after which the connection closes.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// A complete answer.
pub(super) type Response = http::Response<Bytes>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// 200: the result of a delivery, with the ids of its jobs and dead letters.
#[derive(Serialize)]
struct Taken<'a> {
    status: &'a str,
    jobs: &'a [JobId],
}

/// Anything else: a stable error word and a line of help.
#[derive(Serialize)]
struct Refused<'a> {
    status: &'a str,
    error: &'a str,
    help: &'a str,
    /// Which bound was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<&'a str>,
}

/// Why a delivery is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    HeadTooLarge,
    TooLarge,
    UnknownSource,
    NotFound,
    MethodNotAllowed { allow: &'static str },
    ContentType,
    ContentEncoding,
    TimedOut,
    HungUp,
    Unauthorised,
    Charset,
    Full { bound: FullBound, retry_after_s: u64 },
    Crowded { bound: Bound, retry_after_s: u64 },
    Unavailable { retry_after_s: u64 },
    Stopping { retry_after_s: u64 },
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownSource | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType | Self::Charset | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed | Self::HungUp => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Full { .. } | Self::Crowded { .. } | Self::Unavailable { .. } | Self::Stopping { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTooLarge => "head_too_large",
            Self::TooLarge => "too_large",
            Self::UnknownSource => "unknown_source",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::ContentType => "unsupported_content_type",
            Self::ContentEncoding => "unsupported_content_encoding",
            Self::TimedOut => "timed_out",
            Self::HungUp => "incomplete",
            Self::Unauthorised => "unauthorised",
            Self::Charset => "unsupported_charset",
            Self::Full { .. } | Self::Crowded { .. } => "full",
            Self::Unavailable { .. } => "unavailable",
            Self::Stopping { .. } => "stopping",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Malformed => "This is not HTTP/1.1, or can be read in more than one way.",
            Self::HeadTooLarge => "The head is larger than 16 KiB, or has more than 100 fields.",
            Self::TooLarge => {
                "The body is larger than body_bytes_max of [server] or of this source: send smaller batches, or raise it."
            }
            Self::UnknownSource => "No source of this name is configured: check the URL against [[source]] name.",
            Self::NotFound => "Deliveries go to /webhooks/{source}.",
            Self::MethodNotAllowed { .. } => "The Allow header says which methods there are.",
            Self::ContentType => "Send application/json, or add the type to this source's content_types.",
            Self::ContentEncoding => "Send the body uncompressed: a signature covers the bytes that are sent.",
            Self::TimedOut => "The body did not arrive in time: send it again.",
            Self::HungUp => "The body ended early: send it again.",
            Self::Unauthorised => {
                "The sender is not authenticated; the operator of this bridge finds the reason in its log."
            }
            Self::Charset => "Send UTF-8, or name a known charset in Content-Type.",
            Self::Full { bound: FullBound::Entries, .. } => "Too much is waiting: send it again later.",
            Self::Full { .. } => "Too many dead letters of this source wait for a decision: send it again later.",
            Self::Crowded { bound, .. } => bound.help(),
            Self::Unavailable { .. } => "It cannot be stored now: send it again later.",
            Self::Stopping { .. } => "The service is stopping: send it again later.",
        }
    }

    /// Whether to close the connection without reading the rest.
    fn closes(self) -> bool {
        match self {
            Self::Malformed
            | Self::HeadTooLarge
            | Self::TooLarge
            | Self::TimedOut
            | Self::HungUp
            | Self::Crowded { .. }
            | Self::Stopping { .. } => true,
            Self::UnknownSource
            | Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::ContentType
            | Self::ContentEncoding
            | Self::Unauthorised
            | Self::Charset
            | Self::Full { .. }
            | Self::Unavailable { .. } => false,
        }
    }

    /// The answer.
    pub(super) fn answer(self) -> Response {
        let bound = match self {
            Self::Crowded { bound, .. } => Some(bound.as_str()),
            Self::Full { bound, .. } => Some(full_word(bound)),
            _ => None,
        };
        let mut answer =
            document(self.status(), &Refused { status: "refused", error: self.word(), help: self.help(), bound });
        let headers = answer.headers_mut();
        match self {
            Self::MethodNotAllowed { allow } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::ContentEncoding => {
                // RFC 9110 §15.5.16.
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            Self::Full { retry_after_s, .. }
            | Self::Crowded { retry_after_s, .. }
            | Self::Unavailable { retry_after_s }
            | Self::Stopping { retry_after_s } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
            }
            Self::Malformed
            | Self::HeadTooLarge
            | Self::TooLarge
            | Self::UnknownSource
            | Self::NotFound
            | Self::ContentType
            | Self::TimedOut
            | Self::HungUp
            | Self::Unauthorised
            | Self::Charset => {}
        }
        if self.closes() {
            headers.insert(CONNECTION, CLOSE);
        }
        answer
    }
}

/// The word for a bound of the store.
pub(super) fn full_word(bound: FullBound) -> &'static str {
    match bound {
        FullBound::Entries => "entries",
        FullBound::DeadLetters => "dead_letters",
        FullBound::DeadBytes => "dead_bytes",
    }
}

/// 200: `{"status":…,"jobs":[…]}`.
pub(super) fn taken(status: &str, jobs: &[JobId]) -> Response {
    document(StatusCode::OK, &Taken { status, jobs })
}

/// 200 with plain text.
pub(super) fn text(text: impl Into<Bytes>) -> Response {
    with_type(StatusCode::OK, TEXT, text.into())
}

/// 503: these loops hang.
pub(super) fn hangs(loops: &[&str]) -> Response {
    with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("hangs: {}\n", loops.join(", ")).into())
}

/// 200 with a challenge, as JSON.
pub(super) fn json(challenge: &serde_json::Value) -> Response {
    document(StatusCode::OK, challenge)
}

fn document(status: StatusCode, content: &impl Serialize) -> Response {
    // Our own types always serialise.
    with_type(status, JSON, serde_json::to_vec(content).unwrap_or_default().into())
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
