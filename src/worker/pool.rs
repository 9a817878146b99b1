//! The loop: claim as many people as there are free permits, run an attempt for each, then sleep until the time that
//! the store gives or until it wakes us. Wake-ups are only hints; polling finds whatever they miss.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::Worker;
use crate::clock;
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::lifecycle::Lifecycle;
use crate::store::{Claim, StoreError};
use crate::supervision;
use crate::telemetry::metrics as metric;

/// Longest sleep without a look at the store: a lost wake-up costs no more than this.
const POLL: Duration = Duration::from_secs(1);
/// Longest pause while the store does not answer.
const STORE_DOWN_PAUSE: Duration = Duration::from_secs(5);
/// Shortest pause, even if a wake-up ends it.
const STORE_DOWN_LEAST: Duration = Duration::from_millis(200);
/// Shortest time between two claims that found nobody. What comes in meanwhile is claimed together.
const CLAIM_FLOOR: Duration = Duration::from_millis(2);
/// After a probe begins: the time until it is noted in the document of holds.
const PROBE_BEGINS: Duration = Duration::from_millis(50);
/// How long giving back what is still in progress may take after the grace.
const GIVE_BACK: Duration = Duration::from_secs(2);

impl Worker {
    /// Works until the process stops; then finishes calls in flight within `grace`, and gives back the rest.
    pub async fn run(self, life: Lifecycle, grace: Duration) {
        let room = Arc::new(Semaphore::new(self.options.concurrency));
        let mut attempts = JoinSet::new();
        let mut failures = 0_u32;
        loop {
            failpoint::at("worker");
            while attempts.try_join_next().is_some() {}
            let free = tokio::select! {
                // Checked first, so that nobody is claimed while stopping.
                biased;
                () = life.stopping() => break,
                permit = room.clone().acquire_owned() => match permit {
                    Ok(permit) => { drop(permit); room.available_permits().max(1) }
                    Err(_) => break,
                },
            };
            match self.take(free, &room, &mut attempts).await {
                Ok(None) => failures = 0,
                Ok(Some(pause)) => {
                    failures = 0;
                    self.sleep(pause, &life).await;
                }
                Err(error) => {
                    report(&error, failures);
                    failures = failures.saturating_add(1);
                    let pause = store_down_pause(failures);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.store_is_back() => {}
                        () = life.stopping() => {}
                    }
                }
            }
        }
        self.drain(attempts, grace, &life).await;
    }

    /// Begins the probe of a hold, or claims people and starts on them; if there is nobody, says how
    /// long to sleep.
    async fn take(
        &self,
        free: usize,
        room: &Arc<Semaphore>,
        attempts: &mut JoinSet<()>,
    ) -> Result<Option<Pause>, StoreError> {
        self.holds.refresh().await?;
        if self.holds_are_due_for_release() {
            self.release_lifted().await?;
        }
        let probe_is_due = self.holds.current().due_probe(self.clock.now()).is_some();
        if probe_is_due && attempts.len() < self.options.concurrency {
            let (worker, permit) = (self.clone(), room.clone().try_acquire_owned().ok());
            attempts.spawn(async move {
                match supervision::caught(Box::pin(worker.probe_due())).await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => error!(%error, "a probe's result could not be stored"),
                    None => panicked("a probe"),
                }
                drop(permit);
            });
            return Ok(Some(Pause { until: None, floor: PROBE_BEGINS, waits_for_wake: false }));
        }
        if let Some(until) = self.held_until() {
            return Ok(Some(Pause { until, floor: CLAIM_FLOOR, waits_for_wake: false }));
        }
        let asked_ms = self.clock.monotonic_ms();
        match self.claim(free, None).await? {
            Claim::People(people) => {
                for person in people {
                    let (worker, room) = (self.clone(), room.clone());
                    // Permits are free: only this loop takes them.
                    let permit = room.try_acquire_owned().ok();
                    attempts.spawn(async move {
                        let span = tracing::info_span!("person", id = %person.lease.person);
                        let attempt = supervision::caught(Box::pin(worker.attempt(person, asked_ms, None)));
                        match attempt.await {
                            Some(Ok(_)) => {}
                            Some(Err(error)) => {
                                error!(%error, "an attempt broke off: its lane is taken over when the lease runs out");
                            }
                            None => span.in_scope(|| panicked("an attempt")),
                        }
                        drop(permit);
                    });
                }
                Ok(None)
            }
            Claim::Nobody { until } => Ok(Some(Pause { until, floor: CLAIM_FLOOR, waits_for_wake: true })),
        }
    }

    /// However fast events come in, `floor` limits how often people are claimed.
    async fn sleep(&self, pause: Pause, life: &Lifecycle) {
        let due = pause.until.map_or(POLL, |until| Duration::from_millis(until.ms_since(self.clock.now())));
        // Jittered, so that several processes do not poll in step; the due time itself is exact.
        let longest = POLL.mul_f64(0.8 + 0.4 * clock::jitter());
        let woken = async {
            tokio::time::sleep(pause.floor).await;
            if pause.waits_for_wake {
                self.store.woken().await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(due.min(longest).max(pause.floor)) => {}
            () = woken => {}
            () = life.stopping() => {}
        }
    }

    /// A wake-up may mean that the store serves again; it is acted on at most this often.
    async fn store_is_back(&self) {
        tokio::time::sleep(STORE_DOWN_LEAST).await;
        self.store.woken().await;
    }

    async fn drain(&self, mut attempts: JoinSet<()>, grace: Duration, life: &Lifecycle) {
        self.stop.cancel();
        info!(in_flight = attempts.len(), "no more people are claimed; finishing attempts in flight");
        let all = async {
            // One last try, so that people whose claim's answer was lost need not wait until the lease runs out.
            if let Err(error) = self.give_back_lost().await {
                warn!(%error, "people of a claim whose answer was lost wait until their leases run out");
            }
            while attempts.join_next().await.is_some() {}
        };
        tokio::pin!(all);
        tokio::select! {
            () = &mut all => return,
            () = tokio::time::sleep(grace) => {}
            () = life.stopping_at_once() => {}
        }
        self.stop_now.cancel();
        if tokio::time::timeout(GIVE_BACK, all).await.is_err() {
            error!("some people could not be given back: their lanes are taken over when their leases run out");
        }
    }
}

/// A sleep between two claims.
struct Pause {
    until: Option<UnixMs>,
    /// The minimum.
    floor: Duration,
    /// Whether a wake-up from the store ends it.
    waits_for_wake: bool,
}

/// Only this person is affected: the lane is taken over when its lease runs out, which counts towards `[worker]
/// take_overs_max`.
fn panicked(what: &str) {
    metrics::counter!(metric::ATTEMPTS_TOTAL, metric::OUTCOME => metric::OUTCOME_PANICKED).increment(1);
    error!("{what} panicked: the lane is taken over when its lease runs out");
}

/// The first failure is logged; those that follow have the same cause.
fn report(error: &StoreError, failures_before: u32) {
    if failures_before == 0 {
        error!(%error, "the store does not answer: nobody is claimed until it does");
    }
}

fn store_down_pause(failures: u32) -> Duration {
    let cap = Duration::from_millis(200).saturating_mul(1_u32.checked_shl(failures.min(10)).unwrap_or(1));
    cap.min(STORE_DOWN_PAUSE).mul_f64(0.5 + clock::jitter() / 2.0)
}
