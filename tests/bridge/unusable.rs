//! Statements from HR that cannot be used as they are must not be lost silently.

use std::fs;

use rustix::process::Signal;
use scim_bridge::postman_sim::PostmanSim;
use serde_json::{Value, json};

use crate::process::{Bridge, Home, KEY, eventually, http, post, sim};

async fn send(bridge: &Bridge, id: &str, kind: &str, sent_at: Value, data: Value) -> Value {
    let mut body = json!({"type": kind, "data": data});
    if !sent_at.is_null() {
        body["timestamp"] = sent_at;
    }
    let (status, answer) = post(&http(), &bridge.listen, id, &body.to_string()).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    bridge.settled().await;
    answer
}

fn ada(email: &str) -> Value {
    json!({"employee_id": "E-1", "email": email, "first_name": "Ada", "last_name": "Lovelace"})
}

/// The members of the team, and whether they are active.
fn team(sim: &PostmanSim) -> Vec<(String, bool)> {
    sim.members().into_iter().map(|member| (member.user_name.into_string(), member.active)).collect()
}

/// Waits until `status` lists no problems.
async fn no_problems(bridge: &Bridge) {
    eventually(async || {
        let status = bridge.api("/api/v1/status").await;
        if status["problems"] == json!([]) { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_with_an_impossible_time_takes_effect_and_is_reported() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    for (n, never) in [json!("0001-01-01T00:00:00Z"), json!("1970-01-01T00:00:00Z"), json!(0)].into_iter().enumerate() {
        send(&bridge, &format!("hire-{n}"), "employee.hired", json!(null), ada("ada@example.com")).await;
        assert_eq!(team(&sim), [("ada@example.com".to_owned(), true)], "{never}");
        let leaves = json!({"employee_id": "E-1", "effective_at": "0001-01-01T00:00:00Z"});
        send(&bridge, &format!("leave-{n}"), "employee.left", never.clone(), leaves).await;
        assert_eq!(team(&sim), [("ada@example.com".to_owned(), false)], "{never}");
    }
    let dropped = bridge.problem("SOURCE-DROPPED").await;
    assert!(dropped["what"].as_str().unwrap().contains("`occurred_at`"), "{dropped}");
}

/// The second record of a batch is about the same person, is newer, and states nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_about_one_record_of_a_batch_is_not_ended_by_what_another_one_says() {
    let sim = sim();
    let mapping = "[[source]]\nname = 'hr'\npreset = 'standard-webhooks'\n\
                   secrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']\n[source.mapping]\nrecords = '/all'\n";
    let home = Home::new(&sim, mapping);
    let bridge = home.serve();
    let record = |kind: &str, at: u32, data: Value| {
        let mut record = json!({"type": kind, "timestamp": format!("2026-03-02T09:00:{at}Z"), "data": data});
        record["data"]["employee_id"] = json!("E-1");
        record
    };
    let batch = async |id: &str, records: Value| {
        let (status, answer) = post(&http(), &bridge.listen, id, &json!({"all": records}).to_string()).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        bridge.settled().await;
    };
    batch("m1", json!([record("employee.hired", 25, ada("ada@example.com"))])).await;
    let late = record("employee.updated", 20, json!({"last_name": "King"}));
    let spoilt = record("employee.updated", 30, json!({"first_name": "A\u{202e}da"}));
    batch("m2", json!([late, spoilt])).await;
    assert_eq!(bridge.jobs(&["dead"]).await, 1, "the name of :25 is older");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hire_under_an_unusable_address_outlives_its_dead_letter() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let answer = send(&bridge, "m1", "employee.hired", json!(null), ada("Ada <ada@example.com>")).await;
    assert_eq!((answer["status"].as_str(), answer["jobs"].as_array().map(Vec::len)), (Some("accepted"), Some(2)));
    assert_eq!(team(&sim), []);
    let person = bridge.api("/api/v1/people/hr/E-1").await;
    assert_eq!(person["waits_for"]["missing"], json!(["email"]), "{person}");
    bridge.problem("PEOPLE-INCOMPLETE").await;
    // The dead letter's advice is followed: HR is corrected. That answers it.
    assert_eq!(bridge.jobs(&["dead"]).await, 1);
    send(&bridge, "m2", "employee.updated", json!(null), ada("ada@example.com")).await;
    assert_eq!(team(&sim), [("ada@example.com".to_owned(), true)]);
    no_problems(&bridge).await;

    // A rehire under an invalid address is not switched on under the previous one.
    send(&bridge, "m3", "employee.left", json!(null), json!({"employee_id": "E-1"})).await;
    let answer = send(&bridge, "m4", "employee.hired", json!(null), ada("ada@example.com; a.l@example.com")).await;
    assert_eq!(answer["status"], "accepted");
    assert_eq!(team(&sim), [("ada@example.com".to_owned(), false)]);
    send(&bridge, "m5", "employee.updated", json!(null), ada("a.l@example.com")).await;
    assert_eq!(team(&sim), [("a.l@example.com".to_owned(), true)]);
    no_problems(&bridge).await;

    // Names likewise, but only with the newest statement.
    let names = |given: &str, family: &str| json!({"employee_id": "E-1", "first_name": given, "last_name": family});
    let mut spoilt = names("A\u{202e}da", "L\u{202e}ovelace");
    spoilt["email"] = json!("a.l@example.com");
    send(&bridge, "m6", "employee.updated", json!(null), spoilt).await;
    for (id, at, right, left) in [
        ("m7", json!("2026-03-02T09:00:00Z"), names("Ada", "Late"), 1),
        ("m8", json!(null), json!({"employee_id": "E-1", "first_name": "Ada"}), 1),
        ("m9", json!(null), json!({"employee_id": "E-1", "last_name": "King"}), 0),
    ] {
        send(&bridge, id, "employee.updated", at, right).await;
        bridge.until("dead", left).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_with_an_unreadable_date_waits_for_a_corrected_mapping() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    send(&bridge, "m1", "employee.hired", json!(null), ada("ada@example.com")).await;
    let next =
        json!({"employee_id": "E-2", "email": "grace@example.com", "first_name": "Grace", "last_name": "Hopper"});
    send(&bridge, "m2", "employee.hired", json!(null), next).await;
    for (id, employee, day) in [("m3", "E-1", "31/12/2199"), ("m4", "E-2", "31/12/2025")] {
        let leaves = json!({"employee_id": employee, "effective_at": day});
        let answer = send(&bridge, id, "employee.left", json!(null), leaves).await;
        assert_eq!(answer["status"], "unmapped", "{answer}");
    }
    let is_on = |name: &str, active| (format!("{name}@example.com"), active);
    let sorted = || {
        let mut team = team(&sim);
        team.sort();
        team
    };
    assert_eq!(sorted(), [is_on("ada", true), is_on("grace", true)]);
    assert_eq!(bridge.problem("MAP-FIELD").await["count"], 2);

    bridge.signal(Signal::TERM);
    bridge.ended();
    let config = fs::read_to_string(home.config()).unwrap();
    let mapping = "[source.mapping]\neffective_at = [{ path = \"/data/effective_at\", format = \"%d/%m/%Y\" }]";
    fs::write(home.config(), format!("{config}\n{mapping}\n")).unwrap();
    let bridge = home.serve();
    bridge.until("dead", 0).await;
    bridge.settled().await;
    assert_eq!(sorted(), [is_on("ada", true), is_on("grace", false)]);
    let person = bridge.api("/api/v1/people/hr/E-1").await;
    let words = person["record"]["employment"].as_array().unwrap();
    let states: Vec<_> = words.iter().map(|word| word["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["employed", "left"], "{person}");
    assert_eq!(words[1]["from"], "2200-01-01T00:00:00Z", "{person}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_with_times_on_only_some_events_is_reported() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    send(&bridge, "m1", "employee.hired", json!(null), ada("ada@example.com")).await;
    assert_eq!(bridge.api("/api/v1/status").await["problems"], json!([]));
    send(&bridge, "m2", "employee.left", json!("2026-03-02T10:00:00Z"), json!({"employee_id": "E-1"})).await;
    let untimed = bridge.problem("SOURCE-UNTIMED").await;
    assert!(untimed["what"].as_str().unwrap().contains("1 event carries no time"), "{untimed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_secret_file_is_a_problem_until_it_is_usable() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let key = home.path().join("key");
    fs::write(&key, KEY).unwrap();
    let config = fs::read_to_string(home.config()).unwrap();
    let named = config.replace(&format!("key = \"{KEY}\""), &format!("key = {{ file = {key:?} }}"));
    assert_ne!(named, config);
    fs::write(home.config(), named).unwrap();
    let bridge = home.serve();
    let reasons: [(&dyn Fn(), &str); 3] = [
        (&|| fs::write(&key, "").unwrap(), "is empty"),
        (&|| fs::write(&key, b"\xff\xfe").unwrap(), "is not UTF-8"),
        (&|| fs::remove_file(&key).unwrap(), "cannot be read"),
    ];
    for (spoil, reason) in reasons {
        spoil();
        let problem = bridge.problem("SECRET-UNUSABLE").await;
        let what = problem["what"].as_str().unwrap();
        assert!(what.contains("`postman.key`") && what.contains(reason), "{problem}");
        assert!(problem["action"].as_str().unwrap().contains("usable value"), "{problem}");
        fs::write(&key, KEY).unwrap();
        no_problems(&bridge).await;
    }
    // The previous value stays in use until then.
    fs::remove_file(&key).unwrap();
    bridge.problem("SECRET-UNUSABLE").await;
    send(&bridge, "m1", "employee.hired", json!(null), ada("ada@example.com")).await;
    assert_eq!(team(&sim), [("ada@example.com".to_owned(), true)]);
}
