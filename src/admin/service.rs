//! What an operator can see and do, for both API and console. Each subject has its file (`people`, `letters`,
//! `holding`, `overview`, `pulse`); here is what they share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::core::alert::Judged;
use crate::core::audit::{Act, Audit, Line};
use crate::core::guard::GuardOptions;
use crate::core::hold::Holds;
use crate::core::person::SourceName;
use crate::core::problems::{BoundFigures, SourceFigures};
use crate::core::processes::{FailingSecret, ProcessRole};
use crate::core::roster::{Drift, PlanReport, Selection};
use crate::core::time::UnixMs;
use crate::lifecycle::{Lifecycle, PUBLIC_LISTENER, Phase};
use crate::roster::{Applied, ApplyRequest, Imports, Roster};
use crate::store::{Stats, Store, holds};
use crate::telemetry::activity::ActivityLog;
use crate::telemetry::metrics::Metrics;

use super::certificates::Certificates;
use super::error::AdminError;
use super::log_outs::LogOuts;
use super::planning::{Explain, Live};
use super::remap::Remap;
use super::shared;
use super::store_check::StoreCheck;
use super::tokens::{Actor, Tokens};

/// The public listener has a heartbeat every second.
const LISTENER_LATE: Duration = Duration::from_secs(10);

/// What the admin modules share.
#[derive(Clone)]
pub struct AdminState {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Whether it can be written.
    pub health: StoreCheck,
    /// Where `now` comes from.
    pub clock: Clock,
    /// The tokens for API and console.
    pub tokens: Tokens,
    /// Which of the console's sessions have ended early.
    pub log_outs: LogOuts,
    /// The phase that the process is in, and its loops.
    pub lifecycle: Lifecycle,
    /// The present mappings.
    pub remap: Remap,
    /// What the present mappings make of a payload, field by field.
    pub explain: Explain,
    /// How to ask the target for a person, and how to plan calls.
    pub live: Arc<Live>,
    /// A hash of all mappings, to notice changes.
    pub mappings: String,
    /// The configured sources.
    pub sources: Vec<SourceFigures>,
    /// The whole roster.
    pub roster: Roster,
    /// What the guard lets through.
    pub guard: GuardOptions,
    /// The store's bounds.
    pub bounds: BoundFigures,
    /// The certificates that the configuration names, and when they expire.
    pub certificates: Certificates,
    /// The configuration in force, for people: key and value, secrets masked.
    pub settings: Arc<Vec<(String, String)>>,
    /// The last judgement of what needs attention, for the alerts.
    pub judged: watch::Sender<Judged>,
    /// Secrets whose files cannot be used any more.
    pub failing_secrets: watch::Sender<Vec<FailingSecret>>,
    /// What this process did recently.
    pub activity: ActivityLog,
    /// This process's own id: a new one at each start.
    pub process: String,
    /// The version that runs.
    pub version: &'static str,
    /// When the process started.
    pub started_at: UnixMs,
    /// What it does.
    pub role: ProcessRole,
    /// What renders `/metrics`.
    pub metrics: Metrics,
}

impl AdminState {
    /// The current time.
    #[must_use]
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// The configured sources' names.
    pub fn source_names(&self) -> impl Iterator<Item = &SourceName> {
        self.sources.iter().map(|source| &source.name)
    }

    /// Why the process is not ready for work; empty if it is.
    pub async fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.lifecycle.phase() {
            Phase::Serving => {}
            Phase::Starting => reasons.push("starting".to_owned()),
            Phase::Stopping => reasons.push("stopping".to_owned()),
        }
        if self.lifecycle.loops().is_late(PUBLIC_LISTENER, LISTENER_LATE) {
            reasons.push(format!("the {PUBLIC_LISTENER} hangs"));
        }
        reasons.extend(self.health.trouble(self.now()).await);
        reasons
    }

    /// The store in figures.
    pub async fn stats(&self) -> Result<Stats, AdminError> {
        Ok(self.store.stats().await?)
    }

    /// Holds in force.
    pub async fn holds(&self) -> Result<Holds, AdminError> {
        Ok(holds::read(&*self.store).await?)
    }

    /// The last acts of operators.
    pub async fn audit(&self) -> Result<Audit, AdminError> {
        Ok(shared::read(&*self.store, shared::AUDIT).await?)
    }

    /// What would be done.
    pub(super) async fn plan(&self, strangers: bool) -> Result<PlanReport, AdminError> {
        Ok(self.roster.plan(&Selection { strangers, ..Selection::default() }).await?)
    }

    /// The last import of each source.
    pub(super) async fn imports(&self) -> Result<Imports, AdminError> {
        Ok(self.roster.imports().await?)
    }

    /// The last comparison of HR and the members.
    pub(super) async fn drift(&self) -> Result<Drift, AdminError> {
        Ok(self.roster.drift().await?)
    }

    /// Compares HR and the members.
    pub(super) async fn compare(&self, by: &Actor) -> Result<(), AdminError> {
        let report = self.roster.compare().await?;
        let report = report.ok_or_else(|| AdminError::OutOfDate {
            what: "a comparison is under way".to_owned(),
            action: "Wait for it: `scim-bridge drift` shows its result. If its process has died, another one can begin a quarter of an hour after it.",
        })?;
        self.note(by, Act::Compare, Noted { count: Some(report.different), ..Noted::of("roster") }).await
    }

    /// Applies the roster.
    pub(super) async fn apply(&self, by: &Actor, request: &ApplyRequest) -> Result<Applied, AdminError> {
        let applied = self.roster.apply(request).await?;
        self.note(by, Act::Apply, Noted { count: Some(applied.applied), ..Noted::of("roster") }).await?;
        Ok(applied)
    }

    /// Records what an operator did, in the store and in the log.
    pub(super) async fn note(&self, by: &Actor, act: Act, what: Noted<'_>) -> Result<(), AdminError> {
        let Noted { target, count, reason } = what;
        tracing::info!(by = by.name, act = act.title(), target, count, "an operator acted");
        let line = Line {
            at: self.now(),
            by: by.name.clone(),
            act,
            target: target.to_owned(),
            count,
            reason: reason.filter(|reason| !reason.trim().is_empty()).map(str::to_owned),
        };
        let change = |audit: &mut Audit| {
            audit.push(line.clone());
            Some(())
        };
        shared::update(&*self.store, shared::AUDIT, change).await?;
        Ok(())
    }
}

/// What is recorded about an act.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Noted<'t> {
    /// To what: an id, a scope, a filter, a person's number.
    pub(super) target: &'t str,
    /// To how many.
    pub(super) count: Option<u64>,
    /// The reason given.
    pub(super) reason: Option<&'t str>,
}

impl<'t> Noted<'t> {
    pub(super) fn of(target: &'t str) -> Self {
        Self { target, ..Self::default() }
    }
}
