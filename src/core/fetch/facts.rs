//! From answers to facts about a person.

use bytes::Bytes;

use crate::core::code::Code;
use crate::core::mapping::{IgnoredWhy, Mapping, PastEnd, Record, Says, listed, remap};
use crate::core::person::late_status::settle_ends_of_one;
use crate::core::person::{
    Email, EmploymentState, Event, EventKind, Facts, InvalidField, Person, PersonId, Problem, Scope, SourceName, Stated,
};
use crate::core::time::UnixMs;

/// Without a usable status, nobody is invited or switched off.
const STATUS: &str = "status";
/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedRow {
    /// It says something about a person.
    Says(Box<ListedFacts>),
    /// It only names a person, who must be read.
    Names(Person),
    /// The mapping excludes the person: their address, if it can be used.
    LeftOut(Option<Email>),
    /// It says nothing that the mapping follows.
    Nothing,
    /// It cannot be used: fields and shapes, never values.
    Bad(String),
}

/// What a row says about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFacts {
    /// The event.
    pub event: Event,
    /// When they will leave, if that is announced.
    pub leaves_at: Option<UnixMs>,
}

/// What a read says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRead {
    /// Events about the person, in order, with the time of the read.
    pub events: Vec<Event>,
    /// What else was there but cannot be used, such as a status that the mapping does not list: fields and shapes.
    pub lost: Option<(Code, String)>,
    /// What cannot be used but is not needed: a record that a later one of the answer replaces.
    pub outdone: Option<String>,
    /// The mapping looks for a status, and there is none: perhaps the key may not see it.
    pub lacks_employment: bool,
}

/// A record of an answer, or some of its fields, that cannot be used.
struct Lost {
    code: Code,
    detail: String,
    fields: Vec<&'static str>,
    /// How many events precede it, including its own.
    after: usize,
}

/// All answers of a read as one JSON text: each under its step's name, and the id that was asked for
/// under `/asked/id`.
pub(super) fn document(id: &str, answers: &[(String, String)]) -> String {
    let mut text = format!("{{\"asked\":{{\"id\":{}}}", serde_json::Value::from(id));
    for (name, answer) in answers {
        text.extend([",", &serde_json::Value::from(name.as_str()).to_string(), ":", answer]);
    }
    text.push('}');
    text
}

/// What the answers say about the requested person.
///
/// # Errors
/// Another person's record, no record, or fields that cannot be used.
pub(super) fn of_person(
    mapping: &Mapping,
    person: &Person,
    document: &str,
    at: UnixMs,
) -> Result<PersonRead, (Code, String)> {
    let other_person =
        || (Code::FetchOtherPerson, "the answer is about another employee id than the one asked for".to_owned());
    let mut events = Vec::new();
    let mut lost = Vec::new();
    let (mut records, mut without) = (0, 0);
    for record in read(mapping, &person.source, document) {
        records += 1;
        without += usize::from(lacks_employment(&record));
        match record {
            Record::Event { event, .. } if event.person != *person => return Err(other_person()),
            Record::Event { event, dropped, .. } => {
                let event = at_the_read(event, mapping, at);
                // An announced end that is over by now says nothing.
                events.extend(Some(event).filter(|event| !event.facts.is_empty()));
                lost.extend(lost_status(&dropped, "; the rest of it is in effect", events.len()));
            }
            Record::Ignored(ignored) => lost.extend(lost_status(&ignored.dropped, "", events.len())),
            Record::Unmapped { person: Some(whose), .. } if whose != *person => return Err(other_person()),
            Record::Unmapped { code, detail, fields, .. } => {
                lost.push(Lost { code, detail, fields, after: events.len() });
            }
        }
    }
    let (outdone, lost): (Vec<_>, Vec<_>) = lost
        .into_iter()
        .partition(|lost| events.get(lost.after..).is_some_and(|later| take_the_place(later, &lost.fields)));
    let lost = lost.into_iter().next().map(|lost| (lost.code, lost.detail));
    let outdone = outdone.into_iter().next().map(|lost| lost.detail);
    match lost {
        Some(lost) if events.is_empty() => Err(lost),
        lost => {
            let lacks_employment = records > 0 && without == records && !mapping.status.is_empty();
            settle_ends_of_one(&mut events);
            let events = by_end(events, at, mapping.past_end);
            Ok(PersonRead { events, lost, outdone, lacks_employment })
        }
    }
}

