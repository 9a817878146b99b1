//! A call to the target's SCIM API, counted in the same way for workers and for operators who look.

use std::time::{Duration, Instant};

use super::activity::{ActivityLog, Call};
use super::metrics as metric;
use crate::core::activity::Happening;
use crate::core::reconcile::reply::{Outcome, Reply};
use crate::core::reconcile::request::Operation;
use crate::core::time::UnixMs;

/// A call in progress.
pub struct ScimCall {
    operation: Operation,
    began: Instant,
    under_way: Call,
}

impl ScimCall {
    /// Starts measuring a call.
    #[must_use]
    pub fn begin(activity: &ActivityLog, operation: Operation, now: UnixMs) -> Self {
        Self { operation, began: Instant::now(), under_way: activity.call(now, operation.call_kind()) }
    }

    /// Counts the call: its status, what that means, and how long it took.
    pub fn ended(self, now: UnixMs, reply: &Reply, outcome: &Outcome) -> Duration {
        let took = self.began.elapsed();
        let (happening, status) = match reply {
            Reply::Http(http) => {
                let happening =
                    if outcome.is_unreadable() { Happening::Unreadable } else { Happening::of_status(http.status) };
                (happening, http.status.to_string())
            }
            Reply::NotSent { .. } => (Happening::Unreachable, metric::STATUS_UNREACHABLE.to_owned()),
            Reply::Lost { .. } => (Happening::Unanswered, metric::STATUS_UNKNOWN.to_owned()),
        };
        match reply {
            Reply::NotSent { reason } => self.under_way.not_sent(*reason),
            Reply::Http(_) | Reply::Lost { .. } => self.under_way.ended(now, happening),
        }
        let operation = self.operation.as_str();
        metrics::histogram!(metric::SCIM_REQUEST_DURATION_SECONDS, metric::OPERATION => operation).record(took);
        metrics::counter!(metric::SCIM_REQUESTS_TOTAL, metric::OPERATION => operation, metric::STATUS => status)
            .increment(1);
        took
    }
}
