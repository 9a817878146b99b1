//! The public listener over real sockets, on the embedded store.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod abuse;
mod bad_input;
mod deliveries;
mod hang_ups;
mod requests;
mod tallies;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use scim_bridge::clock::Clock;
use scim_bridge::config::SourceSecret;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::Mapping;
use scim_bridge::core::person::SourceName;
use scim_bridge::core::signature::{Scheme, ToSign, sign};
use scim_bridge::core::tally::{DOCUMENT, Ledger, SourceTally};
use scim_bridge::core::time::UnixMs;
use scim_bridge::intake::{Intake, IntakeOptions, Services, Source};
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::embedded::Embedded;
use scim_bridge::store::{Bounds, Store, StoreOptions};
use scim_bridge::telemetry::activity::ActivityLog;
use scim_bridge::telemetry::metrics::Metrics;
use scim_bridge::telemetry::traces::Traces;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: UnixMs = UnixMs(1_795_000_000_000);
const BODY_BYTES_MAX: usize = 64 * 1024;
const HIGH_WATER_JOBS: u64 = 200;
const DEAD_LETTERS_MAX: u64 = 100;
const CONNECTIONS_PER_PEER: usize = 40;

/// A running intake with a source name of its own, so that its metrics are separate.
struct Bridge {
    address: SocketAddr,
    source: String,
    scheme: Scheme,
    secret: LiveSecret,
    store: Arc<Embedded>,
    clock: Clock,
    lifecycle: Lifecycle,
    activity: ActivityLog,
    metrics: Metrics,
    runtime: tokio::runtime::Runtime,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    fn word(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("{}", self.body)).to_owned()
    }

    fn jobs(&self) -> Vec<String> {
        self.json()["jobs"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (other, value) = line.split_once(": ")?;
            other.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

type Headers = Vec<(String, String)>;

impl Bridge {
    fn start() -> Self {
        let scheme = preset_scheme();
        Self::with(scheme, SECRET)
    }

    fn with(scheme: Scheme, secret: &str) -> Self {
        Self::mapped(scheme, secret, Mapping::default())
    }

    fn mapped(scheme: Scheme, secret: &str, mapping: Mapping) -> Self {
        Self::set(scheme, secret, mapping, &[])
    }

    /// Its source may only post from these networks.
    fn open_to(networks: &[&str]) -> Self {
        Self::set(preset_scheme(), SECRET, Mapping::default(), networks)
    }

    fn set(scheme: Scheme, secret: &str, mapping: Mapping, allow_from: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let source = format!("src{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let metrics = Metrics::install().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            writes: Rate { calls: 180, window_ms: 60_000 },
            reads: Rate { calls: 300, window_ms: 60_000 },
            // One source may use half of it.
            bounds: Bounds {
                entries_max: 2 * HIGH_WATER_JOBS,
                dead_letters_max: 2 * DEAD_LETTERS_MAX,
                dead_bytes_max: 1 << 30,
                story_entries_max: 10,
                story_keep_ms: 1000,
            },
        };
        let store = Arc::new(Embedded::open(folder.path(), options).unwrap());
        let (clock, lifecycle, activity) = (Clock::manual(NOW), Lifecycle::new(), ActivityLog::default());
        let secret = LiveSecret::new(SecretString::from(secret));
        let intake = Intake::bind(
            IntakeOptions {
                listen: "127.0.0.1:0".to_owned(),
                body_bytes_max: BODY_BYTES_MAX,
                bodies_bytes_max: 4 * BODY_BYTES_MAX,
                body_timeout_ms: 300,
                head_timeout_ms: 500,
                connections_per_peer: CONNECTIONS_PER_PEER,
                workers: Some(1),
                shutdown_grace_s: 1,
                ..IntakeOptions::default()
            },
            vec![Source {
                name: SourceName::parse(&source).unwrap(),
                scheme: scheme.clone(),
                secrets: vec![SourceSecret { secret: secret.clone(), not_after: None }],
                mapping,
                remember_ms: 7 * 24 * 3_600_000,
                content_types: vec!["application/json".to_owned()],
                body_bytes_max: None,
                allow_from: allow_from.iter().map(|network| network.parse().unwrap()).collect(),
            }],
            Services {
                activity: activity.clone(),
                store: store.clone(),
                clock: clock.clone(),
                lifecycle: lifecycle.clone(),
                traces: Traces::default(),
            },
        )
        .unwrap();
        let (address, stop) = (intake.address(), CancellationToken::new());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || actix_web::rt::System::new().block_on(intake.serve(stopped)).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            address,
            source,
            scheme,
            secret,
            store,
            clock,
            lifecycle,
            activity,
            metrics,
            runtime,
            stop,
            thread: Some(thread),
            folder,
        }
    }

    fn path(&self) -> String {
        format!("/webhooks/{}", self.source)
    }

    /// The headers that the source would send with this body.
    fn signed(&self, id: &str, body: &str) -> Headers {
        let path = self.path();
        let what = ToSign { method: "POST", url: &path, body: body.as_bytes(), id, at: self.clock.now() };
        let mut headers = sign(&self.scheme, &SecretString::from(SECRET), &what).unwrap();
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
        headers
    }

    fn post(&self, id: &str, body: &str) -> Reply {
        self.request("POST", &self.path(), &self.signed(id, body), body.as_bytes())
    }

    fn request(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Reply {
        let mut socket = self.connect();
        socket.write_all(&message(method, path, headers, body)).unwrap();
        reply(&mut socket)
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// The number of deliveries with this result.
    fn counted(&self, result: &str) -> u64 {
        self.count_of("scim_bridge_deliveries_total", &[("source", &self.source), ("result", result)])
    }

    fn refused(&self, reason: &str) -> u64 {
        self.count_of("scim_bridge_signature_failures_total", &[("source", &self.source), ("reason", reason)])
    }

    fn count_of(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| {
            line.starts_with(&format!("{name}{{"))
                && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        });
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// The number of waiting events, or of dead letters.
    fn jobs(&self, state: &str) -> u64 {
        let stats = self.runtime.block_on(self.store.stats()).unwrap();
        let counts = if state == "dead" { stats.dead } else { stats.entries };
        counts.values().sum()
    }

    /// The source's tally, once the intake has written it.
    fn seen(&self, is_there: impl Fn(&SourceTally) -> bool) -> SourceTally {
        self.seen_of(&self.source, is_there)
    }

    /// Stops it, as if the process ended.
    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }

    /// Waits for this in what was counted of deliveries to this name.
    fn seen_of(&self, source: &str, is_there: impl Fn(&SourceTally) -> bool) -> SourceTally {
        let mut seen = SourceTally::default();
        eventually("it is listed", || {
            let stored = self.runtime.block_on(self.store.shared(DOCUMENT)).unwrap();
            seen = Ledger::from_bytes(&stored.bytes).by_source().remove(source).unwrap_or_default();
            is_there(&seen)
        });
        seen
    }

    /// Checks that a good delivery is still accepted, and that nothing else was added to the store.
    fn undisturbed(&self, waiting_before: u64, dead_before: u64) {
        assert_eq!((self.jobs("waiting"), self.jobs("dead")), (waiting_before, dead_before));
        let reply = self.post("msg_good_after_bad", &hire("E-good", "good@example.com"));
        assert_eq!((reply.status, reply.word("status").as_str()), (200, "accepted"));
        assert_eq!((self.jobs("waiting"), self.jobs("dead")), (waiting_before + 1, dead_before));
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.end();
    }
}

fn preset_scheme() -> Scheme {
    #[derive(serde::Deserialize)]
    struct Preset {
        signature: Scheme,
    }
    let text = include_str!("../../config/presets/standard-webhooks.toml");
    toml::from_str::<Preset>(text).unwrap().signature
}

fn hire(employee_id: &str, email: &str) -> String {
    serde_json::json!({
        "type": "employee.hired",
        "timestamp": "2026-11-22T10:00:00Z",
        "data": { "employee_id": employee_id, "email": email, "first_name": "Ada", "last_name": "Lovelace" },
    })
    .to_string()
}

fn message(method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bridge\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text += "\r\n";
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads one final response, skipping interim ones.
fn reply(socket: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.push(byte[0]);
        if !bytes.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            continue;
        }
        let mut reply = Reply { status, head, body: String::new() };
        let length: usize = reply.header("content-length").unwrap_or("0").parse().unwrap();
        let mut body = vec![0; length];
        socket.read_exact(&mut body).unwrap();
        reply.body = String::from_utf8(body).unwrap();
        return reply;
    }
}

/// Polls until the condition holds.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(10), "not in time: {what}");
        std::thread::yield_now();
    }
}
