//! Limits log lines that a flood would repeat: one a second of each kind, with how many were left out. A flood must
//! not fill the disk; metrics count every one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Decides which lines are logged, by kind and subject. Both come from the program and its configuration, never from
/// strangers, who could invent endless new ones.
#[derive(Default)]
pub struct RateLimitedLog(Mutex<BTreeMap<&'static str, BTreeMap<Box<str>, Line>>>);

struct Line {
    logged: Instant,
    left_out: u64,
}

impl RateLimitedLog {
    /// Nothing has been logged yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// If it should be logged now: how many like it were left out since the last one.
    pub fn line(&self, what: &'static str, whom: &str) -> Option<u64> {
        self.line_at(what, whom, Instant::now())
    }

    fn line_at(&self, what: &'static str, whom: &str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kinds.entry(what).or_default();
        match lines.get_mut(whom) {
            Some(line) if now.duration_since(line.logged) < EVERY => {
                line.left_out += 1;
                None
            }
            Some(line) => {
                line.logged = now;
                Some(std::mem::take(&mut line.left_out))
            }
            None => {
                lines.insert(whom.into(), Line { logged: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_as_a_line_a_second_with_how_many_were_left_out() {
        let log = RateLimitedLog::new();
        let now = Instant::now();
        let lines = (0..1000).filter_map(|_| log.line_at("mismatch", "hr", now)).collect::<Vec<_>>();
        assert_eq!(lines, [0]);
        assert_eq!(log.line_at("mismatch", "hr", now + EVERY), Some(999));
        assert_eq!(log.line_at("mismatch", "hr", now + EVERY * 2), Some(0));
    }

    #[test]
    fn a_flood_of_one_kind_hides_no_other() {
        let log = RateLimitedLog::new();
        let now = Instant::now();
        assert_eq!(log.line_at("mismatch", "hr", now), Some(0));
        assert_eq!(log.line_at("mismatch", "hr", now), None);
        assert_eq!(log.line_at("expired", "hr", now), Some(0));
        assert_eq!(log.line_at("mismatch", "people", now), Some(0));
    }
}
