//! What can go wrong in `admin`, and the one place where that becomes an HTTP answer.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::nobody::Clue;
use crate::core::code::Code;
use crate::store::StoreError;
use crate::telemetry::rate_limited_log::RateLimitedLog;

/// While the store is away, every request fails in the same way.
static LOGGED: RateLimitedLog = RateLimitedLog::new();

/// After how many seconds to try an unavailable store again.
const RETRY_AFTER_S: &str = "5";

/// After how many seconds to try a token again.
const PUT_OFF_S: &str = "2";

/// Why a request failed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No token, or not the right one.
    #[error("the admin token is missing or wrong")]
    Unauthorized,
    /// The token is read-only.
    #[error("this token is read-only")]
    ReadOnly,
    /// Several people are meant.
    #[error("{0} people fit")]
    Several(usize),
    /// Too many wrong tokens came from this peer, so this one was not looked at.
    #[error("too many wrong tokens came from your address, so this one was not looked at")]
    PutOff,
    /// The listener was called by a name that is not its own.
    #[error("this listener does not serve that host name")]
    ForeignHost,
    /// It does not exist, or no longer does.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Nobody is called so, and this may be why.
    #[error("{}", no_such_person(.0))]
    Nobody(Vec<Clue>),
    /// The path exists, but not the method; these are allowed, in the form of an `Allow` header.
    #[error("this path takes {0} only")]
    MethodNotAllowed(String),
    /// The request cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// The request, or a file in it, cannot be followed as it is.
    #[error("{what}")]
    Advised {
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        action: &'static str,
    },
    /// The target does not serve what is needed.
    #[error("{what}")]
    Target {
        /// What it answered.
        what: String,
        /// What to do about it.
        action: &'static str,
    },
    /// What the user saw has changed meanwhile.
    #[error("{what}")]
    OutOfDate {
        /// What has changed, or is still under way.
        what: String,
        /// What to do about it.
        action: &'static str,
    },
    /// The mapping of the dead letter's source still cannot read it.
    #[error("the record still cannot be mapped: {code} ({detail})")]
    StillUnmapped {
        /// The reason.
        code: Code,
        /// Fields and shapes, never values.
        detail: String,
    },
    /// The dead letter's source is not configured any more.
    #[error("source `{0}` is not configured, so nothing can map this record")]
    SourceGone(String),
    /// The target should be asked, but this process does not know the key.
    #[error("this process does not know Postman's key, so it cannot ask")]
    NoKey,
    /// The target should be asked, but all work is held.
    #[error("all work is held ({0}), so Postman is not asked either")]
    Held(Code),
    /// The target should be asked, but its rate is used up for now.
    #[error("Postman's rate is used up for now, by work in progress")]
    RateUsedUp,
    /// A form came from elsewhere, or is older than the session.
    #[error("this form was not sent from a current page of this console")]
    ForeignForm,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug.
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// The body of every answer that is an error: problem details (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// `urn:scim-bridge:` and the stable word.
    #[serde(rename = "type")]
    #[schema(example = "urn:scim-bridge:not_found")]
    pub kind: String,
    /// The status' own words.
    #[schema(example = "Not Found")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// A stable word for what is wrong.
    #[schema(example = "not_found")]
    pub error: String,
    /// What is wrong, in a line.
    pub detail: String,
    /// What to do about it, in a line.
    pub action: String,
}

/// What to do about a cursor that no page gave.
const AFTER: &str = "Leave it out for the first page; after that, give the `next` of the previous page of the same list (a command prints it as `more: --after …`).";

