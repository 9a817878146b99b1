//! What happens over time: deliveries by result, calls by the target's answer. One small document that all processes
//! add to, exact for the last minutes, coarser for the last day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

/// Length of the finest buckets.
pub const FINE_MS: u64 = 10_000;
/// Length of the buckets of the last hour.
pub const MINUTE_MS: u64 = 60_000;
/// Length of the buckets of the last day.
pub const HALF_HOUR_MS: u64 = 30 * MINUTE_MS;
const FINE_MAX: usize = 13;
const MINUTES_MAX: usize = 60;
const HALF_HOURS_MAX: usize = 48;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A delivery with something new.
    Accepted,
    /// A repeated delivery.
    Duplicate,
    /// A delivery that contains nothing that the mapping names.
    Ignored,
    /// A delivery that could not be mapped.
    Unmapped,
    /// A delivery that was refused.
    Refused,
    /// A call that the target answered normally, whatever it said about the person.
    Served,
    /// A call answered 429.
    Limited,
    /// A call that the target refused without saying that it is about the person.
    Denied,
    /// A call answered 5xx.
    Failed,
    /// A call answered with something that is not SCIM, whatever the status.
    Unreadable,
    /// No connection could be made.
    Unreachable,
    /// The connection broke, or no answer came in time.
    Unanswered,
    /// A write, whatever the result.
    Write,
    /// A read, whatever the result.
    Read,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

impl Happening {
    /// The possible results of deliveries.
    pub const DELIVERIES: [Self; 5] = [Self::Accepted, Self::Duplicate, Self::Ignored, Self::Unmapped, Self::Refused];
    /// The possible results of calls.
    pub const CALLS: [Self; 7] = [
        Self::Served,
        Self::Limited,
        Self::Denied,
        Self::Failed,
        Self::Unreadable,
        Self::Unreachable,
        Self::Unanswered,
    ];

    /// The result of a call that was answered with this status.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 407 => Self::Denied,
            429 => Self::Limited,
            500..=599 => Self::Failed,
            _ => Self::Served,
        }
    }

    /// Its name in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Unmapped => "unmapped",
            Self::Refused => "refused",
            Self::Served => "served",
            Self::Limited => "limited",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
            Self::Unreachable => "unreachable",
            Self::Unanswered => "unanswered",
            Self::Write => "write",
            Self::Read => "read",
            Self::Other => "other",
        }
    }
}

/// How often each thing happened.
pub type Counts = BTreeMap<Happening, u64>;

/// A bucket of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// When it begins.
    pub from: UnixMs,
    /// What happened in it.
    pub counts: Counts,
}

impl Bucket {
    /// How often any of these happened.
    #[must_use]
    pub fn count(&self, of: &[Happening]) -> u64 {
        of.iter().filter_map(|happening| self.counts.get(happening)).sum()
    }
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Activity {
    /// The last two minutes, in steps of 10 s.
    pub fine: Vec<Bucket>,
    /// The last hour, by minute.
    pub minutes: Vec<Bucket>,
    /// The last day, by half hour.
    pub half_hours: Vec<Bucket>,
}

impl Activity {
    /// Adds what happened until now.
    pub fn add(&mut self, now: UnixMs, counts: &Counts) {
        add(&mut self.fine, now, FINE_MS, FINE_MAX, counts);
        add(&mut self.minutes, now, MINUTE_MS, MINUTES_MAX, counts);
        add(&mut self.half_hours, now, HALF_HOUR_MS, HALF_HOURS_MAX, counts);
    }

    /// How often any of these happened in the last `ms` (two minutes at most), to within one step.
    #[must_use]
    pub fn lately(&self, now: UnixMs, ms: u64, of: &[Happening]) -> u64 {
        self.fine.iter().filter(|bucket| now.ms_since(bucket.from) < ms).map(|bucket| bucket.count(of)).sum()
    }

