//! A load generator that costs little: one thread, keep-alive connections, requests signed beforehand,
//! and of an answer only its status and its length are read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use scim_bridge::clock::Clock;
use scim_bridge::core::signature::{Scheme, ToSign, sign};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failed;
use crate::cpu;

/// Connections, each with one request under way.
pub(crate) const CONNECTIONS: usize = 32;
/// What each connection sends in a round.
pub(crate) const REQUESTS_EACH: usize = 750;
pub(crate) const PATH: &str = "/webhooks/hr";
const BODY_BYTES: usize = 1024;

/// What a round came to.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Of the whole process but the generator, for each request.
    pub(crate) cpu: Duration,
}

/// All requests of one connection, one after the other.
struct Script {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Sends a round of hires to `address`: each an id and a person of its own. They are numbered from
/// `first`.
pub(crate) fn round(
    address: SocketAddr,
    scheme: &Scheme,
    secret: &SecretString,
    first: usize,
) -> Result<Round, Failed> {
    let scripts = (0..CONNECTIONS)
        .map(|connection| Script::signed(scheme, secret, first + connection * REQUESTS_EACH))
        .collect::<Result<Vec<_>, Failed>>()?;
    let generator = std::thread::Builder::new().name("generator".to_owned());
    let thread = generator.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(run(address, scripts))
    })?;
    thread.join().map_err(|_| "the generator panicked")?
}

async fn run(address: SocketAddr, scripts: Vec<Script>) -> Result<Round, Failed> {
    let mut connections = Vec::with_capacity(scripts.len());
    for script in scripts {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        connections.push((socket, script));
    }
    let requests = connections.len() * REQUESTS_EACH;
    let (process, generator) = (cpu::of_process(), cpu::of_thread());
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (socket, script) in connections {
        tasks.spawn(talk(socket, script));
    }
    let mut latencies = Vec::with_capacity(requests);
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    let seconds = began.elapsed().as_secs_f64();
    let spent = cpu::of_process().saturating_sub(process).saturating_sub(cpu::of_thread().saturating_sub(generator));
    latencies.sort_unstable();
    let requests = u32::try_from(requests)?;
    Ok(Round { per_second: f64::from(requests) / seconds, latencies, cpu: spent / requests })
}

/// One connection's requests, one after the other; how long each took.
async fn talk(mut socket: TcpStream, script: Script) -> Result<Vec<Duration>, Failed> {
    let mut latencies = Vec::with_capacity(script.ends.len());
    let mut answer = [0; 4096];
    let mut from = 0;
    for to in script.ends {
        let began = Instant::now();
        socket.write_all(&script.bytes[from..to]).await?;
        let mut read = 0;
        while !is_whole(&answer[..read])? {
            match socket.read(&mut answer[read..]).await? {
                0 => return Err("the server hung up".into()),
                bytes => read += bytes,
            }
        }
        latencies.push(began.elapsed());
        from = to;
    }
    Ok(latencies)
}

/// Whether an answer has arrived as a whole; refused where it is not a 200.
fn is_whole(answer: &[u8]) -> Result<bool, Failed> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!("answered {}", String::from_utf8_lossy(answer)).into());
    }
    let length = std::str::from_utf8(&answer[..head])?
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .ok_or("an answer without a length")?;
    Ok(answer.len() >= head + 4 + length.1.parse::<usize>()?)
}

impl Script {
    fn signed(scheme: &Scheme, secret: &SecretString, first: usize) -> Result<Self, Failed> {
        let mut script = Self { bytes: Vec::with_capacity(REQUESTS_EACH * (BODY_BYTES + 400)), ends: Vec::new() };
        for n in first..first + REQUESTS_EACH {
            let body = body(n);
            let id = format!("msg_{n:024}");
            let what = ToSign { method: "POST", url: PATH, body: body.as_bytes(), id: &id, at: Clock::System.now() };
            let mut head = format!(
                "POST {PATH} HTTP/1.1\r\nhost: bridge\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in sign(scheme, secret, &what)? {
                head.extend([&name, ": ", &value, "\r\n"]);
            }
            head.push_str("\r\n");
            script.bytes.extend_from_slice(head.as_bytes());
            script.bytes.extend_from_slice(body.as_bytes());
            script.ends.push(script.bytes.len());
        }
        Ok(script)
    }
}

/// A hire in the default payload, with as much beside it that nobody reads as makes it 1 KB.
fn body(n: usize) -> String {
    let with = |note: &str| {
        serde_json::json!({
            "type": "employee.hired",
            "timestamp": "2026-11-22T10:00:00Z",
            "data": {
                "employee_id": format!("E-{n:08}"),
                "email": format!("person{n:08}@example.com"),
                "first_name": "Ada",
                "last_name": "Lovelace",
                "note": note,
            },
        })
        .to_string()
    };
    let bare = with("").len();
    with(&"x".repeat(BODY_BYTES.saturating_sub(bare)))
}
