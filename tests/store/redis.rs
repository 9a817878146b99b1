//! The Redis engine: on a key prefix of its own of a server that the tests of this process share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Client, Connection, FromRedisValue};
use futures_util::future::join_all;
use scim_bridge::core::job::{JobId, JobState, Progress};
use scim_bridge::store::copy::{CopyError, CopyOptions, copy};
use scim_bridge::store::redis::{Address, Durability, LinkOptions, Login, Place, Redis, RedisOptions, StoreClock};
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, NewJob, Settled, Settlement, Store, StoreError, StoreOptions, Transfer, Verdict,
};

use crate::harness::{
    Bench, Engine, Lanes, SeenLane, at, dead, delivery, done, first, hire, options, person, rename, retry,
};
use crate::servers::{REDIS, Server, VALKEY};

/// A part of a server's keys.
pub(crate) struct Keyspace {
    port: u16,
    prefix: String,
}

impl Keyspace {
    pub(crate) fn on(server: &Server) -> Self {
        Self { port: server.port, prefix: format!("test-{}", scim_bridge::clock::new_job_id()) }
    }

    pub(crate) fn try_open(&self, clock: StoreClock, options: StoreOptions) -> Result<Redis, StoreError> {
        let link = LinkOptions {
            place: Place::Standalone(Address { host: "127.0.0.1".to_owned(), port: self.port }),
            tls: None,
            database: 0,
            login: Login::default(),
            sentinel_login: Login::default(),
            key_prefix: self.prefix.clone(),
            durability: Durability::Written,
            durable_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            insecure_ok: true,
        };
        Redis::open(&RedisOptions { link, clock }, options)
    }
}

impl Keyspace {
    /// The keys, to be looked at past the engine.
    pub(crate) fn lanes(&self) -> Keys {
        let client = Client::open(("127.0.0.1", self.port)).unwrap();
        Keys { prefix: self.prefix.clone(), connection: client.get_connection().unwrap() }
    }
}

/// The engine's keys, by a connection of the test's own.
pub(crate) struct Keys {
    prefix: String,
    connection: Connection,
}

impl Keys {
    pub(crate) fn ask<T: FromRedisValue>(&mut self, command: &str, key: &str, args: &[&[u8]]) -> T {
        let mut cmd = deadpool_redis::redis::cmd(command);
        cmd.arg(format!("{{{}}}:{key}", self.prefix)).arg(args);
        cmd.query(&mut self.connection).unwrap()
    }

    /// Whose job a reference points at.
    fn person_of(&mut self, reference: &[u8]) -> String {
        let record: String = self.ask("HGET", "job", &[&reference[12..]]);
        record.lines().nth(1).unwrap().to_owned()
    }
}

impl Lanes for Keys {
    fn look(&mut self, person: &str) -> SeenLane {
        let mut seen = SeenLane::default();
        let mut own = None;
        for (key, place) in [("due:h", "due"), ("due:r", "due"), ("lease:h", "leased"), ("lease:r", "leased")] {
            for reference in self.ask::<Vec<Vec<u8>>>("ZRANGE", key, &[b"0", b"-1"]) {
                if self.person_of(&reference) == person {
                    seen.places.push(place);
                    seen.live += 1;
                    own = Some(reference);
                }
            }
        }
        if self.ask::<Option<u64>>("ZSCORE", "parked", &[person.as_bytes()]).is_some() {
            seen.places.push("parked");
        }
        for member in self.ask::<Vec<Vec<u8>>>("ZRANGE", "queue", &[b"0", b"-1"]) {
            seen.live += u64::from(member.starts_with(format!("{person}\n").as_bytes()));
        }
        let Some(record) = self.ask::<Option<Vec<u8>>>("HGET", "lane", &[person.as_bytes()]) else { return seen };
        assert!(own.is_none_or(|own| own == record[2..30]), "the lane points at its job");
        let numbers = std::str::from_utf8(&record[30..]).unwrap();
        seen.counted = if numbers.is_empty() { 1 } else { numbers.split(' ').next().unwrap().parse().unwrap() };
        seen
    }
}

