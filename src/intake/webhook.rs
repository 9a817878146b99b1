//! One delivery, from its head to the answer.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tracing::{debug, error, info, warn};

use super::Shared;
use super::again;
use super::answer::{self, Refusal, Response};
use super::body::{Body, BodyError};
use super::connections::ConnectionPermit;
use super::end::{DeliveryEntry, End, answered};
use super::handshake::{self, Proof};
use super::head::{Fields, Head, Length, text};
use super::memory::Bound;
use super::parsed::parsed_bytes;
use super::pool::Share;
use super::recorder::Shot;
use super::source::Endpoint;
use super::tally::OpenDelivery;
use crate::clock::new_job_id;
use crate::core::deliveries::{self, Delivered};
use crate::core::delivery::{Delivery, Says};
use crate::core::json::Charset;
use crate::core::mapping::{IgnoredWhy, Record, map};
use crate::core::person::job::JobId;
use crate::core::person::letter::Letter;
use crate::core::person::record::AHEAD_MS_MAX;
use crate::core::person::{Entry, EventKind, Person, PersonId, SourceName, Word};
use crate::core::signature::{self, Genuine};
use crate::core::tally::GenuineResult;
use crate::core::time::UnixMs;
use crate::core::trace::TraceContext;
use crate::store::{Accepted, DeadRow, Dedupe, NewDelivery, NewEntry, NewUnmapped, StoreError};
use crate::telemetry::metrics::DeliveryResult;
use crate::telemetry::traces::Span;

/// How many unmappable records of one delivery are logged.
const LOGGED_MAX: usize = 5;
/// Memory for storing a delivery, in multiples of its body: the payloads that are kept, and their copy on the way to
/// the store.
const KEPT_PER_BODY: usize = 6;
/// Further memory for each of its records, on the way to the store.
const KEPT_PER_RECORD_BYTES: usize = 2048;

/// A body that takes no more than this once parsed is mapped on the listener's thread: some hundred records, a
/// millisecond. For the worst JSON, that is 3 KiB.
const MAPPED_HERE_BYTES_MAX: usize = 256 * 1024;

/// The header with the sender's place in a trace.
const TRACEPARENT: &str = "traceparent";

/// The person number in the ids of records that name nobody.
const NOBODY: PersonId = PersonId(0);

/// `POST /webhooks/{source}`.
pub(super) async fn receive(
    source: &str,
    head: Head,
    body: Body<'_>,
    place: &mut ConnectionPermit,
    request: &str,
    shared: &Shared,
) -> Response {
    let endpoint = shared.sources.find(source);
    let mut tally = OpenDelivery::start(endpoint.map_or(&shared.unknown, |endpoint| &endpoint.counters));
    let peer = place.client().to_string();
    let now = || shared.services.clock.now();
    let mut shot =
        endpoint.and_then(|endpoint| shared.recorder.begin(endpoint.name.as_str(), &head, place.client(), now));
    let End { result, answer, mut listed } = end(source, head, body, place, &mut shot, shared).await;
    tally.ends(result);
    if let Some(shot) = shot {
        shared.recorder.end(shot, result, listed.reason, &answer);
    }
    // A text that is not a valid source name may hold anything, so it is not shown.
    if endpoint.is_none() && SourceName::parse(source).is_ok() {
        listed.add_type(source);
    }
    let delivered = Delivered {
        at: shared.services.clock.now(),
        request: request.to_owned(),
        answered: answered(result),
        reason: listed.reason.map(str::to_owned),
        peer,
        event_id: listed.event_id,
        types: listed.types,
        jobs: listed.jobs,
        jobs_all: u64::try_from(listed.jobs_all).unwrap_or(u64::MAX),
    };
    endpoint.map_or(&shared.misnamed, |endpoint| &endpoint.recent).push(delivered);
    answer
}

