//! The cluster engine: any number of intake and worker processes on one Redis or Valkey.
//!
//! Every transition is one script (`lua/`), all keys are under one hash tag, and time is the server's.
//! Times are sent to the server as offsets from the caller's now, and come back as offsets: only the
//! server's clock decides about a lease, and no other clock needs to be right. Scripts never look
//! into documents or inbox entries: they compare a fence, append, and update indexes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;
use tracing::{error, info};

use self::gather::Gather;
use self::keys::Keys;
use self::link::{Arg, Link};
use self::listings::Ask;
use self::reply::{ScriptReply, person_of, text_of, unexpected};
use self::scripts::Transition;
use super::{
    Accepted, Claim, ClaimRequest, Commit, Committed, DeadFilter, DeadRow, LaneState, Lease, Listed, NewDelivery,
    NewEntry, NewUnmapped, Own, Owned, Page, PersonRow, Shared, Stats, Store, StoreError, StoreOptions, Story, Token,
};
use crate::clock;
use crate::core::code::Code;
use crate::core::limiter::CallKind;
use crate::core::person::job::JobId;
use crate::core::person::{Person, PersonId};
use crate::core::time::UnixMs;
use crate::lifecycle::Loops;
use crate::telemetry::store_log;

mod accept;
mod dead;
mod gather;
mod keys;
mod layout;
pub mod link;
mod listings;
mod reply;
mod scripts;
mod tokens;
mod transfer;
mod work;

pub use self::link::{Address, Durability, LinkOptions, Login, TlsFiles, Topology};

/// What the Redis engine is built with.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where Redis is, and how it is reached. Its `key_prefix` is that of all keys.
    pub link: LinkOptions,
    /// Whose clock counts.
    pub clock: StoreClock,
    /// Whether to create the store if there is none. If not, each call fails with [`Code::StoreEmptied`].
    pub creates: bool,
}

/// Whose clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreClock {
    /// The server's, so that several processes agree.
    Server,
    /// The `now` of each call, or the latest one if a call has none: for tests with a clock of their own.
    Caller,
    /// For tests: the `now` of each call stands in for the server's clock, which may be set back.
    AsServer,
}

/// The Redis engine. See the module's documentation.
pub struct Redis {
    calls: Arc<Calls>,
    /// Where deliveries share calls; none if they wait for disks, since those are grouped in the link.
    gather: Option<Gather>,
}

impl Redis {
    /// Opens a store. The server need not be reachable yet: each call reports what is wrong. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// Invalid options of the link.
    pub fn open(options: &RedisOptions, store: StoreOptions) -> Result<Self, StoreError> {
        Self::open_for(options, store, &Loops::default())
    }

    /// Opens a store for a process that serves: the store's loops are supervised with those of the process.
    pub fn open_for(options: &RedisOptions, store: StoreOptions, loops: &Loops) -> Result<Self, StoreError> {
        let calls = Arc::new(Calls {
            link: Link::connect(&options.link, loops)?,
            keys: Keys::new(options.link.root()),
            options: store,
            clock: options.clock,
            creates: options.creates,
            last_now: AtomicI64::new(0),
            id: OnceCell::new(),
        });
        let gather = match options.link.durability {
            Durability::Written => Some(Gather::new(calls.clone(), options.link.response_timeout, loops)?),
            Durability::Fsynced | Durability::Replicated { .. } => None,
        };
        Ok(Self { calls, gather })
    }

    /// Creates the store if there is none and [`RedisOptions::creates`] allows it, and checks its schema and the user's
    /// rights. Every other call does this first until it has succeeded once.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] and [`StoreError::OlderSchema`] if another version wrote it (then no call
    /// writes anything); [`StoreError::Trouble`] if the server cannot be reached or used, which may pass.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        self.calls.check_schema().await
    }
}

/// How scripts are called.
struct Calls {
    link: Link,
    keys: Keys,
    options: StoreOptions,
    clock: StoreClock,
    creates: bool,
    /// The latest time that a caller brought.
    last_now: AtomicI64,
    /// The store's id, once it has been opened: if the id in Redis is another later, the store was replaced. Empty for a
    /// store that an older version created.
    id: OnceCell<String>,
}

