//! A cluster: the whole conformance suite on it, a primary that dies, a slot that moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use deadpool_redis::redis::{self, Client};
use scim_bridge::store::StoreOptions;
use scim_bridge::store::redis::{Redis, RedisOptions, StoreClock};
use scim_bridge::store::transfer::Transfer;

use crate::harness::{Engine, link};
use crate::sentinel::accept_until;
use crate::servers::{Make, Server, eventually};
use crate::stage::{accepts_at_last, claim, is_there, open};

/// The nodes of a cluster.
pub(crate) struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Three primaries that share the slots, and replicas of the primary that owns the slot of `prefix`.
    pub(crate) fn start(prefix: &str, replicas: usize) -> Self {
        // Waiting for replicas includes waiting for their disks.
        let sync = if replicas > 0 { "always" } else { "everysec" };
        let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--appendfsync", sync];
        let node = || Server::start(Make::Valkey, &arguments);
        let nodes: Vec<Server> = (0..3 + replicas).map(|_| node()).collect();
        for (node, slots) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
            assert_eq!(node.ask(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]), "OK");
        }
        for node in &nodes[1..] {
            assert_eq!(nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string()]), "OK");
        }
        let cluster = Self { nodes };
        let well = |node: &Server| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{}", cluster.nodes.len()))
        };
        assert!(eventually(|| cluster.nodes.iter().all(well)), "the cluster does not form");
        let owner = cluster.nodes[cluster.owner(prefix)].ask(&["CLUSTER", "MYID"]);
        for replica in &cluster.nodes[3..] {
            assert!(eventually(|| replica.ask(&["CLUSTER", "REPLICATE", &owner]) == "OK"));
            assert!(eventually(|| replica.ask(&["INFO", "replication"]).contains("master_link_status:up")));
        }
        cluster
    }

    /// The node that owns the slot of a prefix.
    fn owner(&self, prefix: &str) -> usize {
        let slot: u16 = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", &format!("{{{prefix}}}:x")]).parse().unwrap();
        usize::from(slot > 5_460) + usize::from(slot > 10_922)
    }

    fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }
}

/// A part of a cluster's key space.
struct Part {
    url: String,
    prefix: String,
}

#[async_trait]
impl Engine for Part {
    async fn open(&self, options: StoreOptions) -> Arc<dyn Transfer> {
        let link = link(&self.url, &format!("key_prefix = {:?}\nresponse_timeout_ms = 10_000", self.prefix));
        Arc::new(Redis::open(&RedisOptions { link, clock: StoreClock::Caller, creates: true }, options).unwrap())
    }
}

/// Each prefix is in another slot, so the cases are spread over all primaries.
fn part() -> Part {
    Part { url: SHARED.url(), prefix: scim_bridge::clock::new_token() }
}

static SHARED: std::sync::LazyLock<Cluster> = std::sync::LazyLock::new(|| Cluster::start("any", 0));

crate::conformance::conformance!(conforms, crate::cluster::part());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_has_every_acknowledged_write() {
    let mut cluster = Cluster::start("scim-bridge", 2);
    let store = open(&cluster.url(), &[("durability", "replicated")]);
    accepts_at_last(store.as_ref()).await;
    let owner = cluster.owner("scim-bridge");
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..4).map(|_| tokio::spawn(accept_until(store.clone(), stop.clone()))).collect();
    let written = |server: &Server| server.info("total_commands_processed").unwrap_or_default();
    let before = written(&cluster.nodes[owner]);
    assert!(eventually(|| written(&cluster.nodes[owner]) > before + 100));
    cluster.nodes[owner].kill();
    accepts_at_last(store.as_ref()).await;
    stop.store(true, Ordering::Release);
    for sender in senders {
        for id in sender.await.unwrap() {
            assert!(is_there(store.as_ref(), id).await, "{id} was acknowledged and is lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_slot_is_followed() {
    let cluster = Cluster::start("scim-bridge", 0);
    let store = open(&cluster.url(), &[]);
    let (first, _) = accepts_at_last(store.as_ref()).await;
    let from = cluster.owner("scim-bridge");
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[(from + 1) % 3]);
    let slot = from.ask(&["CLUSTER", "KEYSLOT", "{scim-bridge}:x"]);
    let (from_id, to_id) = (from.ask(&["CLUSTER", "MYID"]), to.ask(&["CLUSTER", "MYID"]));
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    // Key names are bytes.
    let mut connection = Client::open(("127.0.0.1", from.port())).unwrap().get_connection().unwrap();
    let keys = redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(&slot).arg(1_000).query(&mut connection);
    let keys: Vec<Vec<u8>> = keys.unwrap();
    let mut migrate = redis::cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(5_000).arg("KEYS").arg(keys);
    assert_eq!(migrate.query::<String>(&mut connection).unwrap(), "OK");
    // Half moved: requests are refused, and nothing is lost.
    assert!(crate::stage::accept(store.as_ref()).await.unwrap_err().is_passing());
    for node in [to, from] {
        assert_eq!(node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
    }
    let (second, _) = accepts_at_last(store.as_ref()).await;
    let claimed = claim(store.as_ref()).await.unwrap();
    assert_eq!(
        claimed.iter().map(|claimed| claimed.lease.person).collect::<Vec<_>>(),
        [first.person(), second.person()]
    );
}
