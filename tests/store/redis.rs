//! The Redis engine: on a key prefix of its own of a server that the tests of this process share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use scim_bridge::store::redis::{Address, Durability, LinkOptions, Login, Place, Redis, RedisOptions, StoreClock};
use scim_bridge::store::{Store, StoreError, StoreOptions};

use crate::harness::Engine;
use crate::servers::Server;

/// A part of a server's keys.
pub(crate) struct Keyspace {
    port: u16,
    prefix: String,
}

impl Keyspace {
    pub(crate) fn on(server: &Server) -> Self {
        Self { port: server.port, prefix: format!("test-{}", scim_bridge::clock::new_job_id()) }
    }

    pub(crate) fn try_open(&self, clock: StoreClock, options: StoreOptions) -> Result<Redis, StoreError> {
        let link = LinkOptions {
            place: Place::Standalone(Address { host: "127.0.0.1".to_owned(), port: self.port }),
            tls: None,
            database: 0,
            login: Login::default(),
            sentinel_login: Login::default(),
            key_prefix: self.prefix.clone(),
            durability: Durability::Written,
            durable_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            insecure_ok: true,
        };
        Redis::open(&RedisOptions { link, clock }, options)
    }
}

#[async_trait]
impl Engine for Keyspace {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Store> {
        Arc::new(self.try_open(StoreClock::Caller, options).unwrap())
    }
}
