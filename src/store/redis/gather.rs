//! Deliveries that arrive during a call share the next one: one round trip, one run of the script.
//!
//! With little traffic, each delivery has its own call, at once. With much, they share a call's fixed cost (packets,
//! keys, starting the script).

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

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
/// Deliveries that may wait for their call; others wait for a place.
const WAITING_MAX: usize = 4_096;
/// Their total size, in KiB. While a call hangs, even deliveries whose senders have given up wait.
const WAITING_KIB_MAX: usize = 64 * 1024;

/// A delivery that waits for its call.
struct Waiting {
    now: UnixMs,
    packed: Packed,
    bytes: usize,
    done: oneshot::Sender<Result<Vec<u8>, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// Where deliveries wait for their call.
pub(super) struct Gather {
    waiting: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// How long a delivery waits for its answer.
    limit: Duration,
}

impl Gather {
    /// Calls are made until this is dropped.
    pub(super) fn new(calls: Arc<Calls>, limit: Duration, loops: &Loops) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let dispatching = move || dispatch(calls.clone(), waiting.clone());
        runtime.spawn(supervision::watched(loops, "dispatch", dispatching));
        Ok(Self { waiting: sender, room: Arc::new(Semaphore::new(WAITING_KIB_MAX)), limit })
    }

    /// Returns the script's answer to a delivery. If nobody waits for it any more, it is left out of the next call.
    ///
    /// Errors: those of the call, which all of its deliveries share, and that it takes too long.
    pub(super) async fn accept(&self, now: UnixMs, packed: Packed) -> Result<Vec<u8>, StoreError> {
        let ended = || StoreError::Unavailable("the process is stopping".to_owned());
        let (done, answer) = oneshot::channel();
        let bytes = packed.args.iter().map(Arg::len).sum::<usize>();
        let kib = (bytes / 1024 + 1).min(WAITING_KIB_MAX);
        let work = async {
            let kib = u32::try_from(kib).unwrap_or(u32::MAX);
            let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| ended())?;
            self.waiting.send(Waiting { now, packed, bytes, done, _room: room }).await.map_err(|_| ended())?;
            answer.await.unwrap_or_else(|_| Err(ended()))
        };
        // A delivery behind a hanging call must not wait as long as all calls before it together.
        tokio::time::timeout(self.limit, work).await.unwrap_or_else(|_| Err(Link::silent(self.limit)))
    }
}

async fn dispatch(calls: Arc<Calls>, waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
    let mut waiting = waiting.lock().await;
    let mut left = None;
    loop {
        let first = match left.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        failpoint::at("dispatch");
        let group;
        (group, left) = gather(&calls, first, &mut waiting);
        // One call at a time: with two, groups were a third as large, and Redis spent half as much again on
        // each delivery.
        send(&calls, group).await;
    }
}

/// The deliveries that go with the first one, and the next one, which does not fit.
fn gather(calls: &Calls, first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) -> (Vec<Waiting>, Option<Waiting>) {
    let (now, mut args, mut bytes) = (calls.script_now(first.now), first.packed.args.len(), first.bytes);
    let mut group = vec![first];
    while group.len() < DELIVERIES_MAX
        && let Ok(next) = waiting.try_recv()
    {
        args += next.packed.args.len();
        bytes += next.bytes;
        if args > ARGS_MAX || bytes > BYTES_MAX || calls.script_now(next.now) != now {
            return (group, Some(next));
        }
        group.push(next);
    }
    (group, None)
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