#[async_trait]
impl Engine for Keyspace {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        Arc::new(self.try_open(StoreClock::Caller, options).unwrap())
    }
}

pub(crate) fn both() -> [Keyspace; 2] {
    [Keyspace::on(&REDIS), Keyspace::on(&VALKEY)]
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    for keys in both() {
        keys.try_open(StoreClock::Caller, options()).unwrap().ping().await.unwrap();
        let () = keys.lanes().ask("SET", "schema", &[b"7"]);
        let store = keys.try_open(StoreClock::Caller, options()).unwrap();
        let before: u64 = keys.lanes().ask("HGET", "ctl", &[b"pings"]);
        assert!(matches!(store.check_schema().await, Err(StoreError::NewerSchema { found: 7, known: 1 })));
        assert!(matches!(store.ping().await, Err(StoreError::NewerSchema { .. })));
        assert_eq!(keys.lanes().ask::<u64>("HGET", "ctl", &[b"pings"]), before);
        assert_eq!(keys.lanes().ask::<String>("GET", "schema", &[]), "7");
    }
}

#[tokio::test]
async fn what_a_newer_version_adds_to_records_is_kept() {
    for keys in both() {
        let mut look = keys.lanes();
        let mut bench = Bench::new(keys, false).await;
        let id = bench.accept_one(at(0), hire("1")).await;
        bench.work_off(at(1), retry(at(2))).await;
        let field = id.0.to_be_bytes();
        let record: String = look.ask("HGET", "job", &[&field]);
        let (first, rest) = record.split_once('\n').unwrap();
        let newer = format!("{first} soon 7\n{}", rest.replacen('{', "{\"new\":[1],", 1));
        let () = look.ask("HSET", "job", &[&field, newer.as_bytes()]);
        let lane: Vec<u8> = look.ask("HGET", "lane", &[b"hr/1"]);
        let () = look.ask("HSET", "lane", &[b"hr/1", &[&lane[..], b" soon"].concat()]);
        bench.work_off(at(2), retry(at(3))).await;
        let job = bench.claim_one(at(3)).await.job;
        assert_eq!((job.attempts, job.event), (2, hire("1")));
        let record: String = look.ask("HGET", "job", &[&field]);
        assert!(record.lines().next().unwrap().ends_with(" soon 7") && record.contains("\"new\":[1]"), "{record}");
        assert!(look.ask::<Vec<u8>>("HGET", "lane", &[b"hr/1"]).ends_with(b" soon"));
    }
}

#[tokio::test]
async fn a_caller_whose_clock_is_wrong_gets_times_by_it_and_decides_nothing_with_it() {
    for keys in both() {
        let store = keys.try_open(StoreClock::Server, options()).unwrap();
        let job = NewJob { id: JobId(1), event: hire("1") };
        store.accept(at(0), delivery([1; 16], [2; 16], vec![job])).await.unwrap();
        // A day ahead of the one that accepted.
        let ahead = at(86_400_000);
        let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max: 1, lease_ms: 600_000 };
        let Claim::Jobs(jobs) = store.claim(ahead, &request).await.unwrap() else { panic!("nothing to claim") };
        assert_eq!(jobs[0].lease.until, ahead.plus_ms(600_000));
        let Claim::Wait { until: Some(until), .. } = store.claim(ahead, &request).await.unwrap() else {
            panic!("the lease is not over")
        };
        assert!((1..=600_000).contains(&until.ms_since(ahead)), "{until}");
        let renewed = store.renew(at(0), &jobs[0].lease, 900_000).await.unwrap().unwrap();
        assert_eq!(renewed.until, at(900_000));
        let progress = Progress::default();
        let verdict = Verdict::Retry { at: at(30_000), counted: true, progress };
        let settlement = Settlement { verdict, history: Vec::new(), trial: None, directory: None };
        assert_eq!(store.settle(at(0), &renewed, settlement).await.unwrap(), Settled::Settled);
        let Claim::Wait { until: Some(until), .. } = store.claim(ahead, &request).await.unwrap() else {
            panic!("the retry is not due")
        };
        assert!((1..=30_000).contains(&until.ms_since(ahead)), "{until}");
    }
}

