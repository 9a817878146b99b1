//! The record: the newest value of each fact. Folding an event into it is a pure function, and events may come in
//! any order, any number of times.

use serde::{Deserialize, Serialize};

use super::email::{AddressHash, Email};
use super::employment::{Employment, EmploymentState, EmploymentWord, Scope, TimedWord, Timeline};
use super::event::{Event, EventKind, Facts, Stated};
use super::fact::{self, Fact, Stamp, Told};
use super::identity::Person;
use super::label::{FurtherFacts, Label};
use super::name::{Locale, Name};
use crate::core::time::UnixMs;

/// How far ahead of its acceptance a statement may be dated. If it is dated later (a start date, or a wrong clock), the
/// time of acceptance counts instead: otherwise it would outdate everything that HR says until then.
pub const AHEAD_MS_MAX: u64 = 3_600_000;
/// A statement that arrives after a roster was read is newer than the roster only if it is dated at most this long
/// before it. This is more than a day, since some sources give only the day, in any zone.
const TOLD_BEFORE_MS_MAX: u64 = 26 * 3_600_000;

/// How many statements about the first day of work are kept.
const STARTS_MAX: usize = 8;

/// What HR says about a person: the newest of each fact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Employment, as announced.
    pub employment: Employment,
    /// Statements that give only the first day of work, for somebody who has not started yet; oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Start>,
    /// Whether they are in scope by the source's rules.
    #[serde(skip_serializing_if = "Timeline::is_empty")]
    pub scope: Timeline<Scope>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Fact<Email>>,
    /// When a hire last had an address that cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable_email: Option<Stamp>,
    /// The given name, or that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<Fact<Stated<Name>>>,
    /// The preferred given name, or that there is none. A fact of its own, since HR may state one without the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_given_name: Option<Fact<Stated<Name>>>,
    /// The family name, or that there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<Fact<Stated<Name>>>,
    /// The locale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Fact<Locale>>,
    /// The facts that groups are derived from.
    #[serde(skip_serializing_if = "FurtherFacts::is_empty")]
    pub further: FurtherFacts<Fact<Vec<Label>>>,
    /// Set once the member belongs to another record: later events are kept and reported, but not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// A statement that gives only the first day of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// When they should be in the team.
    pub from: UnixMs,
    /// When HR said so.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// A record whose member was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The member's new owner.
    pub to: Person,
    /// The new owner has another name: it is another human being, not the same one under a new id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_another: bool,
    /// When the member was handed over, by the bridge's clock.
    pub at: UnixMs,
    /// HR's newest statement about the new owner at that time, by HR's clock: what it says later about this person is newer,
    /// however late or early it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<UnixMs>,
    /// The address that HR gave for the new owner at that time.
    #[serde(default, alias = "address", skip_serializing_if = "Option::is_none")]
    pub address_hash: Option<AddressHash>,
    /// What HR has said since then about the member's new owner, as far as it matters to this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerNow>,
}

/// What HR says about the person to whom a member was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnerNow {
    /// HR has changed their address since the hand-over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_moved: bool,
    /// When they left or went out of scope, or when HR said so, whichever is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<UnixMs>,
    /// No more notifications about them will come: too many records asked for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_out_of_sight: bool,
}

impl OwnerNow {
    /// Derived from that person's record; `address` is that at the hand-over.
    #[must_use]
    pub fn of(record: &Record, address: Option<AddressHash>, now: UnixMs) -> Self {
        let out = record.scope.at(now).filter(|word| word.state == Scope::Out).map(|word| word.from.max(word.stamp.at));
        let left = record.employment.at(now).filter(|word| word.state == EmploymentState::Left);
        let left = left.map(|word| word.from.max(word.stamp.at));
        let has_moved =
            address.zip(record.email()).is_some_and(|(before, email)| AddressHash::of(email.key()) != before);
        Self { has_moved, left: left.max(out), is_out_of_sight: false }
    }

    /// For two people who owned the member one after the other: what is true of either.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        Self {
            has_moved: self.has_moved || next.has_moved,
            left: self.left.max(next.left),
            is_out_of_sight: self.is_out_of_sight || next.is_out_of_sight,
        }
    }
}

impl Closed {
    /// What HR says from then on is newer than the hand-over. Older versions knew only the bridge's own time of it.
    fn said_at(&self) -> UnixMs {
        self.said_at.unwrap_or(self.at)
    }

    /// Whether a statement is newer than the one for which the member was handed over.
    fn is_before(&self, stamp: &Stamp) -> bool {
        match self.said_at {
            Some(said_at) => stamp.at > said_at || (stamp.at == said_at && stamp.accepted_at > self.at),
            None => stamp.accepted_at > self.at && stamp.at >= self.at,
        }
    }

