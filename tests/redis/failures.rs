//! A server that is missing, hangs, returns, or refuses: reported by a code, counted, and over as soon as the cause is
//! gone.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use scim_bridge::clock::Clock;
use scim_bridge::core::code::Code;
use scim_bridge::core::limiter::CallKind;
use scim_bridge::store::recorded::Recorded;
use scim_bridge::store::{Committed, Store};
use scim_bridge::telemetry::metrics::Metrics;
use scim_bridge::telemetry::store_log::StoreLog;

use crate::on_both;
use crate::servers::{Make, Server, eventually};
use crate::stage::{
    TIMEOUT_MS, accept, accept_as, accepts_at_last, claim, code, fails_with, fold, is_there, looking, new_id, now, open,
};

on_both! {
    a_server_is_used_as_soon_as_it_is_there
    an_emptied_server_is_refused_until_it_is_restored_or_the_process_begins_anew
    a_store_without_an_id_is_used_and_given_one
    accepted_deliveries_survive_a_killed_server
    a_hung_server_is_reported_in_time_and_used_again
    a_connection_that_the_server_closed_is_not_used_again
    connections_killed_during_a_call_refuse_nobody
    a_demoted_primary_is_reported_and_a_promoted_one_is_used
    forgotten_scripts_go_unnoticed
    a_server_without_memory_refuses_and_recovers
    a_full_server_refuses_new_deliveries_and_drains_its_backlog
    a_server_that_is_kept_busy_refuses_and_recovers
    a_server_with_too_few_replicas_refuses_and_recovers
    a_server_that_is_loading_refuses_and_recovers
    a_server_with_too_many_clients_refuses_and_recovers
}

async fn a_server_is_used_as_soon_as_it_is_there(make: Make) {
    let mut server = Server::prepared(make);
    server.arg(&["--appendonly", "yes"]);
    let metrics = Metrics::install().unwrap();
    let store: Arc<dyn Store> = Arc::new(Recorded::new(open(&server.url(), &[]), Clock::System, StoreLog::default()));
    assert_eq!(code(store.check().await), Code::StoreUnreachable);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreUnreachable);
    assert!(metrics.render().contains(r#"scim_bridge_store_errors_total{code="STORE-UNREACHABLE"}"#));
    server.run();
    accepts_at_last(store.as_ref()).await;
    store.check().await.unwrap();
}

async fn an_emptied_server_is_refused_until_it_is_restored_or_the_process_begins_anew(make: Make) {
    let server = Server::start(make, &["--appendfsync", "always"]);
    let store = open(&server.url(), &[]);
    let kept = accept(store.as_ref()).await.unwrap();
    let schema = "{scim-bridge}:schema";
    let version = server.ask(&["GET", schema]);
    // Everything but the person, who shows below that a restored store goes on.
    server.ask(&["DEL", schema]);
    assert_eq!(code(store.check().await), Code::StoreEmptied);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreEmptied);
    assert_eq!(code(claim(store.as_ref()).await), Code::StoreEmptied);
    server.ask(&["SET", schema, &version]);
    store.check().await.unwrap();
    assert!(is_there(store.as_ref(), kept).await);
    server.ask(&["FLUSHALL"]);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreEmptied);
    // A command looks, and makes none.
    let looks = looking(&server.url());
    assert_eq!(code(looks.check().await), Code::StoreEmptied);
    assert_eq!(server.ask(&["DBSIZE"]), "0");
    let begun = open(&server.url(), &[]);
    assert!(!is_there(begun.as_ref(), kept).await);
    accept(begun.as_ref()).await.unwrap();
    // What another process made is not what this one knew.
    assert_eq!(code(store.check().await), Code::StoreEmptied);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreEmptied);
    assert_eq!(code(claim(store.as_ref()).await), Code::StoreEmptied);
    begun.check().await.unwrap();
    looks.check().await.unwrap();
    open(&server.url(), &[]).check().await.unwrap();
    begun.check().await.unwrap();
}

