//! What the attempts so far have shown about a person whose member is not up to date.

use serde::{Deserialize, Serialize};

use super::is_zero;
use crate::core::person::{Aspect, UnshownWrite};
use crate::core::time::UnixMs;

/// If an owner is found idle this often, over this long, nobody waits for them any longer. An owner with an unreadable
/// document is checked once a minute, so this covers more than two checks.
const STANDSTILL_LOOKS: u32 = 5;
const STANDSTILL_MS: u64 = 150_000;
/// News ends a pause at most this often, and half as often after each failed try, up to five.
const WOKEN_FLOOR_MS: u64 = 1_000;
const WOKEN_DOUBLINGS_MAX: u32 = 5;

/// What the attempts so far have shown, while the member is not up to date.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Attempts that failed because of the target or the network.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<UnixMs>,
    /// When the pause before the next attempt ends, if news from HR may end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_at: Option<UnixMs>,
    /// How many of the attempts news asked for: they make the next pause no longer.
    #[serde(skip_serializing_if = "is_zero")]
    pub woken: u32,
    /// When news last ended a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woken_at: Option<UnixMs>,
    /// How often the lane was taken over from a worker that died during an attempt.
    pub take_overs: u32,
    /// A `POST /Users` of ours went out, and its outcome is unknown: look before posting again.
    pub create_unknown: Option<UnknownCreate>,
    /// A `POST /Users` of ours was answered 201 without the member, and no reply has shown them since: it is never
    /// posted again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub made_unshown: bool,
    /// Undocumented refusals in a row.
    pub suspicions: u32,
    /// Of these, how many came while others' calls of that kind were served in between.
    pub suspicions_alone: u32,
    /// When the last of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<UnixMs>,
    /// How often only this person was answered 429.
    pub limited_alone: u32,
    /// How often the target said that it could not update the username.
    pub username_refused: u32,
    /// Attempts in which writes were refused because the member had changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub conflicts: u32,
    /// Look-ups for a leaver in which the target did not show all members.
    #[serde(skip_serializing_if = "is_zero")]
    pub looks_in_part: u32,
    /// Writes that were answered with a success but are not shown yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unshown: Vec<UnshownWrite>,
    /// The account at HR's address has another name, and others were let go first who may have been named with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_let_others_first: bool,
    /// They wait for somebody to give something up, but that person is not due for any work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standstill: Option<Standstill>,
}

impl Progress {
    /// Notes that a read does not show what was written.
    pub fn note_unshown(&mut self, aspect: Aspect, now: UnixMs) {
        let before = self.unshown.iter().find(|write| write.aspect == aspect).map_or(0, |write| write.writes);
        self.note_shown(aspect);
        self.unshown.push(UnshownWrite { aspect, at: now, writes: before + 1 });
    }

    /// Notes that what was written is in effect.
    pub fn note_shown(&mut self, aspect: Aspect) {
        self.unshown.retain(|write| write.aspect != aspect);
    }

    /// HR has said something else: it may have removed what blocked them, and a write that no read has shown may not be
    /// wanted any more.
    pub fn heed_news(&mut self) {
        (self.suspicions, self.suspicions_alone, self.refused_at) = (0, 0, None);
        self.username_refused = 0;
        self.unshown.clear();
    }

    /// An attempt has ended with every call served: nothing fails any more.
    pub fn note_served(&mut self) {
        (self.failures, self.failing_since, self.again_at) = (0, None, None);
        (self.suspicions, self.suspicions_alone, self.refused_at) = (0, 0, None);
    }

    /// Until when news does not end another pause: a target in trouble is not called at every word of a talkative HR
    /// system.
    #[must_use]
    pub fn rests_until(&self) -> Option<UnixMs> {
        self.woken_at.map(|at| at.plus_ms(WOKEN_FLOOR_MS << self.failures.min(WOKEN_DOUBLINGS_MAX)))
    }

    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

/// A `POST /Users` of unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownCreate {
    /// The latest time at which it can have gone out.
    pub at: UnixMs,
    /// Whether the target answered with an error: then it most likely had no effect.
    pub answered: bool,
    /// It is only assumed: a worker stopped during an attempt, and may have sent it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_guess: bool,
}

impl UnknownCreate {
    /// A create that went out.
    #[must_use]
    pub fn made(at: UnixMs, answered: bool) -> Self {
        Self { at, answered, is_guess: false }
    }

    /// A create that may have gone out.
    #[must_use]
    pub fn guessed(at: UnixMs, answered: bool) -> Self {
        Self { at, answered, is_guess: true }
    }
}

/// A look through the members that found nobody, and is no proof that there is nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// When it happened.
    pub at: UnixMs,
    /// The address searched for.
    pub key: String,
    /// How many members it would have covered at most.
    pub rows_max: u32,
    /// If not all were covered: how many were, in words for the operator. None: all were, but the target says that
    /// the person is a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_part: Option<String>,
}

/// A wait for a person who is not due for any work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standstill {
    /// The claim that they wait for.
    pub key: String,
    /// When that was first seen.
    pub since: UnixMs,
    /// How often it was seen.
    pub looks: u32,
}

impl Standstill {
    /// It was seen again.
    #[must_use]
    pub fn again(before: Option<Self>, key: &str, now: UnixMs) -> Self {
        let before = before.filter(|before| before.key == key);
        let Self { key, since, looks } = before.unwrap_or_else(|| Self { key: key.to_owned(), since: now, looks: 0 });
        Self { key, since, looks: looks.saturating_add(1) }
    }

    /// Whether there is no use in waiting any longer.
    #[must_use]
    pub fn is_over(&self, now: UnixMs) -> bool {
        self.looks >= STANDSTILL_LOOKS && now.ms_since(self.since) >= STANDSTILL_MS
    }
}
