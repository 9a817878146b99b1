//! Speaking SCIM 2.0 to Postman: one request out, one reply back.
//!
//! Lives here: URLs, headers, JSON, TLS. Not here: retries, limits, or what a reply means. The
//! client never follows a redirect and never repeats a request.

pub mod wire;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use url::Url;

use crate::core::reply::{HttpReply, Reply};
use crate::core::retry_hint::HINT_HEADERS;
use crate::core::scim::Request;
use crate::secret::LiveSecret;

/// Most of a reply that is read: a page of 100 members is some 50 KB.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Below what servers and load balancers commonly allow (60 s and more), so that a request is not
/// sent on a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// How the key is put into `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Bearer KEY`
    Bearer,
    /// `KEY`, as the published samples show it.
    Raw,
}

/// What a client is built with.
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
    /// `locale` of members whose event tells none.
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
    /// The CA file is no PEM certificate.
    #[error("`[postman] ca_file` holds no certificate in PEM form")]
    Ca,
    /// `[postman] base_url` is no URL.
    #[error("`[postman] base_url` is no URL")]
    BaseUrl,
    /// The TLS or HTTP library could not start; on an image without CA certificates, for one.
    #[error("the HTTPS client could not be made: {0}")]
    Tls(String),
}

/// A client for one target. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    options: ClientOptions,
}

impl Client {
    /// Makes a client; no connection is opened yet.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        // Fails where one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("scim-bridge/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A request that the library repeated by itself would not be counted by the limiter.
            .retry(reqwest::retry::never())
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(POOL_IDLE);
        if let Some(pem) = &options.ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| ClientError::Ca)?;
            if certificates.is_empty() {
                return Err(ClientError::Ca);
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| ClientError::Tls(causes(&error)))?;
        Ok(Self { http, options })
    }

    /// Sends one request and returns what came back, whatever it was.
    pub async fn send(&self, request: &Request) -> Reply {
        let Ok(headers) = self.headers() else {
            // A key with a line break in it: nothing is sent, and `check` says what is wrong.
            return Reply::NotSent;
        };
        let wire = wire::encode(request, &self.options.base_url, &self.options.locale);
        let mut outgoing = self.http.request(wire.method, wire.url).headers(headers);
        if let Some(body) = wire.body {
            outgoing = outgoing.header(CONTENT_TYPE, "application/json").body(body);
        }
        match outgoing.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_connect() || error.is_builder() => Reply::NotSent,
            Err(_) => Reply::Lost,
        }
    }

    fn headers(&self) -> Result<HeaderMap, reqwest::header::InvalidHeaderValue> {
        let key = self.options.key.current();
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/scim+json, application/json"));
        let authorization = match self.options.auth {
            Auth::Bearer => sensitive(&format!("Bearer {}", key.expose_secret()))?,
            Auth::Raw => sensitive(key.expose_secret())?,
        };
        headers.insert(AUTHORIZATION, authorization);
        if self.options.x_api_key {
            headers.insert("x-api-key", sensitive(key.expose_secret())?);
        }
        Ok(headers)
    }
}

/// An HTTP client for our own listeners: no proxy, no redirects, nothing of Postman's.
pub fn plain_http(timeout: Duration) -> Result<reqwest::Client, ClientError> {
    // Fails where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .build()
        .map_err(|error| ClientError::Tls(causes(&error)))
}

/// Reads what there is of a reply. The status line alone says a lot, so a body that breaks off is no
/// reason to throw it away.
async fn read(mut response: reqwest::Response) -> Reply {
    let status = response.status().as_u16();
    let hints = response
        .headers()
        .iter()
        .filter(|(name, _)| HINT_HEADERS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = BytesMut::new();
    let body_complete = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= REPLY_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) | Err(_) => break false,
            Ok(None) => break true,
        }
    };
    Reply::Http(HttpReply { status, hints, body: Bytes::from(body), body_complete })
}

