//! The results of each source's deliveries, so that `status` can say what is refused, ignored and left out.
//!
//! Every process counts for itself and adds its counts to one document that all share, so the
//! counts of a dead process remain. Lives here: the counts, how they are merged, and which of them
//! are problems. Not here: where the document is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::activity::{Counts, Happening};
use super::hourly::Hourly;
use super::mapping::Mapping;
use super::person::EventKind;
use super::time::UnixMs;

/// The name of the shared document.
pub const DOCUMENT: &str = "intake";
/// How often a process writes its counts, in milliseconds: `status` must show them within 15 s.
pub const WRITE_EVERY_MS: u64 = 3_000;
/// A process that has not written for this long is gone.
const GONE_AFTER_MS: u64 = 60_000;
/// How many processes' counts are kept apart; beyond that, those silent the longest count as gone.
const PROCESSES_MAX: usize = 64;
/// How many different words each list keeps: types, reasons, fields. Further ones are counted together.
const WORDS_MAX: usize = 50;
/// Where words beyond [`WORDS_MAX`] are counted.
pub const OTHERS: &str = "(others)";
/// Trouble that comes back within this time is part of the same run.
const RUN_MS: u64 = 60_000;
/// How long trouble is reported if nothing shows that it is over.
const TOLD_MS: u64 = 24 * 3_600_000;
/// How long refusals are reported if no genuine delivery came after them: an hour without another one.
const REFUSED_TOLD_MS: u64 = 3_600_000;
/// So many events with times that seem to be of another zone are told.
const ELSEWHERE_MIN: u64 = 3;
/// Zones differ by quarters of an hour, and by up to twelve hours to the west. Whatever is sent at once comes within
/// two minutes.
const QUARTER_MS: u64 = 900_000;
const ELSEWHERE_MS_MIN: u64 = 2 * QUARTER_MS;
const ELSEWHERE_MS_MAX: u64 = 12 * 4 * QUARTER_MS + ELSEWHERE_LATE_MS;
const ELSEWHERE_LATE_MS: u64 = 120_000;
/// How long trouble is reported if no later delivery can show that it is over: an hour after the last of it.
const UNPROVEN_TOLD_MS: u64 = 3_600_000;
/// How long unknown types beyond [`WORDS_MAX`] are reported, without their names. The others are reported until the
/// mapping names them.
const OTHERS_TOLD_MS: u64 = 7 * 24 * 3_600_000;
/// The reason of deliveries to a source that is not configured.
pub const UNKNOWN_SOURCE: &str = "unknown_source";
/// How many unknown source names are remembered; deliveries to others are counted together, as [`OTHERS`].
pub const UNKNOWN_SOURCES_MAX: usize = 20;
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

    /// What is wrong now.
    #[must_use]
    pub fn troubles(&self, now: UnixMs) -> Vec<SourceTrouble> {
        let good_at = self.good_at();
        let is_on_for = |ms: u64, seen: Seen, good_at: UnixMs| {
            seen.within(now, RUN_MS) || (seen.last_at > good_at && seen.within(now, ms))
        };
        let is_on = |seen: Seen, good_at: UnixMs| is_on_for(TOLD_MS, seen, good_at);
        let listed = |words: &BTreeMap<String, Seen>, kind: TroubleKind, counts: &dyn Fn(&str, Seen) -> bool| {
            let of = words.iter().filter(|(name, seen)| counts(name, **seen));
            of.map(|(name, seen)| SourceTrouble { kind, what: name.clone(), seen: *seen }).collect::<Vec<_>>()
        };
        let mut troubles =
            listed(&self.refused, TroubleKind::Refused, &|_, seen| is_on_for(REFUSED_TOLD_MS, seen, good_at));
        troubles.extend(listed(&self.full, TroubleKind::Full, &|_, seen| seen.within(now, RUN_MS)));
        troubles.extend(listed(&self.unnamed_types, TroubleKind::UnnamedType, &|name, seen| {
            name != OTHERS || seen.within(now, OTHERS_TOLD_MS)
        }));
        // A missing locale does not matter.
        troubles.extend(listed(&self.dropped, TroubleKind::Dropped, &|field, seen| {
            field != "locale" && is_on(seen, self.whole_at)
        }));
        let whole = [
            (TroubleKind::TokenOffered, is_on(self.token_offered, good_at), self.token_offered),
            (TroubleKind::Ahead, is_on(self.ahead, self.in_time_at), self.ahead),
            (TroubleKind::Elsewhere, self.is_elsewhere(now), self.elsewhere),
            (TroubleKind::Untimed, true, self.untimed_now(now)),
            // Nothing that comes later shows that this is fixed.
            (TroubleKind::Conflict, self.conflicts.within(now, UNPROVEN_TOLD_MS), self.conflicts),
        ];
        troubles.extend(
            whole
                .into_iter()
                .filter(|(_, is_on, seen)| *is_on && seen.count > 0)
                .map(|(kind, _, seen)| SourceTrouble { kind, what: String::new(), seen }),
        );
        troubles
    }

    /// Whether the times seem to be those of another zone: all of the last few.
    fn is_elsewhere(&self, now: UnixMs) -> bool {
        let seen = self.elsewhere;
        seen.count >= ELSEWHERE_MIN && seen.last_at > self.here_at && seen.within(now, TOLD_MS)
    }

    /// Events without a time, as long as no event of the same kind has come with one since. Only if others have a time:
    /// if none has, they are simply ordered by arrival.
    fn untimed_now(&self, now: UnixMs) -> Seen {
        let mut untimed = Seen::default();
        if self.timed.within(now, TOLD_MS) {
            for (kind, seen) in &self.untimed_kinds {
                let is_over = self.timed_kinds.get(kind).is_some_and(|timed| timed.last_at > seen.last_at);
                if seen.within(now, if is_over { RUN_MS } else { UNPROVEN_TOLD_MS }) {
                    untimed.add(*seen);
                }
            }
        }
        untimed
    }
}

