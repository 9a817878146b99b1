//! `postman-sim`: the Postman stand-in on its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::{Context, block_on};
use crate::lifecycle::Lifecycle;
use crate::postman_sim::{
    AuthAccepted, Fault, Hint, InvitedId, Person, PostmanSim, PutMeaning, SimOptions, UsernameChange,
};
use crate::supervision;

/// The stand-in's options.
#[derive(Debug, Args)]
pub struct PostmanSimArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// The SCIM API key that it accepts.
    #[arg(long, default_value = "sim-key")]
    key: String,
    /// How the key must be sent: bearer, raw or any.
    #[arg(long, default_value = "bearer")]
    auth: AuthAccepted,
    /// Writes allowed in any window; 0: no limit.
    #[arg(long, default_value_t = 180)]
    writes: u32,
    /// Reads allowed in any window; 0: no limit.
    #[arg(long, default_value_t = 300)]
    reads: u32,
    /// The rate limits' window, in milliseconds.
    #[arg(long, default_value_t = 60_000)]
    window_ms: u64,
    /// Seats of the team; without it, any number.
    #[arg(long)]
    seats: Option<usize>,
    /// The seed for everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What a PUT with another userName does: ignore or refuse.
    #[arg(long, default_value = "ignore")]
    username_change: UsernameChange,
    /// What a PUT does to everything except the names: names (it stays) or whole (what is not sent is removed).
    #[arg(long, default_value = "names")]
    put: PutMeaning,
    /// A domain within which addresses may change; without any, all. May be repeated.
    #[arg(long, value_name = "DOMAIN")]
    verified_domain: Vec<String>,
    /// Give members versions: `ETag`, and an If-Match that is checked.
    #[arg(long)]
    versions: bool,
    /// What a 201 for an invited person contains: a future id, or none (absent).
    #[arg(long, default_value = "future")]
    invited_id: InvitedId,
    /// A header to send with every 429, such as `retry-after` or `retry-after=2`. May be repeated.
    #[arg(long, value_name = "HEADER[=SECONDS]")]
    hint: Vec<Hint>,
    /// A fault, such as `create:no-slots:3`, `any:spike-503:5%`, `replace:reset:after`. May be repeated.
    #[arg(long, value_name = "ON:WHAT[:OPTION]")]
    fault: Vec<Fault>,
    /// A file with a JSON array of people who are there from the start.
    #[arg(long, value_name = "FILE")]
    members: Option<PathBuf>,
}

/// Runs the command until it is stopped.
pub fn run(context: &Context, args: &PostmanSimArgs) -> Result<(), Failure> {
    let members = args.members.as_deref().map(read_members).transpose()?.unwrap_or_default();
    let options = SimOptions {
        listen: args.listen,
        key: args.key.clone(),
        auth: args.auth,
        writes: args.writes,
        reads: args.reads,
        window_ms: args.window_ms,
        seats: args.seats,
        seed: args.seed,
        username_change: args.username_change,
        put: args.put,
        verified_domains: (!args.verified_domain.is_empty()).then(|| args.verified_domain.clone()),
        versions: args.versions,
        invited_id: args.invited_id,
        hints: args.hint.clone(),
        ..SimOptions::default()
    };
    let sim = PostmanSim::start(options).map_err(|error| Failure::failed(error.to_string()))?;
    for member in members {
        sim.add_member(member);
    }
    for fault in &args.fault {
        sim.inject(fault.clone()).map_err(|error| Failure::failed(error.to_string()))?;
    }
    let (base_url, control_url) = (sim.base_url(), sim.control_url());
    block_on(async {
        let life = Lifecycle::new();
        // Before it says that it is there: a reader of that line may stop it.
        supervision::listen_for_signals(&life).map_err(|error| Failure::failed(error.to_string()))?;
        context.print(&json!({ "base_url": base_url, "control_url": control_url }), || {
            say!("the Postman stand-in answers at {base_url}");
            say!("what it was asked:   curl {control_url}/journal");
            say!("what it is like:     curl {control_url}");
            // Without the key, which would end up in a container's log.
            say!("to bring the bridge: SCIM_BRIDGE__POSTMAN__BASE_URL={base_url} POSTMAN_SCIM_KEY=(what --key says) …");
        })?;
        life.stopping().await;
        Ok(())
    })?;
    sim.stop();
    Ok(())
}

fn read_members(path: &std::path::Path) -> Result<Vec<Person>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("{} is not a JSON array of people: {error}", path.display())))
}