impl AdminError {
    /// The stable word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::ReadOnly => "read_only",
            Self::Several(_) => "several",
            Self::PutOff => "put_off",
            Self::ForeignHost => "foreign_host",
            Self::NotFound(_) | Self::Nobody(_) => "not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::BadRequest(_) | Self::Advised { .. } | Self::Target { .. } | Self::Store(StoreError::Cursor) => {
                "bad_request"
            }
            Self::OutOfDate { .. } => "out_of_date",
            Self::StillUnmapped { .. } => "still_unmapped",
            Self::SourceGone(_) => "source_gone",
            Self::NoKey => "no_key",
            Self::Held(_) => "held",
            Self::RateUsedUp => "rate_used_up",
            Self::ForeignForm => "foreign_form",
            Self::Store(StoreError::Unavailable(_) | StoreError::Trouble { .. }) => "store_unavailable",
            Self::Store(
                StoreError::InUse { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::OlderSchema { .. }
                | StoreError::OtherTarget { .. }
                | StoreError::Damaged(_),
            )
            | Self::Internal(_) => "internal",
        }
    }

    /// The error as the client sees it: an unknown failure shows no details.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Store(StoreError::Unavailable(_)) => "the store cannot be reached or written".to_owned(),
            Self::Store(StoreError::Damaged(_)) => {
                format!("{}: {}", Code::StoreDamaged, Code::StoreDamaged.title())
            }
            Self::Store(StoreError::Cursor) => "`after` is not the `next` of a page of this list".to_owned(),
            Self::Store(StoreError::Trouble { code, .. }) => format!("{code}: {}", code.title()),
            Self::Store(
                StoreError::InUse { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::OlderSchema { .. }
                | StoreError::OtherTarget { .. },
            )
            | Self::Internal(_) => "something went wrong inside scim-bridge".to_owned(),
            Self::Unauthorized
            | Self::ReadOnly
            | Self::Several(_)
            | Self::PutOff
            | Self::ForeignHost
            | Self::NotFound(_)
            | Self::Nobody(_)
            | Self::MethodNotAllowed(_)
            | Self::BadRequest(_)
            | Self::Advised { .. }
            | Self::Target { .. }
            | Self::OutOfDate { .. }
            | Self::StillUnmapped { .. }
            | Self::SourceGone(_)
            | Self::NoKey
            | Self::Held(_)
            | Self::RateUsedUp
            | Self::ForeignForm => self.to_string(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn action(&self) -> Cow<'static, str> {
        if let Self::Nobody(clues) = self {
            return what_to_do(clues);
        }
        Cow::Borrowed(self.fixed_action())
    }

    /// What to do about errors of this kind, whatever the case.
    pub(super) fn fixed_action(&self) -> &'static str {
        match self {
            Self::Nobody(_) => not_found("person"),
            Self::Unauthorized => {
                "Send `Authorization: Bearer <token>` with the value of `[server] admin_token` (or of the file that `serve` named at its start)."
            }
            Self::ReadOnly => "Use a token whose role is `full`.",
            Self::Several(_) => "Name one of them as SOURCE/EMPLOYEE-ID.",
            Self::PutOff => "Wait a few seconds, and give the right token.",
            Self::ForeignHost => "Use its address or `localhost`, or add the name to `[server] admin_hosts`.",
            Self::NotFound(what) => not_found(what),
            Self::MethodNotAllowed(_) | Self::BadRequest(_) => "See /api/openapi.json for what is served and how.",
            Self::Advised { action, .. } | Self::Target { action, .. } | Self::OutOfDate { action, .. } => action,
            Self::StillUnmapped { code, .. } | Self::Store(StoreError::Trouble { code, .. }) => code.advice(),
            Self::SourceGone(_) => "Configure the source again, or discard it.",
            Self::NoKey => "Ask a process whose role is `all` or `worker`.",
            Self::Held(_) => {
                "`hold show` says since when and why; ask again once the hold is lifted (`hold lift --scope all` if the cause is fixed)."
            }
            Self::RateUsedUp => "Try again in a few seconds.",
            Self::ForeignForm => "Go back, reload the page and try again.",
            Self::Store(StoreError::Unavailable(_)) => "Try again in a few seconds; if it lasts, see the log.",
            Self::Store(StoreError::Damaged(_)) => Code::StoreDamaged.advice(),
            Self::Store(StoreError::Cursor) => AFTER,
            Self::Store(
                StoreError::InUse { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::OlderSchema { .. }
                | StoreError::OtherTarget { .. },
            )
            | Self::Internal(_) => "See the log at that time.",
        }
    }

    /// A request that cannot be followed as it is, with what to do about that.
    #[must_use]
    pub fn advised(what: impl Into<String>, action: &'static str) -> Self {
        Self::Advised { what: what.into(), action }
    }

    /// The body of the response.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        let (word, status) = (self.word(), self.status_code());
        ErrorBody {
            kind: format!("urn:scim-bridge:{word}"),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            error: word.to_owned(),
            detail: self.message(),
            action: self.action().into_owned(),
        }
    }

    /// Logs the bridge's own failures; a client's mistake is reported only to the client.
    pub fn log(&self) {
        match self {
            Self::Store(StoreError::Cursor)
            | Self::Unauthorized
            | Self::ReadOnly
            | Self::Several(_)
            | Self::PutOff
            | Self::ForeignHost
            | Self::NotFound(_)
            | Self::Nobody(_)
            | Self::MethodNotAllowed(_)
            | Self::BadRequest(_)
            | Self::Advised { .. }
            | Self::Target { .. }
            | Self::OutOfDate { .. }
            | Self::StillUnmapped { .. }
            | Self::SourceGone(_)
            | Self::NoKey
            | Self::Held(_)
            | Self::RateUsedUp
            | Self::ForeignForm => {}
            Self::Store(error) => {
                if let Some(left_out) = LOGGED.line("store", "") {
                    tracing::error!(%error, left_out, "the admin listener could not use the store");
                }
            }
            Self::Internal(problem) => tracing::error!(problem, "the admin listener failed"),
        }
    }
}

