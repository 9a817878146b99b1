//! Who did what, when, and why.

use maud::{Markup, html};

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State};
use crate::core::audit::{Audit, Line};
use crate::core::person::job::JobId;
use crate::core::time::UnixMs;

/// `GET /audit`
pub(super) async fn show(state: State, session: Session) -> Page {
    let audit = state.audit().await?;
    Ok(layout::page(
        "Audit",
        Nav::Audit,
        Some(&session),
        &html! {
            h1 { "Audit" }
            p .quiet { "What operators did, newest first, by the names of their tokens." }
            div #acts data-live { (acts(state.now(), &audit)) }
        },
    ))
}

fn acts(now: UnixMs, audit: &Audit) -> Markup {
    html! {
        @if audit.lines.is_empty() { p { "Nothing yet." } } @else {
            div .scroll {
                table {
                    thead { tr { th { "When" } th { "Who" } th { "What" } th { "Why" } } }
                    tbody {
                        @for line in audit.lines.iter().rev() {
                            tr {
                                td data-name="When" { (layout::time(now, line.at)) }
                                td data-name="Who" { (line.by) }
                                td data-name="What" { (what(line)) }
                                td data-name="Why" { (line.reason.as_deref().unwrap_or("")) }
                            }
                        }
                    }
                }
            }
            @if audit.dropped > 0 { p .quiet { (audit.dropped) " older entries were dropped." } }
        }
    }
}

fn what(line: &Line) -> Markup {
    html! {
        (line.act.title()) " "
        @if JobId::parse(&line.target).is_some() { a href={ "/dead/" (line.target) } { code { (line.target) } } } @else { code { (line.target) } }
        @if let Some(count) = line.count { " (" (count) ")" }
    }
}
