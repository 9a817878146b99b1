//! Holds: what is held and why, an operator's own holds, and the guard.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::Session;
use super::{FormReply, Page, State, go_to};
use crate::core::code::Code;
use crate::core::hold::{Hold, HoldScope, Holds, is_lifted_by_hand};
use crate::core::target_name::said;
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
    /// Which of the scope's holds to lift.
    code: Option<Code>,
    #[serde(default)]
    reason: String,
    count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Set,
    Lift,
    Allow,
}

/// What an operator may hold by hand.
const SCOPES: [HoldScope; 5] =
    [HoldScope::All, HoldScope::Creates, HoldScope::Writes, HoldScope::Deactivations, HoldScope::Addresses];

/// `GET /hold`
pub(super) async fn show(state: State, session: Session, query: web::Query<Query>) -> Page {
    let holds = state.holds().await?;
    let figures = state.stats().await?;
    let waiting = figures.lanes.get("held").copied().unwrap_or(0);
    Ok(layout::page(
        "Holds",
        Nav::Hold,
        Some(&session),
        &html! {
            h1 { "Holds" }
            (layout::done(query.done.as_deref(), None))
            p .quiet {
                "While a hold is in force, what it covers waits: nothing is lost, and no attempts are counted. Deliveries are still accepted. "
                a href="/people?state=held" { (waiting) @if waiting == 1 { " person waits" } @else { " people wait" } } "."
            }
            @for hold in &holds.holds { (in_force(state.now(), &session, hold)) }
            @for scope in SCOPES.iter().filter(|scope| holds.set_by_operator(scope).is_none()) {
                (not_held_by_hand(&session, &holds, scope))
            }
        },
    ))
}

fn in_force(now: UnixMs, session: &Session, hold: &Hold) -> Markup {
    let scope = hold.scope.to_string();
    let is_guards = hold.code == Code::HoldGuard;
    let fields = [("what", "lift"), ("scope", scope.as_str()), ("code", hold.code.as_str())];
    html! {
        section .card .answer {
            h2 { (name(&hold.scope)) ": held " (layout::code(hold.code.as_str())) }
            p .what { (layout::prose(hold.code.title())) }
            @if let Some(set_by) = hold.set_by() { p { (layout::sentence(&set_by)) } }
            p .todo { (layout::prose(hold.code.advice())) }
            p .quiet {
                "Since " (layout::time(now, hold.since)) ", probed " (hold.probes) " times. "
                @match hold.next_probe_at {
                    Some(at) => { "Next probe " (layout::time(now, at)) "; a success lifts it." }
                    None => "Only an operator can lift it.",
                }
            }
            div .actions {
                (layout::button(session, "/hold", "Lift", if is_guards { "plain" } else { "primary" }, &fields))
                @if is_guards { (allow(session, &scope)) }
            }
        }
    }
}

fn allow(session: &Session, scope: &str) -> Markup {
    if !session.may_write() {
        return html! {};
    }
    html! {
        form .inline method="post" action="/hold" {
            input type="hidden" name="form_token" value=(session.form_token());
            input type="hidden" name="what" value="allow";
            input type="hidden" name="scope" value=(scope);
            label .sr for={ "count-" (scope) } { "How many" }
            input id={ "count-" (scope) } name="count" type="number" min="1" max="1000000" required placeholder="how many";
            " "
            button .primary type="submit" { "Let this many more through" }
        }
    }
}

/// A scope that no operator holds; others may.
fn not_held_by_hand(session: &Session, holds: &Holds, scope: &HoldScope) -> Markup {
    let word = scope.to_string();
    let standing = holds.get(scope);
    html! {
        section .card {
            h2 { (name(scope)) @if standing.is_some() { ": not held by an operator" } @else { ": not held" } }
            p .quiet {
                (meaning(scope))
                @match standing {
                    Some(hold) if is_lifted_by_hand(hold.code) => " Your hold is in force in addition to the one above; each is lifted separately.",
                    Some(_) => " Your hold takes the place of the one above, and no probe lifts it.",
                    None => "",
                }
            }
            @if session.may_write() {
                form .search method="post" action="/hold" {
                    input type="hidden" name="form_token" value=(session.form_token());
                    input type="hidden" name="what" value="set";
                    input type="hidden" name="scope" value=(word);
                    div .wide {
                        label for={ "reason-" (word) } { "Why" }
                        input id={ "reason-" (word) } name="reason" maxlength="200" autocomplete="off";
                    }
                    button .plain type="submit" { "Hold" }
                }
            }
        }
    }
}

fn name(scope: &HoldScope) -> String {
    match scope {
        HoldScope::All => "Everything".to_owned(),
        HoldScope::Creates => "Hires".to_owned(),
        HoldScope::Writes => "Writes".to_owned(),
        HoldScope::Deactivations => "Leaves".to_owned(),
        HoldScope::Addresses => "Changes of addresses".to_owned(),
        HoldScope::Fetch(source) => format!("Reading at `{source}`"),
    }
}

fn meaning(scope: &HoldScope) -> &'static str {
    match scope {
        HoldScope::All => said("Holding everything stops all calls to Postman until you lift it."),
        HoldScope::Creates => "Holding hires stops new members and switching on; updates go on.",
        HoldScope::Writes => "Holding writes still lets people be read, but changes nothing.",
        HoldScope::Deactivations => "Holding leaves means that nobody is switched off.",
        HoldScope::Addresses => "Holding changes of addresses leaves every address as it is.",
        HoldScope::Fetch(_) => "The people of this source wait.",
    }
}

/// `POST /hold`
pub(super) async fn change(state: State, session: Session, given: web::Form<Change>) -> FormReply {
    let given = given.into_inner();
    let by = session.authorise(&given.form_token)?;
    Ok(match given.what {
        What::Set => {
            state.set_hold(by, given.scope, Some(&given.reason)).await?;
            go_to("/hold?done=held")
        }
        What::Lift => {
            match given.code {
                Some(code) => state.lift_one_hold(by, &given.scope, code).await?,
                None => state.lift_hold(by, Some(given.scope)).await?,
            };
            go_to("/hold?done=lifted")
        }
        What::Allow => {
            state.allow(by, &given.scope, given.count.unwrap_or(1)).await?;
            go_to("/hold?done=allowed")
        }
    })
}
