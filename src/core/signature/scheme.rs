//! The scheme as it stands in configuration: `[source.signature]`, or `[signature]` of a preset.
//!
//! ```toml
//! [source.signature]
//! auth      = "hmac"                     # hmac | static_header | static_headers | basic
//! algorithm = "sha256"                   # sha1 | sha256 | sha384 | sha512
//! key       = { encoding = "base64", strip_prefix = "whsec_" }      # utf8 | base64 | hex
//! header    = "webhook-signature"        # one name, or a list of names, one of which is expected
//! # field   = "/signature"               # in place of `header`: the field of the body with the signature
//! # username = "hr"                      # with auth = "basic"; the secret is the password then
//! value     = { list = { separator = " ", prefix = "v1," } }
//! #   or      { single = { prefix = "sha256=" } }                   the default, without a prefix
//! #   or      { pairs = { separator = ",", key = "v1" } }           t=…,v1=…,v1=…
//! encoding  = "base64"                   # hex | base64 | base64url
//! signed    = "{id}.{timestamp}.{body}"  # {body} {timestamp} {id} {method} {url} {json:/field}, the rest literal;
//!                                        # {{ and }} stand for one brace
//! public_url = "https://hooks.example.com" # what stands before path and query in {url}; nothing by default
//! id        = { header = "webhook-id" }  # { json = "/id" } | "signature" | "body_hash"
//! timestamp = { from = { header = "webhook-timestamp" }, unit = "s", past_s = 300, future_s = 300 }
//! #   from    { header = "…" } | { pair = "t" } | { json = "/timestamp" }
//! #   unit    s | ms | rfc3339 | auto;   past_s, future_s: seconds or "off"
//! handshake = [
//!   { echo = { challenge = "/challenge", when = { from = { json = "/type" }, equals = "url_verification" } } },
//!   { ping = { when = { from = "body", equals = "Ping test" }, signed = false } },
//!   { ping = { when = { from = { header = "x-github-event" }, equals = "ping", body_has = "/zen" } } },
//!   { capture = { token = "/verification_token", file = "/var/lib/scim-bridge/gusto-token" } },
//!   { get = { parameter = "echo" } },
//! ]
//! ```
//!
//! Unknown keys are left to the caller (`serde_ignored` sees them all).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fields::{HeaderNames, JsonPointer, Tolerance};
use super::template::Template;

/// How a source proves that a delivery comes from it. The module's documentation has the TOML.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Scheme {
    /// What kind of proof.
    #[serde(default)]
    pub auth: Auth,
    /// The hash under the HMAC.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How the secret's text becomes the key's bytes.
    #[serde(default)]
    pub key: KeyRule,
    /// The header that carries the signature (hmac) or the secret (`static_header`). Basic always uses `authorization`.
    #[serde(default)]
    pub header: HeaderNames,
    /// The field of the body that carries the signature, in place of a header.
    #[serde(default)]
    pub field: Option<JsonPointer>,
    /// The user of HTTP Basic; the secret is the password then.
    #[serde(default)]
    pub username: Option<String>,
    /// The signature does not cover the body. Then only notices may come from it.
    #[serde(default)]
    pub body_unsigned: bool,
    /// How the header contains signatures.
    #[serde(default)]
    pub value: Layout,
    /// How a signature is encoded.
    #[serde(default)]
    pub encoding: Encoding,
    /// What is signed.
    #[serde(default)]
    pub signed: Template,
    /// Precedes path and query in `{url}`, for sources that sign the whole address.
    #[serde(default)]
    pub public_url: String,
    /// Where the delivery's id is.
    #[serde(default)]
    pub id: IdRule,
    /// Where to read the time of sending, and how far it may differ from our clock. None: any age is accepted.
    #[serde(default)]
    pub timestamp: Option<TimestampRule>,
    /// What a source asks before or between its deliveries.
    #[serde(default)]
    pub handshake: Vec<Handshake>,
}

impl Scheme {
    /// The headers that the scheme names for the proof.
    pub fn proof_headers(&self) -> impl Iterator<Item = &str> {
        let basic = (self.auth == Auth::Basic).then_some("authorization");
        self.header.names().iter().map(String::as_str).chain(basic)
    }
}

/// What kind of proof a source gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// A keyed hash of what is signed.
    #[default]
    Hmac,
    /// The secret itself in a header: proves the sender, not the content.
    StaticHeader,
    /// Several headers; the secret consists of all of them, one `name: value` per line.
    StaticHeaders,
    /// HTTP Basic (RFC 7617); the secret is `user:password`, or the password of `username`.
    Basic,
}

/// The hash under the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// For old systems only.
    Sha1,
    /// What almost every system uses.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How the secret's text becomes the key's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct KeyRule {
    /// What the text is.
    #[serde(default)]
    pub encoding: KeyEncoding,
    /// Removed from the beginning of the secret if present, such as `whsec_`.
    #[serde(default)]
    pub strip_prefix: String,
}

/// What a secret's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// The key itself.
    #[default]
    Utf8,
    /// Base64, either alphabet, with or without padding.
    Base64,
    /// Hex, either case.
    Hex,
}

/// How a signature is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Either case.
    #[default]
    Hex,
    /// Alphabet `+/`, with or without padding.
    Base64,
    /// Alphabet `-_`, with or without padding.
    Base64url,
}

