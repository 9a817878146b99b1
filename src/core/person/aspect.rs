//! What of a member is reconciled one by one, and writes of it that no reply has shown.

use serde::{Deserialize, Serialize};

use crate::core::time::UnixMs;

/// Aspects of a member that are reconciled one by one; each may be refused on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Whether they are in the team and switched on.
    Membership,
    /// The address.
    Address,
    /// The names.
    Names,
    /// The groups.
    Groups,
}

/// A write that was answered with a success and is not shown yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnshownWrite {
    /// Of what.
    pub aspect: Aspect,
    /// When it was last made.
    pub at: UnixMs,
    /// How often it was made.
    pub writes: u32,
}
