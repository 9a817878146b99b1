//! One dead letter, whole, and what to do with it.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::login::Bare;
use super::session::Session;
use super::{FormReply, Page, State, go_to, person, trial};
use crate::admin::api::shapes::code_of;
use crate::admin::error::AdminError;
use crate::admin::letters::{LetterAction, WholeLetter};
use crate::admin::listing;
use crate::admin::service::AdminState;
use crate::admin::summary::summary;
use crate::core::mapping::Show;
use crate::core::time::UnixMs;

/// Whether to show the payload.
#[derive(Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    payload: bool,
}

/// Why it is discarded.
#[derive(Deserialize)]
pub(super) struct Discard {
    form_token: String,
    #[serde(default)]
    reason: String,
}

/// `GET /dead/{id}`
pub(super) async fn show(state: State, session: Session, id: web::Path<String>, query: web::Query<Query>) -> Page {
    let id = listing::id(&id)?;
    let letter = state.dead_letter(id).await?;
    if query.payload && letter.payload.is_some() {
        state.payload_shown(session.by(), id).await?;
    }
    let now = state.now();
    let holds = state.holds().await?;
    let code = code_of(&letter.row);
    Ok(layout::page(
        "Dead letter",
        Nav::Dead,
        Some(&session),
        &html! {
            p .pager { a href="/dead" { "← Dead letters" } }
            h1 { "Dead letter " (layout::code(&letter.row.code)) }
            section .card .answer {
                p .what { (layout::prose(code.map_or("This version does not know this code.", |code| code.title()))) }
                @if let Some(code) = code { p .todo { (layout::prose(code.advice())) } }
                @if !letter.row.detail.is_empty() { p .quiet { (layout::prose(&letter.row.detail)) } }
            }
            (actions(&session, &letter))
            (facts(now, &letter))
            @if let Some(whole) = &letter.person { h2 { "The person" } (person::sentence(now, &summary(whole, &holds))) }
            (payload(&letter, query.payload))
            @if query.payload { (correction(&state, &session, &letter)) }
        },
    ))
}

fn actions(session: &Session, letter: &WholeLetter) -> Markup {
    if !session.may_write() {
        return html! {};
    }
    let path = format!("/dead/{}", letter.row.id);
    html! {
        div .actions {
            (layout::button(session, &format!("{path}/replay"), "Replay", "primary", &[]))
            details {
                summary { "Discard…" }
                form method="post" action={ (path) "/discard" } {
                    input type="hidden" name="form_token" value=(session.form_token());
                    label for="reason" { "Why" }
                    input #reason name="reason" maxlength="200" autocomplete="off";
                    p .quiet {
                        @if letter.row.unmapped { "The record is then gone for good." }
                        @else { "The bridge then ignores what HR has said about this person so far, until HR's next event about them." }
                    }
                    button .danger type="submit" { "Discard" }
                }
            }
        }
    }
}

fn facts(now: UnixMs, letter: &WholeLetter) -> Markup {
    let row = &letter.row;
    html! {
        dl .facts {
            dt { "Id" } dd { code { (row.id) } }
            dt { "Source" } dd { (row.source) }
            @if let Some(person) = &row.person { dt { "Person" } dd { (layout::person(person)) } }
            dt { "Event" } dd { (row.event.map_or("a record that could not be mapped", |kind| kind.as_str())) }
            dt { "Since" } dd { (layout::time(now, row.died_at)) }
        }
    }
}

/// Not shown until the user asks for it; that is audited.
fn payload(letter: &WholeLetter, is_shown: bool) -> Markup {
    let Some(payload) = &letter.payload else { return html! {} };
    html! {
        section {
            h2 { "As received" }
            @if is_shown {
                pre .payload { (String::from_utf8_lossy(payload)) }
            } @else {
                p { (payload.len()) " bytes, which may contain personal data. " a href="?payload=true" { "Show the payload" } " (the audit log records that you looked)." }
            }
        }
    }
}

/// How the current mapping reads the record, and its fields to be corrected.
fn correction(state: &AdminState, session: &Session, letter: &WholeLetter) -> Markup {
    let Some(payload) = letter.payload.as_ref().filter(|_| letter.row.unmapped) else { return html! {} };
    let Some(explained) = (state.explain)(&letter.row.source, payload, Show { values: true }) else { return html! {} };
    let [record] = explained.records.as_slice() else { return html! {} };
    html! {
        section {
            h2 { "How it is mapped now" }
            (trial::fields(&record.fields))
            @if session.may_write() {
                form .card method="post" action={ "/dead/" (letter.row.id) "/correct" } {
                    h2 { "Correct a field" }
                    p .quiet { "Fields left empty stay as received. HR's next event about this person takes effect as usual, and may change them again." }
                    input type="hidden" name="form_token" value=(session.form_token());
                    div .search {
                        @for field in &record.fields {
                            div {
                                label for={ "set-" (field.field) } { (field.field) }
                                input id={ "set-" (field.field) } name={ "set-" (field.field) } placeholder=[field.value.as_deref()] autocomplete="off";
                            }
                        }
                        button .primary type="submit" { "Correct and replay" }
                    }
                }
            }
        }
    }
}

/// `POST /dead/{id}/correct`
pub(super) async fn correct(
    state: State,
    session: Session,
    id: web::Path<String>,
    given: web::Form<Vec<(String, String)>>,
) -> FormReply {
    let token = given.iter().find(|(name, _)| name == "form_token").map(|(_, value)| value.as_str());
    let by = session.authorise(token.unwrap_or_default())?;
    let set = given.iter().filter_map(|(name, value)| Some((name.strip_prefix("set-")?.to_owned(), value.clone())));
    let fields: Vec<_> = set.filter(|(_, value)| !value.is_empty()).collect();
    if fields.is_empty() {
        return Err(AdminError::advised(
            "no field was filled in",
            "Go back, and enter a new value for at least one field.",
        )
        .into());
    }
    state.correct(by, listing::id(&id)?, &fields).await?;
    Ok(go_to("/dead?done=corrected"))
}

/// `POST /dead/{id}/replay`
pub(super) async fn replay(state: State, session: Session, id: web::Path<String>, given: web::Form<Bare>) -> FormReply {
    let by = session.authorise(&given.form_token)?;
    state.act_on_one(by, listing::id(&id)?, &LetterAction::Replay).await?;
    Ok(go_to("/dead?done=replayed"))
}

/// `POST /dead/{id}/discard`
pub(super) async fn discard(
    state: State,
    session: Session,
    id: web::Path<String>,
    given: web::Form<Discard>,
) -> FormReply {
    let by = session.authorise(&given.form_token)?;
    state.act_on_one(by, listing::id(&id)?, &LetterAction::Discard { reason: Some(given.reason.clone()) }).await?;
    Ok(go_to("/dead?done=discarded"))
}
