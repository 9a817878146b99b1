//! What of a member is reconciled one by one, and writes of it that no reply has shown, or whose outcome is not known.

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

/// A write of ours whose outcome is not known: what it set may be in effect, or may still take effect. It counts for
/// as long as reads may lag behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWrite {
    /// Of what.
    pub aspect: Aspect,
    /// A hash of the value; see [`super::Document::wanted`]. Only the hash: an address may be another person's, who is
    /// erased later.
    pub value: u32,
    /// From then on, a read shows whether it is in effect.
    pub until: UnixMs,
    /// Nothing has been written over it: until then, a read that shows another value is no proof of that value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_uncovered: bool,
    /// It brought no answer, or an error: it may take effect after whatever is written later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_land: bool,
}
