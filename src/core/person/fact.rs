//! One thing that HR says about a person, and its time.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::core::time::UnixMs;

/// How many values for one instant are remembered, to distinguish a redelivered one from a correction.
const STATED_MAX: usize = 8;

/// A fact's place in time. Compared in this order: when it became so, then the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// When it became so, by the source's clock.
    pub at: UnixMs,
    /// When the event that stated it was accepted.
    pub accepted_at: UnixMs,
    /// The event's place in the order of acceptance.
    pub seq: u64,
}

impl Stamp {
    /// Whether it was stated by a later entry than the one accepted then as number `seq`.
    pub(super) fn is_after(&self, accepted_at: UnixMs, seq: u64) -> bool {
        (self.accepted_at, self.seq) > (accepted_at, seq)
    }
}

/// When a statement became so, as exactly as HR said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatedAt {
    /// Its place in time; of a day, as if the statement were the first of that day.
    pub stamp: Stamp,
    /// HR only gave a day; this is when it ends.
    pub day_ends: Option<UnixMs>,
}

impl From<Stamp> for StatedAt {
    fn from(stamp: Stamp) -> Self {
        Self { stamp, day_ends: None }
    }
}

impl StatedAt {
    /// Its place in time among earlier statements of the same fact. A day does not say what else on that day came
    /// before or after: there the order of acceptance decides.
    #[must_use]
    pub fn among<'s>(&self, known: impl IntoIterator<Item = &'s Stamp>) -> Stamp {
        let Some(day_ends) = self.day_ends else { return self.stamp };
        let Stamp { at: begins, accepted_at, seq } = self.stamp;
        let is_within = |known: &&Stamp| known.at >= begins && known.at < day_ends && !known.is_after(accepted_at, seq);
        let at = known.into_iter().filter(is_within).map(|known| known.at).fold(begins, UnixMs::max);
        Stamp { at, ..self.stamp }
    }

    /// The same statement, placed among these; it can still be placed among others.
    #[must_use]
    pub fn after<'s>(self, known: impl IntoIterator<Item = &'s Stamp>) -> Self {
        Self { stamp: self.among(known), ..self }
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
    #[serde(default, rename = "told", skip_serializing_if = "Vec::is_empty")]
    stated: Vec<u32>,
}

impl<T: Serialize + PartialEq> Fact<T> {
    /// A fact that is stated for the first time.
    #[must_use]
    pub fn new(value: T, stamp: Stamp) -> Self {
        let stated = vec![hash(&value)];
        Self { value, stamp, stated }
    }

    /// Folds in what an event states: a later `at` wins; at the same `at` the later accepted wins, but a value that
    /// was stated for that instant before changes nothing, so that a redelivery does not undo a correction. A day has
    /// no instant: within it the later accepted wins, since somebody may change their mind twice a day. Returns whether
    /// it is the newest statement now, and news.
    pub fn fold(slot: &mut Option<Self>, value: T, stated_at: impl Into<StatedAt>) -> bool {
        let stated_at = stated_at.into();
        let Some(fact) = slot else {
            *slot = Some(Self::new(value, stated_at.stamp));
            return true;
        };
        let stamp = stated_at.among([&fact.stamp]);
        if stamp.at > fact.stamp.at {
            *fact = Self::new(value, stamp);
            return true;
        }
        if stamp.at < fact.stamp.at {
            return false;
        }
        if stated_at.day_ends.is_some() {
            let is_newest = stamp > fact.stamp;
            let is_news = is_newest && value != fact.value;
            if is_newest {
                fact.value = value;
                fact.stamp = stamp;
            }
            return is_news;
        }
        let hash = hash(&value);
        if fact.stated.contains(&hash) {
            return false;
        }
        if fact.stated.len() >= STATED_MAX {
            fact.stated.remove(0);
        }
        fact.stated.push(hash);
        let is_newest = stamp > fact.stamp;
        if is_newest {
            fact.value = value;
            fact.stamp = stamp;
        }
        is_newest
    }
}

