//! The first page: whether all is well, what needs attention, and what moves and how fast.

use maud::{Markup, html};

use super::layout::{self, Nav};
use super::plot::Plot;
use super::session::Session;
use super::{Page, State};
use crate::admin::api::shapes::drained_in_s;
use crate::admin::overview::Overview;
use crate::core::activity::{HALF_HOUR_MS, Happening, MINUTE_MS};
use crate::core::limiter::Rate;
use crate::core::problems::{Figures, Problem};
use crate::core::target_name::said;
use crate::core::time::UnixMs;
use crate::store::LaneState;

/// Successes and failures.
const GOOD_DELIVERIES: [Happening; 3] = [Happening::Accepted, Happening::Duplicate, Happening::Ignored];
const BAD_DELIVERIES: [Happening; 2] = [Happening::Unmapped, Happening::Refused];
const GOOD_CALLS: [Happening; 1] = [Happening::Served];
const BAD_CALLS: [Happening; 6] = [
    Happening::Limited,
    Happening::Denied,
    Happening::Failed,
    Happening::Unreadable,
    Happening::Unreachable,
    Happening::Unanswered,
];

/// `GET /`
pub(super) async fn show(state: State, session: Session) -> Page {
    let overview = state.overview().await?;
    let figures = &overview.figures;
    Ok(layout::page(
        "Now",
        Nav::Now,
        Some(&session),
        &html! {
            div #wrong data-live { (wrong(figures, &overview.problems)) }
            div #figures data-live {
                @if overview.is_readable { (tiles(&overview, state.roster.rates())) }
                @else { p .quiet { "The store cannot be read, so its figures are missing here." } }
            }
            div #plots .plots data-live { @if overview.is_readable { (plots(figures)) } }
            div #sources data-live { @if overview.is_readable { (sources(figures)) } }
            div #processes data-live { @if overview.is_readable { (processes(figures)) } }
            footer .quiet {
                "scim-bridge " (state.version) " · role " (state.role.as_str()) " · " (state.lifecycle.phase().as_str())
                " · up " (layout::span(figures.now.ms_since(state.started_at)))
            }
        },
    ))
}

fn wrong(figures: &Figures, problems: &[Problem]) -> Markup {
    html! {
        @if problems.is_empty() {
            section .well { h1 { "All is well" } p { (said("Everything that HR says is in Postman, or on its way there.")) } }
        } @else {
            h1 { @if problems.len() == 1 { "One thing needs attention" } @else { (problems.len()) " things need attention" } }
            ol .problems {
                @for problem in problems {
                    li .card {
                        p .what { (layout::prose(&problem.what)) " " (layout::code(&problem.code)) }
                        p .todo { (layout::prose(&problem.action)) }
                        p .pager {
                            span .quiet { "for " time datetime=(problem.since) title=(problem.since) { (layout::span(figures.now.ms_since(problem.since))) } }
                            @if problem.page != "/" { " · " a href=(problem.page) { "Look at " @if problem.count == 1 { "it" } @else { "them" } " →" } }
                        }
                    }
                }
            }
        }
    }
}

fn tiles(overview: &Overview, (writes, reads): (Rate, Rate)) -> Markup {
    let (stats, figures) = (&overview.stats, &overview.figures);
    let tile = |href: &str, name: &str, value: String| {
        html! { a .tile href=(href) { span .value { (value) } span .name { (name) } } }
    };
    let people = |state: LaneState| {
        let n = stats.lanes.get(state.as_str()).copied().unwrap_or(0);
        tile(&format!("/people?state={}", state.as_str()), state.as_str(), n.to_string())
    };
    let drained = drained_in_s(overview).map_or_else(|| "–".to_owned(), |seconds| layout::span(seconds * 1_000));
    let dead: u64 = stats.dead.values().sum();
    let lately = |of: &[Happening]| figures.activity.lately(figures.now, MINUTE_MS, of).to_string();
    let delivered: Vec<Happening> = GOOD_DELIVERIES.into_iter().chain(BAD_DELIVERIES).collect();
    html! {
        section .tiles aria-label="Figures" {
            (people(LaneState::Waiting))
            (people(LaneState::Running))
            (people(LaneState::Held))
            (people(LaneState::Scheduled))
            (people(LaneState::Incomplete))
            (people(LaneState::Blocked))
            (tile("/dead", "dead letters", dead.to_string()))
            (tile("/people", "people known", stats.people.to_string()))
            (tile("/people?state=waiting", "until drained", drained))
            (tile("/deliveries", "deliveries a minute", lately(&delivered)))
            (tile("/", &of_limit(writes, "writes"), lately(&[Happening::Write])))
            (tile("/", &of_limit(reads, "reads"), lately(&[Happening::Read])))
        }
    }
}

/// The limit next to the number of calls in the last minute.
fn of_limit(rate: Rate, calls: &str) -> String {
    match u64::from(rate.calls) * MINUTE_MS / rate.window_ms.max(1) {
        0 => format!("{calls} a minute"),
        limit => format!("of {limit} {calls} a minute"),
    }
}

fn plots(figures: &Figures) -> Markup {
    let activity = &figures.activity;
    let hour = |title, good, bad| Plot { title, buckets: &activity.minutes, step_ms: MINUTE_MS, steps: 60, good, bad };
    let day =
        |title, good, bad| Plot { title, buckets: &activity.half_hours, step_ms: HALF_HOUR_MS, steps: 48, good, bad };
    html! {
        (hour("Deliveries, the last hour", &GOOD_DELIVERIES, &BAD_DELIVERIES).draw(figures.now))
        (hour(said("Calls to Postman, the last hour"), &GOOD_CALLS, &BAD_CALLS).draw(figures.now))
        (day("Deliveries, the last day", &GOOD_DELIVERIES, &BAD_DELIVERIES).draw(figures.now))
        (day(said("Calls to Postman, the last day"), &GOOD_CALLS, &BAD_CALLS).draw(figures.now))
    }
}

fn sources(figures: &Figures) -> Markup {
    let now = figures.now;
    let last = |at: UnixMs| html! { @if at > UnixMs(0) { (layout::time(now, at)) } @else { "none seen" } };
    html! {
        section {
            h2 { "Sources" }
            div .scroll {
                table {
                    thead { tr { th { "Source" } th { "Last genuine delivery" } th { "Accepted" } th { "Refused" } th { "Last refused" } } }
                    tbody {
                        @for source in &figures.sources {
                            tr {
                                td data-name="Source" { a href={ "/deliveries#" (source.name) } { (source.name) } }
                                td data-name="Last genuine delivery" { (last(source.tally.good_at())) }
                                td .number data-name="Accepted" { (source.tally.accepted.count) }
                                td .number data-name="Refused" { (source.tally.refused.values().map(|seen| seen.count).sum::<u64>()) }
                                td data-name="Last refused" { (last(source.tally.refused.values().map(|seen| seen.last_at).max().unwrap_or_default())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn processes(figures: &Figures) -> Markup {
    let now = figures.now;
    html! {
        section {
            h2 { "Processes" }
            div .scroll {
                table {
                    thead { tr { th { "Role" } th { "Version" } th { "Up" } th { "Last heard" } } }
                    tbody {
                        @for process in &figures.processes.processes {
                            tr {
                                td data-name="Role" { (process.role.as_str()) @if !process.is_heard(now) { " " span .state .blocked { "silent" } } }
                                td data-name="Version" { (process.version) }
                                td data-name="Up" { (layout::span(now.ms_since(process.since))) }
                                td data-name="Last heard" { (layout::time(now, process.beat_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
