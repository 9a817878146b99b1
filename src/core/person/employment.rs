//! Employment: one fact with an effective instant.
//!
//! HR says "employed from E" and "left from E", late, twice and ahead of time. Only statements that can still
//! count are kept: a statement is obsolete when a newer one takes effect no later than it does. A postponed
//! statement (the same is said again for a later time, before it is in effect) stays in the list and no longer
//! counts. At any time, the newest statement in effect holds, so the order in which the statements arrived does
//! not matter.

use serde::{Deserialize, Serialize};

use super::fact::{Stamp, StatedAt, hash};
use crate::core::time::UnixMs;

/// How many statements are kept: far more than an HR system announces ahead.
const WORDS_MAX: usize = 16;
/// How many statements for the newest instant are remembered, to recognise redelivered ones.
const STATED_MAX: usize = 8;

/// What HR can say about employment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmploymentState {
    /// They should be in the team.
    Employed,
    /// They should not.
    Left,
}

/// Whether the source's rules include a person. This is separate from employment: a person who works there and comes
/// back into scope should be in the team again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// They are.
    In,
    /// They are not.
    Out,
}

impl Scope {
    /// The word for it in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// One statement on what is so from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct TimedWord<S> {
    /// What is so.
    pub state: S,
    /// From when on; in the future if it is announced.
    pub from: UnixMs,
    /// When HR said so.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// It only describes the present, as a roster does: what was announced stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_observed: bool,
    /// It does not ask for anything: it comes from a roster, or from a record of somebody out of scope.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_row: bool,
    /// It repeats an announcement as a status, ahead of its day: the status is already "terminated", and the last day
    /// is next month. It is not in effect; but if the status later says otherwise, the announcement is withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_early: bool,
    /// It is as the person's present status says, rather than something that happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_status: bool,
}

/// One statement on employment.
pub type EmploymentWord = TimedWord<EmploymentState>;

impl<S> TimedWord<S> {
    /// Whether it was said ahead of the time from which it is so. If not, it takes effect at once, even if the
    /// sender's clock is ahead of ours.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.from > self.stamp.at
    }

    fn is_in_effect(&self, now: UnixMs) -> bool {
        self.from <= now || !self.is_announced()
    }

    /// Whether this statement makes the other one obsolete.
    fn outdoes(&self, other: &Self) -> bool {
        !self.is_observed && self.stamp > other.stamp && self.from <= other.from
    }
}

/// All statements that can still count, in the order in which they take effect. Except for rosters' rows, this is
/// also the order in which they were said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline<S> {
    words: Vec<TimedWord<S>>,
    /// Hashes of the statements for the newest instant.
    #[serde(default, rename = "told", skip_serializing_if = "Vec::is_empty")]
    stated: Vec<u32>,
}

/// What HR says about employment.
pub type Employment = Timeline<EmploymentState>;

impl<S> Default for Timeline<S> {
    fn default() -> Self {
        Self { words: Vec::new(), stated: Vec::new() }
    }
}

