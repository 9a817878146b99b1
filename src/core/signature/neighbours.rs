//! Of a delivery that is not believed: would it be, by a scheme that is nearly the configured one?
//!
//! For whoever sets a source up and has the delivery and the secret. Tells what would have to be
//! otherwise, and never what the signature should have been.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::keys::Key;
use super::read;
use super::rewritten;
use super::scheme::{Algorithm, Auth, Encoding, KeyEncoding, KeyRule, Scheme};
use super::seen::Seen;
use super::template::{Part, Template};
use crate::core::delivery::Delivery;
use crate::core::time::UnixMs;

/// Ways that are told: the nearest ones.
const TOLD_MAX: usize = 3;
/// Values of headers longer than this are no signature and no time.
const VALUE_BYTES_MAX: usize = 1_024;
/// Signatures, times and ids that are tried of one delivery.
const TRIED_MAX: usize = 8;
/// What senders sign.
const TEMPLATES: [&str; 12] = [
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}{body}",
    "{body}{timestamp}",
    "{timestamp}:{body}",
    "{body}:{timestamp}",
    "v0:{timestamp}:{body}",
    "{id}.{timestamp}.{body}",
    "{id}.{body}",
    "{method}{body}",
    "{url}{body}",
    "{method}{url}{body}",
];

/// Something in a header that could be a signature.
struct Digest {
    header: String,
    /// What stands before it in the header, or in its part of the header.
    prefix: String,
    encoding: Encoding,
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// The ways in which a delivery would verify, nearest first, each as what would have to be otherwise, such
/// as `encoding = "base64"`; none where it would by no neighbouring scheme: then the secret is another one.
#[must_use]
pub fn neighbours(scheme: &Scheme, secrets: &[&SecretString], delivery: &Delivery) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = match scheme.auth {
        Auth::Hmac => secrets.iter().flat_map(|secret| signed_otherwise(scheme, secret, delivery)).collect(),
        Auth::StaticHeader | Auth::StaticHeaders | Auth::Basic => Vec::new(),
    };
    found.extend(secrets.iter().flat_map(|secret| sent_along(scheme, secret.expose_secret().trim(), delivery)));
    found.retain(|changes| !changes.is_empty());
    found.sort_by_key(Vec::len);
    let mut distinct = BTreeSet::new();
    found.retain(|changes| distinct.insert(changes.clone()));
    // A way that changes more than another one needs to is no help.
    let nearest: Vec<BTreeSet<String>> = found.iter().map(|changes| changes.iter().cloned().collect()).collect();
    let is_needless = |n: usize| nearest.iter().take(n).any(|nearer| nearer.is_subset(&nearest[n]));
    let told: Vec<_> = (0..found.len()).filter(|n| !is_needless(*n)).take(TOLD_MAX).collect();
    told.into_iter().filter_map(|n| found.get(n).cloned()).collect()
}

fn signed_otherwise(scheme: &Scheme, secret: &SecretString, delivery: &Delivery) -> Vec<Vec<String>> {
    let times = headers_like(delivery, is_time);
    let ids = headers_like(delivery, |name, _| name.ends_with("-id"));
    let bodies = rewritten::bodies(delivery);
    let mut found = Vec::new();
    for digest in digests(scheme, delivery) {
        for (rule, is_trimmed) in key_rules(scheme, secret.expose_secret()) {
            let text = if is_trimmed { SecretString::from(secret.expose_secret().trim()) } else { secret.clone() };
            let like = Scheme { key: rule.clone(), algorithm: digest.algorithm, auth: Auth::Hmac, ..scheme.clone() };
            let Ok(key) = Key::prepare(&like, &text) else { continue };
            let mut key_changes = Vec::new();
            if rule != scheme.key {
                key_changes.push(format!("key = {}", written_key(&rule)));
            }
            if is_trimmed {
                key_changes.push("the secret without the blanks around it".to_owned());
            }
            for template in templates(scheme) {
                for (body, body_change) in &bodies {
                    for (time, id) in parts(scheme, &template, &times, &ids) {
                        let trial = Scheme { signed: template.clone(), ..like.clone() };
                        let seen = Seen {
                            method: &delivery.method,
                            url: &delivery.url,
                            body,
                            timestamp: time.map_or(&[], |(_, value)| value.as_bytes()),
                            id: id.map_or(&[], |(_, value)| value.as_bytes()),
                            fields: &[],
                        };
                        let proof = key.prove(&seen.parts(&trial));
                        if !bool::from(proof.as_bytes().ct_eq(&digest.bytes)) {
                            continue;
                        }
                        let mut changes = digest_changes(scheme, &digest, delivery);
                        changes.extend(key_changes.iter().cloned());
                        if template != scheme.signed {
                            changes.push(template_change(&template, time, id));
                        }
                        changes.extend(body_change.iter().map(|change| (*change).to_owned()));
                        found.push(changes);
                    }
                }
            }
        }
    }
    found
}

