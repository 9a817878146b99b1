//! The cluster engine: any number of intake and worker processes on one Redis or Valkey.
//!
//! Every transition is one script (`lua/`), all keys are under one hash tag, and time is the server's.
//! Instants go to the server as distances from the caller's now and come back so, too: no clock but the
//! server's decides about a lease, and nobody's clock needs to be right.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis::Value;
use tokio::sync::OnceCell;

use self::gather::Gather;
use self::keys::Keys;
use self::link::{Arg, Link, Script};
use super::{
    Accepted, Claim, ClaimRequest, DeadAction, DeadSummary, JobView, Lease, NewDelivery, NewJob, Page, PersonView,
    Settled, Settlement, Stats, Store, StoreError, StoreOptions, Token, TrialResult,
};
use crate::core::code::Code;
use crate::core::event::Person;
use crate::core::hold::{Hold, HoldScope};
use crate::core::job::{DeadLetter, JobId, JobState};
use crate::core::limiter::CallKind;
use crate::core::time::UnixMs;

mod accept;
mod claim;
mod dead;
mod gather;
mod holds;
mod keys;
pub mod link;
mod reply;
mod rows;
mod scripts;
mod settle;
mod transfer;
mod views;

pub use self::link::{Address, Durability, LinkOptions, Login, Place, TlsFiles};

/// What the Redis engine is built with.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where Redis is, and how it is reached. Its `key_prefix` is that of all keys.
    pub link: LinkOptions,
    /// Whose clock counts.
    pub clock: StoreClock,
}

/// Whose clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreClock {
    /// The server's: several processes agree on it.
    Server,
    /// The `now` that every call brings: for tests that bring a time of their own.
    Caller,
}

/// The Redis engine. See the module's documentation.
pub struct Redis {
    calls: Arc<Calls>,
    /// Where deliveries share calls; none where each waits for disks: those share them in the link.
    gather: Option<Gather>,
}

impl Redis {
    /// The store of these options. The server need not be there yet: each call says what is the matter.
    /// Must be called within a tokio runtime.
    ///
    /// Errors: what the link says of its options.
    pub fn open(options: &RedisOptions, store: StoreOptions) -> Result<Self, StoreError> {
        let calls = Arc::new(Calls {
            link: Link::connect(&options.link)?,
            keys: Keys::new(&options.link.key_prefix),
            options: store,
            clock: options.clock,
            checked: OnceCell::new(),
        });
        let gather = match options.link.durability {
            Durability::Written => Some(Gather::new(calls.clone(), options.link.response_timeout)?),
            Durability::Fsynced | Durability::Replicated => None,
        };
        Ok(Self { calls, gather })
    }

    /// Makes the store where there is none, and looks at its schema and at the user's rights; every other
    /// call does so first, where it has not gone well yet.
    ///
    /// Errors: [`StoreError::NewerSchema`] where a newer version wrote it (nothing is written then, by any
    /// other call either);
    /// [`StoreError::Trouble`] where the server cannot be reached or used, which may pass.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        self.calls.check_schema().await
    }

    /// Runs a script with what all of them are given, and its own.
    async fn run(&self, script: &'static Script, now: UnixMs, own: Vec<Arg<'_>>) -> Result<Value, StoreError> {
        self.calls.run(script, now, own).await
    }
}

/// How scripts are called.
struct Calls {
    link: Link,
    keys: Keys,
    options: StoreOptions,
    clock: StoreClock,
    checked: OnceCell<()>,
}

impl Calls {
    async fn check_schema(&self) -> Result<(), StoreError> {
        let check = async || {
            self.link.run(&scripts::OPEN, &self.keys.all(), &self.args(UnixMs::default(), Vec::new())).await?;
            Ok(())
        };
        self.checked.get_or_try_init(check).await.copied()
    }

    /// Runs a script with what all of them are given, and its own.
    async fn run(&self, script: &'static Script, now: UnixMs, own: Vec<Arg<'_>>) -> Result<Value, StoreError> {
        self.check_schema().await?;
        self.link.run(script, &self.keys.all(), &self.args(now, own)).await
    }

    /// The same; ready when it is as durable as configured.
    async fn run_durably(&self, script: &'static Script, now: UnixMs, own: Vec<Arg<'_>>) -> Result<Value, StoreError> {
        self.check_schema().await?;
        self.link.run_durably(script, &self.keys.all(), &self.args(now, own)).await
    }

    /// What every script is given (see `lua/prelude.lua`), and `own` behind it.
    fn args<'a>(&self, now: UnixMs, own: Vec<Arg<'a>>) -> Vec<Arg<'a>> {
        let pauses = self.options.probe_pauses;
        let mut args: Vec<Arg<'a>> = vec![
            self.script_now(now).into(),
            self.options.writes.interval_us().into(),
            self.options.writes.tolerance_us().into(),
            self.options.reads.interval_us().into(),
            self.options.reads.tolerance_us().into(),
            signed(pauses.first_ms).into(),
            signed(pauses.max_ms).into(),
            signed(self.options.retention.finished_jobs_max).into(),
        ];
        args.extend(own);
        args
    }

    /// What a script is told of the time; 0: it is to ask the server.
    fn script_now(&self, now: UnixMs) -> i64 {
        match self.clock {
            StoreClock::Server => 0,
            StoreClock::Caller => now.0,
        }
    }
}

