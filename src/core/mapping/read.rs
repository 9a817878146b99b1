//! A delivery's body to records: events, records to ignore, and records to keep as dead letters.

use std::fmt;

use serde_json::Value;

use super::Mapping;
use super::field::{Meaning, Place, json_type};
use crate::core::code::Code;
use crate::core::delivery::{Delivery, Verified};
use crate::core::event::{Event, InvalidField, Person, SourceName};

/// Most records taken from one delivery: they are stored in one atomic step, which must stay short.
pub const RECORDS_MAX: usize = 10_000;

/// How many times over the body's length the payloads kept of it may come to. Each unmapped record
/// is kept with its envelope, and a large envelope around many bad records would multiply.
const KEPT_PER_BODY_MAX: usize = 4;
/// What may be kept of a small body all the same.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// What one record of a delivery comes to.
#[derive(Clone, PartialEq, Eq)]
pub enum Record {
    /// Something happened to somebody.
    Event(Event),
    /// Of a type that the mapping does not name.
    Ignored,
    /// To be kept as a dead letter, and mapped again ([`remap`]) with a corrected mapping.
    Unmapped {
        /// Whose it is, where the record told at least that.
        person: Option<Person>,
        /// One of the `MAP-` codes.
        code: Code,
        /// Fields and shapes, never values.
        detail: String,
        /// The body as received; of a batch, the body with this record alone in its place.
        payload: String,
    },
}

/// Why a body or a record could not be mapped.
pub(super) struct Trouble {
    pub(super) person: Option<Person>,
    pub(super) code: Code,
    pub(super) detail: String,
}

/// What one record comes to, before it is known what must be kept of it.
pub(super) enum Fate {
    Event(Event),
    Ignored,
    Unmapped(Trouble),
}

impl fmt::Debug for Record {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Ignored => f.write_str("Ignored"),
            Self::Unmapped { person, code, detail, .. } => f
                .debug_struct("Unmapped")
                .field("person", person)
                .field("code", code)
                .field("detail", detail)
                .finish_non_exhaustive(),
        }
    }
}

/// Maps a delivery: its records in order, none for an empty batch.
///
/// A batch of more than [`RECORDS_MAX`] records is kept whole, as one unmapped record.
#[must_use]
pub fn map(mapping: &Mapping, source: &SourceName, delivery: &Verified<Delivery>) -> Vec<Record> {
    read(mapping, source, &delivery.get().body, RECORDS_MAX)
}

/// Maps the kept payload of an unmapped record again. Takes any number of records: an operator has
/// looked at it and asked for it.
#[must_use]
pub fn remap(mapping: &Mapping, source: &SourceName, payload: &str) -> Vec<Record> {
    read(mapping, source, payload.as_bytes(), usize::MAX)
}

/// Parses a body; `serde_json` stops at a nesting of 128.
pub(super) fn parse(body: &[u8]) -> Result<Value, Trouble> {
    // RFC 8259 §8.1: a byte order mark may be ignored.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| {
        // Of `Value`, these messages tell a syntax error and its place, and no values.
        let detail = if body.trim_ascii().is_empty() { "the body is empty".to_owned() } else { error.to_string() };
        Trouble { person: None, code: Code::MapNotJson, detail }
    })
}

/// The records of a body, and whether they stand in an array.
pub(super) fn records<'v>(
    mapping: &Mapping,
    root: &'v Value,
    records_max: usize,
) -> Result<(&'v [Value], bool), Trouble> {
    let path = mapping.records.as_str();
    let detail = match mapping.records.find(root, root) {
        Some(Value::Array(items)) if items.len() > records_max => {
            format!("{} records, at most {records_max} in a delivery; replay takes them all", items.len())
        }
        Some(Value::Array(items)) => return Ok((items, true)),
        Some(single @ Value::Object(_)) => return Ok((std::slice::from_ref(single), false)),
        Some(other) => format!("records `{path}`: expected an object or an array, found {}", json_type(other)),
        None => format!("records `{path}`: nothing is there; the body is an {}", json_type(root)),
    };
    Err(Trouble { person: None, code: Code::MapShape, detail })
}

/// Reads one record.
pub(super) fn fate(mapping: &Mapping, source: &SourceName, place: Place<'_>) -> Fate {
    if !place.record.is_object() {
        let detail = format!("expected an object, found {}", json_type(place.record));
        return Fate::Unmapped(Trouble { person: None, code: Code::MapShape, detail });
    }
    let problems = match place.meaning(mapping) {
        Ok(Meaning::NotNamed) => return Fate::Ignored,
        Ok(Meaning::Kind(kind)) => match place.event(mapping, source, kind) {
            Ok(event) => return Fate::Event(event),
            Err(problems) => problems,
        },
        Err(problem) => vec![problem],
    };
    let person = place.person(mapping, source).ok();
    let details: Vec<String> = problems.iter().map(|problem| with_paths(mapping, problem)).collect();
    Fate::Unmapped(Trouble { person, code: Code::MapField, detail: details.join("; ") })
}

