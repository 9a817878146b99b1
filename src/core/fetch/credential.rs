//! The parts of a login that the configuration gives.

use std::fmt;

/// A part of a login that the configuration gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Credential {
    /// An API key, or a long-lived access token.
    Token,
    /// A user.
    Username,
    /// Their password.
    Password,
    /// An OAuth client.
    ClientId,
    /// Its secret.
    ClientSecret,
    /// The refresh token that a grant began with.
    RefreshToken,
    /// A TLS certificate with its chain, as PEM: used with any kind of login.
    ClientCertificate,
    /// The certificate's key, as PEM.
    ClientKey,
}

impl Credential {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Token,
        Self::Username,
        Self::Password,
        Self::ClientId,
        Self::ClientSecret,
        Self::RefreshToken,
        Self::ClientCertificate,
        Self::ClientKey,
    ];

    /// Its key below `[source.fetch]`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Username => "username",
            Self::Password => "password",
            Self::ClientId => "client_id",
            Self::ClientSecret => "client_secret",
            Self::RefreshToken => "refresh_token",
            Self::ClientCertificate => "client_certificate",
            Self::ClientKey => "client_key",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let is_of_headers = |credential: &Self| !matches!(credential, Self::ClientCertificate | Self::ClientKey);
        Self::ALL.into_iter().filter(is_of_headers).find(|credential| credential.as_str() == name)
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
