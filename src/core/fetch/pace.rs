//! How often an HR system is called: one small document assigns turns to all processes.
//!
//! A person who has to wait gets a turn and comes back then: waiting occupies no worker slot, and a hundred waiting
//! people are not claimed a hundred times.

use serde::{Deserialize, Serialize};

use crate::core::limiter::Rate;
use crate::core::time::UnixMs;

/// A turn further ahead than this is the result of a clock that was set back.
const AHEAD_MS_MAX: i64 = 48 * 3_600_000;
/// Synchronised clocks of processes differ by less, so a larger difference means that a clock was set back.
const SET_BACK_MS: u64 = 600_000;
/// The longest wait that a system may ask for at once.
const BACK_OFF_MS_MAX: u64 = 3_600_000;

/// The document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// When the next turn is, in microseconds.
    tat_us: i64,
    /// Nobody may ask before then.
    pub closed_until: UnixMs,
    /// When a turn was last asked for.
    asked_at: UnixMs,
}

impl Pace {
    /// The name of a source's document.
    #[must_use]
    pub fn name(source: &crate::core::person::SourceName) -> String {
        format!("fetch-pace:{source}")
    }

    /// Assigns a turn for this many requests in a row.
    pub fn turn(&mut self, rate: Rate, calls: u32, now: UnixMs) -> UnixMs {
        self.follow(now);
        let open = now.max(self.closed_until);
        if rate.calls == 0 {
            return open;
        }
        let ahead_ms = self.tat_us / 1_000 - now.0;
        let tat_us = if ahead_ms > AHEAD_MS_MAX { 0 } else { self.tat_us };
        let open_us = open.0.saturating_mul(1_000);
        let turn_us = open_us.max(tat_us.saturating_sub(rate.tolerance_us()));
        let taken_us = rate.interval_us().saturating_mul(i64::from(calls.max(1)));
        self.tat_us = tat_us.max(turn_us).saturating_add(taken_us);
        // Rounded up: never before its time.
        UnixMs(turn_us.saturating_add(999) / 1_000)
    }

    /// The system asks everybody to wait. Returns whether that is news.
    pub fn back_off(&mut self, now: UnixMs, until: UnixMs) -> bool {
        self.follow(now);
        let until = until.min(now.plus_ms(BACK_OFF_MS_MAX));
        let is_news = until > self.closed_until;
        self.closed_until = self.closed_until.max(until);
        is_news
    }

    /// A clock that was set back moves future turns along: nobody waits until it has caught up.
    fn follow(&mut self, now: UnixMs) {
        let back_ms = self.asked_at.ms_since(now);
        if back_ms > SET_BACK_MS {
            let back_us = i64::try_from(back_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
            self.tat_us = self.tat_us.saturating_sub(back_us);
            self.closed_until = self.closed_until.minus_ms(back_ms);
            self.asked_at = now;
        }
        self.asked_at = self.asked_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIFTY: Rate = Rate { calls: 50, window_ms: 60_000 };

    #[test]
    fn slots_are_granted_at_the_rate_and_never_twice() {
        let mut pace = Pace::default();
        let turns: Vec<UnixMs> = (0..200).map(|_| pace.turn(FIFTY, 1, UnixMs(1_000))).collect();
        assert_eq!(turns[0], UnixMs(1_000));
        let in_window =
            |from: UnixMs| turns.iter().filter(|turn| turn.0 >= from.0 && turn.ms_since(from) < 60_000).count();
        assert!(turns.iter().all(|turn| in_window(*turn) <= 50));
        assert!(turns[199].ms_since(turns[0]) < 60_000 * 4 + 10_000);
    }

    #[test]
    fn a_back_off_applies_to_everybody_for_an_hour_at_most() {
        let mut pace = Pace::default();
        assert!(pace.back_off(UnixMs(0), UnixMs(30_000)));
        assert!(!pace.back_off(UnixMs(0), UnixMs(20_000)));
        assert_eq!(pace.turn(FIFTY, 1, UnixMs(1_000)), UnixMs(30_000));
        assert_eq!(pace.turn(Rate { calls: 0, window_ms: 1 }, 1, UnixMs(1_000)), UnixMs(30_000));
        pace.back_off(UnixMs(0), UnixMs(i64::MAX));
        assert_eq!(pace.closed_until, UnixMs(3_600_000));
    }

    #[test]
    fn a_clock_that_is_set_back_stalls_nothing() {
        let mut pace = Pace { tat_us: 365 * 86_400_000_000, ..Pace::default() };
        assert_eq!(pace.turn(FIFTY, 1, UnixMs(5)), UnixMs(5));
        let (hour, mut pace) = (3_600_000, Pace::default());
        pace.back_off(UnixMs(2 * hour), UnixMs(2 * hour + 30_000));
        assert_eq!(pace.turn(FIFTY, 1, UnixMs(hour)), UnixMs(hour + 30_000), "as long as before");
        let turns: Vec<UnixMs> = (0..60).map(|_| pace.turn(FIFTY, 1, UnixMs(5))).collect();
        assert!(turns.iter().all(|turn| *turn < UnixMs(120_000)), "{turns:?}");
    }
}
