//! Alternatives to parts of a scheme, each with the change in words; no words for what is configured.

use secrecy::{ExposeSecret, SecretString};

use super::super::scheme::{IdRule, KeyEncoding, KeyRule, Scheme, TimeUnit, TimestampFrom};
use super::super::template::{Part, Template};
use super::{TRIED_MAX, VALUE_BYTES_MAX};
use crate::core::delivery::Delivery;
use crate::core::time::UnixMs;

/// Templates that senders are known to sign.
const TEMPLATES: [&str; 22] = [
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}{body}",
    "{body}{timestamp}",
    "{timestamp}:{body}",
    "{body}:{timestamp}",
    "{body}.{timestamp}",
    "{timestamp}\n{body}",
    "v0:{timestamp}:{body}",
    "v1:{timestamp}:{body}",
    "{id}.{timestamp}.{body}",
    "{timestamp}.{id}.{body}",
    "{id}{timestamp}{body}",
    "{id}:{timestamp}:{body}",
    "{id}.{body}",
    "{id}{body}",
    "{method}{body}",
    "{url}{body}",
    "{url}.{body}",
    "{method}{url}{body}",
    "{timestamp}{method}{url}{body}",
    "{timestamp}",
];

/// An alternative, and the change that it takes.
pub(super) struct Variant<T> {
    pub(super) value: T,
    pub(super) change: Option<String>,
}

impl<T> Variant<T> {
    fn configured(value: T) -> Self {
        Self { value, change: None }
    }

    fn otherwise(value: T, change: impl Into<String>) -> Self {
        Self { value, change: Some(change.into()) }
    }
}

/// The secret as configured, and as the sender may have it.
pub(super) fn secrets(secret: &SecretString) -> Vec<Variant<SecretString>> {
    let text = secret.expose_secret();
    let mut all = vec![Variant::configured(secret.clone())];
    let mut try_as = |other: &str, change: &str| {
        if other != text && !other.is_empty() {
            all.push(Variant::otherwise(SecretString::from(other), change));
        }
    };
    try_as(text.trim_start_matches('\u{feff}'), "the secret without the byte-order mark before it");
    try_as(text.trim(), "the secret without the spaces around it");
    let unquoted = text.trim().trim_matches(['"', '\'']);
    if unquoted != text.trim() {
        try_as(unquoted, "the secret without the quotes around it");
    }
    try_as(&format!("{}\n", text.trim_end()), "the secret with a line break at its end, as the sender has it");
    all
}

/// How the secret's text may become the key.
pub(super) fn keys(scheme: &Scheme, secret: &SecretString) -> Vec<Variant<KeyRule>> {
    let rule = |encoding, strip_prefix: &str| KeyRule { encoding, strip_prefix: strip_prefix.to_owned() };
    let mut rules = vec![rule(KeyEncoding::Utf8, ""), rule(KeyEncoding::Base64, ""), rule(KeyEncoding::Hex, "")];
    if let Some((prefix, _)) = secret.expose_secret().split_once('_') {
        let prefix = format!("{prefix}_");
        let stripped = [KeyEncoding::Base64, KeyEncoding::Utf8, KeyEncoding::Hex];
        rules.extend(stripped.map(|encoding| rule(encoding, &prefix)));
    }
    let mut all = vec![Variant::configured(scheme.key.clone())];
    for rule in rules.into_iter().filter(|rule| *rule != scheme.key) {
        let change = format!("key = {}", written(&rule, &scheme.key));
        all.push(Variant::otherwise(rule, change));
    }
    all
}

/// A preset's prefix stays unless another one is given, or none.
fn written(rule: &KeyRule, configured: &KeyRule) -> String {
    let encoding = match rule.encoding {
        KeyEncoding::Utf8 => "utf8",
        KeyEncoding::Base64 => "base64",
        KeyEncoding::Hex => "hex",
    };
    if rule.strip_prefix.is_empty() && configured.strip_prefix.is_empty() {
        format!("{{ encoding = {encoding:?} }}")
    } else {
        format!("{{ encoding = {encoding:?}, strip_prefix = {:?} }}", rule.strip_prefix)
    }
}

