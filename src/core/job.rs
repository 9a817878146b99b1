//! A job and all that is told of it: what waits, what was tried, how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::event::{Event, Person, SourceName};
use super::scim::Operation;
use super::time::UnixMs;

/// How many history entries a job keeps; beyond, the oldest but the first go, and are counted.
pub const HISTORY_ENTRIES_MAX: usize = 50;

/// A job's id, also that of the dead letter it may become: 32 hex digits, time-ordered (UUID v7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(pub u128);

impl JobId {
    /// Parses 32 hex digits; dashes, as in a UUID, are allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a job id is 32 hex digits")
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// What earlier attempts of a job taught that the next one must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// A `POST /Users` of ours went out and its outcome is unknown: look up before posting again.
    #[serde(default)]
    pub create_unknown: bool,
    /// How often nobody was found for a rename (the grace counts these).
    #[serde(default)]
    pub not_found: u32,
    /// How often Postman could not update the username.
    #[serde(default)]
    pub username_refused: u32,
}

/// An accepted event in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its place among all jobs of the store, in order of acceptance.
    pub seq: u64,
    /// What is to be brought to Postman.
    pub event: Event,
    /// When it was durably accepted.
    pub accepted_at: UnixMs,
    /// Attempts that Postman (or the way to it) made fail. Holds, tokens, shutdowns and crashes
    /// are not among them.
    pub attempts: u32,
    /// How often its lane was taken over from a worker that let its lease run out.
    pub take_overs: u32,
    /// When it was first attempted; the time to give up is counted from here. After a hold (which
    /// harms no job) it is the end of the hold.
    pub first_attempt_at: Option<UnixMs>,
    /// What earlier attempts taught.
    pub progress: Progress,
    /// What was done so far, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// One line of a job's history. Without personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: UnixMs,
    /// What.
    #[serde(flatten)]
    pub note: Note,
}

/// What can be told in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// A SCIM call was made.
    Called {
        /// Which.
        operation: Operation,
        /// HTTP status, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// What it meant, in a word or a code.
        meaning: String,
    },
    /// The lane was taken over from a worker whose lease ran out.
    TakenOver,
    /// Tried again at that time.
    RetryAt {
        /// When.
        due_at: UnixMs,
        /// Why.
        code: Code,
    },
    /// The target refuses everything; waits, uncounted.
    Held {
        /// Why.
        code: Code,
    },
    /// Given back unfinished (shutdown, lost lease), uncounted.
    GivenBack,
    /// Became a dead letter.
    Dead {
        /// Why.
        code: Code,
    },
    /// An operator put the dead letter back to the head of its lane.
    Replayed,
    /// Finished.
    Done {
        /// How.
        outcome: Finished,
    },
    /// So many entries were dropped here to bound the history.
    Omitted {
        /// How many.
        entries: u32,
    },
    /// What this version does not know (another version beside it wrote it), kept as it is.
    #[serde(untagged)]
    Other(serde_json::Map<String, serde_json::Value>),
}

/// How a job that succeeded ended: the `outcome` in metrics, console and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finished {
    /// `POST /Users` answered 201.
    Created,
    /// Was in the team already; names (and, for a hire, `active`) were brought in line.
    Adopted,
    /// Our own POST had an unknown outcome, the next said "already a member", and no look-up finds
    /// them: most likely our invitation is open. No SCIM id is known.
    Invited,
    /// Names were written.
    Updated,
    /// Everything was as it should be; nothing was written.
    Unchanged,
    /// Older than the last change applied to this person; nothing was written.
    Stale,
}

impl Finished {
    /// The word for it in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
            Self::Invited => "invited",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// In a lane: due, waiting for its time, or behind another job of the same person.
    Waiting,
    /// A worker has it.
    Running,
    /// In a lane behind a dead Hire.
    Parked,
    /// A dead letter.
    Dead,
    /// Finished; kept for the person's timeline.
    Done,
}

impl JobState {
    /// The word for it in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Dead => "dead",
            Self::Done => "done",
        }
    }
}

/// What the bridge knows of a person at Postman.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    /// The SCIM `id`; none where the person was invited and has not shown up yet.
    pub scim_id: Option<String>,
    /// Their `userName`, as Postman spells it.
    pub user_name: String,
    /// When they were last brought in line.
    pub in_line_at: UnixMs,
    /// `occurred_at` of the newest event applied, where it had one.
    pub occurred_at: Option<UnixMs>,
    /// `seq` of the newest job applied.
    pub seq: u64,
}

