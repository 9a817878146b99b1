//! Every answer of the public listener, in one place.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, ContentType, RETRY_AFTER};
use serde::Serialize;

use crate::core::job::JobId;

/// 200: what became of a delivery. The ids are of jobs and of dead letters.
#[derive(Serialize)]
struct Taken<'a> {
    status: &'a str,
    jobs: &'a [JobId],
}

/// Anything else: a stable word and a line of help.
#[derive(Serialize)]
struct Refused<'a> {
    status: &'a str,
    error: &'a str,
    help: &'a str,
}

/// Why a delivery is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    UnknownSource,
    NotFound,
    MethodNotAllowed { allow: &'static str },
    ContentType,
    ContentEncoding,
    TimedOut,
    HungUp,
    Unauthorised,
    Conflict,
    Full { retry_after_s: u64 },
    Unavailable { retry_after_s: u64 },
    Stopping { retry_after_s: u64 },
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownSource | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::HungUp => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Full { .. } | Self::Unavailable { .. } | Self::Stopping { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::UnknownSource => "unknown_source",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::ContentType => "unsupported_content_type",
            Self::ContentEncoding => "unsupported_content_encoding",
            Self::TimedOut => "timed_out",
            Self::HungUp => "incomplete",
            Self::Unauthorised => "unauthorised",
            Self::Conflict => "conflict",
            Self::Full { .. } => "full",
            Self::Unavailable { .. } => "unavailable",
            Self::Stopping { .. } => "stopping",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::TooLarge => "The body is larger than [server] body_bytes_max: send smaller batches, or raise it.",
            Self::UnknownSource => "No source of this name is configured: check the URL against [[source]] name.",
            Self::NotFound => "Deliveries go to /webhooks/{source}.",
            Self::MethodNotAllowed { .. } => "The Allow header says which methods there are.",
            Self::ContentType => "Send application/json, or add the type to this source's content_types.",
            Self::ContentEncoding => "Send the body as it is: a signature covers the bytes that are sent.",
            Self::TimedOut => "The body did not arrive in time: send it again.",
            Self::HungUp => "The body ended early: send it again.",
            Self::Unauthorised => "The sender is not proven; whoever runs this bridge finds the reason in its log.",
            Self::Conflict => "A delivery with this id and another body was accepted before; nothing was changed.",
            Self::Full { .. } => "Too much is waiting: send it again later.",
            Self::Unavailable { .. } => "It cannot be stored now: send it again later.",
            Self::Stopping { .. } => "The service is stopping: send it again later.",
        }
    }

    /// Whether the rest of the connection is not worth reading.
    fn closes(self) -> bool {
        match self {
            Self::TooLarge | Self::TimedOut | Self::HungUp | Self::Stopping { .. } => true,
            Self::UnknownSource
            | Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::ContentType
            | Self::ContentEncoding
            | Self::Unauthorised
            | Self::Conflict
            | Self::Full { .. }
            | Self::Unavailable { .. } => false,
        }
    }

    /// The answer.
    pub(super) fn answer(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status());
        match self {
            Self::MethodNotAllowed { allow } => {
                answer.insert_header((ALLOW, allow));
            }
            Self::ContentEncoding => {
                // RFC 9110 §15.5.16.
                answer.insert_header(("Accept-Encoding", "identity"));
            }
            Self::Full { retry_after_s } | Self::Unavailable { retry_after_s } | Self::Stopping { retry_after_s } => {
                answer.insert_header((RETRY_AFTER, retry_after_s.to_string()));
            }
            Self::TooLarge
            | Self::UnknownSource
            | Self::NotFound
            | Self::ContentType
            | Self::TimedOut
            | Self::HungUp
            | Self::Unauthorised
            | Self::Conflict => {}
        }
        if self.closes() {
            answer.force_close();
        }
        let status = if self == Self::Conflict { "conflict" } else { "refused" };
        answer.json(Refused { status, error: self.word(), help: self.help() })
    }
}

/// 200: `{"status":…,"jobs":[…]}`.
pub(super) fn taken(status: &str, jobs: &[JobId]) -> HttpResponse {
    HttpResponse::Ok().json(Taken { status, jobs })
}

/// 200 with a challenge, as plain text.
pub(super) fn text(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(text)
}

/// 200 with a challenge, as JSON.
pub(super) fn json(document: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().json(document)
}
