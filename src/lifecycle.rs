//! The process's state: starting, serving, stopping. Every component holds a clone.
//!
//! The first signal asks every component to stop gracefully; a second one stops at once. Lives
//! here: the state, and what a signal does to it. Not here: what each component does about it.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use self::loops::{Heart, Loops};

mod loops;

/// The name of the loop that accepts webhooks, among [`Lifecycle::loops`].
pub const PUBLIC_LISTENER: &str = "public listener";

/// The process's state. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Being built; not ready for work yet.
    Starting,
    /// At work.
    Serving,
    /// Takes nothing new, finishes what is in flight.
    Stopping,
}

impl Phase {
    /// The word for it in logs and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Stopping => "stopping",
        }
    }
}

/// A handle on the process's state; clones share it.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    stopping: CancellationToken,
    at_once: CancellationToken,
    loops: Loops,
    failed: Arc<OnceLock<&'static str>>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A process that is starting.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
            stopping: CancellationToken::new(),
            at_once: CancellationToken::new(),
            loops: Loops::default(),
            failed: Arc::default(),
        }
    }

    /// Which phase the process is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Says that everything is built and at work. Does nothing once the process is stopping.
    pub fn serve(&self) {
        self.phase.send_if_modified(|phase| {
            let starting = *phase == Phase::Starting;
            if starting {
                *phase = Phase::Serving;
            }
            starting
        });
    }

    /// Asks every component to stop gracefully.
    pub fn stop(&self) {
        self.phase.send_replace(Phase::Stopping);
        self.stopping.cancel();
    }

    /// Stops gracefully because an essential part has ended.
    pub fn fail(&self, part: &'static str) {
        if self.failed.set(part).is_ok() {
            error!(part, "a part of the process that must not end has ended: the process stops");
        }
        self.stop();
    }

    /// The first part that ended and should not have.
    #[must_use]
    pub fn failed(&self) -> Option<&'static str> {
        self.failed.get().copied()
    }

    /// The loops of the process.
    #[must_use]
    pub fn loops(&self) -> &Loops {
        &self.loops
    }

    /// Asks every component to drop everything.
    pub fn stop_at_once(&self) {
        self.stop();
        self.at_once.cancel();
    }

    /// What a signal does: the first one stops gracefully, the next one at once.
    pub fn signalled(&self) {
        if self.is_stopping() {
            self.stop_at_once();
        } else {
            self.stop();
        }
    }

    /// Whether the process is stopping: nothing new may be started.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Waits until the process is stopping. Safe to drop and to call again.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Waits until everything must be dropped.
    pub async fn stopping_at_once(&self) {
        self.at_once.cancelled().await;
    }

    /// A token that is cancelled when the process stops; for a component that has children of its own.
    #[must_use]
    pub fn stop_token(&self) -> CancellationToken {
        self.stopping.child_token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_see_a_process_start_serve_and_stop() {
        let life = Lifecycle::new();
        let clone = life.clone();
        assert_eq!(clone.phase(), Phase::Starting);
        life.serve();
        assert_eq!(clone.phase(), Phase::Serving);
        assert!(!clone.is_stopping());
        life.stop();
        clone.stopping().await;
        assert_eq!(clone.phase(), Phase::Stopping);
        assert!(clone.stop_token().is_cancelled());
    }

    #[test]
    fn a_stopping_process_does_not_serve_again() {
        let life = Lifecycle::new();
        life.stop();
        life.serve();
        assert_eq!(life.phase(), Phase::Stopping);
    }

    #[tokio::test]
    async fn the_second_signal_stops_at_once() {
        let life = Lifecycle::new();
        life.signalled();
        assert!(life.is_stopping());
        assert!(!life.at_once.is_cancelled());
        life.signalled();
        life.stopping_at_once().await;
    }
}
