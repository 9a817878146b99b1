//! The commands: one file each, over the same services as the API. What a command prints is for
//! people, or JSON with `--json`; what it returns is its exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prints a line. Errors are ignored: they mean that nobody reads the output any more (`… | head`).
macro_rules! say {
    () => { crate::cli::tell(format_args!("")) };
    ($($line:tt)+) => { crate::cli::tell(format_args!($($line)+)) };
}

pub mod api;
pub mod capture;
pub mod check;
pub mod dead;
pub mod deliveries;
#[cfg(feature = "stand-ins")]
pub mod demo;
pub mod drift;
pub mod explain;
pub mod failure;
pub mod healthcheck;
pub mod hold;
pub mod init;
pub mod jobs;
mod payload;
pub mod people;
pub mod person;
#[cfg(feature = "stand-ins")]
pub mod postman_sim;
pub mod presets;
mod proof;
mod request;
pub mod roster;
pub mod send;
pub mod serve;
pub mod shell;
pub mod status;
pub mod store;

use self::failure::Failure;

/// Signed HR webhooks in, a Postman team kept up to date over SCIM 2.0.
#[derive(Debug, Parser)]
#[command(name = "scim-bridge", version = env!("SCIM_BRIDGE_VERSION"), about, max_term_width = 100)]
pub struct Cli {
    /// The configuration file. Default: `SCIM_BRIDGE_CONFIG`, or `./config/scim-bridge.toml` if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge: accept webhooks, and apply them to Postman.
    Serve(serve::ServeArgs),
    #[cfg(feature = "stand-ins")]
    /// Show everything at work: the bridge, a Postman stand-in, signed webhooks, and the result for each person.
    Demo(demo::DemoArgs),
    /// Write a configuration for an HR system: asks on a terminal, or takes flags.
    Init(init::InitArgs),
    /// Check the configuration and the store, and whether Postman accepts the key.
    Check(check::CheckArgs),
    /// Show what a payload would do, field by field, without changing anything.
    Explain(explain::ExplainArgs),
    /// Presets for HR systems: list them, show one, test deliveries with one.
    #[command(subcommand)]
    Presets(presets::PresetsCommand),
    /// Capture a source's last deliveries for an hour; list them, show one.
    #[command(subcommand)]
    Capture(capture::CaptureCommand),
    /// Sign a file as a source would, post it, and follow its jobs.
    Send(send::SendArgs),
    /// Show what waits, what needs attention, and what to do; exit code 3 if anything needs attention.
    Status,
    /// Say by exit code whether the local process is alive, or ready: for a container's supervisor.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Dead letters: list, show, replay, discard.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// List the last deliveries of each source: accepted, duplicate, ignored or refused, and why.
    Deliveries(deliveries::DeliveriesArgs),
    /// Holds: show, set and lift them; let more changes through the guard.
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Everything about one person: "why is Jane not in Postman?"
    Person(person::PersonArgs),
    /// People: list them, or find them by name.
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// List open jobs, or show one in any state.
    Jobs(jobs::JobsArgs),
    /// Stage a roster: a file that says who works here. Nothing in it reaches Postman before `apply`.
    Import(roster::ImportArgs),
    /// Show what applying everything staged would do.
    Plan(roster::PlanArgs),
    /// Apply everything staged, at Postman's rate.
    Apply(roster::ApplyArgs),
    /// Show whether HR and Postman agree: the last comparison, or one made now.
    Drift(drift::DriftArgs),
    /// Copy the store into another one, or back it up.
    #[command(subcommand)]
    Store(store::StoreCommand),
    #[cfg(feature = "stand-ins")]
    /// Run only the Postman stand-in.
    PostmanSim(postman_sim::PostmanSimArgs),
    /// Print a shell's completion script for these commands.
    Completions(shell::CompletionsArgs),
    /// Print a manual page, as roff: `scim-bridge man | man -l -`.
    Man(shell::ManArgs),
}

/// Where a command's settings come from, and how it prints.
#[derive(Debug, Clone)]
pub struct Context {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--json`
    pub json: bool,
}

impl Context {
    /// Refuses `--csv` together with `--json`.
    pub fn is_one_format(&self, csv: bool) -> Result<(), Failure> {
        if csv && self.json {
            return Err(Failure::Usage("`--csv` and `--json` exclude each other: leave one of them out".to_owned()));
        }
        Ok(())
    }

    /// Prints `value` as JSON, or as `people` writes it.
    pub fn print<T: serde::Serialize>(&self, value: &T, people: impl FnOnce()) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(value).map_err(|error| Failure::failed(error.to_string()))?;
            say!("{text}");
        } else {
            people();
        }
        Ok(())
    }
}

/// Reports arguments that cannot be understood, or shows the help that was asked for; returns the exit code. With
/// `--json`, an error is JSON, as every other error of a command.
#[must_use]
pub fn misused(error: &clap::Error) -> ExitCode {
    let is_json =
        std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if error.use_stderr() && is_json {
        let (what, action) = told(error);
        return Failure::Misused { what, action }.report(true);
    }
    // Nobody is left to read that it cannot be written.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What is wrong, and what to do about it.
fn told(error: &clap::Error) -> (String, String) {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = "See --help.".to_owned();
    // With nothing behind a command that needs more, clap shows the help instead of an error.
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return ("something is missing after the command".to_owned(), help);
    }
    let text = error.render().to_string();
    let mut parts = text.split("\n\n").map(line);
    let what = parts.next().unwrap_or_default();
    let tips = parts.filter_map(|part| Some(format!("{}.", part.strip_prefix("tip: ")?.trim_end_matches('.'))));
    (what.trim_start_matches("error: ").to_owned(), tips.chain([help]).collect::<Vec<_>>().join(" "))
}

/// Runs the command that the arguments name. Usage errors end in exit code 2 before this: see [`misused`].
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let context = Context { config: cli.config, json: cli.json };
    let result = match cli.command {
        Command::Serve(args) => serve::run(&context, &args),
        #[cfg(feature = "stand-ins")]
        Command::Demo(args) => demo::run(&context, &args),
        Command::Init(args) => init::run(&context, &args),
        Command::Check(args) => check::run(&context, &args),
        Command::Explain(args) => explain::run(&context, &args),
        Command::Presets(command) => presets::run(&context, &command),
        Command::Capture(command) => capture::run(&context, &command),
        Command::Send(args) => send::run(&context, &args),
        Command::Status => status::run(&context),
        Command::Healthcheck(args) => healthcheck::run(&context, &args),
        Command::Dead(command) => dead::run(&context, &command),
        Command::Deliveries(args) => deliveries::run(&context, &args),
        Command::Hold(command) => hold::run(&context, &command),
        Command::Person(args) => person::run(&context, &args),
        Command::People(command) => people::run(&context, &command),
        Command::Jobs(args) => jobs::run(&context, &args),
        Command::Import(args) => roster::run_import(&context, &args),
        Command::Plan(args) => roster::run_plan(&context, &args),
        Command::Apply(args) => roster::run_apply(&context, &args),
        Command::Drift(args) => drift::run(&context, &args),
        Command::Store(command) => store::run(&context, &command),
        #[cfg(feature = "stand-ins")]
        Command::PostmanSim(args) => postman_sim::run(&context, &args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(context.json),
    }
}

/// `1 person`, `3 people`.
fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn tell(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A runtime for commands that make a call or two.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime could not start: {error}")))?;
    runtime.block_on(future)
}
