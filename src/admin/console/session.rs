//! Logging in and out, and what every page needs of it.
//!
//! Three things keep another site from acting for somebody who is logged in: the cookie is
//! `SameSite=Strict`, a form's `Origin` must be our own, and it carries a token that only our pages
//! know.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::layout::{self, Nav};
use super::{Done, State, go_to};
use crate::admin::error::{AdminError, decorate};
use crate::admin::gate::{Caller, Gate, Judged};
use crate::admin::service::Noted;
use crate::admin::tokens::Actor;
use crate::admin::{access, shared};
use crate::core::audit::Act;
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
    actor: Actor,
    form_token: String,
    same_origin: bool,
}

impl Session {
    /// Whose token they logged in with.
    pub(super) fn name(&self) -> &str {
        &self.actor.name
    }

    /// Whether they may change anything.
    pub(super) fn may_write(&self) -> bool {
        self.actor.may_write()
    }

    /// Who acts, of a form that came from a page of this session and whose sender may change things.
    pub(super) fn acts(&self, given: &str) -> Result<&Actor, PageError> {
        self.check(given)?;
        if self.may_write() { Ok(&self.actor) } else { Err(AdminError::ReadOnly.into()) }
    }

    /// Who looks at what is audited.
    pub(super) fn looks(&self) -> &Actor {
        &self.actor
    }

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
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { session_of(&request).await?.ok_or(PageError::LoggedOut) })
    }
}

/// What lets somebody listen for as long as their session lasts.
pub(super) struct Pass {
    cookie: String,
    form_token: String,
}

impl Pass {
    /// Whether the session goes on: its time is not over, its token is one of ours still, and it is none of those
    /// that were logged out.
    pub(super) fn is_good(&self, state: &State, ended: &LoggedOut) -> bool {
        state.tokens.session(state.now(), &self.cookie).is_some() && !ended.has(&self.form_token)
    }
}

impl FromRequest for Pass {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let session = session_of(&request).await?.ok_or(PageError::LoggedOut)?;
            let cookie = cookie(&request).ok_or(PageError::LoggedOut)?.to_owned();
            Ok(Self { cookie, form_token: session.form_token })
        })
    }
}

async fn session_of(request: &HttpRequest) -> Result<Option<Session>, PageError> {
    let Some(state) = request.app_data::<State>() else { return Ok(None) };
    let Some(cookie) = cookie(request) else { return Ok(None) };
    let Some((actor, form_token)) = state.tokens.session(state.now(), cookie) else { return Ok(None) };
    let ended: LoggedOut = shared::read(&*state.store, shared::LOGGED_OUT).await.map_err(AdminError::from)?;
    if ended.has(&form_token) {
        return Ok(None);
    }
    Ok(Some(Session { actor, form_token, same_origin: is_same_origin(request) }))
}

/// Sessions that were logged out before their time, by what their forms carry: whoever has the cookie
/// does not come in again, at any process.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LoggedOut {
    /// With the instant at which each would have ended by itself.
    ended: Vec<(UnixMs, String)>,
}

/// Log-outs that are remembered: far above what operators do in a day.
const LOGGED_OUT_MAX: usize = 1_000;

impl LoggedOut {
    fn has(&self, form_token: &str) -> bool {
        self.ended.iter().any(|(_, ended)| access::same(ended, form_token))
    }

    fn add(&mut self, now: UnixMs, form_token: &str) {
        self.ended.retain(|(until, _)| *until > now);
        if self.ended.len() >= LOGGED_OUT_MAX {
            self.ended.remove(0);
        }
        self.ended.push((now.plus_ms(access::SESSION_MS), form_token.to_owned()));
    }
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
        return PageError::from(error).error_response();
    }
    let mut response = go_to("/");
    set_cookie(&mut response, &request, &session, access::SESSION_MS / 1000);
    response
}

/// `POST /logout`
pub(super) async fn log_out(state: State, session: Session, request: HttpRequest, given: web::Form<Bare>) -> Done {
    session.check(&given.form_token)?;
    let now = state.now();
    let end = |ended: &mut LoggedOut| {
        ended.add(now, &session.form_token);
        Some(())
    };
    shared::update(&*state.store, shared::LOGGED_OUT, end).await.map_err(AdminError::from)?;
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
                @if refused { p .alert role="alert" { "That is none of the tokens." } }
                label for="token" { "Token" }
                input #token name="token" type="password" autocomplete="current-password" required autofocus;
                p .quiet { "The value of " code { "[server] admin_token" } " or of a " code { "[[server.token]]" } ", or of the file that " code { "serve" } " named at its start." }
                button .primary type="submit" { "Log in" }
            }
        },
    )
}

fn html_answer(status: StatusCode, page: Markup) -> HttpResponse {
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(page.into_string())
}
