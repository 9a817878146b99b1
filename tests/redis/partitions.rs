//! Network partitions between bridges, sentinels, the primary and its replicas: what was acknowledged as replicated
//! survives, in order and once for each person. With weaker settings the same partitions lose some of it.
//!
//! There are three sites, each with a server and a sentinel, and two bridges, at the first and the second site.

use std::sync::Arc;
use std::time::Duration;

use scim_bridge::core::code::Code;
use scim_bridge::store::Store;
use tokio::task::block_in_place;

use crate::history::{Outcome, Traffic};
use crate::network::Party::{self, Bridge, Sentinel, Server as Data};
use crate::network::{BRIDGES, Network, everybody};
use crate::servers::eventually;
use crate::stage::{accept, accept_as, accepts_as_at_last, accepts_at_last, fails_with, new_id, open};

type Keys<'a> = [(&'a str, &'a str)];

/// Waits for one replica.
const REPLICATED: [(&str, &str); 2] = [("durability", "replicated"), ("durable_timeout_ms", "700")];
/// Waits for both replicas.
const BY_ALL: [(&str, &str); 3] =
    [("durability", "replicated"), ("durable_replicas", "2"), ("durable_timeout_ms", "700")];
const WRITTEN: [(&str, &str); 0] = [];

/// Flushes after every write, so that an answer takes milliseconds.
const SERVERS: [&str; 2] = ["--appendfsync", "always"];
const PEOPLE: u32 = 6;
const A_WHILE: Duration = Duration::from_millis(500);

fn site(n: u8) -> Vec<Party> {
    let bridge = (n < BRIDGES).then_some(Bridge(n));
    [Data(n), Sentinel(n)].into_iter().chain(bridge).collect()
}

/// The bridges, once both accept deliveries.
async fn bridges(network: &Network, keys: &Keys<'_>) -> Vec<Arc<dyn Store>> {
    let bridges: Vec<_> = (0..BRIDGES).map(|n| open(&network.url(n), keys)).collect();
    all_accept(&bridges).await;
    bridges
}

async fn all_accept(bridges: &[Arc<dyn Store>]) {
    for bridge in bridges {
        accepts_at_last(bridge.as_ref()).await;
    }
}

