//! The check: first the signature over raw bytes, then the time of sending, then the key by which repetitions are
//! recognised.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde_json::Value;

use super::cut;
use super::fields::{HeaderNames, JsonPointer, Tolerance};
use super::genuine::{EventId, Genuine};
use super::keys::{Keys, Tried, digest_of};
use super::read;
use super::refusal::{Refusal, Role};
use super::scheme::{Auth, IdRule, Layout, Scheme, TimeUnit, TimestampFrom, TimestampRule};
use super::seen::Seen;
use super::template::Part;
use super::validate::SchemeProblem;
use crate::core::delivery::{Delivery, Verified};
use crate::core::json::Charset;
use crate::core::time::UnixMs;

/// Largest body, in bytes, that is searched for a signature inside it: real ones have about 500.
const SIGNED_FIELDS_BODY_BYTES_MAX: usize = 65_536;
/// From here on a numeric timestamp is in milliseconds: in seconds it would be the year 5138.
const AUTO_MS_FROM: i64 = 100_000_000_000;

/// Checks the deliveries of one source, with a scheme that has been validated.
#[derive(Debug, Clone)]
pub struct Verifier {
    pub(super) scheme: Scheme,
}

/// What a delivery's headers claim.
struct Evidence<'a> {
    candidates: Vec<Vec<u8>>,
    timestamp: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    fields: Vec<Vec<u8>>,
}

