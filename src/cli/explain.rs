//! `explain`: what a payload would do, field by field, without changing anything.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use super::api::Api;
use super::failure::Failure;
use super::proof::Proof;
use super::request::{self, Wanted};
use super::send::source_named;
use super::{Context, block_on, capture, payload};
use crate::admin::api::shapes::{PersonBody, RecordBody, StatusBody};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, SourceConfig, process_env};
use crate::core::json::Charset;
use crate::core::mapping::{Explanation, FieldExplanation, RecordExplanation, RecordResult, Show, explain};
use crate::core::person::{Document, Email, EmploymentState, Event, EventKind, Facts, KnownMember, Name, Stated};
use crate::core::reconcile::preview::{Claims, as_listed, preview};
use crate::core::time::UnixMs;

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The source whose mapping to use.
    #[arg(long)]
    source: String,
    /// The file with the payload; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["request", "capture"])]
    file: Option<PathBuf>,
    /// A file with a whole delivery: its signature is checked, too. Raw HTTP (request line, headers, blank line,
    /// body), the text of `curl -v` or a curl command, a HAR file, or what `capture` writes. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    request: Option<PathBuf>,
    /// A delivery that was captured, by its id: see `capture list`. The audit log records that you looked.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "request"])]
    capture: Option<String>,
    /// A file with the body, for the output of `curl -v`, which does not show it.
    #[arg(long, value_name = "FILE", requires = "request")]
    body: Option<PathBuf>,
    /// Which of several requests in the file, counted from 1; by default, all POSTs.
    #[arg(long, value_name = "N", requires = "request")]
    entry: Option<usize>,
    /// When it arrived, such as 2026-11-22T10:00:00Z, to judge its age; by default, the time in the file, or now.
    #[arg(long, value_name = "TIME", requires = "request", value_parser = instant)]
    at: Option<UnixMs>,
    /// Show the values that were found. They are personal data.
    #[arg(long)]
    values: bool,
}

/// What a payload would do.
#[derive(Debug, Serialize)]
struct Report {
    /// For a whole delivery: whether it is genuine.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    /// None for a handshake, which is answered before anything is read.
    #[serde(flatten)]
    mapping: Option<Explanation>,
    /// For each record that is an event: what would be done.
    people: Vec<Effect>,
    /// Whether a running bridge was asked what it knows of the people.
    bridge_asked: bool,
    /// Why the running bridge cannot say what it knows of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<Unreadable>,
    /// Why no running bridge could be asked, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge_unasked: Option<String>,
}

/// Why a running bridge cannot read its store.
#[derive(Debug, Clone, Serialize)]
struct Unreadable {
    code: String,
    what: String,
    action: String,
}

/// What an event would do for its person.
#[derive(Debug, Serialize)]
struct Effect {
    person: String,
    /// Why the running bridge does not say what it knows of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    unasked: Option<String>,
    /// The member's address, where the bridge knows one.
    known_as: Option<String>,
    /// The facts that would be news.
    news: Vec<&'static str>,
    /// What would be called, in order, if all goes well.
    calls: Vec<&'static str>,
    /// Why nothing could be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<String>,
}

