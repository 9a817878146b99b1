//! Arguments, dispatch, exit codes.

use std::process::ExitCode;

use clap::Parser;
use scim_bridge::cli;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
