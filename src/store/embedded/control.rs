//! The small state that every transaction may need: kept in memory, written with what it belongs to,
//! and put back when a transaction fails.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::core::code::Code;
use crate::core::hold::{Hold, HoldScope};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;
use crate::store::StoreError;

/// Counters, clocks and holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Control {
    /// The sequence of the next job.
    pub(super) next_seq: i64,
    /// The fence of the next claim.
    pub(super) next_fence: i64,
    /// The limiter's theoretical arrival times: write, read.
    pub(super) tat_us: [i64; 2],
    /// All, creates.
    pub(super) holds: [HoldSlot; 2],
    /// How much of everything there is.
    pub(super) tally: Tally,
}

/// What is remembered of a scope's hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct HoldSlot {
    /// In force.
    pub(super) hold: Option<Hold>,
    /// The last trial or probe handed out that was not settled.
    pub(super) trial: Option<Trial>,
    /// The last hold that a trial lifted: if it comes back soon, its pauses go on growing.
    pub(super) lifted: Option<Lifted>,
    /// When the last hold of the scope ended, however it did.
    #[serde(default)]
    pub(super) ended_at: Option<UnixMs>,
}

/// A trial or probe that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// The fence of the trial's lease; none for a probe.
    pub(super) fence: Option<i64>,
    /// When another may be handed out.
    pub(super) until: UnixMs,
}

/// A hold that was lifted by a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lifted {
    pub(super) code: Code,
    pub(super) probes: u32,
    pub(super) at: UnixMs,
}

/// Exact numbers, so that nobody has to count rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) waiting: i64,
    pub(super) running: i64,
    pub(super) parked: i64,
    /// Dead jobs and unmapped records.
    pub(super) dead: i64,
    pub(super) done: i64,
    /// Lanes with anything in them.
    pub(super) lanes: i64,
    /// Persons in the directory.
    pub(super) people: i64,
}

/// Where a kind's clock is kept.
pub(super) fn slot_of(kind: CallKind) -> usize {
    match kind {
        CallKind::Write => 0,
        CallKind::Read => 1,
    }
}

const SCOPES: [HoldScope; 2] = [HoldScope::All, HoldScope::Creates];
const NAMES: [&str; 4] = ["next_seq", "next_fence", "write_tat_us", "read_tat_us"];

impl Control {
    /// Reads it from the file, and counts once what is counted along from then on.
    pub(super) fn load(db: &Connection) -> Result<Self, StoreError> {
        let mut numbers = [1, 1, 0, 0];
        for (name, number) in NAMES.iter().zip(&mut numbers) {
            let mut statement = db.prepare("SELECT value FROM control WHERE name = ?1")?;
            let mut rows = statement.query([name])?;
            if let Some(row) = rows.next()? {
                *number = row.get(0)?;
            }
        }
        let [next_seq, next_fence, write_tat_us, read_tat_us] = numbers;
        let mut holds: [HoldSlot; 2] = Default::default();
        for (scope, slot) in SCOPES.iter().zip(&mut holds) {
            let mut statement = db.prepare("SELECT slot FROM holds WHERE scope = ?1")?;
            let mut rows = statement.query([scope.as_str()])?;
            if let Some(row) = rows.next()? {
                *slot = serde_json::from_str(&row.get::<_, String>(0)?)
                    .map_err(|_| StoreError::Damaged(format!("the hold of {} does not read back", scope.as_str())))?;
            }
        }
        let tally = Tally::count(db)?;
        Ok(Self { next_seq, next_fence, tat_us: [write_tat_us, read_tat_us], holds, tally })
    }

    /// Writes what differs from `before`.
    pub(super) fn save(&self, db: &Connection, before: &Self) -> Result<(), StoreError> {
        for ((name, now), was) in NAMES.iter().zip(self.numbers()).zip(before.numbers()) {
            if now != was {
                db.prepare_cached("INSERT OR REPLACE INTO control (name, value) VALUES (?1, ?2)")?
                    .execute(params![name, now])?;
            }
        }
        for ((scope, slot), was) in SCOPES.iter().zip(&self.holds).zip(&before.holds) {
            if slot != was {
                let text = serde_json::to_string(slot).map_err(|e| StoreError::Unavailable(e.to_string()))?;
                db.prepare_cached("INSERT OR REPLACE INTO holds (scope, slot) VALUES (?1, ?2)")?
                    .execute(params![scope.as_str(), text])?;
            }
        }
        Ok(())
    }

    /// A scope's hold and what is remembered with it.
    pub(super) fn slot(&self, scope: HoldScope) -> &HoldSlot {
        match scope {
            HoldScope::All => &self.holds[0],
            HoldScope::Creates => &self.holds[1],
        }
    }

    /// The same, to change it.
    pub(super) fn slot_mut(&mut self, scope: HoldScope) -> &mut HoldSlot {
        match scope {
            HoldScope::All => &mut self.holds[0],
            HoldScope::Creates => &mut self.holds[1],
        }
    }

    fn numbers(&self) -> [i64; 4] {
        [self.next_seq, self.next_fence, self.tat_us[0], self.tat_us[1]]
    }
}

/// Writes something.
pub(super) fn ping(db: &Connection) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO control (name, value) VALUES ('pings', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
    )?
    .execute([])?;
    Ok(())
}

impl Tally {
    fn count(db: &Connection) -> Result<Self, StoreError> {
        let one = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        let mut tally = Self {
            dead: one("SELECT count(*) FROM jobs WHERE state = 'dead'")? + one("SELECT count(*) FROM unmapped")?,
            done: one("SELECT count(*) FROM jobs WHERE state = 'done'")?,
            ..Self::default()
        };
        // One pass over everybody, whatever their lane.
        let mut statement = db.prepare(
            "SELECT lane_state, count(*), sum(queued), sum(queued > 0), sum(directory IS NOT NULL)
             FROM people GROUP BY lane_state",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (lanes, queued): (i64, i64) = (row.get(1)?, row.get(2)?);
            match row.get::<_, Option<String>>(0)?.as_deref() {
                Some("leased") => (tally.running, tally.waiting) = (lanes, tally.waiting + queued - lanes),
                Some("parked") => tally.parked = queued,
                Some(_) | None => tally.waiting += queued,
            }
            tally.lanes += row.get::<_, i64>(3)?;
            tally.people += row.get::<_, i64>(4)?;
        }
        Ok(tally)
    }
}
