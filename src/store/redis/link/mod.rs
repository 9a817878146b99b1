//! The link to Redis: connections that recover from every kind of failure, scripts by their hash,
//! writes that are answered when they are on disk, and wake-ups.
//!
//! Lives here: everything about connections and servers. Not here: what the scripts do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::core::code::Code;
use crate::lifecycle::Loops;
use crate::store::StoreError;
use crate::supervision;

mod checks;
mod dial;
mod durable;
mod find;
mod options;
mod script;
mod session;
mod trouble;
mod wake;

pub use self::options::{Address, Durability, LinkOptions, Login, TlsFiles, Topology};
pub(super) use self::script::{Arg, Script};

use self::durable::Write;
use self::session::Shared;
use self::trouble::LinkError;

/// Durable writes that may wait for their group; others wait for a place.
const WAITING_MAX: usize = 4_096;

/// A link to one Redis. Clones share it; it ends with the last one.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<Shared>,
    writes: Option<mpsc::Sender<Write>>,
    listening: Arc<AtomicBool>,
    loops: Loops,
    ended: CancellationToken,
    _end: Arc<DropGuard>,
}

impl Link {
    /// A link to this Redis, which need not be reachable yet: connections are made when needed. Its loops run among
    /// `loops`.
    ///
    /// # Errors
    /// There is no tokio runtime. Other problems show when a connection is made, and may be fixed while the process
    /// runs.
    pub(super) fn connect(options: &LinkOptions, loops: &Loops) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let shared = Arc::new(Shared::new(options.clone()));
        let writes = options.durability.disks().map(|_| {
            let (writes, waiting) = mpsc::channel(WAITING_MAX);
            let (carried, waiting) = (shared.clone(), Arc::new(Mutex::new(waiting)));
            let dispatching = move || durable::dispatch(carried.clone(), waiting.clone());
            runtime.spawn(supervision::watched(loops, "durable", dispatching));
            writes
        });
        let ended = CancellationToken::new();
        let end = Arc::new(ended.clone().drop_guard());
        Ok(Self { shared, writes, listening: Arc::default(), loops: loops.clone(), ended, _end: end })
    }

    /// Runs a script. Its keys all have the hash tag of the options.
    ///
    /// # Errors
    /// [`StoreError::Trouble`]. With [`Code::StoreLost`] and [`Code::StoreTimeout`] the script may have
    /// run; with any other code it has not.
    pub(super) async fn run(
        &self,
        script: &'static Script,
        keys: &[&[u8]],
        args: &[Arg<'_>],
    ) -> Result<redis::Value, StoreError> {
        self.shared.call(script, &script.by_hash(keys, args)).await.map_err(LinkError::into_store_error)
    }

    /// Runs a script, and returns when what it wrote, and what it has read, is as durable as configured.
    ///
    /// # Errors
    /// As [`Link::run`]; with [`Code::StoreNotDurable`] the script has run, too.
    pub(super) async fn run_durably(
        &self,
        script: &'static Script,
        keys: &[&[u8]],
        args: &[Arg<'_>],
    ) -> Result<redis::Value, StoreError> {
        let Some(writes) = &self.writes else { return self.run(script, keys, args).await };
        let (done, answer) = oneshot::channel();
        let ended = |()| LinkError::new(Code::StoreLost, "the process is stopping");
        let write = Write { script, call: script.by_hash(keys, args), done };
        let sent = writes.send(write).await.map_err(|_| ended(()).into_store_error());
        sent?;
        answer.await.unwrap_or_else(|_| Err(ended(()))).map_err(LinkError::into_store_error)
    }

    /// Checks whether the server is still configured to keep its data.
    ///
    /// # Errors
    /// What a new connection would be refused for.
    pub(super) async fn check_settings(&self) -> Result<(), StoreError> {
        self.shared.check_settings().await.map_err(LinkError::into_store_error)
    }

    /// The error when no answer came for this long.
    pub(super) fn silent(after: Duration) -> StoreError {
        LinkError::silence("Redis", after).into_store_error()
    }

    /// Waits until a script has published on [`LinkOptions::channel`], or may have.
    pub(super) async fn woken(&self) {
        // Only a worker that sleeps listens: an intake needs no such connection.
        if !self.listening.swap(true, Ordering::AcqRel) {
            let (shared, ended) = (self.shared.clone(), self.ended.clone());
            let listening = supervision::watched(&self.loops, "wake", move || wake::listen(shared.clone()));
            tokio::spawn(async move { ended.run_until_cancelled(listening).await });
        }
        self.shared.wake.notified().await;
    }
}
