//! Sources whose events are always older than what is known: their clock is behind, or they send replays. A single
//! outdated event is normal; but if a source sends nothing else, HR's changes would be lost silently.
//!
//! Lives here: what one process recently saw of a source, and when to report it. Not here: where it is reported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::Seen;
use super::time::UnixMs;

/// The name of the shared document.
pub const DOCUMENT: &str = "outdated";
/// This many events in a row are not a coincidence.
const IN_A_ROW_MIN: u64 = 10;
/// How often the number is written while it grows, in milliseconds.
const WRITE_EVERY_MS: u64 = 10_000;
/// How often to look whether another process reports a source that this process has news from.
const LOOK_EVERY_MS: u64 = 60_000;
/// For how long it is reported after the last outdated event.
const TOLD_MS: u64 = 24 * 3_600_000;

/// The sources whose latest events were all outdated: how many in a row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outdated(BTreeMap<String, Seen>);

impl Outdated {
    /// Applies what a process reports. Returns whether anything changed.
    pub fn take_in(&mut self, source: &str, say: Say) -> bool {
        match say {
            Say::Outdated(seen) => self.0.insert(source.to_owned(), seen) != Some(seen),
            Say::News => self.0.remove(source).is_some(),
        }
    }

    /// What to report about a source.
    #[must_use]
    pub fn of(&self, source: &str, now: UnixMs) -> Option<Seen> {
        self.0.get(source).copied().filter(|seen| now.ms_since(seen.last_at) <= TOLD_MS)
    }
}

/// What a process reports about a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// This many events in a row were outdated.
    Outdated(Seen),
    /// Something was news.
    News,
}

/// What one process recently saw of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streak {
    seen: Seen,
    said_at: Option<UnixMs>,
    looked_at: Option<UnixMs>,
}

impl Streak {
    /// Notes how many of the events that were just folded were news, and how many were outdated. Returns what to
    /// report now.
    pub fn note(&mut self, news: u64, outdated: u64, now: UnixMs) -> Option<Say> {
        if news > 0 {
            self.seen = Seen::default();
            let was_said = self.said_at.take().is_some();
            let is_due = self.looked_at.is_none_or(|at| now.ms_since(at) >= LOOK_EVERY_MS);
            if !was_said && !is_due {
                return None;
            }
            self.looked_at = Some(now);
            return Some(Say::News);
        }
        if outdated == 0 {
            return None;
        }
        let since = if self.seen.count == 0 { now } else { self.seen.since };
        self.seen = Seen { count: self.seen.count.saturating_add(outdated), since, last_at: now };
        let is_due = self.said_at.is_none_or(|at| now.ms_since(at) >= WRITE_EVERY_MS);
        if self.seen.count < IN_A_ROW_MIN || !is_due {
            return None;
        }
        self.said_at = Some(now);
        Some(Say::Outdated(self.seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixMs {
        UnixMs(1_000_000).plus_ms(seconds * 1_000)
    }

    #[test]
    fn several_outdated_events_in_a_row_are_reported_until_one_brings_news() {
        let (mut streak, mut outdated) = (Streak::default(), Outdated::default());
        assert_eq!(streak.note(1, 0, at(0)), Some(Say::News));
        for n in 1..IN_A_ROW_MIN {
            assert_eq!(streak.note(0, 1, at(n)), None);
        }
        // A duplicate counts as neither.
        assert_eq!(streak.note(0, 0, at(20)), None);
        let say = streak.note(0, 1, at(21)).unwrap();
        assert!(outdated.take_in("hr", say) && !outdated.take_in("hr", say));
        assert_eq!(outdated.of("hr", at(22)).map(|seen| (seen.count, seen.since)), Some((10, at(1))));
        assert_eq!((streak.note(0, 1, at(22)), streak.note(0, 1, at(32)).is_some()), (None, true));
        assert_eq!((outdated.of("hr", at(21 + 86_401)), outdated.of("other", at(22))), (None, None));
        let say = streak.note(1, 5, at(33)).unwrap();
        assert!(outdated.take_in("hr", say) && outdated.of("hr", at(33)).is_none());
        assert_eq!(streak.note(0, 1, at(34)), None, "the count begins again");
    }

    #[test]
    fn a_process_that_sees_news_withdraws_the_report_of_another_process_within_a_minute() {
        let mut streak = Streak::default();
        let said: Vec<_> = (0..=60).filter(|n| streak.note(1, 0, at(*n)).is_some()).collect();
        assert_eq!(said, [0, 60]);
    }
}