fn word<'w>(words: &'w mut BTreeMap<String, Seen>, name: &str) -> &'w mut Seen {
    let name = if words.contains_key(name) || words.len() < WORDS_MAX { name } else { OTHERS };
    words.entry(name.to_owned()).or_default()
}

/// Something that is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTrouble {
    /// What kind of trouble.
    pub kind: TroubleKind,
    /// The reason, bound, type or field.
    pub what: String,
    /// How often, since when, and when last.
    pub seen: Seen,
}

/// What kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// Deliveries are refused: `what` is the reason, a word of `core::signature` or of intake.
    Refused,
    /// Deliveries are refused for now: `what` is the bound.
    Full,
    /// Records have a type that nothing names: `what` is the type.
    UnnamedType,
    /// Records are used without a field that is there: `what` is the field.
    Dropped,
    /// A verification token is offered that no file is configured for.
    TokenOffered,
    /// Given times are too far ahead to be trusted.
    Ahead,
    /// Times give no zone, and are hours behind.
    Elsewhere,
    /// Some events have no time, and others have one.
    Untimed,
    /// A repetition of a known id says something else, and counts as a duplicate.
    Conflict,
}

/// What all processes counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// By process.
    pub processes: BTreeMap<String, ProcessTally>,
    /// Counts of processes that are gone, by source.
    pub past: BTreeMap<String, SourceTally>,
}

/// What one process counted since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessTally {
    /// When it last wrote.
    pub written_at: UnixMs,
    /// By source.
    pub sources: BTreeMap<String, SourceTally>,
}

