//! `[guard]`: how many changes that take something away go through without an operator.

use serde::Deserialize;

use super::error::Findings;

/// `[guard]`. Where a number and a percentage both limit leaves, the larger of the two counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GuardConfig {
    /// Leaves in a window.
    pub leaves_max: u64,
    /// Leaves in a window, in percent of the people known.
    pub leaves_percent: u64,
    /// Changes of an address in a window.
    pub address_changes_max: u64,
    /// The window, in hours.
    pub window_h: u64,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { leaves_max: 25, leaves_percent: 10, address_changes_max: 25, window_h: 24 }
    }
}

impl GuardConfig {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("guard.leaves_max", self.leaves_max, 0, 1_000_000);
        findings.bounds("guard.leaves_percent", self.leaves_percent, 0, 100);
        findings.bounds("guard.address_changes_max", self.address_changes_max, 0, 1_000_000);
        findings.bounds("guard.window_h", self.window_h, 1, 720);
    }
}
