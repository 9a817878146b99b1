//! How often a peer may try a token for API and console.
//!
//! Wrong tokens of one peer are rate-limited: the first are checked at once, the next ones after a wait, and if the
//! wait would be too long, the token is refused unchecked. A valid token takes no place in that queue, and nobody waits
//! because of another peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use tokio::time::Instant;

use super::connections::OpenConnection;
use super::error::AdminError;
use crate::peer::{TrustedProxies, counted_as};
use crate::telemetry::metrics::{ADMIN_GUESSES_TOTAL, GUESS_PUT_OFF, GUESS_REFUSED, RESULT};

/// How often one peer's tokens are checked after its first wrong ones.
const EVERY: Duration = Duration::from_millis(100);
/// How many are checked at once.
const AT_ONCE: u32 = 20;
/// The longest wait for a check.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How many peers are remembered: those with the most waiting.
const PEERS_MAX: usize = 10_000;
/// How often the wrong tokens of one peer are logged.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Paths for machines, under any host name: they contain no secret and change nothing.
const OPEN_TO_ALL_NAMES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Who may try, and how often. Clones share it.
#[derive(Clone)]
pub(super) struct Gate(Arc<Inner>);

struct Inner {
    hosts: Vec<String>,
    proxies: TrustedProxies,
    lines: Mutex<HashMap<IpAddr, Line>>,
}

struct Line {
    /// When the last waiting token is checked.
    until: Instant,
    wrong: u64,
    told_at: Option<Instant>,
}

/// The result of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged<T> {
    /// It is valid, and whose it is.
    Right(T),
    /// It is not valid.
    Wrong,
    /// It was not checked.
    PutOff,
}

/// The client, and the host name it used; determined once for each request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    peer: IpAddr,
    /// As the browser wrote it, with its port.
    host: String,
    is_https: bool,
}

impl Caller {
    /// Whether a form came from a page of this very address. A browser always sends an origin with a form; a client
    /// without one is not a browser.
    pub(super) fn is_of_origin(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        origin.split_once("://").is_some_and(|(_, host)| host.eq_ignore_ascii_case(&self.host))
    }

    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// The client; one without an address if the gate was bypassed.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let unknown = || Self { peer: IpAddr::from([0, 0, 0, 0]), host: String::new(), is_https: false };
        request.extensions().get::<Self>().cloned().unwrap_or_else(unknown)
    }
}

