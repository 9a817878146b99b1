//! What an operator can ask and do, apart from how it is asked: the API and the console both call
//! these. Changes are logged here, by id.

use std::sync::Arc;

use crate::clock::{self, Clock};
use crate::core::code::Code;
use crate::core::event::{Person, SourceName};
use crate::core::hold::{Hold, HoldScope};
use crate::core::job::{DeadLetter, DeadOrigin, JobId, JobState};
use crate::core::mapping::Record;
use crate::core::time::UnixMs;
use crate::lifecycle::{Lifecycle, Phase};
use crate::secret::LiveSecret;
use crate::store::{DeadAction, DeadSummary, JobView, NewJob, Page, PersonView, Stats, Store};
use crate::telemetry::metrics::Metrics;

use super::error::AdminError;
use super::problems::{Problem, problems};
use super::readiness::StoreHealth;

/// How many of the newest dead letters and waiting jobs are looked at to say what is wrong.
const NEWEST: usize = 200;

/// Maps a kept payload anew with the source's present mapping; none where the source is not
/// configured.
pub type Remap = Arc<dyn Fn(&SourceName, &str) -> Option<Vec<Record>> + Send + Sync>;

/// What the admin rooms work with.
#[derive(Clone)]
pub struct AdminState {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whether it can be written.
    pub health: StoreHealth,
    /// Where `now` comes from.
    pub clock: Clock,
    /// What opens API and console.
    pub token: LiveSecret,
    /// The process's life.
    pub lifecycle: Lifecycle,
    /// The present mappings.
    pub remap: Remap,
    /// The configured sources.
    pub sources: Vec<SourceName>,
    /// The version that runs.
    pub version: &'static str,
    /// When the process started.
    pub started_at: UnixMs,
    /// What it does: `all`, `intake` or `worker`.
    pub role: &'static str,
    /// What renders `/metrics`.
    pub metrics: Metrics,
}

/// The process and its store at a glance.
#[derive(Debug, Clone)]
pub struct Status {
    /// The present.
    pub now: UnixMs,
    /// Figures of the store.
    pub stats: Stats,
    /// Holds in force.
    pub holds: Vec<Hold>,
}

/// The status with what is wrong.
#[derive(Debug, Clone)]
pub(super) struct Overview {
    /// Figures and holds.
    pub(super) status: Status,
    /// Most pressing first.
    pub(super) problems: Vec<Problem>,
}

impl AdminState {
    /// The present.
    #[must_use]
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// Why the process is not ready for work; empty where it is.
    pub async fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.lifecycle.phase() {
            Phase::Serving => {}
            Phase::Starting => reasons.push("starting".to_owned()),
            Phase::Stopping => reasons.push("stopping".to_owned()),
        }
        reasons.extend(self.health.trouble().await);
        reasons
    }

    /// Figures and holds.
    pub async fn status(&self) -> Result<Status, AdminError> {
        let now = self.now();
        Ok(Status { now, stats: self.store.stats(now).await?, holds: self.store.holds().await? })
    }

    /// Figures, holds, and what is wrong.
    pub(super) async fn overview(&self) -> Result<Overview, AdminError> {
        let page = Page { rows_max: NEWEST, before: None };
        let status = self.status().await?;
        let dead = self.store.dead_letters(&page).await?;
        let waiting = self.store.jobs(JobState::Waiting, &page).await?;
        let problems = problems(&status, &dead, &waiting);
        Ok(Overview { status, problems })
    }

    /// A page of the jobs of a state, newest first.
    pub async fn jobs(&self, state: JobState, page: &Page) -> Result<Vec<JobView>, AdminError> {
        Ok(self.store.jobs(state, page).await?)
    }

    /// One job.
    pub async fn job(&self, id: JobId) -> Result<JobView, AdminError> {
        self.store.job(id).await?.ok_or(AdminError::NotFound("job"))
    }

    /// A page of the dead letters, newest first.
    pub async fn dead_letters(&self, page: &Page) -> Result<Vec<DeadSummary>, AdminError> {
        Ok(self.store.dead_letters(page).await?)
    }

    /// One dead letter, whole.
    pub async fn dead_letter(&self, id: JobId) -> Result<DeadLetter, AdminError> {
        self.store.dead_letter(id).await?.ok_or(AdminError::NotFound("dead letter"))
    }

    /// Puts a dead letter back to work; gives the ids of the jobs that it is now.
    pub async fn replay(&self, id: JobId) -> Result<Vec<JobId>, AdminError> {
        let letter = self.dead_letter(id).await?;
        let (done, jobs) = match &letter.origin {
            DeadOrigin::Job(_) => (self.store.replay(self.now(), id).await?, vec![id]),
            DeadOrigin::Unmapped { payload, .. } => {
                let jobs = self.map_anew(&letter.source, payload)?;
                let ids = jobs.iter().map(|job| job.id).collect();
                (self.store.replay_as(self.now(), id, jobs).await?, ids)
            }
        };
        expect_done(done)?;
        tracing::info!(dead_letter = %id, code = %letter.code, source = %letter.source, jobs = jobs.len(), "dead letter replayed");
        Ok(jobs)
    }

    /// Drops a dead letter for good.
    pub async fn discard(&self, id: JobId) -> Result<(), AdminError> {
        expect_done(self.store.discard(self.now(), id).await?)?;
        tracing::info!(dead_letter = %id, "dead letter discarded");
        Ok(())
    }

    /// All about a person.
    pub async fn person(&self, person: &Person) -> Result<PersonView, AdminError> {
        self.store.person(person).await?.ok_or(AdminError::NotFound("person"))
    }

    /// Holds in force.
    pub async fn holds(&self) -> Result<Vec<Hold>, AdminError> {
        Ok(self.store.holds().await?)
    }

    /// Sets an operator's hold, in place of any other of that scope.
    pub async fn set_hold(&self, scope: HoldScope) -> Result<Hold, AdminError> {
        let hold = self.store.set_hold(self.now(), scope, Code::HoldOperator).await?;
        tracing::info!(scope = scope.as_str(), "hold set by an operator");
        Ok(hold)
    }

    /// Lifts the hold of a scope, or all holds; says which there were.
    pub async fn lift_hold(&self, scope: Option<HoldScope>) -> Result<Vec<Hold>, AdminError> {
        let lifted = self.store.lift_hold(self.now(), scope).await?;
        for hold in &lifted {
            tracing::info!(scope = hold.scope.as_str(), code = %hold.code, "hold lifted by an operator");
        }
        Ok(lifted)
    }

    /// The jobs that the source's present mapping makes of a payload. All of its records must map:
    /// the dead letter is replaced by its jobs, and a record left over would be lost.
    fn map_anew(&self, source: &SourceName, payload: &str) -> Result<Vec<NewJob>, AdminError> {
        let records = (self.remap)(source, payload).ok_or_else(|| AdminError::SourceGone(source.to_string()))?;
        let mut jobs = Vec::new();
        for record in records {
            match record {
                Record::Event(event) => jobs.push(NewJob { id: clock::new_job_id(), event }),
                Record::Ignored => {}
                Record::Unmapped { code, detail, .. } => return Err(AdminError::StillUnmapped { code, detail }),
            }
        }
        if jobs.is_empty() { Err(AdminError::NothingToDo(source.to_string())) } else { Ok(jobs) }
    }
}

fn expect_done(action: DeadAction) -> Result<(), AdminError> {
    match action {
        DeadAction::Done => Ok(()),
        DeadAction::NotFound => Err(AdminError::NotFound("dead letter")),
        DeadAction::WrongOrigin => Err(AdminError::Internal("a dead letter changed its origin")),
    }
}
