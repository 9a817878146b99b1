//! Captures deliveries, if an operator asked for it, to find out what is wrong with them. What a capture holds,
//! and its bounds, are in `core::capture`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use tokio_util::sync::CancellationToken;
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

/// How often requests to capture are looked for, and captured deliveries are written.
const EVERY: Duration = Duration::from_secs(2);
/// Bytes of captured deliveries that may wait to be written; more are left out.
const WAITING_BYTES_MAX: usize = 1_048_576;
/// Captured deliveries that may wait to be written.
const WAITING_MAX: usize = 200;

/// What to capture here, and what was captured but not written yet.
#[derive(Default)]
pub(super) struct Recorder {
    /// Whether anything is captured. Usually nothing is, and then a delivery must not wait for the lock.
    is_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    orders: BTreeMap<String, Order>,
    /// Oldest first. Each stays until it is written, so that a hanging or failing store neither loses it nor makes
    /// room for more.
    taken: Vec<Capture>,
    /// Their size.
    bytes: usize,
}

/// A delivery that is being captured.
pub(super) struct Shot {
    capture: Capture,
    body: Option<Bytes>,
}

impl Shot {
    /// Adds the complete body.
    pub(super) fn set_body(&mut self, body: &Bytes) {
        self.body = (body.len() <= BODY_BYTES_MAX).then(|| body.clone());
    }
}

impl Recorder {
    /// Begins to capture a delivery, if its source is captured.
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
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let capture = Capture {
            id: clock::new_name(),
            source: source.to_owned(),
            at: now,
            client: client.to_string(),
            method: head.method.as_str().to_owned(),
            url: head.target.clone(),
            headers: head.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect(),
            body: None,
            result: String::new(),
            reason: None,
            status: 0,
        };
        Some(Shot { capture, body: None })
    }

    /// Ends it with the delivery's result.
    pub(super) fn end(&self, shot: Shot, result: DeliveryResult, reason: Option<&str>, answer: &Response) {
        let Shot { mut capture, body } = shot;
        let mut state = self.state();
        let bytes = capture.bytes() + body.as_ref().map_or(0, |body| BASE64.encode_len(body.len()));
        if state.taken.len() >= WAITING_MAX || state.bytes + bytes > WAITING_BYTES_MAX {
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

    /// Writes what was captured, and reads what to capture.
    async fn step(&self, store: &dyn Store, now: UnixMs) -> Result<(), StoreError> {
        let taken = self.state().taken.clone();
        let (mut captures, _) = documents::read::<Captures>(store, DOCUMENT).await?;
        if captures.tidy(now) || !taken.is_empty() {
            let change = |known: &mut Captures| {
                known.keep(now, taken.clone());
                Some(known.clone())
            };
            captures = documents::change(store, DOCUMENT, change).await?.unwrap_or_default();
        }
        self.is_on.store(!captures.orders.is_empty(), Ordering::Relaxed);
        let mut state = self.state();
        state.orders = captures.orders;
        state.taken.drain(..taken.len());
        state.bytes = state.taken.iter().map(Capture::bytes).sum();
        Ok(())
    }
}

/// Looks and writes until `stop`, and then once more.
pub(super) async fn keep_recording(shared: Arc<Shared>, stop: CancellationToken) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        failpoint::at("captures");
        let stops = stop.run_until_cancelled(every.tick()).await.is_none();
        let now = shared.services.clock.now();
        if let Err(error) = shared.recorder.step(&*shared.services.store, now).await {
            debug!(%error, "captured deliveries could not be written");
        }
        if stops {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limiter::Rate;
    use crate::intake::answer;
    use crate::intake::head::parse;
    use crate::store::embedded::Embedded;
    use crate::store::memory::Memory;
    use crate::store::{Bounds, StoreOptions};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn options() -> StoreOptions {
        let rate = Rate { calls: 0, window_ms: 60_000 };
        let bounds =
            Bounds { entries_max: 1, dead_letters_max: 1, dead_bytes_max: 1, story_entries_max: 1, story_keep_ms: 1 };
        StoreOptions { writes: rate, reads: rate, bounds }
    }

    impl Recorder {
        /// For a captured source `hr`.
        async fn of_hr(store: &dyn Store) -> Self {
            let on = |captures: &mut Captures| Some(captures.switch_on(NOW, "hr", 50));
            documents::change(store, DOCUMENT, on).await.unwrap();
            let recorder = Self::default();
            recorder.step(store, NOW).await.unwrap();
            recorder
        }

        /// A delivery with a header and a body of these sizes.
        fn takes(&self, header: usize, body: usize) {
            let head = format!("POST /webhooks/hr HTTP/1.1\r\nX-Long: {}\r\n\r\n", "h".repeat(header));
            let head = parse(head.as_bytes()).unwrap();
            let mut shot = self.begin("hr", &head, IpAddr::from([192, 0, 2, 1]), || NOW).unwrap();
            shot.set_body(&Bytes::from(vec![b'x'; body]));
            self.end(shot, DeliveryResult::Forged, None, &answer::text("no"));
        }

        fn waiting(&self) -> (usize, usize) {
            let state = self.state();
            (state.taken.len(), state.bytes)
        }
    }

    #[tokio::test]
    async fn captures_that_wait_are_bounded_in_bytes_and_in_number() {
        let recorder = Recorder::of_hr(&Memory::new(options())).await;
        for _ in 0..100 {
            recorder.takes(50_000, 0);
        }
        let (taken, bytes) = recorder.waiting();
        assert!(taken == 20 && bytes <= WAITING_BYTES_MAX, "{taken} {bytes}");
        let recorder = Recorder::of_hr(&Memory::new(options())).await;
        for _ in 0..300 {
            recorder.takes(1, 1);
        }
        assert_eq!(recorder.waiting().0, WAITING_MAX);
    }

    #[tokio::test]
    async fn captures_that_the_store_did_not_take_are_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path(), options()).unwrap();
        let beside = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
        let recorder = Recorder::of_hr(&store).await;
        recorder.takes(10, 1_000);
        let (_, bytes) = recorder.waiting();
        beside.execute_batch("ALTER TABLE shared RENAME TO away").unwrap();
        recorder.step(&store, NOW).await.unwrap_err();
        assert_eq!(recorder.waiting(), (1, bytes));
        beside.execute_batch("ALTER TABLE away RENAME TO shared").unwrap();
        recorder.step(&store, NOW).await.unwrap();
        assert_eq!(recorder.waiting(), (0, 0));
        let (kept, _) = documents::read::<Captures>(&store, DOCUMENT).await.unwrap();
        assert_eq!(kept.taken.len(), 1);
    }
}
