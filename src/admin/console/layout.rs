//! What the pages share: the frame around them, instants, codes, people, buttons.

use maud::{DOCTYPE, Markup, html};

use super::session::Session;
use crate::admin::error::AdminError;
use crate::admin::listing::percent_encoded;
use crate::core::code::Code;
use crate::core::event::{Event, Person};
use crate::core::job::JobId;
use crate::core::time::UnixMs;

/// Where in the console a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nav {
    /// Outside of it.
    None,
    Overview,
    Dead,
    Jobs,
    People,
    Hold,
}

const LINKS: [(Nav, &str, &str); 5] = [
    (Nav::Overview, "/", "Overview"),
    (Nav::People, "/people", "People"),
    (Nav::Dead, "/dead", "Dead letters"),
    (Nav::Jobs, "/jobs", "Jobs"),
    (Nav::Hold, "/hold", "Holds"),
];

/// A whole page.
pub(super) fn page(title: &str, here: Nav, session: Option<&Session>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · scim-bridge" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
            }
            body {
                header .top {
                    a .brand href="/" { img src="/icon.svg" alt="" width="22" height="22"; "scim-bridge" }
                    @if let Some(session) = session {
                        nav aria-label="Pages" {
                            @for (nav, href, name) in LINKS {
                                a href=(href) aria-current=[(nav == here).then_some("page")] { (name) }
                            }
                        }
                        (button(session, "/logout", "Log out", "plain", &[]))
                    }
                }
                main { (body) }
            }
        }
    }
}

/// The page of an error.
pub(super) fn error(error: &AdminError) -> Markup {
    page(
        "Error",
        Nav::None,
        None,
        &html! {
            div .card {
                h1 { "That did not work" }
                p { (sentence(&error.message())) }
                p .quiet { (prose(error.action())) }
                p { a href="/" { "Back to the overview" } }
            }
        },
    )
}

/// A line of ours in which backticks mark what is to be typed or read as it stands.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (n, piece) in text.split('`').enumerate() {
            @if n % 2 == 0 { (piece) } @else { code { (piece) } }
        }
    }
}

/// An instant, told from now, with the exact one at hand.
pub(super) fn time(now: UnixMs, at: UnixMs) -> Markup {
    html! { time datetime=(at) title=(at) { (relative(now, at)) } }
}

/// A stable code, with its meaning at hand.
pub(super) fn code(code: Code) -> Markup {
    html! { code .code title=(code.title()) { (code) } }
}

/// A link to a person's page.
pub(super) fn person(person: &Person) -> Markup {
    html! { a href=(person_page(person)) { (person) } }
}

/// Where a person's page is.
pub(super) fn person_page(person: &Person) -> String {
    format!("/people?source={}&employee_id={}", person.source, percent_encoded(&person.employee_id))
}

/// An id as it is read by people: its end tells it apart.
pub(super) fn id(id: JobId) -> Markup {
    let text = id.to_string();
    html! { code title=(text) { "…" (text[text.len() - 8..]) } }
}

/// The facts of an event.
pub(super) fn event(event: &Event) -> Markup {
    let names = event.names();
    html! {
        dt { "Event" } dd { (event.kind()) }
        @if let Some(email) = event.email() { dt { "E-mail" } dd { (email.as_received()) } }
        @if let Some(given) = names.given() { dt { "Given name" } dd { (given) } }
        @if let Some(family) = names.family() { dt { "Family name" } dd { (family) } }
        @if let Some(at) = event.occurred_at { dt { "Happened at the source" } dd { (at) } }
    }
}

/// A button that does something: a form of its own, with the session's token.
pub(super) fn button(session: &Session, action: &str, label: &str, class: &str, fields: &[(&str, &str)]) -> Markup {
    html! {
        form .inline method="post" action=(action) {
            input type="hidden" name="form_token" value=(session.form_token());
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button class=(class) type="submit" { (label) }
        }
    }
}

/// A link to older rows.
pub(super) fn older(page: &str, next: Option<JobId>) -> Markup {
    html! { @if let Some(next) = next { p .pager { a href={ (page) "before=" (next) } { "Older →" } } } }
}

/// What was just done.
pub(super) fn done(what: Option<&str>) -> Markup {
    let text = match what {
        Some("replayed") => "Replayed: it is queued again.",
        Some("discarded") => "Discarded. What waited behind it goes on.",
        Some("held") => "The hold is in force.",
        Some("lifted") => "The hold is lifted.",
        _ => return html! {},
    };
    html! { p .flash role="status" { (text) } }
}

/// `3 min ago`, `in 2 h`.
pub(super) fn relative(now: UnixMs, at: UnixMs) -> String {
    let (ms, future) = if at > now { (at.ms_since(now), true) } else { (now.ms_since(at), false) };
    if ms < 1_000 {
        return "now".to_owned();
    }
    let span = span(ms);
    if future { format!("in {span}") } else { format!("{span} ago") }
}

/// `3 min`, `2 h`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The same, beginning with a capital and ending with a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_from_now() {
        let now = UnixMs(1_000_000_000);
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(now, now.minus_ms(90_000)), "90 s ago");
        assert_eq!(relative(now, now.plus_ms(600_000)), "in 10 min");
        assert_eq!(relative(now, now.minus_ms(3 * 86_400_000)), "3 days ago");
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(prose("Set `[a] <b>`; go.").into_string(), "Set <code>[a] &lt;b&gt;</code>; go.");
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        assert_eq!(sentence("there is no such job"), "There is no such job.");
        assert_eq!(sentence(""), ".");
    }
}
