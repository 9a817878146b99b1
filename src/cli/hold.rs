//! `hold`: show, set and lift holds.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on};
use crate::admin::api::shapes::{HoldBody, HoldsBody};

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Show the holds in force.
    Show,
    /// Set a hold by hand: it stays until it is lifted by hand.
    Set {
        /// What is to wait.
        #[arg(long, value_enum, default_value_t = Scope::All)]
        scope: Scope,
    },
    /// Lift holds: work resumes at once.
    Lift {
        /// Which; without it, all.
        #[arg(long, value_enum)]
        scope: Option<Scope>,
    },
}

/// What a hold keeps waiting.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scope {
    /// Every job.
    All,
    /// Hires; renames go on.
    Creates,
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Creates => "creates",
        }
    }
}

/// Runs the command.
pub fn run(context: &Context, command: &HoldCommand) -> Result<(), Failure> {
    let api = Api::of(context)?;
    match command {
        HoldCommand::Show => {
            let holds: HoldsBody = block_on(api.get("/api/v1/hold"))?;
            context.print(&holds, || print(&holds.holds, "No hold is in force."))
        }
        HoldCommand::Set { scope } => {
            let hold: HoldBody = block_on(api.put("/api/v1/hold", &json!({ "scope": scope.as_str() })))?;
            context.print(&hold, || print(std::slice::from_ref(&hold), ""))
        }
        HoldCommand::Lift { scope } => {
            let query = scope.map(|scope| format!("?scope={}", scope.as_str())).unwrap_or_default();
            let lifted: HoldsBody = block_on(api.delete(&format!("/api/v1/hold{query}")))?;
            context.print(&lifted, || {
                let scopes: Vec<_> = lifted.holds.iter().map(|hold| hold.scope.as_str()).collect();
                match scopes.as_slice() {
                    [] => say!("No hold was in force."),
                    scopes => say!("lifted: {}", scopes.join(", ")),
                }
            })
        }
    }
}

fn print(holds: &[HoldBody], none: &str) {
    if holds.is_empty() {
        say!("{none}");
    }
    for hold in holds {
        say!("{}: {} {}", hold.scope, hold.code, hold.title);
        say!("  what to do: {}", hold.action);
        say!("  since {}, probed {} times", hold.since, hold.probes);
        if let Some(next) = &hold.next_probe_at {
            say!("  next probe not before {next}");
        }
    }
}
