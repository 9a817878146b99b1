//! Tasks that must not end. Each has an owner, which either restarts it when it panics, with a count, or
//! ends the process and says which task it was ([`Lifecycle::fail`]).

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use crate::failpoint;
use crate::lifecycle::{Heart, Lifecycle, Loops};
use crate::telemetry::metrics::{TASK, TASKS_RESTARTED_TOTAL};

/// The pause before a restart: a task that panics at once must not keep a core busy.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A task that has blocked its thread, or got no turn, for this long counts as hanging. Far above the longest
/// computation of any of them.
const SILENT_MAX: Duration = Duration::from_mins(5);

/// The heart of a loop other than the public listener's, which has less time.
#[must_use]
pub fn heart(loops: &Loops, task: &'static str) -> Heart {
    loops.enter(task, failpoint::patience(SILENT_MAX))
}

/// As [`keep`], with a heartbeat.
pub fn watched<F, S>(loops: &Loops, task: &'static str, start: S) -> impl Future<Output = ()> + use<F, S>
where
    F: Future<Output = ()>,
    S: FnMut() -> F,
{
    let heart = heart(loops, task);
    async move { heart.beating(keep(task, start)).await }
}

/// Runs a task to its end, and restarts it if it panics.
pub async fn keep<F: Future<Output = ()>>(task: &'static str, mut start: impl FnMut() -> F) {
    while !ends(Box::pin(start())).await {
        metrics::counter!(TASKS_RESTARTED_TOTAL, TASK => task).increment(1);
        error!(task, "a task that must not end has panicked: it is started again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Whether a task ended without a panic.
pub async fn ends(task: Pin<Box<impl Future<Output = ()>>>) -> bool {
    caught(task).await.is_some()
}

/// A task's result; none if it panicked, which is in the log by then.
pub async fn caught<T>(task: Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    AssertUnwindSafe(task).catch_unwind().await.ok()
}

/// Starts to listen for SIGTERM, SIGINT and SIGHUP, for as long as the process lives. Must be called within a tokio runtime.
///
/// # Errors
/// The signal handlers could not be installed.
pub fn listen_for_signals(life: &Lifecycle) -> std::io::Result<()> {
    let signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        // A terminal that is closed, or somebody who means a reload: secrets and mappings are read again by themselves.
        hang_up: signal(SignalKind::hangup())?,
    };
    let (signals, heard_by) = (Arc::new(Mutex::new(signals)), life.clone());
    tokio::spawn(watched(life.loops(), "signals", move || hear(signals.clone(), heard_by.clone())));
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

async fn hear(signals: Arc<Mutex<Signals>>, life: Lifecycle) {
    let Signals { terminate, interrupt, hang_up } = &mut *signals.lock().await;
    loop {
        failpoint::at("signals");
        let name = tokio::select! {
            received = terminate.recv() => received.map(|()| "SIGTERM"),
            received = interrupt.recv() => received.map(|()| "SIGINT"),
            received = hang_up.recv() => received.map(|()| "SIGHUP"),
        };
        // None: the runtime is shutting down, so there is no reason to listen.
        let Some(name) = name else { return };
        if life.is_stopping() {
            warn!(signal = name, "second signal: stopping at once");
        } else {
            info!(signal = name, "stopping; a second signal stops at once");
        }
        life.signalled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_until_it_ends() {
        let mut runs = 0;
        keep("test", || {
            runs += 1;
            let panics = runs < 3;
            async move { assert!(!panics, "on purpose") }
        })
        .await;
        assert_eq!(runs, 3);
    }
}
