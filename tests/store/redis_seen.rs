//! Deliveries that are remembered, as the Redis engine packs them.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use scim_bridge::core::job::JobId;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{Accepted, NewDelivery, NewJob};

use crate::harness::{Bench, at, delivery, hire, rename};
use crate::redis::both;

#[tokio::test]
async fn thousands_of_deliveries_are_remembered_in_short_segments_and_leave_nothing_when_forgotten() {
    for keys in both() {
        let mut look = keys.lanes();
        let mut b = Bench::new(keys, false).await;
        let sent: Vec<_> = (0..3_000_u128)
            .map(|n| {
                let key = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
                delivery(key, [0; 16], vec![NewJob { id: b.id(), event: hire(&n.to_string()) }])
            })
            .collect();
        let store = b.s().await;
        let accept = async |now| join_all(sent.iter().map(|delivery| store.accept(now, delivery.clone()))).await;
        assert!(accept(at(0)).await.into_iter().all(|answer| answer.unwrap() == Accepted::Stored));
        for (delivery, answer) in sent.iter().zip(accept(at(1)).await) {
            assert_eq!(answer.unwrap(), Accepted::Duplicate { jobs: vec![delivery.jobs[0].id] });
        }
        let segments: Vec<Vec<u8>> = look.ask("HVALS", "seen", &[]);
        assert_eq!(segments.iter().map(Vec::len).sum::<usize>(), sent.len() * 58);
        let longest = segments.iter().map(Vec::len).max().unwrap();
        assert!(longest <= 1_024 && segments.len() < sent.len() / 4, "{longest}, {}", segments.len());
        while store.tidy(at(86_400_001)).await.unwrap() > 0 {}
        assert_eq!(look.ask::<u64>("EXISTS", "seen", &[]), 0);
        assert_eq!(look.ask::<u64>("HEXISTS", "ctl", &[b"seen_segments"]), 0);
        assert!(accept(at(86_400_002)).await.into_iter().all(|answer| answer.unwrap() == Accepted::Stored));
    }
}

#[tokio::test]
async fn what_is_remembered_is_what_a_plain_map_remembers() {
    for (seed, keys) in (1..).zip(both()) {
        let mut b = Bench::new(keys, false).await;
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut known: HashMap<[u8; 16], (UnixMs, [u8; 16], Vec<JobId>)> = HashMap::new();
        let mut now = at(0);
        for _ in 0..400 {
            now = now.plus_ms(chance.u64(..3_000));
            // Few keys, so that many come again: while they are remembered, and when they are not any more.
            let mut sent: BTreeMap<u128, NewDelivery> = BTreeMap::new();
            for _ in 0..chance.usize(1..64) {
                let n = chance.u128(..2_000);
                let key = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
                let jobs = if chance.u8(..30) == 0 { 60 } else { 1 };
                let jobs = (0..jobs).map(|_| NewJob { id: b.id(), event: rename("1") }).collect();
                let mut delivery = delivery(key, [chance.u8(..2); 16], jobs);
                delivery.dedupe.remember_ms = chance.u64(1..120_000);
                sent.insert(n, delivery);
            }
            let store = b.s().await;
            let answers = join_all(sent.values().map(|delivery| store.accept(now, delivery.clone()))).await;
            for (delivery, answer) in sent.values().zip(answers) {
                let dedupe = &delivery.dedupe;
                let expected = match known.get(&dedupe.key).filter(|(until, ..)| *until > now) {
                    Some((_, fingerprint, jobs)) if *fingerprint == dedupe.fingerprint => {
                        Accepted::Duplicate { jobs: jobs.clone() }
                    }
                    Some(_) => Accepted::Conflict,
                    None => {
                        let ids = delivery.jobs.iter().map(|job| job.id).collect();
                        let until = now.plus_ms(dedupe.remember_ms);
                        known.insert(dedupe.key, (until, dedupe.fingerprint, ids));
                        Accepted::Stored
                    }
                };
                assert_eq!(answer.unwrap(), expected, "seed {seed}");
            }
            if chance.u8(..4) == 0 {
                store.tidy(now).await.unwrap();
            }
        }
    }
}
