//! `[worker]`: how many people are worked on at once, and how long each is leased.

use serde::Deserialize;

use super::error::Findings;

/// `[worker]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkerConfig {
    /// How many people this process works on at once.
    pub concurrency: u32,
    /// How long a lease lasts without renewal, in seconds.
    pub lease_s: u64,
    /// After how many take-overs from a crashed worker a person is blocked by a dead letter.
    pub take_overs_max: u32,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { concurrency: 8, lease_s: 60, take_overs_max: 5 }
    }
}

impl WorkerConfig {
    /// The minimum of `lease_s` depends on `[postman] timeout_s`, and is checked there.
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("worker.concurrency", self.concurrency.into(), 1, 1_024);
        findings.bounds("worker.lease_s", self.lease_s, 1, 3_600);
        findings.bounds("worker.take_overs_max", self.take_overs_max.into(), 1, 100);
    }
}
