//! The embedded engine: one SQLite file on local disk, for one process.
//!
//! One thread writes, in transactions that many callers share; readers see the last commit meanwhile. Whatever is
//! acknowledged is on the disk (`synchronous=FULL`). The directory holds `store.db` (which the `sqlite3` tool may
//! read at any time), SQLite's files beside it, and `lock`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::params;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::control::Control;
use self::figures::{signed, unsigned};
use self::presence::Presence;
use self::readers::Readers;
use self::schema::Lock;
use self::writer::{Published, State, WRITER, Writer};
use super::{
    Accepted, Claim, ClaimRequest, Commit, Committed, DeadFilter, DeadRow, LaneState, Lease, Listed, NewDelivery,
    NewEntry, NewUnmapped, Own, Owned, Page, PersonRow, Shared, Stats, Store, StoreError, StoreOptions, Story, Token,
};
use crate::clock::LeaseClock;
use crate::core::limiter::CallKind;
use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId};
use crate::core::time::UnixMs;
use crate::lifecycle::Loops;
use crate::supervision;

mod accept;
mod claim;
mod commit;
mod control;
mod dead;
mod failure;
mod figures;
mod inbox;
mod lanes;
mod listings;
mod presence;
mod readers;
mod schema;
mod tidy;
mod transfer;
mod writer;

/// How often to try to merge the log into the file after an erasure if readers are in the way, and the pause between.
const CHECKPOINTS_MAX: usize = 20;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(50);
/// How long a delivery waits for the disk: less than HR systems wait for an answer.
const ACCEPT_TIME: Duration = Duration::from_secs(8);

/// The embedded engine. See the module's documentation.
///
/// Dropping it finishes what is queued (and waits for it); [`Embedded::close`] does so without
/// blocking.
pub struct Embedded {
    // Dropped in this order: the writer ends before the lock is released.
    writer: Writer,
    readers: Readers,
    shared: Arc<Published>,
    clock: LeaseClock,
    dir: PathBuf,
    presence: Arc<Presence>,
    _lock: Lock,
}

impl Embedded {
    /// Opens the store in `dir`, which is created if it is missing (for its owner only).
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process (or another handle of this one) has it open;
    /// [`StoreError::NewerSchema`], [`StoreError::OlderSchema`] and [`StoreError::Damaged`] before anything is
    /// written; [`StoreError::Unavailable`] if the directory cannot be read or written. Blocks while the file is
    /// opened.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_with(dir, options, LeaseClock::steady())
    }

    /// Opens the store of a process that serves: the store's writer is among the loops of the process.
    pub fn open_for(dir: &Path, options: StoreOptions, loops: &Loops) -> Result<Self, StoreError> {
        Self::opened(dir, options, LeaseClock::steady(), loops)
    }

    /// Opens a store with another clock to measure leases by.
    pub fn open_with(dir: &Path, options: StoreOptions, clock: LeaseClock) -> Result<Self, StoreError> {
        Self::opened(dir, options, clock, &Loops::default())
    }

    fn opened(dir: &Path, options: StoreOptions, clock: LeaseClock, loops: &Loops) -> Result<Self, StoreError> {
        let lock = schema::lock(dir)?;
        let db = schema::open_writer(dir)?;
        // There are more milliseconds since the epoch than entries were ever accepted.
        let control = Control::load(&db, unsigned(clock.at(UnixMs::default()).0))?;
        let shared = Arc::new(Published {
            control: Mutex::new(control.clone()),
            woken: Notify::new(),
            broken: CancellationToken::new(),
        });
        let heart = supervision::heart(loops, WRITER);
        let presence = Arc::new(Presence::of(dir)?);
        let state = State {
            db,
            control,
            options,
            clock: clock.clone(),
            clock_watch: tidy::watch(&clock),
            shared: Arc::clone(&shared),
            presence: Arc::clone(&presence),
            heart,
        };
        let writer = Writer::start(state)?;
        let readers = Readers::new(schema::database(dir));
        Ok(Self { writer, readers, shared, clock, dir: dir.to_owned(), presence, _lock: lock })
    }

    /// Whether there is a store in `dir`.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        schema::database(dir).exists()
    }

    /// Writes a snapshot of the store in `dir` to a new file, even while a process serves it; everything acknowledged
    /// before is in it. The file, as `store.db` in a directory, is a store of its own. It is read back, and deleted
    /// if it is damaged. Blocks.
    pub fn backup_of(dir: &Path, to: &Path) -> Result<(), StoreError> {
        schema::backup(dir, to)
    }

    /// Reads the whole file of the store in `dir`, even while a process serves it. Returns whether there was time for
    /// all of it. Errors: [`StoreError::Damaged`] with the first thing that is wrong. Blocks.
    pub fn examine(dir: &Path, time: Duration) -> Result<bool, StoreError> {
        schema::examine(&schema::database(dir), Some(time))
    }

    /// Writes this store into a new file; see [`Embedded::backup_of`].
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let (dir, to) = (self.dir.clone(), to.to_owned());
        tokio::task::spawn_blocking(move || schema::backup(&dir, &to))
            .await
            .map_err(|_| StoreError::Unavailable("the backup was interrupted".to_owned()))?
    }

    /// Finishes what is queued and merges the log into the file. Every later call says that the store is closed.
    pub async fn close(&self) {
        self.writer.stop().await;
    }
}

