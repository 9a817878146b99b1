//! One attempt for one person: fold the inbox; plan, send, classify and learn until the attempt ends; then decide and
//! commit.

use std::sync::PoisonError;
use std::time::Instant;

use tracing::{Instrument, debug, error, info, warn};

use super::Worker;
use super::attempted::{Attempted, Tried};
use super::call::Called;
use super::commit::{Before, Leaving};
use super::fetch::Fetched;
use super::lease::{Interrupted, LeaseGuard};
use super::probe::Probed;
use crate::clock;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::outdated::{self, Outdated};
use crate::core::person::document::Unreadable;
use crate::core::person::fold::{Folding, fold};
use crate::core::person::story::{Note, StoryEntry};
use crate::core::person::{Aspect, Document, Entry, SourceName};
use crate::core::reconcile::attempt::AttemptState;
use crate::core::reconcile::claimed::Claimed as ClaimedKeys;
use crate::core::reconcile::conclusion::Conclusion;
use crate::core::reconcile::owner::address_key;
use crate::core::reconcile::plan::{Step, plan};
use crate::core::reconcile::refusal::detail_for_story;
use crate::core::reconcile::reply::Outcome;
use crate::core::reconcile::request::{Operation, Request};
use crate::core::reconcile::suspicion::Judgement;
use crate::core::reconcile::verdict::{Ending, Standing, decide, poisoned};
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;
use crate::failpoint;
use crate::store::{Claimed, InboxEntry, StoreError, documents};
use crate::telemetry::metrics as metric;
use crate::telemetry::traces::Span;

