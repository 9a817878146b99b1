//! Listens on a connection of its own for signs that something may be new in the store. They are only hints: polling
//! finds what is missed while the connection is down.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tracing::debug;

use super::dial;
use super::session::Shared;
use super::trouble::LinkError;
use crate::clock;
use crate::core::code::Code;
use crate::failpoint;
use crate::telemetry::metrics as metric;

/// How often the connection is checked: more often than the 60 s after which some load balancers drop an idle
/// connection, and cheap for the server.
const PING_EVERY: Duration = Duration::from_secs(15);
/// The pause before another connection is made.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Listens, and listens again after every break, until it is dropped.
pub(super) async fn listen(shared: Arc<Shared>) {
    loop {
        failpoint::at("wake");
        let Err(trouble) = hear(&shared).await;
        metrics::gauge!(metric::STORE_CONNECTIONS, metric::USE => "wake").set(0.0);
        debug!(code = %trouble.code, detail = trouble.detail, "wake-ups are not heard: trying again");
        tokio::time::sleep(RETRY_PAUSE.mul_f64(0.5 + clock::jitter() / 2.0)).await;
    }
}

async fn hear(shared: &Shared) -> Result<std::convert::Infallible, LinkError> {
    let options = &shared.options;
    let session = shared.session().await?;
    let heard = dial::subscribe(options, &session.address, &options.channel()).await?;
    metrics::gauge!(metric::STORE_CONNECTIONS, metric::USE => "wake").set(1.0);
    let (mut sink, mut messages) = heard.split();
    // Something may have been published before we listened.
    shared.wake.notify_one();
    loop {
        tokio::select! {
            message = messages.next() => {
                if message.is_none() {
                    return Err(LinkError::new(Code::StoreLost, "the subscription ended"));
                }
                shared.wake.notify_one();
            }
            () = tokio::time::sleep(PING_EVERY) => {
                let pong = tokio::time::timeout(options.response_timeout, sink.ping::<deadpool_redis::redis::Value>()).await;
                pong.map_err(|_| LinkError::silence("wake-ups", options.response_timeout))?
                    .map_err(|error| LinkError::of_call(&error))?;
                if shared.live().is_some_and(|now| now.address != session.address) {
                    return Err(LinkError::new(Code::StoreReadOnly, "there is another primary"));
                }
            }
        }
    }
}
