//! What this process did since it last reported to the others: calls, deliveries, and work in
//! progress. `crate::admin` adds it to the document that all processes share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::activity::{Counts, Happening};
use crate::core::limiter::CallKind;
use crate::core::reconcile::no_reply::NoReply;
use crate::core::time::UnixMs;

/// Counts what happens; clones share it.
#[derive(Debug, Clone, Default)]
pub struct ActivityLog(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    calls: BTreeMap<u64, UnixMs>,
    next_call: u64,
    answered_at: Option<UnixMs>,
    unsent: Option<NoReply>,
}

/// What happened, and what is in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityDelta {
    /// What happened since the last report.
    pub counts: Counts,
    /// When the oldest open call began.
    pub calling_since: Option<UnixMs>,
    /// When the target last answered anything at all.
    pub answered_at: Option<UnixMs>,
    /// Why the last call could not be sent; none if it was.
    pub unsent: Option<NoReply>,
}

impl ActivityLog {
    /// Notes that a call begins.
    #[must_use]
    pub fn call(&self, now: UnixMs, kind: CallKind) -> Call {
        self.happened(match kind {
            CallKind::Write => Happening::Write,
            CallKind::Read => Happening::Read,
        });
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.next_call += 1;
        let number = inner.next_call;
        inner.calls.insert(number, now);
        Call { log: self.clone(), number }
    }

    /// Counts a happening.
    pub fn happened(&self, what: Happening) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.counts.entry(what).or_default() += 1;
    }

    /// Returns what happened since the last report, and starts over.
    #[must_use]
    pub fn take(&self) -> ActivityDelta {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ActivityDelta {
            counts: std::mem::take(&mut inner.counts),
            calling_since: inner.calls.values().min().copied(),
            answered_at: inner.answered_at,
            unsent: inner.unsent,
        }
    }

    /// Adds what happened elsewhere, or could not be reported before.
    pub fn add(&self, counts: &Counts) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (happening, n) in counts {
            *inner.counts.entry(*happening).or_default() += n;
        }
    }
}

/// A call in progress; one that is dropped without a result is not counted.
#[derive(Debug)]
pub struct Call {
    log: ActivityLog,
    number: u64,
}

impl Call {
    /// Notes its result: one of [`Happening::CALLS`].
    pub fn ended(self, now: UnixMs, what: Happening) {
        self.log.happened(what);
        let is_answer = !matches!(what, Happening::Unreachable | Happening::Unanswered);
        let mut inner = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.unsent = None;
        if is_answer {
            inner.answered_at = Some(now);
        }
    }

    /// Notes that it could not be sent.
    pub fn not_sent(self, why: NoReply) {
        self.log.happened(Happening::Unreachable);
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).unsent = Some(why);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).calls.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_activity_is_shown_once_and_current_activity_while_it_lasts() {
        let log = ActivityLog::default();
        let first = log.call(UnixMs(5), CallKind::Write);
        let second = log.call(UnixMs(9), CallKind::Read);
        assert_eq!(log.take().calling_since, Some(UnixMs(5)));
        first.ended(UnixMs(20), Happening::Served);
        second.ended(UnixMs(30), Happening::Unanswered);
        let taken = log.take();
        assert_eq!(taken.counts, Counts::from([(Happening::Served, 1), (Happening::Unanswered, 1)]));
        assert_eq!((taken.calling_since, taken.answered_at), (None, Some(UnixMs(20))));
        assert!(log.take().counts.is_empty());
        log.call(UnixMs(40), CallKind::Read).not_sent(NoReply::CertificateExpired);
        let unsent = log.take();
        assert_eq!(unsent.unsent, Some(NoReply::CertificateExpired));
        assert_eq!(unsent.counts[&Happening::Unreachable], 1);
        log.call(UnixMs(50), CallKind::Read).ended(UnixMs(60), Happening::Served);
        assert_eq!(log.take().unsent, None);
        log.add(&taken.counts);
        assert_eq!(log.take().counts, taken.counts);
    }
}