/// An error with its causes, without the URL: a look-up's holds an e-mail.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::from("client");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::core::scim::UserToSend;

    fn client(base_url: &str, auth: Auth, x_api_key: bool) -> Client {
        Client::new(ClientOptions {
            base_url: Url::parse(base_url).unwrap(),
            key: LiveSecret::new("PMAK-secret".to_owned().into()),
            auth,
            x_api_key,
            locale: "en-US".to_owned(),
            timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_millis(500),
            ca_pem: None,
        })
        .unwrap()
    }

    /// Answers one connection with `answer`, and returns what was asked.
    fn serve_once(answer: &'static [u8]) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0_u8; 8192];
            let n = stream.read(&mut asked).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&asked[..n]).into_owned()
        });
        (url, asked)
    }

    fn create() -> Request {
        Request::Create(UserToSend {
            user_name: "ada@example.com".to_owned(),
            given_name: Some("Ada".to_owned()),
            family_name: Some("Lovelace".to_owned()),
            external_id: "E-1".to_owned(),
            locale: None,
            active: Some(true),
        })
    }

    #[tokio::test]
    async fn the_key_is_sent_as_configured() {
        for (auth, x_api_key, expected) in [
            (Auth::Bearer, false, "authorization: Bearer PMAK-secret\r\n"),
            (Auth::Raw, true, "authorization: PMAK-secret\r\n"),
        ] {
            let (url, asked) = serve_once(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nRetry-After: 5\r\n\r\n{}");
            let reply = client(&url, auth, x_api_key).send(&create()).await;
            let asked = asked.join().unwrap();
            assert!(asked.starts_with("POST /scim/v2/Users HTTP/1.1"), "{asked}");
            assert!(asked.contains(expected), "{asked}");
            assert_eq!(asked.contains("x-api-key: PMAK-secret"), x_api_key);
            let Reply::Http(http) = reply else { panic!("{reply:?}") };
            assert_eq!((http.status, http.body_complete), (201, true));
            assert_eq!(http.hints, [("retry-after".to_owned(), "5".to_owned())]);
        }
    }

    #[tokio::test]
    async fn half_a_body_keeps_its_status() {
        let (url, asked) = serve_once(b"HTTP/1.1 201 Created\r\ncontent-length: 200\r\n\r\n{\"id\":");
        let reply = client(&url, Auth::Bearer, false).send(&create()).await;
        asked.join().unwrap();
        let Reply::Http(http) = reply else { panic!("{reply:?}") };
        assert_eq!((http.status, http.body_complete, http.body.as_ref()), (201, false, b"{\"id\":".as_slice()));
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_is_lost_and_a_refused_one_is_not_sent() {
        let (url, asked) = serve_once(b"");
        assert_eq!(client(&url, Auth::Bearer, false).send(&create()).await, Reply::Lost);
        asked.join().unwrap();
        assert_eq!(client(&url, Auth::Bearer, false).send(&create()).await, Reply::NotSent);
        assert_eq!(client("http://no-such-host.invalid/", Auth::Bearer, false).send(&create()).await, Reply::NotSent);
    }

    #[tokio::test]
    async fn a_target_that_never_answers_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let reply = client(&url, Auth::Bearer, false).send(&Request::Probe).await;
        assert_eq!(reply, Reply::Lost);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (url, asked) =
            serve_once(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        let reply = client(&url, Auth::Bearer, false).send(&Request::Probe).await;
        asked.join().unwrap();
        assert_eq!(reply.status(), Some(302));
    }

    #[tokio::test]
    async fn a_key_that_no_header_can_carry_sends_nothing() {
        let client = client("http://127.0.0.1:9/", Auth::Raw, false);
        client.options.key.replace("a\nb".to_owned().into());
        assert_eq!(client.send(&Request::Probe).await, Reply::NotSent);
        assert!(!format!("{client:?}").contains("a\nb"));
    }
}
