//! `[hold]`: how a target that refuses everything is probed.

use serde::Deserialize;

use super::error::Findings;

/// `[hold]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HoldConfig {
    /// Before the first probe, in seconds; each next pause is twice as long.
    pub probe_first_s: u64,
    /// The longest pause between probes, in seconds.
    pub probe_max_s: u64,
}

impl Default for HoldConfig {
    fn default() -> Self {
        Self { probe_first_s: 30, probe_max_s: 300 }
    }
}

impl HoldConfig {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("hold.probe_first_s", self.probe_first_s, 1, 3_600);
        findings.bounds("hold.probe_max_s", self.probe_max_s, self.probe_first_s.clamp(1, 3_600), 86_400);
    }
}
