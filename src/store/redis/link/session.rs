//! The connections to one primary: how they open, close and reconnect.
//!
//! Calls share one connection and its round trips (multiplexed): a pool's `get` asks the server
//! whether the connection is alive before every single call, which costs a round trip each (measured with
//! 32 callers, a script of one SET and one PUBLISH, an unoptimised build on two cores: 37,000 calls a
//! second shared, 17,000 through the pool). A pool serves the durable
//! writes, each of which blocks its connection: see `durable`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use deadpool::managed;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, Value};
use deadpool_redis::{Runtime, Timeouts};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::checks::{self, Look, Rights};
use super::dial::{self, Callee, Dialler, Gone};
use super::find;
use super::options::{Address, LinkOptions};
use super::script::Script;
use super::trouble::{LinkError, is_noscript, reply};
use crate::clock;
use crate::core::code::Code;
use crate::telemetry::metrics as metric;

/// Connections for durable writes: how many groups of `durable` can be in flight at once.
pub(super) const POOL_SIZE: usize = 64;
/// The first pause after a connection could not be made; each next one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause: one try a second from each process costs nothing, and recovery is noticed soon.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Connections for durable writes.
pub(super) type Pool = managed::Pool<Dialler>;

/// The connections to one primary.
pub(super) struct Session {
    pub(super) address: Address,
    /// For durable writes; none if `[store] durability` waits for no disk.
    pub(super) pool: Option<Pool>,
    /// Ends what waits on a connection of the pool when the session is dropped.
    pub(super) closed: CancellationToken,
    connection: MultiplexedConnection,
    rights: Rights,
    gone: Gone,
}

/// What all clones of a link share.
pub(super) struct Shared {
    pub(super) options: LinkOptions,
    /// Notified when something may be new in the store.
    pub(super) wake: Notify,
    current: ArcSwapOption<Session>,
    opening: Mutex<Opening>,
}

/// The recent failures to connect.
#[derive(Default)]
struct Opening {
    failures: u32,
    last: Option<(Instant, LinkError)>,
}

impl Shared {
    pub(super) fn new(options: LinkOptions) -> Self {
        Self { options, wake: Notify::new(), current: ArcSwapOption::empty(), opening: Mutex::default() }
    }

    /// The connections to the primary, made if there are none. If that fails, calls fail at once until the next try.
    pub(super) async fn session(&self) -> Result<Arc<Session>, LinkError> {
        if let Some(session) = self.live() {
            return Ok(session);
        }
        let limit = self.open_limit();
        let waited = tokio::time::timeout(limit, self.opening.lock()).await;
        let mut opening = waited.map_err(|_| LinkError::silence("connecting", limit))?;
        if let Some(session) = self.live() {
            return Ok(session);
        }
        if let Some((at, trouble)) = &opening.last
            && at.elapsed() < pause(opening.failures)
        {
            return Err(trouble.clone());
        }
        let opened = tokio::time::timeout(limit, open(&self.options)).await;
        match opened.unwrap_or_else(|_| Err(LinkError::silence("connecting", limit))) {
            Ok(session) => {
                info!(server = %session.address, failures = opening.failures, "connected to Redis");
                *opening = Opening::default();
                let session = Arc::new(session);
                self.current.store(Some(session.clone()));
                metrics::gauge!(metric::STORE_CONNECTIONS, metric::USE => "shared").set(1.0);
                Ok(session)
            }
            Err(trouble) => {
                // The same failure is not logged again.
                if opening.last.as_ref().is_none_or(|(_, last)| last.code != trouble.code) {
                    error!(code = %trouble.code, detail = trouble.detail, "{} {} Trying again until it works.",
                        trouble.code.title(), trouble.code.advice());
                }
                opening.failures = opening.failures.saturating_add(1);
                opening.last = Some((Instant::now(), trouble.clone()));
                Err(trouble)
            }
        }
    }

    /// Checks the server's settings again. Without a connection there is nothing to check: the next one is checked as it
    /// is made.
    pub(super) async fn check_settings(&self) -> Result<(), LinkError> {
        let Some(session) = self.live() else { return Ok(()) };
        let checked = checks::check(&self.options, &mut session.connection.clone(), &session.rights, Look::Again).await;
        // For example, a former primary that is a replica now would accept writes that nobody will ever see.
        if let Err(trouble) = &checked
            && trouble.is_of_the_connection()
        {
            self.discard(&session);
        }
        checked
    }

