//! `jobs`: lists open jobs, or shows one.

use clap::Args;

use super::api::Api;
use super::failure::Failure;
use super::people::PageArgs;
use super::{Context, block_on};
use crate::admin::api::shapes::{JobBody, JobsBody};

/// Idle people have no open jobs.
const JOB_STATES: [&str; 6] = ["waiting", "running", "held", "scheduled", "incomplete", "blocked"];

/// Which jobs, or which one.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// The id of one job.
    id: Option<String>,
    /// The state of the people they belong to: waiting, running, held, scheduled, incomplete or blocked.
    #[arg(long, default_value = "waiting", conflicts_with = "id", value_parser = JOB_STATES)]
    state: String,
    #[command(flatten)]
    page: PageArgs,
}

/// Runs `jobs`.
pub fn run(context: &Context, args: &JobsArgs) -> Result<(), Failure> {
    let api = Api::of(context)?;
    if let Some(id) = &args.id {
        let job: JobBody = block_on(api.get(&format!("/api/v1/jobs/{}", Api::escaped(id))))?;
        return context.print(&job, || print_job_of(&job));
    }
    let path = format!("/api/v1/jobs?state={}&{}", Api::escaped(&args.state), args.page.query());
    let jobs: JobsBody = block_on(api.get(&path))?;
    context.print(&jobs, || {
        if jobs.jobs.is_empty() {
            say!("No jobs.");
        }
        jobs.jobs.iter().for_each(print_job_of);
        if let Some(next) = &jobs.next {
            say!("more: --after {next}");
        }
    })
}

fn print_job_of(job: &JobBody) {
    if let Some(person) = &job.person {
        say!("{}/{}", person.source, person.employee_id);
    }
    print_job(job);
    if let (Some(outcome), Some(at)) = (&job.outcome, &job.ended_at) {
        say!("    ended {at}: {outcome}");
    }
}

/// Prints a job.
pub(super) fn print_job(job: &JobBody) {
    let event = job.event.as_deref().unwrap_or("record");
    let accepted = job.accepted_at.as_deref().unwrap_or("?");
    say!("  {} {event} {} (accepted {accepted})", job.id, job.state);
    if let Some(due) = &job.due_at {
        say!("    due {due}");
    }
}
