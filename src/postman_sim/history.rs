//! Earlier versions of members, for reads that lag behind.

use std::collections::{HashMap, VecDeque};

use super::member::Member;

/// How many changes are remembered; reads cannot lag further behind than that.
const CHANGES_MAX: usize = 100_000;

#[derive(Debug)]
struct Change {
    at_us: u64,
    /// The member, by the order in which they joined.
    place: usize,
    /// The member before the change; none: did not exist yet.
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

    /// How everybody who changed after `at_us` looked at that time.
    pub(super) fn at(&self, at_us: u64) -> HashMap<usize, Option<&Member>> {
        let mut then = HashMap::new();
        for change in self.0.iter().rev().take_while(|change| change.at_us > at_us) {
            then.insert(change.place, change.before.as_ref());
        }
        then
    }
}
