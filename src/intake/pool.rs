//! A memory pool that unauthenticated senders share. When it is full, a share is dropped: one of the peer that holds too
//! much, or else the oldest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The memory of all unauthenticated senders. When it is full, a share is lost.
pub(super) struct Pool {
    /// A peer that holds more is the first to lose.
    fair_bytes: usize,
    next: AtomicU64,
    shares: Mutex<Shares>,
}

struct Shares {
    left_bytes: usize,
    /// Oldest first.
    held: BTreeMap<u64, HeldBytes>,
    peers: HashMap<IpAddr, PeerShares>,
    /// Peers that hold more than their part, by how much they hold.
    greedy: BTreeSet<(usize, IpAddr)>,
}

struct HeldBytes {
    peer: IpAddr,
    bytes: usize,
    lost: CancellationToken,
}

#[derive(Default)]
struct PeerShares {
    bytes: usize,
    /// Oldest first.
    numbers: BTreeSet<u64>,
}

impl Pool {
    pub(super) fn of(bytes: usize, fair_bytes: usize) -> Arc<Self> {
        let shares =
            Shares { left_bytes: bytes, held: BTreeMap::new(), peers: HashMap::new(), greedy: BTreeSet::new() };
        Arc::new(Self { fair_bytes, next: AtomicU64::new(0), shares: Mutex::new(shares) })
    }

    /// An empty share for this peer, given back when it is dropped.
    pub(super) fn share(self: &Arc<Self>, peer: IpAddr) -> Share {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Share { pool: self.clone(), number, peer, grew: false, kept_bytes: 0, lost: CancellationToken::new() }
    }

    /// How much is free.
    #[cfg(test)]
    pub(super) fn left_bytes(&self) -> usize {
        self.shares().left_bytes
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shares {
    fn held_by(&self, number: u64) -> usize {
        self.held.get(&number).map_or(0, |held| held.bytes)
    }

    /// Grows a share as far as there is memory.
    fn add(&mut self, share: &Share, more: usize) {
        self.left_bytes -= more;
        let new = || HeldBytes { peer: share.peer, bytes: 0, lost: share.lost.clone() };
        self.held.entry(share.number).or_insert_with(new).bytes += more;
        let peer = self.peers.entry(share.peer).or_default();
        let had = peer.bytes;
        peer.bytes += more;
        peer.numbers.insert(share.number);
        let has = peer.bytes;
        self.rank(share.peer, had, has, share.pool.fair_bytes);
    }

    /// Takes a share out; its bytes are not given back yet.
    fn remove(&mut self, number: u64, fair_bytes: usize) -> Option<HeldBytes> {
        let held = self.held.remove(&number)?;
        if let Some(peer) = self.peers.get_mut(&held.peer) {
            let had = peer.bytes;
            peer.bytes -= held.bytes;
            peer.numbers.remove(&number);
            let has = peer.bytes;
            if peer.numbers.is_empty() {
                self.peers.remove(&held.peer);
            }
            self.rank(held.peer, had, has, fair_bytes);
        }
        Some(held)
    }

    fn rank(&mut self, peer: IpAddr, had: usize, has: usize, fair_bytes: usize) {
        if had > fair_bytes {
            self.greedy.remove(&(had, peer));
        }
        if has > fair_bytes {
            self.greedy.insert((has, peer));
        }
    }

    /// Which share is lost so that another can grow: the oldest of the peer that holds most, if that is more than its
    /// part; otherwise the oldest of all. None if that is the growing one itself, or a newer one.
    fn makes_room_for(&self, share: &Share) -> Option<u64> {
        if let Some((_, most)) = self.greedy.last() {
            let oldest = self.peers.get(most)?.numbers.first().copied();
            oldest.filter(|oldest| *most != share.peer || *oldest < share.number)
        } else {
            let oldest = self.held.keys().next().copied();
            oldest.filter(|oldest| *oldest < share.number)
        }
    }
}

/// One head's or body's share of a pool.
pub(super) struct Share {
    pool: Arc<Pool>,
    number: u64,
    peer: IpAddr,
    /// Whether it is registered in the pool.
    grew: bool,
    /// The part that can no longer be lost.
    kept_bytes: usize,
    lost: CancellationToken,
}

impl Share {
    /// Grows it to `bytes`, at the cost of others; false if it was lost itself.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        if self.lost.is_cancelled() {
            return false;
        }
        self.grew = true;
        let mut shares = self.pool.shares();
        let more = bytes.saturating_sub(shares.held_by(self.number));
        while shares.left_bytes < more {
            let Some(number) = shares.makes_room_for(self) else { return false };
            if let Some(held) = shares.remove(number, self.pool.fair_bytes) {
                shares.left_bytes += held.bytes;
                held.lost.cancel();
            }
        }
        shares.add(self, more);
        true
    }

