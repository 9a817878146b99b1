//! Reading a body: under a cap, and under a clock, before anything is done with it.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes_max: usize,
    /// From the first look to the last byte: a sender of a byte a second is cut off.
    pub(super) timeout: Duration,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// Over the cap.
    TooLarge,
    /// Not whole in time.
    TimedOut,
    /// The sender left, or broke HTTP's framing.
    HungUp,
}

/// Whether the head announces a body over the cap.
pub(super) fn announces_too_much(request: &HttpRequest, limits: Limits) -> bool {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    announced.is_some_and(|bytes| bytes > limits.bytes_max as u64)
}

/// Reads a body whole, as it came.
pub(super) async fn read(payload: Payload, limits: Limits) -> Result<Bytes, NoBody> {
    let reading = tokio::time::timeout(limits.timeout, read_capped(payload, limits.bytes_max));
    reading.await.unwrap_or(Err(NoBody::TimedOut))
}

async fn read_capped(mut payload: Payload, bytes_max: usize) -> Result<Bytes, NoBody> {
    // Most bodies come in one piece, which is then not copied.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| NoBody::HungUp)?;
        if first.len() + rest.len() + chunk.len() > bytes_max {
            return Err(NoBody::TooLarge);
        }
        if first.is_empty() {
            first = chunk;
        } else {
            rest.extend_from_slice(&chunk);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}
