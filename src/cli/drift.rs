//! `drift`: whether HR and Postman agree.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::failure::Failure;
use super::roster::awaited;
use super::{Context, block_on, counted};
use crate::core::roster::DriftReport;
use crate::core::target_name::{self, said};

/// The list of members of a large team takes minutes at Postman's rate.
const TIMEOUT: Duration = Duration::from_mins(15);
/// How many people of each list are shown.
const SHOWN: usize = 10;

/// Whether to compare.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// Compare now, instead of showing the last comparison.
    #[arg(long)]
    now: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Comparison {
    every_h: u64,
    begun_at: Option<String>,
    ended_at: Option<String>,
    report: Option<DriftReport>,
}

/// Runs `drift`.
pub fn run(context: &Context, args: &DriftArgs) -> Result<(), Failure> {
    let api = Api::of(context)?.patient(TIMEOUT)?;
    let path = "/api/v1/drift";
    let shown: Comparison =
        if args.now { block_on(awaited(context, api.post(path)))? } else { block_on(api.get(path))? };
    context.print(&shown, || {
        match (shown.every_h, &shown.ended_at) {
            (0, None) => say!("Never compared: `[drift] every_h` is 0. `scim-bridge drift --now` does it once."),
            (_, None) => say!("Not compared yet."),
            (_, Some(at)) if shown.report.as_ref().is_some_and(|report| report.error.is_some()) => {
                say!("Tried at {at}");
            }
            (_, Some(at)) => say!("Compared at {at}"),
        }
        if let Some(report) = &shown.report {
            print(report);
        }
    })?;
    let has_failed = shown.report.is_some_and(|report| report.error.is_some());
    if args.now && has_failed { Err(Failure::Reported) } else { Ok(()) }
}

fn print(report: &DriftReport) {
    if let Some(error) = &report.error {
        // There are no figures then.
        say!("The comparison failed: {error}");
        say!(
            "  what to do: run `scim-bridge check`, correct what it reports, and compare again with `scim-bridge drift --now`"
        );
        return;
    }
    if let Some(trouble) = report.trouble() {
        say!("Warning: {trouble}");
    }
    let (people, members) = (counted(report.people, "person", "people"), counted(report.members, "member", "members"));
    say!("{people} in HR, {members} in {}", target_name::name());
    for (what, list) in report.lists() {
        if list.count == 0 {
            continue;
        }
        say!("{what}: {}", list.count);
        for planned in list.first.iter().take(SHOWN) {
            let detail = planned.detail.as_deref().unwrap_or_default();
            say!("  {} {detail}", planned.person.as_deref().unwrap_or("-"));
        }
    }
    match report.invited.count {
        0 => {}
        1 => say!(
            "{}",
            said("1 person was invited, and Postman does not list them: not accepted yet, or removed since.")
        ),
        n => say!(
            "{n} people were invited, and {} does not list them: not accepted yet, or removed since.",
            target_name::name()
        ),
    }
    for planned in report.invited.first.iter().take(SHOWN) {
        say!("  {} {}", planned.person.as_deref().unwrap_or("-"), planned.detail.as_deref().unwrap_or_default());
    }
    match report.not_compared {
        0 => {}
        1 => say!("1 person was not compared: a dead letter blocks them, or was discarded."),
        n => say!("{n} people were not compared: dead letters block them, or were discarded."),
    }
    match (report.different, report.repaired) {
        (0, _) if report.trouble().is_none() && report.not_compared + report.invited.count > 0 => {
            say!("{}", said("Of all others, HR and Postman agree."));
        }
        (0, _) if report.trouble().is_none() => say!("{}", said("HR and Postman agree.")),
        (0, _) => {}
        (different, 0) => say!("{different} people differ. `scim-bridge apply` repairs what it can."),
        (different, repaired) => say!("{different} people differ, and {repaired} of them are being repaired."),
    }
}
