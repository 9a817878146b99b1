//! The API's handler for deliveries.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::handlers::{ApiResult, State};
use crate::admin::deliveries::{DeliveryFilter, SourceDelivery};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::listing;
use crate::core::deliveries::Answered;
use crate::core::person::SourceName;

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct DeliveriesQuery {
    /// Only of this source.
    pub(in crate::admin) source: Option<String>,
    /// Only deliveries with this result: `accepted`, `duplicate`, `ignored`, `unmapped`, `handshake`, `put_off` or
    /// `refused`.
    pub(in crate::admin) result: Option<String>,
    /// Only the delivery whose answer had this `X-Request-Id`.
    pub(in crate::admin) request_id: Option<String>,
    /// The most to return: 1 to 500; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub(in crate::admin) limit: Option<usize>,
    /// The `next` of the previous page.
    pub(in crate::admin) after: Option<String>,
}

impl DeliveriesQuery {
    /// The filter; an empty field does not filter.
    pub(in crate::admin) fn filter(&self) -> Result<DeliveryFilter, AdminError> {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let known = |word: String| {
            let answered = Answered::ALL.into_iter().find(|answered| answered.as_str() == word);
            answered.ok_or_else(|| {
                AdminError::BadRequest("result: unknown; `/api/openapi.json` lists the allowed ones".to_owned())
            })
        };
        let source = given(&self.source).map(|name| SourceName::parse(&name)).transpose();
        Ok(DeliveryFilter {
            source: source.map_err(AdminError::BadRequest)?,
            answered: given(&self.result).map(known).transpose()?,
            request: given(&self.request_id),
        })
    }
}

/// A page of the last deliveries, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeliveriesBody {
    /// The deliveries.
    pub deliveries: Vec<DeliveryBody>,
    /// Give it as `after` for the next page; null on the last.
    pub next: Option<String>,
}

/// One delivery. For each source, the last 100 accepted ones and the last 100 others are kept.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeliveryBody {
    /// When it was answered.
    pub at: String,
    /// The source; null if the delivery named one that does not exist.
    pub source: Option<String>,
    /// The `X-Request-Id` of its answer.
    pub request_id: String,
    /// `accepted`, `duplicate`, `ignored`, `unmapped`, `handshake`, `put_off` or `refused`.
    pub result: String,
    /// Why it was refused, put off or ignored, as a stable word.
    pub reason: Option<String>,
    /// The address it came from.
    pub peer: String,
    /// The id that the sender gave it.
    pub event_id: Option<String>,
    /// The kinds of events in it, and types that are not followed; for a source that does not exist, its name.
    pub types: Vec<String>,
    /// The first of its jobs and dead letters.
    pub jobs: Vec<String>,
    /// How many there are in all.
    pub jobs_all: u64,
}

impl From<&SourceDelivery> for DeliveryBody {
    fn from(row: &SourceDelivery) -> Self {
        let delivered = &row.delivered;
        Self {
            at: delivered.at.to_string(),
            source: row.source.as_ref().map(ToString::to_string),
            request_id: delivered.request.clone(),
            result: delivered.answered.as_str().to_owned(),
            reason: delivered.reason.clone(),
            peer: delivered.peer.clone(),
            event_id: delivered.event_id.clone(),
            types: delivered.types.clone(),
            jobs: delivered.jobs.iter().map(ToString::to_string).collect(),
            jobs_all: delivered.jobs_all,
        }
    }
}

/// Lists the last deliveries of each source, newest first. They appear some three seconds after they were answered.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", params(DeliveriesQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "A page of deliveries.", body = DeliveriesBody),
    (status = 400, description = "The query cannot be understood.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn list(state: State, query: web::Query<DeliveriesQuery>) -> ApiResult<DeliveriesBody> {
    let page = listing::page(query.limit, query.after.as_deref())?;
    let listed = state.deliveries(&query.filter()?, &page).await?;
    Ok(web::Json(DeliveriesBody { deliveries: listed.rows.iter().map(Into::into).collect(), next: listed.next }))
}
