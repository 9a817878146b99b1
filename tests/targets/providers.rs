//! Providers, each on a port of its own; they end with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::http;
use crate::servers::{Watcher, free_port};

const TOKEN: &str = "the-token-of-the-tests";
/// Where `script/setup` installs them.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/scim-providers");
const HOSTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/targets/hosts");

/// Which provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    /// `PyPI`'s scim2-server: PATCH (answered 204), filters, versions.
    Scim2Server,
    /// npm's SCIMMY: PATCH and filters.
    Scimmy,
    /// `PyPI`'s django-scim2: partial PATCH, does not advertise filters.
    Django,
    /// Go's elimity-com/scim: filters, no PATCH, strict schemas.
    Elimity,
}

/// A provider that runs until it is dropped.
pub(crate) struct Provider {
    base_url: String,
    child: Child,
    folder: TempDir,
    watcher: Option<Watcher>,
}

impl Provider {
    pub(crate) async fn start(make: Make) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = command(make, port, folder.path());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let child = child.expect("no provider: script/setup installs it");
        let path = if make == Make::Scim2Server { "/v2" } else { "/scim/v2" };
        let watcher = Some(Watcher::over(&child, folder.path()));
        let provider = Self { base_url: format!("http://127.0.0.1:{port}{path}"), child, folder, watcher };
        let deadline = std::time::Instant::now() + crate::process::PATIENCE;
        while provider.try_ask("GET", "/Users", None).await.is_none() {
            assert!(std::time::Instant::now() < deadline, "it does not answer: {}", provider.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        provider
    }

    /// A bridge's configuration for it.
    pub(crate) fn config() -> String {
        format!("[target]\nkind = 'generic-scim'\nname = 'the provider'\n[postman]\nkey = '{TOKEN}'\n")
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The reply to one of the test's own requests.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.try_ask(method, path, body).await.unwrap_or_else(|| panic!("{method} {path}: {}", self.log()))
    }

    async fn try_ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let mut request = http()
            .request(method.parse().unwrap(), format!("{}{path}", self.base_url))
            .header("content-type", "application/scim+json")
            .bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.ok().filter(|response| response.status().is_success())?;
        serde_json::from_slice(&response.bytes().await.ok()?).ok()
    }

    /// All users.
    pub(crate) async fn users(&self) -> Vec<Value> {
        let list = self.ask("GET", "/Users", None).await;
        list["Resources"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.watcher.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(make: Make, port: u16, folder: &Path) -> Command {
    let installed = |path: &str| PathBuf::from(INSTALLED).join(path);
    let port = port.to_string();
    let mut command;
    match make {
        Make::Scim2Server => {
            command = Command::new(installed("python/bin/scim2-server"));
            command.args(["--hostname", "127.0.0.1", "--port", &port, "--bearer-token", TOKEN]);
        }
        Make::Scimmy => {
            command = Command::new("node");
            command.arg(installed("node/scimmy.mjs")).args([&port, TOKEN]);
        }
        Make::Django => {
            command = Command::new(installed("python/bin/python"));
            command.env("PYTHONPATH", HOSTS).env("PYTHONDONTWRITEBYTECODE", "1");
            command.arg(Path::new(HOSTS).join("django_host.py")).args([&port, TOKEN]).arg(folder);
        }
        Make::Elimity => {
            command = Command::new(installed("elimity"));
            command.args([&port, TOKEN]);
        }
    }
    command
}
