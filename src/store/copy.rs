//! Copies a store's content into another one, only through [`Transfer`]. It can be stopped at any point and run
//! again: what has arrived is recognised, and until everything has, a hold keeps workers away.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::holds::{self, HOLDS};
use super::target::TARGET;
use super::transfer::{Marks, Record, Section, Transfer, Transferred};
use super::{Store, StoreError};
use crate::core::code::Code;
use crate::core::hold::{HoldScope, Holds, ProbePauses};
use crate::core::time::UnixMs;

/// The shared document with a store's unique id.
const IDENTITY: &str = "identity";
/// The shared document in the target of a copy: which store it copies, and that store's progress.
const COPY_OF: &str = "copy_of";

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions {
    /// Sets [`Code::HoldCopied`] on the source when all is there.
    pub hold_source: bool,
    /// The id that the source gets if it has none yet.
    pub fresh_id: [u8; 16],
}

/// Why nothing was copied, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source could not be read.
    #[error("the store to copy from: {0}")]
    From(#[source] StoreError),
    /// The target could not be written.
    #[error("the store to copy to: {0}")]
    To(#[source] StoreError),
    /// The source is in use.
    #[error(
        "the store to copy from is in use: {leases} people are being worked on, {listeners} workers listen for more"
    )]
    InUse {
        /// Leases that have not run out.
        leases: u64,
        /// Workers that listen.
        listeners: u64,
    },
    /// The target is in use.
    #[error("the store to copy to is in use: {leases} people are being worked on, {listeners} workers listen for more")]
    TargetInUse {
        /// Leases that have not run out.
        leases: u64,
        /// Workers that listen.
        listeners: u64,
    },
    /// The source was in use meanwhile.
    #[error("the store to copy from was worked on meanwhile, so the copy may lack what came or went")]
    Moved,
    /// The target has something of its own.
    #[error("the store to copy to has content of its own, or was served since it was copied to")]
    Newer,
    /// Source and target are the same store.
    #[error("both are the same store")]
    Same,
}

/// The result for a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SectionTally {
    /// In the source.
    pub all: u64,
    /// Copied now; on a dry run: would be copied.
    pub copied: u64,
    /// It was there already.
    pub known: u64,
    /// In the target, but not (or no longer) in the source.
    pub surplus: u64,
    /// Found in the target afterwards.
    pub verified: u64,
}

/// The result for all sections, in order.
#[derive(Debug, Clone, Default)]
pub struct Copied(pub Vec<(Section, SectionTally)>);

impl Copied {
    /// Whether there was nothing to copy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, tally)| tally.all == 0)
    }

    /// Whether everything is there, and nothing else.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() == Section::ALL.len()
            && self.0.iter().all(|(_, tally)| tally.verified == tally.all && tally.surplus == 0)
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Records are read and written.
    Copying,
    /// Records are read and looked for.
    Comparing,
}

/// Which store a target copies, and that store's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CopyOf {
    identity: String,
    last_seq: u64,
    last_fence: u64,
}

/// Copies what `from` has into `to`, then looks for all of it there. `told` is called with the progress.
pub async fn copy(
    from: &dyn Transfer,
    to: &dyn Transfer,
    now: impl Fn() -> UnixMs,
    options: CopyOptions,
    mut progress: impl FnMut(Phase, Section, u64),
) -> Result<Copied, CopyError> {
    at_rest(from, now()).await?;
    // Most likely the wrong place: it gets neither an id nor a hold.
    if is_empty(from, now()).await.map_err(CopyError::From)? {
        return Ok(Copied(Section::ALL.map(|section| (section, SectionTally::default())).into()));
    }
    let activity = to.activity(now()).await.map_err(CopyError::To)?;
    if activity.leases + activity.listeners > 0 {
        return Err(CopyError::TargetInUse { leases: activity.leases, listeners: activity.listeners });
    }
    let marks = marks(from, now()).await.map_err(CopyError::From)?;
    let identity = identity(from, options.fresh_id).await.map_err(CopyError::From)?;
    one_team(from, to).await?;
    claim_target(to, now(), &identity, marks).await?;
    let mut copied = Copied::default();
    for section in Section::ALL {
        let (mut tally, mut done) = (SectionTally::default(), 0);
        let mut reading = Reading::new(from, section);
        while let Some(records) = reading.next(now()).await.map_err(CopyError::From)? {
            done += records.len() as u64;
            for fate in to.import(now(), records).await.map_err(CopyError::To)? {
                match fate {
                    Transferred::Taken => tally.copied += 1,
                    Transferred::AlreadyThere => tally.known += 1,
                }
            }
            progress(Phase::Copying, section, done);
        }
        copied.0.push((section, tally));
    }
    for (section, tally) in &mut copied.0 {
        (tally.all, tally.verified) = found(from, Some(to), *section, &now, &mut progress).await?;
        tally.surplus = surplus(to, *section, now(), tally.verified).await?;
    }
    at_rest(from, now()).await?;
    if self::marks(from, now()).await.map_err(CopyError::From)? != marks {
        return Err(CopyError::Moved);
    }
    if copied.is_whole() {
        // What the source sent to Postman in the last minute counts against the team's rate, too: the
        // target begins without the burst that a rested limiter allows.
        to.back_off(now(), now()).await.map_err(CopyError::To)?;
        let holds = holds(from).await.map_err(CopyError::From)?;
        change_holds(to, |there| *there = holds.clone()).await.map_err(CopyError::To)?;
        if options.hold_source {
            change_holds(from, |holds| hold(holds, now())).await.map_err(CopyError::From)?;
        }
    }
    Ok(copied)
}

