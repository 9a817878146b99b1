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
    println!("scim-bridge {} ({}), {}, up {} s", status.version, status.role, status.phase, status.uptime_s);
    if status.problems.is_empty() {
        println!("All is well.");
    }
    for problem in &status.problems {
        match &problem.code {
            Some(code) => println!("\n! {code}: {}", problem.what),
            None => println!("\n! {}", problem.what),
        }
        println!("  what to do: {}", problem.action);
    }
    println!("\njobs");
    for (state, jobs) in &status.jobs {
        println!("  {state:<10} {jobs:>9}");
    }
    if let Some(oldest) = &status.oldest_due_at {
        println!("  the oldest has been due since {oldest}");
    }
    println!("{} people in the directory; sources: {}", status.people, status.sources.join(", "));
}
