//! The listener's server: accepts connections, and serves one HTTP/1.1 request after the other on each. An answer is
//! written completely before the next request is read, so a peer that does not read answers is not read either.
//!
//! Small on purpose: two routes, no upgrade, no compression. What it has instead is a bound on everything
//! that a peer can make it keep: time and size of every head, time and memory of every body, connections
//! per peer, and how long an answer may take to be read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, DATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, Method, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::answer::{Refusal, Response};
use super::body::Body;
use super::connections::{ConnectionPermit, Connections};
use super::head::{self, Head, HeadError};
use super::memory::Bound;
use super::wire::{NoHead, Rest, Wire};
use super::{Shared, webhook};
use crate::clock;
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::lifecycle::PUBLIC_LISTENER;
use crate::telemetry::metrics::CONNECTIONS_REFUSED_TOTAL;
use crate::telemetry::rate_limited_log::RateLimitedLog;

/// The listener counts as hanging when it has had no turn on a thread for this long: longer than parsing the largest
/// bodies takes on a small machine's one thread.
const SILENT_MAX: Duration = Duration::from_mins(1);
/// How long a connection may be idle between two deliveries: above the minute for which many senders and
/// load balancers keep theirs, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How many requests in a row may arrive before the answers to those before them are sent, or be answered without their bodies
/// having been read; the last of these answers says
/// that the connection closes. No HR system does this, and thousands of peers that did would keep everybody else waiting.
const PIPELINED_MAX: u32 = 8;
/// The pause when no connection can be accepted because descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// If no connection could be accepted for this long, the listener ends, and the process with it: the next process may
/// do better. A lack of descriptors is over long before.
const ACCEPT_FAILS_MAX: Duration = Duration::from_mins(1);
/// How long a refused peer may take to begin a request: an answer before that would confuse some clients.
const TURNED_AWAY_MAX: Duration = Duration::from_secs(2);
/// How many peers at once get an answer when refused. Each takes a descriptor beyond all bounds on connections, so
/// further ones are just closed.
const TURNED_AWAY_AT_ONCE: usize = 64;
/// The system's backlog of connections: long enough for a burst.
const BACKLOG: i32 = 4096;

/// Accepts and serves connections until `stop`, or until none can be accepted any more; then lets requests in
/// progress end.
pub(super) async fn run(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> io::Result<()> {
    let stop = stop.child_token();
    listener.set_nonblocking(true)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let listener = TcpListener::from_std(listener)?;
    let options = &shared.options;
    let connections = Connections::new(options.connections_max, options.connections_per_peer, options.proxies.clone());
    let tasks = TaskTracker::new();
    let turning_away = Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE));
    let heart = shared.services.lifecycle.loops().enter(PUBLIC_LISTENER, failpoint::patience(SILENT_MAX));
    let accepting = async {
        loop {
            failpoint::at("intake");
            let (stream, address) = match accepted(&listener, &connections, &shared.log).await {
                Ok(accepted) => accepted,
                Err(error) => return error,
            };
            let Some(place) = connections.admit(address.ip()).await else {
                metrics::counter!(CONNECTIONS_REFUSED_TOTAL).increment(1);
                if let Some(left_out) = shared.log.line("connections_per_peer", "") {
                    let peer = address.ip().to_canonical();
                    info!(%peer, left_out, "connection refused: its peer has its maximum of connections, all of them busy");
                }
                if let Ok(place) = turning_away.clone().try_acquire_owned() {
                    let shared = shared.clone();
                    tokio::spawn(async move {
                        turn_away(stream, &shared).await;
                        drop(place);
                    });
                }
                continue;
            };
            tasks.spawn(connection(stream, place, shared.clone(), stop.clone()));
        }
    };
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        error = heart.beating(accepting) => {
            error!(%error, "no connection could be accepted for a minute");
            stop.cancel();
            Err(error)
        }
    };
    drop(listener);
    tasks.close();
    let grace = Duration::from_secs(shared.options.shutdown_grace_s);
    let _ = tokio::time::timeout(grace, tasks.wait()).await;
    ended
}

