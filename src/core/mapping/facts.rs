//! One record, field by field: from JSON values to the facts of `core::person`.

use std::borrow::Cow;

use super::condition::{all_and_none, text};
use super::lookup::{Got, Lookup, Lookups};
use super::moment::{self, EVENTS_FROM, Moment, Reading, Zone};
use super::path::Place;
use super::{Invite, Mapping, Meaning, Names, PastEnd, TimeUnit};
use crate::core::json::Json;
use crate::core::person::label::{FurtherFacts, Label, distinct};
use crate::core::person::{
    BesideEnd, Email, EmploymentState, EventKind, Facts, InvalidField, Locale, Name, Person, Problem, Scope,
    SourceName, Stated,
};
use crate::core::time::UnixMs;

/// A first day longer ago than this was not moved by the update that states it: the update is about something else.
const MOVED_MS_MAX: u64 = 31 * 86_400_000;

/// What a record states, and which of its fields cannot be used.
pub(super) struct Stating {
    pub(super) facts: Facts,
    /// What is announced with the employment.
    pub(super) announced: Announced,
    pub(super) at: Option<UnixMs>,
    /// The time gives no zone.
    pub(super) is_zoneless: bool,
    pub(super) dropped: Vec<InvalidField>,
}

/// What a record announces beside the present employment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Announced {
    /// Its end.
    pub(super) ends_at: Option<UnixMs>,
    /// When the next employment begins, after that end.
    pub(super) again_from: Option<UnixMs>,
    /// On which condition this counts.
    pub(super) if_ahead: Option<BesideEnd>,
}

/// What a record states about employment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StatedEmployment {
    /// The state, and from when on.
    pub(super) state: Option<(EmploymentState, Option<UnixMs>)>,
    /// What a stated end means for it.
    pub(super) beside_end: Option<BesideEnd>,
    /// What is announced beside it.
    pub(super) announced: Announced,
}

impl StatedEmployment {
    fn of(state: Option<(EmploymentState, Option<UnixMs>)>) -> Self {
        Self { state, ..Self::default() }
    }
}

/// Reads fields, and notes those that cannot be used.
pub(super) struct Reader<'m, 'v> {
    mapping: &'m Mapping,
    place: Place<'v>,
    pub(super) dropped: Vec<InvalidField>,
}

impl<'m, 'v> Reader<'m, 'v> {
    pub(super) fn new(mapping: &'m Mapping, place: Place<'v>) -> Self {
        Self { mapping, place, dropped: Vec::new() }
    }

