//! The roster: what is staged, what an apply would do, and whether HR and Postman agree.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::Session;
use super::{FormReply, Page, State, go_to};
use crate::admin::api::shapes::drained_in_s;
use crate::admin::overview::Overview;
use crate::core::person::Person;
use crate::core::roster::{Change, Drift, PlanReport, PlannedPerson, Selection};
use crate::core::target_name::{self, said};
use crate::core::time::UnixMs;
use crate::roster::{ApplyRequest, Imports};
use crate::store::LaneState;

/// People of each list that are shown; the API has all.
const SHOWN: usize = 100;

/// What to show.
#[derive(Deserialize)]
pub(super) struct Query {
    done: Option<String>,
    /// Whether a plan is made: it reads the whole list of members.
    #[serde(default)]
    plan: bool,
    /// Whether members who are not in HR would be switched off.
    #[serde(default)]
    strangers: bool,
}

/// What a form asks for.
#[derive(Deserialize)]
pub(super) struct Order {
    form_token: String,
    /// Of the plan that was seen.
    digest: String,
    #[serde(default)]
    only: String,
    #[serde(default)]
    strangers: bool,
}

/// A form without fields.
#[derive(Deserialize)]
pub(super) struct Bare {
    form_token: String,
}

/// `GET /roster`
pub(super) async fn show(state: State, session: Session, query: web::Query<Query>) -> Page {
    let overview = state.overview().await?.readable()?;
    let (stats, now) = (&overview.stats, state.now());
    let of = |lane: LaneState| stats.lanes.get(lane.as_str()).copied().unwrap_or(0);
    let left = of(LaneState::Waiting) + of(LaneState::Running);
    let (imports, drift) = (state.imports().await?, state.drift().await?);
    let plan = if query.plan { Some(state.plan(query.strangers).await?) } else { None };
    Ok(layout::page(
        "Roster",
        Nav::Roster,
        Some(&session),
        &html! {
            h1 { "Roster" }
            (layout::done(query.done.as_deref(), None))
            div #progress data-live {
                @if left > 0 {
                    p .quiet role="status" {
                        (left) @if left == 1 { " person is" } @else { " people are" } " still to be worked on"
                        @if let Some(seconds) = drained_in_s(&overview) { ", some " (layout::span(seconds * 1_000)) }
                        ". " a href="/people?state=waiting" { "Who →" }
                    }
                }
            }
            (staged(now, &imports))
            div #fetches data-live { (fetches(now, &overview)) }
            @match &plan {
                Some(plan) => (planned(&session, plan, query.strangers)),
                None => p .actions {
                    a .button href="/roster?plan=true" { "Make the plan" }
                    " " a .quiet href="/roster?plan=true&strangers=true" { "with members who are not in HR switched off" }
                },
            }
            (compared(now, &session, &drift, state.roster.drift_options().every_ms))
        },
    ))
}

fn staged(now: UnixMs, imports: &Imports) -> Markup {
    html! {
        section .card {
            h2 { "Imported" }
            @if imports.is_empty() { p .quiet { (layout::prose("Nothing yet: `scim-bridge import` stages a file, or what an HR system lists.")) } }
            @for (source, imported) in imports {
                p {
                    (source) ": " (imported.staged) " of " (imported.rows) " rows, " (layout::time(now, imported.at))
                    @if !imported.is_whole { ", and it did not finish: import it again" }
                    @if !imported.missing_columns.is_empty() { "; no column for " (layout::prose(&imported.missing())) }
                    @if imported.left_out > 0 { "; " (imported.left_out) " left out by the mapping's conditions" }
                    @if !imported.not_followed.is_empty() { "; not followed: " (imported.not_followed.join(", ")) }
                    @if !imported.unjudged.is_empty() { "; everybody counts, as there is no column for " (imported.unjudged.join(", ")) }
                }
                @for refused in imported.refused.iter().take(SHOWN) { p .quiet { "row " (refused.row) ": " (refused.reason) } }
            }
        }
    }
}

fn fetches(now: UnixMs, overview: &Overview) -> Markup {
    html! {
        @for fetch in &overview.figures.fetches {
            @match &fetch.failure {
                Some(failure) => p .todo {
                    "The HR system's list of " (fetch.source) " was incomplete, " (layout::time(now, fetch.since)) ": " (failure)
                },
                None => p .quiet role="status" {
                    "The HR system's list of " (fetch.source) " is " (fetch.state) ": " (fetch.listed) " people listed"
                    @if fetch.read > 0 { ", " (fetch.read) " of them read" }
                },
            }
        }
    }
}

fn planned(session: &Session, plan: &PlanReport, strangers: bool) -> Markup {
    html! {
        section .card {
            h2 { "The plan" }
            p { (plan.people) " people in HR, " (plan.members) " members in " (target_name::name()) }
            @for warning in &plan.warnings { p .todo { "Warning: " (warning) } }
            @for (what, people) in lists(plan, strangers) { (list(what, people, strangers)) }
            @if plan.changes_anything() {
                p { (plan.calls) " calls, " (format!("{:.1}", plan.minutes)) " minutes " (said("at Postman's rate")) }
            } @else {
                p { "Nothing would be written." }
            }
            (order(session, plan, strangers))
        }
    }
}