/// The values of times and ids that a template is tried with.
type Named<'h> = Option<(&'h str, &'h str)>;

fn parts<'h>(
    scheme: &Scheme,
    template: &Template,
    times: &'h [(String, String)],
    ids: &'h [(String, String)],
) -> Vec<(Named<'h>, Named<'h>)> {
    let list = |is_needed: bool, all: &'h [(String, String)]| -> Vec<Named<'h>> {
        if is_needed {
            all.iter().map(|(name, value)| Some((name.as_str(), value.as_str()))).collect()
        } else {
            vec![None]
        }
    };
    // Fields of the body are tried as the scheme has them only.
    if template.parts().iter().any(|part| matches!(part, Part::Json(_))) || scheme.field.is_some() {
        return Vec::new();
    }
    let (times, ids) = (list(template.has(&Part::Timestamp), times), list(template.has(&Part::Id), ids));
    times.iter().flat_map(|time| ids.iter().map(move |id| (*time, *id))).collect()
}

fn templates(scheme: &Scheme) -> Vec<Template> {
    let mut all = vec![scheme.signed.clone()];
    all.extend(
        TEMPLATES.iter().filter_map(|text| Template::parse(text).ok()).filter(|template| *template != scheme.signed),
    );
    all
}

fn key_rules(scheme: &Scheme, secret: &str) -> Vec<(KeyRule, bool)> {
    let rule = |encoding, strip_prefix: &str| KeyRule { encoding, strip_prefix: strip_prefix.to_owned() };
    let mut rules = vec![
        scheme.key.clone(),
        rule(KeyEncoding::Utf8, ""),
        rule(KeyEncoding::Base64, ""),
        rule(KeyEncoding::Hex, ""),
    ];
    if let Some((prefix, _)) = secret.split_once('_') {
        let prefix = format!("{prefix}_");
        rules.extend([rule(KeyEncoding::Base64, &prefix), rule(KeyEncoding::Utf8, &prefix)]);
    }
    let mut all: Vec<(KeyRule, bool)> = Vec::new();
    for is_trimmed in [false, true].into_iter().take(if secret.trim() == secret { 1 } else { 2 }) {
        for rule in &rules {
            if !all.contains(&(rule.clone(), is_trimmed)) {
                all.push((rule.clone(), is_trimmed));
            }
        }
    }
    all
}

/// Whatever in the headers could be a signature, the configured header first.
fn digests(scheme: &Scheme, delivery: &Delivery) -> Vec<Digest> {
    let mut found = Vec::new();
    let configured = |name: &str| scheme.header.names().iter().any(|known| known == name);
    let mut headers: Vec<_> = delivery.headers.iter().filter(|(_, value)| value.len() <= VALUE_BYTES_MAX).collect();
    headers.sort_by_key(|(name, _)| !configured(name));
    for (name, value) in headers {
        let Ok(text) = std::str::from_utf8(value) else { continue };
        for (prefix, token) in tokens(text) {
            for (encoding, bytes) in decoded(token) {
                let algorithm = match bytes.len() {
                    20 => Algorithm::Sha1,
                    32 => Algorithm::Sha256,
                    48 => Algorithm::Sha384,
                    64 => Algorithm::Sha512,
                    _ => continue,
                };
                found.push(Digest { header: name.clone(), prefix: prefix.to_owned(), encoding, algorithm, bytes });
            }
        }
    }
    found.truncate(TRIED_MAX);
    found
}

/// The whole value, and its parts, each without and with what stands before its first `=`, `,` or blank.
fn tokens(value: &str) -> Vec<(&str, &str)> {
    let mut tokens = vec![("", value.trim())];
    for part in value.split([' ', ',', ';']).filter(|part| !part.is_empty()) {
        tokens.push(("", part));
    }
    for part in value.split([' ', ';']).chain([value]) {
        if let Some(at) = part.find(['=', ',', ' ']) {
            let (prefix, rest) = part.split_at(at + 1);
            tokens.push((prefix, rest.trim()));
        }
    }
    for part in value.split(',') {
        if let Some((name, rest)) = part.trim().split_once('=') {
            tokens.push((part.trim().get(..=name.len()).unwrap_or_default(), rest));
        }
    }
    let mut distinct: Vec<(&str, &str)> = Vec::new();
    for token in &tokens {
        let is_told_better = token.0.is_empty() && tokens.iter().any(|other| other.1 == token.1 && !other.0.is_empty());
        if !is_told_better && !distinct.contains(token) {
            distinct.push(*token);
        }
    }
    distinct
}

fn decoded(text: &str) -> Vec<(Encoding, Vec<u8>)> {
    let unpadded = text.trim_end_matches('=').as_bytes();
    let all = [
        (Encoding::Hex, HEXLOWER_PERMISSIVE.decode(text.as_bytes())),
        (Encoding::Base64, BASE64_NOPAD.decode(unpadded)),
        (Encoding::Base64url, BASE64URL_NOPAD.decode(unpadded)),
    ];
    let found = all.into_iter().filter_map(|(encoding, bytes)| Some((encoding, bytes.ok()?)));
    // Without a letter that only one of the alphabets has, it is the common one.
    found.filter(|(encoding, _)| *encoding != Encoding::Base64url || text.contains(['-', '_'])).collect()
}

