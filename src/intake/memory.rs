//! How much memory deliveries may take: all bounds, and how it is shared.
//!
//! Nobody is authenticated before their body has been read. So all senders that are not yet authenticated share small
//! pools for what has arrived. When a pool is full, the oldest share is lost: a genuine sender's body is complete soon
//! after it begins. But a peer with more than a quarter of the pool loses its own share first; otherwise a flood from
//! one peer would displace slower senders. Once a sender is authenticated, its body belongs to the source: it waits for
//! the memory that it takes once parsed, and while it waits it is counted for its source, no longer among strangers.
//! One of several sources may use half of the memory for authenticated bodies, so none keeps the others out. Small
//! bodies, which most webhooks have, use pools of their own, which large ones never use.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::pool::{Pool, Share};

/// Bodies below this size are small.
pub(super) const SMALL_BYTES: usize = 64 * 1024;
/// The most that all heads may take until they are answered, beyond the first bytes that every connection may have.
const HEADS_BYTES: usize = 16 << 20;
/// The most that small bodies may take before they are authenticated.
const SMALL_BODIES_BYTES: usize = 8 << 20;
/// A peer that has more than this fraction of a pool is the first to lose its share. If the fraction were smaller, a
/// genuine sender of several bodies would lose to strangers with one each; if it were larger, a flood would need
/// fewer addresses.
const FAIR_PARTS: usize = 4;
/// The most that authenticated small bodies may take once parsed: more than the worst one does.
const SMALL_PARSED_BYTES: usize = 16 << 20;
/// The most that other authenticated bodies may take once parsed: as much as the worst one of 1 MiB.
const PARSED_BYTES_MIN: usize = 136 << 20;
/// If larger bodies are allowed: how many times its size an ordinary JSON body takes once parsed.
const PARSED_PER_BYTE: usize = 32;
/// How long an authenticated body waits for its turn. Senders give up after about 10 s.
const TURN_MAX: Duration = Duration::from_secs(5);
/// The unit of permits.
const UNIT_BYTES: usize = 1024;

/// A bound that a delivery met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Heads above 2 KiB, of all.
    Heads,
    /// Bodies below 64 KiB, of all who are not authenticated yet.
    SmallBodies,
    /// Other bodies, of all who are not authenticated yet.
    LargeBodies,
    /// Bodies of one source, being processed or waiting.
    Source,
    /// Bodies of all sources, being processed or waiting.
    Parsed,
    /// The connections of one peer.
    Peer,
    /// The connections of all.
    Connections,
}

impl Bound {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::SmallBodies => "small_bodies",
            Self::LargeBodies => "large_bodies",
            Self::Source => "source",
            Self::Parsed => "parsed",
            Self::Peer => "peer",
            Self::Connections => "connections",
        }
    }

    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Heads => {
                "Heads above 2 KiB use all of their memory: send it again later, with fewer or shorter header fields."
            }
            Self::SmallBodies => {
                "Bodies below 64 KiB of unauthenticated senders use all of their memory: send it again later."
            }
            Self::LargeBodies => {
                "Bodies of 64 KiB and more use all the memory for unauthenticated senders: send it again later, or in smaller batches."
            }
            Self::Source => "This source has its maximum of work in progress: send it again later.",
            Self::Parsed => "The maximum of work is in progress: send it again later, or in smaller batches.",
            Self::Peer => {
                "This peer has as many connections as [server] connections_per_peer allows: send it again later."
            }
            Self::Connections => "The bridge has its maximum of connections open: send it again later.",
        }
    }
}

/// All bounds on memory.
pub(super) struct Memory {
    pub(super) heads: Arc<Pool>,
    pub(super) small_bodies: Arc<Pool>,
    pub(super) large_bodies: Arc<Pool>,
    small: Account,
    large: Account,
}

impl Memory {
    /// Bounds for bodies of up to `body_bytes_max`. Unauthenticated bodies may take `bodies_bytes_max` together;
    /// authenticated ones that wait may take as much again.
    pub(super) fn new(body_bytes_max: usize, bodies_bytes_max: usize) -> Self {
        let small_bytes = SMALL_BODIES_BYTES.min(bodies_bytes_max);
        let parsed_bytes = PARSED_BYTES_MIN.max(body_bytes_max.saturating_mul(PARSED_PER_BYTE));
        Self {
            heads: Pool::of(HEADS_BYTES, HEADS_BYTES / FAIR_PARTS),
            small_bodies: Pool::of(small_bytes, small_bytes / FAIR_PARTS),
            // One body always fits, and the byte that shows that it is too long.
            large_bodies: Pool::of(bodies_bytes_max, (bodies_bytes_max / FAIR_PARTS).max(body_bytes_max + 1)),
            small: Account::of(small_bytes, SMALL_PARSED_BYTES),
            large: Account::of(bodies_bytes_max, parsed_bytes),
        }
    }

    /// What one source may have at once: half if there are several, so that none shuts out the others.
    pub(super) fn source_share(&self, sources: usize) -> SourceShare {
        let parts = if sources > 1 { 2 } else { 1 };
        SourceShare { small: self.small.part(parts), large: self.large.part(parts) }
    }

