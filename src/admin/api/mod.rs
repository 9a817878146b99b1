//! The admin API: JSON under `/api/v1`, behind a bearer token, described at `/api/openapi.json`.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage, HttpResponse, ResponseError, Route, web};

use super::access;
use super::connections::OpenConnection;
use super::error::AdminError;
use super::gate::{Caller, Gate, Judged};
use super::health;
use super::service::AdminState;

pub(super) mod captures;
pub(super) mod dead;
pub mod deliveries;
mod drift;
mod fetches;
pub(super) mod handlers;
mod openapi;
pub(super) mod roster;
pub mod shapes;
pub mod trial;

/// Everything that needs a token begins with this.
const GUARDED: &str = "/api/v1";

/// Changes nothing, although it is not a GET: it needs a body.
const HARMLESS: [&str; 1] = ["/api/v1/explain"];

/// One method of one path, as the API's description names it.
struct Entry {
    method: Method,
    path: &'static str,
    route: Route,
}

fn entry(method: Method, path: &'static str, handler: fn(Route) -> Route) -> Entry {
    let route = handler(web::method(method.clone()));
    Entry { method, path, route }
}

/// Everything served here. A test in `openapi.rs` checks that its description has the same paths.
fn entries() -> Vec<Entry> {
    use Method as M;
    vec![
        entry(M::GET, "/livez", |r| r.to(health::livez)),
        entry(M::GET, "/readyz", |r| r.to(health::readyz)),
        entry(M::GET, "/metrics", |r| r.to(health::metrics)),
        entry(M::GET, "/api/openapi.json", |r| r.to(openapi::document)),
        entry(M::GET, "/api/v1/status", |r| r.to(handlers::status)),
        entry(M::GET, "/api/v1/jobs", |r| r.to(handlers::jobs)),
        entry(M::GET, "/api/v1/jobs/{id}", |r| r.to(handlers::job)),
        entry(M::GET, "/api/v1/dead", |r| r.to(dead::list)),
        entry(M::POST, "/api/v1/dead/replay", |r| r.to(dead::replay_all)),
        entry(M::POST, "/api/v1/dead/discard", |r| r.to(dead::discard_all)),
        entry(M::GET, "/api/v1/dead/{id}", |r| r.to(dead::show)),
        entry(M::POST, "/api/v1/dead/{id}/replay", |r| r.to(dead::replay)),
        entry(M::POST, "/api/v1/dead/{id}/discard", |r| r.to(dead::discard)),
        entry(M::GET, "/api/v1/deliveries", |r| r.to(deliveries::list)),
        entry(M::GET, "/api/v1/person", |r| r.to(handlers::person_by_query)),
        entry(M::GET, "/api/v1/person/live", |r| r.to(trial::live)),
        entry(M::POST, "/api/v1/explain", |r| r.to(trial::explain)),
        entry(M::GET, "/api/v1/people", |r| r.to(handlers::people)),
        entry(M::GET, "/api/v1/people/{source}/{employee_id}", |r| r.to(handlers::person)),
        entry(M::DELETE, "/api/v1/people/{source}/{employee_id}", |r| r.to(handlers::erase)),
        entry(M::POST, "/api/v1/people/{source}/{employee_id}", |r| r.to(handlers::try_now)),
        entry(M::GET, "/api/v1/hold", |r| r.to(handlers::holds)),
        entry(M::PUT, "/api/v1/hold", |r| r.to(handlers::set_hold)),
        entry(M::DELETE, "/api/v1/hold", |r| r.to(handlers::lift_hold)),
        entry(M::POST, "/api/v1/hold/allow", |r| r.to(handlers::allow)),
        entry(M::POST, "/api/v1/roster", |r| r.to(roster::import)),
        entry(M::POST, "/api/v1/roster/fetch", |r| r.to(fetches::order)),
        entry(M::GET, "/api/v1/roster/fetch", |r| r.to(fetches::show)),
        entry(M::GET, "/api/v1/roster/plan", |r| r.to(roster::plan)),
        entry(M::POST, "/api/v1/roster/apply", |r| r.to(roster::apply)),
        entry(M::GET, "/api/v1/drift", |r| r.to(drift::show)),
        entry(M::POST, "/api/v1/drift", |r| r.to(drift::compare)),
        entry(M::GET, "/api/v1/captures", |r| r.to(captures::list)),
        entry(M::PUT, "/api/v1/captures", |r| r.to(captures::on)),
        entry(M::DELETE, "/api/v1/captures", |r| r.to(captures::off)),
        entry(M::GET, "/api/v1/captures/{id}", |r| r.to(captures::show)),
        entry(M::GET, "/api/v1/audit", |r| r.to(handlers::audit)),
    ]
}

