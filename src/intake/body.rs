//! Reading a body by hand: bounded in bytes and in time.

use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// More than the cap.
    TooLarge,
    /// Not whole in time.
    TimedOut,
    /// The sender went away, or does not speak HTTP.
    HungUp,
}

/// Reads the whole body. One that comes in one piece is not copied.
pub(super) async fn read(mut payload: Payload, bytes_max: usize, timeout: Duration) -> Result<Bytes, BodyError> {
    let whole = async {
        let Some(first) = next(&mut payload, bytes_max).await? else { return Ok(Bytes::new()) };
        let Some(second) = next(&mut payload, bytes_max - first.len()).await? else { return Ok(first) };
        let mut body = BytesMut::with_capacity((2 * (first.len() + second.len())).min(bytes_max));
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(chunk) = next(&mut payload, bytes_max - body.len()).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(timeout, whole).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn next(payload: &mut Payload, room: usize) -> Result<Option<Bytes>, BodyError> {
    match payload.next().await {
        None => Ok(None),
        Some(Ok(chunk)) if chunk.len() > room => Err(BodyError::TooLarge),
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(_)) => Err(BodyError::HungUp),
    }
}
