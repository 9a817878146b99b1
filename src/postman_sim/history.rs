//! What members were before their latest changes, for reads that lag behind.

use std::collections::{HashMap, VecDeque};

use super::member::Member;

/// As many changes as are remembered; reads lag behind no further.
const CHANGES_MAX: usize = 100_000;

#[derive(Debug)]
struct Change {
    at_us: u64,
    /// Which member, by the order in which they joined.
    place: usize,
    /// What they were before; none: not there yet.
    before: Option<Member>,
}

/// The changes, oldest first, bounded.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Change>);

impl History {
    pub(super) fn note(&mut self, at_us: u64, place: usize, before: Option<Member>) {
        self.0.push_back(Change { at_us, place, before });
        if self.0.len() > CHANGES_MAX {
            self.0.pop_front();
        }
    }

    /// What those who have changed after `at_us` were then.
    pub(super) fn at(&self, at_us: u64) -> HashMap<usize, Option<&Member>> {
        let mut then = HashMap::new();
        for change in self.0.iter().rev().take_while(|change| change.at_us > at_us) {
            then.insert(change.place, change.before.as_ref());
        }
        then
    }
}
