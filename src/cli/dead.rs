//! `dead`: list, show, replay and discard dead letters, singly or all that match.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::api::Api;
use super::failure::Failure;
use super::people::PageArgs;
use super::{Context, block_on, person};
use crate::admin::api::shapes::{
    BulkBody, BulkDoneBody, CSV_COLUMNS, DeadBody, DeadListBody, DeadRowBody, DiscardedBody, ReplayBody,
};
use crate::core::code::Code;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters, newest first.
    List {
        /// Which of them.
        #[command(flatten)]
        filter: FilterArgs,
        /// Which page of them.
        #[command(flatten)]
        page: PageArgs,
        /// Print comma-separated values.
        #[arg(long)]
        csv: bool,
    },
    /// Show one in full: what is wrong, what was tried, what to do.
    Show {
        /// Its id.
        id: String,
    },
    /// Try one again, or all that match: a blocked person as they are now, an unmapped record by the
    /// current mapping.
    Replay(ActArgs),
    /// Discard one, or all that match: what HR says is not applied until HR's next event.
    Discard(ActArgs),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Only of this code.
    #[arg(long)]
    code: Option<String>,
    /// Only of this source.
    #[arg(long)]
    source: Option<String>,
    /// Only those whose newest stopped event was of this kind, or whose record would be: hire, update, leave or notice.
    #[arg(long, value_parser = ["hire", "update", "leave", "notice"])]
    event: Option<String>,
    /// Only those older than this: 90s, 15m, 12h, 7d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
}

impl FilterArgs {
    fn is_given(&self) -> bool {
        self.code.is_some() || self.source.is_some() || self.event.is_some() || self.older_than.is_some()
    }

    fn query(&self) -> String {
        let age = self.older_than.map(|age| age.as_secs().to_string());
        let parts = [("code", &self.code), ("source", &self.source), ("event", &self.event), ("older_than_s", &age)];
        let given = parts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!("{name}={}", Api::escaped(value))).collect::<Vec<_>>().join("&")
    }
}

/// One dead letter, or a selection.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// The id of one.
    id: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Only count them.
    #[arg(long)]
    dry_run: bool,
    /// Why, for the audit.
    #[arg(long)]
    reason: Option<String>,
    /// For a record that could not be mapped: corrects a field first, by the mapping's name for it. May be repeated.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = field_value)]
    set: Vec<(String, String)>,
}

fn field_value(text: &str) -> Result<(String, String), &'static str> {
    let (field, value) = text.split_once('=').ok_or("a field and its value, such as email=ada@example.com")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// `90s`, `15m`, `12h`, `7d`; a bare number is seconds.
fn age(text: &str) -> Result<Duration, &'static str> {
    let wrong = "an age is a number with s, m, h or d";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong)?;
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong),
    };
    number.checked_mul(unit).map(Duration::from_secs).ok_or(wrong)
}

/// What to do.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Replay,
    Discard,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }
}

/// Runs the command.
pub fn run(context: &Context, command: &DeadCommand) -> Result<(), Failure> {
    if let DeadCommand::List { csv, .. } = command {
        context.is_one_format(*csv)?;
    }
    let api = Api::of(context)?;
    match command {
        DeadCommand::List { filter, page, csv } => {
            let path = format!("/api/v1/dead?{}&{}", filter.query(), page.query());
            let list: DeadListBody = block_on(api.get(&path))?;
            if *csv {
                print_csv(&list);
                return Ok(());
            }
            context.print(&list, || print_list(&list))
        }
        DeadCommand::Show { id } => {
            let path = format!("/api/v1/dead/{}?payload=true", Api::escaped(id));
            let dead: DeadBody = block_on(api.get(&path))?;
            context.print(&dead, || print_dead(&dead))
        }
        DeadCommand::Replay(args) => act(context, &api, args, Verb::Replay),
        DeadCommand::Discard(args) => act(context, &api, args, Verb::Discard),
    }
}

