//! The JSON of the API's answers: stable, with instants in RFC 3339 (UTC) and units in names.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::audit::Audit;
use crate::core::hold::{Hold, HoldScope, set_by};
use crate::core::person::Person;

pub use self::captures::{
    CaptureBody, CaptureOffBody, CaptureOnBody, CaptureRowBody, CapturedHeaderBody, CapturedSourceBody, CapturesBody,
};
pub(in crate::admin) use self::dead::code_of;
pub use self::dead::{
    BulkBody, BulkDoneBody, CSV_COLUMNS, DeadBody, DeadListBody, DeadRowBody, DiscardBody, DiscardedBody, ReplayBody,
};
pub use self::people::{
    FactBody, JobBody, JobsBody, MemberBody, PeopleBody, PersonBody, PersonRowBody, RecordBody, StoryBody, WaitsForBody,
};
pub(in crate::admin) use self::status::drained_in_s;
pub use self::status::{FetchProgressBody, ProblemBody, ProcessBody, StatusBody};

mod captures;
mod dead;
mod people;
mod status;

/// A person's identity: the source and their id there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonRef {
    /// The configured source.
    #[schema(example = "hr", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub source: String,
    /// Their id at the source.
    #[schema(example = "E-1001", min_length = 1, max_length = 256)]
    pub employee_id: String,
}

impl From<&Person> for PersonRef {
    fn from(person: &Person) -> Self {
        Self { source: person.source.to_string(), employee_id: person.employee_id.clone() }
    }
}

/// A hold in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldBody {
    /// `all`, `creates`, `writes`, `deactivations`, `addresses` or `fetch:SOURCE`.
    pub scope: String,
    /// The reason.
    #[schema(example = "HOLD-KEY")]
    pub code: String,
    /// What the code means.
    pub title: String,
    /// What to do about it.
    pub action: String,
    /// When it began.
    pub since: String,
    /// When the bridge tries again; null if only an operator lifts it.
    pub next_probe_at: Option<String>,
    /// How often it tried.
    pub probes: u32,
    /// What was answered, where that is kept.
    #[serde(default)]
    pub detail: Option<String>,
    /// Of an operator's hold: who set it, by the name of their token.
    #[serde(default)]
    pub by: Option<String>,
    /// Of an operator's hold: the reason that was given.
    #[serde(default)]
    pub reason: Option<String>,
}

impl HoldBody {
    /// Who set it, and why: see [`Hold::set_by`].
    #[must_use]
    pub fn set_by(&self) -> Option<String> {
        set_by(self.by.as_deref(), self.reason.as_deref())
    }
}

impl From<&Hold> for HoldBody {
    fn from(hold: &Hold) -> Self {
        Self {
            scope: hold.scope.to_string(),
            code: hold.code.as_str().to_owned(),
            title: hold.code.title().to_owned(),
            action: hold.code.advice().to_owned(),
            since: hold.since.to_string(),
            next_probe_at: hold.next_probe_at.map(|at| at.to_string()),
            probes: hold.probes,
            detail: hold.detail.clone(),
            by: hold.by.clone(),
            reason: hold.reason.clone(),
        }
    }
}

/// The holds in force, or those that were lifted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldsBody {
    /// At most one of each scope.
    pub holds: Vec<HoldBody>,
}

impl HoldsBody {
    pub(super) fn of(holds: &[Hold]) -> Self {
        Self { holds: holds.iter().map(HoldBody::from).collect() }
    }
}

/// What to hold.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetHold {
    /// `all`, `creates` or `writes`; `deactivations`, `addresses`, `fetch:SOURCE`.
    #[schema(value_type = String, example = "all")]
    pub scope: HoldScope,
    /// Why: it is shown with the hold, and kept in the audit.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// What to let through the guard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowBody {
    /// `deactivations` or `addresses`.
    #[schema(value_type = String, example = "deactivations")]
    pub scope: HoldScope,
    /// How many more.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub count: u64,
}

/// What was let through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AllowedBody {
    /// `deactivations` or `addresses`.
    pub scope: String,
    /// How many more may go through now.
    pub allowed: u64,
    /// How many of the waiting people are tried now.
    pub released: u64,
}

/// What operators did last, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditBody {
    /// The acts.
    pub acts: Vec<ActBody>,
    /// How many older ones were dropped.
    pub dropped: u64,
}

/// One act.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ActBody {
    /// When it happened.
    pub at: String,
    /// The operator, by the name of their token.
    pub by: String,
    /// What was done.
    pub act: String,
    /// To what: an id, a scope, a filter, a person's number.
    pub target: String,
    /// To how many.
    pub count: Option<u64>,
    /// The reason, if one was given.
    pub reason: Option<String>,
}

impl From<&Audit> for AuditBody {
    fn from(audit: &Audit) -> Self {
        let acts = audit.lines.iter().rev().map(|line| ActBody {
            at: line.at.to_string(),
            by: line.by.clone(),
            act: line.act.title().to_owned(),
            target: line.target.clone(),
            count: line.count,
            reason: line.reason.clone(),
        });
        Self { acts: acts.collect(), dropped: audit.dropped }
    }
}

/// The person who was erased, or is tried now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DoneBody {
    /// The person.
    pub person: PersonRef,
    /// `erased` or `due`.
    pub done: String,
}
