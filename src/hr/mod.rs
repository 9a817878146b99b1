//! Asking an HR system's API: one request out, one reply back.
//!
//! Lives here: HTTP, the login in its headers, and the tokens that a login gets (`login`). Not here: which requests are
//! made and what replies mean (`crate::core::fetch`), and when (`crate::worker`, `crate::roster`). The client never
//! follows a redirect, never repeats a request, and reads no more of a reply than it can use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;
use url::Url;
use zeroize::Zeroizing;

use crate::core::fetch::login::{Client as OauthClient, token_request};
use crate::core::fetch::{Api, Credential, HrReply, HrRequest, LIST_BYTES_MAX, Method, NoReply, REPLY_BYTES_MAX};
use crate::core::person::SourceName;
use crate::core::retry_hint::HINT_HEADERS;
use crate::peer::is_on_this_machine;
use crate::secret::LiveSecret;
use crate::telemetry::metrics as metric;

pub use self::login::{Logins, TokenDesk};

mod login;

/// Headers of a reply that are kept besides the hints.
const KEPT_HEADERS: [&str; 2] = ["content-type", "x-rate-limit-reset"];
/// For a whole exchange: people are read from systems that answer within a second or two.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A page of a list may be everybody.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);
/// For making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Below what load balancers commonly allow.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum HrClientError {
    /// The address is not valid.
    #[error("`base_url` is not an http or https address")]
    BaseUrl,
    /// The client's certificate and key are not a usable pair.
    #[error("`client_certificate` and `client_key` are not a certificate and its key, as PEM")]
    Certificate,
    /// The TLS or HTTP library could not start, for example on an image without CA certificates.
    #[error("the HTTPS client could not be made: {0}")]
    Tls(String),
}

/// The parts of a source's login.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<Credential, LiveSecret>);

impl Credentials {
    /// Credentials of these parts.
    #[must_use]
    pub fn new(parts: BTreeMap<Credential, LiveSecret>) -> Self {
        Self(parts)
    }

    /// One of them, with its current value.
    #[must_use]
    pub fn get(&self, credential: Credential) -> Option<Arc<SecretString>> {
        self.0.get(&credential).map(LiveSecret::current)
    }

    /// Which parts are set.
    pub fn given(&self) -> impl Iterator<Item = Credential> {
        self.0.keys().copied()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(|name| name.as_str())).finish()
    }
}

/// One source's API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HrSystem {
    api: Arc<Api>,
    credentials: Credentials,
    timeout: Duration,
    http: Arc<Mutex<Http>>,
}

/// A client, and the certificate that it shows.
#[derive(Debug)]
struct Http {
    client: reqwest::Client,
    pair: Option<Pair>,
}

/// A certificate and its key, as they were at some time.
#[derive(Debug)]
struct Pair {
    certificate: Arc<SecretString>,
    key: Arc<SecretString>,
}

impl Pair {
    fn of(credentials: &Credentials) -> Option<Self> {
        let certificate = credentials.get(Credential::ClientCertificate)?;
        Some(Self { certificate, key: credentials.get(Credential::ClientKey)? })
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.certificate, &other.certificate) && Arc::ptr_eq(&self.key, &other.key)
    }
}

impl HrSystem {
    /// Makes a client; no connection is opened yet.
    pub fn new(api: Api, credentials: Credentials) -> Result<Self, HrClientError> {
        Self::with_timeout(api, credentials, TIMEOUT)
    }

