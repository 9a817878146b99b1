//! Heartbeats of the process' loops: a loop without one for too long counts as hanging.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a loop beats while it waits.
const EVERY: Duration = Duration::from_secs(1);

/// All loops of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Loops(Arc<Mutex<BTreeMap<&'static str, Beat>>>);

#[derive(Debug)]
struct Beat {
    /// None while it waits for something that a restart would not bring.
    at: Option<Instant>,
    silent_max: Duration,
}

/// One loop's heart. Dropped when the loop ends; what that means is for the loop's owner to decide.
#[derive(Debug)]
pub struct Heart {
    loops: Loops,
    name: &'static str,
}

impl Loops {
    /// Adds a loop, which hangs when it has not beaten for `silent_max`. Names are unique among running loops.
    #[must_use]
    pub fn enter(&self, name: &'static str, silent_max: Duration) -> Heart {
        self.beats().insert(name, Beat { at: Some(Instant::now()), silent_max });
        Heart { loops: self.clone(), name }
    }

    /// The loops that hang.
    #[must_use]
    pub fn hanging(&self) -> Vec<&'static str> {
        self.beats().iter().filter(|(_, beat)| beat.is_late(beat.silent_max)).map(|(name, _)| *name).collect()
    }

    /// Whether this loop is running and has not beaten for longer than `within`.
    #[must_use]
    pub fn is_late(&self, name: &str, within: Duration) -> bool {
        self.beats().get(name).is_some_and(|beat| beat.is_late(within))
    }

    fn beats(&self) -> MutexGuard<'_, BTreeMap<&'static str, Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beat {
    fn is_late(&self, within: Duration) -> bool {
        self.at.is_some_and(|at| at.elapsed() > within)
    }
}

impl Heart {
    /// Beats while `work` runs. A loop that waits for a store, a disk or a remote host does not hang, however long that
    /// takes: after a restart it would wait for the same thing. A loop that blocks its thread does hang, and so does
    /// one that never gets a turn on a thread.
    pub async fn beating<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = every.tick() => self.beat(),
            }
        }
    }

    /// For a loop on a thread of its own: runs what keeps the thread waiting for work or for a disk. It does not hang
    /// meanwhile, however long that takes.
    pub fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.set(None);
        let result = wait();
        self.beat();
        result
    }

    fn beat(&self) {
        self.set(Some(Instant::now()));
    }

    fn set(&self, at: Option<Instant>) {
        if let Some(beat) = self.loops.beats().get_mut(self.name) {
            beat.at = at;
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.loops.beats().remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_loop_hangs_until_it_beats_or_ends() {
        let loops = Loops::default();
        let quick = loops.enter("quick", Duration::from_secs(5));
        let slow = loops.enter("slow", Duration::from_mins(1));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(loops.hanging(), ["quick"]);
        assert!(loops.is_late("quick", Duration::from_secs(3)) && !loops.is_late("slow", Duration::from_secs(10)));
        // A long wait is not its fault.
        quick.beating(tokio::time::sleep(Duration::from_secs(50))).await;
        assert!(loops.hanging().is_empty());
        tokio::time::advance(Duration::from_secs(20)).await;
        drop(quick);
        assert_eq!(loops.hanging(), ["slow"]);
        slow.beat();
        assert!(loops.hanging().is_empty() && !loops.is_late("quick", Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_waits_does_not_hang_until_it_works_again() {
        let loops = Loops::default();
        let thread = loops.enter("thread", Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(loops.hanging(), ["thread"]);
        thread.waiting(|| assert!(loops.hanging().is_empty() && !loops.is_late("thread", Duration::ZERO)));
        assert!(loops.hanging().is_empty());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(loops.hanging(), ["thread"]);
    }
}
