//! `serve`: the bridge.

use clap::{Args, ValueEnum};
use tracing::info;

use super::Context;
use super::failure::Failure;
use crate::app::{Bridge, Role, StartError, log_options, name_target};
use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::supervision;
use crate::telemetry::logs;

/// How to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// What this process does. It reads only the secrets of its role.
    #[arg(long, value_enum, default_value_t = RoleArg::All)]
    role: RoleArg,
}

/// What a process does.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleArg {
    /// Accepts webhooks, and applies them to Postman.
    All,
    /// Only accepts webhooks.
    Intake,
    /// Only applies them to Postman.
    Worker,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::All => Self::All,
            RoleArg::Intake => Self::Intake,
            RoleArg::Worker => Self::Worker,
        }
    }
}

/// Runs the command until a signal stops it.
pub fn run(context: &Context, args: &ServeArgs) -> Result<(), Failure> {
    let role = Role::from(args.role);
    let config = Config::load_from_process(context.config.as_deref(), role.into())?;
    name_target(&config);
    let _log = logs::init(&log_options(&config.log)).map_err(|error| Failure::failed(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime could not start: {error}")))?;
    let life = Lifecycle::new();
    let result = runtime.block_on(async {
        supervision::listen_for_signals(&life).map_err(|error| Failure::failed(format!("signals: {error}")))?;
        let bridge = Bridge::build(config, role, life.clone()).await.map_err(|error| started(&error))?;
        bridge.run().await.map_err(|error| Failure::failed(error.to_string()))
    });
    // A second signal leaves attempts behind, which must not keep the process alive.
    runtime.shutdown_background();
    result?;
    info!("stopped");
    Ok(())
}

fn started(error: &StartError) -> Failure {
    let action = error.action();
    Failure::advise(error.to_string(), action)
}
