//! Intakes and workers as processes of their own: what they do while Redis is not there, how soon a
//! worker hears of an event, and how quiet an idle one is.

use std::time::{Duration, Instant};

use scim_bridge::app::{Bridge, Role};
use scim_bridge::core::code::Code;
use scim_bridge::lifecycle::Lifecycle;
use standardwebhooks::Webhook;

use crate::on_both;
use crate::servers::{Make, Server};
use crate::stage::{accept, config, open};

on_both! {
    an_intake_without_redis_answers_503_and_goes_on_when_it_is_there
    a_wake_up_crosses_processes_within_50_ms
    an_idle_worker_makes_at_most_two_calls_a_second
    a_worker_goes_on_soon_after_redis_is_back
    a_process_refuses_to_start_on_the_store_of_a_newer_version
    a_running_process_takes_nothing_more_once_a_newer_version_has_written
}

/// Posts a hire, signed, and gives the status.
pub(crate) async fn post(intake: std::net::SocketAddr, id: &str) -> u16 {
    let body = r#"{"type":"employee.hired","data":{"employee_id":"E-1","email":"ada@example.com","first_name":"Ada"}}"#;
    let at = scim_bridge::clock::Clock::System.now().0 / 1000;
    let secret = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=";
    let signature = Webhook::new(secret).unwrap().sign(id, at, body.as_bytes()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sent = reqwest::Client::new()
        .post(format!("http://{intake}/webhooks/hr"))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at.to_string())
        .header("webhook-signature", signature)
        .body(body)
        .send();
    sent.await.unwrap().status().as_u16()
}

