//! Who was recently served, for each source: while others are served, a refusal concerns only that person.

use std::sync::{Mutex, PoisonError};

use crate::core::person::PersonId;
use crate::core::time::UnixMs;

/// The last two different people.
#[derive(Default)]
pub(super) struct Served(Mutex<[Option<(PersonId, UnixMs)>; 2]>);

impl Served {
    pub(super) fn note(&self, person: PersonId, now: UnixMs) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last[0].is_some_and(|(other, _)| other != person) {
            last[1] = last[0];
        }
        last[0] = Some((person, now));
    }

    /// Whether another person was served since then.
    pub(super) fn others_since(&self, person: PersonId, since: UnixMs) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().flatten().any(|(other, at)| *other != person && *at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_count() {
        let served = Served::default();
        served.note(PersonId(1), UnixMs(10));
        served.note(PersonId(2), UnixMs(20));
        served.note(PersonId(2), UnixMs(30));
        assert!(served.others_since(PersonId(2), UnixMs(10)) && !served.others_since(PersonId(2), UnixMs(11)));
        assert!(served.others_since(PersonId(1), UnixMs(30)) && !served.others_since(PersonId(1), UnixMs(31)));
    }
}
