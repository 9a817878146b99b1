//! The open connections, bounded in total and per peer. When a bound is reached, the new connection is accepted, and the
//! one that has kept us waiting the longest is closed: a genuine delivery arrives quickly, so it never waits long.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::memory::Bound;
use crate::peer::{TrustedProxies, counted_as};
use crate::telemetry::metrics::{CONNECTIONS, CONNECTIONS_CUT_TOTAL};

/// All connections of the listener. Clones share them.
#[derive(Clone)]
pub(super) struct Connections(Arc<Inner>);

struct Inner {
    max: usize,
    per_peer_max: usize,
    proxies: TrustedProxies,
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Default)]
struct Open {
    count: usize,
    /// How many of these have been cut, and will close soon.
    closing: usize,
    next: u64,
    peers: HashMap<IpAddr, Peer>,
    /// Connections that wait for their peer, in the order in which they are closed: first those already answered,
    /// then the longest wait.
    waiting: BTreeMap<Turn, Waiting>,
}

/// The order in which connections are closed.
type Turn = (Phase, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Answered; only its close is missing.
    Ending,
    /// Waits for a request, or for the rest of one.
    Receiving,
}

struct Waiting {
    peer: IpAddr,
    cut: Cut,
}

/// Signals that a connection must close, and which bound is the reason.
#[derive(Clone, Default)]
pub(super) struct Cut(Arc<CutState>);

#[derive(Default)]
struct CutState {
    bound: OnceLock<Bound>,
    token: CancellationToken,
}

impl Cut {
    /// False if it has been cut before.
    fn cut(&self, bound: Bound) -> bool {
        let is_first = self.0.bound.set(bound).is_ok();
        if is_first {
            self.0.token.cancel();
        }
        is_first
    }

    fn is_cut(&self) -> bool {
        self.0.bound.get().is_some()
    }

    /// Waits until it must close.
    pub(super) async fn cancelled(&self) -> Bound {
        self.0.token.cancelled().await;
        self.0.bound.get().copied().unwrap_or(Bound::Connections)
    }
}

#[derive(Default)]
struct Peer {
    count: usize,
    closing: usize,
    waiting: BTreeSet<Turn>,
}

/// One connection's place, released when it is dropped.
pub(super) struct ConnectionPermit {
    connections: Connections,
    /// Where the connection comes from.
    address: IpAddr,
    /// The peer at its other end: its own address, or the one that a trusted proxy named with the last request.
    client: IpAddr,
    /// The peer it counts for.
    peer: IpAddr,
    turn: Option<Turn>,
    cut: Cut,
}

impl Connections {
    pub(super) fn new(max: usize, per_peer_max: usize, proxies: TrustedProxies) -> Self {
        let inner = Inner { max, per_peer_max, proxies, open: Mutex::default(), freed: Notify::new() };
        Self(Arc::new(inner))
    }

