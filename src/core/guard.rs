//! The guard: how many people may be switched off, or be given another address, in a window, before an
//! operator is asked. One small document that all workers share; every change is a pure function of it.
//!
//! For example, a wrong roster says that hundreds have left. What the window still allows goes through; the rest
//! waits in a hold until an operator allows a number.

use serde::{Deserialize, Serialize};

use super::clock_watch::TimeRange;
use super::hold::HoldScope;
use super::person::PersonId;
use super::time::UnixMs;

/// How many steps a window has: what went through is dropped at most a step late.
const STEPS: u64 = 24;
/// How many people who went through are remembered, so that a repeated attempt is not counted again. Far more than
/// all workers have in progress at once.
const REMEMBERED_MAX: usize = 128;
/// For how long: longer than the pauses between attempts, and any lease.
const REMEMBERED_MS: u64 = 3_600_000;
/// Synchronised clocks of processes differ by less, so a later date comes from a wrong clock.
const AHEAD_MS: u64 = 600_000;

/// What the guard lets through without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardOptions {
    /// People switched off in a window.
    pub leaves_max: u64,
    /// People switched off in a window, in percent of the people known; the larger of the two counts.
    pub leaves_percent: u64,
    /// Addresses changed in a window.
    pub address_changes_max: u64,
    /// The window, in milliseconds.
    pub window_ms: u64,
}

impl GuardOptions {
    /// How many people may leave in a window, out of this many.
    #[must_use]
    pub fn leaves_at_once(self, people_known: u64) -> u64 {
        self.leaves_max.max(people_known.saturating_mul(self.leaves_percent) / 100)
    }

    fn max(self, scope: &HoldScope, people_known: u64) -> u64 {
        match scope {
            HoldScope::Deactivations => self.leaves_at_once(people_known),
            HoldScope::Addresses => self.address_changes_max,
            HoldScope::All | HoldScope::Creates | HoldScope::Writes | HoldScope::Fetch(_) => u64::MAX,
        }
    }
}

/// A request to let a person through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Whose change it is.
    pub person: PersonId,
    /// Whether the scope is held: then only what an operator allowed goes through.
    pub is_held: bool,
    /// How many people the store knows.
    pub people_known: u64,
}

/// What went through recently, and what an operator allows beyond that.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Guard {
    /// People switched off.
    pub leaves: Passed,
    /// Addresses changed.
    pub addresses: Passed,
}

/// What went through of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Passed {
    /// How many went through in each step of the window, oldest first.
    steps: Vec<(UnixMs, u64)>,
    /// How many more an operator lets through.
    allowed: u64,
    /// Until when: what was allowed for today's leaves must not let through next month's.
    allowed_until: UnixMs,
    /// Who went through recently, and when.
    recent: Vec<(u64, UnixMs)>,
}

impl Guard {
    /// Whether this person's change may be made now; if so, it is counted. Repeated for the same person, it counts
    /// once. If the clock leaps, whatever may still be in the window counts.
    pub fn may(&mut self, now: impl Into<TimeRange>, scope: &HoldScope, who: Passage, options: GuardOptions) -> bool {
        let now = now.into();
        let max = options.max(scope, who.people_known);
        let Some(passed) = self.of(scope) else { return true };
        passed.forget(now, options.window_ms);
        if passed.recent.iter().any(|(person, _)| *person == who.person.0) {
            return true;
        }
        if !who.is_held && passed.in_window() < max {
            passed.count(now.latest, options.window_ms);
        } else if passed.allowed > 0 {
            passed.allowed -= 1;
        } else {
            return false;
        }
        if passed.recent.len() >= REMEMBERED_MAX {
            passed.recent.remove(0);
        }
        passed.recent.push((who.person.0, now.latest));
        true
    }

