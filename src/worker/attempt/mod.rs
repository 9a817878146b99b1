//! One attempt for one person: fold the inbox; plan, send, classify and learn until the attempt ends; then decide and
//! commit.

use tracing::{Instrument, error, info, warn};

use self::calls::{Run, trial_has_passed};
use self::end::{attempted, attempted_by_state, ending_without_call, tell};
use self::inbox::deliveries;
pub(super) use self::inbox::{read_document, read_inbox};
pub(super) use self::pause::needs_attempt;
use self::pause::{rest, still_paused_until};
use super::Worker;
use super::attempted::{Attempted, Tried};
use super::commit::{Before, CommitInput};
use super::fetch::Fetched;
use super::lease::{Interrupted, LeaseGuard};
use crate::clock;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::document::Unreadable;
use crate::core::person::fold::Folding;
use crate::core::person::story::{Note, StoryEntry};
use crate::core::person::{Document, Entry};
use crate::core::reconcile::attempt::AttemptState;
use crate::core::reconcile::conclusion::Conclusion;
use crate::core::reconcile::owner::address_key;
use crate::core::reconcile::verdict::{Ending, decide, poisoned};
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::store::{Claimed, StoreError};
use crate::telemetry::metrics as metric;
use crate::telemetry::traces::Span;

mod calls;
mod end;
mod inbox;
mod pause;

impl Worker {
    /// Works on a person who was claimed at `asked_ms` (by this process's monotonic clock), and commits. `trial_of`:
    /// the hold that this attempt probes.
    pub(super) async fn attempt(
        &self,
        claimed: Claimed,
        asked_ms: u64,
        trial_of: Option<&HoldScope>,
    ) -> Result<Tried, StoreError> {
        let span = tracing::info_span!(
            "person",
            id = %claimed.lease.person,
            person = tracing::field::Empty,
            trace_id = tracing::field::Empty
        );
        async {
            let mut traced = Span::default();
            // Boxed: the future is large, and awaited in several places.
            let tried = Box::pin(self.attempt_inner(claimed, asked_ms, trial_of, &mut traced)).await?;
            traced.text("scim_bridge.outcome", tried.attempted.word());
            if let Attempted::Retry(code) | Attempted::Blocked(code) = &tried.attempted {
                traced.failed(format_args!("{code}"));
            }
            metrics::counter!(metric::ATTEMPTS_TOTAL, metric::OUTCOME => tried.attempted.word()).increment(1);
            if tried.attempted == Attempted::LeaseLost {
                metrics::counter!(metric::LEASES_LOST_TOTAL).increment(1);
                warn!("the lease was lost: another worker has this lane now");
            }
            Ok(tried)
        }
        .instrument(span)
        .await
    }