fn act(context: &Context, api: &Api, args: &ActArgs, verb: Verb) -> Result<(), Failure> {
    if !args.set.is_empty() && (args.id.is_none() || matches!(verb, Verb::Discard)) {
        return Err(Failure::Usage("--set corrects one record that is replayed: name it by its id".to_owned()));
    }
    let done = match &args.id {
        Some(_) if args.filter.is_given() || args.all || args.dry_run => {
            return Err(Failure::Usage(
                "give an id, or a filter (--code, …, --all, --dry-run), and not both".to_owned(),
            ));
        }
        Some(id) => one(api, id, args, verb)?,
        None if !args.filter.is_given() && !args.all => {
            let which =
                "say which dead letters: an id, one or more of --code, --source, --event and --older-than, or --all";
            return Err(Failure::Usage(which.to_owned()));
        }
        None => block_on(all(api, args, verb))?,
    };
    context.print(&done, || {
        let n = done.replayed + done.discarded;
        let counted = if args.dry_run { "would be" } else { "are" };
        let n = if args.dry_run { done.matched } else { n };
        say!("{n} of {} {counted} {}", done.matched, verb.done());
        let unknown = args.filter.code.as_ref().filter(|code| Code::ALL.iter().all(|known| known.as_str() != **code));
        if let Some(code) = unknown.filter(|_| done.matched == 0) {
            say!("`{code}` is not a code that this version knows: `scim-bridge dead list` shows the existing ones");
        }
        if done.still_unmapped > 0 {
            say!("{} still cannot be mapped: see `scim-bridge dead list`", done.still_unmapped);
        }
        for source in &done.sources_gone {
            say!(
                "source `{source}` is not configured, so nothing maps its records: configure it again, or discard them"
            );
        }
    })
}

fn one(api: &Api, id: &str, args: &ActArgs, verb: Verb) -> Result<BulkDoneBody, Failure> {
    let path = format!("/api/v1/dead/{}/{}", Api::escaped(id), verb.as_str());
    match verb {
        Verb::Replay => {
            let body = ReplayBody { fields: args.set.iter().cloned().collect() };
            block_on(api.post_json(&path, &body))
        }
        Verb::Discard => {
            let body = serde_json::json!({ "reason": args.reason });
            let _: DiscardedBody = block_on(api.post_json(&path, &body))?;
            Ok(BulkDoneBody { matched: 1, discarded: 1, ..BulkDoneBody::default() })
        }
    }
}

/// All that match, as many requests as it takes.
async fn all(api: &Api, args: &ActArgs, verb: Verb) -> Result<BulkDoneBody, Failure> {
    let filter = &args.filter;
    let mut body = BulkBody {
        code: filter.code.clone(),
        source: filter.source.clone(),
        event: filter.event.clone(),
        older_than_s: filter.older_than.map(|age| age.as_secs()),
        dry_run: args.dry_run,
        reason: args.reason.clone(),
        ..BulkBody::default()
    };
    let mut sum = BulkDoneBody::default();
    loop {
        let done: BulkDoneBody = api.post_json(&format!("/api/v1/dead/{}", verb.as_str()), &body).await?;
        sum.matched += done.matched;
        sum.replayed += done.replayed;
        sum.discarded += done.discarded;
        sum.still_unmapped += done.still_unmapped;
        sum.sources_gone.extend(done.sources_gone);
        match done.next {
            Some(next) => body.after = Some(next),
            None => return Ok(sum),
        }
    }
}

fn print_list(list: &DeadListBody) {
    if list.dead.is_empty() {
        say!("No dead letters.");
    }
    for dead in &list.dead {
        say!("{}  {}  {:<19} {}", dead.id, dead.died_at, dead.code, whose(dead));
    }
    if let Some(next) = &list.next {
        say!("more: scim-bridge dead list --after {next}");
    }
}

fn print_csv(list: &DeadListBody) {
    say!("{CSV_COLUMNS}");
    list.dead.iter().for_each(|dead| say!("{}", dead.csv()));
}

fn print_dead(dead: &DeadBody) {
    let row = &dead.row;
    say!("{}  {}", row.id, whose(row));
    say!("{}: {}", row.code, row.title);
    say!("what exactly: {}", row.detail);
    say!("what to do:   {}", row.action);
    say!("died at:      {}", row.died_at);
    if let Some(about) = &dead.about {
        say!();
        person::print(about);
    }
    if let Some(payload) = &dead.payload {
        say!("\nas received:\n{}", printable(payload));
    }
}

/// Without control characters: what a stranger sent must not command the terminal.
fn printable(payload: &str) -> String {
    payload
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

fn whose(dead: &DeadRowBody) -> String {
    let person =
        dead.person.as_ref().map_or_else(|| dead.source.clone(), |p| format!("{}/{}", p.source, p.employee_id));
    format!("{} {person}", dead.event.as_deref().unwrap_or("record"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_cannot_control_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r\u{9b}c\n\td"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\n\td");
    }

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!(age("90").unwrap(), Duration::from_secs(90));
        assert_eq!(age("7d").unwrap(), Duration::from_hours(168));
        for wrong in ["", "d", "1w", "-1h", "1.5h", "99999999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
