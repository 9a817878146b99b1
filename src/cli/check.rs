//! `check`: the configuration, the store, and whether Postman accepts the key.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::serve::RoleArg;
use super::{Context, block_on};
use crate::app::{self, Role};
use crate::clock::Clock;
use crate::config::{Config, StoreUrl};
use crate::core::code::Code;
use crate::core::problems::ProblemCode;
use crate::core::processes::ProcessRole;
use crate::core::reconcile::reply::{Outcome, Reply};
use crate::core::reconcile::request::Request;
use crate::core::reconcile::target::TargetRules;
use crate::core::target_name::said;
use crate::core::time::UnixMs;
use crate::scim::Client;
use crate::store::embedded::Embedded;
use crate::store::{StoreError, holds};

/// How long reading the whole file of an embedded store may take: some 10 GB.
const EXAMINED_MAX: Duration = Duration::from_secs(30);

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Check only what a process of this role needs, and read no other secrets: an intake does not call Postman.
    #[arg(long, value_enum, default_value_t = RoleArg::All)]
    role: RoleArg,
}

/// What was checked, and the result.
#[derive(Debug, Serialize)]
struct Checked {
    what: &'static str,
    ok: bool,
    /// What was found.
    found: String,
    /// What to do; empty if all is well.
    action: String,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Checked>,
}

/// Runs the command: all configuration errors at once, else everything that can be reached.
pub fn run(context: &Context, args: &CheckArgs) -> Result<(), Failure> {
    let role = ProcessRole::from(Role::from(args.role));
    let config = Config::load_from_process(context.config.as_deref(), role)?;
    app::name_target(&config);
    let report = block_on(async {
        // Before a missing store is created.
        let file = store_file(&config);
        let mut checks = vec![configuration(&config)];
        if role.takes_in() {
            checks.extend(expired(&config, Clock::System.now()));
        }
        checks.push(store(&config).await);
        checks.extend(file);
        if role.works() {
            checks.extend(postman(&config).await?);
        }
        Ok(Report { ok: checks.iter().all(|check| check.ok), checks })
    })?;
    context.print(&report, || print(&report))?;
    if report.ok { Ok(()) } else { Err(Failure::Reported) }
}

fn print(report: &Report) {
    for check in &report.checks {
        say!("{} {:<14} {}", if check.ok { "ok  " } else { "FAIL" }, check.what, check.found);
        if !check.ok {
            say!("     what to do:    {}", check.action);
        }
    }
}

fn well(what: &'static str, found: impl Into<String>) -> Checked {
    Checked { what, ok: true, found: found.into(), action: String::new() }
}

fn configuration(config: &Config) -> Checked {
    let sources: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let mut found = vec![format!("sources: {}", sources.join(", "))];
    found.extend(config.notices.iter().map(ToString::to_string));
    well("configuration", found.join("; "))
}

/// Sources all of whose secrets have expired: nothing that they send is accepted.
fn expired(config: &Config, now: UnixMs) -> Vec<Checked> {
    let sources = config.sources.iter().filter_map(|source| {
        let last =
            source.secrets.iter().map(|secret| secret.not_after).max_by_key(|end| end.unwrap_or(UnixMs(i64::MAX)))?;
        let end = last.filter(|end| *end < now)?;
        let found =
            format!("source `{}`: the last one expired at {end}, so all its deliveries are answered 503", source.name);
        let action = ProblemCode::SourceSecretExpires.advice().to_owned();
        Some(Checked { what: "secrets", ok: false, found, action })
    });
    sources.collect()
}

async fn store(config: &Config) -> Checked {
    let pinged = match app::open_store(config) {
        Ok(store) => match store.check().await {
            // What a running bridge would report in `status`, or would not start with.
            Ok(()) => match store.settings().await {
                Ok(()) => match holds::read(store.as_ref()).await {
                    Ok(_) => app::check_target(config, store.as_ref()).await,
                    Err(unwell) => Err(unwell),
                },
                unwell => unwell,
            },
            unwell => unwell,
        },
        Err(error) => Err(error),
    };
    match pinged {
        Ok(()) => well("store", "can be read and written"),
        Err(error) if error.code() == Some(Code::StoreEmptied) => well(
            "store",
            "can be reached, and is empty: `scim-bridge serve` makes the store. If one was here, see STORE-EMPTIED in docs/failures.md",
        ),
        Err(StoreError::InUse { path }) => well("store", format!("in use by a running process ({path})")),
        Err(error) => {
            let otherwise = match &error {
                StoreError::OtherTarget { .. } => OTHER_TARGET,
                error => error.code().map_or("See `[store] url` in docs/configuration.md.", Code::advice),
            };
            let action = store_advice(&error, otherwise);
            Checked { what: "store", ok: false, found: error.to_string(), action: action.to_owned() }
        }
    }
}

