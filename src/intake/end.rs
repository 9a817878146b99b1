//! How a delivery ends, and its entry in the list of the last deliveries.

use super::answer::{Refusal, Response};
use crate::core::deliveries::{self, Answered};
use crate::core::person::job::JobId;
use crate::telemetry::metrics::DeliveryResult;

/// How a delivery ends: what is counted, answered and listed.
pub(super) struct End {
    pub(super) result: DeliveryResult,
    pub(super) answer: Response,
    pub(super) listed: DeliveryEntry,
}

impl End {
    pub(super) fn new(result: DeliveryResult, answer: Response) -> Self {
        Self { result, answer, listed: DeliveryEntry::default() }
    }

    /// Refused, for this reason.
    pub(super) fn refused(result: DeliveryResult, refusal: Refusal, reason: &'static str) -> Self {
        Self {
            listed: DeliveryEntry { reason: Some(reason), ..DeliveryEntry::default() },
            ..Self::new(result, refusal.answer())
        }
    }

    /// The store, or this process, cannot take it now.
    pub(super) fn unavailable(retry_after_s: u64) -> Self {
        let refusal = Refusal::Unavailable { retry_after_s };
        Self::refused(DeliveryResult::Unavailable, refusal, refusal.word())
    }
}

/// A delivery's entry in the list of the last deliveries.
#[derive(Default)]
pub(super) struct DeliveryEntry {
    pub(super) reason: Option<&'static str>,
    pub(super) event_id: Option<String>,
    pub(super) types: Vec<String>,
    pub(super) jobs: Vec<JobId>,
    pub(super) jobs_all: usize,
}

impl DeliveryEntry {
    /// Adds a type that the delivery contains, once.
    pub(super) fn add_type(&mut self, name: &str) {
        if self.types.len() >= deliveries::WORDS_MAX || self.types.iter().any(|known| known == name) {
            return;
        }
        let shown = deliveries::shown(name);
        if !self.types.contains(&shown) {
            self.types.push(shown);
        }
    }

    pub(super) fn jobs(&mut self, ids: &[JobId]) {
        self.jobs = ids.iter().copied().take(deliveries::JOBS_MAX).collect();
        self.jobs_all = ids.len();
    }
}

/// How the list of the last deliveries names a result.
pub(super) fn answered(result: DeliveryResult) -> Answered {
    match result {
        DeliveryResult::Accepted => Answered::Accepted,
        DeliveryResult::Duplicate => Answered::Duplicate,
        DeliveryResult::Ignored => Answered::Ignored,
        DeliveryResult::Unmapped => Answered::Unmapped,
        DeliveryResult::Handshake => Answered::Handshake,
        DeliveryResult::Full | DeliveryResult::Unavailable | DeliveryResult::Stopping => Answered::PutOff,
        DeliveryResult::Forged
        | DeliveryResult::ShutOut
        | DeliveryResult::UnknownSource
        | DeliveryResult::BadRequest
        | DeliveryResult::TimedOut
        | DeliveryResult::HungUp
        | DeliveryResult::TooLarge => Answered::Refused,
    }
}
