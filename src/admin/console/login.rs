//! Logging in and out, and the response to a visitor who is not logged in.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::{COOKIE_NAME, Pass, Session, is_same_origin, session_of};
use super::{FormReply, State, go_to};
use crate::admin::access;
use crate::admin::error::{AdminError, decorate};
use crate::admin::gate::{Caller, Gate, Judged};
use crate::admin::service::Noted;
use crate::core::audit::Act;

/// Why a page is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nobody is logged in.
    #[error("not logged in")]
    LoggedOut,
    /// Another error.
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

impl FromRequest for Session {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { session_of(&request).await.ok_or(PageError::LoggedOut) })
    }
}

impl FromRequest for Pass {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await.ok_or(PageError::LoggedOut) })
    }
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
pub(super) async fn ask(session: Result<Session, PageError>) -> HttpResponse {
    if session.is_ok() { go_to("/") } else { html_answer(StatusCode::OK, form(false)) }
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
    let judged = gate.judge(&Caller::of(&request), || state.tokens.bearer(given.token.trim())).await;
    let actor = match judged {
        Judged::Right(actor) => actor,
        Judged::Wrong => return html_answer(StatusCode::UNAUTHORIZED, form(true)),
        Judged::PutOff => return PageError::from(AdminError::PutOff).error_response(),
    };
    let Some(session) = state.tokens.open_session(&actor, state.now()) else {
        return html_answer(StatusCode::UNAUTHORIZED, form(true));
    };
    if let Err(error) = state.note(&actor, Act::LogIn, Noted::default()).await {
        // Somebody paged because the store is away must be able to log in. The log has it.
        error.log();
    }
    let mut response = go_to("/");
    set_cookie(&mut response, &request, &session, access::SESSION_MS / 1000);
    response
}

/// `POST /logout`
pub(super) async fn log_out(state: State, session: Session, request: HttpRequest, given: web::Form<Bare>) -> FormReply {
    session.check(&given.form_token)?;
    state.log_outs.add(&*state.store, state.now(), session.form_token()).await;
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
                @if refused { p .alert role="alert" { "This token is not known." } }
                label for="token" { "Token" }
                input #token name="token" type="password" autocomplete="current-password" required autofocus;
                p .quiet { "The value of " code { "[server] admin_token" } " or of a " code { "[[server.token]]" } ", or of the file that " code { "serve" } " named when it started." }
                button .primary type="submit" { "Log in" }
            }
        },
    )
}

fn html_answer(status: StatusCode, page: Markup) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(page.into_string())
}
