//! A store's whole content as no engine in particular has it: read page by page, taken in batch by
//! batch. What an engine implements so that its content can be moved to any other.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{Dedupe, Store, StoreError};
use crate::core::event::Person;
use crate::core::hold::Hold;
use crate::core::job::{DeadLetter, DirectoryEntry, Finished, Job, JobId};
use crate::core::time::UnixMs;

/// How long a job that was taken in is known again after it is gone from its store. Far beyond the time
/// within which a copy that was broken off is repeated.
const REMEMBER_MS: u64 = 30 * 86_400_000;

/// The fingerprint of marks: a hash of no body, so that they are told from deliveries.
pub(super) const MARK: [u8; 16] = *b"scim-bridge copy";

/// What a store holds, sort by sort, in the order in which it is copied: what a job needs comes before
/// it, so that a copy that is broken off and served by mistake does least harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Holds in force, [`crate::core::code::Code::HoldCopied`] not among them.
    Holds,
    /// The directory.
    People,
    /// Dead letters, of jobs and of records that could not be mapped.
    Dead,
    /// Jobs in lanes: waiting, parked, and those whose worker is gone.
    Waiting,
    /// Finished jobs that are kept for the timeline.
    Finished,
    /// Deliveries that are remembered; marks (see [`Record::mark`]) are none.
    Deliveries,
}

impl Section {
    /// All, in order.
    pub const ALL: [Self; 6] = [Self::Holds, Self::People, Self::Dead, Self::Waiting, Self::Finished, Self::Deliveries];

    /// The word for it in what is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::People => "people",
            Self::Dead => "dead",
            Self::Waiting => "waiting",
            Self::Finished => "finished",
            Self::Deliveries => "deliveries",
        }
    }
}

/// One thing that a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A hold in force.
    Hold(Hold),
    /// What is known of a person at Postman.
    Person(Person, DirectoryEntry),
    /// A dead letter.
    Dead(Box<DeadLetter>),
    /// A job in its lane. One that a worker had counts as taken over already.
    Waiting {
        /// The job.
        job: Box<Job>,
        /// From or since when it may run, once it is at the head.
        due_at: UnixMs,
    },
    /// A finished job.
    Finished {
        /// The job.
        job: Box<Job>,
        /// When.
        at: UnixMs,
        /// How.
        outcome: Finished,
    },
    /// A remembered delivery.
    Delivery(Remembered),
}

impl Record {
    /// What it is remembered by where it was taken in, although it may be gone from there: its job done
    /// and trimmed, its dead letter discarded, its hold lifted. None for what may come again.
    #[must_use]
    pub fn mark(&self) -> Option<Dedupe> {
        let id = match self {
            Self::Waiting { job, .. } => job.id,
            Self::Dead(letter) => letter.id,
            Self::Hold(hold) => {
                return Some(mark(&[b"hold", hold.scope.as_str().as_bytes(), &hold.since.0.to_be_bytes()]));
            }
            Self::Person(..) | Self::Finished { .. } | Self::Delivery(_) => return None,
        };
        Some(mark_of(id))
    }
}

/// What a job that was taken in is remembered by.
fn mark_of(id: JobId) -> Dedupe {
    mark(&[b"job", &id.0.to_be_bytes()])
}

fn mark(parts: &[&[u8]]) -> Dedupe {
    // No source is called "copied/": these are nobody's deliveries.
    let digest = parts
        .iter()
        .fold(Sha256::new_with_prefix(b"copied/"), |hash, part| hash.chain_update(b"\0").chain_update(part));
    let mut key = [0; 16];
    key.copy_from_slice(&digest.finalize()[..16]);
    Dedupe { key, fingerprint: MARK, remember_ms: REMEMBER_MS }
}

/// A delivery that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// See [`Dedupe::key`].
    pub key: [u8; 16],
    /// See [`Dedupe::fingerprint`].
    pub fingerprint: [u8; 16],
    /// Until when.
    pub until: UnixMs,
    /// The ids it got.
    pub ids: Vec<JobId>,
}

/// How far a reading has come within a section: an engine's own, and of the same engine only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(pub(super) Vec<u8>);

/// A page of a section.
#[derive(Debug, Clone)]
pub struct Exported {
    /// What is there. May be fewer than were asked for, even none, and not be the last.
    pub records: Vec<Record>,
    /// Where to read on; none: that was all.
    pub next: Option<Position>,
}

/// Which store this is, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Given once, at random, to tell a store from all others.
    pub id: [u8; 16],
    /// Every job of it has a lower sequence.
    pub next_seq: u64,
}

/// Signs of somebody at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Leases that have not run out.
    pub leases: u64,
    /// Workers that listen for wake-ups.
    pub listeners: u64,
    /// Grows with everything that an intake or a worker does.
    pub steps: u64,
}

/// Whether a store can take another's jobs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It can; their sequences are raised by so much.
    Kept(u64),
    /// It has accepted events itself before any of theirs came: those are newer, and what would come now
    /// would have to run before them.
    Newer,
    /// It is the very store that they are of.
    Same,
}

/// What became of a record that was to be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there now; where nothing was to be written: it is missing.
    Taken,
    /// It is known: what is there stays as it is.
    Known,
    /// Another job has its place, from another state of the same store: it is left out.
    Displaced,
}

/// A store whose content can be moved.
#[async_trait]
pub trait Transfer: Store {
    /// Signs of somebody at work.
    async fn activity(&self, now: UnixMs) -> Result<Activity, StoreError>;

    /// Which store this is. Where it has no id yet, it gets this one.
    async fn origin(&self, fresh: [u8; 16]) -> Result<Origin, StoreError>;

    /// Up to so many records of a section behind a position, in an order that stays the same while nobody
    /// else writes. Changes nothing. A record may come twice.
    async fn export(
        &self,
        now: UnixMs,
        section: Section,
        after: Option<&Position>,
        records_max: usize,
    ) -> Result<Exported, StoreError>;

    /// Keeps a range of sequences free for the jobs of `origin`: whatever is accepted from now on comes
    /// after them. The same range every time, as long as the origin has not outgrown it.
    async fn make_room(&self, origin: &Origin) -> Result<Room, StoreError>;

    /// Takes records in that are not known, in one atomic and durable step, and remembers them; sequences
    /// are raised by `base`. The high-water mark does not count.
    ///
    /// What is known, in whatever state, or was taken in before and is gone since, stays as it is; so does
    /// an entry of the directory that is as new or newer, and the hold of a scope.
    async fn import(&self, now: UnixMs, base: u64, records: Vec<Record>) -> Result<Vec<Fate>, StoreError>;

    /// What [`Transfer::import`] would answer. Changes nothing.
    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Fate>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_remembered_by_a_mark_of_its_own() {
        assert_eq!(mark_of(JobId(7)).key, mark_of(JobId(7)).key);
        assert_ne!(mark_of(JobId(7)).key, mark_of(JobId(8)).key);
    }
}
