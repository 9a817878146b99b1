//! How lanes move without a worker: the rules that all engines follow.

use super::{Lane, LaneState};
use crate::core::time::UnixMs;

impl Lane {
    /// For a new person: in sync, and due with their first entry.
    #[must_use]
    pub fn new() -> Self {
        Self { state: LaneState::Idle, due: None, wakes: true, tag: None }
    }

    /// For a worker, since this instant.
    #[must_use]
    pub fn due_at(at: UnixMs) -> Self {
        Self { state: LaneState::Waiting, due: Some(at), wakes: true, tag: None }
    }

    /// A worker has it. What it was before does not matter: a commit says what it is afterwards, and
    /// if there is none it is due.
    #[must_use]
    pub fn running() -> Self {
        Self { state: LaneState::Running, due: None, wakes: true, tag: None }
    }

    /// Due at once, and parked no more; since when it was, if it was due already.
    #[must_use]
    pub fn released(&self, now: UnixMs) -> Self {
        Self::due_at(self.due.map_or(now, |due| due.min(now)))
    }

    /// What becomes of it when there is something new in the inbox; none if it stays as it is.
    #[must_use]
    pub fn woken(&self, now: UnixMs) -> Option<Self> {
        let waits = self.state != LaneState::Running && self.due.is_none_or(|due| due > now);
        (self.wakes && waits).then(|| Self::due_at(now))
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_makes_due_who_waits_for_one_and_nobody_else() {
        let now = UnixMs(100);
        assert_eq!(Lane::new().woken(now), Some(Lane::due_at(now)));
        assert_eq!(Lane { due: Some(UnixMs(200)), ..Lane::new() }.woken(now), Some(Lane::due_at(now)));
        assert_eq!(Lane::due_at(UnixMs(50)).woken(now), None, "it keeps its place in line");
        assert_eq!(Lane { wakes: false, ..Lane::new() }.woken(now), None);
        assert_eq!(Lane::running().woken(now), None);
    }

    #[test]
    fn who_is_released_keeps_the_place_in_line_they_had() {
        let held = |due| Lane { state: LaneState::Held, due, wakes: false, tag: Some("all".to_owned()) };
        assert_eq!(held(None).released(UnixMs(100)), Lane::due_at(UnixMs(100)));
        assert_eq!(held(Some(UnixMs(50))).released(UnixMs(100)), Lane::due_at(UnixMs(50)));
        assert_eq!(held(Some(UnixMs(500))).released(UnixMs(100)), Lane::due_at(UnixMs(100)));
    }
}