fn lists(plan: &PlanReport, strangers: bool) -> [(&'static str, &[PlannedPerson]); 14] {
    let left_alone = said(if strangers { "in Postman only" } else { "in Postman only, never touched" });
    [
        ("create", &plan.create),
        ("switch on", &plan.switch_on),
        ("rename", &plan.rename),
        ("change the address of", &plan.readdress),
        ("switch off", &plan.deactivate),
        ("put into groups, or take out of them", &plan.regroup),
        ("adopt", &plan.adopt),
        ("blocked", &plan.blocked),
        ("incomplete in HR", &plan.incomplete),
        ("take over the member of another person", &plan.take_over),
        ("share a member with another person, until one of them has it", &plan.shared),
        (said("switched off in Postman by hand, left that way"), &plan.switched_off),
        (said("invited, and not listed by Postman: not accepted yet, or removed since"), &plan.invited),
        (left_alone, &plan.strangers),
    ]
}

fn list(what: &str, people: &[PlannedPerson], is_whole: bool) -> Markup {
    let shown = if is_whole { usize::MAX } else { SHOWN };
    html! {
        @if !people.is_empty() {
            details {
                summary { (what) ": " (people.len()) }
                ul {
                    @for planned in people.iter().take(shown) { li { (one(planned)) } }
                    @if people.len() > shown { li .quiet { "and " (people.len() - shown) " more" } }
                }
            }
        }
    }
}

fn one(planned: &PlannedPerson) -> Markup {
    let person = planned.person.as_deref().and_then(Person::from_key);
    html! {
        @if let Some(person) = person { (layout::person(&person)) " " }
        @if let Some(email) = &planned.email { (email) " " }
        @if let Some(code) = &planned.code { (layout::code(code)) " " }
        @if let Some(detail) = &planned.detail { span .quiet { (detail) } }
    }
}

fn order(session: &Session, plan: &PlanReport, strangers: bool) -> Markup {
    if !session.may_write() {
        return html! {};
    }
    let choices = [
        ("", "everything"),
        ("create", "creates"),
        ("switch_on", "switching on"),
        ("rename", "names"),
        ("readdress", "addresses"),
        ("deactivate", "switching off"),
        ("adopt", "adoptions"),
    ];
    html! {
        form .search method="post" action="/roster/apply" {
            input type="hidden" name="form_token" value=(session.form_token());
            input type="hidden" name="digest" value=(plan.digest);
            @if strangers { input type="hidden" name="strangers" value="true"; }
            div {
                label for="only" { "Apply" }
                select #only name="only" { @for (value, name) in choices { option value=(value) { (name) } } }
            }
            button .primary type="submit" { "Apply this plan" }
        }
    }
}

fn compared(now: UnixMs, session: &Session, drift: &Drift, every_ms: u64) -> Markup {
    html! {
        section #drift .card {
            h2 { (said("Do HR and Postman agree?")) }
            @match &drift.report {
                None => p .quiet { "Not compared yet." },
                Some(report) => {
                    p .quiet { "Compared " (layout::time(now, report.at)) }
                    @if let Some(trouble) = report.trouble() { p .todo { "Warning: " (trouble) } }
                    @if report.not_compared > 0 {
                        p { "Not compared, because a dead letter blocks them or was discarded: " (report.not_compared) "." }
                    }
                    @if report.invited.count > 0 {
                        p { (report.invited.count) " invited, and not listed by " (target_name::name()) ": not accepted yet, or removed since." }
                    }
                    @if report.different == 0 {
                        @if report.trouble().is_none() { p { @if report.not_compared + report.invited.count > 0 { "All others do." } @else { "They do." } } }
                    } @else {
                        p { (report.different) " people differ; " (report.repaired) " of them are being repaired." }
                    }
                    @for (what, list) in report.lists() { (self::list(what, &list.first, false)) }
                    (self::list("invited", &report.invited.first, false))
                }
            }
            p .quiet {
                @if every_ms == 0 { (layout::prose("`[drift] every_h` is 0: only when asked.")) } @else { "Every " (layout::span(every_ms)) "." }
            }
            (layout::button(session, "/roster/compare", "Compare now", "plain", &[]))
        }
    }
}

/// `POST /roster/apply`
pub(super) async fn apply(state: State, session: Session, given: web::Form<Order>) -> FormReply {
    let given = given.into_inner();
    let by = session.authorise(&given.form_token)?;
    let only = Change::parse(&given.only).map(|change| [change].into());
    let selection = Selection { only, people: None, strangers: given.strangers };
    let request = ApplyRequest { selection, plan: None, digest: Some(given.digest) };
    state.apply(by, &request).await?;
    Ok(go_to("/roster?done=applied"))
}

/// `POST /roster/compare`
pub(super) async fn compare(state: State, session: Session, given: web::Form<Bare>) -> FormReply {
    let by = session.authorise(&given.form_token)?;
    state.compare(by).await?;
    Ok(go_to("/roster?done=compared"))
}
