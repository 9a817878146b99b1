//! An HR system that does not wait: every event is sent at its own time, on a free connection.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::Failed;
use crate::deliveries;

/// Threads with a connection each. As long as fewer events are unanswered, none is sent late.
const CONNECTIONS: usize = 32;
/// The seed of the run: the same seed makes the same arrivals.
const SEED: u64 = 20_261_122;
/// The time from the first thread's start to the first event.
const LEAD: Duration = Duration::from_millis(200);
/// The bench gives up if an answer takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The result of one event.
pub(crate) struct Delivered {
    /// Its person's number.
    pub(crate) n: usize,
    /// Before its first byte was written.
    pub(crate) sent: Instant,
    /// When its answer, a 200, was read completely.
    pub(crate) answered: Instant,
    /// How late it was sent.
    pub(crate) late: Duration,
}

/// An event, ready to be sent.
struct Due {
    after: Duration,
    request: Vec<u8>,
}

/// Sends this many hires, `rate` a second: the gaps are exponentially distributed, as with independent senders.
pub(crate) fn send(to: SocketAddr, events: usize, rate: f64) -> Result<Vec<Delivered>, Failed> {
    let (scheme, secret) = (deliveries::scheme()?, SecretString::from(deliveries::SECRET));
    let mut chance = fastrand::Rng::with_seed(SEED);
    let mut after = LEAD;
    let mut due = Vec::with_capacity(events);
    for n in 0..events {
        after += Duration::from_secs_f64(-(1.0 - chance.f64()).ln() / rate);
        due.push(Due { after, request: deliveries::request(&scheme, &secret, n)? });
    }
    let (next, sent) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(events)));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let one = || talk(to, began, &due, &next, &sent);
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a sender panicked")?)
    })?;
    Ok(sent.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// One connection: takes the next event, waits for its time, sends it, reads the answer.
fn talk(
    to: SocketAddr,
    began: Instant,
    due: &[Due],
    next: &AtomicUsize,
    all: &Mutex<Vec<Delivered>>,
) -> Result<(), Failed> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let Some(event) = due.get(n) else { return Ok(()) };
        let at = began + event.after;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        deliveries::exchange(&mut socket, &event.request)?;
        let answered = Instant::now();
        let one = Delivered { n, sent, answered, late: sent.saturating_duration_since(at) };
        all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }
}
