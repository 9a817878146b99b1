//! How long calls take, to notice those that were delayed on their way.
//!
//! The limiter counts calls as they leave, Postman as they arrive. A call that takes far longer than others may have
//! arrived late, in the same window as calls that left after it, so it is charged a second time. If all calls are
//! slow, the reason is Postman, and nothing is charged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Worker;
use crate::clock::Clock;
use crate::core::limiter::CallKind;
use crate::store::{TOKEN_LOOK_MAX, Token};

/// The weight of the newest call in the mean: 1/8.
const WEIGHT: u64 = 8;

/// An exponentially weighted mean.
#[derive(Debug, Default)]
pub(super) struct Pace {
    typical_us: AtomicU64,
}

impl Pace {
    /// Notes a call's duration; returns whether it exceeds the typical one by more than `margin`.
    pub(super) fn is_late(&self, took: Duration, margin: Duration) -> bool {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let typical_us = self.typical_us.load(Ordering::Relaxed);
        let next = if typical_us == 0 { took_us } else { typical_us - typical_us / WEIGHT + took_us / WEIGHT };
        self.typical_us.store(next, Ordering::Relaxed);
        typical_us != 0 && took > Duration::from_micros(typical_us) + margin
    }
}

impl Worker {
    /// Takes a token without using it.
    pub(super) fn charge_again(&self, kind: CallKind) {
        let (store, clock, stop) = (self.store.clone(), self.clock.clone(), self.stop.clone());
        tokio::spawn(async move {
            while let Ok(Token::NotBefore(at)) = store.take_token(clock.now(), kind).await {
                tokio::select! {
                    () = tokio::time::sleep(pause(&clock, at)) => {}
                    () = stop.cancelled() => return,
                }
            }
        });
    }
}

fn pause(clock: &Clock, at: crate::core::time::UnixMs) -> Duration {
    Duration::from_millis(at.ms_since(clock.now()).max(1)).min(TOKEN_LOOK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_held_up_is_late_and_a_slow_target_is_not() {
        let margin = Duration::from_millis(600);
        let pace = Pace::default();
        assert!(!pace.is_late(Duration::from_secs(5), margin), "nothing is typical yet");
        let pace = Pace::default();
        for _ in 0..20 {
            assert!(!pace.is_late(Duration::from_millis(200), margin));
        }
        assert!(pace.is_late(Duration::from_secs(4), margin));
        let late = (0..40).filter(|_| pace.is_late(Duration::from_secs(2), margin)).count();
        assert!(late < 10, "what all calls take is typical soon: {late}");
    }
}
