//! The second listener: health, metrics, the admin API and the console.
//!
//! Handlers are thin: [`service`] does the work, and pure functions decide. Personal data is shown here, behind the
//! token; that is what API and console are for. It is never logged.

use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{ServiceFactoryExt, map_config};
use actix_web::dev::{AppConfig, fn_service};
use actix_web::http::header::ACCEPT;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpResponse, ResponseError, web};
use tokio_util::sync::CancellationToken;

use self::connections::Connections;
use self::console::Listeners;
use self::error::AdminError;
use self::gate::Gate;
use self::paced::Paced;
use self::service::AdminState;
use crate::core::processes::BEAT_MS;
use crate::failpoint;
use crate::peer::TrustedProxies;
use crate::supervision;

mod access;
pub mod api;
mod captures;
pub mod certificates;
mod connections;
mod console;
mod correction;
pub mod deliveries;
pub mod error;
mod gate;
mod gone;
pub mod health;
pub mod holding;
pub mod letters;
mod listing;
pub mod live;
pub mod log_outs;
pub mod nobody;
pub mod overview;
mod paced;
pub mod people;
pub mod planning;
mod pulse;
pub mod remap;
pub mod service;
pub mod shared;
pub mod store_check;
pub mod summary;
pub mod tokens;
pub mod trial;
mod words;

/// Far above any form or JSON that is accepted here.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How often activity is added up, the store is looked at, and a heartbeat is written.
const UPKEEP: Duration = Duration::from_millis(BEAT_MS);
/// How long a stopping process may take to say so.
const FAREWELL: Duration = Duration::from_secs(1);
/// Connections that the server handles: more than may be open at once, so that nobody waits in front of it.
const CONNECTIONS_MAX: usize = connections::OPEN_MAX + 64;
/// How long closing a connection may take.
const CLOSING_TIME: Duration = Duration::from_secs(1);
/// How long requests in flight may take after the listener closed.
const CLOSE_GRACE_S: u64 = 2;
/// Only our own style sheet, script and forms; nothing inline, no frames, nothing from elsewhere.
const CSP: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How the admin listener is set up.
#[derive(Debug, Clone, Default)]
pub struct AdminOptions {
    /// Where to listen, such as `127.0.0.1:9090`; port 0 takes a free one.
    pub listen: String,
    /// The host names it answers to, in lower case, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Which proxies' forwarded headers are trusted.
    pub proxies: TrustedProxies,
}

/// Why the admin listener could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the admin listener cannot listen on {listen}: {source}")]
pub struct BindError {
    /// The address.
    pub listen: String,
    /// The cause.
    pub source: std::io::Error,
}

