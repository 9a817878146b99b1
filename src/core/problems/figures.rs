//! The input of the judgement: figures over all people, and over the last minute's calls; never a
//! sample.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::activity::Activity;
use crate::core::code::Code;
use crate::core::hold::Holds;
use crate::core::mapping::Mapping;
use crate::core::person::{Mark, SourceName};
use crate::core::processes::Processes;
use crate::core::roster::DriftReport;
use crate::core::tally::SourceTally;
use crate::core::time::UnixMs;

/// All that is judged.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The present.
    pub now: UnixMs,
    /// Since when the process that judges has been up: others may still be starting.
    pub up_since: UnixMs,
    /// People by state of their lane.
    pub people: BTreeMap<String, u64>,
    /// People who wait behind each hold, by its scope; where there is one hold, it need not be told.
    pub held: BTreeMap<String, u64>,
    /// Since when the person has been due who has been due the longest.
    pub oldest_due_at: Option<UnixMs>,
    /// Since when somebody has been incomplete the longest.
    pub oldest_incomplete_at: Option<UnixMs>,
    /// Inbox entries by source.
    pub entries: BTreeMap<String, u64>,
    /// Dead letters by code.
    pub dead: Vec<DeadFigure>,
    /// Dead letters by source.
    pub dead_by_source: BTreeMap<String, u64>,
    /// What unmapped records take, in bytes.
    pub dead_bytes: u64,
    /// What the store holds at the most.
    pub bounds: BoundFigures,
    /// Why the store cannot be written, where it cannot.
    pub store: Option<Code>,
    /// Holds in force.
    pub holds: Holds,
    /// What happened lately.
    pub activity: Activity,
    /// Who works here.
    pub processes: Processes,
    /// Deliveries of each source.
    pub sources: Vec<SourceFigures>,
    /// Deliveries to names that no source has.
    pub strangers: Vec<SourceFigures>,
    /// Rows that the last import of a source refused.
    pub imports: Vec<ImportFigure>,
    /// Lists of HR systems that are being read, and the last ones that did not come whole.
    pub fetches: Vec<FetchFigure>,
    /// What the last comparison of HR and the members showed.
    pub drift: Option<DriftReport>,
    /// People to know of.
    pub marked: Vec<MarkFigure>,
    /// Receivers of alerts that are not reached.
    pub alerts: Vec<AlertFigure>,
    /// The certificates that the configuration names.
    pub certificates: Vec<CertificateFigure>,
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

/// A list of an HR system that is being read, or that did not come whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFigure {
    /// The source.
    pub source: String,
    /// The word for how far it is.
    pub state: &'static str,
    /// People listed.
    pub listed: u64,
    /// Of these, people who were read by themselves.
    pub read: u64,
    /// When it was ordered, or ended.
    pub since: UnixMs,
    /// Code and words, where it did not come whole.
    pub failure: Option<String>,
}

/// A receiver of alerts that is not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertFigure {
    /// Its host.
    pub host: String,
    /// Since when.
    pub since: UnixMs,
    /// How often it was tried.
    pub tries: u32,
    /// What came of the last try.
    pub reason: String,
}

/// A certificate of ours, or the authorities that we trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFigure {
    /// The key of the configuration that names its file.
    pub key: &'static str,
    /// When it ends; of several that would do, the last.
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

/// What the store holds at the most; 0: not told.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkFigure {
    /// Which.
    pub mark: Mark,
    /// How many.
    pub count: u64,
    /// Since when, as far as the first of them say.
    pub since: Option<UnixMs>,
}

/// A source, and what became of its deliveries.
#[derive(Debug, Clone)]
pub struct SourceFigures {
    /// The source.
    pub name: SourceName,
    /// What all processes counted.
    pub tally: SourceTally,
    /// When the last of its secrets ends; none: never.
    pub secret_until: Option<UnixMs>,
    /// The present mapping: what it names by now was counted by one that did not.
    pub mapping: Option<Arc<Mapping>>,
}

impl SourceFigures {
    /// A source of which nothing is known yet.
    #[must_use]
    pub fn new(name: SourceName) -> Self {
        Self { name, tally: SourceTally::default(), secret_until: None, mapping: None }
    }
}
