//! Probing holds: with real work, one at a time.

use std::sync::atomic::Ordering;

use tracing::info;

use super::Worker;
use crate::core::hold::HoldScope;
use crate::core::reconcile::reply::Outcome;
use crate::core::reconcile::request::Request;
use crate::core::time::UnixMs;
use crate::store::{Claim, StoreError};
use crate::telemetry::traces::Span;

/// Who waits for one of these that is no longer in force is made due.
const SCOPES: [HoldScope; 5] =
    [HoldScope::All, HoldScope::Creates, HoldScope::Writes, HoldScope::Deactivations, HoldScope::Addresses];

/// How often people are looked for who were parked just as their hold was lifted.
const RELEASE_EVERY_MS: u64 = 1_000;

impl Worker {
    /// Until when nobody is to be claimed at all; none: somebody may be. The inner value is the next
    /// probe.
    #[expect(clippy::option_option, reason = "held or not, and until when or for how long nobody knows")]
    pub(super) fn held_until(&self) -> Option<Option<UnixMs>> {
        let holds = self.holds.current();
        holds.get(&HoldScope::All)?;
        Some(holds.next_probe_at())
    }

    /// Makes the probe that is due. Whether the hold is lifted by it; none where none is due.
    pub(super) async fn probe_due(&self) -> Result<Option<bool>, StoreError> {
        let lease_ms = self.options.lease_ms;
        let Some(scope) = self.holds.begin_probe(&self.name, lease_ms).await? else { return Ok(None) };
        let has_passed = match self.probe(&scope).await {
            Ok(has_passed) => has_passed,
            Err(error) => {
                self.holds.end_probe(&scope, &self.name, false).await?;
                return Err(error);
            }
        };
        self.holds.end_probe(&scope, &self.name, has_passed).await?;
        Ok(Some(has_passed))
    }

    async fn probe(&self, scope: &HoldScope) -> Result<bool, StoreError> {
        let asked_ms = self.clock.monotonic_ms();
        let mut claim = self.claim(1, Some(scope)).await?;
        if matches!(claim, Claim::Nobody { .. }) && *scope == HoldScope::All {
            claim = self.claim(1, None).await?;
        }
        match claim {
            Claim::People(people) => {
                let mut has_passed = false;
                for person in people {
                    has_passed = self.attempt(person, asked_ms, Some(scope)).await?.has_passed;
                }
                Ok(has_passed)
            }
            // Nobody waits for it: a harmless call has to do, or nothing is to be shown.
            Claim::Nobody { .. } if *scope == HoldScope::All => self.harmless_probe().await,
            Claim::Nobody { .. } => Ok(true),
        }
    }

    async fn harmless_probe(&self) -> Result<bool, StoreError> {
        let reply = self.call(&Request::Probe, &Span::default()).await;
        let now = self.clock.now();
        let outcome = self.options.plan.target.classify(&Request::Probe, None, &reply, now);
        info!(status = reply.status(), meaning = outcome.meaning(), "hold probed");
        if let Outcome::RateLimited { until } = outcome {
            self.back_off(now, until).await;
        }
        Ok(matches!(outcome, Outcome::Members(_) | Outcome::Served(_)))
    }

    /// Whether it is time to look for people who were parked as their hold was lifted.
    pub(super) fn holds_are_due_for_release(&self) -> bool {
        let now_ms = self.clock.monotonic_ms();
        let last_ms = self.released_at_ms.load(Ordering::Relaxed);
        let is_due = now_ms.saturating_sub(last_ms) >= RELEASE_EVERY_MS;
        if is_due {
            self.released_at_ms.store(now_ms, Ordering::Relaxed);
        }
        is_due
    }

    /// Who was parked just as their hold was lifted is made due all the same.
    pub(super) async fn release_lifted(&self) -> Result<(), StoreError> {
        let holds = self.holds.current();
        for scope in SCOPES.into_iter().chain(self.readers.scopes()).filter(|scope| holds.get(scope).is_none()) {
            self.holds.release(&scope).await?;
        }
        Ok(())
    }
}
