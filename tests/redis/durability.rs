//! A 200 that waits for disks.

use futures_util::future::join_all;
use scim_bridge::core::code::Code;
use scim_bridge::store::Accepted;

use crate::servers::{Make, Server, eventually};
use crate::stage::{accept, accept_as, accepts_at_last, claim, code, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_as_fsynced_outlives_a_kill_at_once() {
    let mut server = Server::start(Make::Valkey, &["--appendfsync", "everysec"]);
    let store = open(&server.url(), &[("durability", "fsynced")]);
    for _ in 0..5 {
        let burst = join_all((0..50).map(|_| accept(store.as_ref()))).await;
        server.kill();
        server.run();
        accepts_at_last(store.as_ref()).await;
        for id in burst.into_iter().flatten() {
            assert!(store.job(id).await.unwrap().is_some(), "lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_no_replica_has_is_refused_and_known_again() {
    let primary = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let keys = [("durability", "replicated"), ("durable_timeout_ms", "500")];
    let store = open(&primary.url(), &keys);
    let id = scim_bridge::clock::new_job_id();
    for _ in 0..2 {
        // A duplicate is no more durable than what it repeats.
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
    assert_eq!(again.unwrap(), Accepted::Duplicate { jobs: vec![id] });
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
