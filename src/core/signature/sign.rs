//! The reverse: the headers that a source would send.

use secrecy::{ExposeSecret, SecretString};

use super::keys::{Key, SecretProblem};
use super::read;
use super::scheme::{Auth, IdRule, Layout, Scheme, TimeUnit, TimestampFrom};
use super::seen::Seen;
use super::verify::fields_of;
use crate::core::time::UnixMs;

/// What to sign.
#[derive(Debug, Clone, Copy)]
pub struct ToSign<'a> {
    /// The HTTP method, upper-case.
    pub method: &'a str,
    /// Path and query.
    pub url: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The delivery's id, for schemes that have one in a header.
    pub id: &'a str,
    /// The time of sending.
    pub at: UnixMs,
}

/// The headers that a source with this scheme and secret would send: lower-case name, and value. An id or a timestamp
/// that the scheme reads from the body is expected to be there.
pub fn sign(scheme: &Scheme, secret: &SecretString, what: &ToSign<'_>) -> Result<Vec<(String, String)>, SecretProblem> {
    let key = Key::prepare(scheme, secret)?;
    let mut headers = Vec::new();
    let timestamp = match scheme.timestamp.as_ref().map_or(TimeUnit::S, |rule| rule.unit) {
        TimeUnit::S | TimeUnit::Auto => what.at.0.div_euclid(1000).to_string(),
        TimeUnit::Ms => what.at.0.to_string(),
        TimeUnit::Rfc3339 => what.at.to_string(),
    };
    let from = scheme.timestamp.as_ref().map(|rule| &rule.from);
    if let IdRule::Header(names) = &scheme.id {
        headers.extend(names.names().first().map(|name| (name.clone(), what.id.to_owned())));
    }
    if let Some(TimestampFrom::Header(names)) = from {
        headers.extend(names.names().first().map(|name| (name.clone(), timestamp.clone())));
    }
    let proof = || {
        let seen = Seen {
            method: what.method,
            url: what.url,
            body: what.body,
            timestamp: timestamp.as_bytes(),
            id: what.id.as_bytes(),
            fields: &fields_of(scheme, what.body),
        };
        read::encode(key.prove(&seen.parts(scheme)).as_bytes(), scheme.encoding)
    };
    let plain = || {
        let text = secret.expose_secret();
        text.strip_prefix(scheme.key.strip_prefix.as_str()).unwrap_or(text)
    };
    let (name, value) = match scheme.auth {
        Auth::Hmac => (None, written(&scheme.value, &proof(), from, &timestamp)),
        Auth::StaticHeader => (None, written(&scheme.value, plain(), None, "")),
        Auth::StaticHeaders => {
            let lines = plain().lines().filter_map(|line| line.split_once(':'));
            headers.extend(lines.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())));
            return Ok(headers);
        }
        Auth::Basic => {
            let user = scheme.username.as_ref().map(|user| format!("{user}:")).unwrap_or_default();
            let value = format!("Basic {}", data_encoding::BASE64.encode(format!("{user}{}", plain()).as_bytes()));
            (Some("authorization"), value)
        }
    };
    let name = name.or(scheme.header.names().first().map(String::as_str)).unwrap_or_default().to_owned();
    headers.push((name, value));
    Ok(headers)
}

fn written(layout: &Layout, signature: &str, from: Option<&TimestampFrom>, timestamp: &str) -> String {
    match layout {
        Layout::Single { prefix, .. } | Layout::List { prefix, .. } => format!("{prefix}{signature}"),
        Layout::Pairs { separator, key } => match from {
            Some(TimestampFrom::Pair(name)) => format!("{name}={timestamp}{separator}{key}={signature}"),
            Some(TimestampFrom::Header(_) | TimestampFrom::Json(_)) | None => format!("{key}={signature}"),
        },
    }
}