impl fmt::Debug for DirectoryEntry {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryEntry")
            .field("scim_id", &self.scim_id)
            .field("in_line_at", &self.in_line_at)
            .field("occurred_at", &self.occurred_at)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// What a dead letter was before.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum DeadOrigin {
    /// An event whose job cannot succeed as it is.
    Job(Box<Job>),
    /// A genuine delivery, or one record of it, that could not be mapped: kept as received, so that
    /// a corrected mapping can replay it.
    Unmapped {
        /// The person, where the record told at least that.
        person: Option<Person>,
        /// The record (or the whole body) as text; bytes that are no UTF-8 are replaced.
        payload: String,
    },
}

/// A job or record that cannot succeed as it is, kept whole until somebody replays or discards it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job's id, or one of its own for an unmapped record.
    pub id: JobId,
    /// The HR system it came from.
    pub source: SourceName,
    /// When it died.
    pub died_at: UnixMs,
    /// Why.
    pub code: Code,
    /// A line on what exactly was wrong: fields and shapes, never values.
    pub detail: String,
    /// Whether the person's lane waits behind it (a dead Hire).
    pub parks_lane: bool,
    /// What it was.
    #[serde(flatten)]
    pub origin: DeadOrigin,
}

impl DeadLetter {
    /// Whose it is, as far as is known.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        match &self.origin {
            DeadOrigin::Job(job) => Some(&job.event.person),
            DeadOrigin::Unmapped { person, .. } => person.as_ref(),
        }
    }
}

impl fmt::Debug for DeadLetter {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter").field("id", &self.id).field("code", &self.code).finish_non_exhaustive()
    }
}

/// Appends `new` to `history` and bounds it: the first entry and the newest stay, what lies between
/// is dropped and counted.
pub fn extend_history(history: &mut Vec<HistoryEntry>, new: impl IntoIterator<Item = HistoryEntry>) {
    history.extend(new);
    if history.len() <= HISTORY_ENTRIES_MAX {
        return;
    }
    let mut dropped = 0;
    let excess = history.len() + 1 - HISTORY_ENTRIES_MAX;
    let mut at = history[1].at;
    for entry in history.drain(1..=excess) {
        at = entry.at;
        dropped += match entry.note {
            Note::Omitted { entries } => entries,
            Note::Called { .. }
            | Note::TakenOver
            | Note::RetryAt { .. }
            | Note::Held { .. }
            | Note::GivenBack
            | Note::Dead { .. }
            | Note::Replayed
            | Note::Done { .. }
            | Note::Other(_) => 1,
        };
    }
    history.insert(1, HistoryEntry { at, note: Note::Omitted { entries: dropped } });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_reads_back_with_and_without_dashes() {
        let id = JobId(0x0193_0000_0000_7000_8000_0000_0000_00ff);
        assert_eq!(JobId::parse(&id.to_string()), Some(id));
        assert_eq!(JobId::parse("01930000-0000-7000-8000-0000000000ff"), Some(id));
        assert_eq!(JobId::parse("xyz"), None);
    }

    #[test]
    fn what_another_version_noted_reads_and_is_written_as_it_is() {
        for noted in [
            r#"{"at":7,"note":"dead","code":"OF-TOMORROW"}"#,
            r#"{"at":7,"note":"paused","by":{"whom":["x"]}}"#,
            r#"{"at":7,"note":"called","operation":"patch","meaning":"?"}"#,
        ] {
            let entry: HistoryEntry = serde_json::from_str(noted).unwrap();
            assert!(matches!((&entry.at, &entry.note), (UnixMs(7), Note::Other(_))), "{entry:?}");
            let value: serde_json::Value = serde_json::from_str(noted).unwrap();
            assert_eq!(serde_json::to_value(&entry).unwrap(), value);
        }
        let known: HistoryEntry = serde_json::from_str(r#"{"at":7,"note":"taken_over"}"#).unwrap();
        assert_eq!(known.note, Note::TakenOver);
    }

    #[test]
    fn a_long_history_keeps_its_beginning_its_end_and_the_count_between() {
        let entry = |n: i64| HistoryEntry { at: UnixMs(n), note: Note::TakenOver };
        let mut history = Vec::new();
        for n in 0..500 {
            extend_history(&mut history, [entry(n)]);
        }
        assert_eq!(history.len(), HISTORY_ENTRIES_MAX);
        assert_eq!(history[0], entry(0));
        assert_eq!(history.last(), Some(&entry(499)));
        let told: u32 = history
            .iter()
            .map(|e| match e.note {
                Note::Omitted { entries } => entries,
                _ => 1,
            })
            .sum();
        assert_eq!(told, 500);
    }
}