/// What an attempt has done so far, for the story and the metrics.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Run {
    story: Vec<StoryEntry>,
    served_reads: bool,
    served_writes: bool,
    /// The last call, and its status.
    last: Option<(Operation, Option<u16>)>,
    /// A harmless read was served after a refusal.
    served_probe: bool,
    /// It ended because of a hold that somebody else set.
    behind_a_hold: bool,
}

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
            return self.set_aside(&guard, &claimed, Unreadable::Damaged).await;
        }
        let mut document = match read_document(&claimed, &entries) {
            Ok(document) => document,
            Err(unreadable) => return self.set_aside(&guard, &claimed, unreadable).await,
        };
        document.set_right(now);
        tracing::Span::current().record("person", tracing::field::display(&document.person));
        *traced = self.traced(&document, &entries);
        let before = Before::of(&document, claimed.document.is_none());
        let folding = self.fold_inbox(&mut document, entries, now).await?;
        let leaving = |folding| Leaving { folding, consumed_to, before: &before };
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
        let mut state = AttemptState::new(document, claimed.taken_over || folding.is_cut_off, now);
        state.capabilities = self.learnt.known(now);
        for email in state.addresses_in_doubt() {
            let is_theirs = self.store.owner(&address_key(email.lower())).await? == Some(state.document.person.id());
            state.learn_address_in_doubt(email, is_theirs, now);
        }
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

    /// Ends an attempt that only read, at most. `is_at_rest`: the person waits as before.
    async fn end_unsent(
        &self,
        mut ending: Ending,
        fetched: Fetched,
        guard: &LeaseGuard<'_>,
        (story, leaving): (Vec<StoryEntry>, Leaving<'_>),
        (of_fetch, is_at_rest): (bool, bool),
    ) -> Result<Tried, StoreError> {
        let was_read = fetched.was_served;
        fetched.put_back(&mut ending, self.clock.now());
        let attempted = if is_at_rest { Attempted::Folded } else { standing_as(&ending) };
        tell(&attempted, &ending);
        self.set_hold(&mut ending).await;
        let tried = self.end(guard, ending, story, leaving, attempted).await?;
        Ok(Tried { has_passed: of_fetch && was_read, ..tried })
    }

    /// Folds what is in the inbox.
    async fn fold_inbox(
        &self,
        document: &mut Document,
        entries: Vec<(u64, Entry)>,
        now: UnixMs,
    ) -> Result<Folding, StoreError> {
        let folding = fold(document, entries, now);
        document.heed_scope(!self.options.plan.unscoped.contains(&document.person.source), now);
        report(&folding);
        self.note_outdated(&document.person.source, &folding, now).await;
        // Before the commit: a worker that dies in between finds them answered once more.
        for letter in &folding.answered {
            if self.store.discard_unmapped(*letter).await? {
                info!(%letter, "a later event answers this dead letter");
            }
        }
        Ok(folding)
    }

    /// Counts outdated events, so that a source that sends nothing else is reported. A failure to count fails nothing.
    async fn note_outdated(&self, source: &SourceName, folding: &Folding, now: UnixMs) {
        let (news, outdated) = (folding.told_news, folding.outdated);
        if news == 0 && outdated == 0 {
            return;
        }
        let say = {
            let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
            streaks.entry(source.clone()).or_default().note(news, outdated, now)
        };
        let Some(say) = say else { return };
        let take_in = |all: &mut Outdated| all.take_in(source.as_str(), say).then_some(());
        if let Err(error) = documents::change(self.store.as_ref(), outdated::DOCUMENT, take_in).await {
            debug!(%error, %source, "what was counted of a source could not be written");
        }
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
        leaving: Leaving<'_>,
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

    /// Plans and calls until the attempt ends.
    async fn conclude(
        &self,
        state: &mut AttemptState,
        guard: &mut LeaseGuard<'_>,
        run: &mut Run,
        trial_of: Option<&HoldScope>,
        traced: &Span,
    ) -> Result<Conclusion, Interrupted> {
        // An address that the guard keeps back keeps nothing else back.
        let mut kept_address = None;
        loop {
            match plan(state, &self.options.plan, self.clock.now()) {
                Step::Finish(conclusion) => {
                    // What is not shown yet has its own time.
                    let waits = matches!(conclusion, Conclusion::TryAgain { code: Code::ScimNotApplied, .. })
                        && state.document.progress.unshown.is_empty();
                    if let Some(kept_back) = kept_address.filter(|_| waits) {
                        return Ok(kept_back);
                    }
                    return self.compared(state, guard, run, conclusion, trial_of, traced).await;
                }
                Step::Own(keys) => {
                    let (keys, claimed) = self.own(state, guard, &keys).await?;
                    if let ClaimedKeys::TakenFrom { person, .. } = &claimed {
                        // Whatever the attempt's end, this is known by now.
                        let note = Note::TakenFrom { person: person.clone() };
                        run.story.push(StoryEntry { at: self.clock.now(), note });
                    }
                    state.learn_claim(&self.options.plan, &keys, claimed, self.clock.now());
                }
                Step::Send(request) => {
                    if self.held(&request, trial_of).is_some() {
                        // Our copy may be out of date: the hold may have been lifted.
                        self.holds.look().await?;
                        if let Some(held) = self.held(&request, trial_of) {
                            run.behind_a_hold = true;
                            return Ok(held);
                        }
                    }
                    if let Some(kept_back) = self.kept_back(&request, state.document.person.id()).await? {
                        run.behind_a_hold = !matches!(kept_back, Conclusion::Hold { code: Code::HoldGuard, .. });
                        if request.operation() != Operation::SetUserName {
                            return Ok(kept_back);
                        }
                        state.leave_alone(Aspect::Address);
                        kept_address = Some(kept_back);
                        continue;
                    }
                    self.send(state, guard, run, &request, traced).await?;
                }
            }
            if guard.is_lost() {
                return Err(Interrupted::LeaseLost);
            }
        }
    }

    /// Other people's calls decide what a refusal means. Before everything is held, or a person without others to
    /// compare with is given up, a harmless read is made: if everybody is refused, it is refused, too.
    async fn compared(
        &self,
        state: &AttemptState,
        guard: &mut LeaseGuard<'_>,
        run: &mut Run,
        conclusion: Conclusion,
        trial_of: Option<&HoldScope>,
        traced: &Span,
    ) -> Result<Conclusion, Interrupted> {
        let (document, now) = (&state.document, self.clock.now());
        if let (Conclusion::Hold { scope, code: Code::HoldQuota, not_before }, Some((operation, status))) =
            (&conclusion, run.last)
        {
            // A pause of hours, so far for one person only: if it is meant for everybody, a read gets the same
            // answer.
            let is_known = self.with_suspicions(|suspicions| suspicions.probed_lately(now));
            let probed = if is_known { Probed::Served } else { self.probe_between(guard, traced).await? };
            run.served_probe |= matches!(probed, Probed::Served);
            return Ok(match probed {
                Probed::Served => Conclusion::Suspect { operation, status, not_before: *not_before },
                Probed::Refused { code: Code::HoldQuota, not_before, .. } => {
                    Conclusion::Hold { scope: scope.clone(), code: Code::HoldQuota, not_before }
                }
                Probed::Refused { .. } | Probed::Unclear => conclusion,
            });
        }
        let Conclusion::Suspect { operation, .. } = conclusion else { return Ok(conclusion) };
        let asks = self.with_suspicions(|suspicions| {
            let (kind, spread_ms) = (operation.call_kind(), self.options.retry.suspicion_ms);
            suspicions.asks(kind, document.person.id(), &document.progress, now, spread_ms)
        });
        if asks.is_none() && trial_of != Some(&HoldScope::All) {
            return Ok(conclusion);
        }
        match self.probe_between(guard, traced).await? {
            Probed::Served => {
                run.served_probe = true;
                Ok(conclusion)
            }
            Probed::Refused { scope, code, not_before } => Ok(Conclusion::Hold { scope, code, not_before }),
            Probed::Unclear if asks == Some(Judgement::Own) => {
                Ok(Conclusion::TryAgain { code: Code::ScimRefused, not_before: None, patient: false })
            }
            Probed::Unclear => Ok(conclusion),
        }
    }

    /// Makes a harmless call during an attempt, with a token and a lease that outlives it.
    async fn probe_between(&self, guard: &mut LeaseGuard<'_>, traced: &Span) -> Result<Probed, Interrupted> {
        guard.ready_for(CallKind::Read).await?;
        tokio::select! {
            probed = guard.during(self.harmless(traced)) => Ok(probed),
            () = self.stop_now.cancelled() => Err(Interrupted::Stopping),
        }
    }

    /// Makes a call that the plan asks for, with a token and a lease that outlives it.
    async fn send(
        &self,
        state: &mut AttemptState,
        guard: &mut LeaseGuard<'_>,
        run: &mut Run,
        request: &Request,
        traced: &Span,
    ) -> Result<(), Interrupted> {
        let operation = request.operation();
        guard.ready_for(operation.call_kind()).await?;
        let began = Instant::now();
        let sought = state.sought();
        let Called { at: now, reply, outcome } = tokio::select! {
            called = guard.during(self.call(request, &sought, traced)) => called,
            () = self.stop_now.cancelled() => {
                state.learn_cut_off(request, self.clock.now());
                return Err(Interrupted::Stopping);
            }
        };
        run.last = Some((operation, reply.status()));
        let meaning = outcome.meaning().to_owned();
        debug!(operation = operation.as_str(), status = reply.status(), meaning, "called");
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let detail = detail_for_story(&reply);
        run.story.push(StoryEntry {
            at: now,
            note: Note::Called { operation, status: reply.status(), meaning, ms, detail },
        });
        if is_served(&outcome) {
            let person = state.document.person.id();
            self.with_suspicions(|suspicions| suspicions.served(operation.call_kind(), person, now));
            match operation.call_kind() {
                CallKind::Read => run.served_reads = true,
                CallKind::Write => run.served_writes = true,
            }
        }
        state.learn(&self.options.plan, request, outcome, now);
        Ok(())
    }

    /// A hold that covers this request, other than the one being probed.
    fn held(&self, request: &Request, trial_of: Option<&HoldScope>) -> Option<Conclusion> {
        let operation = request.operation();
        let mut scopes = vec![HoldScope::All];
        if operation.call_kind() == CallKind::Write {
            scopes.push(HoldScope::Writes);
        }
        if matches!(request, Request::Create(_) | Request::SetActive { active: true, .. }) {
            scopes.push(HoldScope::Creates);
        }
        let holds = self.holds.current();
        scopes.into_iter().filter(|scope| trial_of != Some(scope)).find_map(|scope| {
            let hold = holds.get(&scope)?;
            Some(Conclusion::Hold { scope, code: hold.code, not_before: None })
        })
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

/// The ending if there is nothing to do at the target (yet).
fn ending_without_call(document: Document, fetched: &Fetched, now: UnixMs) -> Ending {
    if fetched.is_list {
        Ending::read_for_others(document, now)
    } else if document.record.closed.is_some() && !fetched.waits() {
        Ending::still_closed(document, now)
    } else {
        Ending::untouched(document)
    }
}

pub(super) fn read_inbox(inbox: &[InboxEntry]) -> Vec<(u64, Entry)> {
    let read = |entry: &InboxEntry| {
        let read = Entry::from_bytes(&entry.bytes);
        if read.is_none() {
            error!(seq = entry.seq, bytes = entry.bytes.len(), "an inbox entry cannot be read");
        }
        Some((entry.seq, read?))
    };
    inbox.iter().filter_map(read).collect()
}

/// The spans of the deliveries that an attempt handles: of its open jobs, and of its new entries.
fn deliveries(document: &Document, entries: &[(u64, Entry)]) -> Vec<TraceContext> {
    let open = document.open.iter().filter_map(|job| job.trace);
    let mut traces: Vec<_> = open.chain(entries.iter().filter_map(|(_, entry)| entry.trace)).collect();
    // One delivery may hold several events of a person.
    traces.dedup();
    traces
}

/// The document; an empty one for a new person.
pub(super) fn read_document(claimed: &Claimed, entries: &[(u64, Entry)]) -> Result<Document, Unreadable> {
    match &claimed.document {
        Some(bytes) => Document::from_bytes(bytes),
        None => entries.iter().find_map(|(_, entry)| entry.person()).map(Document::new).ok_or(Unreadable::Damaged),
    }
}

/// When a pause between two tries ends that goes on: HR has said nothing new. What takes away comes first, and what HR
/// corrects may be what is refused.
fn still_paused_until(document: &mut Document, folding: &Folding, was_woken: bool, now: UnixMs) -> Option<UnixMs> {
    // Unless an entry woke the lane, or a read is due, the store says that the pause is over.
    let was_woken = was_woken || document.owed_read.is_some();
    let at = document.progress.again_at.take().filter(|at| *at > now && was_woken)?;
    let at = if folding.told_news > 0 || folding.ends_pause {
        document.progress.rests_until().map_or(now, |floor| floor.min(at))
    } else {
        at
    };
    if at <= now {
        document.progress.woken_at = Some(now);
        document.progress.woken = document.progress.woken.saturating_add(1);
        return None;
    }
    document.progress.again_at = Some(at);
    Some(at)
}

/// Whether the target must be looked at.
pub(super) fn needs_attempt(document: &Document, folding: &Folding, now: UnixMs) -> bool {
    if document.record.closed.is_some() {
        return document.owed_read.is_some();
    }
    let word_is_new = document.has_new_word(now) == Some(true);
    let is_followed = document.not_followed_since.is_none();
    let read_is_owed = document.owed_read.is_some();
    let is_rested = is_rested(document, now);
    // Only a look-up shows whether the member was created.
    let is_guessed = document.progress.create_unknown.is_some_and(|unknown| unknown.is_guess);
    let groups_are_due = document.groups_wait.is_some_and(|wait| wait.due <= now);
    folding.calls_for_attempt
        || (is_followed
            && (read_is_owed
                || groups_are_due
                || (is_rested
                    && (is_guessed || !document.open.is_empty() || document.trouble.is_some() || word_is_new))))
}

/// The ending of an attempt whose read brought no news, for somebody who waits for another try at the target.
fn rest(
    document: &Document,
    folding: &Folding,
    fetched: &Fetched,
    paused_until: Option<UnixMs>,
    now: UnixMs,
) -> Option<Ending> {
    if let Some(at) = paused_until {
        // The read may be due before that.
        let at = fetched.due().map_or(at, |due| due.min(at));
        return Some(Ending::still_paused(document.clone(), at));
    }
    let is_blocked = document.trouble.as_ref().is_some_and(|trouble| !trouble.code.is_of_fetch());
    let is_notice = !folding.ends_pause && folding.told_news == 0 && fetched.was_served && !fetched.waits();
    (is_blocked && is_notice && !is_rested(document, now)).then(|| Ending::of_folding(document.clone(), now))
}

/// Whether what blocks them, if anything does, was not tried just now, or something has changed since: otherwise an event that
/// says the same is no reason for another call yet.
fn is_rested(document: &Document, now: UnixMs) -> bool {
    let again_at = document.trouble.as_ref().and_then(|trouble| trouble.again_at().zip(trouble.tried_at));
    again_at.is_none_or(|(again_at, tried_at)| {
        again_at <= now || document.record.next_change(tried_at).is_some_and(|change| change <= now)
    })
}

fn report(folding: &Folding) {
    for (job, event) in &folding.strangers {
        error!(%job, person = %event.person, code = %Code::JobCollision, "an event of another person with the same number: refused");
    }
    if folding.ahead > 0 {
        warn!(events = folding.ahead, "event times are more than an hour in the future: the time of acceptance counts");
    }
}

/// Whether an outcome shows that the target serves calls of this kind.
fn is_served(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Created(_)
        | Outcome::Member(_)
        | Outcome::Applied
        | Outcome::Members(_)
        | Outcome::Served(_)
        | Outcome::AlreadyMember
        | Outcome::NotMember
        | Outcome::Changed => true,
        Outcome::Group(outcome) => outcome.is_served(),
        Outcome::Nowhere { .. }
        | Outcome::NoFilter
        | Outcome::NoPatch
        | Outcome::UsernameRefused
        | Outcome::AddressRefused { .. }
        | Outcome::Permanent(_)
        | Outcome::Hold(..)
        | Outcome::Suspect { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Passing { .. }
        | Outcome::Unknown { .. } => false,
    }
}

/// Whether a probe shows that the target serves us again: it gave a verdict on the person and, for a hold on writes,
/// served a write.
fn trial_has_passed(conclusion: &Conclusion, run: &Run, trial_of: Option<&HoldScope>) -> bool {
    let has_ended = match conclusion {
        Conclusion::InLine(_) | Conclusion::Incomplete(_) | Conclusion::Blocked { .. } => true,
        Conclusion::TryAgain { .. }
        | Conclusion::Suspect { .. }
        | Conclusion::RateLimited { .. }
        | Conclusion::Hold { .. } => false,
    };
    match trial_of {
        Some(HoldScope::Writes | HoldScope::Creates) => run.served_writes,
        // Not everything is refused: the trouble concerns this person, or one kind of call.
        Some(HoldScope::All) if run.served_probe => true,
        Some(_) => has_ended || run.served_writes,
        None => false,
    }
}

fn attempted(conclusion: &Conclusion, ending: &Ending) -> Attempted {
    match (&ending.standing, conclusion) {
        (Standing::Idle | Standing::Scheduled { .. }, Conclusion::InLine(finished)) => Attempted::InLine(*finished),
        _ => standing_as(ending),
    }
}

/// How the attempt ended, by where the person stands.
fn standing_as(ending: &Ending) -> Attempted {
    match &ending.standing {
        Standing::Idle | Standing::Scheduled { .. } => Attempted::Folded,
        Standing::Retry { .. } | Standing::Read { .. } => {
            Attempted::Retry(ending.code().unwrap_or(Code::ScimUnavailable))
        }
        Standing::Held { scope, .. } => Attempted::Held(scope.clone()),
        Standing::Incomplete { .. } => Attempted::Incomplete,
        Standing::Blocked { .. } => {
            Attempted::Blocked(ending.document.trouble.as_ref().map_or(Code::ScimRejected, |trouble| trouble.code))
        }
    }
}

/// Logs how an attempt ended, once.
fn tell(attempted: &Attempted, ending: &Ending) {
    let jobs = ending.ended.len();
    match attempted {
        Attempted::InLine(finished) => info!(outcome = finished.as_str(), jobs, "in sync"),
        Attempted::Retry(code) => info!(%code, failures = ending.document.progress.failures, "tried again later"),
        Attempted::Held(scope) => info!(%scope, "waits for the hold to be lifted"),
        Attempted::Blocked(code) => {
            let detail = ending.document.trouble.as_ref().map(|trouble| trouble.detail.as_str());
            error!(%code, detail, advice = code.advice(), "dead letter");
        }
        Attempted::Incomplete => info!(missing = ending.document.missing.join(","), "waits for HR to say more"),
        Attempted::Folded | Attempted::GivenBack | Attempted::LeaseLost | Attempted::Unreadable => {}
    }
}
