//! What a source asks before or between its deliveries. A handshake changes no person's record.
//!
//! A handshake that must be signed is answered after the checks of signature and time; one that need not be, before
//! them, and only for a small body. A capture is accepted only while the source has no secret.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::Value;

use super::fields::JsonPointer;
use super::genuine::Genuine;
use super::keys::Keys;
use super::read;
use super::refusal::Role;
use super::scheme::{EchoReply, Handshake, Scheme, When, WhenFrom};
use super::verify::Verifier;
use crate::core::delivery::Delivery;

/// Longest challenge that is echoed, in bytes: real ones have about 60.
const CHALLENGE_BYTES_MAX: usize = 256;
/// Longest body that is parsed without a signature, in bytes.
const UNSIGNED_BODY_BYTES_MAX: usize = 4096;
/// Shortest and longest verification token, in bytes; anything else is not a token.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 8..=512;

/// How to answer a handshake.
pub enum HandshakeAnswer {
    /// 200 with no body.
    Pong,
    /// 200 with this text, which is printable ASCII, as `text/plain`.
    Text(String),
    /// 200 with this document.
    Json(Value),
    /// Write the token to the file, unless the file exists, and answer 200.
    Capture {
        /// A secret.
        token: SecretString,
        /// The file's path.
        file: PathBuf,
    },
    /// 200: a token came, but no file is configured for it. Reported to the operator.
    Offered,
}

impl HandshakeAnswer {
    /// Its name in logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pong => "ping",
            Self::Text(_) | Self::Json(_) => "echo",
            Self::Capture { .. } => "capture",
            Self::Offered => "offered",
        }
    }
}

impl fmt::Debug for HandshakeAnswer {
    /// Challenges and tokens stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandshakeAnswer({})", self.as_str())
    }
}

impl Verifier {
    /// The answer to a handshake that needs no signature; none if the delivery is not such a handshake.
    #[must_use]
    pub fn unsigned_handshake(&self, keys: &Keys, delivery: &Delivery) -> Option<HandshakeAnswer> {
        let unsigned = |handshake: &&Handshake| match handshake {
            Handshake::Echo { signed, .. } | Handshake::Ping { signed, .. } => !*signed,
            Handshake::Capture { .. } => true,
            Handshake::Get { .. } => false,
        };
        let body = if delivery.body.len() <= UNSIGNED_BODY_BYTES_MAX { &*delivery.body } else { &[] };
        let mut handshakes = self.scheme.handshake.iter().filter(unsigned);
        handshakes.find_map(|handshake| answer(&self.scheme, keys, handshake, delivery, body))
    }

    /// The answer to a GET, which is never signed: one parameter of its query, echoed as text.
    #[must_use]
    pub fn get_handshake(&self, query: &str) -> Option<HandshakeAnswer> {
        self.scheme.handshake.iter().find_map(|handshake| match handshake {
            Handshake::Get { parameter } => {
                let (_, value) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == parameter)?;
                is_printable(&value, 1..=CHALLENGE_BYTES_MAX).then(|| HandshakeAnswer::Text(value.into_owned()))
            }
            Handshake::Echo { .. } | Handshake::Ping { .. } | Handshake::Capture { .. } => None,
        })
    }

    /// The answer to a signed handshake; none if the delivery is not a handshake.
    #[must_use]
    pub fn signed_handshake(&self, keys: &Keys, genuine: &Genuine) -> Option<HandshakeAnswer> {
        let delivery = genuine.delivery.get();
        self.scheme.handshake.iter().find_map(|handshake| match handshake {
            Handshake::Echo { signed: true, .. } | Handshake::Ping { signed: true, .. } => {
                answer(&self.scheme, keys, handshake, delivery, &delivery.body)
            }
            // A token in a signed request is one that we already have.
            Handshake::Capture { token, .. } => string(token, &delivery.body).map(|_| HandshakeAnswer::Pong),
            Handshake::Echo { .. } | Handshake::Ping { .. } | Handshake::Get { .. } => None,
        })
    }
}

fn answer(
    scheme: &Scheme,
    keys: &Keys,
    handshake: &Handshake,
    delivery: &Delivery,
    body: &[u8],
) -> Option<HandshakeAnswer> {
    match handshake {
        Handshake::Ping { when, signed: _ } => meant(when, delivery, body).then_some(HandshakeAnswer::Pong),
        Handshake::Echo { challenge, when, reply, signed: _ } => {
            if when.as_ref().is_some_and(|when| !meant(when, delivery, body)) {
                return None;
            }
            let text = string(challenge, body).filter(|text| is_printable(text, 1..=CHALLENGE_BYTES_MAX))?;
            Some(match reply {
                EchoReply::Text => HandshakeAnswer::Text(text),
                EchoReply::Json => {
                    let field = (challenge.last_step(), Value::String(text));
                    HandshakeAnswer::Json(Value::Object([field].into_iter().collect()))
                }
            })
        }
        Handshake::Capture { token, file } => {
            let unsigned = matches!(read::header(delivery, &scheme.header, Role::Signature), Ok(None));
            let token = string(token, body).filter(|token| is_printable(token, TOKEN_BYTES))?;
            match (unsigned, keys.is_empty(), file) {
                (false, _, _) => None,
                (true, true, Some(file)) => {
                    Some(HandshakeAnswer::Capture { token: SecretString::from(token), file: file.clone() })
                }
                (true, _, None) if !keys.knows(&token) => Some(HandshakeAnswer::Offered),
                // The source did not receive our answer, and sends its token again.
                (true, _, _) => keys.knows(&token).then_some(HandshakeAnswer::Pong),
            }
        }
        Handshake::Get { .. } => None,
    }
}

fn meant(when: &When, delivery: &Delivery, body: &[u8]) -> bool {
    let found = match &when.from {
        WhenFrom::Header(names) => read::header(delivery, names, Role::Signature) == Ok(Some(when.equals.as_bytes())),
        WhenFrom::Json(pointer) => string(pointer, body).is_some_and(|text| text == when.equals),
        WhenFrom::Body => {
            let is_quoted = || serde_json::from_slice::<String>(body).is_ok_and(|text| text == when.equals);
            body.trim_ascii() == when.equals.as_bytes() || is_quoted()
        }
    };
    found && when.body_has.as_ref().is_none_or(|pointer| pointer.find(body).is_some())
}

fn string(pointer: &JsonPointer, body: &[u8]) -> Option<String> {
    match pointer.find(body)? {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// ASCII from space to tilde: nothing that could corrupt a log, a header or a page.
fn is_printable(text: &str, bytes: std::ops::RangeInclusive<usize>) -> bool {
    bytes.contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}
