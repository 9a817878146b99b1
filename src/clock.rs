//! The one place where time and chance come from. Everything else takes them as values.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::core::person::PersonId;
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;

/// Where `now` comes from: the system, or a test that moves it by hand.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's wall clock.
    #[default]
    System,
    /// A clock that stands still until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `now` until it is moved.
    #[must_use]
    pub fn manual(now: UnixMs) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.0)))
    }

    /// The current time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the others get it from")]
    pub fn now(&self) -> UnixMs {
        match self {
            Self::System => UnixMs(jiff::Timestamp::now().as_millisecond()),
            Self::Manual(at) => UnixMs(at.load(Ordering::SeqCst)),
        }
    }

    /// Milliseconds since some fixed moment, by a clock that nobody can set: for leases and other spans.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        match self {
            Self::System => {
                static START: OnceLock<Instant> = OnceLock::new();
                u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
            }
            Self::Manual(at) => u64::try_from(at.load(Ordering::SeqCst)).unwrap_or_default(),
        }
    }

    /// Sets a manual clock, back or ahead; the system's stays.
    pub fn set(&self, now: UnixMs) {
        if let Self::Manual(at) = self {
            at.store(now.0, Ordering::SeqCst);
        }
    }

    /// Moves a manual clock forward; the system's does not move.
    pub fn advance_ms(&self, ms: u64) {
        if let Self::Manual(at) = self {
            at.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

/// What leases and the limiter are measured by.
#[derive(Debug, Clone)]
pub enum LeaseClock {
    /// The instants that callers give: for tests, which move them by hand.
    Caller,
    /// A clock that runs evenly, whatever happens to the wall clock: setting that back or ahead neither extends a
    /// lease nor ends it.
    Steady {
        /// When it started, by its own count.
        started: Instant,
        /// When it began, by the wall clock.
        at: UnixMs,
    },
}

impl LeaseClock {
    /// A clock that runs evenly from now on.
    #[must_use]
    pub fn steady() -> Self {
        Self::Steady { started: Instant::now(), at: Clock::System.now() }
    }

    /// How long it has run; 0 where callers give the instants.
    #[must_use]
    pub fn running_ms(&self) -> u64 {
        match self {
            Self::Caller => 0,
            Self::Steady { started, .. } => u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The instant to measure by, where the caller says that it is `now`.
    #[must_use]
    pub fn at(&self, now: UnixMs) -> UnixMs {
        match self {
            Self::Caller => now,
            Self::Steady { at, .. } => at.plus_ms(self.running_ms()),
        }
    }
}

/// The last id's milliseconds and, below them, its 12 bits of order.
static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// A new job id about this person, time-ordered: never one that this process gave out before. Two
/// processes that make one about the same person in the same millisecond differ in 12 random bits.
#[must_use]
pub fn new_job_id(person: PersonId) -> JobId {
    const ORDER_BITS: u32 = 12;
    let now_ms = u64::try_from(Clock::System.now().0).unwrap_or_default();
    let fresh = (now_ms << ORDER_BITS) | fastrand::u64(0..1 << ORDER_BITS);
    let next = |last: u64| fresh.max(last + 1);
    let last = LAST_ID.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last))).unwrap_or_default();
    let (ms, order) = (next(last) >> ORDER_BITS, next(last) & ((1 << ORDER_BITS) - 1));
    // RFC 9562 §5.7: 48 bits of time, the version, 12 bits of order, the variant; the rest is the person.
    let uuid = (u128::from(ms) << 80) | (7 << 76) | (u128::from(order) << 64) | (0b10 << 62);
    JobId::about(uuid, person)
}

/// A name that no other has, in this process or another.
#[must_use]
pub fn new_name() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// What a request is called in its answer, in log lines and in lists: 16 hex digits.
#[must_use]
pub fn new_request_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// A number that no other has.
#[must_use]
pub fn new_id() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}

/// A random share in `[0, 1)`, for jitter.
#[must_use]
pub fn jitter() -> f64 {
    fastrand::f64()
}

/// A random span below `ms`.
#[must_use]
pub fn jittered(ms: u64) -> u64 {
    fastrand::u64(..ms.max(1))
}

/// A new token that nobody can guess: 244 random bits in hex.
#[must_use]
pub fn new_token() -> String {
    // Version 4 takes its 122 bits from the operating system.
    let half = || uuid::Uuid::new_v4().simple().to_string();
    half() + &half()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_one_person_are_never_the_same_and_are_in_order() {
        let ids: Vec<_> = (0..20_000).map(|_| new_job_id(PersonId(7))).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.person() == PersonId(7)));
        assert_eq!(uuid::Uuid::from_u128(ids[0].0).get_version_num(), 7);
    }
}
