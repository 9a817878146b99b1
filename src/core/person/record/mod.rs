//! The record: the newest value of each fact, and what follows from them.

use serde::{Deserialize, Serialize};

pub use self::closed::{Closed, OwnerNow};
pub use self::fold::{AHEAD_MS_MAX, Folded};
pub(super) use self::fold::{is_since, stamp_of};
use super::email::Email;
use super::employment::{Employment, EmploymentState, EmploymentWord, Scope, Timeline};
use super::event::Stated;
use super::fact::{self, Fact, Stamp};
use super::label::{FurtherFacts, Label};
use super::late_status::LateStatuses;
use super::name::{Locale, Name};
use crate::core::time::UnixMs;

mod closed;
mod fold;
#[cfg(test)]
mod fold_tests;

/// What HR says about a person: the newest of each fact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Employment, as announced.
    pub employment: Employment,
    /// Statements that give only the first day of work, for somebody who has not started yet; oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Start>,
    /// The announced start that the last of them moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<EmploymentWord>,
    /// Statuses that said "employed" beside an end that was over.
    #[serde(skip_serializing_if = "LateStatuses::is_empty")]
    pub late_statuses: LateStatuses,
    /// Whether they are in scope by the source's rules.
    #[serde(skip_serializing_if = "Timeline::is_empty")]
    pub scope: Timeline<Scope>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Fact<Email>>,
    /// Addresses that HR named as of an earlier instant, newest first. Kept until a member is known: their account may
    /// still be under one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier_emails: Vec<EarlierEmail>,
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

/// An address that HR named before the newest one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierEmail {
    /// The address.
    pub email: Email,
    /// When HR last named it.
    #[serde(flatten)]
    pub stamp: Stamp,
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

impl Record {
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
            // The end of an employment before it is none of its own.
            let is_over = |word: &EmploymentWord| word.stamp > by.stamp && word.from >= by.from;
            self.employment.counting().any(|word| word.state == EmploymentState::Left && is_over(word))
        };
        let newest_scope = self.scope.counting().max_by_key(|word| word.stamp);
        let is_meant = newest_scope.is_none_or(|word| word.state == Scope::In || word.is_announced());
        self.newest_hire().is_some_and(|word| !ended(word)) && is_meant
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

    /// Until when the end of their employment stands although the status beside it says that they work there; none if there
    /// is no such status.
    #[must_use]
    pub fn end_stands_until(&self) -> Option<UnixMs> {
        self.late_statuses.end_stands_until(&self.employment)
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

fn text(name: &Stated<Name>) -> &str {
    name.value().map_or("", Name::as_str)
}
