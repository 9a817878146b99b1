//! The one thread that writes. It takes all waiting commands, runs them in one transaction, commits, and answers them
//! all: many senders share one flush to the disk.
//!
//! While it waits for commands, or for the disk to begin or to flush a transaction, it does not count as hanging: a disk
//! that hangs would still do so after a restart.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::presence::Presence;
use crate::clock::LeaseClock;
use crate::core::clock_watch::ClockWatch;
use crate::lifecycle::Heart;
use crate::store::{StoreError, StoreOptions};

/// The writer's name among the loops of the process.
pub(super) const WRITER: &str = "store writer";
/// How many commands may wait before callers must wait to send one.
const QUEUE: usize = 1_024;
/// The most commands in one transaction: enough to make the flush cheap, few enough to keep the answer quick.
const BATCH: usize = 256;
/// After this many bytes of deliveries, no more are added to a transaction, so that it commits before senders give
/// up.
const BATCH_BYTES: usize = 4 << 20;
/// The most memory for waiting deliveries, in KiB: while a disk hangs, their senders have long given up.
const WAITING_KIB_MAX: u32 = 32 * 1024;

/// What a command works on.
pub(super) struct Work<'a> {
    /// The open transaction.
    pub(super) db: &'a Connection,
    /// Restored when the transaction fails.
    pub(super) control: &'a mut Control,
    pub(super) options: &'a StoreOptions,
    /// What leases are measured by.
    pub(super) clock: &'a LeaseClock,
    /// Whether the wall clock has leapt since the store was opened.
    pub(super) clock_watch: &'a mut ClockWatch,
    /// Whether there may be something new to claim.
    pub(super) wake: &'a mut bool,
}

/// What the writer shares with those who read.
#[derive(Debug)]
pub(super) struct Published {
    /// As of the last commit.
    pub(super) control: Mutex<Control>,
    pub(super) woken: Notify,
    /// Cancelled when the writer has ended unasked.
    pub(super) broken: CancellationToken,
}

