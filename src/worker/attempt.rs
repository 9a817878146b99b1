//! One attempt at one job: plan, send, classify, learn, until it ends; then decide and settle.

use std::time::{Duration, Instant};

use tracing::{Instrument, debug, error, info, warn};

use super::held::{Broken, Held};
use super::{Worker, span_of};
use crate::clock;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::job::{Finished, HistoryEntry, Job, Note};
use crate::core::limiter::jitter_ms;
use crate::core::plan::{Conclusion, Known, Next, plan};
use crate::core::reply::{Outcome, Reply, classify};
use crate::core::scim::{Operation, Request};
use crate::core::time::UnixMs;
use crate::core::verdict::{Verdict, decide, directory_after};
use crate::store::{ClaimedJob, Lease, Settled, Settlement, StoreError, TrialResult};
use crate::telemetry::metrics as names;

/// Between two tries while the store does not answer.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// The job is finished.
    Done(Finished),
    /// It is tried again.
    Retry,
    /// It waits for a hold to be lifted.
    Held(HoldScope),
    /// It is a dead letter.
    Dead(Code),
    /// It was given back unfinished.
    GivenBack,
    /// Somebody else has the lane: nothing was settled.
    LeaseLost,
}

impl Attempted {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(finished) => finished.as_str(),
            Self::Retry => names::OUTCOME_RETRY,
            Self::Held(_) => names::OUTCOME_HELD,
            Self::Dead(_) => names::OUTCOME_DEAD,
            Self::GivenBack => names::OUTCOME_GIVEN_BACK,
            Self::LeaseLost => names::OUTCOME_LEASE_LOST,
        }
    }
}

/// What an attempt did so far.
#[derive(Default)]
struct Run {
    history: Vec<HistoryEntry>,
    calls: u32,
    /// A create may have taken effect: its outcome is unknown, or it was broken off.
    create_unknown: bool,
}

impl Worker {
    /// Attempts a job that was claimed at `asked_at` by this process's clock, and settles it.
    pub(super) async fn attempt(&self, claimed: ClaimedJob, asked_at: UnixMs) -> Result<Attempted, StoreError> {
        let span = span_of(&claimed);
        async {
            let attempted = self.attempt_inner(&claimed, asked_at).await?;
            let event = claimed.job.event.kind().as_str();
            metrics::counter!(names::JOB_OUTCOMES_TOTAL, names::EVENT => event, names::OUTCOME => attempted.word())
                .increment(1);
            if attempted == Attempted::LeaseLost {
                metrics::counter!(names::LEASES_LOST_TOTAL).increment(1);
                warn!("the lease was lost: another worker has this lane now");
            }
            Ok(attempted)
        }
        .instrument(span)
        .await
    }

    async fn attempt_inner(&self, claimed: &ClaimedJob, asked_at: UnixMs) -> Result<Attempted, StoreError> {
        let job = &claimed.job;
        let taken_over = matches!(job.history.last(), Some(HistoryEntry { note: Note::TakenOver, .. }));
        if taken_over {
            metrics::counter!(names::LEASE_TAKE_OVERS_TOTAL).increment(1);
            warn!(take_overs = job.take_overs, "taken over from a worker that stopped in the middle");
        }
        let mut held = Held::new(self, claimed, asked_at);
        let mut run = Run::default();
        let conclusion = if self.options.retry.is_poison(job) {
            let detail = format!("{} workers stopped in the middle of it", job.take_overs);
            Ok(Conclusion::Dead { code: Code::JobPoison, detail, create_unknown: true })
        } else {
            self.conclude(claimed, &mut held, &mut run).await
        };
        let settlement = match conclusion {
            Ok(conclusion) => self.settlement(claimed, &conclusion, run),
            Err(Broken::LeaseLost) => return Ok(Attempted::LeaseLost),
            Err(Broken::Stopping) => {
                info!("given back: the process is stopping");
                self.give_back(claimed, run)
            }
            Err(Broken::Store(error)) if error.is_passing() => {
                warn!(%error, "given back: the store has not answered for as long as the lease allows");
                self.give_back(claimed, run)
            }
            // The lease runs out, and the lane is taken over as after a crash.
            Err(Broken::Store(error)) => return Err(error),
        };
        let attempted = attempted(&settlement.verdict);
        let settled = self.settle(&held, settlement).await?;
        if settled == Settled::Stale {
            return Ok(Attempted::LeaseLost);
        }
        if matches!(attempted, Attempted::Done(_)) {
            let ms = self.clock.now().ms_since(job.accepted_at);
            metrics::histogram!(names::TIME_TO_POSTMAN_SECONDS).record(Duration::from_millis(ms));
        }
        Ok(attempted)
    }

