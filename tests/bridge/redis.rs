//! The whole binary on a Redis that is down, idle, or used by a newer version.

use std::time::Duration;

use crate::process::{Bridge, Home, http, payload, post, sim, until};
use crate::redis_server::RedisServer;

/// A configuration with this Redis as the store.
fn on(redis: &RedisServer) -> String {
    format!("[server]\nadmin_token = \"a-token-that-nobody-guesses\"\n[store]\nurl = \"{}\"\n", redis.url())
}

/// Posts a hire, and returns the status.
async fn hire(bridge: &Bridge, id: &str) -> u16 {
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace");
    post(&http(), &bridge.listen, id, &body).await.unwrap().0
}

/// Sends the hire again until it is accepted.
async fn is_accepted_at_last(bridge: &Bridge, id: &str) {
    until("the hire is accepted", async || hire(bridge, id).await == 200).await;
}

/// Polls the admin listener until the response has this status and contains these words.
async fn comes_to(bridge: &Bridge, path: &str, status: u16, words: &str) {
    bridge.answers(path, |answered, body| answered == status && body.contains(words)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_process_answers_503_and_recovers_when_redis_is_back() {
    let (sim, mut redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, &on(&redis));
    redis.kill();
    let bridge = home.serve();
    assert_eq!(hire(&bridge, "m1").await, 503);
    assert_eq!(bridge.get("/livez").await.0, 200);
    comes_to(&bridge, "/readyz", 503, "STORE-UNREACHABLE").await;
    redis.start_again();
    is_accepted_at_last(&bridge, "m1").await;
    comes_to(&bridge, "/readyz", 200, "").await;
    bridge.settled().await;
    assert_eq!(sim.members().len(), 1);

    // The same if Redis goes down while it is in use.
    let mut console = Console::of(&bridge);
    console.log_in(&bridge).await;
    redis.kill();
    assert_eq!(hire(&bridge, "m2").await, 503);
    comes_to(&bridge, "/readyz", 503, "STORE-").await;
    assert_eq!(bridge.get("/livez").await.0, 200);
    // `status` answers, and lists it as a problem like any other.
    comes_to(&bridge, "/api/v1/status", 200, "\"code\":\"STORE-UNREACHABLE\"").await;
    let status: serde_json::Value = serde_json::from_str(&bridge.get("/api/v1/status").await.1).unwrap();
    assert_eq!((&status["readable"], &status["problems"][0]["subject"]), (&false.into(), &"store".into()), "{status}");
    // So does the console, for sessions from before and for new ones. A page that needs the store says that it failed.
    console.shows("/", 200, "STORE-UNREACHABLE").await;
    console.log_in(&bridge).await;
    console.shows("/", 200, "STORE-UNREACHABLE").await;
    console.shows("/people", 503, "That did not work").await;
    console.log_out().await;
    console.is_logged_out().await;
    for gone in ["scim_bridge_store_up 0\n", "scim_bridge_store_connections{use=\"shared\"} 0\n"] {
        comes_to(&bridge, "/metrics", 200, gone).await;
    }
    redis.start_again();
    is_accepted_at_last(&bridge, "m2").await;
    comes_to(&bridge, "/readyz", 200, "").await;
    console.is_logged_out().await;
}

/// How many scripts the server has run.
fn scripts_run(redis: &RedisServer) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]);
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.unwrap().split(',').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_makes_no_more_calls_than_docs_redis_md_says() {
    const SECONDS: u64 = 5;
    let (sim, redis) = (sim(), RedisServer::start());
    let worker = Home::new(&sim, &on(&redis)).serve_as("worker");
    comes_to(&worker, "/readyz", 200, "").await;
    let before = scripts_run(&redis);
    // A plain sleep: what is measured is a time in which nothing happens.
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let run = scripts_run(&redis) - before;
    assert!(run >= SECONDS / 2, "it does not look for work: {run} calls in {SECONDS} s");
    // About ten, and more if two heartbeats fall into that time. A loop without a sleep makes thousands.
    assert!(run <= 20 * SECONDS, "{run} calls in {SECONDS} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_and_running_processes_leave_a_newer_store_alone() {
    let (sim, redis) = (sim(), RedisServer::start());
    let home = Home::new(&sim, &on(&redis));
    let bridge = home.serve_as("intake");
    assert_eq!(hire(&bridge, "m1").await, 200);
    let version = redis.command(&["GET", "{scim-bridge}:schema"]);
    redis.command(&["SET", "{scim-bridge}:schema", "99"]);
    let before = redis.command(&["HGETALL", "{scim-bridge}:ctl"]);

    let refused = tokio::task::block_in_place(|| home.command(&["serve"]).output().unwrap());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let printed = String::from_utf8_lossy(&refused.stderr);
    assert!(printed.contains("schema version 99"), "{printed}");

    assert_eq!(hire(&bridge, "m2").await, 503);
    comes_to(&bridge, "/readyz", 503, "STORE-NEWER-SCHEMA").await;
    // Not even the clock is stored.
    assert_eq!(redis.command(&["HGETALL", "{scim-bridge}:ctl"]), before);

    // A way back: the newer version was rolled back before it wrote anything else.
    redis.command(&["SET", "{scim-bridge}:schema", version.trim()]);
    is_accepted_at_last(&bridge, "m2").await;
    comes_to(&bridge, "/readyz", 200, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_settings_changed_in_use_are_reported_until_corrected() {
    let (sim, redis) = (sim(), RedisServer::start());
    let bridge = Home::new(&sim, &on(&redis)).serve();
    comes_to(&bridge, "/readyz", 200, "").await;
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    comes_to(&bridge, "/api/v1/status", 200, "STORE-EVICTION").await;
    assert_eq!(hire(&bridge, "m1").await, 200);
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    comes_to(&bridge, "/api/v1/status", 200, "\"problems\":[]").await;
}

/// A browser at the console.
struct Console {
    client: reqwest::Client,
    url: String,
    cookie: String,
}

impl Console {
    fn of(bridge: &Bridge) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, url: format!("http://{}", bridge.admin), cookie: String::new() }
    }

    async fn log_in(&mut self, bridge: &Bridge) {
        let answer = self.submit("/login", format!("token={}", bridge.token)).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/".parse().unwrap()));
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
    }

    async fn submit(&self, path: &str, form: String) -> reqwest::Response {
        let request = self.client.post(format!("{}{path}", self.url)).header("cookie", &self.cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded").header("origin", &self.url);
        request.body(form).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.url)).header("cookie", &self.cookie).send().await.unwrap()
    }

    async fn shows(&self, path: &str, status: u16, words: &str) {
        let answer = self.get(path).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(words), "{path}: {page}");
    }

    async fn log_out(&self) {
        let page = self.get("/").await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        let token = rest.split_once('"').unwrap().0;
        let answer = self.submit("/logout", format!("form_token={token}")).await;
        assert_eq!(answer.status().as_u16(), 303);
    }

    /// The cookie that the browser should have thrown away opens nothing.
    async fn is_logged_out(&self) {
        let answer = self.get("/").await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (303, &"/login".parse().unwrap()));
    }
}
