//! Arguments, dispatch, exit codes.

use std::process::ExitCode;

use clap::Parser;
use scim_bridge::cli;
use tikv_jemallocator::Jemalloc;

/// Returns memory to the system after a burst; `.cargo/config.toml` configures that.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli::run(cli),
        Err(error) => cli::misused(&error),
    }
}
