//! What a mapping makes of a payload, told field by field, for whoever sets a source up.

use serde::Serialize;
use serde_json::Value;

use super::Mapping;
use super::field::{Place, json_type};
use super::path::Paths;
use super::read::{Fate, Trouble, fate, parse, records};
use crate::core::code::Code;
use crate::core::event::{Event, InvalidField, Person, SourceName};

/// What a mapping makes of a payload. Holds personal data: for the eyes of who has the payload.
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
    /// Field by field, in the order of the mapping's keys.
    pub fields: Vec<FieldExplanation>,
    /// What it comes to.
    pub result: RecordResult,
}

/// How one field was read.
#[derive(Debug, Clone, Serialize)]
pub struct FieldExplanation {
    /// The mapping's key.
    pub field: &'static str,
    /// The paths that were to be looked at.
    pub paths: Vec<String>,
    /// The one where something was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// The JSON type found there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_type: Option<&'static str>,
    /// Characters of a text, digits of a number, members of an array or object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// What is wrong with it. A field may be absent without being wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What one record comes to.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum RecordResult {
    /// It is queued.
    Event {
        /// As it is queued.
        event: Event,
    },
    /// Its type is not named in the mapping.
    Ignored {
        /// The type found.
        type_value: String,
    },
    /// It is kept as a dead letter.
    Unmapped {
        /// Whose it is, where the record told.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<Person>,
        /// Why.
        code: Code,
        /// What exactly.
        detail: String,
    },
}

/// Tells what `mapping` makes of `body`, field by field. Changes nothing, bounds nothing.
#[must_use]
pub fn explain(mapping: &Mapping, source: &SourceName, body: &[u8]) -> Explanation {
    let whole = |trouble: Trouble| {
        let problem = BodyProblem { code: trouble.code, detail: trouble.detail };
        Explanation { problem: Some(problem), records: Vec::new() }
    };
    let root = match parse(body) {
        Ok(root) => root,
        Err(trouble) => return whole(trouble),
    };
    let (records, in_array) = match records(mapping, &root, usize::MAX) {
        Ok(found) => found,
        Err(trouble) => return whole(trouble),
    };
    let base = mapping.records.pointer();
    let explained = records.iter().enumerate().map(|(n, record)| {
        let place = Place { root: &root, record };
        let at = if in_array { format!("{base}/{n}") } else { base.to_owned() };
        RecordExplanation { at, fields: fields(mapping, source, place), result: result(mapping, source, place) }
    });
    Explanation { problem: None, records: explained.collect() }
}

fn result(mapping: &Mapping, source: &SourceName, place: Place<'_>) -> RecordResult {
    match fate(mapping, source, place) {
        Fate::Event(event) => RecordResult::Event { event },
        Fate::Ignored => {
            let type_value = place.type_value(mapping).ok().flatten().unwrap_or_default().into_owned();
            RecordResult::Ignored { type_value }
        }
        Fate::Unmapped(Trouble { person, code, detail }) => RecordResult::Unmapped { person, code, detail },
    }
}

fn fields(mapping: &Mapping, source: &SourceName, place: Place<'_>) -> Vec<FieldExplanation> {
    // The problem with the names, where there is one, is told at the name it is about.
    let names = place.names(mapping).err();
    let names_problem = |field| names.clone().filter(|problem| problem.field == field);
    [
        ("type", &mapping.kind, place.meaning(mapping).err()),
        ("employee_id", &mapping.employee_id, place.person(mapping, source).err()),
        ("email", &mapping.email, place.email(mapping).err()),
        ("given_name", &mapping.given_name, names_problem("given_name")),
        ("family_name", &mapping.family_name, names_problem("family_name")),
        ("occurred_at", &mapping.occurred_at, place.occurred_at(mapping).err()),
        ("locale", &mapping.locale, place.locale(mapping).err()),
    ]
    .into_iter()
    .map(|(field, paths, problem)| explain_field(field, paths, place, problem))
    .collect()
}

fn explain_field(
    field: &'static str,
    paths: &Paths,
    place: Place<'_>,
    problem: Option<InvalidField>,
) -> FieldExplanation {
    let found = paths.first_present(place.root, place.record);
    FieldExplanation {
        field,
        paths: paths.as_slice().iter().map(|path| path.as_str().to_owned()).collect(),
        found_at: found.map(|(path, _)| path.as_str().to_owned()),
        json_type: found.map(|(_, value)| json_type(value)),
        length: found.and_then(|(_, value)| length(value)),
        problem: problem.map(|problem| problem.problem.to_string()),
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => Some(number.to_string().len()),
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
    }
}