/// How the header contains signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One signature: `sha256=<signature>`.
    Single {
        /// The text before it.
        #[serde(default)]
        prefix: String,
        /// Whether the prefix may be left out.
        #[serde(default)]
        optional: bool,
    },
    /// Several, any of which may match: `v1,<signature> v1,<signature>`. Entries without the prefix are skipped: they
    /// belong to other versions.
    List {
        /// The text between entries.
        separator: String,
        /// The text before each signature: the version.
        #[serde(default)]
        prefix: String,
    },
    /// Named values, with repeated names allowed: `t=<time>,v1=<signature>,v1=<signature>`.
    Pairs {
        /// The text between pairs.
        #[serde(default = "comma")]
        separator: String,
        /// The name of the signatures.
        key: String,
    },
}

impl Default for Layout {
    fn default() -> Self {
        Self::Single { prefix: String::new(), optional: false }
    }
}

fn comma() -> String {
    ",".to_owned()
}

/// Where the delivery's id is, by which repetitions are recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdRule {
    /// A header; it must be among what is signed.
    Header(HeaderNames),
    /// A field of the body. A body without it is identified by its hash.
    Json(JsonPointer),
    /// The signature, for sources that repeat a delivery with exactly the same one.
    Signature,
    /// The body itself.
    #[default]
    BodyHash,
}

/// The time of sending.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TimestampRule {
    /// Where it is.
    pub from: TimestampFrom,
    /// How it is written.
    #[serde(default)]
    pub unit: TimeUnit,
    /// How old a delivery may be.
    #[serde(default)]
    pub past_s: Tolerance,
    /// How far the sender's clock may be ahead of ours.
    #[serde(default)]
    pub future_s: Tolerance,
}

/// Where to read the time of sending.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampFrom {
    /// A header; it must be among what is signed.
    Header(HeaderNames),
    /// A named value of the signature header (`value = { pairs = … }`).
    Pair(String),
    /// A field of the body.
    Json(JsonPointer),
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Unix seconds.
    #[default]
    S,
    /// Unix milliseconds.
    Ms,
    /// RFC 3339, such as `2026-11-22T10:00:00Z`.
    Rfc3339,
    /// Any of these, recognised by its format; next to the body in `signed`, milliseconds are not allowed.
    Auto,
}

/// What a source asks before or between its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// Echo a field of the body: a short printable string, as text or as the only field of a JSON object.
    Echo {
        /// The field.
        challenge: JsonPointer,
        /// Which deliveries; none: all that have the field.
        #[serde(default)]
        when: Option<When>,
        /// The format of the answer.
        #[serde(default)]
        reply: EchoReply,
        /// Whether it must be signed like any other delivery.
        #[serde(default = "yes")]
        signed: bool,
    },
    /// Answer 200 and do nothing.
    Ping {
        /// Which deliveries.
        when: When,
        /// Whether it must be signed like any other delivery.
        #[serde(default = "yes")]
        signed: bool,
    },
    /// The first POST brings the secret, unsigned: it is written to a file, which `secrets = [{ file = "…" }]` then
    /// reads. An existing file is never overwritten, and nothing is accepted while the source has a secret. Without a
    /// file the answer is 200, and `status` reports the token.
    Capture {
        /// The field of the body that is the secret.
        token: JsonPointer,
        /// Where to put it (mode 0600).
        #[serde(default)]
        file: Option<PathBuf>,
    },
    /// Answer an unsigned GET with one parameter of its query, as text.
    Get {
        /// The parameter.
        parameter: String,
    },
}

fn yes() -> bool {
    true
}

/// Which deliveries are a handshake.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct When {
    /// Where to look.
    pub from: WhenFrom,
    /// The expected value.
    pub equals: String,
    /// A field that the body must also have: a header is not signed, so it alone must not turn an event into a
    /// handshake.
    #[serde(default)]
    pub body_has: Option<JsonPointer>,
}

/// How a handshake is distinguished from other deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFrom {
    /// A header.
    Header(HeaderNames),
    /// A field of the body: a string.
    Json(JsonPointer),
    /// The body itself: this text, plain or as a JSON string.
    Body,
}

/// The format of the answer to a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoReply {
    /// The string alone, as `text/plain`.
    #[default]
    Text,
    /// `{"<last step of the pointer>": "<the string>"}`.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The TOML in the module's documentation, without its comment marks.
    fn documented() -> String {
        include_str!("scheme.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(2)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_documented_toml_reads_as_it_says_and_has_no_key_unknown() {
        let mut unknown = Vec::new();
        let document = documented();
        let deserializer = toml::Deserializer::parse(&document).unwrap();
        let scheme: Scheme = serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string())).unwrap();
        assert_eq!(unknown, Vec::<String>::new());
        assert_eq!(scheme.key.strip_prefix, "whsec_");
        assert_eq!(scheme.value, Layout::List { separator: " ".into(), prefix: "v1,".into() });
        assert_eq!(scheme.handshake.len(), 5);
        assert_eq!(scheme.timestamp.unwrap().past_s, Tolerance::Seconds(300));
    }

    #[test]
    fn a_misspelt_key_is_seen_however_deep() {
        let mut unknown = Vec::new();
        let text = "header = 'x'\nsing = 1\nhandshake = [{ ping = { when = { from = { header = 'x' }, equals = 'y', or = 'z' } } }]";
        let deserializer = toml::Deserializer::parse(text).unwrap();
        let _: Scheme = serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string())).unwrap();
        assert_eq!(unknown, ["handshake.0.when.or", "sing"]);
    }
}
