//! Why a delivery is refused. The reason goes to the log and a metric, not to the sender.

/// Which of the scheme's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one with the signature, or the secret.
    Signature,
    /// The one with the time of sending.
    Timestamp,
    /// The one with the delivery's id.
    Id,
}

impl Role {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Id => "id",
        }
    }
}

/// Why a delivery is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A header that the scheme needs is missing or empty.
    #[error("the {} header is missing", .0.as_str())]
    MissingHeader(Role),
    /// A header of the scheme occurs twice, or has different values under two of its names.
    #[error("the {} header occurs more than once", .0.as_str())]
    RepeatedHeader(Role),
    /// The header contains no signature that the scheme can parse.
    #[error("the signature header does not have the format that the scheme expects")]
    MalformedSignature,
    /// Signed with another secret, or changed in transit.
    #[error("no active secret matches this signature: check the secret at both ends, and proxies that change bodies")]
    Mismatch,
    /// Signed with a secret whose `not_after` has passed.
    #[error("signed with a secret whose not_after has passed: the sender still uses the old one")]
    ExpiredSecret,
    /// The signed text splits into parts in more than one way: bytes may have been moved.
    #[error("the signed text splits into parts in more than one way: put a literal between them in `signed`")]
    AmbiguousCut,
    /// Genuine, but without the timestamp that the scheme requires.
    #[error("the body has no timestamp where the scheme looks for it")]
    MissingTimestamp,
    /// Genuine, but its timestamp cannot be parsed.
    #[error("the timestamp is not in the scheme's unit")]
    MalformedTimestamp,
    /// Genuine, but too old: a replay, a late retry, or a wrong clock.
    #[error("the timestamp is too old: a replay, a late retry, or a wrong clock")]
    TooOld,
    /// Genuine, but from the future: a wrong clock.
    #[error("the timestamp is in the future: a clock is wrong")]
    TooNew,
    /// None of the source's secrets can be used now: our configuration is at fault, not the sender.
    #[error("the source has no usable secret, or all have expired: see `scim-bridge check`")]
    NoUsableSecret,
}

impl Refusal {
    /// Its stable name in logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::MissingHeader(_) => "missing_header",
            Self::RepeatedHeader(_) => "repeated_header",
            Self::MalformedSignature => "malformed_signature",
            Self::Mismatch => "mismatch",
            Self::ExpiredSecret => "expired_secret",
            Self::AmbiguousCut => "ambiguous_cut",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::NoUsableSecret => "no_usable_secret",
        }
    }

    /// Whether the signature was valid, and only the time was not.
    #[must_use]
    pub fn is_stale(self) -> bool {
        match self {
            Self::TooOld | Self::TooNew => true,
            Self::MissingHeader(_)
            | Self::RepeatedHeader(_)
            | Self::MalformedSignature
            | Self::Mismatch
            | Self::ExpiredSecret
            | Self::AmbiguousCut
            | Self::MissingTimestamp
            | Self::MalformedTimestamp
            | Self::NoUsableSecret => false,
        }
    }
}