    /// Since when the newest buckets all satisfy `is_so`; buckets without any are skipped. None if the newest of them
    /// does not.
    #[must_use]
    pub fn since(&self, is_so: impl Fn(&Bucket) -> Option<bool>) -> Option<UnixMs> {
        let mut since = None;
        let older = self.minutes.iter().rev().map(|minute| self.without_fine(minute));
        for bucket in self.fine.iter().rev().cloned().chain(older) {
            match is_so(&bucket) {
                Some(true) => since = Some(bucket.from),
                Some(false) => break,
                None => {}
            }
        }
        since
    }
}

impl Activity {
    /// What a minute counts that the finest buckets do not.
    fn without_fine(&self, minute: &Bucket) -> Bucket {
        let mut rest = minute.clone();
        let is_within = |fine: &&Bucket| fine.from >= minute.from && fine.from.ms_since(minute.from) < MINUTE_MS;
        for (happening, n) in self.fine.iter().filter(is_within).flat_map(|fine| &fine.counts) {
            if let Some(count) = rest.counts.get_mut(happening) {
                *count = count.saturating_sub(*n);
            }
        }
        rest
    }
}

fn add(buckets: &mut Vec<Bucket>, now: UnixMs, length_ms: u64, buckets_max: usize, counts: &Counts) {
    let length = i64::try_from(length_ms).unwrap_or(i64::MAX);
    let from = UnixMs(now.0 - now.0.rem_euclid(length));
    let keep_ms = length_ms.saturating_mul(u64::try_from(buckets_max).unwrap_or(u64::MAX));
    // After the clock was set back, buckets in the future are dropped.
    buckets.retain(|bucket| bucket.from <= from && from.ms_since(bucket.from) < keep_ms);
    if buckets.last().is_none_or(|bucket| bucket.from != from) {
        buckets.push(Bucket { from, counts: Counts::new() });
    }
    if let Some(bucket) = buckets.last_mut() {
        for (happening, n) in counts {
            *bucket.counts.entry(*happening).or_default() += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(happening: Happening, n: u64) -> Counts {
        Counts::from([(happening, n)])
    }

    #[test]
    fn the_last_minute_is_exact_and_the_rest_goes() {
        let mut activity = Activity::default();
        for s in 0..200 {
            activity.add(UnixMs(s * 1_000), &counts(Happening::Served, 1));
        }
        assert_eq!(activity.lately(UnixMs(199_000), 60_000, &Happening::CALLS), 60);
        assert_eq!(activity.fine.len(), FINE_MAX);
        assert_eq!(activity.minutes.iter().map(|bucket| bucket.count(&[Happening::Served])).sum::<u64>(), 200);
    }

    #[test]
    fn a_day_stays_small() {
        let mut activity = Activity::default();
        let all: Counts =
            Happening::CALLS.into_iter().chain(Happening::DELIVERIES).map(|what| (what, 1_000_000)).collect();
        for minute in 0..3_000 {
            activity.add(UnixMs(minute * 60_000), &all);
        }
        assert_eq!((activity.minutes.len(), activity.half_hours.len()), (MINUTES_MAX, HALF_HOURS_MAX));
        assert!(serde_json::to_vec(&activity).unwrap().len() < 40_000);
    }

    #[test]
    fn the_start_of_a_condition_is_found_across_quiet_stretches() {
        let mut activity = Activity::default();
        activity.add(UnixMs(0), &counts(Happening::Served, 1));
        activity.add(UnixMs(20_000), &counts(Happening::Failed, 1));
        activity.add(UnixMs(50_000), &counts(Happening::Failed, 1));
        let failing = |bucket: &Bucket| {
            let calls = bucket.count(&Happening::CALLS);
            (calls > 0).then(|| bucket.count(&[Happening::Failed]) == calls)
        };
        assert_eq!(activity.since(failing), Some(UnixMs(20_000)));
        activity.add(UnixMs(60_000), &counts(Happening::Served, 1));
        assert_eq!(activity.since(failing), None);
    }

    #[test]
    fn a_condition_that_began_mid_minute_is_not_dated_to_its_start() {
        let mut activity = Activity::default();
        let failing = |bucket: &Bucket| (bucket.count(&Happening::CALLS) > 0).then_some(true);
        for s in [45, 55, 65] {
            activity.add(UnixMs(s * 1_000), &counts(Happening::Failed, 1));
        }
        assert_eq!(activity.since(failing), Some(UnixMs(40_000)));
        // Counts older than the finest buckets are merged: only their minute is known.
        activity.add(UnixMs(200_000), &counts(Happening::Failed, 1));
        assert_eq!(activity.since(failing), Some(UnixMs(0)));
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_in_the_future() {
        let mut activity = Activity::default();
        activity.add(UnixMs(900_000), &counts(Happening::Failed, 9));
        activity.add(UnixMs(0), &counts(Happening::Served, 1));
        assert_eq!(activity.lately(UnixMs(0), 60_000, &Happening::CALLS), 1);
    }
}