/// Whether a record that counts says nothing about employment. One that is left out on purpose says enough.
fn lacks_employment(record: &Record) -> bool {
    // A status that the mapping does not list is reported as such.
    let has_status = |dropped: &[InvalidField]| dropped.iter().any(|problem| problem.field == STATUS);
    match record {
        Record::Event { event, dropped, .. } => {
            let facts = &event.facts;
            !has_status(dropped)
                && facts.employment.is_none()
                && !facts.is_other_status
                && facts.scope.is_none_or(|(scope, _)| scope == Scope::In)
        }
        Record::Ignored(ignored) => ignored.why == IgnoredWhy::StatesNothing && !has_status(&ignored.dropped),
        Record::Unmapped { .. } => false,
    }
}

fn lost_status(dropped: &[InvalidField], note: &str, after: usize) -> Option<Lost> {
    let problem = dropped.iter().find(|problem| problem.field == STATUS)?;
    Some(Lost { code: Code::MapField, detail: format!("{problem}{note}"), fields: vec![STATUS], after })
}

/// Whether later events of the same answer state everything that these fields could have said, and that the person
/// works here. Later in an answer need not mean newer, and nobody is silently switched off because of an unusable
/// record.
fn take_the_place(later: &[Event], fields: &[&str]) -> bool {
    let states = |stated: fn(&Facts) -> bool| later.iter().any(|event| stated(&event.facts));
    let is_stated = |field: &str| match field {
        "email" => states(|facts| facts.email.is_some()),
        "given_name" => states(|facts| facts.given_name.is_some()),
        "preferred_given_name" => states(|facts| facts.preferred_given_name.is_some()),
        "family_name" => states(|facts| facts.family_name.is_some()),
        // A status, a date, whose record it is, or whether it counts.
        _ => later.iter().any(is_employed),
    };
    is_stated(STATUS) && fields.iter().all(|field| is_stated(field))
}

/// Applies `past_end`: for a person who works here, a past end either belongs to an earlier employment, or means that
/// they have left, unless a later record says that they are employed.
fn by_end(mut events: Vec<Event>, at: UnixMs, past_end: PastEnd) -> Vec<Event> {
    match past_end {
        PastEnd::Former => {
            let is_employed = events.iter().any(is_employed);
            events.retain(|event| !(is_employed && is_over(event, at)));
        }
        PastEnd::Left => {
            let over = events.iter().rposition(|event| is_over(event, at)).unwrap_or(0);
            let before = events.iter_mut().take(over);
            before.filter(|event| is_employed(event)).for_each(|event| event.facts.employment = None);
        }
    }
    events
}

fn is_employed(event: &Event) -> bool {
    matches!(event.facts.employment, Some((EmploymentState::Employed, _)))
}

fn is_over(event: &Event, at: UnixMs) -> bool {
    matches!(event.facts.employment, Some((EmploymentState::Left, Some(from))) if from <= at)
}

/// What a page of a list says: events, each with the moment of the read, and records that could not be
/// mapped. One bad record does not hold up the others.
///
/// # Errors
/// It is not a page.
pub(super) fn of_page(
    mapping: &Mapping,
    source: &SourceName,
    page: &str,
    at: UnixMs,
) -> Result<Vec<Record>, (Code, String)> {
    let mut records = Vec::new();
    for record in read(mapping, source, page) {
        match record {
            Record::Event { event, dropped, is_zoneless } => {
                let event = at_the_read(event, mapping, at);
                if event.facts.is_empty() {
                    continue;
                }
                // The announced end of somebody who works here is a record of its own, right after theirs.
                if let Some(Record::Event { event: beside, .. }) = records.last_mut()
                    && is_over(&event, at)
                    && beside.person == event.person
                    && is_employed(beside)
                {
                    if mapping.past_end == PastEnd::Left {
                        beside.facts.employment = event.facts.employment;
                    }
                    continue;
                }
                records.push(Record::Event { event, dropped, is_zoneless });
            }
            Record::Unmapped { code: code @ (Code::MapShape | Code::MapNotJson), detail, person: None, .. } => {
                return Err((code, detail));
            }
            unmapped @ Record::Unmapped { .. } => records.push(unmapped),
            Record::Ignored(_) => {}
        }
    }
    Ok(records)
}

