//! `capture`: keeps deliveries for a while, including refused ones, for later use.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::process::{Home, eventually, http, payload, post, sim};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(output)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sources_deliveries_are_captured_on_request_explained_tested_and_forgotten() {
    let sim = sim();
    let reader = "[[server.token]]\nname = \"looker\"\ntoken = \"a-token-that-may-only-look\"";
    let home = Home::new(&sim, reader);
    let bridge = home.serve();
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    let client = http();
    post(&client, &bridge.listen, "m0", &payload("employee.hired", "E-0", "Ada", "Lovelace")).await.unwrap();
    let none = json(&run(&["capture", "list", "--json"]));
    assert_eq!((none["sources"].as_array().unwrap().len(), none["captures"].as_array().unwrap().len()), (0, 0));
    assert_eq!(run(&["capture", "on", "--source", "nobody"]).status.code(), Some(1));

    let on = run(&["capture", "on", "--source", "hr", "--keep", "2"]);
    assert!(on.status.success(), "{}", text(&on));
    // Capturing begins within seconds: post until both kinds are captured.
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace");
    let (genuine, forged) = eventually(async || {
        post(&client, &bridge.listen, "m1", &body).await.unwrap();
        let request = client.post(format!("http://{}/webhooks/hr", bridge.listen));
        let answer = request.header("content-type", "application/json").body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        let list = json(&run(&["capture", "list", "--json"]));
        let captures = list["captures"].as_array().unwrap();
        assert!(captures.len() <= 2, "{list}");
        assert!(!list.to_string().contains("Lovelace"));
        let of = |status: u64| {
            captures.iter().find(|capture| capture["status"] == status).map(|c| c["id"].as_str().unwrap().to_owned())
        };
        of(200).zip(of(401)).ok_or_else(|| list.to_string())
    })
    .await;

    // `explain` and `presets test` accept it as raw HTTP.
    fs::create_dir(home.path().join("hr")).unwrap();
    let file = "hr/1-hire.http";
    let shown = run(&["capture", "show", &genuine, "--output", file]);
    assert!(shown.status.success(), "{}", text(&shown));
    assert!(fs::read_to_string(home.path().join(file)).unwrap().ends_with(&body));
    assert!(run(&["explain", "--source", "hr", "--request", file]).status.success());
    assert!(run(&["explain", "--source", "hr", "--capture", &genuine]).status.success());
    let refused = run(&["explain", "--source", "hr", "--capture", &forged]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("header is missing"), "{}", text(&refused));
    let test = ["presets", "test", "hr", "--preset", "standard-webhooks"];
    let tested = home.command(&test).env("HR_SECRET", crate::process::SECRET).output().unwrap();
    assert!(tested.status.success(), "{}", text(&tested));

    // Payloads are only shown to a full token, and the audit log records who looked.
    let url = format!("http://{}/api/v1/captures/{genuine}", bridge.admin);
    let looker = client.get(&url).bearer_auth("a-token-that-may-only-look").send().await.unwrap();
    assert_eq!(looker.status().as_u16(), 403);
    let audit = bridge.api("/api/v1/audit").await.to_string();
    assert!(audit.contains("\"captured\"") && audit.contains("looked at the captured delivery"), "{audit}");

    assert!(run(&["capture", "off", "--source", "hr"]).status.success());
    let none = json(&run(&["capture", "list", "--json"]));
    assert_eq!((none["sources"].as_array().unwrap().len(), none["captures"].as_array().unwrap().len()), (0, 0));
    assert_eq!(run(&["capture", "show", &genuine]).status.code(), Some(1), "it has been dropped");
}
