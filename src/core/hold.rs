//! Holds: the target refuses, so jobs wait, unharmed and uncounted.

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::time::UnixMs;

/// What a hold keeps waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldScope {
    /// Every job.
    All,
    /// Lanes whose head is a Hire; renames go on.
    Creates,
}

impl HoldScope {
    /// The word for it in metrics, commands and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Creates => "creates",
        }
    }
}

/// A hold in force. There is at most one per scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What waits.
    pub scope: HoldScope,
    /// Why: one of the `HOLD-` codes.
    pub code: Code,
    /// Since when.
    pub since: UnixMs,
    /// When the next probe may be made; none for an operator's hold, which only an operator lifts.
    pub next_probe_at: Option<UnixMs>,
    /// How many probes were made since.
    pub probes: u32,
}

/// Whether a hold with this code has no probe, gives way to no other, and is lifted by an operator only.
#[must_use]
pub fn is_lifted_by_hand(code: Code) -> bool {
    matches!(code, Code::HoldOperator | Code::HoldCopied)
}

/// How long to wait between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePauses {
    /// Before the first probe.
    pub first_ms: u64,
    /// At the most.
    pub max_ms: u64,
}

impl ProbePauses {
    /// The pause before probe number `probes + 1`: doubling from `first_ms` up to `max_ms`.
    #[must_use]
    pub fn after(self, probes: u32) -> u64 {
        self.first_ms.saturating_mul(1_u64.checked_shl(probes).unwrap_or(u64::MAX)).min(self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let pauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };
        let all: Vec<u64> = (0..6).map(|n| pauses.after(n) / 1000).collect();
        assert_eq!(all, [30, 60, 120, 240, 300, 300]);
        assert_eq!(pauses.after(200), 300_000);
    }
}