/// 32 bits are plenty to distinguish a handful of values for one instant.
pub(in crate::core) fn hash<T: Serialize>(value: &T) -> u32 {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let digest = Sha256::digest(bytes);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    const DAY: i64 = 100;

    /// A statement by its value, the time that it was stated for, and the latest time that this may mean.
    type Said = (&'static str, i64, Option<i64>);

    fn said(words: &[Said]) -> (String, Vec<bool>) {
        let (mut fact, mut news) = (None, Vec::new());
        for (seq, (value, at, day_ends)) in (1..).zip(words) {
            let stated_at = StatedAt { stamp: stamp(*at, seq), day_ends: day_ends.map(UnixMs) };
            news.push(Fact::fold(&mut fact, (*value).to_owned(), stated_at));
        }
        (fact.unwrap().value, news)
    }

    #[test]
    fn within_one_stated_day_the_later_accepted_wins_at_any_hour() {
        let day = |value| (value, 0, Some(DAY));
        for (words, value) in [
            (vec![day("a"), day("b")], "b"),
            (vec![day("b"), day("a")], "a"),
            (vec![("a", 40, None), day("b")], "b"),
            (vec![day("b"), ("a", 40, None)], "a"),
            // The value changes back.
            (vec![day("a"), day("b"), day("a")], "a"),
            // The day's statement came after that of hour 40, so it is newer than that of hour 30.
            (vec![("a", 40, None), day("b"), ("c", 30, None)], "b"),
            (vec![("a", 40, None), day("b"), ("c", 50, None)], "c"),
            // Redelivered.
            (vec![("a", 40, None), day("b"), ("a", 40, None)], "b"),
            (vec![("a", DAY, None), day("b")], "a"),
            (vec![day("b"), ("a", -1, None)], "b"),
            (vec![("a", -1, None), day("b")], "b"),
        ] {
            assert_eq!(said(&words).0, value, "{words:?}");
        }
        assert_eq!(said(&[day("a"), day("a"), day("b"), day("b")]).1, [true, false, true, false]);
    }

    proptest! {
        #[test]
        fn no_value_replaces_a_newer_one(
            words in prop::collection::vec((0_i64..5, prop::option::of(0_i64..DAY)), 1..9),
            copies in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let said = |seq: usize| {
                let (day, hour) = words[seq];
                let begins = day * DAY + hour.unwrap_or_default();
                let stamp = stamp(begins, u64::try_from(seq).unwrap());
                StatedAt { stamp, day_ends: hour.is_none().then_some(UnixMs((day + 1) * DAY)) }
            };
            let mut fact = None;
            for seq in 0..words.len() {
                Fact::fold(&mut fact, seq, said(seq));
            }
            // Folded again, all at once or one by one, and what has come before comes again: the same.
            let stored = serde_json::to_string(&fact).unwrap();
            let mut again: Option<Fact<usize>> = None;
            for seq in 0..words.len() {
                again = serde_json::from_str(&serde_json::to_string(&again).unwrap()).unwrap();
                Fact::fold(&mut again, seq, said(seq));
            }
            prop_assert_eq!(serde_json::to_string(&again).unwrap(), stored.clone());
            for copy in copies.iter().map(|copy| copy.index(words.len())) {
                Fact::fold(&mut again, copy, said(copy));
            }
            prop_assert_eq!(again.as_ref().map(|fact| fact.value), fact.as_ref().map(|fact| fact.value));
            let chosen = fact.unwrap().value;
            let last = |seq: usize| said(seq).day_ends.map_or(said(seq).stamp.at.0, |ends| ends.0 - 1);
            prop_assert!((0..words.len()).all(|other| last(chosen) >= said(other).stamp.at.0));
            // If the times decide, nothing else counts.
            let newest = (0..words.len()).filter(|one| {
                (0..words.len()).all(|other| other == *one || last(other) < said(*one).stamp.at.0)
            });
            prop_assert!(newest.clone().all(|newest| newest == chosen));
            // The last to be accepted wins unless another is known to be newer.
            let end = words.len() - 1;
            if (0..end).all(|other| said(other).stamp.at.0 <= last(end) && last(other) <= last(end)) && words[end].1.is_none() {
                prop_assert_eq!(chosen, end);
            }
        }
    }

    #[test]
    fn a_redelivery_does_not_undo_a_correction() {
        assert_eq!(folded(&[("a", 1, 1), ("b", 1, 2), ("a", 1, 3)]), "b");
        assert_eq!(folded(&[("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]), "a");
    }
}