impl ResponseError for AdminError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::PutOff => StatusCode::TOO_MANY_REQUESTS,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound(_) | Self::Nobody(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) | Self::Advised { .. } | Self::Target { .. } | Self::Store(StoreError::Cursor) => {
                StatusCode::BAD_REQUEST
            }
            Self::StillUnmapped { .. } | Self::SourceGone(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ForeignForm | Self::ReadOnly => StatusCode::FORBIDDEN,
            Self::Several(_) | Self::OutOfDate { .. } | Self::NoKey | Self::Held(_) => StatusCode::CONFLICT,
            Self::RateUsedUp | Self::Store(StoreError::Unavailable(_) | StoreError::Trouble { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(
                StoreError::InUse { .. }
                | StoreError::NewerSchema { .. }
                | StoreError::OlderSchema { .. }
                | StoreError::OtherTarget { .. }
                | StoreError::Damaged(_),
            )
            | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        // A struct of strings and a number always serialises.
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = HttpResponse::build(self.status_code())
            .insert_header((CONTENT_TYPE, "application/problem+json"))
            .body(body);
        decorate(self, response.headers_mut());
        response
    }
}

fn no_such_person(clues: &[Clue]) -> String {
    match clues {
        [] => "there is no such person".to_owned(),
        [first, ..] => format!("there is no such person. This may be why: {}", first.what),
    }
}

/// What to do about what may be why nobody is known.
fn what_to_do(clues: &[Clue]) -> Cow<'static, str> {
    let [first, others @ ..] = clues else { return Cow::Borrowed(not_found("person")) };
    let mut advice = first.action.clone();
    for other in others {
        advice += &format!(" Or: {} {}", other.what, other.action);
    }
    Cow::Owned(advice)
}

/// What to do if there is no such thing.
pub(super) fn not_found(what: &str) -> &'static str {
    match what {
        "person" => {
            "HR has not reported anybody with that id, address or name. `scim-bridge people search TEXT` finds people by the beginning of a word; `scim-bridge deliveries` shows what the HR system has sent, and its own log of webhooks what it tried to."
        }
        "job" => "Check the id: a job is kept as long as its person's story.",
        "source" => "Check the name: `scim-bridge status` lists the sources.",
        "fetch" => "Ask for a list first: `scim-bridge import --source SOURCE --fetch`.",
        "captured delivery" => "`scim-bridge capture list` shows those that are kept, each for at most an hour.",
        "page" => "See /api/openapi.json for what is served.",
        _ => "Check the id: it may have been replayed or discarded, or dropped because it was too old.",
    }
}

/// Adds an error's headers to its answer.
pub(super) fn decorate(error: &AdminError, headers: &mut HeaderMap) {
    match error {
        AdminError::Unauthorized => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"scim-bridge admin\""));
        }
        AdminError::RateUsedUp | AdminError::Store(StoreError::Unavailable(_) | StoreError::Trouble { .. }) => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        AdminError::MethodNotAllowed(allowed) => {
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                headers.insert(ALLOW, allowed);
            }
        }
        AdminError::PutOff => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(PUT_OFF_S));
        }
        AdminError::NotFound(_)
        | AdminError::Nobody(_)
        | AdminError::ReadOnly
        | AdminError::Several(_)
        | AdminError::ForeignHost
        | AdminError::BadRequest(_)
        | AdminError::Advised { .. }
        | AdminError::Target { .. }
        | AdminError::OutOfDate { .. }
        | AdminError::StillUnmapped { .. }
        | AdminError::SourceGone(_)
        | AdminError::NoKey
        | AdminError::Held(_)
        | AdminError::ForeignForm
        | AdminError::Internal(_)
        | AdminError::Store(
            StoreError::InUse { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::OlderSchema { .. }
            | StoreError::OtherTarget { .. }
            | StoreError::Cursor
            | StoreError::Damaged(_),
        ) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_failure_shows_no_internals() {
        let error = AdminError::from(StoreError::Damaged("row 7 of ada@example.com".to_owned()));
        assert_eq!(error.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!serde_json::to_string(&error.body()).unwrap().contains("ada"));
        let internal = AdminError::Internal("row 7").body();
        assert!(!internal.detail.contains("row 7") && internal.action == "See the log at that time.", "{internal:?}");
    }

    #[test]
    fn damage_is_called_that_and_says_what_to_do() {
        let body = AdminError::from(StoreError::Damaged("row 7".to_owned())).body();
        assert!(body.detail.starts_with("STORE-DAMAGED: ") && body.action.contains("scim-bridge check"), "{body:?}");
    }

    #[test]
    fn an_unknown_cursor_is_a_mistake_of_the_request() {
        let error = AdminError::from(StoreError::Cursor);
        assert_eq!((error.status_code(), error.word()), (StatusCode::BAD_REQUEST, "bad_request"));
        assert!(error.message().contains("`next`") && error.action().contains("--after"), "{error:?}");
    }

    #[test]
    fn an_unavailable_store_says_when_to_retry() {
        let response = AdminError::from(StoreError::Unavailable("disk full".to_owned())).error_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), RETRY_AFTER_S);
    }
}