    /// The part that can no longer be lost.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Cancelled when it is lost: drop what it was for.
    pub(super) fn lost_token(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Keeps it from being lost; false if it is lost already.
    pub(super) fn keep(&mut self) -> bool {
        let mut shares = self.pool.shares();
        if self.lost.is_cancelled() {
            return false;
        }
        if let Some(held) = shares.remove(self.number, self.pool.fair_bytes) {
            self.kept_bytes += held.bytes;
        }
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.grew {
            return;
        }
        let mut shares = self.pool.shares();
        let held_bytes = shares.remove(self.number, self.pool.fair_bytes).map_or(0, |held| held.bytes);
        shares.left_bytes += held_bytes + self.kept_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn is_lost(share: &Share) -> bool {
        share.lost.is_cancelled()
    }

    fn is_empty(pool: &Pool, bytes: usize) -> bool {
        let shares = pool.shares();
        shares.left_bytes == bytes && shares.held.is_empty() && shares.peers.is_empty() && shares.greedy.is_empty()
    }

    #[test]
    fn if_a_pool_is_full_and_no_peer_has_too_much_the_oldest_share_is_lost() {
        let pool = Pool::of(10, 10);
        let (mut first, mut second, mut third) = (pool.share(peer(1)), pool.share(peer(2)), pool.share(peer(3)));
        assert!(second.grow_to(5) && first.grow_to(5));
        assert!(third.grow_to(3));
        assert_eq!([&first, &second, &third].map(is_lost), [true, false, false]);
        assert!(third.grow_to(10));
        assert!(is_lost(&second));
        assert!(!third.grow_to(11), "more than there is");
    }

    #[test]
    fn the_oldest_share_does_not_grow_at_the_cost_of_later_ones() {
        for other in [1, 2] {
            let pool = Pool::of(10, 9);
            let (mut old, mut young) = (pool.share(peer(1)), pool.share(peer(other)));
            assert!(old.grow_to(1) && young.grow_to(9));
            assert!(!old.grow_to(2));
            assert!(!is_lost(&young));
        }
    }

    #[test]
    fn the_peer_with_the_most_loses_its_oldest_shares_and_no_other_peer_loses_any() {
        let pool = Pool::of(99, 10);
        let mut genuine = pool.share(peer(1));
        let mut other = [pool.share(peer(2)), pool.share(peer(2))];
        assert!(genuine.grow_to(1) && other.iter_mut().all(|share| share.grow_to(10)));
        let mut flood = Vec::new();
        for _ in 0..50 {
            let mut share = pool.share(peer(3));
            assert!(share.grow_to(10));
            flood.push(share);
        }
        // Even an older share takes from them when it grows.
        assert!(genuine.grow_to(10));
        let lost = flood.iter().map(is_lost);
        assert!(lost.eq((0..50).map(|n| n < 44)), "the latest six are left beside the thirty of others");
        assert!(![&genuine, &other[0], &other[1]].map(is_lost).contains(&true));
        drop((genuine, other, flood));
        assert!(is_empty(&pool, 99));
    }

    #[test]
    fn kept_shares_are_not_lost_and_all_shares_are_given_back() {
        let pool = Pool::of(10, 4);
        let (mut proven, mut stranger) = (pool.share(peer(1)), pool.share(peer(1)));
        assert!(proven.grow_to(6) && proven.keep());
        assert!(!stranger.grow_to(5) && stranger.grow_to(4));
        drop((proven, stranger, pool.share(peer(1))));
        assert!(is_empty(&pool, 10));
    }
}
