//! Keeping deliveries for whoever looks for what is wrong with them, where an operator asked for it. What it is
//! about, and its bounds, are in `core::capture`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use tracing::debug;

use super::Shared;
use super::answer::Response;
use super::head::Head;
use crate::clock;
use crate::core::capture::{BODY_BYTES_MAX, Capture, Captures, DOCUMENT, Order};
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::store::{Store, StoreError, documents};
use crate::telemetry::metrics::DeliveryResult;

/// How often it is looked whether somebody asked, and what was taken is written.
const EVERY: Duration = Duration::from_secs(2);
/// Bodies that wait to be written, in bytes: more are left out.
const WAITING_BYTES_MAX: usize = 1_048_576;

/// What is to be captured here, and what was taken and is not written yet.
#[derive(Default)]
pub(super) struct Recorder {
    /// Whether anything is captured: most of the time nothing is, and a delivery must not wait for that.
    is_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    orders: BTreeMap<String, Order>,
    taken: Vec<Capture>,
    bytes: usize,
}

/// A delivery that is being taken.
pub(super) struct Shot {
    capture: Capture,
    body: Option<Bytes>,
}

impl Shot {
    /// The body, now that it is whole.
    pub(super) fn has_body(&mut self, body: &Bytes) {
        self.body = (body.len() <= BODY_BYTES_MAX).then(|| body.clone());
    }
}

impl Recorder {
    /// Begins to take a delivery, where its source is captured.
    pub(super) fn begin(
        &self,
        source: &str,
        head: &Head,
        client: IpAddr,
        now: impl FnOnce() -> UnixMs,
    ) -> Option<Shot> {
        if !self.is_on.load(Ordering::Relaxed) {
            return None;
        }
        let now = now();
        self.state().orders.get(source).filter(|order| now < order.until)?;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let capture = Capture {
            id: clock::new_name(),
            source: source.to_owned(),
            at: now,
            client: client.to_string(),
            method: head.method.as_str().to_owned(),
            url: head.target.clone(),
            headers: head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            body: None,
            result: String::new(),
            reason: None,
            status: 0,
        };
        Some(Shot { capture, body: None })
    }

    /// Ends it, with what became of it.
    pub(super) fn end(&self, shot: Shot, result: DeliveryResult, reason: Option<&str>, answer: &Response) {
        let Shot { mut capture, body } = shot;
        let mut state = self.state();
        let bytes = body.as_ref().map_or(0, Bytes::len);
        if state.bytes + bytes > WAITING_BYTES_MAX {
            return;
        }
        state.bytes += bytes;
        capture.body = body.map(|body| BASE64.encode(&body));
        result.as_str().clone_into(&mut capture.result);
        capture.reason = reason.map(str::to_owned);
        capture.status = answer.status().as_u16();
        state.taken.push(capture);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was taken, and hears what is to be.
    async fn step(&self, store: &dyn Store, now: UnixMs) -> Result<(), StoreError> {
        let taken = {
            let mut state = self.state();
            state.bytes = 0;
            std::mem::take(&mut state.taken)
        };
        let (mut captures, _) = documents::read::<Captures>(store, DOCUMENT).await?;
        if captures.tidy(now) || !taken.is_empty() {
            let change = |known: &mut Captures| {
                known.keep(now, taken.clone());
                Some(known.clone())
            };
            captures = documents::change(store, DOCUMENT, change).await?.unwrap_or_default();
        }
        self.is_on.store(!captures.orders.is_empty(), Ordering::Relaxed);
        self.state().orders = captures.orders;
        Ok(())
    }
}

/// Looks and writes, for as long as the process takes deliveries.
pub(super) async fn keep_recording(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        failpoint::at("captures");
        every.tick().await;
        let now = shared.services.clock.now();
        if let Err(error) = shared.recorder.step(&*shared.services.store, now).await {
            debug!(%error, "what was captured could not be written");
        }
    }
}