async fn a_store_without_an_id_is_used_and_given_one(make: Make) {
    let server = Server::start(make, &["--appendfsync", "always"]);
    let first = open(&server.url(), &[]);
    let kept = accept(first.as_ref()).await.unwrap();
    // As an older version left it.
    server.ask(&["HDEL", "{scim-bridge}:ctl", "store_id"]);
    let looks = looking(&server.url());
    looks.check().await.unwrap();
    // Whoever knew its id must meet it: an older version may have made another store in its place.
    assert_eq!(code(first.check().await), Code::StoreEmptied);
    assert_eq!(code(accept(first.as_ref()).await), Code::StoreEmptied);
    let next = open(&server.url(), &[]);
    assert!(is_there(next.as_ref(), kept).await);
    looks.check().await.unwrap();
    assert_ne!(server.ask(&["HGET", "{scim-bridge}:ctl", "store_id"]), "");
}

async fn accepted_deliveries_survive_a_killed_server(make: Make) {
    let mut server = Server::start(make, &["--appendfsync", "always"]);
    let store = open(&server.url(), &[]);
    let kept = accept(store.as_ref()).await.unwrap();
    let claimed = claim(store.as_ref()).await.unwrap();
    server.kill();
    assert!(store.check().await.unwrap_err().is_passing());
    assert_eq!(code(store.check().await), Code::StoreUnreachable);
    server.run();
    let (later, _) = accepts_at_last(store.as_ref()).await;
    for id in [kept, later] {
        assert!(is_there(store.as_ref(), id).await);
    }
    // The lease survived, too.
    fold(store.as_ref(), &claimed[0]).await.unwrap();
    let next = claim(store.as_ref()).await.unwrap();
    assert_eq!(next.iter().map(|claimed| claimed.lease.person).collect::<Vec<_>>(), [later.person()]);
}

async fn a_hung_server_is_reported_in_time_and_used_again(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    server.hang();
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(code(accept(store.as_ref()).await), Code::StoreTimeout);
        assert!(began.elapsed() < Duration::from_millis(TIMEOUT_MS * 3), "{:?}", began.elapsed());
    }
    server.go_on();
    accepts_at_last(store.as_ref()).await;
}

async fn a_connection_that_the_server_closed_is_not_used_again(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    // As the server's `timeout` setting closes them at night.
    let before = server.info("total_connections_received").unwrap();
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    // Until the process has noticed, a call may still use the closed connection: it is repeated once.
    accept(store.as_ref()).await.unwrap();
    assert!(server.info("total_connections_received").unwrap() > before);
}

async fn connections_killed_during_a_call_refuse_nobody(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    let (over, is_over) = mpsc::channel::<()>();
    // As when somebody restores an old password.
    let killer = thread::spawn(move || {
        let mut killed = 0_u32;
        while is_over.recv_timeout(Duration::from_millis(400)).is_err() {
            server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            killed += 1;
        }
        (server, killed)
    });
    let (mut ids, until) = (Vec::new(), Instant::now() + Duration::from_secs(4));
    while Instant::now() < until {
        // Each is reported as stored, not as a duplicate of itself.
        ids.push(accept(store.as_ref()).await.unwrap());
    }
    over.send(()).unwrap();
    let (_server, killed) = killer.join().unwrap();
    assert!(killed > 4, "{killed}");
    accept(store.as_ref()).await.unwrap();
    for id in ids {
        assert!(is_there(store.as_ref(), id).await);
    }
}

async fn a_demoted_primary_is_reported_and_a_promoted_one_is_used(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    // A port that nobody listens on: a replica without a primary.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreReadOnly);
    assert_eq!(code(store.check().await), Code::StoreReadOnly);
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    accepts_at_last(store.as_ref()).await;
}

