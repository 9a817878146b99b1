//! Spans over OTLP/HTTP. A finished span goes into a bounded queue, without waiting; one task, which `app` keeps running,
//! sends them in batches.
//! Spans that find the queue full, or that the collector refuses, are counted and dropped: no delivery and no call ever
//! waits for a collector.
//!
//! We do not use the SDK's batch processor because it blocks a thread and does not say how much it dropped.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SdkTracer, SdkTracerProvider, Span as SdkSpan, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{TraceError, TraceOptions};
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;
use crate::failpoint;
use crate::telemetry::metrics as metric;

/// Most spans that may wait to be sent: some megabytes.
const QUEUE_MAX: usize = 4096;
/// Most spans in one request.
const BATCH_MAX: usize = 512;
/// How long a span waits for others to share its request.
const LINGER: Duration = Duration::from_secs(1);
/// Timeout of one request to the collector.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of a batch with its retries: the exporter's own deadline, and the request that it may start just before.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);

/// Creates spans.
#[derive(Clone)]
pub(super) struct Recorder {
    tracer: SdkTracer,
    sending: Arc<Sending>,
}

/// What sends, and the token that stops it.
struct Sending {
    provider: SdkTracerProvider,
    stop: CancellationToken,
    outgoing: Mutex<Outgoing>,
}

/// The queue's receiving end. It is kept if sending is interrupted.
struct Outgoing {
    queue: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    /// The next to be sent.
    batch: Vec<SpanData>,
    /// Spans that the exporter has, and that are not counted yet.
    under_way: usize,
}

/// A span, and the spans that it and its calls are linked to.
#[derive(Debug)]
pub(super) struct Span {
    inner: SdkSpan,
    tracer: Tracer,
    links: Vec<SpanContext>,
}

#[derive(Clone)]
struct Tracer(SdkTracer);

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    pub(super) fn start(options: TraceOptions) -> Result<Self, TraceError> {
        let resource = Resource::builder()
            .with_service_name(options.service)
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", options.instance),
                KeyValue::new("scim_bridge.role", options.role),
            ])
            .build();
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client(&options.endpoint)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(options.endpoint)
            .build()
            .map_err(|error| TraceError(error.to_string()))?;
        exporter.set_resource(&resource);
        let (queue, ended) = mpsc::channel(QUEUE_MAX);
        let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(Queue(queue)).build();
        let stop = CancellationToken::new();
        let outgoing = Mutex::new(Outgoing { queue: ended, exporter, batch: Vec::new(), under_way: 0 });
        let tracer = provider.tracer("scim-bridge");
        Ok(Self { tracer, sending: Arc::new(Sending { provider, stop, outgoing }) })
    }

    pub(super) fn delivery(&self, sender: Option<TraceContext>, began: UnixMs) -> Span {
        let began = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(began.0).unwrap_or_default());
        let parent = sender.map(remote);
        self.span("POST /webhooks/{source}", SpanKind::Server, parent, Vec::new(), Some(began))
    }

    pub(super) fn attempt(&self, newest: Option<TraceContext>, others: &[TraceContext]) -> Span {
        let links = others.iter().copied().map(remote).collect();
        self.span("attempt", SpanKind::Consumer, newest.map(remote), links, None)
    }

    fn span(
        &self,
        name: &'static str,
        kind: SpanKind,
        parent: Option<SpanContext>,
        links: Vec<SpanContext>,
        began: Option<SystemTime>,
    ) -> Span {
        begin(&Tracer(self.tracer.clone()), name, kind, parent, links, began)
    }

    /// Sends batches until [`Recorder::finish`].
    pub(super) async fn send(&self) {
        self.sending.outgoing.lock().await.send(&self.sending.stop).await;
    }

    pub(super) async fn finish(&self, within: Duration) {
        self.sending.stop.cancel();
        // The sending task releases the lock once everything is sent.
        if let Ok(mut outgoing) = tokio::time::timeout(within, self.sending.outgoing.lock()).await {
            // Spans that end from now on are counted as dropped.
            outgoing.queue.close();
        } else {
            warn!("the collector of traces did not take the last spans in time");
        }
        let _ = self.sending.provider.shutdown();
    }
}

impl Span {
    pub(super) fn context(&self) -> TraceContext {
        let context = self.inner.span_context();
        TraceContext {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        }
    }

