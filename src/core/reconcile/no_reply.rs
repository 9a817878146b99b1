//! Why a request brought no reply.

use std::fmt;

/// Why no reply came. Contains neither URL nor address, so it is safe for logs and stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoReply {
    /// DNS has no address for that host name.
    NoSuchHost,
    /// Nothing listens on that port.
    Refused,
    /// There is no route to the host, or the connection broke while it was being made.
    Unreachable,
    /// No connection within `[postman] connect_timeout_s`.
    ConnectTimedOut,
    /// The server's certificate has expired.
    CertificateExpired,
    /// The server's certificate is not valid yet: one of the two clocks is wrong.
    CertificateNotYetValid,
    /// The server's certificate is for another name.
    CertificateOtherName,
    /// The server's certificate was issued by an authority that is not trusted.
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
    /// What to do about it; none if the advice for the trouble's code is all there is to say.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchHost => "Correct `[postman] base_url`, or find out why DNS does not know the host from here.",
            Self::Refused => "Make sure that the server is running, and that `[postman] base_url` names its port.",
            Self::CertificateExpired => "Have the server's certificate renewed.",
            Self::CertificateNotYetValid => "Set the clock of this machine, or of the one that made the certificate.",
            Self::CertificateOtherName => "Set `[postman] base_url` to a host name that the certificate covers.",
            Self::CertificateUntrusted => {
                "Put the certificate of the authority that issued it into the file that `[postman] ca_file` names."
            }
            Self::CertificateRevoked | Self::CertificateInvalid => "Have the server's certificate replaced.",
            Self::ClientCertificateWanted => {
                "The server wants a client certificate, which scim-bridge does not send: reach it through something that does."
            }
            Self::NotTls => "Check the port in `[postman] base_url`; without TLS, it must begin with `http://`.",
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
            Self::Refused => "the connection was refused: nothing listens on that port",
            Self::Unreachable => "no connection could be made: there is no route to the host",
            Self::ConnectTimedOut => "no connection was made in time",
            Self::CertificateExpired => "the server's certificate has expired",
            Self::CertificateNotYetValid => "the server's certificate is not valid yet: check the clocks of both sides",
            Self::CertificateOtherName => {
                "the server's certificate is for another name than the one in `[postman] base_url`"
            }
            Self::CertificateUntrusted => {
                "the server's certificate was issued by an unknown authority: trust it with `[postman] ca_file`"
            }
            Self::CertificateRevoked => "the server's certificate was revoked",
            Self::CertificateInvalid => "the server's certificate is damaged, or not meant for servers",
            Self::ClientCertificateWanted => "the server wants a client certificate, which the bridge does not have",
            Self::TlsFailed => "the TLS handshake failed: the two sides have no version or cipher in common",
            Self::NotTls => "what answers there does not speak TLS",
            Self::ProxyRefused(407) => {
                return f.write_str("the proxy requires a user name and a password (407): put them into its URL");
            }
            Self::ProxyRefused(status) => return write!(f, "the proxy does not let us through ({status})"),
            Self::ProxyUnreachable => "the proxy does not answer, or is not a proxy",
            Self::KeyUnusable => "the key cannot be sent: it has a line break or another control character in it",
            Self::UrlUnusable => "the request cannot be put into a URL",
            Self::TimedOut => "no reply came in time",
            Self::Closed => "the connection was closed before the reply",
            Self::NotHttp => "what came back is not HTTP",
        })
    }
}

impl std::error::Error for NoReply {}