impl Calls {
    async fn check_schema(&self) -> Result<(), StoreError> {
        let check = async || {
            let keys = self.keys_of(&scripts::OPEN, Vec::new());
            let mut args = vec![Arg::from(self.script_now(UnixMs(0)))];
            if self.creates {
                args.extend([scripts::MAKE.into(), clock::new_request_id().into()]);
            }
            let mut reply = self.answer(self.link.run(scripts::OPEN.script(), &keys, &args).await?)?;
            let id = text_of(reply.bytes()?)?;
            if reply.number()? == 1 {
                info!("there was no store: an empty one was made");
            }
            Ok(id)
        };
        self.id.get_or_try_init(check).await.map(|_| ())
    }

    /// Runs a script with its fixed keys, then these keys, and these arguments.
    async fn run(
        &self,
        script: &'static Transition,
        now: UnixMs,
        keys: Vec<&[u8]>,
        args: Vec<Arg<'_>>,
    ) -> Result<ScriptReply, StoreError> {
        self.check_schema().await?;
        let (keys, args) = (self.keys_of(script, keys), self.args(now, args));
        self.answer(self.link.run(script.script(), &keys, &args).await?)
    }

    /// Runs a script like `run`, and returns once its effect is as durable as configured.
    async fn run_durably(
        &self,
        script: &'static Transition,
        now: UnixMs,
        keys: Vec<&[u8]>,
        args: Vec<Arg<'_>>,
    ) -> Result<ScriptReply, StoreError> {
        self.check_schema().await?;
        let (keys, args) = (self.keys_of(script, keys), self.args(now, args));
        self.answer(self.link.run_durably(script.script(), &keys, &args).await?)
    }

    fn keys_of<'a>(&'a self, script: &Transition, own: Vec<&'a [u8]>) -> Vec<&'a [u8]> {
        script.fixed().iter().map(|place| self.keys.fixed(*place)).chain(own).collect()
    }

    fn args<'a>(&self, now: UnixMs, own: Vec<Arg<'a>>) -> Vec<Arg<'a>> {
        self.last_now.fetch_max(now.0, Ordering::Relaxed);
        let mut args = Vec::with_capacity(own.len() + 1);
        let known_id = self.id.get().map_or("", String::as_str);
        args.push(format!("{} {known_id}", self.script_now(now)).into());
        args.extend(own);
        args
    }

    /// A script's answer, after logging the keys that it could not read.
    fn answer(&self, value: deadpool_redis::redis::Value) -> Result<ScriptReply, StoreError> {
        let mut reply = ScriptReply::of(value)?;
        let mut broken = reply.list()?.all_bytes()?;
        broken.dedup();
        for key in broken {
            log_skipped(&unexpected(&self.keys.shown(&key)));
        }
        Ok(reply)
    }

    /// The time for a script. 0: the script asks the server. Negative: a test's stand-in for the server's clock.
    fn script_now(&self, now: UnixMs) -> i64 {
        match self.clock {
            StoreClock::Server => 0,
            StoreClock::Caller => now.0.max(1),
            StoreClock::AsServer => -now.0.max(1),
        }
    }
}

/// Logs what cannot be read and is skipped.
fn log_skipped(error: &StoreError) {
    let code = Code::StoreDamaged;
    store_log::passed_over();
    error!(%code, %error, "{} It is skipped. {}", code.title(), code.advice());
}

/// An id as it is stored.
fn blob(id: JobId) -> Vec<u8> {
    id.0.to_be_bytes().to_vec()
}

/// Converts an instant of another clock, which shows `there_now`, to one of our clock, which shows `now`.
fn local(at: UnixMs, there_now: UnixMs, now: UnixMs) -> UnixMs {
    UnixMs(at.0.saturating_sub(there_now.0).saturating_add(now.0))
}

/// How far `at` is from now; negative if it is past.
fn from_now(at: UnixMs, now: UnixMs) -> i64 {
    at.0.saturating_sub(now.0).clamp(-FARTHEST_MS, FARTHEST_MS)
}

/// A number for a script, at most 2^52: Lua is exact up to 2^53, and the script adds a time to it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(FARTHEST).min(FARTHEST)
}

/// Some 6,000 years: added to the current time, it still fits into the six bytes of a stored time.
const FARTHEST_MS: i64 = 200_000_000_000_000;
const FARTHEST: i64 = 1 << 52;