    /// Plans and calls until the attempt ends.
    async fn conclude(&self, claimed: &ClaimedJob, held: &mut Held<'_>, run: &mut Run) -> Result<Conclusion, Broken> {
        let job = &claimed.job;
        let care = self.options.retry.care(job, self.options.look_up_pages_max, self.clock.now());
        let mut known = Known::at_start(job, claimed.directory.clone(), care);
        loop {
            let request = match plan(&job.event, &known) {
                Next::Finish(conclusion) => return Ok(conclusion),
                Next::Send(request) => request,
            };
            let operation = request.operation();
            held.ready_for(operation.call_kind()).await?;
            run.calls += 1;
            let reply = tokio::select! {
                reply = held.during(self.call(&request)) => reply,
                () = self.stop_now.cancelled() => {
                    run.create_unknown |= operation == Operation::Create;
                    return Err(Broken::Stopping);
                }
            };
            let now = self.clock.now();
            let outcome = classify(operation, &reply, now);
            let meaning = outcome.meaning().to_owned();
            debug!(operation = operation.as_str(), status = reply.status(), meaning, "called");
            let note = Note::Called { operation, status: reply.status(), meaning };
            run.history.push(HistoryEntry { at: now, note });
            if let Outcome::RateLimited { until } = outcome {
                self.back_off(now, until).await;
            }
            known.learn(&job.event, &request, outcome);
            run.create_unknown = known.create_unknown();
            if held.is_lost() {
                return Err(Broken::LeaseLost);
            }
        }
    }

    /// Makes one call and measures it.
    pub(super) async fn call(&self, request: &Request) -> Reply {
        let operation = request.operation().as_str();
        let began = Instant::now();
        let reply = self.client.send(request).await;
        let margin = Duration::from_millis(jitter_ms(self.options.rate_window_ms));
        if self.pace.is_late(began.elapsed(), margin) {
            self.charge_again(request.operation().call_kind());
        }
        let status = match &reply {
            Reply::Http(http) => http.status.to_string(),
            Reply::NotSent => names::STATUS_UNREACHABLE.to_owned(),
            Reply::Lost => names::STATUS_UNKNOWN.to_owned(),
        };
        metrics::histogram!(names::SCIM_REQUEST_DURATION_SECONDS, names::OPERATION => operation)
            .record(began.elapsed());
        metrics::counter!(names::SCIM_REQUESTS_TOTAL, names::OPERATION => operation, names::STATUS => status)
            .increment(1);
        reply
    }

    /// After a 429: everybody waits.
    pub(super) async fn back_off(&self, now: UnixMs, until: UnixMs) {
        warn!(code = %Code::ScimRateLimited, wait_ms = until.ms_since(now), "Postman's rate limit is reached: all workers wait");
        if let Err(error) = self.store.back_off(now, until).await {
            error!(%error, "the back-off could not be shared");
        }
    }

    /// Makes the settlement of how an attempt ended.
    fn settlement(&self, claimed: &ClaimedJob, conclusion: &Conclusion, run: Run) -> Settlement {
        let job = &claimed.job;
        let now = self.clock.now();
        let verdict = decide(&self.options.retry, job, conclusion, now, clock::jitter());
        let note = tell(job, &verdict, conclusion);
        let directory = match conclusion {
            Conclusion::Done { at_postman: Some(at), .. } => {
                Some(directory_after(claimed.directory.as_ref(), job, at, now))
            }
            Conclusion::Done { at_postman: None, .. }
            | Conclusion::Dead { .. }
            | Conclusion::NobodyFound
            | Conclusion::UsernameRefused
            | Conclusion::TryAgain { .. }
            | Conclusion::RateLimited { .. }
            | Conclusion::Hold { .. } => None,
        };
        let trial = claimed.lease.trial_of.map(|_| trial_result(conclusion, run.calls));
        let mut history = run.history;
        history.push(HistoryEntry { at: now, note });
        Settlement { verdict, history, trial, directory }
    }