    /// Makes a client with a limit of its own for a whole exchange.
    pub fn with_timeout(api: Api, credentials: Credentials, timeout: Duration) -> Result<Self, HrClientError> {
        let base = Url::parse(api.base()).map_err(|_| HrClientError::BaseUrl)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(HrClientError::BaseUrl);
        }
        let pair = Pair::of(&credentials);
        let client = client(&base, timeout, pair.as_ref())?;
        let http = Arc::new(Mutex::new(Http { client, pair }));
        Ok(Self { api: Arc::new(api), credentials, timeout, http })
    }

    /// The client with the current certificate; if that cannot be used, with the previous one.
    fn http(&self) -> reqwest::Client {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(now), Some(known)) = (Pair::of(&self.credentials), &http.pair) else { return http.client.clone() };
        if !known.is(&now) {
            let renewed = Url::parse(self.api.base())
                .map_err(|_| HrClientError::BaseUrl)
                .and_then(|base| client(&base, self.timeout, Some(&now)));
            match renewed {
                Ok(client) => http.client = client,
                // Perhaps only one of the two has been written yet.
                Err(error) => warn!(%error, "the HR system's client certificate changed, and cannot be used"),
            }
            http.pair = Some(now);
        }
        http.client.clone()
    }

    /// What can be requested, and how.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// A part of the login, with its current value.
    #[must_use]
    pub fn credential(&self, credential: Credential) -> Option<Arc<SecretString>> {
        self.credentials.get(credential)
    }

    /// Sends one request and returns what came back, whatever it was.
    pub async fn ask(&self, request: &HrRequest, access_token: Option<&str>) -> HrReply {
        let credential = |name| self.credentials.get(name).map(|secret| secret.expose_secret().to_owned());
        match self.api.auth().headers(self.api.values(), &credential, access_token) {
            Some(login) => self.send(request, &login).await,
            None => HrReply::Nothing(NoReply::Unfit),
        }
    }

    /// Asks for a token: by a refresh token, or by the client's own login.
    pub async fn ask_for_token(&self, refresh_token: Option<&str>) -> HrReply {
        let (Some(rules), Some(url)) = (self.api.auth().token_rules(), self.api.token_url()) else {
            return HrReply::Nothing(NoReply::Unfit);
        };
        let Some(id) = self.credentials.get(Credential::ClientId) else { return HrReply::Nothing(NoReply::Unfit) };
        let secret = self.credentials.get(Credential::ClientSecret);
        let client =
            OauthClient { id: id.expose_secret(), secret: secret.as_ref().map(|secret| secret.expose_secret()) };
        self.send(&token_request(rules, url, client, refresh_token), &[]).await
    }

    async fn send(&self, request: &HrRequest, login: &[(String, String)]) -> HrReply {
        let Some(headers) = header_map(&request.headers, login) else { return HrReply::Nothing(NoReply::Unfit) };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut outgoing = self.http().request(method, &request.url).headers(headers);
        if let Some((media_type, body)) = &request.body {
            outgoing = outgoing.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        let (mut bytes_max, mut total_header) = (REPLY_BYTES_MAX, None);
        if request.is_list {
            outgoing = outgoing.timeout(LIST_TIMEOUT.max(self.timeout));
            bytes_max = LIST_BYTES_MAX;
            total_header = self.api.rules().list.as_ref().and_then(|list| list.total_header.as_deref());
        }
        match outgoing.send().await {
            Ok(response) => read(response, bytes_max, total_header).await,
            Err(error) if error.is_connect() || error.is_builder() => HrReply::Nothing(NoReply::Unreachable),
            Err(_) => HrReply::Nothing(NoReply::Lost),
        }
    }
}

/// Why there is no status.
#[must_use]
pub fn status_word(reply: &HrReply) -> &'static str {
    match reply {
        HrReply::Nothing(NoReply::Unreachable | NoReply::Unfit) => metric::STATUS_UNREACHABLE,
        HrReply::Http { .. } | HrReply::Nothing(NoReply::Lost) => metric::STATUS_UNKNOWN,
    }
}

/// Counts an exchange with a source's HR system.
pub fn count(source: &SourceName, reply: &HrReply, took: Duration) {
    let status = reply.status().map_or_else(|| status_word(reply).to_owned(), |status| status.to_string());
    let source = source.to_string();
    metrics::histogram!(metric::HR_REQUEST_DURATION_SECONDS, metric::SOURCE => source.clone()).record(took);
    metrics::counter!(metric::HR_REQUESTS_TOTAL, metric::SOURCE => source, metric::STATUS => status).increment(1);
}

/// A client for one system.
fn client(base: &Url, timeout: Duration, pair: Option<&Pair>) -> Result<reqwest::Client, HrClientError> {
    // Fails if one is installed already, which is fine, too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("scim-bridge/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // A request repeated by the library would not be counted by the limiter.
        .retry(reqwest::retry::never())
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .pool_idle_timeout(POOL_IDLE);
    if is_on_this_machine(base) {
        builder = builder.no_proxy();
    }
    if let Some(Pair { certificate, key }) = pair {
        let pem = Zeroizing::new(format!("{}\n{}", certificate.expose_secret(), key.expose_secret()));
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(|_| HrClientError::Certificate)?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| match pair {
        // The library's own text may contain parts of the key.
        Some(_) => HrClientError::Certificate,
        None => HrClientError::Tls(causes(&error)),
    })
}

/// All headers; none if one cannot be a header.
fn header_map(own: &[(String, String)], login: &[(String, String)]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in own.iter().chain(login) {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(headers)
}

/// Reads a reply as far as it can be used. `more`: a header that is kept besides the others.
async fn read(mut response: reqwest::Response, bytes_max: usize, more: Option<&str>) -> HrReply {
    let status = response.status().as_u16();
    let is_more = |name: &str| more.is_some_and(|more| more.eq_ignore_ascii_case(name));
    let is_kept = |name: &str| HINT_HEADERS.contains(&name) || KEPT_HEADERS.contains(&name) || is_more(name);
    let headers = response
        .headers()
        .iter()
        .filter(|(name, _)| is_kept(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = BytesMut::new();
    let body_complete = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= bytes_max => body.extend_from_slice(&chunk),
            Ok(Some(chunk)) => {
                let room = bytes_max.saturating_sub(body.len());
                body.extend_from_slice(chunk.get(..room).unwrap_or_default());
                break false;
            }
            Err(_) => break false,
            Ok(None) => break true,
        }
    };
    HrReply::Http { status, headers, body: Bytes::from(body), body_complete }
}

/// An error with its causes, without the URL, which names a person.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::from("client");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
