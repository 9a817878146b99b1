//! How an event folds into the record: a pure function. Events may come in any order, any number of times.

use super::{EarlierEmail, Record, Start};
use crate::core::person::email::Email;
use crate::core::person::employment::{EmploymentState, EmploymentWord, TimedWord};
use crate::core::person::event::{Event, EventKind, Facts};
use crate::core::person::fact::{Fact, Stamp, StatedAt};
use crate::core::person::late_status::LateStatus;
use crate::core::time::UnixMs;

/// How far ahead of its acceptance a statement may be dated. If it is dated later (a start date, or a wrong clock), the
/// time of acceptance counts instead: otherwise it would outdate everything that HR says until then.
pub const AHEAD_MS_MAX: u64 = 3_600_000;
/// A statement that arrives after a roster was read is newer than the roster only if it is dated at most this long
/// before it. This is more than a day, since some sources give only the day, in any zone.
const TOLD_BEFORE_MS_MAX: u64 = 26 * 3_600_000;
/// How many statements about the first day of work are kept.
const STARTS_MAX: usize = 8;
/// How many addresses from before the newest one are kept.
const EARLIER_EMAILS_MAX: usize = 5;

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folded {
    /// The names of the facts about which it says something new.
    pub news: Vec<&'static str>,
    /// The stated time is so far ahead that the time of acceptance counts instead.
    pub is_ahead: bool,
    /// It brings no news, and a newer statement says otherwise.
    pub is_outdated: bool,
}

/// Whether a statement is newer than the roster that was read at `accepted_at` and is entry `seq` of the store. One
/// that arrived later but is dated long before is older: the roster shows its effect already.
pub(in crate::core::person) fn is_since(stamp: &Stamp, accepted_at: UnixMs, seq: u64) -> bool {
    stamp.is_after(accepted_at, seq) && stamp.at.plus_ms(TOLD_BEFORE_MS_MAX) >= accepted_at
}

impl Record {
    /// Folds in an event that was accepted at `accepted_at` as number `seq` of the store.
    pub fn fold(&mut self, event: &Event, accepted_at: UnixMs, seq: u64) -> Folded {
        self.fold_as(event, accepted_at, seq, false)
    }

    /// Folds in a row of a roster. What it says about employment describes the present, not what is to come.
    pub fn fold_row(&mut self, event: &Event, accepted_at: UnixMs, seq: u64) -> Folded {
        self.fold_as(event, accepted_at, seq, true)
    }

    /// Drops the facts of a row about which HR has said something since: a row describes the moment at which the roster
    /// was read, however late it is applied.
    pub fn leave_out_said_since(&self, facts: &mut Facts, accepted_at: UnixMs, seq: u64) {
        let is_since = |stamp: &Stamp| is_since(stamp, accepted_at, seq);
        let is_news = |stamp: Option<&Stamp>| stamp.is_some_and(is_since);
        // An announcement made since then does not change the present.
        let is_so_since = |word: &EmploymentWord| is_since(&word.stamp) && !word.is_announced() && !word.is_early;
        facts.employment = facts.employment.filter(|_| !self.employment.words().iter().any(is_so_since));
        facts.scope = facts.scope.filter(|_| !self.scope.words().iter().any(|word| is_since(&word.stamp)));
        let email = [self.email.as_ref().map(|fact| &fact.stamp), self.unusable_email.as_ref()];
        facts.email = facts.email.take().filter(|_| !email.into_iter().any(is_news));
        facts.given_name =
            facts.given_name.take().filter(|_| !is_news(self.given_name.as_ref().map(|fact| &fact.stamp)));
        let preferred = self.preferred_given_name.as_ref().map(|fact| &fact.stamp);
        facts.preferred_given_name = facts.preferred_given_name.take().filter(|_| !is_news(preferred));
        facts.family_name =
            facts.family_name.take().filter(|_| !is_news(self.family_name.as_ref().map(|fact| &fact.stamp)));
        facts.locale = facts.locale.take().filter(|_| !is_news(self.locale.as_ref().map(|fact| &fact.stamp)));
        facts.further.retain(|name, _| !is_news(self.further.get(name).map(|fact| &fact.stamp)));
    }

