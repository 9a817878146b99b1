//! `import`, `plan`, `apply`: the whole roster.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on, counted, payload};
use crate::admin::api::shapes::{PeopleBody, StatusBody};
use crate::core::roster::{Change, PlanReport, PlannedPerson};
use crate::core::target_name::{self, said};
use crate::roster::{Applied, missing};

/// The list of members of a large team takes minutes at Postman's rate.
const TIMEOUT: Duration = Duration::from_mins(15);
/// How long a command waits before it says what for.
const MOMENT: Duration = Duration::from_secs(2);
/// How often the progress of an apply is polled.
const POLL: Duration = Duration::from_millis(500);
/// How long a hold may stop all progress before we stop waiting for an apply.
const STALLED: Duration = Duration::from_secs(10);
/// How many pages of due people are searched for the people of an apply.
const PAGES_MAX: usize = 4;
/// How many rows of each list are shown.
const SHOWN: usize = 10;

/// The roster to import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The source that these people belong to.
    #[arg(long)]
    source: String,
    /// The file: CSV with a header, a JSON array of objects, or one object per line; `-` is standard input. A
    /// column has the last name of one of the mapping's paths: `employee_id`, `email`, `first_name`,
    /// `last_name` unless the mapping says otherwise.
    #[arg(long, value_name = "FILE", required_unless_present = "fetch", conflicts_with = "fetch")]
    file: Option<PathBuf>,
    /// Instead of a file: have the running process read everybody at the HR system's API, if the source's preset says
    /// how. An incomplete list stages nothing.
    #[arg(long)]
    fetch: bool,
    /// Only people who changed since then, if the HR system can list them: 2026-11-22T10:00:00Z, or 2026-11-22. They
    /// are added to what is staged.
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    since: Option<String>,
    /// The time that the rows describe, usually when the file was written: 2026-11-22T10:00:00Z, or 2026-11-22; by
    /// default, now. Whatever HR has said since then counts instead.
    #[arg(long, value_name = "TIME", conflicts_with = "fetch")]
    as_of: Option<String>,
    /// Add the rows to what is staged already, instead of replacing it.
    #[arg(long)]
    add: bool,
    /// Apply everything in the plan at once; the guard still counts.
    #[arg(long)]
    apply: bool,
}

/// What to plan.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What happens to members who are not in HR; by default, they are left alone.
    #[arg(long, value_name = "WHAT")]
    strangers: Option<Strangers>,
}

/// What happens to members who are not in HR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Strangers {
    /// They are switched off.
    Deactivate,
}

/// What to apply.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Do not wait until everybody has been processed.
    #[arg(long)]
    no_wait: bool,
    /// Only people all of whose changes are among these: creates, switch-ons, names, addresses,
    /// deactivations, groups, adoptions.
    #[arg(long, value_delimiter = ',', value_name = "CHANGES", value_parser = change)]
    only: Option<Vec<Change>>,
    /// Only the people in this file, one per line: SOURCE/EMPLOYEE-ID, an employee id, an address, or a SCIM id.
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// Exactly the plan in this file (`plan --json`): if the plan would now be different, nothing is applied.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What happens to members who are not in HR; by default, they are left alone.
    #[arg(long, value_name = "WHAT")]
    strangers: Option<Strangers>,
}

fn change(word: &str) -> Result<Change, String> {
    Change::parse(word)
        .ok_or_else(|| "expected creates, switch-ons, names, addresses, deactivations, groups or adoptions".to_owned())
}

#[derive(Debug, Serialize, Deserialize)]
struct Imported {
    rows: u64,
    staged: u64,
    refused: Vec<Refused>,
    #[serde(default)]
    refused_rows: u64,
    #[serde(default)]
    missing_columns: Vec<String>,
    #[serde(default)]
    close_columns: BTreeMap<String, String>,
    #[serde(default)]
    repeated: u64,
    #[serde(default)]
    left_out: u64,
    #[serde(default)]
    unjudged: Vec<String>,
    #[serde(default)]
    not_followed: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<u64>,
}

