//! `store`: operations on a whole store, while no process serves it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::Failure;
use super::{Context, block_on};
use crate::app;
use crate::clock::{self, Clock};
use crate::config::{Config, StoreUrl, is_key_prefix, process_env};
use crate::core::code::Code;
use crate::store::StoreError;
use crate::store::copy::{Copied, CopyError, CopyOptions, Phase, SectionTally, copy, dry_run};
use crate::store::embedded::Embedded;
use crate::store::transfer::Section;

/// How many records between two lines of progress.
const PROGRESS_EVERY: u64 = 20_000;

/// How long to read the store itself after a backup, to see whether it is damaged.
const EXAMINED_MAX: Duration = Duration::from_secs(30);

/// What to do with a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy everything from one store into another: from the embedded one to Redis, back, or from one Redis to
    /// another. Can be stopped at any point and run again: what has arrived is left as it is there.
    ///
    /// No process may serve the source meanwhile: stop the bridge, copy, then start it on the target. When everything
    /// is there, the source gets the hold HOLD-COPIED, so that it applies nothing if it is started again.
    ///
    /// The source is otherwise left as it is, and `[store] high_water_jobs` does not matter. The target must be
    /// empty, or an earlier copy of the same store; one that has been served is refused.
    #[command(verbatim_doc_comment)]
    Copy(CopyArgs),
    /// Write a consistent snapshot of the embedded store to a new file, whether or not it is being served. As
    /// `store.db` in a directory, the file is a store of its own. It is read back before the command ends, which also
    /// says whether the store itself is damaged.
    #[command(verbatim_doc_comment)]
    Backup(BackupArgs),
}

/// Where to.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write, which must not exist yet.
    file: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
struct BackedUp {
    file: PathBuf,
    bytes: u64,
    /// Damage in the store itself that is not in the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
}

/// From where, to where.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The store to copy from: `embedded:DIR`, `redis://…`, `rediss://…`, `redis+sentinel://…/NAME` or
    /// `redis-cluster://…`. A Redis is reached with user, password, TLS files and `key_prefix` of `[store]` in the
    /// configuration, unless the URL has a user or a password. Other users can see a command line: give a URL with a
    /// password through the environment.
    #[arg(long, value_name = "URL", env = "SCIM_BRIDGE_COPY_FROM", hide_env_values = true)]
    from: String,
    /// The store to copy to, likewise.
    #[arg(long, value_name = "URL", env = "SCIM_BRIDGE_COPY_TO", hide_env_values = true)]
    to: String,
    /// The prefix of the source's keys, if it is a Redis and not `[store] key_prefix`.
    #[arg(long, value_name = "PREFIX")]
    from_prefix: Option<String>,
    /// The prefix of the target's keys, if it is a Redis and not `[store] key_prefix`.
    #[arg(long, value_name = "PREFIX")]
    to_prefix: Option<String>,
    /// Only count what is there and what is missing.
    #[arg(long)]
    dry_run: bool,
    /// Do not hold the source, which will be served again: for a backup.
    #[arg(long)]
    no_hold: bool,
}

/// What was copied.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether everything is there.
    ok: bool,
    dry_run: bool,
    sections: Vec<Line>,
    next: &'static str,
}

#[derive(Debug, Serialize)]
struct Line {
    section: &'static str,
    #[serde(flatten)]
    tally: SectionTally,
}

/// Runs the command.
pub fn run(context: &Context, command: &StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Copy(args) => run_copy(context, args),
        StoreCommand::Backup(args) => run_backup(context, args),
    }
}

fn run_backup(context: &Context, args: &BackupArgs) -> Result<(), Failure> {
    let config = Config::load_without_secrets(context.config.as_deref(), process_env())?;
    let StoreUrl::Embedded { dir } = &config.store.url else {
        let action = "Back Redis up by its own means (docs/redis.md), or copy it: `scim-bridge store copy --no-hold`.";
        return Err(Failure::advise("`[store] url` names a Redis, which has no file here", action));
    };
    if args.file.exists() {
        return Err(Failure::advise(format!("{} already exists", args.file.display()), "Give another file."));
    }
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Failure::advise(
            format!("{} is not a directory", folder.display()),
            "Name a file in an existing directory.",
        ));
    }
    if !Embedded::is_in(dir) {
        return Err(Failure::advise("there is no store in the directory of `[store] url`", "Check `[store] url`."));
    }
    Embedded::backup_of(dir, &args.file).map_err(|error| Failure::advise(error.to_string(), advice(&error)))?;
    let bytes = std::fs::metadata(&args.file).map_or(0, |file| file.len());
    // Damaged empty pages do not get into a backup.
    let damaged = Embedded::examine(dir, EXAMINED_MAX).err().map(|error| error.to_string());
    let report = BackedUp { file: args.file.clone(), bytes, damaged };
    context.print(&report, || {
        say!("{} bytes in {}", report.bytes, report.file.display());
        if let Some(damaged) = &report.damaged {
            say!("{damaged}. What was written is complete: put it in place of the store.");
        }
    })
}

fn run_copy(context: &Context, args: &CopyArgs) -> Result<(), Failure> {
    let config = Config::load_without_secrets(context.config.as_deref(), process_env())?;
    let (from, to) = (place("--from", &args.from)?, place("--to", &args.to)?);
    for (flag, prefix) in [("--from-prefix", &args.from_prefix), ("--to-prefix", &args.to_prefix)] {
        check_prefix(flag, prefix.as_deref())?;
    }
    let copied = block_on(copied(&config, args, &from, &to))?;
    let report = Report {
        ok: args.dry_run || copied.is_whole(),
        dry_run: args.dry_run,
        next: next(args, &copied),
        sections: copied.0.iter().map(|(section, tally)| Line { section: section.as_str(), tally: *tally }).collect(),
    };
    context.print(&report, || print(&report))?;
    if report.ok { Ok(()) } else { Err(Failure::Reported) }
}