impl<S> Timeline<S> {
    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl<S: Copy + Eq + Serialize> Timeline<S> {
    /// Folds in a statement. Returns whether it can count.
    pub fn fold(&mut self, word: TimedWord<S>) -> bool {
        self.fold_dated(word, None)
    }

    /// Folds in a statement. If HR gave only the day on which it was made, `day_ends` is when that day ends: within it,
    /// the statement that was accepted later counts as the newer one.
    pub fn fold_dated(&mut self, mut word: TimedWord<S>, day_ends: Option<UnixMs>) -> bool {
        if day_ends.is_some() {
            let stamp = StatedAt { stamp: word.stamp, day_ends }.among(self.words.iter().map(|known| &known.stamp));
            if word.from == word.stamp.at {
                word.from = stamp.at;
            }
            word.stamp = stamp;
            if self.said_at().is_none_or(|newest| stamp.at > newest) {
                self.stated.clear();
            }
            let newest = self.words.iter().max_by_key(|known| known.stamp);
            if newest.is_some_and(|newest| newest.state == word.state && newest.from == word.from) {
                return false;
            }
            return self.take_in(word);
        }
        let newest_at = self.words.iter().map(|word| word.stamp.at).max();
        let hash = hash(&(word.state, word.from));
        let was_stated = newest_at == Some(word.stamp.at) && self.stated.contains(&hash);
        let stands = self
            .words
            .iter()
            .any(|known| known.stamp.at == word.stamp.at && known.state == word.state && known.from == word.from);
        if was_stated || stands {
            return false;
        }
        if newest_at.is_none_or(|newest| word.stamp.at > newest) {
            self.stated.clear();
        }
        if newest_at.is_none_or(|newest| word.stamp.at >= newest) && self.stated.len() < STATED_MAX {
            self.stated.push(hash);
        }
        self.take_in(word)
    }

    fn take_in(&mut self, word: TimedWord<S>) -> bool {
        let is_same = |known: &TimedWord<S>| known.stamp == word.stamp && known.is_early == word.is_early;
        // An announcement stays beside the newer one that replaces it, since it may have postponed an older one.
        let is_over = |known: &TimedWord<S>, by: &TimedWord<S>| {
            by.outdoes(known) && !(by.is_announced() && known.is_announced() && !known.is_observed)
        };
        if self.words.iter().any(|known| is_over(&word, known) || is_same(known)) {
            return false;
        }
        self.words.retain(|known| !is_over(known, &word));
        let place = self.words.partition_point(|known| (known.from, known.stamp) < (word.from, word.stamp));
        self.words.insert(place, word);
        if self.words.len() > WORDS_MAX {
            // The oldest statement that does not count matters least.
            let put_off = (0..self.words.len()).find(|place| self.put_off_by(*place).is_some());
            let outdone = || self.words.iter().position(|word| self.is_outdone(word));
            let place = put_off.or_else(outdone).unwrap_or(0);
            self.words.remove(place);
        }
        self.drop_taken_back();
        self.words.contains(&word) && !self.is_outdone(&word)
    }

    /// Drops announcements that have come true already, perhaps before their day, if the opposite was observed since:
    /// somebody who was seen to have left, and is back, does not leave again on the day that was first announced.
    fn drop_taken_back(&mut self) {
        let observed: Vec<_> = self.words.iter().filter(|word| word.is_observed).copied().collect();
        let is_back = |gone: &TimedWord<S>, announced: &TimedWord<S>| {
            let since = observed.iter().filter(|back| !back.is_early && back.stamp > gone.stamp);
            since.into_iter().any(|back| back.state != announced.state && back.from < announced.from)
        };
        let is_taken_back = |word: &TimedWord<S>| {
            let mut gone = observed.iter().filter(|gone| gone.state == word.state && gone.stamp >= word.stamp);
            !word.is_observed && word.is_announced() && gone.any(|gone| is_back(gone, word))
        };
        self.words.retain(|word| !is_taken_back(word));
    }

    /// Takes out the statements that were derived from others, so that they can be derived again.
    pub fn take_out(&mut self, follows: impl Fn(&TimedWord<S>) -> bool) {
        self.words.retain(|word| !follows(word));
    }

    /// Puts in a statement that is derived from others. Those stay, since it may be taken out again.
    pub fn put_in(&mut self, word: TimedWord<S>) {
        let place = self.words.partition_point(|known| (known.from, known.stamp) < (word.from, word.stamp));
        self.words.insert(place, word);
    }

    /// The statements older than this one.
    #[must_use]
    pub fn before(&self, stamp: &Stamp) -> Self {
        let words = self.words.iter().filter(|word| word.stamp < *stamp).copied().collect();
        Self { words, stated: Vec::new() }
    }

    /// What is so at `now`; none if HR has not said, or only for later. If a statement would be in effect had it not
    /// been postponed, the result is as new as the statement that postponed it, since the former may have been
    /// applied.
    #[must_use]
    pub fn at(&self, now: UnixMs) -> Option<TimedWord<S>> {
        let in_effect = self.counting().rev().find(|word| word.is_in_effect(now))?;
        let places = 0..self.words.len();
        let put_off = places.filter(|place| self.words.get(*place).is_some_and(|word| word.is_in_effect(now)));
        let stamps = put_off.filter_map(|place| self.put_off_by(place)).map(|word| word.stamp);
        Some(TimedWord { stamp: stamps.fold(in_effect.stamp, Stamp::max), ..*in_effect })
    }

    /// When the next announced statement takes effect.
    #[must_use]
    pub fn next_change(&self, now: UnixMs) -> Option<&TimedWord<S>> {
        // A statement in effect outdates all before it.
        self.counting().rev().take_while(|word| !word.is_in_effect(now)).last()
    }

    /// Drops what can never count again: everything before a statement that is in effect at `now` and was not
    /// announced. Only announced statements can be postponed.
    pub fn settle(&mut self, now: UnixMs) {
        let is_base = |word: &TimedWord<S>| word.from <= now && !word.is_announced();
        if let Some(base) = self.words.iter().rposition(is_base) {
            self.words.drain(..base);
        }
    }

    /// The statements that were not postponed, of those that say from when on something is so.
    #[must_use]
    pub fn counting(&self) -> impl DoubleEndedIterator<Item = &TimedWord<S>> {
        let words = self.words.iter().enumerate();
        let counts = |place, word| !self.is_outdone(word) && self.put_off_by(place).is_none();
        words.filter(move |(place, word)| !word.is_early && counts(*place, *word)).map(|(_, word)| word)
    }

    fn is_outdone(&self, word: &TimedWord<S>) -> bool {
        self.words.iter().any(|newer| newer.outdoes(word))
    }

    /// The statement that postponed this one: the same for a later instant, with nothing else between the two, that was
    /// said before this one took effect.
    fn put_off_by(&self, place: usize) -> Option<&TimedWord<S>> {
        let word = self.words.get(place)?;
        let later = self.words.iter().skip(place + 1).filter(|later| !later.is_early);
        let mut same = later.take_while(|later| later.state == word.state || self.is_outdone(later));
        same.find(|later| later.state == word.state && later.stamp > word.stamp && word.from > later.stamp.at)
    }

    /// The last statement that counts or was put off, in effect or announced.
    #[must_use]
    pub fn newest(&self) -> Option<&TimedWord<S>> {
        self.words.iter().rev().find(|word| !self.is_outdone(word))
    }

    /// The statements that can still count.
    #[must_use]
    pub fn words(&self) -> &[TimedWord<S>] {
        &self.words
    }

    /// When HR last said something about it.
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
        EmploymentWord {
            state,
            from: UnixMs(from),
            stamp,
            is_observed: false,
            is_of_row: false,
            is_early: false,
            is_status: false,
        }
    }

