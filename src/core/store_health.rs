//! The health of the store's operations: the last failure of each, and what came after it. From this alone it is
//! decided whether an operator must act, or the trouble passes on its own.
//!
//! Lives here: that decision. Not here: how it is reported (`super::problems`), and where operations are counted
//! (`crate::store::recorded`). A refusal with a reason of its own (a bound, a lost lease, somebody else's member) is
//! not a failure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::time::UnixMs;

/// How long a failure is reported, and the time over which failures are counted.
const LATELY_MS: u64 = 60_000;
/// How long damage is reported although the operation succeeds for others: a lane is tried again only when its lease
/// has run out, an unreadable one every ten minutes, and an HR system may send again only after some minutes.
const DAMAGE_MS: u64 = 15 * 60_000;
/// Damage that no operation meets again is reported for this long: lanes are tried again, and HR systems send again,
/// sooner than that.
const DAMAGE_DAY_MS: u64 = 24 * 3_600_000;
/// Damage that only a person's look-up meets is reported for this long: it may have been repaired without anybody
/// looking again.
const DAMAGE_LOOKED_MS: u64 = 3_600_000;
/// Temporary trouble is reported when it came back this often within [`LATELY_MS`]…
const RELAPSES_MAX: usize = 3;
/// …at moments at least this far apart: a failover takes some seconds, and simultaneous calls end in any order.
const RELAPSES_APART_MS: u64 = 5_000;
/// After this many failures in a row, `/readyz` fails. A single damaged person, sent again and again, must not keep
/// all others out.
const REFUSED_MIN: u64 = 5;
/// Length of the buckets in which failures are counted.
const STRETCH_MS: u64 = 5_000;

/// The store's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named like the methods of the trait `Store`")]
pub enum StoreOperation {
    Accept,
    Claim,
    Renew,
    Commit,
    Own,
    Owner,
    Release,
    Put,
    TakeToken,
    BackOff,
    PausedUntil,
    /// Whether the server's settings keep data safe.
    Settings,
    Shared,
    PutShared,
    Person,
    Story,
    People,
    Lanes,
    Search,
    Dead,
    DeadLetter,
    ReplayUnmapped,
    DiscardUnmapped,
    Erase,
    Stats,
    EndLeases,
    Tidy,
    /// Not a real operation: something damaged was skipped, so that nobody else waits for it.
    PassOver,
    /// What this version does not know.
    #[serde(other)]
    Unknown,
}

/// What suffers when an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suffers {
    /// Deliveries: they are answered 503.
    Deliveries,
    /// People: their changes do not reach the target.
    People,
    /// The people that the log names: they are skipped.
    PassedOver,
    /// Nobody yet: with the server's settings, data may be lost.
    Safety,
    /// Users who look, or the bridge's own upkeep.
    Upkeep,
}

impl StoreOperation {
    /// What suffers when it fails.
    #[must_use]
    pub fn suffers(self) -> Suffers {
        match self {
            Self::Accept => Suffers::Deliveries,
            Self::Claim
            | Self::Renew
            | Self::Commit
            | Self::Own
            | Self::Owner
            | Self::Release
            | Self::TakeToken
            | Self::BackOff => Suffers::People,
            Self::PassOver => Suffers::PassedOver,
            Self::Settings => Suffers::Safety,
            Self::Put
            | Self::PausedUntil
            | Self::Shared
            | Self::PutShared
            | Self::Person
            | Self::Story
            | Self::People
            | Self::Lanes
            | Self::Search
            | Self::Dead
            | Self::DeadLetter
            | Self::ReplayUnmapped
            | Self::DiscardUnmapped
            | Self::Erase
            | Self::Stats
            | Self::EndLeases
            | Self::Tidy
            | Self::Unknown => Suffers::Upkeep,
        }
    }
}

/// An operation that needs attention. Processes share this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingOperation {
    /// The operation.
    pub operation: StoreOperation,
    /// The text of a [`Code`], which may be one that this version does not know.
    pub code: String,
    /// When it began.
    pub since: UnixMs,
    /// How often it failed in the last minute.
    pub lately: u64,
}

/// How all operations of one process go.
#[derive(Debug, Clone, Default)]
pub struct StoreOperations(BTreeMap<StoreOperation, Failures>);

