//! `people`: list them, find them by name.

use clap::{Args, Subcommand};

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on};
use crate::admin::api::shapes::PeopleBody;
use crate::core::person::Mark;
use crate::store::LaneState;

/// Which people.
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// List people.
    List {
        /// Only people in this state: waiting, running, held, scheduled, incomplete, blocked or idle.
        #[arg(long, value_parser = LaneState::ALL.map(LaneState::as_str))]
        state: Option<String>,
        /// Only people with this mark: `after_close`, `switched_off`, `failing`, `gone_at_hr`, `groupless`
        /// or `groups_forbidden`.
        #[arg(long, conflicts_with = "state", value_parser = Mark::ALL.map(Mark::as_str))]
        mark: Option<String>,
        /// Which page of them.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Find people by the beginnings of their names, address or employee id.
    Search {
        /// One word or several; all must match.
        #[arg(required = true)]
        text: Vec<String>,
        /// Which page of them.
        #[command(flatten)]
        page: PageArgs,
    },
}

/// Which part of a listing.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// The cursor that the previous page gave.
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