impl Verifier {
    /// A verifier; an error lists all problems with the scheme.
    pub fn new(scheme: Scheme) -> Result<Self, Vec<SchemeProblem>> {
        let problems = scheme.validate();
        if problems.is_empty() { Ok(Self { scheme }) } else { Err(problems) }
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The id that the sender gave a delivery; none if its body or signature takes the place of an id.
    #[must_use]
    pub fn event_id<'g>(&self, genuine: &'g Genuine) -> Option<&'g str> {
        match (&self.scheme.id, &genuine.id) {
            (IdRule::Header(_) | IdRule::Json(_), EventId::Given(id)) => std::str::from_utf8(id).ok(),
            (IdRule::Header(_) | IdRule::Json(_) | IdRule::Signature | IdRule::BodyHash, _) => None,
        }
    }

    /// Verifies the sender, then the time. The body is parsed only if its signature is valid.
    pub fn verify(&self, keys: &Keys, delivery: Delivery, now: UnixMs) -> Result<Genuine, Refusal> {
        let (timestamp, mut id) = self.prove(keys, &delivery, now)?;
        let text = text_of(&delivery);
        if let Some(rule) = &self.scheme.timestamp {
            check_window(rule, timestamp.as_deref(), &text, now)?;
        }
        if let IdRule::Json(pointer) = &self.scheme.id {
            id = scalar(pointer, &text).map_or(EventId::Body, |text| EventId::Given(text.into_bytes()));
        }
        drop(text);
        Ok(Genuine { delivery: Verified::attest(delivery), id })
    }

    /// Checks the signature only. Returns timestamp and id as found in the headers.
    fn prove(&self, keys: &Keys, delivery: &Delivery, now: UnixMs) -> Result<(Option<Vec<u8>>, EventId), Refusal> {
        if keys.are_over(now) {
            return Err(Refusal::NoUsableSecret);
        }
        let evidence = self.evidence(delivery)?;
        let seen = Seen {
            method: &delivery.method,
            url: &delivery.url,
            body: &delivery.body,
            timestamp: evidence.timestamp.unwrap_or_default(),
            id: evidence.id.unwrap_or_default(),
            fields: &evidence.fields,
        };
        let tried = match self.scheme.auth {
            Auth::StaticHeaders => keys.try_headers(&delivery.headers, now),
            Auth::Hmac | Auth::StaticHeader | Auth::Basic => {
                keys.try_all(&seen.parts(&self.scheme), &evidence.candidates, now)
            }
        };
        let proof = match tried {
            Tried::Proven(proof) => proof,
            Tried::Expired => return Err(Refusal::ExpiredSecret),
            Tried::Unproven => return Err(Refusal::Mismatch),
            Tried::NoKey => return Err(Refusal::NoUsableSecret),
        };
        if self.scheme.auth == Auth::Hmac
            && !(cut::is_clear(&self.scheme, &seen) && self.fields_keep_their_bounds(&seen))
        {
            // A timestamp in another unit has other characters; the error should then point at the unit.
            let rule = self.scheme.timestamp.as_ref();
            let is_of_other_unit = rule.zip(evidence.timestamp).is_some_and(|(rule, raw)| {
                parse_time(raw, rule.unit).is_none() && parse_time(raw, TimeUnit::Auto).is_some()
            });
            return Err(if is_of_other_unit { Refusal::MalformedTimestamp } else { Refusal::AmbiguousCut });
        }
        let id = match (&self.scheme.id, evidence.id) {
            // A signature of the body alone identifies no more than the body does.
            (IdRule::Signature, _)
                if self.scheme.signed.parts().iter().any(|part| *part != Part::Body && part.is_variable()) =>
            {
                EventId::Given(proof.as_bytes().to_vec())
            }
            (IdRule::Header(_), Some(id)) => EventId::Given(id.to_vec()),
            (IdRule::Signature | IdRule::Header(_) | IdRule::Json(_) | IdRule::BodyHash, _) => EventId::Body,
        };
        Ok((evidence.timestamp.map(<[u8]>::to_vec), id))
    }

    /// Whether a field that is the timestamp, next to another signed field, has the length of its unit. If not, digits
    /// could be moved from one to the other under the same signature.
    fn fields_keep_their_bounds(&self, seen: &Seen<'_>) -> bool {
        let parts = self.scheme.signed.parts();
        let Some(rule) = &self.scheme.timestamp else { return true };
        let mut fields = seen.fields.iter();
        parts.iter().enumerate().all(|(n, part)| {
            let Part::Json(_) = part else { return true };
            let value = fields.next().map(Vec::as_slice).unwrap_or_default();
            let beside = [n.checked_sub(1), Some(n + 1)].into_iter().flatten().filter_map(|n| parts.get(n));
            !self.scheme.is_time(part) || !beside.into_iter().any(Part::is_variable) || has_its_length(value, rule.unit)
        })
    }

    fn evidence<'a>(&self, delivery: &'a Delivery) -> Result<Evidence<'a>, Refusal> {
        let scheme = &self.scheme;
        let in_body = scheme.field.is_some() || scheme.signed.parts().iter().any(|part| matches!(part, Part::Json(_)));
        let body = if in_body && delivery.body.len() <= SIGNED_FIELDS_BODY_BYTES_MAX { &*delivery.body } else { &[] };
        let (value, candidates) = match (scheme.auth, &scheme.field) {
            (Auth::Hmac, None) => {
                let value = read::needed(delivery, &scheme.header, Role::Signature)?;
                (value, read::candidates(value, &scheme.value, scheme.encoding)?)
            }
            (Auth::Hmac, Some(field)) => {
                let stated = scalar(field, body).ok_or(Refusal::MissingHeader(Role::Signature))?;
                (&[][..], read::candidates(stated.as_bytes(), &scheme.value, scheme.encoding)?)
            }
            (Auth::StaticHeaders, _) => (&[][..], Vec::new()),
            (Auth::StaticHeader, _) => {
                let value = read::needed(delivery, &scheme.header, Role::Signature)?;
                let prefix = match &scheme.value {
                    Layout::Single { prefix, .. } => prefix.as_bytes(),
                    Layout::List { .. } | Layout::Pairs { .. } => &[],
                };
                let secret = value.strip_prefix(prefix).ok_or(Refusal::MalformedSignature)?;
                (value, vec![digest_of(secret).to_vec()])
            }
            (Auth::Basic, _) => {
                let value = read::needed(delivery, &HeaderNames::authorization(), Role::Signature)?;
                let credentials = basic_credentials(value).ok_or(Refusal::MalformedSignature)?;
                (value, vec![digest_of(&credentials).to_vec()])
            }
        };
        let timestamp = match scheme.timestamp.as_ref().filter(|rule| self.needs_timestamp(rule)) {
            None => None,
            Some(rule) => match (&rule.from, &scheme.value) {
                (TimestampFrom::Header(names), _) => Some(read::needed(delivery, names, Role::Timestamp)?),
                (TimestampFrom::Pair(name), Layout::Pairs { separator, .. }) => {
                    Some(read::pair(value, separator, name)?)
                }
                (TimestampFrom::Pair(_) | TimestampFrom::Json(_), _) => None,
            },
        };
        let id = match &scheme.id {
            IdRule::Header(names) if scheme.auth == Auth::Hmac => Some(read::needed(delivery, names, Role::Id)?),
            IdRule::Header(names) => read::header(delivery, names, Role::Id)?,
            IdRule::Json(_) | IdRule::Signature | IdRule::BodyHash => None,
        };
        Ok(Evidence { candidates, timestamp, id, fields: fields_of(scheme, body) })
    }

    fn needs_timestamp(&self, rule: &TimestampRule) -> bool {
        let signed = self.scheme.auth == Auth::Hmac && self.scheme.signed.has(&Part::Timestamp);
        signed || rule.past_s != Tolerance::Off || rule.future_s != Tolerance::Off
    }
}

