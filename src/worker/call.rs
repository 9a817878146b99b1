//! One call to the target.

use std::time::Duration;

use super::Worker;

use crate::core::limiter::jitter_ms;
use crate::core::reconcile::reply::{Outcome, Reply};
use crate::core::reconcile::request::Request;
use crate::core::time::UnixMs;
use crate::telemetry::metrics as metric;
use crate::telemetry::scim_call::ScimCall;
use crate::telemetry::traces::Span;

/// A call that was made.
pub(super) struct Called {
    /// When its reply was read.
    pub(super) at: UnixMs,
    pub(super) reply: Reply,
    pub(super) outcome: Outcome,
}

impl Worker {
    /// Makes one call, with its span, and measures it.
    pub(super) async fn call(&self, request: &Request, sought: &[String], traced: &Span) -> Called {
        let mut span = traced.call("SCIM", request.operation().as_str());
        let call = ScimCall::begin(&self.activity, request.operation(), self.clock.now());
        let reply = self.client.send(request).await;
        let at = self.clock.now();
        let outcome = self.options.plan.target.classify(request, sought, &reply, at);
        let took = call.ended(at, &reply, &outcome);
        let margin = Duration::from_millis(jitter_ms(self.options.rate_window_ms));
        if self.pace.is_late(took, margin) {
            self.charge_again(request.operation().call_kind());
        }
        span.answered(
            reply.status(),
            match &reply {
                Reply::NotSent { .. } => metric::STATUS_UNREACHABLE,
                Reply::Http(_) | Reply::Lost { .. } => metric::STATUS_UNKNOWN,
            },
        );
        Called { at, reply, outcome }
    }
}
