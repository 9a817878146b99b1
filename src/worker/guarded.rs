//! The guard: limits how many people may be switched off or given another address in a window, by all workers together.

use super::Worker;
use crate::core::code::Code;
use crate::core::guard::{Guard, Passage};
use crate::core::hold::HoldScope;
use crate::core::person::PersonId;
use crate::core::reconcile::conclusion::Conclusion;
use crate::core::reconcile::request::Request;
use crate::store::{StoreError, documents};

/// The document's name.
pub(super) const GUARD: &str = "guard";

impl Worker {
    /// Counts this request against the guard. Returns the guard's hold if the request must wait.
    pub(super) async fn kept_back(
        &self,
        request: &Request,
        person: PersonId,
    ) -> Result<Option<Conclusion>, StoreError> {
        let scope = match request {
            Request::SetActive { active: false, .. } => HoldScope::Deactivations,
            Request::SetUserName { .. } => HoldScope::Addresses,
            Request::Create(_)
            | Request::Get { .. }
            | Request::Find { .. }
            | Request::FindExternalId { .. }
            | Request::Page { .. }
            | Request::Replace { .. }
            | Request::SetActive { active: true, .. }
            | Request::SetNames { .. }
            | Request::Probe
            | Request::Discover
            | Request::Group(_) => return Ok(None),
        };
        let people_known = self.store.stats().await?.people;
        if self.holds.current().get(&scope).is_some() {
            // Our copy may be out of date: the hold may have been lifted.
            self.holds.look().await?;
        }
        let holds = self.holds.current();
        if let Some(hold) = holds.keeps_back(&scope) {
            // Before the guard: what an operator has allowed is not used up by somebody who must wait anyway.
            return Ok(Some(Conclusion::Hold { scope, code: hold.code, not_before: None }));
        }
        let is_held = holds.is_guarded(&scope);
        let options = self.options.guard;
        let now = self.time_range(options.window_ms);
        let may = documents::change(self.store.as_ref(), GUARD, |guard: &mut Guard| {
            guard.may(now, &scope, Passage { person, is_held, people_known }, options).then_some(())
        });
        let hold = Conclusion::Hold { scope: scope.clone(), code: Code::HoldGuard, not_before: None };
        Ok(may.await?.is_none().then_some(hold))
    }
}
