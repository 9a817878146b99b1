//! Waits for a store that does not answer for a while.

use std::time::{Duration, Instant};

use tracing::warn;

use crate::store::StoreError;

/// How long a step of a fetch waits for the store, so that nothing has to be read again. Well below the time after
/// which another process takes over a fetch without heartbeats.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Repeats a store operation for at most that long, while its failures are temporary.
pub(super) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    patience: Duration,
    ask: impl Fn() -> F,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let mut is_logged = false;
    loop {
        match ask().await {
            Err(error) if error.is_passing() && began.elapsed() < patience => {
                if !is_logged {
                    warn!(%error, "the store does not answer: reading the HR system's list pauses");
                }
                is_logged = true;
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn transient_trouble_is_waited_for_within_the_given_time() {
        let failing = |times: u32, error: fn() -> StoreError| {
            let tries = Cell::new(0);
            async move {
                let ask = || {
                    tries.set(tries.get() + 1);
                    let answer = if tries.get() > times { Ok(()) } else { Err(error()) };
                    async { answer }
                };
                let answer = patiently(Duration::from_millis(1_500), ask).await;
                (answer.is_ok(), tries.get())
            }
        };
        let away = || StoreError::Unavailable("away".to_owned());
        let damaged = || StoreError::Damaged("damaged".to_owned());
        assert_eq!(failing(1, away).await, (true, 2));
        assert_eq!(failing(9, away).await, (false, 3));
        assert_eq!(failing(1, damaged).await, (false, 1));
    }
}
