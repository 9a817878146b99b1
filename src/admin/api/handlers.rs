//! The API's handlers: read the request, ask the service, shape the answer.

use actix_web::{HttpRequest, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::listing;
use super::shapes::{
    AllowBody, AllowedBody, AuditBody, DoneBody, HoldBody, HoldsBody, JobBody, JobsBody, PeopleBody, PersonBody,
    PersonRef, SetHold, StatusBody,
};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::people::{Meant, WholePerson, Whom, parse_person};
use crate::admin::service::AdminState;
use crate::admin::tokens::Actor;
use crate::core::hold::HoldScope;
use crate::core::person::{Mark, Person};
use crate::store::LaneState;

pub(super) type State = web::Data<AdminState>;
pub(super) type ApiResult<T> = Result<web::Json<T>, AdminError>;
pub(super) type By = web::ReqData<Actor>;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct JobsQuery {
    /// `waiting` (the default), `running`, `held`, `scheduled`, `incomplete` or `blocked`.
    #[param(value_type = Option<String>)]
    state: Option<LaneState>,
    /// How many people at most: 1 to 500, 50 if it is not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// Which people.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PeopleQuery {
    /// Beginnings of names, of an address, of an employee id: all of these words.
    search: Option<String>,
    /// Only people in this state: `waiting`, `running`, `held`, `scheduled`, `incomplete`, `blocked` or `idle`.
    #[param(value_type = Option<String>)]
    state: Option<LaneState>,
    /// Only people with this mark: `after_close`, `switched_off`, `failing`, `gone_at_hr`, `groupless`
    /// or `groups_forbidden`.
    mark: Option<String>,
    /// The most to return: 1 to 500; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// Which person.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PersonQuery {
    /// The configured source.
    source: Option<String>,
    /// Their id there.
    employee_id: Option<String>,
    /// Instead of both: `source/id`, an employee id, an address, or a name.
    who: Option<String>,
}

/// Which holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct LiftQuery {
    /// The hold of this scope only. Not given: every hold but the guard's.
    #[param(value_type = Option<String>)]
    scope: Option<HoldScope>,
}

/// Shows version, figures, holds, and what needs attention.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", security(("admin_token" = [])), responses(
    (status = 200, description = "The process and its store at a glance.", body = StatusBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn status(state: State) -> ApiResult<StatusBody> {
    let overview = state.overview().await?;
    Ok(web::Json(StatusBody::of(&state, &overview)))
}

/// Lists open jobs by what their people wait for, those who have waited longest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobsQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "A page of jobs.", body = JobsBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn jobs(state: State, query: web::Query<JobsQuery>) -> ApiResult<JobsBody> {
    let page = listing::page(query.limit, query.after.as_deref())?;
    let listed = state.jobs(query.state.unwrap_or(LaneState::Waiting), &page).await?;
    Ok(web::Json(JobsBody { jobs: listed.rows.iter().map(JobBody::from).collect(), next: listed.next }))
}

/// Shows one job in any state: open, ended, or a record that could not be mapped.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "32 hex digits.")), security(("admin_token" = [])), responses(
    (status = 200, description = "The job.", body = JobBody),
    (status = 400, description = "Not an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such job (any more).", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn job(state: State, id: web::Path<String>) -> ApiResult<JobBody> {
    let id = listing::id(&id)?;
    match state.job(id).await {
        Ok(job) => Ok(web::Json(JobBody::from(&job))),
        Err(AdminError::NotFound(what)) => {
            let (row, _) = state.store.dead_letter(id).await?.ok_or(AdminError::NotFound(what))?;
            Ok(web::Json(JobBody {
                id: id.to_string(),
                person: row.person.as_ref().map(PersonRef::from),
                event: None,
                state: "dead".to_owned(),
                accepted_at: Some(row.died_at.to_string()),
                due_at: None,
                ended_at: None,
                outcome: None,
            }))
        }
        Err(error) => Err(error),
    }
}

/// Lists people: all, those in a state, those with a mark, or those found by words.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", params(PeopleQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "A page of people.", body = PeopleBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn people(state: State, query: web::Query<PeopleQuery>) -> ApiResult<PeopleBody> {
    let whom = whom(query.search.as_deref(), query.state, query.mark.as_deref())?;
    let page = listing::page(query.limit, query.after.as_deref())?;
    Ok(web::Json(PeopleBody::from(&state.people(&whom, &page).await?)))
}