/// `user:password` of `Basic <base64>` (RFC 7617).
fn basic_credentials(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, credentials) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    BASE64.decode(credentials.trim_ascii()).ok()
}

/// The body as text: decoded, if its type names another charset than UTF-8.
fn text_of(delivery: &Delivery) -> Cow<'_, [u8]> {
    let charset = Charset::of(delivery.content_type()).ok().filter(|charset| *charset != Charset::utf8());
    match charset.and_then(|charset| charset.decode(&delivery.body)) {
        Some(text) => Cow::Owned(text.into_owned().into_bytes()),
        None => Cow::Borrowed(&delivery.body),
    }
}

/// The fields of a body that a scheme signs, in order, as text; a missing one is empty.
pub(super) fn fields_of(scheme: &Scheme, body: &[u8]) -> Vec<Vec<u8>> {
    let fields = scheme
        .signed
        .parts()
        .iter()
        .filter_map(|part| if let Part::Json(pointer) = part { Some(pointer) } else { None });
    fields.map(|pointer| scalar(pointer, body).map(String::into_bytes).unwrap_or_default()).collect()
}

/// Whether a timestamp has the length that its unit has in our times.
fn has_its_length(raw: &[u8], unit: TimeUnit) -> bool {
    let digits = |count: usize| raw.len() == count && raw.iter().all(u8::is_ascii_digit);
    let is_rfc3339 = || {
        std::str::from_utf8(raw)
            .is_ok_and(|text| text.starts_with(|c: char| c.is_ascii_digit()) && UnixMs::parse_rfc3339(text).is_some())
    };
    match unit {
        TimeUnit::S => digits(10),
        TimeUnit::Ms => digits(13),
        TimeUnit::Rfc3339 => is_rfc3339(),
        TimeUnit::Auto => digits(10) || is_rfc3339(),
    }
}

