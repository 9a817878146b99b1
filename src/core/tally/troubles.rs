//! What is wrong with a source, by the counts of its deliveries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{OTHERS, REFUSED_TOLD_MS, RUN_MS, Seen, SourceTally};
use crate::core::time::UnixMs;

/// How long trouble is reported if nothing shows that it is over.
const TOLD_MS: u64 = 24 * 3_600_000;
/// How long trouble is reported if no later delivery can show that it is over: an hour after the last of it.
const UNPROVEN_TOLD_MS: u64 = 3_600_000;
/// How long unknown types beyond [`WORDS_MAX`] are reported, without their names. The others are reported until the
/// mapping names them.
const OTHERS_TOLD_MS: u64 = 7 * 24 * 3_600_000;
/// So many events with times that seem to be of another zone are told.
const ELSEWHERE_MIN: u64 = 3;

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

impl SourceTally {
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
