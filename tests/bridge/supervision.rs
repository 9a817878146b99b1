//! Parts of the process fail: it ends and says which, or goes on and counts it. By `src/failpoint.rs`, which is in
//! each debug build, and in a release build with the feature `failpoints`.

use std::time::{Duration, Instant};

use crate::process::{Home, PATIENCE, http, payload, post, sim};
use crate::redis_server::RedisServer;

async fn until(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < patience, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_without_which_nothing_goes_on_ends_the_process_which_says_which_it_was() {
    let sim = sim();
    for (place, task) in
        [("intake", "public listener"), ("admin", "admin listener"), ("worker", "worker"), ("writer", "store")]
    {
        let home = Home::new(&sim, "");
        let bridge = home.serve_with(&[("FAILPOINTS", &format!("{place}=panic"))]);
        // Whatever needs it first shows it.
        let _ = post(&http(), &bridge.listen, "m1", &payload("employee.hired", "E-1", "Ada", "Lovelace")).await;
        let (status, log) = bridge.ended();
        assert_eq!(status.code(), Some(1), "{place}: {log}");
        assert!(log.contains(&format!("the {task} has ended, and the process with it")), "{place}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_can_be_started_again_is_and_is_counted() {
    let sim = sim();
    let home = Home::new(&sim, "");
    std::fs::write(home.path().join("key"), "PMAK-the-key-of-the-tests").unwrap();
    let home = Home::new(&sim, &format!("[postman]\nkey = {{ file = '{}' }}", home.path().join("key").display()));
    let orders = "tidy=2*panic;secrets=2*panic;series=2*panic;captures=2*panic;heartbeat=2*panic;mappings=2*panic";
    let bridge = home.serve_with(&[("FAILPOINTS", orders)]);
    for task in ["tidy", "secrets", "series", "captures", "heartbeat", "mappings"] {
        let counted = format!("scim_bridge_tasks_restarted_total{{task=\"{task}\"}} 2");
        until(&counted, PATIENCE, async || bridge.get("/metrics").await.1.contains(&counted)).await;
    }
    assert_eq!((bridge.get("/livez").await.0, bridge.get("/readyz").await.0), (200, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_panics_is_that_persons_trouble_alone() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve_with(&[("FAILPOINTS", "attempt=1*panic")]);
    for (n, person) in ["E-1", "E-2"].into_iter().enumerate() {
        let sent = payload("employee.hired", person, "Ada", "Lovelace");
        assert!(post(&http(), &bridge.listen, &format!("m{n}"), &sent).await.is_some());
        if n == 0 {
            until("it panics", PATIENCE, async || bridge.log().contains("an attempt panicked")).await;
        }
    }
    let is_called = |name: &str| sim.journal().iter().any(|call| call.user_name.as_deref() == Some(name));
    // The other one is done at once, the first when the lease has run out.
    until("the other one", Duration::from_secs(8), async || is_called("e-2@example.com")).await;
    until("the first one", PATIENCE, async || is_called("e-1@example.com")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_hangs_is_not_ready_and_then_not_alive() {
    let sim = sim();
    let home = Home::new(&sim, "[server]\nworkers = 1");
    let bridge = home.serve_with(&[("FAILPOINTS", "intake=stall")]);
    until("it is not ready", PATIENCE, async || {
        let (status, body) = bridge.get("/readyz").await;
        status == 503 && body.contains("public listener")
    })
    .await;
    until("it is not alive", 2 * PATIENCE, async || {
        let (status, body) = bridge.get("/livez").await;
        status == 503 && body.contains("public listener")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dispatcher_of_shared_calls_is_started_again_and_takes_what_comes_then() {
    let (sim, redis) = (sim(), RedisServer::start());
    let admin = "[server]\nadmin_token = \"a-token-that-nobody-guesses\"";
    let home = Home::new(&sim, &format!("{admin}\n[store]\nurl = '{}'", redis.url()));
    let bridge = home.serve_with(&[("FAILPOINTS", "dispatch=1*panic")]);
    let sent = payload("employee.hired", "E-1", "Ada", "Lovelace");
    let answered = async || post(&http(), &bridge.listen, "m1", &sent).await.is_some();
    // The first is not acknowledged, and is sent again.
    until("it is taken in", PATIENCE, answered).await;
    assert!(bridge.get("/metrics").await.1.contains("scim_bridge_tasks_restarted_total{task=\"dispatch\"} 1"));
}
