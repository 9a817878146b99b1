//! One state of the model: what HR has sent, the store, the workers, the team, the time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;

use super::busy_worker::{BusyWorker, Next, Stored};
use crate::core::limiter::Rate;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::JobId;
use crate::core::person::{Document, Event, PersonId};
use crate::core::reconcile::team_tests::{Fault, Team};
use crate::core::time::UnixMs;
use crate::store::memory::Memory;
use crate::store::{
    Accepted, Bounds, Claim, ClaimRequest, Claimed, Commit, Committed, Dedupe, LaneState, Lease, NewDelivery, NewEntry,
    Own, Owned, PersonRow, Store, StoreOptions,
};

const T0: UnixMs = UnixMs(1_000_000_000);
pub(super) const LEASE_MS: u64 = 60_000;

thread_local! {
    /// The results of [`World::news`]: many states share them, and computing them takes most of the time. Each thread
    /// checks one model.
    static NEWS: RefCell<HashMap<Stored, Arc<[bool]>>> = RefCell::default();
}

/// A deliberately wrong step of the engine or of intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// No flaw.
    None,
    /// Commits are accepted whatever their fence.
    NoFence,
    /// A commit first removes folded entries from the inbox, and then writes the document.
    CommitInTwoSteps,
    /// A delivery is first remembered, and then queued.
    RememberBeforeQueue,
}

/// What may still go wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mishaps {
    /// All of them together.
    pub(super) all: u32,
    /// A worker dies, or the intake in the middle of a delivery.
    pub(super) crashes: u32,
    /// A lease runs out while its worker still lives.
    pub(super) expiries: u32,
    /// The HR system hangs up before it gets the answer that a delivery was accepted.
    pub(super) hang_ups: u32,
    /// A call takes effect and its reply is lost.
    pub(super) lost_replies: u32,
}

/// One state of the model; see the module's documentation.
#[expect(clippy::struct_excessive_bools, reason = "each records something else that happened")]
pub(super) struct World {
    person: PersonId,
    store: Memory,
    pub(super) now: UnixMs,
    pub(super) team: Team,
    /// Which events were acknowledged to HR.
    pub(super) heard: Vec<bool>,
    /// An event that is remembered but not queued yet, if that takes two steps.
    pub(super) half: Option<usize>,
    pub(super) workers: Vec<Option<Arc<BusyWorker>>>,
    pub(super) left: Mishaps,
    /// Up to which entry the stored document is complete.
    committed_to: u64,
    /// Whether a commit went back behind an earlier one.
    pub(super) went_back: bool,
    /// Whether a commit was accepted although a newer fence had been given out.
    pub(super) stale_taken: bool,
    /// Whether this step's commit was refused because of its fence.
    pub(super) stale_refused: bool,
    /// Whether this step took a lane over.
    pub(super) taken_over: bool,
    /// Whether this step's delivery was a duplicate.
    pub(super) known_again: bool,
    newest_fence: u64,
}

impl Mishaps {
    /// Whether one of these may happen.
    pub(super) fn may(self, kind: impl Fn(&mut Self) -> &mut u32) -> bool {
        self.all > 0 && *kind(&mut { self }) > 0
    }

    /// One of these happens.
    pub(super) fn happens(&mut self, kind: impl Fn(&mut Self) -> &mut u32) {
        self.all -= 1;
        *kind(self) -= 1;
    }
}

impl World {
    pub(super) fn new(person: PersonId, events: usize, workers: usize, mishaps: Mishaps) -> Self {
        let rate = Rate { calls: 0, window_ms: 60_000 };
        let bounds = Bounds {
            entries_max: 1_000,
            dead_letters_max: 1_000,
            dead_bytes_max: 1_000_000,
            story_entries_max: 10,
            story_keep_ms: u64::MAX,
        };
        Self {
            person,
            store: Memory::new(StoreOptions { writes: rate, reads: rate, bounds }),
            now: T0,
            team: Team::default(),
            heard: vec![false; events],
            half: None,
            workers: vec![None; workers],
            left: mishaps,
            committed_to: 0,
            went_back: false,
            stale_taken: false,
            stale_refused: false,
            taken_over: false,
            known_again: false,
            newest_fence: 0,
        }
    }

    /// Accepts an event, or half of it: it is remembered, queued, or both.
    pub(super) fn accept(&mut self, n: usize, event: &Event, remembers: bool, queues: bool) -> Accepted {
        let job = JobId::about(u128::try_from(n + 1).unwrap() << 64, self.person);
        let word = Word::Event { job, event: Box::new(event.clone()), letter: None };
        let bytes = Bytes::from(Entry { accepted_at: self.now, word, trace: None }.to_bytes());
        let key = [u8::try_from(n).unwrap(); 16];
        let dedupe = Dedupe { key, only_while_newest: false, remember_ms: u64::from(u32::MAX), says: 0 };
        let delivery = NewDelivery {
            source: event.person.source.clone(),
            dedupe: remembers.then_some(dedupe),
            entries: queues.then(|| NewEntry { job, person: event.person.clone(), bytes }).into_iter().collect(),
            unmapped: Vec::new(),
        };
        let accepted = at_once(self.store.accept(self.now, delivery));
        self.known_again = accepted != Accepted::Stored;
        accepted
    }

    /// A person who is due; otherwise when there may be one.
    pub(super) fn claim(&mut self) -> Result<Claimed, Option<UnixMs>> {
        let request = ClaimRequest {
            // The name only matters for lost answers, and there are none here; all workers are alike.
            worker: "worker".into(),
            number: 1,
            lost_from: None,
            people_max: 1,
            lease_ms: LEASE_MS,
            entries_max: 100,
            parked: None,
        };
        match at_once(self.store.claim(self.now, &request)) {
            Claim::Nobody { until } => Err(until),
            Claim::People(mut people) => {
                let claimed = people.remove(0);
                self.taken_over = claimed.taken_over;
                self.newest_fence = claimed.lease.fence;
                Ok(claimed)
            }
        }
    }

