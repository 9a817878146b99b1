//! The demo's stage: a folder of its own, the stand-in, a bridge that really serves.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::task::JoinHandle;

use super::super::api::Api;
use super::super::failure::Failure;
use crate::admin::api::shapes::{PersonBody, StatusBody};
use crate::app::{Bridge, Role};
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::core::signature::{Scheme, ToSign, sign};
use crate::lifecycle::Lifecycle;
use crate::postman_sim::{Fault, Person, PostmanSim, SimOptions, Standing};
use crate::scim;
use crate::supervision;
use crate::telemetry::logs::{self, Format, LogGuard, LogOptions};

/// Signs the demo's webhooks; shown on purpose, so that `--keep` can be played with.
const SECRET: &str = "whsec_c2NpbS1icmlkZ2UgZGVtbyBzZWNyZXQgMjAyNg==";
/// What a forger might guess.
const WRONG_SECRET: &str = "whsec_bm90IHRoZSBzZWNyZXQgdGhhdCB3YXMgYWdyZWVk";
/// Fails twice before it succeeds.
pub(super) const UNLUCKY: &str = "linus@example.com";
/// A member of another team: Postman refuses for good.
pub(super) const ELSEWHERE: &str = "margaret@example.com";
/// In the team before the demo begins, under another name and in other letters.
pub(super) const BEFORE: (&str, &str, &str) = ("Katherine@Example.com", "Katherine", "Coleman");

const TIMEOUT: Duration = Duration::from_secs(10);

/// How a delivery is signed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signing {
    /// As the source does.
    Right,
    /// With another secret.
    Forged,
}

/// A delivery of the play.
pub(super) struct Delivery {
    pub(super) what: &'static str,
    pub(super) id: &'static str,
    pub(super) payload: serde_json::Value,
    pub(super) signing: Signing,
    /// The status and a word of the answer that must come.
    pub(super) expect: (u16, &'static str),
}

/// The stage, set.
pub(super) struct Stage {
    sim: PostmanSim,
    scheme: Scheme,
    http: reqwest::Client,
    api: Api,
    life: Lifecycle,
    bridge: JoinHandle<std::io::Result<()>>,
    webhook_url: String,
    admin_url: String,
    admin_token: String,
    folder: PathBuf,
}

/// Shows the bridge's log on standard error, until the guard is dropped.
pub(super) fn show_log() -> Result<LogGuard, Failure> {
    let options = LogOptions { format: Format::Human, filter: "info".to_owned() };
    logs::init(&options).map_err(|error| Failure::failed(error.to_string()))
}

/// An answer without the job ids, for a line on the screen.
pub(super) fn short(answer: &str) -> String {
    let told: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let word = ["error", "status"].iter().find_map(|key| told.get(key)?.as_str());
    word.unwrap_or(answer).to_owned()
}

impl Stage {
    /// Starts everything on free ports.
    pub(super) async fn set() -> Result<Self, Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| Failure::failed(format!("{what}: {error}"));
        let folder = std::env::temp_dir().join(format!("scim-bridge-demo-{}", clock::new_name()));
        fs::create_dir_all(&folder).map_err(|error| failed("the demo's folder", &error))?;
        let sim = PostmanSim::start(SimOptions::default()).map_err(|error| failed("the stand-in", &error))?;
        sim.add_member(Person::standing(ELSEWHERE, Standing::OtherTeam));
        sim.add_member(Person::member(BEFORE.0, BEFORE.1, BEFORE.2));
        let unlucky: Fault =
            "create:create-failed:2".parse().map_err(|error| failed("the stand-in's fault", &error))?;
        sim.inject(unlucky.about(UNLUCKY)).map_err(|error| failed("the stand-in's fault", &error))?;

        let file = folder.join("scim-bridge.toml");
        let any_port = "127.0.0.1:0".to_owned();
        let write = |listen: &str, admin_listen: &str| {
            fs::write(&file, config(&folder, &sim.base_url(), listen, admin_listen))
                .map_err(|error| failed("the demo's configuration", &error))
        };
        write(&any_port, &any_port)?;
        let config = Config::load(Some(&file), std::iter::empty())?;
        let scheme = config.sources[0].signature.clone();
        let life = Lifecycle::new();
        supervision::listen_for_signals(&life).map_err(|error| failed("signals", &error))?;
        let bridge = Bridge::build(config, Role::All, life.clone())
            .await
            .map_err(|error| Failure::advise(error.to_string(), error.action()))?;
        let listen = bridge.intake_address().map(|address| address.to_string()).unwrap_or_default();
        let admin = bridge.admin_address();
        // With the ports that were taken, so that the other commands find this bridge.
        write(&listen, &admin.to_string())?;
        let token = (*bridge.admin_token().current()).clone();
        let admin_token = token.expose_secret().to_owned();
        Ok(Self {
            sim,
            scheme,
            http: scim::plain_http(TIMEOUT).map_err(|error| failed("the HTTP client", &error))?,
            api: Api::at(admin, Some(token), None)?,
            life,
            bridge: tokio::spawn(bridge.run()),
            webhook_url: format!("http://{listen}/webhooks/hr"),
            admin_url: format!("http://{admin}"),
            admin_token,
            folder,
        })
    }

