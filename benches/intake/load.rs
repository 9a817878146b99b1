//! A load generator with little overhead: one thread, keep-alive connections, requests signed in advance, and only
//! status and length of an answer are read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use scim_bridge::core::signature::Scheme;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deliveries::{self, BODY_BYTES};
use crate::{Failed, cpu};

/// The number of connections, each with one request in flight.
pub(crate) const CONNECTIONS: usize = 32;
/// How many requests each connection sends in a round.
pub(crate) const REQUESTS_EACH: usize = 750;

/// The result of a round.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Per request, of the whole process except for the generator.
    pub(crate) cpu: Duration,
    /// Per request, of the generator.
    pub(crate) generator_cpu: Duration,
    /// Per request, of the store's server. The caller fills it in; none if there is no such server.
    pub(crate) server_cpu: Option<Duration>,
}

/// The requests of one connection, in order.
struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Sends a round of hires to `address`, each with an id and a person of its own. They are numbered from `first`.
pub(crate) fn round(
    address: SocketAddr,
    scheme: &Scheme,
    secret: &SecretString,
    first: usize,
) -> Result<Round, Failed> {
    let batches = (0..CONNECTIONS)
        .map(|connection| Requests::signed(scheme, secret, first + connection * REQUESTS_EACH))
        .collect::<Result<Vec<_>, Failed>>()?;
    let generator = std::thread::Builder::new().name("generator".to_owned());
    let thread = generator.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(run(address, batches))
    })?;
    thread.join().map_err(|_| "the generator panicked")?
}

async fn run(address: SocketAddr, batches: Vec<Requests>) -> Result<Round, Failed> {
    let mut connections = Vec::with_capacity(batches.len());
    for batch in batches {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        connections.push((socket, batch));
    }
    let requests = connections.len() * REQUESTS_EACH;
    let (process, generator) = (cpu::of_process(), cpu::of_thread());
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (socket, batch) in connections {
        tasks.spawn(talk(socket, batch));
    }
    let mut latencies = Vec::with_capacity(requests);
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    let seconds = began.elapsed().as_secs_f64();
    let generator = cpu::of_thread().saturating_sub(generator);
    let spent = cpu::of_process().saturating_sub(process).saturating_sub(generator);
    latencies.sort_unstable();
    let requests = u32::try_from(requests)?;
    Ok(Round {
        per_second: f64::from(requests) / seconds,
        latencies,
        cpu: spent / requests,
        generator_cpu: generator / requests,
        server_cpu: None,
    })
}

/// Sends one connection's requests, one after the other; returns how long each took.
async fn talk(mut socket: TcpStream, batch: Requests) -> Result<Vec<Duration>, Failed> {
    let mut latencies = Vec::with_capacity(batch.ends.len());
    let mut answer = [0; 4096];
    let mut from = 0;
    for to in batch.ends {
        let began = Instant::now();
        socket.write_all(&batch.bytes[from..to]).await?;
        let mut read = 0;
        while !deliveries::is_whole(&answer[..read])? {
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

impl Requests {
    fn signed(scheme: &Scheme, secret: &SecretString, first: usize) -> Result<Self, Failed> {
        let mut batch = Self { bytes: Vec::with_capacity(REQUESTS_EACH * (BODY_BYTES + 400)), ends: Vec::new() };
        for n in first..first + REQUESTS_EACH {
            batch.bytes.extend(deliveries::request(scheme, secret, n)?);
            batch.ends.push(batch.bytes.len());
        }
        Ok(batch)
    }
}
