//! A bridge in a process of its own, and a sender that signs like an HR system.

use std::fmt::{Display, from_fn};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use scim_bridge::postman_sim::{PostmanSim, SimOptions};
use serde_json::{Value, json};

/// The source's secret: `whsec_` and base64, as in Standard Webhooks.
pub(crate) const SECRET: &str = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=";
pub(crate) const KEY: &str = "PMAK-the-key-of-the-tests";
/// Far above what anything here takes, even on a busy machine. Costs no time while tests pass.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
/// Every worker has noticed a hold by then: half a second is documented, and nothing outside a worker shows when.
pub(crate) const HOLD_HEARD: Duration = Duration::from_secs(1);
/// The states of people whose jobs can still end without help.
pub(crate) const MOVING: [&str; 3] = ["waiting", "running", "held"];

pub(crate) fn sim() -> PostmanSim {
    PostmanSim::start(SimOptions { key: KEY.to_owned(), writes: 0, reads: 0, ..SimOptions::default() }).unwrap()
}

/// Polls until there is a result, and returns it; panics with the latest error after [`PATIENCE`].
pub(crate) async fn eventually<T, E: Display>(mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let since = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(error) => assert!(since.elapsed() < PATIENCE, "not in time: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Polls until this holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(async || if holds().await { Ok(()) } else { Err(what) }).await;
}

/// Polls until Postman has been called.
pub(crate) async fn called(sim: &PostmanSim) {
    until("Postman is called", async || !sim.journal().is_empty()).await;
}

/// A folder with a configuration; the store in it outlives each process.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    /// The port, if the configuration fixes one.
    admin_token: Option<String>,
}

impl Home {
    /// `more` is TOML, merged with the tables that every test needs.
    pub(crate) fn new(sim: &PostmanSim, more: &str) -> Self {
        Self::at(&sim.base_url(), more)
    }

    /// With the target at this address.
    pub(crate) fn at(base_url: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config: toml::Table = toml::toml! {
            [server]
            listen = "127.0.0.1:0"
            admin_listen = "127.0.0.1:0"
            [postman]
            writes_per_minute = 0
            reads_per_minute = 0
            timeout_s = 2
            // The stand-in shows writes immediately.
            read_lag_s = 1
            [guard]
            leaves_max = 1_000_000
            address_changes_max = 1_000_000
            [worker]
            lease_s = 12
            [retry]
            first_ms = 20
            max_ms = 200
            [log]
            format = "json"
            [[source]]
            name = "hr"
        };
        let data = folder.path().join("data");
        set(&mut config, "store", "url", &format!("embedded:{}", data.display()));
        set(&mut config, "postman", "base_url", base_url);
        set(&mut config, "postman", "key", KEY);
        config["source"].as_array_mut().unwrap()[0]
            .as_table_mut()
            .unwrap()
            .insert("secrets".to_owned(), vec![toml::Value::from(SECRET)].into());
        merge(&mut config, more.parse().unwrap());
        fs::write(folder.path().join("scim-bridge.toml"), config.to_string()).unwrap();
        let admin_token = config["server"].get("admin_token").map(|token| token.as_str().unwrap().to_owned());
        Self { folder, admin_token }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("scim-bridge.toml")
    }

    /// A command of the binary, with an empty environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_scim-bridge")), arguments)
    }

    fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.env_clear().current_dir(self.path()).arg("--config").arg(self.config()).args(arguments);
        command
    }

    pub(crate) fn serve(&self) -> Bridge {
        self.started(self.command(&["serve"]))
    }

    pub(crate) fn serve_with(&self, environment: &[(&str, &str)]) -> Bridge {
        let mut command = self.command(&["serve"]);
        command.envs(environment.iter().copied());
        self.started(command)
    }

    pub(crate) fn serve_as(&self, role: &str) -> Bridge {
        self.started(self.command(&["serve", "--role", role]))
    }

    /// Starts another version's binary in this role.
    pub(crate) fn serve_version(&self, binary: &Path, role: &str) -> Bridge {
        self.started(self.command_of(binary, &["serve", "--role", role]))
    }

    /// Starts a bridge; it serves when this returns.
    pub(crate) fn started(&self, command: Command) -> Bridge {
        self.started_after(command, |_| ())
    }

    /// Starts a bridge that serves only after `done` has done something; `done` is given its log.
    pub(crate) fn started_after(&self, mut command: Command, done: impl FnOnce(&Mutex<String>)) -> Bridge {
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (addresses, serving) = std::sync::mpsc::channel();
        let kept = log.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines() {
                let Ok(line) = line else { return };
                let parsed: Value = serde_json::from_str(&line).unwrap_or_default();
                if parsed["message"] == "serving" {
                    let _ = addresses.send(parsed);
                }
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        done(&log);
        let Ok(fields) = serving.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("the bridge does not serve:\n{}", log.lock().unwrap());
        };
        let text = |key: &str| fields[key].as_str().unwrap_or_default().to_owned();
        let kept = || fs::read_to_string(self.path().join("data/admin-token")).unwrap().trim().to_owned();
        let token = self.admin_token.clone().unwrap_or_else(kept);
        Bridge { child, log, reader: Some(reader), listen: text("intake"), admin: text("admin"), token }
    }
}

fn set(config: &mut toml::Table, section: &str, key: &str, value: &str) {
    let section = config.entry(section).or_insert_with(|| toml::Table::new().into());
    section.as_table_mut().unwrap().insert(key.to_owned(), value.into());
}

fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// A running process.
pub(crate) struct Bridge {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    pub(crate) listen: String,
    pub(crate) admin: String,
    pub(crate) token: String,
}

