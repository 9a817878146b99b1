//! Many at once, and those who do not wait for the answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;

use futures_util::future::{join_all, poll_fn};
use scim_bridge::core::job::JobState;
use scim_bridge::store::{Accepted, Claim, ClaimRequest, NewJob, Settled, Settlement, Store};

use crate::harness::{Bench, LEASE_MS, at, delivery, done, hire, rename};

const WORKERS: usize = 8;
const PEOPLE: usize = 12;

#[derive(Default)]
struct Seen {
    running: BTreeSet<String>,
    finished: BTreeMap<String, Vec<u64>>,
    fences: BTreeSet<u64>,
}

pub(crate) async fn many_workers_never_share_a_lane_and_keep_its_order(b: &mut Bench) {
    for _ in 0..5 {
        for who in 0..PEOPLE {
            b.accept(at(0), &[hire(&who.to_string()), rename(&who.to_string())]).await;
        }
    }
    let seen = RefCell::new(Seen::default());
    let store = b.s().await;
    join_all((0..WORKERS).map(|_| work(store, &seen))).await;
    let seen = seen.into_inner();
    assert_eq!(seen.finished.len(), PEOPLE);
    for (person, seqs) in seen.finished {
        assert_eq!(seqs.len(), 10, "{person}");
        assert!(seqs.is_sorted(), "{person}: {seqs:?}");
    }
    assert_eq!(seen.fences.len(), 10 * PEOPLE);
    assert_eq!(b.count(JobState::Done).await, 10 * PEOPLE as u64);
}

/// Claims and settles until nothing is left.
async fn work(store: &dyn Store, seen: &RefCell<Seen>) {
    let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max: 2, lease_ms: LEASE_MS };
    while seen.borrow().fences.len() < 10 * PEOPLE {
        let Claim::Jobs(jobs) = store.claim(at(1), &request).await.unwrap() else {
            tokio::task::yield_now().await;
            continue;
        };
        for claimed in &jobs {
            let mut seen = seen.borrow_mut();
            assert!(seen.running.insert(claimed.lease.person.to_string()), "two workers on one lane");
            assert!(seen.fences.insert(claimed.lease.fence), "a fence given twice");
        }
        for claimed in jobs {
            let person = claimed.lease.person.to_string();
            seen.borrow_mut().running.remove(&person);
            seen.borrow_mut().finished.entry(person).or_default().push(claimed.job.seq);
            let settlement = Settlement { verdict: done(), history: Vec::new(), trial: None, directory: None };
            assert_eq!(store.settle(at(1), &claimed.lease, settlement).await.unwrap(), Settled::Settled);
        }
    }
}

pub(crate) async fn one_of_many_equal_deliveries_is_stored(b: &mut Bench) {
    let same: Vec<_> =
        (0..16).map(|_| delivery([1; 16], [2; 16], vec![NewJob { id: b.id(), event: hire("1") }])).collect();
    let store = b.s().await;
    let answers = join_all(same.into_iter().map(|delivery| store.accept(at(0), delivery))).await;
    let stored = answers.iter().filter(|answer| matches!(answer, Ok(Accepted::Stored))).count();
    let known = answers.iter().filter(|answer| matches!(answer, Ok(Accepted::Duplicate { .. }))).count();
    assert_eq!((stored, known), (1, 15));
    assert_eq!(b.count(JobState::Waiting).await, 1);
}

pub(crate) async fn many_deliveries_at_once_get_each_its_own_answer(b: &mut Bench) {
    let known = b.accept_one(at(0), hire("known")).await;
    let key = (known.0 + 1).to_be_bytes();
    let mut sent = Vec::new();
    for n in 0..300_u32 {
        let mut jobs: Vec<_> = (0..n % 4).map(|_| NewJob { id: b.id(), event: hire(&n.to_string()) }).collect();
        // More than may share a call.
        if n == 152 {
            jobs.extend((0..2_000).map(|m| NewJob { id: b.id(), event: rename(&m.to_string()) }));
        }
        let fresh = delivery(b.id().0.to_be_bytes(), [0; 16], jobs);
        sent.push(match n % 3 {
            0 => (delivery(key, [0; 16], Vec::new()), Accepted::Duplicate { jobs: vec![known] }),
            1 => (delivery(key, [9; 16], Vec::new()), Accepted::Conflict),
            _ => (fresh, Accepted::Stored),
        });
    }
    let (store, mut stored) = (b.s().await, 0);
    let all = sent.iter().enumerate().map(|(n, (delivery, _))| {
        // Not all come at one instant.
        store.accept(at(n as u64 / 100), delivery.clone())
    });
    for (n, (answer, (delivery, expected))) in join_all(all).await.into_iter().zip(&sent).enumerate() {
        assert_eq!(&answer.unwrap(), expected, "{n}");
        stored += if *expected == Accepted::Stored { delivery.jobs.len() } else { 0 };
    }
    assert_eq!(b.count(JobState::Waiting).await, 1 + stored as u64);
}

pub(crate) async fn a_sender_that_hangs_up_leaves_it_whole_or_not_at_all(b: &mut Bench) {
    for n in 0..20_u8 {
        let jobs = vec![NewJob { id: b.id(), event: hire("1") }, NewJob { id: b.id(), event: rename("1") }];
        let sent = delivery([n; 16], [0; 16], jobs);
        let store = b.s().await;
        let mut accepting = store.accept(at(0), sent.clone());
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            if accepting.as_mut().poll(context).is_ready() || polls > n / 7 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(accepting);
        let again = b.s().await.accept(at(1), sent).await.unwrap();
        assert!(matches!(again, Accepted::Stored | Accepted::Duplicate { .. }), "{again:?}");
        assert_eq!(b.count(JobState::Waiting).await, 2 * (u64::from(n) + 1));
    }
}