impl StoreOperations {
    /// An operation failed.
    pub fn failed(&mut self, now: UnixMs, operation: StoreOperation, code: Code) {
        let failures = self.0.entry(operation).or_insert_with(|| Failures::new(now, code));
        if failures.is_over(operation, now) {
            *failures = Failures::new(now, code);
        }
        failures.add(now, code);
    }

    /// An operation went well.
    pub fn succeeded(&mut self, operation: StoreOperation) {
        if let Some(failures) = self.0.get_mut(&operation) {
            (failures.went_well, failures.is_calm, failures.in_a_row) = (true, true, 0);
        }
    }

    /// Notes that something damaged was skipped.
    pub fn passed_over(&mut self, now: UnixMs) {
        self.failed(now, StoreOperation::PassOver, Code::StoreDamaged);
        // Everything else was done.
        self.succeeded(StoreOperation::PassOver);
    }

    /// Notes that the store can be written to: temporary trouble has passed, even if nobody has tried the same
    /// operation again.
    pub fn checked(&mut self) {
        for failures in self.0.values_mut() {
            failures.is_calm = true;
        }
    }

    /// Operations that need attention.
    #[must_use]
    pub fn failing(&self, now: UnixMs) -> Vec<FailingOperation> {
        let failing = self.0.iter().filter_map(|(operation, failures)| {
            let code = failures.reported(*operation, now)?.as_str().to_owned();
            Some(FailingOperation { operation: *operation, code, since: failures.since, lately: failures.lately(now) })
        });
        failing.collect()
    }

    /// Why deliveries cannot be stored: several in a row failed, the last one within the last minute. Once one
    /// succeeds, or none came for a while, deliveries may be sent again.
    #[must_use]
    pub fn refuses_deliveries(&self, now: UnixMs) -> Option<Code> {
        let failures = self.0.get(&StoreOperation::Accept)?;
        // A successful check proves that the store accepts deliveries again, unless it is damaged.
        let is_refused = failures.in_a_row >= REFUSED_MIN && (failures.code == Code::StoreDamaged || !failures.is_calm);
        let is_so = is_refused && now.ms_since(failures.at) < LATELY_MS;
        failures.reported(StoreOperation::Accept, now).filter(|_| is_so)
    }
}

/// An operation's failures.
#[derive(Debug, Clone)]
struct Failures {
    /// When the current series of failures began.
    since: UnixMs,
    /// When it failed last…
    at: UnixMs,
    /// …and with what.
    code: Code,
    /// Whether it succeeded since.
    went_well: bool,
    /// How often it failed since its last success.
    in_a_row: u64,
    /// Whether it succeeded since, or the store proved to be writable.
    is_calm: bool,
    /// When it last met damage.
    damaged_at: Option<UnixMs>,
    /// When the last few series of failures began.
    relapses: Vec<UnixMs>,
    /// Failures by bucket, oldest first.
    counts: Vec<(UnixMs, u64)>,
}

impl Failures {
    fn new(now: UnixMs, code: Code) -> Self {
        Self {
            since: now,
            at: now,
            code,
            went_well: false,
            in_a_row: 0,
            is_calm: true,
            damaged_at: None,
            relapses: Vec::new(),
            counts: Vec::new(),
        }
    }

    fn add(&mut self, now: UnixMs, code: Code) {
        if self.is_calm && self.relapses.last().is_none_or(|last| now.ms_since(*last) >= RELAPSES_APART_MS) {
            self.relapses.push(now);
            self.relapses.drain(..self.relapses.len().saturating_sub(RELAPSES_MAX));
        }
        (self.at, self.code, self.went_well, self.is_calm) = (now, code, false, false);
        self.in_a_row = self.in_a_row.saturating_add(1);
        if code == Code::StoreDamaged {
            self.damaged_at = Some(now);
        }
        self.counts.retain(|(from, _)| now.ms_since(*from) < LATELY_MS);
        match self.counts.last_mut() {
            Some((from, n)) if now.ms_since(*from) < STRETCH_MS => *n += 1,
            Some(_) | None => self.counts.push((now, 1)),
        }
    }

    fn lately(&self, now: UnixMs) -> u64 {
        self.counts.iter().filter(|(from, _)| now.ms_since(*from) < LATELY_MS).map(|(_, n)| n).sum()
    }

