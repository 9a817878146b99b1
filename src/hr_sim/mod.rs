//! Stand-ins for HR systems' APIs: a real HTTP server that shows one set of people in each system's own format, with
//! its own login, configurable faults and a journal. For tests, the demo and the docs. It is independent of our client:
//! it uses nothing from `crate::hr` or `crate::core::fetch`.
//!
//! All systems share one address; the paths differ.

mod http;
mod lists;
mod message;
mod person;
mod shapes;
mod world;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

pub use self::person::{HrLogin, HrPerson, HrStatus};
use self::world::World;
pub use self::world::{HrFault, HrRead};

/// Why the stand-in did not start.
#[derive(Debug, thiserror::Error)]
#[error("the HR stand-in cannot start on {listen}: {source}")]
pub struct HrSimError {
    listen: SocketAddr,
    source: std::io::Error,
}

/// A stand-in; it stops when dropped.
pub struct HrSim {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl HrSim {
    /// Starts the stand-in; it accepts connections when this returns.
    pub fn start(listen: SocketAddr) -> Result<Self, HrSimError> {
        let failed = |source| HrSimError { listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let world = Arc::new(Mutex::new(World::default()));
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (served, stopped) = (Arc::clone(&world), stop.clone());
        let serve = move || {
            // Dropping the runtime drops every connection.
            runtime.block_on(stopped.run_until_cancelled(http::accept(listener, served)));
        };
        let thread = std::thread::Builder::new().name("hr-sim".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { world, address, stop, thread: Some(thread) })
    }

    /// The base URL; it replaces the scheme and host of every system.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The credentials that it accepts.
    #[must_use]
    pub fn login(&self) -> HrLogin {
        self.world().login.clone()
    }

    /// Changes the credentials that it accepts.
    pub fn set_login(&self, change: impl FnOnce(&mut HrLogin)) {
        change(&mut self.world().login);
    }

    /// Adds a person, or replaces the one with the same id.
    pub fn put(&self, person: HrPerson) {
        self.world().put(person);
    }

    /// Removes a person's record.
    pub fn remove(&self, id: &str) {
        self.world().people.remove(id);
    }

    /// Injects a fault into the next requests for data.
    pub fn inject(&self, fault: HrFault, times: usize) {
        self.world().faults.extend(std::iter::repeat_n(fault, times));
    }

    /// Removes all injected faults.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Invalidates all access tokens issued so far.
    pub fn expire_tokens(&self) {
        self.world().access_tokens.clear();
    }

    /// Every request so far, oldest first, including those for tokens.
    #[must_use]
    pub fn journal(&self) -> Vec<HrRead> {
        self.world().journal.clone()
    }

    /// The number of requests for data so far.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.world().journal.iter().filter(|read| !read.is_for_token).count()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HrSim {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has already been printed to standard error.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for HrSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HrSim").field("address", &self.address).finish_non_exhaustive()
    }
}
