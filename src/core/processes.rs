//! The processes on this store, each with its heartbeat: one small document that all write to.

use serde::{Deserialize, Serialize};

use super::reconcile::no_reply::NoReply;
use super::store_health::FailingOperation;
use super::time::UnixMs;

/// How often a process writes a heartbeat.
pub const BEAT_MS: u64 = 5_000;
/// A process without a heartbeat for this long is not counted: three beats, and a late one.
pub const SILENT_MS: u64 = 20_000;
/// How long a silent process is remembered.
const REMEMBERED_MS: u64 = 10 * 60_000;
/// The most processes: far more than one Postman limit can keep busy.
const PROCESSES_MAX: usize = 200;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessRole {
    /// Accepts deliveries, and applies them.
    All,
    /// Accepts deliveries.
    Intake,
    /// Applies them to Postman.
    Worker,
}

impl ProcessRole {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Intake => "intake",
            Self::Worker => "worker",
        }
    }

    /// Whether it has a worker.
    #[must_use]
    pub fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }

    /// Whether it accepts deliveries.
    #[must_use]
    pub fn takes_in(self) -> bool {
        matches!(self, Self::All | Self::Intake)
    }
}

/// A secret whose file can no longer be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingSecret {
    /// The key of the configuration that names its file.
    pub key: String,
    /// What is wrong with the file.
    pub reason: String,
    /// When it began.
    pub since: UnixMs,
}

/// Why a call could not be sent, in the words of the process that tried: another version may know other reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// Why: without addresses.
    pub reason: String,
    /// What to do about it; empty if the code's own advice is all there is.
    pub action: String,
}

impl From<NoReply> for Unsent {
    fn from(reason: NoReply) -> Self {
        Self { reason: reason.to_string(), action: reason.advice().unwrap_or_default().to_owned() }
    }
}

/// One process, as of its last heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id: a new one at each start.
    pub id: String,
    /// What it does.
    pub role: ProcessRole,
    /// Its version.
    pub version: String,
    /// When it started, by its clock.
    pub since: UnixMs,
    /// When its last heartbeat was, by its clock.
    pub beat_at: UnixMs,
    /// When its oldest open call began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling_since: Option<UnixMs>,
    /// When the target last answered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<UnixMs>,
    /// Why its last call to the target could not be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsent: Option<Unsent>,
    /// What fails in the store for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub store_failing: Vec<FailingOperation>,
    /// Secrets whose files it can no longer use: the last value stays in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing_secrets: Vec<FailingSecret>,
    /// How far ahead of its own clock another one was at most, in milliseconds.
    #[serde(default)]
    pub others_ahead_ms: u64,
}

impl Process {
    /// Whether it counts as alive. A clock that is ahead is not a reason for doubt, nor is one that is behind by the
    /// amount it reports itself.
    #[must_use]
    pub fn is_heard(&self, now: UnixMs) -> bool {
        now.ms_since(self.beat_at.plus_ms(self.others_ahead_ms)) < SILENT_MS
    }
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Processes {
    /// The processes, by start.
    pub processes: Vec<Process>,
    /// When a process with a worker last wrote a heartbeat.
    pub worked_at: Option<UnixMs>,
}

impl Processes {
    /// Writes a heartbeat.
    pub fn beat(&mut self, mut process: Process) {
        let now = process.beat_at;
        self.processes.retain(|known| known.id != process.id && now.ms_since(known.beat_at) < REMEMBERED_MS);
        let ahead = self.processes.iter().map(|other| other.beat_at.ms_since(now)).max();
        // A beat is written a moment before it is read: a smaller amount is not a difference.
        process.others_ahead_ms = ahead.unwrap_or(0);
        if process.role.works() {
            self.worked_at = Some(self.worked_at.map_or(now, |at| at.max(now)));
        }
        if self.processes.len() >= PROCESSES_MAX {
            self.processes.remove(0);
        }
        let place = self.processes.partition_point(|known| known.since <= process.since);
        self.processes.insert(place, process);
    }

    /// Removes a process that shuts down in order.
    pub fn leave(&mut self, id: &str) {
        self.processes.retain(|known| known.id != id);
    }

    /// The processes that are alive.
    pub fn heard(&self, now: UnixMs) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |process| process.is_heard(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: &str, role: ProcessRole, beat_at: i64) -> Process {
        Process {
            id: id.to_owned(),
            role,
            version: "1".to_owned(),
            since: UnixMs(0),
            beat_at: UnixMs(beat_at),
            calling_since: None,
            answered_at: None,
            unsent: None,
            store_failing: Vec::new(),
            failing_secrets: Vec::new(),
            others_ahead_ms: 0,
        }
    }

    #[test]
    fn a_process_that_falls_silent_is_not_counted_on() {
        let mut all = Processes::default();
        all.beat(process("a", ProcessRole::Worker, 0));
        all.beat(process("b", ProcessRole::Intake, 18_000));
        let heard = |now| all.heard(UnixMs(now)).map(|process| process.id.as_str()).collect::<Vec<_>>();
        assert_eq!(heard(18_000), ["a", "b"]);
        assert_eq!(heard(25_000), ["b"]);
        assert_eq!(all.worked_at, Some(UnixMs(0)));
    }

    #[test]
    fn a_process_with_a_slow_clock_reports_it_and_still_counts() {
        let mut all = Processes::default();
        all.beat(process("right", ProcessRole::Worker, 100_000));
        all.beat(process("behind", ProcessRole::Worker, 40_000));
        assert_eq!(all.processes.iter().find(|p| p.id == "behind").unwrap().others_ahead_ms, 60_000);
        assert_eq!(all.heard(UnixMs(101_000)).count(), 2);
    }

    #[test]
    fn the_document_stays_small() {
        let mut all = Processes::default();
        for n in 0..1_000 {
            all.beat(process(&n.to_string(), ProcessRole::All, 1));
        }
        assert_eq!(all.processes.len(), PROCESSES_MAX);
        all.leave("999");
        assert_eq!(all.processes.len(), PROCESSES_MAX - 1);
        all.beat(process("new", ProcessRole::All, 700_000));
        assert_eq!(all.processes.len(), 1);
    }
}