impl Ledger {
    /// Reads what is stored; empty if it cannot be read, since counts are not worth a failure.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of texts and numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Writes a process's counts, and adds up those of processes that are gone.
    pub fn put(&mut self, now: UnixMs, process: &str, sources: BTreeMap<String, SourceTally>) {
        self.processes.insert(process.to_owned(), ProcessTally { written_at: now, sources });
        let is_gone = |tally: &ProcessTally| now.ms_since(tally.written_at) > GONE_AFTER_MS;
        let mut gone: Vec<String> =
            self.processes.iter().filter(|(_, tally)| is_gone(tally)).map(|(name, _)| name.clone()).collect();
        while self.processes.len() - gone.len() > PROCESSES_MAX {
            let left = self.processes.iter().filter(|(name, _)| !gone.contains(name));
            let Some((silent, _)) = left.min_by_key(|(_, tally)| tally.written_at) else { break };
            gone.push(silent.clone());
        }
        for name in gone {
            for (source, tally) in self.processes.remove(&name).unwrap_or_default().sources {
                self.past.entry(source).or_default().add(&tally);
            }
        }
    }

    /// Drops types that a source's mapping names by now and, in `past`, sources that no longer exist. Of those that
    /// still get deliveries, those that are worth most stay as long as they are reported.
    pub fn forget_mended<'m>(&mut self, now: UnixMs, mapping_of: impl Fn(&str) -> Option<&'m Mapping>) {
        // This is for processes that are gone and had an older mapping; a living one writes its counts again.
        for (source, tally) in self.processes.values_mut().flat_map(|process| &mut process.sources) {
            if let Some(mapping) = mapping_of(source) {
                tally.forget_named(mapping);
            }
        }
        self.past.retain(|source, tally| match mapping_of(source) {
            Some(mapping) => {
                tally.forget_named(mapping);
                true
            }
            None => tally.unknown_at().is_some(),
        });
        self.forget_unknown(now, |name| mapping_of(name).is_some());
    }

    fn forget_unknown(&mut self, now: UnixMs, is_configured: impl Fn(&str) -> bool) {
        let all = self.by_source().into_iter().filter(|(name, _)| !is_configured(name));
        let ranked = |(name, tally): (String, SourceTally)| tally.unknown_at().map(|_| (tally.unknown_rank(now), name));
        let mut unknown: Vec<_> = all.filter_map(ranked).collect();
        unknown.sort_unstable_by(|one, other| other.cmp(one));
        let (others, names): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|(_, name)| name == OTHERS);
        let seated = names.into_iter().enumerate().map(|(n, ranked)| (n < UNKNOWN_SOURCES_MAX, ranked));
        for (has_seat, ((is_reported, ..), name)) in seated.chain(others.into_iter().map(|ranked| (true, ranked))) {
            if !is_reported || !has_seat {
                if let Some(displaced) = self.past.remove(&name)
                    && is_reported
                {
                    self.past.entry(OTHERS.to_owned()).or_default().add_unknown(now, displaced.unknown());
                }
                for process in self.processes.values_mut() {
                    // Another process's configuration may have this source.
                    if process.sources.get(&name).is_some_and(|tally| tally.unknown_at().is_some()) {
                        process.sources.remove(&name);
                    }
                }
            }
        }
    }

    /// The results of each source's deliveries, over all processes.
    #[must_use]
    pub fn by_source(&self) -> BTreeMap<String, SourceTally> {
        let mut all = self.past.clone();
        for (source, tally) in self.processes.values().flat_map(|process| &process.sources) {
            all.entry(source.clone()).or_default().add(tally);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn at(minutes: u64) -> UnixMs {
        UnixMs(1_000_000).plus_ms(minutes * MINUTE)
    }

    fn kinds(tally: &SourceTally, now: UnixMs) -> Vec<(TroubleKind, String, u64)> {
        tally.troubles(now).into_iter().map(|trouble| (trouble.kind, trouble.what, trouble.seen.count)).collect()
    }

    #[test]
    fn times_of_another_zone_are_told_and_late_ones_are_not() {
        const MINUTE_MS: u64 = 60_000;
        let told = |late_min: &[u64]| {
            let mut tally = SourceTally::default();
            let mut now = UnixMs(1_800_000_000_000);
            for minutes in late_min {
                now = now.plus_ms(MINUTE_MS);
                tally.note_zoneless(now, now.minus_ms(minutes * MINUTE_MS + 1_500));
            }
            let troubles = tally.troubles(now.plus_ms(1_000));
            troubles
                .iter()
                .filter(|trouble| trouble.kind == TroubleKind::Elsewhere)
                .map(|trouble| trouble.seen.count)
                .sum::<u64>()
        };
        assert_eq!(told(&[300, 300, 301]), 3, "New York");
        assert_eq!(told(&[300, 300]), 0, "it may be chance");
        assert_eq!(told(&[300, 300, 300, 0]), 0, "the last one fits");
        assert_eq!(told(&[47, 183, 611, 512]), 0, "they come in batches");
        assert_eq!(told(&[0, 0, 15, 3 * 24 * 60]), 0, "retried, or old");
        assert_eq!(told(&[0, 210, 210, 210]), 3, "Newfoundland");
    }

    #[test]
    fn refusals_are_reported_until_a_success_and_a_minute_without_any() {
        let mut tally = SourceTally::default();
        tally.genuine(at(0), GenuineResult::Accepted);
        tally.refused(at(1), "mismatch");
        tally.refused(at(2), "mismatch");
        assert_eq!(kinds(&tally, at(30)), [(TroubleKind::Refused, "mismatch".to_owned(), 2)]);
        tally.genuine(at(31), GenuineResult::Duplicate);
        assert_eq!(kinds(&tally, at(31)), []);
        tally.refused(at(40), "mismatch");
        let trouble = &tally.troubles(at(40))[0];
        assert_eq!((trouble.seen.count, trouble.seen.since), (1, at(40)), "another run");
        assert_eq!(kinds(&tally, at(40 + 60)).len(), 1);
        assert_eq!(kinds(&tally, at(40 + 61)), [], "none was refused for an hour");
    }

    #[test]
    fn a_handshake_that_anybody_can_send_is_no_sign_of_life() {
        let mut tally = SourceTally::default();
        tally.genuine(at(0), GenuineResult::Accepted);
        tally.refused(at(1), "mismatch");
        tally.unsigned_handshake(at(2));
        assert_eq!((tally.good_at(), tally.unsigned_handshakes.count), (at(0), 1));
        assert_eq!(kinds(&tally, at(30)), [(TroubleKind::Refused, "mismatch".to_owned(), 1)]);
        tally.genuine(at(31), GenuineResult::Handshake);
        assert_eq!((tally.good_at(), kinds(&tally, at(31))), (at(31), vec![]));
    }

    #[test]
    fn distrusted_times_are_reported_until_one_is_trusted() {
        let mut tally = SourceTally::default();
        tally.note_ahead(at(0));
        tally.note_ahead(at(1));
        assert_eq!(kinds(&tally, at(30)), [(TroubleKind::Ahead, String::new(), 2)]);
        tally.in_time_at = at(31);
        assert_eq!(kinds(&tally, at(31)), []);
    }

    #[test]
    fn events_without_a_time_are_reported_only_if_others_have_one() {
        let mut tally = SourceTally::default();
        tally.note_event(at(0), EventKind::Leave, false);
        tally.note_event(at(1), EventKind::Leave, false);
        assert_eq!(kinds(&tally, at(30)), []);
        tally.note_event(at(31), EventKind::Hire, true);
        assert_eq!(kinds(&tally, at(50)), [(TroubleKind::Untimed, String::new(), 2)]);
        let mut merged = SourceTally::default();
        merged.add(&tally);
        assert_eq!(kinds(&merged, at(50)), kinds(&tally, at(50)));
        tally.forget_named(&Mapping::default());
        assert_eq!(kinds(&tally, at(50)).len(), 1);
        tally.forget_named(&toml::from_str("occurred_at = []").unwrap());
        assert_eq!(kinds(&tally, at(50)), []);
        // Nothing shows that it is over.
        assert_eq!((kinds(&merged, at(61)).len(), kinds(&merged, at(62))), (1, vec![]));
        merged.note_event(at(70), EventKind::Leave, false);
        assert_eq!(kinds(&merged, at(75)).len(), 1);
        merged.note_event(at(76), EventKind::Leave, true);
        assert_eq!(kinds(&merged, at(76)), [], "the next of that kind has a time");
    }

    #[test]
    fn a_restart_that_names_the_type_clears_its_report() {
        let mut tally = SourceTally::default();
        tally.unnamed_type(at(0), "worker.onboarded");
        let mut ledger = Ledger::default();
        ledger.put(at(0), "before", BTreeMap::from([("hr".to_owned(), tally)]));
        ledger.put(at(0), "after", BTreeMap::new());
        let mapping: Mapping = toml::from_str("hire = ['worker.onboarded']").unwrap();
        ledger.forget_mended(at(0), |_| Some(&mapping));
        assert_eq!(kinds(&ledger.by_source()["hr"], at(0)), []);
    }

    #[test]
    fn other_content_under_a_known_id_is_reported_for_an_hour() {
        let mut tally = SourceTally::default();
        tally.conflict(at(0));
        tally.genuine(at(5), GenuineResult::Accepted);
        assert_eq!(kinds(&tally, at(60)), [(TroubleKind::Conflict, String::new(), 1)]);
        assert_eq!(kinds(&tally, at(61)), []);
    }

    #[test]
    fn deliveries_to_an_unknown_source_are_reported_for_an_hour_even_after_a_restart() {
        let mut tally = SourceTally::default();
        tally.refused(at(0), UNKNOWN_SOURCE);
        let mut ledger = Ledger::default();
        ledger.put(at(0), "a", BTreeMap::from([("hr2".to_owned(), tally)]));
        ledger.put(at(10), "b", BTreeMap::new());
        ledger.forget_mended(at(10), |_| None);
        let tally = &ledger.by_source()["hr2"];
        assert_eq!(kinds(tally, at(59)), [(TroubleKind::Refused, UNKNOWN_SOURCE.to_owned(), 1)]);
        assert_eq!(kinds(tally, at(61)), []);
        ledger.forget_mended(at(61), |_| None);
        assert!(ledger.by_source().is_empty(), "what is no longer reported is no longer kept");
    }

    #[test]
    fn the_latest_unknown_source_names_of_all_processes_are_kept() {
        let mut ledger = Ledger::default();
        for process in 0..5 {
            let named = |n: u64| {
                let mut tally = SourceTally::default();
                tally.refused(at(0).plus_ms(process * 15 + n), UNKNOWN_SOURCE);
                (format!("guess-{process}-{n}"), tally)
            };
            ledger.put(at(process), &format!("p{process}"), (0..15).map(named).collect());
            ledger.forget_mended(at(process), |_| None);
        }
        let kept = ledger.by_source();
        assert_eq!(kept.keys().filter(|name| *name != OTHERS).count(), UNKNOWN_SOURCES_MAX);
        assert!(kept.contains_key("guess-4-0") && kept.contains_key("guess-3-14") && !kept.contains_key("guess-3-1"));
    }

    #[test]
    fn made_up_names_displace_no_used_name() {
        let mut hrr = SourceTally::default();
        (0..200).for_each(|n| hrr.refused(at(0).plus_ms(n), UNKNOWN_SOURCE));
        let mut ledger = Ledger::default();
        ledger.put(at(0), "a", BTreeMap::from([("hrr".to_owned(), hrr)]));
        let made_up = |n: u64| {
            let mut tally = SourceTally::default();
            tally.refused(at(1).plus_ms(n), UNKNOWN_SOURCE);
            (format!("s{n}"), tally)
        };
        ledger.put(at(1), "b", (0..50).map(made_up).collect());
        ledger.forget_mended(at(2), |_| None);
        let kept = ledger.by_source();
        assert_eq!((kept.len(), kept["hrr"].unknown().count), (UNKNOWN_SOURCES_MAX, 200));
    }

    #[test]
    fn busier_names_displace_no_name_and_every_dropped_name_is_counted() {
        let posted = |at: UnixMs, count: u64| {
            let mut tally = SourceTally::default();
            (0..count).for_each(|n| tally.refused(at.plus_ms(n), UNKNOWN_SOURCE));
            tally
        };
        let mut ledger = Ledger::default();
        ledger.put(at(0), "a", BTreeMap::from([("hrr".to_owned(), posted(at(0), 5))]));
        ledger.put(at(1), "b", (0..30).map(|n| (format!("s{n}"), posted(at(1), 200))).collect());
        // Both are gone, and what they counted is kept.
        ledger.put(at(5), "c", BTreeMap::new());
        ledger.forget_mended(at(5), |_| None);
        let kept = ledger.by_source();
        assert_eq!((kept["hrr"].unknown().count, kept.len()), (5, UNKNOWN_SOURCES_MAX + 1));
        assert_eq!(kept[OTHERS].unknown().count, 11 * 200);
        ledger.forget_mended(at(70), |_| None);
        assert!(ledger.by_source().is_empty());
    }

    #[test]
    fn unknown_types_are_reported_until_the_mapping_names_them() {
        let mut tally = SourceTally::default();
        tally.unnamed_type(at(0), "employee.created");
        tally.genuine(at(5), GenuineResult::Accepted);
        assert_eq!(kinds(&tally, at(60)), [(TroubleKind::UnnamedType, "employee.created".to_owned(), 1)]);
        assert_eq!(kinds(&tally, at(60 * 24 * 365)).len(), 1, "a year later it is named nowhere, still");
        tally.forget_named(&toml::from_str("ignore = ['employee.created']").unwrap());
        assert_eq!(kinds(&tally, at(60)), []);
    }

    #[test]
    fn words_are_bounded() {
        let mut tally = SourceTally::default();
        for n in 0..1000 {
            tally.unnamed_type(at(0), &format!("type-{n}"));
        }
        assert_eq!(tally.unnamed_types.len(), WORDS_MAX + 1);
        assert_eq!(tally.unnamed_types[OTHERS].count, 950);
    }

    #[test]
    fn counts_of_all_processes_merge_and_outlive_them() {
        let (mut one, mut two) = (SourceTally::default(), SourceTally::default());
        one.refused(at(1), "mismatch");
        two.refused(at(2), "mismatch");
        two.unnamed_type(at(2), "x");
        let mut ledger = Ledger::default();
        ledger.put(at(2), "a", BTreeMap::from([("hr".to_owned(), one)]));
        ledger.put(at(2), "b", BTreeMap::from([("hr".to_owned(), two)]));
        let all = Ledger::from_bytes(&ledger.to_bytes()).by_source();
        assert_eq!((all["hr"].refused["mismatch"].count, all["hr"].refused["mismatch"].since), (2, at(1)));
        ledger.put(at(10), "c", BTreeMap::new());
        assert_eq!(ledger.processes.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(ledger.by_source(), all);
        let mapping: Mapping = toml::from_str("hire = ['x']").unwrap();
        ledger.forget_mended(at(10), |source| (source == "hr").then_some(&mapping));
        assert!(ledger.by_source()["hr"].unnamed_types.is_empty());
        ledger.forget_mended(at(10), |_| None);
        assert!(ledger.by_source().is_empty());
    }

    #[test]
    fn processes_are_bounded_and_nothing_of_them_is_lost() {
        let mut ledger = Ledger::default();
        for n in 0..200 {
            let mut tally = SourceTally::default();
            tally.genuine(at(0), GenuineResult::Accepted);
            ledger.put(at(0), &format!("p{n}"), BTreeMap::from([("hr".to_owned(), tally)]));
        }
        assert!(ledger.processes.len() <= PROCESSES_MAX);
        assert_eq!(ledger.by_source()["hr"].accepted.count, 200);
        assert_eq!(Ledger::from_bytes(b"damaged"), Ledger::default());
    }
}
