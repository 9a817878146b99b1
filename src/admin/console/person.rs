//! One person: their state in a sentence, the record next to the member, and their story.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::people::mark_name;
use super::session::Session;
use super::{FormReply, Page, State, go_to, live};
use crate::admin::error::AdminError;
use crate::admin::people::{JobState, WholePerson, parse_person};
use crate::admin::summary::{PersonSummary, summary};
use crate::admin::words;
use crate::core::person::Document;
use crate::core::person::story::{Note, StoryEntry};
use crate::core::target_name::said;
use crate::core::time::UnixMs;
use crate::store::LaneState;

/// Which person, and what was just done.
#[derive(Deserialize)]
pub(super) struct Query {
    source: String,
    employee_id: String,
    done: Option<String>,
}

/// Whom to try now.
#[derive(Deserialize)]
pub(super) struct TryNow {
    form_token: String,
    source: String,
    employee_id: String,
}

/// `GET /person`
pub(super) async fn show(state: State, session: Session, query: web::Query<Query>) -> Page {
    let person = parse_person(&query.source, &query.employee_id)?;
    let body = match state.person(&person).await {
        Ok(whole) => {
            let summary = summary(&whole, &state.holds().await?);
            body(state.now(), &session, &whole, &summary)
        }
        Err(AdminError::NotFound(_)) => {
            let key = person.to_string();
            super::people::nobody_found(&key, &state.clues(&key).await)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(layout::page(
        &person.to_string(),
        Nav::People,
        Some(&session),
        &html! {
            p .pager { a href="/people" { "← People" } }
            (layout::done(query.done.as_deref(), None))
            (body)
        },
    ))
}

/// `POST /person/try`
pub(super) async fn try_now(state: State, session: Session, given: web::Form<TryNow>) -> FormReply {
    let by = session.authorise(&given.form_token)?;
    let person = parse_person(&given.source, &given.employee_id)?;
    state.try_now(by, &person).await?;
    Ok(go_to(&format!("{}&done=due", layout::person_page(&person))))
}

fn body(now: UnixMs, session: &Session, whole: &WholePerson, summary: &PersonSummary) -> Markup {
    let view = &whole.view;
    let name = view.name();
    let fields = [("source", view.person.source.as_str()), ("employee_id", view.person.employee_id.as_str())];
    html! {
        h1 { @if name.is_empty() { (view.person) } @else { (name) } " " (layout::state(view.row.lane.state)) }
        p .quiet { (view.person) @for mark in view.document.as_ref().map(Document::marks).unwrap_or_default() { " · " (mark_name(mark)) } }
        div #answer data-live { (sentence(now, summary)) }
        div .actions {
            @if summary.waits_for.is_some() { (layout::button(session, "/person/try", "Try now", "plain", &fields)) }
            (live::button(session, view.person.source.as_str(), &view.person.employee_id, said("Ask Postman now")))
        }
        div #beside data-live { (live::beside(now, view.document.as_ref(), None)) }
        div #open data-live { (open_jobs(now, whole)) }
        div #story data-live { (story(now, whole)) }
    }
}

/// Their situation, and what to do.
pub(super) fn sentence(now: UnixMs, summary: &PersonSummary) -> Markup {
    let fine = summary.waits_for.as_ref().is_none_or(|waits_for| {
        waits_for.code.is_none() && !matches!(waits_for.state, LaneState::Blocked | LaneState::Incomplete)
    });
    html! {
        section .card .answer .fine[fine] {
            p .what { (layout::prose(&summary.sentence)) }
            @if let Some(waits_for) = &summary.waits_for {
                @if let Some(action) = &waits_for.action { p .todo { (layout::prose(action)) } }
                p .quiet {
                    "since " (layout::time(now, waits_for.since))
                    @if let Some(code) = waits_for.code { " · " (layout::code(code.as_str())) }
                    @if let Some(due) = waits_for.due_at { " · due " (layout::time(now, due)) }
                }
            }
        }
    }
}

fn open_jobs(now: UnixMs, whole: &WholePerson) -> Markup {
    let jobs = whole.view.open_jobs();
    html! {
        @if !jobs.is_empty() {
            section {
                h2 { "Open jobs" }
                ul .plain {
                    @for job in &jobs {
                        li {
                            (layout::id(job.id)) " " (job.kind.map_or("event", |kind| kind.as_str())) " "
                            @match job.state { JobState::Open(state) => (layout::state(state)), JobState::Done(..) => {} }
                            @if let Some(at) = job.accepted_at { " " span .quiet { "accepted " (layout::time(now, at)) } }
                        }
                    }
                }
            }
        }
    }
}

/// What happened, oldest first.
fn story(now: UnixMs, whole: &WholePerson) -> Markup {
    html! {
        section {
            h2 { "Story" }
            @if whole.story_dropped > 0 { p .quiet { (whole.story_dropped) " older entries were dropped." } }
            @if whole.story.is_empty() {
                p .quiet { "Nothing has happened yet." }
            } @else {
                ol .history {
                    @for entry in &whole.story {
                        li class=(colour(entry)) {
                            span { (words::note_text(&entry.note)) }
                            (layout::time(now, entry.at))
                        }
                    }
                }
            }
        }
    }
}

fn colour(entry: &StoryEntry) -> &'static str {
    match &entry.note {
        Note::Ended { .. } => "done",
        Note::Blocked { .. } => "dead",
        Note::Received { .. } => "received",
        Note::Called { .. }
        | Note::Read { .. }
        | Note::TakenOver
        | Note::RetryAt { .. }
        | Note::Held { .. }
        | Note::Scheduled { .. }
        | Note::LooksAgain { .. }
        | Note::Incomplete { .. }
        | Note::GivenBack
        | Note::Replayed { .. }
        | Note::Discarded { .. }
        | Note::TakenFrom { .. }
        | Note::HandedOver { .. }
        | Note::Other(_) => "",
    }
}
