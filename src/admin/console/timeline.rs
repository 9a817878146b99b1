//! A job's history, and jobs as rows.

use maud::{Markup, html};

use super::layout;
use crate::admin::words;
use crate::core::job::{HistoryEntry, JobState};
use crate::core::time::UnixMs;
use crate::store::JobView;

/// A history, oldest first.
pub(super) fn history(now: UnixMs, entries: &[HistoryEntry]) -> Markup {
    html! {
        @if entries.is_empty() {
            p .quiet { "Nothing was tried yet." }
        } @else {
            ol .history {
                @for entry in entries {
                    li class=(words::note_word(&entry.note)) {
                        span { (words::note_text(&entry.note)) }
                        (layout::time(now, entry.at))
                    }
                }
            }
        }
    }
}

/// Where a job stands, in a word and a colour.
pub(super) fn state(state: JobState) -> Markup {
    html! { span class={ "state " (state.as_str()) } { (state.as_str()) } }
}

/// Jobs as a table.
pub(super) fn jobs(now: UnixMs, jobs: &[JobView]) -> Markup {
    html! {
        div .scroll {
            table {
                thead { tr { th { "Job" } th { "Person" } th { "Event" } th { "State" } th { "Accepted" } th { "Attempts" } th { "Next, or how it ended" } } }
                tbody {
                    @for view in jobs {
                        tr {
                            td { a href={ "/jobs/" (view.job.id) } { (layout::id(view.job.id)) } }
                            td { (layout::person(&view.job.event.person)) }
                            td { (view.job.event.kind()) }
                            td { (state(view.state)) }
                            td { (layout::time(now, view.job.accepted_at)) }
                            td .number { (view.job.attempts) }
                            td { (end(now, view)) }
                        }
                    }
                }
            }
        }
    }
}

/// How a job ended, or when it goes on.
pub(super) fn end(now: UnixMs, view: &JobView) -> Markup {
    html! {
        @if let Some((at, outcome)) = view.finished {
            (outcome.as_str()) " " (layout::time(now, at))
        } @else if let Some(at) = view.due_at {
            "due " (layout::time(now, at))
        } @else if view.state == JobState::Parked {
            "behind a dead letter"
        } @else if view.state == JobState::Waiting {
            "behind another job"
        }
    }
}
