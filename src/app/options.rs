//! Turns the configuration into each component's own options.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::{error, warn};
use url::Url;

use super::StartError;
use crate::admin::AdminOptions;
use crate::admin::certificates::{CertificateFile, Certificates};
use crate::admin::planning::{Explain, Live};
use crate::admin::service::AdminState;
use crate::admin::tokens::{Token, TokenRole, Tokens};
use crate::alert::{AlertOptions, ReceiverOptions};
use crate::clock::Clock;
use crate::config::{
    Config, EmailChange, GroupConfig, LogConfig, LogFormat, PostmanAuth, RedisConfig, RedisHost, RedisTopology,
    RedisUrl, SourceConfig, StoreDurability, StoreUrl, TargetChoice, UpdatesOfOthers,
};
use crate::core::guard::GuardOptions;
use crate::core::hold::ProbePauses;
use crate::core::json::Charset;
use crate::core::limiter::Rate;
use crate::core::mapping::{self, Show};
use crate::core::person::{SourceName, label};
use crate::core::problems::{BoundFigures, SourceFigures};
use crate::core::processes::ProcessRole;
use crate::core::reconcile::groups::GroupRule;
use crate::core::reconcile::plan::PlanRules;
use crate::core::reconcile::target::{TargetKind, TargetRules};
use crate::core::reconcile::verdict::RetryRules;
use crate::core::roster::Columns;
use crate::core::target_name;
use crate::descriptors;
use crate::files::{self, PEM_BYTES_MAX, SharedReading};
use crate::hr::{Credentials, HrSystem};
use crate::intake::{IntakeOptions, Source};
use crate::peer::TrustedProxies;
use crate::roster::{DriftOptions, HrLists, Roster, RosterOptions};
use crate::scim::{Auth, Client, ClientError, ClientOptions};
use crate::secret::LiveSecret;
use crate::store::redis::{Address, Durability, LinkOptions, Login, TlsFiles, Topology};
use crate::store::{Bounds, Store, StoreOptions};
use crate::telemetry::logs::{Format, LogOptions};
use crate::telemetry::traces::{TraceOptions, Traces};
use crate::worker::WorkerOptions;

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

/// The HR systems that people are read at, by the source whose webhooks ask for it.
pub(super) fn hr_systems(config: &Config) -> Result<BTreeMap<SourceName, HrSystem>, StartError> {
    let fetched = config.sources.iter().filter_map(|source| Some((source, source.fetch.as_ref()?)));
    let systems = fetched.map(|(source, fetch)| {
        let credentials = Credentials::new(fetch.credentials.clone());
        Ok((source.name.clone(), HrSystem::new(fetch.api.clone(), credentials)?))
    });
    systems.collect()
}

