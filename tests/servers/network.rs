//! A network that can be partitioned: each server is reached through proxies, which know the caller. Every path between
//! two parties can be closed and opened, in one direction or both.
//!
//! As in real partitions, nobody is notified: what is sent waits, and connections stay open and silent. When the path
//! opens again, what waited arrives, or, if a firewall has forgotten the connection, the connection breaks.
//!
//! All of 127.0.0.0/8 is this machine. Each party calls from an address of its own. Servers know each other by
//! addresses in 127.0.9; each bridge has addresses of its own for them, and answers of sentinels are translated.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::servers::{Make, Server, eventually};

/// A party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    Server(u8),
    Sentinel(u8),
    Bridge(u8),
}

use Party::{Bridge, Sentinel, Server as Data};

/// The addresses by which servers know each other.
const COMMON: u8 = 9;
/// The number of bridges, each with a view of its own.
pub(crate) const BRIDGES: u8 = 2;

impl Party {
    fn number(self) -> u8 {
        match self {
            Data(n) => 10 + n,
            Sentinel(n) => 20 + n,
            Bridge(n) => 30 + n,
        }
    }

    /// The address it calls from.
    fn source(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 8, self.number())
    }

    /// Its address in a view.
    fn seen(self, view: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, view, self.number())
    }
}

/// Which paths are closed: from, to.
#[derive(Debug, Clone, Default)]
struct Ways {
    closed: BTreeSet<(Party, Party)>,
    /// Whether connections break when their path opens again.
    forgotten: bool,
}

/// A primary, two replicas, three sentinels, and the paths between all of them and the bridges.
pub(crate) struct Network {
    pub(crate) servers: Vec<Server>,
    sentinels: Vec<Server>,
    ways: watch::Sender<Ways>,
    proxies: Option<Runtime>,
}

impl Network {
    /// The whole network, healthy; server 0 is the primary. `args` are additional arguments for the servers.
    pub(crate) fn start(args: &[&str]) -> Self {
        let proxies = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (ways, closed) = watch::channel(Ways::default());
        let proxied = |party: Party, port: u16| {
            for view in (0..BRIDGES).chain([COMMON]) {
                let closed = closed.clone();
                let listener = std::net::TcpListener::bind((party.seen(view), port)).unwrap();
                listener.set_nonblocking(true).unwrap();
                proxies
                    .spawn(async move { serve(TcpListener::from_std(listener).unwrap(), view, party, closed).await });
            }
        };
        let server = |n: u8, more: &[&str]| {
            let (from, known_as) = (Data(n).source().to_string(), Data(n).seen(COMMON).to_string());
            let own = ["--bind-source-addr", &from, "--replica-announce-ip", &known_as, "--repl-timeout", "5"];
            let pace = ["--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0"];
            let server = Server::start(Make::Valkey, &[&own[..], &pace, more, args].concat());
            proxied(Data(n), server.port());
            server
        };
        let primary = server(0, &[]);
        let (host, port) = (Data(0).seen(COMMON).to_string(), primary.port().to_string());
        let mut servers = vec![primary];
        servers.extend((1..3).map(|n| server(n, &["--replicaof", &host, &port])));
        let linked = |server: &Server| server.ask(&["INFO", "replication"]).contains("master_link_status:up");
        assert!(eventually(|| servers[1..].iter().all(linked)), "the replicas find no primary");
        let sentinel = |n: u8| {
            let mut sentinel = Server::prepared(Make::Valkey);
            sentinel.configure(&format!(
                "bind-source-addr {}\nsentinel announce-ip {}\nsentinel monitor main {host} {port} 2\n\
                 sentinel down-after-milliseconds main 800\nsentinel failover-timeout main 3000\n",
                Sentinel(n).source(),
                Sentinel(n).seen(COMMON),
            ));
            sentinel.arg(&["--sentinel"]);
            proxied(Sentinel(n), sentinel.port());
            sentinel.run();
            sentinel
        };
        let sentinels: Vec<_> = (0..3).map(sentinel).collect();
        let network = Self { servers, sentinels, ways, proxies: Some(proxies) };
        assert!(eventually(|| network.is_whole()), "the sentinels do not find each other");
        network
    }

    /// Whether every sentinel knows all servers and sentinels.
    fn is_whole(&self) -> bool {
        let knows_all = |sentinel: &Server| {
            let master = sentinel.ask(&["SENTINEL", "MASTER", "main"]);
            let of = |field: &str| master.lines().skip_while(|line| *line != field).nth(1).map(str::to_owned);
            of("num-other-sentinels").as_deref() == Some("2") && of("num-slaves").as_deref() == Some("2")
        };
        self.sentinels.iter().all(knows_all)
    }

    /// The store's configuration for a bridge.
    pub(crate) fn url(&self, bridge: u8) -> String {
        let hosts = self
            .sentinels
            .iter()
            .zip(0..)
            .map(|(sentinel, n)| format!("{}:{}", Sentinel(n).seen(bridge), sentinel.port()));
        format!("redis+sentinel://{}/main", hosts.collect::<Vec<_>>().join(","))
    }