async fn copied(config: &Config, args: &CopyArgs, from: &StoreUrl, to: &StoreUrl) -> Result<Copied, Failure> {
    if !is_there(from) {
        let action = "Give `embedded:` and the directory that `[store] url` names on the machine where the bridge ran.";
        return Err(Failure::advise("--from: there is no store in this directory", action));
    }
    let is_embedded = matches!(from, StoreUrl::Embedded { .. });
    if args.from == args.to && (is_embedded || args.from_prefix == args.to_prefix) {
        let action = "Give --to another store; with one Redis for both, another --to-prefix.";
        return Err(Failure::advise("--from and --to are the same store", action));
    }
    let now = || Clock::System.now();
    let mut told = 0;
    let told = |phase, section: Section, records| tell(&mut told, phase, section, records);
    let from_prefix = args.from_prefix.as_deref();
    let source = app::open_other_store(config, from, from_prefix, false).map_err(|error| no_store("--from", &error))?;
    // A dry run makes none.
    let target = if args.dry_run && !is_there(to) {
        None
    } else {
        let to_prefix = args.to_prefix.as_deref();
        Some(app::open_other_store(config, to, to_prefix, true).map_err(|error| no_store("--to", &error))?)
    };
    let copied = match &target {
        Some(target) if !args.dry_run => {
            let fresh_id = clock::new_id();
            let options = CopyOptions { hold_source: !args.no_hold, fresh_id };
            copy(source.as_ref(), target.as_ref(), now, options, told).await
        }
        target => dry_run(source.as_ref(), target.as_deref(), now, told).await,
    };
    let nothing = || {
        let action = "Check --from; for a Redis, the database in the URL and the prefix of the keys, too.";
        Failure::advise("there is nothing in the store to copy from", action)
    };
    match copied {
        Ok(copied) if copied.is_empty() => Err(nothing()),
        Err(CopyError::From(error)) if error.code() == Some(Code::StoreEmptied) => Err(nothing()),
        copied => copied.map_err(|error| refused(&error)),
    }
}

fn is_there(place: &StoreUrl) -> bool {
    match place {
        StoreUrl::Embedded { dir } => Embedded::is_in(dir),
        StoreUrl::Redis(_) => true,
    }
}

/// Reads a store's URL; what is wrong with it does not show it.
fn place(flag: &str, url: &str) -> Result<StoreUrl, Failure> {
    StoreUrl::try_from(url.to_owned())
        .map_err(|problem| Failure::advise(format!("{flag}: {problem}"), "See `[store] url` in docs/configuration.md."))
}

fn check_prefix(flag: &str, prefix: Option<&str>) -> Result<(), Failure> {
    match prefix {
        Some(prefix) if !is_key_prefix(prefix) => Err(Failure::advise(
            format!("{flag}: is not a prefix"),
            "Give 1 to 64 letters, digits, `-`, `_`, `.` and `:`.",
        )),
        Some(_) | None => Ok(()),
    }
}

fn no_store(flag: &str, error: &StoreError) -> Failure {
    Failure::advise(format!("{flag}: {error}"), advice(error))
}

fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::InUse { .. } => "Stop the process that serves it, then copy.",
        other => other.code().map_or("See `[store] url` in docs/configuration.md.", Code::advice),
    }
}

fn refused(error: &CopyError) -> Failure {
    let action = match error {
        CopyError::From(error) | CopyError::To(error) => advice(error),
        CopyError::InUse { .. } | CopyError::TargetInUse { .. } => {
            "Stop every process that serves it; a lease of one that died ends within `[worker] lease_s`."
        }
        CopyError::Moved => "Stop every process that serves it, intakes too, then run this again.",
        CopyError::Newer => "Copy into an empty store: two stores cannot be merged.",
        CopyError::Same => "Give two stores.",
    };
    let run_again = match error {
        CopyError::From(error) | CopyError::To(error) if error.is_passing() => " Run this again: it goes on.",
        _ => "",
    };
    Failure::advise(error.to_string(), format!("{action}{run_again}"))
}

/// Prints progress to standard error, a line every `PROGRESS_EVERY` records.
fn tell(last: &mut u64, phase: Phase, section: Section, records: u64) {
    if records / PROGRESS_EVERY != *last / PROGRESS_EVERY && records > *last {
        let doing = match phase {
            Phase::Copying => "copying",
            Phase::Comparing => "comparing",
        };
        eprintln!("{doing} {}: {records}", section.as_str());
    }
    *last = records;
}

fn print(report: &Report) {
    let copied = if report.dry_run { "to copy" } else { "copied" };
    say!("{:<11} {:>10} {copied:>10} {:>10} {:>10}", "", "in all", "there", "verified");
    for line in &report.sections {
        let SectionTally { all, copied, known, verified, .. } = line.tally;
        say!("{:<11} {all:>10} {copied:>10} {known:>10} {verified:>10}", line.section);
    }
    say!("{}", report.next);
}

fn next(args: &CopyArgs, copied: &Copied) -> &'static str {
    if args.dry_run {
        "Nothing was changed."
    } else if !copied.is_whole() {
        "Not everything is there. Run this again; if that does not help, copy into an empty store."
    } else if args.no_hold {
        "Everything is there. The source has no hold: serve one of the two, never both."
    } else {
        "Everything is there, and the source is held (HOLD-COPIED). Next: let `[store] url` name the target, and serve it."
    }
}
