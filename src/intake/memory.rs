//! How much memory deliveries may take: all bounds, and who gets a share.
//!
//! Nobody is authenticated before their body has been read. So all senders who are not yet authenticated share small
//! pools for what has arrived. When a pool is full, whoever has held a share for longest loses it: a genuine sender's
//! body is complete soon after it begins. An authenticated sender then waits for the memory that the parsed body takes,
//! within the source's share. Small bodies, which most webhooks are, have pools of their own that large ones never use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Bodies below this size are small.
pub(super) const SMALL_BYTES: usize = 64 * 1024;
/// The most that all incomplete heads may take, beyond the first bytes that every connection may have.
const HEADS_BYTES: usize = 16 << 20;
/// The most that small bodies may take before they are authenticated.
const SMALL_BODIES_BYTES: usize = 8 << 20;
/// The most that authenticated small bodies may take once parsed: more than the worst one does.
const SMALL_PARSED_BYTES: usize = 16 << 20;
/// The most that other authenticated bodies may take once parsed: as much as the worst one of 1 MiB.
const PARSED_BYTES_MIN: usize = 136 << 20;
/// If larger bodies are allowed: how many times its size an ordinary JSON body takes once parsed.
const PARSED_PER_BYTE: usize = 32;
/// How long an authenticated body waits for its turn. A sender gives up after some 10 s.
const TURN_MAX: Duration = Duration::from_secs(5);
/// The unit of permits.
const UNIT_BYTES: usize = 1024;

/// A bound that a delivery met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Bodies below 64 KiB, of all who are not authenticated yet.
    SmallBodies,
    /// Other bodies, of all who are not authenticated yet.
    LargeBodies,
    /// Parsed bodies of one source.
    Source,
    /// Parsed bodies of all sources.
    Parsed,
    /// The connections of one peer.
    Peer,
}

impl Bound {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SmallBodies => "small_bodies",
            Self::LargeBodies => "large_bodies",
            Self::Source => "source",
            Self::Parsed => "parsed",
            Self::Peer => "peer",
        }
    }

    pub(super) fn help(self) -> &'static str {
        match self {
            Self::SmallBodies => {
                "Bodies below 64 KiB of senders who are not authenticated take all the memory there is for them: send it again later."
            }
            Self::LargeBodies => {
                "Bodies of 64 KiB and more take all the memory there is for senders who are not authenticated: send it again later, or in smaller batches."
            }
            Self::Source => "This source has as much in work at once as it may: send it again later.",
            Self::Parsed => "As much is in work at once as may be: send it again later, or in smaller batches.",
            Self::Peer => {
                "This peer has as many connections as [server] connections_per_peer allows: send it again later."
            }
        }
    }
}

/// All bounds on memory.
pub(super) struct Memory {
    pub(super) heads: Arc<Pool>,
    pub(super) small_bodies: Arc<Pool>,
    pub(super) large_bodies: Arc<Pool>,
    small_parsed: Arc<Semaphore>,
    parsed: Arc<Semaphore>,
    parsed_bytes: usize,
}

impl Memory {
    /// Bounds where bodies are `body_bytes_max` at the most, and those of strangers `bodies_bytes_max` together.
    pub(super) fn new(body_bytes_max: usize, bodies_bytes_max: usize) -> Self {
        let parsed_bytes = PARSED_BYTES_MIN.max(body_bytes_max.saturating_mul(PARSED_PER_BYTE));
        Self {
            heads: Pool::of(HEADS_BYTES),
            small_bodies: Pool::of(SMALL_BODIES_BYTES.min(bodies_bytes_max)),
            large_bodies: Pool::of(bodies_bytes_max),
            small_parsed: semaphore(SMALL_PARSED_BYTES),
            parsed: semaphore(parsed_bytes),
            parsed_bytes,
        }
    }

    /// What one of so many sources may have parsed at once: half, so that none keeps the others out.
    pub(super) fn source_share(&self, sources: usize) -> SourceShare {
        let bytes = if sources > 1 { self.parsed_bytes / 2 } else { self.parsed_bytes };
        SourceShare { all: semaphore(bytes), bytes }
    }

    /// Lets a proven body of `body_bytes` in to be parsed, which takes `parsed_bytes`, when its turn has come.
    /// What can never fit is parsed alone.
    pub(super) async fn turn(
        &self,
        source: &SourceShare,
        body_bytes: usize,
        parsed_bytes: usize,
    ) -> Result<Turn, Bound> {
        if body_bytes < SMALL_BYTES {
            let all = permits(&self.small_parsed, parsed_bytes, SMALL_PARSED_BYTES, Bound::Parsed).await?;
            return Ok(Turn { source: None, all });
        }
        let own = permits(&source.all, parsed_bytes, source.bytes, Bound::Source).await?;
        let all = permits(&self.parsed, parsed_bytes, self.parsed_bytes, Bound::Parsed).await?;
        Ok(Turn { source: Some(own), all })
    }
}

/// What one source may have parsed at once.
pub(super) struct SourceShare {
    all: Arc<Semaphore>,
    bytes: usize,
}

/// What a proven body takes while it is in work; given back when it is dropped.
pub(super) struct Turn {
    source: Option<OwnedSemaphorePermit>,
    all: OwnedSemaphorePermit,
}

