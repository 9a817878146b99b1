//! The embedded engine: one SQLite file on local disk, for one process.
//!
//! One thread writes, in transactions that many callers share; readers look at the last commit beside
//! it. What is answered is on the disk (`synchronous=FULL`). The directory holds `store.db` (which the
//! `sqlite3` tool may read at any time), SQLite's files beside it, and `lock`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Notify;

use self::control::Control;
use self::schema::Lock;
use self::views::Readers;
use self::writer::{Shared, Writer};
use super::{
    Accepted, Activity, Claim, ClaimRequest, DeadAction, DeadSummary, Exported, Fate, JobView, Lease, NewDelivery,
    NewJob, Origin, Page, PersonView, Position, Record, Room, Section, Settled, Settlement, Stats, Store, StoreError,
    StoreOptions, Token, Transfer, TrialResult,
};
use crate::core::code::Code;
use crate::core::event::Person;
use crate::core::hold::{Hold, HoldScope};
use crate::core::job::{DeadLetter, JobId, JobState};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;

mod accept;
mod claim;
mod control;
mod dead;
mod export;
mod failure;
mod holds;
mod import;
mod lanes;
mod rows;
mod schema;
mod settle;
mod tidy;
mod views;
mod writer;

/// The embedded engine. See the module's documentation.
///
/// Dropping it finishes what is queued (and waits for it); [`Embedded::close`] does so without
/// blocking.
pub struct Embedded {
    // In this order: the writer ends before the lock goes.
    writer: Writer,
    readers: Readers,
    shared: Arc<Shared>,
    _lock: Lock,
}

impl Embedded {
    /// Opens the store in `dir`, made where it is missing (for its owner only).
    ///
    /// Errors: [`StoreError::InUse`] where another process (or another handle of this one) has it
    /// open, [`StoreError::NewerSchema`] and [`StoreError::Damaged`] before anything is written,
    /// [`StoreError::Unavailable`] where the directory cannot be read or written. Blocks while the
    /// file is opened.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let lock = schema::lock(dir)?;
        let db = schema::open_writer(dir)?;
        let control = Control::load(&db)?;
        let shared = Arc::new(Shared { control: Mutex::new(control.clone()), woken: Notify::new() });
        let writer = Writer::start(db, control, options, Arc::clone(&shared))?;
        Ok(Self { writer, readers: Readers::new(schema::database(dir)), shared, _lock: lock })
    }

    /// Whether there is a store in `dir`.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        schema::database(dir).exists()
    }

    /// Ends every lease now. For the process that has just opened the store: whoever held them held the
    /// lock, too, so they are dead, and their lanes need not wait for the leases to run out. What was
    /// leased counts as taken over at its next claim. What a clock that was set back since had put off is
    /// due now.
    pub async fn end_leases(&self, now: UnixMs) -> Result<(), StoreError> {
        self.writer.call(move |work| lanes::end_leases(work, now)).await
    }

    /// Finishes what is queued and folds the log into the file. Every later call says that the store
    /// is closed.
    pub async fn close(&self) {
        self.writer.stop().await;
    }
}