    /// Whether the next failure has nothing to do with this one.
    fn is_over(&self, operation: StoreOperation, now: UnixMs) -> bool {
        self.is_calm && now.ms_since(self.at) >= LATELY_MS && self.damage(operation, now).is_none()
    }

    /// Damage does not heal by itself. It counts as repaired if the operation has succeeded again for a while, or if
    /// nobody has met it for so long that somebody would have.
    fn damage(&self, operation: StoreOperation, now: UnixMs) -> Option<Code> {
        let shown_ms = match operation.suffers() {
            _ if self.went_well => DAMAGE_MS,
            Suffers::Deliveries | Suffers::People | Suffers::PassedOver => DAMAGE_DAY_MS,
            Suffers::Safety | Suffers::Upkeep => DAMAGE_LOOKED_MS,
        };
        (now.ms_since(self.damaged_at?) < shown_ms).then_some(Code::StoreDamaged)
    }

    fn reported(&self, operation: StoreOperation, now: UnixMs) -> Option<Code> {
        if let Some(damage) = self.damage(operation, now) {
            return Some(damage);
        }
        let is_reported = if now.ms_since(self.at) >= LATELY_MS {
            false
        } else if is_brief(self.code) {
            let lately = self.relapses.iter().filter(|at| now.ms_since(**at) < LATELY_MS).count();
            lately >= RELAPSES_MAX
        } else {
            // A delivery that was put off is reported, although others were accepted.
            !self.went_well || operation == StoreOperation::Accept
        };
        is_reported.then_some(self.code)
    }
}

/// What a failover, a restart or a busy server causes for some seconds. While it lasts, every operation fails, and
/// the check of the whole store reports it.
fn is_brief(code: Code) -> bool {
    matches!(
        code,
        Code::StoreUnreachable
            | Code::StoreTimeout
            | Code::StoreLost
            | Code::StoreReadOnly
            | Code::StoreNoPrimary
            | Code::StoreResharding
            | Code::StoreLoading
            | Code::StoreBusy
            | Code::StoreClients
            | Code::StoreReplicas
            | Code::StoreNotDurable
    )
}

#[cfg(test)]
mod tests {
    use super::StoreOperation::{Accept, Commit, Own, Stats};
    use super::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn at(seconds: u64) -> UnixMs {
        NOW.plus_ms(seconds * 1_000)
    }

    fn reported(operations: &StoreOperations, seconds: u64) -> Vec<(StoreOperation, String, u64)> {
        let failing = operations.failing(at(seconds)).into_iter();
        failing.map(|failing| (failing.operation, failing.code, failing.lately)).collect()
    }

    #[test]
    fn damage_is_reported_until_the_operation_has_succeeded_for_a_while() {
        let mut operations = StoreOperations::default();
        operations.failed(at(0), Own, Code::StoreDamaged);
        operations.checked();
        let damaged = |lately| vec![(Own, "STORE-DAMAGED".to_owned(), lately)];
        assert_eq!(reported(&operations, 0), damaged(1));
        // Nobody asked again: it is as damaged as before.
        assert_eq!(reported(&operations, 86_399), damaged(0));
        operations.succeeded(Own);
        assert_eq!(reported(&operations, 899), damaged(0), "the rows of others can be read; this one perhaps not");
        assert_eq!(reported(&operations, 900), []);
        // A failure after a long silence begins a new series.
        operations.failed(at(4_000), Own, Code::StoreDamaged);
        assert_eq!(operations.failing(at(4_001))[0].since, at(4_000));
    }

    #[test]
    fn damage_that_is_not_met_again_is_not_reported_for_ever() {
        for (operation, seconds) in [(Own, 86_400), (StoreOperation::Story, 3_600), (StoreOperation::Erase, 3_600)] {
            let mut operations = StoreOperations::default();
            operations.failed(at(0), operation, Code::StoreDamaged);
            operations.checked();
            assert_eq!(reported(&operations, seconds - 1).len(), 1, "{operation:?}");
            assert_eq!(reported(&operations, seconds), [], "{operation:?}");
            operations.failed(at(seconds + 9), operation, Code::StoreDamaged);
            assert_eq!(operations.failing(at(seconds + 9))[0].since, at(seconds + 9), "{operation:?}: met again");
        }
    }

