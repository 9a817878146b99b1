//! How many deliveries were repetitions, hour by hour, to notice when it is more than usual.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

const HOUR_MS: i64 = 3_600_000;
/// Hours that are kept: the current one, the one before, and earlier ones for comparison.
const HOURS_MAX: i64 = 8;
/// The fewest repetitions within two hours worth reporting.
const AGAIN_MIN: u64 = 20;
/// They are reported if they are more than half of all, and this many times as frequent as usual.
const TIMES: u64 = 3;

/// Counts by hour since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hourly(BTreeMap<i64, Hour>);

/// One hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hour {
    /// All deliveries.
    pub all: u64,
    /// Repetitions among them.
    pub again: u64,
}

impl Hour {
    fn add(self, other: Self) -> Self {
        Self { all: self.all.saturating_add(other.all), again: self.again.saturating_add(other.again) }
    }
}

impl Hourly {
    /// Counts a delivery.
    pub fn note(&mut self, now: UnixMs, is_again: bool) {
        let hour = now.0.div_euclid(HOUR_MS);
        let entry = self.0.entry(hour).or_default();
        *entry = entry.add(Hour { all: 1, again: u64::from(is_again) });
        // If the clock was set back, hours in the future are dropped.
        self.0.retain(|kept, _| (hour - HOURS_MAX + 1..=hour).contains(kept));
    }

    /// Adds what another process counted.
    pub fn add(&mut self, other: &Self) {
        for (hour, counts) in &other.0 {
            let entry = self.0.entry(*hour).or_default();
            *entry = entry.add(*counts);
        }
    }

    /// The last hour or two, if far more than usual were repetitions.
    #[must_use]
    pub fn unusual(&self, now: UnixMs) -> Option<Hour> {
        let hour = now.0.div_euclid(HOUR_MS);
        let sum = |from: i64, to: i64| self.0.range(from..=to).fold(Hour::default(), |sum, (_, of)| sum.add(*of));
        let (lately, before) = (sum(hour - 1, hour), sum(hour - HOURS_MAX + 1, hour - 2));
        let is_most = lately.again.saturating_mul(2) > lately.all;
        // lately.again / lately.all > TIMES * before.again / before.all
        let is_unusual = lately.again.saturating_mul(before.all)
            > before.again.saturating_mul(lately.all).saturating_mul(TIMES)
            || before.all == 0;
        (lately.again >= AGAIN_MIN && is_most && is_unusual).then_some(lately)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> UnixMs {
        UnixMs(hour * HOUR_MS + 5)
    }

    fn noted(hourly: &mut Hourly, hour: i64, news: u64, again: u64) {
        (0..news).for_each(|_| hourly.note(at(hour), false));
        (0..again).for_each(|_| hourly.note(at(hour), true));
    }

    #[test]
    fn more_than_usual_is_reported_until_it_passes() {
        let mut hourly = Hourly::default();
        (0..5).for_each(|hour| noted(&mut hourly, hour, 100, 2));
        assert_eq!(hourly.unusual(at(4)), None);
        noted(&mut hourly, 6, 30, 40);
        assert_eq!(hourly.unusual(at(6)), Some(Hour { all: 70, again: 40 }));
        assert_eq!(hourly.unusual(at(7)), Some(Hour { all: 70, again: 40 }));
        assert_eq!(hourly.unusual(at(8)), None);
    }

    #[test]
    fn a_sender_that_always_sends_twice_or_a_few_times_is_usual() {
        let mut twice = Hourly::default();
        (0..8).for_each(|hour| noted(&mut twice, hour, 50, 60));
        assert_eq!(twice.unusual(at(7)), None);
        let mut few = Hourly::default();
        noted(&mut few, 3, 0, AGAIN_MIN - 1);
        assert_eq!(few.unusual(at(3)), None);
    }

    #[test]
    fn counts_of_several_processes_merge_and_stay_small() {
        let (mut one, mut other) = (Hourly::default(), Hourly::default());
        (0..100).for_each(|hour| noted(&mut one, hour, 1, 0));
        noted(&mut other, 99, 0, 15);
        noted(&mut one, 99, 0, 15);
        assert_eq!(one.0.len(), 8);
        one.add(&other);
        assert_eq!(one.unusual(at(99)), Some(Hour { all: 32, again: 30 }));
        let bytes = serde_json::to_vec(&one).unwrap();
        assert_eq!(serde_json::from_slice::<Hourly>(&bytes).unwrap(), one);
    }
}
