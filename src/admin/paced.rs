//! A connection of the admin listener that is read no faster than it is answered, and not at all while its peer does
//! not read the answers. The server itself reads whatever comes, and keeps some kilobytes for each request: a handful
//! of connections that pipeline requests and read nothing would fill the memory. And what has begun must end in time,
//! however steadily its bytes drip in.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How many requests may be read but not begun; one read may bring a few more.
const WAITING_MAX: usize = 8;
/// Bytes read at once.
const PIECE_BYTES: usize = 1024;
/// Blank lines in a body of untold length look like requests, too. If no request has begun for this long, they are taken
/// for that.
const WAITING_TIME: Duration = Duration::from_secs(1);
/// How long a head, or a body that is not an operator's, may take. The server itself closes what is silent.
const ARRIVING_TIME: Duration = Duration::from_secs(10);
/// How long an answer may wait to be taken.
const TAKING_TIME: Duration = Duration::from_secs(10);

/// What was read of a connection, and what was begun of that. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun(Rc<RefCell<Heads>>);

impl Begun {
    /// One more request, with a body of this length; none: it has no body, or its length is unknown.
    pub(super) fn count(&self, body: Option<u64>) {
        self.0.borrow_mut().begin(body);
    }

    /// The request that has just begun is an operator's: until it is answered, nothing in its body is taken for a
    /// request, and reading does not pause.
    pub(super) fn trust(&self) -> Trusted {
        let mut heads = self.0.borrow_mut();
        heads.trusted += 1;
        heads.ends.clear();
        heads.is_arriving = false;
        Trusted(self.clone())
    }
}

/// An operator's request that is being answered.
pub(super) struct Trusted(Begun);

impl Drop for Trusted {
    fn drop(&mut self) {
        let mut heads = self.0.0.borrow_mut();
        heads.trusted -= 1;
        heads.is_arriving = false;
    }
}

/// The ends of heads: blank lines outside of bodies whose length is known. The server accepts bare line feeds, too.
#[derive(Debug, Default)]
struct Heads {
    /// How many bytes have been read.
    read: u64,
    /// Whether the last byte read was the end of a line.
    is_line_over: bool,
    /// Behind which bytes the heads end that have not begun yet.
    ends: VecDeque<u64>,
    /// How many of these were taken for blank lines in bodies.
    given_up: u64,
    /// Behind which byte the last known body ends.
    body_end: u64,
    /// Requests of operators that are being answered.
    trusted: u32,
    /// Whether anything has been read since a request last began, or an operator's was answered.
    is_arriving: bool,
}

impl Heads {
    fn read(&mut self, bytes: &[u8]) {
        let left = usize::try_from(self.body_end.saturating_sub(self.read)).unwrap_or(usize::MAX);
        let left = if self.trusted > 0 { bytes.len() } else { left };
        let (body, rest) = bytes.split_at(left.min(bytes.len()));
        self.read += body.len() as u64;
        self.is_arriving |= !bytes.is_empty();
        self.is_line_over &= body.is_empty();
        for byte in rest {
            self.read += 1;
            if *byte == b'\r' {
                continue;
            }
            let is_blank = *byte == b'\n' && self.is_line_over;
            self.is_line_over = *byte == b'\n' && !is_blank;
            if is_blank {
                self.ends.push_back(self.read);
            }
        }
    }

    /// Heads begin in their order. Where it is not known which one this is, the length of its body says nothing about
    /// where that ends: too few bytes are taken for a body, never those of another request.
    fn begin(&mut self, body: Option<u64>) {
        self.is_arriving = false;
        if self.given_up > 0 {
            self.given_up -= 1;
            return;
        }
        let Some(end) = self.ends.pop_front() else { return };
        if let Some(bytes) = body {
            self.body_end = end.saturating_add(bytes);
            self.ends.retain(|end| *end > self.body_end);
        }
    }

    /// No request began: they were not heads.
    fn give_up(&mut self) {
        self.given_up += self.ends.len() as u64;
        self.ends.clear();
    }
}

/// A connection, paced.
pub(super) struct Paced {
    io: TcpStream,
    begun: Begun,
    /// Until when reading pauses, waiting for an answer.
    waits: Option<Pin<Box<Sleep>>>,
    /// Until when what arrives must have ended.
    arriving: Option<Pin<Box<Sleep>>>,
    /// Until when an answer may wait for the peer to take it.
    blocked: Option<Pin<Box<Sleep>>>,
    reader: Option<Waker>,
}

