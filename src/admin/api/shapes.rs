//! The JSON of the API's answers: stable, with instants in RFC 3339 (UTC) and units in names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::answer::{Answer, answer};
use crate::admin::problems::Problem;
use crate::admin::service::{AdminState, Status};
use crate::admin::words;
use crate::core::event::Event;
use crate::core::hold::{Hold, HoldScope};
use crate::core::job::{DeadLetter, DeadOrigin, DirectoryEntry, HistoryEntry, JobId};
use crate::store::{DeadSummary, JobView, PersonView};

/// Who somebody is: the source and their id there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonRef {
    /// The configured source.
    #[schema(example = "hr")]
    pub source: String,
    /// Their id at the source.
    #[schema(example = "E-1001")]
    pub employee_id: String,
}

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
    /// Jobs by state: `waiting`, `running`, `parked`, `dead`, `done`.
    pub jobs: BTreeMap<String, u64>,
    /// Since when the job has been due that has been due the longest.
    pub oldest_due_at: Option<String>,
    /// Persons with anything waiting, running or parked.
    pub lanes: u64,
    /// Persons known at Postman.
    pub people: u64,
    /// Holds in force.
    pub holds: Vec<HoldBody>,
    /// What is wrong, most pressing first, with what to do; empty where all is well.
    pub problems: Vec<ProblemBody>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// The stable code, where there is one.
    pub code: Option<String>,
    /// What is wrong, in a line.
    pub what: String,
    /// What to do about it, in a line.
    pub action: String,
}

/// A hold in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldBody {
    /// `all`, or `creates` (hires wait, renames go on).
    pub scope: String,
    /// Why.
    #[schema(example = "HOLD-KEY")]
    pub code: String,
    /// What the code means.
    pub title: String,
    /// What to do about it.
    pub action: String,
    /// Since when.
    pub since: String,
    /// When the bridge tries again by itself; null for an operator's hold.
    pub next_probe_at: Option<String>,
    /// How often it tried.
    pub probes: u32,
}

/// The holds in force, or those that were lifted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldsBody {
    /// At most one of each scope.
    pub holds: Vec<HoldBody>,
}

/// What is to be held.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHold {
    /// `all` or `creates`.
    #[schema(value_type = String, example = "all")]
    pub scope: HoldScope,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobsBody {
    /// The jobs.
    pub jobs: Vec<JobBody>,
    /// Give it as `before` for the next page; null on the last.
    pub next: Option<String>,
}

/// A job and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobBody {
    /// Its id.
    pub id: String,
    /// Its place among all jobs, in order of acceptance.
    pub seq: u64,
    /// `waiting`, `running`, `parked`, `dead` or `done`.
    pub state: String,
    /// Whose it is.
    pub person: PersonRef,
    /// What is to be brought to Postman.
    pub event: EventBody,
    /// When it was durably accepted.
    pub accepted_at: String,
    /// Attempts that failed. Holds, waiting for the limiter and shutdowns are not among them.
    pub attempts: u32,
    /// How often another worker took it over from one that stopped in the middle.
    pub take_overs: u32,
    /// When it is due, where it is the person's next.
    pub due_at: Option<String>,
    /// When it finished.
    pub finished_at: Option<String>,
    /// How: `created`, `adopted`, `invited`, `updated`, `unchanged` or `stale`.
    pub outcome: Option<String>,
    /// What was done so far, oldest first.
    pub history: Vec<HistoryBody>,
}

/// One thing that happened to one person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventBody {
    /// `hire` or `rename`.
    pub kind: String,
    /// As the source wrote it.
    pub email: Option<String>,
    /// The given name, where the source told it.
    pub given_name: Option<String>,
    /// The family name, where the source told it.
    pub family_name: Option<String>,
    /// The locale, where the source told it.
    pub locale: Option<String>,
    /// When it happened, by the source's clock.
    pub occurred_at: Option<String>,
}

/// One line of a job's history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryBody {
    /// When.
    pub at: String,
    /// `called`, `taken_over`, `retry_at`, `held`, `given_back`, `dead`, `replayed`, `done` or `omitted`.
    pub note: String,
    /// The same for people.
    pub text: String,
    /// The code, where the note has one.
    pub code: Option<String>,
    /// The HTTP status, where a call was answered.
    pub status: Option<u16>,
}