    /// Drops the connections; calls in flight end on their own.
    pub(super) fn discard(&self, session: &Arc<Session>) {
        let current = self.current.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, session)) {
            self.current.store(None);
            for of in ["shared", "durable"] {
                metrics::gauge!(metric::STORE_CONNECTIONS, metric::USE => of).set(0.0);
            }
        }
        if let Some(pool) = &session.pool {
            pool.close();
        }
        session.closed.cancel();
    }

    /// Runs a script on the shared connection. If the server turns out not to be the primary any more (so nothing
    /// happened), its successor is tried once.
    pub(super) async fn call(&self, script: &Script, call: &Cmd) -> Result<Value, LinkError> {
        let began = Instant::now();
        let first = self.try_call(script, call).await;
        let answer = match first {
            Err(trouble) if trouble.is_worth_another_primary() => self.try_call(script, call).await,
            answer => answer,
        };
        metrics::histogram!(metric::STORE_CALL_DURATION_SECONDS).record(began.elapsed());
        answer
    }

    async fn try_call(&self, script: &Script, call: &Cmd) -> Result<Value, LinkError> {
        let session = self.session().await?;
        let answer = session.call(script, call, self.options.response_timeout).await;
        if let Err(trouble) = &answer
            && trouble.is_of_the_connection()
        {
            self.discard(&session);
        }
        answer
    }

    /// The session in use, unless its connection has broken.
    pub(super) fn live(&self) -> Option<Arc<Session>> {
        let session = self.current.load_full()?;
        if session.gone.load(Ordering::Acquire) {
            self.discard(&session);
            return None;
        }
        Some(session)
    }

    /// Finds the primary, connects and checks it, each within its own time limit.
    fn open_limit(&self) -> Duration {
        self.options.connect_timeout * 2 + self.options.response_timeout
    }
}

impl Session {
    async fn call(&self, script: &Script, call: &Cmd, limit: Duration) -> Result<Value, LinkError> {
        let mut connection = self.connection.clone();
        let work = async {
            let value = connection.send_packed_command(call).await?;
            if is_noscript(&value) { connection.send_packed_command(&script.by_text(call)).await } else { Ok(value) }
        };
        // The connection's own timeout counts from when the command is sent; a full pipe may delay that.
        let limit = limit * 2;
        let answer = tokio::time::timeout(limit, work).await;
        let answer = answer.map_err(|_| LinkError::silence(&self.address.to_string(), limit))?;
        reply(answer.map_err(|error| LinkError::of_call(&error))?)
    }
}

async fn open(options: &LinkOptions) -> Result<Session, LinkError> {
    let mut candidates = find::candidates(options);
    while let Some(address) = candidates.next().await {
        match open_at(options, address).await {
            Err(trouble) if trouble.is_of_the_address() => candidates.failed(trouble),
            opened => return opened,
        }
    }
    Err(candidates.trouble())
}

async fn open_at(options: &LinkOptions, address: Address) -> Result<Session, LinkError> {
    let (mut connection, gone) = dial::connect(options, &address, Callee::Server).await?;
    let rights = Rights::default();
    checks::check(options, &mut connection, &rights, Look::First).await?;
    let pool = match options.durability.disks() {
        Some(_) => Some(pool(options, &address)?),
        None => None,
    };
    Ok(Session { address, pool, closed: CancellationToken::new(), connection, rights, gone })
}

fn pool(options: &LinkOptions, address: &Address) -> Result<Pool, LinkError> {
    Pool::builder(Dialler { options: options.clone(), to: address.clone() })
        .max_size(POOL_SIZE)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(options.durable_timeout),
            create: Some(options.connect_timeout),
            recycle: Some(options.response_timeout),
        })
        .build()
        .map_err(|error| LinkError::new(Code::StoreError, error.to_string()))
}

/// With jitter, so that processes do not connect in step.
fn pause(failures: u32) -> Duration {
    let cap = PAUSE_FIRST.saturating_mul(1_u32.checked_shl(failures.min(10)).unwrap_or(1));
    cap.min(PAUSE_MAX).mul_f64(0.5 + clock::jitter() / 2.0)
}
