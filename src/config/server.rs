//! `[server]`: the two listeners and their bounds.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::error::Findings;
use super::secret::SecretSpec;
use crate::secret::LiveSecret;

/// `[server]`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where webhooks come in; serves nothing else but `/livez`.
    pub listen: SocketAddr,
    /// Where health, metrics, admin API and console are.
    pub admin_listen: SocketAddr,
    /// The bearer token of the admin API; without one, `serve` makes one.
    pub admin_token: Option<LiveSecret>,
    /// Largest body taken, in bytes; above: 413.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive, in seconds.
    pub body_timeout_s: u64,
    /// How long work under way may take to finish on SIGTERM, in seconds.
    pub shutdown_grace_s: u64,
    /// Threads that serve HTTP; none: one for each core.
    pub workers: Option<usize>,
    /// Connections open at once, over all threads.
    pub connections_max: usize,
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
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            admin_listen: (Ipv4Addr::LOCALHOST, 9090).into(),
            admin_token: None,
            body_bytes_max: 1_048_576,
            body_timeout_s: 10,
            // Below the 30 s that Kubernetes gives before it kills.
            shutdown_grace_s: 25,
            workers: None,
            connections_max: 10_000,
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
        // Port 0 is a port of its own each time.
        findings.when(
            self.listen == self.admin_listen && self.listen.port() != 0,
            "server.admin_listen",
            "is the address of `server.listen`",
            "Give the admin listener a port of its own.",
        );
    }

    pub(super) fn build(self, read: &mut super::secret::Reader<'_>, findings: &mut Findings) -> ServerConfig {
        ServerConfig {
            listen: self.listen,
            admin_listen: self.admin_listen,
            admin_token: self.admin_token.and_then(|spec| read.secret("server.admin_token", &spec, findings)),
            body_bytes_max: usize::try_from(self.body_bytes_max).unwrap_or(usize::MAX),
            body_timeout_s: self.body_timeout_s,
            shutdown_grace_s: self.shutdown_grace_s,
            workers: self.workers.and_then(|workers| usize::try_from(workers).ok()),
            connections_max: usize::try_from(self.connections_max).unwrap_or(usize::MAX),
        }
    }
}
