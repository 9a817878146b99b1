//! What Postman currently has for a person, read on demand: counted, without slowing the work.

use std::time::{Duration, Instant};

use scim_bridge::postman_sim::{Fault, Person};
use serde_json::{Value, json};

use crate::process::{Bridge, HOLD_HEARD, Home, http, job_id, payload, post, sim};

const WHO: &str = "/api/v1/person/live?who=E-1";

/// What a payload about these people would do, after asking Postman.
async fn tried(bridge: &Bridge, people: &[&str]) -> Value {
    let records: Vec<Value> =
        people.iter().map(|id| serde_json::from_str(&payload("employee.hired", id, "Ada", "King")).unwrap()).collect();
    let body = json!({ "source": "hr", "payload": Value::from(records).to_string(), "live": true }).to_string();
    let url = format!("http://{}/api/v1/explain", bridge.admin);
    let request = http().post(url).bearer_auth(&bridge.token).header("content-type", "application/json").body(body);
    serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
}

/// How many calls of an operation were counted.
async fn counted(bridge: &Bridge, operation: &str) -> u64 {
    let (_, metrics) = bridge.get("/metrics").await;
    let of_it = |line: &&str| {
        line.starts_with("scim_bridge_scim_requests_total{") && line.contains(&format!("operation=\"{operation}\""))
    };
    metrics.lines().filter(of_it).map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_look_uses_the_limit_respects_holds_and_sets_none() {
    let sim = sim();
    // Limits under which a 429 would slow all workers.
    let home = Home::new(&sim, "[postman]\nwrites_per_minute = 180\nreads_per_minute = 300");
    let bridge = home.serve();
    let client = http();
    post(&client, &bridge.listen, "m1", &payload("employee.hired", "E-1", "Ada", "King")).await.unwrap();
    bridge.settled().await;
    let before = counted(&bridge, "get").await;
    let look = bridge.api(WHO).await;
    assert_eq!(
        (look["has"].as_str(), look["member"]["family_name"].as_str()),
        (Some("member"), Some("King")),
        "{look}"
    );
    assert_eq!(counted(&bridge, "get").await, before + 1);

    sim.inject("get:rate-limited:1".parse::<Fault>().unwrap()).unwrap();
    let look = bridge.api(WHO).await;
    assert_eq!((look["has"].as_str(), look["calls"][0]["status"].as_u64()), (Some("unknown"), Some(429)), "{look}");
    let began = Instant::now();
    let (_, answer) =
        post(&client, &bridge.listen, "m2", &payload("employee.hired", "E-2", "Ada", "King")).await.unwrap();
    bridge.settled().await;
    assert_eq!(bridge.outcome(job_id(&answer)).await, "created");
    assert!(began.elapsed() < Duration::from_secs(30), "a 429 without a hint would stop everybody for a minute");

    let asked = tried(&bridge, &["E-1", "E-3", "E-4", "E-5", "E-6"]).await;
    let people = asked["people"].as_array().unwrap();
    let looked: Vec<_> = people.iter().map(|person| !person["live"].is_null()).collect();
    assert_eq!(looked, [true, true, true, false, false], "{asked}");

    assert!(
        home.command(&["hold", "set"])
            .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin)
            .output()
            .unwrap()
            .status
            .success()
    );
    tokio::time::sleep(HOLD_HEARD).await;
    let seen = sim.journal().len();
    let (status, refused) = bridge.get(WHO).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused.contains("\"held\"") && refused.contains("HOLD-OPERATOR"), "{refused}");
    assert_eq!(tried(&bridge, &["E-1"]).await["error"], "held");
    assert_eq!(sim.journal().len(), seen, "no calls were made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn external_ids_are_searched_first_if_the_target_may_know_them() {
    let sim = sim();
    sim.add_member(Person::member("e-1@example.com", "Ada", "King"));
    let home = Home::new(&sim, "[target]\nkind = \"generic-scim\"\nname = \"the provider\"");
    let bridge = home.serve();
    let asked = tried(&bridge, &["E-1"]).await;
    let live = &asked["people"][0]["live"];
    // Like Postman, the stand-in lacks this filter; the address is searched for instead.
    let meanings: Vec<_> = live["calls"].as_array().unwrap().iter().map(|call| call["meaning"].as_str()).collect();
    assert_eq!(meanings, [Some("no filter"), Some("one member")], "{asked}");
    assert_eq!(live["has"], "member");
}
