//! The public listener: takes webhooks in, and answers 200 only when what they say is durable.
//!
//! Lives here: the order of work at the door (see [`endpoint`]), bodies under a cap and a clock, the
//! answers. Not here: what is genuine and what it means (`crate::core`), where it is kept
//! (`crate::store`), and anything of Postman.

mod answer;
mod body;
mod endpoint;
mod source;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::KeepAlive;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::core::signature::SchemeProblem;
use crate::lifecycle::Lifecycle;
use crate::store::Store;

use self::endpoint::Door;
pub use self::source::{Source, SourceSecret};

/// A head that is not whole after this is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Above what load balancers keep a connection open for (60 s), so that they close it, not we.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long requests in flight may take after the listener closed; their bodies have a clock, too.
const CLOSE_GRACE_S: u64 = 5;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What the public listener is built with.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Largest body taken, in bytes.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive, in all.
    pub body_timeout: Duration,
    /// Threads that serve; none: one for each core.
    pub workers: Option<usize>,
    /// Connections open at once, over all threads.
    pub connections_max: usize,
}

/// Why the public listener could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, or not ours.
    #[error("the public listener cannot listen on {listen}: {source}")]
    Listen {
        /// Where it was to listen.
        listen: SocketAddr,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// A scheme that `config` should have refused.
    #[error("source `{name}`: {}: {}", .problem.key, .problem.help)]
    Scheme {
        /// Whose.
        name: String,
        /// What is wrong with it first.
        problem: SchemeProblem,
    },
}

/// The public listener: bound, and served by [`Intake::serve`].
pub struct Intake {
    door: Arc<Door>,
    listener: TcpListener,
    address: SocketAddr,
    options: IntakeOptions,
}

impl Intake {
    /// Takes the address; nothing is answered yet.
    ///
    /// # Errors
    /// The address cannot be had, or a source's scheme contradicts itself.
    pub fn bind(
        options: IntakeOptions,
        sources: Vec<Source>,
        store: Arc<dyn Store>,
        clock: Clock,
        life: Lifecycle,
    ) -> Result<Self, BindError> {
        let mut known = HashMap::new();
        for source in sources {
            let guarded = source::Guarded::new(source)?;
            known.insert(guarded.name().to_string(), guarded);
        }
        let failed = |source| BindError::Listen { listen: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let limits = body::Limits { bytes_max: options.body_bytes_max, timeout: options.body_timeout };
        let door = Arc::new(Door { sources: known, store, clock, life, limits });
        Ok(Self { door, listener, address, options })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `close` is cancelled. While the process is stopping, deliveries are answered 503.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, close: CancellationToken) -> std::io::Result<()> {
        let threads =
            self.options.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
        let door = web::Data::from(self.door);
        let mut server = HttpServer::new(move || {
            App::new()
                .app_data(door.clone())
                .route("/livez", web::get().to(|| async { HttpResponse::Ok().body("ok\n") }))
                .route("/webhooks/{source}", web::route().to(endpoint::deliver))
                .default_service(web::to(|| async { answer::nothing_here() }))
        })
        .workers(threads)
        .backlog(BACKLOG)
        .max_connections((self.options.connections_max / threads).max(1))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .shutdown_timeout(CLOSE_GRACE_S)
        .disable_signals()
        .listen(self.listener)?
        .run();
        let handle = server.handle();
        tokio::select! {
            ended = &mut server => return ended,
            () = close.cancelled() => {}
        }
        let ((), ended) = tokio::join!(handle.stop(true), server);
        ended
    }
}
