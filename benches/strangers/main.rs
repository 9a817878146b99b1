//! Whether strangers keep a genuine delivery from being answered: `cargo bench --bench strangers`, with fewer of them
//! `cargo bench --bench strangers -- 1000`, or with those that are closed returning at once `-- 10000 0`.
//!
//! The release binary in a process of its own, with default settings on the embedded store and no proxy in front. For
//! each kind of stranger, 10,000 connections from 20 addresses stay open and send no more than that kind does; those
//! that are closed reconnect after 10 s on average, or after the second argument's number of seconds. So kinds that the
//! bridge closes as soon as it has answered hold few connections. With 0 they reconnect at once, which is a flood of
//! connections instead of silence, and measures mostly the strangers' own use of the machine. Meanwhile 50 genuine
//! deliveries a second arrive for 20 s, each on a connection of its own. Measured from before the connection is opened
//! until the 200 has been read. Aims: 100 ms at the 99th percentile, none refused, and a peak of 256 MiB of resident
//! memory.
//!
//! Then 24 MB/s of requests that are refused, half of them for their signature, half for an unknown path, for 10 s.
//! Aims: 100 KB/s of log, which says how many lines it left out.
//!
//! Strangers, senders and the process share the machine, so the figures include what they cost one another. Each
//! process needs as many file descriptors as there are strangers: `ulimit -Hn`.

mod crowd;
#[path = "../deliveries/mod.rs"]
mod deliveries;
#[path = "../figures/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod figures;
mod flood;
#[path = "../process/mod.rs"]
#[expect(dead_code, reason = "shared with benches that use more of it")]
mod process;

use std::error::Error;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crowd::{Crowd, Kind};
use figures::{millis, percentile, sorted};
use process::{Serving, Start};
use rustix::process::Signal;
use scim_bridge::descriptors;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use secrecy::SecretString;

type Failed = Box<dyn Error + Send + Sync>;

const STRANGERS: usize = 10_000;
/// How long a stranger that was closed stays away, on average.
const AWAY_S: u64 = 10;
/// Genuine deliveries for each kind, and the interval between two.
const DELIVERIES: usize = 1_000;
const EVERY: Duration = Duration::from_millis(20);
/// A genuine delivery that takes longer counts as refused.
const PATIENCE: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

fn main() -> Result<(), Failed> {
    // Cargo's own arguments start with dashes.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let strangers = arguments.next().map_or(Ok(STRANGERS), |argument| argument.parse())?;
    let away = Duration::from_secs(arguments.next().map_or(Ok(AWAY_S), |argument| argument.parse())?);
    let descriptors = descriptors::raise_limit();
    if descriptors < strangers + 500 {
        return Err(format!("{strangers} strangers need more than {descriptors} file descriptors: `ulimit -Hn`").into());
    }
    let sim = PostmanSim::start(SimOptions::default())?;
    println!(
        "{strangers} strangers of each kind, away for {} s once closed; {DELIVERIES} genuine deliveries, one every {} ms",
        away.as_secs(),
        EVERY.as_millis()
    );
    println!(
        "{:<42} {:>8} {:>9} {:>9} {:>9} {:>8} {:>10} {:>10}",
        "", "open", "p50, ms", "p99, ms", "most, ms", "refused", "idle, MiB", "most, MiB"
    );
    row("nobody else", None, &sim)?;
    for kind in Kind::ALL {
        row(kind.name(), Some((kind, strangers, away)), &sim)?;
    }
    logged(&sim)
}

fn serve(folder: &tempfile::TempDir, sim: &PostmanSim, log: Stdio) -> Result<Serving, Failed> {
    let folder = folder.path();
    let url = format!("embedded:{}", folder.join("data").display());
    Serving::start_logging(&Start { role: "all", url: &url, folder, secret: deliveries::SECRET, keys: &[] }, sim, log)
}

fn row(name: &str, crowd: Option<(Kind, usize, Duration)>, sim: &PostmanSim) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let serving = serve(&folder, sim, Stdio::null())?;
    let idle = serving.memory("VmRSS")?;
    let crowd =
        crowd.map(|(kind, strangers, away)| Crowd::gather(kind, strangers, away, serving.listen)).transpose()?;
    let (times, refused) = genuine(serving.listen)?;
    let open = crowd.as_ref().map_or(0, Crowd::open);
    let most = serving.memory("VmHWM")?;
    drop(crowd);
    serving.end(Signal::TERM)?;
    let times = sorted(times.into_iter().map(millis));
    if times.is_empty() {
        println!("{name:<42} {open:>8} none of {refused} genuine deliveries was taken");
        return Ok(());
    }
    println!(
        "{name:<42} {open:>8} {:>9.1} {:>9.1} {:>9.1} {refused:>8} {:>10} {:>10}",
        percentile(&times, 50),
        percentile(&times, 99),
        times[times.len() - 1],
        idle / MIB,
        most / MIB,
    );
    Ok(())
}

/// How long each genuine delivery took that was answered 200, and how many were not.
fn genuine(to: SocketAddr) -> Result<(Vec<Duration>, usize), Failed> {
    let (scheme, secret) = (deliveries::scheme()?, SecretString::from(deliveries::SECRET));
    let began = Instant::now();
    // Enough threads for the deliveries that can be in flight if each takes the whole time.
    let mut senders = Vec::with_capacity(DELIVERIES);
    for n in 0..DELIVERIES {
        let request = deliveries::request(&scheme, &secret, n)?;
        let due = EVERY * u32::try_from(n)?;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        senders.push(std::thread::spawn(move || {
            let since = Instant::now();
            let mut socket = TcpStream::connect_timeout(&to, PATIENCE)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            deliveries::exchange(&mut socket, &request)?;
            Ok::<_, Failed>(since.elapsed())
        }));
    }
    let took = senders.into_iter().map(|sender| sender.join().map_err(|_| "a sender panicked"));
    let took = took.collect::<Result<Vec<_>, _>>()?;
    let times: Vec<_> = took.into_iter().filter_map(Result::ok).collect();
    let refused = DELIVERIES - times.len();
    Ok((times, refused))
}

fn logged(sim: &PostmanSim) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("log");
    let serving = serve(&folder, sim, File::create(&path)?.into())?;
    let before = std::fs::metadata(&path)?.len();
    let flood = flood::of_refused_requests(serving.listen)?;
    let logged = std::fs::metadata(&path)?.len() - before;
    let most = serving.memory("VmHWM")?;
    serving.end(Signal::TERM)?;
    let counted = flood::counted(&std::fs::read_to_string(&path)?);
    let seconds = flood.took.as_secs_f64();
    let per_second = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX)) / seconds;
    println!();
    println!(
        "refused requests: {:.1} MB/s, {:.0} a second, for {seconds:.0} s; {} MiB at most",
        per_second(flood.bytes) / 1e6,
        per_second(flood.answered),
        most / MIB,
    );
    println!(
        "log: {:.1} KB/s; {} lines about them, which say that {} more were left out; {} were refused",
        per_second(logged) / 1e3,
        counted.lines,
        counted.left_out,
        flood.answered,
    );
    Ok(())
}