/// Runs the command.
pub fn run(context: &Context, args: &ExplainArgs) -> Result<(), Failure> {
    let config = Config::load_without_secrets(context.config.as_deref(), process_env())?;
    let source = source_named(&config, &args.source)?;
    let bridge = RunningBridge::of(&config);
    let look = |body: &Bytes, charset, proof| report(&config, source, &bridge, args.values, body, charset, proof);
    let mut reports = Vec::new();
    let captured = match (&args.request, &args.capture) {
        (Some(file), _) => Some(request::read(file, Wanted { body: args.body.as_deref(), entry: args.entry })?),
        (None, Some(id)) => {
            let capture = capture::fetch(&Api::of_config(&config)?, id)?;
            Some(request::of_capture(&capture).map_err(Failure::failed)?)
        }
        (None, None) => None,
    };
    match (captured, &args.file) {
        (Some(captured), _) => {
            for captured in captured {
                let charset = Charset::of(captured.delivery.content_type()).unwrap_or_else(|_| Charset::utf8());
                let at = args.at.or(captured.at).unwrap_or_else(|| Clock::System.now());
                let body = captured.delivery.body.clone();
                reports.push(look(&body, charset, Some(Proof::of(source, captured, at)?)));
            }
        }
        (None, Some(file)) => reports.push(look(&Bytes::from(payload::read(file)?), Charset::utf8(), None)),
        (None, None) => {
            return Err(Failure::Usage(
                "a payload is named by --file, a delivery by --request or --capture".to_owned(),
            ));
        }
    }
    match &reports[..] {
        [one] => context.print(one, || {
            bridge.print_trouble();
            print(one);
        })?,
        several => context.print(&several, || {
            bridge.print_trouble();
            for (n, one) in several.iter().enumerate() {
                say!("== request {} of {}", n + 1, several.len());
                print(one);
            }
        })?,
    }
    if reports.iter().all(Report::is_well) { Ok(()) } else { Err(Failure::Reported) }
}

fn report(
    config: &Config,
    source: &SourceConfig,
    bridge: &RunningBridge,
    values: bool,
    body: &Bytes,
    charset: Charset,
    proof: Option<Proof>,
) -> Report {
    if proof.as_ref().is_some_and(|proof| proof.handshake.is_some()) {
        return Report {
            proof,
            mapping: None,
            people: Vec::new(),
            bridge_asked: false,
            unreadable: None,
            bridge_unasked: None,
        };
    }
    let mapping = explain(&source.mapping, &source.name, body, charset, Show { values });
    let people = events(&mapping).map(|event| bridge.effect(config, event)).collect();
    let (bridge_asked, unreadable) = (bridge.api.is_some(), bridge.unreadable.clone());
    Report { proof, mapping: Some(mapping), people, bridge_asked, unreadable, bridge_unasked: bridge.unasked.clone() }
}

impl Report {
    /// Whether the delivery would be accepted as genuine, and all of it could be mapped.
    fn is_well(&self) -> bool {
        let is_refused = self.proof.as_ref().is_some_and(|proof| proof.refused.is_some());
        let is_mapped = |mapping: &Explanation| {
            mapping.problem.is_none()
                && mapping.records.iter().all(|record| !matches!(record.result, RecordResult::Unmapped { .. }))
        };
        !is_refused && self.mapping.as_ref().is_none_or(is_mapped)
    }
}

fn instant(text: &str) -> Result<UnixMs, String> {
    UnixMs::parse_rfc3339(text).ok_or_else(|| "expected an instant such as 2026-11-22T10:00:00Z".to_owned())
}

fn events(mapping: &Explanation) -> impl Iterator<Item = &Event> {
    mapping.records.iter().filter_map(|record| match &record.result {
        RecordResult::Event { event, .. } => Some(event),
        RecordResult::Ignored { .. } | RecordResult::Unmapped { .. } => None,
    })
}

/// A running bridge, which knows people; or none.
struct RunningBridge {
    /// None if it cannot say anything about people.
    api: Option<Api>,
    unreadable: Option<Unreadable>,
    /// Why it could not be asked.
    unasked: Option<String>,
}

impl RunningBridge {
    fn of(config: &Config) -> Self {
        let api = Api::of_config(config).ok();
        let status = api.as_ref().map(|api| block_on(api.get::<StatusBody>("/api/v1/status")));
        let status = match status {
            Some(Ok(status)) => status,
            Some(Err(Failure::Failed { what, .. })) => {
                return Self { api: None, unreadable: None, unasked: Some(what) };
            }
            Some(Err(_)) | None => return Self { api: None, unreadable: None, unasked: None },
        };
        if status.readable {
            return Self { api, unreadable: None, unasked: None };
        }
        // The most urgent problem is the store's: nothing else is known.
        let unreadable = status.problems.into_iter().next().map(|problem| Unreadable {
            code: problem.code,
            what: problem.what,
            action: problem.action,
        });
        Self { api: None, unreadable, unasked: None }
    }

