//! The API's handlers for dead letters.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::handlers::{ApiResult, By, State};
use super::shapes::{BulkBody, BulkDoneBody, DeadBody, DeadListBody, DiscardBody, DiscardedBody, ReplayBody};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::letters::{BULK_MAX, Bulk, Done, LetterAction};
use crate::admin::listing;
use crate::admin::service::AdminState;
use crate::admin::tokens::Actor;
use crate::core::person::{EventKind, SourceName};
use crate::core::time::UnixMs;
use crate::store::DeadFilter;

/// Which dead letters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct DeadQuery {
    /// Only of this code.
    code: Option<String>,
    /// Only of this source.
    source: Option<String>,
    /// Only those whose newest stopped event was of this kind: `hire`, `update`, `leave` or `notice`.
    event: Option<String>,
    /// Only those older than this many seconds.
    older_than_s: Option<u64>,
    /// The most to return: 1 to 500; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// What to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct ShowQuery {
    /// Show the payload of a record that could not be mapped, too. The audit says that it was shown.
    #[serde(default)]
    payload: bool,
}

/// A filter as written in the query; an empty value is none.
pub(in crate::admin) fn filter(
    now: UnixMs,
    code: Option<&str>,
    source: Option<&str>,
    event: Option<&str>,
    older_than_s: Option<u64>,
) -> Result<DeadFilter, AdminError> {
    let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let source = given(source).map(|name| SourceName::parse(&name)).transpose();
    let kind = |word: String| {
        let known = EventKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| AdminError::BadRequest("event: hire, update, leave or notice".to_owned()))
    };
    Ok(DeadFilter {
        code: given(code),
        source: source.map_err(AdminError::BadRequest)?,
        event: given(event).map(kind).transpose()?,
        died_before: older_than_s.map(|seconds| now.minus_ms(seconds.saturating_mul(1_000))),
    })
}

/// Lists the dead letters, newest first.
#[utoipa::path(get, path = "/api/v1/dead", tag = "dead letters", params(DeadQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "A page of dead letters.", body = DeadListBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn list(state: State, query: web::Query<DeadQuery>) -> ApiResult<DeadListBody> {
    let DeadQuery { code, source, event, older_than_s, limit, after } = query.into_inner();
    let filter = filter(state.now(), code.as_deref(), source.as_deref(), event.as_deref(), older_than_s)?;
    let listed = state.dead_letters(&filter, &listing::page(limit, after.as_deref())?).await?;
    Ok(web::Json(DeadListBody { dead: listed.rows.iter().map(Into::into).collect(), next: listed.next }))
}

/// Shows one dead letter in full, with everything about the person it blocks.
#[utoipa::path(get, path = "/api/v1/dead/{id}", tag = "dead letters", params(("id" = String, Path, description = "32 hex digits."), ShowQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "The dead letter.", body = DeadBody),
    (status = 400, description = "Not an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such dead letter (any more).", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    state: State,
    by: By,
    id: web::Path<String>,
    query: web::Query<ShowQuery>,
) -> ApiResult<DeadBody> {
    let id = listing::id(&id)?;
    let letter = state.dead_letter(id).await?;
    if query.payload && letter.payload.is_some() {
        state.payload_shown(&by, id).await?;
    }
    Ok(web::Json(DeadBody::of(&letter, &state.holds().await?, query.payload)))
}

/// Puts a dead letter back to work; a record that could not be mapped with fields corrected, if they are given.
#[utoipa::path(post, path = "/api/v1/dead/{id}/replay", tag = "dead letters", params(("id" = String, Path, description = "32 hex digits.")), request_body = Option<ReplayBody>, security(("admin_token" = [])), responses(
    (status = 200, description = "It is tried again.", body = BulkDoneBody),
    (status = 400, description = "Not an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such dead letter (any more).", body = ErrorBody, content_type = "application/problem+json"),
    (status = 422, description = "The record still cannot be mapped; nothing has changed.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn replay(state: State, by: By, id: web::Path<String>, body: web::Bytes) -> ApiResult<BulkDoneBody> {
    let id = listing::id(&id)?;
    let ReplayBody { fields } = optional(&body)?;
    if fields.is_empty() {
        state.act_on_one(&by, id, &LetterAction::Replay).await?;
    } else {
        state.correct(&by, id, &fields.into_iter().collect::<Vec<_>>()).await?;
    }
    Ok(web::Json(BulkDoneBody { matched: 1, replayed: 1, ..BulkDoneBody::default() }))
}

/// Discards a dead letter: what HR says is not applied until HR's next event.
#[utoipa::path(post, path = "/api/v1/dead/{id}/discard", tag = "dead letters", params(("id" = String, Path, description = "32 hex digits.")), request_body = Option<DiscardBody>, security(("admin_token" = [])), responses(
    (status = 200, description = "It is discarded.", body = DiscardedBody),
    (status = 400, description = "Not an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such dead letter (any more).", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn discard(state: State, by: By, id: web::Path<String>, body: web::Bytes) -> ApiResult<DiscardedBody> {
    let id = listing::id(&id)?;
    let DiscardBody { reason } = optional(&body)?;
    state.act_on_one(&by, id, &LetterAction::Discard { reason }).await?;
    Ok(web::Json(DiscardedBody { discarded: id.to_string() }))
}

/// An optional body.
fn optional<T: Default + serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, AdminError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| AdminError::BadRequest(error.to_string()))
}

/// Puts all dead letters that match back to work, or counts them. At most 2,000 at once: go on with
/// `next`.
#[utoipa::path(post, path = "/api/v1/dead/replay", tag = "dead letters", request_body = BulkBody, security(("admin_token" = [])), responses(
    (status = 200, description = "How many matched, and how many are tried again.", body = BulkDoneBody),
    (status = 400, description = "The body cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn replay_all(state: State, by: By, body: web::Json<BulkBody>) -> ApiResult<BulkDoneBody> {
    let done = act(&state, &by, &body, &LetterAction::Replay).await?;
    Ok(web::Json(BulkDoneBody::replayed(done)))
}

/// Discards all dead letters that match, or counts them. At most 2,000 at once: go on with `next`.
#[utoipa::path(post, path = "/api/v1/dead/discard", tag = "dead letters", request_body = BulkBody, security(("admin_token" = [])), responses(
    (status = 200, description = "How many matched, and how many are discarded.", body = BulkDoneBody),
    (status = 400, description = "The body cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn discard_all(state: State, by: By, body: web::Json<BulkBody>) -> ApiResult<BulkDoneBody> {
    let action = LetterAction::Discard { reason: body.reason.clone() };
    let done = act(&state, &by, &body, &action).await?;
    Ok(web::Json(BulkDoneBody::discarded(done)))
}

async fn act(state: &AdminState, by: &Actor, body: &BulkBody, action: &LetterAction) -> Result<Done, AdminError> {
    let BulkBody { ids, code, source, event, older_than_s, dry_run, after, reason: _ } = body;
    if let Some(ids) = ids {
        if ids.len() > BULK_MAX {
            return Err(AdminError::BadRequest(format!("ids: at most {BULK_MAX}")));
        }
        let ids = ids.iter().map(|id| listing::id(id)).collect::<Result<Vec<_>, _>>()?;
        return state.act_on_these(by, &ids, action).await;
    }
    let filter = filter(state.now(), code.as_deref(), source.as_deref(), event.as_deref(), *older_than_s)?;
    let after = listing::page(None, after.as_deref())?.after;
    state.act_on_all(by, &Bulk { filter, dry_run: *dry_run, after }, action).await
}
