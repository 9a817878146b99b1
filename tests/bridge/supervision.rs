//! When a part of the process fails, it ends and says which part, or restarts the part and counts that. Uses
//! `src/failpoint.rs`, which is in every debug build, and in release builds with the feature `failpoints`.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use scim_bridge::postman_sim::PostmanSim;

use crate::process::{Bridge, Home, KEY, http, payload, post, sim, until};
use crate::redis_server::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vital_task_that_fails_ends_the_process_and_is_named() {
    let sim = sim();
    for (place, task) in
        [("intake", "public listener"), ("admin", "admin listener"), ("worker", "worker"), ("writer", "store")]
    {
        let home = Home::new(&sim, "");
        let bridge = home.serve_with(&[("FAILPOINTS", &format!("{place}=panic"))]);
        // The failure shows as soon as something needs the part.
        let _ = post(&http(), &bridge.listen, "m1", &payload("employee.hired", "E-1", "Ada", "Lovelace")).await;
        let (status, log) = bridge.ended();
        assert_eq!(status.code(), Some(1), "{place}: {log}");
        assert!(log.contains(&format!("the {task} has ended, and the process with it")), "{place}: {log}");
    }
}

/// The tasks of a process on the embedded store that are restarted, in [`all_at_work`].
const STARTED_AGAIN: [&str; 11] = [
    "alerts",
    "captures",
    "console events",
    "drift",
    "heartbeat",
    "lists",
    "mappings",
    "secrets",
    "series",
    "signals",
    "tidy",
];