    pub(super) fn renew(&mut self, lease: &Lease) -> Option<Lease> {
        at_once(self.store.renew(self.now, lease, LEASE_MS))
    }

    pub(super) fn own(&mut self, lease: &Lease, keys: Vec<String>) -> Owned {
        at_once(self.store.own(self.now, lease, Own { keys, from: None }))
    }

    pub(super) fn owner(&self, key: &str) -> Option<PersonId> {
        at_once(self.store.owner(key))
    }

    /// Takes what is folded out of the inbox, and nothing else.
    pub(super) fn consume(&mut self, lease: &Lease, commit: &Commit) -> bool {
        self.store.consume(lease, commit.consumed_to.unwrap_or_default())
    }

    pub(super) fn commit(&mut self, lease: &Lease, commit: Commit, flaw: Flaw) {
        let consumed_to = commit.consumed_to.unwrap_or(self.committed_to);
        let committed = match flaw {
            Flaw::NoFence => self.store.commit_unfenced(self.now, lease, commit),
            Flaw::None | Flaw::CommitInTwoSteps | Flaw::RememberBeforeQueue => {
                at_once(self.store.commit(self.now, lease, commit))
            }
        };
        match committed {
            Committed::Stale => self.stale_refused = true,
            Committed::Committed => {
                self.stale_taken |= lease.fence != self.newest_fence;
                self.went_back |= consumed_to < self.committed_to;
                self.committed_to = consumed_to;
            }
        }
    }

    pub(super) fn call(&mut self, worker: &BusyWorker, fault: Fault) -> Next {
        let Next::Send(request) = &worker.next else { return worker.next.clone() };
        self.team.now = self.now;
        let reply = self.team.answer(request, fault);
        // They do not matter for what follows.
        self.team.calls.clear();
        self.team.past.clear();
        Next::Learn(request.clone(), reply)
    }

    /// The person's row in the store.
    fn row(&self) -> Option<PersonRow> {
        at_once(self.store.person(self.person))
    }

    /// Whether everything acknowledged to HR is in the inbox, or changes nothing more in the record.
    pub(super) fn has_all(&self, events: &[Event]) -> bool {
        let Some(row) = self.row() else { return !self.heard.contains(&true) };
        let inbox: Vec<_> = row.inbox.into_iter().map(|entry| (entry.seq, entry.bytes)).collect();
        let news = NEWS.with_borrow_mut(|known| {
            let told = (row.document, inbox);
            if let Some(news) = known.get(&told) {
                return Arc::clone(news);
            }
            let news: Arc<[bool]> = self.news(events, &told).into();
            known.insert(told, news.clone());
            news
        });
        news.iter().zip(&self.heard).all(|(is_new, heard)| !is_new || !heard)
    }

    /// Which events would still be news for a person's record, after everything in the inbox.
    fn news(&self, events: &[Event], (document, inbox): &Stored) -> Vec<bool> {
        let mut record = document.as_ref().map_or_else(
            || Document::new(events[0].person.clone()).record,
            |bytes| Document::from_bytes(bytes).unwrap().record,
        );
        for (seq, bytes) in inbox {
            let read = Entry::from_bytes(bytes).unwrap();
            let Word::Event { event, .. } = read.word else { panic!("only events are sent") };
            record.fold(&event, read.accepted_at, *seq);
        }
        events.iter().map(|event| !record.clone().fold(event, self.now, u64::MAX).news.is_empty()).collect()
    }

    /// Whether everything was sent, and nobody has anything left to do.
    pub(super) fn is_done(&self) -> bool {
        let is_idle = |row: &PersonRow| row.lane.state == LaneState::Idle && row.inbox.is_empty();
        self.heard.iter().all(|heard| *heard)
            && self.workers.iter().all(Option::is_none)
            && self.row().as_ref().is_none_or(is_idle)
    }

    /// A copy for the next step.
    pub(super) fn before_step(&self) -> Self {
        Self { stale_refused: false, taken_over: false, known_again: false, ..self.clone() }
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.store.hash_content(&mut hasher);
        for user in &self.team.users {
            user.to_string().hash(&mut hasher);
        }
        // All workers are alike, and about fences it only matters which one is the lane's and which is the newest,
        // since they only grow. States that differ in nothing else count as one.
        let holds = |worker: &Arc<BusyWorker>| {
            (worker.seen, self.store.is_held_by(&worker.lease), worker.lease.fence == self.newest_fence)
        };
        let mut workers: Vec<_> = self.workers.iter().map(|worker| worker.as_ref().map(holds)).collect();
        workers.sort_unstable();
        (self.now, self.team.made, &self.heard, self.half, workers, self.left).hash(&mut hasher);
        let shown = (self.stale_taken, self.stale_refused, self.taken_over, self.known_again, self.went_back);
        (shown, self.committed_to).hash(&mut hasher);
        hasher.finish()
    }
}

/// The result of an operation of the in-memory engine, which never waits.
fn at_once<T>(future: impl Future<Output = Result<T, crate::store::StoreError>>) -> T {
    future.now_or_never().expect("nothing waits in memory").expect("nothing fails in memory")
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            store: self.store.apart(),
            team: self.team.clone(),
            heard: self.heard.clone(),
            workers: self.workers.clone(),
            ..*self
        }
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers: Vec<_> =
            self.workers.iter().map(|worker| worker.as_ref().map(|worker| worker.next.word())).collect();
        f.debug_struct("World").field("heard", &self.heard).field("workers", &workers).finish_non_exhaustive()
    }
}