    /// Whether HR has changed the new owner's address since the hand-over: then they are two human beings, whatever
    /// their names.
    #[must_use]
    pub fn owner_has_moved(&self) -> bool {
        self.owner.is_some_and(|owner| owner.has_moved)
    }

    /// Says to whom the member was handed over, and what has since cast doubt on it.
    #[must_use]
    pub fn told(&self) -> String {
        let owner = self.owner.unwrap_or_default();
        let since = match (owner.has_moved, owner.left) {
            (_, Some(_)) => ", who has left",
            (true, None) => ", to whom HR has given another address since",
            (false, None) if owner.is_out_of_sight => {
                ", who no longer notifies this record (too many records asked for it)"
            }
            (false, None) => "",
        };
        format!("their member was handed over to {}{since}", self.to)
    }

    /// When the new owner left.
    #[must_use]
    pub fn owner_left_at(&self) -> Option<UnixMs> {
        self.owner.and_then(|owner| owner.left)
    }

    /// Whether what HR has said since casts doubt on the new owner being the same human being.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.owner.is_some_and(|owner| owner.has_moved || owner.left.is_some() || owner.is_out_of_sight)
    }
}

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
pub(super) fn is_since(stamp: &Stamp, accepted_at: UnixMs, seq: u64) -> bool {
    stamp.is_after(accepted_at, seq) && stamp.at.plus_ms(TOLD_BEFORE_MS_MAX) >= accepted_at
}

