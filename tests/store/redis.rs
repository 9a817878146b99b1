//! The Redis engine: on a key prefix of its own of a server that the tests of this process share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Client, Connection, FromRedisValue};
use scim_bridge::store::redis::{Address, Durability, LinkOptions, Login, Place, Redis, RedisOptions, StoreClock};
use scim_bridge::store::transfer::Transfer;
use scim_bridge::store::{StoreError, StoreOptions};

use crate::harness::Engine;
use crate::servers::{REDIS, Server, VALKEY};

/// A part of a server's keys.
pub(crate) struct Keyspace {
    port: u16,
    prefix: String,
}

impl Keyspace {
    pub(crate) fn on(server: &Server) -> Self {
        Self { port: server.port, prefix: format!("test-{}", scim_bridge::clock::new_token()) }
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

    /// The keys, to be looked at past the engine.
    pub(crate) fn keys(&self) -> Keys {
        let client = Client::open(("127.0.0.1", self.port)).unwrap();
        Keys { prefix: self.prefix.clone(), connection: client.get_connection().unwrap() }
    }
}

/// The engine's keys, by a connection of the test's own.
pub(crate) struct Keys {
    prefix: String,
    connection: Connection,
}

impl Keys {
    pub(crate) fn ask<T: FromRedisValue>(&mut self, command: &str, key: &[u8], args: &[&[u8]]) -> T {
        let mut cmd = deadpool_redis::redis::cmd(command);
        cmd.arg([format!("{{{}}}:", self.prefix).as_bytes(), key].concat()).arg(args);
        cmd.query(&mut self.connection).unwrap()
    }
}

#[async_trait]
impl Engine for Keyspace {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(self.try_open(StoreClock::Caller, options).unwrap())
    }
}

pub(crate) fn both() -> [Keyspace; 2] {
    [Keyspace::on(&REDIS), Keyspace::on(&VALKEY)]
}
