use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::tests::options;
use super::*;

/// An authority that issues server certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn server(&self, name: &str, years: (i32, i32)) -> ServerConfig {
        self.config(name, years, None)
    }

    fn config(&self, name: &str, years: (i32, i32), clients_of: Option<&Self>) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = match clients_of {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        builder.with_single_cert(vec![certificate], key).unwrap()
    }
}

/// Answers every request with an empty list.
async fn serve(mut config: ServerConfig, with_http2: bool) -> SocketAddr {
    if with_http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let service = service_fn(|_| async {
                    let body = Full::new(Bytes::from_static(br#"{"totalResults":0,"Resources":[]}"#));
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
                });
                let io = TokioIo::new(stream);
                let _ = if with_http2 {
                    http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
                } else {
                    http1::Builder::new().serve_connection(io, service).await
                };
            });
        }
    });
    address
}

fn client_of(authority: &Authority, address: SocketAddr, timeout: Duration) -> Client {
    let ca_pem = Some(authority.pem.clone().into_bytes());
    let url = format!("https://localhost:{}/scim/v2", address.port());
    Client::new(ClientOptions { ca_pem, timeout, connect_timeout: Duration::from_secs(5), ..options(&url) }).unwrap()
}

async fn reason_of(authority: &Authority, config: ServerConfig) -> NoReply {
    let address = serve(config, false).await;
    match client_of(authority, address, Duration::from_secs(10)).send(&Request::Probe).await {
        Reply::NotSent { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_reason_of_a_tls_failure_is_reported() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let now = (2020, 2100);
    assert_eq!(reason_of(&trusted, trusted.server("localhost", (2020, 2021))).await, NoReply::CertificateExpired);
    assert_eq!(reason_of(&trusted, trusted.server("localhost", (2090, 2100))).await, NoReply::CertificateNotYetValid);
    assert_eq!(reason_of(&trusted, trusted.server("other.example", now)).await, NoReply::CertificateOtherName);
    assert_eq!(reason_of(&trusted, other.server("localhost", now)).await, NoReply::CertificateUntrusted);
    // Many times: with TLS 1.3 the refusal comes after the request, and a reset may overtake it.
    for _ in 0..20 {
        let wants = trusted.config("localhost", now, Some(&other));
        let address = serve(wants, false).await;
        match client_of(&trusted, address, Duration::from_secs(10)).send(&Request::Probe).await {
            Reply::NotSent { reason } | Reply::Lost { reason } => assert_eq!(reason, NoReply::ClientCertificateWanted),
            Reply::Http(http) => panic!("{http:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let reply = client_of(&Authority::new(), address, Duration::from_secs(10)).send(&Request::Probe).await;
    assert_eq!(reply, Reply::NotSent { reason: NoReply::NotTls });
}

/// Passes bytes on to `to`; on command, the open connections swallow everything from then on.
struct Middlebox {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    forget: watch::Sender<usize>,
}

impl Middlebox {
    async fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (forget, forgotten) = watch::channel(0);
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let server = TcpStream::connect(to).await.unwrap();
                let (client, server) = (client.into_split(), server.into_split());
                tokio::spawn(pass_on(client.0, server.1, number, forgotten.clone()));
                tokio::spawn(pass_on(server.0, client.1, number, forgotten.clone()));
            }
        });
        Self { address, connections, forget }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn pass_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    number: usize,
    forgotten: watch::Receiver<usize>,
) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if number > *forgotten.borrow() && to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_on_which_a_call_timed_out_is_not_used_again() {
    let authority = Authority::new();
    let server = serve(authority.server("localhost", (2020, 2100)), true).await;
    let middlebox = Middlebox::before(server).await;
    let client = client_of(&authority, middlebox.address, Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(client.send(&Request::Probe).await.status(), Some(200));
    }
    assert_eq!(middlebox.connections(), 1);
    middlebox.forget.send(1).unwrap();
    let lost = Reply::Lost { reason: NoReply::TimedOut };
    // Simultaneous calls time out simultaneously.
    let (one, other) = tokio::join!(client.send(&Request::Probe), client.send(&Request::Probe));
    assert_eq!((one, other), (lost.clone(), lost));
    assert_eq!(client.send(&Request::Probe).await.status(), Some(200));
    assert!(middlebox.connections() >= 2);
}

#[tokio::test]
async fn a_silent_connection_is_noticed_by_its_pings_long_before_a_long_timeout() {
    let authority = Authority::new();
    let server = serve(authority.server("localhost", (2020, 2100)), true).await;
    let middlebox = Middlebox::before(server).await;
    let client = client_of(&authority, middlebox.address, Duration::from_mins(1));
    assert_eq!(client.send(&Request::Probe).await.status(), Some(200));
    middlebox.forget.send(1).unwrap();
    let begun = Instant::now();
    assert!(matches!(client.send(&Request::Probe).await, Reply::Lost { .. }));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!(client.send(&Request::Probe).await.status(), Some(200));
}