/// What to do about a store. The advice of a damaged one is to run this command.
fn store_advice(error: &StoreError, otherwise: &'static str) -> &'static str {
    if error.code() == Some(Code::StoreDamaged) { DAMAGED } else { otherwise }
}

/// What to do about a damaged store, for somebody who has just run `check`.
const DAMAGED: &str = "Stop the bridge, and try `scim-bridge store copy --no-hold --from embedded:DIR --to embedded:NEW`, which may save everything; else put the last good backup in its place: see STORE-DAMAGED in docs/failures.md. With Redis, find who else writes to the keys of this prefix, and restore its data from before that.";

/// What to do about a store of another target: `serve` does not start with it.
const OTHER_TARGET: &str = "Set `[store] url` (or `key_prefix`) to a separate store for this target, or `[postman] base_url` to the target that this store belongs to.";

/// Reads the whole file of an embedded store: otherwise damage may go unnoticed for weeks.
fn store_file(config: &Config) -> Option<Checked> {
    const WHAT: &str = "store file";
    let StoreUrl::Embedded { dir } = &config.store.url else { return None };
    if !Embedded::is_in(dir) {
        return None;
    }
    Some(match Embedded::examine(dir, EXAMINED_MAX) {
        Ok(true) => well(WHAT, "read completely, and nothing is damaged"),
        Ok(false) => {
            well(WHAT, format!("not completely read within {} s; nothing was damaged", EXAMINED_MAX.as_secs()))
        }
        Err(error) => {
            let action = store_advice(&error, error.told_as().advice());
            Checked { what: WHAT, ok: false, found: error.to_string(), action: action.to_owned() }
        }
    })
}

async fn postman(config: &Config) -> Result<Vec<Checked>, Failure> {
    let client = app::scim_client(config)
        .map_err(|error| Failure::advise(error.to_string(), "See `[postman]` in docs/configuration.md."))?;
    let proxy = match client.proxy_in_use() {
        Some(proxy) => well("postman proxy", format!("calls go through {proxy}")),
        None => well("postman proxy", "none is used"),
    };
    let target = app::target_rules(config);
    let speaks = ask(&client, target, "postman", &Request::Discover).await;
    let key = ask(&client, target, "postman key", &Request::Probe).await;
    Ok(vec![proxy, speaks, key])
}

async fn ask(client: &Client, target: TargetRules, what: &'static str, request: &Request) -> Checked {
    let reply = client.send(request).await;
    let seen = match &reply {
        Reply::Http(http) => format!("answered {}", http.status),
        Reply::NotSent { reason } | Reply::Lost { reason } => reason.to_string(),
    };
    let code = match target.classify(request, &[], &reply, Clock::System.now()) {
        Outcome::Served(_) => return well(what, format!("{seen}: speaks SCIM 2.0")),
        Outcome::Members(listing) => {
            let members = listing.total.map_or_else(String::new, |total| format!(", {total} members"));
            return well(what, format!("{seen}: the key is accepted{members}"));
        }
        refused => refused.refusal(),
    };
    let action = match &reply {
        Reply::Http(_) if code == Code::HoldRefused => said(REFUSED),
        Reply::NotSent { reason } | Reply::Lost { reason } => reason.advice().unwrap_or(code.advice()),
        Reply::Http(_) => code.advice(),
    };
    Checked { what, ok: false, found: format!("{seen}: {code} {}", code.title()), action: action.to_owned() }
}

/// What to do about a refusal that is not documented.
const REFUSED: &str = "See that `[postman] base_url` is the address of SCIM, which ends in `/scim/v2`, and that what answers there is Postman, not a proxy or a login page. Then look at the key, the plan, and SCIM in the team settings.";
