//! Probing holds: with real work, one at a time.

use std::sync::atomic::Ordering;

use tracing::info;

use super::Worker;
use super::call::Called;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::reconcile::reply::Outcome;
use crate::core::reconcile::request::Request;
use crate::core::time::UnixMs;
use crate::store::{Claim, StoreError, Token};
use crate::telemetry::traces::Span;

/// People who wait for one of these, if it is no longer in force, are made due.
const SCOPES: [HoldScope; 5] =
    [HoldScope::All, HoldScope::Creates, HoldScope::Writes, HoldScope::Deactivations, HoldScope::Addresses];

/// How many people one probe tries.
const TRIALS_MAX: usize = 3;

/// What a harmless call showed.
#[derive(Debug)]
pub(super) enum Probed {
    /// The target serves us.
    Served,
    /// It refuses us, although the call was about nobody in particular.
    Refused { scope: HoldScope, code: Code, not_before: Option<UnixMs> },
    /// It has trouble of its own.
    Unclear,
}

/// How often to look for people who were parked just as their hold was lifted.
const RELEASE_EVERY_MS: u64 = 1_000;

impl Worker {
    /// If nobody may be claimed now: until when, which is the next probe.
    #[expect(clippy::option_option, reason = "held or not, and until when or for how long nobody knows")]
    pub(super) fn held_until(&self) -> Option<Option<UnixMs>> {
        let holds = self.holds.current();
        holds.get(&HoldScope::All)?;
        Some(holds.next_probe_at())
    }

    /// Makes the probe that is due. Returns whether it lifted the hold; none if none is due.
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

    /// Tries with a waiting person. A refusal may be that person's own trouble. For a hold on writes, others are
    /// tried as well, since no harmless call can show that writes are served.
    async fn probe(&self, scope: &HoldScope) -> Result<bool, StoreError> {
        let trials = if *scope == HoldScope::Writes { TRIALS_MAX } else { 1 };
        let mut tried_before = Vec::new();
        for _ in 0..trials {
            let asked_ms = self.clock.monotonic_ms();
            let mut claim = self.claim(1, Some(scope)).await?;
            if matches!(claim, Claim::Nobody { .. }) && *scope == HoldScope::All {
                claim = self.claim(1, None).await?;
            }
            let people = match claim {
                Claim::People(people) => people,
                // Nobody waits for it: a harmless call must do, if there is one for this hold.
                Claim::Nobody { .. } if *scope == HoldScope::All => return self.harmless_probe().await,
                Claim::Nobody { .. } => return Ok(tried_before.is_empty()),
            };
            for person in people {
                let id = person.lease.person;
                let tried = self.attempt(person, asked_ms, Some(scope)).await?;
                if tried.has_passed {
                    return Ok(true);
                }
                if !tried.was_refused || tried_before.contains(&id) {
                    return Ok(false);
                }
                tried_before.push(id);
            }
        }
        Ok(false)
    }

    async fn harmless_probe(&self) -> Result<bool, StoreError> {
        match self.store.take_token(self.clock.now(), CallKind::Read).await? {
            Token::Granted => Ok(matches!(self.harmless(&Span::default()).await, Probed::Served)),
            // For example after a 429: the next probe decides.
            Token::NotBefore(_) => Ok(false),
        }
    }

    /// A harmless call, for which there is a token: if everybody is refused, it is refused, too.
    pub(super) async fn harmless(&self, traced: &Span) -> Probed {
        let Called { at: now, reply, outcome } = self.call(&Request::Probe, &[], traced).await;
        info!(status = reply.status(), meaning = outcome.meaning(), "target probed");
        if matches!(outcome, Outcome::Members(_) | Outcome::Served(_)) {
            self.with_suspicions(|suspicions| suspicions.probe_served(now));
            return Probed::Served;
        }
        if let Outcome::Hold(scope, code, not_before) = outcome {
            return Probed::Refused { scope, code, not_before };
        }
        if let Outcome::RateLimited { until } = outcome {
            self.back_off(now, until).await;
        }
        Probed::Unclear
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

    /// Makes people due who were parked just as their hold was lifted.
    pub(super) async fn release_lifted(&self) -> Result<(), StoreError> {
        let holds = self.holds.current();
        for scope in SCOPES.into_iter().chain(self.readers.scopes()).filter(|scope| holds.get(scope).is_none()) {
            self.holds.release(&scope).await?;
        }
        Ok(())
    }
}
