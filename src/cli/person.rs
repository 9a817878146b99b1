//! `person`: "why is Jane not in Postman?"

use clap::Args;

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on};
use crate::admin::api::shapes::{JobBody, PersonBody};

/// Whom to look up.
#[derive(Debug, Args)]
pub struct PersonArgs {
    /// `SOURCE/EMPLOYEE-ID`, such as `hr/E-1001`.
    person: String,
}

/// Runs the command.
pub fn run(context: &Context, args: &PersonArgs) -> Result<(), Failure> {
    let Some((source, employee_id)) = args.person.split_once('/') else {
        return Err(Failure::advise("a person is SOURCE/EMPLOYEE-ID", "write `scim-bridge person hr/E-1001`, say"));
    };
    let api = Api::of(context)?;
    let query = format!("source={}&employee_id={}", Api::escaped(source), Api::escaped(employee_id));
    let person: PersonBody = block_on(api.get(&format!("/api/v1/people?{query}")))?;
    context.print(&person, || print(&person))
}

fn print(person: &PersonBody) {
    say!("{}/{}: {}", person.person.source, person.person.employee_id, person.answer);
    if let Some(action) = &person.action {
        say!("what to do: {action}");
    }
    match &person.directory {
        Some(known) => {
            let id = known.scim_id.as_deref().unwrap_or("not known yet (invited)");
            say!("at Postman: {} (id {id}), last brought in line {}", known.user_name, known.in_line_at);
        }
        None => say!("at Postman: not known"),
    }
    for job in &person.jobs {
        say!();
        print_job(job);
    }
    for dead in person.dead.iter().filter(|dead| dead.event.is_none()) {
        say!("\ndead letter {}: {} {}", dead.id, dead.code, dead.detail);
    }
}

/// Prints a job with its history.
pub(super) fn print_job(job: &JobBody) {
    say!("{} {} {} (accepted {})", job.id, job.event.kind, job.state, job.accepted_at);
    for entry in &job.history {
        say!("  {}  {}", entry.at, entry.text);
    }
    if let (Some(due), "waiting") = (&job.due_at, job.state.as_str()) {
        say!("  due {due}, after {} failed attempts", job.attempts);
    }
}