    fn fold_as(&mut self, event: &Event, accepted_at: UnixMs, seq: u64, is_of_row: bool) -> Folded {
        let is_ahead = is_ahead(event, accepted_at);
        let stamp = stamp_of(event, accepted_at, seq);
        let mut facts = event.facts.clone();
        facts.settle_end(stamp.at);
        let facts = &facts;
        let day_ends = facts.day_ends.filter(|_| event.at.is_some() && !is_ahead);
        // A statement dated only with the day of the hand-over counts as made after it if it arrived after it.
        let closed = self.closed.as_ref();
        let closed = closed.map(|closed| Stamp { at: closed.said_at(), accepted_at: closed.at, seq: 0 });
        let stated_at = StatedAt { stamp, day_ends }.after(&closed);
        let (stamp, at) = (stated_at.stamp, stated_at.stamp.at);
        let (mut news, mut is_otherwise) = (Vec::new(), false);
        let mut note = |is_news: bool, is_so: bool, name: &'static str| {
            if is_news {
                news.push(name);
            }
            is_otherwise |= !is_news && !is_so;
        };
        self.fold_employment((event.kind, facts), stated_at, accepted_at, is_of_row, &mut note);
        if let Some((scope, from)) = facts.scope {
            let before = self.scope_from(accepted_at);
            let from = from.unwrap_or(at);
            let (is_observed, is_of_row, is_early, is_status) = (false, false, false, false);
            let word = TimedWord { state: scope, from, stamp, is_observed, is_of_row, is_early, is_status };
            self.scope.fold_dated(word, day_ends);
            self.scope.settle(accepted_at);
            // A statement that nothing has changed is not news.
            note(self.scope_from(accepted_at) != before, true, Facts::scope_name(scope));
        }
        if let Some(email) = &facts.email {
            let stated_at = stated_at.after(&self.unusable_email);
            let before = self.email.as_ref().map(|fact| (fact.value.clone(), fact.stamp));
            let is_news = Fact::fold(&mut self.email, email.clone(), stated_at);
            note(is_news, is(self.email.as_ref(), email), "email");
            for (email, stamp) in before.into_iter().chain([(email.clone(), stated_at.stamp)]) {
                self.note_earlier_email(email, stamp);
            }
        }
        if facts.unusable_email {
            note(self.fold_unusable_email(stated_at), true, "unusable_email");
        }
        if let Some(name) = &facts.given_name {
            let is_news = Fact::fold(&mut self.given_name, name.clone(), stated_at);
            note(is_news, is(self.given_name.as_ref(), name), "given_name");
        }
        if let Some(name) = &facts.preferred_given_name {
            let is_news = Fact::fold(&mut self.preferred_given_name, name.clone(), stated_at);
            note(is_news, is(self.preferred_given_name.as_ref(), name), "preferred_given_name");
        }
        if let Some(name) = &facts.family_name {
            let is_news = Fact::fold(&mut self.family_name, name.clone(), stated_at);
            note(is_news, is(self.family_name.as_ref(), name), "family_name");
        }
        if let Some(locale) = &facts.locale {
            let is_news = Fact::fold(&mut self.locale, locale.clone(), stated_at);
            note(is_news, is(self.locale.as_ref(), locale), "locale");
        }
        let (mut is_news, mut are_so) = (false, true);
        for (name, labels) in &facts.further {
            let mut fact = self.further.remove(name);
            is_news |= Fact::fold(&mut fact, labels.clone(), stated_at);
            are_so &= is(fact.as_ref(), labels);
            self.further.extend(fact.map(|fact| (name.clone(), fact)));
        }
        note(is_news, are_so, "facts");
        let is_outdated = news.is_empty() && is_otherwise;
        Folded { news, is_ahead, is_outdated }
    }

    /// Notes an address that may not be the newest one. The result is the same in whatever order they are noted.
    pub(in crate::core::person) fn note_earlier_email(&mut self, email: Email, stamp: Stamp) {
        let before = self.earlier_emails.iter().find(|known| known.email.key() == email.key()).map(|known| known.stamp);
        let stamp = before.map_or(stamp, |before| before.max(stamp));
        self.earlier_emails.retain(|known| known.email.key() != email.key());
        let place = self.earlier_emails.partition_point(|known| known.stamp > stamp);
        self.earlier_emails.insert(place, EarlierEmail { email, stamp });
        let newest = self.email.as_ref().map(|fact| fact.value.key());
        self.earlier_emails.retain(|known| Some(known.email.key()) != newest);
        self.earlier_emails.truncate(EARLIER_EMAILS_MAX);
    }

    /// Folds in what is stated about employment, and about the first day.
    fn fold_employment(
        &mut self,
        (kind, facts): (EventKind, &Facts),
        stated_at: StatedAt,
        accepted_at: UnixMs,
        is_of_row: bool,
        note: &mut impl FnMut(bool, bool, &'static str),
    ) {
        // What was derived from late statuses, and from statements about the first day, is derived again below.
        self.take_out_moved();
        self.late_statuses.take_out(&mut self.employment);
        let mut late = None;
        if let Some((state, from)) = facts.employment {
            let (stamp, at) = (stated_at.stamp, stated_at.stamp.at);
            // The status in an update describes the present, as a row does, unless the record states an end, too: it
            // stays "active" until that day.
            let is_present = from.is_none_or(|from| state == EmploymentState::Employed && from <= at.max(accepted_at));
            let is_told_by_status = kind == EventKind::Update || facts.is_status;
            let describes_present = is_told_by_status && is_present && !facts.tells_end;
            let from = if describes_present { from.filter(|from| *from >= accepted_at) } else { from };
            // What a row announces is an announcement like any other.
            let is_observed = describes_present || (is_of_row && from.is_none());
            let from = from.unwrap_or(at);
            let is_status = facts.is_status || is_of_row;
            let is_of_row = is_of_row || facts.asks_nothing;
            let word = EmploymentWord { state, from, stamp, is_observed, is_of_row, is_early: false, is_status };
            let is_late = |end: &UnixMs| is_told_by_status && LateStatus::may_be_late(*end, at);
            late = facts.end_beside_status().filter(is_late).map(|end| LateStatus { end, word });
            if late.is_none() {
                let is_news = self.employment.fold_dated(word, stated_at.day_ends);
                let newest = self.employment.counting().max_by_key(|word| word.stamp);
                note(is_news, newest.is_some_and(|newest| newest.state == state), Facts::employment_name(state));
            }
            // "Terminated", with a last day that is still to come.
            if facts.is_status && state == EmploymentState::Left && word.from > at.max(accepted_at) {
                let early = EmploymentWord { from: at, is_observed: true, is_early: true, ..word };
                self.employment.fold_dated(early, stated_at.day_ends);
            }
        }
        let is_new = late.is_some_and(|late| self.late_statuses.fold(late, stated_at, &self.employment));
        self.late_statuses.put_in(&mut self.employment);
        if late.is_some() {
            let newest = self.employment.counting().max_by_key(|word| word.stamp);
            note(is_new, true, Facts::employment_name(newest.map_or(EmploymentState::Employed, |newest| newest.state)));
        }
        if let Some(from) = facts.starts {
            let is_news = self.fold_start(from, stated_at);
            note(is_news, self.starts.last().is_some_and(|newest| newest.from == from), "starts");
        }
        self.put_in_moved();
    }

    /// Folds in a statement about the first day. Returns whether it is the newest.
    fn fold_start(&mut self, from: UnixMs, stated_at: StatedAt) -> bool {
        let stamp = stated_at.among(self.starts.iter().map(|start| &start.stamp));
        let was_stated = |known: &Start| known.stamp == stamp || (known.stamp.at, known.from) == (stamp.at, from);
        if self.starts.iter().any(was_stated) {
            return false;
        }
        let place = self.starts.partition_point(|known| known.stamp < stamp);
        self.starts.insert(place, Start { from, stamp });
        if self.starts.len() > STARTS_MAX {
            self.starts.remove(0);
        }
        self.starts.last().is_some_and(|newest| newest.stamp == stamp)
    }

    /// Puts the start that was moved in place of the one that says where it was moved to.
    fn take_out_moved(&mut self) {
        let is_moved = |word: &EmploymentWord| {
            let is_of_start = self.starts.iter().any(|start| start.stamp == word.stamp);
            is_of_start && word.state == EmploymentState::Employed
        };
        self.employment.take_out(is_moved);
        for start in std::mem::take(&mut self.moved) {
            self.employment.put_in(start);
        }
    }

    /// Moves the start that was announced last by each statement about it. A statement counts only if it was made before the
    /// start that it moves. What else is announced, such as the end of a fixed term, does not matter.
    fn put_in_moved(&mut self) {
        let is_announced = |word: &&EmploymentWord| word.state == EmploymentState::Employed && word.is_announced();
        let announced = self.employment.counting().filter(is_announced).max_by_key(|word| word.stamp);
        let Some(announced) = announced.copied() else { return };
        let mut word = announced;
        for start in &self.starts {
            if start.stamp > word.stamp && start.stamp.at < word.from {
                word = EmploymentWord { from: start.from, stamp: start.stamp, ..word };
            }
        }
        if word != announced {
            self.employment.take_out(|word| *word == announced);
            self.moved.push(announced);
            self.employment.put_in(word);
        }
    }

    /// Folds in an address that cannot be used. One that was already stated for that instant is a redelivery, and does
    /// not undo a correction.
    fn fold_unusable_email(&mut self, stated_at: StatedAt) -> bool {
        let email = self.email.as_ref().map(|fact| &fact.stamp);
        let stamp = stated_at.among(email.into_iter().chain(&self.unusable_email));
        if let Some(known) = self.unusable_email
            && (known.at > stamp.at || (known.at == stamp.at && stated_at.day_ends.is_none()))
        {
            let is_same = known.at == stamp.at;
            self.unusable_email = Some(if is_same { known.min(stamp) } else { known });
            return false;
        }
        let waited = self.waits_for_email();
        self.unusable_email = self.unusable_email.max(Some(stamp));
        self.waits_for_email() && !(waited && stated_at.day_ends.is_some())
    }
}

fn is<T: PartialEq>(fact: Option<&Fact<T>>, value: &T) -> bool {
    fact.is_some_and(|fact| fact.value == *value)
}

/// Whether an event's time is so far ahead that it is not trusted.
fn is_ahead(event: &Event, accepted_at: UnixMs) -> bool {
    event.at.is_some_and(|at| at.ms_since(accepted_at) > AHEAD_MS_MAX)
}

/// The place in time of what an event states.
pub(in crate::core::person) fn stamp_of(event: &Event, accepted_at: UnixMs, seq: u64) -> Stamp {
    let at = event.at.filter(|_| !is_ahead(event, accepted_at)).unwrap_or(accepted_at);
    Stamp { at, accepted_at, seq }
}
