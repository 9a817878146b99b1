//! The current time, in both forms that limits and members need.

use crate::core::time::UnixMs;

/// An instant: by the wall clock, and in microseconds since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: UnixMs,
    pub(super) at_us: u64,
}
