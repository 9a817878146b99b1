//! Metrics: every name, label, label value, help text and bucket is declared here, and nowhere else.
//!
//! Other modules count with the facade and these constants: `use crate::telemetry::metrics as metric`, then
//! `metrics::counter!(metric::JOBS_ENDED_TOTAL).increment(1)`.

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::logs;

/// Deliveries answered, by `source` and `result` (see [`DeliveryResult`]).
pub const DELIVERIES_TOTAL: &str = "scim_bridge_deliveries_total";
/// Time from the first byte of a delivery's head to its answer.
pub const INTAKE_DURATION_SECONDS: &str = "scim_bridge_intake_duration_seconds";
/// Signatures refused, by `source` and `reason`.
pub const SIGNATURE_FAILURES_TOTAL: &str = "scim_bridge_signature_failures_total";
/// Connections that the public listener has open.
pub const CONNECTIONS: &str = "scim_bridge_connections";
/// Connections closed to make room for others.
pub const CONNECTIONS_CUT_TOTAL: &str = "scim_bridge_connections_cut_total";
/// Connections refused because their peer already had as many as it may.
pub const CONNECTIONS_REFUSED_TOTAL: &str = "scim_bridge_connections_refused_total";
/// Wrong admin tokens, by `result`: [`GUESS_REFUSED`] or [`GUESS_PUT_OFF`].
pub const ADMIN_GUESSES_TOTAL: &str = "scim_bridge_admin_guesses_total";
/// Tasks of the process that panicked and were started again, by `task`.
pub const TASKS_RESTARTED_TOTAL: &str = "scim_bridge_tasks_restarted_total";
/// Log lines dropped because there was no room for them.
pub const LOG_LINES_DROPPED_TOTAL: &str = "scim_bridge_log_lines_dropped_total";
/// People who wait, by `state`.
pub const JOBS: &str = "scim_bridge_jobs";
/// How long the job that has waited the longest has been due.
pub const OLDEST_DUE_JOB_AGE_SECONDS: &str = "scim_bridge_oldest_due_job_age_seconds";
/// People in the store.
pub const PEOPLE: &str = "scim_bridge_people";
/// Events that no worker has processed yet, by `source`.
pub const INBOX_ENTRIES: &str = "scim_bridge_inbox_entries";
/// Dead letters.
pub const DEAD_LETTERS: &str = "scim_bridge_dead_letters";
/// Dead letters by `code`.
pub const DEAD_LETTERS_BY_CODE: &str = "scim_bridge_dead_letters_by_code";
/// Problems in `status`.
pub const PROBLEMS: &str = "scim_bridge_problems";
/// Processes with a recent heartbeat, by `role`.
pub const PROCESSES: &str = "scim_bridge_processes";
/// 1 if a hold of this `scope` is in force.
pub const HOLD: &str = "scim_bridge_hold";
/// 1 if the store could be read and written at this scrape.
pub const STORE_UP: &str = "scim_bridge_store_up";
/// Failures of the store, by `code`.
pub const STORE_ERRORS_TOTAL: &str = "scim_bridge_store_errors_total";
/// Connections to the store's server, by `use`.
pub const STORE_CONNECTIONS: &str = "scim_bridge_store_connections";
/// Calls that wait for a connection of their own to the store's server.
pub const STORE_POOL_WAITING: &str = "scim_bridge_store_pool_waiting";
/// How long a call to the store's server took.
pub const STORE_CALL_DURATION_SECONDS: &str = "scim_bridge_store_call_duration_seconds";
/// SCIM calls, by `operation` and `status`.
pub const SCIM_REQUESTS_TOTAL: &str = "scim_bridge_scim_requests_total";
/// How long a SCIM call took, by `operation`.
pub const SCIM_REQUEST_DURATION_SECONDS: &str = "scim_bridge_scim_request_duration_seconds";
/// Reads at HR systems' APIs, by `source` and `status`.
pub const HR_REQUESTS_TOTAL: &str = "scim_bridge_hr_requests_total";
/// How long a read at an HR system's API took, by `source`.
pub const HR_REQUEST_DURATION_SECONDS: &str = "scim_bridge_hr_request_duration_seconds";
/// Attempts, by `outcome`.
pub const ATTEMPTS_TOTAL: &str = "scim_bridge_attempts_total";
/// Jobs that have ended.
pub const JOBS_ENDED_TOTAL: &str = "scim_bridge_jobs_ended_total";
/// Jobs that ended well, by `event` and `outcome`.
pub const JOB_OUTCOMES_TOTAL: &str = "scim_bridge_job_outcomes_total";
/// Time spent waiting for a token of a `kind`.
pub const RATE_LIMIT_WAIT_SECONDS_TOTAL: &str = "scim_bridge_rate_limit_wait_seconds_total";
/// Time from the acceptance of an event until it is applied.
pub const TIME_TO_POSTMAN_SECONDS: &str = "scim_bridge_time_to_postman_seconds";
/// Lanes taken over from a worker whose lease ran out.
pub const LEASE_TAKE_OVERS_TOTAL: &str = "scim_bridge_lease_take_overs_total";
/// Leases that were lost while their job was worked on.
pub const LEASES_LOST_TOTAL: &str = "scim_bridge_leases_lost_total";
/// Alerts sent, by `outcome`: `delivered`, `failed` (it is tried again) or `given_up`.
pub const ALERTS_TOTAL: &str = "scim_bridge_alerts_total";
/// Spans that the collector has accepted.
pub const SPANS_EXPORTED_TOTAL: &str = "scim_bridge_spans_exported_total";
/// Spans that no collector will see, by `reason`: [`SPANS_QUEUE_FULL`] or [`SPANS_REFUSED`].
pub const SPANS_DROPPED_TOTAL: &str = "scim_bridge_spans_dropped_total";
/// 1, with the `version` that runs.
pub const BUILD_INFO: &str = "scim_bridge_build_info";

