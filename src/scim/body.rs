//! Reads replies within bounds: for each one, and for all in memory at once.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest reply that is read: a page of 100 members is some 50 KB.
pub(super) const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Larger replies wait for one another.
const LARGE_BYTES_MIN: usize = 256 * 1024;
/// How many large replies may be in memory at once: 32 MiB in all.
const LARGE_REPLIES_MAX: usize = 8;

/// The memory that the replies of all calls share.
#[derive(Debug, Clone)]
pub(super) struct ReplyBudget(Arc<Semaphore>);

impl Default for ReplyBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_REPLIES_MAX)))
    }
}

/// A body, and its share of the budget, which is given back with it.
struct Body {
    bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ReplyBudget {
    /// Reads what there is of a body, and whether it was complete. The status alone says a lot, so a reply is kept even
    /// if its body breaks off or is too large.
    pub(super) async fn read(&self, mut incoming: Incoming) -> (Bytes, bool) {
        let (mut bytes, mut share) = (Vec::new(), None);
        let is_complete = loop {
            let chunk = match incoming.frame().await {
                None => break true,
                Some(Err(_)) => break false,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => chunk,
                    // Trailers.
                    Err(_) => continue,
                },
            };
            let total = bytes.len() + chunk.len();
            if total > REPLY_BYTES_MAX {
                break false;
            }
            if total > LARGE_BYTES_MIN && share.is_none() {
                match Arc::clone(&self.0).acquire_owned().await {
                    Ok(permit) => share = Some(permit),
                    Err(_) => break false,
                }
            }
            bytes.extend_from_slice(&chunk);
        };
        (Bytes::from_owner(Body { bytes, _share: share }), is_complete)
    }
}
