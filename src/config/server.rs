//! `[server]`: the two listeners and their bounds.

use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::address::base_address;
use super::error::Findings;
use super::secret::{Fit, SecretSpec};
use crate::secret::LiveSecret;

/// `[server]`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address for webhooks; nothing else but `/livez` is served there.
    pub listen: SocketAddr,
    /// The address of health, metrics, admin API and console.
    pub admin_listen: SocketAddr,
    /// The bearer token of the admin API; without one, `serve` generates one.
    pub admin_token: Option<LiveSecret>,
    /// Largest accepted body, in bytes; larger ones get 413.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive, in seconds.
    pub body_timeout_s: u64,
    /// How long work in progress may take to finish after SIGTERM, in seconds.
    pub shutdown_grace_s: u64,
    /// Threads that serve HTTP; none: one for each core.
    pub workers: Option<usize>,
    /// Connections open at once, over all threads.
    pub connections_max: usize,
    /// Connections of one peer open at once.
    pub connections_per_peer: usize,
    /// The proxies that are trusted to report their clients.
    pub trusted_proxies: Vec<IpNet>,
    /// How many proxies are in front of the public listener, whatever their addresses.
    pub trusted_hops: usize,
    /// More tokens of the admin API, by name.
    pub tokens: Vec<TokenConfig>,
    /// The names by which browsers and commands may call the admin listener, besides addresses and `localhost`.
    pub admin_hosts: Vec<String>,
    /// Where people reach the console, without a slash at its end: links begin with it.
    pub admin_url: Option<String>,
}

/// One `[[server.token]]`.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The holder, in the audit log.
    pub name: String,
    /// The holder's role.
    pub role: TokenRole,
    /// The bearer token.
    pub token: LiveSecret,
}

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRole {
    /// Read and change.
    Full,
    /// Read only.
    #[default]
    ReadOnly,
}

/// The name of `admin_token`.
const ADMIN: &str = "admin";

#[derive(Deserialize)]
struct RawToken {
    name: String,
    #[serde(default)]
    role: TokenRole,
    token: SecretSpec,
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    admin_token: Option<SecretSpec>,
    body_bytes_max: u64,
    body_timeout_s: u64,
    shutdown_grace_s: u64,
    workers: Option<u64>,
    connections_max: u64,
    connections_per_peer: u64,
    trusted_proxies: Vec<Network>,
    trusted_hops: u64,
    admin_hosts: Vec<String>,
    admin_url: Option<String>,
    token: Vec<RawToken>,
}

/// A network, or one address.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
pub(super) struct Network(pub(super) IpNet);

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
        let network: IpNet =
            network.map_err(|_| "expected an address or a network such as \"10.0.0.0/8\"".to_owned())?;
        Ok(Self(network.trunc()))
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            admin_listen: (Ipv4Addr::LOCALHOST, 9090).into(),
            admin_token: None,
            body_bytes_max: 1_048_576,
            body_timeout_s: 10,
            // Below the 30 s after which Kubernetes kills a pod.
            shutdown_grace_s: 25,
            workers: None,
            connections_max: 10_000,
            connections_per_peer: 1_000,
            trusted_proxies: Vec::new(),
            trusted_hops: 0,
            admin_hosts: Vec::new(),
            admin_url: None,
            token: Vec::new(),
        }
    }
}

impl Raw {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("server.body_bytes_max", self.body_bytes_max, 1_024, 67_108_864);
        findings.bounds("server.body_timeout_s", self.body_timeout_s, 1, 300);
        findings.bounds("server.shutdown_grace_s", self.shutdown_grace_s, 0, 3_600);
        findings.bounds("server.workers", self.workers.unwrap_or(1), 1, 1_024);
        findings.bounds("server.connections_max", self.connections_max, 1, 1_000_000);
        findings.bounds("server.connections_per_peer", self.connections_per_peer, 1, 1_000_000);
        findings.bounds("server.trusted_hops", self.trusted_hops, 0, 10);
        findings.when(
            !self.admin_hosts.iter().all(|name| is_host_name(name)),
            "server.admin_hosts",
            "needs host names without scheme, port and path",
            "Give a list such as [\"bridge.example.com\"].",
        );
        findings.when(
            self.admin_url.as_deref().is_some_and(|url| base_address(url).is_none()),
            "server.admin_url",
            "is not an http or https address",
            "Give the address at which people open the console, such as \"https://bridge.example.com\".",
        );
        for (n, token) in self.token.iter().enumerate() {
            let key = format!("server.token[{n}].name");
            let is_taken = token.name == ADMIN || self.token.iter().take(n).any(|other| other.name == token.name);
            findings.when(
                is_taken,
                &key,
                "is the name of another token",
                "Give each token a name of its own; `admin` is `admin_token`.",
            );
            let is_name = (1..=64).contains(&token.name.len())
                && token.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
            findings.when(
                !is_name,
                &key,
                "is not a valid name",
                "Give 1 to 64 letters, digits, `-`, `_`, `.` and `@`.",
            );
        }
        // Port 0 is a different port each time.
        findings.when(
            self.listen == self.admin_listen && self.listen.port() != 0,
            "server.admin_listen",
            "is the address of `server.listen`",
            "Give the admin listener a port of its own.",
        );
    }

    /// Whether the console's public address is configured.
    pub(super) fn has_admin_url(&self) -> bool {
        self.admin_url.is_some()
    }

    pub(super) fn build(self, read: &mut super::secret::Reader<'_>, findings: &mut Findings) -> ServerConfig {
        let tokens = self.token.into_iter().enumerate().filter_map(|(n, raw)| {
            let token = read.fitting_secret(&format!("server.token[{n}].token"), &raw.token, Fit::Token, findings)?;
            Some(TokenConfig { name: raw.name, role: raw.role, token })
        });
        let tokens = tokens.collect();
        let admin_url = self.admin_url.as_deref().and_then(base_address);
        let mut admin_hosts: Vec<_> = self.admin_hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
        // The host of our own links must be allowed.
        admin_hosts.extend(admin_url.as_ref().and_then(Url::host_str).map(str::to_owned));
        ServerConfig {
            listen: self.listen,
            admin_listen: self.admin_listen,
            admin_token: self
                .admin_token
                .and_then(|spec| read.fitting_secret("server.admin_token", &spec, Fit::Token, findings)),
            body_bytes_max: usize::try_from(self.body_bytes_max).unwrap_or(usize::MAX),
            body_timeout_s: self.body_timeout_s,
            shutdown_grace_s: self.shutdown_grace_s,
            workers: self.workers.and_then(|workers| usize::try_from(workers).ok()),
            connections_max: usize::try_from(self.connections_max).unwrap_or(usize::MAX),
            connections_per_peer: usize::try_from(self.connections_per_peer).unwrap_or(usize::MAX),
            trusted_proxies: self.trusted_proxies.into_iter().map(|network| network.0).collect(),
            trusted_hops: usize::try_from(self.trusted_hops).unwrap_or_default(),
            tokens,
            admin_hosts,
            admin_url: admin_url.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        }
    }
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
