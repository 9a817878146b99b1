//! Deliveries that arrive during a call share the next one: one round trip, one run of the script.
//!
//! With little traffic, each delivery has its own call, at once. With much, they share a call's fixed cost (packets,
//! keys, starting the script).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::accept::Packed;
use super::link::{Arg, Link};
use super::reply::{ScriptReply, unexpected};
use super::{Calls, scripts};
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::lifecycle::Loops;
use crate::store::StoreError;
use crate::supervision;

/// Deliveries in one call: everybody else waits while the script runs.
const DELIVERIES_MAX: usize = 64;
/// Arguments in one call, except for a single delivery with more.
const ARGS_MAX: usize = 1_024;
/// Bytes in one call, except for a single larger delivery.
const BYTES_MAX: usize = 1 << 20;
/// Enough deliveries for a call: its fixed cost is that of some four.
const ENOUGH: usize = 16;
/// With fewer, a call begins no sooner than this after the previous one began.
const INTERVAL: Duration = Duration::from_millis(1);
/// Total size of the deliveries that wait for their call, in KiB; others wait for a place. While a call hangs, even
/// deliveries whose senders have given up wait.
const WAITING_KIB_MAX: usize = 64 * 1024;
/// What each counts for at least: some four thousand small ones may wait.
const WAITING_KIB_MIN: usize = 16;

/// A delivery that waits for its call.
struct Waiting {
    now: UnixMs,
    packed: Packed,
    bytes: usize,
    done: oneshot::Sender<Result<Vec<u8>, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// Deliveries that wait for their call, in order.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    /// Notified when the first one comes, and when there are enough; not by each.
    changed: Notify,
    closed: AtomicBool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, one: Waiting) {
        let count = {
            let mut waiting = self.waiting();
            waiting.push_back(one);
            waiting.len()
        };
        if count == 1 || count == ENOUGH {
            self.changed.notify_one();
        }
    }

    /// Waits until there are this many; false: no more will come.
    async fn holds(&self, count: usize) -> bool {
        while self.waiting().len() < count {
            if self.closed.load(Ordering::Acquire) {
                return false;
            }
            self.changed.notified().await;
        }
        true
    }
}

/// Where deliveries wait for their call.
pub(super) struct Gather {
    queue: Arc<Queue>,
    room: Arc<Semaphore>,
    /// How long a delivery waits for its answer.
    limit: Duration,
}

impl Gather {
    /// Calls are made until this is dropped.
    pub(super) fn new(calls: Arc<Calls>, limit: Duration, loops: &Loops) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let queue = Arc::new(Queue::default());
        let emptied = queue.clone();
        let dispatching = move || dispatch(calls.clone(), emptied.clone());
        runtime.spawn(supervision::watched(loops, "dispatch", dispatching));
        Ok(Self { queue, room: Arc::new(Semaphore::new(WAITING_KIB_MAX)), limit })
    }

    /// Returns the script's answer to a delivery. If nobody waits for it any more, it is left out of the next call.
    ///
    /// Errors: those of the call, which all of its deliveries share, and that it takes too long.
    pub(super) async fn accept(&self, now: UnixMs, packed: Packed) -> Result<Vec<u8>, StoreError> {
        let ended = || StoreError::Unavailable("the process is stopping".to_owned());
        let (done, answer) = oneshot::channel();
        let bytes = packed.args.iter().map(Arg::len).sum::<usize>();
        let kib = (bytes / 1024 + 1).clamp(WAITING_KIB_MIN, WAITING_KIB_MAX);
        let work = async {
            let kib = u32::try_from(kib).unwrap_or(u32::MAX);
            let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| ended())?;
            self.queue.push(Waiting { now, packed, bytes, done, _room: room });
            answer.await.unwrap_or_else(|_| Err(ended()))
        };
        // A delivery behind a hanging call must not wait as long as all calls before it together.
        tokio::time::timeout(self.limit, work).await.unwrap_or_else(|_| Err(Link::silent(self.limit)))
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.queue.closed.store(true, Ordering::Release);
        self.queue.changed.notify_one();
    }
}

async fn dispatch(calls: Arc<Calls>, queue: Arc<Queue>) {
    let mut next = Instant::now();
    while queue.holds(1).await {
        // In small calls, each delivery costs the server more than twice as much. A single one does not wait.
        let _ = timeout_at(next, queue.holds(ENOUGH)).await;
        let group = gather(&calls, &mut queue.waiting());
        failpoint::at("dispatch");
        next = Instant::now() + INTERVAL;
        // One call at a time: with two, groups were a third as large, and Redis spent half as much again on
        // each delivery.
        send(&calls, group).await;
    }
}

/// The deliveries that go together: of the same time, and not too many for one call.
fn gather(calls: &Calls, waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let (mut group, mut args, mut bytes): (Vec<Waiting>, _, _) = (Vec::new(), 0, 0);
    while let Some(next) = waiting.pop_front() {
        args += next.packed.args.len();
        bytes += next.bytes;
        let is_alike = group.first().is_none_or(|first| calls.script_now(first.now) == calls.script_now(next.now));
        let fits = group.len() < DELIVERIES_MAX && args <= ARGS_MAX && bytes <= BYTES_MAX && is_alike;
        if !group.is_empty() && !fits {
            waiting.push_front(next);
            break;
        }
        group.push(next);
    }
    group
}

async fn send(calls: &Calls, mut group: Vec<Waiting>) {
    group.retain(|one| !one.done.is_closed());
    let Some(now) = group.first().map(|first| first.now) else { return };
    let (deliveries, done): (Vec<_>, Vec<_>) = group.into_iter().map(|one| (one.packed, one.done)).unzip();
    let (keys, args) = calls.accept_call(&deliveries);
    let answers = calls.run(&scripts::ACCEPT, now, keys, args).await.and_then(ScriptReply::all_bytes);
    let answers = match answers {
        Ok(answers) if answers.len() == done.len() => answers.into_iter().map(Ok).collect(),
        Ok(_) => vec![Err(unexpected("the answers to deliveries")); done.len()],
        Err(error) => vec![Err(error); done.len()],
    };
    for (done, answer) in done.into_iter().zip(answers) {
        // If it fails, nobody waits any more.
        drop(done.send(answer));
    }
}
