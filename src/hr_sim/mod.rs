//! Stand-ins for HR systems' APIs: a real HTTP server that shows one set of people in every system's own
//! shape, with its own login, configurable faults and a journal. For tests, the demo and docs.
//! Independent of our client: nothing of `crate::hr` or `crate::core::fetch` is used here.
//!
//! All systems are served at one address; their paths tell them apart.

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

/// A stand-in that runs until it is dropped.
pub struct HrSim {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl HrSim {
    /// Starts it; when this returns, it answers.
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
            // Leaving drops the runtime, and with it every connection.
            runtime.block_on(stopped.run_until_cancelled(http::accept(listener, served)));
        };
        let thread = std::thread::Builder::new().name("hr-sim".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { world, address, stop, thread: Some(thread) })
    }

    /// What takes the place of scheme and host in every system's addresses.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client shows to be let in.
    #[must_use]
    pub fn login(&self) -> HrLogin {
        self.world().login.clone()
    }

    /// Changes what a client must show.
    pub fn set_login(&self, change: impl FnOnce(&mut HrLogin)) {
        change(&mut self.world().login);
    }

    /// Adds a person, or replaces the one there.
    pub fn put(&self, person: HrPerson) {
        self.world().put(person);
    }

    /// Removes a person's record.
    pub fn remove(&self, id: &str) {
        self.world().people.remove(id);
    }

    /// Lets the next requests for a person's data end so.
    pub fn order(&self, fault: HrFault, times: usize) {
        self.world().faults.extend(std::iter::repeat_n(fault, times));
    }

    /// Forgets the faults that were ordered.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Makes every access token that was given out invalid.
    pub fn expire_tokens(&self) {
        self.world().access_tokens.clear();
    }

    /// Every request so far, oldest first; those for tokens, too.
    #[must_use]
    pub fn journal(&self) -> Vec<HrRead> {
        self.world().journal.clone()
    }

    /// How many requests for data there were.
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
            // A panic there has been printed to standard error already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for HrSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HrSim").field("address", &self.address).finish_non_exhaustive()
    }
}
