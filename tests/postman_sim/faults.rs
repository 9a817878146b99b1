//! Which calls a fault strikes, and how faults are written.

use scim_bridge::postman_sim::{Fault, On, Operation, ReplyName, SimOptions, What};
use serde_json::json;

use crate::client::{Client, switch, user};

#[tokio::test]
async fn a_fault_strikes_only_calls_of_its_operation_and_as_many_as_it_says() {
    let client = Client::new();
    client.inject("create:no-slots:2");
    assert_eq!(client.get("/Users").await.status, 200);
    for want in [400, 400, 201] {
        assert_eq!(client.create("ada@example.test").await.status, want);
    }
    assert!(client.sim.faults().is_empty());
    assert_eq!(client.sim.stats().faults, 2);
}

#[tokio::test]
async fn a_fault_finds_each_operation() {
    let client = Client::new();
    let id = client.created("ada@example.test").await;
    let one = format!("/Users/{id}");
    for operation in ["create", "get", "find", "page", "replace", "activate", "deactivate", "discover"] {
        client.inject(&format!("{operation}:spike-503"));
        let reply = match operation {
            "create" => client.create("bob@example.test").await,
            "get" => client.get(&one).await,
            "find" => client.get("/Users?filter=userName%20eq%20%22a%40b%22").await,
            "page" => client.get("/Users?count=1").await,
            "replace" => client.send("PUT", &one, &user("ada@example.test", "Ada", "King")).await,
            "activate" => client.send("PATCH", &one, &switch(true)).await,
            "deactivate" => client.send("PATCH", &one, &switch(false)).await,
            _ => client.get("/ServiceProviderConfig").await,
        };
        assert_eq!(reply.status, 503, "{operation}");
    }
}

#[tokio::test]
async fn a_fault_about_a_person_leaves_the_others_alone() {
    let client = Client::new();
    let ada = client.created("ada@example.test").await;
    let bob = client.created("bob@example.test").await;
    client.inject("any:update-failed:forever:user=ADA@example.test");
    let body = user("ada@example.test", "A", "B");
    assert_eq!(client.send("PUT", &format!("/Users/{ada}"), &body).await.status, 500);
    assert_eq!(client.get(&format!("/Users/{ada}")).await.status, 500, "the id stands for the same person");
    assert_eq!(client.get(&format!("/Users/{bob}")).await.status, 200);
    client.sim.clear_faults();
    client.inject(&format!("get:spike-503:forever:user={bob}"));
    assert_eq!(client.get(&format!("/Users/{ada}")).await.status, 200);
    assert_eq!(client.get(&format!("/Users/{bob}")).await.status, 503);
}

#[tokio::test]
async fn a_share_of_the_calls_is_struck_and_the_same_ones_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let client = Client::with(SimOptions { seed, reads: 0, ..SimOptions::default() });
        client.inject("read:spike-503:30%");
        let mut struck = Vec::new();
        for _ in 0..200 {
            struck.push(client.get("/Users").await.status == 503);
        }
        let n = struck.iter().filter(|s| **s).count();
        assert!((30..=90).contains(&n), "{n} of 200");
        runs.push(struck);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_reply_after_the_change_hides_that_it_was_made() {
    let client = Client::new();
    client.inject("create:create-failed:after");
    let reply = client.create("ada@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (500, ReplyName::CreateFailed.body()));
    assert_eq!(client.sim.members_named("ada@example.test").len(), 1);
    assert_eq!(client.create("ada@example.test").await.status, 409);
    let applied: Vec<_> = client.sim.journal().iter().map(|e| e.applied).collect();
    assert_eq!(applied, [true, false]);
}

#[tokio::test]
async fn any_reply_can_be_injected_over_the_control_endpoint() {
    let client = Client::new();
    let fault = json!({
        "on": "create", "times": 1,
        "what": {"custom": {"status": 418, "headers": [["X-Pot", "tea"]], "body": "<p>", "content_type": "text/html"}},
        "hints": [{"header": "retry-after", "seconds": 9}]
    });
    let injected = client.control("POST", "/faults", &json!([fault, "get:no-slots:2"])).await;
    assert_eq!(injected.json(), json!({"ids": [1, 2]}));
    let reply = client.create("ada@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (418, "<p>"));
    assert_eq!((reply.header("x-pot"), reply.header("content-type")), (Some("tea"), Some("text/html")));
    assert_eq!(reply.header("retry-after"), Some("9"));

    let waiting = client.control("GET", "/faults", &json!(null)).await.json();
    assert_eq!(waiting["faults"][0]["fault"]["what"], json!({"reply": "no-slots"}));
    assert_eq!(client.control("DELETE", "/faults/2", &json!(null)).await.json(), json!({"removed": 1}));
    assert_eq!(client.control("DELETE", "/faults", &json!(null)).await.json(), json!({"removed": 0}));
}

#[tokio::test]
async fn an_invalid_fault_is_refused_with_a_reason() {
    let client = Client::new();
    for wrong in [
        json!("create:teapot"),
        json!("teapot:reset"),
        json!("create:reset:soon"),
        json!({"what": "explode"}),
        json!({"what": "reset", "time": 3}),
        json!({"what": "reset", "share": 1.5}),
        json!({"what": {"custom": {"status": 42}}}),
        json!({"what": {"custom": {"status": 500, "headers": [["A\r\nB", "c"]]}}}),
    ] {
        let reply = client.control("POST", "/faults", &wrong).await;
        assert_eq!(reply.status, 400, "{wrong}");
        assert!(!reply.text.is_empty());
    }
    assert!(client.sim.faults().is_empty());
}

#[test]
fn the_grammar_can_express_every_field_of_a_fault() {
    let fault: Fault = "replace:rate-limited:25%:after:delay=20:user=a@b.test:hint=retry-after=2".parse().unwrap();
    assert_eq!(fault.on, On::Only(Operation::Replace));
    assert_eq!(fault.what, What::Reply(ReplyName::RateLimited));
    assert_eq!((fault.times, fault.share, fault.after, fault.delay_ms), (None, Some(0.25), true, 20));
    assert_eq!(fault.user.as_deref(), Some("a@b.test"));
    assert_eq!(fault.hints[0].to_string(), "retry-after=2");
    let next: Fault = "any:reset".parse().unwrap();
    assert_eq!(next, Fault::next(1, On::Any, What::Reset));
    let round: Fault = serde_json::from_value(serde_json::to_value(&fault).unwrap()).unwrap();
    assert_eq!(round, fault);
}
