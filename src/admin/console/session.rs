//! Logging in and out, and what every page needs of it.
//!
//! Three things keep another site from acting for somebody who is logged in: the cookie is
//! `SameSite=Strict`, a form's `Origin` must be our own, and it carries a token that only our pages
//! know.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::{Done, State, go_to};
use crate::admin::access;
use crate::admin::error::{AdminError, decorate};
use crate::admin::gate::{Caller, Gate, Judged};
use crate::admin::service::AdminState;
use crate::clock;
use crate::core::time::UnixMs;

const COOKIE_NAME: &str = "scim_bridge_session";

/// Why a page is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nobody is logged in.
    #[error("not logged in")]
    LoggedOut,
    /// See the error.
    #[error(transparent)]
    Failed(#[from] AdminError),
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::LoggedOut => StatusCode::SEE_OTHER,
            Self::Failed(error) => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::LoggedOut => HttpResponse::SeeOther().insert_header((LOCATION, "/login")).finish(),
            Self::Failed(error) => {
                error.log();
                let mut response = html_answer(error.status_code(), layout::error(error));
                decorate(error, response.headers_mut());
                response
            }
        }
    }
}

/// Somebody who is logged in.
pub(super) struct Session {
    cookie: String,
    until: UnixMs,
    form_token: String,
    same_origin: bool,
}

impl Session {
    /// What the forms of this session carry.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Refuses a form that did not come from a page of this session.
    pub(super) fn check(&self, given: &str) -> Result<(), PageError> {
        let genuine = self.same_origin && access::same(&self.form_token, given);
        if genuine { Ok(()) } else { Err(AdminError::ForeignForm.into()) }
    }
}

impl FromRequest for Session {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session_of(request).ok_or(PageError::LoggedOut))
    }
}

fn session_of(request: &HttpRequest) -> Option<Session> {
    let state = request.app_data::<web::Data<AdminState>>()?;
    let gate = request.app_data::<web::Data<Gate>>()?;
    let cookie = cookie(request)?;
    let until = access::session_until(&state.token, state.now(), cookie).filter(|_| !gate.has_ended(cookie))?;
    let form_token = access::form_token(&state.token, cookie);
    Some(Session { cookie: cookie.to_owned(), until, form_token, same_origin: is_same_origin(request) })
}

fn cookie(request: &HttpRequest) -> Option<&str> {
    request
        .headers()
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

fn is_same_origin(request: &HttpRequest) -> bool {
    // One that is no text is none of ours.
    let origin = request.headers().get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    Caller::of(request).is_of_origin(origin)
}

/// The log-in form.
#[derive(Deserialize)]
pub(super) struct LogIn {
    token: String,
}

/// A form that carries nothing but its session's token.
#[derive(Deserialize)]
pub(super) struct Bare {
    pub(super) form_token: String,
}

/// `GET /login`
pub(super) async fn ask(session: Option<Session>) -> HttpResponse {
    if session.is_some() { go_to("/") } else { html_answer(StatusCode::OK, form(false)) }
}

/// `POST /login`
pub(super) async fn log_in(
    state: State,
    gate: web::Data<Gate>,
    request: HttpRequest,
    given: web::Form<LogIn>,
) -> HttpResponse {
    if !is_same_origin(&request) {
        return PageError::from(AdminError::ForeignForm).error_response();
    }
    match gate.judge(&Caller::of(&request), &state.token, given.token.trim()).await {
        Judged::Right => {}
        Judged::Wrong => return html_answer(StatusCode::UNAUTHORIZED, form(true)),
        Judged::PutOff => return PageError::from(AdminError::PutOff).error_response(),
    }
    let session = access::open_session(&state.token, state.now(), &clock::new_job_id().to_string());
    let mut response = go_to("/");
    set_cookie(&mut response, &request, &session, access::SESSION_MS / 1000);
    response
}

/// `POST /logout`
pub(super) async fn log_out(
    state: State,
    gate: web::Data<Gate>,
    session: Session,
    request: HttpRequest,
    given: web::Form<Bare>,
) -> Done {
    session.check(&given.form_token)?;
    gate.end_session(&session.cookie, session.until, state.now());
    let mut response = go_to("/login");
    set_cookie(&mut response, &request, "", 0);
    Ok(response)
}

fn set_cookie(response: &mut HttpResponse, request: &HttpRequest, value: &str, max_age_s: u64) {
    let secure = if Caller::of(request).is_https() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}");
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn form(refused: bool) -> Markup {
    layout::page(
        "Log in",
        Nav::None,
        None,
        &html! {
            form .card .login method="post" action="/login" {
                h1 { "Log in" }
                @if refused { p .alert role="alert" { "That is not the admin token." } }
                label for="token" { "Admin token" }
                input #token name="token" type="password" autocomplete="current-password" required autofocus;
                p .quiet { "The value of " code { "[server] admin_token" } ", or of the file that " code { "serve" } " named at its start." }
                button .primary type="submit" { "Log in" }
            }
        },
    )
}

fn html_answer(status: StatusCode, page: Markup) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(page.into_string())
}
