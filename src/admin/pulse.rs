//! What each process reports to the others every few seconds: that it is alive, what it did, and since when each
//! problem has existed.

use super::error::AdminError;
use super::service::AdminState;
use super::shared;
use crate::core::activity::{Activity, Counts};
use crate::core::problems::Seen;
use crate::core::processes::{Process, Processes};

impl AdminState {
    /// One heartbeat. A failure is logged, and tried again with the next one.
    pub async fn beat(&self) {
        let told = self.activity.take();
        let process = Process {
            id: self.process.clone(),
            role: self.role,
            version: self.version.to_owned(),
            since: self.started_at,
            beat_at: self.now(),
            calling_since: told.calling_since,
            answered_at: told.answered_at,
            others_ahead_ms: 0,
        };
        if let Err(error) = self.count(&told.counts).await {
            self.activity.add(&told.counts);
            error.log();
            return;
        }
        if let Err(error) = self.tell(process).await {
            error.log();
        }
    }

    /// Says that this process ends in good order: it is not missed then.
    pub async fn farewell(&self) {
        let leave = |processes: &mut Processes| {
            processes.leave(&self.process);
            Some(())
        };
        if let Err(error) = shared::update(&*self.store, shared::PROCESSES, leave).await {
            AdminError::from(error).log();
        }
    }

    async fn count(&self, counts: &Counts) -> Result<(), AdminError> {
        if counts.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let add = |activity: &mut Activity| {
            activity.add(now, counts);
            Some(())
        };
        shared::update(&*self.store, shared::ACTIVITY, add).await?;
        Ok(())
    }

    async fn tell(&self, process: Process) -> Result<(), AdminError> {
        let beat = |processes: &mut Processes| {
            processes.beat(process.clone());
            Some(())
        };
        shared::update(&*self.store, shared::PROCESSES, beat).await?;
        self.tend().await?;
        let problems = self.overview().await?.problems;
        let fold = |seen: &mut Seen| seen.fold(&problems).then_some(());
        shared::update(&*self.store, shared::SEEN, fold).await?;
        self.judged.send_replace(Some(problems.into()));
        Ok(())
    }
}
