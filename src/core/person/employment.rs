//! Employment: one fact with an effective instant.
//!
//! HR says "employed from E" and "left from E", late, twice and ahead of time. Of all words, those
//! are kept that can still count: a word is done with when a newer one takes effect no later than it
//! does. What is so at an instant is what the newest word in effect says, so the order in which the
//! words came does not matter.

use serde::{Deserialize, Serialize};

use super::fact::{Stamp, hash};
use crate::core::time::UnixMs;

/// Words kept at the most: far above what an HR system announces ahead.
const WORDS_MAX: usize = 16;
/// How many words told for the newest instant are remembered, to know redelivered ones.
const TOLD_MAX: usize = 8;

/// What HR can say of employment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmploymentState {
    /// They are to be in the team.
    Employed,
    /// They are not.
    Left,
}

/// One word on employment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmploymentWord {
    /// What is so.
    pub state: EmploymentState,
    /// From when on; in the future where it is announced ahead.
    pub from: UnixMs,
    /// When HR said so.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// It says how it is, as a roster does, and nothing of what is to come: what was announced stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_observed: bool,
}

impl EmploymentWord {
    /// Whether the other word cannot count any more beside this one.
    fn outdoes(&self, other: &Self) -> bool {
        !self.is_observed && self.stamp > other.stamp && self.from <= other.from
    }
}

/// All words that can still count, in the order in which they take effect. But for what a roster observes,
/// this is the order in which they were said, too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Employment {
    words: Vec<EmploymentWord>,
    /// Hashes of the words that were told for the newest instant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<u32>,
}

impl Employment {
    /// Folds in a word. Whether it can count.
    pub fn fold(&mut self, word: EmploymentWord) -> bool {
        let newest_at = self.words.iter().map(|word| word.stamp.at).max();
        let hash = hash(&(word.state, word.from));
        let is_told = newest_at == Some(word.stamp.at) && self.told.contains(&hash);
        let stands = self
            .words
            .iter()
            .any(|known| known.stamp.at == word.stamp.at && known.state == word.state && known.from == word.from);
        if is_told || stands {
            return false;
        }
        if newest_at.is_none_or(|newest| word.stamp.at > newest) {
            self.told.clear();
        }
        if newest_at.is_none_or(|newest| word.stamp.at >= newest) && self.told.len() < TOLD_MAX {
            self.told.push(hash);
        }
        if self.words.iter().any(|known| known.outdoes(&word) || known.stamp == word.stamp) {
            return false;
        }
        self.words.retain(|known| !word.outdoes(known));
        let place = self.words.partition_point(|known| (known.from, known.stamp) < (word.from, word.stamp));
        self.words.insert(place, word);
        if self.words.len() > WORDS_MAX {
            self.words.remove(0);
        }
        true
    }

    /// What is so at `now`; none where HR has not said, or not yet.
    #[must_use]
    pub fn at(&self, now: UnixMs) -> Option<&EmploymentWord> {
        self.words.iter().rev().find(|word| word.from <= now)
    }

    /// When the next announced word takes effect.
    #[must_use]
    pub fn next_change(&self, now: UnixMs) -> Option<&EmploymentWord> {
        self.words.iter().find(|word| word.from > now)
    }

    /// The last word, in effect or announced.
    #[must_use]
    pub fn newest(&self) -> Option<&EmploymentWord> {
        self.words.last()
    }

    /// When HR last said something of it.
    #[must_use]
    pub fn said_at(&self) -> Option<UnixMs> {
        self.words.iter().map(|word| word.stamp.at).max()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::EmploymentState::{Employed, Left};
    use super::*;

    fn word(state: EmploymentState, at: i64, from: i64) -> EmploymentWord {
        let stamp = Stamp { at: UnixMs(at), accepted_at: UnixMs(at), seq: u64::try_from(at).unwrap() };
        EmploymentWord { state, from: UnixMs(from), stamp, is_observed: false }
    }

    fn observed(state: EmploymentState, at: i64) -> EmploymentWord {
        EmploymentWord { is_observed: true, ..word(state, at, at) }
    }

    fn folded(words: &[EmploymentWord]) -> Employment {
        let mut employment = Employment::default();
        for word in words {
            employment.fold(*word);
        }
        employment
    }

    fn state(employment: &Employment, now: i64) -> Option<EmploymentState> {
        employment.at(UnixMs(now)).map(|word| word.state)
    }

    #[test]
    fn a_leave_ahead_of_time_waits_for_its_instant() {
        let employment = folded(&[word(Employed, 10, 10), word(Left, 12, 20)]);
        assert_eq!(state(&employment, 15), Some(Employed));
        assert_eq!(employment.next_change(UnixMs(15)).unwrap().from, UnixMs(20));
        assert_eq!(state(&employment, 20), Some(Left));
    }

    #[test]
    fn a_newer_word_withdraws_a_leave_that_is_announced() {
        let employment = folded(&[word(Employed, 10, 10), word(Left, 12, 20), word(Employed, 14, 14)]);
        assert_eq!(state(&employment, 30), Some(Employed));
        assert_eq!(employment.next_change(UnixMs(15)), None);
    }

    #[test]
    fn what_a_roster_observes_leaves_what_is_announced_and_outdates_what_was_said_before() {
        let words = [word(Employed, 10, 10), word(Left, 12, 20), observed(Employed, 14)];
        for employment in [folded(&words), folded(&[words[2], words[1], words[0]])] {
            assert_eq!(state(&employment, 15), Some(Employed));
            assert_eq!(state(&employment, 20), Some(Left));
        }
        let late = [observed(Employed, 14), word(Left, 12, 12)];
        assert_eq!(state(&folded(&late), 20), Some(Employed));
        let withdrawn = [word(Left, 12, 20), observed(Employed, 14), word(Employed, 16, 16)];
        assert_eq!(state(&folded(&withdrawn), 30), Some(Employed));
    }

    #[test]
    fn a_leave_dated_before_its_hire_is_in_effect() {
        assert_eq!(state(&folded(&[word(Employed, 10, 10), word(Left, 12, 9)]), 12), Some(Left));
    }

    #[test]
    fn an_old_hire_brings_nobody_back_and_a_newer_one_does() {
        let left = folded(&[word(Employed, 10, 10), word(Left, 12, 12), word(Employed, 10, 10)]);
        assert_eq!(state(&left, 20), Some(Left));
        assert_eq!(state(&folded(&[word(Left, 12, 12), word(Employed, 13, 13)]), 20), Some(Employed));
    }

    proptest! {
        #[test]
        fn the_order_in_which_words_come_does_not_matter(
            words in prop::collection::vec((any::<bool>(), 0_i64..40, any::<bool>()), 1..7),
            order in any::<prop::sample::Index>(),
        ) {
            let are_all_said = words.iter().all(|(_, _, is_observed)| !is_observed);
            let words: Vec<_> = words.iter().enumerate().map(|(n, (employed, from, is_observed))| {
                let at = i64::try_from(n).unwrap() + 10;
                let state = if *employed { Employed } else { Left };
                if *is_observed { observed(state, at) } else { word(state, at, *from) }
            }).collect();
            let mut turned = words.clone();
            turned.rotate_left(order.index(words.len()));
            turned.reverse();
            turned.extend(words.iter().copied());
            let (one, other) = (folded(&words), folded(&turned));
            prop_assert_eq!(&one.words, &other.words);
            for now in 0..45 {
                let newest = words.iter().rev().find(|word| word.from.0 <= now).map(|word| word.state);
                prop_assert!(!are_all_said || state(&one, now) == newest);
            }
        }
    }
}
