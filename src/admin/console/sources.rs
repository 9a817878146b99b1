//! Deliveries: what became of those of each source.

use maud::{Markup, html};

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State};
use crate::core::problems::SourceFigures;
use crate::core::tally::Seen;
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
    let tally = &source.tally;
    let fates = [
        ("accepted", tally.accepted),
        ("known already", tally.duplicates),
        ("ignored", tally.ignored),
        ("could not be mapped", tally.unmapped),
        ("handshakes", tally.handshakes),
        ("tokens offered", tally.token_offered),
    ];
    let words = [
        ("refused", &tally.refused),
        ("put off", &tally.full),
        ("of a type that nothing names", &tally.unnamed_types),
        ("used without", &tally.dropped),
    ];
    let listed: Vec<(String, Seen)> = fates
        .into_iter()
        .map(|(what, seen)| (what.to_owned(), seen))
        .chain(words.into_iter().flat_map(|(what, words)| {
            words.iter().map(move |(word, seen)| (format!("{what}: {}", word.replace('_', " ")), *seen))
        }))
        .filter(|(_, seen)| seen.count > 0)
        .collect();
    html! {
        dl .facts {
            dt { "Last genuine one" } dd { @if tally.good_at() > UnixMs(0) { (layout::time(now, tally.good_at())) } @else { "none seen" } }
            dt { "Waiting to be read" } dd { (entries) @if entries == 1 { " event" } @else { " events" } }
            @if let Some(until) = source.secret_until { dt { "Secret ends" } dd { (layout::time(now, until)) } }
        }
        @if !listed.is_empty() {
            div .scroll {
                table {
                    thead { tr { th { "What" } th { "How often" } th { "First" } th { "Last" } } }
                    tbody {
                        @for (what, seen) in listed {
                            tr {
                                td data-name="What" { (what) }
                                td .number data-name="How often" { (seen.count) }
                                td data-name="First" { (layout::time(now, seen.since)) }
                                td data-name="Last" { (layout::time(now, seen.last_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
