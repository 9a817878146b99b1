//! Configuration: defaults, overridden by a TOML file, overridden by the environment; checked as a
//! whole, so that every error is reported at once.
//!
//! Lives here: reading and checking files and the environment, presets, secrets. Not here: what the
//! settings lead to (`app` turns them into each component's own options). Opens no socket.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use self::error::Findings;
use self::secret::{Absent, Reader};
use crate::core::processes::ProcessRole;

pub use self::alert::AlertConfig;
pub use self::drift::DriftConfig;
pub use self::error::{ConfigCode, ConfigError, ConfigErrors};
pub use self::fetch::FetchConfig;
pub use self::group::GroupConfig;
pub use self::guard::GuardConfig;
pub use self::hold::HoldConfig;
pub use self::log::{LogConfig, LogFormat};
pub use self::postman::{EmailChange, PostmanAuth, PostmanConfig};
pub use self::retry::RetryConfig;
pub use self::secret::{Refreshed, SecretFiles};
pub use self::server::{ServerConfig, TokenConfig, TokenRole};
pub use self::source::{SourceConfig, SourceSecret, UpdatesOfOthers};
pub use self::store::{
    RedisConfig, RedisHost, RedisTopology, RedisUrl, StoreConfig, StoreDurability, StoreUrl, is_key_prefix,
};
pub use self::target::{TargetChoice, TargetConfig};
pub use self::telemetry::TelemetryConfig;
pub use self::worker::WorkerConfig;

mod address;
mod alert;
mod drift;
mod error;
mod fetch;
mod group;
mod guard;
mod hold;
mod layers;
mod log;
mod pem;
mod postman;
pub mod presets;
mod read;
mod retry;
mod secret;
mod server;
mod source;
mod store;
mod store_url;
mod target;
mod telemetry;
mod tree;
mod worker;

/// Every key, at its default.
pub const REFERENCE: &str = include_str!("../../config/scim-bridge.toml");

/// The whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[postman]`: how the target is reached, Postman or another.
    pub postman: PostmanConfig,
    /// `[target]`
    pub target: TargetConfig,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[retry]`
    pub retry: RetryConfig,
    /// `[hold]`
    pub hold: HoldConfig,
    /// `[guard]`
    pub guard: GuardConfig,
    /// `[drift]`
    pub drift: DriftConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[[group]]`
    pub groups: Vec<GroupConfig>,
    /// `[[source]]`, at least one.
    pub sources: Vec<SourceConfig>,
    /// `[[alert]]`
    pub alerts: Vec<AlertConfig>,
    /// Messages for start and `check`: keys without effect, presets that are a guess.
    pub notices: Vec<String>,
    /// The secrets that are in files: re-read every few seconds.
    pub secret_files: SecretFiles,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw {
    server: server::Raw,
    store: store::Raw,
    postman: postman::Raw,
    target: TargetConfig,
    worker: WorkerConfig,
    retry: RetryConfig,
    hold: HoldConfig,
    guard: GuardConfig,
    drift: DriftConfig,
    log: LogConfig,
    telemetry: TelemetryConfig,
    group: Vec<GroupConfig>,
    source: Vec<source::Raw>,
    alert: Vec<alert::Raw>,
}

impl Config {
    /// Reads the configuration: the file at `path` (else the one that `SCIM_BRIDGE_CONFIG` names,
    /// else `./config/scim-bridge.toml` if it is there), and over it `SCIM_BRIDGE__SECTION__KEY`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        Self::load_for(path, env, ProcessRole::All)
    }

    /// Reads the configuration for a process of this role: the secrets of other roles are not looked at.
    /// An intake has no Postman key and no credentials of HR systems' APIs then, a worker no secrets to verify
    /// with.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_for(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        role: ProcessRole,
    ) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &env.collect(), Absent::Refused, role)
    }

    /// Reads the configuration for a command that needs no secrets: a missing one is not an error. The Postman key is
    /// then empty, there is no admin token, and the sources have no secrets; if no source is configured, there is still
    /// `hr`. Not for `serve`.
    ///
    /// # Errors
    /// Everything else that is wrong with it.
    pub fn load_without_secrets(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &env.collect(), Absent::Allowed, ProcessRole::All)
    }

    fn load_with(
        path: Option<&Path>,
        env: &BTreeMap<String, String>,
        absent: Absent,
        role: ProcessRole,
    ) -> Result<Self, ConfigErrors> {
        let mut findings = Findings::default();
        let Some(layers) = layers::read(path, env, &mut findings) else { return Err(findings.errors()) };
        Self::of_layers(layers, env, (absent, role), findings)
    }

    /// Reads a configuration that is in no file yet, as [`Config::load_without_secrets`] would.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of_text(text: &str) -> Result<Self, ConfigErrors> {
        let tree = layers::parse("configuration", text).map_err(|error| ConfigErrors(vec![error]))?;
        let layers = layers::Layers { tree: toml::Value::Table(tree), variables: BTreeMap::new() };
        Self::of_layers(layers, &BTreeMap::new(), (Absent::Allowed, ProcessRole::All), Findings::default())
    }

    fn of_layers(
        mut layers: layers::Layers,
        env: &BTreeMap<String, String>,
        (absent, role): (Absent, ProcessRole),
        mut findings: Findings,
    ) -> Result<Self, ConfigErrors> {
        let has_hr_secret = env.get(source::SECRET_VARIABLE).is_some_and(|secret| !secret.is_empty());
        let assume_hr = has_hr_secret || absent == Absent::Allowed || !role.takes_in();
        source::prepare(&mut layers.tree, assume_hr, &mut findings);
        let raw: Raw = read::read(layers.tree, &layers.variables, &mut findings);
        findings.reading_ends();
        let reader = Reader { env, files: SecretFiles::default(), absent, role };
        let config = raw.build(reader, &mut findings);
        findings.or(config)
    }

    /// Reads the configuration for a role, with this process' own environment.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_from_process(path: Option<&Path>, role: ProcessRole) -> Result<Self, ConfigErrors> {
        Self::load_for(path, process_env(), role)
    }
}

