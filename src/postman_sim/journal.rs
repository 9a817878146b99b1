//! Every call to the stand-in, and the totals.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::time::UnixMs;

/// What a call asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /Users`
    Create,
    /// `GET /Users/{id}`
    Get,
    /// `GET /Users` with a filter on `userName`
    Find,
    /// `GET /Users` without one
    Page,
    /// `PUT /Users/{id}`
    Replace,
    /// `PATCH /Users/{id}` with `active: true`
    Activate,
    /// `PATCH /Users/{id}` with `active: false`
    Deactivate,
    /// `PATCH /Users/{id}` with `userName`
    SetUserName,
    /// `GET /Groups`
    FindGroup,
    /// `GET /Groups/{id}`
    GetGroup,
    /// `POST /Groups`
    CreateGroup,
    /// `PATCH /Groups/{id}`
    PatchGroup,
    /// `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`
    Discover,
    /// A read of anything else.
    OtherRead,
    /// A write of anything else.
    OtherWrite,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 15] = [
        Self::Create,
        Self::Get,
        Self::Find,
        Self::Page,
        Self::Replace,
        Self::Activate,
        Self::Deactivate,
        Self::SetUserName,
        Self::FindGroup,
        Self::GetGroup,
        Self::CreateGroup,
        Self::PatchGroup,
        Self::Discover,
        Self::OtherRead,
        Self::OtherWrite,
    ];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Find => "find",
            Self::Page => "page",
            Self::Replace => "replace",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::SetUserName => "set_user_name",
            Self::FindGroup => "find_group",
            Self::GetGroup => "get_group",
            Self::CreateGroup => "create_group",
            Self::PatchGroup => "patch_group",
            Self::Discover => "discover",
            Self::OtherRead => "other_read",
            Self::OtherWrite => "other_write",
        }
    }

    /// Does it count against the limit of writes?
    #[must_use]
    pub fn is_write(self) -> bool {
        match self {
            Self::Create
            | Self::Replace
            | Self::Activate
            | Self::Deactivate
            | Self::SetUserName
            | Self::CreateGroup
            | Self::PatchGroup
            | Self::OtherWrite => true,
            Self::Get
            | Self::Find
            | Self::Page
            | Self::FindGroup
            | Self::GetGroup
            | Self::Discover
            | Self::OtherRead => false,
        }
    }
}

/// There is no operation of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no operation {0:?}")]
pub struct UnknownOperation(pub String);

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|o| o.as_str() == text).ok_or_else(|| UnknownOperation(text.to_owned()))
    }
}

/// How the key was written in `Authorization`; never the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemeSeen {
    /// No such header.
    None,
    /// `Bearer …`
    Bearer,
    /// The key alone.
    Raw,
    /// Some other scheme.
    Other,
}

/// One call.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Counts up from 1, by arrival.
    pub seq: u64,
    /// When it arrived, with millisecond precision.
    pub at: UnixMs,
    /// Microseconds from the start of the stand-in until it arrived; monotonic.
    pub at_us: u64,
    /// What it wanted.
    pub operation: Operation,
    /// The `userName` in the body or in the filter, as it was sent.
    pub user_name: Option<Box<str>>,
    /// The id in the path; for a create, the new member's id.
    pub id: Option<Box<str>>,
    /// The `givenName` in the request.
    pub given_name: Option<Box<str>>,
    /// The `familyName` in the request.
    pub family_name: Option<Box<str>>,
    /// The `active` in the request.
    pub active: Option<bool>,
    /// How the key was written.
    pub auth: SchemeSeen,
    /// Was an `X-API-Key` sent?
    pub x_api_key: bool,
    /// The status that was sent; none if none was sent, or none yet.
    pub status: Option<u16>,
    /// The fault that struck, such as `create:reset:after`.
    pub fault: Option<FaultName>,
    /// It exceeded a rate limit.
    pub violation: bool,
    /// The write was carried out, whether or not the caller got a reply.
    pub applied: bool,
}

/// What the journal calls a fault, such as `create:reset:after`; cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultName(Arc<str>);

impl FaultName {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for FaultName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl fmt::Debug for Entry {
    /// Leaves out personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("seq", &self.seq)
            .field("operation", &self.operation)
            .field("id", &self.id)
            .field("active", &self.active)
            .field("status", &self.status)
            .field("fault", &self.fault)
            .field("violation", &self.violation)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

/// Totals since the start, or since they were last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// SCIM calls that arrived.
    pub calls: u64,
    /// SCIM calls by operation.
    pub by_operation: BTreeMap<&'static str, u64>,
    /// Replies by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Writes that were carried out.
    pub applied: u64,
    /// Calls that a fault struck.
    pub faults: u64,
    /// Writes over the limit.
    pub write_violations: u64,
    /// Reads over the limit.
    pub read_violations: u64,
    /// The most writes that arrived within one window.
    pub max_writes_in_window: usize,
    /// The most reads that arrived within one window.
    pub max_reads_in_window: usize,
    /// Journal entries that were dropped because the journal was full.
    pub journal_dropped: u64,
}

/// The journal: the newest calls, oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    last_seq: u64,
    counts: [u64; Operation::ALL.len()],
    statuses: BTreeMap<u16, u64>,
    pub(super) stats: Stats,
}

impl Journal {
    /// Adds a call and gives it its number; `max` entries are kept.
    pub(super) fn push(&mut self, mut entry: Entry, max: usize) -> u64 {
        self.last_seq += 1;
        entry.seq = self.last_seq;
        self.stats.calls += 1;
        if let Some(n) = self.counts.get_mut(entry.operation as usize) {
            *n += 1;
        }
        self.entries.push_back(entry);
        while self.entries.len() > max {
            self.entries.pop_front();
            self.stats.journal_dropped += 1;
        }
        self.last_seq
    }

    /// The entry with this number, if it has not been dropped.
    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.seq;
        self.entries.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// Records the reply to a call.
    pub(super) fn answered(&mut self, seq: u64, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
        if let Some(entry) = self.get_mut(seq) {
            entry.status = Some(status);
        }
    }

    /// At most `limit` entries with a number above `since`.
    pub(super) fn since(&self, since: u64, limit: usize) -> impl Iterator<Item = &Entry> {
        let first = self.entries.front().map_or(0, |e| e.seq);
        let skip = usize::try_from(since.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(limit)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Removes all entries; numbering continues.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Resets the totals.
    pub(super) fn clear_stats(&mut self) {
        self.stats = Stats::default();
        self.counts = [0; Operation::ALL.len()];
        self.statuses.clear();
    }

    /// The totals, except for the windows' maxima.
    pub(super) fn stats(&self) -> Stats {
        let by_operation =
            Operation::ALL.iter().zip(self.counts).filter(|(_, n)| *n > 0).map(|(o, n)| (o.as_str(), n)).collect();
        Stats { by_operation, by_status: self.statuses.clone(), ..self.stats.clone() }
    }
}