impl Record {
    /// Whether somebody whose member was handed over should get a new one. Since the hand-over HR must have said that
    /// they work there, or will; and the new owner must be another human being: either their names differ and HR has
    /// since given an address for this person, or HR has changed the new owner's address. If the new owner has left, it
    /// is enough that HR has hired this person after that, even if they are the same human being.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        let Some(closed) = &self.closed else { return false };
        let is_since = |stamp: &Stamp| closed.is_before(stamp);
        let in_scope = self.scope.counting().filter(|word| word.state == Scope::In).max_by_key(|word| word.stamp);
        let hired = self.newest_hire().map(|word| word.stamp).filter(is_since);
        let is_said = hired.is_some() || in_scope.is_some_and(|word| is_since(&word.stamp));
        let is_own = |email: &Fact<Email>| {
            email.stamp.accepted_at > closed.at || closed.address_hash != Some(AddressHash::of(email.value.key()))
        };
        let has_own_address = self.email.as_ref().is_some_and(|email| is_since(&email.stamp) && is_own(email));
        let is_another = (closed.is_another && has_own_address) || closed.owner_has_moved();
        // It would not have been handed over, had this arrived in HR's order.
        if self.works_here() && self.had_moved_away(closed) {
            return true;
        }
        let is_newer = closed.owner_left_at().is_some_and(|left| hired.is_some_and(|hired| hired.at > left));
        self.works_here() && ((is_said && is_another) || is_newer)
    }

    /// Whether they work there but have no member: it was handed over to somebody who seems to be another human being,
    /// and HR has said nothing since that gives them a new one.
    #[must_use]
    pub fn lacks_member(&self) -> bool {
        let Some(closed) = &self.closed else { return false };
        let has_own_address =
            closed.address_hash.zip(self.email()).is_some_and(|(had, own)| had != AddressHash::of(own.key()));
        (closed.is_doubtful() || has_own_address) && self.works_here() && !self.comes_back()
    }

    /// A digest of what HR says, now and for later, whenever and however often it was said.
    #[must_use]
    pub fn says(&self, now: UnixMs) -> u32 {
        fn timed<S: Copy + Eq + Serialize>(timeline: &Timeline<S>, now: UnixMs) -> u32 {
            let later = timeline.counting().filter(|word| word.from > now).map(|word| (word.state, word.from));
            fact::hash(&(timeline.at(now).map(|word| word.state), later.collect::<Vec<_>>()))
        }
        let further: Vec<_> = self.further.iter().map(|(name, fact)| (name, &fact.value)).collect();
        fact::hash(&(
            (timed(&self.employment, now), timed(&self.scope, now), self.unusable_email.is_some()),
            (self.email.as_ref().map(|fact| &fact.value), self.locale.as_ref().map(|fact| &fact.value)),
            self.given_name.as_ref().map(|fact| &fact.value),
            self.preferred_given_name.as_ref().map(|fact| &fact.value),
            self.family_name.as_ref().map(|fact| &fact.value),
            further,
        ))
    }

    /// Whether HR had given them another address before it gave theirs to the new owner, and that arrived afterwards.
    fn had_moved_away(&self, closed: &Closed) -> bool {
        let (Some(email), Some(handed), Some(said_at)) = (&self.email, closed.address_hash, closed.said_at) else {
            return false;
        };
        let is_late = email.stamp.accepted_at > closed.at && email.stamp.at <= said_at;
        is_late && AddressHash::of(email.value.key()) != handed
    }

    /// HR's newest statement about where they work and under which address, by HR's clock.
    #[must_use]
    pub fn said_at(&self) -> Option<UnixMs> {
        self.employment.said_at().max(self.email.as_ref().map(|email| email.stamp.at))
    }

    /// HR's newest statement that they are employed, in effect or not.
    fn newest_hire(&self) -> Option<&EmploymentWord> {
        let employed = self.employment.counting().filter(|word| word.state == EmploymentState::Employed);
        employed.max_by_key(|word| word.stamp)
    }

    /// Whether HR says that they work there and are in scope, now or later. Somebody who is working out their notice
    /// does not count: their leave was announced after the hire.
    #[must_use]
    pub fn works_here(&self) -> bool {
        let ended = |by: &EmploymentWord| {
            let is_over = |word: &EmploymentWord| word.stamp > by.stamp;
            self.employment.counting().any(|word| word.state == EmploymentState::Left && is_over(word))
        };
        let newest_scope = self.scope.counting().max_by_key(|word| word.stamp);
        let is_meant = newest_scope.is_none_or(|word| word.state == Scope::In || word.is_announced());
        self.newest_hire().is_some_and(|word| !ended(word)) && is_meant
    }

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
        let facts = &event.facts;
        let day_ends = facts.day_ends.filter(|_| event.at.is_some() && !is_ahead);
        // A statement dated only with the day of the hand-over counts as made after it if it arrived after it.
        let closed = self.closed.as_ref();
        let closed = closed.map(|closed| Stamp { at: closed.said_at(), accepted_at: closed.at, seq: 0 });
        let told = Told { stamp, day_ends }.after(&closed);
        let (stamp, at) = (told.stamp, told.stamp.at);
        let (mut news, mut is_otherwise) = (Vec::new(), false);
        let mut note = |is_news: bool, is_so: bool, name: &'static str| {
            if is_news {
                news.push(name);
            }
            is_otherwise |= !is_news && !is_so;
        };
        // What was derived from statements about the first day is derived again below.
        let starts = std::mem::take(&mut self.starts);
        self.employment.take_out(|word| starts.iter().any(|start| start.stamp == word.stamp && !word.is_early));
        self.starts = starts;
        if let Some((state, from)) = facts.employment {
            // The status in an update describes the present, as a row does, unless the record states an end, too: it
            // stays "active" until that day.
            let is_present = from.is_none_or(|from| state == EmploymentState::Employed && from <= at.max(accepted_at));
            let is_told_by_status = event.kind == EventKind::Update || facts.is_status;
            let is_status = is_told_by_status && is_present && !facts.tells_end;
            let from = if is_status { from.filter(|from| *from >= accepted_at) } else { from };
            // What a row announces is an announcement like any other.
            let is_observed = is_status || (is_of_row && from.is_none());
            let is_of_row = is_of_row || facts.asks_nothing;
            let word =
                EmploymentWord { state, from: from.unwrap_or(at), stamp, is_observed, is_of_row, is_early: false };
            let name = match state {
                EmploymentState::Employed => "employed",
                EmploymentState::Left => "left",
            };
            let is_news = self.employment.fold_told(word, day_ends);
            let newest = self.employment.counting().max_by_key(|word| word.stamp);
            note(is_news, newest.is_some_and(|newest| newest.state == state), name);
            // "Terminated", with a last day that is still to come.
            if facts.is_status && state == EmploymentState::Left && word.from > at.max(accepted_at) {
                let early = EmploymentWord { from: at, is_observed: true, is_early: true, ..word };
                self.employment.fold_told(early, day_ends);
            }
        }
        if let Some(from) = facts.starts {
            let is_news = self.fold_start(from, told);
            note(is_news, self.starts.last().is_some_and(|newest| newest.from == from), "starts");
        }
        for moved in self.moved_starts() {
            self.employment.put_in(moved);
        }
        if let Some((scope, from)) = facts.scope {
            let before = self.scope_from(accepted_at);
            let from = from.unwrap_or(at);
            let word = TimedWord { state: scope, from, stamp, is_observed: false, is_of_row: false, is_early: false };
            self.scope.fold_told(word, day_ends);
            self.scope.settle(accepted_at);
            // A statement that nothing has changed is not news.
            note(self.scope_from(accepted_at) != before, true, Facts::scope_name(scope));
        }
        if let Some(email) = &facts.email {
            let is_news = Fact::fold(&mut self.email, email.clone(), told.after(&self.unusable_email));
            note(is_news, is(self.email.as_ref(), email), "email");
        }
        if facts.unusable_email {
            note(self.fold_unusable_email(told), true, "unusable_email");
        }
        if let Some(name) = &facts.given_name {
            let is_news = Fact::fold(&mut self.given_name, name.clone(), told);
            note(is_news, is(self.given_name.as_ref(), name), "given_name");
        }
        if let Some(name) = &facts.preferred_given_name {
            let is_news = Fact::fold(&mut self.preferred_given_name, name.clone(), told);
            note(is_news, is(self.preferred_given_name.as_ref(), name), "preferred_given_name");
        }
        if let Some(name) = &facts.family_name {
            let is_news = Fact::fold(&mut self.family_name, name.clone(), told);
            note(is_news, is(self.family_name.as_ref(), name), "family_name");
        }
        if let Some(locale) = &facts.locale {
            let is_news = Fact::fold(&mut self.locale, locale.clone(), told);
            note(is_news, is(self.locale.as_ref(), locale), "locale");
        }
        let (mut is_news, mut are_so) = (false, true);
        for (name, labels) in &facts.further {
            let mut fact = self.further.remove(name);
            is_news |= Fact::fold(&mut fact, labels.clone(), told);
            are_so &= is(fact.as_ref(), labels);
            self.further.extend(fact.map(|fact| (name.clone(), fact)));
        }
        note(is_news, are_so, "facts");
        let is_outdated = news.is_empty() && is_otherwise;
        Folded { news, is_ahead, is_outdated }
    }

    /// Folds in a statement about the first day. Returns whether it is the newest.
    fn fold_start(&mut self, from: UnixMs, told: Told) -> bool {
        let stamp = told.among(self.starts.iter().map(|start| &start.stamp));
        let is_told = |known: &Start| known.stamp == stamp || (known.stamp.at, known.from) == (stamp.at, from);
        if self.starts.iter().any(is_told) {
            return false;
        }
        let place = self.starts.partition_point(|known| known.stamp < stamp);
        self.starts.insert(place, Start { from, stamp });
        if self.starts.len() > STARTS_MAX {
            self.starts.remove(0);
        }
        self.starts.last().is_some_and(|newest| newest.stamp == stamp)
    }

    /// The announced start of employment after each statement that moved it. A statement counts only if it was made
    /// before the start that it moved.
    fn moved_starts(&self) -> Vec<EmploymentWord> {
        let newest = self.employment.counting().max_by_key(|word| word.stamp).copied();
        let is_announced = |word: &EmploymentWord| word.state == EmploymentState::Employed && word.is_announced();
        let Some(mut word) = newest.filter(is_announced) else { return Vec::new() };
        let mut moved = Vec::new();
        for start in &self.starts {
            if start.stamp > word.stamp && start.stamp.at < word.from {
                word = EmploymentWord { from: start.from, stamp: start.stamp, ..word };
                moved.push(word);
            }
        }
        moved
    }

    /// When HR stated the value of this field that counts.
    pub(super) fn stated_at(&self, field: &str) -> Option<Stamp> {
        match field {
            "email" => self.email.as_ref().map(|fact| fact.stamp),
            "given_name" => self.given_name.as_ref().map(|fact| fact.stamp),
            "family_name" => self.family_name.as_ref().map(|fact| fact.stamp),
            _ => None,
        }
    }

    /// Folds in an address that cannot be used. One that was already stated for that instant is a redelivery, and does
    /// not undo a correction.
    fn fold_unusable_email(&mut self, told: Told) -> bool {
        let email = self.email.as_ref().map(|fact| &fact.stamp);
        let stamp = told.among(email.into_iter().chain(&self.unusable_email));
        if let Some(known) = self.unusable_email
            && (known.at > stamp.at || (known.at == stamp.at && told.day_ends.is_none()))
        {
            let is_same = known.at == stamp.at;
            self.unusable_email = Some(if is_same { known.min(stamp) } else { known });
            return false;
        }
        let waited = self.waits_for_email();
        self.unusable_email = self.unusable_email.max(Some(stamp));
        self.waits_for_email() && !(waited && told.day_ends.is_some())
    }

    /// Whether HR's newest address cannot be used: nobody is invited, or switched on, under an earlier one.
    #[must_use]
    pub fn waits_for_email(&self) -> bool {
        self.unusable_email.is_some_and(|unusable| self.email.as_ref().is_none_or(|email| unusable > email.stamp))
    }

    /// The time of the newest statement that counts.
    #[must_use]
    pub fn newest_at(&self) -> Option<UnixMs> {
        let facts = [
            self.employment.said_at(),
            self.starts.last().map(|start| start.stamp.at),
            self.scope.said_at(),
            self.email.as_ref().map(|fact| fact.stamp.at),
            self.unusable_email.map(|stamp| stamp.at),
            self.given_name.as_ref().map(|fact| fact.stamp.at),
            self.preferred_given_name.as_ref().map(|fact| fact.stamp.at),
            self.family_name.as_ref().map(|fact| fact.stamp.at),
            self.locale.as_ref().map(|fact| fact.stamp.at),
        ];
        let further = self.further.values().map(|fact| fact.stamp.at);
        facts.into_iter().flatten().chain(further).max()
    }

    /// Whether they are out of scope at `now`.
    #[must_use]
    pub fn is_out_of_scope(&self, now: UnixMs) -> bool {
        self.scope.at(now).is_some_and(|word| word.state == Scope::Out)
    }

    /// Whether they are out of scope at `now`, and when an announced change will alter that.
    fn scope_from(&self, now: UnixMs) -> (bool, Option<UnixMs>) {
        let is_out = self.is_out_of_scope(now);
        let next = self.scope.next_change(now).filter(|word| (word.state == Scope::Out) != is_out);
        (is_out, next.map(|word| word.from))
    }

    /// When an announced change of their membership takes effect.
    #[must_use]
    pub fn next_change(&self, now: UnixMs) -> Option<UnixMs> {
        let employment = self.employment.next_change(now).map(|word| word.from);
        employment.into_iter().chain(self.scope_from(now).1).min()
    }

    /// Whether they should be in the team at `now`: being out of scope counts as having left. None if HR has said
    /// nothing about it, or only announced it.
    #[must_use]
    pub fn membership(&self, now: UnixMs) -> Option<EmploymentState> {
        if self.is_out_of_scope(now) {
            return Some(EmploymentState::Left);
        }
        self.employment.at(now).map(|word| word.state)
    }

    /// The last usable address that HR gave; see [`Record::waits_for_email`].
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        self.email.as_ref().map(|fact| &fact.value)
    }

    /// HR's given name, the preferred one if there is one: none if HR has not said anything, `Some("")` if it says that
    /// there is none.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        self.given_name_fact().map(|fact| text(&fact.value))
    }

    /// Which of the two given names counts. An empty preferred name does not clear the other.
    #[must_use]
    pub fn given_name_fact(&self) -> Option<&Fact<Stated<Name>>> {
        let preferred = self.preferred_given_name.as_ref().filter(|fact| fact.value != Stated::None);
        preferred.or(self.given_name.as_ref())
    }

    /// HR's family name, likewise.
    #[must_use]
    pub fn family_name(&self) -> Option<&str> {
        self.family_name.as_ref().map(|fact| text(&fact.value))
    }

    /// The values of a further fact: none if HR has not said anything about it.
    #[must_use]
    pub fn further(&self, name: &str) -> Option<&[Label]> {
        self.further.get(name).map(|fact| fact.value.as_slice())
    }

    /// The locale, if HR gave one.
    #[must_use]
    pub fn locale(&self) -> Option<&str> {
        self.locale.as_ref().map(|fact| fact.value.as_str())
    }
}

