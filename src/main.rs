//! Arguments, dispatch, exit codes.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use scim_bridge::cli;

/// Gives memory back to the system soon after a burst.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
