//! `[retry]`: how a job with a temporary failure is tried again.

use serde::Deserialize;

use super::error::Findings;

/// `[retry]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RetryConfig {
    /// The longest first pause, in milliseconds; each later one may be twice as long.
    pub first_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
    /// Hours of failing after which a job becomes a dead letter, if Postman serves others.
    pub give_up_after_h: u64,
    /// Over how many seconds the tries of an undocumented refusal are spread if there is nobody to compare with.
    pub suspicion_s: u64,
    /// After how many tries in all it counts as a refusal if Postman "couldn't update" a username.
    pub username_tries: u32,
    // No longer has any effect; a notice says so.
    #[serde(rename = "not_found_tries")]
    outlived: Option<Outlived>,
}

/// A key that no longer has any effect, whatever its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outlived;

impl<'de> Deserialize<'de> for Outlived {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        toml::Value::deserialize(deserializer).map(|_| Self)
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first_ms: 1_000,
            max_ms: 900_000,
            give_up_after_h: 72,
            suspicion_s: 120,
            username_tries: 3,
            outlived: None,
        }
    }
}

impl RetryConfig {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("retry.first_ms", self.first_ms, 10, 3_600_000);
        findings.bounds("retry.max_ms", self.max_ms, self.first_ms.clamp(10, 3_600_000), 86_400_000);
        findings.bounds("retry.give_up_after_h", self.give_up_after_h, 1, 8_760);
        findings.bounds("retry.suspicion_s", self.suspicion_s, 1, 86_400);
        findings.outlived(
            self.outlived.is_some(),
            "retry.not_found_tries",
            "the record of a person who is not found waits",
        );
        findings.bounds("retry.username_tries", self.username_tries.into(), 1, 100);
    }
}
