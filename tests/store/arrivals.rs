//! Whatever a store has come to: copied into another engine, every view of it is the same there.

use proptest::prelude::*;
use scim_bridge::store::Accepted;
use serde_json::{Value, json};

use crate::conformance::copying::{all_views, copy_all};
use crate::embedded::Folder;
use crate::harness::{Bench, Engine, LEASE_MS, Lanes, person};
use crate::properties::{PEOPLE, Pair, Step, narrow, steps};
use crate::redis::Keyspace;
use crate::servers::{REDIS, VALKEY};

/// Runs the steps, then copies what has come of them, twice.
fn arrives(steps: Vec<Step>, from: impl Engine + 'static, lanes: impl Lanes + 'static, to: impl Engine + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(from, lanes).await;
        for step in steps {
            pair.take(step).await;
        }
        let mut to = Bench::new(to, false).await;
        to.with(|options| *options = narrow()).await;
        // Whoever had leases is gone.
        let now = pair.now.plus_ms(LEASE_MS + 1);
        let people = PEOPLE.map(person);
        let source = all_views(&mut pair.bench, &people, now).await;
        for is_again in [false, true] {
            let copied = copy_all(&mut pair.bench, &mut to, now).await;
            assert!(!is_again || copied == 0, "{copied} copied again");
            assert_eq!(all_views(&mut pair.bench, &people, now).await, source);
            compare_copied(&source, &all_views(&mut to, &people, now).await);
        }
        for delivery in pair.accepted {
            let ids = delivery.jobs.iter().map(|job| job.id).collect();
            let (mut other, now) = (delivery.clone(), pair.now);
            other.dedupe.fingerprint = [1; 16];
            let expected = pair.bench.s().await.accept(now, delivery.clone()).await.unwrap();
            assert_eq!(expected, Accepted::Duplicate { jobs: ids });
            assert_eq!(to.s().await.accept(now, delivery).await.unwrap(), expected);
            assert_eq!(to.s().await.accept(now, other).await.unwrap(), Accepted::Conflict);
        }
    });
}

/// Everything is equal but what had a worker: that waits, counts as taken over, and is due since the copy.
fn compare_copied(source: &Value, copied: &Value) {
    assert_eq!(source["dead"], copied["dead"]);
    // That a store was copied is said of it alone.
    let holds = source["holds"].as_array().unwrap().iter().filter(|hold| hold["code"] != "HOLD-COPIED");
    assert_eq!(holds.collect::<Vec<_>>(), copied["holds"].as_array().unwrap().iter().collect::<Vec<_>>());
    for (was, is) in source["people"].as_array().unwrap().iter().zip(copied["people"].as_array().unwrap()) {
        // The embedded engine remembers who was there, also when nothing is left of them.
        let has_nothing =
            |view: &Value| view["jobs"] == json!([]) && view["dead"] == json!([]) && view["directory"].is_null();
        if has_nothing(was) {
            assert!(is.is_null() || has_nothing(is), "{is}");
            continue;
        }
        let had_a_worker = |job: &Value| job["state"] == "running";
        if was.is_null() || !was["jobs"].as_array().unwrap().iter().any(had_a_worker) {
            assert_eq!(was, is);
            continue;
        }
        for (was, is) in was["jobs"].as_array().unwrap().iter().zip(is["jobs"].as_array().unwrap()) {
            let mut expected = was.clone();
            if had_a_worker(was) {
                expected["take_overs"] = (was["take_overs"].as_u64().unwrap() + 1).into();
                expected["history"] = is["history"].clone();
                assert_eq!(is["history"].as_array().unwrap().last().unwrap()["note"], "taken_over");
            }
            if ["running", "waiting"].contains(&was["state"].as_str().unwrap()) {
                // A replayed job has come before it meanwhile, or a dead Hire parks it.
                assert!(["waiting", "parked"].contains(&is["state"].as_str().unwrap()), "{is}");
                (expected["state"], expected["due_at"]) = (is["state"].clone(), is["due_at"].clone());
            }
            assert_eq!(&expected, is);
        }
    }
    let number = |stats: &Value, states: &[&str]| -> u64 {
        states.iter().map(|state| stats["stats"]["jobs"][state].as_u64().unwrap()).sum()
    };
    for states in [&["waiting", "running", "parked"][..], &["dead"], &["done"]] {
        assert_eq!(number(source, states), number(copied, states), "{states:?}");
    }
    for figure in ["lanes", "people"] {
        assert_eq!(source["stats"][figure], copied["stats"][figure]);
    }
    assert_eq!(number(copied, &["running"]), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_embedded_store_has_arrives_in_redis(steps in steps()) {
        let folder = Folder::new();
        let lanes = folder.lanes();
        arrives(steps, folder, lanes, Keyspace::on(&REDIS));
    }

    #[test]
    fn whatever_redis_has_arrives_in_the_embedded_store(steps in steps()) {
        let keys = Keyspace::on(&REDIS);
        let lanes = keys.lanes();
        arrives(steps, keys, lanes, Folder::new());
    }

    #[test]
    fn whatever_redis_has_arrives_in_valkey(steps in steps()) {
        let keys = Keyspace::on(&REDIS);
        let lanes = keys.lanes();
        arrives(steps, keys, lanes, Keyspace::on(&VALKEY));
    }
}
