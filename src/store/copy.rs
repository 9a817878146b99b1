//! Moves a store's content into another one, over [`Transfer`] alone. Can be stopped anywhere and run
//! again: what has arrived is known there.

use super::StoreError;
use super::transfer::{Activity, Fate, Position, Record, Room, Section, Transfer};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::time::UnixMs;

/// Records in one step: some megabytes of memory at the most, some ten milliseconds of everybody's time.
const BATCH: usize = 500;

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions {
    /// Sets [`Code::HoldCopied`] on the source when all is there.
    pub hold_source: bool,
    /// What the source is called where it has no id yet.
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
    /// Somebody works on the source.
    #[error("the store to copy from is in use: {leases} jobs are being worked on, {listeners} workers listen for more")]
    InUse {
        /// Leases that have not run out.
        leases: u64,
        /// Workers that listen.
        listeners: u64,
    },
    /// Somebody works on the target.
    #[error("the store to copy to is in use: {leases} jobs are being worked on, {listeners} workers listen for more")]
    TargetInUse {
        /// Leases that have not run out.
        leases: u64,
        /// Workers that listen.
        listeners: u64,
    },
    /// Somebody worked on the source.
    #[error("the store to copy from was worked on meanwhile, so the copy may lack what came or went")]
    Moved,
    /// The target has events of its own.
    #[error("the store to copy to has accepted events itself, which would run before the older ones that were to come")]
    Newer,
    /// Both are one.
    #[error("both are the same store")]
    Same,
}

/// What became of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tally {
    /// In the source.
    pub all: u64,
    /// Copied now; on a dry run: would be copied.
    pub copied: u64,
    /// Were there already.
    pub known: u64,
    /// Could not be put into their place: see [`Fate::Displaced`].
    pub displaced: u64,
    /// Found in the target afterwards.
    pub verified: u64,
}

/// What became of all sections, in order.
#[derive(Debug, Clone, Default)]
pub struct Copied(pub Vec<(Section, Tally)>);

impl Copied {
    /// Whether there was nothing to copy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, tally)| tally.all == 0)
    }

    /// Whether everything is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() == Section::ALL.len() && self.0.iter().all(|(_, tally)| tally.verified == tally.all)
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Records are read and taken in.
    Copying,
    /// Records are read and looked for.
    Comparing,
}

/// Copies what `from` has into `to`, then looks for all of it there. `told` hears how far it has come.
pub async fn copy(
    from: &dyn Transfer,
    to: &dyn Transfer,
    now: impl Fn() -> UnixMs,
    options: CopyOptions,
    mut told: impl FnMut(Phase, Section, u64),
) -> Result<Copied, CopyError> {
    let before = at_rest(from, now()).await?;
    // The wrong place, mostly: it gets neither an id nor a hold.
    if is_empty(from, now()).await? {
        return Ok(Copied(Section::ALL.map(|section| (section, Tally::default())).into()));
    }
    // Half of a lane is not to be worked on while the other half is on its way.
    let at_target = to.activity(now()).await.map_err(CopyError::To)?;
    if at_target.leases + at_target.listeners > 0 {
        return Err(CopyError::TargetInUse { leases: at_target.leases, listeners: at_target.listeners });
    }
    let origin = from.origin(options.fresh_id).await.map_err(CopyError::From)?;
    let base = match to.make_room(&origin).await.map_err(CopyError::To)? {
        Room::Kept(base) => base,
        Room::Newer => return Err(CopyError::Newer),
        Room::Same => return Err(CopyError::Same),
    };
    let mut copied = Copied::default();
    for section in Section::ALL {
        let (mut tally, mut done) = (Tally::default(), 0);
        let mut reading = Reading::new(from, section);
        while let Some(records) = reading.next(now()).await? {
            done += records.len() as u64;
            for fate in to.import(now(), base, records).await.map_err(CopyError::To)? {
                match fate {
                    Fate::Taken => tally.copied += 1,
                    Fate::Known => tally.known += 1,
                    Fate::Displaced => tally.displaced += 1,
                }
            }
            told(Phase::Copying, section, done);
        }
        copied.0.push((section, tally));
    }
    for (section, tally) in &mut copied.0 {
        (tally.all, tally.verified) = found(from, Some(to), *section, &now, &mut told).await?;
    }
    if from.activity(now()).await.map_err(CopyError::From)? != before {
        return Err(CopyError::Moved);
    }
    if copied.is_whole() {
        // What the source sent to Postman in the last minute counts against the team's rate, too: the
        // target begins without the burst that a rested limiter allows.
        to.back_off(now(), now()).await.map_err(CopyError::To)?;
        if options.hold_source {
            from.set_hold(now(), HoldScope::All, Code::HoldCopied).await.map_err(CopyError::From)?;
        }
    }
    Ok(copied)
}

/// Counts what [`copy`] would copy into `to` (none: into an empty store), and what is there. Changes nothing.
pub async fn dry_run(
    from: &dyn Transfer,
    to: Option<&dyn Transfer>,
    now: impl Fn() -> UnixMs,
    mut told: impl FnMut(Phase, Section, u64),
) -> Result<Copied, CopyError> {
    at_rest(from, now()).await?;
    let mut copied = Copied::default();
    for section in Section::ALL {
        let (all, known) = found(from, to, section, &now, &mut told).await?;
        copied.0.push((section, Tally { all, copied: all - known, known, displaced: 0, verified: known }));
    }
    Ok(copied)
}

/// Refuses a store that somebody works on.
async fn at_rest(from: &dyn Transfer, now: UnixMs) -> Result<Activity, CopyError> {
    let activity = from.activity(now).await.map_err(CopyError::From)?;
    if activity.leases + activity.listeners > 0 {
        return Err(CopyError::InUse { leases: activity.leases, listeners: activity.listeners });
    }
    Ok(activity)
}

/// Whether there is nothing to copy.
async fn is_empty(from: &dyn Transfer, now: UnixMs) -> Result<bool, CopyError> {
    for section in Section::ALL {
        if Reading::new(from, section).next(now).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many records a section has, and how many of them `to` knows.
async fn found(
    from: &dyn Transfer,
    to: Option<&dyn Transfer>,
    section: Section,
    now: &impl Fn() -> UnixMs,
    told: &mut impl FnMut(Phase, Section, u64),
) -> Result<(u64, u64), CopyError> {
    let (mut all, mut known) = (0, 0);
    let mut reading = Reading::new(from, section);
    while let Some(records) = reading.next(now()).await? {
        all += records.len() as u64;
        if let Some(to) = to {
            let fates = to.compare(now(), records).await.map_err(CopyError::To)?;
            known += fates.iter().filter(|fate| **fate == Fate::Known).count() as u64;
        }
        told(Phase::Comparing, section, all);
    }
    Ok((all, known))
}

/// A section, read page by page.
struct Reading<'a> {
    from: &'a dyn Transfer,
    section: Section,
    next: Option<Position>,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(from: &'a dyn Transfer, section: Section) -> Self {
        Self { from, section, next: None, ended: false }
    }

    async fn next(&mut self, now: UnixMs) -> Result<Option<Vec<Record>>, CopyError> {
        while !self.ended {
            let page = self.from.export(now, self.section, self.next.as_ref(), BATCH).await;
            let page = page.map_err(CopyError::From)?;
            self.ended = page.next.is_none();
            self.next = page.next;
            if !page.records.is_empty() {
                return Ok(Some(page.records));
            }
        }
        Ok(None)
    }
}