/// What `/readyz` answers.
pub(crate) async fn ready(admin: std::net::SocketAddr) -> (u16, String) {
    let answer = reqwest::get(format!("http://{admin}/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn an_intake_without_redis_answers_503_and_goes_on_when_it_is_there(make: Make) {
    let mut server = Server::prepared(make);
    server.arg(&["--appendonly", "yes"]);
    let life = Lifecycle::new();
    let bridge = Bridge::build(config(&server.url(), &[]), Role::Intake, life.clone()).await.unwrap();
    let (intake, admin) = (bridge.intake_address().unwrap(), bridge.admin_address());
    let running = tokio::spawn(bridge.run());
    assert_eq!(post(intake, "msg_1").await, 503);
    let (status, told) = ready(admin).await;
    assert_eq!(status, 503);
    assert!(told.contains("STORE-UNREACHABLE"), "{told}");
    assert_eq!(reqwest::get(format!("http://{admin}/livez")).await.unwrap().status(), 200);
    server.run();
    let deadline = Instant::now() + Duration::from_secs(10);
    while post(intake, "msg_1").await != 200 {
        assert!(Instant::now() < deadline, "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ready(admin).await.0, 200);
    life.stop();
    running.await.unwrap().unwrap();
}

async fn a_wake_up_crosses_processes_within_50_ms(make: Make) {
    let server = Server::start(make, &[]);
    let (intake, worker) = (open(&server.url(), &[]), open(&server.url(), &[]));
    accept(intake.as_ref()).await.unwrap();
    // The first wake-up says that the subscription stands.
    tokio::time::timeout(Duration::from_secs(10), worker.woken()).await.unwrap();
    let mut late = Vec::new();
    for _ in 0..20 {
        let woken = tokio::spawn({
            let worker = worker.clone();
            async move {
                worker.woken().await;
                Instant::now()
            }
        });
        tokio::task::yield_now().await;
        let began = Instant::now();
        accept(intake.as_ref()).await.unwrap();
        let at = tokio::time::timeout(Duration::from_secs(5), woken).await.expect("it is woken").unwrap();
        late.push(at.saturating_duration_since(began));
    }
    late.sort_unstable();
    // The slowest may have met another test on this machine.
    assert!(late[17] < Duration::from_millis(50), "{late:?}");
}

async fn an_idle_worker_makes_at_most_two_calls_a_second(make: Make) {
    let server = Server::start(make, &[]);
    let life = Lifecycle::new();
    let bridge = Bridge::build(config(&server.url(), &[]), Role::Worker, life.clone()).await.unwrap();
    assert!(bridge.intake_address().is_none());
    let running = tokio::spawn(bridge.run());
    assert!(tokio::task::block_in_place(|| crate::servers::eventually(|| server.info("pubsub_channels") == Some(1))));
    let calls = || {
        let stats = server.ask(&["INFO", "commandstats"]);
        let of = |name: &str| {
            let told = stats.lines().find(|told| told.starts_with(&format!("cmdstat_{name}:calls=")));
            told.and_then(|told| told.split(['=', ',']).nth(1)).map_or(0_u64, |calls| calls.parse().unwrap())
        };
        of("evalsha") + of("eval") + of("ping")
    };
    let before = calls();
    // What is measured is the time in which nothing happens.
    let seconds = 5;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let counted = calls() - before;
    assert!(counted >= 1, "it does not look at all");
    assert!(counted <= 2 * seconds, "{counted} calls in {seconds} s");
    life.stop();
    running.await.unwrap().unwrap();
}

async fn a_worker_goes_on_soon_after_redis_is_back(make: Make) {
    let mut server = Server::start(make, &["--appendfsync", "always"]);
    let life = Lifecycle::new();
    // Nobody is there, so the attempt fails; that it was made is what counts.
    let keys = [("POSTMAN__BASE_URL", "http://127.0.0.1:1")];
    let bridge = Bridge::build(config(&server.url(), &keys), Role::Worker, life.clone()).await.unwrap();
    let running = tokio::spawn(bridge.run());
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    server.kill();
    assert!(store.ping().await.is_err());
    server.run();
    let (id, _) = crate::stage::accepts_at_last(store.as_ref()).await;
    let began = Instant::now();
    loop {
        let view = store.job(id).await.unwrap().unwrap();
        if view.state != scim_bridge::core::job::JobState::Waiting || !view.job.history.is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(3), "it is not attempted: {view:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    life.stop();
    running.await.unwrap().unwrap();
}

async fn a_process_refuses_to_start_on_the_store_of_a_newer_version(make: Make) {
    let server = Server::start(make, &[]);
    accept(open(&server.url(), &[]).as_ref()).await.unwrap();
    server.ask(&["SET", "{scim-bridge}:schema", "99"]);
    let started = Bridge::build(config(&server.url(), &[]), Role::All, Lifecycle::new()).await;
    let Err(error) = started else { panic!("it starts") };
    assert!(error.to_string().contains("schema version 99"), "{error}");
}

async fn a_running_process_takes_nothing_more_once_a_newer_version_has_written(make: Make) {
    let server = Server::start(make, &[]);
    let life = Lifecycle::new();
    let bridge = Bridge::build(config(&server.url(), &[]), Role::Intake, life.clone()).await.unwrap();
    let (intake, admin) = (bridge.intake_address().unwrap(), bridge.admin_address());
    let running = tokio::spawn(bridge.run());
    assert_eq!(post(intake, "msg_1").await, 200);
    server.ask(&["SET", "{scim-bridge}:schema", "2"]);
    // On the connection that it has, and on another.
    for id in ["msg_2", "msg_3"] {
        assert_eq!(post(intake, id).await, 503);
        let (status, told) = ready(admin).await;
        assert_eq!(status, 503);
        assert!(told.contains("STORE-NEWER-SCHEMA") && told.contains("Run the newer version"), "{told}");
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    }
    let worker = open(&server.url(), &[]);
    assert_eq!(crate::stage::code(crate::stage::claim(worker.as_ref()).await), Code::StoreNewerSchema);
    assert_eq!(server.ask(&["HLEN", "{scim-bridge}:job"]), "1");
    server.ask(&["SET", "{scim-bridge}:schema", "1"]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while post(intake, "msg_2").await != 200 {
        assert!(Instant::now() < deadline, "it does not recover");
    }
    life.stop();
    running.await.unwrap().unwrap();
}

/// A process of its own: what is counted is the process's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_gone_are_not_counted() {
    let mut server = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let (intake, admin) = (crate::servers::free_port(), crate::servers::free_port());
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_scim-bridge"))
        .args(["serve", "--role", "intake"])
        .env("HR_SECRET", "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=")
        .env("POSTMAN_SCIM_KEY", "PMAK-of-the-tests")
        .env("SCIM_BRIDGE__STORE__URL", server.url())
        .env("SCIM_BRIDGE__STORE__DURABILITY", "fsynced")
        .env("SCIM_BRIDGE__SERVER__LISTEN", format!("127.0.0.1:{intake}"))
        .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let counted = async |shared: &str, durable: &str| {
        let lines = [("shared", shared), ("durable", durable)]
            .map(|(of, n)| format!("scim_bridge_store_connections{{use=\"{of}\"}} {n}\n"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{admin}/metrics")).await {
                let told = answer.text().await.unwrap();
                if lines.iter().all(|line| told.contains(line)) {
                    return true;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let there = counted("1", "1").await;
    server.kill();
    let gone = counted("0", "0").await;
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(there && gone, "there: {there}, gone: {gone}");
}

/// Asks until the process is ready, or is not, with this in its reasons.
async fn becomes(admin: std::net::SocketAddr, status: u16, reason: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let told = ready(admin).await;
        if told.0 == status && told.1.contains(reason) {
            return;
        }
        assert!(Instant::now() < deadline, "never {status} {reason}, but {told:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_ready_only_where_a_write_becomes_as_durable_as_configured() {
    let primary = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    // A replica acknowledges once a second.
    let keys = [("durability", "replicated"), ("durable_timeout_ms", "2500")];
    let store = open(&primary.url(), &keys);
    // What `check` asks.
    assert_eq!(code(store.ping().await), Code::StoreNotDurable);
    // An operator who is told that a hold stands relies on it.
    let set = store.set_hold(now(), HoldScope::All, Code::HoldOperator).await;
    assert_eq!(code(set), Code::StoreNotDurable);
    assert_eq!(code(store.lift_hold(now(), None).await), Code::StoreNotDurable);

    let life = Lifecycle::new();
    let bridge = Bridge::build(config(&primary.url(), &keys), Role::Intake, life.clone()).await.unwrap();
    let (intake, admin) = (bridge.intake_address().unwrap(), bridge.admin_address());
    let running = tokio::spawn(bridge.run());
    becomes(admin, 503, "STORE-NOT-DURABLE").await;
    assert_eq!(post(intake, "msg_1").await, 503);
    let metrics = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("scim_bridge_store_up 0"), "{metrics}");
    let replica = Server::start(
        Make::Valkey,
        &["--appendfsync", "always", "--replicaof", "127.0.0.1", &primary.port().to_string()],
    );
    assert!(eventually(|| replica.ask(&["INFO", "replication"]).contains("master_link_status:up")));
    becomes(admin, 200, "").await;
    assert_eq!(post(intake, "msg_1").await, 200);
    life.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_told_within_a_second_while_the_disk_is_waited_for_and_asks_do_not_pile_up() {
    let server = Server::start(Make::Valkey, &["--appendfsync", "everysec"]);
    let life = Lifecycle::new();
    let bridge = Bridge::build(config(&server.url(), &FSYNCED), Role::Intake, life.clone()).await.unwrap();
    let admin = bridge.admin_address();
    let running = tokio::spawn(bridge.run());
    becomes(admin, 200, "").await;
    let pings = || server.ask(&["HGET", "{scim-bridge}:ctl", "pings"]).parse::<u32>().unwrap();
    let before = pings();
    let client = reqwest::Client::new();
    let asked = join_all((0..50).map(|_| async {
        let began = Instant::now();
        let answer = client.get(format!("http://{admin}/readyz")).send().await.unwrap();
        (answer.status(), began.elapsed())
    }));
    for (status, took) in asked.await {
        assert_eq!(status, 200);
        // A probe of Kubernetes gives up then.
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // One look for all of them; one that was under way, and one of its own accord.
    assert!(pings() - before <= 3, "{} pings", pings() - before);
    server.hang();
    becomes(admin, 503, "").await;
    server.go_on();
    becomes(admin, 200, "").await;
    life.stop();
    running.await.unwrap().unwrap();
}
