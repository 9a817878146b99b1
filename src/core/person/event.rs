//! What one record of a delivery says about one person at one instant.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::email::Email;
use super::employment::{EmploymentState, Scope};
use super::identity::Person;
use super::label::{FurtherFacts, Label};
use super::name::{Locale, Name};
use crate::core::time::UnixMs;

/// The kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A person joins.
    Hire,
    /// Something about a person changed. A rename is an update of names.
    #[serde(alias = "rename")]
    Update,
    /// A person leaves, or has left.
    Leave,
    /// Something about a person changed: go and read. What it states itself counts only if the HR system no longer
    /// knows that id.
    Notice,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Hire, Self::Update, Self::Leave, Self::Notice];

    /// The word for it in logs, metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hire => "hire",
            Self::Update => "update",
            Self::Leave => "leave",
            Self::Notice => "notice",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A statement about a fact that may have no value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stated<T> {
    /// It is this.
    Is(T),
    /// There is none.
    None,
}

impl<T> Stated<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::None => None,
        }
    }
}

/// What an end of employment that a record states means for what else it states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BesideEnd {
    /// The status says "employed" beside this end: if it is over, perhaps the status is late.
    Status(UnixMs),
    /// The status says "employed" beside this end, and the next employment begins after it: until then they work there.
    BeforeStart(UnixMs),
    /// It only counts if this end is still ahead.
    OnlyAhead(UnixMs),
}

/// What an event states. What it says nothing about is `None`.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// When the day of the event ends, if only that day was stated, without an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_ends: Option<UnixMs>,
    /// Employment, and from when on; none: from the moment of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employment: Option<(EmploymentState, Option<UnixMs>)>,
    /// Employment is as the person's present status says, rather than something that happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_status: bool,
    /// There is a status, and it means neither employed nor left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_other_status: bool,
    /// It is about somebody out of the source's scope. If they leave, that is applied to a person who is known already;
    /// for anybody else, there is nothing to do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asks_nothing: bool,
    /// It also states an end of employment, or that none is announced, so nothing else about employment is open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tells_end: bool,
    /// What an end of employment that the record states beside this means for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside_end: Option<BesideEnd>,
    /// From when on somebody who has not started yet should be in the team, in an update that does not call them
    /// employed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<UnixMs>,
    /// Whether they are in scope, if the source has rules for it, and from when on; none: from the moment of the
    /// event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<(Scope, Option<UnixMs>)>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// A hire has an address that cannot be used, so earlier addresses no longer count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unusable_email: bool,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<Stated<Name>>,
    /// The preferred given name, which counts before the given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_given_name: Option<Stated<Name>>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<Stated<Name>>,
    /// The locale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Facts that groups are derived from, each with all its values; no values: HR says that there are none.
    #[serde(skip_serializing_if = "FurtherFacts::is_empty")]
    pub further: FurtherFacts<Vec<Label>>,
}

impl Facts {
    /// Whether nothing is stated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// What is stated at `at`, when it is known whether the end is over.
    pub fn settle_end(&mut self, at: UnixMs) {
        match self.beside_end {
            Some(BesideEnd::Status(end)) if end <= at => return,
            Some(BesideEnd::BeforeStart(end)) if end > at => {
                self.employment = self.employment.map(|(state, _)| (state, None));
            }
            Some(BesideEnd::OnlyAhead(end)) if end <= at => self.employment = None,
            Some(_) | None => {}
        }
        self.beside_end = None;
    }

    /// The end beside a status that says "employed", once it is settled that it is over.
    #[must_use]
    pub fn end_beside_status(&self) -> Option<UnixMs> {
        match (self.beside_end, self.employment) {
            (Some(BesideEnd::Status(end)), Some((EmploymentState::Employed, _))) => Some(end),
            _ => None,
        }
    }

    /// The word for the stated employment.
    pub(super) fn employment_name(state: EmploymentState) -> &'static str {
        match state {
            EmploymentState::Employed => "employed",
            EmploymentState::Left => "left",
        }
    }

    /// The word for the stated scope.
    pub(super) fn scope_name(scope: Scope) -> &'static str {
        match scope {
            Scope::In => "in_scope",
            Scope::Out => "out_of_scope",
        }
    }

    /// The given name that follows from these facts alone: the preferred one, if they state one.
    #[must_use]
    pub fn given_name_that_counts(&self) -> Option<&Stated<Name>> {
        let preferred = self.preferred_given_name.as_ref().filter(|name| **name != Stated::None);
        preferred.or(self.given_name.as_ref())
    }

    /// The words for what is stated, without values.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let stated = [
            self.employment.map(|(state, _)| Self::employment_name(state)),
            self.starts.map(|_| "starts"),
            self.scope.map(|(scope, _)| Self::scope_name(scope)),
            self.email.as_ref().map(|_| "email"),
            self.unusable_email.then_some("unusable_email"),
            self.given_name.as_ref().map(|_| "given_name"),
            self.preferred_given_name.as_ref().map(|_| "preferred_given_name"),
            self.family_name.as_ref().map(|_| "family_name"),
            self.locale.as_ref().map(|_| "locale"),
            (!self.further.is_empty()).then_some("facts"),
        ];
        stated.into_iter().flatten().collect()
    }
}

impl Hash for Facts {
    /// The hash of two deliveries that say the same is the same in every version, so a field that older versions do not
    /// know is hashed only if it is set.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { day_ends, employment, is_status, asks_nothing, starts, tells_end, scope, .. } = self;
        (employment, tells_end, scope).hash(state);
        let Self { email, unusable_email, given_name, family_name, locale, further, .. } = self;
        (email, unusable_email, given_name, family_name, locale, further).hash(state);
        if let Some(day_ends) = day_ends {
            day_ends.hash(state);
        }
        if let Some(preferred) = &self.preferred_given_name {
            ("preferred", preferred).hash(state);
        }
        if *is_status {
            is_status.hash(state);
        }
        if *asks_nothing {
            asks_nothing.hash(state);
        }
        if let Some(starts) = starts {
            starts.hash(state);
        }
    }
}

impl fmt::Debug for Facts {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Facts").field(&self.names()).finish()
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// The person.
    pub person: Person,
    /// Its kind.
    pub kind: EventKind,
    /// When it became so, by the source's clock; none if not given, or not readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMs>,
    /// What it states.
    #[serde(default)]
    pub facts: Facts,
}
