//! The results of each source's deliveries, so that `status` can say what is refused, ignored and left out.
//!
//! Every process counts for itself and adds its counts to one document that all share, so the
//! counts of a dead process remain. Lives here: the counts, how they are merged, and which of them
//! are problems. Not here: where the document is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::ledger::{Ledger, ProcessTally, UNKNOWN_SOURCES_MAX};
pub use self::troubles::{SourceTrouble, TroubleKind};
use super::activity::{Counts, Happening};
use super::hourly::Hourly;
use super::mapping::Mapping;
use super::person::EventKind;
use super::time::UnixMs;

mod ledger;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod tests;
mod troubles;

/// The name of the shared document.
pub const DOCUMENT: &str = "intake";
/// How often a process writes its counts, in milliseconds: `status` must show them within 15 s.
pub const WRITE_EVERY_MS: u64 = 3_000;
/// How many different words each list keeps: types, reasons, fields. Further ones are counted together.
const WORDS_MAX: usize = 50;
/// Where words beyond [`WORDS_MAX`] are counted.
pub const OTHERS: &str = "(others)";
/// Trouble that comes back within this time is part of the same run.
const RUN_MS: u64 = 60_000;
/// How long refusals are reported if no genuine delivery came after them: an hour without another one.
const REFUSED_TOLD_MS: u64 = 3_600_000;
/// Zones differ by quarters of an hour, and by up to twelve hours to the west. Whatever is sent at once comes within
/// two minutes.
const QUARTER_MS: u64 = 900_000;
const ELSEWHERE_MS_MIN: u64 = 2 * QUARTER_MS;
const ELSEWHERE_MS_MAX: u64 = 12 * 4 * QUARTER_MS + ELSEWHERE_LATE_MS;
const ELSEWHERE_LATE_MS: u64 = 120_000;
/// The reason of deliveries to a source that is not configured.
pub const UNKNOWN_SOURCE: &str = "unknown_source";
/// A name with fewer deliveries may be a stranger's guess.
pub const SELDOM: u64 = 3;

/// How often, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// The first time.
    pub since: UnixMs,
    /// The last time.
    pub last_at: UnixMs,
}

impl Seen {
    fn note(&mut self, now: UnixMs) {
        if self.count == 0 {
            self.since = now;
        }
        self.count += 1;
        self.last_at = self.last_at.max(now);
    }

    /// Adds what was seen elsewhere.
    pub fn add(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        self.since = if self.count == 0 { other.since } else { self.since.min(other.since) };
        self.count = self.count.saturating_add(other.count);
        self.last_at = self.last_at.max(other.last_at);
    }

    fn within(self, now: UnixMs, ms: u64) -> bool {
        self.count > 0 && now.ms_since(self.last_at) <= ms
    }
}

/// The results of one source's deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceTally {
    /// Queued.
    pub accepted: Seen,
    /// Known already.
    pub duplicates: Seen,
    /// Nothing in them is followed.
    pub ignored: Seen,
    /// Kept as dead letters only.
    pub unmapped: Seen,
    /// Handshakes and pings that were signed.
    pub handshakes: Seen,
    /// Unsigned handshakes: anybody can send them, so they are not a sign of life from the source.
    pub unsigned_handshakes: Seen,
    /// Refused, by reason, since the trouble began.
    pub refused: BTreeMap<String, Seen>,
    /// Refused for now because a bound is reached, by bound.
    pub full: BTreeMap<String, Seen>,
    /// Records whose type nothing names, by type.
    pub unnamed_types: BTreeMap<String, Seen>,
    /// Records that were used without an unusable field, by field.
    pub dropped: BTreeMap<String, Seen>,
    /// When the last delivery came whose fields could all be used.
    pub whole_at: UnixMs,
    /// Deliveries that came again under an id that was known, and said something else.
    pub conflicts: Seen,
    /// Events whose time was too far ahead to be trusted.
    pub ahead: Seen,
    /// Events whose time gives no zone, and lies a whole number of quarters of an hour before their arrival.
    pub elsewhere: Seen,
    /// When the last event came whose time gives no zone, and does not.
    pub here_at: UnixMs,
    /// When the last delivery came that had times, all of them plausible.
    pub in_time_at: UnixMs,
    /// Events that state something and have no time.
    pub untimed: Seen,
    /// Those that have one.
    pub timed: Seen,
    /// The former by kind of event…
    pub untimed_kinds: BTreeMap<String, Seen>,
    /// …and the latter: which of them are in order by now.
    pub timed_kinds: BTreeMap<String, Seen>,
    /// A verification token was offered that no file is configured for.
    pub token_offered: Seen,
    /// Genuine deliveries by hour, and how many of them had come before.
    pub hours: Hourly,
}

