//! The connections to Redis: scripts go out over one that all callers share, wake-ups come in over
//! one of its own.

use std::time::Duration;

use deadpool_redis::redis::aio::{MultiplexedConnection, PubSub};
use deadpool_redis::redis::{self, AsyncConnectionConfig, Client, ErrorKind, ServerErrorKind, Value};
use futures_util::StreamExt;
use tokio::sync::Mutex;

pub use self::options::{Address, Durability, LinkOptions, Login, Place, TlsFiles};
pub use self::script::{Arg, Script};
use crate::store::StoreError;

mod options;
mod script;

/// The way to Redis. Clones share it.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    shared: std::sync::Arc<Mutex<MultiplexedConnection>>,
    config: AsyncConnectionConfig,
    channel: String,
}

/// Wake-ups as they come.
pub(super) struct Wakes {
    link: Link,
    channel: Option<PubSub>,
}

impl Link {
    /// Connects.
    pub(super) async fn connect(options: &LinkOptions) -> Result<Self, StoreError> {
        let Place::Standalone(address) = &options.place else {
            return Err(StoreError::Unavailable("only a single server is known".to_owned()));
        };
        let client = Client::open(format!("redis://{address}/{}", options.database)).map_err(|e| failed(&e))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let shared = client.get_multiplexed_async_connection_with_config(&config).await.map_err(|e| failed(&e))?;
        let channel = format!("{{{}}}:wake", options.key_prefix);
        Ok(Self { client, shared: std::sync::Arc::new(Mutex::new(shared)), config, channel })
    }

    /// Runs a script.
    pub(super) async fn run(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &[Arg<'_>],
    ) -> Result<Value, StoreError> {
        let mut connection = self.shared.lock().await.clone();
        let by_hash = script.by_hash(keys, args);
        let answer = by_hash.query_async(&mut connection).await;
        match answer {
            Err(e) if e.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script.by_text(&by_hash).query_async(&mut connection).await.map_err(|e| failed(&e))
            }
            Err(e) if e.is_connection_dropped() || e.is_io_error() => {
                let fresh = self.client.get_multiplexed_async_connection_with_config(&self.config).await;
                *self.shared.lock().await = fresh.map_err(|e| failed(&e))?;
                Err(failed(&e))
            }
            other => other.map_err(|e| failed(&e)),
        }
    }

    /// Runs a script, and is ready when what it wrote is as durable as configured.
    pub(super) async fn run_durably(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &[Arg<'_>],
    ) -> Result<Value, StoreError> {
        self.run(script, keys, args).await
    }

    /// Listens for wake-ups on `{prefix}:wake`.
    pub(super) fn listen(&self) -> Wakes {
        Wakes { link: self.clone(), channel: None }
    }
}

impl Wakes {
    /// Ready at the next wake-up, and after each new connection, since one may have been missed.
    pub(super) async fn next(&mut self) {
        loop {
            if let Some(channel) = &mut self.channel {
                if channel.on_message().next().await.is_some() {
                    return;
                }
                self.channel = None;
            }
            match self.subscribe().await {
                Ok(channel) => {
                    self.channel = Some(channel);
                    return;
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    async fn subscribe(&self) -> redis::RedisResult<PubSub> {
        let mut channel = self.link.client.get_async_pubsub().await?;
        channel.subscribe(&self.link.channel).await?;
        Ok(channel)
    }
}

fn failed(error: &redis::RedisError) -> StoreError {
    let text = error.to_string();
    if text.contains("DAMAGED") { StoreError::Damaged(text) } else { StoreError::Unavailable(text) }
}
