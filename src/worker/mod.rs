//! Brings what is accepted to Postman: claim, plan, send, classify, decide, settle.
//!
//! Lives here: claims that name themselves (`claims`), one attempt at one job (`attempt`), the loop around
//! it (`pool`), and what an attempt
//! must keep while it runs: its lease and its tokens. Not here: judgement (`crate::core`), state
//! (`crate::store`), HTTP (`crate::scim`).

mod attempt;
mod claims;
mod held;
mod pace;
mod pool;
mod waited;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::core::verdict::RetryRules;
use crate::scim::Client;
use crate::store::{Claim, ClaimedJob, Store, StoreError, WaitReason};

pub use self::attempt::Attempted;
use self::claims::Claims;
use self::pace::Pace;
use self::waited::Waited;

/// What a worker is built with.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Jobs worked on at the same time.
    pub concurrency: usize,
    /// How long a claim lasts; above `call_timeout_ms` and the margin below.
    pub lease_ms: u64,
    /// Longest that one SCIM call can take.
    pub call_timeout_ms: u64,
    /// Window of Postman's rate limits.
    pub rate_window_ms: u64,
    /// Most pages of members that a look-up reads.
    pub look_up_pages_max: u32,
    /// How failures are tried again.
    pub retry: RetryRules,
}

/// A worker: any number of jobs at once, on one store, with one target. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    store: Arc<dyn Store>,
    client: Client,
    clock: Clock,
    options: Arc<WorkerOptions>,
    name: Arc<str>,
    claims: Arc<Claims>,
    waited: Arc<Waited>,
    pace: Arc<Pace>,
    /// Cancelled when nothing new may begin: waiting jobs are given back.
    stop: CancellationToken,
    /// Cancelled when the grace is over: calls under way are dropped, their jobs given back.
    stop_now: CancellationToken,
}

/// What a step did.
#[derive(Debug)]
pub enum Stepped {
    /// A job was attempted.
    Attempted(Attempted),
    /// A hold was probed.
    Probed,
    /// There was nothing to do.
    Nothing(WaitReason),
}

impl Worker {
    /// A worker with a name that no other has, in this process or another.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, client: Client, clock: Clock, options: WorkerOptions) -> Self {
        Self {
            store,
            client,
            clock,
            options: Arc::new(options),
            name: clock::new_job_id().to_string().into(),
            claims: Arc::default(),
            waited: Arc::default(),
            pace: Arc::default(),
            stop: CancellationToken::new(),
            stop_now: CancellationToken::new(),
        }
    }

    /// Claims one job and attempts it, or says that there is nothing to do. What the pool does in a
    /// loop; for tests, which need no pool and no sleep.
    pub async fn step(&self) -> Result<Stepped, StoreError> {
        let asked_at = self.clock.now();
        match self.claim(asked_at, 1).await? {
            Claim::Jobs(jobs) => {
                let mut attempted = Attempted::LeaseLost;
                for job in jobs {
                    attempted = self.attempt(job, asked_at).await?;
                }
                Ok(Stepped::Attempted(attempted))
            }
            Claim::Probe(scope) => {
                self.probe(scope).await?;
                Ok(Stepped::Probed)
            }
            Claim::Wait { reason, .. } => Ok(Stepped::Nothing(reason)),
        }
    }
}

/// What a log line says of a job: identifiers only.
fn span_of(claimed: &ClaimedJob) -> tracing::Span {
    let job = &claimed.job;
    tracing::info_span!("job", job = %job.id, person = %job.event.person, event = %job.event.kind())
}