/// Adds health, metrics and API to an app.
pub(super) fn configure(app: &mut web::ServiceConfig) {
    let (guarded, open): (Vec<_>, Vec<_>) = entries().into_iter().partition(|e| e.path.starts_with(GUARDED));
    for resource in resources(open, "") {
        app.service(resource);
    }
    let mut scope = web::scope(GUARDED);
    for resource in resources(guarded, GUARDED) {
        scope = scope.service(resource);
    }
    app.service(scope.default_service(web::to(not_found)).wrap(from_fn(guard)));
}

/// One resource for each path, with all its methods; any other method is 405.
fn resources(entries: Vec<Entry>, prefix: &str) -> Vec<actix_web::Resource> {
    let mut found: Vec<(&'static str, Vec<Method>, actix_web::Resource)> = Vec::new();
    for Entry { method, path, route } in entries {
        let (mut methods, resource) = match found.pop_if(|(known, ..)| *known == path) {
            Some((_, methods, resource)) => (methods, resource),
            None => (Vec::new(), web::resource(pattern(path, prefix))),
        };
        methods.push(method);
        found.push((path, methods, resource.route(route)));
    }
    found.into_iter().map(|(_, methods, resource)| resource.default_service(refuse_other_than(&methods))).collect()
}

/// Answers 405 with the allowed methods.
fn refuse_other_than(methods: &[Method]) -> Route {
    let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    web::to(move || {
        let error = AdminError::MethodNotAllowed(allowed.clone());
        async move { error.error_response() }
    })
}

/// The router's spelling of a path: an employee id may have slashes, so it is the whole rest.
fn pattern(path: &str, prefix: &str) -> String {
    path.strip_prefix(prefix).unwrap_or(path).replace("{employee_id}", "{employee_id:.*}")
}

/// Requires a token, and one that is not read-only for every change.
async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(access::bearer);
    let (state, gate) = (request.app_data::<web::Data<AdminState>>(), request.app_data::<web::Data<Gate>>());
    let judged = match (given, state, gate) {
        (Some(given), Some(state), Some(gate)) => {
            gate.judge(&Caller::of(request.request()), || state.tokens.bearer(given)).await
        }
        (None, _, _) | (_, None, _) | (_, _, None) => Judged::Wrong,
    };
    let refused = match judged {
        Judged::Right(actor)
            if actor.may_write() || request.method().is_safe() || HARMLESS.contains(&request.path()) =>
        {
            request.extensions_mut().insert(actor);
            // A roster may have many blank lines.
            let _trusted = request.conn_data::<OpenConnection>().map(OpenConnection::trust);
            return next.call(request).await.map(ServiceResponse::map_into_left_body);
        }
        Judged::Right(_) => AdminError::ReadOnly,
        Judged::Wrong => AdminError::Unauthorized,
        Judged::PutOff => AdminError::PutOff,
    };
    Ok(request.into_response(refused.error_response()).map_into_right_body())
}

async fn not_found() -> HttpResponse {
    AdminError::NotFound("page").error_response()
}
