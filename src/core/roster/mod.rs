//! A roster: the people who work here, as an HR system exports them in a file or lists them by its API, and the plan
//! that follows.
//!
//! Lives here: reading rows, what a row says, matching people with the list of members, the overall
//! plan. Not here: where rows are kept, and who reads the list (`crate::roster`).

pub use self::columns::{Columns, Field, RowEvent};
pub use self::drift::{DRIFT, Drift, DriftList, DriftReport};
pub use self::fetching::{FETCHES, Fetch, FetchEnd, FetchFailure, Fetches};
pub use self::members::{ListedMember, MemberList};
pub use self::plan_report::PlanReport;
pub use self::planned::PlannedPerson;
pub use self::report::{Decided, NOT_IN_HR, PlanOutcome, PlanTerms, Planned, Planner, Stranger};
pub use self::rows::{FileProblem, Row, read, text_of};
pub use self::selection::{Change, Selection};

mod columns;
mod drift;
mod fetching;
mod members;
mod plan_report;
mod planned;
mod report;
mod rows;
mod selection;
mod spreadsheet;
