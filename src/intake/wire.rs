//! One connection's bytes, in both directions. Nothing here waits without a bound, and nothing is kept between
//! requests.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::chunks::{Chunks, Step};
use super::head::{self, HEAD_BYTES_MAX, Head, HeadError, Length};
use super::pool::Share;

/// How much is read at once if it is not known how much comes: most deliveries fit, head and body.
const READ_BYTES: usize = 2 * 1024;
/// How long an answer may take to be read.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long a connection that has had its last answer may take to read the answer and to close.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// How much of an answered request's body is discarded so that the connection can go on.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// The most that is discarded before a connection is closed although its sender keeps sending.
const LINGER_BYTES_MAX: usize = 8 << 20;
/// How much of that is read in one turn: hundreds of peers that send without a pause must not keep a genuine delivery
/// waiting.
const TURN_BYTES: usize = 64 * 1024;

/// Why no request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// The other side closed the connection, or it broke.
    Closed,
    /// It was not complete in time.
    TimedOut,
    /// It must be refused.
    Refused(HeadError),
    /// All heads together take too much memory.
    Crowded,
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The other side closed the connection, or it broke.
    Closed,
    /// It is not encoded as its head says.
    Malformed,
}

/// What is left of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// This many bytes.
    Bytes(u64),
    /// As its chunks say.
    Chunks(Chunks),
}

