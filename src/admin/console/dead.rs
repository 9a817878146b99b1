//! Dead letters: the list, one of them, and what to do with it.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::{Bare, Session};
use super::{Done, Page, State, go_to, timeline};
use crate::admin::listing;
use crate::core::job::{DeadLetter, DeadOrigin};
use crate::core::time::UnixMs;
use crate::store::DeadSummary;

/// Where in the list.
#[derive(Deserialize)]
pub(super) struct Query {
    before: Option<String>,
    done: Option<String>,
}

/// `GET /dead`
pub(super) async fn list(state: State, session: Session, query: web::Query<Query>) -> Page {
    let page = listing::page(None, query.before.as_deref())?;
    let dead = state.dead_letters(&page).await?;
    let next = listing::next(&page, &dead, |summary| summary.id);
    Ok(layout::page(
        "Dead letters",
        Nav::Dead,
        Some(&session),
        &html! {
            h1 { "Dead letters" }
            (layout::done(query.done.as_deref()))
            p .quiet { "What cannot succeed as it is, kept whole until somebody replays or discards it." }
            @if dead.is_empty() { p { "There are none." } } @else { (rows(state.now(), &dead)) }
            (layout::older("/dead?", next))
        },
    ))
}

/// Dead letters as a table.
pub(super) fn rows(now: UnixMs, dead: &[DeadSummary]) -> Markup {
    html! {
        div .scroll {
            table {
                thead { tr { th { "Dead letter" } th { "Person" } th { "Was" } th { "Why" } th { "Since" } th { "Holds up" } } }
                tbody {
                    @for letter in dead {
                        tr {
                            td { a href={ "/dead/" (letter.id) } { (layout::id(letter.id)) } }
                            td { @match &letter.person { Some(person) => (layout::person(person)), None => { (letter.source) " (person not told)" } } }
                            td { (letter.event.map_or("unmapped", |kind| kind.as_str())) }
                            td { (layout::code(letter.code)) br; span .quiet { (letter.detail) } }
                            td { (layout::time(now, letter.died_at)) }
                            td { @if letter.parks_lane { "later changes" } }
                        }
                    }
                }
            }
        }
    }
}

/// `GET /dead/{id}`
pub(super) async fn show(state: State, session: Session, id: web::Path<String>) -> Page {
    let letter = state.dead_letter(listing::id(&id)?).await?;
    let now = state.now();
    Ok(layout::page(
        "Dead letter",
        Nav::Dead,
        Some(&session),
        &html! {
            h1 { "Dead letter " (layout::code(letter.code)) }
            section .card .answer {
                p .what { (layout::prose(letter.code.title())) }
                p .todo { (layout::prose(letter.code.advice())) }
                @if !letter.detail.is_empty() { p .quiet { (letter.detail) } }
            }
            (actions(&session, &letter))
            (facts(now, &letter))
            @match &letter.origin {
                DeadOrigin::Job(job) => { section { h2 { "History" } (timeline::history(now, &job.history)) } }
                DeadOrigin::Unmapped { payload, .. } => { section { h2 { "As received" } pre .payload { (payload) } } }
            }
        },
    ))
}

fn actions(session: &Session, letter: &DeadLetter) -> Markup {
    let path = format!("/dead/{}", letter.id);
    html! {
        div .actions {
            (layout::button(session, &format!("{path}/replay"), "Replay", "primary", &[]))
            details {
                summary { "Discard…" }
                p { "It is gone for good then" @if letter.parks_lane { ", and the person's later changes go on without it" } "." }
                (layout::button(session, &format!("{path}/discard"), "Discard for good", "danger", &[]))
            }
        }
    }
}

fn facts(now: UnixMs, letter: &DeadLetter) -> Markup {
    html! {
        dl .facts {
            dt { "Id" } dd { code { (letter.id) } }
            dt { "Source" } dd { (letter.source) }
            @if let Some(person) = letter.person() { dt { "Person" } dd { (layout::person(person)) } }
            @if let DeadOrigin::Job(job) = &letter.origin {
                (layout::event(&job.event))
                dt { "Accepted" } dd { (layout::time(now, job.accepted_at)) }
                dt { "Attempts" } dd { (job.attempts) }
            }
            dt { "Died" } dd { (layout::time(now, letter.died_at)) }
            dt { "Holds up" } dd { @if letter.parks_lane { "the person's later changes" } @else { "nothing" } }
        }
    }
}

/// `POST /dead/{id}/replay`
pub(super) async fn replay(state: State, session: Session, id: web::Path<String>, given: web::Form<Bare>) -> Done {
    session.check(&given.form_token)?;
    state.replay(listing::id(&id)?).await?;
    Ok(go_to("/dead?done=replayed"))
}

/// `POST /dead/{id}/discard`
pub(super) async fn discard(state: State, session: Session, id: web::Path<String>, given: web::Form<Bare>) -> Done {
    session.check(&given.form_token)?;
    state.discard(listing::id(&id)?).await?;
    Ok(go_to("/dead?done=discarded"))
}