    /// Waits for a place for a connection from `address`; none if all of its peer's connections are being worked on.
    /// Only one caller at a time.
    pub(super) async fn admit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let peer = counted_as(address);
        loop {
            let room = {
                let mut open = self.open();
                // A proxy brings many peers, distinguished by the addresses it names.
                let bounded = !self.0.proxies.is_proxy(address);
                if bounded && open.staying_of(peer) >= self.0.per_peer_max && !open.cut_longest_of(peer) {
                    return None;
                }
                let room = open.count < self.0.max;
                if room {
                    open.enter(peer, false);
                } else if open.count - open.closing >= self.0.max {
                    open.cut_longest();
                }
                room
            };
            if room {
                metrics::gauge!(CONNECTIONS).increment(1.0);
                let cut = Cut::default();
                let client = address.to_canonical();
                return Some(ConnectionPermit { connections: self.clone(), address, client, peer, turn: None, cut });
            }
            self.0.freed.notified().await;
        }
    }

    /// Closes a connection because descriptors have run out.
    pub(super) fn cut_longest(&self) {
        self.open().cut_longest();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// How many of a peer's connections have not been cut.
    fn staying_of(&self, peer: IpAddr) -> usize {
        self.peers.get(&peer).map_or(0, |peer| peer.count - peer.closing)
    }

    fn enter(&mut self, peer: IpAddr, is_cut: bool) {
        self.count += 1;
        self.closing += usize::from(is_cut);
        let entry = self.peers.entry(peer).or_default();
        entry.count += 1;
        entry.closing += usize::from(is_cut);
    }

    fn leave(&mut self, peer: IpAddr, is_cut: bool) {
        self.count -= 1;
        self.closing -= usize::from(is_cut);
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.count -= 1;
            entry.closing -= usize::from(is_cut);
            if entry.count == 0 {
                self.peers.remove(&peer);
            }
        }
    }

    fn waits(&mut self, turn: Turn, peer: IpAddr, cut: Cut) {
        self.peers.entry(peer).or_default().waiting.insert(turn);
        self.waiting.insert(turn, Waiting { peer, cut });
    }

    fn forget(&mut self, turn: Turn) -> Option<Waiting> {
        let waiting = self.waiting.remove(&turn)?;
        if let Some(peer) = self.peers.get_mut(&waiting.peer) {
            peer.waiting.remove(&turn);
        }
        Some(waiting)
    }

    fn cut_longest(&mut self) -> bool {
        let longest = self.waiting.keys().next().copied();
        longest.is_some_and(|turn| self.cut(turn, Bound::Connections))
    }

    fn cut_longest_of(&mut self, peer: IpAddr) -> bool {
        let longest = self.peers.get(&peer).and_then(|peer| peer.waiting.first().copied());
        longest.is_some_and(|turn| self.cut(turn, Bound::Peer))
    }

    fn cut(&mut self, turn: Turn, bound: Bound) -> bool {
        let Some(waiting) = self.forget(turn) else { return false };
        metrics::counter!(CONNECTIONS_CUT_TOTAL).increment(1);
        if waiting.cut.cut(bound) {
            self.closing += 1;
            if let Some(peer) = self.peers.get_mut(&waiting.peer) {
                peer.closing += 1;
            }
        }
        true
    }
}

impl ConnectionPermit {
    /// From now on we wait for the peer, and may close the connection.
    pub(super) fn receives(&mut self) {
        self.waits(Phase::Receiving);
    }

    /// It is answered: from now on it is the first to be closed.
    pub(super) fn ends(&mut self) {
        self.waits(Phase::Ending);
    }

