//! The secret itself in a header: the sender authenticates in another way than configured.

use data_encoding::BASE64;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::super::scheme::{Auth, Layout, Scheme};
use crate::core::delivery::Delivery;

/// The settings that would have to change for the secret to be found.
pub(super) fn sent_along(scheme: &Scheme, secret: &SecretString, delivery: &Delivery) -> Vec<Vec<String>> {
    let whole = secret.expose_secret();
    let text = whole.trim();
    let mut found = Vec::new();
    for (name, value) in &delivery.headers {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let mut changes = match prefix_of(value, text) {
            Some(prefix) => static_header(scheme, name, prefix),
            None if name == "authorization" => match basic(scheme, value, text) {
                Some(changes) => changes,
                None => continue,
            },
            None => continue,
        };
        if whole != text {
            changes.push("the secret without the spaces around it".to_owned());
        }
        found.push(changes);
    }
    found
}

/// The text before the secret, if a header ends with the secret.
fn prefix_of<'v>(value: &'v str, secret: &str) -> Option<&'v str> {
    let at = value.len().checked_sub(secret.len()).filter(|_| !secret.is_empty())?;
    let (prefix, rest) = (value.get(..at)?, value.get(at..)?);
    let is_one = bool::from(rest.as_bytes().ct_eq(secret.as_bytes()));
    (is_one && (prefix.is_empty() || prefix.ends_with([' ', '=', ':', ',']))).then_some(prefix)
}

fn static_header(scheme: &Scheme, name: &str, prefix: &str) -> Vec<String> {
    let mut changes = Vec::new();
    if scheme.auth != Auth::StaticHeader {
        changes.push("auth = \"static_header\"".to_owned());
    }
    if !scheme.header.names().iter().any(|known| known == name) {
        changes.push(format!("header = {name:?}"));
    }
    let is_read = matches!(&scheme.value, Layout::Single { prefix: known, .. } if known == prefix);
    if !is_read {
        changes.push(format!("value = {{ single = {{ prefix = {prefix:?} }} }}"));
    }
    changes
}

/// Whether only the user differs from the one in the secret.
fn of_another(scheme: &Scheme, secret: &str, password: &str) -> bool {
    let own = secret.split_once(':').filter(|_| scheme.username.is_none()).map_or("", |(_, own)| own);
    !own.is_empty() && bool::from(own.as_bytes().ct_eq(password.as_bytes()))
}

/// HTTP Basic with the secret as `user:password`, or as the password of any user.
fn basic(scheme: &Scheme, value: &str, secret: &str) -> Option<Vec<String>> {
    let (_, coded) = value.split_once(' ').filter(|(word, _)| word.eq_ignore_ascii_case("basic"))?;
    let login = BASE64.decode(coded.trim().as_bytes()).ok().and_then(|login| String::from_utf8(login).ok())?;
    let same = |text: &str| !secret.is_empty() && bool::from(text.as_bytes().ct_eq(secret.as_bytes()));
    let mut changes = Vec::new();
    if scheme.auth != Auth::Basic {
        changes.push("auth = \"basic\"".to_owned());
    }
    match login.split_once(':') {
        Some((user, password)) if same(password) => {
            if scheme.username.as_deref() != Some(user) {
                changes.push(format!("username = {user:?}"));
            }
        }
        _ if same(&login) => {
            if scheme.username.is_some() {
                changes.push("no `username`: the secret contains the user".to_owned());
            }
        }
        Some((user, password)) if of_another(scheme, secret, password) => {
            changes.push(format!("the user {user:?} in the secret, before its `:`"));
        }
        _ => return None,
    }
    Some(changes)
}