    /// Before everything else: what follows is only half of the answer.
    fn print_trouble(&self) {
        if let Some(Unreadable { code, what, action }) = &self.unreadable {
            say!("The running bridge cannot read its store now, so it does not say what it knows of these people.");
            say!("  {code}: {what}");
            say!("  what to do: {action}\n");
        }
    }

    /// What the bridge knows of them; the error says why it does not answer that.
    fn person(&self, event: &Event) -> Result<Option<PersonBody>, String> {
        let Some(api) = &self.api else { return Ok(None) };
        let source = Api::escaped(event.person.source.as_str());
        let id = Api::escaped(&event.person.employee_id);
        let answer = block_on(api.get_if_there(&format!("/api/v1/person?source={source}&employee_id={id}")));
        answer.map_err(|failure| match failure {
            Failure::Failed { what, action } => format!("the running bridge does not say: {what}. {action}"),
            _ => "the running bridge does not say".to_owned(),
        })
    }

    /// What the event would do for a person in the state that the bridge knows.
    fn effect(&self, config: &Config, event: &Event) -> Effect {
        let now = Clock::System.now();
        let mut document = Document::new(event.person.clone());
        let (known, unasked) = match self.person(event) {
            Ok(person) => {
                if let Some(person) = &person {
                    remember(&mut document, &person.record);
                }
                (person.and_then(|person| person.member), None)
            }
            Err(why) => (None, Some(why)),
        };
        document.member = known.as_ref().map(|member| KnownMember {
            id: Some(member.id.clone().unwrap_or_default()),
            user_name: member.user_name.clone(),
            given_name: member.given_name.clone(),
            family_name: member.family_name.clone(),
            active: member.active,
            seen_at: now,
            created_at: None,
            is_unshown: false,
            user_name_written_at: None,
            address_hashes_before: Vec::new(),
            name_hashes_before: Vec::new(),
            names_written_at: None,
            active_written_at: None,
            open_writes: Vec::new(),
        });
        let listed = document.member.as_ref().map(as_listed);
        let news = document.record.fold(event, now, 1).news;
        let rules = app::plan_rules(config);
        let preview = preview(document, listed.as_slice(), &mut Claims::new(), &rules, now);
        Effect {
            person: event.person.to_string(),
            unasked,
            known_as: known.map(|member| member.user_name),
            news,
            calls: preview.operations.iter().map(|operation| operation.as_http()).collect(),
            blocked: preview.blocked.map(|(code, detail)| format!("{code} {} {detail}", code.title())),
        }
    }
}

/// Takes in what HR has said of them so far: the event may be older.
fn remember(document: &mut Document, record: &RecordBody) {
    let person = document.person.clone();
    let mut told = |kind, at: &str, accepted_at: &str, facts: Facts| {
        let event = Event { person: person.clone(), kind, at: UnixMs::parse_rfc3339(at), facts };
        if let Some(accepted_at) = UnixMs::parse_rfc3339(accepted_at) {
            document.record.fold(&event, accepted_at, 0);
        }
    };
    for word in &record.employment {
        let state = if word.state == "left" { EmploymentState::Left } else { EmploymentState::Employed };
        let employment = Some((state, UnixMs::parse_rfc3339(&word.from)));
        let kind = if state == EmploymentState::Left { EventKind::Leave } else { EventKind::Hire };
        told(kind, &word.at, &word.accepted_at, Facts { employment, ..Facts::default() });
    }
    let name = |field, value: &str| Name::parse(field, value).ok().map(|name| name.map_or(Stated::None, Stated::Is));
    let facts = [(&record.email, "email"), (&record.given_name, "given_name"), (&record.family_name, "family_name")];
    for (fact, field) in facts {
        let Some(fact) = fact else { continue };
        let facts = match field {
            "email" => Facts { email: Email::parse(&fact.value).ok(), ..Facts::default() },
            "given_name" => Facts { given_name: name("given_name", &fact.value), ..Facts::default() },
            _ => Facts { family_name: name("family_name", &fact.value), ..Facts::default() },
        };
        told(EventKind::Update, &fact.at, &fact.accepted_at, facts);
    }
}

