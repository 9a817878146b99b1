//! HR systems that send word after word about people, each until it is acknowledged, to whichever bridge answers;
//! workers that fold them; and the required result: for each person every acknowledged word, in order, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use scim_bridge::core::person::Person;
use scim_bridge::core::person::job::JobId;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, Claimed, Commit, Committed, DeadChange, Dedupe, Lane, NewDelivery, NewEntry, Store,
};
use tokio::task::JoinHandle;

use crate::stage::{now, person};

/// Long enough for what a worker does here, and short enough that lanes are taken over soon.
const LEASE_MS: u64 = 1_000;
/// The pause between two attempts of a sender in a hurry.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Senders and workers, which run until they are stopped.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Sent>>,
    workers: Vec<JoinHandle<u32>>,
}

/// What a sender knows about one person: this many words were acknowledged, and one more may have been stored.
struct Sent {
    person: Person,
    acknowledged: u32,
    refused: u32,
}

/// The result.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) acknowledged: u32,
    pub(crate) refused: u32,
    /// Acknowledged but missing.
    pub(crate) lost: u32,
    /// Commits that were refused because of their fences.
    pub(crate) stale: u32,
}

impl Traffic {
    /// A sender for each person, which asks the bridges in turn, and a worker on each bridge.
    pub(crate) fn start(bridges: &[Arc<dyn Store>], people: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sender = |n: u32| tokio::spawn(send(bridges.to_vec(), n as usize, stop.clone()));
        let worker = |(n, store): (usize, &Arc<dyn Store>)| tokio::spawn(work(store.clone(), n, stop.clone()));
        let senders = (0..people).map(sender).collect();
        let workers = bridges.iter().enumerate().map(worker).collect();
        Self { stop, senders, workers }
    }

    /// Stops, folds the rest, and checks each person's history: in order, each word once.
    pub(crate) async fn end(self, store: &dyn Store) -> Outcome {
        self.stop.store(true, Ordering::Release);
        let mut outcome = Outcome::default();
        for worker in self.workers {
            outcome.stale += worker.await.unwrap();
        }
        let mut results = Vec::new();
        for sender in self.senders {
            results.push(sender.await.unwrap());
        }
        let began = Instant::now();
        let mut idle_since: Option<Instant> = None;
        // Long enough for the leases of workers that are gone.
        while idle_since.is_none_or(|since| since.elapsed() < Duration::from_millis(LEASE_MS + 500)) {
            assert!(began.elapsed() < Duration::from_mins(3), "it never ends");
            match claim(store, "last").await {
                Ok(claimed) if claimed.is_empty() => _ = idle_since.get_or_insert_with(Instant::now),
                Ok(claimed) => outcome.stale += fold_all(store, claimed).await,
                Err(_) => idle_since = None,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        for Sent { person, acknowledged, refused } in results {
            outcome.acknowledged += acknowledged;
            outcome.refused += refused;
            let row = store.person(person.id()).await.unwrap();
            let words = row.and_then(|row| row.document).map_or_else(Vec::new, |document| words(&document));
            // None came twice, none after a later one; lost ones are missing.
            assert!(words.is_sorted_by(|a, b| a < b), "{person}: {words:?}");
            assert!(words.iter().all(|word| *word <= acknowledged), "{person}: more than was sent: {words:?}");
            let there = words.iter().filter(|word| **word < acknowledged).count();
            outcome.lost += acknowledged - u32::try_from(there).unwrap();
        }
        outcome
    }
}

/// Sends word after word about one person, each until it is acknowledged.
async fn send(bridges: Vec<Arc<dyn Store>>, n: usize, stop: Arc<AtomicBool>) -> Sent {
    let person = person(&format!("P{n}-{}", scim_bridge::clock::new_token()));
    let (mut sent, mut turn) = (Sent { person, acknowledged: 0, refused: 0 }, n);
    loop {
        let delivery = word(&sent.person, sent.acknowledged);
        loop {
            if stop.load(Ordering::Acquire) {
                return sent;
            }
            turn += 1;
            match bridges[turn % bridges.len()].accept(now(), delivery.clone()).await {
                Ok(Accepted::Stored | Accepted::Duplicate { .. }) => break,
                Ok(other) => panic!("{other:?}"),
                Err(_) => sent.refused += 1,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        sent.acknowledged += 1;
    }
}

fn word(person: &Person, n: u32) -> NewDelivery {
    let job = JobId::about(u128::from(n + 1) << 64, person.id());
    let dedupe = Dedupe { key: job.0.to_be_bytes(), only_while_newest: false, remember_ms: 86_400_000, says: 0 };
    let entry = NewEntry { job, person: person.clone(), bytes: Bytes::copy_from_slice(&n.to_be_bytes()) };
    NewDelivery { source: person.source.clone(), dedupe: Some(dedupe), entries: vec![entry], unmapped: Vec::new() }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
}

/// Claims and folds; returns how many commits were refused because of their fences.
async fn work(store: Arc<dyn Store>, n: usize, stop: Arc<AtomicBool>) -> u32 {
    let (name, mut stale) = (format!("worker-{n}"), 0);
    while !stop.load(Ordering::Acquire) {
        match claim(store.as_ref(), &name).await {
            Ok(claimed) if !claimed.is_empty() => stale += fold_all(store.as_ref(), claimed).await,
            _ => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
    stale
}

async fn claim(store: &dyn Store, worker: &str) -> Result<Vec<Claimed>, scim_bridge::store::StoreError> {
    let request = ClaimRequest {
        worker: worker.into(),
        number: 1,
        lost_from: None,
        people_max: 64,
        lease_ms: LEASE_MS,
        entries_max: 100,
        parked: None,
    };
    Ok(match store.claim(now(), &request).await? {
        Claim::People(people) => people,
        Claim::Nobody { .. } => Vec::new(),
    })
}

async fn fold_all(store: &dyn Store, claimed: Vec<Claimed>) -> u32 {
    let mut stale = 0;
    for claimed in claimed {
        let inbox = claimed.inbox.iter().flat_map(|entry| entry.bytes.iter().copied());
        let before = claimed.document.iter().flat_map(|document| document.iter().copied());
        let document: Vec<u8> = before.chain(inbox).collect();
        let commit = Commit {
            document: Some(document.into()),
            person: person("listed"),
            consumed_to: claimed.inbox.last().map(|entry| entry.seq),
            lane: Lane::new(),
            story: Vec::new(),
            terms_added: Vec::new(),
            terms_removed: Vec::new(),
            disowned: Vec::new(),
            released: Vec::new(),
            outgoing: Vec::new(),
            dead: DeadChange::None,
        };
        // If it is unknown whether a commit took effect, the inbox is found again when the lease expires.
        let committed = store.commit(now(), &claimed.lease, commit).await;
        stale += u32::from(committed.is_ok_and(|committed| committed == Committed::Stale));
    }
    stale
}
