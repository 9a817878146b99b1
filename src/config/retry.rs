//! `[retry]`: how a job that failed in passing is tried again.

use serde::Deserialize;

use super::error::Findings;

/// `[retry]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RetryConfig {
    /// The first pause at the most, in milliseconds; each next one may be twice as long.
    pub first_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
    /// Hours of failing after which a job becomes a dead letter, where Postman serves others.
    pub give_up_after_h: u64,
    /// How often, in all, a rename is tried whose person is not found.
    pub not_found_tries: u32,
    /// How often, in all, an update is tried that Postman could not make to a username.
    pub username_tries: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { first_ms: 1_000, max_ms: 900_000, give_up_after_h: 72, not_found_tries: 5, username_tries: 3 }
    }
}

impl RetryConfig {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("retry.first_ms", self.first_ms, 10, 3_600_000);
        findings.bounds("retry.max_ms", self.max_ms, self.first_ms.clamp(10, 3_600_000), 86_400_000);
        findings.bounds("retry.give_up_after_h", self.give_up_after_h, 1, 8_760);
        findings.bounds("retry.not_found_tries", self.not_found_tries.into(), 1, 100);
        findings.bounds("retry.username_tries", self.username_tries.into(), 1, 100);
    }
}
