//! The release binary in a process of its own, with the stand-in as Postman.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use scim_bridge::postman_sim::{PostmanSim, SimOptions};

type Failed = Box<dyn Error + Send + Sync>;

/// The interval between polls of `/readyz`.
const EVERY: Duration = Duration::from_millis(1);
/// The bench gives up if a start takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to start: `serve`, with default settings except for these.
pub(crate) struct Start<'a> {
    pub(crate) role: &'a str,
    /// The store's `[store] url`.
    pub(crate) url: &'a str,
    /// The working directory.
    pub(crate) folder: &'a Path,
    /// The source's secret.
    pub(crate) secret: &'a str,
    /// More configuration keys, as environment variables without `SCIM_BRIDGE__`.
    pub(crate) keys: &'a [(&'a str, &'a str)],
}

/// A process that serves until it is ended or dropped.
pub(crate) struct Serving {
    child: Child,
    /// The address for webhooks, if it accepts them.
    pub(crate) listen: SocketAddr,
    /// The address of console and API.
    pub(crate) admin: SocketAddr,
    /// From its start to the first 200 of `/readyz`.
    pub(crate) took: Duration,
}

impl Serving {
    /// Starts it with this stand-in as Postman. It is ready when this returns.
    pub(crate) fn start(start: &Start<'_>, sim: &PostmanSim) -> Result<Self, Failed> {
        Self::start_logging(start, sim, Stdio::null())
    }

    /// Starts it with its log in this file, as JSON.
    pub(crate) fn start_logging(start: &Start<'_>, sim: &PostmanSim, log: Stdio) -> Result<Self, Failed> {
        let (listen, admin) = (free_port()?, free_port()?);
        let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
        command
            .args(["serve", "--role", start.role])
            .env_clear()
            .env("HR_SECRET", start.secret)
            .env("POSTMAN_SCIM_KEY", SimOptions::default().key)
            .env("SCIM_BRIDGE__POSTMAN__BASE_URL", sim.base_url())
            .env("SCIM_BRIDGE__STORE__URL", start.url)
            .env("SCIM_BRIDGE__SERVER__LISTEN", listen.to_string())
            .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", admin.to_string())
            .envs(start.keys.iter().map(|(key, value)| (format!("SCIM_BRIDGE__{key}"), value)))
            .current_dir(start.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let began = Instant::now();
        let mut serving = Self { child: command.spawn()?, listen, admin, took: Duration::ZERO };
        while !is_ready(admin) {
            if let Some(status) = serving.child.try_wait()? {
                return Err(format!("serve ended: {status}").into());
            }
            if began.elapsed() > PATIENCE {
                return Err("serve does not become ready".into());
            }
            std::thread::sleep(EVERY);
        }
        serving.took = began.elapsed();
        Ok(serving)
    }

    /// A value of the kernel's memory statistics in bytes: `VmRSS` (resident now), `VmHWM` (peak resident).
    pub(crate) fn memory(&self, field: &str) -> Result<u64, Failed> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kilobytes = value.ok_or_else(|| format!("no {field}"))?.trim().trim_end_matches(" kB");
        Ok(kilobytes.parse::<u64>()? * 1024)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failed> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Ends it with this signal, and waits until it has ended.
    pub(crate) fn end(mut self, signal: Signal) -> Result<(), Failed> {
        self.signal(signal)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Usually it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

fn free_port() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