async fn end(
    source: &str,
    head: Head,
    body: Body<'_>,
    place: &mut ConnectionPermit,
    shot: &mut Option<Shot>,
    shared: &Shared,
) -> End {
    let endpoint = shared.sources.find(source);
    if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.lets_in(place.client())) {
        return shut_out(endpoint, &head.method, shared);
    }
    if let Some(endpoint) = endpoint.filter(|_| head.method == Method::GET)
        && let Some(answer) = endpoint.verifier.get_handshake(head.query())
    {
        return handshake::answer(endpoint, answer, Proof::Unsigned, shared).await;
    }
    match admit(&head, endpoint, shared) {
        Ok(endpoint) => deliver(endpoint, head, body, place, shot, shared).await,
        Err((result, refusal)) => {
            note_refused(source, endpoint, refusal, &head.method, shared);
            let reason = reported_reason(refusal).unwrap_or(refusal.word());
            let source = endpoint.map(|endpoint| endpoint.name.as_str());
            if let Some(left_out) = shared.log.line(reason, source.unwrap_or_default()) {
                info!(source, result = result.as_str(), left_out, "delivery refused by its head");
            }
            End::refused(result, refusal, reason)
        }
    }
}

/// Refuses a post from a network that is not allowed, with the same answer as for a wrong signature.
fn shut_out(endpoint: &Endpoint, method: &Method, shared: &Shared) -> End {
    const REASON: &str = "address";
    if is_delivery(method) {
        endpoint.note(|seen| seen.refused(shared.services.clock.now(), REASON));
    }
    if let Some(left_out) = shared.log.line(REASON, endpoint.name.as_str()) {
        warn!(source = endpoint.name.as_str(), reason = REASON, left_out, "delivery refused: not from `allow_from`");
    }
    End::refused(DeliveryResult::ShutOut, Refusal::Unauthorised, REASON)
}

/// The source that a path names, in lower case as all names are: some tools write addresses in capitals, or with a slash
/// too many.
pub(super) fn source_in(path: &str) -> Option<String> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next(), parts.next()) {
        (Some("webhooks"), Some(name), None) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

/// Answers a request to a path that nothing is at. If it is signed as a source's deliveries are, `status` tells: many HR
/// systems never send again what is answered 404.
pub(super) fn astray(head: &Head, shared: &Shared) -> Response {
    const REASON: &str = "path";
    if is_delivery(&head.method)
        && let Some(endpoint) = shared.sources.meant_by(head)
    {
        endpoint.note(|seen| seen.refused(shared.services.clock.now(), REASON));
        if let Some(left_out) = shared.log.line(REASON, endpoint.name.as_str()) {
            info!(
                source = endpoint.name.as_str(),
                reason = REASON,
                left_out,
                "delivery refused: posted to another path"
            );
        }
    }
    Refusal::NotFound.answer()
}

/// `GET /livez`: the process runs, and none of its loops hangs.
pub(super) fn livez(method: &Method, shared: &Shared) -> Response {
    let hanging = shared.services.lifecycle.loops().hanging();
    if !matches!(*method, Method::GET | Method::HEAD) {
        Refusal::MethodNotAllowed { allow: "GET, HEAD" }.answer()
    } else if hanging.is_empty() {
        answer::text("ok\n")
    } else {
        answer::hangs(&hanging)
    }
}

/// Everything that can be refused before the body is read.
fn admit<'s>(
    head: &Head,
    endpoint: Option<&'s Arc<Endpoint>>,
    shared: &Shared,
) -> Result<&'s Arc<Endpoint>, (DeliveryResult, Refusal)> {
    let retry_after_s = shared.options.retry_after_s;
    if shared.services.lifecycle.is_stopping() {
        return Err((DeliveryResult::Stopping, Refusal::Stopping { retry_after_s }));
    }
    let body_bytes_max = shared.options.body_bytes_max as u64;
    if matches!(head.length, Length::Bytes(bytes) if bytes > body_bytes_max) {
        return Err((DeliveryResult::TooLarge, Refusal::TooLarge));
    }
    let Some(endpoint) = endpoint else {
        return Err((DeliveryResult::UnknownSource, Refusal::UnknownSource));
    };
    let of_source = endpoint.body_bytes_max(shared.options.body_bytes_max) as u64;
    if matches!(head.length, Length::Bytes(bytes) if bytes > of_source) {
        return Err((DeliveryResult::TooLarge, Refusal::TooLarge));
    }
    let bad = |refusal| Err((DeliveryResult::BadRequest, refusal));
    if head.method != Method::POST {
        return bad(Refusal::MethodNotAllowed { allow: "POST" });
    }
    match single(&head.headers, "content-type") {
        Ok(content_type) if endpoint.takes(content_type) => {
            if Charset::of(content_type).is_err() {
                return bad(Refusal::Charset);
            }
        }
        Ok(_) | Err(Unreadable) => return bad(Refusal::ContentType),
    }
    match single(&head.headers, "content-encoding") {
        Ok(None) => Ok(endpoint),
        Ok(Some(encoding)) if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") => Ok(endpoint),
        Ok(Some(_)) | Err(Unreadable) => bad(Refusal::ContentEncoding),
    }
}

