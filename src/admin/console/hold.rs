//! Holds: what is held, why, and an operator's own.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::Session;
use super::{Done, Page, State, go_to};
use crate::core::hold::{Hold, HoldScope};
use crate::core::time::UnixMs;

/// What was just done.
#[derive(Deserialize)]
pub(super) struct Query {
    done: Option<String>,
}

/// What the form asks for.
#[derive(Deserialize)]
pub(super) struct Change {
    form_token: String,
    what: What,
    scope: HoldScope,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Set,
    Lift,
}

const SCOPES: [HoldScope; 2] = [HoldScope::All, HoldScope::Creates];

/// `GET /hold`
pub(super) async fn show(state: State, session: Session, query: web::Query<Query>) -> Page {
    let holds = state.holds().await?;
    Ok(layout::page(
        "Holds",
        Nav::Hold,
        Some(&session),
        &html! {
            h1 { "Holds" }
            (layout::done(query.done.as_deref()))
            p .quiet { "While a hold is in force, what it covers waits, unharmed and uncounted. Deliveries are still accepted." }
            @for scope in SCOPES {
                @match holds.iter().find(|hold| hold.scope == scope) {
                    Some(hold) => (in_force(state.now(), &session, hold)),
                    None => (not_held(&session, scope)),
                }
            }
        },
    ))
}

fn in_force(now: UnixMs, session: &Session, hold: &Hold) -> Markup {
    let fields = [("what", "lift"), ("scope", hold.scope.as_str())];
    html! {
        section .card .answer {
            h2 { (name(hold.scope)) ": held " (layout::code(hold.code)) }
            p .what { (layout::prose(hold.code.title())) }
            p .todo { (layout::prose(hold.code.advice())) }
            p .quiet {
                "Since " (layout::time(now, hold.since)) ", probed " (hold.probes) " times. "
                @match hold.next_probe_at {
                    Some(at) => { "Next probe " (layout::time(now, at)) "; a success lifts it." }
                    None => "Nothing lifts it but this button.",
                }
            }
            (layout::button(session, "/hold", "Lift", "primary", &fields))
        }
    }
}

fn not_held(session: &Session, scope: HoldScope) -> Markup {
    let fields = [("what", "set"), ("scope", scope.as_str())];
    html! {
        section .card {
            h2 { (name(scope)) ": not held" }
            p .quiet { (meaning(scope)) }
            (layout::button(session, "/hold", "Hold", "plain", &fields))
        }
    }
}

fn name(scope: HoldScope) -> &'static str {
    match scope {
        HoldScope::All => "Everything",
        HoldScope::Creates => "Hires",
    }
}

fn meaning(scope: HoldScope) -> &'static str {
    match scope {
        HoldScope::All => "Holding everything stops all calls to Postman until you lift it.",
        HoldScope::Creates => "Holding hires stops new members; renames go on.",
    }
}

/// `POST /hold`
pub(super) async fn change(state: State, session: Session, given: web::Form<Change>) -> Done {
    session.check(&given.form_token)?;
    Ok(match given.what {
        What::Set => {
            state.set_hold(given.scope).await?;
            go_to("/hold?done=held")
        }
        What::Lift => {
            state.lift_hold(Some(given.scope)).await?;
            go_to("/hold?done=lifted")
        }
    })
}
