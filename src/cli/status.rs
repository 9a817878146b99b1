//! `status`: what waits, what needs attention, what to do. Ends with 3 exactly when it lists a problem.

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on, counted};
use crate::admin::api::shapes::{ProblemBody, StatusBody};

/// Runs the command.
pub fn run(context: &Context) -> Result<(), Failure> {
    let api = Api::of(context)?;
    let status: StatusBody = block_on(api.get("/api/v1/status"))?;
    context.print(&status, || print(&status))?;
    if status.problems.is_empty() { Ok(()) } else { Err(Failure::Attention) }
}

fn print(status: &StatusBody) {
    say!("scim-bridge {} ({}), {}, up {} s", status.version, status.role, status.phase, status.uptime_s);
    if status.problems.is_empty() {
        say!("All is well.");
    }
    status.problems.iter().for_each(print_problem);
    if !status.readable {
        return;
    }
    say!("\npeople with something open");
    for (state, n) in &status.jobs {
        say!("  {state:<10} {n:>9}");
    }
    if let Some(oldest) = &status.oldest_due_at {
        say!("  the first has been due since {oldest}");
    }
    for fetch in &status.fetches {
        let read = if fetch.read > 0 { format!(", {} of them read", fetch.read) } else { String::new() };
        say!("the HR system's list of {} is {}: {} people listed{read}", fetch.source, fetch.state, fetch.listed);
    }
    if let Some(seconds) = status.drained_in_s {
        say!("  drained in about {seconds} s");
    }
    for process in status.processes.iter().filter(|process| !process.alive) {
        say!("process {} {} was last heard from at {}", process.role, process.version, process.heard_at);
    }
    let alive = status.processes.iter().filter(|process| process.alive).count() as u64;
    let (processes, people) = (counted(alive, "process", "processes"), counted(status.people, "person", "people"));
    say!("{processes}; {people} known; sources: {}", status.sources.join(", "));
}

fn print_problem(problem: &ProblemBody) {
    say!("\n! {}: {}", problem.code, problem.what);
    say!("  count {}, since {}", problem.count, problem.since);
    say!("  what to do: {}", problem.action);
}
