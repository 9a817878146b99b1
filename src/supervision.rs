//! Tasks that must not end. Each has an owner, which either restarts it when it panics, with a count, or
//! ends the process and says which task it was ([`crate::lifecycle::Lifecycle::fail`]).

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tracing::error;

use crate::lifecycle::Loops;
use crate::telemetry::metrics::{TASK, TASKS_RESTARTED_TOTAL};

/// Before a task is started again: one that panics at once must not keep a core busy.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A task that has kept its thread, or got no turn, for this long hangs. Far above the longest computation of any of
/// them.
pub const SILENT_MAX: Duration = Duration::from_mins(5);

/// As [`keep`], and among the loops that are heard of.
pub fn watched<F, S>(loops: &Loops, task: &'static str, start: S) -> impl Future<Output = ()> + use<F, S>
where
    F: Future<Output = ()>,
    S: FnMut() -> F,
{
    let heart = loops.enter(task, SILENT_MAX);
    async move { heart.beating(keep(task, start)).await }
}

/// Runs a task to its end, and starts it again where it panics.
pub async fn keep<F: Future<Output = ()>>(task: &'static str, mut start: impl FnMut() -> F) {
    while !ends(Box::pin(start())).await {
        metrics::counter!(TASKS_RESTARTED_TOTAL, TASK => task).increment(1);
        error!(task, "a task that must not end has panicked: it is started again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Whether a task came to its end, and did not panic.
pub async fn ends(task: Pin<Box<impl Future<Output = ()>>>) -> bool {
    caught(task).await.is_some()
}

/// What a task came to; none where it panicked. The panic's own line is in the log by then.
pub async fn caught<T>(task: Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    AssertUnwindSafe(task).catch_unwind().await.ok()
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
