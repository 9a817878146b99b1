//! The record next to the member, fact by fact: as last read or written, or, if asked for, as it is now.

use actix_web::web;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State};
use crate::admin::live::{Has, LiveLook};
use crate::admin::people::parse_person;
use crate::core::person::{Document, Email, EmploymentState, Stamp};
use crate::core::reconcile::request::Member;
use crate::core::target_name::said;
use crate::core::time::UnixMs;

/// The person asked about.
#[derive(Deserialize)]
pub(super) struct Of {
    form_token: String,
    source: String,
    employee_id: String,
}

/// `POST /person/live`: what Postman has for a person now. A form, so that no reload and no link repeats the call.
pub(super) async fn show(state: State, session: Session, given: web::Form<Of>) -> Page {
    session.check(&given.form_token)?;
    let person = parse_person(&given.source, &given.employee_id)?;
    let document = state.person(&person).await?.view.document.unwrap_or_else(|| Document::new(person.clone()));
    let look = state.look_live(&document).await?;
    let now = state.now();
    Ok(layout::page(
        &person.to_string(),
        Nav::People,
        Some(&session),
        &html! {
            p .pager { a href=(layout::person_page(&person)) { "← " (person) } }
            h1 { (said("What Postman has now")) }
            (found(&look))
            (beside(now, Some(&document), Some(&look)))
            (calls(now, &look))
            div .actions { (button(&session, person.source.as_str(), &person.employee_id, "Ask again")) }
        },
    ))
}

/// The button that asks; read-only users have it, too.
pub(super) fn button(session: &Session, source: &str, employee_id: &str, label: &str) -> Markup {
    html! {
        form .inline method="post" action="/person/live" {
            input type="hidden" name="form_token" value=(session.form_token());
            input type="hidden" name="source" value=(source);
            input type="hidden" name="employee_id" value=(employee_id);
            button .plain type="submit" { (label) }
        }
    }
}

fn found(look: &LiveLook) -> Markup {
    let (is_fine, text) = match &look.has {
        Has::Member(_) => (true, "They are a member."),
        Has::Nobody => {
            (false, said("Postman has nobody with their id, and its filter finds nobody under their address."))
        }
        Has::Several => (false, said("Postman has several members under their address.")),
        Has::Unknown => (false, "Unknown: the last call says why."),
    };
    html! { section .card .answer .fine[is_fine] { p .what { (text) } } }
}

/// The calls that were made.
pub(super) fn calls(now: UnixMs, look: &LiveLook) -> Markup {
    html! {
        p .quiet { "Asked " (layout::time(now, look.at)) ", in " (look.calls.len()) @if look.calls.len() == 1 { " call" } @else { " calls" } }
        ol .history {
            @for call in &look.calls {
                li {
                    span {
                        (call.operation.as_http()) ": "
                        @match call.status { Some(status) => (status), None => "no answer" }
                        ", " (call.meaning)
                        @if let Some(detail) = &call.detail { ": “" (detail) "”" }
                    }
                    span .quiet { (call.ms) " ms" }
                }
            }
        }
    }
}

/// One fact, as each side has it.
struct Fact<'d> {
    name: &'static str,
    said: Option<&'d str>,
    stamp: Option<Stamp>,
    had: Option<String>,
    /// What the member has at this moment, if they were looked up.
    of: fn(&Member) -> Option<String>,
}