/// A string or whole number in the body, as text.
fn scalar(pointer: &JsonPointer, body: &[u8]) -> Option<String> {
    match pointer.find(body)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn check_window(rule: &TimestampRule, raw: Option<&[u8]>, body: &[u8], now: UnixMs) -> Result<(), Refusal> {
    if rule.past_s == Tolerance::Off && rule.future_s == Tolerance::Off {
        return Ok(());
    }
    let from_body;
    let raw = match &rule.from {
        TimestampFrom::Json(pointer) => {
            from_body = scalar(pointer, body).ok_or(Refusal::MissingTimestamp)?;
            from_body.as_bytes()
        }
        TimestampFrom::Header(_) | TimestampFrom::Pair(_) => raw.ok_or(Refusal::MissingTimestamp)?,
    };
    let sent = parse_time(raw, rule.unit).ok_or(Refusal::MalformedTimestamp)?;
    if beyond(now.ms_since(sent), rule.past_s) {
        return Err(Refusal::TooOld);
    }
    if beyond(sent.ms_since(now), rule.future_s) {
        return Err(Refusal::TooNew);
    }
    Ok(())
}

/// Compared in whole seconds, since senders round theirs.
fn beyond(off_ms: u64, tolerance: Tolerance) -> bool {
    match tolerance {
        Tolerance::Seconds(seconds) => off_ms / 1000 > u64::from(seconds),
        Tolerance::Off => false,
    }
}

fn parse_time(raw: &[u8], unit: TimeUnit) -> Option<UnixMs> {
    let text = std::str::from_utf8(raw).ok()?;
    let number = || if raw.iter().all(u8::is_ascii_digit) { text.parse::<i64>().ok() } else { None };
    match unit {
        TimeUnit::S => number()?.checked_mul(1000).map(UnixMs),
        TimeUnit::Ms => number().map(UnixMs),
        TimeUnit::Rfc3339 => UnixMs::parse_rfc3339(text),
        TimeUnit::Auto => match number() {
            Some(number) if number < AUTO_MS_FROM => number.checked_mul(1000).map(UnixMs),
            Some(number) => Some(UnixMs(number)),
            None => UnixMs::parse_rfc3339(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_only_in_its_unit() {
        assert_eq!(parse_time(b"1700000000", TimeUnit::S), Some(UnixMs(1_700_000_000_000)));
        assert_eq!(parse_time(b"1700000000001", TimeUnit::Ms), Some(UnixMs(1_700_000_000_001)));
        assert_eq!(parse_time(b"2023-11-14T22:13:20Z", TimeUnit::Rfc3339), Some(UnixMs(1_700_000_000_000)));
        for malformed in ["", "-1", "+1", " 1", "1.5", "0x1", "99999999999999999999", "9223372036854775807"] {
            assert_eq!(parse_time(malformed.as_bytes(), TimeUnit::S), None, "{malformed}");
        }
        assert_eq!(parse_time(b"1700000000", TimeUnit::Rfc3339), None);
    }

    #[test]
    fn the_window_includes_its_ends() {
        let rule = |past_s, future_s| TimestampRule {
            from: TimestampFrom::Pair("t".into()),
            unit: TimeUnit::S,
            past_s,
            future_s,
        };
        let (past, future) = (Tolerance::Seconds(300), Tolerance::Seconds(60));
        let at = |now_ms, rule: &TimestampRule| check_window(rule, Some(b"1000"), b"", UnixMs(now_ms));
        assert_eq!(at(1_300_999, &rule(past, future)), Ok(()));
        assert_eq!(at(1_301_000, &rule(past, future)), Err(Refusal::TooOld));
        assert_eq!(at(939_001, &rule(past, future)), Ok(()));
        assert_eq!(at(939_000, &rule(past, future)), Err(Refusal::TooNew));
        assert_eq!(at(i64::MAX, &rule(Tolerance::Off, future)), Ok(()));
        assert_eq!(at(0, &rule(past, Tolerance::Off)), Ok(()));
    }

    #[test]
    fn basic_credentials_are_what_rfc_7617_says() {
        assert_eq!(basic_credentials(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(b"Aladdin:open sesame".to_vec()));
        assert_eq!(basic_credentials(b"basic QTpC"), Some(b"A:B".to_vec()));
        assert_eq!(basic_credentials(b"Bearer QTpC"), None);
        assert_eq!(basic_credentials(b"Basic"), None);
    }
}
