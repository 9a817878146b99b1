//! A status that says "employed" beside an end that is over.
//!
//! Many HR systems change the status in the night after the last day, or days later; others leave the end of a former
//! employment in the record of somebody who was hired again. The rule, whichever way the record came in:
//!
//! - A start after the end, or another record that says that they work here, means that they were hired again.
//! - So does a status that was seen to say "left", or HR calling them employed after the end.
//! - Else the status is late, and the end counts: for a week if it had been announced, or HR told the leave; for two days
//!   otherwise.
//! - A status that still says "employed" after that is believed.

use serde::{Deserialize, Serialize};

use super::employment::{Employment, EmploymentState, EmploymentWord};
use super::event::{BesideEnd, Event};
use super::fact::{Stamp, StatedAt};
use crate::core::time::UnixMs;

/// A status may be late for this long after an end that was announced, or told as a leave.
const ANNOUNCED_MS: u64 = 7 * 86_400_000;
/// And for this long after one that was not.
const UNANNOUNCED_MS: u64 = 2 * 86_400_000;
/// An end may have been moved by this much since it was announced.
const MOVED_END_MS: u64 = 2 * 86_400_000;
/// How many late statuses are kept: each update of those days brings one.
const KEPT_MAX: usize = 8;

/// Of the records of one answer, the employment that ended last counts, unless one of them says that they work on.
pub fn settle_ends_of_one(events: &mut [Event]) {
    let employed = |event: &Event| matches!(event.facts.employment, Some((EmploymentState::Employed, _)));
    let works_on = events.iter().any(|event| employed(event) && event.facts.end_beside_status().is_none());
    let last = events.iter().filter_map(|event| event.facts.end_beside_status()).max().filter(|_| !works_on);
    for event in events.iter_mut().filter(|event| event.facts.end_beside_status().is_some()) {
        event.facts.beside_end = last.map(BesideEnd::Status);
    }
}

/// A status that says "employed", and the end beside it that was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateStatus {
    /// The end.
    pub end: UnixMs,
    /// What the status says.
    #[serde(flatten)]
    pub word: EmploymentWord,
}

impl LateStatus {
    /// Whether a status that was said at `at` may still be late. Later, the end is that of a former employment.
    #[must_use]
    pub fn may_be_late(end: UnixMs, at: UnixMs) -> bool {
        at < end.plus_ms(ANNOUNCED_MS)
    }
}

/// The newest of them, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LateStatuses(Vec<LateStatus>);

impl LateStatuses {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Folds one in. Returns whether it was not known.
    pub fn fold(&mut self, status: LateStatus, stated_at: StatedAt, employment: &Employment) -> bool {
        let stamps = employment.words().iter().map(|word| &word.stamp);
        let stamp = stated_at.among(stamps.chain(self.0.iter().map(|known| &known.word.stamp)));
        let was_stated = |known: &LateStatus| {
            known.word.stamp == stamp || (known.word.stamp.at, known.end) == (stamp.at, status.end)
        };
        if self.0.iter().any(was_stated) {
            return false;
        }
        let from = if status.word.from == status.word.stamp.at { stamp.at } else { status.word.from };
        let word = EmploymentWord { from, stamp, ..status.word };
        let place = self.0.partition_point(|known| known.word.stamp < stamp);
        self.0.insert(place, LateStatus { word, ..status });
        let surplus = self.0.len().saturating_sub(KEPT_MAX);
        self.0.drain(..surplus);
        true
    }

    /// Takes out of `employment` what was derived from them, so that it can be derived again.
    pub fn take_out(&self, employment: &mut Employment) {
        employment.take_out(|word| !word.is_early && self.0.iter().any(|status| status.word.stamp == word.stamp));
    }

    /// Puts into `employment` what they say: that the person has left, or works here.
    pub fn put_in(&self, employment: &mut Employment) {
        for (status, stands_until) in self.judged(employment) {
            let LateStatus { end, word } = status;
            employment.put_in(match stands_until {
                Some(_) => EmploymentWord { state: EmploymentState::Left, from: end, ..word },
                None => word,
            });
        }
    }

    /// Until when the newest end stands although the status beside it says "employed"; none if it does not.
    #[must_use]
    pub fn end_stands_until(&self, employment: &Employment) -> Option<UnixMs> {
        let newest = employment.counting().max_by_key(|word| word.stamp)?;
        if newest.state != EmploymentState::Left || !self.0.iter().any(|status| status.word.stamp == newest.stamp) {
            return None;
        }
        let mut without = employment.clone();
        self.take_out(&mut without);
        let judged = self.judged(&without).into_iter();
        judged.filter(|(status, _)| status.word.stamp == newest.stamp).find_map(|(_, stands_until)| stands_until)
    }

