//! The roster: import, plan, apply.

use actix_web::web;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::handlers::{Answer, By, State};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::service::Noted;
use crate::core::audit::Act;
use crate::core::person::SourceName;
use crate::core::roster::PlanReport;
use crate::roster::{Imported, RosterError};

/// Largest file taken: 200,000 rows of some 300 bytes.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Whose roster.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct ImportQuery {
    /// The source's name.
    source: String,
}

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct ImportedBody {
    /// Rows of the file.
    rows: u64,
    /// Rows that are staged: nothing of them reaches Postman before they are applied.
    staged: u64,
    /// Rows that are not; of many, the first hundred.
    refused: Vec<RefusedRowBody>,
    /// How many rows were refused in all.
    refused_rows: u64,
}

/// A row that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct RefusedRowBody {
    /// Its number, from 1, the header not counted.
    row: u64,
    /// The field and the shape of its value.
    reason: String,
}

/// What an apply began.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct AppliedBody {
    /// People whose staged row counts from now on.
    applied: u64,
}

impl From<Imported> for ImportedBody {
    fn from(imported: Imported) -> Self {
        let refused = imported.refused.into_iter().map(|row| RefusedRowBody { row: row.row, reason: row.reason });
        Self {
            rows: imported.rows,
            staged: imported.staged,
            refused: refused.collect(),
            refused_rows: imported.refused_rows,
        }
    }
}

impl From<RosterError> for AdminError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Store(error) => Self::Store(error),
            RosterError::File(_) | RosterError::NoSource(_) | RosterError::Full | RosterError::Members(_) => {
                Self::BadRequest(error.to_string())
            }
        }
    }
}

/// Stages the rows of a file (CSV with a header, a JSON array, or an object a line) as a source's roster.
#[utoipa::path(post, path = "/api/v1/roster", tag = "roster", params(ImportQuery), request_body(content = Vec<u8>, content_type = "text/csv"), security(("admin_token" = [])), responses(
    (status = 200, description = "What is staged, and what was refused.", body = ImportedBody),
    (status = 400, description = "The file cannot be read, or there is no such source.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token may only look.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn import(
    state: State,
    by: By,
    query: web::Query<ImportQuery>,
    mut payload: web::Payload,
) -> Answer<ImportedBody> {
    let source = SourceName::parse(&query.source).map_err(AdminError::BadRequest)?;
    let mut file = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| AdminError::BadRequest("the file did not arrive whole".to_owned()))?;
        if file.len() + chunk.len() > FILE_BYTES_MAX {
            return Err(AdminError::BadRequest(format!("the file has more than {FILE_BYTES_MAX} bytes")));
        }
        file.extend_from_slice(&chunk);
    }
    let imported = state.roster.import(&source, &file).await?;
    let what = Noted { count: Some(imported.staged), ..Noted::of(source.as_str()) };
    state.note(&by, Act::Import, what).await?;
    Ok(web::Json(imported.into()))
}

/// Tells what would be done if all that is staged were applied. Reads the list of members in full.
#[utoipa::path(get, path = "/api/v1/roster/plan", tag = "roster", security(("admin_token" = [])), responses(
    (status = 200, description = "The plan. A person may stand in several lists.", body = serde_json::Value),
    (status = 400, description = "The list of members cannot be read.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn plan(state: State) -> Answer<PlanReport> {
    Ok(web::Json(state.roster.plan().await?))
}

/// Applies all that is staged, through the lanes: at Postman's rate, as of the moment of the import.
#[utoipa::path(post, path = "/api/v1/roster/apply", tag = "roster", security(("admin_token" = [])), responses(
    (status = 200, description = "How many people it is about.", body = AppliedBody),
    (status = 400, description = "The list of members cannot be read.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token may only look.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn apply(state: State, by: By) -> Answer<AppliedBody> {
    let applied = state.roster.apply().await?;
    state.note(&by, Act::Apply, Noted { count: Some(applied), ..Noted::of("roster") }).await?;
    Ok(web::Json(AppliedBody { applied }))
}
