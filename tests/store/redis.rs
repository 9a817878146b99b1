//! The Redis engine: on a key prefix of its own of a server that the tests of this process share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Client, Connection, FromRedisValue};
use scim_bridge::store::redis::{Address, Durability, LinkOptions, Login, Place, Redis, RedisOptions, StoreClock};
use scim_bridge::store::{Store, StoreError, StoreOptions};

use crate::harness::{Engine, Lanes, SeenLane};
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

impl Keyspace {
    /// The keys, to be looked at past the engine.
    pub(crate) fn lanes(&self) -> Keys {
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
    fn ask<T: FromRedisValue>(&mut self, command: &str, key: &str, args: &[&[u8]]) -> T {
        let mut cmd = deadpool_redis::redis::cmd(command);
        cmd.arg(format!("{{{}}}:{key}", self.prefix)).arg(args);
        cmd.query(&mut self.connection).unwrap()
    }

    /// Whose job a reference points at.
    fn person_of(&mut self, reference: &[u8]) -> String {
        let record: String = self.ask("HGET", "job", &[&reference[12..]]);
        record.lines().nth(1).unwrap().to_owned()
    }
}

impl Lanes for Keys {
    fn look(&mut self, person: &str) -> SeenLane {
        let mut seen = SeenLane::default();
        let mut own = None;
        for (key, place) in [("due:h", "due"), ("due:r", "due"), ("lease:h", "leased"), ("lease:r", "leased")] {
            for reference in self.ask::<Vec<Vec<u8>>>("ZRANGE", key, &[b"0", b"-1"]) {
                if self.person_of(&reference) == person {
                    seen.places.push(place);
                    seen.live += 1;
                    own = Some(reference);
                }
            }
        }
        if self.ask::<Option<u64>>("ZSCORE", "parked", &[person.as_bytes()]).is_some() {
            seen.places.push("parked");
        }
        for member in self.ask::<Vec<Vec<u8>>>("ZRANGE", "queue", &[b"0", b"-1"]) {
            seen.live += u64::from(member.starts_with(format!("{person}\n").as_bytes()));
        }
        let Some(record) = self.ask::<Option<Vec<u8>>>("HGET", "lane", &[person.as_bytes()]) else { return seen };
        assert!(own.is_none_or(|own| own == record[2..30]), "the lane points at its job");
        let numbers = std::str::from_utf8(&record[30..]).unwrap();
        seen.counted = numbers.split(' ').next().unwrap().parse().unwrap();
        seen
    }
}

#[async_trait]
impl Engine for Keyspace {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Store> {
        Arc::new(self.try_open(StoreClock::Caller, options).unwrap())
    }
}