/// A process in which every task has something to do.
fn all_at_work(sim: &PostmanSim) -> Home {
    let home = Home::new(
        sim,
        "[drift]\nevery_h = 1\n[[alert]]\nurl = 'http://127.0.0.1:9/'\nformat = 'slack'\n[postman]\nkey = { file = 'key' }",
    );
    std::fs::write(home.path().join("key"), KEY).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restartable_task_is_restarted_and_counted() {
    let sim = sim();
    let home = all_at_work(&sim);
    let orders = STARTED_AGAIN.map(|task| format!("{task}=2*panic")).join(";");
    let bridge = home.serve_with(&[("FAILPOINTS", &orders)]);
    for task in STARTED_AGAIN {
        // Signals are handled before anything is counted.
        let times = if task == "signals" { "" } else { "2" };
        let counted = format!("scim_bridge_tasks_restarted_total{{task=\"{task}\"}} {times}");
        until(&counted, async || bridge.get("/metrics").await.1.contains(&counted)).await;
    }
    assert_eq!((bridge.get("/livez").await.0, bridge.get("/readyz").await.0), (200, 200));
    // The task that handles signals has been restarted, too.
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_store_check_counts_as_failed_and_is_repeated() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve_with(&[("FAILPOINTS", "check=panic")]);
    until("it is reported", async || {
        let (_, status) = bridge.get("/api/v1/status").await;
        status.contains("STORE-UNWRITABLE")
    })
    .await;
    let (status, body) = bridge.get("/readyz").await;
    assert!(status == 503 && body.contains("the store cannot be reached or written"), "{status} {body}");
    drop(bridge);
    let bridge = home.serve_with(&[("FAILPOINTS", "check=2*panic")]);
    until("it is ready", async || bridge.get("/readyz").await.0 == 200).await;
    assert!(bridge.log().contains("the check of the store panicked"), "{}", bridge.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_attempt_affects_only_its_person() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve_with(&[("FAILPOINTS", "attempt=1*panic")]);
    for (n, person) in ["E-1", "E-2"].into_iter().enumerate() {
        let sent = payload("employee.hired", person, "Ada", "Lovelace");
        assert!(post(&http(), &bridge.listen, &format!("m{n}"), &sent).await.is_some());
        if n == 0 {
            until("it panics", async || bridge.log().contains("an attempt panicked")).await;
        }
    }
    let is_called = |name: &str| sim.journal().iter().any(|call| call.user_name.as_deref() == Some(name));
    // The second person is done at once, the first when the lease has expired.
    let since = Instant::now();
    until("the other one", async || is_called("e-2@example.com")).await;
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    until("the first one", async || is_called("e-1@example.com")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_hangs_is_not_ready_and_then_not_alive() {
    let sim = sim();
    let home = Home::new(&sim, "[server]\nworkers = 1");
    let bridge = home.serve_with(&[("FAILPOINTS", "intake=stall")]);
    until("it is not ready", async || {
        let (status, body) = bridge.get("/readyz").await;
        status == 503 && body.contains("public listener")
    })
    .await;
    until("it is not alive", async || {
        let (status, body) = bridge.get("/livez").await;
        status == 503 && body.contains("public listener")
    })
    .await;
}

/// How long a loop must stall in these tests: far longer than a busy machine delays one.
const SHORT_PATIENCE: &str = "patience=5000";

/// Starts a bridge in which a loop stalls.
fn standing_still(home: &Home, place: &str) -> Bridge {
    let bridge = home.serve_with(&[("FAILPOINTS", &format!("{place}=stall;{SHORT_PATIENCE}"))]);
    // Some loops do nothing until something comes. Nobody waits for the answer.
    let listen = bridge.listen.clone();
    tokio::spawn(async move {
        post(&http(), &listen, "m1", &payload("employee.hired", "E-1", "Ada", "Lovelace")).await;
    });
    bridge
}

/// Waits until the listener at `address` reports the hang.
async fn is_named(address: &str, task: &str) {
    until(task, async || {
        let response = http().get(format!("http://{address}/livez")).send().await.unwrap();
        response.status() == 503 && response.text().await.unwrap().contains(task)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_loop_is_named_and_the_process_is_not_alive() {
    let sim = sim();
    let started_again = STARTED_AGAIN.map(|task| (task, task));
    let parts = [("admin", "admin listener"), ("worker", "worker"), ("writer", "store writer")];
    // A few at a time: each is a process.
    for some in [&started_again[..], &parts].concat().chunks(4) {
        let bridges = some.iter().map(|(place, task)| {
            let home = all_at_work(&sim);
            let bridge = standing_still(&home, place);
            (home, bridge, task)
        });
        for (_home, bridge, task) in bridges.collect::<Vec<_>>() {
            // A listener that stalls cannot report that itself.
            let address = if *task == "admin listener" { &bridge.listen } else { &bridge.admin };
            is_named(address, task).await;
        }
    }
}

/// A store on each kind of server, and its loops.
fn on_redis(sim: &PostmanSim, redis: &RedisServer, durability: &str) -> Home {
    let admin = "[server]\nadmin_token = \"a-token-that-nobody-guesses\"";
    Home::new(sim, &format!("{admin}\n[store]\nurl = '{}'\ndurability = '{durability}'", redis.url()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_redis_stores_loops_are_restarted_and_take_new_work() {
    let kinds = [(RedisServer::start(), "written", "dispatch"), (RedisServer::start_valkey(), "fsynced", "durable")];
    for (redis, durability, dispatcher) in kinds {
        let sim = sim();
        let home = on_redis(&sim, &redis, durability);
        let tasks = [dispatcher, "wake", "holds"];
        let bridge = home.serve_with(&[("FAILPOINTS", &tasks.map(|task| format!("{task}=1*panic")).join(";"))]);
        let sent = payload("employee.hired", "E-1", "Ada", "Lovelace");
        let is_taken =
            async || post(&http(), &bridge.listen, "m1", &sent).await.is_some_and(|(status, _)| status == 200);
        // The first delivery may not be acknowledged, and is sent again.
        until("it is taken in", is_taken).await;
        until("it is brought to Postman", async || !sim.journal().is_empty()).await;
        for task in tasks {
            let counted = format!("scim_bridge_tasks_restarted_total{{task=\"{task}\"}} 1");
            until(&counted, async || bridge.get("/metrics").await.1.contains(&counted)).await;
        }
        assert_eq!((bridge.get("/livez").await.0, bridge.get("/readyz").await.0), (200, 200));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_loop_of_the_redis_store_is_named() {
    let (sim, redis, valkey) = (sim(), RedisServer::start(), RedisServer::start_valkey());
    let homes = [
        (on_redis(&sim, &redis, "written"), "dispatch"),
        (on_redis(&sim, &redis, "written"), "wake"),
        (on_redis(&sim, &redis, "written"), "holds"),
        (on_redis(&sim, &valkey, "fsynced"), "durable"),
    ];
    let bridges = homes.each_ref().map(|(home, task)| (standing_still(home, task), *task));
    for (bridge, task) in bridges {
        is_named(&bridge.admin, task).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unresponsive_redis_makes_no_loop_hang() {
    let (sim, redis, valkey) = (sim(), RedisServer::start(), RedisServer::start_valkey());
    for (redis, durability) in [(&redis, "written"), (&valkey, "fsynced")] {
        let home = on_redis(&sim, redis, durability);
        let bridge = home.serve_with(&[("FAILPOINTS", SHORT_PATIENCE)]);
        until("it is ready", async || bridge.get("/readyz").await.0 == 200).await;
        redis.command(&["CLIENT", "PAUSE", "60000", "ALL"]);
        let began = Instant::now();
        let sent = payload("employee.hired", "E-1", "Ada", "Lovelace");
        let waits = tokio::spawn({
            let listen = bridge.listen.clone();
            async move { post(&http(), &listen, "m1", &sent).await }
        });
        // Twice as long as a loop may stall.
        while began.elapsed() < Duration::from_secs(10) {
            let (status, body) = bridge.get("/livez").await;
            assert_eq!(status, 200, "{body}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(bridge.get("/readyz").await.0, 503);
        assert!(waits.await.unwrap().is_none_or(|(status, _)| status == 503));
    }
}
