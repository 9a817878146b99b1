//! `status`: what is waiting, what is wrong, what to do.

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on};
use crate::admin::api::shapes::StatusBody;

/// Runs the command.
pub fn run(context: &Context) -> Result<(), Failure> {
    let api = Api::of(context)?;
    let status: StatusBody = block_on(api.get("/api/v1/status"))?;
    context.print(&status, || print(&status))
}

fn print(status: &StatusBody) {
    say!("scim-bridge {} ({}), {}, up {} s", status.version, status.role, status.phase, status.uptime_s);
    if status.problems.is_empty() {
        say!("All is well.");
    }
    for problem in &status.problems {
        match &problem.code {
            Some(code) => say!("\n! {code}: {}", problem.what),
            None => say!("\n! {}", problem.what),
        }
        say!("  what to do: {}", problem.action);
    }
    say!("\njobs");
    for (state, jobs) in &status.jobs {
        say!("  {state:<10} {jobs:>9}");
    }
    if let Some(oldest) = &status.oldest_due_at {
        say!("  the oldest has been due since {oldest}");
    }
    say!("{} people in the directory; sources: {}", status.people, status.sources.join(", "));
}
