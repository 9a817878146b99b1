//! Repeated events are logged once a second, with a count: the log cannot fill the disk, and no event goes uncounted.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Bridge, Home, http, payload, post, sim, until};
use crate::redis_server::RedisServer;

/// The log lines with this message.
fn lines(bridge: &Bridge, message: &str) -> Vec<Value> {
    let log = bridge.log();
    let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}

/// How many events these lines account for.
fn counted(lines: &[Value]) -> u64 {
    lines.iter().map(|line| 1 + line["left_out"].as_u64().unwrap()).sum()
}

/// Repeats an action until the log accounts for every time, and checks that there is at most one line a second.
async fn is_logged_at_most_once_a_second(bridge: &Bridge, message: &str, again: impl AsyncFn() -> u16, answered: u16) {
    // Heartbeats may have failed at the same store before, and are logged as well.
    let before = lines(bridge, message).len();
    let began = Instant::now();
    let mut times = 0;
    for _ in 0..60 {
        assert_eq!(again().await, answered);
        times += 1;
    }
    // The first line after that second says how many were left out.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(again().await, answered);
    times += 1;
    until("the log accounts for every time", async || counted(&lines(bridge, message)[before..]) >= times).await;
    let logged = lines(bridge, message);
    let seconds = began.elapsed().as_secs() + 1;
    let logged = &logged[before..];
    assert!(counted(logged) <= times + seconds, "{} of {times} in {seconds} s", counted(logged));
    assert!(logged.len() as u64 <= seconds, "{} lines in {seconds} s", logged.len());
    assert!(logged.len() < 61, "a line each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_signatures_log_one_line_a_second_with_a_count() {
    let sim = sim();
    let bridge = Home::new(&sim, "").serve();
    let (client, url) = (http(), format!("http://{}/webhooks/hr", bridge.listen));
    let forge = async || client.post(&url).body("{}").send().await.unwrap().status().as_u16();
    is_logged_at_most_once_a_second(&bridge, "delivery refused", forge, 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_deliveries_and_requests_log_one_line_a_second_with_a_count() {
    let (sim, mut redis) = (sim(), RedisServer::start());
    let more = format!(
        "[server]\nadmin_token = \"a-token-that-nobody-guesses\"\n[store]\nurl = \"{}\"\nallow_plain = true\n",
        redis.url()
    );
    let home = Home::new(&sim, &more);
    let bridge = home.serve();
    let client = http();
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace");
    assert_eq!(post(&client, &bridge.listen, "m1", &body).await.unwrap().0, 200);
    redis.kill();
    let deliver = async || post(&client, &bridge.listen, "m2", &body).await.unwrap().0;
    is_logged_at_most_once_a_second(&bridge, "delivery not stored", deliver, 503).await;
    let people = format!("http://{}/api/v1/people", bridge.admin);
    let ask = async || client.get(&people).bearer_auth(&bridge.token).send().await.unwrap().status().as_u16();
    is_logged_at_most_once_a_second(&bridge, "the admin listener could not use the store", ask, 503).await;
    // Nothing else fills the log in the meantime, such as workers or other users of the store.
    let before = bridge.log().lines().count();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let more = bridge.log().lines().count() - before;
    assert!(more <= 10, "{more} lines in five seconds:\n{}", bridge.log());
}