/// Counts for `status` what was refused by its head.
fn note_refused(source: &str, endpoint: Option<&Arc<Endpoint>>, refusal: Refusal, method: &Method, shared: &Shared) {
    if !is_delivery(method) {
        return;
    }
    let now = shared.services.clock.now();
    match (endpoint, reported_reason(refusal)) {
        (Some(endpoint), Some(reason)) => endpoint.note(|seen| seen.refused(now, reason)),
        (Some(_), None) => {}
        (None, _) => shared.sources.note_unknown(source, now),
    }
}

/// A page view in a browser is not a delivery.
fn is_delivery(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The reason under which `status` reports a refusal; none if anybody at all could cause it.
fn reported_reason(refusal: Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::ContentType => Some("content_type"),
        Refusal::Charset => Some("charset"),
        Refusal::ContentEncoding => Some("content_encoding"),
        Refusal::TooLarge => Some("too_large"),
        Refusal::MethodNotAllowed { .. } => Some("method"),
        Refusal::TimedOut => Some("timed_out"),
        Refusal::Malformed
        | Refusal::HeadTooLarge
        | Refusal::UnknownSource
        | Refusal::NotFound
        | Refusal::HungUp
        | Refusal::Unauthorised
        | Refusal::Full { .. }
        | Refusal::Crowded { .. }
        | Refusal::Unavailable { .. }
        | Refusal::Stopping { .. } => None,
    }
}

/// A header that occurs twice, or is not text.
struct Unreadable;

fn single<'h>(headers: &'h Fields, name: &'h str) -> Result<Option<&'h str>, Unreadable> {
    let mut values = headers.all(name);
    let first = values.next();
    match (first, values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value).map(Some).ok_or(Unreadable),
        (Some(_), Some(_)) => Err(Unreadable),
    }
}