async fn forgotten_scripts_go_unnoticed(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    for _ in 0..3 {
        accept(store.as_ref()).await.unwrap();
        server.ask(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(claim(store.as_ref()).await.unwrap().len(), 3);
}

async fn a_server_without_memory_refuses_and_recovers(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreMemory);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    accept(store.as_ref()).await.unwrap();
}

async fn a_full_server_refuses_new_deliveries_and_drains_its_backlog(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    // Runs everything that workers do once, so that the server has cached the scripts and allocated its buffers.
    accept(store.as_ref()).await.unwrap();
    assert_eq!(drain(store.as_ref()).await, 1);
    for _ in 0..40 {
        let backlog = (0..50).map(|_| accept(store.as_ref()));
        futures_util::future::try_join_all(backlog).await.unwrap();
    }
    let used = server.info("used_memory").unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", &(used - 100_000).to_string()]);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreMemory);
    assert_eq!(drain(store.as_ref()).await, 2_000);
    accepts_at_last(store.as_ref()).await;
}

/// Does everything that workers and operators do with the current content; returns how many people were worked on.
async fn drain(store: &dyn Store) -> usize {
    let mut drained = 0;
    loop {
        let jobs = claim(store).await.unwrap();
        let Some(first) = jobs.first() else { break };
        assert!(store.renew(now(), &first.lease, 60_000).await.unwrap().is_some());
        store.take_token(now(), CallKind::Read).await.unwrap();
        for job in &jobs {
            assert_eq!(fold(store, job).await.unwrap(), Committed::Committed);
        }
        drained += jobs.len();
    }
    let holds = store.shared("holds").await.unwrap();
    assert!(store.put_shared("holds", holds.version, "held".into()).await.unwrap());
    store.release(now(), "all", 10).await.unwrap();
    store.back_off(now(), now()).await.unwrap();
    store.discard_unmapped(new_id()).await.unwrap();
    store.tidy(now()).await.unwrap();
    drained
}

async fn a_server_that_is_kept_busy_refuses_and_recovers(make: Make) {
    let server = Server::start(make, &["--lua-time-limit", "20"]);
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    let _hog = server.begin(&["EVAL", "while true do end", "0"]);
    assert!(eventually(|| server.ask(&["PING"]).starts_with("BUSY")));
    fails_with(store.as_ref(), Code::StoreBusy).await;
    server.ask(&["SCRIPT", "KILL"]);
    accepts_at_last(store.as_ref()).await;
}

async fn a_server_with_too_few_replicas_refuses_and_recovers(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    let id = accept(store.as_ref()).await.unwrap();
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreReplicas);
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    // Earlier deliveries are still recognised, and nothing else is there.
    let again = accept_as(store.as_ref(), id).await.unwrap();
    assert_eq!(again, scim_bridge::store::Accepted::Duplicate { ids: vec![id] });
    assert_eq!(claim(store.as_ref()).await.unwrap().len(), 1);
}

async fn a_server_that_is_loading_refuses_and_recovers(make: Make) {
    let mut server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    server.ask(&["EVAL", "for n = 1, 2000 do redis.call('SET', 'other:' .. n, n) end", "0"]);
    server.ask(&["BGREWRITEAOF"]);
    assert!(eventually(
        || server.info("aof_rewrite_in_progress") == Some(0) && server.info("aof_rewrite_scheduled") == Some(0)
    ));
    server.kill();
    // Half a millisecond for each key: a second in total.
    server.arg(&["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"]);
    server.launch();
    fails_with(store.as_ref(), Code::StoreLoading).await;
    accepts_at_last(store.as_ref()).await;
    assert_eq!(claim(store.as_ref()).await.unwrap().len(), 2);
}

async fn a_server_with_too_many_clients_refuses_and_recovers(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    let others: Vec<_> = (0..2).map(|_| server.begin(&["PING"])).collect();
    server.ask(&["CONFIG", "SET", "maxclients", "2"]);
    fails_with(store.as_ref(), Code::StoreClients).await;
    drop(others);
    accepts_at_last(store.as_ref()).await;
}