/// An instant of the server's clock by the caller's.
fn local(at: UnixMs, server_now: UnixMs, now: UnixMs) -> UnixMs {
    UnixMs(at.0.saturating_sub(server_now.0).saturating_add(now.0))
}

/// How far `at` is from now; negative where it is past.
fn from_now(at: UnixMs, now: UnixMs) -> i64 {
    at.0.saturating_sub(now.0).clamp(-FARTHEST_MS, FARTHEST_MS)
}

/// A number for a script: Lua counts exactly up to 2^53, and times are added to it there.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(FARTHEST_MS).min(FARTHEST_MS)
}

/// Some 31,000 years: in microseconds, together with now, below 2^60 and as a `double` near enough.
const FARTHEST_MS: i64 = 1_000_000_000_000_000;

#[async_trait]
impl Store for Redis {
    async fn accept(&self, now: UnixMs, delivery: NewDelivery) -> Result<Accepted, StoreError> {
        self.accept_delivery(now, &delivery).await
    }

    async fn claim(&self, now: UnixMs, request: &ClaimRequest) -> Result<Claim, StoreError> {
        self.claim_lanes(now, request).await
    }

    async fn renew(&self, now: UnixMs, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>, StoreError> {
        self.renew_lease(now, lease, lease_ms).await
    }

    async fn settle(&self, now: UnixMs, lease: &Lease, settlement: Settlement) -> Result<Settled, StoreError> {
        self.settle_lease(now, lease, &settlement).await
    }

    async fn settle_probe(&self, now: UnixMs, scope: HoldScope, result: TrialResult) -> Result<(), StoreError> {
        let args = vec![scope.as_str().into(), settle::trial_word(result).into()];
        self.run(&scripts::SETTLE_PROBE, now, args).await.map(|_| ())
    }

    async fn take_token(&self, now: UnixMs, kind: CallKind) -> Result<Token, StoreError> {
        self.take_one_token(now, kind).await
    }

    async fn back_off(&self, now: UnixMs, until: UnixMs) -> Result<(), StoreError> {
        self.run(&scripts::BACK_OFF, now, vec![from_now(until, now).into()]).await.map(|_| ())
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.list_holds().await
    }

    async fn set_hold(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Hold, StoreError> {
        self.set_one_hold(now, scope, code).await
    }

    async fn lift_hold(&self, now: UnixMs, scope: Option<HoldScope>) -> Result<Vec<Hold>, StoreError> {
        self.lift_holds(now, scope, None).await
    }

    async fn lift_hold_of(&self, now: UnixMs, scope: HoldScope, code: Code) -> Result<Option<Hold>, StoreError> {
        Ok(self.lift_holds(now, Some(scope), Some(code)).await?.pop())
    }

    async fn dead_letters(&self, page: &Page) -> Result<Vec<DeadSummary>, StoreError> {
        self.list_dead(page).await
    }

    async fn dead_letter(&self, id: JobId) -> Result<Option<DeadLetter>, StoreError> {
        self.find_dead(id).await
    }

    async fn replay(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
        self.act_on_dead(&scripts::REPLAY, now, id, &[]).await
    }

    async fn replay_as(&self, now: UnixMs, id: JobId, jobs: Vec<NewJob>) -> Result<DeadAction, StoreError> {
        self.act_on_dead(&scripts::REPLAY_AS, now, id, &jobs).await
    }

    async fn discard(&self, now: UnixMs, id: JobId) -> Result<DeadAction, StoreError> {
        self.act_on_dead(&scripts::DISCARD, now, id, &[]).await
    }

    async fn jobs(&self, state: JobState, page: &Page) -> Result<Vec<JobView>, StoreError> {
        self.list_jobs(state, page).await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        self.find_job(id).await
    }

    async fn person(&self, person: &Person) -> Result<Option<PersonView>, StoreError> {
        self.find_person(person).await
    }

    async fn stats(&self, now: UnixMs) -> Result<Stats, StoreError> {
        self.count(now).await
    }

    async fn tidy(&self, now: UnixMs) -> Result<u64, StoreError> {
        let args = vec![signed(self.calls.options.retention.finished_ms).into(), TIDIED_AT_ONCE.into()];
        let rows = self.run(&scripts::TIDY, now, args).await?;
        u64::try_from(reply::number_of(&rows)?).map_err(|_| reply::unexpected("a number of rows"))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.calls.run_durably(&scripts::OPEN, UnixMs::default(), Vec::new()).await.map(|_| ())
    }

    async fn woken(&self) {
        self.calls.link.woken().await;
    }
}

/// Rows of each sort that one tidying drops: everybody waits while it runs.
const TIDIED_AT_ONCE: i64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_two_clocks_are_told_as_distances() {
        let (server, ours) = (UnixMs(5_000), UnixMs(900_000));
        assert_eq!(local(UnixMs(5_250), server, ours), UnixMs(900_250));
        assert_eq!(from_now(UnixMs(900_250), ours), 250);
        assert_eq!(from_now(UnixMs(i64::MAX), ours), FARTHEST_MS);
        assert_eq!(from_now(UnixMs(i64::MIN), ours), -FARTHEST_MS);
        assert_eq!(signed(u64::MAX), FARTHEST_MS);
    }
}