/// Reads, authenticates, maps and stores.
async fn deliver(
    endpoint: &Arc<Endpoint>,
    head: Head,
    body: Body<'_>,
    place: &mut ConnectionPermit,
    shot: &mut Option<Shot>,
    shared: &Shared,
) -> End {
    let source = endpoint.name.as_str();
    let began = shared.services.clock.now();
    let sender = traceparent(&head, shared);
    let timeout = Duration::from_millis(shared.options.body_timeout_ms);
    let bytes_max = endpoint.body_bytes_max(shared.options.body_bytes_max);
    let (body, share) = match body.read(bytes_max, timeout, &shared.memory).await {
        Ok(body) => body,
        Err(error) => return no_body(endpoint, error, shared),
    };
    place.works();
    if let Some(shot) = shot {
        shot.set_body(&body);
    }
    let delivery = delivery(head, body);
    let ready = endpoint.keys.current(endpoint.verifier.scheme());
    if let Some(answer) = endpoint.verifier.unsigned_handshake(&ready.keys, &delivery) {
        return handshake::answer(endpoint, answer, Proof::Unsigned, shared).await;
    }
    let now = shared.services.clock.now();
    let genuine = match endpoint.verifier.verify(&ready.keys, delivery, now) {
        Ok(genuine) => genuine,
        Err(refusal) => return unproven(endpoint, refusal, shared),
    };
    if let Some(answer) = endpoint.verifier.signed_handshake(&ready.keys, &genuine) {
        return handshake::answer(endpoint, answer, Proof::Signed, shared).await;
    }
    // An unauthenticated sender makes no spans.
    let mut span = shared.services.traces.delivery(source, sender, began);
    if let Some(context) = span.context() {
        tracing::Span::current().record("trace_id", context.trace());
    }
    let end = take_in(endpoint, genuine, now, (share, &span), shared).await;
    span.text("scim_bridge.result", end.result.as_str());
    span.number("scim_bridge.jobs", u64::try_from(end.listed.jobs_all).unwrap_or(u64::MAX));
    span.number("http.response.status_code", end.answer.status().as_u16().into());
    if end.answer.status().is_server_error() {
        span.failed(format_args!("{}", end.listed.reason.unwrap_or(end.result.as_str())));
    }
    end
}

/// The sender's place in a trace, if it is given and should be followed.
fn traceparent(head: &Head, shared: &Shared) -> Option<TraceContext> {
    if !shared.services.traces.are_on() {
        return None;
    }
    let value = single(&head.headers, TRACEPARENT).ok().flatten();
    value.and_then(TraceContext::parse)
}

/// Maps and stores a genuine delivery.
async fn take_in(
    endpoint: &Arc<Endpoint>,
    genuine: Genuine,
    now: UnixMs,
    (share, span): (Share, &Span),
    shared: &Shared,
) -> End {
    let source = endpoint.name.as_str();
    let event_id = endpoint.verifier.event_id(&genuine).map(deliveries::shown);
    let body_bytes = genuine.delivery.get().body.len();
    let parsed = parsed_bytes(&genuine.delivery.get().body);
    let mut turn = match shared.memory.turn(&endpoint.memory, share, body_bytes, parsed).await {
        Ok(turn) => turn,
        Err(bound) => return no_body(endpoint, BodyError::Crowded(bound), shared),
    };
    let trace = span.context();
    let mapped = if parsed <= MAPPED_HERE_BYTES_MAX {
        Ok(read(endpoint, &genuine, now, trace))
    } else {
        // Here it would block everything else on this thread.
        let endpoint = endpoint.clone();
        tokio::task::spawn_blocking(move || read(&endpoint, &genuine, now, trace)).await
    };
    let Mapped { status, new, ids, is_whole, mut listed } = match mapped {
        Ok(mapped) => mapped,
        Err(error) => {
            error!(source, panicked = error.is_panic(), "delivery not mapped: its task ended early");
            return End::unavailable(shared.options.retry_after_s);
        }
    };
    listed.event_id = event_id;
    // From here on, only what will be stored is in memory.
    turn.shrink_to(KEPT_PER_BODY * body_bytes + KEPT_PER_RECORD_BYTES * ids.len());
    if ids.is_empty() {
        debug!(source, "delivery ignored: the mapping uses nothing in it");
        endpoint.note(|seen| seen.genuine(now, GenuineResult::Ignored));
        return End { listed, ..End::new(DeliveryResult::Ignored, answer::taken("ignored", &[])) };
    }
    // A reason is shown only for a delivery that is ignored as a whole.
    listed.reason = None;
    // In a task of its own, so that it is stored even if the sender hangs up.
    let store = shared.services.store.clone();
    let accepted = tokio::spawn(async move { again::accept(&*store, now, new).await }).await;
    let (accepted, ids) = match accepted {
        Ok(Ok((accepted, ids))) => (Ok(Ok(accepted)), ids),
        Ok(Err(error)) => (Ok(Err(error)), ids),
        Err(error) => (Err(error), ids),
    };
    stored(endpoint, Stored { status, ids, is_whole, listed, at: now }, accepted, shared)
}