fn read(mapping: &Mapping, source: &SourceName, body: &[u8], records_max: usize) -> Vec<Record> {
    let root = match parse(body) {
        Ok(root) => root,
        Err(trouble) => return vec![unmapped(trouble, as_received(body))],
    };
    let (fates, in_array) = match records(mapping, &root, records_max) {
        Ok((records, in_array)) => {
            let fates = records.iter().map(|record| fate(mapping, source, Place { root: &root, record }));
            (fates.collect::<Vec<_>>(), in_array)
        }
        Err(trouble) => return vec![unmapped(trouble, as_received(body))],
    };
    let count = fates.len();
    let mut kept = if in_array && count > 1 { Kept::of_batch(mapping, root, body) } else { Kept::whole(body) };
    let mut read = Vec::with_capacity(count);
    for (n, fate) in fates.into_iter().enumerate() {
        match fate {
            Fate::Event(event) => read.push(Record::Event(event)),
            Fate::Ignored => read.push(Record::Ignored),
            Fate::Unmapped(mut trouble) => {
                if count > 1 {
                    trouble.detail = format!("record {} of {count}: {}", n + 1, trouble.detail);
                }
                read.extend(kept.keep(n, trouble));
            }
        }
    }
    read.extend(kept.rest());
    read
}

/// What is kept of a body for its unmapped records.
enum Kept<'b> {
    /// All of it, as received.
    Whole(&'b [u8]),
    /// The envelope, and the records taken out of it.
    Batch { mapping: &'b Mapping, envelope: Value, records: Vec<Value>, bytes_left: usize, rest: Vec<(usize, Trouble)> },
}

impl<'b> Kept<'b> {
    fn whole(body: &'b [u8]) -> Self {
        Self::Whole(body)
    }

    fn of_batch(mapping: &'b Mapping, mut root: Value, body: &'b [u8]) -> Self {
        match mapping.records.find_in_root_mut(&mut root) {
            Some(Value::Array(records)) => {
                let records = std::mem::take(records);
                let bytes_left = body.len().saturating_mul(KEPT_PER_BODY_MAX).max(KEPT_BYTES_MIN);
                Self::Batch { mapping, envelope: root, records, bytes_left, rest: Vec::new() }
            }
            Some(_) | None => Self::Whole(body),
        }
    }

    /// Keeps record `n` by itself, or puts it by for `rest` where that would keep too much.
    fn keep(&mut self, n: usize, trouble: Trouble) -> Option<Record> {
        match self {
            Self::Whole(body) => Some(unmapped(trouble, as_received(body))),
            Self::Batch { mapping, envelope, records, bytes_left, rest } => {
                if *bytes_left > 0 {
                    let payload = placed(mapping, envelope, records, &[n]);
                    *bytes_left = bytes_left.saturating_sub(payload.len());
                    return Some(unmapped(trouble, payload));
                }
                rest.push((n, trouble));
                None
            }
        }
    }

    /// The records that were put by, in one dead letter.
    fn rest(self) -> Option<Record> {
        let Self::Batch { mapping, mut envelope, mut records, rest, .. } = self else { return None };
        let positions: Vec<usize> = rest.iter().map(|(n, _)| *n).collect();
        let (_, mut trouble) = rest.into_iter().next()?;
        if positions.len() > 1 {
            trouble.person = None;
            trouble.detail = format!("{} records kept together, the first: {}", positions.len(), trouble.detail);
        }
        let payload = placed(mapping, &mut envelope, &mut records, &positions);
        Some(unmapped(trouble, payload))
    }
}

/// The envelope with these records, and no others, in their place.
fn placed(mapping: &Mapping, envelope: &mut Value, records: &mut [Value], positions: &[usize]) -> String {
    let alone = positions.iter().filter_map(|&n| records.get_mut(n).map(Value::take)).collect();
    if let Some(place) = mapping.records.find_in_root_mut(envelope) {
        *place = Value::Array(alone);
    }
    envelope.to_string()
}

fn as_received(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn unmapped(trouble: Trouble, payload: String) -> Record {
    let Trouble { person, code, detail } = trouble;
    Record::Unmapped { person, code, detail, payload }
}

/// A field's problem with the paths that were looked at.
fn with_paths(mapping: &Mapping, problem: &InvalidField) -> String {
    let paths = match problem.field {
        "type" => Some(&mapping.kind),
        "employee_id" => Some(&mapping.employee_id),
        "email" => Some(&mapping.email),
        "given_name" => Some(&mapping.given_name),
        "family_name" => Some(&mapping.family_name),
        "occurred_at" => Some(&mapping.occurred_at),
        "locale" => Some(&mapping.locale),
        _ => None,
    };
    paths.map_or_else(|| problem.to_string(), |paths| format!("{problem} (looked at {paths})"))
}