    pub(super) fn webhook_url(&self) -> &str {
        &self.webhook_url
    }

    pub(super) fn postman_url(&self) -> String {
        self.sim.base_url()
    }

    /// Signs and posts; returns status and body.
    pub(super) async fn send(&self, delivery: &Delivery) -> Result<(u16, String), Failure> {
        let at = Clock::System.now();
        let body = delivery.payload.to_string();
        let secret = SecretString::from(match delivery.signing {
            Signing::Right => SECRET,
            Signing::Forged => WRONG_SECRET,
        });
        let what = ToSign { method: "POST", url: "/webhooks/hr", body: body.as_bytes(), id: delivery.id, at };
        let headers = sign(&self.scheme, &secret, &what).map_err(|error| Failure::failed(error.to_string()))?;
        let mut request = self.http.post(&self.webhook_url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| Failure::failed(format!("the bridge does not answer: {error}"));
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(failed)?))
    }

    /// How many jobs are in each state.
    pub(super) async fn jobs(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let status = self.api.get::<StatusBody>("/api/v1/status").await?;
        match status.problems.first() {
            // Without its store the bridge counts none.
            Some(problem) if !status.readable => {
                Err(Failure::advise(format!("{}: {}", problem.code, problem.what), &problem.action))
            }
            Some(_) | None => Ok(status.jobs),
        }
    }

    /// What the bridge knows of a person; none where it knows nothing.
    pub(super) async fn person(&self, employee_id: &str) -> Result<Option<PersonBody>, Failure> {
        let path = format!("/api/v1/person?source=hr&employee_id={}", Api::escaped(employee_id));
        self.api.get_if_there(&path).await
    }

    /// The state of the member with one of these addresses, ignoring case; of all of them, if there are several.
    pub(super) fn member(&self, emails: &[&str]) -> Option<String> {
        let members = self.sim.members();
        let shown: Vec<String> = members
            .iter()
            .filter(|member| emails.contains(&member.user_name.to_lowercase().as_str()))
            .map(|member| {
                let off = if member.active { "" } else { " (switched off)" };
                format!("{} {}{off}", member.name.given_name, member.name.family_name)
            })
            .collect();
        if shown.is_empty() { None } else { Some(shown.join(" and ")) }
    }

    /// How many calls were made, and how many of them were over a limit.
    pub(super) fn calls(&self) -> (u64, u64) {
        let stats = self.sim.stats();
        (stats.calls, stats.write_violations + stats.read_violations)
    }

    /// What can be done with a demo that was kept.
    pub(super) fn print_how_to_play(&self) {
        let config = self.folder.join("scim-bridge.toml");
        let sample = self.folder.join("hire.json");
        let hire = json!({
            "type": "employee.hired",
            "timestamp": "2026-11-22T11:00:00Z",
            "data": { "employee_id": "E-2001", "email": "jane@example.com", "first_name": "Jane", "last_name": "Doe" }
        });
        // If the file cannot be written, sending it will say so.
        let _ = fs::write(&sample, hire.to_string());
        let bridge = format!("scim-bridge --config {}", config.display());
        say!("\nIt goes on running: Ctrl-C ends it. To play with it, in another terminal:");
        say!("  {bridge} send --source hr --file {}", sample.display());
        say!("  {bridge} person hr/E-2001");
        say!("  {bridge} status");
        say!("  {bridge} dead list");
        say!("  curl -H 'Authorization: Bearer {}' {}/api/v1/status", self.admin_token, self.admin_url);
        say!("  curl {}/journal        # what Postman was asked", self.sim.control_url());
        say!("webhooks: {}   (secret {SECRET})", self.webhook_url);
        say!("console:  {}/   (token {})", self.admin_url, self.admin_token);
        say!("metrics:  {}/metrics", self.admin_url);
        say!("(`cargo run --release --` stands for `scim-bridge` in a checkout)");
    }

    /// Waits for a signal.
    pub(super) async fn wait_for_signal(&self) -> Result<(), Failure> {
        self.life.stopping().await;
        Ok(())
    }

    /// Stops everything and removes the folder.
    pub(super) async fn clear(self) -> Result<(), Failure> {
        self.life.stop();
        let ended = self.bridge.await;
        self.sim.stop();
        // If that fails, no harm is done: it is in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::failed(format!("the bridge: {error}"))),
            Err(error) => Err(Failure::failed(format!("the bridge: {error}"))),
        }
    }
}

fn config(folder: &std::path::Path, base_url: &str, listen: &str, admin_listen: &str) -> String {
    let store = format!("embedded:{}", folder.join("data").display());
    let text = |text: &str| toml::Value::from(text).to_string();
    format!(
        "[server]\nlisten = {}\nadmin_listen = {}\n\n[store]\nurl = {}\n\n\
         [postman]\nbase_url = {}\nkey = \"sim-key\"\n\n\
         # Short, so that the demo is.\n[retry]\nfirst_ms = 400\n\n\
         [[source]]\nname = \"hr\"\nsecrets = [{}]\n",
        text(listen),
        text(admin_listen),
        text(&store),
        text(base_url),
        text(SECRET),
    )
}
