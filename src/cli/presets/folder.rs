//! A folder of deliveries, and the expected result of each. `docs/write-a-preset.md` shows one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::super::failure::Failure;
use super::super::request::{self, Captured, Wanted};
use super::trial::{Trial, try_delivery};
use crate::config::{self, ConfigErrors, SourceConfig, presets, process_env};
use crate::core::time::UnixMs;

/// The file with the expected results.
const EXPECTED: &str = "expected.toml";
/// The extensions of files with deliveries: raw HTTP, HAR files, captures, curl's output.
const EXTENSIONS: [&str; 4] = ["http", "har", "json", "txt"];

/// `expected.toml`.
#[derive(Debug, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Expected {
    /// When they arrive; without it, their age is not checked.
    at: Option<String>,
    /// As under `[[source]]`, except for its name; the path in `preset_file` is relative to this folder.
    source: Table,
    /// The expected result of each file, line by line.
    deliveries: BTreeMap<String, Vec<String>>,
}

/// The result of one delivery.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    /// The delivery.
    pub(super) delivery: String,
    /// Whether the result is as expected.
    pub(super) ok: bool,
    /// The result.
    pub(super) became: Vec<String>,
    /// The expected result; none if the folder does not say: then it must be accepted and mapped.
    pub(super) expected: Option<Vec<String>>,
    /// A problem with the file itself, or a hint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hints: Vec<String>,
}

/// Tries all deliveries of a folder, or of the folders in it.
pub(super) fn test(folder: &Path, preset: Option<(&str, &str)>, secret_env: &str) -> Result<Vec<Tried>, Failure> {
    let (files, folders) = listed(folder)?;
    let mut tried = Vec::new();
    if !files.is_empty() || folder.join(EXPECTED).is_file() {
        tried.extend(test_one(folder, &files, "", preset, secret_env)?);
    }
    for inner in folders {
        let (files, _) = listed(&inner)?;
        if !files.is_empty() {
            tried.extend(test_one(&inner, &files, &format!("{}/", name_of(&inner)), preset, secret_env)?);
        }
    }
    if tried.is_empty() {
        return Err(Failure::advise(
            format!("{} has no deliveries", folder.display()),
            "Put them there as `*.http`; docs/write-a-preset.md shows how.",
        ));
    }
    Ok(tried)
}

/// The deliveries in a folder and the folders in it, each in order.
fn listed(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let failed = |error| Failure::failed(format!("{} cannot be read: {error}", folder.display()));
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let is_delivery =
        |path: &PathBuf| path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
    let mut files: Vec<_> = entries.iter().filter(|path| is_delivery(path)).cloned().collect();
    let mut folders: Vec<_> = entries.into_iter().filter(|path| path.is_dir()).collect();
    files.sort();
    folders.sort();
    Ok((files, folders))
}

fn test_one(
    folder: &Path,
    files: &[PathBuf],
    shown_as: &str,
    preset: Option<(&str, &str)>,
    secret_env: &str,
) -> Result<Vec<Tried>, Failure> {
    let expected = read_expected(&folder.join(EXPECTED))?;
    let at = match &expected.at {
        Some(text) => Some(UnixMs::parse_rfc3339(text).ok_or_else(|| {
            Failure::failed(format!(
                "{}: `at` is not an instant such as 2026-11-22T10:00:00Z",
                folder.join(EXPECTED).display()
            ))
        })?),
        None => None,
    };
    let source = source_of(folder, expected.source, preset, secret_env)?;
    let mut tried: Vec<Tried> = Vec::new();
    let mut there: BTreeSet<String> = BTreeSet::new();
    for file in files {
        for (name, trial) in tried_of(file, &source, at)? {
            let wanted = expected.deliveries.get(&name);
            let ok = wanted.map_or(trial.is_clean, |wanted| *wanted == trial.lines);
            tried.push(Tried {
                delivery: format!("{shown_as}{name}"),
                ok,
                became: trial.lines,
                expected: wanted.cloned(),
                hints: if ok { Vec::new() } else { trial.hints },
            });
            there.insert(name);
        }
    }
    for (name, wanted) in expected.deliveries.into_iter().filter(|(name, _)| !there.contains(name)) {
        tried.push(Tried {
            delivery: format!("{shown_as}{name}"),
            ok: false,
            became: Vec::new(),
            expected: Some(wanted),
            hints: vec![format!("{EXPECTED} names it, but it does not exist")],
        });
    }
    Ok(tried)
}

