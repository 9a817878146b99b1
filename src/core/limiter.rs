//! The rate limiter's arithmetic: GCRA (the generic cell rate algorithm) with a margin.
//!
//! Postman counts calls as they arrive, we count them as they leave. A delayed call may arrive
//! together with later ones, so the interval between tokens is stretched by a margin: as long as no
//! call is delayed by more than `JITTER_SHARE` of the window relative to another, Postman never
//! sees more than the limit in any window, and we still use 98.5% of it.

use serde::{Deserialize, Serialize};

/// A time further ahead than this comes neither from tokens nor from a 429: the clock was set back. It is ignored;
/// otherwise a wrong clock would stop the bridge for as long as it was wrong.
const AHEAD_US_MAX: i64 = 2 * 3_600_000_000;

/// Which of Postman's two limits a call counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// POST, PUT, PATCH.
    Write,
    /// GET.
    Read,
}

impl CallKind {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// Share of the window by which calls may be delayed against one another on their way (1/100:
/// 600 ms of 60 s).
const JITTER_SHARE: u64 = 100;
/// Share of the window by which a token may be taken early to make up for one that was taken late
/// (1/200: 300 ms of 60 s). Without it, every late wake-up would be lost for good.
const TOLERANCE_SHARE: u64 = 200;

/// How long calls may be delayed relative to one another before Postman may count more of them in a window than we did,
/// in milliseconds.
#[must_use]
pub fn jitter_ms(window_ms: u64) -> u64 {
    window_ms / JITTER_SHARE
}

/// A limit on the calls in any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls allowed in any window; 0 means no limit.
    pub calls: u32,
    /// The window in milliseconds (Postman's: 60 000).
    pub window_ms: u64,
}

/// The limiter's answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Go. The theoretical arrival time to remember, in microseconds since the epoch.
    Now {
        /// The new theoretical arrival time.
        tat_us: i64,
    },
    /// Not before this instant, in microseconds since the epoch. Nothing changes.
    NotBefore {
        /// The earliest instant at which a token is available.
        at_us: i64,
    },
}

impl Rate {
    /// Microseconds between two tokens; 0 without a limit.
    #[must_use]
    pub fn interval_us(self) -> i64 {
        if self.calls == 0 {
            return 0;
        }
        let window_us = self.window_ms.saturating_mul(1000);
        let stretched = window_us + window_us / JITTER_SHARE + window_us / TOLERANCE_SHARE;
        // Rounded up, and one more: strictly fewer than `calls` intervals fit into window + margins.
        i64::try_from(stretched.div_ceil(u64::from(self.calls)) + 1).unwrap_or(i64::MAX)
    }

    /// Microseconds by which a token may be taken before its time.
    #[must_use]
    pub fn tolerance_us(self) -> i64 {
        i64::try_from(self.window_ms.saturating_mul(1000) / TOLERANCE_SHARE).unwrap_or(i64::MAX)
    }

    /// Asks for a token at `now_us`, given the theoretical arrival time that is remembered.
    #[must_use]
    pub fn ask(self, tat_us: i64, now_us: i64) -> Grant {
        let tat_us = if tat_us.saturating_sub(now_us) > AHEAD_US_MAX { now_us } else { tat_us };
        if self.calls == 0 {
            // A back-off (see `backed_off`) holds without a limit, too.
            return if tat_us > now_us { Grant::NotBefore { at_us: tat_us } } else { Grant::Now { tat_us } };
        }
        let earliest_us = tat_us.saturating_sub(self.tolerance_us());
        if now_us < earliest_us {
            return Grant::NotBefore { at_us: earliest_us };
        }
        Grant::Now { tat_us: tat_us.max(now_us).saturating_add(self.interval_us()) }
    }

