//! Opens the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{info, warn};

use super::{StartError, options};
use crate::config::{Config, RedisConfig, RedisUrl, StoreConfig, StoreDurability, StoreUrl};
use crate::lifecycle::{Lifecycle, Loops};
use crate::secret::LiveSecret;
use crate::store::embedded::Embedded;
use crate::store::redis::{LinkOptions, Redis, RedisOptions, StoreClock};
use crate::store::target::{self, bind_target};
use crate::store::transfer::Transfer;
use crate::store::{Store, StoreError, StoreOptions};

/// How long the start waits for a store that may be of another version or another target.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// How long a local disk may take to prove that it can be written to.
const EMBEDDED_MAX: Duration = Duration::from_secs(1);
/// How long to wait for an embedded store that another process has open: that one may need its grace period to end,
/// and Kubernetes starts the next one meanwhile.
const IN_USE_MAX: Duration = Duration::from_secs(30);
/// How often to try.
const IN_USE_EVERY: Duration = Duration::from_millis(250);

/// Opens the store for `serve`. Waits if another process has an embedded store open; a Redis need not be reachable yet.
pub(super) async fn serving(config: &Config, life: &Lifecycle) -> Result<Arc<dyn Store>, StartError> {
    let options = options::store(config);
    match &config.store.url {
        StoreUrl::Embedded { dir } => {
            let began = Instant::now();
            loop {
                match Embedded::open_for(dir, options.clone(), life.loops()) {
                    Err(StoreError::InUse { path }) if began.elapsed() < IN_USE_MAX && !life.is_stopping() => {
                        if began.elapsed() < IN_USE_EVERY {
                            warn!(
                                path,
                                seconds = IN_USE_MAX.as_secs(),
                                "another process has the store: waiting for it to end"
                            );
                        }
                        tokio::time::sleep(IN_USE_EVERY).await;
                    }
                    opened => return Ok(Arc::new(opened?)),
                }
            }
        }
        // Connects when needed: a Redis that is not there yet must not keep us from listening.
        StoreUrl::Redis(url) => {
            let redis = &config.store.redis;
            let store = open_redis(url, redis, &redis.key_prefix, (true, options), life.loops())?;
            let first_look = async {
                store.check_schema().await?;
                bind_target(&store, &options::target(config)).await
            };
            match timeout(FIRST_LOOK, first_look).await {
                Ok(Err(error)) if !error.is_passing() => return Err(error.into()),
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => info!("the store does not answer yet: it is connected when it is needed"),
            }
            Ok(Arc::new(store))
        }
    }
}

/// Opens the configured store for a look at it: a Redis without one is left as it is, and need not be there yet. Must be
/// called within a tokio runtime.
pub fn open_store(config: &Config) -> Result<Arc<dyn Transfer>, StoreError> {
    let redis = &config.store.redis;
    open_at(&config.store.url, redis, &redis.key_prefix, (false, options::store(config)))
}

/// Whether a store belongs to the configured target, or to none yet.
pub async fn check_target<S: Store + ?Sized>(config: &Config, store: &S) -> Result<(), StoreError> {
    target::check_target(store, &options::target(config)).await
}

/// Opens the store at `url`, to be copied from, or to, in which case it may be created. The rest of `[store]` is as
/// configured. A user or a password in the URL is used instead of the configured ones; so is a prefix. Must be called
/// within a tokio runtime.
pub fn open_other_store(
    config: &Config,
    url: &StoreUrl,
    key_prefix: Option<&str>,
    creates: bool,
) -> Result<Arc<dyn Transfer>, StoreError> {
    let mut redis = config.store.redis.clone();
    if let StoreUrl::Redis(url) = url
        && (url.username.is_some() || url.password.is_some())
    {
        redis.username = url.username.clone().map(LiveSecret::new);
        redis.password = url.password.clone().map(LiveSecret::new);
    }
    let key_prefix = key_prefix.unwrap_or(&redis.key_prefix);
    open_at(url, &redis, key_prefix, (creates, options::store(config)))
}

fn open_at(
    url: &StoreUrl,
    redis: &RedisConfig,
    key_prefix: &str,
    (creates, options): (bool, StoreOptions),
) -> Result<Arc<dyn Transfer>, StoreError> {
    match url {
        StoreUrl::Embedded { dir } => Ok(Arc::new(Embedded::open(dir, options)?)),
        StoreUrl::Redis(url) => {
            Ok(Arc::new(open_redis(url, redis, key_prefix, (creates, options), &Loops::default())?))
        }
    }
}

fn open_redis(
    url: &RedisUrl,
    redis: &RedisConfig,
    key_prefix: &str,
    (creates, options): (bool, StoreOptions),
    loops: &Loops,
) -> Result<Redis, StoreError> {
    let link = LinkOptions { key_prefix: key_prefix.to_owned(), ..options::link(url, redis) };
    Redis::open_for(&RedisOptions { link, clock: StoreClock::Server, creates }, options, loops)
}

/// How long the store may take to prove that it can be written to: with Redis, the time for an answer, and for its
/// disks if durability waits for them.
pub(super) fn patience(store: &StoreConfig) -> Duration {
    match (&store.url, store.redis.durability) {
        (StoreUrl::Embedded { .. }, _) => EMBEDDED_MAX,
        (StoreUrl::Redis(_), StoreDurability::Written) => Duration::from_millis(store.redis.response_timeout_ms),
        (StoreUrl::Redis(_), StoreDurability::Fsynced | StoreDurability::Replicated) => {
            Duration::from_millis(store.redis.response_timeout_ms + store.redis.durable_timeout_ms)
        }
    }
}
