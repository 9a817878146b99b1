//! Learns that something may be new in the store, on a connection of its own. It is only a hint:
//! what is published while the connection is down is missed, and polling finds it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tracing::debug;

use super::dial;
use super::session::Shared;
use super::trouble::Trouble;
use crate::clock;
use crate::core::code::Code;
use crate::telemetry::metrics as names;

/// How often the connection is asked whether it lives: below the 60 s after which some load
/// balancers forget an idle connection, and next to nothing for the server.
const PING_EVERY: Duration = Duration::from_secs(15);
/// The pause before another connection is made.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Listens, and listens again after every break, until it is dropped.
pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        let Err(trouble) = hear(&shared).await;
        metrics::gauge!(names::STORE_CONNECTIONS, names::USE => "wake").set(0.0);
        debug!(code = %trouble.code, detail = trouble.detail, "wake-ups are not heard: trying again");
        tokio::time::sleep(RETRY_PAUSE.mul_f64(0.5 + clock::jitter() / 2.0)).await;
    }
}

async fn hear(shared: &Shared) -> Result<std::convert::Infallible, Trouble> {
    let options = &shared.options;
    let session = shared.session().await?;
    let heard = dial::subscribe(options, &session.address, &options.channel()).await?;
    metrics::gauge!(names::STORE_CONNECTIONS, names::USE => "wake").set(1.0);
    let (mut sink, mut messages) = heard.split();
    // Something may have been published before we listened.
    shared.wake.notify_one();
    loop {
        tokio::select! {
            message = messages.next() => {
                if message.is_none() {
                    return Err(Trouble::new(Code::StoreLost, "the subscription ended"));
                }
                shared.wake.notify_one();
            }
            () = tokio::time::sleep(PING_EVERY) => {
                let pong = tokio::time::timeout(options.response_timeout, sink.ping::<deadpool_redis::redis::Value>()).await;
                pong.map_err(|_| Trouble::silence("wake-ups", options.response_timeout))?
                    .map_err(|error| Trouble::of_call(&error))?;
                if shared.live().is_some_and(|now| now.address != session.address) {
                    return Err(Trouble::new(Code::StoreReadOnly, "there is another primary"));
                }
            }
        }
    }
}