    #[test]
    fn skipped_damage_is_reported_until_it_has_not_been_met_for_a_while() {
        let mut operations = StoreOperations::default();
        for minutes in [0, 10, 20] {
            operations.passed_over(at(minutes * 60));
        }
        assert_eq!(reported(&operations, 34 * 60), [(StoreOperation::PassOver, "STORE-DAMAGED".to_owned(), 0)]);
        assert_eq!(operations.failing(at(1_200))[0].since, at(0));
        assert_eq!(reported(&operations, 35 * 60), []);
    }

    #[test]
    fn an_outage_does_not_hide_damage() {
        let mut operations = StoreOperations::default();
        operations.failed(at(0), Commit, Code::StoreDamaged);
        operations.failed(at(5), Commit, Code::StoreLost);
        operations.succeeded(Commit);
        assert_eq!(reported(&operations, 6)[0].1, "STORE-DAMAGED");
    }

    #[test]
    fn a_delivery_that_was_put_off_is_reported_for_a_minute_although_others_were_accepted() {
        let mut operations = StoreOperations::default();
        for second in [0, 1, 2, 30] {
            operations.failed(at(second), Accept, Code::StoreUnwritable);
        }
        operations.succeeded(Accept);
        operations.failed(at(31), Stats, Code::StoreUnwritable);
        operations.succeeded(Stats);
        assert_eq!(reported(&operations, 32), [(Accept, "STORE-UNWRITABLE".to_owned(), 4)]);
        assert_eq!(reported(&operations, 61), [(Accept, "STORE-UNWRITABLE".to_owned(), 1)]);
        assert_eq!(reported(&operations, 90), []);
    }

    #[test]
    fn a_failure_of_an_operation_that_is_not_called_again_is_forgotten_after_a_minute() {
        let mut operations = StoreOperations::default();
        operations.failed(at(0), Stats, Code::StoreMemory);
        assert_eq!(reported(&operations, 59).len(), 1);
        assert_eq!(reported(&operations, 60), []);
    }

    #[test]
    fn a_failover_of_some_seconds_is_not_reported_but_repeated_ones_are() {
        let mut operations = StoreOperations::default();
        for second in 0..20 {
            operations.failed(at(second), Accept, Code::StoreLost);
            // A few calls succeed in between.
            if second % 7 == 0 {
                operations.succeeded(Accept);
            }
        }
        let mut once = StoreOperations::default();
        for second in 0..20 {
            once.failed(at(second), Accept, Code::StoreReadOnly);
        }
        assert_eq!(reported(&once, 20), [], "the check reports it while it lasts");
        once.checked();
        assert_eq!((reported(&once, 21), once.refuses_deliveries(at(21))), (vec![], None));
        assert_eq!(reported(&operations, 20), [(Accept, "STORE-LOST".to_owned(), 20)]);
        operations.succeeded(Accept);
        assert_eq!(reported(&operations, 80), []);
    }

    #[test]
    fn a_process_that_fails_to_store_several_deliveries_is_not_ready_for_a_minute_or_until_one_is_stored() {
        let mut operations = StoreOperations::default();
        assert_eq!(operations.refuses_deliveries(at(0)), None);
        for _ in 1..REFUSED_MIN {
            operations.failed(at(0), Accept, Code::StoreDamaged);
        }
        assert_eq!(operations.refuses_deliveries(at(0)), None, "it may be one person's entry");
        operations.failed(at(0), Accept, Code::StoreDamaged);
        operations.checked();
        assert_eq!(operations.refuses_deliveries(at(59)), Some(Code::StoreDamaged));
        assert_eq!(operations.refuses_deliveries(at(60)), None, "it may be tried again; `status` still reports it");
        assert_eq!(operations.failing(at(60)).len(), 1);
        operations.failed(at(61), Accept, Code::StoreDamaged);
        assert_eq!(operations.refuses_deliveries(at(61)), Some(Code::StoreDamaged));
        operations.succeeded(Accept);
        assert_eq!(operations.refuses_deliveries(at(62)), None);
        operations.failed(at(62), Accept, Code::StoreDamaged);
        assert_eq!(operations.refuses_deliveries(at(62)), None, "others are stored");
        operations.failed(at(63), Commit, Code::StoreDamaged);
        assert_eq!(operations.refuses_deliveries(at(63)), None);
    }
}