/// The result of a genuine delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenuineResult {
    /// Queued.
    Accepted,
    /// Known already.
    Duplicate,
    /// Nothing in it is followed.
    Ignored,
    /// Kept as dead letters only.
    Unmapped,
    /// A signed handshake.
    Handshake,
}

impl SourceTally {
    /// The result of a genuine delivery.
    pub fn genuine(&mut self, now: UnixMs, fate: GenuineResult) {
        let seen = match fate {
            GenuineResult::Accepted => &mut self.accepted,
            GenuineResult::Duplicate => &mut self.duplicates,
            GenuineResult::Ignored => &mut self.ignored,
            GenuineResult::Unmapped => &mut self.unmapped,
            GenuineResult::Handshake => &mut self.handshakes,
        };
        seen.note(now);
        self.hours.note(now, fate == GenuineResult::Duplicate);
    }

    /// Somebody asked for a handshake that needs no signature.
    pub fn unsigned_handshake(&mut self, now: UnixMs) {
        self.unsigned_handshakes.note(now);
    }

    /// How many deliveries had which result so far. Refusals are counted afresh in each run of them.
    #[must_use]
    pub fn totals(&self) -> Counts {
        let refused = self.refused.values().chain(self.full.values()).map(|seen| seen.count).sum();
        Counts::from([
            (Happening::Accepted, self.accepted.count),
            (Happening::Duplicate, self.duplicates.count),
            (Happening::Ignored, self.ignored.count),
            (Happening::Unmapped, self.unmapped.count),
            (Happening::Refused, refused),
        ])
    }

    /// A delivery was refused.
    pub fn refused(&mut self, now: UnixMs, reason: &str) {
        let good_at = self.good_at();
        let seen = word(&mut self.refused, reason);
        // A run ends with a genuine delivery and a minute without another refusal.
        if good_at > seen.last_at && now.ms_since(seen.last_at) > RUN_MS {
            *seen = Seen::default();
        }
        seen.note(now);
    }

    /// A delivery was refused for now.
    pub fn full(&mut self, now: UnixMs, bound: &str) {
        let seen = word(&mut self.full, bound);
        if now.ms_since(seen.last_at) > RUN_MS {
            *seen = Seen::default();
        }
        seen.note(now);
    }

    /// A record had a type that nothing names.
    pub fn unnamed_type(&mut self, now: UnixMs, type_value: &str) {
        word(&mut self.unnamed_types, type_value).note(now);
    }

    /// A verification token came that no file is configured for.
    pub fn offered_token(&mut self, now: UnixMs) {
        self.token_offered.note(now);
    }

    /// A field was there and could not be used.
    pub fn dropped(&mut self, now: UnixMs, field: &str) {
        word(&mut self.dropped, field).note(now);
    }

    /// A delivery was known by its id, and said something else the first time.
    pub fn conflict(&mut self, now: UnixMs) {
        self.conflicts.note(now);
    }

    /// An event's time lay too far ahead.
    pub fn note_ahead(&mut self, now: UnixMs) {
        self.ahead.note(now);
    }

    /// An event's time gives no zone. Delivered at once, a time of another zone is as late as that zone is away; what was
    /// queued, or is sent in batches, may be late by any time.
    pub fn note_zoneless(&mut self, now: UnixMs, at: UnixMs) {
        let late_ms = now.ms_since(at);
        if (ELSEWHERE_MS_MIN..=ELSEWHERE_MS_MAX).contains(&late_ms) && late_ms % QUARTER_MS <= ELSEWHERE_LATE_MS {
            self.elsewhere.note(now);
        } else {
            self.here_at = self.here_at.max(now);
        }
    }

