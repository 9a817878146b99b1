//! One thing that HR says about a person, and its time.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::core::time::UnixMs;

/// How many values for one instant are remembered, to distinguish a redelivered one from a correction.
const TOLD_MAX: usize = 8;

/// A fact's place in time. Compared in this order: when it became so, then the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// When it became so, by the source's clock.
    pub at: UnixMs,
    /// When the event that stated it was accepted.
    pub accepted_at: UnixMs,
    /// The event's place among all that the store accepted.
    pub seq: u64,
}

impl Stamp {
    /// Whether it was stated by a later entry than the one accepted then as number `seq`.
    pub(super) fn is_after(&self, accepted_at: UnixMs, seq: u64) -> bool {
        (self.accepted_at, self.seq) > (accepted_at, seq)
    }
}

/// The newest value that HR stated, and the others it stated for the same instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<T> {
    /// What is so.
    pub value: T,
    /// Since when, and by which event.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Hashes of the values stated for the instant `stamp.at`, in order of acceptance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<u32>,
}

impl<T: Serialize + PartialEq> Fact<T> {
    /// A fact that is stated for the first time.
    #[must_use]
    pub fn new(value: T, stamp: Stamp) -> Self {
        let told = vec![hash(&value)];
        Self { value, stamp, told }
    }

    /// Folds in what an event states: a later `at` wins; at the same `at` the later accepted wins, but a value that
    /// was stated for that instant before changes nothing, so that a redelivery does not undo a correction. Returns
    /// whether it is the newest statement now.
    pub fn fold(slot: &mut Option<Self>, value: T, stamp: Stamp) -> bool {
        let Some(fact) = slot else {
            *slot = Some(Self::new(value, stamp));
            return true;
        };
        if stamp.at > fact.stamp.at {
            *fact = Self::new(value, stamp);
            return true;
        }
        if stamp.at < fact.stamp.at {
            return false;
        }
        let hash = hash(&value);
        if fact.told.contains(&hash) {
            return false;
        }
        if fact.told.len() >= TOLD_MAX {
            fact.told.remove(0);
        }
        fact.told.push(hash);
        let is_newest = stamp > fact.stamp;
        if is_newest {
            fact.value = value;
            fact.stamp = stamp;
        }
        is_newest
    }
}

/// 32 bits are plenty to distinguish a handful of values of one instant.
pub(super) fn hash<T: Serialize>(value: &T) -> u32 {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let digest = Sha256::digest(bytes);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(at: i64, seq: u64) -> Stamp {
        Stamp { at: UnixMs(at), accepted_at: UnixMs(1000 + i64::try_from(seq).unwrap()), seq }
    }

    fn folded(words: &[(&str, i64, u64)]) -> String {
        let mut fact = None;
        for (value, at, seq) in words {
            Fact::fold(&mut fact, (*value).to_owned(), stamp(*at, *seq));
        }
        fact.unwrap().value
    }

    #[test]
    fn a_later_instant_wins_whatever_the_order() {
        assert_eq!(folded(&[("a", 1, 1), ("b", 2, 2)]), "b");
        assert_eq!(folded(&[("b", 2, 1), ("a", 1, 2)]), "b");
    }

    #[test]
    fn at_one_instant_the_later_accepted_wins() {
        assert_eq!(folded(&[("a", 1, 1), ("b", 1, 2)]), "b");
        assert_eq!(folded(&[("b", 1, 2), ("a", 1, 1)]), "b");
    }

    #[test]
    fn a_redelivery_does_not_undo_a_correction() {
        assert_eq!(folded(&[("a", 1, 1), ("b", 1, 2), ("a", 1, 3)]), "b");
        assert_eq!(folded(&[("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]), "a");
    }
}
