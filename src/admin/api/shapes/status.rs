//! Status: everything at a glance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HoldBody;
use crate::admin::overview::Overview;
use crate::admin::service::AdminState;
use crate::core::activity::{Activity, Happening};
use crate::core::problems::{FetchFigure, Problem};
use crate::core::time::UnixMs;
use crate::store::LaneState;

/// The process and its store at a glance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatusBody {
    /// The version that runs.
    pub version: String,
    /// `all`, `intake` or `worker`.
    pub role: String,
    /// `starting`, `serving` or `stopping`.
    pub phase: String,
    /// When the process started.
    pub started_at: String,
    /// Seconds since.
    pub uptime_s: u64,
    /// The configured sources.
    pub sources: Vec<String>,
    /// People whose jobs have not ended, by what they wait for: `waiting`, `running`, `held`,
    /// `scheduled`, `incomplete`; and `dead`, all dead letters.
    pub jobs: BTreeMap<String, u64>,
    /// Events that no worker has processed yet, by source.
    pub entries: BTreeMap<String, u64>,
    /// Dead letters by code.
    pub dead: BTreeMap<String, u64>,
    /// Since when the person who has been due the longest has been due.
    pub oldest_due_at: Option<String>,
    /// People in the store.
    pub people: u64,
    /// Deliveries and calls of the last minute, by result.
    pub last_minute: BTreeMap<String, u64>,
    /// Seconds until everybody who waits has been served, at the pace of the last minute.
    pub drained_in_s: Option<u64>,
    /// The processes on this store.
    pub processes: Vec<ProcessBody>,
    /// Holds in force.
    pub holds: Vec<HoldBody>,
    /// Lists of HR systems that are being read.
    #[serde(default)]
    pub fetches: Vec<FetchProgressBody>,
    /// What needs attention, most urgent first; empty if all is well.
    pub problems: Vec<ProblemBody>,
    /// Whether the store could be read. Where not, `problems` says why, and all figures are missing or those of an empty
    /// store.
    #[serde(default = "readable")]
    pub readable: bool,
}

/// A process from before this field only answers if it could read.
fn readable() -> bool {
    true
}

/// One thing that needs attention.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// The stable code.
    #[schema(example = "HOLD-KEY")]
    pub code: String,
    /// What it is about, if there can be several problems with this code.
    pub subject: String,
    /// What is wrong, in a line.
    pub what: String,
    /// How many people, deliveries, calls or dead letters.
    pub count: u64,
    /// When it began.
    pub since: String,
    /// What to do about it, in a line.
    pub action: String,
    /// The console's page with exactly these.
    pub page: String,
}

/// A list of an HR system that is being read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FetchProgressBody {
    /// The source.
    pub source: String,
    /// `waiting` for a worker, or `reading`.
    pub state: String,
    /// When it was ordered.
    pub ordered_at: String,
    /// People listed so far.
    pub listed: u64,
    /// Of these, people who were read one by one.
    pub read: u64,
}

/// A process on this store.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProcessBody {
    /// `all`, `intake` or `worker`.
    pub role: String,
    /// Its version.
    pub version: String,
    /// When it started.
    pub since: String,
    /// When its last heartbeat was.
    pub heard_at: String,
    /// Whether that is recent enough to count as alive.
    pub alive: bool,
}

impl StatusBody {
    pub(in crate::admin) fn of(state: &AdminState, overview: &Overview) -> Self {
        let Overview { stats, figures, problems, .. } = overview;
        let now = figures.now;
        let processes = figures.processes.processes.iter().map(|process| ProcessBody {
            role: process.role.as_str().to_owned(),
            version: process.version.clone(),
            since: process.since.to_string(),
            heard_at: process.beat_at.to_string(),
            alive: process.is_heard(now),
        });
        Self {
            version: state.version.to_owned(),
            role: state.role.as_str().to_owned(),
            phase: state.lifecycle.phase().as_str().to_owned(),
            started_at: state.started_at.to_string(),
            uptime_s: now.ms_since(state.started_at) / 1000,
            sources: state.source_names().map(ToString::to_string).collect(),
            jobs: if overview.is_readable { jobs(overview) } else { BTreeMap::new() },
            entries: stats.entries.clone(),
            dead: stats.dead.clone(),
            oldest_due_at: figures.oldest_due_at.map(|at| at.to_string()),
            people: stats.people,
            last_minute: last_minute(&figures.activity, now),
            drained_in_s: drained_in_s(overview),
            processes: processes.collect(),
            holds: figures.holds.holds.iter().map(HoldBody::from).collect(),
            fetches: figures
                .fetches
                .iter()
                .filter(|fetch| fetch.failure.is_none())
                .map(FetchProgressBody::from)
                .collect(),
            problems: problems.iter().map(ProblemBody::from).collect(),
            readable: overview.is_readable,
        }
    }
}

fn jobs(overview: &Overview) -> BTreeMap<String, u64> {
    let states = LaneState::ALL.into_iter().filter(|state| !matches!(state, LaneState::Idle | LaneState::Blocked));
    let count = |state: LaneState| overview.stats.lanes.get(state.as_str()).copied().unwrap_or(0);
    let mut jobs: BTreeMap<_, _> = states.map(|state| (state.as_str().to_owned(), count(state))).collect();
    jobs.insert("dead".to_owned(), overview.stats.dead.values().sum());
    jobs
}

fn last_minute(activity: &Activity, now: UnixMs) -> BTreeMap<String, u64> {
    let all = Happening::DELIVERIES.into_iter().chain(Happening::CALLS).chain([Happening::Write, Happening::Read]);
    let count = |happening: Happening| activity.lately(now, 60_000, &[happening]);
    all.map(|happening| (happening.as_str().to_owned(), count(happening))).filter(|(_, n)| *n > 0).collect()
}

/// How long until the backlog is drained, at one or two writes each; none if nothing moves.
pub(in crate::admin) fn drained_in_s(overview: &Overview) -> Option<u64> {
    let figures = &overview.figures;
    let waiting = overview.stats.lanes.get(LaneState::Waiting.as_str()).copied().filter(|n| *n > 0)?;
    let served = figures.activity.lately(figures.now, 60_000, &[Happening::Served]);
    (served > 0).then(|| waiting.saturating_mul(60) / served)
}

impl From<&FetchFigure> for FetchProgressBody {
    fn from(fetch: &FetchFigure) -> Self {
        Self {
            source: fetch.source.clone(),
            state: fetch.state.to_owned(),
            ordered_at: fetch.since.to_string(),
            listed: fetch.listed,
            read: fetch.read,
        }
    }
}

impl From<&Problem> for ProblemBody {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code.clone(),
            subject: problem.subject.clone(),
            what: problem.what.clone(),
            count: problem.count,
            since: problem.since.to_string(),
            action: problem.action.clone(),
            page: problem.page.clone(),
        }
    }
}
