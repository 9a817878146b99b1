//! Dead letters: filtered, counted, and acted on together.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Nav};
use super::session::Session;
use super::{FormReply, Page, State, go_to};
use crate::admin::api::dead::filter;
use crate::admin::api::shapes::{CSV_COLUMNS, DeadRowBody};
use crate::admin::error::AdminError;
use crate::admin::letters::{Bulk, LetterAction, Matched};
use crate::admin::listing;
use crate::admin::service::AdminState;
use crate::core::person::EventKind;
use crate::core::time::UnixMs;
use crate::store::{DeadFilter, DeadRow};

/// Which, and where in the list.
#[derive(Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    code: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    older_than_s: String,
    after: Option<String>,
    done: Option<String>,
    count: Option<u64>,
}

impl Query {
    fn filter(&self, now: UnixMs) -> Result<DeadFilter, AdminError> {
        filter(now, Some(&self.code), Some(&self.source), Some(&self.event), age(&self.older_than_s)?)
    }

    /// The page's own query, up to a cursor.
    fn here(&self) -> String {
        format!("/dead?{}&", self.query())
    }

    fn query(&self) -> String {
        let fields = [
            ("code", &self.code),
            ("source", &self.source),
            ("event", &self.event),
            ("older_than_s", &self.older_than_s),
        ];
        let encoded = fields.map(|(name, value)| format!("{name}={}", listing::percent_encoded(value)));
        encoded.join("&")
    }
}

/// Ages that are offered, in seconds.
const AGES: [(u64, &str); 5] =
    [(900, "15 min"), (3_600, "1 h"), (86_400, "1 day"), (7 * 86_400, "7 days"), (30 * 86_400, "30 days")];

/// An age as a form gives it; an empty one is none.
fn age(text: &str) -> Result<Option<u64>, AdminError> {
    let parsed = || text.parse().map_err(|_| AdminError::BadRequest("older_than_s: a number of seconds".to_owned()));
    if text.is_empty() { Ok(None) } else { parsed().map(Some) }
}

/// `GET /dead.csv`: all that match, for a spreadsheet.
pub(super) async fn csv(state: State, _session: Session, query: web::Query<Query>) -> FormReply {
    let filter = query.filter(state.now())?;
    let mut page = crate::store::Page { rows_max: 500, after: None };
    let mut text = format!("{CSV_COLUMNS}\r\n");
    loop {
        let listed = state.dead_letters(&filter, &page).await?;
        for row in &listed.rows {
            text += &DeadRowBody::from(row).csv();
            text += "\r\n";
        }
        match listed.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let disposition = "attachment; filename=\"dead-letters.csv\"";
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"));
    Ok(answer.insert_header((CONTENT_DISPOSITION, disposition)).body(text))
}

/// `GET /dead`
pub(super) async fn list(state: State, session: Session, query: web::Query<Query>) -> Page {
    let page = listing::page(None, query.after.as_deref())?;
    let filter = query.filter(state.now())?;
    let listed = state.dead_letters(&filter, &page).await?;
    let figures = state.stats().await?;
    let codes: Vec<_> = figures.dead.iter().filter(|(_, n)| **n > 0).map(|(code, n)| (code.clone(), *n)).collect();
    let matched = state.dead_letters_matched(&filter, &figures).await?;
    Ok(layout::page(
        "Dead letters",
        Nav::Dead,
        Some(&session),
        &html! {
            h1 { "Dead letters" }
            (layout::done(query.done.as_deref(), query.count))
            p .quiet { "Events that cannot succeed as they are, kept in full. HR's next event about the person, or a corrected mapping, resolves a dead letter; or you replay or discard it." }
            (filters(&state, &query, &codes))
            @if !listed.rows.is_empty() { p .pager { a href={ "/dead.csv?" (query.query()) } { "Download as CSV" } } }
            @if listed.rows.is_empty() { p { "There are none." } } @else {
                (bulk(&session, &query, matched, &rows(state.now(), &listed.rows, session.may_write())))
            }
            (layout::next(&query.here(), listed.next.as_deref()))
        },
    ))
}

fn filters(state: &AdminState, query: &Query, codes: &[(String, u64)]) -> Markup {
    html! {
        form .search .card method="get" action="/dead" {
            div {
                label for="code" { "Code" }
                select #code name="code" {
                    option value="" { "any" }
                    @for (code, n) in codes { option value=(code) selected[*code == query.code] { (code) " (" (n) ")" } }
                }
            }
            div {
                label for="source" { "Source" }
                select #source name="source" {
                    option value="" { "any" }
                    @for source in state.source_names() { option value=(source) selected[source.as_str() == query.source] { (source) } }
                }
            }
            div {
                label for="event" { "Event" }
                select #event name="event" {
                    option value="" { "any" }
                    @for kind in EventKind::ALL { option value=(kind) selected[kind.as_str() == query.event] { (kind) } }
                }
            }
            div {
                label for="older_than_s" { "Older than" }
                select #older_than_s name="older_than_s" {
                    option value="" { "any" }
                    @for (seconds, name) in AGES { option value=(seconds) selected[query.older_than_s == seconds.to_string()] { (name) } }
                }
            }
            button .plain type="submit" { "Filter" }
        }
    }
}