/// The people that a query selects: by one condition at most.
pub(in crate::admin) fn whom(
    search: Option<&str>,
    state: Option<LaneState>,
    mark: Option<&str>,
) -> Result<Whom, AdminError> {
    let search = search.map(str::trim).filter(|text| !text.is_empty());
    let mark = mark.filter(|text| !text.is_empty());
    let known = |word: &str| Mark::ALL.into_iter().find(|mark| mark.as_str() == word);
    match (search, state, mark) {
        (None, None, None) => Ok(Whom::All),
        (Some(text), None, None) => Ok(Whom::Called(text.to_owned())),
        (None, Some(state), None) => Ok(Whom::Standing(state)),
        (None, None, Some(word)) => known(word).map(Whom::Marked).ok_or_else(|| {
            AdminError::BadRequest("mark: unknown; `/api/openapi.json` lists the allowed ones".to_owned())
        }),
        (Some(_) | None, Some(_) | None, Some(_) | None) => {
            Err(AdminError::BadRequest("at most one of search, state and mark".to_owned()))
        }
    }
}

/// Shows everything about a person. Use the query form for an id with `.` or `..` between slashes.
#[utoipa::path(get, path = "/api/v1/people/{source}/{employee_id}", tag = "people", params(
    ("source" = String, Path, description = "The configured source."),
    ("employee_id" = String, Path, description = "Their id there, percent-encoded; slashes need no encoding."),
), security(("admin_token" = [])), responses(
    (status = 200, description = "Everything known about them.", body = PersonBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "The bridge does not know them.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn person(state: State, request: HttpRequest) -> ApiResult<PersonBody> {
    tell(&state, &in_path(&request)?).await
}

/// The person in a path, read from the request line: the router decodes some escapes and leaves others.
fn in_path(request: &HttpRequest) -> Result<Person, AdminError> {
    let rest = request.uri().path().strip_prefix("/api/v1/people/").unwrap_or_default();
    let (source, employee_id) = rest.split_once('/').unwrap_or((rest, ""));
    parse_person(&listing::percent_decoded(source)?, &listing::percent_decoded(employee_id)?)
}

/// Shows everything about a person, found by id, e-mail or name; 409 if several people match.
#[utoipa::path(get, path = "/api/v1/person", tag = "people", params(PersonQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "Everything known about them.", body = PersonBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "The bridge does not know them.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 409, description = "Several people fit.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn person_by_query(state: State, query: web::Query<PersonQuery>) -> ApiResult<PersonBody> {
    let whole = meant(&state, &query).await?;
    Ok(web::Json(PersonBody::of(&whole, &state.holds().await?)))
}

/// The person that a query means.
pub(super) async fn meant(state: &AdminState, query: &PersonQuery) -> Result<WholePerson, AdminError> {
    match query {
        PersonQuery { source: Some(source), employee_id: Some(employee_id), who: None } => {
            known(state, &parse_person(source, employee_id)?).await
        }
        PersonQuery { source: None, employee_id: None, who: Some(who) } => match state.meant(who).await? {
            Meant::One(whole) => Ok(*whole),
            Meant::Several(people) => Err(AdminError::Several(people.len())),
            Meant::Nobody => Err(AdminError::Nobody(state.clues(who).await)),
        },
        PersonQuery { .. } => Err(AdminError::BadRequest("source and employee_id, or who".to_owned())),
    }
}

/// A person by their key; where nobody has it, what may be why.
async fn known(state: &AdminState, person: &Person) -> Result<WholePerson, AdminError> {
    match state.person(person).await {
        Err(AdminError::NotFound(_)) => Err(AdminError::Nobody(state.clues(&person.to_string()).await)),
        other => other,
    }
}

