//! Builds everything and ties it together: the only wiring. Turns configuration into each
//! component's own options, starts the components, and stops them in order.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

use crate::admin::readiness::StoreHealth;
use crate::admin::service::{AdminState, Remap};
use crate::admin::{self, Admin, AdminOptions};
use crate::clock::{self, Clock};
use crate::config::{
    Config, LogConfig, LogFormat, PostmanAuth, RedisConfig, RedisHost, RedisPlace, RedisUrl, SecretFiles, SourceConfig,
    StoreConfig, StoreDurability, StoreUrl,
};
use crate::core::event::SourceName;
use crate::core::hold::{HoldScope, ProbePauses, is_lifted_by_hand};
use crate::core::limiter::Rate;
use crate::core::mapping;
use crate::core::verdict::RetryRules;
use crate::descriptors;
use crate::intake::{Intake, IntakeError, IntakeOptions, Services, Source, SourceSecret};
use crate::lifecycle::Lifecycle;
use crate::peer::TrustedProxies;
use crate::scim::{Auth, Client, ClientError, ClientOptions};
use crate::secret::LiveSecret;
use crate::store::embedded::Embedded;
use crate::store::redis::{Address, Durability, LinkOptions, Login, Place, Redis, RedisOptions, StoreClock, TlsFiles};
use crate::store::{Retention, Store, StoreError, StoreOptions, Transfer};
use crate::telemetry::logs::{Format, LogOptions};
use crate::telemetry::metrics::{Metrics, MetricsError};
use crate::worker::{Worker, WorkerOptions};

/// The file beside the embedded store that holds the admin token which `serve` made.
pub const TOKEN_FILE: &str = "admin-token";

/// How often secret files are looked at. Seen soon after a change, and a few small reads cost nothing.
const SECRETS_EVERY: Duration = Duration::from_secs(2);
/// How often what is past its keep is dropped.
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// Least time for the listeners to close: answers that are ready are still sent.
const CLOSE_MIN: Duration = Duration::from_secs(1);
/// How long the start waits for a store that may be of a newer version.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// How long a local disk may take to prove that it can be written to.
const EMBEDDED_MAX: Duration = Duration::from_secs(1);
/// How often a store that was not there at the start is asked for again.
const CONNECT_EVERY: Duration = Duration::from_secs(1);
/// A restart may bring another key, so what a key can have caused is tried again at once.
const RESTARTED: &str = "the process started";
const DAY_MS: u64 = 86_400_000;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes webhooks in and brings them to Postman.
    All,
    /// Only takes webhooks in.
    Intake,
    /// Only brings them to Postman.
    Worker,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Intake => "intake",
            Self::Worker => "worker",
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
    /// `[postman] ca_file` could not be read.
    #[error("`[postman] ca_file` cannot be read: {0}")]
    CaFile(std::io::Error),
    /// A listener could not be had.
    #[error(transparent)]
    Admin(#[from] admin::BindError),
    /// The public listener could not be had.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// Metrics could not be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The admin token could not be kept.
    #[error("the admin token cannot be kept in {path}: {source}")]
    Token {
        /// Where.
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
            Self::Client(_) | Self::CaFile(_) => "Install CA certificates, or correct `[postman] ca_file`.",
            Self::Admin(_) => "Free the address, or set `[server] admin_listen`.",
            Self::Intake(_) => "Free the address, or set `[server] listen`.",
            Self::Store(_) | Self::Metrics(_) => "",
            Self::Token { .. } => "Set `[server] admin_token`, or make the directory writable.",
            Self::RoleNeedsSharedStore(_) => "Leave `--role` away, or let `[store] url` name a Redis.",
        }
    }
}

/// The bridge, built and bound, not yet at work.
pub struct Bridge {
    intake: Option<Intake>,
    admin: Admin,
    worker: Option<Worker>,
    store: Arc<dyn Store>,
    /// Whether other processes may be at work on it.
    shared_store: bool,
    clock: Clock,
    life: Lifecycle,
    secret_files: SecretFiles,
    grace: Duration,
    token: LiveSecret,
}

