//! The API's handlers: read the request, ask the service, shape the answer.

use actix_web::{HttpRequest, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::listing;
use super::shapes::{
    DeadBody, DeadListBody, DiscardedBody, HoldBody, HoldsBody, JobBody, JobsBody, PersonBody, ReplayedBody, SetHold,
    StatusBody,
};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::service::AdminState;
use crate::core::event::{Person, SourceName};
use crate::core::hold::HoldScope;
use crate::core::job::JobState;

type State = web::Data<AdminState>;
type Answer<T> = Result<web::Json<T>, AdminError>;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct JobsQuery {
    /// `waiting` (the default), `running`, `parked` or `done`.
    #[param(value_type = Option<String>)]
    state: Option<JobState>,
    /// How many at the most: 1 to 500, 50 where it is not given.
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<String>,
}

/// Which dead letters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct DeadQuery {
    /// How many at the most: 1 to 500, 50 where it is not given.
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<String>,
}

/// Which person.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PersonQuery {
    /// The configured source.
    source: String,
    /// Their id there.
    employee_id: String,
}

/// Which holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct LiftQuery {
    /// `all` or `creates`: the hold of that scope only. Not given: every hold.
    #[param(value_type = Option<String>)]
    scope: Option<HoldScope>,
}

/// Tells version, figures, holds, and what is wrong.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", security(("admin_token" = [])), responses(
    (status = 200, description = "The process and its store at a glance.", body = StatusBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn status(state: State) -> Answer<StatusBody> {
    let overview = state.overview().await?;
    Ok(web::Json(StatusBody::of(&state, &overview.status, &overview.problems)))
}

/// Lists the jobs of a state, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobsQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "A page of jobs.", body = JobsBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn jobs(state: State, query: web::Query<JobsQuery>) -> Answer<JobsBody> {
    let which = query.state.unwrap_or(JobState::Waiting);
    if which == JobState::Dead {
        return Err(AdminError::BadRequest("dead letters are listed at /api/v1/dead".to_owned()));
    }
    let page = listing::page(query.limit, query.before.as_deref())?;
    let jobs = state.jobs(which, &page).await?;
    let next = listing::next(&page, &jobs, |view| view.job.id);
    Ok(web::Json(JobsBody { jobs: jobs.iter().map(JobBody::from).collect(), next: next.map(|id| id.to_string()) }))
}

/// Tells one job with its history, wherever it stands.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "32 hex digits.")), security(("admin_token" = [])), responses(
    (status = 200, description = "The job.", body = JobBody),
    (status = 400, description = "Not an id.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 404, description = "There is no such job (any more).", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn job(state: State, id: web::Path<String>) -> Answer<JobBody> {
    Ok(web::Json(JobBody::from(&state.job(listing::id(&id)?).await?)))
}

/// Lists the dead letters, newest first.
#[utoipa::path(get, path = "/api/v1/dead", tag = "dead letters", params(DeadQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "A page of dead letters.", body = DeadListBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn dead_letters(state: State, query: web::Query<DeadQuery>) -> Answer<DeadListBody> {
    let page = listing::page(query.limit, query.before.as_deref())?;
    let dead = state.dead_letters(&page).await?;
    let next = listing::next(&page, &dead, |summary| summary.id);
    Ok(web::Json(DeadListBody { dead: dead.iter().map(Into::into).collect(), next: next.map(|id| id.to_string()) }))
}

/// Tells one dead letter, whole.
#[utoipa::path(get, path = "/api/v1/dead/{id}", tag = "dead letters", params(("id" = String, Path, description = "32 hex digits.")), security(("admin_token" = [])), responses(
    (status = 200, description = "The dead letter.", body = DeadBody),
    (status = 400, description = "Not an id.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 404, description = "There is no such dead letter (any more).", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn dead_letter(state: State, id: web::Path<String>) -> Answer<DeadBody> {
    Ok(web::Json(DeadBody::from(&state.dead_letter(listing::id(&id)?).await?)))
}