    /// The theoretical arrival time after a 429 that says: nothing before `until_us`.
    #[must_use]
    pub fn backed_off(self, tat_us: i64, until_us: i64) -> i64 {
        let tolerance_us = if self.calls == 0 { 0 } else { self.tolerance_us() };
        tat_us.max(until_us.saturating_add(tolerance_us))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE_MS: u64 = 60_000;

    /// Serves `asks` (sorted instants at which a caller starts to ask, and keeps asking, each wait ending late by
    /// some `lateness`) and returns the instants at which tokens were granted.
    fn grants(rate: Rate, asks: &[(i64, i64)]) -> Vec<i64> {
        let (mut tat_us, mut now_us, mut granted) = (0, 0, Vec::new());
        for &(at_us, lateness_us) in asks {
            now_us = at_us.max(now_us);
            loop {
                match rate.ask(tat_us, now_us) {
                    Grant::Now { tat_us: next } => {
                        tat_us = next;
                        granted.push(now_us);
                        break;
                    }
                    Grant::NotBefore { at_us } => now_us = at_us + lateness_us,
                }
            }
        }
        granted
    }

    fn most_in_any_window(sorted: &[i64], window_us: i64) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, &at) in sorted.iter().enumerate() {
            while at - sorted[first] > window_us {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    proptest! {
        #[test]
        fn no_window_exceeds_the_limit_even_by_arrival_times(
            calls in 1_u32..400,
            gaps in prop::collection::vec((0_i64..900_000, 0_i64..250_000, 0_i64..600_000), 1..1500),
        ) {
            let rate = Rate { calls, window_ms: MINUTE_MS };
            let mut at = 0;
            let asks: Vec<_> = gaps.iter().map(|&(gap, late, _)| { at += gap; (at, late) }).collect();
            let granted = grants(rate, &asks);
            let mut arrived: Vec<i64> = granted.iter().zip(&gaps).map(|(at, &(_, _, travel))| at + travel).collect();
            arrived.sort_unstable();
            let window_us = 60_000_000;
            prop_assert!(most_in_any_window(&granted, window_us) <= calls as usize);
            prop_assert!(most_in_any_window(&arrived, window_us) <= calls as usize);
        }

        #[test]
        fn a_backlog_uses_98_percent_although_every_wait_ends_late(
            calls in prop::sample::select(vec![180_u32, 300]),
            lateness in prop::collection::vec(0_i64..100_000, 1500),
        ) {
            let rate = Rate { calls, window_ms: MINUTE_MS };
            let asks: Vec<_> = lateness.iter().map(|&late| (0, late)).collect();
            let granted = grants(rate, &asks);
            let took_us = u32::try_from(granted[granted.len() - 1] - granted[0]).unwrap();
            let windows = f64::from(took_us) / 60_000_000.0;
            let used = f64::from(u32::try_from(granted.len() - 1).unwrap()) / windows / f64::from(calls);
            prop_assert!(used >= 0.98, "{used}");
        }

        #[test]
        fn after_a_429_nothing_is_granted_early(
            calls in 0_u32..400, tat in 0_i64..100_000_000, now in 0_i64..100_000_000, wait in 1_i64..100_000_000,
        ) {
            let rate = Rate { calls, window_ms: MINUTE_MS };
            let tat = rate.backed_off(tat, now + wait);
            let refused = matches!(rate.ask(tat, now + wait - 1), Grant::NotBefore { at_us } if at_us >= now + wait);
            prop_assert!(refused);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stalls_nothing() {
        let rate = Rate { calls: 180, window_ms: MINUTE_MS };
        let year_us = 365 * 86_400_000_000;
        assert_eq!(rate.ask(year_us, 5), Grant::Now { tat_us: 5 + rate.interval_us() });
        let hour_us = 3_600_000_000;
        assert!(matches!(rate.ask(rate.backed_off(0, hour_us), 5), Grant::NotBefore { .. }));
    }

    #[test]
    fn without_a_limit_there_is_no_wait() {
        let rate = Rate { calls: 0, window_ms: MINUTE_MS };
        assert_eq!(rate.ask(0, 5), Grant::Now { tat_us: 0 });
    }
}