/// The results of the deliveries in a file: one has the file's name, several also have numbers.
fn tried_of(file: &Path, source: &SourceConfig, at: Option<UnixMs>) -> Result<Vec<(String, Trial)>, Failure> {
    let name = name_of(file);
    let all = match request::read(file, Wanted::default()) {
        Ok(all) => all,
        Err(Failure::Failed { what, .. }) => {
            return Ok(vec![(name, Trial { lines: Vec::new(), is_clean: false, hints: vec![what] })]);
        }
        Err(other) => return Err(other),
    };
    let is_one = all.len() == 1;
    let tried = |(n, captured): (usize, Captured)| {
        let name = if is_one { name.clone() } else { format!("{name}#{}", n + 1) };
        (name, try_delivery(source, &captured.delivery, at))
    };
    Ok(all.into_iter().enumerate().map(tried).collect())
}

fn read_expected(file: &Path) -> Result<Expected, Failure> {
    if !file.exists() {
        return Ok(Expected::default());
    }
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| Failure::failed(format!("{shown} cannot be read: {error}")))?;
    // The text there may be a secret: only the place and the kind of the error are shown.
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        Failure::advise(
            format!("{shown}, line {line}: {}", error.message().replace('\n', ", ")),
            "It has `at`, `[source]` and `[deliveries]`, each of whose entries is a list of texts; docs/write-a-preset.md shows one.",
        )
    })
}

/// The source whose rules are applied: `[source]`, or what the arguments and the folder's name say.
fn source_of(
    folder: &Path,
    mut source: Table,
    preset: Option<(&str, &str)>,
    secret_env: &str,
) -> Result<SourceConfig, Failure> {
    let given = source.clone();
    source.entry("name").or_insert_with(|| Value::from("test"));
    if !source.contains_key("secrets") {
        let spec = Table::from_iter([("env".to_owned(), Value::from(secret_env))]);
        source.insert("secrets".to_owned(), Value::Array(vec![Value::Table(spec)]));
    }
    if let Some(Value::String(path)) = source.get_mut("preset_file") {
        *path = folder.join(&*path).display().to_string();
    }
    if let Some((key, preset)) = preset {
        source.remove("preset");
        source.remove("preset_file");
        source.insert(key.to_owned(), Value::from(preset));
    } else if !["preset", "preset_file", "signature"].iter().any(|key| source.contains_key(*key)) {
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = name_of(&whole);
        if presets::built_in(&name).is_none() {
            return Err(Failure::advise(
                format!("{}: it does not say which preset its deliveries are for", folder.display()),
                format!("Give --preset NAME or --preset FILE, or name it in {EXPECTED}: [source] preset = \"…\"."),
            ));
        }
        source.insert("preset".to_owned(), Value::from(name));
    }
    let below = ["preset_file", "preset"].iter().find_map(|key| source.get(*key)?.as_str()).map(str::to_owned);
    config::source_alone(source, process_env()).map_err(|errors| {
        located(errors, &given, &folder.join(EXPECTED).display().to_string(), below.as_deref()).into()
    })
}

/// Errors about `source[0].KEY` with the file in which the key is: `expected.toml` if it gives the key, else the
/// preset.
fn located(mut errors: ConfigErrors, given: &Table, expected: &str, preset: Option<&str>) -> ConfigErrors {
    for error in &mut errors.0 {
        let Some(key) = error.key.strip_prefix("source[0].") else { continue };
        let mut names = key.split(['.', '[']);
        let above = names.next().and_then(|name| given.get(name));
        let is_given = above.is_some_and(|above| match (above, names.next()) {
            (Value::Table(table), Some(name)) => table.contains_key(name),
            _ => true,
        });
        match preset {
            _ if is_given => error.key = format!("{expected}: source.{key}"),
            Some(preset) if presets::has_key(key) => error.key = format!("{preset}: {key}"),
            _ => {}
        }
    }
    errors
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
