//! `/api/v1/captures`: deliveries that are kept for a while, to find out what is wrong with them.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::handlers::{ApiResult, By, State};
use super::shapes::{
    CaptureBody, CaptureOffBody, CaptureOnBody, CaptureRowBody, CapturedHeaderBody, CapturedSourceBody, CapturesBody,
};
use crate::admin::error::ErrorBody;
use crate::core::capture::{KEEP, Order};

/// Which source.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct CaptureOffQuery {
    /// The source.
    source: String,
}

/// Lists the sources being captured, and what was captured.
#[utoipa::path(get, path = "/api/v1/captures", tag = "captures", security(("admin_token" = [])), responses(
    (status = 200, description = "The sources, and the deliveries without their contents.", body = CapturesBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn list(state: State) -> ApiResult<CapturesBody> {
    let captures = state.captures().await?;
    let source = |(name, order): (&String, &Order)| CapturedSourceBody {
        source: name.clone(),
        until: order.until.to_string(),
        keep: order.keep,
    };
    Ok(web::Json(CapturesBody {
        sources: captures.orders.iter().map(source).collect(),
        captures: captures.taken.iter().map(Into::into).collect(),
    }))
}

/// Shows one captured delivery in full; the audit log records who looked.
#[utoipa::path(get, path = "/api/v1/captures/{id}", tag = "captures", params(("id" = String, Path, description = "As the list has it.")), security(("admin_token" = [])), responses(
    (status = 200, description = "The delivery, as it came.", body = CaptureBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only: what HR sent is shown only with a full token.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such captured delivery (any more).", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn show(state: State, by: By, id: web::Path<String>) -> ApiResult<CaptureBody> {
    let capture = state.capture(&by, &id).await?;
    let header = |(name, value): &(String, String)| CapturedHeaderBody { name: name.clone(), value: value.clone() };
    Ok(web::Json(CaptureBody {
        row: CaptureRowBody::from(&capture),
        url: capture.url.clone(),
        headers: capture.headers.iter().map(header).collect(),
        body_base64: capture.body,
    }))
}

/// Captures a source from now on, for an hour: its last deliveries are kept, refused ones, too.
#[utoipa::path(put, path = "/api/v1/captures", tag = "captures", request_body = CaptureOnBody, security(("admin_token" = [])), responses(
    (status = 200, description = "It is captured: within seconds, in every process.", body = CapturedSourceBody),
    (status = 400, description = "The body cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such source.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn on(state: State, by: By, body: web::Json<CaptureOnBody>) -> ApiResult<CapturedSourceBody> {
    let order = state.switch_capture_on(&by, &body.source, body.keep.unwrap_or(KEEP)).await?;
    let until = order.until.to_string();
    Ok(web::Json(CapturedSourceBody { source: body.source.clone(), until, keep: order.keep }))
}

/// Stops capturing a source, and forgets what was captured.
#[utoipa::path(delete, path = "/api/v1/captures", tag = "captures", params(CaptureOffQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "How many deliveries were forgotten.", body = CaptureOffBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such source.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn off(state: State, by: By, query: web::Query<CaptureOffQuery>) -> ApiResult<CaptureOffBody> {
    Ok(web::Json(CaptureOffBody { forgotten: state.switch_capture_off(&by, &query.source).await? }))
}
