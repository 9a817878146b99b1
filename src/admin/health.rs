//! What machines ask without a token: alive, ready, metrics.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::hold::HoldScope;
use crate::telemetry::metrics as m;

use super::service::{AdminState, Status};

/// How long the store's figures may take: a scrape gives up after 10 s, and the rest must be told.
const STATUS_MAX: Duration = Duration::from_secs(3);

/// Whether the process is ready for work.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReadyBody {
    /// Whether it is.
    pub ready: bool,
    /// Why not; empty where it is.
    pub reasons: Vec<String>,
}

/// Says that the process serves at all.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "Alive.", body = String, content_type = "text/plain")))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Says whether the process is ready for work: the store can be written, and it is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "Ready.", body = ReadyBody),
    (status = 503, description = "Not ready.", body = ReadyBody),
))]
pub(super) async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    let reasons = state.unready().await;
    let ready = reasons.is_empty();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(ReadyBody { ready, reasons })
}

/// Gives the metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    let writable = state.health.trouble().await.is_none();
    let read = tokio::time::timeout(STATUS_MAX, state.status()).await;
    match &read {
        Ok(Ok(status)) => mirror(status),
        Ok(Err(error)) => error.log(),
        Err(_) => tracing::warn!("the store's figures took too long"),
    }
    let up = writable && matches!(read, Ok(Ok(_)));
    metrics::gauge!(m::STORE_UP).set(f64::from(u8::from(up)));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(state.metrics.render())
}

/// Sets the gauges that mirror the store.
fn mirror(status: &Status) {
    for (state, n) in &status.stats.jobs {
        metrics::gauge!(m::JOBS, m::STATE => state.clone()).set(as_f64(*n));
    }
    let dead = super::problems::jobs_in(status, crate::core::job::JobState::Dead);
    metrics::gauge!(m::DEAD_LETTERS).set(as_f64(dead));
    let age_ms = status.stats.oldest_due_at.map_or(0, |at| status.now.ms_since(at));
    metrics::gauge!(m::OLDEST_DUE_JOB_AGE_SECONDS).set(as_f64(age_ms) / 1000.0);
    for scope in [HoldScope::All, HoldScope::Creates] {
        let held = status.holds.iter().any(|hold| hold.scope == scope);
        metrics::gauge!(m::HOLD, m::SCOPE => scope.as_str()).set(f64::from(u8::from(held)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts below 2^53 are exact")]
fn as_f64(n: u64) -> f64 {
    n as f64
}
