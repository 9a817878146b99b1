//! What the time may be when the wall clock leaps: it is compared with a clock that nobody can set.

use super::time::UnixMs;

/// Both clocks may drift apart by this much between two looks,
const DRIFT_MS: u64 = 10_000;
/// and by this share of the time between them.
const DRIFT_SHARE: u64 = 100;

/// The time, as far as it is known: one instant, or a span after a leap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// It is no earlier than this: a time limit before it has passed.
    pub earliest: UnixMs,
    /// It is no later than this: use it to date something that must last long enough.
    pub latest: UnixMs,
}

impl From<UnixMs> for TimeRange {
    fn from(now: UnixMs) -> Self {
        Self { earliest: now, latest: now }
    }
}

/// Compares the wall clock with one that runs evenly. A difference is a leap. After a leap, the wall clock is trusted
/// again once it has run evenly for as long as the caller says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockWatch {
    last: Option<(UnixMs, u64)>,
    /// By how much the wall clock has leapt ahead (or back) that does not count yet.
    leapt_ms: i128,
    /// When it last leapt, by the even clock.
    leapt_at_ms: u64,
}

impl ClockWatch {
    /// What the time may be. `even_ms`: what the clock that nobody can set shows. `settled_ms`: for how long the wall
    /// clock must have run steadily to be trusted.
    pub fn look(&mut self, wall: UnixMs, even_ms: u64, settled_ms: u64) -> TimeRange {
        if let Some((wall_before, even_before)) = self.last {
            let passed = even_ms.saturating_sub(even_before);
            let off = i128::from(wall.0) - i128::from(wall_before.0) - i128::from(passed);
            if off.unsigned_abs() > u128::from(DRIFT_MS + passed / DRIFT_SHARE) {
                self.leapt_ms += off;
                self.leapt_at_ms = even_ms;
            }
        }
        self.last = Some((wall, even_ms));
        let is_settled = even_ms.saturating_sub(self.leapt_at_ms) >= settled_ms;
        if is_settled || self.leapt_ms.unsigned_abs() <= u128::from(DRIFT_MS) {
            self.leapt_ms = 0;
        }
        let even = i128::from(wall.0) - self.leapt_ms;
        let even = i64::try_from(even).map_or(wall, UnixMs);
        TimeRange { earliest: wall.min(even), latest: wall.max(even) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const START: UnixMs = UnixMs(1_800_000_000_000);

    #[test]
    fn a_steady_clock_is_trusted_however_rarely_it_is_read() {
        let mut watch = ClockWatch::default();
        for hours in [0, 1, 2, 50, 1_000] {
            let wall = START.plus_ms(hours * (HOUR + 1_000));
            assert_eq!(watch.look(wall, hours * HOUR, DAY), wall.into(), "{hours}");
        }
    }

    #[test]
    fn a_leap_counts_once_the_clock_has_run_steadily_for_long_enough() {
        for leap in [2 * DAY, 400 * DAY] {
            let mut watch = ClockWatch::default();
            watch.look(START, 0, DAY);
            let wall = START.plus_ms(leap + HOUR);
            let range = TimeRange { earliest: START.plus_ms(HOUR), latest: wall };
            assert_eq!(watch.look(wall, HOUR, DAY), range);
            let later = watch.look(wall.plus_ms(DAY - 1), HOUR + DAY - 1, DAY);
            assert_eq!(later.earliest, START.plus_ms(HOUR + DAY - 1));
            assert_eq!(watch.look(wall.plus_ms(DAY), HOUR + DAY, DAY), wall.plus_ms(DAY).into());
        }
    }

    #[test]
    fn a_leap_that_is_undone_leaves_no_trace() {
        for wrong in [START.plus_ms(40 * DAY), UnixMs(0), UnixMs(i64::MAX), UnixMs(i64::MIN)] {
            let mut watch = ClockWatch::default();
            watch.look(START, 0, DAY);
            let range = watch.look(wrong, 60_000, DAY);
            assert!(range.earliest <= START.plus_ms(60_000) && range.latest >= START.plus_ms(60_000), "{wrong}");
            let again = START.plus_ms(120_000);
            assert_eq!(watch.look(again, 120_000, DAY), again.into(), "{wrong}");
        }
    }

    #[test]
    fn a_process_started_with_a_wrong_clock_comes_to_trust_the_right_one() {
        let mut watch = ClockWatch::default();
        watch.look(UnixMs(0), 0, HOUR);
        assert_eq!(watch.look(START, 1_000, HOUR).earliest, UnixMs(1_000));
        let wall = START.plus_ms(HOUR);
        assert_eq!(watch.look(wall, 1_000 + HOUR, HOUR), wall.into());
    }
}
