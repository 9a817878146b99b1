//! `init`: writes a configuration that passes `check` and works with `serve`, for every preset.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use scim_bridge::config::presets;
use scim_bridge::postman_sim::PostmanSim;

use crate::process::{Home, KEY, http, sim};
use crate::redis_server::RedisServer;

/// Valid for every scheme: base64 with the prefix `whsec_`, and long enough for an admin token, too.
const ANY_SECRET: &str = "whsec_YSBzZWNyZXQgb2YgMTYgYnl0ZXMgb3IgbW9yZQ==";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn command(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
    command.env_clear().current_dir(place).stdin(Stdio::null()).args(arguments);
    command
}

/// The environment variables that a configuration names, each with a secret.
fn environment(config: &str) -> Vec<(String, &'static str)> {
    let names = config.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split("env = \"").skip(1));
    let names = names.map(|rest| rest.split('"').next().unwrap().to_owned());
    names.map(|name| if name == "POSTMAN_SCIM_KEY" { (name, KEY) } else { (name, ANY_SECRET) }).collect()
}

fn init(place: &Path, sim: &PostmanSim, preset: &str, store: &str, file: &str) -> Output {
    let target = sim.base_url();
    let arguments = ["init", "--preset", preset, "--store", store, "--output", file, "--target", &target];
    command(place, &arguments).output().unwrap()
}

#[test]
fn check_accepts_the_files_of_init_for_every_preset_and_store() {
    let sim = sim();
    let redis = RedisServer::start();
    let place = tempfile::tempdir().unwrap();
    for preset in presets::names() {
        for (kind, store) in [("embedded", "embedded:./data".to_owned()), ("redis", redis.url())] {
            let file = format!("{preset}-{kind}.toml");
            let written = init(place.path(), &sim, preset, &store, &file);
            assert!(written.status.success(), "{preset}: {}", text(&written));
            let config = fs::read_to_string(place.path().join(&file)).unwrap();
            let environment = environment(&config);
            assert!(config.contains("key = { env = \"POSTMAN_SCIM_KEY\" }"), "{config}");
            let without = command(place.path(), &["check", "--config", &file]).output().unwrap();
            assert_eq!(without.status.code(), Some(64), "{preset}: the secrets are not set");
            for (name, _) in &environment {
                assert!(text(&written).contains(name) && text(&without).contains(name), "{preset}: {name}");
            }
            let checked = command(place.path(), &["check", "--config", &file]).envs(environment).output().unwrap();
            assert!(checked.status.success(), "{preset} on {store}: {}\n{config}", text(&checked));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_init_serve_and_accept_signed_deliveries() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let written = init(home.path(), &sim, "generic-hmac-hex", "embedded:./data", "mine.toml");
    assert!(written.status.success(), "{}", text(&written));
    let mut serve = command(home.path(), &["serve", "--config", "mine.toml"]);
    serve.env("POSTMAN_SCIM_KEY", KEY).env("HR_SECRET", "a secret of 16 bytes or more");
    serve.envs(["LISTEN", "ADMIN_LISTEN"].map(|key| (format!("SCIM_BRIDGE__SERVER__{key}"), "127.0.0.1:0")));
    let bridge = home.started(serve);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/presets/generic-hmac-hex/1-hire.http");
    let fixture = fs::read_to_string(fixture).unwrap();
    let (head, body) = fixture.split_once("\r\n\r\n").unwrap();
    let signature = head.lines().find_map(|line| line.strip_prefix("X-Signature: ")).unwrap();
    let posted = http().post(format!("http://{}/webhooks/hr", bridge.listen)).header("x-signature", signature);
    let posted = posted.header("content-type", "application/json").body(body.to_owned()).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 200);
    bridge.settled().await;
    assert_eq!(sim.members_named("ada@example.com").len(), 1);
}

#[test]
fn init_overwrites_no_file_and_names_missing_answers_without_a_terminal() {
    let sim = sim();
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("mine.toml"), "# kept").unwrap();
    let output = init(place.path(), &sim, "hibob", "embedded:./data", "mine.toml");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("mine.toml already exists"), "{}", text(&output));
    assert_eq!(fs::read_to_string(place.path().join("mine.toml")).unwrap(), "# kept");

    let lacking = command(place.path(), &["init", "--preset", "hibob"]).output().unwrap();
    assert_eq!(lacking.status.code(), Some(2));
    assert!(text(&lacking).contains("--store") && text(&lacking).contains("--output"), "{}", text(&lacking));
    assert!(!text(&lacking).contains("--preset NAME"), "{}", text(&lacking));

    let unknown = init(place.path(), &sim, "hibbob", "embedded:./data", "other.toml");
    assert!(text(&unknown).contains("did you mean `hibob`?"), "{}", text(&unknown));
    let nowhere = init(place.path(), &sim, "hibob", "postgres://db", "other.toml");
    assert_eq!(nowhere.status.code(), Some(64), "{}", text(&nowhere));
    assert!(text(&nowhere).contains("store.url") && !place.path().join("other.toml").exists());

    // A password in a URL is not written to the file.
    let output = init(place.path(), &sim, "hibob", "redis://:s3cret@127.0.0.1:1/0", "other.toml");
    let config = fs::read_to_string(place.path().join("other.toml")).unwrap();
    assert!(output.status.success() && !config.contains("s3cret"), "{config}");
    assert!(config.contains("password = { env = \"REDIS_PASSWORD\" }"), "{config}");
}