/// A page of dead letters, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadListBody {
    /// The dead letters.
    pub dead: Vec<DeadSummaryBody>,
    /// Give it as `before` for the next page; null on the last.
    pub next: Option<String>,
}

/// A dead letter's line in a listing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadSummaryBody {
    /// Its id.
    pub id: String,
    /// The source it came from.
    pub source: String,
    /// Whose it is, where known.
    pub person: Option<PersonRef>,
    /// `hire` or `rename`; null for a record that could not be mapped.
    pub event: Option<String>,
    /// When it died.
    pub died_at: String,
    /// Why.
    #[schema(example = "SCIM-409-ELSEWHERE")]
    pub code: String,
    /// What the code means.
    pub title: String,
    /// What to do about it.
    pub action: String,
    /// What exactly was wrong: fields and shapes, never values.
    pub detail: String,
    /// Whether the person's later changes wait behind it.
    pub parks_lane: bool,
}

/// A dead letter, whole.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadBody {
    /// What the listing shows, too.
    #[serde(flatten)]
    pub summary: DeadSummaryBody,
    /// The job that it was; null for a record that could not be mapped.
    pub job: Option<JobBody>,
    /// The record as received, where it could not be mapped.
    pub payload: Option<String>,
}

/// What a replay made of a dead letter.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReplayedBody {
    /// The ids of its jobs: its own, or new ones for a record that can be mapped now.
    pub jobs: Vec<String>,
}

/// What was discarded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DiscardedBody {
    /// The id of what was a dead letter.
    pub discarded: String,
}

/// All that is known of a person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonBody {
    /// Who.
    pub person: PersonRef,
    /// `stuck`, `held`, `retrying`, `on_the_way`, `in_line` or `unknown`.
    pub standing: String,
    /// How they stand, in one sentence.
    pub answer: String,
    /// What to do, where there is something to do.
    pub action: Option<String>,
    /// What is known of them at Postman.
    pub directory: Option<DirectoryBody>,
    /// Their jobs, in order.
    pub jobs: Vec<JobBody>,
    /// Their dead letters.
    pub dead: Vec<DeadSummaryBody>,
}

/// What the bridge knows of a person at Postman.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DirectoryBody {
    /// The SCIM `id`; null where they were invited and have not shown up yet.
    pub scim_id: Option<String>,
    /// Their `userName`.
    pub user_name: String,
    /// When they were last brought in line.
    pub in_line_at: String,
    /// When the newest change applied happened, by its source.
    pub occurred_at: Option<String>,
}

impl StatusBody {
    pub(in crate::admin) fn of(state: &AdminState, status: &Status, problems: &[Problem]) -> Self {
        Self {
            version: state.version.to_owned(),
            role: state.role.to_owned(),
            phase: state.lifecycle.phase().as_str().to_owned(),
            started_at: state.started_at.to_string(),
            uptime_s: status.now.ms_since(state.started_at) / 1000,
            sources: state.sources.iter().map(ToString::to_string).collect(),
            jobs: status.stats.jobs.clone(),
            oldest_due_at: status.stats.oldest_due_at.map(|at| at.to_string()),
            lanes: status.stats.lanes,
            people: status.stats.people,
            holds: status.holds.iter().map(HoldBody::from).collect(),
            problems: problems.iter().map(ProblemBody::from).collect(),
        }
    }
}

impl From<&Problem> for ProblemBody {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code.map(|c| c.as_str().to_owned()),
            what: problem.what.clone(),
            action: problem.action.to_owned(),
        }
    }
}

impl From<&Hold> for HoldBody {
    fn from(hold: &Hold) -> Self {
        Self {
            scope: hold.scope.as_str().to_owned(),
            code: hold.code.as_str().to_owned(),
            title: hold.code.title().to_owned(),
            action: hold.code.advice().to_owned(),
            since: hold.since.to_string(),
            next_probe_at: hold.next_probe_at.map(|at| at.to_string()),
            probes: hold.probes,
        }
    }
}

