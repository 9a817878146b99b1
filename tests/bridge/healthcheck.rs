//! `healthcheck`, as a container runtime runs it: with the environment that `serve` has, or less.

use std::net::TcpListener;
use std::process::{Command, Output};

use rustix::process::Signal;
use scim_bridge::postman_sim::Fault;
use serde_json::Value;

use crate::process::{Home, http, payload, post, sim};

/// Only the admin listener's address: no file, no secret, no token.
fn healthcheck(admin_listen: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
    command.env_clear().current_dir(folder.path()).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", admin_listen);
    command.arg("healthcheck").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serving_process_is_alive_and_ready_and_a_stopping_one_only_alive() {
    let sim = sim();
    let home = Home::new(&sim, "[postman]\ntimeout_s = 10\n[worker]\nlease_s = 20");
    let bridge = home.serve();
    let port = bridge.admin.rsplit_once(':').unwrap().1.to_owned();
    // As the image sets it: on every interface.
    let everywhere = format!("0.0.0.0:{port}");
    let alive = healthcheck(&everywhere, &[]);
    assert_eq!(alive.status.code(), Some(0), "{alive:?}");
    assert_eq!(String::from_utf8_lossy(&alive.stdout), format!("ok   http://127.0.0.1:{port}/livez answered 200\n"));
    let ready = healthcheck(&everywhere, &["--ready", "--json"]);
    assert_eq!(ready.status.code(), Some(0), "{ready:?}");
    assert_eq!(json(&ready)["ok"], true);
    assert_eq!(json(&ready)["url"], format!("http://127.0.0.1:{port}/readyz"));

    // A call in flight keeps the process in the middle of its shutdown.
    sim.inject("create:delay:1:delay=4000".parse::<Fault>().unwrap()).unwrap();
    post(&http(), &bridge.listen, "m1", &payload("employee.hired", "E-1", "Ada", "Lovelace")).await.unwrap();
    while sim.journal().is_empty() {
        tokio::task::yield_now().await;
    }
    bridge.signal(Signal::TERM);
    while !bridge.log().contains("stopping") {
        tokio::task::yield_now().await;
    }
    let unready = healthcheck(&everywhere, &["--ready", "--json"]);
    assert_eq!(unready.status.code(), Some(1), "{unready:?}");
    assert_eq!(json(&unready)["status"], 503);
    assert!(!json(&unready)["reasons"].as_array().unwrap().is_empty());
    assert_eq!(
        healthcheck(&everywhere, &[]).status.code(),
        Some(0),
        "a process that is shutting down must not be killed"
    );
    assert!(bridge.ended().0.success());
}

#[test]
fn without_a_server_it_fails_and_says_what_to_check() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = healthcheck(&closed.to_string(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("cannot be reached") && printed.contains("what to do:"), "{printed}");
    assert_eq!(healthcheck("nowhere", &[]).status.code(), Some(64));
}

#[test]
fn a_process_that_hangs_is_not_healthy() {
    // Accepts the connection but never answers.
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = healthcheck(&hung.local_addr().unwrap().to_string(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(json(&output)["error"].as_str().unwrap().contains("does not answer in time"), "{output:?}");
}