/// Label: the configured source's name, or [`UNKNOWN_SOURCE`].
pub const SOURCE: &str = "source";
/// Label: a [`DeliveryResult`].
pub const RESULT: &str = "result";
/// Label: why a signature was refused, a word of `core::signature`; or why spans were dropped.
pub const REASON: &str = "reason";
/// Label: `ProcessRole::as_str`.
pub const ROLE: &str = "role";
/// Label: `LaneState::as_str`.
pub const STATE: &str = "state";
/// Label: the task's name, such as `tidy`.
pub const TASK: &str = "task";
/// Label: a `HoldScope` as it is written.
pub const SCOPE: &str = "scope";
/// Label: `Operation::as_str`.
pub const OPERATION: &str = "operation";
/// Label: the HTTP status, or one of [`STATUS_UNREACHABLE`] and [`STATUS_UNKNOWN`].
pub const STATUS: &str = "status";
/// Label: `EventKind::as_str`.
pub const EVENT: &str = "event";
/// Label: `Finished::as_str`, or one of the `OUTCOME_` words.
pub const OUTCOME: &str = "outcome";
/// Label: `CallKind::as_str`.
pub const KIND: &str = "kind";
/// Label: a stable code.
pub const CODE: &str = "code";
/// Label: what a connection is for.
pub const USE: &str = "use";
/// Label: the crate's version.
pub const VERSION: &str = "version";

