//! The Redis engine: a key prefix of its own on a server that the tests of this process share.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis::{Client, Connection, FromRedisValue};
use scim_bridge::store::redis::{Redis, RedisOptions, StoreClock};
use scim_bridge::store::transfer::Transfer;
use scim_bridge::store::{Accepted, Commit, DeadFilter, Store, StoreError, StoreOptions};

use crate::harness::{Bench, Engine, at, commit, contents, delivery, first, idle, link, options, person};
use crate::servers::{REDIS, Server, VALKEY};

/// A part of a server's key space.
pub(crate) struct Keyspace {
    port: u16,
    prefix: String,
}

impl Keyspace {
    pub(crate) fn on(server: &Server) -> Self {
        Self { port: server.port, prefix: scim_bridge::clock::new_token() }
    }

    pub(crate) fn try_open(&self, clock: StoreClock, options: StoreOptions) -> Result<Redis, StoreError> {
        let keys = format!("key_prefix = {:?}\ninsecure_ok = true\nresponse_timeout_ms = 10_000", self.prefix);
        let link = link(&format!("redis://127.0.0.1:{}", self.port), &keys);
        Redis::open(&RedisOptions { link, clock, creates: true }, options)
    }

    /// The keys, inspected around the engine.
    pub(crate) fn keys(&self) -> Keys {
        let client = Client::open(("127.0.0.1", self.port)).unwrap();
        Keys { prefix: self.prefix.clone(), connection: client.get_connection().unwrap() }
    }
}

/// The engine's keys, over a connection of the test's own.
pub(crate) struct Keys {
    prefix: String,
    connection: Connection,
}

impl Keys {
    pub(crate) fn ask<T: FromRedisValue>(&mut self, command: &str, key: &[u8], args: &[&[u8]]) -> T {
        let mut cmd = deadpool_redis::redis::cmd(command);
        cmd.arg([format!("{{{}}}:", self.prefix).as_bytes(), key].concat()).arg(args);
        cmd.query(&mut self.connection).unwrap()
    }
}

#[async_trait]
impl Engine for Keyspace {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(self.try_open(StoreClock::Caller, options).unwrap())
    }
}

/// A keyspace in which the time that calls pass is used in place of the server's clock.
pub(crate) struct AsServer(pub(crate) Keyspace);

#[async_trait]
impl Engine for AsServer {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(self.0.try_open(StoreClock::AsServer, options).unwrap())
    }
}

pub(crate) fn both() -> [Keyspace; 2] {
    [Keyspace::on(&REDIS), Keyspace::on(&VALKEY)]
}

#[tokio::test]
async fn the_layout_of_another_version_is_refused_and_left_alone() {
    for keys in both() {
        keys.try_open(StoreClock::Caller, options()).unwrap().check().await.unwrap();
        for found in ["1", "7"] {
            let () = keys.keys().ask("SET", b"schema", &[found.as_bytes()]);
            let before: u64 = keys.keys().ask("HGET", b"ctl", &[b"looks"]);
            let store = keys.try_open(StoreClock::Caller, options()).unwrap();
            for answer in [store.check_schema().await, store.check().await] {
                match found {
                    "1" => assert!(matches!(answer, Err(StoreError::OlderSchema { found: 1 })), "{answer:?}"),
                    _ => assert!(matches!(answer, Err(StoreError::NewerSchema { found: 7, known: 2 })), "{answer:?}"),
                }
            }
            let answer = store.accept(at(0), delivery([1; 16], Vec::new())).await;
            assert!(answer.is_err_and(|error| !error.is_passing()));
            assert_eq!(keys.keys().ask::<u64>("HGET", b"ctl", &[b"looks"]), before);
            assert_eq!(keys.keys().ask::<String>("GET", b"schema", &[]), found);
        }
    }
}

/// One of a person's keys.
fn key_of(letter: u8, who: &str) -> Vec<u8> {
    [&[letter], &person(who).id().0.to_be_bytes()[..]].concat()
}

/// Damages a key in one of several ways; [`mend`] undoes it.
fn damage(keys: &mut Keys, key: &[u8], how: &str) -> Vec<u8> {
    let before: Vec<u8> = keys.ask("DUMP", key, &[]);
    match how {
        "of another type" => {
            let () = keys.ask("DEL", key, &[]);
            let () = keys.ask("SADD", key, &[b"x"]);
        }
        "of a newer version" => {
            let () = keys.ask("SETRANGE", key, &[b"0", &[2]]);
        }
        _ => {
            let text: Vec<u8> = keys.ask("GET", key, &[]);
            let () = keys.ask("SET", key, &[&text[..text.len() - 1]]);
        }
    }
    before
}

fn mend(keys: &mut Keys, key: &[u8], before: &[u8]) {
    let () = keys.ask("RESTORE", key, &[b"0", before, b"REPLACE"]);
}