impl Bridge {
    /// Opens the store, makes the client, and takes both addresses.
    ///
    /// # Errors
    /// Whatever could not be had; nothing is left running then.
    pub async fn build(config: Config, role: Role, life: Lifecycle) -> Result<Self, StartError> {
        let clock = Clock::System;
        let metrics = Metrics::install()?;
        let client = scim_client(&config)?;
        let store: Arc<dyn Store> = match &config.store.url {
            StoreUrl::Embedded { .. } if role != Role::All => {
                return Err(StartError::RoleNeedsSharedStore(role.as_str()));
            }
            StoreUrl::Embedded { dir } => {
                let embedded = Embedded::open(dir, store_options(&config))?;
                embedded.end_leases(clock.now()).await?;
                lift_what_a_key_can_cause(&embedded, &clock, RESTARTED).await?;
                Arc::new(embedded)
            }
            // Connected when it is needed: a Redis that is not there yet must not keep us from listening.
            StoreUrl::Redis(url) => {
                let redis = &config.store.redis;
                let store = open_redis(url, redis, &redis.key_prefix, store_options(&config))?;
                if let Ok(Err(error @ StoreError::NewerSchema { .. })) = timeout(FIRST_LOOK, store.check_schema()).await
                {
                    return Err(error.into());
                }
                Arc::new(store)
            }
        };
        let token = match (&config.server.admin_token, &config.store.url) {
            (Some(token), _) => token.clone(),
            (None, StoreUrl::Embedded { dir }) => kept_token(&dir.join(TOKEN_FILE))?,
            (None, StoreUrl::Redis(_)) => {
                warn!("no `[server] admin_token` is set, so API and console stay shut; health and metrics need none");
                LiveSecret::new(SecretString::from(clock::new_token()))
            }
        };
        let admin_state = AdminState {
            store: store.clone(),
            health: StoreHealth::new(store.clone(), store_patience(&config.store)),
            clock: clock.clone(),
            token: token.clone(),
            lifecycle: life.clone(),
            remap: remap(&config.sources),
            sources: config.sources.iter().map(|source| source.name.clone()).collect(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: clock.now(),
            role: role.as_str(),
            metrics,
        };
        let admin_options = AdminOptions {
            listen: config.server.admin_listen.to_string(),
            hosts: config.server.admin_hosts.clone(),
            proxies: TrustedProxies::new(&config.server.trusted_proxies),
        };
        let admin = Admin::bind(&admin_options, admin_state)?;
        let intake = (role != Role::Worker).then(|| {
            Intake::bind(
                intake_options(&config),
                config.sources.iter().map(source).collect(),
                Services { store: store.clone(), clock: clock.clone(), lifecycle: life.clone() },
            )
        });
        let worker =
            (role != Role::Intake).then(|| Worker::new(store.clone(), client, clock.clone(), worker_options(&config)));
        Ok(Self {
            intake: intake.transpose()?,
            admin,
            worker,
            shared_store: matches!(config.store.url, StoreUrl::Redis(_)),
            store,
            clock,
            life,
            grace: Duration::from_secs(config.server.shutdown_grace_s),
            secret_files: config.secret_files,
            token,
        })
    }

    /// Where webhooks are taken in; none for a worker.
    #[must_use]
    pub fn intake_address(&self) -> Option<SocketAddr> {
        self.intake.as_ref().map(Intake::address)
    }

    /// Where health, metrics, API and console are.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// What opens API and console.
    #[must_use]
    pub fn admin_token(&self) -> LiveSecret {
        self.token.clone()
    }

    /// The store, for who lives in the same process.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Works until the process is to stop, then stops in order: no new deliveries and jobs, what is
    /// in flight ends within the grace, the rest is given back, the listeners close, the store closes.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn run(self) -> std::io::Result<()> {
        let Self { intake, admin, worker, store, shared_store, clock, life, secret_files, grace, .. } = self;
        info!(
            intake = intake.as_ref().map(|intake| intake.address().to_string()),
            admin = %admin.address(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let close = CancellationToken::new();
        let admin = tokio::spawn(admin.serve(close.clone()));
        let intake = intake.map(|intake| tokio::spawn(intake.serve(close.clone())));
        // Whoever brings jobs to Postman knows the key, and keeps the store tidy.
        let works = worker.is_some();
        let mut housekeeping =
            vec![tokio::spawn(refresh_secrets(secret_files, works.then(|| store.clone()), clock.clone()))];
        if works {
            housekeeping.push(tokio::spawn(tidy(store.clone(), clock.clone())));
        }
        if works && shared_store {
            housekeeping.push(tokio::spawn(lift_when_connected(store.clone(), clock.clone())));
        }
        life.serve();
        let stopping_since = {
            let life = life.clone();
            tokio::spawn(async move {
                life.stopping().await;
                Instant::now()
            })
        };
        match worker {
            Some(worker) => worker.run(life.clone(), grace).await,
            None => life.stopping().await,
        }
        close.cancel();
        for task in housekeeping {
            task.abort();
            // Its clone of the store must be gone before the store closes.
            let _ = task.await;
        }
        // One grace for all: what the jobs left of it is for deliveries whose bodies still arrive. A
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
        // The last clone: what is queued is written, and the lock is released.
        tokio::task::spawn_blocking(move || drop(store)).await.ok();
        ended
    }
}

async fn joined(listener: JoinHandle<std::io::Result<()>>) -> std::io::Result<()> {
    listener.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Opens the configured store. Redis need not be there yet. Must be called within a tokio runtime.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let redis = &config.store.redis;
    Ok(open_at(&config.store.url, redis, &redis.key_prefix, store_options(config))?)
}

/// Opens the store at `url`, to be copied from or to, with the rest of `[store]` as it is configured. A
/// user or a password in the URL is used instead of the configured ones; so is a prefix. Must be called
/// within a tokio runtime.
pub fn open_other_store(
    config: &Config,
    url: &StoreUrl,
    key_prefix: Option<&str>,
) -> Result<Arc<dyn Transfer>, StoreError> {
    let mut redis = config.store.redis.clone();
    if let StoreUrl::Redis(url) = url
        && (url.username.is_some() || url.password.is_some())
    {
        redis.username = url.username.clone().map(LiveSecret::new);
        redis.password = url.password.clone().map(LiveSecret::new);
    }
    let key_prefix = key_prefix.unwrap_or(&redis.key_prefix);
    open_at(url, &redis, key_prefix, store_options(config))
}

fn open_at(
    url: &StoreUrl,
    redis: &RedisConfig,
    key_prefix: &str,
    options: StoreOptions,
) -> Result<Arc<dyn Transfer>, StoreError> {
    match url {
        StoreUrl::Embedded { dir } => Ok(Arc::new(Embedded::open(dir, options)?)),
        StoreUrl::Redis(url) => Ok(Arc::new(open_redis(url, redis, key_prefix, options)?)),
    }
}

fn open_redis(
    url: &RedisUrl,
    redis: &RedisConfig,
    key_prefix: &str,
    options: StoreOptions,
) -> Result<Redis, StoreError> {
    let link = LinkOptions { key_prefix: key_prefix.to_owned(), ..link_options(url, redis) };
    Redis::open(&RedisOptions { link, clock: StoreClock::Server }, options)
}

/// How long the store may take to prove that it can be written to: with Redis, an answer's time, and that
/// of its disks where they are waited for.
fn store_patience(store: &StoreConfig) -> Duration {
    match (&store.url, store.redis.durability) {
        (StoreUrl::Embedded { .. }, _) => EMBEDDED_MAX,
        (StoreUrl::Redis(_), StoreDurability::Written) => Duration::from_millis(store.redis.response_timeout_ms),
        (StoreUrl::Redis(_), StoreDurability::Fsynced | StoreDurability::Replicated) => {
            Duration::from_millis(store.redis.response_timeout_ms + store.redis.durable_timeout_ms)
        }
    }
}

fn link_options(url: &RedisUrl, redis: &RedisConfig) -> LinkOptions {
    let address = |host: &RedisHost| Address { host: host.host.clone(), port: host.port };
    let addresses = |hosts: &[RedisHost]| hosts.iter().map(address).collect();
    LinkOptions {
        place: match &url.place {
            RedisPlace::Standalone(host) => Place::Standalone(address(host)),
            RedisPlace::Sentinel { sentinels, primary } => {
                Place::Sentinel { sentinels: addresses(sentinels), primary: primary.clone() }
            }
            RedisPlace::Cluster(nodes) => Place::Cluster(addresses(nodes)),
        },
        tls: url.tls.then(|| TlsFiles { ca: redis.ca_file.clone(), client: redis.client_files.clone() }),
        database: url.database,
        login: Login { username: redis.username.clone(), password: redis.password.clone() },
        sentinel_login: Login { username: redis.sentinel_username.clone(), password: redis.sentinel_password.clone() },
        key_prefix: redis.key_prefix.clone(),
        durability: match redis.durability {
            StoreDurability::Written => Durability::Written,
            StoreDurability::Fsynced => Durability::Fsynced,
            StoreDurability::Replicated => Durability::Replicated,
        },
        durable_timeout: Duration::from_millis(redis.durable_timeout_ms),
        connect_timeout: Duration::from_millis(redis.connect_timeout_ms),
        response_timeout: Duration::from_millis(redis.response_timeout_ms),
        insecure_ok: redis.insecure_ok,
    }
}

/// Makes the configured SCIM client.
pub fn scim_client(config: &Config) -> Result<Client, StartError> {
    let postman = &config.postman;
    let ca_pem = postman.ca_file.as_deref().map(fs::read).transpose().map_err(StartError::CaFile)?;
    let base_url = Url::parse(&postman.base_url).map_err(|_| ClientError::BaseUrl)?;
    let options = ClientOptions {
        base_url,
        key: postman.key.clone(),
        auth: match postman.auth {
            PostmanAuth::Bearer => Auth::Bearer,
            PostmanAuth::Raw => Auth::Raw,
        },
        x_api_key: postman.x_api_key,
        locale: postman.locale.clone(),
        timeout: Duration::from_secs(postman.timeout_s),
        connect_timeout: Duration::from_secs(postman.connect_timeout_s.min(postman.timeout_s)),
        ca_pem,
    };
    Ok(Client::new(options)?)
}

/// Turns `[log]` into what logging is set up with.
#[must_use]
pub fn log_options(log: &LogConfig) -> LogOptions {
    use std::io::IsTerminal;
    let format = match log.format {
        LogFormat::Human => Format::Human,
        LogFormat::Auto if std::io::stderr().is_terminal() => Format::Human,
        LogFormat::Auto | LogFormat::Json => Format::Json,
    };
    LogOptions { format, filter: log.level.clone() }
}

fn store_options(config: &Config) -> StoreOptions {
    let window_ms = config.postman.rate_window_s * 1000;
    StoreOptions {
        writes: Rate { calls: config.postman.writes_per_minute, window_ms },
        reads: Rate { calls: config.postman.reads_per_minute, window_ms },
        high_water_jobs: config.store.high_water_jobs,
        retention: Retention {
            finished_ms: config.store.finished_keep_days * DAY_MS,
            finished_jobs_max: config.store.finished_jobs_max,
        },
        probe_pauses: ProbePauses {
            first_ms: config.hold.probe_first_s * 1000,
            max_ms: config.hold.probe_max_s * 1000,
        },
    }
}

fn worker_options(config: &Config) -> WorkerOptions {
    WorkerOptions {
        concurrency: usize::try_from(config.worker.concurrency).unwrap_or(usize::MAX),
        lease_ms: config.worker.lease_s * 1000,
        call_timeout_ms: config.postman.timeout_s * 1000,
        rate_window_ms: config.postman.rate_window_s * 1000,
        look_up_pages_max: config.postman.look_up_pages_max,
        retry: RetryRules {
            first_ms: config.retry.first_ms,
            max_ms: config.retry.max_ms,
            give_up_after_ms: config.retry.give_up_after_h * 3_600_000,
            not_found_tries: config.retry.not_found_tries,
            username_tries: config.retry.username_tries,
            take_overs_max: config.worker.take_overs_max,
        },
    }
}

fn intake_options(config: &Config) -> IntakeOptions {
    IntakeOptions {
        listen: config.server.listen.to_string(),
        body_bytes_max: config.server.body_bytes_max,
        // Room for some at their largest; small ones are taken by the thousand.
        bodies_bytes_max: (config.server.body_bytes_max * 4).max(IntakeOptions::default().bodies_bytes_max),
        body_timeout_ms: config.server.body_timeout_s * 1000,
        shutdown_grace_s: config.server.shutdown_grace_s,
        workers: config.server.workers,
        connections_max: connections_max(config.server.connections_max),
        connections_per_peer: config.server.connections_per_peer,
        proxies: TrustedProxies::new(&config.server.trusted_proxies),
        ..IntakeOptions::default()
    }
}

/// As many connections as are configured, or as many as descriptors allow.
fn connections_max(configured: usize) -> usize {
    let limit = descriptors::raise();
    let possible = descriptors::connections_under(limit);
    if possible < configured {
        warn!(
            limit,
            connections_max = possible,
            "the limit of file descriptors is too low for `[server] connections_max`: fewer connections are taken"
        );
    }
    configured.min(possible)
}

fn source(source: &SourceConfig) -> Source {
    Source {
        name: source.name.clone(),
        scheme: source.signature.clone(),
        secrets: source
            .secrets
            .iter()
            .map(|secret| SourceSecret { secret: secret.secret.clone(), not_after: secret.not_after })
            .collect(),
        mapping: source.mapping.clone(),
        remember_ms: source.dedupe_days * DAY_MS,
        content_types: source.content_types.clone(),
    }
}

/// Maps kept payloads by the present mappings.
fn remap(sources: &[SourceConfig]) -> Remap {
    let mappings: Vec<_> = sources.iter().map(|source| (source.name.clone(), source.mapping.clone())).collect();
    Arc::new(move |name: &SourceName, payload: &str| {
        let (_, mapping) = mappings.iter().find(|(known, _)| known == name)?;
        Some(mapping::remap(mapping, name, payload))
    })
}

/// The admin token that is kept beside the store, made where there is none.
fn kept_token(path: &Path) -> Result<LiveSecret, StartError> {
    let failed = |source| StartError::Token { path: path.display().to_string(), source };
    let owner_only = || fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed);
    if let Ok(token) = fs::read_to_string(path)
        && !token.trim().is_empty()
    {
        owner_only()?;
        info!(file = %path.display(), "the admin token is kept there");
        return Ok(LiveSecret::new(SecretString::from(token.trim().to_owned())));
    }
    let token = clock::new_token();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    // A file that was there already keeps its mode.
    owner_only()?;
    file.write_all(token.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
    info!(file = %path.display(), "an admin token was made and is kept there");
    Ok(LiveSecret::new(SecretString::from(token)))
}

/// Does what a restart does, as soon as the store is there. That it is not is told elsewhere.
async fn lift_when_connected(store: Arc<dyn Store>, clock: Clock) {
    while lift_what_a_key_can_cause(store.as_ref(), &clock, RESTARTED).await.is_err() {
        tokio::time::sleep(CONNECT_EVERY).await;
    }
}

async fn lift_what_a_key_can_cause(store: &dyn Store, clock: &Clock, why: &str) -> Result<(), StoreError> {
    for hold in store.holds().await? {
        if hold.scope == HoldScope::All && !is_lifted_by_hand(hold.code) {
            // Not whatever stands by then: an operator's may have come.
            if let Some(hold) = store.lift_hold_of(clock.now(), hold.scope, hold.code).await? {
                info!(code = %hold.code, "hold lifted: {why}");
            }
        }
    }
    Ok(())
}

/// Looks at the secret files again and again. A changed Postman key lifts the hold that the old one
/// caused.
async fn refresh_secrets(mut files: SecretFiles, store: Option<Arc<dyn Store>>, clock: Clock) {
    if files.is_empty() {
        return;
    }
    loop {
        tokio::time::sleep(SECRETS_EVERY).await;
        let read = tokio::task::spawn_blocking(move || {
            let refreshed = files.refresh();
            (files, refreshed)
        });
        let Ok((kept, refreshed)) = read.await else {
            error!("secret files are not looked at any more: restart to have changes seen");
            return;
        };
        files = kept;
        for (key, problem) in &refreshed.failed {
            warn!(key, problem, "a secret cannot be read again: the last value stays in use");
        }
        for key in &refreshed.changed {
            info!(key, "a secret changed");
        }
        if refreshed.changed.iter().any(|key| key == "postman.key")
            && let Some(store) = &store
            && let Err(error) = lift_what_a_key_can_cause(store.as_ref(), &clock, "the key changed").await
        {
            error!(%error, "the hold of the former key could not be lifted");
        }
    }
}

/// Drops what is past its keep, piece by piece.
async fn tidy(store: Arc<dyn Store>, clock: Clock) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        loop {
            match store.tidy(clock.now()).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "what is past its keep could not be dropped");
                    break;
                }
            }
        }
    }
}
