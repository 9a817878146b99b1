//! Many at once, and callers that do not wait for the answer.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::task::Poll;

use futures_util::future::{join_all, poll_fn};
use scim_bridge::core::person::PersonId;
use scim_bridge::store::{Accepted, Claim, ClaimRequest, Commit, Committed, LaneState, Store};

use crate::harness::{Bench, at, commit, delivery, idle, request};

const WORKERS: usize = 8;
const PEOPLE: usize = 12;
const WORDS: usize = 10;

#[derive(Default)]
struct Seen {
    running: BTreeSet<PersonId>,
    fences: BTreeSet<u64>,
    /// The sequence number of every folded entry.
    folded: Vec<(PersonId, u64)>,
}

pub(crate) async fn many_workers_never_share_a_person_and_fold_every_event_once(b: &mut Bench) {
    for _ in 0..WORDS {
        for who in 0..PEOPLE {
            b.accept(at(0), &[(&who.to_string(), "x")]).await;
        }
    }
    let seen = RefCell::new(Seen::default());
    let store = b.store().await;
    join_all((0..WORKERS).map(|_| work(store, &seen))).await;
    let folded = seen.into_inner().folded;
    let of_one = |person: PersonId| folded.iter().filter(move |(whose, _)| *whose == person).map(|(_, seq)| *seq);
    let people: BTreeSet<_> = folded.iter().map(|(person, _)| *person).collect();
    assert_eq!(people.len(), PEOPLE);
    for person in people {
        let seqs: Vec<_> = of_one(person).collect();
        assert_eq!(seqs.len(), WORDS);
        assert!(seqs.is_sorted_by(|before, after| before < after), "{seqs:?}");
    }
    assert_eq!((b.entries().await, b.count(LaneState::Running).await), (0, 0));
}

/// Claims and commits until nothing is left, three entries at a time.
async fn work(store: &dyn Store, seen: &RefCell<Seen>) {
    let ask = ClaimRequest { entries_max: 3, ..request(2) };
    while seen.borrow().folded.len() < WORDS * PEOPLE {
        let Claim::People(people) = store.claim(at(1), &ask).await.unwrap() else {
            tokio::task::yield_now().await;
            continue;
        };
        for claimed in &people {
            let mut seen = seen.borrow_mut();
            assert!(seen.running.insert(claimed.lease.person), "two workers on one lane");
            assert!(seen.fences.insert(claimed.lease.fence), "a fence given twice");
        }
        for claimed in people {
            let person = claimed.lease.person;
            seen.borrow_mut().running.remove(&person);
            seen.borrow_mut().folded.extend(claimed.inbox.iter().map(|entry| (person, entry.seq)));
            let folded = Commit { consumed_to: claimed.inbox.last().map(|entry| entry.seq), ..commit("x", idle()) };
            assert_eq!(store.commit(at(1), &claimed.lease, folded).await.unwrap(), Committed::Committed);
        }
    }
}

pub(crate) async fn one_of_many_equal_deliveries_is_stored(b: &mut Bench) {
    let same: Vec<_> = (0..16).map(|_| delivery([1; 16], vec![b.entry("1", "x")])).collect();
    let store = b.store().await;
    let answers = join_all(same.into_iter().map(|delivery| store.accept(at(0), delivery))).await;
    let stored = answers.iter().filter(|answer| matches!(answer, Ok(Accepted::Stored))).count();
    let known = answers.iter().filter(|answer| matches!(answer, Ok(Accepted::Duplicate { .. }))).count();
    assert_eq!((stored, known, b.entries().await), (1, 15, 1));
}

pub(crate) async fn each_of_many_simultaneous_deliveries_gets_its_own_answer(b: &mut Bench) {
    let key = b.key();
    let known = delivery(key, vec![b.entry("known", "x")]);
    let ids = vec![known.entries[0].job];
    b.deliver(at(0), known.clone()).await;
    let mut sent = Vec::new();
    for n in 0..300_u32 {
        let mut entries: Vec<_> = (0..n % 4).map(|_| b.entry(&n.to_string(), "x")).collect();
        // More than may share a call.
        if n == 152 {
            entries.extend((0..2_000).map(|m| b.entry(&m.to_string(), "y")));
        }
        let fresh = delivery(b.key(), entries);
        let duplicate = Accepted::Duplicate { ids: ids.clone() };
        sent.push(if n % 3 == 0 { (known.clone(), duplicate) } else { (fresh, Accepted::Stored) });
    }
    let (store, mut stored) = (b.store().await, 1);
    let all = sent.iter().enumerate().map(|(n, (delivery, _))| {
        // Not all arrive at the same instant.
        store.accept(at(n as u64 / 100), delivery.clone())
    });
    for (n, (answer, (delivery, expected))) in join_all(all).await.into_iter().zip(&sent).enumerate() {
        assert_eq!(&answer.unwrap(), expected, "{n}");
        stored += if *expected == Accepted::Stored { delivery.entries.len() } else { 0 };
    }
    assert_eq!(b.entries().await, stored as u64);
}

pub(crate) async fn a_sender_that_hangs_up_leaves_a_whole_delivery_or_none(b: &mut Bench) {
    for n in 0..20_u8 {
        let sent = delivery([n; 16], vec![b.entry("1", "x"), b.entry("2", "y")]);
        let store = b.store().await;
        let mut accepting = store.accept(at(0), sent.clone());
        let mut polls = 0;
        poll_fn(|context| {
            polls += 1;
            if accepting.as_mut().poll(context).is_ready() || polls > n / 7 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(accepting);
        let again = b.deliver(at(1), sent).await;
        assert!(matches!(again, Accepted::Stored | Accepted::Duplicate { .. }), "{again:?}");
        assert_eq!(b.entries().await, 2 * (u64::from(n) + 1));
    }
}

pub(crate) async fn a_waiting_worker_is_woken_when_there_may_be_work(b: &mut Bench) {
    async fn assert_woken(b: &mut Bench, by: &str) {
        let woken = tokio::time::timeout(std::time::Duration::from_secs(5), b.store().await.woken()).await;
        assert!(woken.is_ok(), "not woken by {by}");
    }
    if b.reopens() {
        // Only those who already listen are woken.
        return;
    }
    // The listener is there before the wake-up.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), b.store().await.woken()).await;
    b.accept(at(0), &[("1", "x")]).await;
    assert_woken(b, "an accepted delivery").await;
    b.process(at(0), "1", commit("1", crate::harness::held("all"))).await;
    b.store().await.release(at(1), "all", 1).await.unwrap();
    assert_woken(b, "a release").await;
    b.process(at(1), "1", commit("1", idle())).await;
    let entry = b.entry("1", "x");
    b.store().await.put(at(2), entry).await.unwrap();
    assert_woken(b, "an operator's request").await;
    let claimed = b.claim_one(at(2)).await;
    b.commit(at(2), &claimed.lease, commit("1", idle())).await;
    assert_woken(b, "a commit that leaves something in the inbox").await;
    let id = b.accept_unmapped(at(3), None, "x").await;
    b.process(at(3), "1", commit("1", idle())).await;
    let entry = b.entry("2", "x");
    b.store().await.replay_unmapped(at(3), id, vec![entry], Vec::new()).await.unwrap();
    assert_woken(b, "a replayed record").await;
}