impl Rest {
    pub(super) fn of(length: Length) -> Self {
        match length {
            Length::Bytes(bytes) => Self::Bytes(bytes),
            Length::Chunked => Self::Chunks(Chunks::Size),
        }
    }

    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::Bytes(0) | Self::Chunks(Chunks::Ended))
    }
}

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    input: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    /// Waits until a request begins; false if the other side closes, or none begins in time.
    pub(super) async fn begins(&mut self, until: Instant) -> bool {
        if self.input.is_empty() {
            // An idle connection has no buffer.
            self.input = BytesMut::new();
            matches!(timeout_at(until, self.stream.readable()).await, Ok(Ok(())))
        } else {
            true
        }
    }

    /// Whether bytes of the next request have come already, read or not: the peer did not wait for its answer. That it
    /// has closed counts, too.
    pub(super) fn has_more(&self) -> bool {
        // Asks the system: the runtime still calls a stream readable of which exactly everything was read.
        !self.input.is_empty() || self.stream.peek(&mut [0]).now_or_never().is_some()
    }

    /// Reads a head, which must be complete at `until`. Its memory beyond the first bytes is counted in `share`, with
    /// what has come behind it: both stay until it is answered.
    pub(super) async fn head(&mut self, until: Instant, share: &mut Share) -> Result<Head, NoHead> {
        // The buffer, if it was created here.
        let (mut searched, mut capacity) = (0, None);
        loop {
            if let Some(end) = head::end_of_head(&self.input, searched) {
                let head = head::parse(&self.input[..end]).map_err(NoHead::Refused)?;
                self.input.advance(end);
                if capacity != Some(READ_BYTES) {
                    self.rebuffer(self.input.len());
                }
                let kept_bytes = head.kept_bytes() + self.input.len();
                if end.max(self.input.len()) > READ_BYTES && !share.grow_to(kept_bytes) {
                    return Err(NoHead::Crowded);
                }
                return Ok(head);
            }
            searched = self.input.len();
            if searched >= HEAD_BYTES_MAX {
                return Err(NoHead::Refused(HeadError::TooLarge));
            }
            let wanted = (2 * searched).clamp(READ_BYTES, HEAD_BYTES_MAX);
            if capacity.is_none_or(|capacity| capacity < wanted) {
                if wanted > READ_BYTES && !share.grow_to(wanted) {
                    return Err(NoHead::Crowded);
                }
                self.rebuffer(wanted);
                capacity = Some(wanted);
            }
            let read = timeout_at(until, read_some(&mut self.stream, &mut self.input, wanted - searched));
            match read.await {
                Ok(Ok(0) | Err(_)) => return Err(NoHead::Closed),
                Ok(Ok(_)) => {}
                Err(_) => return Err(NoHead::TimedOut),
            }
        }
    }

    /// Appends up to `room` bytes of the body to `body`. Nothing is appended at the end of the body, or if only its
    /// coding made progress.
    pub(super) async fn body(&mut self, rest: &mut Rest, body: &mut Vec<u8>, room: usize) -> Result<(), ReadError> {
        match rest {
            Rest::Bytes(0) => Ok(()),
            Rest::Bytes(left) => {
                let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(room);
                let read = if self.input.is_empty() {
                    read_some(&mut self.stream, body, wanted).await.map_err(|_| ReadError::Closed)?
                } else {
                    let bytes = self.input.len().min(wanted);
                    body.extend_from_slice(&self.input[..bytes]);
                    self.input.advance(bytes);
                    if self.input.is_empty() {
                        self.input = BytesMut::new();
                    }
                    bytes
                };
                *left -= read as u64;
                if read == 0 && wanted > 0 { Err(ReadError::Closed) } else { Ok(()) }
            }
            Rest::Chunks(chunks) => match chunks.step(&mut self.input, body, room) {
                Ok(Step::Went) => Ok(()),
                Ok(Step::NeedsMore) => match self.more().await {
                    Ok(0) | Err(_) => Err(ReadError::Closed),
                    Ok(_) => Ok(()),
                },
                Err(_) => Err(ReadError::Malformed),
            },
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.rebuffer(self.input.len() + READ_BYTES);
        read_some(&mut self.stream, &mut self.input, READ_BYTES).await
    }

    /// Moves the unused bytes to a buffer of this size, which frees the old one.
    fn rebuffer(&mut self, capacity: usize) {
        let mut buffer = BytesMut::with_capacity(capacity);
        buffer.extend_from_slice(&self.input);
        self.input = buffer;
    }

    /// Sends bytes, which the other side must take in time.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(WRITE_MAX, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Discards the rest of a body if it is short and comes soon; otherwise returns false.
    pub(super) async fn drain(&mut self, rest: &mut Rest) -> bool {
        if matches!(rest, Rest::Bytes(left) if *left > DRAIN_BYTES_MAX as u64) {
            return false;
        }
        let drained = async {
            let (mut discarded, mut passed) = (Vec::with_capacity(READ_BYTES), 0);
            while !rest.is_none() && passed < DRAIN_BYTES_MAX {
                if self.body(rest, &mut discarded, READ_BYTES).await.is_err() {
                    return false;
                }
                passed += discarded.len();
                discarded.clear();
            }
            rest.is_none()
        };
        timeout(LINGER_MAX, drained).await.unwrap_or(false)
    }

    /// Closes so that the other side can read its answer first. What it still sends is discarded for a while, since
    /// closing a connection with unread bytes resets it, and the answer is lost.
    pub(super) async fn close(mut self) {
        self.input = BytesMut::new();
        let lingering = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let (mut passed, mut turn) = (0, 0);
            while passed < LINGER_BYTES_MAX && self.stream.readable().await.is_ok() {
                let mut discarded = [0; 8 * 1024];
                match self.stream.try_read(&mut discarded) {
                    Ok(0) => return,
                    Ok(bytes) => {
                        passed += bytes;
                        turn += bytes;
                        if turn >= TURN_BYTES {
                            turn = 0;
                            tokio::task::yield_now().await;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = timeout(LINGER_MAX, lingering).await;
    }
}

/// Reads at most `room` bytes to the end of `into`.
async fn read_some(stream: &mut TcpStream, into: &mut impl BufMut, room: usize) -> io::Result<usize> {
    let mut limited = into.limit(room);
    stream.read_buf(&mut limited).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::pool::Pool;

    /// A connection on which these bytes have been sent, and its other end.
    async fn sent(bytes: &[u8]) -> (Wire, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        sender.write_all(bytes).await.unwrap();
        (Wire::new(listener.accept().await.unwrap().0), sender)
    }

    fn peer(last: u8) -> std::net::IpAddr {
        [192, 0, 2, last].into()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn a_large_head_is_counted_while_kept_and_leaves_no_large_buffer() {
        let large = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(10_000));
        let small = "GET /livez HTTP/1.1\r\n\r\n";
        let (mut wire, _sender) = sent(format!("{large}{small}{small}G").as_bytes()).await;
        let pool = Pool::of(HEAD_BYTES_MAX + READ_BYTES, 0);
        let mut share = pool.share(peer(1));
        let head = wire.head(soon(), &mut share).await.unwrap();
        assert!(head.kept_bytes() > large.len());
        assert!(wire.input.capacity() <= READ_BYTES, "{}", wire.input.capacity());
        let mut other = pool.share(peer(2));
        assert!(other.grow_to(READ_BYTES) && !share.lost_token().is_cancelled());
        assert!(other.grow_to(READ_BYTES + HEAD_BYTES_MAX - large.len()) && share.lost_token().is_cancelled());
        drop((other, share));
        for _ in 0..2 {
            let mut share = pool.share(peer(1));
            wire.head(soon(), &mut share).await.unwrap();
            let mut other = pool.share(peer(2));
            assert!(other.grow_to(HEAD_BYTES_MAX) && !share.lost_token().is_cancelled(), "a small one is not counted");
        }
        assert_eq!((wire.input.len(), wire.input.capacity() <= READ_BYTES), (1, true));
    }

    #[tokio::test]
    async fn used_bytes_take_no_memory_while_more_are_awaited() {
        let head = "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
        let (mut wire, _sender) = sent(format!("{head}abc").as_bytes()).await;
        let pool = Pool::of(HEAD_BYTES_MAX, 0);
        let head = wire.head(soon(), &mut pool.share(peer(1))).await.unwrap();
        let (mut rest, mut body) = (Rest::of(head.length), Vec::new());
        wire.body(&mut rest, &mut body, 9).await.unwrap();
        assert_eq!((body.as_slice(), rest, wire.input.capacity()), (&b"abc"[..], Rest::Bytes(6), 0));
    }
}
