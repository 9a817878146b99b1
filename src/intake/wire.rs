//! One connection's bytes: what has arrived and is not used yet, and what goes back. Nothing here
//! waits without a bound, and nothing is kept between requests.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::chunks::{Chunks, Step};
use super::head::{self, HEAD_BYTES_MAX, Head, HeadError, Length};
use super::memory::Share;

/// How much is read at once if it is not known how much comes: most deliveries fit, head and body.
const READ_BYTES: usize = 2 * 1024;
/// How long an answer may take to be read.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long a connection that has had its last answer may take to read the answer and to close.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// What is thrown away of an answered request's body, so that the connection can go on.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// What is thrown away at the most before a connection is closed under its sender.
const LINGER_BYTES_MAX: usize = 8 << 20;

/// Why no request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// The other side has closed, or broke off.
    Closed,
    /// It did not come whole in time.
    TimedOut,
    /// It can only be answered with a refusal.
    Refused(HeadError),
    /// Heads take as much memory as they may.
    Crowded,
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The other side has closed, or broke off.
    Closed,
    /// It is not coded as its head says.
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

    /// Ready when a request begins; false where the other side closes instead, or none begins in time.
    pub(super) async fn begins(&mut self, until: Instant) -> bool {
        if self.input.is_empty() {
            // Only a connection that sends has a buffer.
            self.input = BytesMut::new();
            matches!(timeout_at(until, self.stream.readable()).await, Ok(Ok(())))
        } else {
            true
        }
    }

    /// Reads a head, which must be whole at `until`. What it takes beyond the first bytes is counted in `share`.
    pub(super) async fn head(&mut self, until: Instant, share: &mut Share) -> Result<Head, NoHead> {
        let mut searched = 0;
        loop {
            if let Some(end) = head::end_of_head(&self.input, searched) {
                let bytes = self.input.split_to(end);
                return head::parse(&bytes).map_err(NoHead::Refused);
            }
            searched = self.input.len();
            if searched >= HEAD_BYTES_MAX {
                return Err(NoHead::Refused(HeadError::TooLarge));
            }
            let capacity = (2 * searched).clamp(READ_BYTES, HEAD_BYTES_MAX);
            if capacity > READ_BYTES && !share.grow_to(capacity) {
                return Err(NoHead::Crowded);
            }
            self.input.reserve(capacity - searched);
            let read = timeout_at(until, read_some(&mut self.stream, &mut self.input, capacity - searched));
            match read.await {
                Ok(Ok(0) | Err(_)) => return Err(NoHead::Closed),
                Ok(Ok(_)) => {}
                Err(_) => return Err(NoHead::TimedOut),
            }
        }
    }

    /// Reads some of the body, `room` bytes at the most, to the end of `body`. None was read where the body has
    /// ended or only its coding went on.
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
        let room = READ_BYTES.max(self.input.capacity() - self.input.len());
        self.input.reserve(READ_BYTES);
        read_some(&mut self.stream, &mut self.input, room).await
    }

    /// Sends bytes, which must be taken in time.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(WRITE_MAX, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Throws away what is left of a body, if it is little and comes soon; false if not.
    pub(super) async fn drain(&mut self, rest: &mut Rest) -> bool {
        if matches!(rest, Rest::Bytes(left) if *left > DRAIN_BYTES_MAX as u64) {
            return false;
        }
        let drained = async {
            let (mut thrown, mut passed) = (Vec::with_capacity(READ_BYTES), 0);
            while !rest.is_none() && passed < DRAIN_BYTES_MAX {
                if self.body(rest, &mut thrown, READ_BYTES).await.is_err() {
                    return false;
                }
                passed += thrown.len();
                thrown.clear();
            }
            rest.is_none()
        };
        timeout(LINGER_MAX, drained).await.unwrap_or(false)
    }

    /// Closes so that the other side can read its answer first: what it still sends is thrown away for a while,
    /// since a connection with unread bytes is reset, and its answer lost.
    pub(super) async fn close(mut self) {
        self.input = BytesMut::new();
        let lingering = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut passed = 0;
            while passed < LINGER_BYTES_MAX && self.stream.readable().await.is_ok() {
                let mut thrown = [0; 8 * 1024];
                match self.stream.try_read(&mut thrown) {
                    Ok(0) => return,
                    Ok(bytes) => passed += bytes,
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
