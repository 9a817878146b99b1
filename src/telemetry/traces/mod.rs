//! Traces: one span for each genuine delivery, for each attempt at bringing a person in sync, and for each call that it
//! makes. They are sent over OTLP/HTTP to the configured endpoint. Without an endpoint, or without the cargo feature
//! `otlp`, no spans are made.
//!
//! A delivery's context is kept with its events ([`TraceContext`]) and is the parent of the attempt that they lead
//! to, whichever process makes it; the contexts of further events that the attempt folds are its links. Spans have
//! identifiers, codes, statuses and durations: no name, no address, no body, no secret. No context is sent on to the
//! target or to an HR system.

#[cfg(feature = "otlp")]
#[path = "otlp.rs"]
mod recorder;
#[cfg(not(feature = "otlp"))]
#[path = "without.rs"]
mod recorder;

use std::time::Duration;

use crate::core::person::Person;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;

/// How many further events of an attempt are linked at most; the newest are.
const LINKS_MAX: usize = 32;

/// Where traces are sent, and by which service.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// The whole URL, such as `http://collector:4318/v1/traces`.
    pub endpoint: String,
    /// `service.name`
    pub service: String,
    /// This process's own id: `service.instance.id`.
    pub instance: String,
    /// What this process does: `scim_bridge.role`.
    pub role: &'static str,
}

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TraceError(String);

/// Makes spans; clones share what sends them.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<recorder::Recorder>);

impl Traces {
    /// Makes spans from now on, which [`Traces::send`] sends.
    ///
    /// # Errors
    /// The endpoint, or a variable that OpenTelemetry reads, cannot be used; or the feature is off.
    pub fn start(options: TraceOptions) -> Result<Self, TraceError> {
        recorder::Recorder::start(options).map(|recorder| Self(Some(recorder)))
    }

    /// Whether spans are made.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// A genuine delivery from a source, which began to arrive at `began`, under the sender's own span if it sent
    /// one.
    #[must_use]
    pub fn delivery(&self, source: &str, sender: Option<TraceContext>, began: UnixMs) -> Span {
        let span = self.0.as_ref().map(|recorder| recorder.delivery(sender, began));
        let mut span = Span(span.map(Box::new));
        span.text("http.request.method", "POST");
        span.text("http.route", "/webhooks/{source}");
        span.text("scim_bridge.source", source);
        span
    }

    /// An attempt for a person, on behalf of these deliveries, the newest last: its parent is the newest.
    #[must_use]
    pub fn attempt(&self, person: &Person, deliveries: &[TraceContext]) -> Span {
        let span = self.0.as_ref().map(|recorder| {
            let (newest, others) = deliveries.split_last().map_or((None, deliveries), |(last, all)| (Some(*last), all));
            recorder.attempt(newest, &others[others.len().saturating_sub(LINKS_MAX)..])
        });
        let mut span = Span(span.map(Box::new));
        span.text("scim_bridge.source", person.source.as_str());
        span.text_of("scim_bridge.person", person);
        span
    }

    /// Sends spans until [`Traces::finish`]. May be started again after a panic.
    pub async fn send(self) {
        if let Some(recorder) = &self.0 {
            recorder.send().await;
        }
    }

    /// Sends the remaining spans, for at most this long, and stops.
    pub async fn finish(&self, within: Duration) {
        if let Some(recorder) = &self.0 {
            recorder.finish(within).await;
        }
    }
}

/// A span in progress; it ends when dropped. Nothing, if traces are off.
#[derive(Debug, Default)]
pub struct Span(Option<Box<recorder::Span>>);

impl Span {
    /// Its place in its trace.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|span| span.context())
    }

    /// A call to another system, as a child of it: `SCIM` and `create`.
    #[must_use]
    pub fn call(&self, system: &'static str, operation: &'static str) -> Self {
        let mut call = Self(self.0.as_ref().map(|span| Box::new(span.call(format!("{system} {operation}")))));
        call.text("scim_bridge.operation", operation);
        call
    }

    /// Records a word or an identifier.
    pub fn text(&mut self, key: &'static str, value: &str) {
        if let Some(span) = &mut self.0 {
            span.text(key, value.to_owned());
        }
    }

    /// Records an identifier as it is displayed.
    pub fn text_of(&mut self, key: &'static str, value: &impl std::fmt::Display) {
        if let Some(span) = &mut self.0 {
            span.text(key, value.to_string());
        }
    }

    /// Records a number.
    pub fn number(&mut self, key: &'static str, value: u64) {
        if let Some(span) = &mut self.0 {
            span.number(key, i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// Records the result of a call: its status, or the word for why there is none.
    pub fn answered(&mut self, status: Option<u16>, none: &'static str) {
        match status {
            Some(status) => {
                self.number("http.response.status_code", status.into());
                if status >= 400 {
                    self.failed(format_args!("{status}"));
                }
            }
            None => self.failed(format_args!("{none}")),
        }
    }

    /// Marks it as failed: a code, a status or a stable word.
    pub fn failed(&mut self, what: std::fmt::Arguments<'_>) {
        if let Some(span) = &mut self.0 {
            span.failed(what.to_string());
        }
    }
}
