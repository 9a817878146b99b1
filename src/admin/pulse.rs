//! What each process reports to the others every few seconds: that it is alive, what it did, and since when each
//! problem has existed. And what it reports to receivers elsewhere if the store fails.

use super::error::AdminError;
use super::overview::Overview;
use super::service::AdminState;
use super::shared;
use crate::core::activity::{Activity, Counts};
use crate::core::alert::Judged;
use crate::core::problems::{Figures, Seen, store_problems};
use crate::core::processes::{BEAT_MS, Process, Processes, Unsent};

/// If problems cannot be judged for this long, that is reported: four heartbeats. A failover of Redis takes some seconds.
const OUTAGE_MS: u64 = 4 * BEAT_MS;

impl AdminState {
    /// Writes one heartbeat. A failure is logged; the next one tries again.
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
            unsent: told.unsent.map(Unsent::from),
            store_failing: self.health.failing(self.now()),
            failing_secrets: self.failing_secrets.borrow().clone(),
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

    /// Announces an orderly stop, so that the process is not reported as missing.
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
        let Overview { problems, is_whole, .. } = self.overview().await?;
        if !is_whole {
            // What could not be read must not be reported as closed: only that the store fails is known.
            return Ok(());
        }
        let fold = |seen: &mut Seen| seen.fold(&problems).then_some(());
        shared::update(&*self.store, shared::SEEN, fold).await?;
        self.judged.send_replace(Judged { problems: Some(problems.into()), at: Some(self.now()), ..Judged::default() });
        Ok(())
    }

    /// Reports the store's failure from this process's own knowledge, if nothing could be judged for a while. It
    /// waits for nothing.
    pub(super) fn alarm(&self) {
        let now = self.now();
        let judged_at = self.judged.borrow().at.unwrap_or(self.started_at);
        if now.ms_since(judged_at) < OUTAGE_MS {
            return;
        }
        let (store, store_failing) = (self.health.known_trouble(), self.health.failing(now));
        let outage = store_problems(&Figures { now, store, store_failing, ..Figures::default() }, judged_at);
        if !outage.is_empty() {
            self.judged.send_modify(|judged| judged.outage = outage);
        }
    }
}
