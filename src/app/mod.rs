//! Builds everything and ties it together: the only wiring. Starts the components, and stops them in
//! order. `options` turns configuration into each component's options, `open` opens the store,
//! `background` holds the tasks that run beside the components.

mod background;
mod mappings;
mod open;
mod options;
mod token;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::log_outs::LogOuts;
use crate::admin::service::AdminState;
use crate::admin::store_check::StoreCheck;
use crate::admin::{self, Admin};
use crate::alert::{AlertError, Alerting};
use crate::clock::{self, Clock};
use crate::config::{Config, SecretFiles, StoreUrl};
use crate::core::processes::ProcessRole;
use crate::hr::HrClientError;
use crate::intake::{Intake, IntakeError, Services};
use crate::lifecycle::{Lifecycle, Loops, PUBLIC_LISTENER};
use crate::scim::ClientError;
use crate::secret::LiveSecret;
use crate::store::recorded::Recorded;
use crate::store::target::bind_target;
use crate::store::{Store, StoreError};
use crate::supervision;
use crate::telemetry::activity::ActivityLog;
use crate::telemetry::metrics::{Metrics, MetricsError};
use crate::telemetry::store_log::StoreLog;
use crate::telemetry::traces::Traces;
use crate::worker::{Worker, end_leases};

pub use self::open::{check_target, open_other_store, open_store};
pub use self::options::{
    link as redis_link, log_options, name_target, plan_rules, scim_client, target_rules, worker as worker_options,
};
use self::token::KeptToken;
pub use self::token::TOKEN_FILE;

/// Least time for the listeners to close: answers that are ready are still sent.
const CLOSE_MIN: Duration = Duration::from_secs(1);
/// How long the last spans may take to be sent.
const TRACES_LAST: Duration = Duration::from_secs(2);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Accepts webhooks and applies them to the team.
    All,
    /// Only accepts webhooks.
    Intake,
    /// Only applies them to the team.
    Worker,
}

impl From<Role> for ProcessRole {
    fn from(role: Role) -> Self {
        match role {
            Role::All => Self::All,
            Role::Intake => Self::Intake,
            Role::Worker => Self::Worker,
        }
    }
}