/// Stands for every source that is not configured: a stranger must not choose labels. No source can
/// have this name.
pub const UNKNOWN_SOURCE: &str = "_unknown";
/// No connection was made: the call had no effect.
pub const STATUS_UNREACHABLE: &str = "unreachable";
/// The connection broke or timed out after the request was sent: its effect is unknown.
pub const STATUS_UNKNOWN: &str = "unknown";
/// A wrong admin token was compared and refused.
pub const GUESS_REFUSED: &str = "refused";
/// A token was not checked, since its peer had sent too many wrong ones.
pub const GUESS_PUT_OFF: &str = "put_off";
/// Spans ended faster than the collector accepted them.
pub const SPANS_QUEUE_FULL: &str = "queue_full";
/// The collector refused them, or could not be reached.
pub const SPANS_REFUSED: &str = "not_taken";
/// The job is tried again later.
pub const OUTCOME_RETRY: &str = "retry";
/// The person waits for HR to say more.
pub const OUTCOME_INCOMPLETE: &str = "incomplete";
/// The attempt panicked.
pub const OUTCOME_PANICKED: &str = "panicked";
/// The person's document cannot be read.
pub const OUTCOME_UNREADABLE: &str = "unreadable";
/// The job waits for a hold to be lifted.
pub const OUTCOME_HELD: &str = "held";
/// The job became a dead letter.
pub const OUTCOME_DEAD: &str = "dead";
/// The job was given back unfinished.
pub const OUTCOME_GIVEN_BACK: &str = "given_back";
/// Another worker had taken the lane over: nothing was settled.
pub const OUTCOME_LEASE_LOST: &str = "lease_lost";

/// The result of a delivery: the `result` of [`DELIVERIES_TOTAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryResult {
    /// 200: at least one job was queued.
    Accepted,
    /// 200: known already.
    Duplicate,
    /// 200: it contained nothing that the mapping names.
    Ignored,
    /// 200: kept as a dead letter only.
    Unmapped,
    /// 200: a handshake was answered.
    Handshake,
    /// 401: not genuine; see [`SIGNATURE_FAILURES_TOTAL`].
    Forged,
    /// 401: from an address outside of the source's `allow_from`.
    ShutOut,
    /// 404: no such source.
    UnknownSource,
    /// 405 or 415: wrong method or content type.
    BadRequest,
    /// 408: the body did not arrive in time.
    TimedOut,
    /// The sender hung up before it was answered.
    HungUp,
    /// 413: over the body cap.
    TooLarge,
    /// 503: over the high-water mark, or over a bound on memory or connections.
    Full,
    /// 503: the store cannot be reached.
    Unavailable,
    /// 503: the process is stopping.
    Stopping,
}

impl DeliveryResult {
    /// Every result there is.
    pub const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::Duplicate,
        Self::Ignored,
        Self::Unmapped,
        Self::Handshake,
        Self::Forged,
        Self::ShutOut,
        Self::UnknownSource,
        Self::BadRequest,
        Self::TimedOut,
        Self::HungUp,
        Self::TooLarge,
        Self::Full,
        Self::Unavailable,
        Self::Stopping,
    ];

    /// Its label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Unmapped => "unmapped",
            Self::Handshake => "handshake",
            Self::Forged => "forged",
            Self::ShutOut => "shut_out",
            Self::UnknownSource => "unknown_source",
            Self::BadRequest => "bad_request",
            Self::TimedOut => "timed_out",
            Self::HungUp => "hung_up",
            Self::TooLarge => "too_large",
            Self::Full => "full",
            Self::Unavailable => "unavailable",
            Self::Stopping => "stopping",
        }
    }
}

/// What kind of metric a family is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in these buckets (upper bounds, ascending).
    Histogram(&'static [f64]),
}

/// A family of metrics.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// The `# HELP` line.
    pub help: &'static str,
}

/// The HR system wants its answer in under a second; a group commit takes some milliseconds.
const INTAKE_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// A script takes well under a millisecond; the client gives up after some seconds.
const STORE_BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Postman answers within some hundred milliseconds, HR systems within seconds; the clients give up after 20 s.
const CALL_BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];
/// From an idle bridge, through a backlog of minutes, to a hold of days.
const TO_POSTMAN_BUCKETS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 259_200.0];

const fn family(name: &'static str, kind: Type, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, help }
}

