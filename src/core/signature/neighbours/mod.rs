//! For a delivery that does not verify: would it verify under a similar scheme?
//!
//! Helps operators who set up a source and have a delivery and the secret. It says which settings would have to change,
//! and never what the signature should have been.

mod digests;
mod rewritten;
mod sent_along;
mod variants;

use std::collections::BTreeSet;

use secrecy::SecretString;
use subtle::ConstantTimeEq;

use self::digests::{Digest, changes_of, digests};
use self::sent_along::sent_along;
use self::variants::{Variant, addresses, ids, keys, secrets as secret_variants, templates, times};
use super::fields::Tolerance;
use super::keys::Key;
use super::scheme::{Auth, IdRule, Scheme, TimestampFrom, TimestampRule};
use super::seen::Seen;
use super::template::{Part, Template};
use crate::core::delivery::Delivery;

/// How many alternatives are reported: the nearest ones.
const TOLD_MAX: usize = 3;
/// Longer header values are neither signatures nor timestamps.
const VALUE_BYTES_MAX: usize = 1_024;
/// How many signatures, timestamps and ids of one delivery are tried.
const TRIED_MAX: usize = 8;
/// How many of key, secret, template and body are varied at once: with more, almost anything would match.
const VARIED_MAX: usize = 2;
/// The most that is hashed, in bytes: about a second's work.
const HASHED_BYTES_MAX: usize = 64 << 20;

/// The ways in which a delivery would verify, nearest first. Each is the list of changes that it takes, such as
/// `encoding = "base64"`. None if no similar scheme fits: then the secret is probably a different one.
#[must_use]
pub fn neighbours(scheme: &Scheme, secrets: &[&SecretString], delivery: &Delivery) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut budget = HASHED_BYTES_MAX;
    for secret in secrets {
        found.extend(signed_otherwise(scheme, secret, delivery, &mut budget));
        found.extend(sent_along(scheme, secret, delivery));
    }
    found.retain(|changes| !changes.is_empty());
    found.sort_by_key(Vec::len);
    let mut distinct = BTreeSet::new();
    found.retain(|changes| distinct.insert(changes.clone()));
    // A fix that includes all changes of a smaller fix is of no use.
    let nearest: Vec<BTreeSet<String>> = found.iter().map(|changes| changes.iter().cloned().collect()).collect();
    let is_needless = |n: usize| nearest.iter().take(n).any(|nearer| nearer.is_subset(&nearest[n]));
    let kept: Vec<_> = (0..found.len()).filter(|n| !is_needless(*n)).take(TOLD_MAX).collect();
    kept.into_iter().filter_map(|n| found.get(n).cloned()).collect()
}

fn signed_otherwise(
    scheme: &Scheme,
    secret: &SecretString,
    delivery: &Delivery,
    budget: &mut usize,
) -> Vec<Vec<String>> {
    let digests = digests(scheme, delivery);
    let mut algorithms = Vec::new();
    for digest in &digests {
        if !algorithms.contains(&digest.algorithm) {
            algorithms.push(digest.algorithm);
        }
    }
    let (templates, bodies) = (templates(scheme), rewritten::bodies(delivery));
    let mut found = Vec::new();
    for algorithm in algorithms {
        let digests: Vec<&Digest> = digests.iter().filter(|digest| digest.algorithm == algorithm).collect();
        for text in secret_variants(secret) {
            for rule in keys(scheme, &text.value) {
                let like = Scheme { key: rule.value.clone(), algorithm, auth: Auth::Hmac, ..scheme.clone() };
                let Ok(key) = Key::prepare(&like, &text.value) else { continue };
                for template in &templates {
                    for body in &bodies {
                        let varied = [&text.change, &rule.change, &template.change, &body.change];
                        if varied.iter().filter(|change| change.is_some()).count() > VARIED_MAX {
                            continue;
                        }
                        let changes: Vec<String> = varied.into_iter().flatten().cloned().collect();
                        let trial = Scheme { signed: template.value.clone(), ..like.clone() };
                        for (seen, more) in all_seen(&trial, &template.value, delivery, &body.value) {
                            let Some(left) = budget.checked_sub(body.value.len()) else { return found };
                            *budget = left;
                            let proof = key.prove(&seen.parts(&trial));
                            for digest in &digests {
                                if bool::from(proof.as_bytes().ct_eq(&digest.bytes)) {
                                    let mut all = changes_of(scheme, digest, delivery, &template.value);
                                    all.extend(changes.iter().chain(&more).cloned());
                                    all.extend(left_over(scheme, &template.value));
                                    found.push(all);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    found
}

/// Settings that the template does not use, which `check` refuses together with it: a preset's stay unless they are given.
fn left_over(scheme: &Scheme, template: &Template) -> Vec<String> {
    let mut changes = Vec::new();
    if matches!(scheme.id, IdRule::Header(_)) && !template.has(&Part::Id) {
        changes.push("id = \"body_hash\"".to_owned());
    }
    let is_apart = scheme.timestamp.as_ref().is_some_and(|rule| !matches!(rule.from, TimestampFrom::Json(_)));
    let is_checked = |rule: &TimestampRule| rule.past_s != Tolerance::Off || rule.future_s != Tolerance::Off;
    if is_apart && !template.has(&Part::Timestamp) && scheme.timestamp.as_ref().is_some_and(is_checked) {
        changes.push("timestamp = { past_s = \"off\", future_s = \"off\" }".to_owned());
    }
    if !scheme.public_url.is_empty() && !template.has(&Part::Url) {
        changes.push("public_url = \"\"".to_owned());
    }
    changes
}

/// The values that a template may have had in this delivery, each with the settings that differ from the scheme.
fn all_seen<'a>(
    scheme: &Scheme,
    template: &Template,
    delivery: &'a Delivery,
    body: &'a [u8],
) -> Vec<(Owned<'a>, Vec<String>)> {
    // Fields of the body are tried only as the scheme has them.
    if template.parts().iter().any(|part| matches!(part, Part::Json(_))) || scheme.field.is_some() {
        return Vec::new();
    }
    let part = |is_needed: bool, all: Vec<Variant<String>>| {
        if is_needed { all } else { vec![Variant { value: String::new(), change: None }] }
    };
    let times = part(template.has(&Part::Timestamp), times(scheme, delivery));
    let ids = part(template.has(&Part::Id), ids(scheme, delivery));
    let addresses = part(template.has(&Part::Url), addresses(scheme, delivery));
    let mut all = Vec::new();
    for time in &times {
        for id in &ids {
            for address in &addresses {
                let changes = [&time.change, &id.change, &address.change].into_iter().flatten().cloned().collect();
                let owned = Owned {
                    method: &delivery.method,
                    url: address.value.clone(),
                    body,
                    timestamp: time.value.clone(),
                    id: id.value.clone(),
                };
                all.push((owned, changes));
            }
        }
    }
    all
}

/// The values of a template's parts.
struct Owned<'a> {
    method: &'a str,
    /// The whole address, regardless of `public_url`.
    url: String,
    body: &'a [u8],
    timestamp: String,
    id: String,
}

impl Owned<'_> {
    fn parts<'s>(&'s self, scheme: &'s Scheme) -> Vec<&'s [u8]> {
        let seen = Seen {
            method: self.method,
            url: &self.url,
            body: self.body,
            timestamp: self.timestamp.as_bytes(),
            id: self.id.as_bytes(),
            fields: &[],
        };
        seen.parts(scheme)
    }
}
