//! A delivery to be stored, and the bounds of a store.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::dead::DeadRow;
use crate::core::person::job::JobId;
use crate::core::person::{Person, SourceName};

/// How much a store may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Inbox entries of all people together; see [`share_of_source`] for what one source may have of it.
    pub entries_max: u64,
    /// Dead letters, blocked people and unmapped records together. Only unmapped records are refused
    /// at it.
    pub dead_letters_max: u64,
    /// The total size of unmapped records' payloads, in bytes.
    pub dead_bytes_max: u64,
    /// Entries of a person's story; beyond that, the oldest are dropped and counted.
    pub story_entries_max: u32,
    /// How long people who are idle keep their story, in milliseconds.
    pub story_keep_ms: u64,
}

/// How much of a bound a source may take: half of what the others leave, so that there is always room for another
/// source.
#[must_use]
pub fn share_of_source(max: u64, all: u64, mine: u64) -> u64 {
    max.saturating_sub(all.saturating_sub(mine)) / 2
}

/// About how much memory an entry takes besides its bytes.
const ENTRY_BYTES: usize = 256;

/// A delivery to be accepted: remembered and queued in one step.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Who sent it.
    pub source: SourceName,
    /// How to recognise a repetition; none: it is never a duplicate.
    pub dedupe: Option<Dedupe>,
    /// What it says, in order; several entries may be about one person.
    pub entries: Vec<NewEntry>,
    /// Its records that could not be mapped.
    pub unmapped: Vec<NewUnmapped>,
}

impl NewDelivery {
    /// The ids it gets: jobs, then unmapped records, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = JobId> {
        let unmapped = self.unmapped.iter().map(|unmapped| unmapped.row.id);
        self.entries.iter().map(|entry| entry.job).chain(unmapped)
    }

    /// About how much memory it takes until it is stored.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.entries.iter().map(|entry| entry.bytes.len() + ENTRY_BYTES);
        let unmapped = self.unmapped.iter().map(|unmapped| unmapped.payload.len() + ENTRY_BYTES);
        entries.chain(unmapped).sum()
    }
}

/// How a repetition of a delivery is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Dedupe {
    /// Hash of source and event id (or of source and body).
    pub key: [u8; 16],
    /// The key is a hash of the body alone. Then it counts only for people whose newest delivery it is: the same body
    /// after another one says that something changed back.
    pub only_while_newest: bool,
    /// How long it is remembered.
    pub remember_ms: u64,
    /// A hash of what it says, to report a delivery that says something else under the same id. See
    /// [`crate::core::delivery::Says`].
    pub says: u32,
}

/// An entry for a person's inbox.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// The job's id.
    pub job: JobId,
    /// Whose inbox. `job.person()` is `person.id()`.
    pub person: Person,
    /// Its content, which engines do not look into.
    pub bytes: Bytes,
}

/// A record to be kept as a dead letter because it could not be mapped.
#[derive(Debug, Clone)]
pub struct NewUnmapped {
    /// Its line in the listing. `person` is set if the record named one; `event` is none.
    pub row: DeadRow,
    /// The record, or the whole body, as received.
    pub payload: Bytes,
}

/// The result of accepting a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored durably: at least something of it was news.
    Stored,
    /// Known already, for everybody it is about.
    Duplicate {
        /// The ids it got the first time: jobs, then unmapped records, in order.
        ids: Vec<JobId>,
    },
    /// Known by its id, and it said something else the first time. Nothing was stored.
    Conflict {
        /// The ids that the first one got.
        ids: Vec<JobId>,
    },
    /// A bound is reached. Nothing was stored or remembered.
    Full(FullBound),
}

impl Accepted {
    /// The result for a known delivery. `said`: what it said the first time; none: that is not remembered.
    pub(crate) fn known(ids: Vec<JobId>, said: Option<u32>, dedupe: &Dedupe) -> Self {
        if said.is_some_and(|said| said != dedupe.says) { Self::Conflict { ids } } else { Self::Duplicate { ids } }
    }
}

impl Dedupe {
    /// What to remember of what it says: nothing if the key is the body's hash, which says it all.
    pub(crate) fn remembered_says(&self) -> Option<u32> {
        (!self.only_while_newest).then_some(self.says)
    }
}

/// Which bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullBound {
    /// [`Bounds::entries_max`], or this source's share of it.
    Entries,
    /// [`Bounds::dead_letters_max`], or this source's share of it.
    DeadLetters,
    /// [`Bounds::dead_bytes_max`], or this source's share of it.
    DeadBytes,
}

/// An entry of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its place in the order of acceptance.
    pub seq: u64,
    /// Its content, which engines do not look into.
    pub bytes: Bytes,
}
