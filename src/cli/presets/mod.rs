//! `presets`: which HR systems are known, what is known about each, and whether a folder of deliveries leads to the
//! expected results. Needs no server and no configuration.

mod folder;
pub mod trial;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use self::folder::Tried;
use super::Context;
use super::failure::Failure;
use crate::config::presets::{self, About};

/// How alike two names are, from 0 to 1, to be taken for each other's misspelling.
const ALIKE: f64 = 0.8;

/// What to do with presets.
#[derive(Debug, Subcommand)]
pub enum PresetsCommand {
    /// List the built-in presets.
    List,
    /// Print a built-in preset: a good start for your own.
    Show {
        /// Its name, as `presets list` shows it.
        name: String,
    },
    /// Test a folder of deliveries: does each become what it should? Exit code 1 if one does not.
    Test(TestArgs),
}

/// What to try.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The folder: deliveries (`*.http`: request line, headers, blank line, body; or `*.har`, `*.json`, `*.txt`, as
    /// `explain --request` reads them), with an `expected.toml` that names their preset and the expected result of
    /// each; or a folder of such folders.
    folder: PathBuf,
    /// Test them with this preset, whatever `expected.toml` says: a name, or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    preset: Option<String>,
    /// The environment variable with the secret, if `expected.toml` names none.
    #[arg(long, value_name = "VARIABLE", default_value = "HR_SECRET")]
    secret_env: String,
}

/// A preset in a list.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    confidence: presets::Confidence,
    thin: bool,
    system: String,
}

/// One preset alone.
#[derive(Debug, Serialize)]
struct PresetText {
    #[serde(flatten)]
    about: About,
    toml: &'static str,
}

/// The results of a folder.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    deliveries: Vec<Tried>,
}

/// Runs the command.
pub fn run(context: &Context, command: &PresetsCommand) -> Result<(), Failure> {
    match command {
        PresetsCommand::List => list(context),
        PresetsCommand::Show { name } => show(context, name),
        PresetsCommand::Test(args) => test(context, args),
    }
}

fn list(context: &Context) -> Result<(), Failure> {
    let listed: Vec<Listed> = presets::names()
        .into_iter()
        .filter_map(presets::about)
        .map(|About { name, confidence, thin, system, .. }| Listed { name, confidence, thin, system })
        .collect();
    context.print(&listed, || {
        for preset in &listed {
            let thin = if preset.thin { "thin" } else { "" };
            say!("{:<20} {:<8} {thin:<5} {}", preset.name, preset.confidence.as_str(), preset.system);
        }
        say!();
        say!("thin: its webhooks only say whom to read, so `[source.fetch]` needs a login");
    })
}

fn show(context: &Context, name: &str) -> Result<(), Failure> {
    let (Some(toml), Some(about)) = (presets::built_in(name), presets::about(name)) else { return Err(unknown(name)) };
    context.print(&PresetText { about, toml }, || say!("{}", toml.trim_end()))
}

fn test(context: &Context, args: &TestArgs) -> Result<(), Failure> {
    let preset = match args.preset.as_deref() {
        Some(file) if is_file(file) => Some(("preset_file", file)),
        Some(name) => {
            known(name)?;
            Some(("preset", name))
        }
        None => None,
    };
    let deliveries = folder::test(&args.folder, preset, &args.secret_env)?;
    let report = Report { ok: deliveries.iter().all(|tried| tried.ok), deliveries };
    context.print(&report, || print(&report))?;
    if report.ok { Ok(()) } else { Err(Failure::Reported) }
}

fn print(report: &Report) {
    for tried in &report.deliveries {
        say!("{} {}", if tried.ok { "ok  " } else { "FAIL" }, tried.delivery);
        if tried.ok && tried.expected.is_some() {
            continue;
        }
        for line in tried.expected.iter().flatten() {
            say!("       expected  {line}");
        }
        if tried.expected.as_ref().is_some_and(Vec::is_empty) {
            say!("       expected  nothing");
        }
        for line in &tried.became {
            say!("       became    {line}");
        }
        for hint in &tried.hints {
            say!("       {hint}");
        }
    }
    let well = report.deliveries.iter().filter(|tried| tried.ok).count();
    say!("{well} of {} deliveries have the expected result", report.deliveries.len());
}

/// Whether the text means a file.
pub(super) fn is_file(preset: &str) -> bool {
    presets::built_in(preset).is_none() && (preset.contains(['/', '.']) || Path::new(preset).is_file())
}

/// Refuses an unknown preset's name, and suggests known ones.
pub(super) fn known(name: &str) -> Result<(), Failure> {
    if presets::built_in(name).is_some() { Ok(()) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> Failure {
    let wanted = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = presets::names()
        .into_iter()
        .map(|known| {
            let contains = known.contains(&wanted) || (wanted.len() > 2 && wanted.contains(known));
            (if contains { 1.0 } else { strsim::jaro_winkler(known, &wanted) }, known)
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near.into_iter().take(5).map(|(_, known)| format!("`{known}`")).collect();
    let meant = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
    Failure::advise(
        format!("there is no preset `{name}`{meant}"),
        "`scim-bridge presets list` has them all; for another system, docs/write-a-preset.md says how to write one.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_preset_gets_a_suggestion() {
        for (name, meant) in [
            ("hibbob", Some("`hibob`")),
            ("BambooHR", Some("`bamboohr`, `bamboohr-fields`")),
            ("hmac", Some("`generic-hmac-base64`, `generic-hmac-hex`")),
            ("personio-v2", Some("`personio`")),
            ("qqqq", None),
        ] {
            let Failure::Failed { what, action } = unknown(name) else { panic!("{name}") };
            assert_eq!(what.split_once("did you mean ").map(|(_, meant)| meant.trim_end_matches('?')), meant, "{what}");
            assert!(action.contains("presets list"));
        }
    }
}
