//! A person's place in the queue, and how it changes without a worker: rules that all engines follow.

use serde::{Deserialize, Serialize};

use crate::core::time::UnixMs;

/// A person's place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// What they wait for: counted and listed.
    pub state: LaneState,
    /// When they are due; none: no time is set.
    pub due: Option<UnixMs>,
    /// Whether a new entry in the inbox makes them due at once. Entries that are in the inbox already
    /// at a commit do, too.
    pub wakes: bool,
    /// The tag under which they are parked, for [`super::Store::release`] and [`super::ClaimRequest::parked`].
    pub tag: Option<String>,
}

/// What a person waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Nothing: up to date.
    Idle,
    /// For a worker, or for the next try.
    Waiting,
    /// A worker has them. Only engines set it: a lane that is leased.
    Running,
    /// For a hold to be lifted.
    Held,
    /// For an instant that HR announced.
    Scheduled,
    /// For HR to say more.
    Incomplete,
    /// For something to change: a dead letter.
    Blocked,
}

impl LaneState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Idle, Self::Waiting, Self::Running, Self::Held, Self::Scheduled, Self::Incomplete, Self::Blocked];

    /// Its name in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Held => "held",
            Self::Scheduled => "scheduled",
            Self::Incomplete => "incomplete",
            Self::Blocked => "blocked",
        }
    }
}

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

    /// A worker has it. The earlier state does not matter: a commit sets the next one, and without a commit the lane
    /// is due.
    #[must_use]
    pub fn running() -> Self {
        Self { state: LaneState::Running, due: None, wakes: true, tag: None }
    }

    /// Due at once, and no longer parked; if it was due already, it stays due since then.
    #[must_use]
    pub fn released(&self, now: UnixMs) -> Self {
        Self::due_at(self.due.map_or(now, |due| due.min(now)))
    }

    /// How it changes when there is something new in the inbox; none if it does not.
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
    fn an_entry_makes_due_only_a_lane_that_waits_for_one() {
        let now = UnixMs(100);
        assert_eq!(Lane::new().woken(now), Some(Lane::due_at(now)));
        assert_eq!(Lane { due: Some(UnixMs(200)), ..Lane::new() }.woken(now), Some(Lane::due_at(now)));
        assert_eq!(Lane::due_at(UnixMs(50)).woken(now), None, "it keeps its place in line");
        assert_eq!(Lane { wakes: false, ..Lane::new() }.woken(now), None);
        assert_eq!(Lane::running().woken(now), None);
    }

    #[test]
    fn a_released_person_keeps_their_place_in_the_queue() {
        let held = |due| Lane { state: LaneState::Held, due, wakes: false, tag: Some("all".to_owned()) };
        assert_eq!(held(None).released(UnixMs(100)), Lane::due_at(UnixMs(100)));
        assert_eq!(held(Some(UnixMs(50))).released(UnixMs(100)), Lane::due_at(UnixMs(50)));
        assert_eq!(held(Some(UnixMs(500))).released(UnixMs(100)), Lane::due_at(UnixMs(100)));
    }
}