/// What of the scheme's header, form and hash would have to be otherwise for this signature to be found.
fn digest_changes(scheme: &Scheme, digest: &Digest, delivery: &Delivery) -> Vec<String> {
    let mut changes = Vec::new();
    if !scheme.header.names().contains(&digest.header) {
        changes.push(format!("header = {:?}", digest.header));
    }
    if scheme.encoding != digest.encoding {
        let word = match digest.encoding {
            Encoding::Hex => "hex",
            Encoding::Base64 => "base64",
            Encoding::Base64url => "base64url",
        };
        changes.push(format!("encoding = {word:?}"));
    }
    if scheme.algorithm != digest.algorithm {
        let word = match digest.algorithm {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        };
        changes.push(format!("algorithm = {word:?}"));
    }
    let value = delivery
        .headers
        .iter()
        .find(|(name, _)| *name == digest.header)
        .map(|(_, value)| value.as_slice())
        .unwrap_or_default();
    let is_found =
        read::candidates(value, &scheme.value, digest.encoding).is_ok_and(|found| found.contains(&digest.bytes));
    if !is_found {
        changes.push(format!("value = {{ single = {{ prefix = {:?} }} }}", digest.prefix));
    }
    changes
}

fn template_change(template: &Template, time: Named<'_>, id: Named<'_>) -> String {
    let mut change = format!("signed = {:?}", template.to_string());
    if let Some((name, value)) = time {
        let unit = match value.len() {
            10 => "s",
            13 => "ms",
            _ => "rfc3339",
        };
        // Writing to a String cannot fail.
        let _ = write!(change, " with timestamp = {{ from = {{ header = {name:?} }}, unit = {unit:?} }}");
    }
    if let Some((name, _)) = id {
        let _ = write!(change, " with id = {{ header = {name:?} }}");
    }
    change
}

fn written_key(rule: &KeyRule) -> String {
    let encoding = match rule.encoding {
        KeyEncoding::Utf8 => "utf8",
        KeyEncoding::Base64 => "base64",
        KeyEncoding::Hex => "hex",
    };
    if rule.strip_prefix.is_empty() {
        format!("{{ encoding = {encoding:?} }}")
    } else {
        format!("{{ encoding = {encoding:?}, strip_prefix = {:?} }}", rule.strip_prefix)
    }
}

/// Headers that a template's part could be, with their values.
fn headers_like(delivery: &Delivery, is_one: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
    let texts = delivery.headers.iter().filter(|(_, value)| value.len() <= VALUE_BYTES_MAX);
    let texts = texts.filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)));
    texts
        .filter(|(name, value)| is_one(name, value))
        .map(|(name, value)| (name.clone(), value.to_owned()))
        .take(TRIED_MAX)
        .collect()
}

fn is_time(_: &str, value: &str) -> bool {
    let digits = matches!(value.len(), 10 | 13) && value.bytes().all(|b| b.is_ascii_digit());
    digits || UnixMs::parse_rfc3339(value).is_some()
}

/// Whether the secret itself stands in a header: then it proves the sender another way.
fn sent_along(scheme: &Scheme, secret: &str, delivery: &Delivery) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (name, value) in &delivery.headers {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let word = value.split_once(' ').map_or("", |(word, _)| word);
        let same = |text: &str| !secret.is_empty() && bool::from(text.as_bytes().ct_eq(secret.as_bytes()));
        let mut changes = Vec::new();
        if same(value) || (!word.is_empty() && same(value.get(word.len() + 1..).unwrap_or_default())) {
            if scheme.auth != Auth::StaticHeader {
                changes.push("auth = \"static_header\"".to_owned());
            }
            if !scheme.header.names().contains(name) {
                changes.push(format!("header = {name:?}"));
            }
            if same(value) {
                changes.push("value = { single = { prefix = \"\" } }".to_owned());
            } else {
                changes.push(format!("value = {{ single = {{ prefix = {:?} }} }}", format!("{word} ")));
            }
        } else if name == "authorization" && word.eq_ignore_ascii_case("basic") {
            let login = value.get(6..).and_then(|text| BASE64.decode(text.trim().as_bytes()).ok()).unwrap_or_default();
            let login = String::from_utf8(login).unwrap_or_default();
            let is_whole = same(&login);
            let password = login.split_once(':').filter(|(_, password)| same(password));
            if is_whole || password.is_some() {
                if scheme.auth != Auth::Basic {
                    changes.push("auth = \"basic\"".to_owned());
                }
                if let Some((user, _)) = password {
                    changes.push(format!("username = {user:?}"));
                }
            }
        }
        found.push(changes);
    }
    found
}