/// Puts a dead letter back to work.
#[utoipa::path(post, path = "/api/v1/dead/{id}/replay", tag = "dead letters", params(("id" = String, Path, description = "32 hex digits.")), security(("admin_token" = [])), responses(
    (status = 200, description = "It is queued again.", body = ReplayedBody),
    (status = 400, description = "Not an id.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 404, description = "There is no such dead letter (any more).", body = ErrorBody),
    (status = 422, description = "The record still cannot be mapped; nothing has changed.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn replay(state: State, id: web::Path<String>) -> Answer<ReplayedBody> {
    Ok(web::Json(ReplayedBody::of(&state.replay(listing::id(&id)?).await?)))
}

/// Drops a dead letter for good.
#[utoipa::path(post, path = "/api/v1/dead/{id}/discard", tag = "dead letters", params(("id" = String, Path, description = "32 hex digits.")), security(("admin_token" = [])), responses(
    (status = 200, description = "It is gone; what waited behind it goes on.", body = DiscardedBody),
    (status = 400, description = "Not an id.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 404, description = "There is no such dead letter (any more).", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn discard(state: State, id: web::Path<String>) -> Answer<DiscardedBody> {
    let id = listing::id(&id)?;
    state.discard(id).await?;
    Ok(web::Json(DiscardedBody { discarded: id.to_string() }))
}

/// Tells all about a person. An id with `.` or `..` between slashes is for the query form.
#[utoipa::path(get, path = "/api/v1/people/{source}/{employee_id}", tag = "people", params(
    ("source" = String, Path, description = "The configured source."),
    ("employee_id" = String, Path, description = "Their id there, percent-encoded; slashes may stand as they are."),
), security(("admin_token" = [])), responses(
    (status = 200, description = "All that is known of them.", body = PersonBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 404, description = "The bridge has never heard of them.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn person(state: State, request: HttpRequest) -> Answer<PersonBody> {
    // Taken from the request line: the router decodes some escapes and leaves others.
    let path = request.uri().path();
    let rest = path.strip_prefix("/api/v1/people/").unwrap_or_default();
    let (source, employee_id) = rest.split_once('/').unwrap_or((rest, ""));
    tell(&state, &listing::percent_decoded(source)?, &listing::percent_decoded(employee_id)?).await
}

/// Tells all about a person whose id does not fit into a path.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", params(PersonQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "All that is known of them.", body = PersonBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 404, description = "The bridge has never heard of them.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn person_by_query(state: State, query: web::Query<PersonQuery>) -> Answer<PersonBody> {
    tell(&state, &query.source, &query.employee_id).await
}

async fn tell(state: &AdminState, source: &str, employee_id: &str) -> Answer<PersonBody> {
    let person = named(source, employee_id)?;
    let view = state.person(&person).await?;
    Ok(web::Json(PersonBody::of(&view, &state.holds().await?)))
}

/// A person as somebody named them.
pub(in crate::admin) fn named(source: &str, employee_id: &str) -> Result<Person, AdminError> {
    let source = SourceName::parse(source).map_err(AdminError::BadRequest)?;
    Person::parse(source, employee_id).map_err(|e| AdminError::BadRequest(e.to_string()))
}

/// Tells the holds in force.
#[utoipa::path(get, path = "/api/v1/hold", tag = "hold", security(("admin_token" = [])), responses(
    (status = 200, description = "The holds in force.", body = HoldsBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn holds(state: State) -> Answer<HoldsBody> {
    Ok(web::Json(HoldsBody::of(&state.holds().await?)))
}

/// Sets an operator's hold, in place of any other of that scope. It is not lifted by itself.
#[utoipa::path(put, path = "/api/v1/hold", tag = "hold", request_body = SetHold, security(("admin_token" = [])), responses(
    (status = 200, description = "The hold is in force.", body = HoldBody),
    (status = 400, description = "The body cannot be understood.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn set_hold(state: State, body: web::Json<SetHold>) -> Answer<HoldBody> {
    Ok(web::Json(HoldBody::from(&state.set_hold(body.scope).await?)))
}

/// Lifts the hold of a scope, or every hold; says which there were.
#[utoipa::path(delete, path = "/api/v1/hold", tag = "hold", params(LiftQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "What was lifted.", body = HoldsBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody),
))]
pub(super) async fn lift_hold(state: State, query: web::Query<LiftQuery>) -> Answer<HoldsBody> {
    Ok(web::Json(HoldsBody::of(&state.lift_hold(query.scope).await?)))
}