    fn early(state: EmploymentState, at: i64) -> EmploymentWord {
        EmploymentWord { is_early: true, ..observed(state, at) }
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
    fn newer_news_withdraws_an_announced_leave() {
        let employment = folded(&[word(Employed, 10, 10), word(Left, 12, 20), word(Employed, 14, 14)]);
        assert_eq!(state(&employment, 30), Some(Employed));
        assert_eq!(employment.next_change(UnixMs(15)), None);
    }

    #[test]
    fn a_roster_keeps_announcements_and_outdates_earlier_statements() {
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
    fn an_early_leaver_who_returned_does_not_leave_on_the_old_day() {
        let hire = word(Employed, 10, 10);
        // Observed to be gone before the day; or the status says so together with the day.
        for gone in [
            vec![word(Left, 12, 100), observed(Left, 20)],
            vec![word(Left, 20, 100), early(Left, 20)],
            vec![word(Left, 12, 90), word(Left, 20, 100), early(Left, 20)],
        ] {
            let words: Vec<_> = [hire].into_iter().chain(gone).chain([observed(Employed, 30)]).collect();
            for turn in 0..words.len() {
                let mut words = words.clone();
                words.rotate_left(turn);
                let employment = folded(&words);
                assert_eq!([35, 95, 105].map(|now| state(&employment, now)), [Some(Employed); 3], "{words:?}");
                assert_eq!(employment.next_change(UnixMs(35)), None);
            }
            let employment = folded(&words[..words.len() - 1]);
            assert_eq!(state(&employment, 105), Some(Left), "nobody is back");
            let again = folded(&[&words[..], &[word(Left, 40, 110)]].concat());
            assert_eq!([105, 115].map(|now| state(&again, now)), [Some(Employed), Some(Left)]);
        }
        // A status that stays as it is until the day takes nothing back.
        let stays = folded(&[hire, word(Left, 12, 100), observed(Employed, 30)]);
        assert_eq!(state(&stays, 105), Some(Left));
    }

    #[test]
    fn within_one_stated_day_the_later_accepted_statement_wins() {
        let day = |state, seq: i64| (EmploymentWord { from: UnixMs(0), ..word(state, seq, 0) }, Some(UnixMs(100)));
        let hour = |state, seq: i64, at: i64| (word(state, seq, at), None);
        for (words, expected) in [
            (vec![day(Employed, 1), day(Left, 2)], Left),
            (vec![day(Left, 1), day(Employed, 2)], Employed),
            (vec![day(Employed, 1), day(Left, 2), day(Employed, 3)], Employed),
            (vec![hour(Employed, 1, 50), day(Left, 2)], Left),
            (vec![day(Left, 1), hour(Employed, 2, 50)], Employed),
            (vec![hour(Left, 1, 50), day(Employed, 2), hour(Left, 3, 40)], Employed),
            (vec![hour(Left, 1, 100), day(Employed, 2)], Left),
        ] {
            let mut employment = Employment::default();
            for (mut word, day_ends) in words.clone() {
                // `word` takes one number for all three.
                word.stamp.at = word.from;
                employment.fold_dated(word, day_ends);
            }
            assert_eq!(state(&employment, 200), Some(expected), "{words:?}");
        }
    }

    #[test]
    fn a_postponed_leave_waits_for_its_new_instant_in_either_order() {
        let words = [word(Employed, 10, 10), word(Left, 12, 20), word(Left, 14, 40)];
        for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1]] {
            let employment = folded(&order.map(|place: usize| words[place]));
            assert_eq!(state(&employment, 30), Some(Employed), "{order:?}");
            assert_eq!(employment.next_change(UnixMs(15)).unwrap().from, UnixMs(40));
            assert_eq!(state(&employment, 40), Some(Left));
            // The postponement came late, so the leave may have been applied: the postponement counts as newer.
            assert_eq!(employment.at(UnixMs(30)).unwrap().stamp.at, UnixMs(14));
            assert_eq!(employment.at(UnixMs(15)).unwrap().stamp.at, UnixMs(10));
        }
        let back_between = folded(&[words[0], words[1], word(Employed, 13, 30), words[2]]);
        assert_eq!([25, 35, 45].map(|now| state(&back_between, now)), [Some(Left), Some(Employed), Some(Left)]);
    }

