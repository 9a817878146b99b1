//! Drift: the comparison of HR's records with the members, made by one process at a time, and repaired as far
//! as the configuration says.

use tracing::{info, warn};

use super::{Roster, RosterError};
use crate::core::person::Person;
use crate::core::roster::{Change, DRIFT, Drift, DriftReport, Selection};
use crate::store::{StoreError, documents};

/// `[drift]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftOptions {
    /// How often; 0: only on request.
    pub every_ms: u64,
    /// What is repaired.
    pub repair: Vec<Change>,
}

impl Roster {
    /// What `[drift]` says.
    #[must_use]
    pub fn drift_options(&self) -> &DriftOptions {
        &self.drift
    }

    /// The last comparison.
    pub async fn drift(&self) -> Result<Drift, StoreError> {
        Ok(documents::read(self.store.as_ref(), DRIFT).await?.0)
    }

    /// Removes a person from those named by the last comparison.
    pub async fn forget(&self, person: &Person) -> Result<(), StoreError> {
        let person = person.to_string();
        let forget = |drift: &mut Drift| drift.forget(&person).then_some(());
        documents::change(self.store.as_ref(), DRIFT, forget).await.map(|_| ())
    }

    /// Compares, if that is due and no other process is comparing. Returns whether it did.
    pub async fn compare_if_due(&self) -> Result<bool, RosterError> {
        match self.drift.every_ms {
            0 => Ok(false),
            every_ms => Ok(self.claim_and_compare(every_ms).await?.is_some()),
        }
    }

    /// Compares now; none if a comparison is running.
    pub async fn compare(&self) -> Result<Option<DriftReport>, RosterError> {
        self.claim_and_compare(0).await
    }

    async fn claim_and_compare(&self, every_ms: u64) -> Result<Option<DriftReport>, RosterError> {
        if self.client.is_none() {
            return Err(RosterError::NoKey);
        }
        let begun_at = self.clock.now();
        let claim = |drift: &mut Drift| drift.claim(begun_at, every_ms).then_some(());
        if documents::change(self.store.as_ref(), DRIFT, claim).await?.is_none() {
            return Ok(None);
        }
        let report = match self.made_comparison().await {
            Ok(report) => report,
            Err(error) => {
                warn!(%error, "HR and the members could not be compared");
                DriftReport { at: self.clock.now(), error: Some(error.to_string()), ..DriftReport::default() }
            }
        };
        let end = |drift: &mut Drift| drift.end(begun_at, report.clone()).then_some(());
        documents::change(self.store.as_ref(), DRIFT, end).await?;
        Ok(Some(report))
    }

    async fn made_comparison(&self) -> Result<DriftReport, RosterError> {
        let only = Some(self.drift.repair.iter().copied().collect());
        let selection = Selection { only, ..Selection::default() };
        let (mut outcome, planned) = self.work_out(&selection, true).await?;
        self.note_shown(std::mem::take(&mut outcome.shown)).await?;
        // An incomplete list repairs nothing.
        let repaired = if outcome.is_reliable { self.put_all(planned, "drift").await?.len() } else { 0 };
        let repaired = u64::try_from(repaired).unwrap_or(u64::MAX);
        info!(
            different = outcome.different,
            repaired,
            reliable = outcome.is_reliable,
            "HR and the members are compared"
        );
        Ok(DriftReport::of(&outcome, repaired, self.clock.now()))
    }
}
