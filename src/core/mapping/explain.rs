//! Shows what a mapping makes of a payload, field by field, for people who set up a source.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

use super::Mapping;
use super::condition::text;
use super::facts::Reader;
use super::lookup::{Got, Lookups};
use super::path::Place;
use super::read::{Fate, fate, fields, keys, records, with_json};
use super::record::MapError;
use crate::core::code::Code;
use crate::core::json::{Charset, Json};
use crate::core::person::{EmploymentState, Event, EventKind, InvalidField, Person, Scope, SourceName};

/// How many paths of a record are listed.
const PATHS_MAX: usize = 100;

/// What is shown besides shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Show {
    /// The values that were found. They are personal data.
    pub values: bool,
}

/// What a mapping makes of a payload. Contains personal data: only for those who have the payload.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// What is wrong with the body as a whole; there are no records then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<BodyProblem>,
    /// Record by record.
    pub records: Vec<RecordExplanation>,
}

/// Why no record could be found.
#[derive(Debug, Clone, Serialize)]
pub struct BodyProblem {
    /// `MAP-NOT-JSON` or `MAP-SHAPE`.
    pub code: Code,
    /// What exactly.
    pub detail: String,
}

/// What a mapping makes of one record.
#[derive(Debug, Clone, Serialize)]
pub struct RecordExplanation {
    /// Where it is: a JSON Pointer from the body.
    pub at: String,
    /// Field by field, in the order of the mapping's keys. Fields without lookups are left out.
    pub fields: Vec<FieldExplanation>,
    /// Paths of the record that have a value, the first 100: what the mapping could look at.
    pub paths: Vec<String>,
    /// Its result.
    pub result: RecordResult,
}

/// How one field was read.
#[derive(Debug, Clone, Serialize)]
pub struct FieldExplanation {
    /// The mapping's key.
    pub field: String,
    /// Where it is looked for.
    pub paths: Vec<String>,
    /// Where something was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// The JSON type found there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_type: Option<&'static str>,
    /// Characters of a text, digits of a number, members of an array or object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The value, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it. A field may be absent without being wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Why the value does not count in this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_used: Option<&'static str>,
    /// The zone in which a time is read that gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Lookups whose filter, or whose condition's filter, failed; another lookup may have found something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

/// The result for one record.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most are events, and there are only a few")]
pub enum RecordResult {
    /// It is queued.
    Event {
        /// The event.
        event: Event,
        /// An announced end, which is a second event.
        #[serde(skip_serializing_if = "Option::is_none")]
        end: Option<Event>,
        /// The next employment after that end, which is a third event.
        #[serde(skip_serializing_if = "Option::is_none")]
        again: Option<Event>,
    },
    /// It is ignored.
    Ignored {
        /// Why: `not_named`, `listed`, `condition`, `out_of_scope`, `states_nothing`.
        why: &'static str,
        /// The type found.
        type_value: String,
    },
    /// It is kept as a dead letter.
    Unmapped {
        /// Who it is about, if the record says.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<Person>,
        /// The reason.
        code: Code,
        /// What exactly.
        detail: String,
    },
}

/// Shows what `mapping` makes of `body`, field by field. Changes nothing, applies no bounds.
#[must_use]
pub fn explain(mapping: &Mapping, source: &SourceName, body: &Bytes, charset: Charset, show: Show) -> Explanation {
    let whole = |code, detail| Explanation { problem: Some(BodyProblem { code, detail }), records: Vec::new() };
    let Some(text) = charset.decode(body) else {
        return whole(Code::MapNotJson, "the body is not in its charset".to_owned());
    };
    with_json(mapping, &text, |read| {
        let found = read.and_then(|(root, _)| records(mapping, root, usize::MAX).map(|places| (root, places)));
        let (root, places) = match found {
            Ok(found) => found,
            Err(MapError { code, detail, .. }) => return whole(code, detail),
        };
        let keys = keys(mapping, root);
        let base = mapping.records.pointer();
        let in_array = matches!(mapping.records.find(Place { root, record: root, key: None }), Some(Json::List(_)));
        let explained = places.into_iter().enumerate().map(|(n, place)| {
            let place = Place { key: keys.get(n), ..place };
            let at = match (keys.get(n).and_then(Json::as_text), in_array) {
                (Some(key), _) => format!("{base}/{key}"),
                (None, true) => format!("{base}/{n}"),
                (None, false) => base.to_owned(),
            };
            let mut paths = Vec::new();
            list_paths("", place.record, &mut paths);
            let result = result(mapping, source, place);
            let mut fields = explain_fields(mapping, source, place, show);
            for field in fields.iter_mut().filter(|field| field.found_at.is_some()) {
                field.not_used = not_used(&field.field, &result);
                field.zone = zone_taken(mapping, place, &field.field);
            }
            RecordExplanation { at, fields, paths, result }
        });
        Explanation { problem: None, records: explained.collect() }
    })
}

fn result(mapping: &Mapping, source: &SourceName, place: Place<'_>) -> RecordResult {
    match fate(mapping, source, place) {
        Fate::Event { event, announced, .. } => {
            RecordResult::Event { event, end: announced.end, again: announced.again }
        }
        Fate::Ignored(ignored) => {
            RecordResult::Ignored { why: ignored.why.as_str(), type_value: ignored.type_value.unwrap_or_default() }
        }
        Fate::Unmapped(MapError { person, code, detail, .. }) => RecordResult::Unmapped { person, code, detail },
    }
}

/// The zone in which a time is read that gives none.
fn zone_taken(mapping: &Mapping, place: Place<'_>, field: &str) -> Option<String> {
    let is_time = matches!(field, "occurred_at" | "effective_at" | "ends_at" | "starts_at");
    let (_, lookups) = fields(mapping).into_iter().find(|(name, _)| is_time && *name == field)?;
    Reader::new(mapping, place).zone_taken(field, lookups).map(|zone| zone.name().to_owned())
}

/// Why a date of a record does not count: it says when somebody left, or is out of scope, but this record says neither.
fn not_used(field: &str, result: &RecordResult) -> Option<&'static str> {
    let RecordResult::Event { event, .. } = result else { return None };
    let is_left = matches!(event.facts.employment, Some((EmploymentState::Left, _)));
    let is_out = matches!(event.facts.scope, Some((Scope::Out, _)));
    let counts = is_left || is_out || event.kind == EventKind::Notice;
    (field == "effective_at" && !counts)
        .then_some("only a leave, or a move out of scope, waits for its day: what this record says counts at once")
}