/// The result of mapping a genuine delivery.
struct Mapped {
    status: DeliveryResult,
    new: NewDelivery,
    /// The ids of its jobs and dead letters, in order.
    ids: Vec<JobId>,
    /// Whether every field that was present could be used.
    is_whole: bool,
    listed: DeliveryEntry,
}

/// What is reported about a delivery once it is stored.
struct Stored {
    status: DeliveryResult,
    ids: Vec<JobId>,
    is_whole: bool,
    listed: DeliveryEntry,
    at: UnixMs,
}

fn no_body(endpoint: &Endpoint, error: BodyError, shared: &Shared) -> End {
    let retry_after_s = shared.options.retry_after_s;
    let (result, refusal, bound) = match error {
        BodyError::TooLarge => (DeliveryResult::TooLarge, Refusal::TooLarge, None),
        BodyError::TimedOut => (DeliveryResult::TimedOut, Refusal::TimedOut, None),
        BodyError::HungUp => (DeliveryResult::HungUp, Refusal::HungUp, None),
        BodyError::Malformed => (DeliveryResult::BadRequest, Refusal::Malformed, None),
        BodyError::Crowded(bound) => (DeliveryResult::Full, Refusal::Crowded { bound, retry_after_s }, Some(bound)),
    };
    let now = shared.services.clock.now();
    if let Some(reason) = reported_reason(refusal) {
        endpoint.note(|seen| seen.refused(now, reason));
    }
    if let Some(bound) = bound {
        endpoint.note(|seen| seen.full(now, bound.as_str()));
    }
    let reason = bound.map(Bound::as_str).or(reported_reason(refusal)).unwrap_or(refusal.word());
    if let Some(left_out) = shared.log.line(reason, endpoint.name.as_str()) {
        let bound = bound.map(Bound::as_str);
        info!(
            source = endpoint.name.as_str(),
            result = result.as_str(),
            bound,
            left_out,
            "incomplete body, or no memory for it"
        );
    }
    End::refused(result, refusal, reason)
}

fn delivery(head: Head, body: Bytes) -> Delivery {
    let field = |(name, value): (&str, &[u8])| (name.to_ascii_lowercase(), value.to_vec());
    let headers = head.headers.iter().map(field).collect();
    Delivery { method: head.method.as_str().to_owned(), url: head.target, headers, body }
}