impl Turn {
    /// Gives back all but `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for permit in self.source.iter_mut().chain([&mut self.all]) {
            let excess = permit.num_permits().saturating_sub(units(bytes) as usize);
            drop(permit.split(excess));
        }
    }
}

fn semaphore(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(units(bytes) as usize))
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

async fn permits(all: &Arc<Semaphore>, bytes: usize, max: usize, bound: Bound) -> Result<OwnedSemaphorePermit, Bound> {
    let wanted = all.clone().acquire_many_owned(units(bytes.min(max)));
    tokio::time::timeout(TURN_MAX, wanted).await.ok().and_then(Result::ok).ok_or(bound)
}

/// Memory that strangers have together. Where it is full, the oldest share is lost.
pub(super) struct Pool(Mutex<Shares>);

struct Shares {
    left_bytes: usize,
    next: u64,
    held: BTreeMap<u64, HeldBytes>,
}

struct HeldBytes {
    bytes: usize,
    lost: CancellationToken,
}

impl Pool {
    pub(super) fn of(bytes: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shares { left_bytes: bytes, next: 0, held: BTreeMap::new() })))
    }

    /// A share that is empty at first, and given back when it is dropped.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let mut shares = self.shares();
        let number = shares.next;
        shares.next += 1;
        drop(shares);
        Share { pool: self.clone(), number, kept_bytes: 0, lost: CancellationToken::new() }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One head's or body's share of a pool.
pub(super) struct Share {
    pool: Arc<Pool>,
    number: u64,
    /// What cannot be lost any more.
    kept_bytes: usize,
    lost: CancellationToken,
}

impl Share {
    /// Makes it as large as `bytes`, at the cost of older ones; false where it is lost itself.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        if self.lost.is_cancelled() {
            return false;
        }
        let mut shares = self.pool.shares();
        let had = shares.held.get(&self.number).map_or(0, |held| held.bytes);
        let more = bytes.saturating_sub(had);
        while shares.left_bytes < more {
            let oldest = shares.held.first_key_value().map(|(number, _)| *number);
            let Some(oldest) = oldest.filter(|oldest| *oldest < self.number) else { return false };
            if let Some(held) = shares.held.remove(&oldest) {
                shares.left_bytes += held.bytes;
                held.lost.cancel();
            }
        }
        shares.left_bytes -= more;
        let lost = &self.lost;
        shares.held.entry(self.number).or_insert_with(|| HeldBytes { bytes: 0, lost: lost.clone() }).bytes += more;
        true
    }

    /// Cancelled when it is lost: what it stands for is to be dropped.
    pub(super) fn lost_token(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Keeps it from being lost; false where it is lost already.
    pub(super) fn keep(&mut self) -> bool {
        let mut shares = self.pool.shares();
        if self.lost.is_cancelled() {
            return false;
        }
        if let Some(held) = shares.held.remove(&self.number) {
            self.kept_bytes += held.bytes;
        }
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.pool.shares();
        let held_bytes = shares.held.remove(&self.number).map_or(0, |held| held.bytes);
        shares.left_bytes += held_bytes + self.kept_bytes;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_lost(share: &Share) -> bool {
        share.lost.is_cancelled()
    }

    #[test]
    fn where_a_pool_is_full_whoever_held_longest_loses_theirs() {
        let pool = Pool::of(10);
        let (mut first, mut second, mut third) = (pool.share(), pool.share(), pool.share());
        assert!(second.grow_to(5) && first.grow_to(5));
        assert!(third.grow_to(3));
        assert_eq!([&first, &second, &third].map(is_lost), [true, false, false]);
        assert!(third.grow_to(10));
        assert!(is_lost(&second));
        assert!(!third.grow_to(11), "more than there is");
    }

    #[test]
    fn the_oldest_does_not_grow_at_the_cost_of_those_that_came_later() {
        let pool = Pool::of(10);
        let (mut old, mut young) = (pool.share(), pool.share());
        assert!(old.grow_to(1) && young.grow_to(9));
        assert!(!old.grow_to(2));
        assert!(!is_lost(&young));
    }

    #[test]
    fn what_is_kept_is_not_lost_and_everything_is_given_back() {
        let pool = Pool::of(10);
        let (mut proven, mut stranger) = (pool.share(), pool.share());
        assert!(proven.grow_to(6) && proven.keep());
        assert!(!stranger.grow_to(5) && stranger.grow_to(4));
        drop((proven, stranger));
        let mut all = pool.share();
        assert!(all.grow_to(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_at_its_share_waits_and_is_told_and_small_bodies_of_all_go_on() {
        let memory = Memory::new(1 << 20, 16 << 20);
        let (busy, other) = (memory.source_share(2), memory.source_share(2));
        let half = PARSED_BYTES_MIN / 2;
        let mut turn = memory.turn(&busy, 1 << 20, half).await.ok().unwrap();
        assert_eq!(memory.turn(&busy, 1 << 20, half).await.err(), Some(Bound::Source));
        assert!(memory.turn(&busy, 1000, 100_000).now_or_never().unwrap().is_ok());
        let others = memory.turn(&other, 1 << 20, half).now_or_never().unwrap().ok().unwrap();
        assert_eq!(memory.turn(&memory.source_share(1), 1 << 20, half).await.err(), Some(Bound::Parsed));
        drop(others);
        turn.shrink_to(1 << 20);
        assert!(memory.turn(&busy, 1 << 20, half - (1 << 20)).now_or_never().unwrap().is_ok());
    }
}