fn read(mapping: &Mapping, source: &SourceName, text: &str) -> Vec<Record> {
    remap(mapping, source, &Bytes::copy_from_slice(text.as_bytes()))
}

/// The answer is newer than every notice that asked for it, whatever times it shows. It is complete: if it could state
/// an end but leaves it out, there is none.
fn at_the_read(event: Event, mapping: &Mapping, at: UnixMs) -> Event {
    let tells_end = event.facts.tells_end || !mapping.ends_at.is_empty();
    let mut facts = with_preferred_name(Facts { tells_end, day_ends: None, ..event.facts }, mapping);
    facts.settle_end(at);
    Event { at: Some(at), kind: EventKind::Update, facts, ..event }
}

/// An answer that has a name and leaves out the preferred one, which it could state, says that there is none.
fn with_preferred_name(mut facts: Facts, mapping: &Mapping) -> Facts {
    if facts.given_name.is_some() && !mapping.preferred_given_name.is_empty() {
        facts.preferred_given_name.get_or_insert(Stated::None);
    }
    facts
}

/// The people of a list's page, and its rows. With `each`, rows only name people, who are then read one by one.
///
/// # Errors
/// What is wrong with the page, if it is not a list.
pub(super) fn of_list(
    mapping: &Mapping,
    source: &SourceName,
    page: &str,
    each: bool,
    at: UnixMs,
) -> Result<(Vec<Option<PersonId>>, Vec<ListedRow>), String> {
    let records = listed(mapping, source, page, true)?;
    let people = records.iter().map(|record| record.person.as_ref().map(Person::id)).collect();
    let rows = records.into_iter().map(|record| match record.person {
        Some(person) if each => ListedRow::Names(person),
        Some(_) | None => row(record.says, at, mapping),
    });
    Ok((people, rows.collect()))
}

/// The rows that were read about a person; one, unless something is wrong.
pub(super) fn rows_of_person(mapping: &Mapping, person: &Person, document: &str, at: UnixMs) -> Vec<ListedRow> {
    let other = || ListedRow::Bad("the answer is about another employee id than the one asked for".to_owned());
    match listed(mapping, &person.source, document, false) {
        Ok(records) => records
            .into_iter()
            .map(|record| match record.person {
                Some(whose) if whose != *person => other(),
                Some(_) | None => row(record.says, at, mapping),
            })
            .collect(),
        Err(detail) => vec![ListedRow::Bad(detail)],
    }
}

fn row(says: Says, at: UnixMs, mapping: &Mapping) -> ListedRow {
    match says {
        Says::LeftOut(email) => ListedRow::LeftOut(email),
        Says::Nothing => ListedRow::Nothing,
        Says::Bad(detail) => ListedRow::Bad(detail),
        Says::Event { event, announced, dropped } => match dropped.iter().find(|problem| spoils(problem)) {
            Some(problem) => ListedRow::Bad(problem.to_string()),
            None => ListedRow::Says(Box::new(as_it_stands(*event, announced.end, at, mapping))),
        },
    }
}

/// Whether a row is refused because of an unusable field, as in a file: an unlisted status is not guessed. A private
/// address is left out on purpose.
fn spoils(problem: &InvalidField) -> bool {
    !matches!(problem.field, "locale" | "facts" | "occurred_at") && problem.problem != Problem::OtherDomain
}

/// A row says what is so when the list is read, and perhaps when the person will leave.
fn as_it_stands(mut event: Event, mut end: Option<Event>, at: UnixMs, mapping: &Mapping) -> ListedFacts {
    event.facts = with_preferred_name(event.facts, mapping);
    for event in end.iter_mut().chain([&mut event]) {
        event.facts.settle_end(at);
    }
    if mapping.past_end == PastEnd::Left && end.as_ref().is_some_and(|end| is_over(end, at)) {
        event.facts.employment = Some((EmploymentState::Left, None));
    }
    let day_of = |event: &Event| event.facts.employment.and_then(|(_, from)| from).filter(|from| *from > at);
    let mut leaves_at = end.as_ref().and_then(day_of);
    let ahead = day_of(&event);
    event.facts.employment = match event.facts.employment {
        Some((EmploymentState::Left, _)) if ahead.is_some() => {
            leaves_at = ahead;
            None
        }
        Some((state, _)) => Some((state, ahead)),
        None => None,
    };
    ListedFacts { event: Event { at: None, kind: EventKind::Update, ..event }, leaves_at }
}
