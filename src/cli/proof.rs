//! Whether a captured delivery's sender is authenticated, and if not, what would have to be
//! different.

use serde::Serialize;

use super::failure::Failure;
use super::request::Captured;
use crate::config::SourceConfig;
use crate::core::delivery::{Delivery, is_taken};
use crate::core::json::Charset;
use crate::core::signature::scheme::{Auth, TimeUnit, TimestampRule};
use crate::core::signature::{Keys, Refusal, Scheme, Verifier, neighbours};
use crate::core::time::UnixMs;

/// Whether a delivery is genuine.
#[derive(Debug, Serialize)]
pub(super) struct Proof {
    /// A handshake, which is answered before anything else is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handshake: Option<&'static str>,
    /// The reason why it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<&'static str>,
    /// Why it would be refused, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Where the signature is looked for.
    looked_at: String,
    /// What is signed.
    signed: String,
    /// If it is refused: similar schemes under which it would verify, each with what would have to change. Never what
    /// the signature should have been.
    would_verify: Vec<String>,
    /// Whether similar schemes were tried and none fits.
    #[serde(skip)]
    has_no_neighbour: bool,
    /// Oddities of the capture itself, and hints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Proof {
    /// The verdict of the source's scheme on a delivery that arrives at `at`.
    pub(super) fn of(source: &SourceConfig, captured: Captured, at: UnixMs) -> Result<Self, Failure> {
        let Captured { delivery, notes, .. } = captured;
        let delivery = &delivery;
        let scheme = &source.signature;
        let verifier = Verifier::new(scheme.clone())
            .map_err(|_| Failure::failed("the source's scheme cannot be used: see `scim-bridge check`"))?;
        let secrets: Vec<_> = source.secrets.iter().map(|secret| (secret.secret.current(), secret.not_after)).collect();
        let keys = Keys::prepare(scheme, secrets.iter().map(|(secret, not_after)| (&**secret, *not_after)));
        let looked_at = match (&scheme.field, scheme.auth) {
            (Some(field), _) => format!("field {}", field.as_str()),
            (None, Auth::Basic) => "header authorization".to_owned(),
            (None, Auth::StaticHeaders) => "the headers that the secret names".to_owned(),
            (None, Auth::Hmac | Auth::StaticHeader) => format!("header {}", scheme.header.names().join(" or ")),
        };
        let signed = if scheme.auth == Auth::Hmac {
            scheme.signed.to_string()
        } else {
            "nothing: the secret is sent along".to_owned()
        };
        let mut proof = Self {
            handshake: None,
            refused: None,
            detail: None,
            looked_at,
            signed,
            would_verify: Vec::new(),
            has_no_neighbour: false,
            notes,
        };
        let query = delivery.url.split_once('?').map_or("", |(_, query)| query);
        if let Some(answer) = verifier.get_handshake(query).filter(|_| delivery.method == "GET") {
            proof.handshake = Some(answer.as_str());
            return Ok(proof);
        }
        if let Some((reason, detail)) = by_its_head(source, delivery) {
            (proof.refused, proof.detail) = (Some(reason), Some(detail));
            return Ok(proof);
        }
        if let Some(answer) = verifier.unsigned_handshake(&keys, delivery) {
            proof.handshake = Some(answer.as_str());
            return Ok(proof);
        }
        match verifier.verify(&keys, delivery.clone(), at) {
            Ok(genuine) => proof.handshake = verifier.signed_handshake(&keys, &genuine).map(|answer| answer.as_str()),
            Err(refusal) => {
                proof.refused = Some(refusal.reason());
                proof.detail = Some(refusal.to_string());
                match refusal {
                    Refusal::TooOld | Refusal::TooNew | Refusal::MalformedTimestamp => {
                        proof.would_verify = other_units(scheme, &keys, delivery, at);
                        proof.notes.push(format!("the signature is right; the age is judged as of {at}: --at TIME judges it by when it came in"));
                    }
                    Refusal::MissingTimestamp | Refusal::ExpiredSecret | Refusal::AmbiguousCut => {
                        proof.notes.push("the signature is right".to_owned());
                    }
                    Refusal::NoUsableSecret => {}
                    Refusal::MissingHeader(_)
                    | Refusal::RepeatedHeader(_)
                    | Refusal::MalformedSignature
                    | Refusal::Mismatch => {
                        let secrets: Vec<_> = secrets.iter().map(|(secret, _)| &**secret).collect();
                        let ways = neighbours(scheme, &secrets, delivery);
                        proof.would_verify = ways.into_iter().map(|changes| changes.join(" and ")).collect();
                        proof.has_no_neighbour = proof.would_verify.is_empty();
                    }
                }
            }
        }
        Ok(proof)
    }

    pub(super) fn print(&self) {
        for note in &self.notes {
            say!("note: {note}");
        }
        match (self.handshake, &self.detail) {
            (Some(handshake), _) => say!("a handshake ({handshake}): answered, and nothing in it is mapped"),
            (None, None) => say!("genuine ({}, over {})", self.looked_at, self.signed),
            (None, Some(detail)) => {
                say!("refused: {detail}");
                say!("  looked at: {}; signed: {}", self.looked_at, self.signed);
                for way in &self.would_verify {
                    say!("  would verify with {way}");
                }
                if self.has_no_neighbour {
                    say!("  no similar scheme makes this signature with the source's secrets");
                }
            }
        }
        say!();
    }
}

/// If the signature is right but the time is not: the unit in which the time would be right.
fn other_units(scheme: &Scheme, keys: &Keys, delivery: &Delivery, at: UnixMs) -> Vec<String> {
    let units = [(TimeUnit::S, "s"), (TimeUnit::Ms, "ms"), (TimeUnit::Rfc3339, "rfc3339")];
    let fits = |unit: TimeUnit| {
        let timestamp = scheme.timestamp.clone().map(|rule| TimestampRule { unit, ..rule });
        let other = Verifier::new(Scheme { timestamp, ..scheme.clone() });
        other.is_ok_and(|verifier| verifier.verify(keys, delivery.clone(), at).is_ok())
    };
    units
        .into_iter()
        .filter(|(unit, _)| fits(*unit))
        .map(|(_, word)| format!("timestamp = {{ unit = {word:?} }}"))
        .collect()
}

/// Why it would be refused before its signature is looked at, in the words of `status`.
fn by_its_head(source: &SourceConfig, delivery: &Delivery) -> Option<(&'static str, String)> {
    if delivery.method != "POST" {
        return Some(("method", format!("{} is answered 405: deliveries are POSTs", delivery.method)));
    }
    let kind = delivery.content_type();
    if !is_taken(&source.content_types, kind) {
        let taken = source.content_types.join(", ");
        return Some((
            "content_type",
            format!("a body of {} is answered 415: this source takes {taken}", kind.unwrap_or_default()),
        ));
    }
    if Charset::of(kind).is_err() {
        return Some(("charset", "a body in an unknown charset is answered 415".to_owned()));
    }
    let coding =
        delivery.headers.iter().find(|(name, _)| name == "content-encoding").map(|(_, value)| value.as_slice());
    coding
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .map(|_| ("content_encoding", "a compressed body is answered 415: have it sent uncompressed".to_owned()))
}
