//! What is logged about refused deliveries: so many lines a second, and how many were left out. A flood
//! must not fill the disk, and metrics count every one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines a second: some 15 KB.
const LINES_MAX: u32 = 50;
const WINDOW: Duration = Duration::from_secs(1);

/// Says which refusals are logged.
pub(super) struct RefusalLog(Mutex<Window>);

struct Window {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl RefusalLog {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Window { since: Instant::now(), lines: 0, left_out: 0 }))
    }

    /// Whether to log a refusal now: how many were left out since the last one that was, if so.
    pub(super) fn line(&self) -> Option<u64> {
        self.line_at(Instant::now())
    }

    fn line_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.since) >= WINDOW {
            (window.since, window.lines) = (now, 0);
        }
        if window.lines >= LINES_MAX {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_by_its_first_lines_and_by_how_many_were_left_out() {
        let log = RefusalLog::new();
        let now = Instant::now();
        let told = (0..1000).filter_map(|_| log.line_at(now)).collect::<Vec<_>>();
        assert_eq!(told, vec![0; LINES_MAX as usize]);
        assert_eq!(log.line_at(now + WINDOW), Some(1000 - u64::from(LINES_MAX)));
        assert_eq!(log.line_at(now + WINDOW), Some(0));
    }
}