fn print(report: &Report) {
    if let Some(proof) = &report.proof {
        proof.print();
    }
    let Some(mapping) = &report.mapping else { return };
    if let Some(problem) = &mapping.problem {
        say!("{}: {}", problem.code, problem.detail);
        say!("It would be kept as a dead letter: {}", problem.code.advice());
    }
    for record in &mapping.records {
        print_record(record);
    }
    if !report.people.is_empty() {
        say!("what would be done, if all goes well");
    }
    for effect in &report.people {
        match (&effect.known_as, &effect.unasked) {
            (Some(user_name), _) => say!("  {} is known as {user_name}", effect.person),
            (None, Some(why)) => say!("  {} ({why})", effect.person),
            (None, None) if report.bridge_asked => say!("  {} is not known yet", effect.person),
            (None, None) if report.unreadable.is_some() => {
                say!("  {} (the running bridge cannot read its store)", effect.person);
            }
            (None, None) => {
                let why = report.bridge_unasked.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                say!("  {} (no running bridge could be asked{why})", effect.person);
            }
        }
        say!("  states: {}", effect.news.join(", "));
        if effect.calls.is_empty() {
            say!("  no call");
        }
        for call in &effect.calls {
            say!("  call: {call}");
        }
        if let Some(blocked) = &effect.blocked {
            say!("  then: {blocked}");
        }
    }
}

fn print_record(record: &RecordExplanation) {
    say!("record {}", if record.at.is_empty() { "(the whole body)" } else { &record.at });
    for field in &record.fields {
        say!("  {:<12} {}", field.field, found(field));
    }
    match &record.result {
        RecordResult::Event { event, end, again } => {
            say!("  => {} of {}", event.kind, event.person);
            if end.is_some() {
                say!("  => and an announced end of employment");
            }
            if again.is_some() {
                say!("  => and an announced return after it");
            }
        }
        RecordResult::Ignored { why, type_value } => say!("  => ignored ({why}): type {type_value:?}"),
        RecordResult::Unmapped { code, detail, .. } => say!("  => dead letter {code}: {detail}"),
    }
    // The paths that the mapping does not use: fields could be taken from there, too.
    let is_used = |path: &&String| record.fields.iter().any(|field| field.found_at.as_ref() == Some(*path));
    let others: Vec<&str> = record.paths.iter().filter(|path| !is_used(path)).map(String::as_str).collect();
    if !others.is_empty() {
        say!("  the record also has: {}", others.join(", "));
    }
    say!();
}

fn found(field: &FieldExplanation) -> String {
    let at = match (&field.found_at, field.json_type, field.length) {
        (Some(at), Some(json_type), Some(length)) => format!("{at} ({json_type}, {length})"),
        (Some(at), Some(json_type), None) => format!("{at} ({json_type})"),
        (Some(at), None, _) => at.clone(),
        (None, ..) => format!("not there (looked at {})", field.paths.join(", ")),
    };
    let at = match &field.value {
        Some(value) => format!("{at} = {value:?}"),
        None => at,
    };
    let at = match &field.zone {
        Some(zone) => format!("{at}, which gives no zone: read as {zone}"),
        None => at,
    };
    let at = match field.not_used {
        Some(why) => format!("{at}: not used, as {why}"),
        None => at,
    };
    match (&field.problem, field.failed.is_empty()) {
        (Some(problem), _) => format!("{at}: {problem}"),
        (None, false) => format!("{at}; tried before it, and failed: {}", field.failed.join(", ")),
        (None, true) => at,
    }
}