#[async_trait]
impl Store for Redis {
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        self.accept_delivery(now, &delivery).await
    }

    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        self.claim_people(now, request).await
    }

    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        self.renew_lease(now, lease, lease_ms).await
    }

    async fn commit(&self, now: UnixMs, lease: &Lease, commit: Commit) -> Result<Committed, StoreError> {
        self.commit_attempt(now, lease, commit).await
    }

    async fn own(&self, now: UnixMs, lease: &Lease, own: Own) -> Result<Owned, StoreError> {
        self.own_keys(now, lease, &own).await
    }

    async fn owner(&self, key: &str) -> Result<Option<PersonId>, StoreError> {
        let mut reply = self.read(&[Ask::of(&self.calls.keys, "HGET", "OWNERS", vec![key.into()])]).await?;
        reply.optional()?.map(|id| person_of(&id)).transpose()
    }

    async fn release(&self, now: UnixMs, tag: &str, people_max: u64) -> Result<u64, StoreError> {
        self.release_parked(now, tag, people_max).await
    }

    async fn put(&self, now: UnixMs, entry: NewEntry) -> Result<bool, StoreError> {
        self.put_entry(now, &entry).await
    }

    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.take_one_token(now, kind).await
    }

    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.back_off_until(now, until).await
    }

    async fn paused_until(&self, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.pause_end(now).await
    }

    async fn shared(&self, name: &str) -> Result<Shared, StoreError> {
        let mut reply = self.read(&[Ask::of(&self.calls.keys, "HGET", "SHARED", vec![name.into()])]).await?;
        reply.optional()?.map_or_else(|| Ok(Shared::default()), |text| transfer::shared(name, &text))
    }

    async fn put_shared(&self, name: &str, version: u64, bytes: Bytes) -> Result<bool, StoreError> {
        let args = vec![name.into(), signed(version).into(), bytes[..].into()];
        match self.calls.run_durably(&scripts::PUT_SHARED, self.last_known_now(), Vec::new(), args).await?.number()? {
            -1 => Err(unexpected(&format!("the shared document {name}"))),
            written => Ok(written == 1),
        }
    }

    async fn person(&self, person: PersonId) -> Result<Option<PersonRow>, StoreError> {
        self.find_person(person).await
    }

    async fn story(&self, person: PersonId) -> Result<Story, StoreError> {
        self.tell_story(person).await
    }

    async fn people(&self, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.list_people(page).await
    }

    async fn lanes(&self, state: LaneState, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.list_lanes(state, page).await
    }

    async fn search(&self, prefix: &str, page: &Page) -> Result<Listed<PersonRow>, StoreError> {
        self.search_words(prefix, page).await
    }

    async fn dead(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, StoreError> {
        self.list_dead(filter, page).await
    }

    async fn dead_letter(&self, id: JobId) -> Result<Option<(DeadRow, Option<Bytes>)>, StoreError> {
        self.find_dead(id).await
    }

    async fn replay_unmapped(
        &self,
        now: UnixMs,
        id: JobId,
        entries: Vec<NewEntry>,
        unmapped: Vec<NewUnmapped>,
    ) -> Result<bool, StoreError> {
        self.replay_record(now, id, &entries, &unmapped).await
    }

    async fn discard_unmapped(&self, id: JobId) -> Result<bool, StoreError> {
        self.discard_record(id).await
    }

    async fn erase(&self, now: UnixMs, person: &Person, released: &[String]) -> Result<bool, StoreError> {
        self.erase_person(now, person, released).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.count().await
    }

    async fn end_leases(&self, now: UnixMs) -> Result<u64, StoreError> {
        self.calls.run(&scripts::END_LEASES, now, Vec::new(), Vec::new()).await?.count()
    }

    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        let args = vec![signed(self.calls.options.bounds.story_keep_ms).into(), TIDIED_AT_ONCE.into()];
        self.calls.run(&scripts::TIDY, now, Vec::new(), args).await?.count()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.calls.run_durably(&scripts::OPEN, self.last_known_now(), Vec::new(), Vec::new()).await.map(|_| ())
    }

    async fn settings(&self) -> Result<(), StoreError> {
        self.calls.link.check_settings().await
    }

    async fn woken(&self) {
        self.calls.link.woken().await;
    }
}

/// How many stories one run drops: everybody waits while the script runs.
const TIDIED_AT_ONCE: i64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_from_one_clock_to_another_as_a_distance() {
        let (server, ours) = (UnixMs(5_000), UnixMs(900_000));
        assert_eq!(local(UnixMs(5_250), server, ours), UnixMs(900_250));
        assert_eq!(from_now(UnixMs(900_250), ours), 250);
        assert_eq!(from_now(UnixMs(i64::MAX), ours), FARTHEST_MS);
        assert_eq!(from_now(UnixMs(i64::MIN), ours), -FARTHEST_MS);
        assert_eq!(signed(u64::MAX), FARTHEST);
    }
}
