//! The result of the check: an authenticated delivery, and how a repetition of it is recognised.

use crate::core::delivery::{Delivery, Verified};

/// A delivery whose sender is proven and whose time is right, and what it is known by.
pub struct Genuine {
    /// The delivery.
    pub delivery: Verified<Delivery>,
    pub(super) id: EventId,
}

/// What makes two deliveries of a source the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventId {
    /// An id that the source vouches for.
    Given(Vec<u8>),
    /// There is none: the body itself.
    Body,
}