/// Maps a genuine delivery.
fn read(endpoint: &Endpoint, genuine: &Genuine, now: UnixMs, trace: Option<TraceContext>) -> Mapped {
    let source = &endpoint.name;
    let mut entries = Vec::new();
    let mut unmapped = Vec::new();
    let (mut says_something, mut is_whole, mut listed) = (false, true, DeliveryEntry::default());
    let (mut in_time, mut says) = (None, Says::default());
    let mut is_understood = true;
    for record in map(&endpoint.mapping, source, &genuine.delivery) {
        let dropped = match record {
            Record::Event { event, dropped, is_zoneless } => {
                says_something |= event.kind != EventKind::Notice;
                listed.add_type(event.kind.as_str());
                if let Some(at) = event.at {
                    let is_ahead = at.ms_since(now) > AHEAD_MS_MAX;
                    in_time = Some(in_time.unwrap_or(true) && !is_ahead);
                    if is_ahead {
                        endpoint.note(|seen| seen.note_ahead(now));
                    }
                    if is_zoneless {
                        endpoint.note(|seen| seen.note_zoneless(now, at));
                    }
                }
                // A time that cannot be used is reported as such.
                let is_dropped = dropped.iter().any(|problem| problem.field == "occurred_at");
                if event.kind != EventKind::Notice && !is_dropped {
                    endpoint.note(|seen| seen.note_event(now, event.kind, event.at.is_some()));
                }
                is_understood &= again::is_understood(&event, &dropped);
                event.hash(&mut says);
                let person = event.person.clone();
                let job = new_job_id(person.id());
                let entry =
                    Entry { accepted_at: now, word: Word::Event { job, event: Box::new(event), letter: None }, trace };
                entries.push(NewEntry { job, person, bytes: entry.to_bytes().into() });
                dropped
            }
            Record::Ignored(ignored) => {
                if let (IgnoredWhy::NotNamed, Some(type_value)) = (ignored.why, &ignored.type_value) {
                    endpoint.note(|seen| seen.unnamed_type(now, type_value));
                }
                if let Some(type_value) = &ignored.type_value {
                    listed.add_type(type_value);
                }
                listed.reason = Some(ignored.why.as_str());
                ignored.dropped
            }
            Record::Unmapped { person, code, detail, fields, kind, is_beside_event, payload } => {
                says_something = true;
                // Of thousands of records that fail alike, only the first few are logged; all become dead letters.
                if unmapped.len() < LOGGED_MAX {
                    warn!(source = source.as_str(), %code, detail, "a record could not be mapped: kept as a dead letter");
                }
                payload.hash(&mut says);
                let id = new_job_id(person.as_ref().map_or(NOBODY, Person::id));
                let beside = entries.last_mut().filter(|_| is_beside_event);
                note_letter(beside, Letter::of(id, &fields));
                let code = code.as_str().to_owned();
                let row = DeadRow {
                    id,
                    source: source.clone(),
                    person,
                    event: kind,
                    died_at: now,
                    code,
                    detail,
                    unmapped: true,
                };
                unmapped.push(NewUnmapped { row, payload });
                continue;
            }
        };
        for problem in dropped {
            is_whole = false;
            endpoint.note(|seen| seen.dropped(now, problem.field));
        }
    }
    if in_time == Some(true) {
        endpoint.note(|seen| seen.in_time_at = seen.in_time_at.max(now));
    }
    if unmapped.len() > LOGGED_MAX {
        warn!(source = source.as_str(), records = unmapped.len(), "records of one delivery could not be mapped");
    }
    // Jobs, then dead letters: the order in which the store returns them for a duplicate.
    let ids = entries.iter().map(|entry| entry.job).chain(unmapped.iter().map(|record| record.row.id)).collect();
    let status = if entries.is_empty() { DeliveryResult::Unmapped } else { DeliveryResult::Accepted };
    let not_understood = (!is_understood || !unmapped.is_empty()).then_some(&endpoint.fingerprint);
    let dedupe = genuine.dedupe_key(source, says_something, not_understood).map(|known| Dedupe {
        key: known.key,
        only_while_newest: known.only_while_newest,
        remember_ms: endpoint.remember_ms,
        says: says.number(),
    });
    let new = NewDelivery { source: source.clone(), dedupe, entries, unmapped };
    Mapped { status, new, ids, is_whole, listed }
}

/// Notes the dead letter with the event that has the rest of its record.
fn note_letter(entry: Option<&mut NewEntry>, letter: Option<Letter>) {
    let Some((letter, entry)) = letter.zip(entry) else { return };
    if let Some(bytes) = Entry::with_letter(&entry.bytes, letter) {
        entry.bytes = bytes.into();
    }
}