    async fn attempt_inner(
        &self,
        claimed: Claimed,
        asked_ms: u64,
        trial_of: Option<&HoldScope>,
        traced: &mut Span,
    ) -> Result<Tried, StoreError> {
        failpoint::at("attempt");
        let now = self.clock.now();
        let entries = read_inbox(&claimed.inbox);
        let consumed_to = claimed.inbox.last().map(|entry| entry.seq);
        let mut guard = LeaseGuard::new(self, claimed.lease.clone(), asked_ms);
        if entries.len() < claimed.inbox.len() {
            // Written by another version, or damaged: the inbox stays as it is.
            return self.block_unreadable(&guard, &claimed, Unreadable::Damaged).await;
        }
        let mut document = match read_document(&claimed, &entries) {
            Ok(document) => document,
            Err(unreadable) => return self.block_unreadable(&guard, &claimed, unreadable).await,
        };
        document.set_right(now);
        tracing::Span::current().record("person", tracing::field::display(&document.person));
        *traced = self.traced(&document, &entries);
        let before = Before::of(&document, claimed.document.is_none());
        let folding = self.fold_inbox(&mut document, entries, now).await?;
        let leaving = |folding| CommitInput { folding, consumed_to, before: &before };
        let mut run = Run::default();
        if claimed.taken_over {
            run.story.push(taken_over(&mut document, now));
        }
        let paused_until = still_paused_until(&mut document, &folding, consumed_to.is_some(), now);
        let reads_first = paused_until.is_some() && document.owed_read.is_some();
        if (paused_until.is_some() && !reads_first) || !needs_attempt(&document, &folding, now) {
            let ending = match paused_until {
                Some(at) => Ending::still_paused(document, at),
                None => Ending::of_folding(document, now),
            };
            let attempted = Attempted::Folded;
            return self.end(&guard, ending, run.story, leaving(folding), attempted).await;
        }
        if document.progress.take_overs > self.options.retry.take_overs_max {
            let ending = poisoned(document, now);
            let attempted = Attempted::Blocked(Code::JobPoison);
            return self.end(&guard, ending, run.story, leaving(folding), attempted).await;
        }
        let said = document.record.clone();
        let read = self.complete(&mut document, consumed_to.unwrap_or_default(), &mut guard, trial_of, traced).await;
        let mut fetched = match read {
            Ok(fetched) => fetched,
            Err(interrupted) => {
                let claims = Default::default();
                return self.broken_off(interrupted, document, claims, &guard, run.story, leaving(folding)).await;
            }
        };
        run.story.append(&mut fetched.story);
        let was_read = fetched.was_served;
        let of_fetch = matches!(trial_of, Some(HoldScope::Fetch(_)));
        let now = self.clock.now();
        if document.record.says(now) != said.says(now) {
            document.progress.heed_news();
            document.progress.again_at = None;
        } else if let Some(ending) = rest(&document, &folding, &fetched, paused_until, now) {
            // The notice was no news: the target is called no sooner for it.
            return self.end_unsent(ending, fetched, &guard, (run.story, leaving(folding)), (of_fetch, true)).await;
        }
        // A person who is read after their member was handed over may still be gone.
        let is_closed = document.record.closed.is_some();
        if fetched.is_list || is_closed || fetched.is_all(&document, now) {
            let ending = ending_without_call(document, &fetched, self.clock.now());
            return self.end_unsent(ending, fetched, &guard, (run.story, leaving(folding)), (of_fetch, false)).await;
        }
        let is_taken_over = claimed.taken_over || folding.is_cut_off;
        let mut state = self.begin(document, is_taken_over.then_some(&folding), now).await?;
        let concluded = self.conclude(&mut state, &mut guard, &mut run, trial_of, traced).await;
        self.learnt.learn(state.capabilities, self.clock.now());
        let conclusion = match concluded {
            Ok(conclusion) => conclusion,
            Err(interrupted) => {
                state.drop_unclaimed();
                let claims = state.claims();
                let mut document = state.document;
                fetched.give_back(&mut document);
                return self.broken_off(interrupted, document, claims, &guard, run.story, leaving(folding)).await;
            }
        };
        let calls = state.calls;
        let now = self.clock.now();
        let mut ending = self.with_suspicions(|suspicions| {
            decide(state, &conclusion, suspicions, &self.options.retry, now, clock::jitter())
        });
        if run.behind_a_hold {
            // Setting it again could bring back a hold that is being lifted just now.
            ending.hold = None;
        }
        let attempted = attempted(&conclusion, &ending);
        tell(&attempted, &ending);
        fetched.put_back(&mut ending, now);
        if let Some(until) = ending.back_off {
            self.back_off(now, until).await;
        }
        self.set_hold(&mut ending).await;
        let has_passed = if of_fetch { was_read } else { calls > 0 && trial_has_passed(&conclusion, &run, trial_of) };
        let tried = self.end(&guard, ending, run.story, leaving(folding), attempted).await?;
        let was_refused = matches!(conclusion, Conclusion::Suspect { .. } | Conclusion::Blocked { .. });
        Ok(Tried { has_passed: has_passed && tried.attempted != Attempted::LeaseLost, was_refused, ..tried })
    }