    /// The type as text.
    pub(super) fn type_value(&self) -> Result<Option<Cow<'v, str>>, InvalidField> {
        match self.mapping.kind.read(self.place) {
            Got::Absent | Got::Null | Got::Blank => Ok(None),
            Got::Failed(problem) => Err(problem.of("type")),
            Got::Is(_, value) => id_text("type", value).map(Some),
        }
    }

    /// The record's kind; none if its type is not named.
    pub(super) fn meaning(&self) -> Result<Option<Meaning>, InvalidField> {
        for rule in &self.mapping.kinds {
            if all_and_none(&rule.only_if, &rule.except_if, self.place).map_err(|problem| problem.of("type"))? {
                return Ok(Some(rule.is));
            }
        }
        match (self.type_value()?, self.mapping.assume) {
            (Some(text), _) => Ok(self.mapping.meaning(&text)),
            (None, Some(kind)) => Ok(Some(match kind {
                EventKind::Hire => Meaning::Hire,
                EventKind::Update => Meaning::Update,
                EventKind::Leave => Meaning::Leave,
                EventKind::Notice => Meaning::Notice,
            })),
            (None, None) => Err(Problem::Missing.of("type")),
        }
    }

    /// Whose record it is.
    pub(super) fn person(&self, source: &SourceName) -> Result<Person, InvalidField> {
        match self.mapping.employee_id.read(self.place) {
            Got::Absent | Got::Null | Got::Blank => Err(Problem::Missing.of("employee_id")),
            Got::Failed(problem) => Err(problem.of("employee_id")),
            Got::Is(_, value) => Person::parse(source.clone(), &id_text("employee_id", value)?),
        }
    }

    /// The address: the first one found or, if domains are set, the first in one of them. A private address in
    /// another domain is not a problem.
    pub(super) fn email(&self) -> Result<Option<Email>, InvalidField> {
        let domains = &self.mapping.address_domains;
        let mut other = None;
        let all = self.mapping.email.all(self.place, !domains.is_empty()).map_err(|problem| problem.of("email"))?;
        for (is_private, value) in all {
            let text = value.as_text().ok_or_else(|| wrong_type("email", "text", value.type_word()))?;
            let email = Email::parse(text)?;
            if domains.is_empty() || domains.iter().any(|domain| is_domain(&email, domain)) {
                return Ok(Some(email));
            }
            if !is_private {
                other = Some(Problem::OtherDomain.of("email"));
            }
        }
        other.map_or(Ok(None), Err)
    }

    /// The given name, and the preferred one. A record with both fields is complete, so null means that there is no
    /// preferred name. Without the field, the record says nothing about one, unless the mapping uses legal names.
    pub(super) fn given_names(&mut self) -> (Option<Stated<Name>>, Option<Stated<Name>>) {
        let lookups = &self.mapping.preferred_given_name;
        let given = self.name("given_name", &self.mapping.given_name);
        let says_none = match self.mapping.names {
            Names::Preferred => matches!(lookups.read(self.place), Got::Null),
            Names::Legal => !lookups.is_empty(),
        };
        let preferred = match self.mapping.names {
            Names::Preferred => self.name("preferred_given_name", lookups),
            Names::Legal => None,
        };
        let preferred = preferred.or_else(|| (given.is_some() && says_none).then_some(Stated::None));
        (given, preferred)
    }

    /// The family name.
    pub(super) fn family_name(&mut self) -> Option<Stated<Name>> {
        self.name("family_name", &self.mapping.family_name)
    }

    fn name(&mut self, field: &'static str, lookups: &Lookups) -> Option<Stated<Name>> {
        let value = match lookups.read(self.place) {
            Got::Absent => return None,
            Got::Null => return self.mapping.null_clears.then_some(Stated::None),
            Got::Blank => return Some(Stated::None),
            Got::Failed(problem) => return self.drop(problem.of(field)),
            Got::Is(_, value) => value,
        };
        let name = value.as_text().ok_or_else(|| wrong_type(field, "text", value.type_word()));
        match name.and_then(|name| Name::parse(field, name)) {
            Ok(name) => Some(name.map_or(Stated::None, Stated::Is)),
            Err(problem) => self.drop(problem),
        }
    }

    /// The locale.
    pub(super) fn locale(&mut self) -> Option<Locale> {
        let (_, value) = self.found("locale", &self.mapping.locale)?;
        let Some(text) = value.as_text() else {
            return self.drop(wrong_type("locale", "text", value.type_word()));
        };
        Locale::parse(text).or_else(|| self.drop(Problem::UnknownValue { chars: text.chars().count() }.of("locale")))
    }

    /// The further facts that the record states.
    fn further(&mut self) -> FurtherFacts<Vec<Label>> {
        let mut further = FurtherFacts::new();
        for (name, lookups) in &self.mapping.facts {
            let texts = match lookups.texts(self.place, self.mapping.null_clears) {
                Ok(Some(texts)) => texts,
                Ok(None) => continue,
                Err(problem) => {
                    self.dropped.push(problem.of("facts"));
                    continue;
                }
            };
            let labels: Vec<_> = texts.iter().map(|text| Label::parse(text)).collect();
            if labels.iter().any(Option::is_none) {
                self.dropped.push(
                    Problem::UnknownValue {
                        chars: texts.iter().map(|text| text.chars().count()).max().unwrap_or_default(),
                    }
                    .of("facts"),
                );
            }
            // If one value cannot be read, the rest alone would take the person out of a group.
            if labels.iter().all(Option::is_some) {
                further.insert(name.clone(), distinct(labels.into_iter().flatten()));
            }
        }
        further
    }

    /// When it happened. The time of a clock or field that was never set is not used: it would be older than
    /// everything known, and the event would be lost.
    ///
    /// If only the day is known: when it begins, and when it ends.
    pub(super) fn occurred_at(&mut self) -> Option<(UnixMs, Option<UnixMs>)> {
        let unit = self.mapping.occurred_at_unit;
        let moment = self.moment("occurred_at", &self.mapping.occurred_at, unit);
        let moment = self.or_drop(moment)?;
        let at = moment.beginning(&self.mapping.zone)?;
        if at < EVENTS_FROM {
            return self.drop(Problem::LongPast.of("occurred_at"));
        }
        Some((at, moment.day_ends(&self.mapping.zone)))
    }

    /// When a leave takes effect.
    ///
    /// # Errors
    /// The date cannot be read: it may be in the future.
    pub(super) fn effective_at(&self) -> Result<Option<UnixMs>, InvalidField> {
        Ok(self.date("effective_at", &self.mapping.effective_at)?.and_then(|moment| self.end_of(moment)))
    }

    /// Whether the record says when their employment ends, or that it does not.
    fn tells_end(&self) -> bool {
        match self.mapping.ends_at.read(self.place) {
            Got::Absent | Got::Failed(_) => false,
            Got::Null | Got::Blank => true,
            Got::Is(lookup, value) => self.read_moment(lookup, &value, TimeUnit::Auto).is_ok(),
        }
    }

    /// When a person who works here will leave.
    fn ends_at(&self) -> Result<Option<Moment>, InvalidField> {
        self.date("ends_at", &self.mapping.ends_at)
    }

    /// From when on the person has left; none: at once. A last day that never comes counts as none.
    fn left_from(&self) -> Result<Option<UnixMs>, InvalidField> {
        let ends_at = || Ok(self.ends_at()?.filter(|end| !end.is_never()).and_then(|end| self.end_of(end)));
        self.effective_at()?.map_or_else(ends_at, |from| Ok(Some(from)))
    }

    fn end_of(&self, moment: Moment) -> Option<UnixMs> {
        moment.end(&self.mapping.zone, self.mapping.leave_at)
    }

    /// From when on a hired person should be in the team; none: at once.
    fn invited_at(&self) -> Result<Option<UnixMs>, InvalidField> {
        let start = match self.mapping.invite {
            Invite::AtRecord => None,
            Invite::AtStart => self.date("starts_at", &self.mapping.starts_at)?.filter(|start| !start.is_never()),
        };
        Ok(start.and_then(|start| start.days_earlier(self.mapping.lead_days).beginning(&self.mapping.zone)))
    }

    /// When the person should be in the team (again), if they begin after this end.
    fn again_from(&mut self, end: UnixMs) -> Option<UnixMs> {
        let (zone, lead_days) = (&self.mapping.zone, self.mapping.lead_days);
        let start = self.starts_at().filter(|start| start.beginning(zone).is_some_and(|start| start >= end))?;
        match self.mapping.invite {
            Invite::AtRecord => start.beginning(zone),
            Invite::AtStart => start.days_earlier(lead_days).beginning(zone),
        }
    }

    fn starts_at(&mut self) -> Option<Moment> {
        let start = self.date("starts_at", &self.mapping.starts_at);
        self.or_drop(start).filter(|start| !start.is_never())
    }

    /// The value, and the path where it was found; none if it is empty, or unreadable (which is noted).
    fn found(&mut self, field: &'static str, lookups: &'m Lookups) -> Option<(&'m Lookup, Cow<'v, Json<'v>>)> {
        match lookups.read(self.place) {
            Got::Absent | Got::Null | Got::Blank => None,
            Got::Is(lookup, value) => Some((lookup, value)),
            Got::Failed(problem) => self.drop(problem.of(field)),
        }
    }

    /// A date of employment; none if the value means that there is none.
    fn date(&self, field: &'static str, lookups: &Lookups) -> Result<Option<Moment>, InvalidField> {
        Ok(self.moment(field, lookups, TimeUnit::Auto)?.filter(|moment| !moment.stands_for_none()))
    }

    fn moment(&self, field: &'static str, lookups: &Lookups, unit: TimeUnit) -> Result<Option<Moment>, InvalidField> {
        let (lookup, value) = match lookups.read(self.place) {
            Got::Absent | Got::Null | Got::Blank => return Ok(None),
            Got::Is(lookup, value) => (lookup, value),
            Got::Failed(problem) => return Err(problem.of(field)),
        };
        self.read_moment(lookup, &value, unit).map_err(|problem| problem.of(field))
    }

    /// The zone in which a time is read that gives none.
    pub(super) fn zone_taken(&self, field: &str, lookups: &'m Lookups) -> Option<&'m Zone> {
        let unit = if field == "occurred_at" { self.mapping.occurred_at_unit } else { TimeUnit::Auto };
        let Got::Is(lookup, value) = lookups.read(self.place) else { return None };
        let zone = lookup.zone().unwrap_or(&self.mapping.zone);
        moment::is_zoneless(&value, Reading { unit, format: lookup.format(), zone }).then_some(zone)
    }

    fn read_moment(&self, lookup: &Lookup, value: &Json<'_>, unit: TimeUnit) -> Result<Option<Moment>, Problem> {
        let zone = lookup.zone().unwrap_or(&self.mapping.zone);
        moment::read(value, Reading { unit, format: lookup.format(), zone })
    }

    /// What the status says about employment.
    fn status(&mut self) -> Option<EmploymentState> {
        let (_, value) = self.found("status", &self.mapping.status)?;
        let Some(status) = text(&value) else {
            return self.drop(wrong_type("status", "text", value.type_word()));
        };
        let is_in = |values: &[String]| values.iter().any(|value| value.eq_ignore_ascii_case(status.trim()));
        if is_in(&self.mapping.active_values) {
            Some(EmploymentState::Employed)
        } else if is_in(&self.mapping.left_values) {
            Some(EmploymentState::Left)
        } else if is_in(&self.mapping.other_values) {
            None
        } else {
            self.drop(Problem::UnknownValue { chars: status.chars().count() }.of("status"))
        }
    }

    /// Whether there is a status that says whether they are employed.
    fn says_status(&self) -> bool {
        Reader::new(self.mapping, self.place).status().is_some()
    }

    /// Whether the status is one that means neither employed nor left.
    fn says_other_status(&self) -> bool {
        let Got::Is(_, value) = self.mapping.status.read(self.place) else { return false };
        let status = text(&value);
        let is = |value: &String| status.as_ref().is_some_and(|status| value.eq_ignore_ascii_case(status.trim()));
        self.mapping.other_values.iter().any(is)
    }

    /// Employment, and an announced end.
    ///
    /// # Errors
    /// The date of a leave cannot be read: a person who leaves next year must not be switched off today.
    fn employment(&mut self, kind: EventKind, at: Option<UnixMs>) -> Result<StatedEmployment, InvalidField> {
        let status = match kind {
            EventKind::Leave => Some(EmploymentState::Left),
            EventKind::Hire => Some(self.status().unwrap_or(EmploymentState::Employed)),
            EventKind::Update => self.status(),
            EventKind::Notice => return Ok(StatedEmployment::default()),
        };
        self.employment_of(status, kind, at)
    }

    /// The same for a record with this status.
    ///
    /// # Errors
    /// The date of a leave cannot be read, or that of a hire, where people are invited for their first day.
    pub(super) fn employment_of(
        &mut self,
        status: Option<EmploymentState>,
        kind: EventKind,
        at: Option<UnixMs>,
    ) -> Result<StatedEmployment, InvalidField> {
        Ok(match status {
            Some(EmploymentState::Left) => match self.left_from() {
                Ok(from) => StatedEmployment::of(Some((EmploymentState::Left, from))),
                Err(problem) if kind == EventKind::Leave => return Err(problem),
                Err(problem) => StatedEmployment::of(self.drop(problem)),
            },
            Some(EmploymentState::Employed) => {
                // A first day that cannot be read may lie ahead, and an invitation cannot be taken back.
                let from = match self.invited_at() {
                    Ok(from) => from,
                    Err(problem) if kind == EventKind::Hire => return Err(problem),
                    Err(problem) => {
                        // The first day says nothing about the last one.
                        self.drop::<()>(problem);
                        let is_stated =
                            |end: &UnixMs| self.mapping.past_end == PastEnd::Left || at.is_none_or(|at| *end > at);
                        let end = self.stated_end().filter(is_stated);
                        let if_ahead = |end: &UnixMs| match self.mapping.past_end {
                            PastEnd::Left => None,
                            PastEnd::Former => Some(BesideEnd::OnlyAhead(*end)),
                        };
                        let beside_end = end.as_ref().and_then(if_ahead);
                        let left = StatedEmployment::of(end.map(|end| (EmploymentState::Left, Some(end))));
                        return Ok(StatedEmployment { beside_end, ..left });
                    }
                };
                let end = self.ends_at();
                let end = self.or_drop(end).filter(|end| !end.is_never()).and_then(|end| self.end_of(end));
                match end {
                    Some(end) => self.employed_until(from, end, at),
                    None => StatedEmployment::of(Some((EmploymentState::Employed, from))),
                }
            }
            None => {
                let end = self.stated_end();
                StatedEmployment::of(end.map(|end| (EmploymentState::Left, Some(end))))
            }
        })
    }

    /// A status that says employed, with an end beside it. A start after the end is the next employment's. Where the record
    /// has no time of its own, whether the end is over shows only once it is folded.
    fn employed_until(&mut self, from: Option<UnixMs>, end: UnixMs, at: Option<UnixMs>) -> StatedEmployment {
        let again_from = self.again_from(end);
        let employed = |from| StatedEmployment::of(Some((EmploymentState::Employed, from)));
        let announced = |if_ahead| Announced { ends_at: Some(end), again_from, if_ahead };
        match (at.map(|at| end <= at), again_from, self.mapping.past_end) {
            (Some(true), Some(_), _) => employed(from),
            (Some(true), None, PastEnd::Left) => StatedEmployment::of(Some((EmploymentState::Left, Some(end)))),
            (Some(true), None, PastEnd::Former) => {
                StatedEmployment { beside_end: Some(BesideEnd::Status(end)), ..employed(from) }
            }
            (_, Some(_), _) => StatedEmployment {
                beside_end: Some(BesideEnd::BeforeStart(end)),
                announced: announced(Some(BesideEnd::OnlyAhead(end))),
                ..employed(from)
            },
            (_, None, PastEnd::Left) => StatedEmployment { announced: announced(None), ..employed(from) },
            (_, None, PastEnd::Former) => StatedEmployment {
                beside_end: Some(BesideEnd::Status(end)),
                announced: announced(Some(BesideEnd::OnlyAhead(end))),
                ..employed(from)
            },
        }
    }

    /// When the employment ends, if the record has a day for that which can be read.
    fn stated_end(&mut self) -> Option<UnixMs> {
        let end = self.ends_at();
        self.or_drop(end).and_then(|end| self.end_of(end))
    }

    /// Everything that a record of this kind states.
    ///
    /// That a hire's address cannot be used is also stated, so that nobody is invited, or switched on again, under an
    /// earlier address.
    ///
    /// # Errors
    /// The date of a leave cannot be read, or that of a hire, where people are invited for their first day.
    pub(super) fn state(mut self, kind: EventKind, scope: Option<Scope>) -> Result<Stating, InvalidField> {
        let occurred_at = self.occurred_at();
        let (at, day_ends) = (occurred_at.map(|(at, _)| at), occurred_at.and_then(|(_, ends)| ends));
        let is_zoneless = at.is_some() && self.zone_taken("occurred_at", &self.mapping.occurred_at).is_some();
        if kind == EventKind::Notice {
            // The rest comes from the read.
            let scope = scope.map(|scope| self.scope(scope)).transpose();
            let facts = Facts { day_ends, scope: self.or_drop(scope), ..Facts::default() };
            return Ok(Stating { facts, announced: Announced::default(), at, is_zoneless, dropped: self.dropped });
        }
        let StatedEmployment { state: employment, beside_end, announced } = self.employment(kind, at)?;
        let (email, unusable_email) = match self.email() {
            Ok(email) => (email, false),
            Err(problem) => {
                let is_meant = kind == EventKind::Hire && !stands_for_none(&problem.problem);
                (self.drop(problem), is_meant)
            }
        };
        let scope = scope.map(|scope| self.scope(scope)).transpose()?;
        let is_employed = matches!(employment, Some((EmploymentState::Employed, _)));
        let starts = (kind == EventKind::Update && !is_employed).then(|| self.invited_at()).transpose();
        let starts = self.or_drop(starts.map(Option::flatten));
        let starts = starts.filter(|starts| at.is_none_or(|at| at.ms_since(*starts) <= MOVED_MS_MAX));
        let (given_name, preferred_given_name) = self.given_names();
        let facts = Facts {
            day_ends,
            employment,
            is_status: kind == EventKind::Update && employment.is_some() && self.says_status(),
            asks_nothing: false,
            is_other_status: employment.is_none() && self.says_other_status(),
            tells_end: employment.is_some() && self.tells_end(),
            beside_end,
            starts,
            scope,
            email,
            unusable_email,
            given_name,
            preferred_given_name,
            family_name: self.family_name(),
            locale: self.locale(),
            further: self.further(),
        };
        Ok(Stating { facts, announced, at, is_zoneless, dropped: self.dropped })
    }

    /// Scope, and from when on: a move out of scope may be announced, like a leave.
    fn scope(&self, scope: Scope) -> Result<(Scope, Option<UnixMs>), InvalidField> {
        Ok(match scope {
            Scope::In => (scope, None),
            Scope::Out => (scope, self.effective_at()?),
        })
    }

    /// What was read; none if it was unreadable (which is noted).
    fn or_drop<T>(&mut self, read: Result<Option<T>, InvalidField>) -> Option<T> {
        read.unwrap_or_else(|problem| self.drop(problem))
    }

    fn drop<T>(&mut self, problem: InvalidField) -> Option<T> {
        // A field may be read twice.
        if !self.dropped.contains(&problem) {
            self.dropped.push(problem);
        }
        None
    }
}