    /// From now on the peer waits for us.
    pub(super) fn works(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.connections.open().forget(turn);
        }
    }

    /// Waits until the connection must close in favour of others.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// The signal that the connection must close.
    pub(super) fn cut_token(&self) -> Cut {
        self.cut.clone()
    }

    /// The peer at the other end, as reported by trusted proxies.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    /// What it counts for: an address, or a network.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Counts the request for the peer that a trusted proxy names; false if that peer has the maximum already.
    pub(super) fn acts_for<'v>(&mut self, forwarded_for: impl DoubleEndedIterator<Item = &'v str>) -> bool {
        let inner = &self.connections.0;
        if !inner.proxies.is_proxy(self.address) {
            return true;
        }
        let client = inner.proxies.client(self.address, forwarded_for);
        self.client = client;
        let peer = counted_as(client);
        if peer == self.peer {
            return true;
        }
        let mut open = self.connections.open();
        let bounded = !inner.proxies.trusts(client);
        if bounded && open.staying_of(peer) >= inner.per_peer_max && !open.cut_longest_of(peer) {
            return false;
        }
        let waiting = self.turn.and_then(|turn| open.forget(turn));
        open.leave(self.peer, self.cut.is_cut());
        open.enter(peer, self.cut.is_cut());
        if let (Some(turn), Some(waiting)) = (self.turn, waiting) {
            open.waits(turn, peer, waiting.cut);
        }
        self.peer = peer;
        true
    }

    fn waits(&mut self, phase: Phase) {
        let mut open = self.connections.open();
        if let Some(turn) = self.turn.take() {
            open.forget(turn);
        }
        let turn = (phase, open.next);
        open.next += 1;
        open.waits(turn, self.peer, self.cut.clone());
        self.turn = Some(turn);
        // Whoever waits for a place may have found only connections that were being worked on.
        if open.count >= self.connections.0.max {
            self.connections.0.freed.notify_one();
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        if let Some(turn) = self.turn {
            open.forget(turn);
        }
        open.leave(self.peer, self.cut.is_cut());
        drop(open);
        metrics::gauge!(CONNECTIONS).decrement(1.0);
        self.connections.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ANN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn connections(max: usize, per_peer_max: usize) -> Connections {
        Connections::new(max, per_peer_max, TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]))
    }

    fn admitted(connections: &Connections, address: IpAddr) -> ConnectionPermit {
        let mut place = connections.admit(address).now_or_never().flatten().unwrap();
        place.receives();
        place
    }

    fn is_cut(place: &ConnectionPermit) -> bool {
        place.cut.0.token.is_cancelled()
    }

    #[test]
    fn a_peer_at_its_bound_loses_its_longest_waiting_connection() {
        let connections = connections(10, 2);
        let bobs = admitted(&connections, BOB);
        let (first, second) = (admitted(&connections, ANN), admitted(&connections, ANN));
        let third = admitted(&connections, ANN);
        assert_eq!([&bobs, &first, &second, &third].map(is_cut), [false, true, false, false]);
        assert_eq!(first.cut.cancelled().now_or_never(), Some(Bound::Peer));
    }

    #[test]
    fn a_peer_with_only_busy_connections_gets_no_further_one() {
        let connections = connections(10, 1);
        let mut place = admitted(&connections, ANN);
        place.works();
        assert!(connections.admit(ANN).now_or_never().unwrap().is_none());
        assert!(connections.admit(BOB).now_or_never().unwrap().is_some());
        drop(place);
        assert!(connections.admit(ANN).now_or_never().unwrap().is_some());
    }

    #[test]
    fn at_the_overall_bound_a_new_connection_displaces_the_longest_waiting() {
        let connections = connections(2, 2);
        let (first, mut second) = (admitted(&connections, ANN), admitted(&connections, BOB));
        second.ends();
        let coming = connections.clone();
        let mut coming = std::pin::pin!(coming.admit(BOB));
        assert!(coming.as_mut().now_or_never().is_none());
        assert!(is_cut(&second) && !is_cut(&first), "what is answered goes first");
        assert_eq!(second.cut.cancelled().now_or_never(), Some(Bound::Connections));
        drop(second);
        assert!(coming.now_or_never().flatten().is_some());
    }

    #[test]
    fn at_the_overall_bound_a_new_connection_displaces_one_that_was_busy_as_it_came() {
        let connections = connections(1, 1);
        let mut busy = admitted(&connections, ANN);
        busy.works();
        let coming = connections.clone();
        let mut coming = std::pin::pin!(coming.admit(BOB));
        assert!(coming.as_mut().now_or_never().is_none() && !is_cut(&busy));
        busy.receives();
        assert!(coming.as_mut().now_or_never().is_none() && is_cut(&busy));
        drop(busy);
        assert!(coming.now_or_never().flatten().is_some());
        assert_eq!(connections.open().closing, 0);
    }

    #[test]
    fn one_newcomer_displaces_one_connection() {
        for (per_peer_max, whose) in [(3, ANN), (2, BOB)] {
            let connections = connections(3, per_peer_max);
            let mut places = [ANN, BOB, BOB].map(|peer| admitted(&connections, peer));
            let coming = connections.clone();
            let mut coming = std::pin::pin!(coming.admit(BOB));
            for _ in 0..3 {
                assert!(coming.as_mut().now_or_never().is_none());
                // Each next request wakes whoever waits for a place.
                places[2].works();
                places[2].receives();
            }
            let cut: Vec<_> = places.iter().filter(|place| is_cut(place)).map(|place| place.peer).collect();
            assert_eq!(cut, [whose]);
        }
    }

    #[test]
    fn a_proxys_connections_count_for_the_clients_it_names() {
        let connections = connections(10, 1);
        let mut places: Vec<_> = (0..3).map(|_| admitted(&connections, PROXY)).collect();
        assert!(places[0].acts_for(["192.0.2.1"].into_iter()));
        assert!(places[1].acts_for(["192.0.2.2"].into_iter()));
        places[0].works();
        assert!(!places[2].acts_for(["192.0.2.1"].into_iter()), "all that this one may have are worked on");
        places[0].receives();
        assert!(places[2].acts_for(["192.0.2.1"].into_iter()));
        assert_eq!([0, 1, 2].map(|n: usize| is_cut(&places[n])), [true, false, false]);
        drop(places);
        let open = connections.open();
        assert!(open.count == 0 && open.peers.is_empty() && open.waiting.is_empty());
    }
}
