//! Each row of docs/redis.md's table of what is lost when, for a machine that loses power: a library preloaded before
//! libc (`tests/servers/power_cut.c`) undoes whatever the server has not flushed, and kills it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scim_bridge::core::person::job::JobId;
use scim_bridge::store::Store;

use crate::power_cut::{library, moments};
use crate::servers::{Make, Server, eventually};
use crate::stage::{accept, accepts_at_last, is_there, open};

const SENDERS: usize = 8;
const FSYNCED: [(&str, &str); 1] = [("durability", "fsynced")];
const REPLICATED: [(&str, &str); 1] = [("durability", "replicated")];

/// A server on a disk that loses what was not flushed.
fn server(make: Make, library: &Path, lies: bool, args: &[&str]) -> Server {
    let mut server = Server::prepared(make);
    server.arg(&["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]);
    server.arg(args);
    server.put_on_disk(library, lies);
    server.run();
    server
}

/// Accepts until the store is gone; returns when each delivery was acknowledged.
async fn accept_on(store: Arc<dyn Store>) -> Vec<(JobId, Instant)> {
    let mut acknowledged = Vec::new();
    while let Ok(id) = accept(store.as_ref()).await {
        acknowledged.push((id, Instant::now()));
    }
    acknowledged
}

/// Accepts for a while, then cuts the power of some servers; returns what was acknowledged, and the time of the cut.
async fn accept_until_the_cut(
    store: &Arc<dyn Store>,
    busy: Duration,
    servers: &mut [&mut Server],
) -> (Vec<(JobId, Instant)>, Instant) {
    accepts_at_last(store.as_ref()).await;
    let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(accept_on(store.clone()))).collect();
    tokio::time::sleep(busy).await;
    let cut_at = Instant::now();
    for server in servers {
        tokio::task::block_in_place(|| server.cut_power());
    }
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    assert!(!acknowledged.is_empty());
    (acknowledged, cut_at)
}

/// The lost ones among the acknowledged, by how long before the cut they were acknowledged.
struct Lost {
    of: usize,
    before_cut: Vec<Duration>,
}

/// Long enough that `everysec` has flushed, and that more has been written since.
const USUAL: Duration = Duration::from_millis(3_500);

async fn cut(make: Make, appendfsync: &str, keys: &[(&str, &str)], lies: bool, busy: Duration) -> Lost {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(make, &library(folder.path()), lies, &["--appendfsync", appendfsync]);
    let store = open(&server.url(), keys);
    let (acknowledged, cut_at) = accept_until_the_cut(&store, busy, &mut [&mut server]).await;
    server.run();
    // A process that begins: a store that lost everything is refused by one that has known it.
    let store = open(&server.url(), keys);
    accepts_at_last(store.as_ref()).await;
    let mut before_cut = Vec::new();
    for (id, at) in &acknowledged {
        if !is_there(store.as_ref(), *id).await {
            before_cut.push(cut_at.saturating_duration_since(*at));
        }
    }
    before_cut.sort();
    println!(
        "{make:?}, {appendfsync}, {keys:?}{}: {} of {} lost, acknowledged up to {:?} before the cut",
        if lies { ", a disk that flushes nothing" } else { "" },
        before_cut.len(),
        acknowledged.len(),
        before_cut.last().copied().unwrap_or_default(),
    );
    Lost { of: acknowledged.len(), before_cut }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appendfsync_always_loses_nothing_to_a_power_cut() {
    for make in [Make::Redis, Make::Valkey] {
        for busy in moments("appendfsync always", 1, 500, 4_000) {
            let lost = cut(make, "always", &[], false, busy).await;
            assert!(lost.before_cut.is_empty(), "{make:?}, {busy:?}: {} of {} lost", lost.before_cut.len(), lost.of);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_flushes_nothing_would_lose_some_of_it() {
    let lost = cut(Make::Redis, "always", &[], true, USUAL).await;
    assert!(!lost.before_cut.is_empty(), "none of {} lost: the test proves nothing", lost.of);
}

/// The limit in docs/redis.md, plus what a busy machine adds.
const EVERYSEC_MAX: Duration = Duration::from_secs(2 + 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appendfsync_everysec_loses_up_to_two_seconds_to_a_power_cut() {
    for make in [Make::Redis, Make::Valkey] {
        let lost = cut(make, "everysec", &[], false, USUAL).await;
        let oldest = lost.before_cut.last().unwrap_or_else(|| panic!("{make:?}: none of {} lost", lost.of));
        assert!(*oldest < EVERYSEC_MAX, "{make:?}: acknowledged {oldest:?} before the cut, and lost");
        assert!(lost.before_cut.len() < lost.of, "{make:?}: all lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_acknowledged_as_fsynced_survive_a_power_cut() {
    for busy in moments("fsynced", 1, 500, 4_000) {
        let lost = cut(Make::Valkey, "always", &FSYNCED, false, busy).await;
        assert!(lost.before_cut.is_empty(), "{busy:?}: {} of {} lost", lost.before_cut.len(), lost.of);
    }
}

/// Why such a server is refused (`STORE-EVERYSEC`): it answers `WAITAOF` before it has flushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valkey_with_everysec_loses_writes_it_reported_as_flushed() {
    let keys = [FSYNCED[0], ("insecure_ok", "true")];
    for _ in 0..10 {
        if !cut(Make::Valkey, "everysec", &keys, false, USUAL).await.before_cut.is_empty() {
            return;
        }
    }
    panic!("nothing is lost in ten cuts: this Valkey waits, so it need not be refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_acknowledged_as_replicated_survive_a_power_cut_without_the_primary() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let always = ["--appendfsync", "always"];
    let mut primary = server(Make::Valkey, &library, false, &always);
    let port = primary.port().to_string();
    let of_it = [&always[..], &["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]].concat();
    let mut replicas = [server(Make::Valkey, &library, false, &of_it), server(Make::Valkey, &library, false, &of_it)];
    let linked = |server: &Server| server.ask(&["INFO", "replication"]).contains("master_link_status:up");
    assert!(eventually(|| replicas.iter().all(linked)));
    let store = open(&primary.url(), &REPLICATED);
    let [one, other] = &mut replicas;
    let (acknowledged, _) = accept_until_the_cut(&store, USUAL, &mut [one, other, &mut primary]).await;
    // Each replica as the next primary would be; Sentinel promotes the one that has more.
    let mut lost_by_both: Vec<JobId> = acknowledged.iter().map(|(id, _)| *id).collect();
    for replica in &mut replicas {
        replica.run();
        replica.ask(&["REPLICAOF", "NO", "ONE"]);
        let promoted = open(&replica.url(), &[]);
        accepts_at_last(promoted.as_ref()).await;
        let mut lost = Vec::new();
        for id in lost_by_both {
            if !is_there(promoted.as_ref(), id).await {
                lost.push(id);
            }
        }
        lost_by_both = lost;
    }
    println!("replicated: {} of {} lost", lost_by_both.len(), acknowledged.len());
    assert!(lost_by_both.is_empty(), "{} of {} lost", lost_by_both.len(), acknowledged.len());
}
