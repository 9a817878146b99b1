//! The logged-in session, as far as every page needs it.
//!
//! Three things keep another site from acting for a logged-in user: the cookie is
//! `SameSite=Strict`, a form's `Origin` must be our own, and it carries a token that only our pages contain.

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, ORIGIN};

use super::State;
use crate::admin::access;
use crate::admin::error::AdminError;
use crate::admin::gate::Caller;
use crate::admin::log_outs::LoggedOut;
use crate::admin::tokens::Actor;

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

    /// Checks that the form came from a page of this session, and that the user may change things. Returns the user.
    pub(super) fn authorise(&self, given: &str) -> Result<&Actor, AdminError> {
        self.check(given)?;
        if self.may_write() { Ok(&self.actor) } else { Err(AdminError::ReadOnly) }
    }

    /// The user, for the audit log.
    pub(super) fn by(&self) -> &Actor {
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

/// Permission to receive live updates for as long as the session lasts.
pub(super) struct Pass {
    cookie: String,
    form_token: String,
}

impl Pass {
    /// The session that a request belongs to, if any.
    pub(super) async fn of(request: &HttpRequest) -> Option<Self> {
        let session = session_of(request).await?;
        Some(Self { cookie: cookie(request)?.to_owned(), form_token: session.form_token })
    }

    /// Whether the session is valid: it has not expired, its token is still configured, and it was not logged out.
    pub(super) fn is_good(&self, state: &State, ended: &LoggedOut) -> bool {
        state.tokens.session(state.now(), &self.cookie).is_some() && !ended.has(&self.form_token)
    }
}

/// The session of a request.
pub(super) async fn session_of(request: &HttpRequest) -> Option<Session> {
    let state = request.app_data::<State>()?;
    let (actor, form_token) = state.tokens.session(state.now(), cookie(request)?)?;
    if state.log_outs.known(&*state.store).await.has(&form_token) {
        return None;
    }
    Some(Session { actor, form_token, same_origin: is_same_origin(request) })
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