/// This process' own environment. A variable that is not Unicode is not ours.
pub fn process_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Reads one source alone, as if under `[[source]]`: to try deliveries without a whole configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn source_alone(
    source: toml::Table,
    env: impl Iterator<Item = (String, String)>,
) -> Result<SourceConfig, ConfigErrors> {
    let mut findings = Findings::default();
    let sources = toml::Value::Array(vec![toml::Value::Table(source)]);
    let mut tree = toml::Value::Table(toml::Table::from_iter([("source".to_owned(), sources)]));
    source::prepare(&mut tree, false, &mut findings);
    let raw: Raw = read::read(tree, &BTreeMap::new(), &mut findings);
    findings.reading_ends();
    let env = env.collect();
    let mut reader =
        Reader { env: &env, files: SecretFiles::default(), absent: Absent::Refused, role: ProcessRole::Intake };
    let source = source::build(raw.source, &mut reader, &mut findings).pop();
    if source.is_none() && !findings.has("source") {
        findings.push(ConfigError::new("source", ConfigCode::Source, "it is incomplete"));
    }
    findings.or(source)?.ok_or_else(|| ConfigErrors(Vec::new()))
}

impl Raw {
    fn build(self, mut read: Reader<'_>, findings: &mut Findings) -> Config {
        self.server.check(findings);
        self.store.check(findings);
        self.postman.check(self.worker.lease_s, findings);
        self.worker.check(findings);
        self.retry.check(findings);
        self.hold.check(findings);
        self.guard.check(findings);
        self.drift.check(findings);
        let sources = source::build(self.source, &mut read, findings);
        let alerts = alert::build(&self.alert, self.server.has_admin_url(), &mut read, findings);
        let postman = self.postman.build(&mut read, findings);
        self.target.check(&postman, findings);
        group::check(&self.group, &sources, findings);
        Config {
            server: self.server.build(&mut read, findings),
            store: self.store.build(&mut read, findings),
            postman,
            target: self.target,
            groups: self.group,
            worker: self.worker,
            retry: self.retry,
            hold: self.hold,
            guard: self.guard,
            drift: self.drift,
            log: self.log.settle(read.env.get(LogConfig::variable()), findings),
            telemetry: self.telemetry.settle(read.env, findings),
            sources,
            alerts,
            notices: findings.take_notices(),
            secret_files: read.files,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_toml() -> impl Strategy<Value = toml::Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(toml::Value::from),
            any::<i64>().prop_map(toml::Value::from),
            any::<f64>().prop_map(toml::Value::from),
            "[ -~]{0,12}".prop_map(toml::Value::from),
        ];
        let sections = ["server", "postman", "store", "worker", "source", "log", "retry"];
        let keys =
            ["name", "secrets", "key", "env", "file", "signature", "mapping", "url", "listen", "level", "preset"];
        let name = prop::sample::select(sections.into_iter().chain(keys).collect::<Vec<_>>());
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::from),
                prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|members| toml::Value::Table(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_file_and_environment_give_a_configuration_or_errors(
            file in any_toml(),
            env in prop::collection::vec(("(SERVER|SOURCE|POSTMAN|KEY|0|1|_|NAME|X){1,3}(__(0|1|9|NAME|KEY|ENV)){0,3}", "[ -~]{0,9}"), 0..6),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("c.toml");
            std::fs::write(&path, file.as_table().map(ToString::to_string).unwrap_or_default()).unwrap();
            let env = env.into_iter().map(|(name, value)| (format!("SCIM_BRIDGE__{name}"), value));
            if let Err(errors) = Config::load(Some(&path), env) {
                prop_assert!(!errors.0.is_empty());
            }
        }
    }
}
