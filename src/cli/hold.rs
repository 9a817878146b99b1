//! `hold`: show, set and lift holds, and let more through the guard.

use clap::Subcommand;
use serde_json::json;

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on, counted};
use crate::admin::api::shapes::{AllowedBody, HoldBody, HoldsBody};
use crate::core::code::Code;
use crate::core::hold::HoldScope;

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Show the holds in force.
    Show,
    /// Set a hold, which stays until you lift it.
    Set {
        /// What must wait: all, creates, writes, deactivations, addresses or fetch:SOURCE.
        #[arg(long, value_parser = scope, default_value = "all")]
        scope: HoldScope,
        /// Why: shown with the hold, and kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lift holds: work resumes at once.
    Lift {
        /// Which; by default, all but the guard's and those that cannot be read.
        #[arg(long, value_parser = scope)]
        scope: Option<HoldScope>,
    },
    /// Let this many more changes through the guard.
    Allow {
        /// deactivations or addresses.
        #[arg(value_parser = guarded)]
        scope: HoldScope,
        /// How many more.
        #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        count: u64,
    },
}

fn scope(text: &str) -> Result<HoldScope, &'static str> {
    HoldScope::try_from(text.to_owned())
}

fn guarded(text: &str) -> Result<HoldScope, &'static str> {
    scope(text).ok().filter(HoldScope::is_guard).ok_or("deactivations or addresses")
}

/// Runs the command.
pub fn run(context: &Context, command: &HoldCommand) -> Result<(), Failure> {
    let api = Api::of(context)?;
    match command {
        HoldCommand::Show => {
            let holds: HoldsBody = block_on(api.get("/api/v1/hold"))?;
            context.print(&holds, || print(&holds.holds, "No hold is in force."))
        }
        HoldCommand::Set { scope, reason } => {
            let body = json!({ "scope": scope.to_string(), "reason": reason });
            let hold: HoldBody = block_on(api.put("/api/v1/hold", &body))?;
            context.print(&hold, || print(std::slice::from_ref(&hold), ""))
        }
        HoldCommand::Lift { scope } => {
            let query =
                scope.as_ref().map(|scope| format!("?scope={}", Api::escaped(&scope.to_string()))).unwrap_or_default();
            let lifted: HoldsBody = block_on(api.delete(&format!("/api/v1/hold{query}")))?;
            let left: HoldsBody = block_on(api.get("/api/v1/hold"))?;
            context.print(&lifted, || {
                let scopes: Vec<_> = lifted.holds.iter().map(|hold| hold.scope.as_str()).collect();
                match scopes.as_slice() {
                    [] => say!("No hold was lifted."),
                    scopes => say!("lifted: {}", scopes.join(", ")),
                }
                for hold in lifted.holds.iter().filter(|hold| hold.code == Code::HoldGuard.as_str()) {
                    say!("  The guard holds {scope} again once its window is full: `scim-bridge hold allow {scope} N` lets N through.", scope = hold.scope);
                }
                print(&left.holds, "No hold is in force.");
            })
        }
        HoldCommand::Allow { scope, count } => {
            let body = json!({ "scope": scope.to_string(), "count": count });
            let allowed: AllowedBody = block_on(api.post_json("/api/v1/hold/allow", &body))?;
            context.print(&allowed, || {
                say!("{}: {} more may go through; {} are tried now", allowed.scope, allowed.allowed, allowed.released);
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
        if let Some(set_by) = hold.set_by() {
            say!("  {set_by}");
        }
        if let Some(detail) = &hold.detail {
            say!("  answered: {detail}");
        }
        say!("  what to do: {}", hold.action);
        match &hold.next_probe_at {
            Some(next) => {
                let probes = counted(hold.probes.into(), "time", "times");
                say!("  since {}, probed {probes}", hold.since);
                say!("  next probe not before {next}");
            }
            None => say!("  since {}", hold.since),
        }
    }
}