/// Why the bridge could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The SCIM client could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client of an HR system could not be made.
    #[error("`[source.fetch]`: {0}")]
    HrClient(#[from] HrClientError),
    /// `[postman] ca_file` could not be read.
    #[error("`[postman] ca_file`: {0}")]
    CaFile(std::io::Error),
    /// The admin listener could not be opened.
    #[error(transparent)]
    Admin(#[from] admin::BindError),
    /// The public listener could not be opened.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// Alerts cannot be sent.
    #[error(transparent)]
    Alert(#[from] AlertError),
    /// Metrics could not be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The admin token could not be kept.
    #[error("the admin token cannot be kept in {path}: {source}")]
    Token {
        /// The path of its file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The embedded store is for one process, which must do everything.
    #[error("the embedded store is for one process: `--role {0}` would leave half of the work undone")]
    RoleNeedsSharedStore(&'static str),
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Unavailable(_)) => "Give `[store] url` a directory that this user can write to.",
            Self::Store(StoreError::OtherTarget { .. }) => {
                "Set `[store] url` (or `key_prefix`) to a separate store for this target, or serve the target that this store belongs to."
            }
            Self::HrClient(HrClientError::Certificate) => {
                "Give `[source.fetch] client_certificate` and `client_key` that belong together, each as PEM."
            }
            Self::HrClient(_) => "Install CA certificates, or correct `[source.fetch] base_url`.",
            Self::Client(_) | Self::CaFile(_) => "Install CA certificates, or correct `[postman] ca_file`.",
            Self::Alert(_) => "Install CA certificates.",
            Self::Admin(_) => "Free the address, or set `[server] admin_listen`.",
            Self::Intake(_) => "Free the address, or set `[server] listen`.",
            Self::Store(_) | Self::Metrics(_) => "",
            Self::Token { .. } => "Set `[server] admin_token`, or make the directory writable.",
            Self::RoleNeedsSharedStore(_) => "Leave out `--role`, or use Redis in `[store] url`.",
        }
    }
}

/// The bridge, built and bound, not yet running.
pub struct Bridge {
    intake: Option<Intake>,
    admin: Admin,
    worker: Option<Worker>,
    store: Arc<dyn Store>,
    /// Whether other processes may be at work on it.
    is_shared_store: bool,
    clock: Clock,
    life: Lifecycle,
    admin_state: AdminState,
    alerting: Option<Alerting>,
    secret_files: SecretFiles,
    grace: Duration,
    token: LiveSecret,
    /// The admin token's file, if it is kept beside the store.
    kept_token: Option<KeptToken>,
    traces: Traces,
}

impl Bridge {
    /// Opens the store, makes the client, and takes both addresses.
    ///
    /// # Errors
    /// Whatever could not be opened; then nothing is left running.
    pub async fn build(config: Config, role: Role, life: Lifecycle) -> Result<Self, StartError> {
        let clock = Clock::System;
        let process_role = ProcessRole::from(role);
        for notice in &config.notices {
            warn!("{notice}");
        }
        let metrics = Metrics::install()?;
        // A process that never calls the target needs no key.
        let client = process_role.works().then(|| scim_client(&config)).transpose()?;
        let is_embedded = matches!(config.store.url, StoreUrl::Embedded { .. });
        if is_embedded && role != Role::All {
            return Err(StartError::RoleNeedsSharedStore(process_role.as_str()));
        }
        let store_log = StoreLog::default();
        let store = open::serving(&config, &life).await?;
        let store: Arc<dyn Store> = Arc::new(Recorded::new(store, clock.clone(), store_log.clone()));
        if is_embedded {
            bind_target(store.as_ref(), &options::target(&config)).await?;
            end_leases(store.as_ref(), clock.now()).await?;
            background::lift_what_a_key_can_cause(store.as_ref(), background::RESTARTED).await?;
        }
        let (token, kept_token) = token::admin(&config)?;
        let (activity, process) = (ActivityLog::default(), clock::new_name());
        let traces = options::traces(&config, &process, process_role);
        let systems = if process_role.works() { options::hr_systems(&config)? } else { BTreeMap::new() };
        let roster = options::roster(&config, store.clone(), client.clone(), &clock, systems.clone());
        if is_embedded {
            roster.let_go_of_fetches().await?;
        }
        let admin_state = AdminState {
            store: store.clone(),
            health: StoreCheck::new(store.clone(), store_log, open::patience(&config.store)),
            clock: clock.clone(),
            tokens: options::tokens(&config, &token),
            lifecycle: life.clone(),
            remap: mappings::remap(&config.sources),
            explain: options::explain(&config.sources),
            live: options::live(&config, client.clone()),
            mappings: mappings::mappings_hash(&config.sources),
            sources: options::source_figures(&config.sources),
            roster,
            guard: options::guard(&config),
            bounds: options::bound_figures(&config),
            certificates: options::certificates(&config),
            settings: Arc::new(options::settings(&config)),
            judged: watch::Sender::default(),
            log_outs: LogOuts::default(),
            failing_secrets: watch::Sender::default(),
            activity: activity.clone(),
            process,
            version: env!("CARGO_PKG_VERSION"),
            started_at: clock.now(),
            role: process_role,
            metrics,
        };
        let admin = Admin::bind(&options::admin(&config), admin_state.clone())?;
        let alerts = options::alerts(&config, admin.address(), &admin_state);
        let alerting = alerts.map(|alerts| Alerting::new(store.clone(), clock.clone(), alerts)).transpose()?;
        let services = Services {
            store: store.clone(),
            clock: clock.clone(),
            lifecycle: life.clone(),
            activity: activity.clone(),
            traces: traces.clone(),
        };
        let sources = || config.sources.iter().map(options::source).collect();
        let intake = process_role.takes_in().then(|| Intake::bind(options::intake(&config), sources(), services));
        let worker = match client {
            Some(client) => {
                let worker = Worker::new(store.clone(), client, clock.clone(), options::worker(&config));
                Some(worker.with_activity(activity).with_traces(traces.clone()).with_hr(systems))
            }
            None => None,
        };
        Ok(Self {
            intake: intake.transpose()?,
            admin,
            worker,
            is_shared_store: !is_embedded,
            store,
            clock,
            life,
            admin_state,
            alerting,
            grace: Duration::from_secs(config.server.shutdown_grace_s),
            secret_files: config.secret_files,
            token,
            kept_token,
            traces,
        })
    }

    /// Where webhooks are accepted; none for a worker.
    #[must_use]
    pub fn intake_address(&self) -> Option<SocketAddr> {
        self.intake.as_ref().map(Intake::address)
    }

    /// Where health, metrics, API and console are.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The token for the API and the console.
    #[must_use]
    pub fn admin_token(&self) -> LiveSecret {
        self.token.clone()
    }

    /// The store, for code in the same process.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Runs until the process must stop, then stops in order: no new deliveries or claims, calls in flight end within
    /// the grace, the rest is given back, the listeners close, the store closes.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn run(self) -> std::io::Result<()> {
        let Self {
            intake,
            admin,
            worker,
            store,
            is_shared_store,
            clock,
            life,
            admin_state,
            alerting,
            secret_files,
            grace,
            kept_token,
            traces,
            ..
        } = self;
        info!(
            intake = intake.as_ref().map(|intake| intake.address().to_string()),
            admin = %admin.address(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let close = CancellationToken::new();
        let owned = |part, work| tokio::spawn(owned(part, life.clone(), close.clone(), work));
        let admin = owned("admin listener", admin.serve(close.clone()).boxed());
        let intake = intake.map(|intake| owned(PUBLIC_LISTENER, intake.serve(close.clone()).boxed()));
        // A process with a worker knows the key and the mappings, and keeps the store tidy.
        let works = worker.is_some();
        let keyed = works.then(|| store.clone());
        let loops = life.loops();
        let files = Arc::new(Mutex::new(secret_files));
        let failing = admin_state.failing_secrets.clone();
        let mut beside = vec![kept(loops, "secrets", move || {
            background::refresh_secrets(files.clone(), kept_token.clone(), keyed.clone(), failing.clone())
        })];
        if let Some(alerting) = alerting.clone() {
            let judged = admin_state.judged.clone();
            beside.push(kept(loops, "alerts", move || alerting.clone().run(judged.subscribe())));
        }
        if works {
            let (tidied, roster, counting) = (store.clone(), admin_state.roster.clone(), admin_state.clone());
            let listed = roster.clone();
            beside.push(kept(loops, "lists", move || background::fetch(listed.clone())));
            beside.push(kept(loops, "tidy", move || background::tidy(tidied.clone(), clock.clone())));
            beside.push(kept(loops, "drift", move || background::compare(roster.clone())));
            beside.push(kept(loops, "gone", move || background::count_gone(counting.clone())));
            beside.push(kept(loops, "mappings", move || background::remap(admin_state.clone())));
        }
        if works && is_shared_store {
            let lifted = store.clone();
            beside.push(kept(loops, "holds", move || background::lift_when_connected(lifted.clone())));
        }
        if traces.are_on() {
            let sent = traces.clone();
            // It ends after the rest: the last spans must still be sent.
            kept(loops, "traces", move || sent.clone().send());
        }
        life.serve();
        let stopping_since = {
            let life = life.clone();
            tokio::spawn(async move {
                life.stopping().await;
                Instant::now()
            })
        };
        let working = async {
            let Some(worker) = worker else { return life.stopping().await };
            let heart = supervision::heart(life.loops(), "worker");
            if !supervision::ends(Box::pin(heart.beating(worker.run(life.clone(), grace)))).await {
                life.fail("worker");
            }
        };
        tokio::select! {
            () = working => {}
            () = store.broken() => life.fail("store"),
        }
        close.cancel();
        for task in beside {
            task.abort();
            // Its clone of the store must be gone before the store closes.
            let _ = task.await;
        }
        if let Some(alerting) = alerting {
            alerting.leave().await;
        }
        // One grace period for all: what the workers left of it is for deliveries whose bodies are still arriving. A
        // sender that is cut off here sends again.
        let passed = stopping_since.await.map_or(grace, |since| since.elapsed());
        let left = grace.saturating_sub(passed).max(CLOSE_MIN);
        let closing = async {
            let mut ended = Ok(());
            for listener in [Some(admin), intake].into_iter().flatten() {
                ended = ended.and(joined(listener).await);
            }
            ended
        };
        let ended = tokio::time::timeout(left, closing).await.unwrap_or(Ok(()));
        traces.finish(TRACES_LAST).await;
        // The last clone: what is queued is written, and the lock is released.
        tokio::task::spawn_blocking(move || drop(store)).await.ok();
        match life.failed() {
            Some(part) => Err(std::io::Error::other(format!("the {part} has ended, and the process with it"))),
            None => ended,
        }
    }
}

/// A part without which nothing works: if it ends too early, so does the process.
async fn owned(
    part: &'static str,
    life: Lifecycle,
    close: CancellationToken,
    work: BoxFuture<'static, std::io::Result<()>>,
) -> std::io::Result<()> {
    let ended = supervision::caught(work).await;
    if !close.is_cancelled() && !life.is_stopping() {
        life.fail(part);
    }
    ended.unwrap_or_else(|| Err(std::io::Error::other("it panicked")))
}

/// A part that is restarted if it panics.
fn kept<F>(loops: &Loops, task: &'static str, start: impl FnMut() -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(supervision::watched(loops, task, start))
}

async fn joined(listener: JoinHandle<std::io::Result<()>>) -> std::io::Result<()> {
    listener.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
