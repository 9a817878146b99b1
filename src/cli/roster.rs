//! `import`, `plan`, `apply`: the whole roster.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on, payload};
use crate::admin::api::shapes::StatusBody;
use crate::core::roster::{PlanReport, PlannedPerson};
use crate::core::target_name::{self, said};

/// The list of members of a large team takes minutes at Postman's rate.
const TIMEOUT: Duration = Duration::from_mins(15);
/// How often an apply is asked how far it has come.
const POLL: Duration = Duration::from_millis(500);
/// Rows of each list that people see.
const SHOWN: usize = 10;

/// Which roster.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The source whose people these are.
    #[arg(long)]
    source: String,
    /// The file: CSV with a header, a JSON array of objects, or an object a line; `-` is standard input. A
    /// column has the last name of one of the mapping's paths: `employee_id`, `email`, `first_name`,
    /// `last_name` unless the mapping says otherwise.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// How to apply.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Do not wait until everybody has been worked on.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Imported {
    rows: u64,
    staged: u64,
    refused: Vec<Refused>,
    #[serde(default)]
    refused_rows: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Refused {
    row: u64,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Applied {
    applied: u64,
}

/// Runs `import`.
pub fn run_import(context: &Context, args: &ImportArgs) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    let file = payload::read(&args.file)?;
    let path = format!("/api/v1/roster?source={}", Api::escaped(&args.source));
    let imported: Imported = block_on(api.post_bytes(&path, file))?;
    context.print(&imported, || {
        say!("{} rows: {} staged, {} refused", imported.rows, imported.staged, imported.refused_rows);
        for refused in imported.refused.iter().take(SHOWN) {
            say!("  row {}: {}", refused.row, refused.reason);
        }
        say!(
            "{}",
            said("Nothing reaches Postman before `scim-bridge apply`; `scim-bridge plan` tells what it would do.")
        );
    })
}

/// Runs `plan`.
pub fn run_plan(context: &Context) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    let report: PlanReport = block_on(api.get("/api/v1/roster/plan"))?;
    context.print(&report, || print(&report))
}

/// Runs `apply`.
pub fn run_apply(context: &Context, args: &ApplyArgs) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    if !args.yes {
        let report: PlanReport = block_on(api.get("/api/v1/roster/plan"))?;
        print(&report);
        if !is_confirmed()? {
            return Err(Failure::advise("nothing was applied", "Answer `yes`, or give --yes."));
        }
    }
    let applied: Applied = block_on(api.post("/api/v1/roster/apply"))?;
    if !args.no_wait {
        block_on(wait(&api, context.json))?;
    }
    context.print(&applied, || {
        say!("Applied for {} people; `scim-bridge status` tells what needs attention.", applied.applied);
    })
}

/// Waits until nobody is due any more. What waits for HR, or for an operator, is told by `status`.
async fn wait(api: &Api, quiet: bool) -> Result<(), Failure> {
    let mut last = u64::MAX;
    loop {
        let status: StatusBody = api.get("/api/v1/status").await?;
        let of = |state: &str| status.jobs.get(state).copied().unwrap_or_default();
        let left = of("waiting") + of("running") + status.entries.values().sum::<u64>();
        if left == 0 {
            return Ok(());
        }
        if left != last && !quiet {
            let eta = status.drained_in_s.map_or_else(String::new, |s| format!(", some {} min", s.div_ceil(60)));
            eprintln!("{left} to go{eta}");
        }
        // Behind a hold nothing moves until somebody mends the cause: `status` says so.
        if !status.holds.is_empty() && left == last {
            return Ok(());
        }
        last = left;
        tokio::time::sleep(POLL).await;
    }
}

fn is_confirmed() -> Result<bool, Failure> {
    eprint!("Apply this? Type yes: ");
    let failed = |error: std::io::Error| Failure::failed(format!("standard input cannot be read: {error}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim() == "yes")
}

fn print(report: &PlanReport) {
    say!("{} people in HR, {} members in {}", report.people, report.members, target_name::name());
    for (what, people) in [
        ("create", &report.create),
        ("switch on", &report.switch_on),
        ("rename", &report.rename),
        ("change the address of", &report.readdress),
        ("switch off", &report.deactivate),
        ("adopt", &report.adopt),
        ("blocked", &report.blocked),
        ("incomplete in HR", &report.incomplete),
        (said("in Postman only, never touched"), &report.strangers),
    ] {
        list(what, people);
    }
    if report.changes_anything() {
        say!("{} calls, {:.1} minutes {}", report.calls, report.minutes, said("at Postman's rate"));
    } else {
        say!("Nothing would be written.");
    }
}

fn list(what: &str, people: &[PlannedPerson]) {
    if people.is_empty() {
        return;
    }
    say!("{what}: {}", people.len());
    for planned in people.iter().take(SHOWN) {
        let who = planned.person.as_deref().unwrap_or("-");
        let email = planned.email.as_deref().unwrap_or("-");
        match (&planned.code, &planned.detail) {
            (Some(code), Some(detail)) => say!("  {who} {email}: {code} {detail}"),
            _ => say!("  {who} {email}"),
        }
    }
    if people.len() > SHOWN {
        say!("  and {} more (--json has all)", people.len() - SHOWN);
    }
}
