//! The payloads kept for a body's unmapped records: bytes as received, so that numbers keep every digit.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Mapping;
use super::record::{MapError, Record, unmapped};
use crate::core::json::Key;

/// How much the kept payloads may take, in multiples of the body's length. Each unmapped record is kept with its
/// envelope, so a large envelope around many bad records would multiply.
const KEPT_PER_BODY_MAX: usize = 4;
/// The minimum, for small bodies.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// What is kept of a body for its unmapped records.
pub(super) struct Kept<'t> {
    whole: Bytes,
    batch: Option<Batch<'t>>,
    bytes_left: usize,
    rest: Vec<(usize, MapError)>,
}

/// The positions of the records in a body's text.
struct Batch<'t> {
    text: &'t str,
    /// The array or object that holds them, including its brackets.
    container: Range<usize>,
    /// Each record; for an object's members, with its name.
    records: Vec<Range<usize>>,
    brackets: [&'static str; 2],
}

impl<'t> Kept<'t> {
    /// `count` records of the body `whole`, with its text.
    pub(super) fn of(mapping: &Mapping, whole: Bytes, text: &'t str, count: usize) -> Self {
        let bytes_left = whole.len().saturating_mul(KEPT_PER_BODY_MAX).max(KEPT_BYTES_MIN);
        let batch =
            if count > 1 { Batch::find(mapping, text).filter(|batch| batch.records.len() == count) } else { None };
        Self { whole, batch, bytes_left, rest: Vec::new() }
    }

    /// Keeps record `n` alone or, if that is not possible, saves it for `rest`.
    pub(super) fn keep(&mut self, n: usize, count: usize, mut error: MapError) -> Option<Record> {
        if count > 1 {
            error.detail = format!("record {} of {count}: {}", n + 1, error.detail);
        }
        match &self.batch {
            None if count <= 1 => Some(unmapped(error, self.whole.clone())),
            Some(batch) if self.bytes_left > 0 => {
                let payload = batch.alone(&[n]);
                self.bytes_left = self.bytes_left.saturating_sub(payload.len());
                Some(unmapped(error, payload.into()))
            }
            Some(_) | None => {
                self.rest.push((n, error));
                None
            }
        }
    }

    /// The records that were saved for one common dead letter.
    pub(super) fn rest(self) -> Option<Record> {
        let positions: Vec<usize> = self.rest.iter().map(|(n, _)| *n).collect();
        let (_, mut error) = self.rest.into_iter().next()?;
        // It comes after all events.
        error.is_beside_event = false;
        if positions.len() > 1 {
            error.person = None;
            error.detail = format!("{} records kept together, the first: {}", positions.len(), error.detail);
        }
        let payload = self.batch.map_or(self.whole, |batch| batch.alone(&positions).into());
        Some(unmapped(error, payload))
    }
}

impl<'t> Batch<'t> {
    fn find(mapping: &Mapping, text: &'t str) -> Option<Self> {
        let mut raw: &RawValue = serde_json::from_str(text).ok()?;
        for name in mapping.records.plain_names()? {
            raw = step(raw, name)?;
        }
        let range = |raw: &RawValue| {
            let start = raw.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
            Some(start..start + raw.get().len())
        };
        let container = range(raw)?;
        let (records, brackets) = if raw.get().starts_with('{') {
            let members: BTreeMap<Key<'_>, &RawValue> = serde_json::from_str(raw.get()).ok()?;
            let values: Option<Vec<_>> = members.values().map(|value| range(value)).collect();
            (with_names(text, &container, values?)?, ["{", "}"])
        } else {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
            (items.into_iter().map(range).collect::<Option<Vec<_>>>()?, ["[", "]"])
        };
        Some(Self { text, container, records, brackets })
    }

    /// The body with only these records, in their places.
    fn alone(&self, positions: &[usize]) -> String {
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        let records =
            positions.iter().filter_map(|n| self.records.get(*n)).map(|range| part(range.clone())).collect::<Vec<_>>();
        let [open, close] = self.brackets;
        [part(0..self.container.start), open, &records.join(","), close, part(self.container.end..self.text.len())]
            .concat()
    }
}

/// The ranges of an object's members, from name to value, in order.
fn with_names(text: &str, container: &Range<usize>, mut values: Vec<Range<usize>>) -> Option<Vec<Range<usize>>> {
    values.sort_by_key(|range| range.start);
    let mut from = container.start + 1;
    let mut members = Vec::with_capacity(values.len());
    for value in values {
        let name = text.get(from..value.start)?.trim_start_matches([' ', '\t', '\r', '\n', ',']);
        members.push(value.start - name.len()..value.end);
        from = value.end;
    }
    Some(members)
}

pub(super) fn step<'t>(raw: &'t RawValue, name: &str) -> Option<&'t RawValue> {
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        return items.get(name.parse::<usize>().ok()?).copied();
    }
    let members: BTreeMap<Key<'t>, &RawValue> = serde_json::from_str(raw.get()).ok()?;
    members.into_iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
}