/// The table in a form: those that are ticked, or all that match.
fn bulk(session: &Session, query: &Query, matched: Matched, table: &Markup) -> Markup {
    if !session.may_write() {
        return html! { p { (matched) " match." } (table) };
    }
    html! {
        form method="post" action="/dead/act" {
            input type="hidden" name="form_token" value=(session.form_token());
            @for (name, value) in [("code", &query.code), ("source", &query.source), ("event", &query.event), ("older_than_s", &query.older_than_s)] {
                input type="hidden" name=(name) value=(value);
            }
            div .actions {
                strong { (matched) @if matched.count == 1 { " matches" } @else { " match" } }
                button .primary type="submit" name="what" value="replay-all" { "Replay all " (matched) }
                button .plain type="submit" name="what" value="replay" { "Replay selected" }
                details {
                    summary { "Discard…" }
                    label for="reason" { "Why" }
                    input #reason name="reason" maxlength="200" autocomplete="off";
                    p .quiet { "The bridge then ignores what HR has said about these people so far, until HR's next event about each; unmapped records are gone for good." }
                    button .danger type="submit" name="what" value="discard" { "Discard selected" }
                    " "
                    button .danger type="submit" name="what" value="discard-all" { "Discard all " (matched) }
                }
            }
            (table)
        }
    }
}

/// Dead letters as a table.
/// What a dead letter would have been.
fn was(letter: &DeadRow) -> String {
    match (letter.event, letter.unmapped) {
        (Some(kind), false) => kind.as_str().to_owned(),
        (Some(kind), true) => format!("{}, unmapped", kind.as_str()),
        (None, _) => "unmapped".to_owned(),
    }
}

fn rows(now: UnixMs, dead: &[DeadRow], may_tick: bool) -> Markup {
    html! {
        div .scroll {
            table {
                thead { tr { @if may_tick { th { span .sr { "Selected" } } } th { "Dead letter" } th { "Person" } th { "Was" } th { "Why" } th { "Since" } } }
                tbody {
                    @for letter in dead {
                        tr {
                            @if may_tick { td { input type="checkbox" name={ "id-" (letter.id) } aria-label={ "Select " (letter.id) }; } }
                            td data-name="Dead letter" { a href={ "/dead/" (letter.id) } { (layout::id(letter.id)) } }
                            td data-name="Person" { @match &letter.person { Some(person) => (layout::person(person)), None => { (letter.source) " (person unknown)" } } }
                            td data-name="Was" { (was(letter)) }
                            td data-name="Why" { (layout::code(&letter.code)) " " span .quiet { (layout::prose(&letter.detail)) } }
                            td data-name="Since" { (layout::time(now, letter.died_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// `POST /dead/act`
pub(super) async fn act(state: State, session: Session, given: web::Form<Vec<(String, String)>>) -> FormReply {
    let field = |name: &str| given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let by = session.authorise(field("form_token").unwrap_or_default())?;
    let what = field("what").unwrap_or_default();
    let action = if what.starts_with("discard") {
        LetterAction::Discard { reason: field("reason").map(str::to_owned) }
    } else {
        LetterAction::Replay
    };
    let acted = if what.ends_with("-all") {
        let age = age(field("older_than_s").unwrap_or_default())?;
        let filter = filter(state.now(), field("code"), field("source"), field("event"), age)?;
        let mut bulk = Bulk { filter, dry_run: false, after: None };
        let mut acted = 0;
        loop {
            let done = state.act_on_all(by, &bulk, &action).await?;
            acted += done.done;
            match done.next {
                Some(next) => bulk.after = Some(next),
                None => break acted,
            }
        }
    } else {
        let ids: Result<Vec<_>, _> =
            given.iter().filter_map(|(name, _)| name.strip_prefix("id-")).map(listing::id).collect();
        state.act_on_these(by, &ids?, &action).await?.done
    };
    let word = match action {
        LetterAction::Replay => "replayed",
        LetterAction::Discard { .. } => "discarded",
    };
    Ok(go_to(&format!("/dead?done={word}&count={acted}")))
}