#[tokio::test]
async fn an_unreadable_person_is_set_aside_and_delays_nobody() {
    for (letter, how) in
        [(b'l', "of another type"), (b'l', "of a newer version"), (b'l', "cut"), (b'd', "of another type")]
    {
        for keyspace in both() {
            let mut keys = keyspace.keys();
            let mut b = Bench::new(keyspace, false).await;
            b.settled(at(0), "1", idle()).await;
            b.accept(at(1), &[("1", "a"), ("2", "b")]).await;
            let before = damage(&mut keys, &key_of(letter, "1"), how);
            let claimed = b.claim(at(2), 8).await;
            assert_eq!(claimed.len(), 1, "{how}");
            assert_eq!(claimed[0].lease.person, person("2").id(), "{how}");
            assert!(b.claim(at(3), 8).await.is_empty(), "it is set aside: {how}");
            // Others go on.
            b.accept(at(4), &[("3", "c")]).await;
            assert_eq!(b.claim_one(at(4)).await.lease.person, person("3").id());
            assert!(b.store().await.people(&first(9)).await.unwrap().rows.len() >= 2);
            b.store().await.stats().await.unwrap();
            if letter == b'l' && how != "cut" {
                let entry = b.entry("1", "lost?");
                let sent = delivery(b.key(), vec![entry]);
                for _ in 0..2 {
                    let answer = b.store().await.accept(at(5), sent.clone()).await;
                    assert!(
                        matches!(answer, Err(StoreError::Damaged(_))),
                        "neither remembered nor accepted: {answer:?}"
                    );
                }
            }
            // Once repaired, it is found again, with all its content.
            mend(&mut keys, &key_of(letter, "1"), &before);
            let claimed = b.claim(at(2 + ASIDE_MS), 8).await;
            let found = claimed.iter().find(|claimed| claimed.lease.person == person("1").id()).unwrap();
            assert_eq!(contents(found), ["a"], "{how}");
        }
    }
}

/// How long entries that cannot be read are set aside.
const ASIDE_MS: u64 = 600_000;

#[tokio::test]
async fn a_delivery_whose_dedupe_entry_is_unreadable_is_accepted_again() {
    for keyspace in both() {
        let mut keys = keyspace.keys();
        let mut b = Bench::new(keyspace, false).await;
        for how in ["of another type", "of a newer version"] {
            let entry = b.entry("1", "a");
            let sent = delivery(b.key(), vec![entry]);
            let key = sent.dedupe.unwrap().key;
            assert_eq!(b.deliver(at(0), sent.clone()).await, Accepted::Stored);
            damage(&mut keys, &key, how);
            assert_eq!(b.deliver(at(1), sent.clone()).await, Accepted::Stored, "{how}");
            assert!(matches!(b.deliver(at(2), sent).await, Accepted::Duplicate { .. }), "{how}");
        }
    }
}

#[tokio::test]
async fn a_commit_skips_unreadable_stories_and_entries() {
    for keyspace in both() {
        let mut keys = keyspace.keys();
        let mut b = Bench::new(keyspace, false).await;
        let noted = |who| Commit {
            story: vec!["one".into()],
            terms_added: vec!["ada".to_owned()],
            document: Some("doc".into()),
            ..commit(who, idle())
        };
        b.accept(at(0), &[("1", "a")]).await;
        b.process(at(0), "1", noted("1")).await;
        for letter in [b's', b'k'] {
            damage(&mut keys, &key_of(letter, "1"), "of another type");
        }
        b.accept(at(1), &[("1", "b")]).await;
        b.process(at(1), "1", noted("1")).await;
        assert_eq!(b.row("1").await.inbox_entries, 0);
        assert!(b.store().await.story(person("1").id()).await.unwrap().entries.is_empty());
        assert_eq!(b.store().await.search("ada", &first(9)).await.unwrap().rows.len(), 1);
        assert!(b.store().await.erase(at(2), &person("1"), &[]).await.unwrap());
    }
}

#[tokio::test]
async fn unreadable_dead_letters_are_left_out_and_their_neighbours_shown() {
    for keyspace in both() {
        let mut keys = keyspace.keys();
        let mut b = Bench::new(keyspace, false).await;
        let ids = [
            b.accept_unmapped(at(0), None, "x").await,
            b.accept_unmapped(at(1), None, "y").await,
            b.accept_unmapped(at(2), None, "z").await,
        ];
        let () = keys.ask("HSET", b"dead", &[&ids[1].0.to_be_bytes(), b"\x02of tomorrow"]);
        assert_eq!(b.dead(&DeadFilter::default()).await, [ids[2], ids[0]]);
        assert!(b.store().await.dead_letter(ids[1]).await.is_err());
        assert!(b.store().await.discard_unmapped(ids[0]).await.unwrap());
        assert!(!b.store().await.discard_unmapped(ids[1]).await.unwrap(), "what a newer version wrote stays");
        assert_eq!(b.dead(&DeadFilter::default()).await, [ids[2]]);
    }
}

#[tokio::test]
async fn an_unreadable_waiting_list_keeps_nobody_waiting() {
    for keyspace in both() {
        let mut keys = keyspace.keys();
        let mut b = Bench::new(keyspace, false).await;
        let () = keys.ask("SET", b"fresh", &[b"x"]);
        b.accept(at(0), &[("1", "a")]).await;
        assert_eq!(b.claim_one(at(0)).await.lease.person, person("1").id());
    }
}

#[tokio::test]
async fn no_fence_repeats_after_a_server_lost_writes() {
    for keyspace in both() {
        let mut keys = keyspace.keys();
        let mut b = Bench::new(keyspace, false).await;
        b.accept(at(0), &[("1", "a")]).await;
        let before: Vec<u8> = keys.ask("DUMP", b"ctl", &[]);
        let lost = b.claim_one(at(0)).await.lease;
        // As after a fail-over to a replica that never got the claim.
        let () = keys.ask("RESTORE", b"ctl", &[b"0", &before, b"REPLACE"]);
        let next = b.claim_one(at(super::harness::LEASE_MS)).await.lease;
        assert!(next.fence > lost.fence);
    }
}
