//! What a payload means: from the JSON of an HR system to events, by paths that the configuration
//! names.
//!
//! Lives here: reading fields where a [`Mapping`] says they are. Not here: signatures (what comes
//! in is proven already), and what an event leads to.

use serde::Deserialize;

use super::event::EventKind;

pub use self::explain::{BodyProblem, Explanation, FieldExplanation, RecordExplanation, RecordResult, explain};
pub use self::path::{Path, Paths};
pub use self::read::{RECORDS_MAX, Record, map, remap};

mod explain;
mod field;
mod path;
mod read;

/// How a source's payload is read: `[source.mapping]`.
///
/// The defaults read the default payload of the design, in an envelope (`/data/email`) or as a flat
/// record (`/email`). Of several paths the first counts where there is something; null and blank
/// text are nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Mapping {
    /// Where the records are: one object, or an array of them. Empty: the body itself.
    pub records: Path,
    /// Where the type of the event is. Compared as text, exactly; a whole number as its digits.
    #[serde(rename = "type")]
    pub kind: Paths,
    /// The types that mean hire.
    pub hire: Vec<String>,
    /// The types that mean rename.
    pub rename: Vec<String>,
    /// What a record without any type is taken for; without it, such a record is unmapped.
    pub assume: Option<EventKind>,
    /// Where the employee id is: text or a whole number.
    pub employee_id: Paths,
    /// Where the e-mail address is. A hire needs one.
    pub email: Paths,
    /// Where the given name is. One of the two names is needed.
    pub given_name: Paths,
    /// Where the family name is.
    pub family_name: Paths,
    /// Where the time of the change is; an empty list where the payload has none worth reading.
    pub occurred_at: Paths,
    /// How that time is written.
    pub occurred_at_unit: TimeUnit,
    /// Where the locale is, such as `en-US`.
    pub locale: Paths,
}

/// How an instant is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// RFC 3339, or a number: milliseconds from 10^11 on (March 1973), seconds below.
    #[default]
    Auto,
    /// Unix seconds, as a number or its text.
    S,
    /// Unix milliseconds, as a number or its text.
    Ms,
    /// RFC 3339 text.
    Rfc3339,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            records: Path::record(),
            kind: envelope_paths("type"),
            hire: vec!["employee.hired".to_owned()],
            rename: vec!["employee.renamed".to_owned()],
            assume: None,
            employee_id: field_paths(["employee_id"]),
            email: field_paths(["email"]),
            given_name: field_paths(["first_name", "given_name"]),
            family_name: field_paths(["last_name", "family_name"]),
            occurred_at: envelope_paths("timestamp"),
            occurred_at_unit: TimeUnit::Auto,
            locale: field_paths(["locale"]),
        }
    }
}

impl Mapping {
    /// What is wrong with it as a whole: the key below `mapping`, and the problem.
    #[must_use]
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for (key, values) in [("hire", &self.hire), ("rename", &self.rename)] {
            if values.iter().any(|value| value.trim().is_empty()) {
                problems.push((key, "a type value is blank".to_owned()));
            }
        }
        for both in self.hire.iter().filter(|value| self.rename.contains(value)) {
            problems.push(("rename", format!("`{both}` means hire already; a type can mean one of the two only")));
        }
        if self.hire.is_empty() && self.rename.is_empty() && self.assume.is_none() {
            let problem = "no type means hire or rename, so nothing would ever happen: name some, or set `assume`";
            problems.push(("hire", problem.to_owned()));
        }
        if self.kind.is_empty() && self.assume.is_none() {
            problems.push(("type", "without a path to the type, set `assume` to \"hire\" or \"rename\"".to_owned()));
        }
        if self.employee_id.is_empty() {
            problems.push(("employee_id", "needs at least one path".to_owned()));
        }
        if self.email.is_empty() && (!self.hire.is_empty() || self.assume == Some(EventKind::Hire)) {
            problems.push(("email", "a hire needs an e-mail address: name at least one path".to_owned()));
        }
        if self.given_name.is_empty() && self.family_name.is_empty() {
            problems.push(("given_name", "one of the two names is needed: name at least one path".to_owned()));
        }
        problems
    }

    /// What a type value means; none where it is not named.
    fn meaning(&self, type_value: &str) -> Option<EventKind> {
        if self.hire.iter().any(|value| value == type_value) {
            Some(EventKind::Hire)
        } else if self.rename.iter().any(|value| value == type_value) {
            Some(EventKind::Rename)
        } else {
            None
        }
    }
}

/// A field of the default payload: in the envelope's `data`, or in a flat record.
fn field_paths<const N: usize>(names: [&str; N]) -> Paths {
    let enveloped = names.iter().map(|name| Path::names(&["data", name]));
    enveloped.chain(names.iter().map(|name| Path::names(&[name]))).collect()
}

/// A field beside the data: of the record, or of the envelope around many.
fn envelope_paths(name: &str) -> Paths {
    [Path::names(&[name]), Path::names(&[name]).of_whole_body()].into_iter().collect()
}

#[cfg(test)]
mod tests;
