//! The one place where time and chance come from. Everything else takes them as values.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
    /// A clock that stands until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now` until it is moved.
    #[must_use]
    pub fn manual(now: UnixMs) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.0)))
    }

    /// The present.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the others get it from")]
    pub fn now(&self) -> UnixMs {
        match self {
            Self::System => UnixMs(jiff::Timestamp::now().as_millisecond()),
            Self::Manual(at) => UnixMs(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the system's does not move.
    pub fn advance_ms(&self, ms: u64) {
        if let Self::Manual(at) = self {
            at.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

/// What leases are measured by.
#[derive(Debug, Clone)]
pub enum LeaseClock {
    /// The instants that callers give: for tests, which move them by hand.
    Caller,
    /// A clock that goes on evenly, whatever becomes of the wall's: one that is set back or ahead neither
    /// prolongs a lease nor ends it.
    Steady {
        /// When it began, by itself.
        started: Instant,
        /// When it began, by the wall's clock.
        at: UnixMs,
    },
}

impl LeaseClock {
    /// A clock that goes on evenly from the present.
    #[must_use]
    pub fn steady() -> Self {
        Self::Steady { started: Instant::now(), at: Clock::System.now() }
    }

    /// The instant to measure by, where the caller says that it is `now`.
    #[must_use]
    pub fn at(&self, now: UnixMs) -> UnixMs {
        match self {
            Self::Caller => now,
            Self::Steady { started, at } => {
                at.plus_ms(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
            }
        }
    }
}

/// A new job id about this person, time-ordered.
#[must_use]
pub fn new_job_id(person: PersonId) -> JobId {
    JobId::about(uuid::Uuid::now_v7().as_u128(), person)
}

/// A random share in `[0, 1)`, for jitter.
#[must_use]
pub fn jitter() -> f64 {
    fastrand::f64()
}

/// A new token that nobody can guess: 244 random bits in hex.
#[must_use]
pub fn new_token() -> String {
    // Version 4 takes its 122 bits from the operating system.
    let half = || uuid::Uuid::new_v4().simple().to_string();
    half() + &half()
}
