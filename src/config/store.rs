//! `[store]`: where accepted events wait.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::Findings;
use super::pem::{self, Holds};
use super::secret::{Reader, SecretSpec};
pub use super::store_url::{RedisHost, RedisTopology, RedisUrl, StoreUrl};
use crate::secret::LiveSecret;

/// `[store]`.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Which engine, and where.
    pub url: StoreUrl,
    /// Waiting jobs at which intake answers 503.
    pub high_water_jobs: u64,
    /// Dead letters at which intake answers 503.
    pub dead_letters_max: u64,
    /// Total bytes of the payloads of unmapped records at which intake answers 503.
    pub dead_bytes_max: u64,
    /// Entries of a person's story that are kept.
    pub story_entries_max: u32,
    /// How long people who are idle keep their story, in days.
    pub story_keep_days: u64,
    /// What only Redis needs.
    pub redis: RedisConfig,
}

/// The keys of `[store]` that only Redis needs.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// The user, from its own key or from the URL.
    pub username: Option<LiveSecret>,
    /// The password, from its own key or from the URL.
    pub password: Option<LiveSecret>,
    /// The user at the sentinels.
    pub sentinel_username: Option<LiveSecret>,
    /// The password at the sentinels.
    pub sentinel_password: Option<LiveSecret>,
    /// The prefix of every key, in braces.
    pub key_prefix: String,
    /// Authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key.
    pub client_files: Option<(PathBuf, PathBuf)>,
    /// Only warns if the server's settings may lose data.
    pub insecure_ok: bool,
    /// Whether to connect to another host without TLS.
    pub allow_plain: bool,
    /// What the 200 waits for.
    pub durability: StoreDurability,
    /// For how many replicas `replicated` waits.
    pub durable_replicas: u32,
    /// How long a write may take to become as durable, in milliseconds.
    pub durable_timeout_ms: u64,
    /// How long making a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub response_timeout_ms: u64,
}

/// What the 200 waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreDurability {
    /// Redis has accepted it.
    #[default]
    Written,
    /// It is on the primary's disk.
    Fsynced,
    /// It is on the disks of the primary and of `durable_replicas` replicas.
    Replicated,
}

/// Whether keys may begin with this, in braces.
#[must_use]
pub fn is_key_prefix(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    url: StoreUrl,
    high_water_jobs: u64,
    dead_letters_max: u64,
    dead_bytes_max: u64,
    story_entries_max: u32,
    story_keep_days: u64,
    // No longer have any effect; a notice says so.
    finished_keep_days: Option<toml::Value>,
    finished_jobs_max: Option<toml::Value>,
    username: Option<SecretSpec>,
    password: Option<SecretSpec>,
    sentinel_username: Option<SecretSpec>,
    sentinel_password: Option<SecretSpec>,
    key_prefix: String,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    insecure_ok: bool,
    allow_plain: bool,
    durability: StoreDurability,
    durable_replicas: u32,
    durable_timeout_ms: u64,
    connect_timeout_ms: u64,
    response_timeout_ms: u64,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            url: StoreUrl::Embedded { dir: PathBuf::from("./data") },
            high_water_jobs: 1_000_000,
            dead_letters_max: 100_000,
            dead_bytes_max: 268_435_456,
            story_entries_max: 200,
            story_keep_days: 90,
            finished_keep_days: None,
            finished_jobs_max: None,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            key_prefix: "scim-bridge".to_owned(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            insecure_ok: false,
            allow_plain: false,
            durability: StoreDurability::Written,
            durable_replicas: 1,
            // `appendfsync everysec` takes up to two seconds.
            durable_timeout_ms: 5_000,
            connect_timeout_ms: 2_000,
            response_timeout_ms: 2_000,
        }
    }
}

