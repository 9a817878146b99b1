//! Reconciles the team: claim, fold, plan, send, classify, decide, commit.
//!
//! Lives here: numbered claims (`claims`), one attempt for one person (`attempt`), the loop around
//! it (`pool`), the probes of holds (`probe`), the commit (`commit`), what an attempt must keep alive while
//! it runs: its lease and its tokens (`lease`), and what a process does about the one before it (`restart`). Not
//! here: judgement (`crate::core`), state (`crate::store`), HTTP (`crate::scim`).

mod attempt;
mod attempted;
mod call;
mod capabilities;
mod claims;
mod commit;
mod fetch;
mod guarded;
mod lease;
mod owning;
mod pace;
mod pool;
mod probe;
mod restart;
mod token_wait;

#[cfg(test)]
mod model;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::core::clock_watch::{ClockWatch, TimeRange};
use crate::core::guard::GuardOptions;
use crate::core::hold::ProbePauses;
use crate::core::outdated::Streak;
use crate::core::person::SourceName;
use crate::core::reconcile::plan::PlanRules;
use crate::core::reconcile::suspicion::Suspicions;
use crate::core::reconcile::verdict::RetryRules;
use crate::core::time::UnixMs;
use crate::hr::HrSystem;
use crate::scim::Client;
use crate::store::holds::SharedHolds;
use crate::store::{Claim, Store, StoreError};
use crate::telemetry::activity::ActivityLog;
use crate::telemetry::traces::Traces;

pub use self::attempted::Attempted;
use self::capabilities::Learnt;
use self::claims::Claims;
use self::fetch::Readers;
use self::pace::Pace;
pub use self::restart::end_leases;
use self::token_wait::TokenWait;

/// What a worker is built with.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// People worked on at the same time.
    pub concurrency: usize,
    /// How long a claim lasts; above `call_timeout_ms` and the margin of `lease`.
    pub lease_ms: u64,
    /// Longest that one SCIM call can take.
    pub call_timeout_ms: u64,
    /// Window of the target's rate limits.
    pub rate_window_ms: u64,
    /// How calls are planned.
    pub plan: PlanRules,
    /// How failures are tried again.
    pub retry: RetryRules,
    /// Pauses between the probes of a hold.
    pub probe_pauses: ProbePauses,
    /// What the guard lets through without an operator.
    pub guard: GuardOptions,
}

/// A worker: any number of people at once, on one store, with one target. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    store: Arc<dyn Store>,
    client: Client,
    clock: Clock,
    options: Arc<WorkerOptions>,
    name: Arc<str>,
    claims: Arc<Claims>,
    holds: Arc<SharedHolds>,
    suspicions: Arc<Mutex<Suspicions>>,
    /// What this process saw of each source's events of late.
    streaks: Arc<Mutex<BTreeMap<SourceName, Streak>>>,
    /// Whether the clock has leapt since the process started.
    clock_watch: Arc<Mutex<ClockWatch>>,
    released_at_ms: Arc<AtomicU64>,
    token_wait: Arc<TokenWait>,
    pace: Arc<Pace>,
    readers: Arc<Readers>,
    learnt: Arc<Learnt>,
    activity: ActivityLog,
    traces: Traces,
    /// Cancelled when nothing new may begin; people whose call has not begun are given back.
    stop: CancellationToken,
    /// Cancelled when the grace is over; calls in progress are dropped, and their people given back.
    stop_now: CancellationToken,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stepped {
    /// A person was worked on.
    Attempted(Attempted),
    /// A hold was probed.
    Probed {
        /// Whether the probe lifted it.
        lifted: bool,
    },
    /// There was nothing to do.
    Nothing {
        /// When there will be; none: nobody waits for a time.
        until: Option<UnixMs>,
    },
}

impl Worker {
    /// A worker with a name that no other has, in this process or another.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, client: Client, clock: Clock, options: WorkerOptions) -> Self {
        let name: Arc<str> = clock::new_name().into();
        let holds = SharedHolds::new(store.clone(), clock.clone(), options.probe_pauses);
        let mut clock_watch = ClockWatch::default();
        clock_watch.look(clock.now(), clock.monotonic_ms(), options.guard.window_ms);
        Self {
            store,
            client,
            clock,
            options: Arc::new(options),
            name,
            claims: Arc::default(),
            holds: Arc::new(holds),
            suspicions: Arc::default(),
            streaks: Arc::default(),
            clock_watch: Arc::new(Mutex::new(clock_watch)),
            released_at_ms: Arc::default(),
            token_wait: Arc::default(),
            pace: Arc::default(),
            readers: Arc::default(),
            learnt: Arc::default(),
            activity: ActivityLog::default(),
            traces: Traces::default(),
            stop: CancellationToken::new(),
            stop_now: CancellationToken::new(),
        }
    }

    /// Reads people at these HR systems when notices ask for it.
    #[must_use]
    pub fn with_hr(self, systems: BTreeMap<SourceName, HrSystem>) -> Self {
        Self { readers: Arc::new(Readers::new(systems)), ..self }
    }

    /// Counts its calls here.
    #[must_use]
    pub fn with_activity(self, activity: ActivityLog) -> Self {
        Self { activity, ..self }
    }

    /// Records spans of what it does.
    #[must_use]
    pub fn with_traces(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Probes a hold that is due, or claims a person and works on them, or says that there is nothing to do. One
    /// round of the pool's loop, for tests, which need no pool and no sleep.
    pub async fn step(&self) -> Result<Stepped, StoreError> {
        self.holds.refresh().await?;
        self.release_lifted().await?;
        if let Some(lifted) = self.probe_due().await? {
            return Ok(Stepped::Probed { lifted });
        }
        if let Some(until) = self.held_until() {
            return Ok(Stepped::Nothing { until });
        }
        let asked_ms = self.clock.monotonic_ms();
        match self.claim(1, None).await? {
            Claim::People(people) => {
                let mut attempted = Attempted::LeaseLost;
                for person in people {
                    attempted = self.attempt(person, asked_ms, None).await?.attempted;
                }
                Ok(Stepped::Attempted(attempted))
            }
            Claim::Nobody { until } => Ok(Stepped::Nothing { until }),
        }
    }

    /// What the time may be, if the clock has leapt within `settled_ms`.
    fn time_range(&self, settled_ms: u64) -> TimeRange {
        let mut watch = self.clock_watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.look(self.clock.now(), self.clock.monotonic_ms(), settled_ms)
    }

    /// What this process has seen of undocumented refusals. Never held across an await.
    fn with_suspicions<T>(&self, look: impl FnOnce(&mut Suspicions) -> T) -> T {
        look(&mut self.suspicions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
