//! `people`: list them, find them by name; and `jobs`: what is open.

use clap::{Args, Subcommand};

use super::api::Api;
use super::failure::Failure;
use super::person::print_job;
use super::{Context, block_on};
use crate::admin::api::shapes::{JobBody, JobsBody, PeopleBody};

/// Which people.
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// List people.
    List {
        /// Only who stands so: waiting, running, held, scheduled, incomplete, blocked or idle.
        #[arg(long)]
        state: Option<String>,
        /// Only who is marked so: `after_close`, `switched_off` or `failing`.
        #[arg(long, conflicts_with = "state")]
        mark: Option<String>,
        /// Which page of them.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Find people by the beginnings of their names, address or employee id.
    Search {
        /// One word or several, all of which must fit.
        #[arg(required = true)]
        text: Vec<String>,
        /// Which page of them.
        #[command(flatten)]
        page: PageArgs,
    },
}

/// Which jobs, or which one.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// The id of one job.
    id: Option<String>,
    /// What their people wait for: waiting, running, held, scheduled, incomplete or blocked.
    #[arg(long, default_value = "waiting", conflicts_with = "id")]
    state: String,
    #[command(flatten)]
    page: PageArgs,
}

/// Which part of a listing.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// How many at the most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Where the page before ended.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl PageArgs {
    /// As a query's last part.
    pub(super) fn query(&self) -> String {
        let after = self.after.as_deref().map(|after| format!("&after={}", Api::escaped(after))).unwrap_or_default();
        format!("limit={}{after}", self.limit)
    }
}

/// Runs `people`.
pub fn run(context: &Context, command: &PeopleCommand) -> Result<(), Failure> {
    let api = Api::of(context)?;
    let query = match command {
        PeopleCommand::List { state: Some(state), page, .. } => {
            format!("state={}&{}", Api::escaped(state), page.query())
        }
        PeopleCommand::List { mark: Some(mark), page, .. } => format!("mark={}&{}", Api::escaped(mark), page.query()),
        PeopleCommand::List { page, .. } => page.query(),
        PeopleCommand::Search { text, page } => format!("search={}&{}", Api::escaped(&text.join(" ")), page.query()),
    };
    let people: PeopleBody = block_on(api.get(&format!("/api/v1/people?{query}")))?;
    context.print(&people, || print_rows(&people))
}

/// Prints a page of people.
pub(super) fn print_rows(people: &PeopleBody) {
    if people.people.is_empty() {
        say!("Nobody.");
    }
    for row in &people.people {
        let active = match row.active {
            Some(true) => "active",
            Some(false) => "inactive",
            None => "",
        };
        let email = row.email.as_deref().unwrap_or("(no address)");
        say!("{}/{}  {}  {email}  {} {active}", row.person.source, row.person.employee_id, row.name, row.state);
    }
    if let Some(next) = &people.next {
        say!("more: --after {next}");
    }
}

/// Runs `jobs`.
pub fn run_jobs(context: &Context, args: &JobsArgs) -> Result<(), Failure> {
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
