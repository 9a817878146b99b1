//! Tokens for requests at HR systems: kept in memory if another can be requested at any time, and in the store if
//! getting one uses up a refresh token.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::{Mutex, oneshot};
use tracing::{error, info};

use super::HrSystem;
use crate::clock::Clock;
use crate::core::code::Code;
use crate::core::fetch::login::{AccessToken, Got, Grant, GrantStep, NoToken, read_token};
use crate::core::fetch::{Auth, Credential};
use crate::core::person::SourceName;
use crate::store::{Store, StoreError, documents};

/// How long to try to store a new refresh token: without it the grant is lost.
const STORING: Duration = Duration::from_mins(2);
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// The login of a source at its HR system. The token is locked while a new one is being fetched, so that one request
/// serves everybody who waits.
#[derive(Default)]
pub struct Logins(Mutex<Option<AccessToken>>);

/// What is needed to get a token and to keep it.
#[derive(Clone, Copy)]
pub struct TokenDesk<'d> {
    /// The system.
    pub system: &'d HrSystem,
    /// The source.
    pub source: &'d SourceName,
    /// Where refresh tokens are kept.
    pub store: &'d Arc<dyn Store>,
    /// The time.
    pub clock: &'d Clock,
}

impl Logins {
    /// A valid token, if the login uses tokens, or why there is none. `refused` is one that the system did not
    /// accept.
    pub async fn token(
        &self,
        desk: TokenDesk<'_>,
        refused: Option<&str>,
    ) -> Result<Result<Option<AccessToken>, NoToken>, StoreError> {
        Ok(match desk.system.api().auth() {
            Auth::None | Auth::Bearer { .. } | Auth::Header { .. } | Auth::Basic { .. } => Ok(None),
            Auth::ClientCredentials(_) => self.client_token(desk, refused).await.map(Some),
            Auth::RefreshToken(_) => desk.granted_token(refused).await?.map(Some),
        })
    }

    async fn client_token(&self, desk: TokenDesk<'_>, refused: Option<&str>) -> Result<AccessToken, NoToken> {
        let mut kept = self.0.lock().await;
        let now = desk.clock.now();
        if let Some(token) = kept.as_ref()
            && token.until > now
            && refused != Some(&token.token)
        {
            return Ok(token.clone());
        }
        *kept = None;
        let reply = desk.system.ask_for_token(None).await;
        let got = read_token(&reply, now, desk.clock.now())?;
        *kept = Some(got.access.clone());
        Ok(got.access)
    }
}

impl TokenDesk<'_> {
    async fn granted_token(self, refused: Option<&str>) -> Result<Result<AccessToken, NoToken>, StoreError> {
        let Self { system, source, store, clock } = self;
        let Some(configured) = system.credential(Credential::RefreshToken) else {
            return Ok(Err(NoToken::Refused { detail: "no refresh token is configured".to_owned() }));
        };
        let name = Grant::name(source);
        let now = clock.now();
        let configured = configured.expose_secret();
        let (mut grant, _): (Grant, u64) = documents::read(store.as_ref(), &name).await?;
        let mut step = grant.next(configured, refused, now);
        if step == GrantStep::Refresh {
            // Recorded first: other callers wait meanwhile, and find the next token there.
            let mut used = String::new();
            documents::change(store.as_ref(), &name, |grant: &mut Grant| {
                step = grant.next(configured, refused, now);
                grant.refresh_token(configured).clone_into(&mut used);
                (step == GrantStep::Refresh).then_some(())
            })
            .await?;
            if step == GrantStep::Refresh {
                return Ok(refresh(store.clone(), clock.clone(), system.clone(), source.clone(), used).await);
            }
        }
        Ok(match step {
            GrantStep::Use(access) => Ok(access),
            GrantStep::Wait(at) => Err(NoToken::Later { at }),
            GrantStep::Refresh => Err(NoToken::Later { at: now }),
        })
    }
}

/// Refreshes in a task of its own, which continues if its caller is cancelled: the new token must reach the store.
async fn refresh(
    store: Arc<dyn Store>,
    clock: Clock,
    system: HrSystem,
    source: SourceName,
    used: String,
) -> Result<AccessToken, NoToken> {
    let (answer, answered) = oneshot::channel();
    tokio::spawn(async move {
        let asked_at = clock.now();
        let reply = system.ask_for_token(Some(&used)).await;
        let got = read_token(&reply, asked_at, clock.now());
        let result = match keep(store.as_ref(), &source, got.as_ref().ok()).await {
            Ok(()) => got.map(|got| got.access),
            Err(error) => {
                error!(%source, %error, "the HR system's new refresh token could not be stored");
                got.map(|got| got.access)
            }
        };
        // The caller may be gone.
        let _ = answer.send(result);
    });
    answered.await.unwrap_or(Err(NoToken::TryAgain { code: Code::FetchUnreachable, not_before: None }))
}

/// Stores the result of a refresh, and does not give up at once.
async fn keep(store: &dyn Store, source: &SourceName, got: Option<&Got>) -> Result<(), StoreError> {
    let name = Grant::name(source);
    let began = tokio::time::Instant::now();
    loop {
        let stored = documents::change(store, &name, |grant: &mut Grant| {
            match got {
                Some(got) => grant.refreshed(got),
                None => grant.not_refreshed(),
            }
            Some(())
        });
        match stored.await {
            Ok(_) => {
                if got.is_some() {
                    info!(%source, "the login at the HR system is renewed");
                }
                return Ok(());
            }
            Err(error) if !error.is_passing() || began.elapsed() > STORING => return Err(error),
            Err(_) => tokio::time::sleep(STORE_AGAIN).await,
        }
    }
}