/// Every family there is.
pub const FAMILIES: &[Family] = &[
    family(DELIVERIES_TOTAL, Type::Counter, &[SOURCE, RESULT], "Deliveries answered."),
    family(
        INTAKE_DURATION_SECONDS,
        Type::Histogram(INTAKE_BUCKETS),
        &[],
        "Time from the head of a delivery to its answer.",
    ),
    family(
        SIGNATURE_FAILURES_TOTAL,
        Type::Counter,
        &[SOURCE, REASON],
        "Deliveries whose sender was not authenticated.",
    ),
    family(JOBS, Type::Gauge, &[STATE], "People whose jobs have not ended, by what they wait for."),
    family(PEOPLE, Type::Gauge, &[], "People in the store."),
    family(INBOX_ENTRIES, Type::Gauge, &[SOURCE], "Events that no worker has processed yet."),
    family(CONNECTIONS, Type::Gauge, &[], "Connections that the public listener has open."),
    family(CONNECTIONS_CUT_TOTAL, Type::Counter, &[], "Connections closed to make room for others."),
    family(
        CONNECTIONS_REFUSED_TOTAL,
        Type::Counter,
        &[],
        "Connections refused because all connections that their peer may have were in use.",
    ),
    family(ADMIN_GUESSES_TOTAL, Type::Counter, &[RESULT], "Wrong admin tokens: compared and refused, or put off."),
    family(TASKS_RESTARTED_TOTAL, Type::Counter, &[TASK], "Tasks that panicked and were started again."),
    family(LOG_LINES_DROPPED_TOTAL, Type::Counter, &[], "Log lines dropped because they could not be written in time."),
    family(
        OLDEST_DUE_JOB_AGE_SECONDS,
        Type::Gauge,
        &[],
        "How long the job that has waited the longest has been due; 0 if none is due.",
    ),
    family(DEAD_LETTERS, Type::Gauge, &[], "Dead letters that wait for an operator."),
    family(DEAD_LETTERS_BY_CODE, Type::Gauge, &[CODE], "Dead letters of each code."),
    family(PROBLEMS, Type::Gauge, &[], "What needs attention: how many things `status` lists."),
    family(PROCESSES, Type::Gauge, &[ROLE], "Processes on this store with a recent heartbeat."),
    family(HOLD, Type::Gauge, &[SCOPE], "1 if a hold of this scope is in force."),
    family(STORE_UP, Type::Gauge, &[], "1 if the store could be read and written at this scrape."),
    family(STORE_ERRORS_TOTAL, Type::Counter, &[CODE], "Operations of the store that failed."),
    family(STORE_CONNECTIONS, Type::Gauge, &[USE], "Connections to the store's server."),
    family(
        STORE_POOL_WAITING,
        Type::Gauge,
        &[],
        "Calls that wait for a connection of their own to the store's server.",
    ),
    family(
        STORE_CALL_DURATION_SECONDS,
        Type::Histogram(STORE_BUCKETS),
        &[],
        "How long a call to the store's server took.",
    ),
    family(SCIM_REQUESTS_TOTAL, Type::Counter, &[OPERATION, STATUS], "SCIM calls made to Postman."),
    family(SCIM_REQUEST_DURATION_SECONDS, Type::Histogram(CALL_BUCKETS), &[OPERATION], "How long a SCIM call took."),
    family(HR_REQUESTS_TOTAL, Type::Counter, &[SOURCE, STATUS], "Reads made at HR systems' APIs."),
    family(
        HR_REQUEST_DURATION_SECONDS,
        Type::Histogram(CALL_BUCKETS),
        &[SOURCE],
        "How long a read at an HR system's API took.",
    ),
    family(ATTEMPTS_TOTAL, Type::Counter, &[OUTCOME], "Attempts to reconcile a person, by outcome."),
    family(JOBS_ENDED_TOTAL, Type::Counter, &[], "Jobs that ended."),
    family(JOB_OUTCOMES_TOTAL, Type::Counter, &[EVENT, OUTCOME], "Jobs that ended well, by event and outcome."),
    family(RATE_LIMIT_WAIT_SECONDS_TOTAL, Type::Counter, &[KIND], "Time spent waiting for a token of the limiter."),
    family(
        TIME_TO_POSTMAN_SECONDS,
        Type::Histogram(TO_POSTMAN_BUCKETS),
        &[],
        "Time from accepted to applied at Postman.",
    ),
    family(LEASE_TAKE_OVERS_TOTAL, Type::Counter, &[], "Lanes taken over from a worker whose lease ran out."),
    family(LEASES_LOST_TOTAL, Type::Counter, &[], "Leases lost while their job was worked on."),
    family(ALERTS_TOTAL, Type::Counter, &[OUTCOME], "Alerts sent, by outcome."),
    family(SPANS_EXPORTED_TOTAL, Type::Counter, &[], "Spans that the collector of traces has accepted."),
    family(SPANS_DROPPED_TOTAL, Type::Counter, &[REASON], "Spans that no collector of traces will see."),
    family(BUILD_INFO, Type::Gauge, &[VERSION], "1, with the version that runs."),
];

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("metrics could not be set up: {0}")]
pub struct MetricsError(String);