    pub(super) fn call(&self, name: String) -> Self {
        let parent = self.inner.span_context().clone();
        begin(&self.tracer, name, SpanKind::Client, Some(parent), self.links.clone(), None)
    }

    pub(super) fn text(&mut self, key: &'static str, value: String) {
        self.inner.set_attribute(KeyValue::new(key, value));
    }

    pub(super) fn number(&mut self, key: &'static str, value: i64) {
        self.inner.set_attribute(KeyValue::new(key, value));
    }

    pub(super) fn failed(&mut self, what: String) {
        self.inner.set_attribute(KeyValue::new("error.type", what));
        self.inner.set_status(Status::error(""));
    }
}

fn begin(
    tracer: &Tracer,
    name: impl Into<Cow<'static, str>>,
    kind: SpanKind,
    parent: Option<SpanContext>,
    links: Vec<SpanContext>,
    began: Option<SystemTime>,
) -> Span {
    use opentelemetry::trace::Tracer as _;
    let linked = links.iter().map(|link| Link::new(link.clone(), Vec::new(), 0)).collect();
    let mut builder = tracer.0.span_builder(name).with_kind(kind).with_links(linked);
    if let Some(began) = began {
        builder = builder.with_start_time(began);
    }
    let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
    let inner = builder.start_with_context(&tracer.0, &parent);
    Span { inner, tracer: tracer.clone(), links }
}

fn remote(context: TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id.to_be_bytes()),
        SpanId::from_bytes(context.span_id.to_be_bytes()),
        TraceFlags::new(context.flags) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

fn client(endpoint: &str) -> Result<reqwest::Client, TraceError> {
    // Fails if one is installed already, which is fine, too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(REQUEST_TIMEOUT);
    // An unencrypted endpoint is nearby: no proxy should see it.
    let builder = if endpoint.starts_with("http:") { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| TraceError(error.to_string()))
}

/// The queue's sending end.
#[derive(Debug)]
struct Queue(mpsc::Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(span).is_err() {
            dropped(1, metric::SPANS_QUEUE_FULL);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn dropped(spans: usize, reason: &'static str) {
    let spans = u64::try_from(spans).unwrap_or(u64::MAX);
    metrics::counter!(metric::SPANS_DROPPED_TOTAL, metric::REASON => reason).increment(spans);
}

impl Outgoing {
    /// Sends batches until it must stop; then sends what is left, and ends.
    async fn send(&mut self, stop: &CancellationToken) {
        if self.under_way > 0 {
            // The last run was interrupted.
            dropped(std::mem::take(&mut self.under_way), metric::SPANS_REFUSED);
        }
        let mut is_failing = false;
        loop {
            let batch = &mut self.batch;
            // It may hold spans from an interrupted run.
            if batch.is_empty() {
                tokio::select! {
                    taken = self.queue.recv_many(batch, BATCH_MAX) => if taken == 0 { return },
                    () = stop.cancelled() => {
                        // Closed: nothing comes in any more, but what is queued still comes out.
                        self.queue.close();
                        if self.queue.recv_many(batch, BATCH_MAX).await == 0 {
                            return;
                        }
                    }
                }
            }
            failpoint::at("traces");
            let until = tokio::time::Instant::now() + LINGER;
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                tokio::select! {
                    taken = self.queue.recv_many(batch, room) => if taken == 0 { break },
                    () = tokio::time::sleep_until(until) => break,
                    () = stop.cancelled() => break,
                }
            }
            let spans = batch.len();
            self.under_way = spans;
            let sent = tokio::time::timeout(BATCH_TIMEOUT, self.exporter.export(std::mem::take(batch))).await;
            self.under_way = 0;
            let problem = match sent {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it does not answer".to_owned()),
            };
            match &problem {
                None => {
                    metrics::counter!(metric::SPANS_EXPORTED_TOTAL).increment(u64::try_from(spans).unwrap_or(u64::MAX));
                    if is_failing {
                        info!("the collector of traces takes spans again");
                    }
                }
                Some(problem) => {
                    dropped(spans, metric::SPANS_REFUSED);
                    if !is_failing {
                        warn!(problem, "the collector of traces does not take spans: they are dropped and counted");
                    }
                }
            }
            is_failing = problem.is_some();
        }
    }
}