impl Gate {
    /// A gate that answers to these names, besides addresses and `localhost`.
    pub(super) fn new(hosts: Vec<String>, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Inner { hosts, proxies, lines: Mutex::default() }))
    }

    /// Checks a token when it is the peer's turn; `open` says whose it is.
    pub(super) async fn judge<T>(&self, caller: &Caller, open: impl FnOnce() -> Option<T>) -> Judged<T> {
        let peer = counted_as(caller.peer);
        let Some(wait) = self.line_up(peer) else {
            metrics::counter!(ADMIN_GUESSES_TOTAL, RESULT => GUESS_PUT_OFF).increment(1);
            return Judged::PutOff;
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if let Some(opened) = open() {
            self.leave_line(peer);
            return Judged::Right(opened);
        }
        metrics::counter!(ADMIN_GUESSES_TOTAL, RESULT => GUESS_REFUSED).increment(1);
        self.tell(peer);
        Judged::Wrong
    }

    /// How long to wait for the check; none if that is too long.
    fn line_up(&self, peer: IpAddr) -> Option<Duration> {
        let now = Instant::now();
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= PEERS_MAX && !lines.contains_key(&peer) {
            lines.retain(|_, line| line.until > now);
            let shortest = lines.iter().min_by_key(|(_, line)| line.until).map(|(peer, _)| *peer);
            if let Some(shortest) = shortest.filter(|_| lines.len() >= PEERS_MAX) {
                lines.remove(&shortest);
            }
        }
        let line = lines.entry(peer).or_insert(Line { until: now, wrong: 0, told_at: None });
        let until = line.until.max(now) + EVERY;
        let wait = until.duration_since(now).saturating_sub(EVERY * AT_ONCE);
        (wait <= WAIT_MAX).then(|| {
            line.until = until;
            wait
        })
    }

    fn leave_line(&self, peer: IpAddr) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&peer) {
            line.until -= EVERY;
        }
    }

    fn tell(&self, peer: IpAddr) {
        let now = Instant::now();
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = lines.get_mut(&peer) else { return };
        line.wrong += 1;
        if line.told_at.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY) {
            tracing::warn!(%peer, wrong = line.wrong, "wrong admin tokens were given");
            (line.told_at, line.wrong) = (Some(now), 0);
        }
    }

    fn caller(&self, request: &ServiceRequest) -> Caller {
        let address = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
        let headers = request.headers();
        let forwarded = self.0.proxies.trusts(address);
        let told = |name: &str| text(headers, name).filter(|_| forwarded);
        let hops = headers.get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
        let host = told("x-forwarded-host").or_else(|| text(headers, HOST.as_str()));
        Caller {
            peer: self.0.proxies.client(address, hops.collect::<Vec<_>>().into_iter()),
            host: host.or(request.uri().authority().map(Authority::as_str)).unwrap_or_default().to_owned(),
            is_https: told("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        }
    }

    /// Whether this is one of our names. Another site can make its own name resolve to our address, and would then
    /// have our origin in the browser.
    fn is_called(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        is_address || name == "localhost" || self.0.hosts.iter().any(|known| known == name)
    }
}

/// A host without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        Some(_) | None => host,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// How long the body is, where the server reads it by that.
fn body_bytes(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    text(headers, CONTENT_LENGTH.as_str())?.trim().parse().ok()
}

/// Finds out who the client is, and refuses requests for a foreign host name.
pub(super) async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if let Some(place) = request.conn_data::<OpenConnection>() {
        place.begins(body_bytes(request.headers()));
    }
    if let Some(gate) = request.app_data::<web::Data<Gate>>() {
        let caller = gate.caller(&request);
        if !gate.is_called(&caller.host) && !OPEN_TO_ALL_NAMES.contains(&request.path()) {
            return Ok(request.into_response(AdminError::ForeignHost.error_response()).map_into_right_body());
        }
        request.extensions_mut().insert(caller);
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str) -> Caller {
        Caller { peer: peer.parse().unwrap(), host: "localhost:9090".to_owned(), is_https: false }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peers_guesses_are_rate_limited() {
        let gate = Gate::new(Vec::new(), TrustedProxies::default());
        let nobody = || None::<()>;
        let guesser = caller("192.0.2.1");
        let since = Instant::now();
        for _ in 0..AT_ONCE {
            assert_eq!(gate.judge(&guesser, nobody).await, Judged::Wrong);
        }
        assert_eq!(since.elapsed(), Duration::ZERO);
        let judged = futures_util::future::join_all((0..100).map(|_| gate.judge(&guesser, nobody))).await;
        assert_eq!(judged.iter().filter(|judged| **judged == Judged::Wrong).count(), 20, "two seconds' worth");
        assert!(since.elapsed() >= Duration::from_millis(1900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_valid_token_is_free_and_another_peers_guesses_do_not_slow_it() {
        let gate = Gate::new(Vec::new(), TrustedProxies::default());
        let nobody = || None::<()>;
        let guesser = caller("192.0.2.1");
        futures_util::future::join_all((0..100).map(|_| gate.judge(&guesser, nobody))).await;
        let since = Instant::now();
        for _ in 0..1000 {
            assert_eq!(gate.judge(&caller("192.0.2.2"), || Some(())).await, Judged::Right(()));
        }
        assert_eq!(since.elapsed(), Duration::ZERO);
    }

    #[test]
    fn only_addresses_localhost_and_configured_names_are_ours() {
        let gate = Gate::new(vec!["bridge.example.com".to_owned()], TrustedProxies::default());
        for ours in [
            "127.0.0.1:9090",
            "10.1.2.3",
            "[::1]:9090",
            "[::1]",
            "localhost",
            "LocalHost:80",
            "Bridge.example.com.:443",
        ] {
            assert!(gate.is_called(ours), "{ours}");
        }
        for foreign in
            ["", "evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example", "x@localhost"]
        {
            assert!(!gate.is_called(foreign), "{foreign}");
        }
    }
}
