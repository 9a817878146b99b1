//! Runs the same test on every engine of the store.

use std::sync::Arc;

use scim_bridge::app;
use scim_bridge::clock::{LeaseClock, new_token};
use scim_bridge::config::{Config, StoreUrl};
use scim_bridge::core::limiter::Rate;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::redis::{Redis, RedisOptions, StoreClock};
use tempfile::TempDir;

use crate::bench::{Bench, store_options};
use crate::servers::Server;

/// 0 means no limit.
const UNLIMITED: Rate = Rate { calls: 0, window_ms: 60_000 };

pub(crate) fn embedded() -> Bench {
    let folder = TempDir::new().unwrap();
    let store = Embedded::open_with(folder.path(), store_options(UNLIMITED), LeaseClock::Caller).unwrap();
    Bench::over(Arc::new(store), Some(folder))
}

pub(crate) fn on(server: &Server) -> Bench {
    let config = format!(
        "[store]\nurl = 'redis://127.0.0.1:{}'\nkey_prefix = '{}'\ninsecure_ok = true\nresponse_timeout_ms = 10_000",
        server.port,
        new_token()
    );
    let config = Config::of_text(&config).unwrap();
    let StoreUrl::Redis(url) = &config.store.url else { panic!("{config:?}") };
    let link = app::redis_link(url, &config.store.redis);
    let store = Redis::open(&RedisOptions { link, clock: StoreClock::Caller, creates: true }, store_options(UNLIMITED))
        .unwrap();
    Bench::over(Arc::new(store), None)
}

/// Generates, for each of these functions, a module with one test for each engine.
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
