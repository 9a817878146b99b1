//! `init`: writes a first configuration. With `--preset`, `--store` and `--output` it asks nothing.
//! Otherwise, on a terminal, it asks for those that are missing, and for the target.

mod compose;

use std::fs::OpenOptions;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::compose::{Choices, Composed, System, compose};
use super::failure::Failure;
use super::{Context, presets as preset_command};
use crate::config::{Config, presets};
use crate::core::person::SourceName;

/// Postman's SCIM address.
const TARGET: &str = "https://api.getpostman.com/scim/v2";
/// The store that needs no server.
const STORE: &str = "embedded:./data";
/// The file that is written by default.
const OUTPUT: &str = "scim-bridge.toml";

/// What to write.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The HR system: a preset's name (`presets list` has them), or the file of a preset of your own.
    #[arg(long, value_name = "NAME|FILE")]
    preset: Option<String>,
    /// The store: `embedded:DIRECTORY`, or the address of a Redis.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The file to write. An existing one is never overwritten.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The target's SCIM address; Postman's by default.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The source's name in the address that the HR system posts to: `/webhooks/NAME`.
    #[arg(long, default_value = "hr")]
    name: String,
    /// A value that the HR system's own addresses need, such as `subdomain=acme`; may be given several times.
    #[arg(long = "value", value_name = "NAME=VALUE", value_parser = named_value)]
    values: Vec<(String, String)>,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    file: String,
    /// The environment variables with the secrets.
    environment: Vec<String>,
    /// The values in it that must be changed first.
    to_change: Vec<String>,
}

/// Runs the command.
pub fn run(context: &Context, args: &InitArgs) -> Result<(), Failure> {
    let name = SourceName::parse(&args.name)
        .map_err(|_| Failure::Usage("--name must be 1 to 63 characters from a-z, 0-9, - and _".to_owned()))?;
    let (preset, store, output, target) = settled(args)?;
    let system = system(&preset)?;
    if output.exists() {
        return Err(is_there(&output));
    }
    let composed = compose(&Choices { system, store, target, name, values: args.values.clone() });
    // What it writes must pass `check`.
    Config::of_text(&composed.text)?;
    write(&output, &composed.text)?;
    let file = output.display().to_string();
    let Composed { environment, to_change, .. } = composed;
    let written = Written { file, environment, to_change };
    context.print(&written, || print(&written))
}

fn print(written: &Written) {
    say!("written: {}", written.file);
    if !written.to_change.is_empty() {
        say!("replace with your own: {}", written.to_change.join(", "));
    }
    say!("set in the environment: {}", written.environment.join(", "));
    say!("then: scim-bridge check --config {0}, and scim-bridge serve --config {0}", written.file);
}

/// Preset, store, output and target: from the flags, or asked for.
fn settled(args: &InitArgs) -> Result<(String, String, PathBuf, String), Failure> {
    let target = args.target.clone();
    if let (Some(preset), Some(store), Some(output)) = (&args.preset, &args.store, &args.output) {
        let target = target.unwrap_or_else(|| TARGET.to_owned());
        return Ok((preset.clone(), store.clone(), output.clone(), target));
    }
    if !std::io::stdin().is_terminal() {
        let given = [
            ("--preset NAME", args.preset.is_some()),
            ("--store URL", args.store.is_some()),
            ("--output FILE", args.output.is_some()),
        ];
        let missing: Vec<_> = given.into_iter().filter(|(_, is_given)| !is_given).map(|(flag, _)| flag).collect();
        let missing = missing.join(", ");
        return Err(Failure::Usage(format!("standard input is not a terminal to ask on, so give {missing}")));
    }
    let mut lines = std::io::stdin().lock();
    let preset = match &args.preset {
        Some(preset) => preset.clone(),
        None => asked_preset(&mut lines)?,
    };
    let store = match &args.store {
        Some(store) => store.clone(),
        None => ask(
            &mut lines,
            "Where to keep the bridge's state (embedded:DIRECTORY, or redis://host:6379/0)",
            Some(STORE),
        )?,
    };
    let target = match target {
        Some(target) => target,
        None => ask(&mut lines, "The target's SCIM address", Some(TARGET))?,
    };
    let output = match &args.output {
        Some(output) => output.clone(),
        None => PathBuf::from(ask(&mut lines, "Write the configuration to", Some(OUTPUT))?),
    };
    Ok((preset, store, output, target))
}

fn asked_preset(lines: &mut impl BufRead) -> Result<String, Failure> {
    loop {
        let preset =
            ask(lines, "HR system (a preset's name, or the path of your own preset file; ? lists the presets)", None)?;
        if preset == "?" {
            for about in presets::names().into_iter().filter_map(presets::about) {
                eprintln!("  {:<20} {}", about.name, about.system);
            }
            continue;
        }
        match system(&preset) {
            Ok(_) => return Ok(preset),
            Err(Failure::Failed { what, .. }) => eprintln!("{what}"),
            Err(other) => return Err(other),
        }
    }
}

/// Asks until there is an answer; an empty line accepts the default offered.
fn ask(lines: &mut impl BufRead, question: &str, offered: Option<&str>) -> Result<String, Failure> {
    loop {
        match offered {
            Some(offered) => eprint!("{question} [{offered}]: "),
            None => eprint!("{question}: "),
        }
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        if read.map_err(|error| Failure::failed(format!("standard input cannot be read: {error}")))? == 0 {
            return Err(Failure::Usage("standard input ended before all questions were answered".to_owned()));
        }
        match (line.trim(), offered) {
            ("", Some(offered)) => return Ok(offered.to_owned()),
            ("", None) => {}
            (said, _) => return Ok(said.to_owned()),
        }
    }
}

fn system(preset: &str) -> Result<System, Failure> {
    if preset_command::is_file(preset) {
        let text = std::fs::read_to_string(preset)
            .map_err(|error| Failure::failed(format!("{preset} cannot be read: {error}")))?;
        return System::new(preset, &text, true);
    }
    preset_command::known(preset)?;
    System::new(preset, presets::built_in(preset).unwrap_or_default(), false)
}

fn write(output: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => is_there(output),
        ErrorKind::NotFound => Failure::advise(
            format!("{} cannot be written: its directory does not exist", output.display()),
            "Create the directory first, or name another file with --output.",
        ),
        _ => Failure::failed(format!("{} cannot be written: {error}", output.display())),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(output).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn is_there(output: &Path) -> Failure {
    Failure::advise(
        format!("{} already exists, and is left as it is", output.display()),
        "Name another file with --output, or move that one away.",
    )
}

fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as subdomain=acme")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