    /// What the attempt knows before its first call. `taken_over`: a worker died during an earlier attempt, after it had
    /// folded some of this.
    async fn begin(
        &self,
        document: Document,
        taken_over: Option<&Folding>,
        now: UnixMs,
    ) -> Result<AttemptState, StoreError> {
        let mut state = AttemptState::new(document, taken_over.is_some(), now);
        if let Some(folding) = taken_over {
            state.guess_writes(&folding.wishes, &self.options.plan, now);
        }
        state.capabilities = self.learnt.known(now);
        for email in state.addresses_in_doubt() {
            let is_theirs = self.store.owner(&address_key(email.lower())).await? == Some(state.document.person.id());
            state.learn_address_in_doubt(email, is_theirs, now);
        }
        Ok(state)
    }

    /// Ends an attempt that only read, at most. `is_at_rest`: the person waits as before.
    async fn end_unsent(
        &self,
        mut ending: Ending,
        fetched: Fetched,
        guard: &LeaseGuard<'_>,
        (story, leaving): (Vec<StoryEntry>, CommitInput<'_>),
        (of_fetch, is_at_rest): (bool, bool),
    ) -> Result<Tried, StoreError> {
        let was_read = fetched.was_served;
        fetched.put_back(&mut ending, self.clock.now());
        let attempted = if is_at_rest { Attempted::Folded } else { attempted_by_state(&ending) };
        tell(&attempted, &ending);
        self.set_hold(&mut ending).await;
        let tried = self.end(guard, ending, story, leaving, attempted).await?;
        Ok(Tried { has_passed: of_fetch && was_read, ..tried })
    }

    /// The attempt's span, whose parents are the deliveries that it handles.
    fn traced(&self, document: &Document, entries: &[(u64, Entry)]) -> Span {
        if !self.traces.are_on() {
            return Span::default();
        }
        let span = self.traces.attempt(&document.person, &deliveries(document, entries));
        if let Some(context) = span.context() {
            tracing::Span::current().record("trace_id", context.trace());
        }
        span
    }

    /// Gives back a person whose attempt cannot go on, with what has been done so far.
    async fn broken_off(
        &self,
        interrupted: Interrupted,
        document: Document,
        claims: (Vec<String>, Vec<String>),
        guard: &LeaseGuard<'_>,
        story: Vec<StoryEntry>,
        leaving: CommitInput<'_>,
    ) -> Result<Tried, StoreError> {
        match interrupted {
            Interrupted::LeaseLost => return Ok(Attempted::LeaseLost.untried()),
            Interrupted::Stopping => info!("given back: the process is stopping"),
            Interrupted::Store(error) if error.is_passing() => {
                warn!(%error, "given back: the store has not answered for as long as the lease allows");
            }
            // Nothing to commit: the lease runs out, and the lane is taken over as after a crash.
            Interrupted::Store(error) => return Err(error),
        }
        let ending = Ending::given_back(document, claims, self.clock.now());
        self.end(guard, ending, story, leaving, Attempted::GivenBack).await
    }

    /// Commits what was done in any case: a person waiting for a hold that could not be set is made due again.
    async fn set_hold(&self, ending: &mut Ending) {
        if let Some((scope, code, not_before)) = ending.hold.take()
            && let Err(error) = self.holds.set(&scope, code, not_before).await
        {
            error!(%error, %scope, "the hold could not be set: who waits for it is tried again");
        }
    }

    /// After a 429: everybody waits.
    pub(super) async fn back_off(&self, now: UnixMs, until: UnixMs) {
        warn!(code = %Code::ScimRateLimited, wait_ms = until.ms_since(now), "the target's rate limit is reached: all workers wait");
        if let Err(error) = self.store.back_off(now, until).await {
            error!(%error, "the back-off could not be shared");
        }
    }
}

/// Counts that somebody was taken over from a worker, and tells it.
fn taken_over(document: &mut Document, now: UnixMs) -> StoryEntry {
    metrics::counter!(metric::LEASE_TAKE_OVERS_TOTAL).increment(1);
    document.progress.take_overs = document.progress.take_overs.saturating_add(1);
    warn!(take_overs = document.progress.take_overs, "taken over from a worker that stopped in the middle");
    StoryEntry { at: now, note: Note::TakenOver }
}
