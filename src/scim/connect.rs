//! Connects to the target: directly or through a proxy, plain or with TLS. Every failure has a reason of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use super::proxy::Proxy;
use super::tls::{CertificateWanted, Tls};
use crate::core::reconcile::no_reply::NoReply;

/// Connects to one target.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    tls: Option<Tls>,
    proxy: Option<Proxy>,
    timeout: Duration,
}

impl Connector {
    /// `tls` for an https target. `timeout` is for all steps of one connection together.
    pub(super) fn new(tls: Option<Tls>, proxy: Option<Proxy>, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, tls, proxy, timeout }
    }

    async fn connect(mut self, target: Uri) -> Result<Stream, NoReply> {
        let next = self.proxy.as_ref().map_or(&target, Proxy::uri).clone();
        let reached = self.tcp.call(next).await;
        let mut io: Box<dyn Io> = match (reached, &self.proxy) {
            (Ok(stream), _) => Box::new(stream.into_inner()),
            (Err(_), Some(_)) => return Err(NoReply::ProxyUnreachable),
            (Err(error), None) => return Err(reason(&error)),
        };
        let wanted = CertificateWanted::default();
        if let Some(proxy) = &self.proxy {
            if let Some(tls) = &proxy.tls {
                io = Box::new(tls.connect(io, &CertificateWanted::default()).await?);
            }
            if self.tls.is_some() {
                proxy.tunnel(&mut io, &host_and_port(&target)).await?;
            }
        }
        let mut is_http2 = false;
        if let Some(tls) = &self.tls {
            let stream = tls.connect(io, &wanted).await?;
            is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            io = Box::new(stream);
        }
        let is_proxied = self.proxy.is_some() && self.tls.is_none();
        Ok(Stream { io, is_proxied, is_http2, wanted })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = NoReply;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoReply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(connector.timeout, connector.connect(target)).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(NoReply::ConnectTimedOut),
            }
        })
    }
}

fn host_and_port(target: &Uri) -> String {
    let host = target.host().unwrap_or_default();
    format!("{host}:{}", target.port_u16().unwrap_or(443))
}

/// Why TCP could not connect.
fn reason(error: &(dyn std::error::Error + 'static)) -> NoReply {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(reason) = error.downcast_ref::<NoReply>() {
            return *reason;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused => NoReply::Refused,
                io::ErrorKind::TimedOut => NoReply::ConnectTimedOut,
                _ => NoReply::Unreachable,
            };
        }
        cause = error.source();
    }
    NoReply::Unreachable
}

/// The system's resolver, with a reason of its own for its failures.
#[derive(Debug, Clone)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoReply;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoReply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            // The caller sets the port.
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| NoReply::NoSuchHost)?;
            Ok(addresses.collect::<Vec<_>>().into_iter())
        })
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection to the target.
pub(super) struct Stream {
    io: Box<dyn Io>,
    is_proxied: bool,
    is_http2: bool,
    wanted: CertificateWanted,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied).extra(self.wanted.clone());
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
