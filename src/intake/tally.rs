//! Counts the result of each delivery: once, however it ends.

use std::sync::OnceLock;
use std::time::Instant;

use metrics::{Counter, Histogram};

use crate::core::person::SourceName;
use crate::core::signature::Refusal;
use crate::telemetry::metrics::{
    DELIVERIES_TOTAL, DeliveryResult, INTAKE_DURATION_SECONDS, REASON, RESULT, SIGNATURE_FAILURES_TOTAL, SOURCE,
    UNKNOWN_SOURCE,
};

/// A source's counters: looked up once, since a look-up costs more than the count.
pub(super) struct Counters {
    source: String,
    results: [OnceLock<Counter>; DeliveryResult::ALL.len()],
    duration: OnceLock<Histogram>,
}

impl Counters {
    pub(super) fn of(source: &SourceName) -> Self {
        Self::named(source.as_str())
    }

    /// For deliveries to sources that are not configured: a stranger must not choose labels.
    pub(super) fn of_unknown_sources() -> Self {
        Self::named(UNKNOWN_SOURCE)
    }

    fn named(source: &str) -> Self {
        Self { source: source.to_owned(), results: [const { OnceLock::new() }; _], duration: OnceLock::new() }
    }

    /// Counts a signature that was refused.
    pub(super) fn refused(&self, refusal: Refusal) {
        metrics::counter!(SIGNATURE_FAILURES_TOTAL, SOURCE => self.source.clone(), REASON => refusal.reason())
            .increment(1);
    }

    fn count(&self, result: DeliveryResult, seconds: f64) {
        let make = || metrics::counter!(DELIVERIES_TOTAL, SOURCE => self.source.clone(), RESULT => result.as_str());
        if let Some(counter) = self.results.get(result as usize) {
            counter.get_or_init(make).increment(1);
        }
        self.duration.get_or_init(|| metrics::histogram!(INTAKE_DURATION_SECONDS)).record(seconds);
    }
}

/// A delivery in progress. If it is dropped without a result, its sender hung up.
pub(super) struct OpenDelivery<'c> {
    counters: &'c Counters,
    result: DeliveryResult,
    since: Instant,
}

impl<'c> OpenDelivery<'c> {
    pub(super) fn start(counters: &'c Counters) -> Self {
        Self { counters, result: DeliveryResult::HungUp, since: Instant::now() }
    }

    pub(super) fn ends(&mut self, result: DeliveryResult) {
        self.result = result;
    }
}

impl Drop for OpenDelivery<'_> {
    fn drop(&mut self) {
        self.counters.count(self.result, self.since.elapsed().as_secs_f64());
    }
}
