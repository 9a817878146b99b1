//! What the pages share: the frame around them, instants, codes, people, buttons.

use maud::{DOCTYPE, Markup, html};

use super::session::Session;
use crate::admin::error::AdminError;
use crate::admin::listing::percent_encoded;
use crate::core::code::Code;
use crate::core::person::Person;
use crate::core::person::job::JobId;
use crate::core::problems::ProblemCode;
use crate::core::time::UnixMs;
use crate::store::LaneState;

/// Where in the console a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nav {
    /// Outside of it.
    None,
    Now,
    People,
    Dead,
    Deliveries,
    Try,
    Roster,
    Hold,
    Audit,
    Settings,
}

const LINKS: [(Nav, &str, &str); 9] = [
    (Nav::Now, "/", "Now"),
    (Nav::People, "/people", "People"),
    (Nav::Dead, "/dead", "Dead letters"),
    (Nav::Deliveries, "/deliveries", "Deliveries"),
    (Nav::Try, "/try", "Try it"),
    (Nav::Roster, "/roster", "Roster"),
    (Nav::Hold, "/hold", "Holds"),
    (Nav::Audit, "/audit", "Audit"),
    (Nav::Settings, "/settings", "Settings"),
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
                script src="/live.js" defer {}
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header .top {
                    a .brand href="/" { img src="/icon.svg" alt="" width="22" height="22"; "scim-bridge" }
                    @if let Some(session) = session {
                        nav aria-label="Pages" {
                            @for (nav, href, name) in LINKS {
                                a href=(href) aria-current=[(nav == here).then_some("page")] { (name) }
                            }
                        }
                        div .who {
                            span .quiet { (session.name()) @if !session.may_write() { " (read-only)" } }
                            (log_out(session))
                        }
                    }
                }
                main #main { (body) }
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
                p .quiet { (prose(&error.action())) }
                p { a href="/" { "Back to the first page" } }
            }
        },
    )
}

/// A line from the program itself, in which backticks mark code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (n, piece) in text.split('`').enumerate() {
            @if n % 2 == 0 { (piece) } @else { code { (piece) } }
        }
    }
}

/// An instant as seen from now (`3 min ago`), with the exact one as its title.
pub(super) fn time(now: UnixMs, at: UnixMs) -> Markup {
    html! { time datetime=(at) title=(at) { (relative(now, at)) } }
}

/// A stable code, with its meaning as its title if this version knows it.
pub(super) fn code(code: &str) -> Markup {
    let known = Code::ALL.iter().find(|known| known.as_str() == code).map(|known| known.title());
    let of_problem = || ProblemCode::ALL.iter().find(|known| known.as_str() == code).map(|known| known.title());
    html! { code .code title=[known.or_else(of_problem)] { (code) } }
}

/// A link to a person's page.
pub(super) fn person(person: &Person) -> Markup {
    html! { a href=(person_page(person)) { (person) } }
}

/// Where a person's page is.
pub(super) fn person_page(person: &Person) -> String {
    format!("/person?source={}&employee_id={}", person.source, percent_encoded(&person.employee_id))
}

/// An id as shown to people: its middle distinguishes it, since it begins with the time and ends with the person's
/// number.
pub(super) fn id(id: JobId) -> Markup {
    let text = id.to_string();
    html! { code title=(text) { (text.get(6..16).unwrap_or(&text)) "…" } }
}

/// A person's state, in a word and a colour.
pub(super) fn state(state: LaneState) -> Markup {
    let word = match state {
        LaneState::Idle => "in sync",
        other => other.as_str(),
    };
    html! { span class={ "state " (state.as_str()) } { (word) } }
}

fn log_out(session: &Session) -> Markup {
    html! {
        form .inline method="post" action="/logout" {
            input type="hidden" name="form_token" value=(session.form_token());
            button .plain type="submit" { "Log out" }
        }
    }
}

/// A button that does something: a form of its own, with the session's token. Nothing for read-only users.
pub(super) fn button(session: &Session, action: &str, label: &str, class: &str, fields: &[(&str, &str)]) -> Markup {
    if !session.may_write() {
        return html! {};
    }
    html! {
        form .inline method="post" action=(action) {
            input type="hidden" name="form_token" value=(session.form_token());
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button class=(class) type="submit" { (label) }
        }
    }
}

/// A link to the rows that follow; `query` is the page's own, ending with `&` or `?`.
pub(super) fn next(query: &str, next: Option<&str>) -> Markup {
    html! { @if let Some(next) = next { p .pager { a href={ (query) "after=" (percent_encoded(next)) } { "More →" } } } }
}

/// What was just done.
pub(super) fn done(what: Option<&str>, count: Option<u64>) -> Markup {
    let text = match what {
        Some("replayed") => "Replayed: tried again now.",
        Some("corrected") => "Corrected: the record is mapped again, and the person is tried now.",
        Some("discarded") => "Discarded. HR's next event about this person takes effect again.",
        Some("held") => "The hold is in force.",
        Some("lifted") => "The hold is lifted.",
        Some("allowed") => "Let through.",
        Some("applied") => "Applied: these people are worked on now.",
        Some("compared") => "Compared.",
        Some("due") => "They are tried now.",
        _ => return html! {},
    };
    html! { p .flash role="status" { (text) @if let Some(count) = count { " " (count) @if count == 1 { " dead letter." } @else { " dead letters." } } } }
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

/// This text with a capital at its beginning and a full stop at its end.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_shown_relative_to_now() {
        let now = UnixMs(1_000_000_000);
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(now, now.minus_ms(90_000)), "90 s ago");
        assert_eq!(relative(now, now.plus_ms(600_000)), "in 10 min");
        assert_eq!(relative(now, now.minus_ms(3 * 86_400_000)), "3 days ago");
    }

    #[test]
    fn text_between_backticks_is_code() {
        assert_eq!(prose("Set `[a] <b>`; go.").into_string(), "Set <code>[a] &lt;b&gt;</code>; go.");
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        assert_eq!(sentence("there is no such job"), "There is no such job.");
        assert_eq!(sentence(""), ".");
    }
}
