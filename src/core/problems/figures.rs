//! The input of the judgement: figures about all people and all calls of the last minute, never a sample.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::activity::Activity;
use crate::core::code::Code;
use crate::core::hold::Holds;
use crate::core::mapping::Mapping;
use crate::core::person::{Mark, SourceName};
use crate::core::processes::Processes;
use crate::core::roster::DriftReport;
use crate::core::store_health::FailingOperation;
use crate::core::tally::{Seen, SourceTally};
use crate::core::time::UnixMs;

/// People who have left, where it is not known which member to switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaverFigure {
    /// How many an operator should look after.
    pub recent: u64,
    /// Since when the first of these has waited.
    pub since: Option<UnixMs>,
    /// How many have been reported long enough.
    pub long_ago: u64,
    /// How many incomplete people were not examined: some of them may have left.
    pub unseen: u64,
}

/// All figures.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The current time.
    pub now: UnixMs,
    /// When the judging process started: others may still be starting.
    pub up_since: UnixMs,
    /// People by state of their lane.
    pub people: BTreeMap<String, u64>,
    /// People who wait behind each hold, by scope; may be empty if there is only one hold.
    pub held: BTreeMap<String, u64>,
    /// When the person who has been due longest became due.
    pub oldest_due_at: Option<UnixMs>,
    /// When the person who has been incomplete longest became so.
    pub oldest_incomplete_at: Option<UnixMs>,
    /// How many of the incomplete people that were checked have left.
    pub leavers: LeaverFigure,
    /// What incomplete people lack, and how many of those checked lack it.
    pub missing: BTreeMap<String, u64>,
    /// Inbox entries by source.
    pub entries: BTreeMap<String, u64>,
    /// Dead letters by code.
    pub dead: Vec<DeadFigure>,
    /// Dead letters by source.
    pub dead_by_source: BTreeMap<String, u64>,
    /// How many bytes the unmapped records take.
    pub dead_bytes: u64,
    /// The store's limits.
    pub bounds: BoundFigures,
    /// Why the store cannot be written; none if it can.
    pub store: Option<Code>,
    /// What fails in the store, for any process.
    pub store_failing: Vec<FailingOperation>,
    /// Holds in force.
    pub holds: Holds,
    /// Until when the limiter grants no call of at least one kind.
    pub paused_until: Option<UnixMs>,
    /// What happened in the last minute.
    pub activity: Activity,
    /// The processes that share the store.
    pub processes: Processes,
    /// What each source delivered.
    pub sources: Vec<SourceFigures>,
    /// Deliveries to sources that do not exist.
    pub strangers: Vec<SourceFigures>,
    /// Deliveries to further names that no source has.
    pub other_strangers: SourceTally,
    /// Sources that are not configured, but have data in the store.
    pub gone: Vec<GoneFigure>,
    /// Rows that the last import of a source refused.
    pub imports: Vec<ImportFigure>,
    /// Lists of HR systems that are being read, and the last ones that could not be read completely.
    pub fetches: Vec<FetchFigure>,
    /// The result of the last comparison of HR and the members.
    pub drift: Option<DriftReport>,
    /// People whom an operator should know about.
    pub marked: Vec<MarkFigure>,
    /// Alert receivers that cannot be reached.
    pub alerts: Vec<AlertFigure>,
    /// The certificates that the configuration names.
    pub certificates: Vec<CertificateFigure>,
}

/// What the store has of a source that is not configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneFigure {
    /// Its name.
    pub source: String,
    /// How many people HR calls employed there.
    pub people: u64,
    /// How many dead letters.
    pub dead: u64,
    /// Since when that is known.
    pub since: Option<UnixMs>,
}

/// What the last import of a source refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFigure {
    /// The source.
    pub source: String,
    /// How many rows.
    pub refused: u64,
    /// The first of them, with its reason.
    pub first: String,
    /// When it was imported.
    pub at: UnixMs,
}

/// A list of an HR system that is being read, or that could not be read completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFigure {
    /// The source.
    pub source: String,
    /// The word for its state.
    pub state: &'static str,
    /// People listed.
    pub listed: u64,
    /// How many of them were also read one by one.
    pub read: u64,
    /// When it was requested, or ended.
    pub since: UnixMs,
    /// Code and reason, if it could not be read completely.
    pub failure: Option<String>,
}

/// An alert receiver that cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertFigure {
    /// Its host.
    pub host: String,
    /// When it began.
    pub since: UnixMs,
    /// How many times we tried.
    pub tries: u32,
    /// Why the last try failed.
    pub reason: String,
}

/// One of our certificates, or the authorities that we trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFigure {
    /// The key of the configuration that names its file.
    pub key: &'static str,
    /// When it expires; if any of several would do, the last of them.
    pub until: UnixMs,
}

/// Dead letters of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadFigure {
    /// The code, which may be one that this version does not know.
    pub code: String,
    /// How many.
    pub count: u64,
    /// When the newest died.
    pub newest_at: Option<UnixMs>,
    /// What was wrong with the newest: fields and shapes.
    pub detail: String,
}

/// The store's limits; 0 if not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoundFigures {
    /// Inbox entries.
    pub entries_max: u64,
    /// Dead letters.
    pub dead_letters_max: u64,
    /// Bytes of payloads.
    pub dead_bytes_max: u64,
}

/// People with a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkFigure {
    /// The mark.
    pub mark: Mark,
    /// How many.
    pub count: u64,
    /// Since when, as far as known.
    pub since: Option<UnixMs>,
    /// For how many of them it is the reads at the HR system that fail, by source.
    pub unread: BTreeMap<String, u64>,
}

/// A source and the results of its deliveries.
#[derive(Debug, Clone)]
pub struct SourceFigures {
    /// The source.
    pub name: SourceName,
    /// What all processes counted.
    pub tally: SourceTally,
    /// This many of its latest events in a row were outdated, if all of them were recent.
    pub outdated: Option<Seen>,
    /// When the last of its secrets expires; none: never.
    pub secret_until: Option<UnixMs>,
    /// The current mapping. It may name a type that was counted as unknown under an earlier one.
    pub mapping: Option<Arc<Mapping>>,
}

impl SourceFigures {
    /// A source about which nothing is known yet.
    #[must_use]
    pub fn new(name: SourceName) -> Self {
        Self { name, tally: SourceTally::default(), outdated: None, secret_until: None, mapping: None }
    }
}
