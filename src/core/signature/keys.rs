//! Secrets as keys, prepared once and used for many deliveries.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::scheme::{Algorithm, Auth, KeyEncoding, Scheme};
use crate::core::time::UnixMs;

/// Why a secret cannot be used with a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// It is empty: anybody could sign with it.
    #[error("the secret is empty")]
    Empty,
    /// It is not encoded as `key.encoding` says.
    #[error("the secret is not base64, as `key.encoding` says: copy all of it, or set key.encoding = \"utf8\"")]
    NotBase64,
    /// It is not encoded as `key.encoding` says.
    #[error("the secret is not hex, as `key.encoding` says: copy all of it, or set key.encoding = \"utf8\"")]
    NotHex,
    /// It is so short that the key could be found by brute force.
    #[error(
        "the secret is shorter than {HMAC_BYTES_MIN} bytes, so a signature could be forged: have the HR system make a longer one"
    )]
    TooShort,
    /// Basic credentials without a colon.
    #[error("the secret must have the form user:password, as auth = \"basic\" needs")]
    NotBasic,
    /// It does not consist of `name: value` lines.
    #[error("the secret must consist of lines of the form `name: value`, as auth = \"static_headers\" needs")]
    NotHeaders,
}

/// The shortest accepted HMAC key, in bytes: 128 bits are beyond brute force.
const HMAC_BYTES_MIN: usize = 16;

/// Whether `secret` works with `scheme`, and is too long for brute force.
pub fn check_secret(scheme: &Scheme, secret: &SecretString) -> Result<(), SecretProblem> {
    Key::prepare(scheme, secret)?;
    let text = secret.expose_secret();
    let text = text.strip_prefix(scheme.key.strip_prefix.as_str()).unwrap_or(text);
    match scheme.auth {
        Auth::Hmac if key_bytes(scheme.key.encoding, text)?.len() < HMAC_BYTES_MIN => Err(SecretProblem::TooShort),
        Auth::Hmac | Auth::StaticHeader | Auth::StaticHeaders | Auth::Basic => Ok(()),
    }
}

/// A proof that can be computed again: 64 bytes at most.
pub(super) struct Proof {
    bytes: [u8; 64],
    len: usize,
}

impl Proof {
    fn of(output: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let len = output.len().min(bytes.len());
        bytes[..len].copy_from_slice(&output[..len]);
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A secret prepared for use. Wiped from memory when dropped.
pub(super) enum Key {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
    /// The SHA-256 of the expected value: comparing hashes reveals nothing about its length.
    Literal(Zeroizing<[u8; 32]>),
    /// Header names, each with the SHA-256 of the expected value.
    Headers(Vec<(String, Zeroizing<[u8; 32]>)>),
}

impl Key {
    pub(super) fn prepare(scheme: &Scheme, secret: &SecretString) -> Result<Self, SecretProblem> {
        let text = secret.expose_secret();
        let text = text.strip_prefix(scheme.key.strip_prefix.as_str()).unwrap_or(text);
        if text.is_empty() {
            return Err(SecretProblem::Empty);
        }
        match scheme.auth {
            Auth::Hmac => {}
            Auth::Basic => {
                let credentials = match &scheme.username {
                    Some(username) => Zeroizing::new(format!("{username}:{text}")),
                    None if !text.contains(':') => return Err(SecretProblem::NotBasic),
                    None => Zeroizing::new(text.to_owned()),
                };
                return Ok(Self::Literal(Zeroizing::new(digest_of(credentials.as_bytes()))));
            }
            Auth::StaticHeader => return Ok(Self::Literal(Zeroizing::new(digest_of(text.as_bytes())))),
            Auth::StaticHeaders => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                let headers = lines.map(|line| {
                    let (name, value) = line.split_once(':')?;
                    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
                    (!name.is_empty() && !value.is_empty()).then(|| (name, Zeroizing::new(digest_of(value.as_bytes()))))
                });
                let headers: Option<Vec<_>> = headers.collect();
                return headers
                    .filter(|headers| !headers.is_empty())
                    .map(Self::Headers)
                    .ok_or(SecretProblem::NotHeaders);
            }
        }
        let key = key_bytes(scheme.key.encoding, text)?;
        if key.is_empty() {
            return Err(SecretProblem::Empty);
        }
        // HMAC keys can have any length, so this cannot fail.
        match scheme.algorithm {
            Algorithm::Sha1 => Hmac::new_from_slice(&key).map(Self::Sha1),
            Algorithm::Sha256 => Hmac::new_from_slice(&key).map(Self::Sha256),
            Algorithm::Sha384 => Hmac::new_from_slice(&key).map(Self::Sha384),
            Algorithm::Sha512 => Hmac::new_from_slice(&key).map(Self::Sha512),
        }
        .map_err(|_| SecretProblem::Empty)
    }

    /// The proof over `parts`, in order.
    pub(super) fn prove(&self, parts: &[&[u8]]) -> Proof {
        match self {
            Self::Sha1(mac) => finish(mac.clone(), parts),
            Self::Sha256(mac) => finish(mac.clone(), parts),
            Self::Sha384(mac) => finish(mac.clone(), parts),
            Self::Sha512(mac) => finish(mac.clone(), parts),
            Self::Literal(digest) => Proof::of(&**digest),
            // Compared header by header: see `try_headers`.
            Self::Headers(_) => Proof::of(&[]),
        }
    }
}

/// The hash by which static secrets are compared.
pub(super) fn digest_of(presented: &[u8]) -> [u8; 32] {
    Sha256::digest(presented).into()
}

fn finish<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Proof {
    for part in parts {
        mac.update(part);
    }
    Proof::of(&mac.finalize().into_bytes())
}

fn key_bytes(encoding: KeyEncoding, text: &str) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let bytes = text.as_bytes();
    let unpadded = text.trim_end_matches('=').as_bytes();
    match encoding {
        KeyEncoding::Utf8 => Ok(bytes.to_vec()),
        KeyEncoding::Hex => HEXLOWER_PERMISSIVE.decode(bytes).map_err(|_| SecretProblem::NotHex),
        KeyEncoding::Base64 => BASE64_NOPAD
            .decode(unpadded)
            .or_else(|_| BASE64URL_NOPAD.decode(unpadded))
            .map_err(|_| SecretProblem::NotBase64),
    }
    .map(Zeroizing::new)
}

