//! Reading a body, within bounds on its size, its time, and its share of memory.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connections::Cut;
use super::memory::{Bound, Memory, SMALL_BYTES};
use super::pool::Share;
use super::wire::{ReadError, Rest, Wire};

/// The smallest buffer: most bodies fit.
const CAPACITY_MIN: usize = 2 * 1024;
/// Tells a waiting sender to go on (RFC 9110 §10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// More than the cap.
    TooLarge,
    /// Not complete in time.
    TimedOut,
    /// The sender went away.
    HungUp,
    /// Its chunks cannot be read.
    Malformed,
    /// The bodies of all senders together take too much memory.
    Crowded(Bound),
}

/// A request's body, which is still to be read.
pub(super) struct Body<'c> {
    pub(super) wire: &'c mut Wire,
    pub(super) rest: &'c mut Rest,
    pub(super) expects_continue: bool,
    /// Who sends it, as connections are counted.
    pub(super) peer: IpAddr,
    /// Cancelled when the connection must close in favour of others.
    pub(super) cut: Cut,
    /// Cancelled when others need the memory of its head.
    pub(super) head_lost: CancellationToken,
}

impl Body<'_> {
    /// Reads all of it. Returns it with its share of the pool for unauthenticated bodies.
    pub(super) async fn read(
        self,
        bytes_max: usize,
        timeout: Duration,
        memory: &Memory,
    ) -> Result<(Bytes, Share), BodyError> {
        let until = Instant::now() + timeout;
        let (cut, head_lost) = (self.cut.clone(), self.head_lost.clone());
        let arriving = Arriving::new(self, bytes_max, memory);
        tokio::select! {
            // Read what has arrived before checking a bound.
            biased;
            body = arriving.whole() => body,
            bound = cut.cancelled() => Err(BodyError::Crowded(bound)),
            () = head_lost.cancelled() => Err(BodyError::Crowded(Bound::Heads)),
            () = tokio::time::sleep_until(until) => Err(BodyError::TimedOut),
        }
    }
}

/// A body that is arriving.
struct Arriving<'c, 'm> {
    body: Body<'c>,
    bytes_max: usize,
    /// Its final size, at most, as far as known.
    expected: usize,
    memory: &'m Memory,
    bytes: Vec<u8>,
    share: Share,
    bound: Bound,
}

impl<'c, 'm> Arriving<'c, 'm> {
    fn new(body: Body<'c>, bytes_max: usize, memory: &'m Memory) -> Self {
        let expected = match *body.rest {
            Rest::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX).min(bytes_max),
            Rest::Chunks(_) => bytes_max,
        };
        let declared_large = matches!(*body.rest, Rest::Bytes(bytes) if bytes >= SMALL_BYTES as u64);
        let (share, bound) = if declared_large {
            (memory.large_bodies.share(body.peer), Bound::LargeBodies)
        } else {
            (memory.small_bodies.share(body.peer), Bound::SmallBodies)
        };
        Self { body, bytes_max, expected, memory, bytes: Vec::new(), share, bound }
    }

    async fn whole(mut self) -> Result<(Bytes, Share), BodyError> {
        if self.body.expects_continue && !self.body.rest.is_none() && !self.body.wire.send(CONTINUE).await {
            return Err(BodyError::HungUp);
        }
        while !self.body.rest.is_none() {
            self.reserve()?;
            // One byte more than fits shows that there is more.
            let room = (self.bytes.capacity() - self.bytes.len()).min(self.bytes_max + 1 - self.bytes.len());
            let (bound, lost) = (self.bound, self.share.lost_token());
            tokio::select! {
                biased;
                () = lost.cancelled() => return Err(BodyError::Crowded(bound)),
                read = self.body.wire.body(self.body.rest, &mut self.bytes, room) => match read {
                    Ok(()) => {}
                    Err(ReadError::Closed) => return Err(BodyError::HungUp),
                    Err(ReadError::Malformed) => return Err(BodyError::Malformed),
                },
            }
            if self.bytes.len() > self.bytes_max {
                return Err(BodyError::TooLarge);
            }
            if self.bytes.len() >= SMALL_BYTES {
                // Others have their turn between two reads of a large one, however quickly it comes.
                tokio::task::yield_now().await;
            }
        }
        if !self.share.keep() {
            return Err(BodyError::Crowded(self.bound));
        }
        Ok((Bytes::from(self.bytes), self.share))
    }

    /// Grows the buffer if it is full. A body is charged for what has arrived, and as much again.
    fn reserve(&mut self) -> Result<(), BodyError> {
        let len = self.bytes.len();
        if self.bytes.capacity() > len {
            return Ok(());
        }
        let most = self.expected.saturating_add(1);
        let capacity = (2 * len).clamp(CAPACITY_MIN.min(most), most).max(len + 1);
        if capacity > SMALL_BYTES && self.bound == Bound::SmallBodies {
            (self.share, self.bound) = (self.memory.large_bodies.share(self.body.peer), Bound::LargeBodies);
        }
        if !self.share.grow_to(capacity) {
            return Err(BodyError::Crowded(self.bound));
        }
        self.bytes.reserve_exact(capacity - len);
        Ok(())
    }
}
