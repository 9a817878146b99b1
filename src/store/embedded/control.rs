//! Small state that every transaction may need: kept in memory, written in the same transaction, and restored when
//! that fails.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::figures::unsigned;
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::tokens::Tats;
use crate::store::transfer::Marks;
use crate::store::{LaneState, Stats, StoreError, StoreOptions, Token};

/// Fences grow faster per millisecond than they are given out, so that even a restored copy of the file gives none
/// out twice.
const FENCES_A_MS: u64 = 256;

/// Progress, limiters, and exact counts, so that nobody has to count rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Control {
    /// The last place that an entry got.
    pub(super) last_seq: u64,
    /// The last fence that was given out.
    pub(super) last_fence: u64,
    /// The limiters.
    pub(super) tats: Tats,
    /// When they last changed; 0: not known.
    #[serde(default)]
    pub(super) tats_moved: i64,
    /// When expired rows were last looked for, by the wall clock; 0: not known.
    #[serde(default)]
    pub(super) tidied: i64,
    /// A counter that is written to prove that the store can be written to.
    pub(super) checks: u64,
    /// How much of everything there is.
    pub(super) tally: StoredCounts,
}

/// Counts of everything. A count of zero has no entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct StoredCounts {
    /// Lanes in each state.
    pub(super) lanes: BTreeMap<String, u64>,
    /// People with a document.
    pub(super) people: u64,
    /// Inbox entries by source.
    pub(super) entries: BTreeMap<String, u64>,
    /// Dead letters by code.
    pub(super) dead: BTreeMap<String, u64>,
    /// Dead letters by source.
    pub(super) dead_by_source: BTreeMap<String, u64>,
    /// Bytes of payloads by source.
    pub(super) dead_bytes: BTreeMap<String, u64>,
}

/// Clocks that are kept right are set back by less.
pub(super) const SET_BACK_MS: u64 = 2_000;

/// Whether the clock was set back since it showed `then`.
pub(super) fn was_set_back(then: UnixMs, now: UnixMs) -> bool {
    then > now.plus_ms(SET_BACK_MS)
}

impl Control {
    /// Reads what was saved. If it cannot be parsed, everything is counted again, and new entries get places from
    /// `place` on, beyond all earlier ones.
    pub(super) fn load(db: &Connection, place: u64) -> Result<Self, StoreError> {
        let saved: Option<String> =
            db.query_row("SELECT value FROM control", [], |row| row.get(0)).optional().unwrap_or(None);
        if let Some(control) = saved.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(control);
        }
        let mut control = Self::recount(db)?;
        if control != Self::default() {
            tracing::error!("the store's figures cannot be parsed: everything was counted again");
            control.last_seq = control.last_seq.max(place);
        }
        Ok(control)
    }

    /// Writes what changed.
    pub(super) fn save(&self, db: &Connection, before: &Self) -> Result<(), StoreError> {
        if self != before {
            let text = serde_json::to_string(self).map_err(|e| StoreError::Damaged(format!("the figures: {e}")))?;
            db.prepare_cached("INSERT OR REPLACE INTO control (id, value) VALUES (1, ?1)")?.execute([text])?;
        }
        Ok(())
    }

    /// Counts everything. The limiters start over, and progress starts at what is there.
    pub(super) fn recount(db: &Connection) -> Result<Self, StoreError> {
        let numbers = |sql: &str| -> Result<BTreeMap<String, u64>, StoreError> {
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        let number =
            |sql: &str| -> Result<u64, StoreError> { Ok(db.query_row(sql, [], |row| Ok(unsigned(row.get(0)?)))?) };
        let mut dead_bytes = numbers("SELECT source, coalesce(sum(length(payload)), 0) FROM dead GROUP BY source")?;
        dead_bytes.retain(|_, bytes| *bytes > 0);
        Ok(Self {
            last_seq: number("SELECT coalesce(max(seq), 0) FROM inbox")?,
            last_fence: number("SELECT coalesce(max(fence), 0) FROM person")?,
            tats: Tats::default(),
            tats_moved: 0,
            tidied: 0,
            checks: 0,
            tally: StoredCounts {
                lanes: numbers("SELECT state, count(*) FROM person GROUP BY state")?,
                people: number("SELECT count(*) FROM person WHERE document IS NOT NULL")?,
                entries: numbers(
                    "SELECT source, sum(inbox_count) FROM person GROUP BY source HAVING sum(inbox_count) > 0",
                )?,
                dead: numbers("SELECT code, count(*) FROM dead GROUP BY code")?,
                dead_by_source: numbers("SELECT source, count(*) FROM dead GROUP BY source")?,
                dead_bytes,
            },
        })
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    pub(super) fn next_fence(&mut self, now: UnixMs) -> u64 {
        let by_time = u64::try_from(now.0).unwrap_or(0).saturating_mul(FENCES_A_MS);
        self.last_fence = by_time.max(self.last_fence + 1);
        self.last_fence
    }

    /// Takes a token.
    pub(super) fn take_token(&mut self, options: &StoreOptions, now: UnixMs, kind: CallKind) -> Token {
        self.move_tats(now, |tats| tats.take(options, now, kind))
    }

    /// Grants no token of either kind before `until`.
    pub(super) fn back_off(&mut self, options: &StoreOptions, now: UnixMs, until: UnixMs) {
        self.move_tats(now, |tats| tats.back_off(options, until));
    }

    /// Until when tokens of at least one kind are withheld.
    pub(super) fn paused_until(&mut self, options: &StoreOptions, now: UnixMs) -> Option<UnixMs> {
        self.move_tats(now, |tats| tats.paused_until(options, now))
    }

    /// If the clock was set back since they last changed, they move along: nobody waits until it has caught up.
    fn move_tats<T>(&mut self, now: UnixMs, change: impl FnOnce(&mut Tats) -> T) -> T {
        let before = self.tats;
        if self.tats_moved != 0 && was_set_back(UnixMs(self.tats_moved), now) {
            self.tats.set_back(UnixMs(self.tats_moved).ms_since(now));
        }
        let result = change(&mut self.tats);
        if self.tats != before {
            self.tats_moved = now.0;
        }
        result
    }

    pub(super) fn marks(&self) -> Marks {
        Marks { last_seq: self.last_seq, last_fence: self.last_fence, tats: self.tats }
    }

    /// The statistics that are kept here.
    pub(super) fn stats(&self) -> Stats {
        let tally = &self.tally;
        let lanes = LaneState::ALL.into_iter().filter(|state| *state != LaneState::Idle).map(|state| {
            let word = state.as_str();
            (word.to_owned(), tally.lanes.get(word).copied().unwrap_or(0))
        });
        Stats {
            lanes: lanes.collect(),
            people: tally.people,
            entries: tally.entries.clone(),
            dead: tally.dead.clone(),
            dead_by_source: tally.dead_by_source.clone(),
            dead_bytes: tally.dead_bytes.values().sum(),
            oldest_due_at: None,
        }
    }
}