    /// Lets `n` more through, within the next window.
    pub fn allow(&mut self, now: UnixMs, scope: &HoldScope, n: u64, options: GuardOptions) {
        if let Some(passed) = self.of(scope) {
            let left = if passed.allowed_until > now { passed.allowed } else { 0 };
            passed.allowed = left.saturating_add(n);
            passed.allowed_until = now.plus_ms(options.window_ms);
        }
    }

    /// How many more an operator lets through.
    #[must_use]
    pub fn allowed(&self, now: UnixMs, scope: &HoldScope) -> u64 {
        let passed = match scope {
            HoldScope::Deactivations => &self.leaves,
            HoldScope::Addresses => &self.addresses,
            HoldScope::All | HoldScope::Creates | HoldScope::Writes | HoldScope::Fetch(_) => return 0,
        };
        if passed.allowed_until > now { passed.allowed } else { 0 }
    }

    fn of(&mut self, scope: &HoldScope) -> Option<&mut Passed> {
        match scope {
            HoldScope::Deactivations => Some(&mut self.leaves),
            HoldScope::Addresses => Some(&mut self.addresses),
            HoldScope::All | HoldScope::Creates | HoldScope::Writes | HoldScope::Fetch(_) => None,
        }
    }
}

impl Passed {
    fn in_window(&self) -> u64 {
        self.steps.iter().map(|(_, n)| n).sum()
    }

    fn forget(&mut self, now: TimeRange, window_ms: u64) {
        let TimeRange { earliest, latest } = now;
        // Entries dated by a clock that was ahead count as let through now: otherwise they would count until that date.
        let ahead = latest.plus_ms(AHEAD_MS);
        let dates = self.steps.iter_mut().map(|(at, _)| at).chain(self.recent.iter_mut().map(|(_, at)| at));
        for at in dates.filter(|at| **at > ahead) {
            *at = latest;
        }
        self.allowed_until = self.allowed_until.min(ahead.plus_ms(window_ms));
        let step_ms = step_ms(window_ms);
        self.steps.retain(|(at, _)| earliest.ms_since(*at) < window_ms.saturating_add(step_ms));
        self.recent.retain(|(_, at)| earliest.ms_since(*at) < REMEMBERED_MS.min(window_ms));
        if self.allowed_until <= earliest {
            self.allowed = 0;
        }
    }

    fn count(&mut self, now: UnixMs, window_ms: u64) {
        match self.steps.last_mut() {
            Some((at, n)) if now.ms_since(*at) < step_ms(window_ms) => *n += 1,
            Some(_) | None => self.steps.push((now, 1)),
        }
    }
}