/// Makes the configured SCIM client.
pub fn scim_client(config: &Config) -> Result<Client, StartError> {
    let postman = &config.postman;
    let ca_pem = postman.ca_file.as_deref().map(|file| files::read(file, PEM_BYTES_MAX)).transpose();
    let ca_pem = ca_pem.map_err(StartError::CaFile)?.map(|pem| pem.to_vec());
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

/// Turns `[log]` into the options of logging.
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

/// The exporter of spans, if an endpoint is configured. An unusable one does not stop the work.
pub(super) fn traces(config: &Config, process: &str, role: ProcessRole) -> Traces {
    let telemetry = &config.telemetry;
    if telemetry.otlp_endpoint.is_empty() {
        return Traces::default();
    }
    let started = Traces::start(TraceOptions {
        endpoint: telemetry.otlp_endpoint.clone(),
        service: telemetry.service_name.clone(),
        instance: process.to_owned(),
        role: role.as_str(),
    });
    started.unwrap_or_else(|error| {
        error!(%error, "no traces are sent: `[telemetry]` or a variable of OpenTelemetry (OTEL_…) cannot be used");
        Traces::default()
    })
}

/// What the store belongs to: the target, and the team's configured name. Never the key, which rotates.
pub(super) fn target(config: &Config) -> String {
    let postman = &config.postman;
    // A store from before there was a choice belongs to Postman.
    let kind = match config.target.kind {
        TargetChoice::Postman => "",
        TargetChoice::GenericScim => "generic-scim ",
    };
    match &postman.team {
        Some(team) => format!("{kind}{} ({team})", postman.base_url),
        None => format!("{kind}{}", postman.base_url),
    }
}

pub(super) fn store(config: &Config) -> StoreOptions {
    let window_ms = config.postman.rate_window_s * 1000;
    StoreOptions {
        writes: Rate { calls: config.postman.writes_per_minute, window_ms },
        reads: Rate { calls: config.postman.reads_per_minute, window_ms },
        bounds: Bounds {
            entries_max: config.store.high_water_jobs,
            dead_letters_max: config.store.dead_letters_max,
            dead_bytes_max: config.store.dead_bytes_max,
            story_entries_max: config.store.story_entries_max,
            story_keep_ms: config.store.story_keep_days * DAY_MS,
        },
    }
}

pub(super) fn bound_figures(config: &Config) -> BoundFigures {
    let store = &config.store;
    BoundFigures {
        entries_max: store.high_water_jobs,
        dead_letters_max: store.dead_letters_max,
        dead_bytes_max: store.dead_bytes_max,
    }
}

/// How to reach a Redis.
#[must_use]
pub fn link(url: &RedisUrl, redis: &RedisConfig) -> LinkOptions {
    let address = |host: &RedisHost| Address { host: host.host.clone(), port: host.port };
    let addresses = |hosts: &[RedisHost]| hosts.iter().map(address).collect();
    LinkOptions {
        topology: match &url.topology {
            RedisTopology::Standalone(host) => Topology::Standalone(address(host)),
            RedisTopology::Sentinel { sentinels, primary } => {
                Topology::Sentinel { sentinels: addresses(sentinels), primary: primary.clone() }
            }
            RedisTopology::Cluster(nodes) => Topology::Cluster(addresses(nodes)),
        },
        tls: url.tls.then(|| {
            let pem = |path: &std::path::PathBuf| SharedReading::of(path, PEM_BYTES_MAX);
            TlsFiles {
                ca: redis.ca_file.as_ref().map(pem),
                client: redis.client_files.as_ref().map(|(certificate, key)| (pem(certificate), pem(key))),
            }
        }),
        database: url.database,
        login: Login { username: redis.username.clone(), password: redis.password.clone() },
        sentinel_login: Login { username: redis.sentinel_username.clone(), password: redis.sentinel_password.clone() },
        key_prefix: redis.key_prefix.clone(),
        durability: match redis.durability {
            StoreDurability::Written => Durability::Written,
            StoreDurability::Fsynced => Durability::Fsynced,
            StoreDurability::Replicated => Durability::Replicated { replicas: redis.durable_replicas },
        },
        durable_timeout: Duration::from_millis(redis.durable_timeout_ms),
        connect_timeout: Duration::from_millis(redis.connect_timeout_ms),
        response_timeout: Duration::from_millis(redis.response_timeout_ms),
        insecure_ok: redis.insecure_ok,
        allow_plain: redis.allow_plain,
    }
}

fn probe_pauses(config: &Config) -> ProbePauses {
    ProbePauses { first_ms: config.hold.probe_first_s * 1000, max_ms: config.hold.probe_max_s * 1000 }
}

pub(super) fn guard(config: &Config) -> GuardOptions {
    let guard = &config.guard;
    GuardOptions {
        leaves_max: guard.leaves_max,
        leaves_percent: guard.leaves_percent,
        address_changes_max: guard.address_changes_max,
        window_ms: guard.window_h * HOUR_MS,
    }
}

/// How calls are planned.
#[must_use]
pub fn plan_rules(config: &Config) -> PlanRules {
    let creates = config.sources.iter().filter(|source| source.updates_of_others == UpdatesOfOthers::Create);
    PlanRules {
        read_lag_ms: config.postman.read_lag_s * 1000,
        changes_addresses: config.postman.email_change == EmailChange::Apply,
        updates_create: creates.map(|source| source.name.clone()).collect(),
        unscoped: config.sources.iter().filter(|source| !has_scope(source)).map(|source| source.name.clone()).collect(),
        pages_max: config.postman.look_up_pages_max,
        username_tries: config.retry.username_tries,
        locale: config.postman.locale.clone(),
        target: target_rules(config),
        groups: config.groups.iter().map(group_rule).collect(),
    }
}

/// Whether a source's deliveries, or the reads at its API, decide scope.
fn has_scope(source: &SourceConfig) -> bool {
    source.mapping.tells_scope() || source.fetch.as_ref().is_some_and(|fetch| fetch.api.tells_scope())
}

fn group_rule(group: &GroupConfig) -> GroupRule {
    let values: BTreeSet<_> = group.values.iter().map(|value| label::key(value)).collect();
    GroupRule {
        name: group.name.trim().to_owned(),
        fact: group.fact.clone(),
        values: (!values.is_empty()).then_some(values),
    }
}

/// What is known about the target without asking it.
#[must_use]
pub fn target_rules(config: &Config) -> TargetRules {
    match config.target.kind {
        TargetChoice::Postman => TargetRules::default(),
        // An employee id is unique only if there is one HR system.
        TargetChoice::GenericScim => {
            TargetRules { kind: TargetKind::GenericScim, finds_by_external_id: config.sources.len() == 1 }
        }
    }
}

/// Sets the target's name, for all texts of this process.
pub fn name_target(config: &Config) {
    if config.target.kind == TargetChoice::GenericScim {
        target_name::tell(config.target.name.as_deref().unwrap_or("the target"));
    }
}

/// The worker's options.
#[must_use]
pub fn worker(config: &Config) -> WorkerOptions {
    WorkerOptions {
        concurrency: usize::try_from(config.worker.concurrency).unwrap_or(usize::MAX),
        lease_ms: config.worker.lease_s * 1000,
        call_timeout_ms: config.postman.timeout_s * 1000,
        rate_window_ms: config.postman.rate_window_s * 1000,
        plan: plan_rules(config),
        retry: RetryRules {
            first_ms: config.retry.first_ms,
            max_ms: config.retry.max_ms,
            give_up_after_ms: config.retry.give_up_after_h * HOUR_MS,
            suspicion_ms: config.retry.suspicion_s * 1000,
            take_overs_max: config.worker.take_overs_max,
        },
        probe_pauses: probe_pauses(config),
        guard: guard(config),
    }
}

pub(super) fn roster(
    config: &Config,
    store: Arc<dyn Store>,
    client: Option<Client>,
    clock: &Clock,
    systems: BTreeMap<SourceName, HrSystem>,
) -> Roster {
    let apis =
        config.sources.iter().filter_map(|source| Some((source.name.clone(), source.fetch.as_ref()?.api.clone())));
    let columns = config.sources.iter().map(|source| (source.name.clone(), Columns::of(&source.mapping)));
    let limits = self::store(config);
    let options = RosterOptions {
        columns: columns.collect(),
        rules: plan_rules(config),
        guard: guard(config),
        rates: (limits.writes, limits.reads),
        drift: DriftOptions { every_ms: config.drift.every_h * HOUR_MS, repair: config.drift.repair.clone() },
        lists: HrLists::new(apis.collect(), systems),
    };
    Roster::new(store, client, clock.clone(), options)
}

pub(super) fn admin(config: &Config) -> AdminOptions {
    AdminOptions {
        listen: config.server.admin_listen.to_string(),
        hosts: config.server.admin_hosts.clone(),
        proxies: TrustedProxies::new(&config.server.trusted_proxies),
    }
}

/// The tokens for API and console; `admin` is the single one in the configuration, or the generated one.
pub(super) fn tokens(config: &Config, admin: &LiveSecret) -> Tokens {
    let named = config.server.tokens.iter().map(|token| Token {
        name: token.name.clone(),
        role: match token.role {
            crate::config::TokenRole::Full => TokenRole::Full,
            crate::config::TokenRole::ReadOnly => TokenRole::ReadOnly,
        },
        secret: token.token.clone(),
    });
    let admin = Token { name: "admin".to_owned(), role: TokenRole::Full, secret: admin.clone() };
    Tokens::new(std::iter::once(admin).chain(named).collect())
}

/// The certificates that the configuration names.
pub(super) fn certificates(config: &Config) -> Certificates {
    let redis = &config.store.redis;
    let files = [
        ("store.cert_file", redis.client_files.as_ref().map(|(certificate, _)| certificate), false),
        ("store.ca_file", redis.ca_file.as_ref(), true),
        ("postman.ca_file", config.postman.ca_file.as_ref(), true),
    ];
    let named = files.into_iter().filter_map(|(key, path, is_list)| Some(CertificateFile::new(key, path?, is_list)));
    Certificates::new(named.collect())
}

/// The alerts; none without a receiver. `address` is the admin listener's.
pub(super) fn alerts(config: &Config, address: SocketAddr, admin: &AdminState) -> Option<AlertOptions> {
    let receivers: Vec<_> = config
        .alerts
        .iter()
        .map(|alert| ReceiverOptions {
            url: alert.url.clone(),
            secret: alert.secret.clone(),
            scheme: alert.scheme.clone(),
            format: alert.format,
            repeat_ms: alert.repeat_h * HOUR_MS,
        })
        .collect();
    let console = config.server.admin_url.clone().unwrap_or_else(|| format!("http://{address}"));
    (!receivers.is_empty()).then(|| AlertOptions {
        receivers,
        console,
        process: admin.process.clone(),
        works: admin.role.works(),
        started_at: admin.started_at,
    })
}

pub(super) fn intake(config: &Config) -> IntakeOptions {
    IntakeOptions {
        listen: config.server.listen.to_string(),
        body_bytes_max: config.server.body_bytes_max,
        // Enough for some of the largest, or thousands of small ones.
        bodies_bytes_max: (config.server.body_bytes_max * 4).max(IntakeOptions::default().bodies_bytes_max),
        body_timeout_ms: config.server.body_timeout_s * 1000,
        shutdown_grace_s: config.server.shutdown_grace_s,
        workers: config.server.workers,
        connections_max: connections_max(config.server.connections_max),
        connections_per_peer: config.server.connections_per_peer,
        proxies: TrustedProxies::new(&config.server.trusted_proxies).behind(config.server.trusted_hops),
        ..IntakeOptions::default()
    }
}

/// As many connections as are configured, or as many as descriptors allow, whichever is fewer.
fn connections_max(configured: usize) -> usize {
    let limit = descriptors::raise_limit();
    let possible = descriptors::connections_under(limit);
    if possible < configured {
        warn!(
            limit,
            connections_max = possible,
            "the limit of file descriptors is too low for `[server] connections_max`: fewer connections are accepted"
        );
    }
    configured.min(possible)
}

pub(super) fn source(source: &SourceConfig) -> Source {
    Source {
        name: source.name.clone(),
        scheme: source.signature.clone(),
        secrets: source.secrets.clone(),
        mapping: source.mapping.clone(),
        remember_ms: source.dedupe_days * DAY_MS,
        content_types: source.content_types.clone(),
        body_bytes_max: source.body_bytes_max,
        allow_from: source.allow_from.clone(),
    }
}

pub(super) fn source_figures(sources: &[SourceConfig]) -> Vec<SourceFigures> {
    sources
        .iter()
        .map(|source| {
            let ends: Vec<_> = source.secrets.iter().map(|secret| secret.not_after).collect();
            let secret_until = ends.iter().all(Option::is_some).then(|| ends.into_iter().flatten().max()).flatten();
            let mapping = Some(Arc::new(source.mapping.clone()));
            SourceFigures { secret_until, mapping, ..SourceFigures::new(source.name.clone()) }
        })
        .collect()
}

/// What the mappings make of a payload, field by field.
pub(super) fn explain(sources: &[SourceConfig]) -> Explain {
    let mappings: Vec<_> = sources.iter().map(|source| (source.name.clone(), source.mapping.clone())).collect();
    Arc::new(move |name: &SourceName, payload: &Bytes, show: Show| {
        let (_, mapping) = mappings.iter().find(|(known, _)| known == name)?;
        Some(mapping::explain(mapping, name, payload, Charset::utf8(), show))
    })
}

/// How the console looks a person up at the target.
pub(super) fn live(config: &Config, client: Option<Client>) -> Arc<Live> {
    Arc::new(Live { client, rules: plan_rules(config) })
}

fn target_kind(config: &Config) -> &'static str {
    match config.target.kind {
        TargetChoice::Postman => "postman",
        TargetChoice::GenericScim => "generic-scim",
    }
}

