//! The public listener: `POST /webhooks/{source}` and `GET /livez`, and nothing else.
//!
//! Thin: what is genuine and what it means is judged in `core`; what is accepted is the store's.
//! The order of work is fixed: body cap (413) · source known (404) · method and content type
//! (405, 415) · signature over the raw bytes (401) · time window (401) · known already? · map ·
//! store · 200. A length that is declared is held against the cap before anything else; one that is
//! not, while the body is read, which is before it is hashed.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::KeepAlive;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpServer, web};
use tokio_util::sync::CancellationToken;

use self::source::Sources;
pub use self::source::{Source, SourceSecret};
use crate::clock::Clock;
use crate::core::event::SourceName;
use crate::core::signature::SchemeProblem;
use crate::lifecycle::Lifecycle;
use crate::store::Store;

mod answer;
mod body;
mod capture;
mod keys;
mod source;
mod tally;
mod webhook;

/// How long a connection may be idle between two deliveries: above the minute for which many
/// senders and load balancers keep theirs, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a closing connection may take: time to read an answer that came before the body's end.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How the public listener is set up.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    /// Where to listen, such as `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: String,
    /// Largest body taken, in bytes; above: 413.
    pub body_bytes_max: usize,
    /// What the bodies of all deliveries under way may take together, in bytes; above: 503.
    pub bodies_bytes_max: usize,
    /// How long a body may take to arrive as a whole, in milliseconds; above: 408, and the
    /// connection is closed.
    pub body_timeout_ms: u64,
    /// How long the head of a connection's first request may take, in milliseconds.
    pub head_timeout_ms: u64,
    /// Threads that serve; none: one for each core.
    pub workers: Option<usize>,
    /// Connections open at once, over all threads.
    pub connections_max: usize,
    /// What `Retry-After` says with a 503, in seconds.
    pub retry_after_s: u64,
    /// How long deliveries in flight may take to finish once [`Intake::serve`] is told to stop, in
    /// seconds.
    pub shutdown_grace_s: u64,
}

impl Default for IntakeOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            body_bytes_max: 1_048_576,
            bodies_bytes_max: 64 * 1_048_576,
            body_timeout_ms: 10_000,
            head_timeout_ms: 5_000,
            workers: None,
            connections_max: 10_000,
            retry_after_s: 10,
            shutdown_grace_s: 25,
        }
    }
}

/// What the intake works with.
#[derive(Clone)]
pub struct Services {
    /// Where accepted events go.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// Whether the process is stopping.
    pub lifecycle: Lifecycle,
}

/// Why the public listener could not be had.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The address cannot be had.
    #[error("the public listener cannot listen on {listen}: {source}")]
    Bind {
        /// Where it was to listen.
        listen: String,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// A source's scheme cannot be used.
    #[error("the signature scheme of source {name} cannot be used ({} problems): see `scim-bridge check`", problems.len())]
    Scheme {
        /// The source.
        name: SourceName,
        /// All that is wrong.
        problems: Vec<SchemeProblem>,
    },
}

/// The public listener: bound, and served by [`Intake::serve`].
pub struct Intake {
    shared: web::Data<Shared>,
    listener: TcpListener,
    address: SocketAddr,
}

/// What every request needs.
struct Shared {
    options: IntakeOptions,
    sources: Sources,
    services: Services,
    unknown: tally::Counters,
    budget: body::Budget,
}

impl Intake {
    /// Takes the address; nothing is answered yet.
    pub fn bind(options: IntakeOptions, sources: Vec<Source>, services: Services) -> Result<Self, IntakeError> {
        let sources = Sources::new(sources)?;
        let failed = |source| IntakeError::Bind { listen: options.listen.clone(), source };
        let listener = TcpListener::bind(&options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let unknown = tally::Counters::of_unknown_sources();
        let budget = body::Budget::of(options.bodies_bytes_max);
        let shared = web::Data::new(Shared { options, sources, services, unknown, budget });
        Ok(Self { shared, listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled or the process is to stop at once. While the lifecycle says
    /// that the process is stopping, new deliveries are answered 503; cancelling `stop` closes the
    /// listener and waits for those in flight.
    pub async fn serve(self, stop: CancellationToken) -> std::io::Result<()> {
        let lifecycle = self.shared.services.lifecycle.clone();
        let mut server = self.start()?;
        let handle = server.handle();
        let graceful = tokio::select! {
            ended = &mut server => return ended,
            () = stop.cancelled() => true,
            () = lifecycle.stopping_at_once() => false,
        };
        let ended = tokio::select! {
            ((), ended) = async { tokio::join!(handle.stop(graceful), &mut server) } => ended,
            () = lifecycle.stopping_at_once(), if graceful => Ok(()),
        };
        ended
    }

    fn start(self) -> std::io::Result<Server> {
        let Self { shared, listener, .. } = self;
        let options = shared.options.clone();
        let threads = options
            .workers
            .or_else(|| std::thread::available_parallelism().ok().map(std::num::NonZero::get))
            .unwrap_or(1)
            .max(1);
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).wrap(headers()).configure(|app| {
                app.route("/webhooks/{source}", web::route().to(webhook::receive))
                    .route("/livez", web::route().to(webhook::livez))
                    .default_service(web::route().to(webhook::nothing_here));
            })
        })
        .workers(threads)
        .max_connections(options.connections_max.div_ceil(threads))
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .client_request_timeout(Duration::from_millis(options.head_timeout_ms))
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .disable_signals()
        .shutdown_timeout(options.shutdown_grace_s)
        .listen(listener)?;
        Ok(server.run())
    }
}

fn headers() -> DefaultHeaders {
    DefaultHeaders::new().add(("X-Content-Type-Options", "nosniff")).add(("Cache-Control", "no-store"))
}
