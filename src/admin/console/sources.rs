//! Deliveries: their results for each source, and the last ones, one by one.

use actix_web::web;
use maud::{Markup, html};

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State};
use crate::admin::api::deliveries::DeliveriesQuery;
use crate::admin::deliveries::SourceDelivery;
use crate::admin::listing;
use crate::admin::service::AdminState;
use crate::core::deliveries::Answered;
use crate::core::problems::SourceFigures;
use crate::core::tally::Seen;
use crate::core::time::UnixMs;

/// `GET /deliveries`
pub(super) async fn show(state: State, session: Session, query: web::Query<DeliveriesQuery>) -> Page {
    let page = listing::page(query.limit, query.after.as_deref())?;
    let listed = state.deliveries(&query.filter()?, &page).await?;
    let overview = state.overview().await?.readable()?;
    let figures = &overview.figures;
    Ok(layout::page(
        "Deliveries",
        Nav::Deliveries,
        Some(&session),
        &html! {
            h1 { "Deliveries" }
            p .quiet { "The deliveries of each HR system, and their results." }
            div #sources data-live {
                @for source in &figures.sources {
                    section .card id=(source.name) {
                        h2 { (source.name) }
                        (about(figures.now, source, figures.entries.get(source.name.as_str()).copied().unwrap_or(0)))
                        p .pager { a href={ "/deliveries?source=" (source.name) "#last" } { "Its last deliveries →" } " · " a href={ "/try?source=" (source.name) } { "Try a payload →" } }
                    }
                }
            }
            h2 #last { "The last deliveries" }
            (filters(&state, &query))
            div #deliveries data-live { (rows(state.now(), &listed.rows)) }
            (layout::next(&here(&query), listed.next.as_deref()))
        },
    ))
}

/// The page's own query, up to a cursor.
fn here(query: &DeliveriesQuery) -> String {
    let part = |text: &Option<String>| listing::percent_encoded(text.as_deref().unwrap_or_default());
    let (source, result, request) = (part(&query.source), part(&query.result), part(&query.request_id));
    format!("/deliveries?source={source}&result={result}&request_id={request}&")
}

fn filters(state: &AdminState, query: &DeliveriesQuery) -> Markup {
    let is = |given: &Option<String>, value: &str| given.as_deref() == Some(value);
    html! {
        form .search .card method="get" action="/deliveries#last" {
            div {
                label for="source" { "Source" }
                select #source name="source" {
                    option value="" { "any" }
                    @for source in state.source_names() { option value=(source) selected[is(&query.source, source.as_str())] { (source) } }
                }
            }
            div {
                label for="result" { "Answered" }
                select #result name="result" {
                    option value="" { "any" }
                    @for answered in Answered::ALL { option value=(answered.as_str()) selected[is(&query.result, answered.as_str())] { (name(answered)) } }
                }
            }
            div .wide {
                label for="request_id" { "Request id" }
                input #request_id name="request_id" value=[query.request_id.as_deref()] placeholder="the X-Request-Id of the answer" autocomplete="off";
            }
            button .plain type="submit" { "Filter" }
        }
    }
}

fn name(answered: Answered) -> &'static str {
    match answered {
        Answered::Duplicate => "known already",
        Answered::Unmapped => "could not be mapped",
        Answered::PutOff => "put off",
        Answered::Accepted | Answered::Ignored | Answered::Handshake | Answered::Refused | Answered::Other => {
            answered.as_str()
        }
    }
}

fn colour(answered: Answered) -> &'static str {
    match answered {
        Answered::Accepted | Answered::Duplicate | Answered::Handshake => "state done",
        Answered::Unmapped | Answered::Refused => "state dead",
        Answered::PutOff => "state held",
        Answered::Ignored | Answered::Other => "state",
    }
}

fn rows(now: UnixMs, deliveries: &[SourceDelivery]) -> Markup {
    if deliveries.is_empty() {
        return html! { p { "There are none." } };
    }
    html! {
        div .scroll {
            table {
                thead { tr { th { "When" } th { "Source" } th { "Answered" } th { "Contains" } th { "Became" } th { "Request" } } }
                tbody { @for delivery in deliveries { (row(now, delivery)) } }
            }
        }
    }
}

fn row(now: UnixMs, SourceDelivery { source, delivered }: &SourceDelivery) -> Markup {
    let more = delivered.jobs_all.saturating_sub(u64::try_from(delivered.jobs.len()).unwrap_or_default());
    html! {
        tr {
            td data-name="When" { (layout::time(now, delivered.at)) }
            td data-name="Source" { @match source { Some(source) => (source), None => { span .quiet { "not configured" } } } }
            td data-name="Answered" {
                span class=(colour(delivered.answered)) { (name(delivered.answered)) }
                @if let Some(reason) = &delivered.reason { " " span .quiet { (reason.replace('_', " ")) } }
            }
            td data-name="Contains" {
                (delivered.types.join(", "))
                @if let Some(id) = &delivered.event_id { " " span .quiet { "event " code { (id) } } }
            }
            td data-name="Became" {
                @for job in &delivered.jobs { a href={ "/jobs/" (job) } { (layout::id(*job)) } " " }
                @if more > 0 { span .quiet { "and " (more) " more" } }
            }
            td data-name="Request" { code { (delivered.request) } " " span .quiet { "from " (delivered.peer) } }
        }
    }
}

fn about(now: UnixMs, source: &SourceFigures, entries: u64) -> Markup {
    let tally = &source.tally;
    let fates = [
        ("accepted", tally.accepted),
        ("known already", tally.duplicates),
        ("ignored", tally.ignored),
        ("could not be mapped", tally.unmapped),
        ("handshakes", tally.handshakes),
        ("handshakes without a signature", tally.unsigned_handshakes),
        ("tokens offered", tally.token_offered),
    ];
    let words = [
        ("refused", &tally.refused),
        ("put off", &tally.full),
        ("of a type that nothing names", &tally.unnamed_types),
        ("used without", &tally.dropped),
    ];
    let listed: Vec<(String, Seen)> = fates
        .into_iter()
        .map(|(what, seen)| (what.to_owned(), seen))
        .chain(words.into_iter().flat_map(|(what, words)| {
            words.iter().map(move |(word, seen)| (format!("{what}: {}", word.replace('_', " ")), *seen))
        }))
        .filter(|(_, seen)| seen.count > 0)
        .collect();
    html! {
        dl .facts {
            dt { "Last genuine delivery" } dd { @if tally.good_at() > UnixMs(0) { (layout::time(now, tally.good_at())) } @else { "none seen" } }
            dt { "Waiting to be read" } dd { (entries) @if entries == 1 { " event" } @else { " events" } }
            @if let Some(until) = source.secret_until { dt { "Secret expires" } dd { (layout::time(now, until)) } }
        }
        @if !listed.is_empty() {
            div .scroll {
                table {
                    thead { tr { th { "What" } th { "How often" } th { "First" } th { "Last" } } }
                    tbody {
                        @for (what, seen) in listed {
                            tr {
                                td data-name="What" { (what) }
                                td .number data-name="How often" { (seen.count) }
                                td data-name="First" { (layout::time(now, seen.since)) }
                                td data-name="Last" { (layout::time(now, seen.last_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