/// The record next to the member, fact by fact.
pub(super) fn beside(now: UnixMs, document: Option<&Document>, look: Option<&LiveLook>) -> Markup {
    let Some(document) = document else {
        return html! { p .quiet { "No event about them has been processed yet." } };
    };
    let (record, member) = (&document.record, document.member.as_ref());
    let employed = record.employment.at(now).or(record.employment.newest().copied());
    let employment = employed.map(|word| {
        let state = match word.state {
            EmploymentState::Employed => "employed",
            EmploymentState::Left => "left",
        };
        let out = if record.is_out_of_scope(now) { ", out of scope" } else { "" };
        format!("{state} from {}{out}", word.from)
    });
    let active = |active: Option<bool>| active.map(|active| if active { "active" } else { "inactive" }.to_owned());
    let rows = [
        Fact {
            name: "Employment",
            said: employment.as_deref(),
            stamp: employed.map(|word| word.stamp),
            had: active(member.and_then(|member| member.active)),
            of: |now| now.active.known().map(|active| if active { "active" } else { "inactive" }.to_owned()),
        },
        Fact {
            name: "E-mail",
            said: record.email().map(Email::as_received),
            stamp: record.email.as_ref().map(|fact| fact.stamp),
            had: member.map(|member| member.user_name.clone()),
            of: |now| Some(now.user_name.clone()),
        },
        Fact {
            name: "Given name",
            said: record.given_name(),
            stamp: record.given_name_fact().map(|fact| fact.stamp),
            had: member.and_then(|member| member.given_name.clone()),
            of: |now| now.given_name.clone(),
        },
        Fact {
            name: "Family name",
            said: record.family_name(),
            stamp: record.family_name.as_ref().map(|fact| fact.stamp),
            had: member.and_then(|member| member.family_name.clone()),
            of: |now| now.family_name.clone(),
        },
        Fact {
            name: "Locale",
            said: record.locale(),
            stamp: record.locale.as_ref().map(|fact| fact.stamp),
            had: None,
            of: |_| None,
        },
    ];
    let (had_name, has_name) = (said("Postman had"), said("Postman has now"));
    let live = look.and_then(|look| match &look.has {
        Has::Member(member) => Some(&**member),
        Has::Nobody | Has::Several | Has::Unknown => None,
    });
    html! {
        section {
            h2 { (said("What HR says, and what Postman has")) }
            div .scroll {
                table .beside {
                    thead { tr { th { "Fact" } th { "HR says" } th { (had_name) } @if look.is_some() { th { (has_name) } } } }
                    tbody {
                        @for fact in rows {
                            tr {
                                th scope="row" { (fact.name) }
                                td data-name="HR says" { (told(now, fact.said, fact.stamp)) }
                                td data-name=(had_name) { (value(fact.had.as_deref())) }
                                @if look.is_some() {
                                    td data-name=(has_name) { (value(live.and_then(fact.of).as_deref())) }
                                }
                            }
                        }
                    }
                }
            }
            @match member {
                Some(member) => p .quiet {
                    "SCIM id " @match &member.id { Some(id) => code { (id) }, None => "not known yet: invited" }
                    ", last read or written " (layout::time(now, member.seen_at))
                },
                None => p .quiet { (said("No member at Postman is known.")) },
            }
            (groups(now, document))
        }
    }
}

/// The facts that groups are derived from, and the groups that the bridge put the member into.
fn groups(now: UnixMs, document: &Document) -> Markup {
    let words = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    html! {
        @for (name, fact) in &document.record.further {
            p { (name) ": " (words(fact.value.iter().map(crate::core::person::label::Label::as_str).collect())) }
        }
        @if !document.groups.is_empty() {
            p { "In the groups " (words(document.groups.iter().map(|joined| joined.name.as_str()).collect())) "." }
        }
        @if let Some(wait) = document.groups_wait {
            p .quiet { "They cannot join a group yet: tried again " (layout::time(now, wait.due)) "." }
        }
    }
}

fn told(now: UnixMs, value: Option<&str>, stamp: Option<Stamp>) -> Markup {
    let (Some(value), Some(stamp)) = (value, stamp) else { return html! { span .quiet { "not given" } } };
    html! {
        @if value.is_empty() { em { "none" } } @else { (value) }
        " " span .quiet { "as of " (layout::time(now, stamp.at)) }
    }
}

fn value(value: Option<&str>) -> Markup {
    match value {
        Some(value) if !value.is_empty() => html! { (value) },
        _ => html! { span .quiet { "–" } },
    }
}