/// Whether the text means that there is no address yet: "n/a", or an address in a domain that the mapping does not
/// allow.
fn stands_for_none(problem: &Problem) -> bool {
    matches!(problem, Problem::OtherDomain | Problem::NotAnEmail { at_signs: 0, .. })
}

/// Ids come as numbers, too. A number that JSON parsers do not represent exactly (a fraction, or beyond 64 bits)
/// could become somebody else's id, so it is refused.
fn id_text<'v>(field: &'static str, value: Cow<'v, Json<'v>>) -> Result<Cow<'v, str>, InvalidField> {
    let wrong = wrong_type(field, "text or a whole number", value.type_word());
    match value {
        Cow::Borrowed(value) => value.scalar().ok_or(wrong),
        Cow::Owned(value) => value.scalar().map(|text| Cow::Owned(text.into_owned())).ok_or(wrong),
    }
}

/// Whether the address is of this domain, or of one below it.
fn is_domain(email: &Email, domain: &str) -> bool {
    let domain = domain.to_lowercase();
    let theirs = email.domain();
    match domain.strip_prefix("*.") {
        Some(parent) => theirs.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => theirs == domain || Email::parse(&format!("a@{domain}")).is_ok_and(|other| other.domain() == theirs),
    }
}

fn wrong_type(field: &'static str, expected: &'static str, found: &'static str) -> InvalidField {
    Problem::WrongType { expected, found }.of(field)
}
