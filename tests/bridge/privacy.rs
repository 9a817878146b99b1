//! Promise 6: no log line, at any level, contains an e-mail address, a name, a body or a secret.

use rustix::process::Signal;
use scim_bridge::postman_sim::Fault;
use serde_json::json;

use crate::process::{Home, KEY, SECRET, http, payload, post, sim};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_run_at_trace_logs_no_personal_data_and_no_secret() {
    let sim = sim();
    for fault in ["create:create-failed:1", "create:invalid-syntax:1", "find:html:1", "any:bad-key:1", "any:reset:1"] {
        sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
    }
    let home = Home::new(&sim, "[hold]\nprobe_first_s = 1");
    let bridge = home.serve_with(&[("RUST_LOG", "trace")]);
    let client = http();
    let given = "Zerlinda";
    let family = "Quartzheimer";
    for n in 0..6 {
        let person = format!("Xylophon{n}");
        let hire = payload("employee.hired", &person, given, family);
        let rename = payload("employee.renamed", &person, "Perpetua", family);
        let moved = rename.replace("@example.com", ".wolpertinger@example.com");
        let leave = json!({ "type": "employee.left", "data": { "employee_id": person } }).to_string();
        for (event, body) in [hire.clone(), rename, moved, leave, hire].iter().enumerate() {
            let (status, _) = post(&client, &bridge.listen, &format!("{person}-{event}"), body).await.unwrap();
            assert_eq!(status, 200);
        }
    }
    let broken = payload("employee.hired", "Xylophon9", given, family).replace("@example.com", "#example.com");
    post(&client, &bridge.listen, "broken", &broken).await.unwrap();
    post(&client, &bridge.listen, "not-json", &format!("{{\"{family}\"")).await.unwrap();
    let forged = client.post(format!("http://{}/webhooks/hr", bridge.listen)).body(broken).send().await.unwrap();
    assert_eq!(forged.status(), 401);
    bridge.settled().await;
    for path in [
        "/api/v1/person?who=hr/Xylophon1",
        "/api/v1/people?search=Quartzheimer",
        "/api/v1/dead",
        "/api/v1/jobs?state=waiting",
        "/api/v1/status",
    ] {
        bridge.api(path).await;
    }
    let metrics = client.get(format!("http://{}/metrics", bridge.admin)).send().await.unwrap();
    let metrics = String::from_utf8(metrics.bytes().await.unwrap().to_vec()).unwrap();
    let token = bridge.token.clone();
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert!(status.success());
    assert!(log.contains("\"TRACE\"") || log.contains("\"DEBUG\""), "the level was not lowered");
    assert!(log.contains("hr/Xylophon1"), "identifiers are logged");
    let secret = SECRET.trim_start_matches("whsec_");
    for text in [&log, &metrics] {
        for private in
            ["example.com", "xylophon1@", given, family, "Perpetua", "wolpertinger", secret, KEY, &token, "first_name"]
        {
            let at = text.find(private).map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
            assert!(at.is_none(), "{private} was logged: {at:?}");
        }
    }
}
