//! A person in plans and comparisons.

use serde::{Deserialize, Serialize};

/// A person of the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPerson {
    /// `{source}/{employee id}`; none for a stranger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Their current or future address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The SCIM id, if the list of members has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The code with which it would block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Fields, shapes, ids of employees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