async fn tell(state: &AdminState, person: &Person) -> ApiResult<PersonBody> {
    let whole = known(state, person).await?;
    Ok(web::Json(PersonBody::of(&whole, &state.holds().await?)))
}

/// Erases a person: all that is kept about them, and what operators wrote about them.
#[utoipa::path(delete, path = "/api/v1/people/{source}/{employee_id}", tag = "people", params(
    ("source" = String, Path, description = "The configured source."),
    ("employee_id" = String, Path, description = "Their id there, percent-encoded; slashes need no encoding."),
), security(("admin_token" = [])), responses(
    (status = 200, description = "Nothing about them is kept any more.", body = DoneBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "The bridge does not know them.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn erase(state: State, by: By, request: HttpRequest) -> ApiResult<DoneBody> {
    let person = in_path(&request)?;
    state.erase(&by, &person).await?;
    Ok(web::Json(DoneBody { person: PersonRef::from(&person), done: "erased".to_owned() }))
}

/// Has a person looked at now, whatever they wait for.
#[utoipa::path(post, path = "/api/v1/people/{source}/{employee_id}", tag = "people", params(
    ("source" = String, Path, description = "The configured source."),
    ("employee_id" = String, Path, description = "Their id there, percent-encoded; slashes need no encoding."),
), security(("admin_token" = [])), responses(
    (status = 200, description = "They are due.", body = DoneBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "The bridge does not know them.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn try_now(state: State, by: By, request: HttpRequest) -> ApiResult<DoneBody> {
    let person = in_path(&request)?;
    state.try_now(&by, &person).await?;
    Ok(web::Json(DoneBody { person: PersonRef::from(&person), done: "due".to_owned() }))
}

/// Lists the holds in force.
#[utoipa::path(get, path = "/api/v1/hold", tag = "hold", security(("admin_token" = [])), responses(
    (status = 200, description = "The holds in force.", body = HoldsBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn holds(state: State) -> ApiResult<HoldsBody> {
    Ok(web::Json(HoldsBody::of(&state.holds().await?.holds)))
}

/// Sets an operator's hold, replacing any other of that scope. It is not lifted automatically.
#[utoipa::path(put, path = "/api/v1/hold", tag = "hold", request_body = SetHold, security(("admin_token" = [])), responses(
    (status = 200, description = "The hold is in force.", body = HoldBody),
    (status = 400, description = "The body cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn set_hold(state: State, by: By, body: web::Json<SetHold>) -> ApiResult<HoldBody> {
    let SetHold { scope, reason } = body.into_inner();
    Ok(web::Json(HoldBody::from(&state.set_hold(&by, scope, reason.as_deref()).await?)))
}

/// Lifts the hold of a scope, or every hold but the guard's; says which there were.
#[utoipa::path(delete, path = "/api/v1/hold", tag = "hold", params(LiftQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "What was lifted.", body = HoldsBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn lift_hold(state: State, by: By, query: web::Query<LiftQuery>) -> ApiResult<HoldsBody> {
    Ok(web::Json(HoldsBody::of(&state.lift_hold(&by, query.into_inner().scope).await?)))
}

/// Lets this many more changes through the guard.
#[utoipa::path(post, path = "/api/v1/hold/allow", tag = "hold", request_body = AllowBody, security(("admin_token" = [])), responses(
    (status = 200, description = "That many more may go through.", body = AllowedBody),
    (status = 400, description = "The body cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn allow(state: State, by: By, body: web::Json<AllowBody>) -> ApiResult<AllowedBody> {
    if !(1..=1_000_000).contains(&body.count) {
        return Err(AdminError::BadRequest("count: 1 to 1000000".to_owned()));
    }
    let allowed = state.allow(&by, &body.scope, body.count).await?;
    let (scope, released) = (body.scope.to_string(), allowed.released);
    Ok(web::Json(AllowedBody { scope, allowed: allowed.allowed, released }))
}

/// Lists who did what, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", security(("admin_token" = [])), responses(
    (status = 200, description = "The last acts of operators.", body = AuditBody),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn audit(state: State) -> ApiResult<AuditBody> {
    Ok(web::Json(AuditBody::from(&state.audit().await?)))
}
