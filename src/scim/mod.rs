//! Speaks SCIM 2.0 to Postman: one request out, one reply back.
//!
//! Lives here: connections, TLS, proxies, headers, JSON. Not here: retries, limits, or what a reply
//! means. The client never follows a redirect and never repeats a request that was sent.

mod body;
mod connect;
mod proxy;
mod tls;
pub mod wire;

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH,
    PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{self, Client as HttpClient};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::ExposeSecret;
use url::Url;

use self::body::ReplyBudget;
use self::connect::Connector;
use self::proxy::Proxy;
use self::tls::{CertificateWanted, Tls};
use crate::core::reconcile::no_reply::NoReply;
use crate::core::reconcile::reply::{HttpReply, Reply};
use crate::core::reconcile::request::Request;
use crate::core::retry_hint::HINT_HEADERS;
use crate::secret::LiveSecret;

/// Below what servers and load balancers commonly allow (60 s and more), so that a request is not
/// sent on a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// How often an HTTP/2 connection is pinged, and how long the reply may take.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How the key is put into `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Bearer KEY`
    Bearer,
    /// `KEY`, as the published samples show it.
    Raw,
}

/// The options of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Where `/Users` is found, such as `https://api.getpostman.com/scim/v2`.
    pub base_url: Url,
    /// The SCIM API key.
    pub key: LiveSecret,
    /// How it is sent.
    pub auth: Auth,
    /// Whether it is sent as `X-API-Key`, too.
    pub x_api_key: bool,
    /// `locale` of members whose event has none.
    pub locale: String,
    /// For a whole exchange.
    pub timeout: Duration,
    /// For making a connection.
    pub connect_timeout: Duration,
    /// A further CA to trust, as PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The CA file does not contain a PEM certificate.
    #[error("`[postman] ca_file` holds no certificate in PEM form")]
    Ca,
    /// `[postman] base_url` is not a URL.
    #[error("`[postman] base_url` is not a URL")]
    BaseUrl,
    /// The environment names an unsupported kind of proxy.
    #[error("the environment names a proxy that is neither http nor https (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`)")]
    Proxy,
    /// The TLS or HTTP library could not start, for example without CA certificates.
    #[error("the HTTPS client could not be made: {0}")]
    Tls(String),
}

/// A client for one target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpClient<Connector, Full<Bytes>>,
    options: Arc<ClientOptions>,
    proxy: Option<Proxy>,
    budget: ReplyBudget,
    /// Why the newest call got no reply, if it did not.
    failing: Arc<Mutex<Option<NoReply>>>,
}