fn step_ms(window_ms: u64) -> u64 {
    (window_ms / STEPS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const OPTIONS: GuardOptions =
        GuardOptions { leaves_max: 5, leaves_percent: 10, address_changes_max: 3, window_ms: 24 * HOUR_MS };
    const LEAVES: HoldScope = HoldScope::Deactivations;

    fn who(n: u64, is_held: bool) -> Passage {
        Passage { person: PersonId(n), is_held, people_known: 30 }
    }

    #[test]
    fn a_window_allows_its_bound_and_an_operator_may_allow_more() {
        let mut guard = Guard::default();
        let count = |guard: &mut Guard, people: std::ops::Range<u64>, is_held: bool| {
            people.filter(|n| guard.may(UnixMs(0), &LEAVES, who(*n, is_held), OPTIONS)).count()
        };
        assert_eq!(count(&mut guard, 0..30, false), 5);
        guard.allow(UnixMs(0), &LEAVES, 10, OPTIONS);
        assert_eq!(guard.allowed(UnixMs(0), &LEAVES), 10);
        assert_eq!(count(&mut guard, 5..30, true), 10);
        assert_eq!(count(&mut guard, 15..30, true), 0);
    }

    #[test]
    fn the_larger_of_count_and_share_binds() {
        let mut guard = Guard::default();
        let crowd = |n| Passage { people_known: 1_000, ..who(n, false) };
        let through = (0..200).filter(|n| guard.may(UnixMs(0), &LEAVES, crowd(*n), OPTIONS)).count();
        assert_eq!(through, 100);
    }

    #[test]
    fn a_repeated_attempt_is_counted_once() {
        let mut guard = Guard::default();
        assert!((0..20).all(|_| guard.may(UnixMs(0), &LEAVES, who(1, false), OPTIONS)));
        assert!((2..6).all(|n| guard.may(UnixMs(0), &LEAVES, who(n, false), OPTIONS)));
        assert!(!guard.may(UnixMs(0), &LEAVES, who(6, false), OPTIONS));
    }

    #[test]
    fn a_hold_waits_for_an_operator_even_after_its_window_has_passed() {
        let mut guard = Guard::default();
        for n in 0..5 {
            assert!(guard.may(UnixMs(0), &LEAVES, who(n, false), OPTIONS));
        }
        let next_day = UnixMs(0).plus_ms(25 * HOUR_MS);
        assert!(!guard.may(next_day, &LEAVES, who(7, true), OPTIONS));
        assert!(guard.may(next_day, &LEAVES, who(7, false), OPTIONS));
    }

    #[test]
    fn a_clock_leap_neither_opens_a_window_nor_shuts_one_for_ever() {
        let through = |guard: &mut Guard, now: TimeRange, people: std::ops::Range<u64>| {
            people.filter(|n| guard.may(now, &LEAVES, who(*n, false), OPTIONS)).count()
        };
        let year = UnixMs(0).plus_ms(365 * 24 * HOUR_MS);
        let unsure = TimeRange { earliest: UnixMs(0).plus_ms(1_000), latest: year };
        let mut guard = Guard::default();
        assert_eq!(through(&mut guard, UnixMs(0).into(), 0..3), 3);
        assert_eq!(through(&mut guard, unsure, 3..9), 2, "what went through before the leap still counts");
        // The clock is right again: it counts as of now, for one window and no longer.
        let soon = UnixMs(0).plus_ms(60_000);
        assert_eq!(through(&mut guard, soon.into(), 9..20), 0);
        guard.allow(year, &LEAVES, 2, OPTIONS);
        assert!(guard.may(soon, &LEAVES, who(30, true), OPTIONS));
        assert_eq!(through(&mut guard, soon.plus_ms(26 * HOUR_MS).into(), 40..60), 5);
        assert!(!guard.may(soon.plus_ms(26 * HOUR_MS), &LEAVES, who(31, true), OPTIONS), "it has lapsed");
    }

    #[test]
    fn an_allowance_lapses_with_its_window() {
        let mut guard = Guard::default();
        guard.allow(UnixMs(0), &LEAVES, 10, OPTIONS);
        let later = UnixMs(0).plus_ms(25 * HOUR_MS);
        assert_eq!(guard.allowed(later, &LEAVES), 0);
        assert!(!guard.may(later, &LEAVES, who(1, true), OPTIONS));
    }

    #[test]
    fn addresses_are_counted_separately_and_other_scopes_are_not_guarded() {
        let mut guard = Guard::default();
        let through = (0..9).filter(|n| guard.may(UnixMs(0), &HoldScope::Addresses, who(*n, false), OPTIONS)).count();
        assert_eq!(through, 3);
        assert!(guard.may(UnixMs(0), &LEAVES, who(1, false), OPTIONS));
        assert!(guard.may(UnixMs(0), &HoldScope::All, who(1, true), OPTIONS));
    }

    #[test]
    fn the_document_stays_small() {
        let mut guard = Guard::default();
        let wide = GuardOptions { leaves_max: u64::MAX, ..OPTIONS };
        for n in 0..5_000 {
            guard.may(UnixMs(0).plus_ms(n * 60_000), &LEAVES, who(n, false), wide);
        }
        assert!(serde_json::to_vec(&guard).unwrap().len() < 6_000);
    }
}