    /// Admits an authenticated body of `body_bytes`, which takes `parsed_bytes` once parsed, when there is memory for
    /// it. Its share of the pool for unauthenticated bodies is given back at once. A body that can never fit is
    /// parsed alone.
    pub(super) async fn turn(
        &self,
        source: &SourceShare,
        body: Share,
        body_bytes: usize,
        parsed_bytes: usize,
    ) -> Result<Turn, Bound> {
        let (own, all) =
            if body_bytes < SMALL_BYTES { (&source.small, &self.small) } else { (&source.large, &self.large) };
        if let Some(own) = own.now(parsed_bytes)
            && let Some(all) = all.now(parsed_bytes)
        {
            return Ok(Turn { own, all });
        }
        let _waits =
            (own.waits(body.kept_bytes()).ok_or(Bound::Source)?, all.waits(body.kept_bytes()).ok_or(Bound::Parsed)?);
        drop(body);
        let until = Instant::now() + TURN_MAX;
        let own = own.later(parsed_bytes, until).await.ok_or(Bound::Source)?;
        let all = all.later(parsed_bytes, until).await.ok_or(Bound::Parsed)?;
        Ok(Turn { own, all })
    }
}

/// What one source may have at once.
pub(super) struct SourceShare {
    small: Account,
    large: Account,
}

/// Memory for authenticated bodies of one size class: one source's, or everybody's.
struct Account {
    /// Unparsed, while they wait.
    waiting: Arc<Semaphore>,
    waiting_bytes: usize,
    /// Once parsed.
    parsed: Arc<Semaphore>,
    parsed_bytes: usize,
}

impl Account {
    fn of(waiting_bytes: usize, parsed_bytes: usize) -> Self {
        let semaphore = |bytes| Arc::new(Semaphore::new(units(bytes) as usize));
        Self { waiting: semaphore(waiting_bytes), waiting_bytes, parsed: semaphore(parsed_bytes), parsed_bytes }
    }

    /// An account with a part of this one's permits.
    fn part(&self, parts: usize) -> Self {
        Self::of(self.waiting_bytes / parts, self.parsed_bytes / parts)
    }

    /// A permit to be parsed, if one is free now.
    fn now(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.parsed.clone().try_acquire_many_owned(units(bytes.min(self.parsed_bytes))).ok()
    }

    /// A permit to be parsed, in order of arrival.
    async fn later(&self, bytes: usize, until: Instant) -> Option<OwnedSemaphorePermit> {
        let wanted = self.parsed.clone().acquire_many_owned(units(bytes.min(self.parsed_bytes)));
        tokio::time::timeout_at(until, wanted).await.ok().and_then(Result::ok)
    }

    /// A permit to wait, if one is free.
    fn waits(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.waiting.clone().try_acquire_many_owned(units(bytes.min(self.waiting_bytes))).ok()
    }
}

/// The memory of an authenticated body while it is processed; given back when this is dropped.
pub(super) struct Turn {
    own: OwnedSemaphorePermit,
    all: OwnedSemaphorePermit,
}

impl Turn {
    /// Gives back all but `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for permit in [&mut self.own, &mut self.all] {
            let excess = permit.num_permits().saturating_sub(units(bytes) as usize);
            drop(permit.split(excess));
        }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::*;

    /// An authenticated body of this size, with its share of the pool for unauthenticated bodies.
    fn proven(memory: &Memory, bytes: usize) -> Share {
        let pool = if bytes < SMALL_BYTES { &memory.small_bodies } else { &memory.large_bodies };
        let mut share = pool.share(IpAddr::from([192, 0, 2, 1]));
        assert!(share.grow_to(bytes) && share.keep());
        share
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_at_its_share_waits_and_is_reported_while_others_go_on() {
        let memory = Memory::new(1 << 20, 16 << 20);
        let (busy, other, third) = (memory.source_share(2), memory.source_share(2), memory.source_share(2));
        for (bytes, most) in [(1 << 20, PARSED_BYTES_MIN), (1000, SMALL_PARSED_BYTES)] {
            let turn = |source, parsed| memory.turn(source, proven(&memory, bytes), bytes, parsed);
            let mut first = turn(&busy, most / 2).await.ok().unwrap();
            assert_eq!(turn(&busy, most / 2).await.err(), Some(Bound::Source));
            let others = turn(&other, most / 2).now_or_never().unwrap().ok().unwrap();
            assert_eq!(turn(&third, most / 2).await.err(), Some(Bound::Parsed));
            drop(others);
            first.shrink_to(most / 4);
            assert!(turn(&busy, most / 4).now_or_never().unwrap().is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_bodies_of_a_source_are_bounded_and_take_nothing_from_strangers() {
        let memory = Memory::new(1 << 20, 16 << 20);
        let (busy, other) = (memory.source_share(2), memory.source_share(2));
        for (bytes, most, pool) in
            [(1 << 20, PARSED_BYTES_MIN, &memory.large_bodies), (32 << 10, SMALL_PARSED_BYTES, &memory.small_bodies)]
        {
            let free = || pool.left_bytes();
            let all = free();
            let turn = |source, parsed| Box::pin(memory.turn(source, proven(&memory, bytes), bytes, parsed));
            let first = turn(&busy, most / 2).await.ok().unwrap();
            let mut waiting: Vec<_> = (0..all / 2 / bytes).map(|_| turn(&busy, most / 2)).collect();
            assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
            assert_eq!(turn(&busy, most / 2).now_or_never().unwrap().err(), Some(Bound::Source));
            assert_eq!(free(), all);
            let others = turn(&other, most / 2).now_or_never().unwrap().ok().unwrap();
            let more = turn(&other, most / 2).now_or_never();
            assert!(more.is_none(), "the other half of what may wait is theirs");
            drop((first, others));
            assert!(waiting.swap_remove(0).now_or_never().is_some_and(|turn| turn.is_ok()));
        }
    }
}