/// The progress of reading an HR system's list.
#[derive(Debug, Deserialize)]
struct Fetched {
    ordered_at: String,
    state: String,
    listed: u64,
    read: u64,
    code: Option<String>,
    detail: Option<String>,
    action: Option<String>,
    imported: Option<Imported>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Refused {
    row: u64,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Order {
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<Vec<Change>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strangers: Option<Strangers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanReport>,
}

/// Runs `import`.
pub fn run_import(context: &Context, args: &ImportArgs) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    let add = if args.add { "&add=true" } else { "" };
    let source = Api::escaped(&args.source);
    let mut imported: Imported = if let Some(file) = &args.file {
        let as_of = args.as_of.as_deref().map(|as_of| format!("&as_of={}", Api::escaped(as_of))).unwrap_or_default();
        block_on(api.post_bytes(&format!("/api/v1/roster?source={source}{add}{as_of}"), payload::read(file)?))?
    } else {
        let since = args.since.as_deref().map(|since| format!("&since={}", Api::escaped(since)));
        let order = format!("/api/v1/roster/fetch?source={source}{add}{}", since.unwrap_or_default());
        let ordered: Fetched = block_on(api.post(&order))?;
        block_on(fetched(&api, &source, &ordered, context.json))?
    };
    if args.apply {
        let applied: Applied = block_on(api.post("/api/v1/roster/apply"))?;
        block_on(wait(&api, &applied, context.json))?;
        imported.applied = Some(applied.applied);
    }
    context.print(&imported, || {
        say!("{} rows: {} staged, {} refused", imported.rows, imported.staged, imported.refused_rows);
        for refused in imported.refused.iter().take(SHOWN) {
            say!("  row {}: {}", refused.row, refused.reason);
        }
        if !imported.missing_columns.is_empty() {
            let missing = missing(&imported.missing_columns, &imported.close_columns);
            say!("No column for {missing}: HR says nothing about it.");
        }
        if imported.repeated > 0 {
            say!("{} rows repeat another one.", imported.repeated);
        }
        if imported.left_out > 0 {
            say!("{} rows are left out, as the mapping's conditions say.", imported.left_out);
        }
        if !imported.unjudged.is_empty() {
            say!(
                "No column for {}, by which the mapping selects people: everybody counts.",
                imported.unjudged.join(", ")
            );
        }
        if !imported.not_followed.is_empty() {
            say!("Not followed, since the mapping names no such column: {}.", imported.not_followed.join(", "));
        }
        match imported.applied {
            Some(applied) => tell_applied(applied),
            None => say!(
                "{}",
                said("Nothing reaches Postman before `scim-bridge apply`; `scim-bridge plan` says what it would do.")
            ),
        }
    })
}

/// Waits until an HR system's list is staged.
async fn fetched(api: &Api, source: &str, ordered: &Fetched, quiet: bool) -> Result<Imported, Failure> {
    let path = format!("/api/v1/roster/fetch?source={source}");
    let mut told = String::new();
    loop {
        let fetch: Fetched = api.get(&path).await?;
        if fetch.ordered_at != ordered.ordered_at {
            return Err(Failure::advise(
                "the list was requested again by another user".to_owned(),
                "See `scim-bridge status`, and request it again when that one has ended.",
            ));
        }
        if let Some(code) = &fetch.code {
            let what = format!("{code}: {}; nothing is staged", fetch.detail.unwrap_or_default());
            return Err(Failure::advise(what, fetch.action.unwrap_or_default()));
        }
        if let Some(imported) = fetch.imported {
            return Ok(imported);
        }
        let progress = match fetch.state.as_str() {
            "waiting" => "waiting for a worker that has the login of the HR system".to_owned(),
            _ if fetch.read > 0 => format!("{} people listed, {} read", fetch.listed, fetch.read),
            _ => format!("{} people listed", fetch.listed),
        };
        if !quiet && progress != told {
            eprintln!("{progress}");
            told = progress;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn plan_path(strangers: Option<Strangers>) -> &'static str {
    match strangers {
        None => "/api/v1/roster/plan",
        Some(Strangers::Deactivate) => "/api/v1/roster/plan?strangers=deactivate",
    }
}

/// Waits for what needs the whole list of members, and says so if it takes longer than a moment.
pub(super) async fn awaited<T>(
    context: &Context,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut answer = std::pin::pin!(answer);
    if let Ok(answer) = tokio::time::timeout(MOMENT, &mut answer).await {
        return answer;
    }
    if !context.json {
        eprintln!("{}", said("The members are being read at Postman; a read that fails is tried again for a while."));
    }
    answer.await
}

/// Runs `plan`.
pub fn run_plan(context: &Context, args: &PlanArgs) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    let report: PlanReport = block_on(awaited(context, api.get(plan_path(args.strangers))))?;
    context.print(&report, || print(&report, args.strangers))
}

/// Runs `apply`.
pub fn run_apply(context: &Context, args: &ApplyArgs) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    let people = args.people.as_deref().map(payload::read).transpose()?;
    let people: Option<Vec<String>> = people.map(|file| {
        let text = String::from_utf8_lossy(&file).into_owned();
        let named = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        named.map(str::to_owned).collect()
    });
    if people.as_ref().is_some_and(Vec::is_empty) {
        let advice = "Name one per line: SOURCE/EMPLOYEE-ID, an employee id, an address, or a SCIM id.";
        return Err(Failure::advise("the file given to --people names nobody", advice));
    }
    if context.json && !args.yes {
        return Err(Failure::Usage("with --json, nothing is asked: look at `plan`, then give --yes".to_owned()));
    }
    let saved: Option<PlanReport> = args.plan.as_deref().map(saved_plan).transpose()?;
    let mut order = Order { only: args.only.clone(), people, strangers: args.strangers, plan: saved };
    if !args.yes {
        // Only what was shown is applied: the process makes the plan again, and refuses one that differs.
        let report: PlanReport = match order.plan.take() {
            Some(saved) => saved,
            None => block_on(awaited(context, api.get(plan_path(args.strangers))))?,
        };
        print(&report, args.strangers);
        if !is_confirmed()? {
            return Err(Failure::advise("nothing was applied", "Answer `yes`, or give --yes."));
        }
        order.plan = Some(report);
    }
    let mut applied: Applied = block_on(awaited(context, api.post_json("/api/v1/roster/apply", &order)))?;
    if !args.no_wait {
        block_on(wait(&api, &applied, context.json))?;
    }
    // `plan` lists them with what changes.
    applied.people.clear();
    context.print(&applied, || {
        tell_applied(applied.applied);
        if applied.left_out > 0 {
            say!("{} people have other changes, too, and are left as they are.", applied.left_out);
        }
        if !applied.not_found.is_empty() {
            say!("Not in the plan: {}", applied.not_found.join(", "));
        }
    })
}

fn tell_applied(applied: u64) {
    let people = counted(applied, "person", "people");
    say!("Applied for {people}; `scim-bridge status` says what needs attention.");
}

fn saved_plan(file: &Path) -> Result<PlanReport, Failure> {
    let no_plan = |why: &str| {
        let advice = "Save one with `scim-bridge plan --json > FILE`.";
        Failure::advise(format!("{} is not a plan: {why}", file.display()), advice)
    };
    let plan: PlanReport =
        serde_json::from_slice(&payload::read(file)?).map_err(|error| no_plan(&error.to_string()))?;
    // Every plan has one, and no other JSON that the bridge writes.
    if plan.digest.is_empty() { Err(no_plan("it has no `digest`")) } else { Ok(plan) }
}

/// Waits until none of the people of this apply is due any more. Other people may be due for much longer. `status`
/// reports what waits for HR or an operator.
async fn wait(api: &Api, applied: &Applied, quiet: bool) -> Result<(), Failure> {
    let theirs: HashSet<&str> = applied.people.iter().map(String::as_str).collect();
    let (mut last, mut since) = (u64::MAX, Instant::now());
    let mut is_over = false;
    loop {
        let status: StatusBody = api.get("/api/v1/status").await?;
        if let (false, Some(problem)) = (status.readable, status.problems.first()) {
            return Err(Failure::advise(format!("{}: {}", problem.code, problem.what), &problem.action));
        }
        let of = |state: &str| status.jobs.get(state).copied().unwrap_or_default();
        let left = of("waiting") + of("running");
        if left == 0 {
            return Ok(());
        }
        // A person who is not seen may be changing state at this moment, but not twice.
        let was_over = is_over;
        is_over = !is_any_due(api, &theirs).await?;
        if was_over && is_over {
            return Ok(());
        }
        if left != last {
            since = Instant::now();
            if !quiet {
                let eta = status.drained_in_s.map_or_else(String::new, |s| format!(", some {} min", s.div_ceil(60)));
                eprintln!("{left} to go{eta}");
            }
        }
        // A hold stops everything until its cause is removed: `status` says so.
        if !status.holds.is_empty() && since.elapsed() > STALLED {
            return Ok(());
        }
        last = left;
        tokio::time::sleep(POLL).await;
    }
}

/// Whether any of these people waits for a call, or is being worked on. Only the first pages of a long queue are
/// searched; if there are more, the answer is yes.
async fn is_any_due(api: &Api, people: &HashSet<&str>) -> Result<bool, Failure> {
    for state in ["running", "waiting"] {
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let listed: PeopleBody = api.get(&format!("/api/v1/people?state={state}&limit=500{after}")).await?;
            let mut names = listed.people.iter().map(|row| format!("{}/{}", row.person.source, row.person.employee_id));
            if names.any(|name| people.contains(name.as_str())) {
                return Ok(true);
            }
            let Some(next) = listed.next else {
                after.clear();
                break;
            };
            after = format!("&after={}", Api::escaped(&next));
        }
        if !after.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_confirmed() -> Result<bool, Failure> {
    eprint!("Apply this? Type yes: ");
    let failed = |error: std::io::Error| Failure::failed(format!("standard input cannot be read: {error}"));
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim() == "yes")
}

fn print(report: &PlanReport, strangers: Option<Strangers>) {
    let (people, members) = (counted(report.people, "person", "people"), counted(report.members, "member", "members"));
    say!("{people} in HR, {members} in {}", target_name::name());
    for warning in &report.warnings {
        say!("Warning: {warning}");
    }
    // People who would be switched off without HR having said so are listed one by one.
    let (untouched, shown) = match strangers {
        None => (said("in Postman only, never touched"), SHOWN),
        Some(Strangers::Deactivate) => (said("in Postman only"), usize::MAX),
    };
    for (what, people, shown) in [
        ("create", &report.create, SHOWN),
        ("switch on", &report.switch_on, SHOWN),
        ("rename", &report.rename, SHOWN),
        ("change the address of", &report.readdress, SHOWN),
        ("switch off", &report.deactivate, shown),
        ("put into groups, or take out of them", &report.regroup, SHOWN),
        ("adopt", &report.adopt, SHOWN),
        ("blocked", &report.blocked, SHOWN),
        ("incomplete in HR", &report.incomplete, SHOWN),
        ("take over the member of another person", &report.take_over, SHOWN),
        ("share a member with another person, until one of them has it", &report.shared, SHOWN),
        (said("switched off in Postman by hand, left that way"), &report.switched_off, SHOWN),
        (said("invited, and not listed by Postman: not accepted yet, or removed since"), &report.invited, SHOWN),
        (untouched, &report.strangers, SHOWN),
    ] {
        list(what, people, shown);
    }
    if report.changes_anything() {
        say!("{} calls, {:.1} minutes {}", report.calls, report.minutes, said("at Postman's rate"));
    } else {
        say!("Nothing would be written.");
    }
}

fn list(what: &str, people: &[PlannedPerson], shown: usize) {
    if people.is_empty() {
        return;
    }
    say!("{what}: {}", people.len());
    for planned in people.iter().take(shown) {
        let who = planned.person.as_deref().unwrap_or("-");
        let email = planned.email.as_deref().unwrap_or("-");
        match (&planned.code, &planned.detail) {
            (Some(code), Some(detail)) => say!("  {who} {email}: {code} {detail}"),
            (None, Some(detail)) => say!("  {who} {email}: {detail}"),
            _ => say!("  {who} {email}"),
        }
    }
    if people.len() > shown {
        say!("  and {} more (--json has all)", people.len() - shown);
    }
}
