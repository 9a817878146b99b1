//! A Postman SCIM stand-in: a real HTTP server with Postman's documented replies, quirks and rate limits, configurable
//! faults, and a journal of every call. The demo, the tests and the load tests use it, and users may, too. It is
//! independent of our client: it uses nothing from `crate::scim`.
//!
//! It has a thread and a small runtime of its own, so that tests can start it inside any runtime, or without one.

mod call;
mod control;
mod fault;
mod group;
mod history;
mod journal;
mod limits;
mod member;
mod now;
mod options;
mod replies;
mod response;
mod team;
mod wire;
mod world;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

pub use fault::{BadFault, Custom, Fault, InjectedFault, On, What};
pub use journal::{Entry, FaultName, Operation, SchemeSeen, Stats, UnknownOperation};
pub use member::{Attributes, Member, Name, Person, Standing};
pub use options::{
    AuthAccepted, BadHint, BadWord, Hint, HintHeader, InvitedId, PutMeaning, SimOptions, UsernameChange,
};
pub use replies::{ReplyName, UnknownReply};

use call::Call;
use now::Now;
use wire::{Request, RequestHandler};
use world::{Outgoing, Sender, World};

use crate::clock::Clock;

/// Why the stand-in did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address is in use, or not this machine's.
    #[error("the stand-in cannot listen on {listen}: {source}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A thread or runtime could not be started.
    #[error("the stand-in cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// A stand-in that runs until it is stopped or dropped.
pub struct PostmanSim {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    world: Mutex<World>,
    clock: Clock,
    started: Instant,
}

impl PostmanSim {
    /// Starts the stand-in; it accepts connections when this returns.
    pub fn start(options: SimOptions) -> Result<Self, SimError> {
        let listen = options.listen;
        let listener = TcpListener::bind(listen).map_err(|source| SimError::Listen { listen, source })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { world: Mutex::new(World::new(options)), clock: Clock::System, started: Instant::now() });
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (serving, stopped) = (Arc::clone(&shared), stop.clone());
        let thread = std::thread::Builder::new().name("postman-sim".to_owned()).spawn(move || {
            // Dropping the runtime drops every connection.
            runtime.block_on(stopped.run_until_cancelled(accept(listener, serving)));
        })?;
        Ok(Self { shared, address, stop, thread: Some(thread) })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, in place of `https://api.getpostman.com/scim/v2`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, call::BASE)
    }

    /// The URL of the control endpoint, where faults are injected and the journal is read: `…/sim`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}{}", self.address, control::BASE)
    }

    /// Every call that is still in the journal, oldest first.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.journal_since(0)
    }

    /// The calls with a number above `seq`.
    #[must_use]
    pub fn journal_since(&self, seq: u64) -> Vec<Entry> {
        self.shared.world().journal.since(seq, usize::MAX).cloned().collect()
    }

    /// The totals so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.world().stats()
    }

    /// Every member, in the order in which they joined.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.shared.world().team.members().to_vec()
    }

    /// The members with exactly this `userName`.
    #[must_use]
    pub fn members_named(&self, user_name: &str) -> Vec<Member> {
        self.shared.world().team.find(user_name).cloned().collect()
    }

    /// Injects a fault; returns the number by which it can be removed.
    pub fn inject(&self, fault: Fault) -> Result<u64, BadFault> {
        self.shared.world().faults.inject(fault)
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Vec<InjectedFault> {
        self.shared.world().faults.list().to_vec()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.world().faults.remove(None);
    }

    /// Adds a person.
    pub fn add_member(&self, person: Person) {
        let now = self.shared.now();
        let mut world = self.shared.world();
        let world = &mut *world;
        world.team.put(person, now, &mut world.rng);
    }

    /// Deletes the groups of this name.
    pub fn delete_group(&self, name: &str) {
        self.shared.world().groups.delete(name);
    }

    /// Accepts the invitation of a person; none if no invitation is open for that `userName`.
    #[must_use]
    pub fn accept_invitation(&self, user_name: &str) -> Option<Member> {
        let now = self.shared.now();
        self.shared.world().team.accept(user_name, now).cloned()
    }

    /// Replaces the key.
    pub fn set_key(&self, key: &str) {
        key.clone_into(&mut self.shared.world().options.key);
    }

    /// Changes options at run time; changes of `listen` and `seed` have no effect.
    pub fn change(&self, change: impl FnOnce(&mut SimOptions)) {
        change(&mut self.shared.world().options);
    }

    /// Stops it: when this returns, every connection is closed and the port is free.
    pub fn stop(mut self) {
        self.end();
    }

    /// Waits until it ends, which it only does if its listener fails.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has already been printed to standard error.
            let _ = thread.join();
        }
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for PostmanSim {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for PostmanSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostmanSim").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the stand-in cannot listen");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Errors are expected: clients hang up.
                    let _ = wire::serve(socket, shared).await;
                });
            }
            // Probably out of file descriptors: wait until some connections close.
            Err(error) => {
                tracing::warn!(%error, "the stand-in cannot accept a connection");
                pause(10).await;
            }
        }
    }
}

/// Waits, unless the delay is zero.
async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        // A panic in one call must not stop the others.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now { at: self.clock.now(), at_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX) }
    }
}

impl RequestHandler for Shared {
    async fn answer(&self, request: Request) -> Outgoing {
        if let Some(path) = request.path.strip_prefix(control::BASE) {
            return Outgoing::Reply(control::control(&mut self.world(), &request, path, self.now()));
        }
        let path = request.path.strip_prefix(call::BASE).unwrap_or_default();
        let call = Call::read(&request.method, path, &request.query, &request.body);
        let sender = Sender {
            authorization: request.authorization.as_deref(),
            x_api_key: request.x_api_key,
            if_match: request.if_match.as_deref(),
        };
        let pending = {
            // Under the lock, so that arrivals are numbered in chronological order.
            let mut world = self.world();
            let now = self.now();
            world.arrive(call, sender, now)
        };
        let (before_ms, after_ms) = pending.delays_ms();
        pause(before_ms).await;
        let outgoing = self.world().carry_out(&pending, self.now());
        pause(after_ms).await;
        outgoing
    }
}
