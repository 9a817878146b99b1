//! File and environment, layered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::{ConfigCode, ConfigError, Findings};
use super::read::known_keys;
use super::tree::{Key, Step, set};

/// The prefix of environment variables that set keys.
const PREFIX: &str = "SCIM_BRIDGE__";
/// The prefix of variables that were meant to set keys.
const NEAR_PREFIX: &str = "SCIM_BRIDGE_";
/// The environment variable that names the file.
const FILE_VARIABLE: &str = "SCIM_BRIDGE_CONFIG";
/// The default file, read if it exists.
const FILE_DEFAULT: &str = "config/scim-bridge.toml";

/// File and environment, combined.
pub(super) struct Layers {
    pub(super) tree: Value,
    /// Which keys came from which environment variable.
    pub(super) variables: BTreeMap<Key, String>,
}

/// Reads the file and lays the environment over it. None if the file cannot be read: checks would then report
/// everything in it as missing.
pub(super) fn read(path: Option<&Path>, env: &BTreeMap<String, String>, findings: &mut Findings) -> Option<Layers> {
    let mut tree = match file(path, env) {
        Ok(table) => Value::Table(table),
        Err(error) => {
            findings.push(error);
            return None;
        }
    };
    let mut variables: Vec<(Key, &String, &String)> = Vec::new();
    for (name, value) in env {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            variables.push((key(rest), name, value));
        }
    }
    report_near_misses(env, &tree, findings);
    // List entries in order, so that each has the next index.
    variables.sort();
    let mut taken = BTreeMap::new();
    for (key, name, value) in variables {
        match set(&mut tree, &key, value.clone()) {
            Ok(()) => {
                taken.insert(key, name.clone());
            }
            Err(problem) => {
                let problem = format!("{problem} (environment variable {name})");
                findings.push(
                    ConfigError::new(key.to_string(), ConfigCode::Value, problem)
                        .advise("Number the entries of a list from 0."),
                );
            }
        }
    }
    Some(Layers { tree, variables: taken })
}

/// Reports variables that would set keys if they had two underscores instead of one. Others with this prefix are not
/// ours: Kubernetes sets `SCIM_BRIDGE_SERVICE_HOST`, for example, for a service.
fn report_near_misses(env: &BTreeMap<String, String>, tree: &Value, findings: &mut Findings) {
    let near = |name: &&String| name.starts_with(NEAR_PREFIX) && !name.starts_with(PREFIX) && *name != FILE_VARIABLE;
    if !env.keys().any(|name| near(&name)) {
        return;
    }
    let mut keys = Vec::new();
    list_keys(&known_keys(), "", &mut keys);
    for name in env.keys().filter(near) {
        let rest = name.strip_prefix(NEAR_PREFIX).unwrap_or_default().to_lowercase();
        let words: Vec<&str> = rest.split('_').filter(|word| !word.is_empty()).collect();
        // Entries of a list are numbered; a secret's place (`file`, `env`) is below its key.
        let plain: Vec<&str> = words.iter().copied().filter(|word| word.parse::<usize>().is_err()).collect();
        let plain = plain.join("_");
        let stem = ["_env", "_file", "_value"].iter().find_map(|end| plain.strip_suffix(end)).unwrap_or(&plain);
        let is_meant = |key: &&String| {
            let key = key.replace("__", "_");
            key == plain || key == stem
        };
        let Some(key) = keys.iter().find(is_meant).filter(|_| !names_it(tree, name)) else { continue };
        let mut right = format!("{PREFIX}{}", key.to_uppercase());
        if words.iter().any(|word| word.parse::<usize>().is_ok()) {
            right = right.replace("SOURCE__", "SOURCE__0__").replace("TOKEN__", "TOKEN__0__");
        }
        let problem = "its words are separated by single underscores, so it sets nothing";
        let advice =
            format!("Write two underscores between the parts of a key, as in {right}; see docs/configuration.md.");
        findings.push(ConfigError::new(name, ConfigCode::UnknownKey, problem).advise(advice));
    }
}

/// `postman__timeout_s` of every key, without the numbers of lists.
fn list_keys(value: &Value, above: &str, keys: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let key = if above.is_empty() { name.clone() } else { format!("{above}__{name}") };
                list_keys(value, &key, keys);
                if !above.is_empty() {
                    keys.push(key);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| list_keys(item, above, keys)),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// Whether the configuration takes a secret from this variable.
fn names_it(value: &Value, variable: &str) -> bool {
    match value {
        Value::Table(table) => table
            .iter()
            .any(|(name, value)| (name == "env" && value.as_str() == Some(variable)) || names_it(value, variable)),
        Value::Array(items) => items.iter().any(|item| names_it(item, variable)),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => false,
    }
}

fn file(path: Option<&Path>, env: &BTreeMap<String, String>) -> Result<Table, ConfigError> {
    let named = path
        .map(Path::to_path_buf)
        .or_else(|| env.get(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));
    let path = match named {
        Some(path) => path,
        None if Path::new(FILE_DEFAULT).is_file() => PathBuf::from(FILE_DEFAULT),
        None => return Ok(Table::new()),
    };
    let key = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(|error| ConfigError::new(&key, ConfigCode::File, error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let is_utf_16 = error.as_bytes().starts_with(&[0xff, 0xfe]) || error.as_bytes().starts_with(&[0xfe, 0xff]);
        let problem = if is_utf_16 { "it is UTF-16" } else { "it is not UTF-8 text" };
        ConfigError::new(&key, ConfigCode::Syntax, problem).advise("Save it as UTF-8.")
    })?;
    parse(&key, &text)
}

/// Parses a TOML file. An error names the place but does not show the text there: it may be a secret.
pub(super) fn parse(path: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {line}, column {column}: ")
        });
        ConfigError::new(path, ConfigCode::Syntax, format!("{place}{}", error.message().replace('\n', ", ")))
    })
}

/// `SOURCE__0__NAME` is `source[0].name`.
fn key(variable: &str) -> Key {
    let steps = variable.split("__").map(|part| match part.parse() {
        Ok(index) => Step::Index(index),
        Err(_) => Step::Name(part.to_lowercase()),
    });
    Key(steps.collect())
}
