//! A server that may lose what it is given is not used, unless that is wanted; nor one that cannot do
//! what is asked.

use scim_bridge::core::code::Code;

use crate::on_both;
use crate::servers::{Make, Server};
use crate::stage::{accept, accepts_at_last, code, open};

on_both! {
    a_server_without_an_append_only_file_is_refused_until_it_has_one
    a_server_that_may_evict_is_refused_until_it_may_not
    a_server_for_trials_is_tolerated_where_that_is_configured
    a_database_that_is_not_there_is_told
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

async fn a_database_that_is_not_there_is_told(make: Make) {
    let server = Server::start(make, &["--databases", "2"]);
    accept(open(&format!("{}/1", server.url()), &[]).as_ref()).await.unwrap();
    assert_eq!(code(open(&format!("{}/2", server.url()), &[]).check().await), Code::StoreDatabase);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durability_on_a_server_that_answers_before_it_flushes_is_refused_until_it_always_flushes() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durability_that_the_server_cannot_give_is_refused() {
    let redis = Server::start(Make::Redis, &[]);
    for durability in ["fsynced", "replicated"] {
        let store = open(&redis.url(), &[("durability", durability)]);
        assert_eq!(code(store.check().await), Code::StoreNoWaitaof);
    }
    let valkey = Server::start(Make::Valkey, &["--appendonly", "no"]);
    let store = open(&valkey.url(), &[("durability", "fsynced"), ("insecure_ok", "true")]);
    assert_eq!(code(store.check().await), Code::StoreNoAof);
}
