//! `[drift]`: whether HR and Postman are compared on a schedule, and what happens to differences.

use serde::Deserialize;

use super::error::Findings;
use crate::core::roster::Change;

/// `[drift]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct DriftConfig {
    /// How often, in hours; 0: never.
    pub every_h: u64,
    /// Which differences are repaired; the others are only reported.
    pub repair: Vec<Change>,
}

impl DriftConfig {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("drift.every_h", self.every_h, 0, 8_760);
    }
}