/// What may be signed.
pub(super) fn templates(scheme: &Scheme) -> Vec<Variant<Template>> {
    let mut all = vec![Variant::configured(scheme.signed.clone())];
    for template in TEMPLATES.iter().filter_map(|text| Template::parse(text).ok()) {
        // A signature that does not cover the body would not protect the data.
        if template != scheme.signed && template.has(&Part::Body) {
            let change = format!("signed = {:?}", template.to_string());
            all.push(Variant::otherwise(template, change));
        }
    }
    all
}

/// Candidates for the time of sending: headers, and named values in headers that could hold a signature.
pub(super) fn times(scheme: &Scheme, delivery: &Delivery) -> Vec<Variant<String>> {
    let from = scheme.timestamp.as_ref().map(|rule| &rule.from);
    let unit = scheme.timestamp.as_ref().map_or(TimeUnit::S, |rule| rule.unit);
    let mut all = Vec::new();
    for (name, value) in texts(delivery) {
        let is_configured = matches!(from, Some(TimestampFrom::Header(names)) if names.names().contains(name));
        if is_configured {
            all.insert(0, Variant::configured(value.to_owned()));
        } else if is_time(value) {
            all.push(Variant::otherwise(value.to_owned(), described(&format!("header = {name:?}"), value, unit)));
        }
        for (key, inner) in value.split([',', ';', ' ']).filter_map(|pair| pair.split_once('=')) {
            let is_configured = matches!(from, Some(TimestampFrom::Pair(known)) if known == key)
                && scheme.header.names().contains(name);
            if is_configured {
                all.insert(0, Variant::configured(inner.to_owned()));
            } else if is_time(inner) {
                all.push(Variant::otherwise(inner.to_owned(), described(&format!("pair = {key:?}"), inner, unit)));
            }
        }
    }
    all.truncate(TRIED_MAX);
    all
}

fn described(from: &str, value: &str, configured: TimeUnit) -> String {
    let unit = match value.len() {
        _ if configured == TimeUnit::Auto => "auto",
        10 => "s",
        13 => "ms",
        _ => "rfc3339",
    };
    format!("timestamp = {{ from = {{ {from} }}, unit = {unit:?} }}")
}

fn is_time(value: &str) -> bool {
    let digits = matches!(value.len(), 10 | 13) && value.bytes().all(|b| b.is_ascii_digit());
    digits || UnixMs::parse_rfc3339(value).is_some()
}

/// Candidates for the delivery's id.
pub(super) fn ids(scheme: &Scheme, delivery: &Delivery) -> Vec<Variant<String>> {
    let mut all = Vec::new();
    for (name, value) in texts(delivery) {
        let is_id =
            name.ends_with("-id") || ["delivery", "nonce", "idempotency"].iter().any(|word| name.contains(word));
        if matches!(&scheme.id, IdRule::Header(names) if names.names().contains(name)) {
            all.insert(0, Variant::configured(value.to_owned()));
        } else if is_id {
            all.push(Variant::otherwise(value.to_owned(), format!("id = {{ header = {name:?} }}")));
        }
    }
    all.truncate(TRIED_MAX);
    all
}

/// Candidates for `public_url`, the start of the address.
pub(super) fn addresses(scheme: &Scheme, delivery: &Delivery) -> Vec<Variant<String>> {
    let mut all = vec![Variant::configured(delivery.url.clone())];
    let host = texts(delivery).find(|(name, _)| *name == "host").map(|(_, host)| host);
    if scheme.public_url.is_empty() {
        for public_url in host.iter().flat_map(|host| [format!("https://{host}"), format!("http://{host}")]) {
            let change = format!("public_url = {public_url:?}");
            all.push(Variant::otherwise(format!("{public_url}{}", delivery.url), change));
        }
    }
    all
}

fn texts(delivery: &Delivery) -> impl Iterator<Item = (&String, &str)> {
    let short = delivery.headers.iter().filter(|(_, value)| value.len() <= VALUE_BYTES_MAX);
    short.filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
}
