//! File and environment, laid over one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::{ConfigCode, ConfigError, Findings};
use super::tree::{Key, Step, set};

/// What an environment variable's name begins with to be a key.
const PREFIX: &str = "SCIM_BRIDGE__";
/// The environment variable that names the file.
const FILE_VARIABLE: &str = "SCIM_BRIDGE_CONFIG";
/// The file that is read, where there is one, when none is named.
const FILE_DEFAULT: &str = "config/scim-bridge.toml";

/// The layers in one.
pub(super) struct Layers {
    pub(super) tree: Value,
    /// Which keys came from which environment variable.
    pub(super) variables: BTreeMap<Key, String>,
}

/// Reads the file and lays the environment over it.
pub(super) fn read(path: Option<&Path>, env: &BTreeMap<String, String>, findings: &mut Findings) -> Layers {
    let mut tree = Value::Table(file(path, env, findings));
    let mut variables: Vec<(Key, &String, &String)> = Vec::new();
    for (name, value) in env {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            variables.push((key(rest), name, value));
        }
    }
    // Entries of lists in their order, so that each is the next one.
    variables.sort();
    let mut taken = BTreeMap::new();
    for (key, name, value) in variables {
        match set(&mut tree, &key, value.clone()) {
            Ok(()) => {
                taken.insert(key, name.clone());
            }
            Err(problem) => {
                let problem = format!("{problem} (environment variable {name})");
                findings
                    .push(ConfigError::new(key.to_string(), ConfigCode::Value, problem).advise("Number from 0 on."));
            }
        }
    }
    Layers { tree, variables: taken }
}

fn file(path: Option<&Path>, env: &BTreeMap<String, String>, findings: &mut Findings) -> Table {
    let named = path
        .map(Path::to_path_buf)
        .or_else(|| env.get(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));
    let path = match named {
        Some(path) => path,
        None if Path::new(FILE_DEFAULT).is_file() => PathBuf::from(FILE_DEFAULT),
        None => return Table::new(),
    };
    let key = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&key, &text).unwrap_or_else(|error| {
            findings.push(error);
            Table::new()
        }),
        Err(error) => {
            findings.push(ConfigError::new(key, ConfigCode::File, error.to_string()));
            Table::new()
        }
    }
}

/// Parses a TOML file. An error tells the place, and not the text there: it may be a secret.
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
