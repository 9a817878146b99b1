//! Rosters from HR systems' own lists: requesting one, and its progress.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::handlers::{ApiResult, By, State};
use super::roster::{ImportedBody, instant_of};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::service::Noted;
use crate::core::audit::Act;
use crate::core::code::Code;
use crate::core::person::SourceName;
use crate::core::roster::Fetch;

/// Whose list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct OrderQuery {
    /// The source's name.
    source: String,
    /// Only who changed since then (RFC 3339, or a day such as `2026-11-22`); they are added to what is staged.
    since: Option<String>,
    /// Whether the rows are added to what is staged already, instead of replacing it.
    #[serde(default)]
    add: bool,
}

/// Whose list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct FetchQuery {
    /// The source's name.
    source: String,
}

/// The progress of reading an HR system's list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct FetchBody {
    /// The source.
    source: String,
    /// `waiting` for a worker, `reading`, `staged` or `failed`.
    state: String,
    /// When it was requested.
    ordered_at: String,
    /// Only who changed since then.
    since: Option<String>,
    /// Requests made.
    calls: u64,
    /// People listed.
    listed: u64,
    /// Of these, people who were read one by one.
    read: u64,
    /// When it ended.
    ended_at: Option<String>,
    /// Why nothing is staged: the stable code.
    code: Option<String>,
    /// Why nothing is staged, in words.
    detail: Option<String>,
    /// What to do about it.
    action: Option<String>,
    /// What is staged.
    imported: Option<ImportedBody>,
}

impl FetchBody {
    fn of(source: &SourceName, fetch: &Fetch, imported: Option<ImportedBody>) -> Self {
        let Fetch { ordered_at, since, calls, listed, read, .. } = *fetch;
        let state = fetch.state().to_owned();
        let failure = fetch.end.as_ref().and_then(|end| end.failure.clone());
        let (code, detail) = failure.map(|failure| (failure.code, failure.detail)).unzip();
        Self {
            source: source.to_string(),
            state,
            ordered_at: ordered_at.to_string(),
            since: since.map(|since| since.to_string()),
            calls,
            listed,
            read,
            ended_at: fetch.end.as_ref().map(|end| end.at.to_string()),
            imported: imported.filter(|_| code.is_none() && fetch.end.is_some()),
            action: code.as_deref().and_then(|code| Some(code_of(code)?.advice().to_owned())),
            code,
            detail,
        }
    }
}

/// None if it comes from a version that this one does not know.
fn code_of(text: &str) -> Option<Code> {
    serde_json::from_value(text.into()).ok()
}

/// Reads the HR system's list of everybody, and stages it like the rows of a file. A worker that has the login does
/// it; an incomplete list stages nothing.
#[utoipa::path(post, path = "/api/v1/roster/fetch", tag = "roster", params(OrderQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "It is ordered.", body = FetchBody),
    (status = 400, description = "There is no such source, or its people cannot be listed.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 409, description = "The list is already being read.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn order(state: State, by: By, query: web::Query<OrderQuery>) -> ApiResult<FetchBody> {
    let source = SourceName::parse(&query.source).map_err(AdminError::BadRequest)?;
    let since = query.since.as_deref().map(|since| instant_of("since", since)).transpose()?;
    let fetch = state.roster.order_fetch(&source, since, query.add).await?;
    state.note(&by, Act::Import, Noted::of(source.as_str())).await?;
    Ok(web::Json(FetchBody::of(&source, &fetch, None)))
}

/// Shows the progress of reading a source's list, or how the last read ended.
#[utoipa::path(get, path = "/api/v1/roster/fetch", tag = "roster", params(FetchQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "How far it is.", body = FetchBody),
    (status = 400, description = "That is not a source's name.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "This source's list was never requested.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn show(state: State, query: web::Query<FetchQuery>) -> ApiResult<FetchBody> {
    let source = SourceName::parse(&query.source).map_err(AdminError::BadRequest)?;
    let fetch = state.roster.fetches().await.map_err(AdminError::from)?.remove(source.as_str());
    let fetch = fetch.ok_or(AdminError::NotFound("fetch"))?;
    let imported = state.imports().await?.remove(source.as_str());
    Ok(web::Json(FetchBody::of(&source, &fetch, imported.map(ImportedBody::from))))
}