impl Paced {
    pub(super) fn new(io: TcpStream) -> Self {
        let begun = Begun::default();
        Self { io, begun, waits: None, arriving: None, blocked: None, reader: None }
    }

    /// The connection itself.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.io
    }

    /// What counts the requests that are begun.
    pub(super) fn begun(&self) -> Begun {
        self.begun.clone()
    }

    /// Whether reading must pause for now.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.begun.0.borrow().ends.len() < WAITING_MAX {
            self.waits = None;
            return Poll::Ready(());
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(WAITING_TIME)));
        ready!(waits.as_mut().poll(cx));
        self.waits = None;
        self.begun.0.borrow_mut().give_up();
        Poll::Ready(())
    }

    /// An error once what arrives has taken too long.
    fn poll_arriving(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let heads = self.begun.0.borrow();
        if !heads.is_arriving || heads.trusted > 0 {
            self.arriving = None;
            return Poll::Pending;
        }
        let arriving = self.arriving.get_or_insert_with(|| Box::pin(sleep(ARRIVING_TIME)));
        arriving.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }

    /// Returns what was written, or how long to wait for the peer.
    fn written(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.blocked = None;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            return wrote;
        }
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(TAKING_TIME)));
        ready!(blocked.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(error) = this.poll_arriving(cx) {
            return Poll::Ready(Err(error));
        }
        if this.blocked.is_some() || this.poll_pause(cx).is_pending() {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut piece = [0; PIECE_BYTES];
        let mut piece = ReadBuf::new(&mut piece[..buf.remaining().min(PIECE_BYTES)]);
        ready!(Pin::new(&mut this.io).poll_read(cx, &mut piece))?;
        this.begun.0.borrow_mut().read(piece.filled());
        buf.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.written(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.written(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const BARE: &[u8] = b"GET / HTTP/1.1\nA: b\n\n";

    async fn pair() -> (TcpStream, Paced) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (theirs, Paced::new(listener.accept().await.unwrap().0))
    }

    /// Reads for as long as something is available at once.
    async fn heads_read(ours: &mut Paced, head: &[u8]) -> usize {
        let mut read = vec![0; 1 << 20];
        let mut bytes = 0;
        while let Ok(more) = timeout(Duration::from_millis(100), ours.read(&mut read[bytes..])).await {
            bytes += more.unwrap();
        }
        bytes / head.len()
    }

    #[tokio::test]
    async fn requests_are_read_as_earlier_ones_are_begun() {
        for head in [HEAD, BARE] {
            let (mut theirs, mut ours) = pair().await;
            theirs.write_all(&head.repeat(1000)).await.unwrap();
            let first = heads_read(&mut ours, head).await;
            assert!((8..70).contains(&first), "{first}");
            for _ in 0..first {
                ours.begun().count(None);
            }
            let more = heads_read(&mut ours, head).await;
            assert!((8..70).contains(&more), "{more}");
        }
    }

    #[tokio::test]
    async fn blank_lines_in_a_body_of_known_length_do_not_delay_it() {
        for first in [0, 1, 40] {
            let (mut theirs, mut ours) = pair().await;
            let body = b"E-1,Ada\r\n\r\n".repeat(5000);
            theirs.write_all(HEAD).await.unwrap();
            theirs.write_all(&body[..first]).await.unwrap();
            let mut read = vec![0; HEAD.len() + first];
            ours.read_exact(&mut read).await.unwrap();
            let body_bytes = body.len();
            ours.begun().count(Some(body_bytes as u64));
            let writer = tokio::spawn(async move {
                theirs.write_all(&body[first..]).await.unwrap();
                theirs.write_all(&HEAD.repeat(1000)).await.unwrap();
                (theirs, body)
            });
            let mut read = vec![0; body_bytes];
            timeout(Duration::from_millis(900), ours.read_exact(&mut read[first..])).await.unwrap().unwrap();
            let pipelined = heads_read(&mut ours, HEAD).await;
            assert!((8..70).contains(&pipelined), "{pipelined}");
            let (_theirs, body) = writer.await.unwrap();
            assert_eq!(read[first..], body[first..]);
        }
    }

    #[tokio::test]
    async fn an_operators_body_of_unknown_length_is_not_delayed_by_its_blank_lines() {
        let (mut theirs, mut ours) = pair().await;
        let body = b"E-1,Ada\r\n\r\n".repeat(5000);
        theirs.write_all(HEAD).await.unwrap();
        theirs.write_all(&body[..200]).await.unwrap();
        let mut read = vec![0; HEAD.len() + 200];
        ours.read_exact(&mut read).await.unwrap();
        ours.begun().count(None);
        let trusted = ours.begun().trust();
        let body_bytes = body.len();
        let writer = tokio::spawn(async move {
            theirs.write_all(&body[200..]).await.unwrap();
            theirs
        });
        let mut read = vec![0; body_bytes - 200];
        timeout(Duration::from_millis(900), ours.read_exact(&mut read)).await.unwrap().unwrap();
        drop(trusted);
        let mut theirs = writer.await.unwrap();
        theirs.write_all(&HEAD.repeat(1000)).await.unwrap();
        let pipelined = heads_read(&mut ours, HEAD).await;
        assert!((8..70).contains(&pipelined), "{pipelined}");
    }

    #[test]
    fn a_body_ends_where_its_head_says_even_if_part_of_it_was_read_early() {
        let mut heads = Heads::default();
        heads.read(b"POST / HTTP/1.1\r\n\r\na\n\nb\n\nGET / HTTP/1.1\r\n\r\n");
        assert_eq!(heads.ends.len(), 4);
        heads.begin(Some(6));
        assert_eq!(heads.ends.len(), 1, "what follows it is a head");
        heads.begin(None);
        assert!(heads.ends.is_empty());
        // After giving up it is not known which head begins, so no length is trusted.
        heads.read(b"\n\n\n\n");
        heads.give_up();
        heads.begin(Some(1 << 40));
        heads.begin(Some(1 << 40));
        heads.begin(Some(1 << 40));
        heads.read(&HEAD.repeat(3));
        assert_eq!(heads.ends.len(), 3);
    }

    #[tokio::test]
    async fn blank_lines_in_a_body_of_unknown_length_delay_it_briefly() {
        let (mut theirs, mut ours) = pair().await;
        let body = b"\r\n\r\n".repeat(1000);
        theirs.write_all(&body).await.unwrap();
        let mut read = vec![0; body.len()];
        timeout(Duration::from_secs(20), ours.read_exact(&mut read)).await.unwrap().unwrap();
        assert_eq!(read, body);
    }

    /// A byte a second, for half a minute: how long the connection is read.
    async fn dripped(theirs: &mut TcpStream, ours: &mut Paced) -> Option<Duration> {
        let began = tokio::time::Instant::now();
        for _ in 0..30 {
            theirs.write_all(b"a").await.unwrap();
            if timeout(Duration::from_secs(1), ours.read(&mut [0])).await.is_ok_and(|read| read.is_err()) {
                return Some(began.elapsed());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        None
    }

    #[tokio::test]
    async fn what_drips_in_is_cut_off_unless_it_is_an_operators() {
        let (mut theirs, mut ours) = pair().await;
        theirs.write_all(HEAD).await.unwrap();
        ours.read_exact(&mut vec![0; HEAD.len()]).await.unwrap();
        ours.begun().count(None);
        tokio::time::pause();
        let trusted = ours.begun().trust();
        assert_eq!(dripped(&mut theirs, &mut ours).await, None);
        drop(trusted);
        let cut = dripped(&mut theirs, &mut ours).await.unwrap();
        assert!((ARRIVING_TIME..ARRIVING_TIME * 3 / 2).contains(&cut), "{cut:?}");
    }

    #[tokio::test]
    async fn a_peer_that_reads_no_answers_is_not_read_and_is_cut_off() {
        let (mut theirs, mut ours) = pair().await;
        let piece = vec![0; 1 << 16];
        let cut = async {
            loop {
                if let Err(error) = ours.write_all(&piece).await {
                    break error.kind();
                }
            }
        };
        theirs.write_all(HEAD).await.unwrap();
        assert_eq!(timeout(TAKING_TIME * 2, cut).await.unwrap(), io::ErrorKind::TimedOut);
        assert!(timeout(Duration::from_millis(50), ours.read(&mut [0; 64])).await.is_err());
    }
}