fn stored(
    endpoint: &Endpoint,
    stored: Stored,
    accepted: Result<Result<Accepted, StoreError>, tokio::task::JoinError>,
    shared: &Shared,
) -> End {
    let Stored { status, ids, is_whole, mut listed, at } = stored;
    let source = endpoint.name.as_str();
    match accepted {
        Ok(Ok(Accepted::Stored)) => {
            let result =
                if status == DeliveryResult::Unmapped { GenuineResult::Unmapped } else { GenuineResult::Accepted };
            endpoint.note(|seen| {
                seen.genuine(at, result);
                if is_whole {
                    seen.whole_at = seen.whole_at.max(at);
                }
            });
            info!(source, result = status.as_str(), jobs = %Ids(&ids), "delivery stored");
            listed.jobs(&ids);
            End { listed, ..End::new(status, answer::taken(status.as_str(), &ids)) }
        }
        Ok(Ok(Accepted::Duplicate { ids })) => {
            endpoint.note(|seen| seen.genuine(at, GenuineResult::Duplicate));
            info!(source, jobs = %Ids(&ids), "duplicate: stored before");
            listed.jobs(&ids);
            End { listed, ..End::new(DeliveryResult::Duplicate, answer::taken("duplicate", &ids)) }
        }
        Ok(Ok(Accepted::Conflict { ids })) => {
            endpoint.note(|seen| {
                seen.genuine(at, GenuineResult::Duplicate);
                seen.conflict(at);
            });
            warn!(source, jobs = %Ids(&ids), "duplicate by its id, but with other content than the first one");
            listed.jobs(&ids);
            End { listed, ..End::new(DeliveryResult::Duplicate, answer::taken("duplicate", &ids)) }
        }
        Ok(Ok(Accepted::Full(bound))) => {
            endpoint.note(|seen| seen.full(at, answer::full_word(bound)));
            if let Some(left_out) = shared.log.line(answer::full_word(bound), source) {
                warn!(
                    source,
                    bound = answer::full_word(bound),
                    left_out,
                    "a bound of the store is reached: delivery refused for now"
                );
            }
            let refusal = Refusal::Full { bound, retry_after_s: shared.options.retry_after_s };
            listed.reason = Some(answer::full_word(bound));
            End { listed, ..End::new(DeliveryResult::Full, refusal.answer()) }
        }
        Ok(Err(error)) => {
            if let Some(left_out) = shared.log.line("not_stored", source) {
                error!(source, %error, left_out, "delivery not stored");
            }
            End::unavailable(shared.options.retry_after_s)
        }
        Err(error) => {
            if let Some(left_out) = shared.log.line("task_ended", source) {
                error!(source, panicked = error.is_panic(), left_out, "delivery not stored: its task ended early");
            }
            End::unavailable(shared.options.retry_after_s)
        }
    }
}

fn unproven(endpoint: &Endpoint, refusal: signature::Refusal, shared: &Shared) -> End {
    let source = endpoint.name.as_str();
    endpoint.counters.refused(refusal);
    endpoint.note(|seen| seen.refused(shared.services.clock.now(), refusal.reason()));
    if refusal == signature::Refusal::NoUsableSecret {
        if let Some(left_out) = shared.log.line(refusal.reason(), source) {
            error!(source, reason = refusal.reason(), left_out, "delivery refused for now: {refusal}");
        }
        // The fault is ours: after a 4xx, the sender may never send it again.
        let unavailable = Refusal::Unavailable { retry_after_s: shared.options.retry_after_s };
        return End::refused(DeliveryResult::Unavailable, unavailable, refusal.reason());
    }
    if let Some(left_out) = shared.log.line(refusal.reason(), source) {
        warn!(source, reason = refusal.reason(), left_out, "delivery refused: {refusal}");
    }
    End::refused(DeliveryResult::Forged, Refusal::Unauthorised, refusal.reason())
}

/// Ids as a log shows them.
struct Ids<'a>(&'a [JobId]);

impl std::fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, id) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            id.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_source_in_any_case_and_with_slashes_to_spare() {
        for path in ["/webhooks/hr", "/webhooks/hr/", "/webhooks/HR", "//webhooks//hr//"] {
            assert_eq!(source_in(path).as_deref(), Some("hr"), "{path}");
        }
        for path in ["/", "/webhooks", "/webhooks/", "/webhook/hr", "/webhooks/hr/x", "/x/webhooks/hr"] {
            assert_eq!(source_in(path), None, "{path}");
        }
    }
}