    /// An event that states something came, with or without a time.
    pub fn note_event(&mut self, now: UnixMs, kind: EventKind, has_time: bool) {
        let (all, kinds) = if has_time {
            (&mut self.timed, &mut self.timed_kinds)
        } else {
            (&mut self.untimed, &mut self.untimed_kinds)
        };
        all.note(now);
        word(kinds, kind.as_str()).note(now);
    }

    /// When the last genuine delivery came.
    #[must_use]
    pub fn good_at(&self) -> UnixMs {
        let genuine = [self.accepted, self.duplicates, self.ignored, self.unmapped, self.handshakes];
        genuine.into_iter().map(|seen| seen.last_at).max().unwrap_or_default()
    }

    /// When somebody last posted to this name, although no source has it.
    #[must_use]
    pub fn unknown_at(&self) -> Option<UnixMs> {
        self.refused.get(UNKNOWN_SOURCE).map(|seen| seen.last_at)
    }

    /// What was posted to this name, although no source has it.
    #[must_use]
    pub fn unknown(&self) -> Seen {
        self.refused.get(UNKNOWN_SOURCE).copied().unwrap_or_default()
    }

    /// Adds what was posted to another name that no source has.
    pub fn add_unknown(&mut self, now: UnixMs, seen: Seen) {
        let own = self.refused.entry(UNKNOWN_SOURCE.to_owned()).or_default();
        if !own.within(now, REFUSED_TOLD_MS) {
            *own = Seen::default();
        }
        own.add(seen);
    }

    /// Which unknown name to keep: one that is still reported before one that is not, then one in regular use before one
    /// tried once or twice; of names in use the first, of the others the last. So no later name displaces one in use,
    /// however much is posted to it.
    #[must_use]
    pub fn unknown_rank(&self, now: UnixMs) -> (bool, u64, i64) {
        let seen = self.unknown();
        let used = seen.count.min(SELDOM);
        let order = if used < SELDOM { seen.last_at.0 } else { seen.since.0.saturating_neg() };
        (seen.within(now, REFUSED_TOLD_MS), used, order)
    }

    /// Drops types that the mapping names by now, and events without a time if the mapping reads no times.
    pub fn forget_named(&mut self, mapping: &Mapping) {
        if mapping.occurred_at.is_empty() {
            self.untimed = Seen::default();
            self.untimed_kinds.clear();
        }
        self.unnamed_types.retain(|type_value, _| mapping.meaning(type_value).is_none());
    }

    fn add(&mut self, other: &Self) {
        self.accepted.add(other.accepted);
        self.duplicates.add(other.duplicates);
        self.ignored.add(other.ignored);
        self.unmapped.add(other.unmapped);
        self.handshakes.add(other.handshakes);
        self.unsigned_handshakes.add(other.unsigned_handshakes);
        self.token_offered.add(other.token_offered);
        self.hours.add(&other.hours);
        self.whole_at = self.whole_at.max(other.whole_at);
        self.ahead.add(other.ahead);
        self.elsewhere.add(other.elsewhere);
        self.here_at = self.here_at.max(other.here_at);
        self.untimed.add(other.untimed);
        self.timed.add(other.timed);
        self.conflicts.add(other.conflicts);
        self.in_time_at = self.in_time_at.max(other.in_time_at);
        for (mine, theirs) in [
            (&mut self.refused, &other.refused),
            (&mut self.full, &other.full),
            (&mut self.unnamed_types, &other.unnamed_types),
            (&mut self.dropped, &other.dropped),
            (&mut self.untimed_kinds, &other.untimed_kinds),
            (&mut self.timed_kinds, &other.timed_kinds),
        ] {
            for (name, seen) in theirs {
                word(mine, name).add(*seen);
            }
        }
    }
}

fn word<'w>(words: &'w mut BTreeMap<String, Seen>, name: &str) -> &'w mut Seen {
    let name = if words.contains_key(name) || words.len() < WORDS_MAX { name } else { OTHERS };
    words.entry(name.to_owned()).or_default()
}
