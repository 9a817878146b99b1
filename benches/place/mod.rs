//! The stores under test: folders and servers that are removed after the run.

mod server;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use scim_bridge::app;
use scim_bridge::config::{Config, StoreUrl};
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::redis::{Redis, RedisOptions, StoreClock};
use scim_bridge::store::{Store, StoreOptions};
use server::Server;
use tempfile::TempDir;

type Failed = Box<dyn Error + Send + Sync>;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Embedded,
    Redis,
    Valkey,
}

impl Engine {
    const ALL: [Self; 3] = [Self::Embedded, Self::Redis, Self::Valkey];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    /// The engines named on the command line; all if none is named.
    pub(crate) fn chosen() -> Result<Vec<Self>, Failed> {
        // Cargo's own arguments start with dashes.
        let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        let find = |name: &String| {
            let found = Self::ALL.into_iter().find(|engine| engine.name() == name);
            found.ok_or_else(|| {
                format!("{name} is not an engine: name some of embedded, redis and valkey, or none for all")
            })
        };
        let chosen = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(if chosen.is_empty() { Self::ALL.to_vec() } else { chosen })
    }
}

/// The place of a new store.
pub(crate) struct Place {
    folder: TempDir,
    server: Option<Server>,
}

impl Place {
    pub(crate) fn new(engine: Engine) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let server = match engine {
            Engine::Embedded => None,
            Engine::Redis | Engine::Valkey => Some(Server::start(engine, folder.path())?),
        };
        Ok(Self { folder, server })
    }

    /// Opens the store in this process.
    pub(crate) fn open(&self, options: StoreOptions, clock: StoreClock) -> Result<Arc<dyn Store>, Failed> {
        if self.server.is_none() {
            return Ok(Arc::new(Embedded::open(self.folder.path(), options)?));
        }
        let store = Config::of_text(&format!("[store]\nurl = '{}'\nresponse_timeout_ms = 10_000", self.url()))?.store;
        let StoreUrl::Redis(url) = &store.url else { return Err("a server has the URL of a Redis".into()) };
        let link = app::redis_link(url, &store.redis);
        Ok(Arc::new(Redis::open(&RedisOptions { link, clock, creates: true }, options)?))
    }

    /// Its address as `[store] url`.
    pub(crate) fn url(&self) -> String {
        match &self.server {
            None => format!("embedded:{}", self.folder.path().display()),
            Some(server) => format!("redis://127.0.0.1:{}", server.port),
        }
    }

    /// Bytes that the server uses; none if there is no server.
    pub(crate) fn memory(&self) -> Result<Option<u64>, Failed> {
        self.server.as_ref().map(Server::memory).transpose()
    }

    /// Processor time that the server has used; none if there is no server.
    pub(crate) fn server_cpu(&self) -> Result<Option<Duration>, Failed> {
        self.server.as_ref().map(Server::cpu).transpose()
    }
}