/// The next connection. An error if none could be accepted for so long that waiting will not help.
async fn accepted(
    listener: &TcpListener,
    connections: &Connections,
    log: &RateLimitedLog,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut failing_since = None;
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        // The peer is gone again, which says nothing about others.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            continue;
        }
        if failing_since.get_or_insert_with(Instant::now).elapsed() > ACCEPT_FAILS_MAX {
            return Err(error);
        }
        if let Some(left_out) = log.line("accept", "") {
            warn!(%error, left_out, "a connection could not be accepted");
        }
        connections.cut_longest();
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// The state of a connection after an exchange.
enum Then {
    /// The next request may come.
    Next,
    /// It is answered, and must be closed.
    Close,
    /// Nothing more can be sent on it.
    Gone,
}

/// Answers the first request of a connection for which there is no place.
async fn turn_away(stream: TcpStream, shared: &Shared) {
    let mut wire = Wire::new(stream);
    let refusal = Refusal::Crowded { bound: Bound::Peer, retry_after_s: shared.options.retry_after_s };
    let message = message(&refusal.answer(), &clock::new_request_id(), true, true, shared);
    if wire.begins(Instant::now() + TURNED_AWAY_MAX).await && wire.send(&message).await {
        wire.close().await;
    }
}

async fn connection(stream: TcpStream, mut place: ConnectionPermit, shared: Arc<Shared>, stop: CancellationToken) {
    // An answer is one small write, which must be sent at once.
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::new(stream);
    // Up to a fifth shorter, so that thousands that came together do not all have to be closed at once.
    let head_ms = shared.options.head_timeout_ms;
    let head_max = Duration::from_millis(head_ms - clock::jittered(head_ms / 5));
    let mut idle_max = head_max;
    let mut pipelined = 0;
    loop {
        place.receives();
        let begun = tokio::select! {
            biased;
            () = place.cut() => false,
            () = stop.cancelled() => false,
            begun = wire.begins(Instant::now() + idle_max) => begun,
        };
        if !begun {
            return;
        }
        idle_max = KEEP_ALIVE;
        // Boxed, so that an idle connection's task stays small.
        match Box::pin(exchange(&mut wire, &mut place, &shared, (head_max, &mut pipelined), &stop)).await {
            // One request a turn, so that everybody else has theirs in between.
            Then::Next if wire.has_more() => tokio::task::yield_now().await,
            Then::Next => {}
            Then::Close => break,
            Then::Gone => return,
        }
    }
    place.ends();
    let cut = place.cut_token();
    tokio::select! {
        () = wire.close() => {}
        _ = cut.cancelled() => {}
    }
}

/// One request and its answer. `pipelined` counts the answers in a row for which the peer did not wait.
async fn exchange(
    wire: &mut Wire,
    place: &mut ConnectionPermit,
    shared: &Shared,
    (head_max, pipelined): (Duration, &mut u32),
    stop: &CancellationToken,
) -> Then {
    let mut share = shared.memory.heads.share(place.peer());
    let lost = share.lost_token();
    let head = tokio::select! {
        biased;
        () = place.cut() => return Then::Gone,
        () = lost.cancelled() => return Then::Gone,
        head = wire.head(Instant::now() + head_max, &mut share) => head,
    };
    // The head is kept until it is answered, and what came behind it until the next request.
    let request = clock::new_request_id();
    let (head, refusal) = match head {
        Ok(head) => (Some(head), None),
        Err(NoHead::Closed | NoHead::Crowded) => return Then::Gone,
        Err(NoHead::TimedOut) => (None, Some(Refusal::TimedOut)),
        Err(NoHead::Refused(HeadError::Malformed)) => (None, Some(Refusal::Malformed)),
        Err(NoHead::Refused(HeadError::TooLarge)) => (None, Some(Refusal::HeadTooLarge)),
    };
    let Some(head) = head else {
        let refusal = refusal.unwrap_or(Refusal::Malformed);
        debug!(request, refusal = refusal.word(), "a head was refused");
        let sent = wire.send(&message(&refusal.answer(), &request, true, true, shared)).await;
        return if sent { Then::Close } else { Then::Gone };
    };
    let mut rest = Rest::of(head.length);
    let (method, keeps_alive) = (head.method.clone(), head.keeps_alive);
    let response = answer(head, wire, place, &mut rest, (&request, lost.clone()), shared).await;
    place.receives();
    let unread = !rest.is_none();
    // Asked before the answer is sent: a quick peer has the next request here as soon as it has read this answer. Behind a
    // body that is not read, nobody can tell: it counts.
    *pipelined = if unread || wire.has_more() { *pipelined + 1 } else { 0 };
    let stopping = stop.is_cancelled() || shared.services.lifecycle.is_stopping();
    let closes = !keeps_alive || *pipelined >= PIPELINED_MAX || stopping || response.headers().contains_key(CONNECTION);
    let message = message(&response, &request, method != Method::HEAD, closes, shared);
    let sent = tokio::select! {
        biased;
        sent = wire.send(&message) => sent,
        () = place.cut() => false,
        () = lost.cancelled() => false,
    };
    if !sent {
        return Then::Gone;
    }
    if closes {
        return Then::Close;
    }
    // What still arrives is thrown away.
    drop(share);
    place.ends();
    let cut = place.cut_token();
    tokio::select! {
        drained = wire.drain(&mut rest), if unread => if drained { Then::Next } else { Then::Close },
        _ = cut.cancelled(), if unread => Then::Gone,
        else => Then::Next,
    }
}

