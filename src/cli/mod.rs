//! The commands: one file each, over the same services as the API. What a command prints is for
//! people, or JSON with `--json`; what it returns is its exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prints a line. An error is ignored: nobody reads the output any more (`… | head`).
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

/// Signed HR webhooks in, a Postman team kept in line over SCIM 2.0.
#[derive(Debug, Parser)]
#[command(name = "scim-bridge", version = env!("SCIM_BRIDGE_VERSION"), about, max_term_width = 100)]
pub struct Cli {
    /// The configuration file. Without it: `SCIM_BRIDGE_CONFIG`, else `./config/scim-bridge.toml` where present.
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
    /// Run the bridge: accept webhooks, and bring Postman in line with them.
    Serve(serve::ServeArgs),
    #[cfg(feature = "stand-ins")]
    /// Show the whole thing working: the bridge, a Postman stand-in, signed webhooks, what became of each person.
    Demo(demo::DemoArgs),
    /// Write a configuration for an HR system: asks on a terminal, or takes flags.
    Init(init::InitArgs),
    /// Check the configuration, the store, and whether Postman accepts the key.
    Check(check::CheckArgs),
    /// Say what a payload would do, field by field, without touching anything.
    Explain(explain::ExplainArgs),
    /// The HR systems that are known: list them, show one, try deliveries on one.
    #[command(subcommand)]
    Presets(presets::PresetsCommand),
    /// Captured deliveries: keep a source's last ones for an hour, list them, show one.
    #[command(subcommand)]
    Capture(capture::CaptureCommand),
    /// Sign a file as a source would, post it, and follow its jobs.
    Send(send::SendArgs),
    /// What waits, what needs attention, what to do; ends with 3 if anything needs attention.
    Status,
    /// Whether the process here is alive, or ready, by its exit code: for a container's supervisor.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Dead letters: list, show, replay, discard.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// The last deliveries of each source: accepted, ignored, known already, refused and why.
    Deliveries(deliveries::DeliveriesArgs),
    /// Holds: show, set, lift, let more through the guard.
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Everything about one person: "why is Jane not in Postman?"
    Person(person::PersonArgs),
    /// People: list them, find them by their names.
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// Open jobs, or one of any state.
    Jobs(jobs::JobsArgs),
    /// Stage a roster: a file that says who works here. Nothing in it reaches Postman before `apply`.
    Import(roster::ImportArgs),
    /// Show what applying everything staged would do.
    Plan(roster::PlanArgs),
    /// Apply everything staged, at Postman's rate.
    Apply(roster::ApplyArgs),
    /// Show whether HR and Postman agree: the last comparison, or one made now.
    Drift(drift::DriftArgs),
    /// The store itself: copy it into another, back it up.
    #[command(subcommand)]
    Store(store::StoreCommand),
    #[cfg(feature = "stand-ins")]
    /// Run the Postman stand-in by itself.
    PostmanSim(postman_sim::PostmanSimArgs),
    /// The script with which a shell completes these commands.
    Completions(shell::CompletionsArgs),
    /// A manual page, as roff: `scim-bridge man | man -l -`.
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
    /// Prints `value` as JSON, or what `people` writes.
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

/// Runs the command that the arguments name. Usage errors end in exit code 2 before this.
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
