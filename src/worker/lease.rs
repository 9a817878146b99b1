//! What an attempt keeps while it runs: the lease on its lane, and a token for its next call.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tracing::{debug, warn};

use super::Worker;
use crate::core::limiter::{CallKind, jitter_ms};
use crate::core::time::UnixMs;
use crate::store::{Lease, StoreError, TOKEN_LOOK_MAX, Token};

/// The pause between two tries while the store does not answer.
pub(super) const STORE_RETRY: Duration = Duration::from_millis(500);
/// Time reserved for the commit between the end of a call and the end of the lease.
const LEASE_MARGIN_MS: u64 = 2_000;
/// Tokens older than this share of the rate window (1/300: 200 ms of 60 s) are not used any more: a
/// call must reach Postman soon after its token was taken, or it shares a window with later ones.
const TOKEN_FRESH_SHARE: u64 = 300;

/// A lease that is kept alive. It is measured by this process's monotonic clock, from before the store was asked, so
/// that no wall clock can extend it.
pub(super) struct LeaseGuard<'a> {
    worker: &'a Worker,
    lease: Lease,
    valid_until_ms: u64,
    lost: bool,
    token: Option<TakenToken>,
    /// The last token came too late to be used. The next one is used in any case: a store that is always slow delays
    /// all calls alike.
    passed_one_over: bool,
}

/// A token taken in advance.
struct TakenToken {
    kind: CallKind,
    /// When the store was asked for it.
    asked_at: UnixMs,
    /// When it came.
    came_at: UnixMs,
}

/// Why an attempt cannot go on.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// Another worker has the lane.
    LeaseLost,
    /// The process is stopping, and the next call has not begun.
    Stopping,
    /// The store fails; if that may pass, it was tried for as long as the lease allows.
    Store(StoreError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<'a> LeaseGuard<'a> {
    /// A guard of a lease that was asked for at `asked_ms`.
    pub(super) fn new(worker: &'a Worker, lease: Lease, asked_ms: u64) -> Self {
        let valid_until_ms = asked_ms.saturating_add(worker.options.lease_ms);
        Self { worker, lease, valid_until_ms, lost: false, token: None, passed_one_over: false }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Milliseconds for which the lease is still good.
    pub(super) fn left_ms(&self) -> u64 {
        self.valid_until_ms.saturating_sub(self.worker.clock.monotonic_ms())
    }

    /// Makes sure that a call may begin: it has a token, and a lease that outlives it.
    pub(super) async fn ready_for(&mut self, kind: CallKind) -> Result<(), Interrupted> {
        // The lease comes first; it is kept alive while waiting for a token, and checked again afterwards.
        loop {
            let ready = match self.secure().await {
                Ok(()) if self.use_token(kind) => return Ok(()),
                Ok(()) => self.wait_for_token(kind).await,
                Err(broken) => Err(broken),
            };
            match ready {
                Err(Interrupted::Store(error)) if error.is_passing() && self.left_ms() > LEASE_MARGIN_MS => {
                    warn!(%error, "the store does not answer: trying again while the lease is good");
                    self.pause(STORE_RETRY).await?;
                }
                ready => ready?,
            }
        }
    }

    async fn pause(&self, pause: Duration) -> Result<(), Interrupted> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.worker.stop.cancelled() => Err(Interrupted::Stopping),
        }
    }

    /// Runs `call` to its end and keeps the lease alive meanwhile. If the lease is lost, the call still ends (it may
    /// have taken effect), but no other begins.
    pub(super) async fn during<F: Future>(&mut self, call: F) -> F::Output {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                output = &mut call => return output,
                () = tokio::time::sleep(self.renewal_pause()) => self.try_renew().await,
            }
        }
    }

    /// Whether the lease was lost, as far as is known.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Makes sure that the lease outlives a call.
    pub(super) async fn secure(&mut self) -> Result<(), Interrupted> {
        let needed_ms = self.worker.options.call_timeout_ms + LEASE_MARGIN_MS;
        if !self.lost && self.left_ms() < needed_ms {
            self.renew().await?;
        }
        if self.lost { Err(Interrupted::LeaseLost) } else { Ok(()) }
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let asked_ms = self.worker.clock.monotonic_ms();
        let lease_ms = self.worker.options.lease_ms;
        match self.worker.store.renew(self.worker.clock.now(), &self.lease, lease_ms).await? {
            Some(lease) => {
                self.lease = lease;
                self.valid_until_ms = asked_ms.saturating_add(lease_ms);
            }
            None => self.lost = true,
        }
        Ok(())
    }

    async fn try_renew(&mut self) {
        match self.renew().await {
            Ok(()) => debug!(lost = self.lost, "lease renewed"),
            // Try again soon; until then the lease is still good.
            Err(error) => warn!(%error, "the lease could not be renewed"),
        }
    }

    fn renewal_pause(&self) -> Duration {
        Duration::from_millis((self.worker.options.lease_ms / 3).max(1))
    }

    /// Uses the token taken in advance, if it is of this kind and fresh.
    fn use_token(&mut self, kind: CallKind) -> bool {
        let Some(token) = self.token.take_if(|token| token.kind == kind) else { return false };
        let window_ms = self.worker.options.rate_window_ms;
        let kept_long = self.worker.clock.now().ms_since(token.came_at) > window_ms / TOKEN_FRESH_SHARE;
        let came_late = token.came_at.ms_since(token.asked_at) > jitter_ms(window_ms);
        let pass_over = (kept_long || came_late) && !self.passed_one_over;
        self.passed_one_over = pass_over;
        !pass_over
    }

    async fn wait_for_token(&mut self, kind: CallKind) -> Result<(), Interrupted> {
        let now = self.worker.clock.now();
        match self.worker.store.take_token(now, kind).await? {
            Token::Granted => {
                self.token = Some(TakenToken { kind, asked_at: now, came_at: self.worker.clock.now() });
            }
            Token::NotBefore(at) => {
                let pause =
                    Duration::from_millis(at.ms_since(now).max(1)).min(self.renewal_pause()).min(TOKEN_LOOK_MAX);
                self.pause(pause).await?;
                self.worker.token_wait.add(kind, self.worker.clock.now().ms_since(now));
            }
        }
        Ok(())
    }
}
