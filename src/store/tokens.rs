//! The limiters' state, and how it changes.

use serde::{Deserialize, Serialize};

use super::{StoreOptions, Token};
use crate::core::limiter::{CallKind, Grant, Rate};
use crate::core::time::UnixMs;

/// The theoretical arrival times of writes and reads, in microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tats {
    /// Of writes.
    pub writes_us: i64,
    /// Of reads.
    pub reads_us: i64,
}

impl Tats {
    /// Takes a token.
    pub fn take(&mut self, options: &StoreOptions, now: UnixMs, kind: CallKind) -> Token {
        let (rate, tat_us) = self.of(options, kind);
        match rate.ask(*tat_us, micros(now)) {
            Grant::Now { tat_us: next } => {
                *tat_us = next;
                Token::Granted
            }
            Grant::NotBefore { at_us } => Token::NotBefore(rounded_up(at_us)),
        }
    }

    /// Grants no token of either kind before `until`.
    pub fn back_off(&mut self, options: &StoreOptions, until: UnixMs) {
        for kind in [CallKind::Write, CallKind::Read] {
            let (rate, tat_us) = self.of(options, kind);
            *tat_us = rate.backed_off(*tat_us, micros(until));
        }
    }

    /// Until when tokens of at least one kind are withheld.
    #[must_use]
    pub fn paused_until(mut self, options: &StoreOptions, now: UnixMs) -> Option<UnixMs> {
        let waits = [CallKind::Write, CallKind::Read].map(|kind| match self.take(options, now, kind) {
            Token::Granted => None,
            Token::NotBefore(at) => Some(at),
        });
        waits.into_iter().flatten().max()
    }

    /// The clock was set back by this much.
    pub fn set_back(&mut self, ms: u64) {
        let us = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        self.writes_us = self.writes_us.saturating_sub(us);
        self.reads_us = self.reads_us.saturating_sub(us);
    }

    fn of(&mut self, options: &StoreOptions, kind: CallKind) -> (Rate, &mut i64) {
        match kind {
            CallKind::Write => (options.writes, &mut self.writes_us),
            CallKind::Read => (options.reads, &mut self.reads_us),
        }
    }
}

fn micros(at: UnixMs) -> i64 {
    at.0.saturating_mul(1_000)
}

/// Rounded up, so that it is not a moment too early.
fn rounded_up(at_us: i64) -> UnixMs {
    UnixMs(at_us.div_euclid(1_000) + i64::from(at_us.rem_euclid(1_000) > 0))
}
