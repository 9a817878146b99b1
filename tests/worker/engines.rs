//! Runs the same test on every engine of the store.

use std::sync::Arc;
use std::time::Duration;

use scim_bridge::clock::{LeaseClock, new_token};
use scim_bridge::core::limiter::Rate;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::redis::{Address, Durability, LinkOptions, Login, Redis, RedisOptions, StoreClock, Topology};
use tempfile::TempDir;

use crate::bench::{Bench, store_options};
use crate::servers::Server;

const FREE: Rate = Rate { calls: 0, window_ms: 60_000 };

pub(crate) fn embedded() -> Bench {
    let folder = TempDir::new().unwrap();
    let store = Embedded::open_with(folder.path(), store_options(FREE), LeaseClock::Caller).unwrap();
    Bench::over(Arc::new(store), Some(folder))
}

pub(crate) fn on(server: &Server) -> Bench {
    let link = LinkOptions {
        topology: Topology::Standalone(Address { host: "127.0.0.1".to_owned(), port: server.port }),
        tls: None,
        database: 0,
        login: Login::default(),
        sentinel_login: Login::default(),
        key_prefix: format!("test-{}", new_token()),
        durability: Durability::Written,
        durable_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(10),
        insecure_ok: true,
        allow_plain: false,
    };
    let store = Redis::open(&RedisOptions { link, clock: StoreClock::Caller }, store_options(FREE)).unwrap();
    Bench::over(Arc::new(store), None)
}

/// Generates a named test for each engine.
macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                #[tokio::test]
                async fn in_memory() {
                    super::$name(crate::bench::Bench::new()).await;
                }

                #[tokio::test]
                async fn embedded() {
                    super::$name(crate::engines::embedded()).await;
                }

                #[tokio::test]
                async fn redis() {
                    super::$name(crate::engines::on(&crate::servers::REDIS)).await;
                }

                #[tokio::test]
                async fn valkey() {
                    super::$name(crate::engines::on(&crate::servers::VALKEY)).await;
                }
            }
        )*
    };
}

pub(crate) use on_every_engine;
