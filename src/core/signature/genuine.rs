//! The result of the check: an authenticated delivery, and how a repetition of it is recognised.

use crate::core::delivery::{Delivery, Verified};

/// A delivery whose sender and time have been verified, with its identity.
pub struct Genuine {
    /// The delivery.
    pub delivery: Verified<Delivery>,
    pub(super) id: EventId,
}

/// What makes two deliveries of a source the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventId {
    /// An id that the source has signed.
    Given(Vec<u8>),
    /// There is no id: the body itself.
    Body,
}
