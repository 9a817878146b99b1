//! Holds and the guard, as an operator sees and changes them.

use std::time::Duration;

use super::error::AdminError;
use super::service::{AdminState, Noted};
use super::shared;
use super::tokens::Actor;
use crate::core::audit::Act;
use crate::core::code::Code;
use crate::core::guard::Guard;
use crate::core::hold::{Hold, HoldScope, Holds};
use crate::store::holds::{self, REFRESH_MS};
use crate::store::{LaneState, Page, StoreError};

/// Most people who are made due in one step. The rest follow with the next heartbeats, far faster than the target
/// accepts calls.
const RELEASED_MAX: u64 = 10_000;
/// Most pages that are searched for a person who waits behind a guard's hold.
const PAGES_MAX: usize = 20;

/// What an operator let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many more may go through now.
    pub allowed: u64,
    /// How many of those who waited are tried right away.
    pub released: u64,
}

impl AdminState {
    /// Sets an operator's hold, in place of what the target caused in that scope. Returns once every worker knows of it.
    pub async fn set_hold(&self, by: &Actor, scope: HoldScope, reason: Option<&str>) -> Result<Hold, AdminError> {
        if let HoldScope::Fetch(source) = &scope
            && !self.source_names().any(|known| known == source)
        {
            return Err(AdminError::NotFound("source"));
        }
        let now = self.now();
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        let hold = self
            .change_holds(|holds| {
                holds.set_by_hand(now, &scope);
                holds.sign(&scope, &by.name, reason);
                holds.set_by_operator(&scope).cloned()
            })
            .await?
            .ok_or(AdminError::Internal("a hold that was set is not there"))?;
        let target = scope.to_string();
        self.note(by, Act::SetHold, Noted { target: &target, reason, count: None }).await?;
        tokio::time::sleep(Duration::from_millis(REFRESH_MS)).await;
        Ok(hold)
    }

    /// Lifts the hold of a scope, or all but the guard's and those that cannot be read: see [`Holds::lift`]. Returns those
    /// that were lifted.
    pub async fn lift_hold(&self, by: &Actor, scope: Option<HoldScope>) -> Result<Vec<Hold>, AdminError> {
        self.lift_by(by, |holds| holds.lift(scope.as_ref())).await
    }

    /// Lifts the hold of this scope and code, and no other one of that scope.
    pub async fn lift_one_hold(&self, by: &Actor, scope: &HoldScope, code: Code) -> Result<Vec<Hold>, AdminError> {
        self.lift_by(by, |holds| holds.lift_one(scope, code)).await
    }

    async fn lift_by(
        &self,
        by: &Actor,
        lift: impl Fn(&mut Holds) -> Vec<Hold> + Send + Sync,
    ) -> Result<Vec<Hold>, AdminError> {
        let lifted =
            self.change_holds(|holds| Some(lift(holds)).filter(|lifted| !lifted.is_empty())).await?.unwrap_or_default();
        for hold in &lifted {
            let target = hold.scope.to_string();
            self.store.release(self.now(), &target, RELEASED_MAX).await?;
            self.note(by, Act::LiftHold, Noted::of(&target)).await?;
        }
        Ok(lifted)
    }

    /// Lets `n` more through the guard.
    pub async fn allow(&self, by: &Actor, scope: &HoldScope, n: u64) -> Result<Allowed, AdminError> {
        if !scope.is_guard() {
            return Err(AdminError::BadRequest("only `deactivations` and `addresses` are guarded".to_owned()));
        }
        let (now, options) = (self.now(), self.guard);
        let change = |guard: &mut Guard| {
            guard.allow(now, scope, n, options);
            Some(guard.allowed(now, scope))
        };
        let allowed = shared::update(&*self.store, shared::GUARD, change).await?.unwrap_or(n);
        let tag = scope.to_string();
        let released = self.store.release(now, &tag, n).await?;
        self.note(by, Act::Allow, Noted { target: &tag, count: Some(n), reason: None }).await?;
        self.tend().await?;
        Ok(Allowed { allowed, released })
    }

    /// Lifts the guard's holds behind which nobody waits any more. A person parked between the check and the lifting
    /// is made due by a worker, like everybody whose hold is gone.
    pub(super) async fn tend(&self) -> Result<(), AdminError> {
        let holds = self.holds().await?;
        for hold in holds.holds.iter().filter(|hold| hold.code == Code::HoldGuard) {
            if !self.has_waiting(&hold.scope.to_string()).await? {
                self.lift_if_same(hold).await?;
            }
        }
        Ok(())
    }

    async fn lift_if_same(&self, seen: &Hold) -> Result<(), AdminError> {
        if self.change_holds(|holds| holds.lift_same(seen).then_some(())).await?.is_some() {
            tracing::info!(scope = %seen.scope, "the guard's hold is lifted: nobody waits behind it any more");
        }
        Ok(())
    }

    /// Whether anybody waits under a tag; true if there are too many others to search.
    async fn has_waiting(&self, tag: &str) -> Result<bool, AdminError> {
        let mut page = Page { rows_max: 100, after: None };
        for _ in 0..PAGES_MAX {
            let listed = self.store.lanes(LaneState::Held, &page).await?;
            if listed.rows.iter().any(|row| row.lane.tag.as_deref() == Some(tag)) {
                return Ok(true);
            }
            match listed.next {
                Some(next) => page.after = Some(next),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn change_holds<R: Send>(
        &self,
        change: impl FnMut(&mut Holds) -> Option<R> + Send,
    ) -> Result<Option<R>, StoreError> {
        holds::change(&*self.store, change).await
    }
}
