//! One worker in the middle of an attempt: what `attempt` and `commit` do, interrupted between any two calls to the
//! store or the target.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use crate::core::person::fold::{Folding, fold};
use crate::core::person::{Document, Entry, PersonId};
use crate::core::reconcile::attempt::AttemptState;
use crate::core::reconcile::claim_result::ClaimResult;
use crate::core::reconcile::owner::address_key;
use crate::core::reconcile::plan::{PlanRules, Step, plan};
use crate::core::reconcile::reply::Reply;
use crate::core::reconcile::request::Request;
use crate::core::reconcile::suspicion::Suspicions;
use crate::core::reconcile::target::TargetRules;
use crate::core::reconcile::verdict::{Ending, decide};
use crate::core::reconcile::world_tests::{RULES, rules};
use crate::core::time::UnixMs;
use crate::store::{Claimed, Commit, Lease};
use crate::worker::attempt::{needs_attempt, read_document, read_inbox};
use crate::worker::commit::{Before, CommitInput, commit_of};

/// What a worker does next.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// Claim members and addresses.
    Own(Vec<String>),
    /// Call the target.
    Send(Request),
    /// Take in its reply.
    Learn(Request, Reply),
    /// End the attempt.
    Commit(Box<Commit>),
    /// Only with `Flaw::CommitInTwoSteps`: the second half of a commit.
    CommitRest(Box<Commit>),
}

impl Next {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Own(_) => "own",
            Self::Send(request) => request.operation().as_http(),
            Self::Learn(..) => "learn",
            Self::Commit(_) => "commit",
            Self::CommitRest(_) => "the rest of a commit",
        }
    }
}

/// A document and an inbox, as stored.
pub(super) type Stored = (Option<Bytes>, Vec<(u64, Bytes)>);

/// A claimed document and inbox, parsed; none if they cannot be read.
type Read = Option<(Document, Vec<(u64, Entry)>)>;

thread_local! {
    /// Documents and inboxes that were parsed before: many states share one, and parsing takes most of the time.
    static READ: RefCell<HashMap<Stored, Read>> = RefCell::default();
}

/// A worker in the middle of an attempt.
#[derive(Debug, Clone)]
pub(super) struct BusyWorker {
    pub(super) lease: Lease,
    pub(super) next: Next,
    /// A hash of everything it has learned except its fence: nothing else affects its decisions.
    pub(super) seen: u64,
    state: Option<AttemptState>,
    folding: Folding,
    consumed_to: Option<u64>,
    before: Arc<Before>,
}

impl BusyWorker {
    /// Begins with a claim. None if document or inbox cannot be read: then the caller sets the lane aside.
    /// `owner`: who owns a claimed key.
    pub(super) fn new(claimed: &Claimed, now: UnixMs, owner: impl Fn(&str) -> Option<PersonId>) -> Option<Self> {
        let (mut document, entries) = read(claimed)?;
        let before = Arc::new(Before::of(&document, claimed.document.is_none()));
        let folding = fold(&mut document, entries, now);
        document.progress.take_overs += u32::from(claimed.taken_over);
        let inbox: Vec<_> = claimed.inbox.iter().map(|entry| (entry.seq, &entry.bytes)).collect();
        let mut worker = Self {
            lease: claimed.lease.clone(),
            next: Next::Own(Vec::new()),
            seen: digest(0, &(claimed.lease.until, claimed.taken_over, &claimed.document, inbox)),
            state: None,
            folding,
            consumed_to: claimed.inbox.last().map(|entry| entry.seq),
            before,
        };
        if !needs_attempt(&document, &worker.folding, now) {
            worker.next = worker.commit(Ending::of_folding(document, now), now);
            return Some(worker);
        }
        let mut state = AttemptState::new(document, claimed.taken_over, now);
        if claimed.taken_over {
            state.guess_writes(&worker.folding.wishes, &plan_rules(), now);
        }
        for email in state.addresses_in_doubt() {
            let is_theirs = owner(&address_key(email.lower())) == Some(claimed.lease.person);
            state.learn_address_in_doubt(email, is_theirs, now);
        }
        worker.state = Some(state);
        Some(worker.go_on(now))
    }

    /// Notes that the requested claims were granted.
    pub(super) fn learn_claim(mut self, keys: &[String], now: UnixMs) -> Self {
        if let Some(state) = &mut self.state {
            state.learn_claim(&plan_rules(), keys, ClaimResult::Ours, now);
        }
        self.seen = digest(self.seen, &(keys, now));
        self.go_on(now)
    }

    /// Takes in the target's reply.
    pub(super) fn learn(mut self, request: &Request, reply: &Reply, now: UnixMs) -> Self {
        if let Some(state) = &mut self.state {
            let outcome = TargetRules::default().classify(request, &state.sought(), reply, now);
            state.learn(&plan_rules(), request, outcome, now);
        }
        self.seen = digest(self.seen, &now);
        self.go_on(now)
    }

    /// Replaces its next step.
    pub(super) fn with(self, next: Next) -> Self {
        let seen = match &next {
            Next::Learn(_, Reply::Http(http)) => digest(self.seen, &(http.status, &http.body)),
            next => digest(self.seen, &next.word()),
        };
        Self { next, seen, ..self }
    }

    /// With a renewed lease.
    pub(super) fn renewed(self, lease: Lease) -> Self {
        let seen = digest(self.seen, &lease.until);
        Self { lease, seen, ..self }
    }

    fn go_on(mut self, now: UnixMs) -> Self {
        let Some(mut state) = self.state.take() else { return self };
        self.seen = digest(self.seen, &now);
        self.next = match plan(&mut state, &plan_rules(), now) {
            Step::Own(keys) => Next::Own(keys),
            Step::Send(request) => Next::Send(request),
            Step::Finish(conclusion) => {
                let ending = decide(state, &conclusion, &mut Suspicions::default(), &RULES, now, 0.5);
                self.next = self.commit(ending, now);
                return self;
            }
        };
        self.state = Some(state);
        self
    }

    fn commit(&mut self, ending: Ending, now: UnixMs) -> Next {
        let folding = std::mem::take(&mut self.folding);
        let leaving = CommitInput { folding, consumed_to: self.consumed_to, before: &self.before };
        Next::Commit(Box::new(commit_of(ending, Vec::new(), leaving, now)))
    }
}

fn read(claimed: &Claimed) -> Read {
    let inbox = claimed.inbox.iter().map(|entry| (entry.seq, entry.bytes.clone())).collect();
    READ.with_borrow_mut(|known| {
        let of_reading = known.entry((claimed.document.clone(), inbox)).or_insert_with(|| {
            let entries = read_inbox(&claimed.inbox);
            Some((read_document(claimed, &entries).ok()?, entries))
        });
        of_reading.clone()
    })
}

fn plan_rules() -> PlanRules {
    rules(TargetRules::default(), Vec::new())
}

fn digest(before: u64, more: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    before.hash(&mut hasher);
    more.hash(&mut hasher);
    hasher.finish()
}