impl Published {
    /// The control state as of the last commit.
    pub(super) fn control(&self) -> Control {
        self.control.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A command. It may be run again after its transaction was rolled back.
trait Task: Send {
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;
    /// Whether anybody still waits for it. Only a delivery may be skipped: its sender sends it again.
    fn is_wanted(&self) -> bool;
    fn is_delivery(&self) -> bool;
    /// The size of a delivery.
    fn bytes(&self) -> usize;
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

struct Call<T, F> {
    run: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    delivery: Option<Waiting>,
}

/// A delivery that waits for the writer.
struct Waiting {
    bytes: usize,
    _room: OwnedSemaphorePermit,
}

impl<T: Send, F> Task for Call<T, F>
where
    F: FnMut(&mut Work<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.value = Some((self.run)(work)?);
        Ok(())
    }

    fn is_wanted(&self) -> bool {
        self.delivery.is_none() || !self.reply.is_closed()
    }

    fn is_delivery(&self) -> bool {
        self.delivery.is_some()
    }

    fn bytes(&self) -> usize {
        self.delivery.as_ref().map_or(0, |delivery| delivery.bytes)
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let Self { value, reply, delivery, .. } = *self;
        let answer = match (failure, value) {
            (None, Some(value)) => Ok(value),
            (None, None) => Err(stopped()),
            (Some(error), _) => Err(error.clone()),
        };
        // Whoever is answered finds its room free.
        drop(delivery);
        // If nobody listens any more, the commit stands.
        let _ = reply.send(answer);
    }
}

enum Message {
    Run(Box<dyn Task>),
    /// Merges the log into the file, and answers whether nothing is left of it.
    Checkpoint(oneshot::Sender<bool>),
    Stop,
}

/// The handle of the writer thread.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(state: State) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let broken = state.shared.broken.clone();
                // Its memory may be inconsistent: the next process reads everything again.
                if std::panic::catch_unwind(AssertUnwindSafe(|| state.serve(waiting))).is_err() {
                    broken.cancel();
                }
            })
            .map_err(|e| StoreError::Unavailable(format!("no thread for the writer: {e}")))?;
        let room = Arc::new(Semaphore::new(WAITING_KIB_MAX as usize));
        Ok(Self { queue: Some(queue), room, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `run` in the next transaction; its value is answered after the commit.
    pub(super) async fn call<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.send(run, None).await
    }

    /// Runs `run` likewise for a delivery of this many bytes. It is skipped if nobody waits for its answer any more, and the
    /// memory of all waiting deliveries is bounded, so that a hanging writer cannot fill it.
    pub(super) async fn take_in<T, F>(&self, bytes: usize, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(WAITING_KIB_MAX);
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| stopped())?;
        self.send(run, Some(Waiting { bytes, _room: room })).await
    }

    async fn send<T, F>(&self, run: F, delivery: Option<Waiting>) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Call { run, value: None, reply, delivery });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Message::Run(task)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Memory of the waiting deliveries, in KiB.
    #[cfg(test)]
    pub(super) fn waiting_kib(&self) -> usize {
        WAITING_KIB_MAX as usize - self.room.available_permits()
    }

    /// Merges the log into the file and empties it, so that overwritten data is gone for good. False if a reader
    /// still uses an older state, or if the store is closed.
    pub(super) async fn checkpoint(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        let Some(queue) = self.queue.as_ref() else { return false };
        queue.send(Message::Checkpoint(reply)).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// Finishes what is queued, and ends the thread.
    pub(super) async fn stop(&self) {
        if let Some(queue) = &self.queue {
            // It has stopped already.
            let _ = queue.send(Message::Stop).await;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when the last sender is dropped and the queue is empty.
        self.queue = None;
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// What the thread works with.
pub(super) struct State {
    pub(super) db: Connection,
    pub(super) control: Control,
    pub(super) options: StoreOptions,
    pub(super) clock: LeaseClock,
    pub(super) clock_watch: ClockWatch,
    pub(super) shared: Arc<Published>,
    pub(super) presence: Arc<Presence>,
    pub(super) heart: Heart,
}

impl State {
    fn serve(mut self, mut waiting: mpsc::Receiver<Message>) {
        let mut stopping = false;
        while !stopping {
            let Some(first) = self.heart.waiting(|| waiting.blocking_recv()) else { break };
            let (mut batch, mut checkpoints, mut bytes) = (Vec::new(), Vec::new(), 0);
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Run(task) if task.is_wanted() => {
                        bytes += task.bytes();
                        batch.push(task);
                    }
                    Message::Run(_) => {}
                    Message::Checkpoint(reply) => checkpoints.push(reply),
                    Message::Stop => {
                        stopping = true;
                        waiting.close();
                    }
                }
                next = if batch.len() < BATCH && bytes < BATCH_BYTES { waiting.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.run(batch);
            }
            if !checkpoints.is_empty() {
                let is_merged = self.checkpoint();
                for reply in checkpoints {
                    let _ = reply.send(is_merged);
                }
            }
        }
        while let Ok(message) = waiting.try_recv() {
            if let Message::Run(task) = message
                && task.is_wanted()
            {
                self.run(vec![task]);
            }
        }
        // Merges the log into the file, so that a copy of the file alone is complete.
        if !self.checkpoint() {
            tracing::warn!("the store's write-ahead log was not merged into its file; the next start does it");
        }
    }

    fn checkpoint(&self) -> bool {
        // The pragma returns whether it was blocked, and two figures about the log.
        let checkpoint = || self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        let is_busy = self.heart.waiting(checkpoint);
        is_busy.is_ok_and(|busy| busy == 0)
    }

    fn run(&mut self, mut batch: Vec<Box<dyn Task>>) {
        let mut wake = false;
        let result = self.attempt(&mut batch, &mut wake);
        match result {
            Ok(()) => {
                *self.shared.control.lock().unwrap_or_else(PoisonError::into_inner) = self.control.clone();
                for task in batch {
                    task.answer(None);
                }
                if wake {
                    // Wakes those who wait now, or the next one to wait.
                    self.shared.woken.notify_waiters();
                    self.shared.woken.notify_one();
                }
            }
            // One command met a damaged row, which does not concern the others.
            Err(StoreError::Damaged(_)) if batch.len() > 1 => {
                for task in batch {
                    self.run(vec![task]);
                }
            }
            Err(error) => {
                for task in batch {
                    task.answer(Some(&error));
                }
            }
        }
    }

    /// Runs the whole batch or none of it, including the state in memory.
    fn attempt(&mut self, batch: &mut [Box<dyn Task>], wake: &mut bool) -> Result<(), StoreError> {
        let before = self.control.clone();
        let result = self.transact(batch, &before, wake);
        if result.is_err() {
            self.control = before;
            self.roll_back();
        }
        result
    }

    fn transact(&mut self, batch: &mut [Box<dyn Task>], before: &Control, wake: &mut bool) -> Result<(), StoreError> {
        // If the last rollback failed, try it again now.
        self.roll_back();
        // Once for all that share the transaction: it is two system calls.
        if batch.iter().any(|task| task.is_delivery()) {
            self.heart.waiting(|| self.presence.check())?;
        }
        self.heart.waiting(|| self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([]))?;
        for task in batch {
            let mut work = Work {
                db: &self.db,
                control: &mut self.control,
                options: &self.options,
                clock: &self.clock,
                clock_watch: &mut self.clock_watch,
                wake,
            };
            task.run(&mut work)?;
        }
        self.control.save(&self.db, before)?;
        self.heart.waiting(|| self.db.prepare_cached("COMMIT")?.execute([]))?;
        Ok(())
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // If this fails, it is tried again before the next transaction.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::limiter::Rate;
    use crate::core::person::job::JobId;
    use crate::core::person::{Person, SourceName};
    use crate::core::time::UnixMs;
    use crate::lifecycle::Loops;
    use crate::store::embedded::Embedded;
    use crate::store::{Accepted, Bounds, Dedupe, NewDelivery, NewEntry, Store};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn open(folder: &tempfile::TempDir) -> Embedded {
        Embedded::open_with(folder.path(), options(), LeaseClock::Caller).unwrap()
    }

    fn options() -> StoreOptions {
        let unlimited = Rate { calls: 0, window_ms: 60_000 };
        let bounds = Bounds {
            entries_max: 1_000_000,
            dead_letters_max: 1,
            dead_bytes_max: 1,
            story_entries_max: 1,
            story_keep_ms: 1,
        };
        StoreOptions { writes: unlimited, reads: unlimited, bounds }
    }

    fn entry(n: u128) -> NewEntry {
        let person = Person::parse(SourceName::parse("hr").unwrap(), &n.to_string()).unwrap();
        NewEntry { job: JobId::about(n << 64, person.id()), person, bytes: vec![b'x'; 300].into() }
    }

    fn delivery(n: u128) -> NewDelivery {
        let dedupe = Dedupe { key: n.to_be_bytes(), only_while_newest: false, remember_ms: 1_000, says: 0 };
        let entry = entry(n);
        let source = entry.person.source.clone();
        NewDelivery { source, dedupe: Some(dedupe), entries: vec![entry], unmapped: Vec::new() }
    }

    async fn counted(store: &Embedded) -> (Control, Control) {
        store.writer.call(|work| Ok((work.control.clone(), Control::load(work.db, 0)?))).await.unwrap()
    }

    #[tokio::test]
    async fn a_full_disk_refuses_a_whole_delivery_and_may_pass() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let pages = "max_page_count";
        let limit = |pages_max: i64| {
            store.writer.call(move |work| Ok(work.db.pragma_update_and_check(None, pages, pages_max, |_| Ok(()))?))
        };
        limit(60).await.unwrap();
        let mut stored = 0;
        let refused = loop {
            match store.accept(NOW, delivery(stored)).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 10_000, "the disk never fills");
        };
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
        let (memory, file) = counted(&store).await;
        assert_eq!(memory, file, "what was refused left nothing in memory");
        assert_eq!(u128::from(memory.tally.entries["hr"]), stored);
        limit(100_000).await.unwrap();
        assert_eq!(store.accept(NOW, delivery(stored)).await.unwrap(), Accepted::Stored);
        let (memory, recounted) =
            store.writer.call(|work| Ok((work.control.tally.clone(), Control::recount(work.db)?.tally))).await.unwrap();
        assert_eq!(memory, recounted);
    }

    #[tokio::test]
    async fn a_damaged_row_fails_its_command_and_not_those_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(open(&folder));
        store.accept(NOW, delivery(1)).await.unwrap();
        store.writer.call(|work| Ok(work.db.execute("UPDATE person SET state = 'x'", [])?)).await.unwrap();
        // The writer is kept busy until both commands wait, so that they share a transaction.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.writer.call(move |_| Ok(wait.recv().is_ok())).await }
        });
        let (put, accepted, freed) =
            tokio::join!(store.put(NOW, entry(1)), store.accept(NOW, delivery(2)), async { go.send(()) });
        assert!(freed.is_ok() && busy.await.unwrap().unwrap());
        assert!(matches!(put, Err(StoreError::Damaged(_))), "{put:?}");
        assert_eq!(accepted.unwrap(), Accepted::Stored);
        let (memory, file) = counted(&store).await;
        assert_eq!((&memory.tally, memory.tally.entries["hr"]), (&file.tally, 2));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_writer_that_hangs_is_reported_and_one_that_waits_is_not() {
        const SHORT: Duration = Duration::from_millis(300);
        let (folder, loops) = (tempfile::tempdir().unwrap(), Loops::default());
        let store = Embedded::open_for(folder.path(), options(), &loops).unwrap();
        let is_late = || loops.is_late(WRITER, SHORT);
        tokio::time::sleep(2 * SHORT).await;
        assert!(!is_late(), "it waits for commands");
        let beside = Connection::open(folder.path().join("store.db")).unwrap();
        beside.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (checked, ()) = tokio::join!(store.check(), async {
            tokio::time::sleep(2 * SHORT).await;
            assert!(!is_late(), "it waits for the file");
            beside.execute_batch("COMMIT").unwrap();
        });
        checked.unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (stood, ()) = tokio::join!(store.writer.call(move |_| Ok(wait.recv().is_ok())), async {
            while !is_late() {
                tokio::time::sleep(SHORT / 10).await;
            }
            go.send(()).unwrap();
        });
        assert!(stood.unwrap());
        store.close().await;
        assert!(!loops.is_late(WRITER, Duration::ZERO), "it has ended");
    }
}
