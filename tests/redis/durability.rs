//! A 200 that waits for disks.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scim_bridge::core::code::Code;
use scim_bridge::store::Accepted;

use crate::servers::{Make, Server, eventually};
use crate::stage::{TIMEOUT_MS, accept, accept_as, accepts_at_last, claim, code, is_there, new_id, open};

/// Sends bursts of deliveries, and kills the server with SIGKILL as soon as some have been acknowledged while others
/// are in flight.
async fn kills(make: Make, appendfsync: &str, keys: &[(&str, &str)], rounds: u32) {
    let mut server = Server::start(make, &["--appendfsync", appendfsync]);
    let store = open(&server.url(), keys);
    let (mut acknowledged, mut refused) = (0, 0);
    for round in 0..rounds {
        accepts_at_last(store.as_ref()).await;
        let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let senders: Vec<_> = (0..16)
            .map(|_| {
                let (store, answered) = (store.clone(), answered.clone());
                tokio::spawn(async move {
                    while let Ok(id) = accept(store.as_ref()).await {
                        answered.send(id).unwrap();
                    }
                })
            })
            .collect();
        drop(answered);
        let mut ids = Vec::new();
        // A different number in each round, so that the kill hits another moment.
        while ids.len() < 16 + (round as usize * 7) % 64 {
            ids.push(answers.recv().await.expect("no request has failed yet"));
        }
        server.kill();
        refused += join_all(senders).await.len();
        while let Some(id) = answers.recv().await {
            ids.push(id);
        }
        server.run();
        accepts_at_last(store.as_ref()).await;
        for id in ids {
            acknowledged += 1;
            assert!(is_there(store.as_ref(), id).await, "round {round}: {id} was acknowledged and is lost");
        }
    }
    println!(
        "{make:?}, {appendfsync}, {keys:?}: {rounds} kills, {acknowledged} acknowledged, {refused} broken off, 0 lost"
    );
}

const ROUNDS: u32 = 5;
const ROUNDS_LONG: u32 = 200;
const FSYNCED: [(&str, &str); 1] = [("durability", "fsynced")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_accepted_with_appendfsync_always_survive_a_kill() {
    for make in [Make::Redis, Make::Valkey] {
        kills(make, "always", &[], ROUNDS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_accepted_as_fsynced_survive_a_kill() {
    kills(Make::Valkey, "always", &FSYNCED, ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long form of the two above: minutes"]
async fn two_hundred_kills_lose_nothing() {
    for make in [Make::Redis, Make::Valkey] {
        kills(make, "always", &[], ROUNDS_LONG).await;
    }
    kills(Make::Valkey, "always", &FSYNCED, ROUNDS_LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreplicated_write_is_refused_and_recognised_later() {
    let primary = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let keys = [("durability", "replicated"), ("durable_timeout_ms", "500")];
    let store = open(&primary.url(), &keys);
    let id = new_id();
    for _ in 0..2 {
        // A duplicate is no more durable than the delivery that it repeats.
        assert_eq!(code(accept_as(store.as_ref(), id).await), Code::StoreNotDurable);
    }
    let replica = Server::start(Make::Valkey, &["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    assert!(eventually(|| replica.ask(&["INFO", "replication"]).contains("master_link_status:up")));
    let mut again = accept_as(store.as_ref(), id).await;
    assert!(eventually(|| {
        again.is_ok() || {
            again = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(accept_as(store.as_ref(), id))
            });
            false
        }
    }));
    assert_eq!(again.unwrap(), Accepted::Duplicate { ids: vec![id] });
    assert_eq!(claim(store.as_ref()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_write_survives_forgotten_scripts_and_a_hung_server() {
    let server = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let store = open(&server.url(), &[("durability", "fsynced"), ("durable_timeout_ms", "500")]);
    accept(store.as_ref()).await.unwrap();
    server.ask(&["SCRIPT", "FLUSH"]);
    accept(store.as_ref()).await.unwrap();
    server.hang();
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreTimeout);
    server.go_on();
    accepts_at_last(store.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_confirmed_act_is_as_durable_as_configured() {
    let primary = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let store = open(&primary.url(), &[("durability", "replicated"), ("durable_timeout_ms", "500")]);
    // The question that `check` asks.
    assert_eq!(code(store.check().await), Code::StoreNotDurable);
    // An operator relies on a hold that was confirmed.
    assert_eq!(code(store.put_shared("holds", 0, "held".into()).await), Code::StoreNotDurable);
    assert_eq!(code(store.discard_unmapped(new_id()).await), Code::StoreNotDurable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_during_writes_is_reported_within_the_response_timeout() {
    let server = Server::start(Make::Valkey, &["--appendfsync", "everysec"]);
    // Makes writes wait for the disk.
    let slow = [("durability", "fsynced"), ("durable_timeout_ms", "20000"), ("insecure_ok", "true")];
    let store = open(&server.url(), &slow);
    accept(store.as_ref()).await.unwrap();
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                while accept(store.as_ref()).await.is_ok() {}
                Instant::now()
            })
        })
        .collect();
    // By now some wait for the disk, and others have yet to run their scripts.
    let before = server.info("total_commands_processed").unwrap();
    assert!(eventually(|| server.info("total_commands_processed").unwrap() > before + 100));
    server.hang();
    let hung = Instant::now();
    // The next deliveries, as they arrive.
    assert!(accept(store.as_ref()).await.is_err());
    for ended in join_all(senders).await {
        let after = ended.unwrap().saturating_duration_since(hung);
        assert!(after < Duration::from_millis(TIMEOUT_MS * 4), "{after:?}");
    }
    server.go_on();
    accepts_at_last(store.as_ref()).await;
}