#[async_trait]
impl Store for Embedded {
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        self.writer.call(move |work| accept::accept(work, now, &delivery)).await
    }

    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let request = request.clone();
        self.writer.call(move |work| claim::claim(work, now, &request)).await
    }

    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        let lease = lease.clone();
        self.writer.call(move |work| claim::renew(work, now, &lease, lease_ms)).await
    }

    async fn settle(&self, now: UnixMs, lease: &Lease, settlement: Settlement) -> Result<Settled, StoreError> {
        let lease = lease.clone();
        self.writer.call(move |work| settle::settle(work, now, &lease, &settlement)).await
    }

    async fn settle_probe(&self, now: UnixMs, scope: HoldScope, result: TrialResult) -> Result<(), StoreError> {
        self.writer
            .call(move |work| {
                holds::end(work, now, scope, None, Some(result));
                Ok(())
            })
            .await
    }

    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.writer.call(move |work| Ok(holds::take_token(work, now, kind))).await
    }

    async fn back_off(&self, _now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.writer
            .call(move |work| {
                holds::back_off(work, until);
                Ok(())
            })
            .await
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        Ok(self.shared.control().holds.into_iter().filter_map(|slot| slot.hold).collect())
    }

    async fn set_hold(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Hold, StoreError> {
        self.writer.call(move |work| Ok(holds::set(work, now, scope, code))).await
    }

    async fn lift_hold(&self, now: UnixMs, scope: Option<HoldScope>) -> Result<Vec<Hold>, StoreError> {
        self.writer.call(move |work| Ok(holds::lift(work, now, scope, None))).await
    }

    async fn lift_hold_of(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Option<Hold>, StoreError> {
        self.writer.call(move |work| Ok(holds::lift(work, now, Some(scope), Some(code)).pop())).await
    }

    async fn dead_letters(&self, page: &Page) -> Result<Vec<DeadSummary>, StoreError> {
        let page = page.clone();
        self.readers.read(move |db| views::dead_letters(db, &page)).await
    }

    async fn dead_letter(&self, id: JobId) -> Result<Option<DeadLetter>, StoreError> {
        self.readers.read(move |db| views::dead_letter(db, id)).await
    }

    async fn replay(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
        self.writer.call(move |work| dead::replay(work, now, id)).await
    }

    async fn replay_as(&self, now: UnixMs, id: JobId, jobs: Vec<NewJob>) -> Result<DeadAction, StoreError> {
        self.writer.call(move |work| dead::replay_as(work, now, id, &jobs)).await
    }

    async fn discard(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
        self.writer.call(move |work| dead::discard(work, now, id)).await
    }

    async fn jobs(&self, state: JobState, page: &Page) -> Result<Vec<JobView>, StoreError> {
        let page = page.clone();
        self.readers.read(move |db| views::jobs(db, state, &page)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        self.readers.read(move |db| views::job(db, id)).await
    }

    async fn person(&self, person: &Person) -> Result<Option<PersonView>, StoreError> {
        let person = person.clone();
        self.readers.read(move |db| views::person(db, &person)).await
    }

    async fn stats(&self, now: UnixMs) -> Result<Stats, StoreError> {
        let tally = self.shared.control().tally;
        self.readers.read(move |db| views::stats(db, tally, now)).await
    }

    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.writer.call(move |work| tidy::tidy(work, now)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.call(|work| control::ping(work.db)).await
    }

    async fn woken(&self) {
        self.shared.woken.notified().await;
    }
}

#[async_trait]
impl Transfer for Embedded {
    /// The store's lock is ours: nobody else is at work.
    async fn activity(&self, _now: UnixMs) -> Result<Activity, StoreError> {
        Ok(Activity { leases: 0, listeners: 0, steps: 0 })
    }

    async fn origin(&self, fresh: [u8; 16]) -> Result<Origin, StoreError> {
        self.writer.call(move |work| export::origin(work, fresh)).await
    }

    async fn export(
        &self,
        now: UnixMs,
        section: Section,
        after: Option<&Position>,
        records_max: usize,
    ) -> Result<Exported, StoreError> {
        if section == Section::Holds {
            let holds = self.holds().await?.into_iter().filter(|hold| hold.code != Code::HoldCopied);
            return Ok(Exported { records: holds.map(Record::Hold).collect(), next: None });
        }
        let after = after.cloned();
        self.readers.read(move |db| export::export(db, now, section, after.as_ref(), records_max)).await
    }

    async fn make_room(&self, origin: &Origin) -> Result<Room, StoreError> {
        let origin = *origin;
        self.writer.call(move |work| import::make_room(work, &origin)).await
    }

    async fn import(&self, now: UnixMs, base: u64, records: Vec<Record>) -> Result<Vec<Fate>, StoreError> {
        let take = move |work: &mut writer::Work<'_>| {
            records.iter().map(|record| import::import(work, now, base, record, true)).collect()
        };
        self.writer.call(take).await
    }

    async fn compare(&self, now: UnixMs, records: Vec<Record>) -> Result<Vec<Fate>, StoreError> {
        let look = move |work: &mut writer::Work<'_>| {
            records.iter().map(|record| import::import(work, now, 0, record, false)).collect()
        };
        self.writer.call(look).await
    }
}