/// The engine; its URL may hold a password.
fn store_kind(url: &StoreUrl) -> &'static str {
    match url {
        StoreUrl::Embedded { .. } => "embedded",
        StoreUrl::Redis(_) => "redis",
    }
}

/// The configuration in force, for people, without secrets.
pub(super) fn settings(config: &Config) -> Vec<(String, String)> {
    let postman = &config.postman;
    let mut settings = vec![
        ("server.listen", config.server.listen.to_string()),
        ("server.admin_listen", config.server.admin_listen.to_string()),
        ("store", store_kind(&config.store.url).to_owned()),
        ("store.high_water_jobs", config.store.high_water_jobs.to_string()),
        ("store.dead_letters_max", config.store.dead_letters_max.to_string()),
        ("store.dead_bytes_max", config.store.dead_bytes_max.to_string()),
        ("store.story_entries_max", config.store.story_entries_max.to_string()),
        ("store.story_keep_days", config.store.story_keep_days.to_string()),
        ("target.kind", target_kind(config).to_owned()),
        ("postman.base_url", postman.base_url.clone()),
        ("postman.team", postman.team.clone().unwrap_or_default()),
        ("postman.writes_per_minute", postman.writes_per_minute.to_string()),
        ("postman.reads_per_minute", postman.reads_per_minute.to_string()),
        ("postman.read_lag_s", postman.read_lag_s.to_string()),
        ("worker.concurrency", config.worker.concurrency.to_string()),
        ("guard.leaves_max", config.guard.leaves_max.to_string()),
        ("guard.leaves_percent", config.guard.leaves_percent.to_string()),
        ("guard.address_changes_max", config.guard.address_changes_max.to_string()),
        ("guard.window_h", config.guard.window_h.to_string()),
        ("telemetry.otlp_endpoint", config.telemetry.otlp_endpoint.clone()),
    ];
    for source in &config.sources {
        settings.push(("source.name", source.name.to_string()));
    }
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