    fn give_back(&self, claimed: &ClaimedJob, run: Run) -> Settlement {
        let mut progress = claimed.job.progress;
        progress.create_unknown |= run.create_unknown;
        let mut history = run.history;
        history.push(HistoryEntry { at: self.clock.now(), note: Note::GivenBack });
        Settlement {
            verdict: Verdict::GiveBack { progress },
            history,
            trial: claimed.lease.trial_of.map(|_| TrialResult::Failed),
            directory: None,
        }
    }

    /// Settles, and keeps trying while the store does not answer and the lease is good.
    async fn settle(&self, held: &Held<'_>, settlement: Settlement) -> Result<Settled, StoreError> {
        let lease: &Lease = held.lease();
        // An earlier try may have taken effect: then the lane is not this lease's any more, by our own doing.
        let mut unsure = false;
        loop {
            match self.store.settle(self.clock.now(), lease, settlement.clone()).await {
                Err(error) if error.is_passing() && held.left_ms() > 0 && !self.stop_now.is_cancelled() => {
                    warn!(%error, "the store cannot settle: trying again");
                    unsure |= error.may_have_happened();
                    tokio::time::sleep(AGAIN).await;
                }
                Ok(Settled::Stale) if unsure => return Ok(Settled::Settled),
                settled => return settled,
            }
        }
    }

    /// A hold's probe when no job is there to be its trial.
    pub(super) async fn probe(&self, scope: HoldScope) -> Result<(), StoreError> {
        let reply = self.call(&Request::Probe).await;
        let now = self.clock.now();
        let outcome = classify(Operation::Probe, &reply, now);
        info!(scope = scope.as_str(), status = reply.status(), meaning = outcome.meaning(), "hold probed");
        if let Outcome::RateLimited { until } = outcome {
            self.back_off(now, until).await;
        }
        let result = match outcome {
            Outcome::Members(_) => TrialResult::Passed,
            _ => TrialResult::Failed,
        };
        self.store.settle_probe(now, scope, result).await
    }
}

fn attempted(verdict: &Verdict) -> Attempted {
    match verdict {
        Verdict::Done(finished) => Attempted::Done(*finished),
        Verdict::Retry { .. } => Attempted::Retry,
        Verdict::Hold { scope, .. } => Attempted::Held(*scope),
        Verdict::Dead { code, .. } => Attempted::Dead(*code),
        Verdict::GiveBack { .. } => Attempted::GivenBack,
    }
}

/// Whether a hold's trial shows that the target serves us again: it judged the job, for better or
/// worse. A job that needed no call shows nothing.
fn trial_result(conclusion: &Conclusion, calls: u32) -> TrialResult {
    match conclusion {
        Conclusion::Done { .. } | Conclusion::Dead { .. } | Conclusion::NobodyFound | Conclusion::UsernameRefused
            if calls > 0 =>
        {
            TrialResult::Passed
        }
        Conclusion::Done { .. }
        | Conclusion::Dead { .. }
        | Conclusion::NobodyFound
        | Conclusion::UsernameRefused
        | Conclusion::TryAgain { .. }
        | Conclusion::RateLimited { .. }
        | Conclusion::Hold { .. } => TrialResult::Failed,
    }
}

/// Logs a verdict, once, and puts it into words for the job's history.
fn tell(job: &Job, verdict: &Verdict, conclusion: &Conclusion) -> Note {
    let attempt = job.attempts + 1;
    match verdict {
        Verdict::Done(finished) => {
            info!(outcome = finished.as_str(), attempt, "done");
            Note::Done { outcome: *finished }
        }
        Verdict::Retry { at, counted, .. } => {
            // Every conclusion that is tried again has a code.
            let code = conclusion.code().unwrap_or(Code::ScimUnavailable);
            info!(%code, attempt, counted, due_at = %at, "tried again later");
            Note::RetryAt { due_at: *at, code }
        }
        Verdict::Hold { scope, code, .. } => {
            error!(%code, scope = scope.as_str(), advice = code.advice(), "held: {}", code.title());
            Note::Held { code: *code }
        }
        Verdict::Dead { code, detail, .. } => {
            error!(%code, attempt, detail, advice = code.advice(), "dead letter");
            Note::Dead { code: *code }
        }
        Verdict::GiveBack { .. } => Note::GivenBack,
    }
}
