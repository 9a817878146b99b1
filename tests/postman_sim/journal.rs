//! The journal, the totals, and the life cycle of the stand-in.

use scim_bridge::postman_sim::{Operation, PostmanSim, SchemeSeen, SimError, SimOptions};
use serde_json::json;

use crate::client::{Client, KEY, switch, user};

#[tokio::test]
async fn every_call_is_recorded_with_request_and_reply() {
    let client = Client::new();
    let id = client.created("ada@example.test").await;
    client.find("ada@example.test").await;
    let path = format!("/Users/{id}");
    client.send("PUT", &path, &user("ada@example.test", "Ada", "King")).await;
    client.send("PATCH", &path, &switch(false)).await;
    client.get(&path).await;
    let with_key = client.request("GET", "/Users").header("X-API-Key", "secret");
    client.try_send(with_key).await.unwrap();

    let journal = client.sim.journal();
    let calls: Vec<_> = journal.iter().map(|e| (e.seq, e.operation, e.status, e.applied)).collect();
    assert_eq!(
        calls,
        [
            (1, Operation::Create, Some(201), true),
            (2, Operation::Find, Some(200), false),
            (3, Operation::Replace, Some(200), true),
            (4, Operation::Deactivate, Some(200), true),
            (5, Operation::Get, Some(200), false),
            (6, Operation::Page, Some(200), false),
        ]
    );
    assert_eq!(journal[0].id.as_deref(), Some(id.as_str()), "the new member's id");
    assert_eq!(journal[1].user_name.as_deref(), Some("ada@example.test"));
    assert_eq!((journal[2].given_name.as_deref(), journal[2].family_name.as_deref()), (Some("Ada"), Some("King")));
    assert_eq!((journal[2].active, journal[3].active), (Some(true), Some(false)));
    assert!(journal.iter().all(|e| e.auth == SchemeSeen::Bearer));
    assert_eq!(journal.iter().map(|e| e.x_api_key).collect::<Vec<_>>(), [false, false, false, false, false, true]);
    assert!(journal.windows(2).all(|w| w[0].at_us <= w[1].at_us && w[0].at <= w[1].at));
    assert!(!format!("{journal:?}").contains("ada@"), "personal data stays out of Debug");
}

#[tokio::test]
async fn the_journal_is_read_page_by_page_and_never_shows_a_key() {
    let client = Client::new();
    for _ in 0..5 {
        client.get("/Users").await;
    }
    let reply = client.control("GET", "/journal?since=2&limit=2", &json!(null)).await;
    assert!(!reply.text.contains(KEY));
    let page = reply.json();
    let seqs: Vec<_> = page["entries"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs, &page["last_seq"]), (vec![3, 4], &5.into()));
    assert_eq!(page["entries"][0]["operation"], "page");
    client.control("DELETE", "/journal", &json!(null)).await;
    client.get("/Users").await;
    let journal = client.sim.journal();
    assert_eq!(journal.iter().map(|e| e.seq).collect::<Vec<_>>(), [6], "numbering continues");
    assert_eq!(client.sim.journal_since(6).len(), 0);
}

#[tokio::test]
async fn the_journal_is_bounded() {
    let client = Client::with(SimOptions { journal_max: 3, ..SimOptions::default() });
    for _ in 0..5 {
        client.get("/Users").await;
    }
    assert_eq!(client.sim.journal().iter().map(|e| e.seq).collect::<Vec<_>>(), [3, 4, 5]);
    let stats = client.sim.stats();
    assert_eq!((stats.calls, stats.journal_dropped), (5, 2));
}

#[tokio::test]
async fn the_sums_are_shown_and_can_be_reset() {
    let client = Client::new();
    client.create("ada@example.test").await;
    client.create("ada@example.test").await;
    client.get("/Users").await;
    let stats = client.control("GET", "/stats", &json!(null)).await.json();
    assert_eq!(stats["calls"], 3);
    assert_eq!(stats["by_operation"], json!({"create": 2, "page": 1}));
    assert_eq!(stats["by_status"], json!({"200": 1, "201": 1, "409": 1}));
    assert_eq!((&stats["applied"], &stats["max_writes_in_window"]), (&1.into(), &2.into()));
    client.control("DELETE", "/stats", &json!(null)).await;
    assert_eq!(client.sim.stats().calls, 0);
}

#[tokio::test]
async fn members_are_added_and_listed_over_control() {
    let client = Client::new();
    let people = json!([
        {"user_name": "ada@example.test", "given_name": "Ada", "family_name": "King", "active": false},
        {"userName": "eve@example.test", "standing": "other_team"}
    ]);
    assert_eq!(client.control("POST", "/members", &people).await.status, 200);
    let state = client.control("GET", "/state", &json!(null)).await.json();
    assert_eq!(state["members"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&state["members"][0]["name"]["familyName"], &state["members"][0]["active"]),
        (&"King".into(), &false.into())
    );
    assert_eq!(client.create("eve@example.test").await.status, 409);
    assert_eq!(client.control("POST", "/members", &json!({"user": "x"})).await.status, 400);
    assert_eq!(client.control("POST", "/accept", &json!({"user_name": "x@y"})).await.status, 404);
    assert_eq!(client.control("PATCH", "/options", &json!({"seed": 9})).await.status, 400);
    assert_eq!(client.control("GET", "/nothing", &json!(null)).await.status, 404);
    assert_eq!(client.sim.stats().calls, 1, "control requests are not counted");
}

#[test]
fn it_starts_without_a_runtime_says_when_its_port_is_taken_and_frees_it_when_stopped() {
    let sim = PostmanSim::start(SimOptions::default()).unwrap();
    let taken = SimOptions { listen: sim.address(), ..SimOptions::default() };
    assert!(matches!(PostmanSim::start(taken.clone()), Err(SimError::Listen { .. })));
    sim.stop();
    PostmanSim::start(taken).unwrap().stop();
}