    /// Closes all paths between two groups.
    pub(crate) fn cut(&self, some: &[Party], others: &[Party]) {
        self.cut_one_way(some, others);
        self.cut_one_way(others, some);
    }

    /// Closes the paths from the first group to the second, in this direction only.
    pub(crate) fn cut_one_way(&self, from: &[Party], to: &[Party]) {
        let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
        self.ways.send_modify(|ways| ways.closed.extend(pairs));
    }

    /// Closes all paths between these parties and everybody else.
    pub(crate) fn cut_off(&self, some: &[Party]) {
        let others: Vec<_> = everybody().filter(|party| !some.contains(party)).collect();
        self.cut(some, &others);
    }

    /// Opens all paths: what waited arrives.
    pub(crate) fn mend(&self) {
        self.ways.send_modify(|ways| *ways = Ways::default());
    }

    /// Opens all paths: connections that were cut break.
    pub(crate) fn mend_anew(&self) {
        self.ways.send_modify(|ways| *ways = Ways { forgotten: true, ..Ways::default() });
    }

    /// Which servers say that they are primary; there may be several.
    pub(crate) fn primaries(&self) -> Vec<u8> {
        let is_one = |n: &u8| self.servers[usize::from(*n)].ask(&["INFO", "replication"]).contains("role:master");
        (0..3).filter(is_one).collect()
    }

    /// Waits until there is one primary, followed by both replicas.
    pub(crate) fn heals(&self) {
        let is_healed = || {
            let primaries = self.primaries();
            let [primary] = primaries[..] else { return false };
            let info = self.servers[usize::from(primary)].ask(&["INFO", "replication"]);
            info.matches("state=online").count() == 2
        };
        assert!(eventually(is_healed), "the network does not heal: primaries {:?}", self.primaries());
    }
}

/// Everybody who can be cut off.
pub(crate) fn everybody() -> impl Iterator<Item = Party> {
    (0..3).map(Data).chain((0..3).map(Sentinel)).chain((0..BRIDGES).map(Bridge))
}

impl Drop for Network {
    fn drop(&mut self) {
        // Does not wait for the runtime to end: a test's own runtime does not allow that.
        if let Some(proxies) = self.proxies.take() {
            proxies.shutdown_background();
        }
    }
}

/// Accepts calls for a party in a view.
async fn serve(listener: TcpListener, view: u8, to: Party, ways: watch::Receiver<Ways>) {
    let callers: HashMap<IpAddr, Party> = everybody().map(|party| (party.source().into(), party)).collect();
    let port = listener.local_addr().unwrap().port();
    while let Ok((caller, address)) = listener.accept().await {
        let from = if view == COMMON { callers.get(&address.ip()).copied() } else { Some(Bridge(view)) };
        // Another process on this machine.
        let Some(from) = from else { continue };
        tokio::spawn(connect(caller, from, to, port, view, ways.clone()));
    }
}

async fn connect(caller: TcpStream, from: Party, to: Party, port: u16, view: u8, mut ways: watch::Receiver<Ways>) {
    // As with a real connection, both directions must be open to establish it.
    if !(open(&mut ways, (from, to)).await && open(&mut ways, (to, from)).await) {
        return;
    }
    let Ok(server) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await else { return };
    let _ = (caller.set_nodelay(true), server.set_nodelay(true));
    let ((caller_in, caller_out), (server_in, server_out)) = (caller.into_split(), server.into_split());
    // A bridge gets the primary's address in its own view.
    let translated = (view != COMMON && matches!(to, Sentinel(_))).then_some(view);
    let there = carry(caller_in, server_out, (from, to), None, ways.clone());
    let back = carry(server_in, caller_out, (to, from), translated, ways);
    // When one direction ends, so does the connection: nobody here half-closes.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Waits until a path is open; false: what waits on it must break.
async fn open(ways: &mut watch::Receiver<Ways>, way: (Party, Party)) -> bool {
    if !ways.borrow_and_update().closed.contains(&way) {
        return true;
    }
    let opened = ways.wait_for(|ways| !ways.closed.contains(&way)).await;
    opened.is_ok_and(|ways| !ways.forgotten)
}

/// Forwards data in one direction while the path is open, until either end closes.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: (Party, Party),
    translated: Option<u8>,
    mut ways: watch::Receiver<Ways>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if !open(&mut ways, way).await {
            return;
        }
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            // The path may be closed by now: then not even the end is noticed.
            _ = ways.changed() => continue,
        };
        let Ok(count @ 1..) = read else { return };
        if !open(&mut ways, way).await {
            return;
        }
        if let Some(view) = translated {
            translate(&mut buffer[..count], view);
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Translates the servers' addresses into those of a view, which have the same length. A sentinel's answers are short,
/// so none is split.
fn translate(bytes: &mut [u8], view: u8) {
    let common = format!("127.0.{COMMON}.");
    let at: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(common.as_bytes())).collect();
    for at in at {
        bytes[at..at + common.len()].copy_from_slice(format!("127.0.{view}.").as_bytes());
    }
}
