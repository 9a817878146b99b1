//! Connections that stay open and go silent; those that are closed reconnect, at once or after a while.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use super::Failed;

/// This many peers share the connections, which keeps each below its own limit.
const PEERS: usize = 20;
/// How long all of them may take to connect.
const PATIENCE: Duration = Duration::from_mins(2);
/// The pause between attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// Pipelined requests of clients that read no answers. Few: this is not a flood.
const PIPELINED: usize = 100;

/// What a stranger sends before it falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Silent,
    HalfHead,
    HalfSecondHead,
    HalfBody,
    AnsweredHalfBody,
    AnsweredHalfChunks,
    ReadsNoAnswer,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Silent,
        Self::HalfHead,
        Self::HalfSecondHead,
        Self::HalfBody,
        Self::AnsweredHalfBody,
        Self::AnsweredHalfChunks,
        Self::ReadsNoAnswer,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "not a byte",
            Self::HalfHead => "half a head",
            Self::HalfSecondHead => "half of a second head",
            Self::HalfBody => "2 KB of a body of 1 MiB",
            Self::AnsweredHalfBody => "404, and the body does not end",
            Self::AnsweredHalfChunks => "404, and the chunks do not end",
            Self::ReadsNoAnswer => "100 requests, no answer is read",
        }
    }

    async fn speak(self, socket: &mut TcpStream) -> std::io::Result<()> {
        const HALF: &[u8] = b"POST /webhooks/hr HTTP/1.1\r\nhost: b\r\nx-half: ";
        match self {
            Self::Silent => Ok(()),
            Self::HalfHead => socket.write_all(HALF).await,
            Self::HalfSecondHead => {
                socket.write_all(b"GET /livez HTTP/1.1\r\nhost: b\r\n\r\n").await?;
                let _ = socket.read(&mut [0; 1024]).await?;
                socket.write_all(HALF).await
            }
            Self::HalfBody => {
                socket
                    .write_all(b"POST /webhooks/hr HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n")
                    .await?;
                socket.write_all(&[b' '; 2048]).await
            }
            Self::AnsweredHalfBody => {
                socket.write_all(b"POST /nowhere HTTP/1.1\r\nhost: b\r\ncontent-length: 1048576\r\n\r\nhalf").await
            }
            Self::AnsweredHalfChunks => {
                let head = b"POST /nowhere HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
                socket.write_all(head).await
            }
            Self::ReadsNoAnswer => socket.write_all(&b"GET /livez HTTP/1.1\r\nhost: b\r\n\r\n".repeat(PIPELINED)).await,
        }
    }

    /// What this kind does after it has been answered.
    async fn stay(self, socket: &mut TcpStream) {
        if self == Self::ReadsNoAnswer {
            // Until the peer gives up; then a write fails.
            while socket.write_all(b" ").await.is_ok() {
                tokio::time::sleep(PAUSE).await;
            }
            return;
        }
        while socket.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

/// Strangers, until they are dropped.
pub(crate) struct Crowd {
    open: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Crowd {
    /// This many of a kind. All are connected when this returns. Those that are closed reconnect after `away` on
    /// average: at once if that is zero, otherwise each at a time of its own, so that they do not return together.
    pub(crate) fn gather(kind: Kind, strangers: usize, away: Duration, to: SocketAddr) -> Result<Self, Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (open, came) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for n in 0..strangers {
            let from = Ipv4Addr::new(127, 0, 2, u8::try_from(n % PEERS)?);
            let (open, came) = (open.clone(), came.clone());
            let away = away.mul_f64(2.0 * f64::from(u32::try_from(n)?) / f64::from(u32::try_from(strangers)?));
            runtime.spawn(async move {
                let mut is_new = true;
                loop {
                    let Ok(mut socket) = connect(kind, from, to).await else {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    open.fetch_add(1, Ordering::Relaxed);
                    if std::mem::take(&mut is_new) {
                        came.fetch_add(1, Ordering::Relaxed);
                    }
                    if kind.speak(&mut socket).await.is_ok() {
                        kind.stay(&mut socket).await;
                    }
                    drop(socket);
                    open.fetch_sub(1, Ordering::Relaxed);
                    tokio::time::sleep(away).await;
                }
            });
        }
        let since = Instant::now();
        while came.load(Ordering::Relaxed) < strangers {
            if since.elapsed() > PATIENCE {
                return Err(format!("only {} strangers could connect", came.load(Ordering::Relaxed)).into());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Self { open, _runtime: runtime })
    }

    /// How many are connected right now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

async fn connect(kind: Kind, from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if kind == Kind::ReadsNoAnswer {
        // Default buffers would hold many answers.
        socket.set_recv_buffer_size(4096)?;
    }
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}