#[tokio::test]
async fn somebody_is_woken_in_another_process_when_there_may_be_work() {
    for keys in both() {
        let intake = keys.try_open(StoreClock::Caller, options()).unwrap();
        let worker = keys.try_open(StoreClock::Caller, options()).unwrap();
        let deadline = Duration::from_secs(10);
        // The first comes with the connection that listens.
        tokio::time::timeout(deadline, worker.woken()).await.unwrap();
        let woken = tokio::time::timeout(deadline, worker.woken());
        let job = NewJob { id: JobId(1), event: hire("1") };
        let accepted = intake.accept(at(0), delivery([1; 16], [2; 16], vec![job]));
        let (woken, accepted) = tokio::join!(woken, accepted);
        accepted.unwrap();
        assert!(woken.is_ok(), "not woken by an accepted event");
    }
}

#[tokio::test]
async fn every_key_is_under_the_one_hash_tag() {
    for keys in both() {
        let mut look = keys.lanes();
        let tag = format!("{{{}}}:", keys.prefix);
        let mut bench = Bench::new(keys, false).await;
        bench.accept(at(0), &[hire("1"), rename("1"), hire("2"), rename("3")]).await;
        bench.accept_unmapped(at(0), Some(person("1"))).await;
        bench.work_off(at(1), dead()).await;
        bench.work_off(at(1), done()).await;
        let all: Vec<String> = deadpool_redis::redis::cmd("KEYS").arg("*").query(&mut look.connection).unwrap();
        let own = all.iter().filter(|key| key.starts_with(&tag)).count();
        assert!(own > 10, "{own} keys");
        assert!(all.iter().all(|key| key.starts_with("{test-")), "{all:?}");
    }
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_sent_again() {
    for keys in both() {
        let mut look = keys.lanes();
        let mut bench = Bench::new(keys, false).await;
        for n in 0..3 {
            let () = deadpool_redis::redis::cmd("SCRIPT").arg("FLUSH").query(&mut look.connection).unwrap();
            bench.accept_one(at(n), hire("1")).await;
            let () = deadpool_redis::redis::cmd("SCRIPT").arg("FLUSH").query(&mut look.connection).unwrap();
            bench.work_off(at(n), done()).await;
        }
    }
}

#[tokio::test]
async fn a_record_that_does_not_read_is_told_as_damage_stays_and_stops_nobody() {
    for keys in both() {
        let mut look = keys.lanes();
        let store = keys.try_open(StoreClock::Caller, options()).unwrap();
        let mut bench = Bench::new(keys, false).await;
        let broken = bench.accept_one(at(0), hire("1")).await;
        let missing = bench.accept_one(at(0), rename("2")).await;
        let lane = bench.accept_one(at(0), rename("3")).await;
        let whole = [bench.accept_one(at(1), hire("4")).await, bench.accept_one(at(1), rename("5")).await];
        let field = broken.0.to_be_bytes();
        let record: Vec<u8> = look.ask("HGET", "job", &[&field]);
        let () = look.ask("HSET", "job", &[&field, b"garbage"]);
        let () = look.ask("HDEL", "job", &[&missing.0.to_be_bytes()]);
        let () = look.ask("HSET", "lane", &[person("3").to_string().as_bytes(), b"garbage"]);
        assert!(matches!(store.job(broken).await, Err(StoreError::Damaged(_))));
        // What is broken is the oldest, and there is room for one: it is passed over all the same.
        let mut given = Vec::new();
        for _ in 0..8 {
            given.extend(bench.claim_up_to(at(2), 1).await.into_iter().map(|one| one.job.id));
        }
        given.sort_unstable();
        assert_eq!(given, whole);
        bench.claim_none(at(3)).await;
        // Mended, it is found.
        let () = look.ask("HSET", "job", &[&field, &record]);
        let later = at(2 + 3_600_000);
        let given: Vec<_> = bench.claim_up_to(later, 8).await.into_iter().map(|one| one.job.id).collect();
        assert!(given.contains(&broken) && !given.contains(&missing) && !given.contains(&lane), "{given:?}");
    }
}

#[tokio::test]
async fn a_job_of_a_newer_version_waits_uncounted_and_those_beside_it_run() {
    for keys in both() {
        let mut look = keys.lanes();
        let mut bench = Bench::new(keys, false).await;
        let newer = bench.accept_one(at(0), rename("1")).await;
        let noted = bench.accept_one(at(1), rename("2")).await;
        let plain = bench.accept_one(at(2), hire("3")).await;
        let mut change = |id: JobId, change: &dyn Fn(&str) -> String| {
            let field = id.0.to_be_bytes();
            let record: String = look.ask("HGET", "job", &[&field]);
            let () = look.ask("HSET", "job", &[&field, change(&record).as_bytes()]);
        };
        let mark = "\"f\":\"King\"";
        change(newer, &|record| record.replace(mark, "\"f\":{\"native\":\"King\"}"));
        change(noted, &|record| format!("{record}\n{{\"at\":1,\"note\":\"dead\",\"code\":\"OF-TOMORROW\"}}\nx"));
        let given = bench.claim_up_to(at(3), 8).await;
        assert_eq!(given.iter().map(|one| one.job.id).collect::<Vec<_>>(), [noted, plain]);
        assert_eq!(given[0].job.history.len(), 2);
        assert_eq!(bench.settle(at(3), &given[0].lease, retry(at(4))).await, Settled::Settled);
        assert_eq!(bench.claim_one(at(4)).await.job.history, given[0].job.history);
        // It waits for a version that reads it, and is then as if nothing had been.
        for _ in 0..5 {
            bench.claim_none(at(5)).await;
        }
        change(newer, &|record| record.replace("{\"native\":\"King\"}", "\"King\""));
        let found = bench.claim_up_to(at(120_000), 8).await;
        let found = found.iter().find(|one| one.job.id == newer).unwrap();
        assert_eq!((found.job.take_overs, found.job.attempts), (0, 0));
    }
}

#[tokio::test]
async fn a_damaged_lane_keeps_nobody_else_from_being_accepted() {
    for keys in both() {
        let mut look = keys.lanes();
        let store = keys.try_open(StoreClock::Caller, options()).unwrap();
        store.ping().await.unwrap();
        let () = look.ask("HSET", "lane", &[person("7").to_string().as_bytes(), b"garbage"]);
        // They share calls.
        let accepting = (0..64_u8).map(|n| {
            let id = u128::from(n) * 2;
            let jobs = vec![
                NewJob { id: JobId(id), event: hire(&format!("{n} too")) },
                NewJob { id: JobId(id + 1), event: hire(&n.to_string()) },
            ];
            store.accept(at(0), delivery([n; 16], [0; 16], jobs))
        });
        let told = futures_util::future::join_all(accepting).await;
        for (n, told) in told.iter().enumerate() {
            assert_eq!(told.is_ok(), n != 7, "{n}: {told:?}");
            assert!(n != 7 || matches!(told, Err(StoreError::Damaged(_))), "{told:?}");
        }
        assert_eq!(store.stats(at(0)).await.unwrap().jobs["waiting"], 2 * 63);
    }
}

#[tokio::test]
async fn a_job_that_is_gone_from_the_middle_of_a_lane_is_not_passed_over() {
    for keys in both() {
        let mut look = keys.lanes();
        let mut bench = Bench::new(keys, false).await;
        let ids = bench.accept(at(0), &[hire("1"), rename("1"), rename("1")]).await;
        let claimed = bench.claim_one(at(1)).await;
        let field = ids[1].0.to_be_bytes();
        let record: Vec<u8> = look.ask("HGET", "job", &[&field]);
        let () = look.ask("HDEL", "job", &[&field]);
        bench.settle(at(2), &claimed.lease, done()).await;
        let due: u64 = ["due:h", "due:r"].iter().map(|set| look.ask::<u64>("ZCARD", set, &[])).sum();
        assert_eq!(due, 1, "the lane is due");
        // It stands aside for an hour; what is behind it does not run before it.
        for n in 3..6 {
            let request = ClaimRequest { worker: "w".into(), number: n, lost_from: None, jobs_max: 4, lease_ms: 1 };
            let told = bench.s().await.claim(at(n), &request).await;
            assert!(!matches!(told, Ok(Claim::Jobs(_))), "{told:?}");
        }
        let () = look.ask("HSET", "job", &[&field, &record]);
        assert_eq!(bench.claim_one(at(2 * 3_600_000)).await.job.id, ids[1]);
    }
}

#[tokio::test]
async fn a_dead_letter_stays_where_its_lane_is_damaged() {
    for keys in both() {
        let mut look = keys.lanes();
        let mut b = Bench::new(keys, false).await;
        let id = b.accept_one(at(0), hire("1")).await;
        b.work_off(at(1), dead()).await;
        for garbage in ["x".repeat(30), "x".to_owned(), format!("dh{}", "x".repeat(40))] {
            let () = look.ask("HSET", "lane", &[b"hr/1", garbage.as_bytes()]);
            let told = [b.s().await.replay(at(2), id).await, b.s().await.discard(at(2), id).await];
            assert!(told.iter().all(|told| matches!(told, Err(StoreError::Damaged(_)))), "{garbage}: {told:?}");
            assert_eq!(b.state(id).await, Some(JobState::Dead));
            assert_eq!(b.s().await.dead_letters(&first(9)).await.unwrap().len(), 1);
            // Whoever is beside it is accepted.
            let beside = [hire("1"), hire("2")].map(|event| {
                let id = b.id();
                delivery(id.0.to_be_bytes(), [0; 16], vec![NewJob { id, event }])
            });
            let store = b.s().await;
            let answers = join_all(beside.map(|delivery| store.accept(at(3), delivery))).await;
            assert!(matches!(answers[0], Err(StoreError::Damaged(_))), "{answers:?}");
            assert!(matches!(answers[1], Ok(Accepted::Stored)), "{answers:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_store_is_left_alone_by_a_copy_of_it() {
    for keys in both() {
        let folder = tempfile::tempdir().unwrap();
        let to = scim_bridge::store::embedded::Embedded::open(folder.path(), options()).unwrap();
        let from = keys.try_open(StoreClock::Caller, options()).unwrap();
        let how = CopyOptions { hold_source: true, fresh_id: [7; 16] };
        let copied = copy(&from, &to, || at(1), how, |_, _, _| {}).await.unwrap();
        assert!(copied.is_empty(), "{copied:?}");
        assert!(from.holds().await.unwrap().is_empty());
        assert!(keys.lanes().ask::<Option<Vec<u8>>>("HGET", "ctl", &[b"identity"]).is_none());
    }
}

#[tokio::test]
async fn a_store_that_somebody_works_on_is_not_copied_into() {
    for keys in both() {
        let folder = tempfile::tempdir().unwrap();
        let from = scim_bridge::store::embedded::Embedded::open(folder.path(), options()).unwrap();
        let job = |n: u128| NewJob { id: JobId(n), event: hire(&n.to_string()) };
        from.accept(at(0), delivery([1; 16], [2; 16], vec![job(1)])).await.unwrap();
        let to = keys.try_open(StoreClock::Caller, options()).unwrap();
        let how = CopyOptions { hold_source: true, fresh_id: [7; 16] };
        to.woken().await;
        let told = copy(&from, &to, || at(1), how, |_, _, _| {}).await;
        assert!(matches!(told, Err(CopyError::TargetInUse { leases: 0, listeners: 1 })), "{told:?}");
        assert!(from.holds().await.unwrap().is_empty());
        assert_eq!(to.stats(at(1)).await.unwrap().jobs["waiting"], 0);
    }
}

#[tokio::test]
async fn a_store_that_somebody_works_on_is_not_copied() {
    for keys in both() {
        let folder = tempfile::tempdir().unwrap();
        let to = scim_bridge::store::embedded::Embedded::open(folder.path(), options()).unwrap();
        let from = keys.try_open(StoreClock::Caller, options()).unwrap();
        let how = CopyOptions { hold_source: true, fresh_id: [7; 16] };
        let tried = async |now| copy(&from, &to, || now, how, |_, _, _| {}).await;
        for n in 1..4 {
            let job = NewJob { id: JobId(n), event: hire(&n.to_string()) };
            from.accept(at(0), delivery(n.to_be_bytes(), [2; 16], vec![job])).await.unwrap();
        }
        let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max: 1, lease_ms: 1_000 };
        from.claim(at(0), &request).await.unwrap();
        assert!(matches!(tried(at(999)).await, Err(CopyError::InUse { leases: 1, listeners: 0 })));
        // A worker that is idle listens.
        let worker = keys.try_open(StoreClock::Caller, options()).unwrap();
        worker.woken().await;
        assert!(matches!(tried(at(1_001)).await, Err(CopyError::InUse { leases: 0, listeners: 1 })));
        drop(worker);
        // An intake leaves no sign until it takes something in.
        let meanwhile = std::cell::Cell::new(false);
        let told = |_, _, _| meanwhile.set(true);
        let intake = keys.lanes();
        let intake = std::cell::RefCell::new(intake);
        let moved = loop {
            let now = || {
                if meanwhile.get() {
                    let () = intake.borrow_mut().ask("HINCRBY", "ctl", &[b"seq", b"1"]);
                }
                at(1_001)
            };
            match copy(&from, &to, now, how, told).await {
                // The worker's connection takes a moment to go.
                Err(CopyError::InUse { .. }) => tokio::task::yield_now().await,
                other => break other,
            }
        };
        assert!(matches!(moved, Err(CopyError::Moved)), "{moved:?}");
        assert!(from.holds().await.unwrap().is_empty());
        assert!(tried(at(1_001)).await.unwrap().is_whole());
    }
}

#[tokio::test]
async fn a_newer_store_is_neither_copied_nor_copied_into() {
    for keys in both() {
        keys.try_open(StoreClock::Caller, options()).unwrap().ping().await.unwrap();
        let () = keys.lanes().ask("SET", "schema", &[b"7"]);
        let newer = keys.try_open(StoreClock::Caller, options()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ours = scim_bridge::store::embedded::Embedded::open(folder.path(), options()).unwrap();
        ours.accept(at(0), delivery([1; 16], [2; 16], Vec::new())).await.unwrap();
        let how = CopyOptions { hold_source: true, fresh_id: [7; 16] };
        let out = copy(&newer, &ours, || at(1), how, |_, _, _| {}).await;
        assert!(matches!(out, Err(CopyError::From(StoreError::NewerSchema { found: 7, .. }))), "{out:?}");
        let into = copy(&ours, &newer, || at(1), how, |_, _, _| {}).await;
        assert!(matches!(into, Err(CopyError::To(StoreError::NewerSchema { found: 7, .. }))), "{into:?}");
        assert!(ours.holds().await.unwrap().is_empty());
    }
}