fn is<T: PartialEq>(fact: Option<&Fact<T>>, value: &T) -> bool {
    fact.is_some_and(|fact| fact.value == *value)
}

fn text(name: &Stated<Name>) -> &str {
    name.value().map_or("", Name::as_str)
}

/// Whether an event's time is so far ahead that it is not trusted.
fn is_ahead(event: &Event, accepted_at: UnixMs) -> bool {
    event.at.is_some_and(|at| at.ms_since(accepted_at) > AHEAD_MS_MAX)
}

/// The place in time of what an event states.
pub(super) fn stamp_of(event: &Event, accepted_at: UnixMs, seq: u64) -> Stamp {
    let at = event.at.filter(|_| !is_ahead(event, accepted_at)).unwrap_or(accepted_at);
    Stamp { at, accepted_at, seq }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::{Facts, SourceName};

    fn event(at: Option<i64>, facts: Facts) -> Event {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        Event { person, kind: EventKind::Update, at: at.map(UnixMs), facts }
    }

    fn names(given: Option<&str>, family: Option<&str>) -> Facts {
        let stated = |name: &str| Name::parse("given_name", name).unwrap().map_or(Stated::None, Stated::Is);
        Facts { given_name: given.map(stated), family_name: family.map(stated), ..Facts::default() }
    }

    #[test]
    fn an_unusable_address_replaces_the_earlier_one_until_the_next() {
        let email = |text: &str| Facts { email: Email::parse(text).ok(), ..Facts::default() };
        let unusable = Facts { unusable_email: true, ..Facts::default() };
        let words = [(10, email("a@x.com")), (20, unusable), (30, email("b@x.com"))];
        for (order, awaits, address) in [
            (&[1][..], true, None),
            (&[0, 1], true, Some("a@x.com")),
            (&[1, 0], true, Some("a@x.com")),
            (&[0, 2, 1], false, Some("b@x.com")),
            (&[1, 2, 0], false, Some("b@x.com")),
        ] {
            let mut record = Record::default();
            for (seq, place) in (1..).zip(order) {
                let (at, facts) = &words[*place];
                record.fold(&event(Some(*at), facts.clone()), UnixMs(100), seq);
            }
            assert_eq!((record.waits_for_email(), record.email().map(Email::lower)), (awaits, address), "{order:?}");
        }
        // Corrected for the same instant, and stated again.
        let mut record = Record::default();
        for (seq, facts) in (1..).zip([&words[1].1, &words[2].1, &words[1].1]) {
            record.fold(&event(Some(20), facts.clone()), UnixMs(100), seq);
        }
        assert!(!record.waits_for_email());
    }

    #[test]
    fn the_preferred_name_and_the_legal_one_end_the_same_in_any_order() {
        let preferred = |name: &str| {
            let name = Name::parse("given_name", name).unwrap().map_or(Stated::None, Stated::Is);
            Facts { preferred_given_name: Some(name), ..Facts::default() }
        };
        let words = [
            (10, Facts { preferred_given_name: preferred("Ada").preferred_given_name, ..names(Some("Augusta"), None) }),
            (20, preferred("Addy")),
            (30, names(Some("Agatha"), None)),
            (40, preferred("")),
        ];
        let after = |order: &[usize]| {
            let mut record = Record::default();
            for (seq, place) in (1..).zip(order) {
                let (at, facts) = &words[*place];
                record.fold(&event(Some(*at), facts.clone()), UnixMs(100), seq);
            }
            record.given_name().map(str::to_owned)
        };
        for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
            assert_eq!(after(&order).as_deref(), Some("Addy"), "{order:?}");
        }
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]] {
            assert_eq!(after(&order).as_deref(), Some("Agatha"), "withdrawn: {order:?}");
        }
        assert_eq!(after(&[3]), None, "that none is preferred says nothing of the other");
    }

    #[test]
    fn facts_do_not_outdate_one_another() {
        let mut record = Record::default();
        record.fold(&event(Some(20), names(None, Some("King"))), UnixMs(100), 1);
        let folded = record.fold(&event(Some(10), names(Some("Augusta"), Some("Byron"))), UnixMs(101), 2);
        assert_eq!((record.given_name(), record.family_name()), (Some("Augusta"), Some("King")));
        assert_eq!(folded.news, ["given_name"]);
    }

    #[test]
    fn a_status_in_an_update_keeps_announcements_unless_it_has_an_end() {
        use EmploymentState::{Employed, Left};
        let said = |kind, at, employment, tells_end| {
            let facts = Facts { employment: Some(employment), tells_end, ..Facts::default() };
            Event { kind, ..event(Some(at), facts) }
        };
        let folded = |events: &[Event], now| {
            let mut record = Record::default();
            for (seq, event) in (1..).zip(events) {
                record.fold(event, UnixMs(100), seq);
            }
            record.membership(UnixMs(now))
        };
        let hire = said(EventKind::Hire, 10, (Employed, None), false);
        let leave = said(EventKind::Leave, 12, (Left, Some(UnixMs(200))), false);
        let active =
            |from: Option<i64>, tells_end| said(EventKind::Update, 14, (Employed, from.map(UnixMs)), tells_end);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            for (status, ends) in [
                (active(None, false), Some(Left)),
                // With the day on which they began.
                (active(Some(5), false), Some(Left)),
                // If no end is announced any more.
                (active(None, true), Some(Employed)),
                (active(Some(5), true), Some(Employed)),
            ] {
                let events = [hire.clone(), leave.clone(), status];
                let events = order.map(|place: usize| events[place].clone());
                assert_eq!((folded(&events, 150), folded(&events, 250)), (Some(Employed), ends), "{order:?}");
            }
        }
        // A person who has yet to begin is not there.
        let begins = said(EventKind::Hire, 10, (Employed, Some(UnixMs(200))), false);
        let inactive = said(EventKind::Update, 14, (Left, None), false);
        let events = [begins, inactive];
        assert_eq!((folded(&events, 150), folded(&events, 250)), (Some(Left), Some(Employed)));
        // A status is still followed, and so is the day that it states.
        let gone = |from: Option<i64>| said(EventKind::Update, 14, (Left, from.map(UnixMs)), false);
        for from in [None, Some(5)] {
            assert_eq!(folded(&[hire.clone(), gone(from)], 150), Some(Left));
        }
    }

    #[test]
    fn a_status_beside_a_move_out_of_scope_keeps_announcements() {
        use EmploymentState::{Employed, Left};
        let said = |kind, at, facts| Event { kind, ..event(Some(at), facts) };
        let employment = |state, from: Option<i64>| Some((state, from.map(UnixMs)));
        let hire = Facts { employment: employment(Employed, None), ..Facts::default() };
        let leave = Facts { employment: employment(Left, Some(200)), ..Facts::default() };
        // "Active", in another department: a leave by its kind.
        let scope = |scope| Some((scope, None));
        let moved = Facts {
            employment: employment(Employed, None),
            is_status: true,
            scope: scope(Scope::Out),
            ..Facts::default()
        };
        let back = Facts { scope: scope(Scope::In), ..Facts::default() };
        let mut record = Record::default();
        let events =
            [(EventKind::Hire, hire), (EventKind::Leave, leave), (EventKind::Leave, moved), (EventKind::Update, back)];
        for (seq, (kind, facts)) in (1..).zip(events) {
            record.fold(&said(kind, 10 + i64::try_from(seq).unwrap(), facts), UnixMs(100), seq);
        }
        assert_eq!([150, 250].map(|now| record.membership(UnixMs(now))), [Some(Employed), Some(Left)]);
    }

    #[test]
    fn an_early_terminated_status_is_undone_by_an_active_one() {
        use EmploymentState::{Employed, Left};
        let status = |at, state, from: Option<i64>| {
            let facts = Facts { employment: Some((state, from.map(UnixMs))), is_status: true, ..Facts::default() };
            event(Some(at), facts)
        };
        let words = [status(10, Employed, None), status(20, Left, Some(200)), status(30, Employed, None)];
        for (order, expected) in
            [(&[0, 1][..], Left), (&[0, 1, 2], Employed), (&[2, 1, 0], Employed), (&[1, 2, 0], Employed)]
        {
            let mut record = Record::default();
            for (seq, place) in (1..).zip(order) {
                record.fold(&words[*place], UnixMs(100), seq);
            }
            assert_eq!(record.membership(UnixMs(150)), Some(Employed), "{order:?}");
            assert_eq!(record.membership(UnixMs(250)), Some(expected), "{order:?}");
        }
    }

    #[test]
    fn a_dated_address_and_an_unusable_one_count_in_order_of_arrival() {
        let facts = |email: Option<&str>| Facts {
            email: email.and_then(|email| Email::parse(email).ok()),
            unusable_email: email.is_none(),
            day_ends: Some(UnixMs(90)),
            ..Facts::default()
        };
        for (words, awaits) in [
            (vec![None, Some("a@x.com")], false),
            (vec![Some("a@x.com"), None, None], true),
            (vec![None, Some("a@x.com"), None], true),
        ] {
            let mut record = Record::default();
            for (seq, email) in (1..).zip(&words) {
                record.fold(&event(Some(0), facts(*email)), UnixMs(100), seq);
            }
            assert_eq!(record.waits_for_email(), awaits, "{words:?}");
        }
    }

    #[test]
    fn a_first_day_that_is_moved_counts_in_either_order() {
        use EmploymentState::Employed;
        let hire = |at, from| {
            let facts = Facts { employment: Some((Employed, Some(UnixMs(from)))), ..Facts::default() };
            Event { kind: EventKind::Hire, ..event(Some(at), facts) }
        };
        let moved = |at, starts| event(Some(at), Facts { starts: Some(UnixMs(starts)), ..Facts::default() });
        for (words, before, from) in [
            // Put off, brought forward, both, and put off again after the first of the days had passed.
            (vec![hire(10, 500), moved(20, 700)], 600, 700),
            (vec![hire(10, 500), moved(20, 300)], 200, 300),
            (vec![hire(10, 500), moved(20, 300), moved(30, 600)], 550, 600),
            (vec![hire(10, 500), moved(20, 700), moved(600, 900)], 850, 900),
            // Said before HR reported the hire, or after the day on which they began.
            (vec![hire(30, 500), moved(20, 700)], 450, 500),
            (vec![hire(10, 15), moved(20, 700)], 14, 15),
        ] {
            for turn in 0..words.len() {
                for is_reversed in [false, true] {
                    let mut order = words.clone();
                    order.rotate_left(turn);
                    if is_reversed {
                        order.reverse();
                    }
                    let mut record = Record::default();
                    for (seq, word) in (1..).zip(&order) {
                        record.fold(word, UnixMs(100), seq);
                    }
                    let at = |now: i64| record.membership(UnixMs(now));
                    let now = [before, from, 950];
                    assert_eq!(now.map(at), [None, Some(Employed), Some(Employed)], "{order:?}");
                }
            }
        }
        // Moved to a day in the past.
        let mut record = Record::default();
        record.fold(&hire(10, 500), UnixMs(100), 1);
        assert_eq!(record.fold(&moved(20, 5), UnixMs(100), 2).news, ["starts"]);
        assert_eq!((record.membership(UnixMs(100)), record.next_change(UnixMs(100))), (Some(Employed), None));
        // Somebody who has left meanwhile does not start.
        let left = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
        let left = Event { kind: EventKind::Leave, ..event(Some(15), left) };
        for order in [[0_usize, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1]] {
            let words = [hire(10, 500), left.clone(), moved(20, 700)];
            let mut record = Record::default();
            for (seq, place) in (1..).zip(order) {
                record.fold(&words[place], UnixMs(100), seq);
            }
            assert_eq!(record.membership(UnixMs(800)), Some(EmploymentState::Left), "{order:?}");
        }
    }

    #[test]
    fn an_announced_leave_ends_working_here_and_an_announced_start_begins_it() {
        use EmploymentState::{Employed, Left};
        let word = |at, state, from: Option<i64>| {
            let facts = Facts { employment: Some((state, from.map(UnixMs))), ..Facts::default() };
            event(Some(at), facts)
        };
        for (words, works_here) in [
            (vec![word(10, Employed, None)], true),
            (vec![word(10, Employed, Some(500))], true),
            (vec![word(10, Employed, None), word(20, Left, None)], false),
            (vec![word(10, Employed, None), word(20, Left, Some(500))], false),
            (vec![word(10, Left, Some(500)), word(20, Employed, Some(900))], true),
            (vec![word(20, Left, Some(500))], false),
        ] {
            for is_reversed in [false, true] {
                let mut record = Record::default();
                let mut order: Vec<_> = words.iter().collect();
                if is_reversed {
                    order.reverse();
                }
                for (seq, word) in (1..).zip(order) {
                    record.fold(word, UnixMs(100), seq);
                }
                assert_eq!(record.works_here(), works_here, "{words:?}");
            }
        }
    }

    #[test]
    fn scope_is_a_separate_fact_and_its_newest_value_wins_in_any_order() {
        let facts = |employment, scope| Facts { employment, scope, ..Facts::default() };
        let employed = Some((EmploymentState::Employed, None));
        let words = [
            (10, facts(employed, None)),
            (20, facts(None, Some((Scope::Out, None)))),
            (30, facts(None, Some((Scope::In, None)))),
        ];
        for (order, expected) in [
            (vec![0], Some(EmploymentState::Employed)),
            (vec![0, 1], Some(EmploymentState::Left)),
            (vec![1, 0], Some(EmploymentState::Left)),
            (vec![1], Some(EmploymentState::Left)),
            (vec![0, 1, 2], Some(EmploymentState::Employed)),
            (vec![2, 0, 1], Some(EmploymentState::Employed)),
            (vec![1, 2], None),
        ] {
            let mut record = Record::default();
            for (seq, n) in (1..).zip(&order) {
                record.fold(&event(Some(words[*n].0), words[*n].1.clone()), UnixMs(100), seq);
            }
            assert_eq!(record.membership(UnixMs(100)), expected, "{order:?}");
        }
    }

    #[test]
    fn an_empty_name_is_a_statement_and_an_absent_one_is_none() {
        let mut record = Record::default();
        record.fold(&event(Some(10), names(Some("Ada"), Some("King"))), UnixMs(100), 1);
        record.fold(&event(Some(20), names(Some(""), None)), UnixMs(101), 2);
        assert_eq!((record.given_name(), record.family_name()), (Some(""), Some("King")));
    }

    #[test]
    fn without_a_time_or_with_one_far_ahead_the_moment_of_acceptance_counts() {
        let mut record = Record::default();
        let hour = 3_600_000;
        let folded = record.fold(&event(Some(100 + 2 * hour), names(Some("Ahead"), None)), UnixMs(100), 1);
        assert!(folded.is_ahead);
        record.fold(&event(None, names(Some("Newer"), None)), UnixMs(200), 2);
        assert_eq!(record.given_name(), Some("Newer"));
        record.fold(&event(Some(300 + hour), names(Some("Believed"), None)), UnixMs(300), 3);
        record.fold(&event(None, names(Some("Before"), None)), UnixMs(400), 4);
        assert_eq!(record.given_name(), Some("Believed"));
    }
}
