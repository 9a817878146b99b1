//! What the door answers. Exactly 200 for all that is well: several HR systems take any other code
//! for a failure. Never 4xx for our own trouble: some drop an event for ever on that.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use serde_json::json;

use crate::core::job::JobId;
use crate::telemetry::metrics::DeliveryResult;

/// When to come back while the store cannot be reached: as long as a restart takes.
const UNAVAILABLE_S: u64 = 5;
/// When to come back while too much is waiting: a backlog needs a while.
const FULL_S: u64 = 60;

/// The answer to a delivery that was understood.
pub(super) fn understood(result: DeliveryResult, jobs: &[JobId]) -> HttpResponse {
    let jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    HttpResponse::Ok().json(json!({ "status": result.as_str(), "jobs": jobs }))
}

/// The answer to a delivery that was not taken.
pub(super) fn refused(result: DeliveryResult) -> HttpResponse {
    let (status, message) = told(result);
    let mut answer = HttpResponse::build(status);
    match result {
        DeliveryResult::Unavailable | DeliveryResult::Stopping => {
            answer.insert_header((RETRY_AFTER, UNAVAILABLE_S.to_string()));
        }
        DeliveryResult::Full => {
            answer.insert_header((RETRY_AFTER, FULL_S.to_string()));
        }
        _ => {}
    }
    // What is left of the body is not read.
    if matches!(result, DeliveryResult::TooLarge | DeliveryResult::TimedOut | DeliveryResult::Stopping) {
        answer.force_close();
    }
    if status == StatusCode::UNAUTHORIZED {
        return answer.json(json!({ "error": "unauthorized" }));
    }
    answer.json(json!({ "error": result.as_str(), "message": message }))
}

/// 405: only POST is for webhooks.
pub(super) fn wrong_method() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, "POST"))
        .json(json!({ "error": "method_not_allowed", "message": "webhooks are sent with POST" }))
}

/// 404 for everything that is no webhook.
pub(super) fn nothing_here() -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": "not_found", "message": "webhooks go to /webhooks/{source}" }))
}

fn told(result: DeliveryResult) -> (StatusCode, &'static str) {
    match result {
        DeliveryResult::Accepted
        | DeliveryResult::Duplicate
        | DeliveryResult::Ignored
        | DeliveryResult::Unmapped
        | DeliveryResult::Handshake => (StatusCode::OK, ""),
        DeliveryResult::HungUp => (StatusCode::BAD_REQUEST, "the body did not arrive whole"),
        DeliveryResult::Forged => (StatusCode::UNAUTHORIZED, ""),
        DeliveryResult::UnknownSource => {
            (StatusCode::NOT_FOUND, "no source of this name is configured: see [[source]] name")
        }
        DeliveryResult::BadRequest => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send one of the source's content_types (application/json), without a content encoding",
        ),
        DeliveryResult::TimedOut => (StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"),
        DeliveryResult::Conflict => {
            (StatusCode::CONFLICT, "this id was used for another body before: nothing was stored")
        }
        DeliveryResult::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than [server] body_bytes_max"),
        DeliveryResult::Full => (StatusCode::SERVICE_UNAVAILABLE, "too much is waiting: send it again later"),
        DeliveryResult::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "it could not be stored: send it again later"),
        DeliveryResult::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping: send it again in a moment"),
    }
}
