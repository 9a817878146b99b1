//! Deliveries that come while others are on their way share the next call: one round trip, one run of
//! the script.
//!
//! When little comes, each has a call of its own, at once. When much comes, what a call costs besides
//! its deliveries (packets, 24 keys, the script's beginning) is shared.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::accept::answers_of;
use super::link::Arg;
use super::reply::unexpected;
use super::{Calls, scripts};
use crate::core::code::Code;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// Calls on their way at once: while the server works on one, the next is there already.
const CALLS: usize = 2;
/// Deliveries in one call: whoever else wants something of the server waits while it runs.
const DELIVERIES_MAX: usize = 64;
/// Arguments in one call, but for a delivery that alone has more.
const ARGS_MAX: usize = 4_096;
/// Deliveries that may wait for their call; those beyond wait for a place.
const WAITING_MAX: usize = 4_096;

/// A delivery that waits for its call.
struct Waiting {
    now: UnixMs,
    args: Vec<Arg<'static>>,
    done: oneshot::Sender<Result<Vec<u8>, StoreError>>,
}

/// Where deliveries wait for their call.
pub(super) struct Gather(mpsc::Sender<Waiting>);

impl Gather {
    /// Calls are made until this is dropped.
    pub(super) fn new(calls: Arc<Calls>) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        runtime.spawn(dispatch(calls, waiting));
        Ok(Self(sender))
    }

    /// What the script answers to a delivery. Its call is made, too, where nobody waits any more.
    ///
    /// Errors: those of the call, which all of its deliveries share.
    pub(super) async fn accept(&self, now: UnixMs, args: Vec<Arg<'static>>) -> Result<Vec<u8>, StoreError> {
        let ended = || StoreError::Unavailable("the process is stopping".to_owned());
        let (done, answer) = oneshot::channel();
        self.0.send(Waiting { now, args, done }).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn dispatch(calls: Arc<Calls>, mut waiting: mpsc::Receiver<Waiting>) {
    let under_way = Arc::new(Semaphore::new(CALLS));
    let mut left = None;
    loop {
        // First a free call, then those who wait for it: they grow more meanwhile.
        let Ok(permit) = under_way.clone().acquire_owned().await else { return };
        let first = match left.take() {
            Some(first) => Some(first),
            None => waiting.recv().await,
        };
        let Some(first) = first else { return };
        let group;
        (group, left) = gather(&calls, first, &mut waiting);
        let calls = calls.clone();
        tokio::spawn(async move {
            carry(&calls, group).await;
            drop(permit);
        });
    }
}

/// Who goes with the first, and who came next but does not fit.
fn gather(calls: &Calls, first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) -> (Vec<Waiting>, Option<Waiting>) {
    let (now, mut args) = (calls.script_now(first.now), first.args.len());
    let mut group = vec![first];
    while group.len() < DELIVERIES_MAX
        && let Ok(next) = waiting.try_recv()
    {
        args += next.args.len();
        if args > ARGS_MAX || calls.script_now(next.now) != now {
            return (group, Some(next));
        }
        group.push(next);
    }
    (group, None)
}

async fn carry(calls: &Calls, group: Vec<Waiting>) {
    let now = group.first().map(|first| first.now).unwrap_or_default();
    let (deliveries, done): (Vec<_>, Vec<_>) = group.into_iter().map(|one| (one.args, one.done)).unzip();
    match call(calls, now, &deliveries).await {
        Ok(answers) => {
            for (done, answer) in done.into_iter().zip(answers) {
                tell(done, Ok(answer));
            }
        }
        // The script stopped in the middle: one person's lane is damaged. The others are not to suffer;
        // those before it are there already, and are told as duplicates.
        Err(error) if done.len() > 1 && is_of_one(&error) => {
            for (delivery, done) in deliveries.chunks(1).zip(done) {
                let answer = call(calls, now, delivery).await;
                tell(done, answer.map(|answers| answers.into_iter().next().unwrap_or_default()));
            }
        }
        Err(error) => {
            for done in done {
                tell(done, Err(error.clone()));
            }
        }
    }
}

async fn call(calls: &Calls, now: UnixMs, deliveries: &[Vec<Arg<'_>>]) -> Result<Vec<Vec<u8>>, StoreError> {
    let answers = answers_of(calls.run(&scripts::ACCEPT, now, calls.accept_args(deliveries)).await?)?;
    if answers.len() == deliveries.len() { Ok(answers) } else { Err(unexpected("the answers to deliveries")) }
}

fn is_of_one(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged(_)) || error.code() == Some(Code::StoreError)
}

fn tell(done: oneshot::Sender<Result<Vec<u8>, StoreError>>, answer: Result<Vec<u8>, StoreError>) {
    // Where it fails, nobody waits any more.
    drop(done.send(answer));
}
