//! `send --follow`: prints the outcome of what was sent, and its exit code is for scripts.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use scim_bridge::postman_sim::{Person, Standing};
use serde_json::Value;

use crate::process::{Bridge, HOLD_HEARD, Home, payload, sim};

/// `send --json`, with the payload on standard input.
fn sending(home: &Home, bridge: &Bridge, more: &[&str]) -> Command {
    let mut command = home.command(&["send", "--source", "hr", "--file", "-", "--json"]);
    command.args(more).env("SCIM_BRIDGE__SERVER__LISTEN", &bridge.listen);
    command.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn given(mut command: Command, body: &str) -> Output {
    let mut child = command.spawn().unwrap();
    // A process that refuses without reading has closed its end.
    let _ = child.stdin.take().unwrap().write_all(body.as_bytes());
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_a_delivery_to_postman_succeeds_even_as_a_duplicate() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    let hired = given(sending(&home, &bridge, &["--id", "m1", "--follow"]), &hire);
    assert_eq!(hired.status.code(), Some(0), "{hired:?}");
    let job = &json(&hired)["jobs"][0];
    assert_eq!(job["state"], "done");
    assert_eq!(job["outcome"], "created");
    assert_eq!(job["person"], "hr/E-1");
    assert_eq!(job["id"], json(&hired)["answer"]["jobs"][0]);
    assert_eq!(sim.members().len(), 1, "it is done when the command says so");

    let rename = payload("employee.renamed", "E-1", "Ada", "King");
    let renamed = given(sending(&home, &bridge, &["--follow"]), &rename);
    assert_eq!(json(&renamed)["jobs"][0]["outcome"], "updated", "{renamed:?}");
    let again = given(sending(&home, &bridge, &["--id", "m1", "--follow"]), &hire);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(json(&again)["answer"]["status"], "duplicate");
    assert_eq!(json(&again)["jobs"][0], *job);
    let ignored = given(sending(&home, &bridge, &["--follow"]), &payload("employee.promoted", "E-1", "Ada", "King"));
    assert_eq!(ignored.status.code(), Some(0), "{ignored:?}");
    assert_eq!(json(&ignored)["jobs"].as_array().unwrap().len(), 0);
    let unfollowed = given(sending(&home, &bridge, &[]), &rename);
    assert!(unfollowed.status.success() && json(&unfollowed).get("jobs").is_none(), "{unfollowed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_a_dead_letter_fails_with_its_code_and_advice() {
    let sim = sim();
    sim.add_member(Person::standing("e-1@example.com", Standing::OtherTeam));
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let refused = given(sending(&home, &bridge, &["--follow"]), &payload("employee.hired", "E-1", "Ada", "Lovelace"));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let job = &json(&refused)["jobs"][0];
    assert_eq!((job["state"].as_str(), job["code"].as_str()), (Some("dead"), Some("SCIM-409-ELSEWHERE")));
    assert!(!job["action"].as_str().unwrap().is_empty());

    let unmapped = payload("employee.hired", "E-2", "Grace", "Hopper").replace("\"employee_id\"", "\"number\"");
    let unmapped = given(sending(&home, &bridge, &["--follow"]), &unmapped);
    assert_eq!(unmapped.status.code(), Some(1), "{unmapped:?}");
    assert_eq!(json(&unmapped)["answer"]["status"], "unmapped");
    assert_eq!(json(&unmapped)["jobs"][0]["code"], "MAP-FIELD");

    fs::write(home.path().join("hire.json"), payload("employee.hired", "E-1", "Ada", "Lovelace")).unwrap();
    let printed = home
        .command(&["send", "--source", "hr", "--file", "hire.json", "--follow"])
        .env("SCIM_BRIDGE__SERVER__LISTEN", &bridge.listen)
        .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout);
    assert!(printed.contains("hire of hr/E-1 dead: SCIM-409-ELSEWHERE"), "{printed}");
    assert!(printed.contains("what to do:"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_an_unfinished_delivery_reports_its_state() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let asking = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    assert!(asking(&["hold", "set"]).status.success());
    tokio::time::sleep(HOLD_HEARD).await;
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    let held = given(sending(&home, &bridge, &["--id", "m1", "--follow", "--timeout-s", "1"]), &hire);
    assert_eq!(held.status.code(), Some(1), "{held:?}");
    let job = &json(&held)["jobs"][0];
    assert!(["waiting", "held"].contains(&job["state"].as_str().unwrap()), "{job}");
    assert!(job["text"].as_str().unwrap().contains("hold"), "{job}");
    assert!(!job["action"].as_str().unwrap().is_empty());

    let mut following = sending(&home, &bridge, &["--id", "m1", "--follow"]).spawn().unwrap();
    following.stdin.take().unwrap().write_all(hire.as_bytes()).unwrap();
    assert!(asking(&["hold", "lift"]).status.success());
    let followed = following.wait_with_output().unwrap();
    assert_eq!(followed.status.code(), Some(0), "{followed:?}");
    assert_eq!(json(&followed)["jobs"][0]["outcome"], "created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_nothing_is_sent_and_another_admin_url_may_be_given() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    let url = format!("http://{}/", bridge.admin);
    let mut elsewhere = sending(&home, &bridge, &["--follow", "--admin-url", &url]);
    elsewhere.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", "127.0.0.1:9");
    let followed = given(elsewhere, &hire);
    assert_eq!(followed.status.code(), Some(0), "{followed:?}");

    let mut nobody = sending(&home, &bridge, &["--follow"]);
    nobody.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", "127.0.0.1:9");
    let unasked = given(nobody, &payload("employee.renamed", "E-1", "Ada", "King"));
    assert_eq!(unasked.status.code(), Some(1), "{unasked:?}");
    let error = json(&unasked)["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("answered 200") && error.contains("cannot be reached"),
        "it was taken all the same: {error}"
    );

    bridge.settled().await;
    let before = bridge.api("/api/v1/status").await["people"].clone();
    let mut locked_out = sending(&home, &bridge, &["--follow"]);
    locked_out.env("SCIM_BRIDGE__STORE__URL", format!("embedded:{}", home.path().join("elsewhere").display()));
    let refused = given(locked_out, &payload("employee.hired", "E-2", "Grace", "Hopper"));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(json(&refused)["error"].as_str().unwrap().contains("no admin token"), "{refused:?}");
    bridge.settled().await;
    assert_eq!(bridge.api("/api/v1/status").await["people"], before, "nothing was sent");

    let mut unheard = sending(&home, &bridge, &["--follow"]);
    unheard.env("SCIM_BRIDGE__SERVER__LISTEN", "127.0.0.1:9");
    let began = Instant::now();
    let unheard = given(unheard, &hire);
    assert!(unheard.status.code() == Some(1) && began.elapsed() < Duration::from_secs(30), "{unheard:?}");
    assert!(json(&unheard)["error"].as_str().unwrap().contains("cannot be reached"), "{unheard:?}");

    let unfollowed = home.command(&["send", "--source", "hr", "--file", "-", "--timeout-s", "5"]).output().unwrap();
    assert_eq!(unfollowed.status.code(), Some(2), "a timeout without --follow is an error");
}
