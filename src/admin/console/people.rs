//! "Why is Jane not in Postman?": a person found by source and employee id.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::{PageError, Session};
use super::{Page, State, dead, timeline};
use crate::admin::answer::{Standing, answer};
use crate::admin::api::handlers::named;
use crate::admin::error::AdminError;
use crate::admin::service::AdminState;
use crate::core::hold::Hold;
use crate::core::job::DirectoryEntry;
use crate::core::time::UnixMs;
use crate::store::PersonView;

/// Whom somebody looks for.
#[derive(Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    source: String,
    #[serde(default)]
    employee_id: String,
}

/// `GET /people`
pub(super) async fn show(state: State, session: Session, query: web::Query<Query>) -> Page {
    let found = if query.employee_id.trim().is_empty() {
        html! {}
    } else {
        look_up(&state, &query).await?
    };
    Ok(layout::page(
        "People",
        Nav::People,
        Some(&session),
        &html! {
            h1 { "People" }
            (search(&state, &query))
            (found)
        },
    ))
}

fn search(state: &AdminState, query: &Query) -> Markup {
    // Somebody of a source that is not configured any more can still be looked at.
    let gone = !query.source.is_empty() && state.sources.iter().all(|known| known.as_str() != query.source);
    html! {
        form .search .card method="get" action="/people" {
            div {
                label for="source" { "Source" }
                select #source name="source" {
                    @for source in &state.sources {
                        option value=(source) selected[source.as_str() == query.source] { (source) }
                    }
                    @if gone { option value=(query.source) selected { (query.source) } }
                }
            }
            div .wide {
                label for="employee_id" { "Employee id" }
                input #employee_id name="employee_id" value=(query.employee_id) placeholder="E-1001" autocomplete="off";
            }
            button .primary type="submit" { "Look up" }
        }
    }
}

async fn look_up(state: &AdminState, query: &Query) -> Result<Markup, PageError> {
    let person = match named(&query.source, &query.employee_id) {
        Ok(person) => person,
        Err(error) => return Ok(html! { p .alert role="alert" { (error) } }),
    };
    match state.person(&person).await {
        Ok(view) => Ok(tell(state.now(), &view, &state.holds().await?)),
        Err(AdminError::NotFound(_)) => Ok(unheard(&person.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Nobody by that id: the HR system has not sent anything that counts.
fn unheard(person: &str) -> Markup {
    html! {
        section .card .answer {
            p .what { "The bridge has never heard of " strong { (person) } "." }
            p .todo {
                "Check the id. If it is right, the HR system has not sent this person's hire, or its delivery was refused: look at "
                code { "scim_bridge_deliveries_total" } " and at the HR system's own log of deliveries."
            }
        }
    }
}

fn tell(now: UnixMs, view: &PersonView, holds: &[Hold]) -> Markup {
    let answer = answer(view, holds);
    let well = matches!(answer.standing, Standing::InLine | Standing::OnTheWay);
    html! {
        section .card .answer .fine[well] {
            p .what { (layout::prose(&answer.sentence)) }
            @if let Some(code) = answer.code { p .todo { (layout::prose(code.advice())) } }
        }
        h2 { (view.person) }
        @if let Some(entry) = &view.directory { (directory(now, entry)) }
        @else { p .quiet { "The bridge knows of no member at Postman for them." } }
        @if !view.dead.is_empty() { section { h2 { "Dead letters" } (dead::rows(now, &view.dead)) } }
        section {
            h2 { "What came in, in order" }
            @if view.jobs.is_empty() { p .quiet { "Nothing that is still kept." } }
            @for job in &view.jobs {
                article .card .job {
                    header {
                        strong { (job.job.event.kind()) }
                        (timeline::state(job.state))
                        span { (timeline::end(now, job)) }
                        a href={ "/jobs/" (job.job.id) } { (layout::id(job.job.id)) }
                    }
                    dl .facts { (layout::event(&job.job.event)) dt { "Accepted" } dd { (layout::time(now, job.job.accepted_at)) } }
                    (timeline::history(now, &job.job.history))
                }
            }
        }
    }
}

fn directory(now: UnixMs, entry: &DirectoryEntry) -> Markup {
    html! {
        dl .facts {
            dt { "At Postman as" } dd { (entry.user_name) }
            dt { "SCIM id" } dd { @match &entry.scim_id { Some(id) => code { (id) }, None => "none yet: invited, not shown up" } }
            dt { "Last brought in line" } dd { (layout::time(now, entry.in_line_at)) }
        }
    }
}
