//! Both rate limits, and the counts of their violations.

use scim_bridge::postman_sim::{ReplyName, SimOptions};
use serde_json::json;

use crate::client::Client;

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn one_write_too_many_is_refused_and_counted_and_reads_go_on() {
    let client = Client::with(SimOptions { window_ms: HOUR_MS, ..SimOptions::default() });
    for i in 0..180 {
        assert_eq!(client.create(&format!("p{i}@example.test")).await.status, 201, "{i}");
    }
    let reply = client.create("late@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (429, ReplyName::RateLimited.body()));
    assert_eq!(reply.json()["status"], 429, "a number, as in the example");
    for header in ["retry-after", "retryafter", "ratelimit", "ratelimit-reset", "x-ratelimit-reset"] {
        assert_eq!(reply.header(header), None, "{header}");
    }
    assert_eq!(client.get("/Users").await.status, 200);
    let stats = client.sim.stats();
    assert_eq!((stats.write_violations, stats.read_violations), (1, 0));
    assert_eq!((stats.max_writes_in_window, stats.max_reads_in_window), (181, 1));
    assert!(client.sim.members_named("late@example.test").is_empty());
    assert!(client.sim.journal()[180].violation);
}

#[tokio::test]
async fn reads_have_a_limit_of_their_own() {
    let client = Client::with(SimOptions { reads: 5, window_ms: HOUR_MS, ..SimOptions::default() });
    for path in ["/Users", "/Users/x", "/ServiceProviderConfig", "/Users?count=1", "/ResourceTypes"] {
        assert_ne!(client.get(path).await.status, 429);
    }
    assert_eq!(client.get("/Users").await.status, 429);
    assert_eq!(client.create("ada@example.test").await.status, 201);
    assert_eq!(client.sim.stats().read_violations, 1);
}

#[tokio::test]
async fn a_wrong_key_uses_up_the_limit_too() {
    let client =
        Client::with(SimOptions { reads: 2, window_ms: HOUR_MS, key: "other".into(), ..SimOptions::default() });
    let statuses =
        [client.get("/Users").await.status, client.get("/Users").await.status, client.get("/Users").await.status];
    assert_eq!(statuses, [401, 401, 429]);
}

#[tokio::test]
async fn zero_means_no_limit() {
    let client = Client::with(SimOptions { reads: 0, window_ms: HOUR_MS, ..SimOptions::default() });
    for _ in 0..400 {
        assert_eq!(client.get("/Users").await.status, 200);
    }
    let stats = client.sim.stats();
    assert_eq!((stats.read_violations, stats.max_reads_in_window), (0, 400));
}

#[tokio::test]
async fn a_limit_can_be_changed_while_it_runs() {
    let client = Client::with(SimOptions { reads: 1, window_ms: HOUR_MS, ..SimOptions::default() });
    assert_eq!([client.get("/Users").await.status, client.get("/Users").await.status], [200, 429]);
    assert_eq!(client.control("PATCH", "/options", &json!({"reads": 3})).await.status, 200);
    assert_eq!([client.get("/Users").await.status, client.get("/Users").await.status], [200, 429]);
    assert_eq!(client.control("PATCH", "/options", &json!({"window_ms": 0})).await.status, 200);
    assert_eq!([client.get("/Users").await.status, client.get("/Users").await.status], [200, 200]);
    assert_eq!(client.sim.stats().read_violations, 2);
}

#[tokio::test]
async fn every_configured_hint_is_sent_with_the_429() {
    let client = Client::with(SimOptions { reads: 1, window_ms: HOUR_MS, ..SimOptions::default() });
    let hints = [
        ("retry-after", "retry-after"),
        ("retry-after-date", "retry-after"),
        ("x-ratelimit-retryafter", "x-ratelimit-retryafter"),
        ("retryafter", "retryafter"),
        ("x-ratelimit-reset", "x-ratelimit-reset"),
        ("ratelimit-reset", "ratelimit-reset"),
        ("ratelimit", "ratelimit"),
    ];
    client.get("/Users").await;
    for (hint, header) in hints {
        let options = json!({"hints": [{"header": hint, "seconds": 7}]});
        assert_eq!(client.control("PATCH", "/options", &options).await.status, 200, "{hint}");
        let reply = client.get("/Users").await;
        assert_eq!(reply.status, 429);
        assert!(reply.header(header).is_some_and(|v| !v.is_empty()), "{hint}");
    }
    client.sim.change(|o| o.hints = vec!["ratelimit".parse().unwrap()]);
    let reply = client.get("/Users").await;
    assert_eq!(reply.header("ratelimit"), Some("limit=1, remaining=0, reset=3600"));
}
