//! Deliveries: what became of those of each source.

use maud::{Markup, html};

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State};
use crate::core::problems::{Counted, SourceFigures};
use crate::core::time::UnixMs;

/// `GET /deliveries`
pub(super) async fn show(state: State, session: Session) -> Page {
    let overview = state.overview().await?;
    let figures = &overview.figures;
    Ok(layout::page(
        "Deliveries",
        Nav::Deliveries,
        Some(&session),
        &html! {
            h1 { "Deliveries" }
            p .quiet { "What became of what the HR systems sent." }
            div #sources data-live {
                @for source in &figures.sources {
                    section .card id=(source.name) {
                        h2 { (source.name) }
                        (about(figures.now, source, figures.entries.get(source.name.as_str()).copied().unwrap_or(0)))
                    }
                }
            }
        },
    ))
}

fn about(now: UnixMs, source: &SourceFigures, entries: u64) -> Markup {
    let listed: Vec<(String, &Counted)> = source
        .refused
        .iter()
        .map(|(reason, counted)| (format!("refused: {}", reason.replace('_', " ")), counted))
        .chain(source.ignored.iter().map(|(name, counted)| (format!("ignored: type {name}"), counted)))
        .chain(source.conflicts.iter().map(|counted| ("same id, another body".to_owned(), counted)))
        .chain(source.ahead.iter().map(|counted| ("dated ahead".to_owned(), counted)))
        .chain(source.full.iter().map(|counted| ("put off: a bound is reached".to_owned(), counted)))
        .collect();
    html! {
        dl .facts {
            dt { "Accepted" } dd { (source.accepted) }
            dt { "Last genuine one" } dd { @match source.genuine_at { Some(at) => (layout::time(now, at)), None => "none seen" } }
            dt { "Waiting to be read" } dd { (entries) @if entries == 1 { " event" } @else { " events" } }
            @if let Some(until) = source.secret_until { dt { "Secret ends" } dd { (layout::time(now, until)) } }
        }
        @if !listed.is_empty() {
            div .scroll {
                table {
                    thead { tr { th { "What" } th { "How often" } th { "First" } th { "Last" } } }
                    tbody {
                        @for (what, counted) in listed {
                            tr {
                                td data-name="What" { (what) }
                                td .number data-name="How often" { (counted.count) }
                                td data-name="First" { (layout::time(now, counted.since)) }
                                td data-name="Last" { (layout::time(now, counted.last_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
