//! What a source asks before, or between, its deliveries. A handshake changes nothing of anybody.
//!
//! When: those that must be signed, after signature and time window; those that need not be, before
//! them, and then only for a small body. A capture, moreover, only while the source has no secret.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::fields::JsonPointer;
use super::keys::Keys;
use super::read;
use super::refusal::Role;
use super::scheme::{Auth, EchoReply, Handshake, When, WhenFrom};
use super::verify::Verifier;
use crate::core::delivery::Delivery;
use crate::core::json::{Charset, Json};

/// Longest challenge that is given back, in bytes: real ones have some 60.
const CHALLENGE_BYTES_MAX: usize = 256;
/// Longest body that is read without a signature, in bytes.
const UNSIGNED_BODY_BYTES_MAX: usize = 4096;
/// Shortest and longest verification token, in bytes: below, it is none; above, it is something else.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 8..=512;

/// What to answer to a handshake.
pub enum Answer {
    /// 200, and nothing else.
    Pong,
    /// 200 with this text, which is printable ASCII, as `text/plain`.
    Text(String),
    /// 200 with this document.
    Json(serde_json::Value),
    /// Write the token to the file unless that is there, and answer 200.
    Capture {
        /// A secret.
        token: SecretString,
        /// Where to.
        file: PathBuf,
    },
    /// 200: a token was offered that no file is configured for. The operator is to be told.
    Offered,
}

impl Answer {
    /// The word for it in log and metric.
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

impl fmt::Debug for Answer {
    /// A challenge or a token stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.as_str())
    }
}

impl Verifier {
    /// The answer to a handshake that needs no signature; none where the delivery is not one.
    #[must_use]
    pub fn unsigned_handshake(&self, keys: &Keys, delivery: &Delivery) -> Option<Answer> {
        let unsigned = |handshake: &&Handshake| match handshake {
            Handshake::Echo { signed, .. } | Handshake::Ping { signed, .. } => !*signed,
            Handshake::Capture { .. } => true,
            Handshake::Get { .. } => false,
        };
        let mut handshakes = self.scheme.handshake.iter().filter(unsigned).peekable();
        handshakes.peek()?;
        let small = delivery.body.len() <= UNSIGNED_BODY_BYTES_MAX;
        let text = if small { Charset::utf8().decode(&delivery.body) } else { None };
        let document = text.as_deref().and_then(|text| Json::parse(text).ok());
        handshakes.find_map(|handshake| self.answer(keys, handshake, delivery, document.as_ref()))
    }

    /// The answer to a GET, which is never signed: a parameter of its query, given back as text.
    #[must_use]
    pub fn get_handshake(&self, query: &str) -> Option<Answer> {
        self.scheme.handshake.iter().find_map(|handshake| match handshake {
            Handshake::Get { parameter } => {
                let (_, value) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == parameter)?;
                is_printable(&value, 1..=CHALLENGE_BYTES_MAX).then(|| Answer::Text(value.into_owned()))
            }
            Handshake::Echo { .. } | Handshake::Ping { .. } | Handshake::Capture { .. } => None,
        })
    }

    /// The answer to a handshake of a genuine delivery that is told by what is proven: the body, or
    /// anything where the sender is proven by a secret that is sent along.
    pub(super) fn signed_handshake(&self, keys: &Keys, delivery: &Delivery, document: Option<&Json<'_>>) -> Option<Answer> {
        let handshakes = self.scheme.handshake.iter().filter(|handshake| is_signed(handshake) && (!self.is_told_by_header(handshake)));
        handshakes.into_iter().find_map(|handshake| self.answer(keys, handshake, delivery, document))
    }

    /// Whether a header that is not signed calls the delivery a ping.
    pub(super) fn is_called_ping(&self, delivery: &Delivery) -> bool {
        self.scheme.handshake.iter().filter(|handshake| is_signed(handshake) && self.is_told_by_header(handshake)).any(|handshake| match handshake {
            Handshake::Ping { when, .. } => meant(when, delivery, None),
            Handshake::Echo { .. } | Handshake::Capture { .. } | Handshake::Get { .. } => false,
        })
    }

    fn is_told_by_header(&self, handshake: &Handshake) -> bool {
        let when = match handshake {
            Handshake::Ping { when, .. } => Some(when),
            Handshake::Echo { when, .. } => when.as_ref(),
            Handshake::Capture { .. } | Handshake::Get { .. } => None,
        };
        self.scheme.auth == Auth::Hmac && when.is_some_and(|when| matches!(when.from, WhenFrom::Header(_)))
    }

    fn answer(&self, keys: &Keys, handshake: &Handshake, delivery: &Delivery, document: Option<&Json<'_>>) -> Option<Answer> {
        match handshake {
            Handshake::Ping { when, signed: _ } => meant(when, delivery, document).then_some(Answer::Pong),
            Handshake::Echo { challenge, when, reply, signed: _ } => {
                if when.as_ref().is_some_and(|when| !meant(when, delivery, document)) {
                    return None;
                }
                let text = string(challenge, document?).filter(|text| is_printable(text, 1..=CHALLENGE_BYTES_MAX))?;
                Some(match reply {
                    EchoReply::Text => Answer::Text(text.to_owned()),
                    EchoReply::Json => {
                        let field = (challenge.last_step(), serde_json::Value::String(text.to_owned()));
                        Answer::Json(serde_json::Value::Object([field].into_iter().collect()))
                    }
                })
            }
            Handshake::Capture { token, file } => {
                let unsigned = matches!(read::header(delivery, &self.scheme.header, Role::Signature), Ok(None));
                let token = string(token, document?).filter(|token| is_printable(token, TOKEN_BYTES))?;
                match (unsigned, keys.is_empty(), file) {
                    (false, _, _) => None,
                    (true, true, Some(file)) => Some(Answer::Capture { token: SecretString::from(token), file: file.clone() }),
                    (true, _, None) if !keys.knows(token) => Some(Answer::Offered),
                    // The source did not hear our answer and offers its token again.
                    (true, _, _) => keys.knows(token).then_some(Answer::Pong),
                }
            }
            Handshake::Get { .. } => None,
        }
    }
}

fn is_signed(handshake: &Handshake) -> bool {
    match handshake {
        Handshake::Echo { signed, .. } | Handshake::Ping { signed, .. } => *signed,
        Handshake::Capture { .. } | Handshake::Get { .. } => false,
    }
}

fn meant(when: &When, delivery: &Delivery, document: Option<&Json<'_>>) -> bool {
    match &when.from {
        WhenFrom::Header(names) => read::header(delivery, names, Role::Signature) == Ok(Some(when.equals.as_bytes())),
        WhenFrom::Json(pointer) => {
            document.and_then(|document| string(pointer, document)).is_some_and(|text| text == when.equals)
        }
        WhenFrom::Body => {
            delivery.body.trim_ascii() == when.equals.as_bytes() || document.and_then(Json::as_text) == Some(&when.equals)
        }
    }
}

fn string<'a>(pointer: &JsonPointer, document: &'a Json<'a>) -> Option<&'a str> {
    pointer.find(document)?.as_text()
}

/// ASCII from space to tilde: nothing that could break a log, a header or a page.
fn is_printable(text: &str, bytes: std::ops::RangeInclusive<usize>) -> bool {
    bytes.contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}
