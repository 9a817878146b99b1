//! The way to the target through an HTTP proxy, if the environment names one.

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

use super::ClientError;
use super::tls::Tls;
use crate::core::reconcile::no_reply::NoReply;
use crate::peer::is_on_this_machine;

/// Longest head of a proxy's answer that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A proxy between us and the target.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    intercept: Intercept,
    /// For a proxy that is itself reached over TLS.
    pub(super) tls: Option<Tls>,
}

impl Proxy {
    /// The proxy that the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case) names for
    /// this target. This machine's own addresses are never reached through another machine.
    pub(super) fn for_target(target: &Url, ca_pem: Option<&[u8]>) -> Result<Option<Self>, ClientError> {
        if is_on_this_machine(target) {
            return Ok(None);
        }
        Self::chosen(&Matcher::from_env(), target, ca_pem)
    }

    fn chosen(matcher: &Matcher, target: &Url, ca_pem: Option<&[u8]>) -> Result<Option<Self>, ClientError> {
        let target: Uri = target.as_str().parse().map_err(|_| ClientError::BaseUrl)?;
        let Some(intercept) = matcher.intercept(&target) else { return Ok(None) };
        let host = intercept.uri().host().ok_or(ClientError::Proxy)?;
        let tls = match intercept.uri().scheme_str() {
            Some("http") => None,
            Some("https") => Some(Tls::new(host, ca_pem, false)?),
            _ => return Err(ClientError::Proxy),
        };
        Ok(Some(Self { intercept, tls }))
    }

    /// Where it is.
    pub(super) fn uri(&self) -> &Uri {
        self.intercept.uri()
    }

    /// The user and password of its URL, as a header.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }

    /// Its address, without user and password.
    pub(super) fn shown(&self) -> String {
        let uri = self.uri();
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default())
    }

    /// Requests a tunnel to `host:port` (RFC 9110 §9.3.6).
    pub(super) async fn tunnel<S>(&self, stream: &mut S, host_and_port: &str) -> Result<(), NoReply>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut request = format!("CONNECT {host_and_port} HTTP/1.1\r\nHost: {host_and_port}\r\n").into_bytes();
        if let Some(authorization) = self.authorization() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await.map_err(|_| NoReply::ProxyUnreachable)?;
        match read_status(stream).await.ok_or(NoReply::ProxyUnreachable)? {
            200..=299 => Ok(()),
            status => Err(NoReply::ProxyRefused(status)),
        }
    }
}

/// Reads the head of the answer, and its status. Nothing follows the head before we send something.
async fn read_status<S: AsyncRead + Unpin>(stream: &mut S) -> Option<u16> {
    let (mut head, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        head.extend_from_slice(&chunk[..n]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        if response.parse(&head).ok()?.is_complete() {
            return response.code;
        }
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(matcher: &Matcher, target: &str) -> Option<String> {
        let target = Url::parse(target).unwrap();
        Proxy::chosen(matcher, &target, None).unwrap().map(|proxy| proxy.shown())
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        let local = [
            "127.0.0.1",
            "127.8.8.8",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST.",
            "sim.localhost",
            "0.0.0.0",
        ];
        for host in local {
            assert!(is_on_this_machine(&Url::parse(&format!("http://{host}:8080/v2")).unwrap()), "{host}");
        }
        for host in ["10.0.0.1", "api.getpostman.com", "localhost.example.com", "[2001:db8::1]"] {
            assert!(!is_on_this_machine(&Url::parse(&format!("https://{host}/v2")).unwrap()), "{host}");
        }
    }

    #[test]
    fn the_proxy_is_shown_without_its_password() {
        let matcher = Matcher::builder().https("http://user:secret@proxy.example:3128").no("internal.example").build();
        assert_eq!(chosen(&matcher, "https://api.example.com/v2").as_deref(), Some("http://proxy.example:3128"));
        assert_eq!(chosen(&matcher, "https://internal.example/v2"), None);
        assert_eq!(chosen(&matcher, "http://api.example.com/v2"), None);
    }

    #[test]
    fn a_proxy_of_a_kind_that_we_cannot_use_is_refused() {
        let matcher = Matcher::builder().all("socks5://proxy.example:1080").build();
        let target = Url::parse("https://api.example.com/v2").unwrap();
        assert!(matches!(Proxy::chosen(&matcher, &target, None), Err(ClientError::Proxy)));
    }

    /// A proxy that answers with `answer`, and what it was asked.
    async fn tunnelled(proxy_url: &str, answer: &[u8]) -> (Result<(), NoReply>, String) {
        let matcher = Matcher::builder().https(proxy_url).build();
        let target = Url::parse("https://api.example.com/v2").unwrap();
        let proxy = Proxy::chosen(&matcher, &target, None).unwrap().unwrap();
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(answer).await.unwrap();
        let outcome = proxy.tunnel(&mut ours, "api.example.com:443").await;
        drop(ours);
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).await.unwrap();
        (outcome, asked)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_a_refusal_is_the_proxys() {
        let (outcome, asked) = tunnelled("http://user:pass@proxy.example:3128", b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(
            asked,
            "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
        );
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
        assert_eq!(tunnelled("http://proxy.example", refusal).await.0, Err(NoReply::ProxyRefused(407)));
        assert_eq!(tunnelled("http://proxy.example", b"SSH-2.0-x\r\n").await.0, Err(NoReply::ProxyUnreachable));
    }
}
