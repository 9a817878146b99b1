//! What an idle `serve` costs and how soon it is there: `cargo bench --bench serve`.
//!
//! The release binary in a process of its own, at its defaults, with the stand-in as Postman: resident
//! memory a second after it is ready (aim: under 30 MB), and the time from its start to the first 200
//! of `/readyz` (aim: under 200 ms). On an empty store, and on one with many jobs waiting, opened after
//! an orderly stop and after a kill.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::event::{Change, Email, Event, Names, Person, SourceName};
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::limiter::Rate;
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Dedupe, NewDelivery, NewJob, Retention, Store, StoreOptions};

type Failed = Box<dyn Error + Send + Sync>;

const STARTS: usize = 11;
const WAITING: u32 = 100_000;
/// Between two looks at `/readyz`.
const EVERY: Duration = Duration::from_millis(1);
/// How long a start may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// From ready to idle.
const REST: Duration = Duration::from_secs(1);

/// How a process is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
}

fn main() -> Result<(), Failed> {
    let sim = PostmanSim::start(SimOptions::default())?;
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_scim-bridge"))?.len();
    println!("the binary, stripped: {:.1} MB; medians of {STARTS} starts", megabytes(bytes));
    println!("{:<38} {:>10} {:>18} {:>10}", "", "ready, ms", "(least..most)", "RSS, MB");
    let empty = tempfile::tempdir()?;
    let full = tempfile::tempdir()?;
    fill(full.path())?;
    let rows = [
        ("empty store".to_owned(), empty.path(), End::Stop),
        (format!("{WAITING} jobs waiting"), full.path(), End::Stop),
        (format!("{WAITING} jobs waiting, killed before"), full.path(), End::Kill),
    ];
    for (name, folder, end) in rows {
        let mut starts = Vec::with_capacity(STARTS);
        for n in 0..=STARTS {
            let start = start(&sim, folder, end)?;
            // Before the first one, the binary may not be in memory yet, nor has anybody been killed.
            if n > 0 {
                starts.push(start);
            }
        }
        let ready = sorted(starts.iter().map(|(ready, _)| ready.as_secs_f64() * 1_000.0));
        let resident = sorted(starts.iter().map(|(_, bytes)| megabytes(*bytes)));
        let range = format!("({:.0}..{:.0})", ready[0], ready[STARTS - 1]);
        println!("{name:<38} {:>10.0} {range:>18} {:>10.1}", ready[STARTS / 2], resident[STARTS / 2]);
    }
    Ok(())
}

/// One start: the time to `/readyz`, and the resident bytes at rest.
fn start(sim: &PostmanSim, folder: &Path, end: End) -> Result<(Duration, u64), Failed> {
    let admin = free_port()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
    command
        .arg("serve")
        .env_clear()
        .env("HR_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .env("POSTMAN_SCIM_KEY", SimOptions::default().key)
        .env("SCIM_BRIDGE__POSTMAN__BASE_URL", sim.base_url())
        .env("SCIM_BRIDGE__STORE__URL", format!("embedded:{}", folder.join("data").display()))
        .env("SCIM_BRIDGE__SERVER__LISTEN", "127.0.0.1:0")
        .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", admin.to_string())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn()?;
    let measured = until_ready(&mut child, admin, began).and_then(|ready| {
        std::thread::sleep(REST);
        Ok((ready, resident_bytes(child.id())?))
    });
    let signal = match end {
        End::Stop if measured.is_ok() => Signal::TERM,
        End::Stop | End::Kill => Signal::KILL,
    };
    let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("no process id")?;
    kill_process(pid, signal)?;
    child.wait()?;
    measured
}

fn until_ready(child: &mut Child, admin: SocketAddr, began: Instant) -> Result<Duration, Failed> {
    while !is_ready(admin) {
        if let Some(status) = child.try_wait()? {
            return Err(format!("serve ended: {status}").into());
        }
        if began.elapsed() > PATIENCE {
            return Err("serve does not become ready".into());
        }
        std::thread::sleep(EVERY);
    }
    Ok(began.elapsed())
}

fn is_ready(admin: SocketAddr) -> bool {
    let ask = || {
        let mut socket = TcpStream::connect(admin)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: bridge\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 "))
}

fn resident_bytes(process: u32) -> Result<u64, Failed> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn free_port() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Hires of as many people, in the store that `serve` opens.
#[tokio::main(flavor = "current_thread")]
async fn fill(folder: &Path) -> Result<(), Failed> {
    let limit = |calls| Rate { calls, window_ms: 60_000 };
    let options = StoreOptions {
        writes: limit(180),
        reads: limit(300),
        high_water_jobs: u64::MAX,
        retention: Retention { finished_ms: u64::MAX / 4, finished_jobs_max: 100_000 },
        probe_pauses: ProbePauses { first_ms: 30_000, max_ms: 300_000 },
    };
    let store = Embedded::open(&folder.join("data"), options)?;
    let source = SourceName::parse("hr")?;
    // One delivery for each, as they would have come.
    for from in (0..WAITING).step_by(1_000) {
        let accepts = (from..from + 1_000).map(|n| {
            let dedupe = Dedupe { key: new_job_id().0.to_be_bytes(), fingerprint: [0; 16], remember_ms: 604_800_000 };
            let (source, store) = (source.clone(), &store);
            async move {
                let delivery = NewDelivery { jobs: vec![hire(&source, n)?], source, dedupe, unmapped: Vec::new() };
                store.accept(Clock::System.now(), delivery).await?;
                Ok::<_, Failed>(())
            }
        });
        futures_util::future::try_join_all(accepts).await?;
    }
    store.close().await;
    Ok(())
}

fn hire(source: &SourceName, n: u32) -> Result<NewJob, Failed> {
    let event = Event {
        person: Person::parse(source.clone(), &format!("E-{n}"))?,
        change: Change::Hire {
            email: Email::parse(&format!("person{n}@example.com"))?,
            names: Names::parse(Some("Ada"), Some("Lovelace"))?,
        },
        locale: None,
        occurred_at: None,
    };
    Ok(NewJob { id: new_job_id(), event })
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) * 1024.0 / 1_000_000.0
}
