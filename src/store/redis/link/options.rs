//! The options for connections to Redis.

use std::time::Duration;

use crate::files::SharedReading;
use crate::secret::LiveSecret;

/// The options of the Redis engine's connections.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Where Redis is.
    pub topology: Topology,
    /// TLS; none: unencrypted.
    pub tls: Option<TlsFiles>,
    /// The number of the database; 0 in a cluster.
    pub database: u32,
    /// Our login at Redis.
    pub login: Login,
    /// Our login at the sentinels.
    pub sentinel_login: Login,
    /// What every key begins with, in braces: the hash tag that keeps all of them in one slot.
    pub key_prefix: String,
    /// What a durable write waits for.
    pub durability: Durability,
    /// How long a write may take to become durable.
    pub durable_timeout: Duration,
    /// How long making a connection may take, with TLS and login.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// Only warns if the server is configured so that it may lose data.
    pub insecure_ok: bool,
    /// Whether another host may be reached without TLS.
    pub allow_plain: bool,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone(Address),
    /// A primary that sentinels know.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<Address>,
        /// What they call the primary.
        primary: String,
    },
    /// A cluster, by some of its nodes.
    Cluster(Vec<Address>),
}

/// A user and a password; both may change while the process runs.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// The user; none: Redis' `default`.
    pub username: Option<LiveSecret>,
    /// The password.
    pub password: Option<LiveSecret>,
}

/// TLS files, in PEM; read again for every connection, so that they may change.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Authorities to trust instead of the system's.
    pub ca: Option<SharedReading>,
    /// Our own certificate and its key.
    pub client: Option<(SharedReading, SharedReading)>,
}

/// What a durable write waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Redis has accepted it; `appendfsync` decides when it is on disk.
    Written,
    /// It is on the primary's disk.
    Fsynced,
    /// It is on the disks of the primary and of replicas.
    Replicated {
        /// How many replicas. Sentinels may promote any replica that they reach, so only if all have acknowledged is
        /// nothing lost.
        replicas: u32,
    },
}

impl Durability {
    /// Disks of the primary and of replicas, as `WAITAOF` counts them.
    pub(super) fn disks(self) -> Option<(i64, i64)> {
        match self {
            Self::Written => None,
            Self::Fsynced => Some((1, 0)),
            Self::Replicated { replicas } => Some((1, replicas.into())),
        }
    }
}

impl LinkOptions {
    /// What every key begins with: the prefix as a hash tag, which keeps all keys in one slot.
    #[must_use]
    pub fn root(&self) -> String {
        format!("{{{}}}:", self.key_prefix)
    }

    /// The channel on which scripts publish that there is new work.
    #[must_use]
    pub fn channel(&self) -> String {
        self.root() + "wake"
    }

    /// A key that is written only so that there is a write to wait for.
    pub(super) fn mark_key(&self) -> String {
        self.root() + "mark"
    }
}
