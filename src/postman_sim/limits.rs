//! Postman's rate limits, as a sliding window over arrivals.

use std::collections::VecDeque;

/// The arrivals of one kind of call in the last window.
#[derive(Debug, Default)]
pub(super) struct Window {
    arrivals_us: VecDeque<u64>,
    max: usize,
}

/// The window's verdict on an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Within the limit, or no limit is set.
    Within,
    /// Over the limit; the next call is within it after this many milliseconds.
    Over { wait_ms: u64 },
}

impl Window {
    /// Counts an arrival at `now_us` (monotonic) and judges it. Postman limits *attempts*, so refused calls count as
    /// well: a client that keeps hammering is never let in.
    pub(super) fn arrive(&mut self, now_us: u64, limit: u32, window_ms: u64) -> Admission {
        let span_us = window_ms.saturating_mul(1000);
        while self.arrivals_us.front().is_some_and(|at| now_us.saturating_sub(*at) >= span_us) {
            self.arrivals_us.pop_front();
        }
        self.arrivals_us.push_back(now_us);
        self.max = self.max.max(self.arrivals_us.len());
        let limit = limit as usize;
        if limit == 0 || self.arrivals_us.len() <= limit {
            return Admission::Within;
        }
        // The next one is within the limit as soon as fewer than `limit` of these are left in the window.
        let leaves = self.arrivals_us.get(self.arrivals_us.len() - limit).copied().unwrap_or(now_us);
        Admission::Over { wait_ms: leaves.saturating_add(span_us).saturating_sub(now_us).div_ceil(1000) }
    }

    /// The most arrivals that any window contained.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Resets the maximum; calls that have arrived still count against the limit.
    pub(super) fn forget_max(&mut self) {
        self.max = self.arrivals_us.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        let mut w = Window::default();
        for i in 0..3 {
            assert_eq!(w.arrive(i, 3, 1000), Admission::Within);
        }
        assert_eq!(w.arrive(3, 3, 1000), Admission::Over { wait_ms: 1000 });
        assert_eq!(w.max(), 4);
    }

    #[test]
    fn a_place_comes_free_exactly_one_window_later() {
        let mut w = Window::default();
        assert_eq!(w.arrive(0, 1, 1000), Admission::Within);
        assert_eq!(w.arrive(1_000_000, 1, 1000), Admission::Within);
        assert!(matches!(w.arrive(1_999_999, 1, 1000), Admission::Over { .. }));
    }

    #[test]
    fn a_client_that_keeps_hammering_is_never_served() {
        let mut w = Window::default();
        assert_eq!(w.arrive(0, 1, 1000), Admission::Within);
        for i in 1..50 {
            assert!(matches!(w.arrive(i * 500_000, 1, 1000), Admission::Over { .. }));
        }
    }

    #[test]
    fn the_wait_in_the_reply_is_enough() {
        let mut w = Window::default();
        for i in 0..5 {
            let _ = w.arrive(i * 100_000, 5, 1000);
        }
        let Admission::Over { wait_ms } = w.arrive(450_000, 5, 1000) else { panic!("over the limit") };
        assert_eq!(w.arrive(450_000 + wait_ms * 1000, 5, 1000), Admission::Within);
    }

    #[test]
    fn without_a_limit_the_most_in_a_window_is_still_known() {
        let mut w = Window::default();
        for i in 0..10 {
            assert_eq!(w.arrive(i * 300_000, 0, 1000), Admission::Within);
        }
        assert_eq!(w.max(), 4);
    }
}
