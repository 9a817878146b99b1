//! The time, as limits and members need it.

use crate::core::time::UnixMs;

/// An instant, on the wall and since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: UnixMs,
    pub(super) at_us: u64,
}
