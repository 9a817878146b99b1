//! Try it: paste a payload, see what it would do. Nothing is done.

use actix_web::web;
use bytes::Bytes;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::live;
use super::session::Session;
use super::{Page, State};
use crate::admin::error::AdminError;
use crate::admin::service::AdminState;
use crate::admin::trial::{CallTried, PersonTried, Trial, Tried};
use crate::core::mapping::{FieldExplanation, RecordExplanation, RecordResult};
use crate::core::person::SourceName;
use crate::core::target_name::said;

/// Longest form: a payload of some 200 KB.
pub(super) const FORM_BYTES_MAX: usize = 256 * 1024;

/// Which source is chosen at first.
#[derive(Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    source: String,
}

/// What to try.
#[derive(Deserialize)]
pub(super) struct Given {
    form_token: String,
    source: String,
    payload: String,
    #[serde(default)]
    live: bool,
}

/// `GET /try`
pub(super) async fn ask(state: State, session: Session, query: web::Query<Query>) -> Page {
    Ok(page(&session, &form(&state, &session, &query.source, "", false), None))
}

/// `POST /try`
pub(super) async fn show(state: State, session: Session, given: web::Form<Given>) -> Page {
    session.check(&given.form_token)?;
    let Given { source, payload, live, .. } = given.into_inner();
    let trial = Trial {
        source: SourceName::parse(&source).map_err(AdminError::BadRequest)?,
        payload: Bytes::from(payload.clone()),
        values: true,
        live,
    };
    let tried = state.try_payload(&trial).await?;
    let form = form(&state, &session, &source, &payload, live);
    Ok(page(&session, &form, Some(&result(&state, &tried))))
}

fn page(session: &Session, form: &Markup, result: Option<&Markup>) -> Markup {
    layout::page(
        "Try it",
        Nav::Try,
        Some(session),
        &html! {
            h1 { "Try it" }
            p .quiet { "What the body of a delivery would do: how it is mapped, what the record would be, which calls would be made. None is made, and nothing is kept." }
            (form)
            @if let Some(result) = result { (result) }
        },
    )
}

fn form(state: &AdminState, session: &Session, source: &str, payload: &str, is_live: bool) -> Markup {
    html! {
        form .card method="post" action="/try" {
            input type="hidden" name="form_token" value=(session.form_token());
            div {
                label for="source" { "Source" }
                select #source name="source" {
                    @for name in state.source_names() { option value=(name) selected[name.as_str() == source] { (name) } }
                }
            }
            div {
                label for="payload" { "Payload" }
                textarea #payload name="payload" rows="10" required spellcheck="false" { (payload) }
            }
            p .tick {
                input #live type="checkbox" name="live" value="true" checked[is_live];
                label for="live" { (said("Ask Postman for the members as they are now (counts against its rate limit)")) }
            }
            button .primary type="submit" { "Try" }
        }
    }
}

fn result(state: &AdminState, tried: &Tried) -> Markup {
    html! {
        section {
            h2 { "How it is mapped" }
            @if let Some(problem) = &tried.mapping.problem {
                div .card .answer {
                    p .what { "It would be kept as a dead letter: " (problem.detail) " " (layout::code(problem.code.as_str())) }
                    p .todo { (layout::prose(problem.code.advice())) }
                }
            }
            @for record in &tried.mapping.records { (mapped(record)) }
        }
        @for person in &tried.people { (of_person(state, person)) }
        @if tried.left_out > 0 { p .quiet { (tried.left_out) " more people are not planned for here." } }
    }
}

fn mapped(record: &RecordExplanation) -> Markup {
    html! {
        div .card {
            p .what {
                @match &record.result {
                    RecordResult::Event { event, end, again } => {
                        "An event (" (event.kind.as_str()) ") of " (layout::person(&event.person))
                        @if end.is_some() { ", and an announced end of employment" }
                        @if again.is_some() { ", and an announced return after it" }
                    }
                    RecordResult::Ignored { why, type_value } => { "Ignored (" (why.replace('_', " ")) "): its type is " code { (type_value) } }
                    RecordResult::Unmapped { code, detail, .. } => { "A dead letter " (layout::code(code.as_str())) ": " (detail) }
                }
            }
            p .quiet { "Record at " code { @if record.at.is_empty() { "(the whole body)" } @else { (record.at) } } }
            (fields(&record.fields))
            @if matches!(record.result, RecordResult::Unmapped { .. }) {
                details { summary { "What the record has" } p { @for path in &record.paths { code { (path) } " " } } }
            }
        }
    }
}

/// Field by field.
pub(super) fn fields(fields: &[FieldExplanation]) -> Markup {
    html! {
        div .scroll {
            table {
                thead { tr { th { "Field" } th { "Found at" } th { "Value" } th { "Problem" } } }
                tbody {
                    @for field in fields {
                        tr {
                            td data-name="Field" { (field.field) }
                            td data-name="Found at" {
                                @match &field.found_at {
                                    Some(at) => code { (at) },
                                    None => span .quiet { "not there: looked at " @for path in &field.paths { code { (path) } " " } },
                                }
                            }
                            td data-name="Value" { (field.value.as_deref().unwrap_or("")) }
                            td data-name="Problem" {
                                (field.problem.as_deref().unwrap_or(""))
                                @if let Some(zone) = &field.zone { "gives no zone: read as " (zone) }
                                @if field.problem.is_none() && !field.failed.is_empty() {
                                    "tried before it, and failed: " @for way in &field.failed { code { (way) } " " }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn of_person(state: &AdminState, tried: &PersonTried) -> Markup {
    let now = state.now();
    html! {
        section .card {
            h2 { "What would be done for " (layout::person(&tried.person)) }
            p {
                @if tried.is_known { "The bridge knows them. " } @else { "The bridge does not know them. " }
                @if tried.news.is_empty() { "Nothing in it is new." } @else { "News: " (tried.news.join(", ")) "." }
            }
            @if let Some((code, detail)) = &tried.preview.blocked {
                p .alert { (layout::prose(code.title())) " " (layout::prose(detail)) " " (layout::code(code.as_str())) }
                p .todo { (layout::prose(code.advice())) }
            }
            @if tried.preview.incomplete { p .alert { "They would wait: HR has not said enough." } }
            (live::beside(now, Some(&tried.document), tried.live.as_ref()))
            @if let Some(look) = &tried.live { (live::calls(now, look)) }
            h2 { "Calls, in order, if all goes well" }
            @if tried.calls.is_empty() { p { (said("None: nothing would change at Postman.")) } }
            ol { @for call in &tried.calls { li { (shown(call)) } } }
        }
    }
}

fn shown(call: &CallTried) -> Markup {
    html! {
        code { (call.line) }
        @if let Some(body) = &call.body { pre .payload { (body) } }
    }
}