impl Raw {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("store.high_water_jobs", self.high_water_jobs, 1, 100_000_000);
        findings.bounds("store.dead_letters_max", self.dead_letters_max, 1, 10_000_000);
        findings.bounds("store.dead_bytes_max", self.dead_bytes_max, 1_048_576, 1_099_511_627_776);
        findings.bounds("store.story_entries_max", self.story_entries_max.into(), 10, 10_000);
        findings.bounds("store.story_keep_days", self.story_keep_days, 1, 3_650);
        for (key, is_given) in [
            ("store.finished_keep_days", self.finished_keep_days.is_some()),
            ("store.finished_jobs_max", self.finished_jobs_max.is_some()),
        ] {
            findings.outlived(
                is_given,
                key,
                "`store.story_keep_days` and `store.story_entries_max` bound what is kept",
            );
        }
        findings.bounds("store.durable_replicas", self.durable_replicas.into(), 1, 8);
        findings.when(
            self.durable_replicas > 1 && self.durability != StoreDurability::Replicated,
            "store.durable_replicas",
            "is waited for only with `store.durability = \"replicated\"`",
            "Set that, or remove this.",
        );
        findings.bounds("store.durable_timeout_ms", self.durable_timeout_ms, 100, 60_000);
        findings.bounds("store.connect_timeout_ms", self.connect_timeout_ms, 50, 60_000);
        findings.bounds("store.response_timeout_ms", self.response_timeout_ms, 50, 60_000);
        findings.when(
            !is_key_prefix(&self.key_prefix),
            "store.key_prefix",
            "is not a prefix",
            "Give 1 to 64 letters, digits, `-`, `_`, `.` and `:`.",
        );
        findings.when(
            self.cert_file.is_some() != self.key_file.is_some(),
            "store.cert_file",
            "and `store.key_file` belong together: one is missing",
            "Give both, or none.",
        );
        for (key, path, holds) in [
            ("store.ca_file", &self.ca_file, Holds::Certificates),
            ("store.cert_file", &self.cert_file, Holds::Certificates),
            ("store.key_file", &self.key_file, Holds::Key),
        ] {
            pem::check(key, path.as_ref(), holds, findings);
        }
        if let StoreUrl::Redis(url) = &self.url {
            self.check_with(url, findings);
        }
    }

    fn check_with(&self, url: &RedisUrl, findings: &mut Findings) {
        const TWICE: &str = "is given here and in `store.url`";
        const ONCE: &str = "Give it in one place; here it may come from a file.";
        findings.when(url.username.is_some() && self.username.is_some(), "store.username", TWICE, ONCE);
        findings.when(url.password.is_some() && self.password.is_some(), "store.password", TWICE, ONCE);
        findings.when(
            !url.tls && (self.ca_file.is_some() || self.cert_file.is_some()),
            "store.url",
            "does not use TLS, but files for TLS are given",
            "Give a URL that begins with `rediss`, or remove the files.",
        );
        // Sentinels and nodes name more hosts: those are judged when they are called.
        findings.when(
            url.is_open_to_the_network() && self.ca_file.is_none() && self.cert_file.is_none() && !self.allow_plain,
            "store.url",
            "reaches another host without TLS, which would show passwords and personal data to the network",
            "Give a URL that begins with `rediss`, or set `store.allow_plain = true` where the network is your own.",
        );
    }

    pub(super) fn build(self, read: &mut Reader<'_>, findings: &mut Findings) -> StoreConfig {
        let mut secret = |key, spec: Option<SecretSpec>| spec.and_then(|spec| read.secret(key, &spec, findings));
        let mut username = secret("store.username", self.username);
        let mut password = secret("store.password", self.password);
        let sentinel_username = secret("store.sentinel_username", self.sentinel_username);
        let sentinel_password = secret("store.sentinel_password", self.sentinel_password);
        if let StoreUrl::Redis(url) = &self.url {
            username = username.or_else(|| url.username.clone().map(LiveSecret::new));
            password = password.or_else(|| url.password.clone().map(LiveSecret::new));
        }
        StoreConfig {
            url: self.url,
            high_water_jobs: self.high_water_jobs,
            dead_letters_max: self.dead_letters_max,
            dead_bytes_max: self.dead_bytes_max,
            story_entries_max: self.story_entries_max,
            story_keep_days: self.story_keep_days,
            redis: RedisConfig {
                username,
                password,
                sentinel_username,
                sentinel_password,
                key_prefix: self.key_prefix,
                ca_file: self.ca_file,
                client_files: self.cert_file.zip(self.key_file),
                insecure_ok: self.insecure_ok,
                allow_plain: self.allow_plain,
                durability: self.durability,
                durable_replicas: self.durable_replicas,
                durable_timeout_ms: self.durable_timeout_ms,
                connect_timeout_ms: self.connect_timeout_ms,
                response_timeout_ms: self.response_timeout_ms,
            },
        }
    }
}
