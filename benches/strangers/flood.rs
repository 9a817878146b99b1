//! A given number of requests that are refused, and how the log reports them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Failed;

/// Bytes of requests per second in total.
const BYTES_PER_S: u64 = 24_000_000;
const TOOK: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 16;
/// Requests that a connection sends before it reads the answers.
const TOGETHER: usize = 8;
/// The bench gives up if an answer takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was sent and answered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flood {
    pub(crate) bytes: u64,
    pub(crate) answered: u64,
    pub(crate) took: Duration,
}

/// What the log says about refused requests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogLines {
    pub(crate) lines: u64,
    pub(crate) left_out: u64,
}

/// Sends the requests on several connections.
pub(crate) fn of_refused_requests(to: SocketAddr) -> Result<Flood, Failed> {
    let began = Instant::now();
    let senders: Vec<_> = (0..CONNECTIONS).map(|n| std::thread::spawn(move || send(to, n, began))).collect();
    let mut all = Flood::default();
    for sender in senders {
        let one = sender.join().map_err(|_| "a sender panicked")??;
        all.bytes += one.bytes;
        all.answered += one.answered;
    }
    all.took = began.elapsed();
    Ok(all)
}

fn send(to: SocketAddr, n: usize, began: Instant) -> Result<Flood, Failed> {
    let requests = requests(n).repeat(TOGETHER / 2);
    let share = BYTES_PER_S / u64::try_from(CONNECTIONS)?;
    let mut socket = connect(to)?;
    let (mut sent, mut is_new) = (Flood::default(), true);
    while began.elapsed() < TOOK {
        // Not ahead of schedule.
        let due = Duration::from_millis(sent.bytes * 1_000 / share);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let answered = if socket.write_all(&requests).is_ok() { read_answers(&mut socket, TOGETHER)? } else { 0 };
        if answered == 0 && is_new {
            return Err("the intake hung up".into());
        }
        if answered > 0 {
            sent.bytes += u64::try_from(requests.len())?;
            sent.answered += u64::try_from(answered)?;
        }
        is_new = answered < TOGETHER;
        if is_new {
            // The intake closes a connection that keeps sending before it is answered.
            socket = connect(to)?;
        }
    }
    Ok(sent)
}

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// One with a wrong signature, one to an unknown source; 1 KB each.
fn requests(n: usize) -> Vec<u8> {
    let body = "x".repeat(700);
    let one = |path: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: bridge\r\ncontent-type: application/json\r\nwebhook-id: msg_{n:040}\r\n\
             webhook-timestamp: {}\r\nwebhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=\r\n\
             content-length: {}\r\n\r\n",
            now_s(),
            body.len()
        );
        format!("{head}{body}")
    };
    [one("/webhooks/hr"), one(&format!("/webhooks/nobody-{n}"))].concat().into_bytes()
}

fn now_s() -> u64 {
    u64::try_from(scim_bridge::clock::Clock::System.now().0 / 1_000).unwrap_or_default()
}

/// Reads this many complete answers, or those until the connection is closed; an error if one is a 200.
fn read_answers(socket: &mut TcpStream, answers: usize) -> Result<usize, Failed> {
    let (mut unread, mut chunk, mut read) = (Vec::new(), [0; 16 * 1024], 0);
    while read < answers {
        let bytes = match socket.read(&mut chunk) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error.into()),
        };
        if bytes == 0 {
            break;
        }
        unread.extend_from_slice(&chunk[..bytes]);
        while let Some(length) = whole(&unread)? {
            if unread.starts_with(b"HTTP/1.1 200 ") {
                return Err("a request was not refused".into());
            }
            unread.drain(..length);
            read += 1;
        }
    }
    Ok(read)
}

/// The length of the first answer, if it has arrived completely.
fn whole(bytes: &[u8]) -> Result<Option<usize>, Failed> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let length = std::str::from_utf8(&bytes[..head])?
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .ok_or("an answer without a length")?;
    let end = head + 4 + length.1.parse::<usize>()?;
    Ok((bytes.len() >= end).then_some(end))
}

/// What a JSON log says about them.
pub(crate) fn counted(log: &str) -> LogLines {
    let mut counted = LogLines::default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    for left_out in lines.filter_map(|line| line["left_out"].as_u64()) {
        counted.lines += 1;
        counted.left_out += left_out;
    }
    counted
}