    /// Each with the time until which its end stands, or none if the status is believed. `employment` is without them.
    fn judged(&self, employment: &Employment) -> Vec<(LateStatus, Option<UnixMs>)> {
        let mut employment = employment.clone();
        let mut judged: Vec<(LateStatus, Option<UnixMs>)> = Vec::new();
        for status in &self.0 {
            let stamp = status.word.stamp;
            let before = employment.before(&stamp).at(stamp.at);
            let standing = before.and_then(|word| standing_end(&judged, word.stamp));
            let stands_until = stands_until(status, before, standing);
            judged.push((*status, stands_until));
            let state = stands_until.map_or(EmploymentState::Employed, |_| EmploymentState::Left);
            let from = if stands_until.is_some() { status.end } else { status.word.from };
            employment.put_in(EmploymentWord { state, from, ..status.word });
        }
        judged
    }
}

/// For how long an end stands that an earlier late status stood beside.
fn standing_end(judged: &[(LateStatus, Option<UnixMs>)], stamp: Stamp) -> Option<u64> {
    let (status, until) = judged.iter().find(|(status, _)| status.word.stamp == stamp)?;
    until.map(|until| until.ms_since(status.end))
}

/// Until when the end beside this status stands, by what was so when it was said.
fn stands_until(status: &LateStatus, before: Option<EmploymentWord>, standing: Option<u64>) -> Option<UnixMs> {
    let LateStatus { end, word } = *status;
    let lasts_ms = match before {
        // Somebody whom HR has called employed since, or whose status was seen to say "left", was hired again.
        Some(before) if before.state == EmploymentState::Employed && before.stamp.at > end => return None,
        Some(before) if before.state == EmploymentState::Left && before.is_status && standing.is_none() => return None,
        Some(before) if before.state == EmploymentState::Left && is_near(before.from, end) => {
            let is_said = before.is_announced() || !before.is_status;
            standing.unwrap_or(if is_said { ANNOUNCED_MS } else { UNANNOUNCED_MS })
        }
        Some(_) | None => UNANNOUNCED_MS,
    };
    Some(end.plus_ms(lasts_ms)).filter(|until| word.stamp.at < *until)
}

fn is_near(one: UnixMs, other: UnixMs) -> bool {
    one.ms_since(other).max(other.ms_since(one)) <= MOVED_END_MS
}

#[cfg(test)]
mod tests {
    use super::EmploymentState::{Employed, Left};
    use super::*;
    use crate::core::person::{EventKind, Facts, Person, Record, SourceName};

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    /// The last day is over.
    const END: UnixMs = UnixMs(1_795_392_000_000);

    fn said(at: UnixMs, kind: EventKind, facts: Facts) -> Event {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        Event { person, kind, at: Some(at), facts }
    }

    fn status(at: UnixMs, state: EmploymentState, end: Option<UnixMs>) -> Event {
        let from = end.filter(|_| state == Left);
        let beside_end = end.filter(|_| state == Employed).map(BesideEnd::Status);
        let employment = Some((state, from));
        let facts = Facts { employment, is_status: true, tells_end: end.is_some(), beside_end, ..Facts::default() };
        said(at, EventKind::Update, facts)
    }

    fn hire(at: UnixMs) -> Event {
        said(at, EventKind::Hire, Facts { employment: Some((Employed, None)), ..Facts::default() })
    }

    fn leave(at: UnixMs, from: UnixMs) -> Event {
        said(at, EventKind::Leave, Facts { employment: Some((Left, Some(from))), ..Facts::default() })
    }

    /// What the record says at `now` after these events, in every order.
    fn ends(events: &[Event], now: UnixMs) -> Option<EmploymentState> {
        let mut found = Vec::new();
        for turn in 0..events.len() {
            for is_reversed in [false, true] {
                let mut order = events.to_vec();
                order.rotate_left(turn);
                if is_reversed {
                    order.reverse();
                }
                let mut record = Record::default();
                // Redelivered, too.
                for (seq, event) in (1..).zip(order.iter().chain(&order)) {
                    record.fold(event, now, seq);
                }
                found.push(record.membership(now));
            }
        }
        found.dedup();
        assert_eq!(found.len(), 1, "the order matters: {found:?}");
        found[0]
    }

    #[test]
    fn an_announced_end_stands_beside_a_late_status_for_a_week() {
        let told = [hire(END.minus_ms(30 * DAY)), leave(END.minus_ms(10 * DAY), END)];
        for (after, state) in [(HOUR, Left), (30 * HOUR, Left), (6 * DAY, Left), (8 * DAY, Employed)] {
            let at = END.plus_ms(after);
            let events = [&told[..], &[status(at, Employed, Some(END))]].concat();
            assert_eq!(ends(&events, at), Some(state), "{after}");
        }
        // Whatever is said in between, and if the end was moved.
        let at = END.plus_ms(3 * DAY);
        let talk = [1, 5, 30, 50].map(|hours| status(END.plus_ms(hours * HOUR), Employed, Some(END)));
        assert_eq!(ends(&[&told[..], &talk].concat(), at), Some(Left));
        let moved = status(END.plus_ms(HOUR), Employed, Some(END.minus_ms(DAY)));
        assert_eq!(ends(&[&told[..], &[moved]].concat(), at), Some(Left));
    }

