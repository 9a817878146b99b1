//! Dead letters: a line in a listing, and which ones are asked for.

use serde::{Deserialize, Serialize};

use crate::core::person::job::JobId;
use crate::core::person::{EventKind, Person, SourceName};
use crate::core::time::UnixMs;

/// How a person's dead letter changes.
#[derive(Debug, Clone)]
pub enum DeadChange {
    /// None from now on.
    None,
    /// This one from now on.
    Is(Box<DeadRow>),
}

/// A dead letter's line in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadRow {
    /// Its id.
    pub id: JobId,
    /// The HR system it came from.
    pub source: SourceName,
    /// Whose it is, if known.
    pub person: Option<Person>,
    /// The kind of the newest job that it stopped, or of what an unmapped record would be; none if the record does not say.
    pub event: Option<EventKind>,
    /// When it died.
    pub died_at: UnixMs,
    /// Why: the text of a [`Code`], which may be one that this version does not know.
    pub code: String,
    /// Fields and shapes, never values.
    pub detail: String,
    /// Whether it is a record that could not be mapped.
    pub unmapped: bool,
}

/// A filter for dead letters.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// Only of this code.
    pub code: Option<String>,
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only those whose newest stopped job was of this kind, or whose record would be.
    pub event: Option<EventKind>,
    /// Only those that died before.
    pub died_before: Option<UnixMs>,
}

impl DeadFilter {
    /// Whether a dead letter passes the filter.
    #[must_use]
    pub fn takes(&self, row: &DeadRow) -> bool {
        self.code.as_ref().is_none_or(|code| *code == row.code)
            && self.source.as_ref().is_none_or(|source| *source == row.source)
            && self.event.is_none_or(|event| row.event == Some(event))
            && self.died_before.is_none_or(|before| row.died_at < before)
    }
}
