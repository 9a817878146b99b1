//! Instants as values. Nothing here reads a clock: see `crate::clock` for that.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

/// No correct clock shows an earlier time: the bridge did not exist yet. One that does is mostly that of a machine that has
/// just started, and does not know the time.
pub const EARLIEST: UnixMs = UnixMs(1_767_225_600_000);

impl UnixMs {
    /// The instant `ms` milliseconds later; saturates at the end of time.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// The instant `ms` milliseconds earlier; saturates at the beginning of time.
    #[must_use]
    pub fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Milliseconds from `earlier` to `self`; zero if `earlier` is the later one.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Corrects an instant at which the bridge did something: if it is later than `now`, or before there was a bridge,
    /// the clock was wrong, and it counts as `now`.
    #[must_use]
    pub fn set_right(self, now: Self) -> Self {
        if self < EARLIEST && now >= EARLIEST { now } else { self.min(now) }
    }

    /// Parses an RFC 3339 timestamp, such as `2026-11-22T10:00:00Z`.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for UnixMs {
    /// RFC 3339 in UTC; an instant outside of its range as bare milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => t.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_of_a_wrong_clock_counts_as_now() {
        assert_eq!(EARLIEST.to_string(), "2026-01-01T00:00:00Z");
        let now = EARLIEST.plus_ms(1_000);
        for (shown, right) in [(now, now), (EARLIEST, EARLIEST), (now.plus_ms(1), now), (UnixMs(0), now)] {
            assert_eq!(shown.set_right(now), right, "{shown}");
        }
        assert_eq!(UnixMs(3).set_right(UnixMs(7)), UnixMs(3), "the same clock told both");
    }

    #[test]
    fn an_instant_round_trips_as_rfc3339() {
        let t = UnixMs::parse_rfc3339("2026-11-22T10:00:00.5Z").unwrap();
        assert_eq!(t.to_string(), "2026-11-22T10:00:00.5Z");
        assert_eq!(t.plus_ms(500).ms_since(t), 500);
        assert_eq!(t.ms_since(t.plus_ms(1)), 0);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(UnixMs(i64::MAX).plus_ms(u64::MAX), UnixMs(i64::MAX));
        assert_eq!(UnixMs(i64::MIN).minus_ms(5), UnixMs(i64::MIN));
        assert!(!UnixMs(i64::MAX).to_string().is_empty());
    }
}