/// The admin listener: bound, and served by [`Admin::serve`].
pub struct Admin {
    state: AdminState,
    gate: Gate,
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Binds the address; nothing is answered yet.
    pub fn bind(options: &AdminOptions, state: AdminState) -> Result<Self, BindError> {
        let failed = |source| BindError { listen: options.listen.clone(), source };
        let listener = TcpListener::bind(&options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let gate = Gate::new(options.hosts.clone(), options.proxies.clone());
        Ok(Self { state, gate, listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled or the process must stop at once. It deliberately stops last: `/readyz` must
    /// say that the process is stopping, and `/metrics` is still scraped.
    pub async fn serve(self, stop: CancellationToken) -> std::io::Result<()> {
        let Self { state, gate, listener, .. } = self;
        let lifecycle = state.lifecycle.clone();
        let (metrics, alarmed) = (state.metrics.clone(), state.clone());
        let heard = state.clone();
        let pulse = supervision::watched(lifecycle.loops(), "heartbeat", move || beats(heard.clone()));
        let pulse = tokio::spawn(pulse);
        let (listeners, told) = (Listeners::new(lifecycle.stop_token()), state.clone());
        let teller = {
            let listeners = listeners.clone();
            supervision::watched(lifecycle.loops(), "console events", move || listeners.clone().keep_told(told.clone()))
        };
        let teller = tokio::spawn(teller);
        let last = state.clone();
        let mut server = start(state, gate, listeners, listener)?;
        let handle = server.handle();
        let mut upkeep = tokio::time::interval(UPKEEP);
        let serving = async {
            loop {
                failpoint::at("admin");
                tokio::select! {
                    ended = &mut server => return ControlFlow::Break(ended),
                    _ = upkeep.tick() => {
                        metrics.upkeep();
                        alarmed.health.start_check();
                        alarmed.alarm();
                    }
                    () = stop.cancelled() => return ControlFlow::Continue(true),
                    () = lifecycle.stopping_at_once() => return ControlFlow::Continue(false),
                }
            }
        };
        let graceful = match supervision::heart(lifecycle.loops(), "admin listener").beating(serving).await {
            ControlFlow::Continue(graceful) => graceful,
            ControlFlow::Break(ended) => return ended,
        };
        pulse.abort();
        teller.abort();
        if graceful && tokio::time::timeout(FAREWELL, last.farewell()).await.is_err() {
            tracing::debug!("the other processes could not be notified that this one stops");
        }
        let ((), ended) = tokio::join!(handle.stop(graceful), server);
        ended
    }
}

/// Writes heartbeats for as long as the process lives.
async fn beats(state: AdminState) {
    let mut every = tokio::time::interval(UPKEEP);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        failpoint::at("heartbeat");
        every.tick().await;
        state.beat().await;
    }
}

fn start(state: AdminState, gate: Gate, listeners: Listeners, listener: TcpListener) -> std::io::Result<Server> {
    let (state, gate, listeners) = (web::Data::new(state), web::Data::new(gate), web::Data::new(listeners));
    let app = move || {
        let app = App::new().app_data(state.clone()).app_data(gate.clone()).app_data(listeners.clone());
        app.wrap(from_fn(gate::pass)).wrap(headers()).configure(configure)
    };
    let connections = Connections::default();
    let server = Server::build();
    let ending = server.graceful_shutdown_signal();
    let server = server
        .max_concurrent_connections(CONNECTIONS_MAX)
        // Operators and probes: one thread is plenty.
        .workers(1)
        .disable_signals()
        .shutdown_timeout(CLOSE_GRACE_S)
        .listen("admin", listener, move || {
            let (connections, ending) = (connections.clone(), ending.clone());
            let requests = HttpService::build()
                // A client that is answered before its body has ended can still read the answer.
                .client_disconnect_timeout(CLOSING_TIME)
                .graceful_shutdown_signal(move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                })
                .on_connect_ext(move |connection, kept| connections.enter(connection, kept))
                .h1(map_config(app(), |()| AppConfig::default()));
            let paced = fn_service(|io: TcpStream| async move {
                let peer = io.peer_addr().ok();
                Ok((Paced::new(io), peer))
            });
            paced.and_then(requests)
        })?;
    Ok(server.run())
}

/// Puts everything into an actix app whose data has an [`AdminState`].
pub fn configure(app: &mut web::ServiceConfig) {
    let bad_request = |problem: String| AdminError::BadRequest(problem).into();
    app.app_data(
        web::JsonConfig::default()
            .limit(BODY_BYTES_MAX)
            .content_type_required(false)
            .content_type(|_| true)
            .error_handler(move |error, _| bad_request(error.to_string())),
    )
    .app_data(
        web::FormConfig::default().limit(BODY_BYTES_MAX).error_handler(move |error, _| bad_request(error.to_string())),
    )
    .app_data(web::QueryConfig::default().error_handler(move |error, _| bad_request(error.to_string())))
    .configure(api::configure)
    .configure(console::configure)
    .default_service(web::to(nowhere));
}

/// An unknown path: a page for a browser, problem details for any other client.
async fn nowhere(request: HttpRequest) -> HttpResponse {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") { console::not_found() } else { AdminError::NotFound("page").error_response() }
}

fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Content-Security-Policy", CSP))
        .add(("X-Frame-Options", "DENY"))
        .add(("X-Content-Type-Options", "nosniff"))
        // Not `no-referrer`: with it, browsers send `Origin: null` with our own forms.
        .add(("Referrer-Policy", "same-origin"))
        .add(("Cache-Control", "no-store"))
}