#[async_trait]
impl Store for Embedded {
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        let accepted = self.writer.take_in(delivery.bytes(), move |work| accept::accept(work, now, &delivery));
        // A hanging disk gives no error. If the write succeeds after all, the sender's next try is recognised.
        let late = |_| StoreError::Unavailable("the disk has written nothing for a while".to_owned());
        tokio::time::timeout(ACCEPT_TIME, accepted).await.map_err(late)?
    }

    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let request = request.clone();
        self.writer.call(move |work| claim::claim(work, now, &request)).await
    }

    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        let lease = lease.clone();
        self.writer.call(move |work| claim::renew(work, now, &lease, lease_ms)).await
    }

    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError> {
        let lease = lease.clone();
        self.writer.call(move |work| commit::commit(work, now, &lease, &commit)).await
    }

    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError> {
        let lease = lease.clone();
        self.writer.call(move |work| commit::own(work, now, &lease, &own)).await
    }

    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError> {
        let key = key.to_owned();
        self.readers.read(move |db| Ok(commit::owner(db, &key)?.map(claim::person_id))).await
    }

    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
        let tag = tag.to_owned();
        self.writer.call(move |work| lanes::release(work, now, &tag, people_max)).await
    }

    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError> {
        self.writer.call(move |work| lanes::put(work, now, &entry)).await
    }

    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.writer
            .call(move |work| {
                let ours = work.clock.at(now);
                Ok(match work.control.take_token(work.options, ours, kind) {
                    Token::Granted => Token::Granted,
                    Token::NotBefore(at) => Token::NotBefore(now.plus_ms(at.ms_since(ours))),
                })
            })
            .await
    }

    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.writer
            .call(move |work| {
                let ours = work.clock.at(now);
                work.control.back_off(work.options, ours, ours.plus_ms(until.ms_since(now)));
                Ok(())
            })
            .await
    }

    async fn paused_until(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.writer
            .call(move |work| {
                let ours = work.clock.at(now);
                let until = work.control.paused_until(work.options, ours);
                Ok(until.map(|until| now.plus_ms(until.ms_since(ours))))
            })
            .await
    }

    async fn shared(&self, name: &str) -> Result<Shared, StoreError> {
        let name = name.to_owned();
        self.readers.read(move |db| listings::shared(db, &name)).await
    }

    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.writer
            .call(move |work| {
                let is_current = listings::shared(work.db, &name)?.version == version;
                if is_current {
                    work.db
                        .prepare_cached("INSERT OR REPLACE INTO shared (name, version, bytes) VALUES (?1, ?2, ?3)")?
                        .execute(params![name, signed(version + 1), &bytes[..]])?;
                }
                Ok(is_current)
            })
            .await
    }

    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError> {
        self.readers.read(move |db| listings::person(db, signed(person.0))).await
    }

    async fn story(&self, person: PersonId) -> Result<Story, StoreError> {
        self.readers.read(move |db| listings::story(db, signed(person.0))).await
    }

    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let page = page.clone();
        self.readers.read(move |db| listings::people(db, &page)).await
    }

    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let page = page.clone();
        self.readers.read(move |db| listings::lanes(db, state, &page)).await
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        let (prefix, page) = (prefix.to_owned(), page.clone());
        self.readers.read(move |db| listings::search(db, &prefix, &page)).await
    }

    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.readers.read(move |db| listings::dead(db, &filter, &page)).await
    }

    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError> {
        self.readers.read(move |db| listings::dead_letter(db, id)).await
    }

    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError> {
        self.writer.call(move |work| dead::replay_unmapped(work, now, id, &entries, &unmapped)).await
    }

    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError> {
        self.writer.call(move |work| dead::discard_unmapped(work, id)).await
    }

    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError> {
        let erased = {
            let (person, released) = (person.clone(), released.to_vec());
            self.writer.call(move |work| dead::erase(work, now, &person, &released)).await?
        };
        // Deleted pages are overwritten, but the log still has the old ones.
        for _ in 0..CHECKPOINTS_MAX {
            if !erased || self.writer.checkpoint().await {
                return Ok(erased);
            }
            tokio::time::sleep(CHECKPOINT_PAUSE).await;
        }
        tracing::warn!(
            "somebody was erased, but the store's write-ahead log still has traces of them until it is merged into the file"
        );
        Ok(erased)
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let stats = self.shared.control().stats();
        self.readers.read(move |db| Ok(Stats { oldest_due_at: listings::oldest_due_at(db)?, ..stats })).await
    }

    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.writer.call(move |work| lanes::end_leases(work, now)).await
    }

    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.writer.call(move |work| tidy::tidy(work, now)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let presence = Arc::clone(&self.presence);
        self.writer
            .call(move |work| {
                presence.check()?;
                work.control.checks = work.control.checks.wrapping_add(1);
                Ok(())
            })
            .await
    }

    async fn woken(&self) {
        self.shared.woken.notified().await;
    }

    async fn broken(&self) {
        self.shared.broken.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::core::limiter::Rate;
    use crate::core::person::job::JobId;
    use crate::core::person::{Person, SourceName};
    use crate::store::{Bounds, NewEntry};

    #[tokio::test(start_paused = true)]
    async fn a_sender_is_answered_while_the_disk_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let rate = Rate { calls: 0, window_ms: 60_000 };
        let bounds = Bounds {
            entries_max: 100,
            dead_letters_max: 100,
            dead_bytes_max: 1_000,
            story_entries_max: 100,
            story_keep_ms: 1_000,
        };
        let options = StoreOptions { writes: rate, reads: rate, bounds };
        let store = Embedded::open(dir.path(), options).unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Mutex::new(released);
        let hangs = store.writer.call(move |_| {
            let _ = released.lock().unwrap().recv();
            Ok(())
        });
        let source = SourceName::parse("hr").unwrap();
        let delivery = |n: u128| {
            let person = Person::parse(source.clone(), &n.to_string()).unwrap();
            let job = JobId::about(n << 64, person.id());
            let entries = vec![NewEntry { job, person, bytes: vec![b'x'; 1 << 20].into() }];
            NewDelivery { source: source.clone(), dedupe: None, entries, unmapped: Vec::new() }
        };
        let sent = async {
            let refused = join_all((1..=60).map(|n| store.accept(UnixMs(1), delivery(n)))).await;
            let waiting = store.writer.waiting_kib();
            release.send(()).unwrap();
            (refused, waiting)
        };
        let (hung, (refused, waiting)) = tokio::join!(hangs, sent);
        hung.unwrap();
        tokio::time::resume();
        assert!(refused.iter().all(|refused| matches!(refused, Err(StoreError::Unavailable(_)))), "{refused:?}");
        assert!((16 * 1024..=32 * 1024).contains(&waiting), "what waits is bounded: {waiting} KiB");
        // The senders have given up and will send again: what they sent keeps nobody waiting.
        assert!(store.accept(UnixMs(2), delivery(99)).await.is_ok());
        assert_eq!(store.stats().await.unwrap().entries["hr"], 1);
        assert_eq!(store.writer.waiting_kib(), 0);
    }
}