fn explain_fields(mapping: &Mapping, source: &SourceName, place: Place<'_>, show: Show) -> Vec<FieldExplanation> {
    let reader = || Reader::new(mapping, place);
    // Read as an update, so that an unreadable leave date hides no other problem.
    let mut problems = reader().state(EventKind::Update, None).map(|stating| stating.dropped).unwrap_or_default();
    problems.extend(reader().effective_at().err());
    problems.extend(reader().meaning().err());
    problems.extend(reader().person(source).err());
    let looked_for = fields(mapping).into_iter().filter(|(_, lookups)| !lookups.is_empty());
    let further = mapping.facts.iter().map(|(name, lookups)| (format!("facts.{name}"), "facts", lookups));
    looked_for
        .map(|(field, lookups)| (field.to_owned(), field, lookups))
        .chain(further)
        .map(|(name, field, lookups)| {
            explain_field(name, lookups, place, problems.iter().find(|problem| problem.field == field), show)
        })
        .collect()
}

fn explain_field(
    field: String,
    lookups: &Lookups,
    place: Place<'_>,
    problem: Option<&InvalidField>,
    show: Show,
) -> FieldExplanation {
    let found = match lookups.read(place) {
        Got::Is(lookup, value) => Some((lookup, value)),
        Got::Absent | Got::Null | Got::Blank | Got::Failed(_) => None,
    };
    FieldExplanation {
        field,
        paths: lookups.as_slice().iter().map(|lookup| lookup.as_str().to_owned()).collect(),
        found_at: found.as_ref().map(|(lookup, _)| lookup.as_str().to_owned()),
        json_type: found.as_ref().map(|(_, value)| value.type_word()),
        length: found.as_ref().and_then(|(_, value)| length(value)),
        value: found.as_ref().filter(|_| show.values).and_then(|(_, value)| text(value).map(Cow::into_owned)),
        problem: problem.map(|problem| problem.problem.to_string()),
        not_used: None,
        zone: None,
        failed: lookups.failing(place).map(|lookup| lookup.as_str().to_owned()).collect(),
    }
}

fn length(value: &Json<'_>) -> Option<usize> {
    match value {
        Json::Null | Json::Bool(_) => None,
        Json::Number(number) => Some(number.to_string().len()),
        Json::Text(text) => Some(text.chars().count()),
        Json::List(items) => Some(items.len()),
        Json::Object(members) => Some(members.len()),
    }
}

/// The paths below a value that lead to a text, a number or a truth value.
fn list_paths(above: &str, value: &Json<'_>, paths: &mut Vec<String>) {
    if paths.len() >= PATHS_MAX {
        return;
    }
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                list_paths(&format!("{above}/{}", name.replace('~', "~0").replace('/', "~1")), value, paths);
            }
        }
        Json::List(items) => {
            for (n, value) in items.iter().enumerate() {
                list_paths(&format!("{above}/{n}"), value, paths);
            }
        }
        Json::Text(_) | Json::Number(_) | Json::Bool(_) => paths.push(above.to_owned()),
        Json::Null => {}
    }
}
