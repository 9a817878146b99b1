//! The public listener: `POST /webhooks/{source}` and `GET /livez`, and nothing else.
//!
//! A thin layer: `core` decides what is genuine and what it means; the store keeps what is accepted. The order of
//! work is fixed: body cap (413) · source known (404) · method and content type (405, 415) · signature over the raw
//! bytes (401) · time window (401) · already known? · map · store · 200. A declared length is checked against the cap
//! before anything else; without one, the body is checked while it is read, which is before it is hashed.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio_util::sync::CancellationToken;
use tracing::debug;

pub use self::chunks::unchunked;
pub use self::source::Source;
use self::source::Sources;
use crate::clock::Clock;
use crate::core::person::SourceName;
use crate::core::signature::SchemeProblem;
use crate::lifecycle::Lifecycle;
use crate::peer::TrustedProxies;
use crate::store::Store;
use crate::supervision;
use crate::telemetry::activity::ActivityLog;
use crate::telemetry::rate_limited_log::RateLimitedLog;
use crate::telemetry::traces::Traces;

mod again;
mod answer;
mod body;
mod capture;
mod chunks;
mod connections;
mod end;
mod handshake;
pub mod head;
mod keys;
mod memory;
mod parsed;
mod pool;
mod publish;
mod recent;
mod recorder;
mod server;
mod source;
mod tally;
mod webhook;
mod wire;

/// How long the last writes of tallies and captures may take while the process stops.
const LAST_MAX: Duration = Duration::from_secs(1);

/// How the public listener is set up.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    /// Where to listen, such as `127.0.0.1:8080`; port 0 takes any free port.
    pub listen: String,
    /// Largest accepted body, in bytes; larger ones get 413.
    pub body_bytes_max: usize,
    /// Memory for bodies of unauthenticated senders together, in bytes; beyond it, the oldest is answered 503. Bodies
    /// below 64 KiB have a pool of their own.
    pub bodies_bytes_max: usize,
    /// How long a whole body may take to arrive, in milliseconds; later: 408, and the connection is closed.
    pub body_timeout_ms: u64,
    /// How long the head of a request may take, in milliseconds; later: 408, and the connection is closed.
    pub head_timeout_ms: u64,
    /// Threads that serve; none: one for each core.
    pub workers: Option<usize>,
    /// Connections open at once; beyond it, the one that has kept us waiting the longest is closed.
    pub connections_max: usize,
    /// Connections of one peer open at once; beyond it, the same among its own.
    pub connections_per_peer: usize,
    /// Proxies whose forwarded addresses are trusted.
    pub proxies: TrustedProxies,
    /// What `Retry-After` says with a 503, in seconds.
    pub retry_after_s: u64,
    /// How long deliveries in flight may take to finish once [`Intake::serve`] is stopped, in
    /// seconds.
    pub shutdown_grace_s: u64,
}

impl Default for IntakeOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            body_bytes_max: 1_048_576,
            bodies_bytes_max: 16 * 1_048_576,
            body_timeout_ms: 10_000,
            head_timeout_ms: 5_000,
            workers: None,
            connections_max: 10_000,
            connections_per_peer: 1_000,
            proxies: TrustedProxies::default(),
            retry_after_s: 10,
            shutdown_grace_s: 25,
        }
    }
}

/// What the intake works with.
#[derive(Clone)]
pub struct Services {
    /// What this process did recently.
    pub activity: ActivityLog,
    /// Where accepted events go.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Clock,
    /// Whether the process is stopping.
    pub lifecycle: Lifecycle,
    /// Makes spans.
    pub traces: Traces,
}

/// Why the public listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// It cannot listen on the address.
    #[error("the public listener cannot listen on {listen}: {source}")]
    Bind {
        /// The address.
        listen: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A source's scheme cannot be used.
    #[error("the signature scheme of source {name} cannot be used ({} problems): see `scim-bridge check`", problems.len())]
    Scheme {
        /// The source.
        name: SourceName,
        /// Everything that is wrong with it.
        problems: Vec<SchemeProblem>,
    },
}

/// The public listener: bound, and served by [`Intake::serve`].
pub struct Intake {
    shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
}

/// What every request needs.
struct Shared {
    options: IntakeOptions,
    sources: Sources,
    services: Services,
    unknown: tally::Counters,
    /// Deliveries to sources that are not configured.
    misnamed: recent::Recent,
    memory: memory::Memory,
    /// The name under which this process publishes its tallies.
    process: String,
    /// What is logged at most once a second.
    log: RateLimitedLog,
    recorder: recorder::Recorder,
}

impl Intake {
    /// Binds the address; nothing is answered yet.
    pub fn bind(options: IntakeOptions, sources: Vec<Source>, services: Services) -> Result<Self, IntakeError> {
        let memory = memory::Memory::new(options.body_bytes_max, options.bodies_bytes_max);
        let sources = Sources::new(sources, &memory)?;
        let failed = |source| IntakeError::Bind { listen: options.listen.clone(), source };
        let listener = TcpListener::bind(&options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let unknown = tally::Counters::of_unknown_sources();
        let shared = Arc::new(Shared {
            options,
            sources,
            services,
            unknown,
            misnamed: recent::Recent::default(),
            memory,
            process: publish::process_name(),
            log: RateLimitedLog::new(),
            recorder: recorder::Recorder::default(),
        });
        Ok(Self { shared, listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled or the process must stop at once. While the lifecycle says
    /// that the process is stopping, new deliveries are answered 503; cancelling `stop` closes the
    /// listener and waits for those in flight.
    pub async fn serve(self, stop: CancellationToken) -> std::io::Result<()> {
        let Self { shared, listener, .. } = self;
        let lifecycle = shared.services.lifecycle.clone();
        // Its own threads, so that a flood of deliveries slows down no worker.
        let threads = shared.options.workers.unwrap_or_else(cores).max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("intake")
            .worker_threads(threads)
            .enable_all()
            .build()
            .map(Threads::of)?;
        let (loops, all_came) = (lifecycle.loops(), CancellationToken::new());
        let (published, recorded, last) = (shared.clone(), shared.clone(), all_came.clone());
        let publishing = move || publish::keep_publishing(published.clone(), last.clone());
        let last = all_came.clone();
        let recording = move || recorder::keep_recording(recorded.clone(), last.clone());
        let publishing = runtime.handle.spawn(supervision::watched(loops, "series", publishing));
        let recording = runtime.handle.spawn(supervision::watched(loops, "captures", recording));
        let served = runtime.handle.spawn(server::run(listener, shared, stop));
        let ended = tokio::select! {
            ended = served => ended.unwrap_or_else(|error| Err(std::io::Error::other(error))),
            () = lifecycle.stopping_at_once() => Ok(()),
        };
        // Each writes one last time.
        all_came.cancel();
        if tokio::time::timeout(LAST_MAX, join(publishing, recording)).await.is_err() {
            debug!("the last tallies and captures could not be written in time");
        }
        drop(runtime);
        ended
    }
}

/// The intake's threads. Dropping it does not wait for them.
struct Threads {
    handle: tokio::runtime::Handle,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Threads {
    fn of(runtime: tokio::runtime::Runtime) -> Self {
        Self { handle: runtime.handle().clone(), runtime: Some(runtime) }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
