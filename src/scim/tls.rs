//! TLS to the target: whom we trust, and why a handshake failed, in words that an operator can act on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ClientError;
use crate::core::reconcile::no_reply::NoReply;

/// Connects with TLS to one host.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

impl Tls {
    /// Trusts what the machine trusts, and `ca_pem`. HTTP/2 is offered if `with_http2`.
    pub(super) fn new(host: &str, ca_pem: Option<&[u8]>, with_http2: bool) -> Result<Self, ClientError> {
        let extra = match ca_pem {
            Some(pem) => certificates(pem)?,
            None => Vec::new(),
        };
        let failed = |error: Error| ClientError::Tls(error.to_string());
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(failed)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        if with_http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = ServerName::try_from(host).map_err(|_| ClientError::BaseUrl)?;
        Ok(Self { config: Arc::new(config), host })
    }

    /// Makes the handshake. Afterwards `wanted` says whether the server asked for a client certificate: without one,
    /// it may close the connection only later.
    pub(super) async fn connect<S>(&self, stream: S, wanted: &CertificateWanted) -> Result<TlsStream<S>, NoReply>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(wanted.clone());
        let connected = TlsConnector::from(Arc::new(config)).connect(self.host.clone(), stream).await;
        connected.map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => reason(error, wanted.is_set()),
            None if wanted.is_set() => NoReply::ClientCertificateWanted,
            None => NoReply::TlsFailed,
        })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|certificates| !certificates.is_empty()).ok_or(ClientError::Ca)
}

/// Whether the server asked for a client certificate. We have none to send.
#[derive(Debug, Clone, Default)]
pub(super) struct CertificateWanted(Arc<AtomicBool>);

impl CertificateWanted {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for CertificateWanted {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Why TLS failed, if the error comes from TLS.
pub(super) fn reason_of_io(error: &io::Error, certificate_wanted: bool) -> Option<NoReply> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(|error| reason(error, certificate_wanted))
}

fn reason(error: &Error, certificate_wanted: bool) -> NoReply {
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => NoReply::CertificateExpired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                NoReply::CertificateNotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                NoReply::CertificateOtherName
            }
            // A bad signature: the certificate's authority has the name of a trusted one, but another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => NoReply::CertificateUntrusted,
            CertificateError::Revoked => NoReply::CertificateRevoked,
            // The enum is another crate's, and may grow.
            _ => NoReply::CertificateInvalid,
        },
        Error::AlertReceived(AlertDescription::CertificateRequired) => NoReply::ClientCertificateWanted,
        // TLS before 1.3 has no alert for this.
        Error::AlertReceived(_) if certificate_wanted => NoReply::ClientCertificateWanted,
        Error::InvalidMessage(_) => NoReply::NotTls,
        _ => NoReply::TlsFailed,
    }
}
