//! `healthcheck`: whether the process here is alive, or ready. For a supervisor that can only run a
//! command, in an image that holds no other.

use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde::Serialize;

use super::api::reachable;
use super::failure::Failure;
use super::{Context, block_on};
use crate::admin::health::ReadyBody;
use crate::config::{Config, process_env};
use crate::scim;

/// Less than the timeout of the image's HEALTHCHECK (5 s), so that this command reports the problem.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What to ask.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Ask whether it is ready for webhooks (`/readyz`), and not only whether it is alive (`/livez`).
    #[arg(long)]
    ready: bool,
}

/// What was asked, and the answer.
#[derive(Debug, Serialize)]
struct Health {
    ok: bool,
    url: String,
    status: u16,
    /// Why it is not ready; empty if it is, or if it was not asked.
    reasons: Vec<String>,
}

/// Runs the command. It needs no secret, and no token.
pub fn run(context: &Context, args: &HealthcheckArgs) -> Result<(), Failure> {
    let config = Config::load_without_secrets(context.config.as_deref(), process_env())?;
    let path = if args.ready { "/readyz" } else { "/livez" };
    let health = block_on(ask(format!("http://{}{path}", reachable(config.server.admin_listen))))?;
    context.print(&health, || {
        say!("{} {} answered {}", if health.ok { "ok  " } else { "FAIL" }, health.url, health.status);
        for reason in &health.reasons {
            say!("     {reason}");
        }
    })?;
    if health.ok { Ok(()) } else { Err(Failure::Reported) }
}

async fn ask(url: String) -> Result<Health, Failure> {
    let http = scim::plain_http(TIMEOUT).map_err(|error| Failure::failed(error.to_string()))?;
    let silent = |error: reqwest::Error| {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Failure::advise(
            format!("{url} {why}"),
            "Is `scim-bridge serve` running here, with the same `[server] admin_listen`? Its log says why not.",
        )
    };
    let response = http.get(&url).send().await.map_err(silent)?;
    let status = response.status();
    let body = response.bytes().await.map_err(silent)?;
    let reasons = serde_json::from_slice::<ReadyBody>(&body).map(|body| body.reasons).unwrap_or_default();
    Ok(Health { ok: status == StatusCode::OK, status: status.as_u16(), reasons, url })
}
