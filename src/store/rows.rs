//! What people see of a store: pages of listings, stories, figures.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::arrival::InboxEntry;
use super::lane::Lane;
use crate::core::person::PersonId;
use crate::core::time::UnixMs;

/// Which page of a listing. Each page gives the cursor of the next one. Pages are bounded in rows and in bytes, so a
/// short page need not be the last.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// How many rows at most.
    pub rows_max: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// A page's rows.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none: that was the last.
    pub next: Option<String>,
}

/// A person as stored.
#[derive(Debug, Clone)]
pub struct PersonRow {
    /// Their number.
    pub id: PersonId,
    /// The document; none if nothing was committed about them yet.
    pub document: Option<Bytes>,
    /// Their place in the queue. `Running` while a worker has them.
    pub lane: Lane,
    /// When the lane last changed.
    pub since: UnixMs,
    /// How many entries are in the inbox.
    pub inbox_entries: u64,
    /// The first of them, at most a few hundred.
    pub inbox: Vec<InboxEntry>,
}

/// A story: the newest entries, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Story {
    /// The entries, which engines do not look into.
    pub entries: Vec<Bytes>,
    /// How many older ones were dropped.
    pub dropped: u64,
}

/// The store in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Stats {
    /// How many people are in each state, except `idle`.
    pub lanes: BTreeMap<String, u64>,
    /// People with a document.
    pub people: u64,
    /// Inbox entries that have not been folded yet, by source.
    pub entries: BTreeMap<String, u64>,
    /// Dead letters by code: exact.
    pub dead: BTreeMap<String, u64>,
    /// Dead letters by source.
    pub dead_by_source: BTreeMap<String, u64>,
    /// Bytes of all unmapped records.
    pub dead_bytes: u64,
    /// The earliest time at which anybody became due, or will. If it is in the future, nobody is due.
    pub oldest_due_at: Option<UnixMs>,
}