/// Sends through both bridges. A group is cut off until another primary is promoted beside the first, and a while
/// longer; then the network heals.
async fn until_another_is_promoted(keys: &Keys<'_>, cut_off: &[Party], acknowledges: bool) -> Outcome {
    let network = Network::start(&SERVERS);
    let bridges = bridges(&network, keys).await;
    let traffic = Traffic::start(&bridges, PEOPLE);
    tokio::time::sleep(A_WHILE).await;
    network.cut_off(cut_off);
    assert!(block_in_place(|| eventually(|| network.primaries().len() == 2)), "no other primary is promoted");
    // The first server is still primary to everybody on its side, and accepts writes.
    if acknowledges {
        accepts_at_last(bridges[0].as_ref()).await;
    } else {
        fails_with(bridges[0].as_ref(), Code::StoreNotDurable).await;
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(network.primaries().len(), 2);
    network.mend();
    block_in_place(|| network.heals());
    all_accept(&bridges).await;
    tokio::time::sleep(A_WHILE).await;
    let outcome = traffic.end(bridges[0].as_ref()).await;
    println!("{keys:?}, {cut_off:?} cut off: {outcome:?}");
    assert!(outcome.acknowledged > 0 && outcome.refused > 0, "{outcome:?}");
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_isolated_with_a_bridge_acknowledges_and_loses_nothing() {
    let outcome = until_another_is_promoted(&REPLICATED, &site(0), false).await;
    assert_eq!(outcome.lost, 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_waiting_for_replicas_an_isolated_primary_loses_acknowledged_writes() {
    let outcome = until_another_is_promoted(&WRITTEN, &site(0), true).await;
    assert!(outcome.lost > 0, "none lost: the test proves nothing: {outcome:?}");
}

/// The primary and one replica on this side; the other replica and all sentinels on the other.
const WITH_A_REPLICA: [Party; 3] = [Data(0), Data(1), Bridge(0)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_is_not_enough_if_sentinels_reach_only_another() {
    let outcome = until_another_is_promoted(&REPLICATED, &WITH_A_REPLICA, true).await;
    assert!(outcome.lost > 0, "none lost: docs/redis.md warns without reason: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_all_replicas_acknowledge_any_of_them_has_everything_when_promoted() {
    let outcome = until_another_is_promoted(&BY_ALL, &WITH_A_REPLICA, false).await;
    assert_eq!(outcome.lost, 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_without_its_replicas_refuses_until_one_is_back_and_stays_the_primary() {
    let network = Network::start(&SERVERS);
    let bridges = bridges(&network, &REPLICATED).await;
    let traffic = Traffic::start(&bridges, PEOPLE);
    // One acknowledgement is enough. A busy disk may keep one answer for longer than the bridge waits.
    network.cut(&[Data(0)], &[Data(1)]);
    for _ in 0..3 {
        accepts_at_last(bridges[0].as_ref()).await;
    }
    network.cut(&[Data(0)], &[Data(2)]);
    fails_with(bridges[0].as_ref(), Code::StoreNotDurable).await;
    let id = new_id();
    for bridge in &bridges {
        assert!(accept_as(bridge.as_ref(), id).await.is_err());
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(network.primaries(), [0], "the sentinels see all of them");
    network.mend();
    all_accept(&bridges).await;
    accepts_as_at_last(bridges[1].as_ref(), id).await;
    let outcome = traffic.end(bridges[0].as_ref()).await;
    assert_eq!((outcome.lost, network.primaries()), (0, vec![0]), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_without_a_primary_refuses_and_one_without_sentinels_goes_on() {
    let network = Network::start(&SERVERS);
    let bridges = bridges(&network, &REPLICATED).await;
    network.cut(&[Bridge(0)], &[Data(0)]);
    network.cut(&[Bridge(1)], &[Sentinel(0), Sentinel(1), Sentinel(2)]);
    assert!(accept(bridges[0].as_ref()).await.unwrap_err().is_passing());
    accepts_at_last(bridges[1].as_ref()).await;
    network.mend_anew();
    all_accept(&bridges).await;
    assert_eq!(network.primaries(), [0]);
}

/// Partition after partition, of all kinds, at random.
async fn cuts(seed: u64, cuts: u32) {
    let network = Network::start(&SERVERS);
    let bridges = bridges(&network, &BY_ALL).await;
    let traffic = Traffic::start(&bridges, PEOPLE);
    let mut chance = fastrand::Rng::with_seed(seed);
    let all: Vec<Party> = everybody().collect();
    for _ in 0..cuts {
        let some: Vec<Party> = all.iter().copied().filter(|_| chance.bool()).collect();
        match chance.u8(..4) {
            0 => network.cut_off(&site(chance.u8(..3))),
            1 => network.cut_off(&some),
            2 => network.cut_one_way(&some, &[*chance.choice(&all).unwrap()]),
            _ => network.cut(&[Data(chance.u8(..3))], &[*chance.choice(&all).unwrap()]),
        }
        // From a moment to more than a fail-over; another partition may come before everything has healed.
        tokio::time::sleep(Duration::from_millis(chance.u64(100..4_000))).await;
        if chance.bool() {
            network.mend();
        } else {
            network.mend_anew();
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(0..2_500))).await;
    }
    network.mend_anew();
    block_in_place(|| network.heals());
    all_accept(&bridges).await;
    let outcome = traffic.end(bridges[0].as_ref()).await;
    println!("seed {seed}: {cuts} cuts: {outcome:?}");
    assert!(outcome.acknowledged > 0 && outcome.lost == 0, "seed {seed}: {outcome:?}");
}

/// The seed, as `script/soak` sets it.
fn seed() -> Option<u64> {
    std::env::var_os("SCIM_BRIDGE_CHAOS_SEED")?.to_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_of_all_kinds_lose_no_write_that_all_replicas_acknowledged() {
    cuts(seed().unwrap_or(20_261_128), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long form of the one above: minutes"]
async fn many_cuts_lose_no_write_that_all_replicas_acknowledged() {
    for n in 0..4 {
        cuts(seed().unwrap_or(1) + n, 25).await;
    }
}
