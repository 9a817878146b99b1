//! Probes: real work, one person at a time, that is let through to see whether a hold is over.

use serde::{Deserialize, Serialize};

use super::{Hold, HoldScope, Holds, Lifted};
use crate::core::time::UnixMs;

/// Synchronised clocks of processes differ by less, so a larger difference means that a clock was set back.
const SET_BACK_MS: u64 = 600_000;

/// A probe in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probing {
    /// By which worker.
    pub by: String,
    /// When another worker may take over: this one may have died.
    pub until: UnixMs,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMs>,
}

/// How long to wait between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePauses {
    /// Before the first probe.
    pub first_ms: u64,
    /// The longest pause.
    pub max_ms: u64,
}

impl ProbePauses {
    /// The pause before probe number `probes + 1`: doubling from `first_ms` up to `max_ms`.
    #[must_use]
    pub fn after(self, probes: u32) -> u64 {
        self.first_ms.saturating_mul(1_u64.checked_shl(probes).unwrap_or(u64::MAX)).min(self.max_ms)
    }
}

impl Holds {
    /// The hold whose probe is due. If the clock was set back since a pause began, the pause is over: otherwise it would
    /// last until the clock has caught up.
    #[must_use]
    pub fn due_probe(&self, now: UnixMs) -> Option<&Hold> {
        let is_over = |since: Option<UnixMs>, until: UnixMs| {
            until <= now || since.is_some_and(|since| since > now.plus_ms(SET_BACK_MS))
        };
        self.holds.iter().filter(|hold| !self.waits_for_operator(&hold.scope)).find(|hold| {
            hold.next_probe_at.is_some_and(|at| is_over(hold.paused_at, at))
                && hold.probing.as_ref().is_none_or(|probing| is_over(probing.since, probing.until))
        })
    }

    /// When the next probe may be due.
    #[must_use]
    pub fn next_probe_at(&self) -> Option<UnixMs> {
        self.holds
            .iter()
            .filter(|hold| !self.waits_for_operator(&hold.scope))
            .filter_map(|hold| {
                let at = hold.next_probe_at?;
                Some(hold.probing.as_ref().map_or(at, |probing| at.max(probing.until)))
            })
            .min()
    }

    /// Takes a due probe for `worker`. Returns whether it got it.
    pub fn begin_probe(&mut self, now: UnixMs, scope: &HoldScope, by: &str, until: UnixMs) -> bool {
        let is_due = self.due_probe(now).is_some_and(|hold| hold.scope == *scope);
        let hold = self.holds.iter_mut().find(|hold| hold.scope == *scope && hold.unread.is_none() && is_due);
        if let Some(hold) = hold {
            hold.probing = Some(Probing { by: by.to_owned(), until, since: Some(now) });
            return true;
        }
        false
    }

    /// Ends the probe that `worker` made: the hold is lifted, or its next probe comes after a longer pause. Returns
    /// whether anything changed: there may be another hold by now.
    pub fn end_probe(
        &mut self,
        now: UnixMs,
        scope: &HoldScope,
        by: &str,
        has_passed: bool,
        pauses: ProbePauses,
    ) -> bool {
        let Some(place) = self
            .holds
            .iter()
            .position(|hold| hold.scope == *scope && hold.probing.as_ref().is_some_and(|probing| probing.by == by))
        else {
            return false;
        };
        if has_passed {
            let hold = self.holds.remove(place);
            self.lifted.retain(|lifted| lifted.scope != *scope && now.ms_since(lifted.at) <= pauses.max_ms);
            self.lifted.push(Lifted { scope: hold.scope, code: hold.code, at: now, probes: hold.probes + 1 });
        } else {
            let hold = &mut self.holds[place];
            hold.probes = hold.probes.saturating_add(1);
            hold.probing = None;
            (hold.next_probe_at, hold.paused_at) = (Some(now.plus_ms(pauses.after(hold.probes))), Some(now));
        }
        true
    }
}
