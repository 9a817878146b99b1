//! `dead`: list, show, replay and discard dead letters.

use clap::Subcommand;

use super::api::Api;
use super::failure::Failure;
use super::person::print_job;
use super::{Context, block_on};
use crate::admin::api::shapes::{DeadBody, DeadListBody, DeadSummaryBody, DiscardedBody, ReplayedBody};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters, newest first.
    List {
        /// How many at the most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only those older than this one: to page on.
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Show one, whole: what it was, what was tried, what to do.
    Show {
        /// Its id.
        id: String,
    },
    /// Try it again from the beginning: a job at its place in its lane, an unmapped record by the
    /// present mapping.
    Replay {
        /// Its id.
        id: String,
    },
    /// Drop it for good; what waits behind it goes on.
    Discard {
        /// Its id.
        id: String,
    },
}

/// Runs the command.
pub fn run(context: &Context, command: &DeadCommand) -> Result<(), Failure> {
    let api = Api::of(context)?;
    match command {
        DeadCommand::List { limit, before } => {
            let before = before.as_deref().map(|id| format!("&before={}", Api::escaped(id))).unwrap_or_default();
            let list: DeadListBody = block_on(api.get(&format!("/api/v1/dead?limit={limit}{before}")))?;
            context.print(&list, || print_list(&list))
        }
        DeadCommand::Show { id } => {
            let dead: DeadBody = block_on(api.get(&format!("/api/v1/dead/{}", Api::escaped(id))))?;
            context.print(&dead, || print_dead(&dead))
        }
        DeadCommand::Replay { id } => {
            let replayed: ReplayedBody = block_on(api.post(&format!("/api/v1/dead/{}/replay", Api::escaped(id))))?;
            context.print(&replayed, || say!("replayed: {}", replayed.jobs.join(", ")))
        }
        DeadCommand::Discard { id } => {
            let discarded: DiscardedBody = block_on(api.post(&format!("/api/v1/dead/{}/discard", Api::escaped(id))))?;
            context.print(&discarded, || say!("discarded: {}", discarded.discarded))
        }
    }
}

fn print_list(list: &DeadListBody) {
    if list.dead.is_empty() {
        say!("No dead letters.");
    }
    for dead in &list.dead {
        say!("{}  {}  {:<19} {}", dead.id, dead.died_at, dead.code, whose(dead));
    }
    if let Some(next) = &list.next {
        say!("more: scim-bridge dead list --before {next}");
    }
}

fn print_dead(dead: &DeadBody) {
    let summary = &dead.summary;
    say!("{}  {}", summary.id, whose(summary));
    say!("{}: {}", summary.code, summary.title);
    say!("what exactly: {}", summary.detail);
    say!("what to do:   {}", summary.action);
    say!("died at:      {}", summary.died_at);
    if summary.parks_lane {
        say!("The person's later changes wait behind it until it is replayed or discarded.");
    }
    if let Some(job) = &dead.job {
        say!();
        print_job(job);
    }
    if let Some(payload) = &dead.payload {
        say!("\nas received:\n{}", printable(payload));
    }
}

/// Without control characters: what a stranger sent must not command the terminal.
fn printable(payload: &str) -> String {
    payload
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

fn whose(dead: &DeadSummaryBody) -> String {
    let person =
        dead.person.as_ref().map_or_else(|| dead.source.clone(), |p| format!("{}/{}", p.source, p.employee_id));
    format!("{} {person}", dead.event.as_deref().unwrap_or("record"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_commands_no_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r\u{9b}c\n\td"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\n\td");
    }
}
