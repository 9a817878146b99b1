//! Whether HR and the members agree.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::handlers::{ApiResult, By, State};
use crate::admin::error::{AdminError, ErrorBody};
use crate::core::roster::{Drift, DriftReport};

/// The last comparison.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct DriftBody {
    /// How often HR and the members are compared, in hours; 0: only on request.
    every_h: u64,
    /// When the last comparison was begun.
    begun_at: Option<String>,
    /// When the comparison in `report` ended.
    ended_at: Option<String>,
    /// What it showed.
    #[schema(value_type = Option<Object>)]
    report: Option<DriftReport>,
}

impl DriftBody {
    fn of(every_ms: u64, drift: Drift) -> Self {
        Self {
            every_h: every_ms / 3_600_000,
            begun_at: drift.begun_at.map(|at| at.to_string()),
            ended_at: drift.report.as_ref().map(|report| report.at.to_string()),
            report: drift.report,
        }
    }
}

/// Shows the last comparison of what HR says with the members.
#[utoipa::path(get, path = "/api/v1/drift", tag = "roster", security(("admin_token" = [])), responses(
    (status = 200, description = "The last comparison.", body = DriftBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn show(state: State) -> ApiResult<DriftBody> {
    let drift = state.roster.drift().await.map_err(AdminError::from)?;
    Ok(web::Json(DriftBody::of(state.roster.drift_options().every_ms, drift)))
}

/// Compares what HR says with the members now, and repairs what `[drift] repair` names.
#[utoipa::path(post, path = "/api/v1/drift", tag = "roster", security(("admin_token" = [])), responses(
    (status = 200, description = "The comparison.", body = DriftBody),
    (status = 400, description = "This process cannot read the list of members.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 409, description = "A comparison is under way.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn compare(state: State, by: By) -> ApiResult<DriftBody> {
    state.compare(&by).await?;
    show(state).await
}
