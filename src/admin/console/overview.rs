//! The first page: what is wrong and what to do first, then the figures.

use maud::{Markup, html};

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State, timeline};
use crate::admin::problems::{Problem, jobs_in};
use crate::admin::service::Status;
use crate::core::job::JobState;
use crate::store;

/// How many finished jobs are shown.
const RECENT: usize = 10;

/// `GET /`
pub(super) async fn show(state: State, session: Session) -> Page {
    let overview = state.overview().await?;
    let page = store::Page { rows_max: RECENT, before: None };
    let recent = state.jobs(JobState::Done, &page).await?;
    let now = overview.status.now;
    Ok(layout::page(
        "Overview",
        Nav::Overview,
        Some(&session),
        &html! {
            (wrong(&overview.problems))
            (figures(&overview.status))
            section {
                h2 { "Lately finished" }
                @if recent.is_empty() {
                    p .quiet { "Nothing yet. What comes in from the HR system shows up here once it is at Postman." }
                } @else {
                    (timeline::jobs(now, &recent))
                    p .pager { a href="/jobs?state=done" { "All finished jobs →" } }
                }
            }
            footer .quiet {
                "scim-bridge " (state.version) " · role " (state.role) " · " (state.lifecycle.phase().as_str())
                " · up " (layout::span(now.ms_since(state.started_at)))
                " · sources: " (state.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        },
    ))
}

fn wrong(problems: &[Problem]) -> Markup {
    html! {
        @if problems.is_empty() {
            section .well { h1 { "All is well" } p { "Nothing is held, nothing is overdue, and there are no dead letters." } }
        } @else {
            h1 { @if problems.len() == 1 { "One thing needs attention" } @else { (problems.len()) " things need attention" } }
            ol .problems {
                @for problem in problems {
                    li .card {
                        p .what { (layout::prose(&problem.what)) @if let Some(code) = problem.code { " " (layout::code(code)) } }
                        p .todo { (layout::prose(problem.action)) }
                        p .pager { a href=(problem.page) { "Look at it →" } }
                    }
                }
            }
        }
    }
}

fn figures(status: &Status) -> Markup {
    let tile = |href: &str, name: &str, value: String| {
        html! { a .tile href=(href) { span .value { (value) } span .name { (name) } } }
    };
    let jobs = |state| jobs_in(status, state).to_string();
    let oldest =
        status.stats.oldest_due_at.map_or_else(|| "none".to_owned(), |at| layout::span(status.now.ms_since(at)));
    html! {
        section .tiles aria-label="Figures" {
            (tile("/jobs?state=waiting", "waiting", jobs(JobState::Waiting)))
            (tile("/jobs?state=running", "running", jobs(JobState::Running)))
            (tile("/jobs?state=parked", "parked", jobs(JobState::Parked)))
            (tile("/dead", "dead letters", jobs(JobState::Dead)))
            (tile("/jobs?state=done", "finished", jobs(JobState::Done)))
            (tile("/people", "people known", status.stats.people.to_string()))
            (tile("/jobs?state=waiting", "oldest due", oldest))
        }
    }
}
