//! Jobs by state, and one of them.

use actix_web::web;
use maud::html;
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State, timeline};
use crate::admin::listing;
use crate::core::job::JobState;

/// Which jobs.
#[derive(Deserialize)]
pub(super) struct Query {
    state: Option<JobState>,
    before: Option<String>,
}

const STATES: [JobState; 4] = [JobState::Waiting, JobState::Running, JobState::Parked, JobState::Done];

/// `GET /jobs`
pub(super) async fn list(state: State, session: Session, query: web::Query<Query>) -> Page {
    let which = query.state.filter(|which| *which != JobState::Dead).unwrap_or(JobState::Waiting);
    let page = listing::page(None, query.before.as_deref())?;
    let jobs = state.jobs(which, &page).await?;
    let next = listing::next(&page, &jobs, |view| view.job.id);
    Ok(layout::page(
        "Jobs",
        Nav::Jobs,
        Some(&session),
        &html! {
            h1 { "Jobs" }
            nav .tabs aria-label="States" {
                @for tab in STATES {
                    a href={ "/jobs?state=" (tab.as_str()) } aria-current=[(tab == which).then_some("page")] { (tab.as_str()) }
                }
                a href="/dead" { "dead" }
            }
            p .quiet { (meaning(which)) }
            @if jobs.is_empty() { p { "There are none." } } @else { (timeline::jobs(state.now(), &jobs)) }
            (layout::older(&format!("/jobs?state={}&", which.as_str()), next))
        },
    ))
}

fn meaning(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "Due, waiting for their time, or behind another job of the same person.",
        JobState::Running => "A worker has them at this moment.",
        JobState::Parked => "Behind a hire that is a dead letter; they go on when it is replayed or discarded.",
        JobState::Dead => "Cannot succeed as they are.",
        JobState::Done => "Finished, and kept for a while.",
    }
}

/// `GET /jobs/{id}`
pub(super) async fn show(state: State, session: Session, id: web::Path<String>) -> Page {
    let view = state.job(listing::id(&id)?).await?;
    let now = state.now();
    Ok(layout::page(
        "Job",
        Nav::Jobs,
        Some(&session),
        &html! {
            h1 { "Job " (timeline::state(view.state)) }
            dl .facts {
                dt { "Id" } dd { code { (view.job.id) } }
                dt { "Person" } dd { (layout::person(&view.job.event.person)) }
                (layout::event(&view.job.event))
                dt { "Accepted" } dd { (layout::time(now, view.job.accepted_at)) }
                dt { "Attempts" } dd { (view.job.attempts) }
                dt { "Take-overs" } dd { (view.job.take_overs) }
                dt { "Next, or how it ended" } dd { (timeline::end(now, &view)) }
            }
            @if view.state == JobState::Dead {
                p { a href={ "/dead/" (view.job.id) } { "It is a dead letter: see what to do →" } }
            }
            section { h2 { "History" } (timeline::history(now, &view.job.history)) }
        },
    ))
}