impl Bridge {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _ = kill_process(self.pid(), signal);
    }

    /// Waits for the end; returns status and log.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the process does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }

    /// A value of the kernel's memory statistics: `VmRSS` (resident now), `VmHWM` (peak resident).
    pub(crate) fn memory_kib(&self, field: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.strip_prefix(field).is_some_and(|rest| rest.starts_with(':')));
        line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Status and body of a GET on the admin listener.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let request = http().get(format!("http://{}{path}", self.admin)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The admin API's answer to a GET.
    pub(crate) async fn api(&self, path: &str) -> Value {
        self.api_if_answered(path).await.unwrap_or_else(|| panic!("{path}: the store is away"))
    }

    /// The same; none while its store cannot be reached. Versions before 0.2 do not say whether the store could be
    /// read.
    async fn api_if_answered(&self, path: &str) -> Option<Value> {
        let request = http().get(format!("http://{}{path}", self.admin)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        if response.status() == reqwest::StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        assert!(response.status().is_success(), "{path}: {}", response.status());
        Some(serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    /// The outcome of a job that has ended.
    pub(crate) async fn outcome(&self, id: &str) -> String {
        let job = self.api(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(job["state"], "done", "{job}");
        job["outcome"].as_str().unwrap().to_owned()
    }

    /// Whether each of these jobs has ended, even if its outcome is no longer listed.
    pub(crate) async fn all_have_ended(&self, jobs: &[String]) {
        let client = http();
        for id in jobs {
            let request = client.get(format!("http://{}/api/v1/jobs/{id}", self.admin)).bearer_auth(&self.token);
            let response = request.send().await.unwrap();
            if response.status() != reqwest::StatusCode::NOT_FOUND {
                let job: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
                assert_eq!(job["state"], "done", "{job}");
            }
        }
    }

    /// How many people with open jobs are in certain states; `dead`: how many dead letters there are.
    pub(crate) async fn jobs(&self, states: &[&str]) -> u64 {
        self.jobs_if_known(states).await.expect("the store is there")
    }

    /// The same; none while its store cannot be reached. Versions before 0.2 do not say whether the store could be
    /// read.
    pub(crate) async fn jobs_if_known(&self, states: &[&str]) -> Option<u64> {
        let status = self.api_if_answered("/api/v1/status").await.filter(|status| status["readable"] != false)?;
        Some(states.iter().map(|state| status["jobs"][state].as_u64().unwrap()).sum())
    }

    /// Waits until this many people are in a state and nobody is being worked on.
    pub(crate) async fn until(&self, state: &str, people: u64) {
        self.finally(async || self.jobs(&[state]).await == people && self.jobs(&["running"]).await == 0).await;
    }

    /// Waits until nothing more can be done for anybody.
    pub(crate) async fn settled(&self) {
        self.finally(async || self.jobs(&MOVING).await == 0).await;
    }

    async fn finally(&self, mut holds: impl AsyncFnMut() -> bool) {
        eventually(async || if holds().await { Ok(()) } else { Err(from_fn(|f| f.write_str(&self.log()))) }).await;
    }

    /// Polls until the answer on the admin listener meets the condition; returns its body.
    pub(crate) async fn answers(&self, path: &str, is_so: impl Fn(u16, &str) -> bool) -> String {
        eventually(async || {
            let (status, body) = self.get(path).await;
            if is_so(status, &body) {
                return Ok(body);
            }
            Err(from_fn(move |f| write!(f, "{path}: {status} {body}\n{}", self.log())))
        })
        .await
    }

    /// The problem with this code, as soon as `status` lists it.
    pub(crate) async fn problem(&self, code: &str) -> Value {
        let find = |body: &str| {
            let status: Value = serde_json::from_str(body).ok()?;
            status["problems"].as_array()?.iter().find(|problem| problem["code"] == code).cloned()
        };
        let body = self.answers("/api/v1/status", |status, body| status == 200 && find(body).is_some()).await;
        find(&body).unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn http() -> reqwest::Client {
    scim_bridge::scim::plain_http(Duration::from_secs(10)).unwrap()
}

/// The default payload.
pub(crate) fn payload(kind: &str, employee: &str, given: &str, family: &str) -> String {
    json!({
        "type": kind,
        "data": {
            "employee_id": employee,
            "email": format!("{}@example.com", employee.to_lowercase()),
            "first_name": given,
            "last_name": family,
        }
    })
    .to_string()
}

/// The id of the only job in an answer.
pub(crate) fn job_id(answer: &Value) -> &str {
    assert_eq!(answer["jobs"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["jobs"][0].as_str().unwrap()
}

/// A signature by the `standardwebhooks` crate, and its timestamp.
pub(crate) fn signature(id: &str, body: &str) -> (String, i64) {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    (standardwebhooks::Webhook::new(SECRET).unwrap().sign(id, now, body.as_bytes()).unwrap(), now)
}

/// Signs with the `standardwebhooks` crate and posts; none if there was no answer.
pub(crate) async fn post(client: &reqwest::Client, listen: &str, id: &str, body: &str) -> Option<(u16, Value)> {
    post_with(client, listen, id, body, &[]).await
}

/// Signs and posts with additional header fields.
pub(crate) async fn post_with(
    client: &reqwest::Client,
    listen: &str,
    id: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Option<(u16, Value)> {
    let (signature, now) = signature(id, body);
    let mut request = client.post(format!("http://{listen}/webhooks/hr"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signature)
        .body(body.to_owned())
        .send()
        .await
        .ok()?;
    let status = response.status().as_u16();
    let answer = response.bytes().await.ok()?;
    Some((status, serde_json::from_slice(&answer).unwrap_or_default()))
}
