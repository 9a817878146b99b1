//! Why a request brought no reply.

use std::fmt;

/// Why no reply came. Contains neither URL nor address, so it is safe for logs and stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoReply {
    /// No address of that host name.
    NoSuchHost,
    /// Nobody listens there.
    Refused,
    /// The network has no way there, or the connection broke while it was made.
    Unreachable,
    /// No connection within `[postman] connect_timeout_s`.
    ConnectTimedOut,
    /// The server's certificate has expired.
    CertificateExpired,
    /// The server's certificate is not valid yet: one of the two clocks is wrong.
    CertificateNotYetValid,
    /// The server's certificate is for another name.
    CertificateOtherName,
    /// The server's certificate is of an authority that is not trusted.
    CertificateUntrusted,
    /// The server's certificate was revoked.
    CertificateRevoked,
    /// The server's certificate is damaged, or not made for servers.
    CertificateInvalid,
    /// The server wants a client certificate, which this bridge does not have.
    ClientCertificateWanted,
    /// The TLS handshake failed for another reason.
    TlsFailed,
    /// What answers there does not speak TLS.
    NotTls,
    /// The proxy did not let us through, with this status.
    ProxyRefused(u16),
    /// No connection to the proxy, or it does not speak HTTP.
    ProxyUnreachable,
    /// The key cannot be sent in a header.
    KeyUnusable,
    /// The request cannot be put into a URL.
    UrlUnusable,
    /// No reply within `[postman] timeout_s`, or none to a ping of the connection.
    TimedOut,
    /// The connection was closed or reset before the reply.
    Closed,
    /// What came back is not HTTP.
    NotHttp,
}

impl NoReply {
    /// What to do about it; none if the code of the trouble says it.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchHost => "Correct `[postman] base_url`, or see why DNS does not know the host from here.",
            Self::Refused => "See that what is to answer there runs, and that `[postman] base_url` names its port.",
            Self::CertificateExpired => "Have the server's certificate renewed.",
            Self::CertificateNotYetValid => "Set the clock of this machine, or of the one that made the certificate.",
            Self::CertificateOtherName => "Let `[postman] base_url` name a host that the certificate is for.",
            Self::CertificateUntrusted => {
                "Put the certificate of the authority that issued it into `[postman] ca_file`."
            }
            Self::CertificateRevoked | Self::CertificateInvalid => "Have the server's certificate replaced.",
            Self::ClientCertificateWanted => {
                "The server wants a client certificate, which scim-bridge does not send: use another way to it."
            }
            Self::NotTls => "See that `[postman] base_url` has the right port, and `http://` if it is to be plain.",
            Self::ProxyRefused(_) | Self::ProxyUnreachable => {
                "Correct HTTPS_PROXY (user, password, address), or add the host to NO_PROXY."
            }
            Self::KeyUnusable => "Put the SCIM key alone, on one line, where `[postman] key` points.",
            Self::Unreachable
            | Self::ConnectTimedOut
            | Self::TlsFailed
            | Self::UrlUnusable
            | Self::TimedOut
            | Self::Closed
            | Self::NotHttp => return None,
        })
    }
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchHost => "the host name is not known to DNS",
            Self::Refused => "the connection was refused: nobody listens there",
            Self::Unreachable => "no connection could be made: the network has no way there",
            Self::ConnectTimedOut => "no connection was made in time",
            Self::CertificateExpired => "the server's certificate has expired",
            Self::CertificateNotYetValid => "the server's certificate is not valid yet: see the clocks of both sides",
            Self::CertificateOtherName => {
                "the server's certificate is for another name than the one in `[postman] base_url`"
            }
            Self::CertificateUntrusted => {
                "the server's certificate is of an unknown authority: trust it by `[postman] ca_file`"
            }
            Self::CertificateRevoked => "the server's certificate was revoked",
            Self::CertificateInvalid => "the server's certificate is damaged, or not made for servers",
            Self::ClientCertificateWanted => "the server wants a client certificate, which the bridge does not have",
            Self::TlsFailed => "the TLS handshake failed: the two sides have no version or cipher in common",
            Self::NotTls => "what answers there does not speak TLS",
            Self::ProxyRefused(407) => {
                return f.write_str("the proxy wants a user and a password (407): give them in the proxy's URL");
            }
            Self::ProxyRefused(status) => return write!(f, "the proxy does not let us through ({status})"),
            Self::ProxyUnreachable => "the proxy does not answer, or is none",
            Self::KeyUnusable => "the key cannot be sent: it has a line break or another control character in it",
            Self::UrlUnusable => "the request cannot be put into a URL",
            Self::TimedOut => "no reply came in time",
            Self::Closed => "the connection was closed before the reply",
            Self::NotHttp => "what came back is not HTTP",
        })
    }
}

impl std::error::Error for NoReply {}