    #[test]
    fn an_end_that_was_not_announced_stands_for_two_days() {
        for (after, state) in [(HOUR, Left), (47 * HOUR, Left), (49 * HOUR, Employed)] {
            let at = END.plus_ms(after);
            let late = status(at, Employed, Some(END));
            assert_eq!(ends(std::slice::from_ref(&late), at), Some(state), "{after}");
            assert_eq!(ends(&[hire(END.minus_ms(30 * DAY)), late.clone()], at), Some(state), "{after}");
            let told = [hire(END.minus_ms(30 * DAY)), leave(END.plus_ms(60_000), END)];
            assert_eq!(ends(&[&told[..], &[late]].concat(), at), Some(Left), "a leave that was told: {after}");
        }
    }

    #[test]
    fn a_rehire_counts_beside_the_end_of_the_former_employment() {
        let told = [hire(END.minus_ms(30 * DAY)), leave(END.minus_ms(10 * DAY), END)];
        let back = END.plus_ms(30 * HOUR);
        // The status was seen to say "left", or HR sent a hire.
        for since in [
            vec![status(END.plus_ms(2 * HOUR), Left, Some(END)), status(back, Employed, Some(END))],
            vec![status(END.plus_ms(2 * HOUR), Left, None), status(back, Employed, Some(END))],
            vec![hire(back)],
            vec![hire(back), status(back.plus_ms(HOUR), Employed, Some(END))],
        ] {
            let events = [&told[..], &since].concat();
            assert_eq!(ends(&events, back.plus_ms(2 * HOUR)), Some(Employed), "{since:?}");
            let again = [&events[..], &[status(back.plus_ms(DAY), Employed, Some(END))]].concat();
            assert_eq!(ends(&again, back.plus_ms(2 * DAY)), Some(Employed), "and stays: {since:?}");
        }
        // They leave again.
        let gone = leave(back.plus_ms(DAY), back.plus_ms(DAY));
        let events = [&told[..], &[hire(back), gone]].concat();
        assert_eq!(ends(&events, back.plus_ms(2 * DAY)), Some(Left));
    }

    #[test]
    fn what_a_stated_end_means_is_settled_once_it_is_known_whether_it_is_over() {
        let settled = |beside_end, from, at| {
            let employment = Some((Employed, from));
            let mut facts = Facts { employment, beside_end: Some(beside_end), ..Facts::default() };
            facts.settle_end(at);
            (facts.employment, facts.end_beside_status())
        };
        let (before, after, starts) = (END.minus_ms(1), END, Some(END.plus_ms(DAY)));
        assert_eq!(settled(BesideEnd::Status(END), None, before), (Some((Employed, None)), None));
        assert_eq!(settled(BesideEnd::Status(END), None, after), (Some((Employed, None)), Some(END)));
        assert_eq!(settled(BesideEnd::BeforeStart(END), starts, before), (Some((Employed, None)), None));
        assert_eq!(settled(BesideEnd::BeforeStart(END), starts, after), (Some((Employed, starts)), None));
        assert_eq!(settled(BesideEnd::OnlyAhead(END), starts, before), (Some((Employed, starts)), None));
        assert_eq!(settled(BesideEnd::OnlyAhead(END), starts, after), (None, None));
    }

    #[test]
    fn an_employment_without_an_end_counts_before_those_that_are_over() {
        let at = END.plus_ms(HOUR);
        let ended = |end| status(at, Employed, Some(end));
        let runs = status(at, Employed, None);
        for (mut events, stated) in [
            (vec![ended(END), runs.clone()], vec![None, None]),
            (vec![runs, ended(END)], vec![None, None]),
            (vec![ended(END), ended(END.minus_ms(900 * DAY))], vec![Some(END), Some(END)]),
        ] {
            settle_ends_of_one(&mut events);
            let ends: Vec<_> = events.iter().map(|event| event.facts.end_beside_status()).collect();
            assert_eq!(ends, stated);
        }
    }

    #[test]
    fn it_is_known_until_when_the_end_stands() {
        let mut record = Record::default();
        for (seq, event) in (1..).zip([hire(END.minus_ms(30 * DAY)), leave(END.minus_ms(10 * DAY), END)]) {
            record.fold(&event, END, seq);
        }
        assert_eq!(record.end_stands_until(), None, "no status was late so far");
        record.fold(&status(END.plus_ms(HOUR), Employed, Some(END)), END.plus_ms(HOUR), 3);
        assert_eq!(record.end_stands_until(), Some(END.plus_ms(7 * DAY)));
        record.fold(&status(END.plus_ms(DAY), Left, Some(END)), END.plus_ms(DAY), 4);
        assert_eq!(record.end_stands_until(), None);
    }
}