/// The handle that renders the metrics; clones share it.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

/// The process's recorder, once installed.
static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);

impl Metrics {
    /// Installs the process's recorder; a second call returns the first one's handle.
    ///
    /// # Errors
    /// Another recorder is installed already.
    pub fn install() -> Result<Self, MetricsError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*installed {
            return Ok(metrics.clone());
        }
        let metrics = Self(builder()?.install_recorder().map_err(|e| MetricsError(e.to_string()))?);
        describe();
        *installed = Some(metrics.clone());
        Ok(metrics)
    }

    /// All metrics in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds observations into their buckets. To be called every few seconds: without it they pile
    /// up in memory until somebody scrapes. Reports log lines that were dropped, too.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
        metrics::counter!(LOG_LINES_DROPPED_TOTAL).absolute(logs::dropped_lines());
    }
}

fn builder() -> Result<PrometheusBuilder, MetricsError> {
    let mut builder = PrometheusBuilder::new();
    for family in FAMILIES {
        if let Type::Histogram(buckets) = family.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(family.name.to_owned()), buckets)
                .map_err(|e| MetricsError(e.to_string()))?;
        }
    }
    Ok(builder)
}

/// Help texts, and a zero for counters without labels: a rate does not see a counter that starts at 1.
fn describe() {
    for Family { name, kind, labels, help } in FAMILIES {
        match kind {
            Type::Counter => {
                metrics::describe_counter!(*name, *help);
                if labels.is_empty() {
                    metrics::counter!(*name).absolute(0);
                }
            }
            Type::Gauge => metrics::describe_gauge!(*name, *help),
            Type::Histogram(_) => metrics::describe_histogram!(*name, *help),
        }
    }
    metrics::gauge!(BUILD_INFO, VERSION => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names: Vec<_> = FAMILIES.iter().map(|f| f.name).collect();
        for family in FAMILIES {
            assert!(family.name.starts_with("scim_bridge_"), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Type::Counter, "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.help);
            if let Type::Histogram(buckets) = family.kind {
                assert!(family.name.ends_with("_seconds"));
                assert!(buckets.is_sorted());
            }
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }

    #[test]
    fn delivery_results_are_distinct_words() {
        let mut words: Vec<_> = DeliveryResult::ALL.iter().map(|r| r.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), DeliveryResult::ALL.len());
    }

    #[test]
    fn installing_twice_gives_the_same_recorder() {
        let first = Metrics::install().unwrap();
        let second = Metrics::install().unwrap();
        metrics::counter!(SIGNATURE_FAILURES_TOTAL, SOURCE => "hr", REASON => "test").increment(3);
        metrics::histogram!(TIME_TO_POSTMAN_SECONDS).record(0.2);
        first.upkeep();
        let text = second.render();
        assert!(text.contains(r#"scim_bridge_signature_failures_total{source="hr",reason="test"} 3"#), "{text}");
        assert!(text.contains(r#"scim_bridge_time_to_postman_seconds_bucket{le="0.25"}"#), "{text}");
        assert!(text.contains("# HELP scim_bridge_build_info"), "{text}");
    }
}
