//! `POST /webhooks/{source}`, in this order: body cap (413), source known (404), method and content
//! type (405, 415), signature and timestamp (401), duplicate, map, store, 200.

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::ExposeSecret;
use tracing::{debug, error, info, warn};

use super::answer;
use super::body::{self, Limits, NoBody};
use super::source::Guarded;
use crate::clock::{self, Clock};
use crate::core::delivery::Delivery;
use crate::core::mapping::{self, Record};
use crate::core::signature::{Answer, Genuine};
use crate::lifecycle::Lifecycle;
use crate::store::{Accepted, Dedupe, NewDelivery, NewJob, NewUnmapped, Store};
use crate::telemetry::metrics::{self as names, DeliveryResult};

/// What stands behind the door.
pub(super) struct Door {
    pub(super) sources: HashMap<String, Guarded>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) life: Lifecycle,
    pub(super) limits: Limits,
}

/// How a delivery ended: for the metric, and for the sender.
struct Ended {
    result: DeliveryResult,
    answer: HttpResponse,
}

impl Ended {
    fn refused(result: DeliveryResult) -> Self {
        Self { result, answer: answer::refused(result) }
    }
}

/// Handles one delivery.
pub(super) async fn deliver(
    request: HttpRequest,
    source: Path<String>,
    payload: Payload,
    door: Data<Door>,
) -> HttpResponse {
    let began = Instant::now();
    let known = door.sources.get(source.as_str());
    let Ended { result, answer } = door.handle(&request, known, payload).await;
    // A stranger must not choose labels.
    let label = known.map_or_else(|| names::UNKNOWN_SOURCE.to_owned(), |source| source.name().to_string());
    metrics::counter!(names::DELIVERIES_TOTAL, names::SOURCE => label, names::RESULT => result.as_str()).increment(1);
    metrics::histogram!(names::INTAKE_DURATION_SECONDS).record(began.elapsed());
    answer
}

impl Door {
    async fn handle(&self, request: &HttpRequest, source: Option<&Guarded>, payload: Payload) -> Ended {
        if self.life.is_stopping() {
            return Ended::refused(DeliveryResult::Stopping);
        }
        if body::announces_too_much(request, self.limits) {
            return Ended::refused(DeliveryResult::TooLarge);
        }
        let Some(source) = source else { return Ended::refused(DeliveryResult::UnknownSource) };
        if request.method() != Method::POST {
            return Ended { result: DeliveryResult::BadRequest, answer: answer::wrong_method() };
        }
        if !is_plain(request) || !source.takes(content_type(request)) {
            return Ended::refused(DeliveryResult::BadRequest);
        }
        let body = match body::read(payload, self.limits).await {
            Ok(body) => body,
            Err(why) => {
                let result = match why {
                    NoBody::TooLarge => DeliveryResult::TooLarge,
                    NoBody::TimedOut => DeliveryResult::TimedOut,
                    NoBody::HungUp => DeliveryResult::HungUp,
                };
                debug!(source = %source.name(), result = result.as_str(), "no body");
                return Ended::refused(result);
            }
        };
        let delivery = Delivery {
            method: request.method().as_str().to_owned(),
            url: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
            headers: headers(request),
            body,
        };
        self.judge(source, delivery).await
    }

    /// Is it genuine, and what is it?
    async fn judge(&self, source: &Guarded, delivery: Delivery) -> Ended {
        let verifier = source.verifier();
        if let Some(handshake) = source.with_keys(|keys| verifier.unsigned_handshake(keys, &delivery)) {
            return shake(source, handshake).await;
        }
        let now = self.clock.now();
        let genuine = match source.with_keys(|keys| verifier.verify(keys, delivery, now)) {
            Ok(genuine) => genuine,
            Err(refusal) => {
                let label = source.name().to_string();
                metrics::counter!(names::SIGNATURE_FAILURES_TOTAL, names::SOURCE => label, names::REASON => refusal.reason())
                    .increment(1);
                warn!(source = %source.name(), reason = refusal.reason(), "not believed: {refusal}");
                return Ended::refused(DeliveryResult::Forged);
            }
        };
        if let Some(handshake) = source.with_keys(|keys| verifier.signed_handshake(keys, &genuine)) {
            return shake(source, handshake).await;
        }
        self.store(source, &genuine).await
    }

