//! `GET /events`: server-sent events that make a page reload itself because something changed. They carry no data.
//! The store is checked for changes at most once a second, for all listeners together, and not at all while there are
//! none.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::State;
use super::session::Pass;
use crate::admin::error::AdminError;
use crate::admin::log_outs::LoggedOut;
use crate::admin::service::AdminState;
use crate::admin::shared;
use crate::failpoint;
use crate::store::StoreError;

/// How often the store is checked for changes.
const EVERY: Duration = Duration::from_secs(1);
/// Streams open at once: a third of the listener's connections.
const STREAMS_MAX: usize = 32;
/// How often a comment is sent to a stream. The second one fails if the browser has gone, and its place is free again.
const STILL_THERE: Duration = Duration::from_secs(3);
/// Sent when there are too many streams. Until then the page polls.
const NO_ROOM_RETRY_S: &str = "30";
/// Documents that are watched. The list of processes is not: it changes with every heartbeat.
const WATCHED: [&str; 6] =
    [shared::HOLDS, shared::ACTIVITY, shared::SEEN, shared::AUDIT, shared::GUARD, crate::core::roster::FETCHES];

/// What every stream is sent.
#[derive(Clone, Default)]
struct Tick {
    /// A hash over everything that is watched.
    fingerprint: u64,
    ended: Arc<LoggedOut>,
}

/// Everybody who listens. Clones share it.
#[derive(Clone)]
pub(in crate::admin) struct Listeners {
    ticks: watch::Sender<Tick>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Listeners {
    /// No listeners yet. When `stop` is cancelled, all streams end and no new one starts.
    pub(in crate::admin) fn new(stop: CancellationToken) -> Self {
        Self { ticks: watch::Sender::new(Tick::default()), room: Arc::new(Semaphore::new(STREAMS_MAX)), stop }
    }

    /// Notifies the listeners of changes. Never returns.
    pub(in crate::admin) async fn keep_told(self, state: AdminState) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            failpoint::at("console events");
            every.tick().await;
            if self.ticks.receiver_count() == 0 {
                continue;
            }
            // That the store does not answer is reported elsewhere; pages poll meanwhile.
            let Ok(tick) = look(&state).await else { continue };
            self.ticks.send_if_modified(|last| {
                let has_changed = last.fingerprint != tick.fingerprint;
                *last = tick;
                has_changed
            });
        }
    }
}

async fn look(state: &AdminState) -> Result<Tick, StoreError> {
    let store = &*state.store;
    let mut hasher = DefaultHasher::new();
    store.stats().await?.hash(&mut hasher);
    for name in WATCHED {
        store.shared(name).await?.version.hash(&mut hasher);
    }
    let (ended, version) = state.log_outs.read(store).await?;
    version.hash(&mut hasher);
    Ok(Tick { fingerprint: hasher.finish(), ended: Arc::new(ended) })
}

/// An open stream.
struct Listening {
    ticks: watch::Receiver<Tick>,
    pass: Pass,
    state: State,
    stop: CancellationToken,
    is_new: bool,
    _room: OwnedSemaphorePermit,
}

impl Listening {
    /// What to send next; none when the session has ended or the process stops, which ends the stream.
    async fn next(&mut self) -> Option<&'static str> {
        if std::mem::take(&mut self.is_new) {
            return Some("retry: 3000\n\n");
        }
        let said = tokio::select! {
            () = self.stop.cancelled() => return None,
            changed = self.ticks.changed() => {
                changed.ok()?;
                "data: changed\n\n"
            }
            () = tokio::time::sleep(STILL_THERE) => ":\n\n",
        };
        let ended = self.ticks.borrow_and_update().ended.clone();
        self.pass.is_good(&self.state, &ended).then_some(said)
    }
}

/// `GET /events`
pub(super) async fn listen(state: State, listeners: web::Data<Listeners>, pass: Pass) -> HttpResponse {
    let room = listeners.room.clone().try_acquire_owned();
    let (Ok(room), false) = (room, listeners.stop.is_cancelled()) else {
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, NO_ROOM_RETRY_S)).finish();
    };
    let (ticks, stop) = (listeners.ticks.subscribe(), listeners.stop.clone());
    let listening = Listening { ticks, pass, state, stop, is_new: true, _room: room };
    let said = stream::unfold(listening, |mut listening| async {
        let said = listening.next().await?;
        Some((Ok::<_, AdminError>(Bytes::from_static(said.as_bytes())), listening))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        // nginx buffers responses by default.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(said)
}
