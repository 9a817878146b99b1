//! The configuration in force, secrets masked, and what bounds the store.

use maud::html;

use super::layout::{self, Nav};
use super::session::Session;
use super::{Page, State};

/// `GET /settings`
pub(super) async fn show(state: State, session: Session) -> Page {
    Ok(layout::page(
        "Settings",
        Nav::Settings,
        Some(&session),
        &html! {
            h1 { "Settings" }
            dl .facts {
                dt { "Version" } dd { (state.version) }
                dt { "Role" } dd { (state.role.as_str()) }
                dt { "Up" } dd { (layout::span(state.now().ms_since(state.started_at))) }
                dt { "Sources" } dd { (state.source_names().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                dt { "Events that may wait" } dd { (state.bounds.entries_max) }
                dt { "Dead letters that are kept" } dd { (state.bounds.dead_letters_max) }
                dt { "Bytes of payloads that are kept" } dd { (state.bounds.dead_bytes_max) }
                dt { "Leaves allowed without an operator" } dd { (state.guard.leaves_max) ", or " (state.guard.leaves_percent) "% of the people known, in " (layout::span(state.guard.window_ms)) }
                dt { "Address changes allowed without an operator" } dd { (state.guard.address_changes_max) " in " (layout::span(state.guard.window_ms)) }
            }
            @if !state.settings.is_empty() {
                h2 { "Configuration in force" }
                p .quiet { "Secrets are not shown." }
                div .scroll {
                    table {
                        thead { tr { th { "Key" } th { "Value" } } }
                        tbody { @for (key, value) in state.settings.iter() { tr { td data-name="Key" { code { (key) } } td data-name="Value" { code { (value) } } } } }
                    }
                }
            }
        },
    ))
}