/// Which keys match a proof.
pub(super) enum Tried {
    /// An active key matches.
    Proven(Proof),
    /// Only an expired key matches.
    Expired,
    /// No key matches.
    Unproven,
    /// There is no key.
    NoKey,
}

/// A source's secrets, prepared for its scheme. Wiped from memory when dropped.
pub struct Keys(Vec<Entry>);

struct Entry {
    key: Key,
    /// When the key expires. None: never.
    not_after: Option<UnixMs>,
    /// A hash of the secret's text.
    digest: Zeroizing<[u8; 32]>,
}

impl Entry {
    fn has_expired(&self, now: UnixMs) -> bool {
        self.not_after.is_some_and(|not_after| now > not_after)
    }
}

impl Keys {
    /// Prepares secrets, each with the time at which it expires. Secrets that cannot be used are skipped: see
    /// [`check_secret`].
    pub fn prepare<'s>(scheme: &Scheme, secrets: impl IntoIterator<Item = (&'s SecretString, Option<UnixMs>)>) -> Self {
        let entry = |(secret, not_after): (&SecretString, _)| {
            let key = Key::prepare(scheme, secret).ok()?;
            let digest = Zeroizing::new(digest_of(secret.expose_secret().as_bytes()));
            Some(Entry { key, not_after, digest })
        };
        Self(secrets.into_iter().filter_map(entry).collect())
    }

    /// Whether there are no keys at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether none can be used at `now`: there are none, or all have expired.
    #[must_use]
    pub fn are_over(&self, now: UnixMs) -> bool {
        self.0.iter().all(|entry| entry.has_expired(now))
    }

    /// Whether `presented` is the text of one of the secrets.
    pub(super) fn knows(&self, presented: &str) -> bool {
        let presented = digest_of(presented.as_bytes());
        let none = Choice::from(0);
        self.0.iter().fold(none, |known, entry| known | entry.digest.ct_eq(&presented)).into()
    }

    /// Tries every key, so that timing does not reveal which one matched.
    pub(super) fn try_all(&self, parts: &[&[u8]], candidates: &[Vec<u8>], now: UnixMs) -> Tried {
        self.try_each(now, |key| {
            let proof = key.prove(parts);
            let equal = candidates
                .iter()
                .fold(Choice::from(0), |any, candidate| any | candidate.as_slice().ct_eq(proof.as_bytes()));
            (proof, equal.into())
        })
    }

    /// Tries every set of headers: each header of a set must be present once, with its value.
    pub(super) fn try_headers(&self, headers: &[(String, Vec<u8>)], now: UnixMs) -> Tried {
        self.try_each(now, |key| {
            let Key::Headers(expected) = key else { return (Proof::of(&[]), false) };
            let equal = expected.iter().fold(Choice::from(1), |all, (name, digest)| {
                let mut values = headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
                let value = match (values.next(), values.next()) {
                    (Some(value), None) => value.as_slice(),
                    _ => &[],
                };
                all & digest.ct_eq(&digest_of(value))
            });
            (Proof::of(&[]), equal.into())
        })
    }

    fn try_each(&self, now: UnixMs, prove: impl Fn(&Key) -> (Proof, bool)) -> Tried {
        let mut tried = Tried::NoKey;
        for entry in &self.0 {
            let (proof, equal) = prove(&entry.key);
            tried = match (tried, equal, entry.has_expired(now)) {
                (proven @ Tried::Proven(_), _, _) => proven,
                (_, true, false) => Tried::Proven(proof),
                (Tried::Expired, _, _) | (_, true, true) => Tried::Expired,
                (Tried::NoKey | Tried::Unproven, false, _) => Tried::Unproven,
            };
        }
        tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(text: &str) -> Scheme {
        toml::from_str(text).unwrap()
    }

    fn problem(text: &str, secret: &str) -> Option<SecretProblem> {
        check_secret(&scheme(text), &SecretString::from(secret)).err()
    }

    #[test]
    fn a_secret_that_cannot_be_the_key_is_reported_by_kind() {
        let base64 = "key = { encoding = 'base64', strip_prefix = 'whsec_' }";
        assert_eq!(problem(base64, "whsec_AAECAwQFBgcICQoLDA0ODw=="), None);
        assert_eq!(problem(base64, "AAECAwQFBgcICQoLDA0ODw"), None);
        assert_eq!(problem(base64, "whsec_AAECAwQFBgcICQoLDA0-_w"), None);
        assert_eq!(problem(base64, "whsec_AAECAwQFBgcICQoLDA0O"), Some(SecretProblem::TooShort));
        assert_eq!(problem("", "0123456789abcde"), Some(SecretProblem::TooShort));
        assert_eq!(problem("", "0123456789abcdef"), None);
        assert_eq!(problem(base64, "whsec_"), Some(SecretProblem::Empty));
        assert_eq!(problem(base64, "whsec_="), Some(SecretProblem::Empty));
        assert_eq!(problem(base64, "whsec_?!"), Some(SecretProblem::NotBase64));
        assert_eq!(problem("key = { encoding = 'hex' }", &"00fF".repeat(8)), None);
        assert_eq!(problem("key = { encoding = 'hex' }", "00f"), Some(SecretProblem::NotHex));
        assert_eq!(problem("", ""), Some(SecretProblem::Empty));
        assert_eq!(problem("auth = 'basic'", "user"), Some(SecretProblem::NotBasic));
        assert_eq!(problem("auth = 'basic'", "user:"), None);
    }

    #[test]
    fn a_secret_is_taken_until_its_end_and_not_after() {
        let scheme = scheme("");
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        let keys = Keys::prepare(&scheme, [(&old, Some(UnixMs(10))), (&new, None)]);
        let proof = vec![Key::prepare(&scheme, &old).unwrap().prove(&[b"b"]).as_bytes().to_vec()];
        assert!(matches!(keys.try_all(&[b"b"], &proof, UnixMs(10)), Tried::Proven(_)));
        assert!(matches!(keys.try_all(&[b"b"], &proof, UnixMs(11)), Tried::Expired));
        assert!(matches!(keys.try_all(&[b"c"], &proof, UnixMs(11)), Tried::Unproven));
        assert!(keys.knows("new") && !keys.knows("newer"));
        let unusable = Keys::prepare(&scheme, [(&SecretString::from(""), None)]);
        assert!(unusable.is_empty());
        assert!(matches!(unusable.try_all(&[b"b"], &proof, UnixMs(0)), Tried::NoKey));
    }
}
