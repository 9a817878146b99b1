//! From the tree to typed sections: reports every wrong value and every unknown key at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use toml::Value;

use super::error::{ConfigCode, ConfigError, Findings};
use super::tree::{Key, Step, get_mut, remove, type_word};

/// Most wrong values reported at once: nobody reads more.
const ERRORS_MAX: usize = 100;

/// Reads `tree` as `T`. A wrong value is noted and removed, and the rest is read again, until nothing is wrong.
///
/// Values from the environment are texts at first, so that a text such as `00123` stays as it is; if something else
/// is expected, the text is read as a TOML value.
pub(super) fn read<T: DeserializeOwned + Default>(
    mut tree: Value,
    variables: &BTreeMap<Key, String>,
    findings: &mut Findings,
) -> T {
    let mut unknown = BTreeSet::new();
    let mut retyped = BTreeSet::new();
    let mut wrong = 0;
    let read = loop {
        let (key, message) = match attempt::<T>(tree.clone(), &mut unknown) {
            Ok(read) => break read,
            Err(error) => error,
        };
        if variables.contains_key(&key) && retyped.insert(key.clone()) && retype(&mut tree, &key) {
            continue;
        }
        findings.push(wrong_value(&mut tree, &key, &message, variables));
        wrong += 1;
        if wrong == ERRORS_MAX || !take_out(&mut tree, &key) {
            break T::default();
        }
    };
    let known = known_keys();
    for key in unknown {
        findings.push(unknown_key(&key, &known, variables));
    }
    read
}

fn attempt<T: DeserializeOwned>(tree: Value, unknown: &mut BTreeSet<Key>) -> Result<T, (Key, String)> {
    let mut note = |path: serde_ignored::Path<'_>| {
        unknown.insert(Key::from(&path));
    };
    let noting = serde_ignored::Deserializer::new(tree, &mut note);
    serde_path_to_error::deserialize(noting)
        .map_err(|error| (Key::from(error.path()), error.inner().message().to_owned()))
}

/// Reads an environment variable's text as a TOML value.
fn retype(tree: &mut Value, key: &Key) -> bool {
    let Some(place) = get_mut(tree, &key.0) else { return false };
    let Some(parsed) = place.as_str().and_then(|text| format!("it = {text}").parse::<toml::Table>().ok()) else {
        return false;
    };
    match parsed.into_iter().next() {
        Some((_, value)) => {
            *place = value;
            true
        }
        None => false,
    }
}

/// Removes the value, or the nearest table member around it.
fn take_out(tree: &mut Value, key: &Key) -> bool {
    (1..=key.0.len()).rev().any(|length| remove(tree, &Key(key.0[..length].to_vec())).is_some())
}

fn wrong_value(tree: &mut Value, key: &Key, message: &str, variables: &BTreeMap<Key, String>) -> ConfigError {
    // serde shows the value in its message; it may be a secret in the wrong place.
    let shows_value = message.starts_with("invalid ") || message.starts_with("unknown variant ");
    let expected = message.split_once(", expected ").filter(|_| shows_value);
    let found = get_mut(tree, &key.0).map_or("nothing", |value| type_word(value));
    let problem = match expected {
        Some((_, expected)) => format!("expected {}, found {found}", plain(expected)),
        None => message.replace('\n', ", "),
    };
    let origin = variables.get(key).map_or_else(String::new, |name| format!(" (environment variable {name})"));
    ConfigError::new(key.to_string(), ConfigCode::Value, format!("{problem}{origin}"))
}

/// Rust's names for types in plain words.
fn plain(expected: &str) -> &str {
    match expected.trim() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative (and not huge)",
        "a string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// Every key, as a tree, from the reference file.
pub(super) fn known_keys() -> Value {
    Value::Table(uncommented(super::REFERENCE).parse().unwrap_or_default())
}

/// The reference file with its keys in force: `#key = …` is a key, `# words` is a comment.
pub(super) fn uncommented(reference: &str) -> String {
    let key = |line: &str| {
        line.strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| !c.is_whitespace() && c != '#'))
            .map(str::to_owned)
    };
    reference.lines().map(|line| key(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// An unknown key, with the known ones of its section.
fn unknown_key(key: &Key, known: &Value, variables: &BTreeMap<Key, String>) -> ConfigError {
    let section: Vec<&Step> = key.0[..key.0.len().saturating_sub(1)].iter().collect();
    let table = section.iter().try_fold(known, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(_) => value.get(0),
    });
    let names = table.and_then(Value::as_table).map(|table| table.keys().cloned().collect::<Vec<_>>().join(", "));
    let from = variables.iter().find(|(other, _)| other.0.starts_with(&key.0));
    let origin = from.map_or_else(String::new, |(_, name)| format!(" (environment variable {name})"));
    let error = ConfigError::new(key.to_string(), ConfigCode::UnknownKey, format!("no such key{origin}"));
    match names {
        Some(names) if !names.is_empty() => error.advise(format!("Correct or remove it; known here: {names}.")),
        Some(_) | None => error,
    }
}
