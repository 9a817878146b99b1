//! A store's whole content in an engine-neutral form: read page by page, written page by page. An
//! engine implements this so that its content can be moved to any other.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::tokens::Tats;
use super::{DeadRow, Lane, Shared, Store, StoreError, Story};
use crate::core::person::job::JobId;
use crate::core::person::{PersonId, SourceName};
use crate::core::time::UnixMs;

/// The most records on a page; [`super::PAGE_BYTES_MAX`] bounds its bytes.
pub const RECORDS_MAX: usize = 500;

/// The sections of a store's content, in the order in which they are copied: what a record needs comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// The store's counters: one record.
    Marks,
    /// Deliveries that are remembered.
    Remembered,
    /// People, with everything that is kept about them except their inbox.
    People,
    /// Inbox entries.
    Inbox,
    /// Records that could not be mapped.
    Unmapped,
    /// Small shared documents.
    Shared,
}

impl Section {
    /// All, in order.
    pub const ALL: [Self; 6] = [Self::Marks, Self::Remembered, Self::People, Self::Inbox, Self::Unmapped, Self::Shared];

    /// Its name in the command's output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marks => "marks",
            Self::Remembered => "remembered",
            Self::People => "people",
            Self::Inbox => "inbox",
            Self::Unmapped => "unmapped",
            Self::Shared => "shared",
        }
    }
}

/// One thing that a store holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Record {
    /// The store's counters.
    Marks(Marks),
    /// A remembered delivery.
    Remembered {
        /// See [`super::Dedupe::key`].
        key: [u8; 16],
        /// Until when it is remembered.
        until: UnixMs,
        /// The ids it got.
        ids: Vec<JobId>,
    },
    /// A person.
    Person(Box<PersonRecord>),
    /// An entry of the inbox of an existing person.
    Entry {
        /// The person in whose inbox it is.
        person: PersonId,
        /// Its place.
        seq: u64,
        /// What it says.
        bytes: Bytes,
    },
    /// A record that could not be mapped.
    Unmapped {
        /// The dead letter.
        row: DeadRow,
        /// As received.
        payload: Bytes,
    },
    /// A shared document.
    Shared {
        /// Its name.
        name: String,
        /// What it says, with its version.
        document: Shared,
    },
}

impl Record {
    /// The section it belongs to.
    #[must_use]
    pub fn section(&self) -> Section {
        match self {
            Self::Marks(_) => Section::Marks,
            Self::Remembered { .. } => Section::Remembered,
            Self::Person(_) => Section::People,
            Self::Entry { .. } => Section::Inbox,
            Self::Unmapped { .. } => Section::Unmapped,
            Self::Shared { .. } => Section::Shared,
        }
    }
}

impl fmt::Debug for Record {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Record").field(&self.section()).finish()
    }
}

/// A store's counters: every number that it gives out later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// The last place that an entry got; 0: nothing was ever accepted.
    pub last_seq: u64,
    /// The last fence that was given out.
    pub last_fence: u64,
    /// The limiters.
    pub tats: Tats,
}

impl Marks {
    /// The greater of both, number by number.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            last_seq: self.last_seq.max(other.last_seq),
            last_fence: self.last_fence.max(other.last_fence),
            tats: Tats {
                writes_us: self.tats.writes_us.max(other.tats.writes_us),
                reads_us: self.tats.reads_us.max(other.tats.reads_us),
            },
        }
    }
}

/// Everything that is kept about a person except their inbox.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRecord {
    /// Their number.
    pub id: PersonId,
    /// The HR system that names them.
    pub source: SourceName,
    /// The document.
    pub document: Option<Bytes>,
    /// Their lane, never `Running`: a running lane is exported as due since it was claimed.
    pub lane: Lane,
    /// Since when the lane has been in this state.
    pub since: UnixMs,
    /// The key of their newest delivery, if that delivery has no id of its own; see [`super::Dedupe::only_while_newest`].
    pub newest: Option<[u8; 16]>,
    /// Their story.
    pub story: Story,
    /// Their search terms, in order.
    pub terms: Vec<String>,
    /// What they own, in order.
    pub owned: Vec<String>,
    /// Their dead letter.
    pub dead: Option<DeadRow>,
}

/// A page of a section.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The records; there may be few, or none, although more follow.
    pub records: Vec<Record>,
    /// Where to continue, for the same engine only; none: that was all.
    pub next: Option<String>,
}

/// Signs that the store is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Leases that have not run out.
    pub leases: u64,
    /// Workers that listen for wake-ups.
    pub listeners: u64,
}

/// The result of importing a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transferred {
    /// It was written; from [`Transfer::compare`]: it is missing or different, and would be written.
    Taken,
    /// It was there already, and the same.
    AlreadyThere,
}

/// A store whose content can be moved.
#[async_trait]
pub trait Transfer: Store {
    /// Signs that the store is in use.
    async fn activity(&self, now: UnixMs) -> Result<Activity, StoreError>;

    /// The page of a section after a position, in an order that stays the same while nobody writes. Changes nothing. A
    /// record may come twice; remembered deliveries that have expired are left out.
    async fn export(&self, now: UnixMs, section: Section, after: Option<&str>) -> Result<Exported, StoreError>;

    /// Writes records in one atomic and durable step, whatever the bounds. Counters never decrease. A person who is
    /// identical already is left alone; any other is replaced by the record, with an empty inbox, whose entries follow
    /// later. [`Store::stats`] stays exact.
    async fn import(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError>;

    /// What [`Transfer::import`] would return. Changes nothing. Expired deliveries count as already there.
    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Transferred>, StoreError>;
}
