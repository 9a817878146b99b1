//! The logged-in session, as far as every page needs it.
//!
//! Three things keep another site from acting for a logged-in user: the cookie is
//! `SameSite=Strict`, a form's `Origin` must be our own, and it carries a token that only our pages contain.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, ORIGIN};
use serde::{Deserialize, Serialize};

use super::State;
use crate::admin::error::AdminError;
use crate::admin::gate::Caller;
use crate::admin::tokens::Actor;
use crate::admin::{access, shared};
use crate::core::time::UnixMs;

/// The session's cookie.
pub(super) const COOKIE_NAME: &str = "scim_bridge_session";

/// A logged-in user.
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

    /// The user who acts, if the form came from a page of this session and the user may change things.
    pub(super) fn acts(&self, given: &str) -> Result<&Actor, AdminError> {
        self.check(given)?;
        if self.may_write() { Ok(&self.actor) } else { Err(AdminError::ReadOnly) }
    }

    /// The user who looks at something that is audited.
    pub(super) fn looks(&self) -> &Actor {
        &self.actor
    }

    /// What the forms of this session carry.
    pub(super) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Refuses a form that did not come from a page of this session.
    pub(super) fn check(&self, given: &str) -> Result<(), AdminError> {
        let genuine = self.same_origin && access::same(&self.form_token, given);
        if genuine { Ok(()) } else { Err(AdminError::ForeignForm) }
    }
}

/// Permission to listen for as long as the session lasts.
pub(super) struct Pass {
    cookie: String,
    form_token: String,
}

impl Pass {
    /// The session that a request belongs to, if any.
    pub(super) async fn of(request: &HttpRequest) -> Result<Option<Self>, AdminError> {
        let (Some(session), Some(cookie)) = (session_of(request).await?, cookie(request)) else { return Ok(None) };
        Ok(Some(Self { cookie: cookie.to_owned(), form_token: session.form_token }))
    }

    /// Whether the session is valid: it has not expired, its token is still configured, and it was not logged out.
    pub(super) fn is_good(&self, state: &State, ended: &LoggedOut) -> bool {
        state.tokens.session(state.now(), &self.cookie).is_some() && !ended.has(&self.form_token)
    }
}

/// The session of a request.
pub(super) async fn session_of(request: &HttpRequest) -> Result<Option<Session>, AdminError> {
    let Some(state) = request.app_data::<State>() else { return Ok(None) };
    let Some(cookie) = cookie(request) else { return Ok(None) };
    let Some((actor, form_token)) = state.tokens.session(state.now(), cookie) else { return Ok(None) };
    let ended: LoggedOut = shared::read(&*state.store, shared::LOGGED_OUT).await?;
    if ended.has(&form_token) {
        return Ok(None);
    }
    Ok(Some(Session { actor, form_token, same_origin: is_same_origin(request) }))
}

/// Sessions that were logged out before they expired, by the token in their forms: their cookie is refused from then
/// on, by every process.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LoggedOut {
    /// When each would have expired.
    ended: Vec<(UnixMs, String)>,
}

/// How many log-outs are remembered: far more than operators make in a day.
const LOGGED_OUT_MAX: usize = 1_000;

impl LoggedOut {
    fn has(&self, form_token: &str) -> bool {
        self.ended.iter().any(|(_, ended)| access::same(ended, form_token))
    }

    /// Remembers one.
    pub(super) fn add(&mut self, now: UnixMs, form_token: &str) {
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

/// Whether a form came from one of our pages.
pub(super) fn is_same_origin(request: &HttpRequest) -> bool {
    // An origin that is not text is not ours.
    let origin = request.headers().get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    Caller::of(request).is_of_origin(origin)
}