    /// Maps it and stores it.
    async fn store(&self, source: &Guarded, genuine: &Genuine) -> Ended {
        let records = mapping::map(source.mapping(), source.name(), &genuine.delivery);
        let seen = genuine.dedupe_key(source.name());
        let dedupe = Dedupe { key: seen.key, fingerprint: seen.fingerprint, remember_ms: source.remember_ms() };
        let mut delivery =
            NewDelivery { source: source.name().clone(), dedupe, jobs: Vec::new(), unmapped: Vec::new() };
        let mut ids = Vec::with_capacity(records.len());
        for record in records {
            let id = clock::new_job_id();
            match record {
                Record::Event(event) => delivery.jobs.push(NewJob { id, event }),
                Record::Unmapped { person, code, detail, payload } => {
                    warn!(source = %source.name(), dead_letter = %id, %code, detail, "cannot be mapped: kept as a dead letter");
                    delivery.unmapped.push(NewUnmapped { id, person, code, detail, payload });
                }
                Record::Ignored => continue,
            }
            ids.push(id);
        }
        let result = match (delivery.jobs.is_empty(), delivery.unmapped.is_empty()) {
            (false, _) => DeliveryResult::Accepted,
            (true, false) => DeliveryResult::Unmapped,
            (true, true) => {
                debug!(source = %source.name(), "nothing in it that the mapping names");
                return Ended {
                    result: DeliveryResult::Ignored,
                    answer: answer::understood(DeliveryResult::Ignored, &[]),
                };
            }
        };
        self.accept(source, delivery, result, ids).await
    }

    /// Remembering and queueing are one step of the store: whether or not the sender hears the answer,
    /// either both have happened or neither has.
    async fn accept(
        &self,
        source: &Guarded,
        delivery: NewDelivery,
        result: DeliveryResult,
        ids: Vec<crate::core::job::JobId>,
    ) -> Ended {
        let name = source.name();
        match self.store.accept(self.clock.now(), delivery).await {
            Ok(Accepted::Stored) => {
                for id in &ids {
                    debug!(source = %name, job = %id, "accepted");
                }
                Ended { result, answer: answer::understood(result, &ids) }
            }
            Ok(Accepted::Duplicate { jobs }) => {
                debug!(source = %name, "known already");
                let result = DeliveryResult::Duplicate;
                Ended { result, answer: answer::understood(result, &jobs) }
            }
            Ok(Accepted::Conflict) => {
                warn!(source = %name, "an id came again with another body: answered 409, nothing stored");
                Ended::refused(DeliveryResult::Conflict)
            }
            Ok(Accepted::Full) => {
                warn!(source = %name, "too much is waiting: answered 503");
                Ended::refused(DeliveryResult::Full)
            }
            Err(error) => {
                error!(source = %name, %error, "could not be stored: answered 503");
                Ended::refused(DeliveryResult::Unavailable)
            }
        }
    }
}

/// Answers a handshake.
async fn shake(source: &Guarded, handshake: Answer) -> Ended {
    info!(source = %source.name(), kind = handshake.as_str(), "handshake");
    let answer = match handshake {
        Answer::Pong => answer::understood(DeliveryResult::Handshake, &[]),
        Answer::Text(text) => HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .insert_header(("X-Content-Type-Options", "nosniff"))
            .body(text),
        Answer::Json(json) => HttpResponse::Ok().json(json),
        Answer::Capture { token, file } => {
            let shown = file.display().to_string();
            let written = tokio::task::spawn_blocking(move || {
                use std::io::Write;
                // Never over a file that is there: a stranger may have come first, or come again.
                let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
                file.write_all(token.expose_secret().as_bytes())?;
                file.sync_all()
            });
            match written.await {
                Ok(Ok(())) => {
                    warn!(source = %source.name(), file = shown, "a verification token was captured: confirm it at the sender");
                    answer::understood(DeliveryResult::Handshake, &[])
                }
                Ok(Err(error)) => {
                    error!(source = %source.name(), file = shown, %error, "a verification token could not be kept");
                    return Ended::refused(DeliveryResult::Unavailable);
                }
                Err(_) => return Ended::refused(DeliveryResult::Unavailable),
            }
        }
    };
    Ended { result: DeliveryResult::Handshake, answer }
}

/// A compressed body is not what was signed.
fn is_plain(request: &HttpRequest) -> bool {
    let encoding = request.headers().get(CONTENT_ENCODING);
    encoding.is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn content_type(request: &HttpRequest) -> Option<&str> {
    // What is no text is no media type that anybody takes.
    request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or(""))
}

/// All headers, names in lower case, in order of arrival for each name.
fn headers(request: &HttpRequest) -> Vec<(String, Vec<u8>)> {
    request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}