impl Client {
    /// Makes a client; no connection is opened yet.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let proxy = Proxy::for_target(&options.base_url, options.ca_pem.as_deref())?;
        let tls = match (options.base_url.scheme(), options.base_url.host_str()) {
            ("https", Some(host)) => Some(Tls::new(host, options.ca_pem.as_deref(), true)?),
            ("http", Some(_)) => None,
            _ => return Err(ClientError::BaseUrl),
        };
        let http = HttpClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_keep_alive_while_idle(true)
            .build(Connector::new(tls, proxy.clone(), options.connect_timeout));
        let (options, budget, failing) = (Arc::new(options), ReplyBudget::default(), Arc::default());
        Ok(Self { http, options, proxy, budget, failing })
    }

    /// The proxy through which the target is reached, without its password.
    #[must_use]
    pub fn proxy_in_use(&self) -> Option<String> {
        self.proxy.as_ref().map(Proxy::shown)
    }

    /// Sends one request and returns what came back, whatever it was.
    pub async fn send(&self, request: &Request) -> Reply {
        let reply = self.exchange(request).await;
        self.log_change(&reply);
        reply
    }

    /// Logs why there is no reply: when that begins, changes or ends, not for each call.
    fn log_change(&self, reply: &Reply) {
        let now = match reply {
            Reply::Http(_) => None,
            Reply::NotSent { reason } | Reply::Lost { reason } => Some(*reason),
        };
        let before = std::mem::replace(&mut *self.failing.lock().unwrap_or_else(PoisonError::into_inner), now);
        match (before, now) {
            (before, Some(reason)) if before != Some(reason) => {
                let proxy = self.proxy_in_use();
                tracing::warn!(%reason, proxy, "the target gives no reply");
            }
            (Some(_), None) => tracing::info!("the target replies again"),
            (Some(_), Some(_)) | (None, Some(_) | None) => {}
        }
    }

    async fn exchange(&self, request: &Request) -> Reply {
        let mut outgoing = match self.outgoing(request) {
            Ok(outgoing) => outgoing,
            Err(reason) => return Reply::NotSent { reason },
        };
        let connection = capture_connection(&mut outgoing);
        let deadline = tokio::time::Instant::now() + self.options.timeout;
        match tokio::time::timeout_at(deadline, self.http.request(outgoing)).await {
            Ok(Ok(response)) => self.read(response, deadline, &connection).await,
            Ok(Err(error)) => failed(&error, &connection),
            Err(_) if connection.connection_metadata().is_none() => Reply::NotSent { reason: NoReply::ConnectTimedOut },
            Err(_) => {
                abandon(&connection);
                Reply::Lost { reason: NoReply::TimedOut }
            }
        }
    }

    fn outgoing(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, NoReply> {
        let wire = wire::encode(request, &self.options.locale);
        let url = format!("{}{}", self.options.base_url.as_str().trim_end_matches('/'), wire.target);
        let body = wire.body.map(Bytes::from);
        let mut headers = self.headers().map_err(|_| NoReply::KeyUnusable)?;
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(version) = wire.if_match.and_then(|version| HeaderValue::try_from(version).ok()) {
            headers.insert(IF_MATCH, version);
        }
        let mut outgoing = hyper::Request::builder()
            .method(wire.method)
            .uri(url)
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|_| NoReply::UrlUnusable)?;
        *outgoing.headers_mut() = headers;
        Ok(outgoing)
    }

    fn headers(&self) -> Result<HeaderMap, hyper::header::InvalidHeaderValue> {
        let key = self.options.key.current();
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("scim-bridge/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT, HeaderValue::from_static("application/scim+json, application/json"));
        // The length of a compressed body sets no limit to its content.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let authorization = match self.options.auth {
            Auth::Bearer => sensitive(&format!("Bearer {}", key.expose_secret()))?,
            Auth::Raw => sensitive(key.expose_secret())?,
        };
        headers.insert(AUTHORIZATION, authorization);
        if self.options.x_api_key {
            headers.insert("x-api-key", sensitive(key.expose_secret())?);
        }
        if let Some(authorization) = self.plain_proxy().and_then(Proxy::authorization) {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(headers)
    }

    /// The proxy, if it sees the requests themselves.
    fn plain_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.options.base_url.scheme() == "http")
    }

    async fn read(
        &self,
        response: hyper::Response<Incoming>,
        deadline: tokio::time::Instant,
        connection: &CaptureConnection,
    ) -> Reply {
        let (head, incoming) = response.into_parts();
        if head.status == 407 && self.plain_proxy().is_some() {
            return Reply::NotSent { reason: NoReply::ProxyRefused(407) };
        }
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let hints = head.headers.iter().filter(|(name, _)| HINT_HEADERS.contains(&name.as_str()));
        let codings =
            head.headers.get_all(CONTENT_ENCODING).into_iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
        let is_plain = !codings.map(<[u8]>::trim_ascii).any(is_coding);
        let read = tokio::time::timeout_at(deadline, self.budget.read(incoming)).await;
        let (body, is_complete) = read.unwrap_or_else(|_| {
            abandon(connection);
            (Bytes::new(), false)
        });
        Reply::Http(HttpReply {
            status: head.status.as_u16(),
            hints: hints.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect(),
            etag: head.headers.get(ETAG).and_then(text),
            body,
            // A body with an encoding that was not requested cannot be read.
            body_complete: is_complete && is_plain,
        })
    }
}

/// Whether a word in `Content-Encoding` says that the body is encoded (RFC 9110 §8.4.1). `identity` does not, in any case,
/// nor does what some servers put there by mistake, such as a charset.
fn is_coding(word: &[u8]) -> bool {
    ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"]
        .iter()
        .any(|coding| word.eq_ignore_ascii_case(coding.as_bytes()))
}

/// An HTTP client for our own listeners: no proxy, no redirects, nothing specific to Postman.
pub fn plain_http(timeout: Duration) -> Result<reqwest::Client, ClientError> {
    // Fails if one is installed already, which is fine, too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .build()
        .map_err(|error| ClientError::Tls(error.to_string()))
}

/// The connection of a call that timed out is not used again: it may be dead without having been closed.
fn abandon(connection: &CaptureConnection) {
    if let Some(connected) = connection.connection_metadata().as_ref() {
        connected.poison();
    }
}

/// Why an exchange failed, from the causes of the error. The error itself is not shown: it names the URL, which may
/// contain somebody's address.
fn failed(error: &legacy::Error, connection: &CaptureConnection) -> Reply {
    let certificate_wanted = connection.connection_metadata().as_ref().is_some_and(|connected| {
        let mut extensions = hyper::http::Extensions::new();
        connected.get_extras(&mut extensions);
        extensions.get::<CertificateWanted>().is_some_and(CertificateWanted::is_set)
    });
    let mut reason = NoReply::Closed;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<NoReply>() {
            return Reply::NotSent { reason: *found };
        }
        if let Some(error) = error.downcast_ref::<io::Error>()
            && let Some(found) = tls::reason_of_io(error, certificate_wanted)
        {
            // The handshake was refused after we considered it done (TLS 1.3): nothing we sent was read.
            if found == NoReply::ClientCertificateWanted {
                return Reply::NotSent { reason: found };
            }
            reason = found;
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            if error.is_timeout() {
                reason = NoReply::TimedOut;
            } else if error.is_parse() {
                reason = NoReply::NotHttp;
            }
        }
        cause = error.source();
    }
    if error.is_connect() {
        return Reply::NotSent { reason: NoReply::Unreachable };
    }
    if certificate_wanted && reason == NoReply::Closed {
        reason = NoReply::ClientCertificateWanted;
    }
    Reply::Lost { reason }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

#[cfg(test)]
mod tls_tests;
