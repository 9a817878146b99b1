//! Dead letters.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PersonBody, PersonRef};
use crate::admin::letters::{Done, WholeLetter};
use crate::core::code::Code;
use crate::core::csv;
use crate::core::hold::Holds;
use crate::store::DeadRow;

/// A page of dead letters, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadListBody {
    /// The dead letters.
    pub dead: Vec<DeadRowBody>,
    /// Give it as `after` for the next page; null on the last.
    pub next: Option<String>,
}

/// A dead letter in a listing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadRowBody {
    /// Its id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub id: String,
    /// The source it came from.
    pub source: String,
    /// Who it is about, if known.
    pub person: Option<PersonRef>,
    /// `hire`, `update`, `leave` or `notice`; null for a record that could not be mapped and does not say.
    pub event: Option<String>,
    /// When it died.
    pub died_at: String,
    /// The reason.
    #[schema(example = "SCIM-409-ELSEWHERE")]
    pub code: String,
    /// What the code means.
    pub title: String,
    /// What to do about it.
    pub action: String,
    /// What exactly was wrong: fields and shapes, never values.
    pub detail: String,
    /// Whether it is a record that could not be mapped.
    pub unmapped: bool,
}

impl From<&DeadRow> for DeadRowBody {
    fn from(row: &DeadRow) -> Self {
        let code = code_of(row);
        Self {
            id: row.id.to_string(),
            source: row.source.to_string(),
            person: row.person.as_ref().map(PersonRef::from),
            event: row.event.map(|kind| kind.as_str().to_owned()),
            died_at: row.died_at.to_string(),
            code: row.code.clone(),
            title: code.map_or("This version does not know this code.", Code::title).to_owned(),
            action: code.map_or("Look at it with the version that wrote it.", Code::advice).to_owned(),
            detail: row.detail.clone(),
            unmapped: row.unmapped,
        }
    }
}

/// The columns of [`DeadRowBody::csv`].
pub const CSV_COLUMNS: &str = "id,died_at,code,source,employee_id,event,detail";

impl DeadRowBody {
    /// A line of comma-separated values.
    #[must_use]
    pub fn csv(&self) -> String {
        let employee = self.person.as_ref().map(|person| person.employee_id.as_str()).unwrap_or_default();
        let event = self.event.as_deref().unwrap_or("unmapped");
        csv::row(&[&self.id, &self.died_at, &self.code, &self.source, employee, event, &self.detail])
    }
}

/// The code of a dead letter, if this version knows it.
pub(in crate::admin) fn code_of(row: &DeadRow) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == row.code)
}

/// A dead letter in full.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadBody {
    /// What the listing shows, too.
    #[serde(flatten)]
    pub row: DeadRowBody,
    /// Everything about the person that it blocks.
    pub about: Option<PersonBody>,
    /// The record as received, if it could not be mapped and was asked for.
    pub payload: Option<String>,
    /// How long that record is.
    pub payload_bytes: Option<usize>,
}

impl DeadBody {
    pub(in crate::admin) fn of(letter: &WholeLetter, holds: &Holds, with_payload: bool) -> Self {
        let payload = letter.payload.as_ref().filter(|_| with_payload);
        Self {
            row: DeadRowBody::from(&letter.row),
            about: letter.person.as_ref().map(|person| PersonBody::of(person, holds)),
            payload: payload.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            payload_bytes: letter.payload.as_ref().map(bytes::Bytes::len),
        }
    }
}

/// Which dead letters are meant, and why.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BulkBody {
    /// These ids; then the filters are ignored.
    #[schema(max_items = 2000)]
    pub ids: Option<Vec<String>>,
    /// Only of this code.
    pub code: Option<String>,
    /// Only of this source.
    pub source: Option<String>,
    /// Only those whose newest stopped event was of this kind.
    pub event: Option<String>,
    /// Only those older than this many seconds.
    pub older_than_s: Option<u64>,
    /// Only count them.
    pub dry_run: bool,
    /// Where the previous request ended.
    pub after: Option<String>,
    /// Why, for the audit.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct BulkDoneBody {
    /// How many matched.
    pub matched: u64,
    /// How many were put back to work.
    pub replayed: u64,
    /// How many were discarded.
    pub discarded: u64,
    /// How many still cannot be mapped, and stay.
    pub still_unmapped: u64,
    /// The sources of these that are not configured, so that nothing can map them.
    #[serde(default)]
    pub sources_gone: BTreeSet<String>,
    /// Give it as `after` to go on; null if that was all.
    pub next: Option<String>,
}

impl BulkDoneBody {
    pub(in crate::admin) fn replayed(done: Done) -> Self {
        let Done { matched, done, still_unmapped, gone, next } = done;
        Self { matched, replayed: done, discarded: 0, still_unmapped, sources_gone: gone, next }
    }

    pub(in crate::admin) fn discarded(done: Done) -> Self {
        let Done { matched, done, still_unmapped, gone, next } = done;
        Self { matched, replayed: 0, discarded: done, still_unmapped, sources_gone: gone, next }
    }
}

/// How a record that could not be mapped is corrected.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayBody {
    /// New values, by the mapping's names for the fields: `email`, `given_name`, …
    pub fields: BTreeMap<String, String>,
}

/// Why a dead letter is discarded.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscardBody {
    /// Why, for the audit.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// What was discarded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DiscardedBody {
    /// The id of what was a dead letter.
    pub discarded: String,
}
