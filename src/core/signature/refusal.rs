//! Why a delivery is refused. The reason goes to the log and a metric, not to the sender.

/// Which of a scheme's headers is meant.
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
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Id => "id",
        }
    }
}

/// Why a delivery is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A header that the scheme needs is not there, or is empty.
    #[error("the {} header is missing", .0.as_str())]
    MissingHeader(Role),
    /// A header of the scheme is there twice, or under two of its names with two values.
    #[error("the {} header is there more than once", .0.as_str())]
    RepeatedHeader(Role),
    /// The header holds no signature that the scheme can read.
    #[error("the signature header is not of the form that the scheme expects")]
    MalformedSignature,
    /// Signed with another secret, or changed on its way.
    #[error("no active secret makes this signature: check the secret at both ends, and proxies that change bodies")]
    Mismatch,
    /// Signed with a secret whose `not_after` has passed.
    #[error("signed with a secret whose not_after has passed: the sender still uses the old one")]
    ExpiredSecret,
    /// What is signed could be cut into its parts in more than one way: bytes may have been moved.
    #[error("what is signed can be cut into its parts in more than one way: put a literal between them in `signed`")]
    AmbiguousCut,
    /// Genuine, but without the time of sending that the scheme asks for.
    #[error("the body has no timestamp where the scheme looks for it")]
    MissingTimestamp,
    /// Genuine, but its time of sending cannot be read.
    #[error("the timestamp is not in the scheme's unit")]
    MalformedTimestamp,
    /// Genuine, but sent too long ago: a replay, a late retry, or a clock that is off.
    #[error("the timestamp is too old: a replay, a late retry, or a clock that is off")]
    TooOld,
    /// Genuine, but sent in the future: a clock is off.
    #[error("the timestamp is in the future: a clock is off")]
    TooNew,
    /// No secret of the source can be used now: ours to mend, not the sender's.
    #[error("the source has no secret that can be used: see `scim-bridge check`")]
    NoUsableSecret,
}

impl Refusal {
    /// A stable word for log and metric.
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

    /// Whether the signature was good and only the time was not.
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
