//! People: found by name, by what they wait for, or by their marks.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::login::PageError;
use super::session::Session;
use super::{Page, State, go_to};
use crate::admin::api::handlers::whom;
use crate::admin::listing;
use crate::admin::nobody::Clue;
use crate::admin::people::{Meant, PersonView, Whom};
use crate::admin::service::AdminState;
use crate::core::person::{Document, Mark};
use crate::core::target_name::said;
use crate::core::time::UnixMs;
use crate::store::{LaneState, Listed};

/// The search.
#[derive(Deserialize)]
pub(super) struct Query {
    search: Option<String>,
    state: Option<LaneState>,
    mark: Option<String>,
    after: Option<String>,
}

const STATES: [LaneState; 6] = [
    LaneState::Waiting,
    LaneState::Running,
    LaneState::Held,
    LaneState::Scheduled,
    LaneState::Incomplete,
    LaneState::Blocked,
];

/// `GET /people`
pub(super) async fn show(
    state: State,
    session: Session,
    query: web::Query<Query>,
) -> Result<actix_web::Either<maud::Markup, actix_web::HttpResponse>, PageError> {
    let text = query.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
    // Exactly one: straight to their page.
    if let (Some(text), None) = (text, &query.after)
        && let Meant::One(whole) = state.meant(text).await?
    {
        return Ok(actix_web::Either::Right(go_to(&layout::person_page(&whole.view.person))));
    }
    Ok(actix_web::Either::Left(list(&state, &session, &query, text).await?))
}

async fn list(state: &AdminState, session: &Session, query: &Query, text: Option<&str>) -> Page {
    let whom = whom(text, query.state, query.mark.as_deref())?;
    let page = listing::page(None, query.after.as_deref())?;
    let listed = state.people(&whom, &page).await?;
    let clues = match text {
        Some(text) if listed.rows.is_empty() => state.clues(text).await,
        _ => Vec::new(),
    };
    Ok(layout::page(
        "People",
        Nav::People,
        Some(session),
        &html! {
            h1 { "People" }
            (search(text))
            (tabs(&whom))
            div #people data-live { (found(state.now(), &listed, text, &clues)) }
            (layout::next(&here(&whom), listed.next.as_deref()))
        },
    ))
}

fn search(text: Option<&str>) -> Markup {
    html! {
        form .search .card role="search" method="get" action="/people" {
            div .wide {
                label for="search" { "Name, e-mail or employee id" }
                input #search type="search" name="search" value=[text] placeholder="Ada King, ada@example.com, E-1001, hr/E-1001" autocomplete="off";
            }
            button .primary type="submit" { "Find" }
        }
    }
}

fn tabs(whom: &Whom) -> Markup {
    let current = |is: bool| is.then_some("page");
    html! {
        nav .tabs aria-label="What they wait for" {
            a href="/people" aria-current=[current(matches!(whom, Whom::All))] { "everybody" }
            @for state in STATES {
                a href={ "/people?state=" (state.as_str()) } aria-current=[current(matches!(whom, Whom::Standing(this) if *this == state))] { (state.as_str()) }
            }
            @for mark in Mark::ALL {
                a href={ "/people?mark=" (mark.as_str()) } aria-current=[current(matches!(whom, Whom::Marked(this) if *this == mark))] { (mark_name(mark)) }
            }
        }
    }
}

/// A mark in words.
pub(super) fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::AfterClose => "mentioned after a handover",
        Mark::SwitchedOff => said("switched off in Postman"),
        Mark::Failing => "failing",
        Mark::GoneAtHr => "unknown to the HR system",
        Mark::Groupless => "not in their groups",
        Mark::GroupsForbidden => "kept out of groups",
    }
}

fn here(whom: &Whom) -> String {
    match whom {
        Whom::All => "/people?".to_owned(),
        Whom::Standing(state) => format!("/people?state={}&", state.as_str()),
        Whom::Marked(mark) => format!("/people?mark={}&", mark.as_str()),
        Whom::Called(text) => format!("/people?search={}&", listing::percent_encoded(text)),
    }
}

fn found(now: UnixMs, listed: &Listed<PersonView>, text: Option<&str>, clues: &[Clue]) -> Markup {
    html! {
        @if listed.rows.is_empty() {
            @match text {
                Some(text) => (nobody_found(text, clues)),
                None => p { "Nobody." },
            }
        } @else {
            (rows(now, &listed.rows))
        }
    }
}

/// Nobody was found: the HR system has not sent anything that counts, or this may be why.
pub(super) fn nobody_found(text: &str, clues: &[Clue]) -> Markup {
    html! {
        section .card .answer {
            p .what { "The bridge knows nobody called " strong { (text) } "." }
            @for clue in clues {
                p .what { "This may be why: " a href=(clue.page) { (layout::prose(&clue.what)) } }
                p .todo { (layout::prose(&clue.action)) }
            }
            p .todo {
                "Check the spelling. If it is right, the HR system has not sent anything about them, or its delivery was refused: see "
                a href="/deliveries" { "Deliveries" } ", and the HR system's own log of webhooks."
            }
        }
    }
}

fn rows(now: UnixMs, people: &[PersonView]) -> Markup {
    html! {
        div .scroll {
            table {
                thead { tr { th { "Person" } th { "Name" } th { "E-mail" } th { "State" } th { "Since" } } }
                tbody {
                    @for view in people {
                        tr {
                            td data-name="Person" { (layout::person(&view.person)) }
                            td data-name="Name" { (view.name()) }
                            td data-name="E-mail" { (view.email().unwrap_or("not given")) }
                            td data-name="State" {
                                (layout::state(view.row.lane.state))
                                @for mark in view.document.as_ref().map(Document::marks).unwrap_or_default() { " " span .state .held { (mark_name(mark)) } }
                            }
                            td data-name="Since" { (layout::time(now, view.row.since)) }
                        }
                    }
                }
            }
        }
    }
}