/// Counts what [`copy`] would copy into `to` (none: into an empty store), and what is there. Changes nothing.
pub async fn dry_run(
    from: &dyn Transfer,
    to: Option<&dyn Transfer>,
    now: impl Fn() -> UnixMs,
    mut progress: impl FnMut(Phase, Section, u64),
) -> Result<Copied, CopyError> {
    at_rest(from, now()).await?;
    if is_empty(from, now()).await.map_err(CopyError::From)? {
        return Ok(Copied::default());
    }
    let mut copied = Copied::default();
    for section in Section::ALL {
        let (all, known) = found(from, to, section, &now, &mut progress).await?;
        copied.0.push((section, SectionTally { all, copied: all - known, known, surplus: 0, verified: known }));
    }
    Ok(copied)
}

/// Refuses a store that is in use.
async fn at_rest(from: &dyn Transfer, now: UnixMs) -> Result<(), CopyError> {
    let activity = from.activity(now).await.map_err(CopyError::From)?;
    if activity.leases + activity.listeners > 0 {
        return Err(CopyError::InUse { leases: activity.leases, listeners: activity.listeners });
    }
    Ok(())
}

/// Whether a store has nothing that came from anybody.
async fn is_empty(store: &dyn Transfer, now: UnixMs) -> Result<bool, StoreError> {
    if marks(store, now).await?.last_seq > 0 {
        return Ok(false);
    }
    for section in [Section::Remembered, Section::People, Section::Unmapped] {
        if Reading::new(store, section).next(now).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn marks(store: &dyn Transfer, now: UnixMs) -> Result<Marks, StoreError> {
    let exported = store.export(now, Section::Marks, None).await?;
    let marks = exported.records.into_iter().find_map(|record| match record {
        Record::Marks(marks) => Some(marks),
        _ => None,
    });
    Ok(marks.unwrap_or_default())
}

/// A store's id; it gets one if it has none.
async fn identity(store: &dyn Store, fresh: [u8; 16]) -> Result<String, StoreError> {
    loop {
        let found = store.shared(IDENTITY).await?;
        if found.version > 0 {
            return Ok(String::from_utf8_lossy(&found.bytes).into_owned());
        }
        let fresh = data_encoding::HEXLOWER.encode(&fresh);
        store.put_shared(IDENTITY, 0, Bytes::from(fresh)).await?;
    }
}

/// Refuses a target that is kept for another team.
async fn one_team(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    let ours = from.shared(TARGET).await.map_err(CopyError::From)?;
    let theirs = to.shared(TARGET).await.map_err(CopyError::To)?;
    if ours.version > 0 && theirs.version > 0 && ours.bytes != theirs.bytes {
        let [ours, theirs] = [ours, theirs].map(|team| String::from_utf8_lossy(&team.bytes).into_owned());
        return Err(CopyError::To(StoreError::OtherTarget { theirs, ours }));
    }
    Ok(())
}

/// Refuses a target that holds anything but an unused copy of this store. Notes whose copy it becomes, and holds it
/// until it is complete.
async fn claim_target(to: &dyn Transfer, now: UnixMs, identity: &str, marks: Marks) -> Result<(), CopyError> {
    let claimed = async {
        if to.shared(IDENTITY).await?.bytes == identity.as_bytes() {
            return Ok(Err(CopyError::Same));
        }
        let there = to.shared(COPY_OF).await?;
        let before: Option<CopyOf> = serde_json::from_slice(&there.bytes).ok();
        let at_target = self::marks(to, now).await?;
        let is_ours = match before {
            Some(before) => {
                before.identity == identity
                    && at_target.last_seq <= before.last_seq
                    && at_target.last_fence <= before.last_fence
            }
            None => is_empty(to, now).await?,
        };
        if !is_ours {
            return Ok(Err(CopyError::Newer));
        }
        let copy_of = CopyOf { identity: identity.to_owned(), last_seq: marks.last_seq, last_fence: marks.last_fence };
        // A struct of strings and numbers always serialises.
        let bytes = Bytes::from(serde_json::to_vec(&copy_of).unwrap_or_default());
        if there.bytes != bytes && !to.put_shared(COPY_OF, there.version, bytes).await? {
            return Ok(Err(CopyError::Newer));
        }
        change_holds(to, |holds| hold(holds, now)).await?;
        Ok(Ok(()))
    };
    claimed.await.map_err(CopyError::To)?
}

fn hold(holds: &mut Holds, now: UnixMs) {
    // Only an operator lifts it: it has no probes, and no pauses between them.
    let no_pauses = ProbePauses { first_ms: 0, max_ms: 0 };
    holds.set(now, HoldScope::All, Code::HoldCopied, no_pauses, None);
}

/// The holds of a store except for the one that says that it was copied.
async fn holds(store: &dyn Store) -> Result<Holds, StoreError> {
    let mut holds = holds::read(store).await?;
    holds.holds.retain(|hold| hold.code != Code::HoldCopied);
    Ok(holds)
}

async fn change_holds(store: &dyn Store, change: impl Fn(&mut Holds)) -> Result<(), StoreError> {
    let changed = holds::change(store, |holds| {
        let before = holds.clone();
        change(holds);
        (*holds != before).then_some(())
    });
    changed.await.map(|_| ())
}

/// How many records a section has, and how many of them `to` knows.
async fn found(
    from: &dyn Transfer,
    to: Option<&dyn Transfer>,
    section: Section,
    now: &impl Fn() -> UnixMs,
    progress: &mut impl FnMut(Phase, Section, u64),
) -> Result<(u64, u64), CopyError> {
    let (mut all, mut known) = (0, 0);
    let mut reading = Reading::new(from, section);
    while let Some(records) = reading.next(now()).await.map_err(CopyError::From)? {
        all += records.len() as u64;
        if let Some(to) = to {
            let fates = to.compare(now(), records).await.map_err(CopyError::To)?;
            known += fates.iter().filter(|fate| **fate == Transferred::AlreadyThere).count() as u64;
        }
        progress(Phase::Comparing, section, all);
    }
    Ok((all, known))
}

/// How many more records `to` has than were found: left over from an interrupted copy, and deleted from the source
/// since.
async fn surplus(to: &dyn Transfer, section: Section, now: UnixMs, found: u64) -> Result<u64, CopyError> {
    let mut there = 0_u64;
    let mut reading = Reading::new(to, section);
    while let Some(records) = reading.next(now).await.map_err(CopyError::To)? {
        there += records.len() as u64;
    }
    Ok(match section {
        // Losing what expires meanwhile, or expires later there, does no harm.
        Section::Marks | Section::Remembered | Section::Shared => 0,
        Section::People | Section::Inbox | Section::Unmapped => there.saturating_sub(found),
    })
}

/// A section, read page by page, without documents that belong to the store itself.
struct Reading<'a> {
    from: &'a dyn Transfer,
    section: Section,
    next: Option<String>,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(from: &'a dyn Transfer, section: Section) -> Self {
        Self { from, section, next: None, ended: false }
    }

    async fn next(&mut self, now: UnixMs) -> Result<Option<Vec<Record>>, StoreError> {
        while !self.ended {
            let page = self.from.export(now, self.section, self.next.as_deref()).await?;
            self.ended = page.next.is_none();
            self.next = page.next;
            let records: Vec<_> = page.records.into_iter().filter(is_content).collect();
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }
}

fn is_content(record: &Record) -> bool {
    match record {
        Record::Shared { name, .. } => ![HOLDS, IDENTITY, COPY_OF].contains(&name.as_str()),
        _ => true,
    }
}
