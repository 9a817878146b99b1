//! The calls of an attempt: plan, send, classify and learn until it ends.

use std::time::Instant;

use tracing::debug;

use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::person::Aspect;
use crate::core::person::story::{Note, StoryEntry};
use crate::core::reconcile::attempt::AttemptState;
use crate::core::reconcile::claim_result::ClaimResult;
use crate::core::reconcile::conclusion::Conclusion;
use crate::core::reconcile::plan::{Step, plan};
use crate::core::reconcile::refusal::detail_for_story;
use crate::core::reconcile::reply::Outcome;
use crate::core::reconcile::request::{Operation, Request};
use crate::core::reconcile::suspicion::Judgement;
use crate::telemetry::traces::Span;
use crate::worker::Worker;
use crate::worker::call::Called;
use crate::worker::lease::{Interrupted, LeaseGuard};
use crate::worker::probe::Probed;

/// What an attempt has done so far, for the story and the metrics.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Run {
    pub(super) story: Vec<StoryEntry>,
    pub(super) served_reads: bool,
    pub(super) served_writes: bool,
    /// The last call, and its status.
    pub(super) last: Option<(Operation, Option<u16>)>,
    /// A harmless read was served after a refusal.
    pub(super) served_probe: bool,
    /// It ended because of a hold that somebody else set.
    pub(super) behind_a_hold: bool,
}

impl Worker {
    /// Plans and calls until the attempt ends.
    pub(super) async fn conclude(
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
                    if let ClaimResult::TakenFrom { person, .. } = &claimed {
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
                state.learn_cut_off(&self.options.plan, request, self.clock.now());
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
}

/// Whether an outcome shows that the target serves calls of this kind.
fn is_served(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Created(_)
        | Outcome::Member(_)
        | Outcome::Applied
        | Outcome::Members(_)
        | Outcome::Served(_)
        | Outcome::AlreadyMember { is_told: true }
        | Outcome::NotMember
        | Outcome::Changed => true,
        Outcome::Group(outcome) => outcome.is_served(),
        Outcome::Nowhere { .. }
        | Outcome::AlreadyMember { is_told: false }
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
pub(super) fn trial_has_passed(conclusion: &Conclusion, run: &Run, trial_of: Option<&HoldScope>) -> bool {
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
