//! What blocks a person: a dead letter.

use serde::{Deserialize, Serialize};

use crate::core::code::Code;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;

/// How soon what blocks a person is tried again for an event that says nothing new, and how late at the latest. HR systems
/// resend an event that they take for lost some hundred times a minute.
const REPEATED_MS_MIN: u64 = 60_000;
const REPEATED_MS_MAX: u64 = 3_600_000;

/// What blocks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The dead letter's id: that of the newest job that it stopped.
    pub id: JobId,
    /// The reason.
    pub code: Code,
    /// Fields and shapes, ids of employees; never names or addresses.
    pub detail: String,
    /// When it began.
    pub since: UnixMs,
    /// When it was last tried, if it stood like this since: none while another try waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<UnixMs>,
}

impl Trouble {
    /// When an event that says nothing new has it tried again: at once the first time, and then after as long as it has
    /// stood. A claim that somebody else has is looked at again at any time, as that makes no call.
    #[must_use]
    pub fn again_at(&self) -> Option<UnixMs> {
        let tried_at = self.tried_at.filter(|_| self.code != Code::ScimOwned)?;
        Some(tried_at.plus_ms(tried_at.ms_since(self.since).clamp(REPEATED_MS_MIN, REPEATED_MS_MAX)))
    }
}
