//! A server that may lose data is not used, unless the configuration allows it; nor is a server that lacks what the
//! configuration requires.

use scim_bridge::core::code::Code;

use crate::on_both;
use crate::sentinel::replica_of;
use crate::servers::{Make, Server};
use crate::stage::{accept, accepts_at_last, code, open};

on_both! {
    a_server_without_an_append_only_file_is_refused_until_it_has_one
    a_server_that_may_evict_is_refused_until_it_may_not
    a_server_for_trials_is_tolerated_where_that_is_configured
    settings_changed_during_a_connection_are_found_without_delaying_anybody
    a_primary_that_became_a_replica_is_abandoned_even_if_it_takes_writes
    a_missing_database_is_reported
}

async fn a_server_without_an_append_only_file_is_refused_until_it_has_one(make: Make) {
    let server = Server::start(make, &["--appendonly", "no"]);
    let store = open(&server.url(), &[]);
    assert_eq!(code(store.check().await), Code::StoreNoAof);
    server.ask(&["CONFIG", "SET", "appendonly", "yes"]);
    accepts_at_last(store.as_ref()).await;
}

async fn a_server_that_may_evict_is_refused_until_it_may_not(make: Make) {
    let server = Server::start(make, &["--maxmemory-policy", "allkeys-lru"]);
    let store = open(&server.url(), &[]);
    assert_eq!(code(store.check().await), Code::StoreEviction);
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    accepts_at_last(store.as_ref()).await;
}

async fn a_server_for_trials_is_tolerated_where_that_is_configured(make: Make) {
    let server = Server::start_bare(make, &["--maxmemory-policy", "allkeys-lru"]);
    accept(open(&server.url(), &[("insecure_ok", "true")]).as_ref()).await.unwrap();
}

async fn settings_changed_during_a_connection_are_found_without_delaying_anybody(make: Make) {
    let server = Server::start(make, &[]);
    let (store, trial) = (open(&server.url(), &[]), open(&server.url(), &[("insecure_ok", "true")]));
    for store in [&store, &trial] {
        accept(store.as_ref()).await.unwrap();
        store.settings().await.unwrap();
    }
    for (setting, bad, good, expected) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction", Code::StoreEviction),
        ("appendonly", "no", "yes", Code::StoreNoAof),
    ] {
        server.ask(&["CONFIG", "SET", setting, bad]);
        assert_eq!(code(store.settings().await), expected);
        trial.settings().await.unwrap();
        accept(store.as_ref()).await.unwrap();
        server.ask(&["CONFIG", "SET", setting, good]);
        store.settings().await.unwrap();
    }
}

async fn a_primary_that_became_a_replica_is_abandoned_even_if_it_takes_writes(make: Make) {
    let (server, other) = (Server::start(make, &[]), Server::start(make, &[]));
    let store = open(&server.url(), &[]);
    accept(store.as_ref()).await.unwrap();
    server.ask(&["CONFIG", "SET", "replica-read-only", "no"]);
    server.ask(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    assert_eq!(code(store.settings().await), Code::StoreReadOnly);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreReadOnly, "what it accepts is lost");
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    accepts_at_last(store.as_ref()).await;
}

async fn a_missing_database_is_reported(make: Make) {
    let server = Server::start(make, &["--databases", "2"]);
    accept(open(&format!("{}/1", server.url()), &[]).as_ref()).await.unwrap();
    assert_eq!(code(open(&format!("{}/2", server.url()), &[]).check().await), Code::StoreDatabase);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durability_is_refused_until_the_server_flushes_before_it_answers() {
    let server = Server::start(Make::Valkey, &["--appendfsync", "everysec"]);
    for durability in ["fsynced", "replicated"] {
        let store = open(&server.url(), &[("durability", durability)]);
        assert_eq!(code(store.check().await), Code::StoreEverysec);
    }
    accept(open(&server.url(), &[]).as_ref()).await.unwrap();
    let store = open(&server.url(), &[("durability", "fsynced")]);
    assert_eq!(code(accept(store.as_ref()).await), Code::StoreEverysec);
    server.ask(&["CONFIG", "SET", "appendfsync", "always"]);
    accepts_at_last(store.as_ref()).await;
}

/// It loses nothing, so deliveries are taken; but two workers may act at once after a cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_takes_writes_without_replicas_is_reported_and_serves() {
    let server = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let _replica = replica_of(&server);
    let replicated = ("durability", "replicated");
    let store = open(&server.url(), &[replicated]);
    accept(store.as_ref()).await.unwrap();
    assert_eq!(code(store.settings().await), Code::StoreMinReplicas);
    accept(store.as_ref()).await.unwrap();
    for (setting, value, is_well) in [
        ("min-replicas-to-write", "1", true),
        ("min-replicas-max-lag", "0", false),
        ("min-replicas-max-lag", "10", true),
    ] {
        server.ask(&["CONFIG", "SET", setting, value]);
        assert_eq!(store.settings().await.is_ok(), is_well, "{setting} {value}");
    }
    server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    for keys in [&[("durability", "fsynced")][..], &[replicated, ("insecure_ok", "true")]] {
        let store = open(&server.url(), keys);
        accept(store.as_ref()).await.unwrap();
        store.settings().await.unwrap();
    }
}

/// Otherwise the server's log of refusals would have another every 20 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_see_the_configuration_asks_for_it_once_a_connection() {
    let server = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    server.ask(&["ACL", "SETUSER", "bridge", "on", ">change-me", "~*", "&*", "+@all", "-config"]);
    let url = server.url().replace("://", "://bridge:change-me@");
    let store = open(&url, &[("durability", "fsynced")]);
    for _ in 0..3 {
        accept(store.as_ref()).await.unwrap();
        store.settings().await.unwrap();
    }
    let log = server.ask(&["ACL", "LOG"]);
    assert_eq!(log.matches("object\nconfig|get\n").count(), 1, "{log}");
    assert!(log.starts_with("count\n1\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durability_beyond_the_servers_is_refused() {
    let redis = Server::start(Make::Redis, &[]);
    for durability in ["fsynced", "replicated"] {
        let store = open(&redis.url(), &[("durability", durability)]);
        assert_eq!(code(store.check().await), Code::StoreNoWaitaof);
    }
    let valkey = Server::start(Make::Valkey, &["--appendonly", "no"]);
    let store = open(&valkey.url(), &[("durability", "fsynced"), ("insecure_ok", "true")]);
    assert_eq!(code(store.check().await), Code::StoreNoAof);
}
