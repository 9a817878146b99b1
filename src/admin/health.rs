//! Endpoints without a token: alive, ready, metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::SourceName;
use crate::core::processes::ProcessRole;
use crate::core::roster::NOT_IN_HR;
use crate::store::LaneState;
use crate::telemetry::metrics as metric;

use super::overview::Overview;
use super::service::AdminState;

/// How long the store's figures may take: a scrape gives up after 10 s, and must still get the rest.
const STATUS_MAX: Duration = Duration::from_secs(3);

/// Whether the process is ready for work.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReadyBody {
    /// Whether it is ready.
    pub ready: bool,
    /// Why not; empty if it is.
    pub reasons: Vec<String>,
}

/// Says whether the process serves, that is, whether none of its loops hangs. The store does not matter.
#[utoipa::path(get, path = "/livez", tag = "health", responses(
    (status = 200, description = "Alive.", body = String, content_type = "text/plain"),
    (status = 503, description = "A loop hangs; the body names it.", body = String, content_type = "text/plain"),
))]
pub(super) async fn livez(state: web::Data<AdminState>) -> HttpResponse {
    let hanging = state.lifecycle.loops().hanging();
    let (mut response, said) = if hanging.is_empty() {
        (HttpResponse::Ok(), "ok\n".to_owned())
    } else {
        (HttpResponse::ServiceUnavailable(), format!("hangs: {}\n", hanging.join(", ")))
    };
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body(said)
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
    let writable = state.health.trouble(state.now()).await.is_none();
    let read = tokio::time::timeout(STATUS_MAX, state.overview()).await;
    match &read {
        Ok(Ok(overview)) if overview.is_whole => mirror(overview, state.source_names()),
        Ok(Ok(overview)) => mirror_problems(overview.problems.len()),
        Ok(Err(error)) => {
            error.log();
            mirror_problems(1);
        }
        Err(_) => {
            tracing::warn!("the store's figures took too long");
            if state.health.known_trouble().is_some() {
                mirror_problems(1);
            }
        }
    }
    let up = writable && matches!(read, Ok(Ok(Overview { is_whole: true, .. })));
    metrics::gauge!(metric::STORE_UP).set(f64::from(u8::from(up)));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(state.metrics.render())
}

/// Sets the gauges that mirror the store.
fn mirror<'s>(overview: &Overview, sources: impl Iterator<Item = &'s SourceName>) {
    let Overview { stats, figures, problems, .. } = overview;
    for state in LaneState::ALL.into_iter().filter(|state| *state != LaneState::Idle) {
        let n = stats.lanes.get(state.as_str()).copied().unwrap_or(0);
        metrics::gauge!(metric::JOBS, metric::STATE => state.as_str()).set(as_f64(n));
    }
    metrics::gauge!(metric::PEOPLE).set(as_f64(stats.people));
    // A gauge must go back to zero, but the figures leave out sources without waiting events.
    let sources: Vec<_> = sources.collect();
    let named = sources.iter().map(|source| source.as_str()).chain([NOT_IN_HR]);
    for source in named.chain(stats.entries.keys().map(String::as_str)).collect::<BTreeSet<_>>() {
        let n = stats.entries.get(source).copied().unwrap_or(0);
        metrics::gauge!(metric::INBOX_ENTRIES, metric::SOURCE => source.to_owned()).set(as_f64(n));
    }
    metrics::gauge!(metric::DEAD_LETTERS).set(as_f64(stats.dead.values().sum()));
    for code in Code::ALL.iter().filter(|code| may_be_of_a_dead_letter(**code)) {
        let n = stats.dead.get(code.as_str()).copied().unwrap_or(0);
        metrics::gauge!(metric::DEAD_LETTERS_BY_CODE, metric::CODE => code.as_str()).set(as_f64(n));
    }
    let age_ms = figures.oldest_due_at.map_or(0, |at| figures.now.ms_since(at));
    metrics::gauge!(metric::OLDEST_DUE_JOB_AGE_SECONDS).set(as_f64(age_ms) / 1000.0);
    for scope in SCOPES.into_iter().chain(sources.into_iter().cloned().map(HoldScope::Fetch)) {
        let held = figures.holds.get(&scope).is_some();
        metrics::gauge!(metric::HOLD, metric::SCOPE => scope.to_string()).set(f64::from(u8::from(held)));
    }
    for role in [ProcessRole::All, ProcessRole::Intake, ProcessRole::Worker] {
        let n = figures.processes.heard(figures.now).filter(|process| process.role == role).count();
        metrics::gauge!(metric::PROCESSES, metric::ROLE => role.as_str())
            .set(as_f64(u64::try_from(n).unwrap_or(u64::MAX)));
    }
    mirror_problems(problems.len());
}

fn mirror_problems(n: usize) {
    metrics::gauge!(metric::PROBLEMS).set(as_f64(u64::try_from(n).unwrap_or(u64::MAX)));
}

/// Whether dead letters may have this code. Gauges must go back to zero, so all that may have been set are set again.
fn may_be_of_a_dead_letter(code: Code) -> bool {
    !code.as_str().starts_with("HOLD-") && !code.as_str().starts_with("STORE-")
}

/// Every scope, except those of sources.
const SCOPES: [HoldScope; 5] =
    [HoldScope::All, HoldScope::Creates, HoldScope::Writes, HoldScope::Deactivations, HoldScope::Addresses];

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts below 2^53 are exact")]
fn as_f64(n: u64) -> f64 {
    n as f64
}