async fn answer(
    head: Head,
    wire: &mut Wire,
    place: &mut ConnectionPermit,
    rest: &mut Rest,
    (request, head_lost): (&str, CancellationToken),
    shared: &Shared,
) -> Response {
    let forwarded = head.headers.all("x-forwarded-for").filter_map(head::text);
    if !place.acts_for(forwarded.collect::<Vec<_>>().into_iter()) {
        let retry_after_s = shared.options.retry_after_s;
        return Refusal::Crowded { bound: Bound::Peer, retry_after_s }.answer();
    }
    let path = head.path();
    if path == "/livez" {
        return webhook::livez(&head.method, shared);
    }
    let Some(source) = webhook::source_in(path) else {
        return webhook::astray(&head, shared);
    };
    let (peer, cut) = (place.peer(), place.cut_token());
    let body = Body { wire, rest, expects_continue: head.expects_continue, peer, cut, head_lost };
    let span = info_span!("delivery", request, peer = %place.client(), trace_id = tracing::field::Empty);
    webhook::receive(&source, head, body, place, request, shared).instrument(span).await
}

/// An answer as sent: without its body for HEAD, and with whether the connection closes.
fn message(response: &Response, request: &str, with_body: bool, closes: bool, shared: &Shared) -> Vec<u8> {
    let body: &Bytes = response.body();
    let mut bytes = Vec::with_capacity(512 + body.len());
    let status = response.status();
    line(&mut bytes, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason(status).as_bytes()]);
    let mut field = |name: &HeaderName, value: &[u8]| line(&mut bytes, &[name.as_str().as_bytes(), b": ", value]);
    field(&CONTENT_LENGTH, body.len().to_string().as_bytes());
    for (name, value) in response.headers().iter().filter(|(name, _)| *name != CONNECTION) {
        field(name, value.as_bytes());
    }
    if closes {
        field(&CONNECTION, b"close");
    }
    field(&REQUEST_ID, request.as_bytes());
    field(&X_CONTENT_TYPE_OPTIONS, b"nosniff");
    field(&CACHE_CONTROL, b"no-store");
    field(&DATE, date(shared.services.clock.now()).as_bytes());
    line(&mut bytes, &[]);
    if with_body {
        bytes.extend_from_slice(body);
    }
    bytes
}

fn line(bytes: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes.extend_from_slice(b"\r\n");
}

fn date(now: UnixMs) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + since_epoch)
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

/// The id by which an answer can be found in log and console.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::TrustedProxies;

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_cannot_accept_ends_instead_of_retrying_for_ever() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let connections = Connections::new(10, 10, TrustedProxies::default());
        let here = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, from) = accepted(&listener, &connections, &RateLimitedLog::new()).await.unwrap();
        assert_eq!(from, here.local_addr().unwrap());
        // It no longer listens.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        let began = Instant::now();
        accepted(&listener, &connections, &RateLimitedLog::new()).await.unwrap_err();
        let tried = began.elapsed();
        assert!(tried > ACCEPT_FAILS_MAX && tried < 2 * ACCEPT_FAILS_MAX, "{tried:?}");
    }
}
