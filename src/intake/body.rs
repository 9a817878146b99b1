//! Reading a body by hand: bounded in bytes and in time.

use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// The bodies of all senders together take too much memory.
    Crowded,
}

/// What all bodies together may take. Nobody is proven before their body is read, so this is what
/// keeps strangers from filling the memory.
#[derive(Debug)]
pub(super) struct Budget {
    left_bytes: AtomicUsize,
}

impl Budget {
    pub(super) fn of(bytes: usize) -> Self {
        Self { left_bytes: AtomicUsize::new(bytes) }
    }

    /// A share that grows as its body arrives, and is given back when it is dropped.
    pub(super) fn share(&self) -> Share<'_> {
        Share { budget: self, bytes: 0 }
    }
}

/// One body's share of the budget.
#[derive(Debug)]
pub(super) struct Share<'b> {
    budget: &'b Budget,
    bytes: usize,
}

impl Share<'_> {
    fn take(&mut self, bytes: usize) -> bool {
        let left = &self.budget.left_bytes;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.left_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// Reads the whole body. One that comes in one piece is not copied.
pub(super) async fn read(
    mut payload: Payload,
    bytes_max: usize,
    timeout: Duration,
    share: &mut Share<'_>,
) -> Result<Bytes, BodyError> {
    let whole = async {
        let Some(first) = next(&mut payload, bytes_max, share).await? else { return Ok(Bytes::new()) };
        let Some(second) = next(&mut payload, bytes_max - first.len(), share).await? else { return Ok(first) };
        let mut body = BytesMut::with_capacity((2 * (first.len() + second.len())).min(bytes_max));
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(chunk) = next(&mut payload, bytes_max - body.len(), share).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(timeout, whole).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn next(payload: &mut Payload, room: usize, share: &mut Share<'_>) -> Result<Option<Bytes>, BodyError> {
    match payload.next().await {
        None => Ok(None),
        Some(Ok(chunk)) if chunk.len() > room => Err(BodyError::TooLarge),
        Some(Ok(chunk)) if !share.take(chunk.len()) => Err(BodyError::Crowded),
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(_)) => Err(BodyError::HungUp),
    }
}