    #[test]
    fn a_postponed_leave_that_is_repeated_stays_postponed() {
        let words = [word(Employed, 10, 10), word(Left, 12, 20), word(Left, 14, 40), word(Left, 30, 40)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2], [2, 3, 0, 1]] {
            let employment = folded(&order.map(|place: usize| words[place]));
            assert_eq!(
                [25, 31, 39, 40].map(|now| state(&employment, now)),
                [Some(Employed), Some(Employed), Some(Employed), Some(Left)],
                "{order:?}"
            );
            assert_eq!(employment.newest().map(|word| word.stamp.at), Some(UnixMs(30)));
        }
        // Brought forward, but not to before it is said.
        let forward = folded(&[words[0], words[1], words[2], word(Left, 30, 35)]);
        assert_eq!([31, 34, 35].map(|now| state(&forward, now)), [Some(Employed), Some(Employed), Some(Left)]);
        let back = folded(&[words[0], words[1], words[2], word(Employed, 30, 30)]);
        assert_eq!([31, 50].map(|now| state(&back, now)), [Some(Employed); 2]);
        assert_eq!(back.next_change(UnixMs(31)), None);
    }

    #[test]
    fn a_later_leave_revives_no_leaver_and_a_later_hire_keeps_an_employee() {
        assert_eq!(state(&folded(&[word(Employed, 10, 10), word(Left, 12, 12), word(Left, 14, 40)]), 30), Some(Left));
        assert_eq!(state(&folded(&[word(Employed, 10, 10), word(Employed, 14, 40)]), 30), Some(Employed));
        let put_off = folded(&[word(Employed, 10, 20), word(Employed, 14, 40)]);
        assert_eq!([30, 40].map(|now| state(&put_off, now)), [None, Some(Employed)]);
    }

    #[test]
    fn a_leave_postponed_many_times_does_not_displace_the_hire() {
        let mut words = vec![word(Employed, 10, 10)];
        words.extend((0..100).map(|n| word(Left, 12 + n, 1_000 + n)));
        assert_eq!(state(&folded(&words), 500), Some(Employed));
    }

    #[test]
    fn a_statement_by_a_fast_clock_takes_effect_at_once() {
        // Said at 50, for 90.
        let ahead = [word(Employed, 10, 10), word(Left, 90, 90)];
        let employment = folded(&ahead);
        assert_eq!((state(&employment, 50), employment.next_change(UnixMs(50))), (Some(Left), None));
        assert_eq!(state(&folded(&[word(Employed, 90, 90)]), 50), Some(Employed));
        // It withdraws what was announced for an earlier time.
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let words = [word(Employed, 10, 10), word(Left, 12, 70), word(Employed, 90, 90)];
            let employment = folded(&order.map(|place: usize| words[place]));
            assert_eq!([50, 80, 100].map(|now| state(&employment, now)), [Some(Employed); 3], "{order:?}");
            assert_eq!(employment.next_change(UnixMs(50)), None);
        }
        // What is announced for a time after it stands.
        let announced = folded(&[word(Left, 90, 200), word(Employed, 80, 80)]);
        assert_eq!([50, 200].map(|now| state(&announced, now)), [Some(Employed), Some(Left)]);
        assert_eq!(announced.next_change(UnixMs(50)).map(|word| word.from), Some(UnixMs(200)));
    }

    #[test]
    fn a_leave_dated_before_its_hire_is_in_effect() {
        assert_eq!(state(&folded(&[word(Employed, 10, 10), word(Left, 12, 9)]), 12), Some(Left));
    }

    #[test]
    fn a_leave_is_newer_than_a_start_that_was_announced_before_it() {
        let (hire, next) = (word(Employed, 10, 10), word(Employed, 20, 80));
        for left in [word(Left, 30, 30), word(Left, 30, 40)] {
            for order in [[hire, next, left], [left, next, hire]] {
                assert_eq!([50, 90].map(|now| state(&folded(&order), now)), [Some(Left); 2]);
            }
        }
        // One record states both: the start is the newer word, and the end takes effect before it.
        let employment = folded(&[hire, word(Left, 30, 40), word(Employed, 31, 80)]);
        assert_eq!([35, 50, 90].map(|now| state(&employment, now)), [Some(Employed), Some(Left), Some(Employed)]);
    }

    #[test]
    fn only_a_newer_hire_brings_somebody_back() {
        let left = folded(&[word(Employed, 10, 10), word(Left, 12, 12), word(Employed, 10, 10)]);
        assert_eq!(state(&left, 20), Some(Left));
        assert_eq!(state(&folded(&[word(Left, 12, 12), word(Employed, 13, 13)]), 20), Some(Employed));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            words in prop::collection::vec((any::<bool>(), 0_i64..40, 0..4_u8), 1..7),
            order in any::<prop::sample::Index>(),
        ) {
            let are_all_said = words.iter().all(|(_, _, how)| *how < 2);
            let words: Vec<_> = words.iter().enumerate().map(|(n, (employed, from, how))| {
                let at = i64::try_from(n).unwrap() + 10;
                let state = if *employed { Employed } else { Left };
                match how {
                    2 => observed(state, at),
                    3 => early(state, at),
                    _ => word(state, at, *from),
                }
            }).collect();
            let mut turned = words.clone();
            turned.rotate_left(order.index(words.len()));
            turned.reverse();
            turned.extend(words.iter().copied());
            let (one, other) = (folded(&words), folded(&turned));
            prop_assert_eq!(&one.words, &other.words);
            for now in 0..45 {
                let outdone = |older: usize| words[older + 1..].iter().any(|newer| newer.from <= words[older].from);
                let left: Vec<_> = (0..words.len()).filter(|place| !outdone(*place)).map(|place| words[place]).collect();
                // A statement is postponed by one that says the same for a later instant, before the first is in effect.
                let put_off = |place: usize| words.iter().any(|next| {
                    let word = left[place];
                    let is_between = |other: &EmploymentWord| other.from > word.from && other.from <= next.from;
                    next.stamp > word.stamp && next.state == word.state && word.from > next.stamp.at
                        && (next.from, next.stamp) > (word.from, word.stamp)
                        && !left.iter().any(|other| other.state != word.state && is_between(other) && (other.from, other.stamp) < (next.from, next.stamp))
                });
                let in_effect = |word: &EmploymentWord| word.from.0 <= now || word.from <= word.stamp.at;
                let newest = (0..left.len()).rev().find(|place| in_effect(&left[*place]) && !put_off(*place));
                prop_assert!(!are_all_said || state(&one, now) == newest.map(|place| left[place].state));
                prop_assert_eq!(one.at(UnixMs(now)), other.at(UnixMs(now)));
            }
        }
    }
}
