//! The last deliveries of each source, as all processes saw them.

use super::error::AdminError;
use super::service::AdminState;
use super::shared;
use crate::core::deliveries::{Answered, Delivered, Deliveries, document};
use crate::core::person::{PersonId, SourceName};
use crate::store::{Listed, Page, StoreError};

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only those with this result.
    pub answered: Option<Answered>,
    /// Only the one with this request id.
    pub request: Option<String>,
}

/// One delivery and its source.
#[derive(Debug, Clone)]
pub struct SourceDelivery {
    /// The source; none if the delivery named one that does not exist.
    pub source: Option<SourceName>,
    /// The delivery.
    pub delivered: Delivered,
}

impl SourceDelivery {
    /// Its place in a list, newest first.
    fn key(&self) -> (i64, &str) {
        (self.delivered.at.0, &self.delivered.request)
    }

    fn cursor(&self) -> String {
        format!("{}-{}", self.delivered.at.0, self.delivered.request)
    }
}

impl AdminState {
    /// A page of the last deliveries, newest first.
    pub async fn deliveries(&self, filter: &DeliveryFilter, page: &Page) -> Result<Listed<SourceDelivery>, AdminError> {
        let mut rows = Vec::new();
        for source in self.source_names().filter(|name| filter.source.as_ref().is_none_or(|only| only == *name)) {
            rows.extend(self.kept_of(Some(source)).await?);
        }
        if filter.source.is_none() {
            rows.extend(self.kept_of(None).await?);
        }
        rows.retain(|row| {
            filter.answered.is_none_or(|only| only == row.delivered.answered)
                && filter.request.as_ref().is_none_or(|only| *only == row.delivered.request)
        });
        rows.sort_by(|one, other| other.key().cmp(&one.key()));
        if let Some(after) = &page.after {
            let (at, request) = after.split_once('-').ok_or(StoreError::Cursor)?;
            let at: i64 = at.parse().map_err(|_| StoreError::Cursor)?;
            rows.retain(|row| row.key() < (at, request));
        }
        let next = (rows.len() > page.rows_max).then(|| rows[page.rows_max - 1].cursor());
        rows.truncate(page.rows_max);
        Ok(Listed { rows, next })
    }

    async fn kept_of(&self, source: Option<&SourceName>) -> Result<impl Iterator<Item = SourceDelivery>, AdminError> {
        let name = document(source.map_or("", SourceName::as_str));
        let kept: Deliveries = shared::read(&*self.store, &name).await?;
        let source = source.cloned();
        Ok(kept.newest_first().into_iter().map(move |delivered| SourceDelivery { source: source.clone(), delivered }))
    }

    /// Removes from a source's deliveries whatever leads to a person.
    pub(super) async fn forget_deliveries(&self, source: &SourceName, person: PersonId) -> Result<(), AdminError> {
        let forget = |kept: &mut Deliveries| kept.forget(person).then_some(());
        shared::update(&*self.store, &document(source.as_str()), forget).await?;
        Ok(())
    }
}