impl HoldsBody {
    pub(super) fn of(holds: &[Hold]) -> Self {
        Self { holds: holds.iter().map(HoldBody::from).collect() }
    }
}

impl From<&crate::core::event::Person> for PersonRef {
    fn from(person: &crate::core::event::Person) -> Self {
        Self { source: person.source.to_string(), employee_id: person.employee_id.clone() }
    }
}

impl From<&Event> for EventBody {
    fn from(event: &Event) -> Self {
        let names = event.names();
        Self {
            kind: event.kind().as_str().to_owned(),
            email: event.email().map(|e| e.as_received().to_owned()),
            given_name: names.given().map(str::to_owned),
            family_name: names.family().map(str::to_owned),
            locale: event.locale.clone(),
            occurred_at: event.occurred_at.map(|at| at.to_string()),
        }
    }
}

impl From<&HistoryEntry> for HistoryBody {
    fn from(entry: &HistoryEntry) -> Self {
        Self {
            at: entry.at.to_string(),
            note: words::note_word(&entry.note).to_owned(),
            text: words::note_text(&entry.note),
            code: words::note_code(&entry.note).map(|c| c.as_str().to_owned()),
            status: words::note_status(&entry.note),
        }
    }
}

impl From<&JobView> for JobBody {
    fn from(view: &JobView) -> Self {
        let job = &view.job;
        Self {
            id: job.id.to_string(),
            seq: job.seq,
            state: view.state.as_str().to_owned(),
            person: PersonRef::from(&job.event.person),
            event: EventBody::from(&job.event),
            accepted_at: job.accepted_at.to_string(),
            attempts: job.attempts,
            take_overs: job.take_overs,
            due_at: view.due_at.map(|at| at.to_string()),
            finished_at: view.finished.map(|(at, _)| at.to_string()),
            outcome: view.finished.map(|(_, outcome)| outcome.as_str().to_owned()),
            history: job.history.iter().map(HistoryBody::from).collect(),
        }
    }
}

impl From<&DeadSummary> for DeadSummaryBody {
    fn from(dead: &DeadSummary) -> Self {
        Self {
            id: dead.id.to_string(),
            source: dead.source.to_string(),
            person: dead.person.as_ref().map(PersonRef::from),
            event: dead.event.map(|kind| kind.as_str().to_owned()),
            died_at: dead.died_at.to_string(),
            code: dead.code.as_str().to_owned(),
            title: dead.code.title().to_owned(),
            action: dead.code.advice().to_owned(),
            detail: dead.detail.clone(),
            parks_lane: dead.parks_lane,
        }
    }
}

impl From<&DeadLetter> for DeadBody {
    fn from(letter: &DeadLetter) -> Self {
        let summary = DeadSummaryBody::from(&words::summary(letter));
        match &letter.origin {
            DeadOrigin::Job(job) => Self { summary, job: Some(JobBody::from(&words::dead_view(job))), payload: None },
            DeadOrigin::Unmapped { payload, .. } => Self { summary, job: None, payload: Some(payload.clone()) },
        }
    }
}

impl ReplayedBody {
    pub(super) fn of(jobs: &[JobId]) -> Self {
        Self { jobs: jobs.iter().map(ToString::to_string).collect() }
    }
}

impl From<&DirectoryEntry> for DirectoryBody {
    fn from(entry: &DirectoryEntry) -> Self {
        Self {
            scim_id: entry.scim_id.clone(),
            user_name: entry.user_name.clone(),
            in_line_at: entry.in_line_at.to_string(),
            occurred_at: entry.occurred_at.map(|at| at.to_string()),
        }
    }
}

impl PersonBody {
    pub(super) fn of(view: &PersonView, holds: &[Hold]) -> Self {
        let Answer { standing, sentence, code } = answer(view, holds);
        Self {
            person: PersonRef::from(&view.person),
            standing: standing.as_str().to_owned(),
            answer: sentence,
            action: code.map(|c| c.advice().to_owned()),
            directory: view.directory.as_ref().map(DirectoryBody::from),
            jobs: view.jobs.iter().map(JobBody::from).collect(),
            dead: view.dead.iter().map(DeadSummaryBody::from).collect(),
        }
    }
}
