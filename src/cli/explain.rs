//! `explain`: what a payload would do, field by field, without touching anything.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::api::Api;
use super::failure::Failure;
use super::send::source_named;
use super::{Context, block_on, payload};
use crate::admin::api::shapes::{DirectoryBody, PersonBody};
use crate::clock::Clock;
use crate::config::{Config, process_env};
use crate::core::event::{Event, Person};
use crate::core::job::{DirectoryEntry, Job, JobId, Progress};
use crate::core::mapping::{Explanation, FieldExplanation, RecordExplanation, RecordResult, explain};
use crate::core::plan::{Care, Conclusion, Known, Next, plan};
use crate::core::scim::Request;
use crate::core::time::UnixMs;

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The source whose mapping is to be used.
    #[arg(long)]
    source: String,
    /// The file with the payload; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// What a payload would do.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    mapping: Explanation,
    /// For each record that is an event: what would be called first, and why.
    calls: Vec<Call>,
    /// Whether a running bridge was asked what it knows of the people.
    directory_asked: bool,
}

#[derive(Debug, Serialize)]
struct Call {
    person: String,
    known_as: Option<String>,
    first: String,
}

/// Runs the command.
pub fn run(context: &Context, args: &ExplainArgs) -> Result<(), Failure> {
    let config = Config::load_without_secrets(context.config.as_deref(), process_env())?;
    let source = source_named(&config, &args.source)?;
    let body = payload::read(&args.file)?;
    let mapping = explain(&source.mapping, &source.name, &body);
    let directory = Directory::of(&config);
    let events = mapping.records.iter().filter_map(|record| match &record.result {
        RecordResult::Event { event } => Some(event),
        RecordResult::Ignored { .. } | RecordResult::Unmapped { .. } => None,
    });
    let calls: Vec<_> = events.map(|event| directory.call(event)).collect();
    let report = Report { mapping, calls, directory_asked: directory.api.is_some() };
    context.print(&report, || print(&report))?;
    let whole = report.mapping.problem.is_none()
        && report.mapping.records.iter().all(|record| !matches!(record.result, RecordResult::Unmapped { .. }));
    if whole { Ok(()) } else { Err(Failure::Told) }
}

/// What a running bridge knows of people; nothing where none runs.
struct Directory {
    api: Option<Api>,
}

impl Directory {
    fn of(config: &Config) -> Self {
        let api = Api::of_config(config).ok();
        let answers = api.filter(|api| block_on(api.get::<serde_json::Value>("/api/v1/status")).is_ok());
        Self { api: answers }
    }

    fn entry(&self, person: &Person) -> Option<DirectoryBody> {
        let source = Api::escaped(person.source.as_str());
        let path = format!("/api/v1/people?source={source}&employee_id={}", Api::escaped(&person.employee_id));
        block_on(self.api.as_ref()?.get::<PersonBody>(&path)).ok()?.directory
    }

    fn call(&self, event: &Event) -> Call {
        let entry = self.entry(&event.person);
        let known = entry.as_ref().map(|entry| DirectoryEntry {
            scim_id: entry.scim_id.clone(),
            user_name: entry.user_name.clone(),
            in_line_at: UnixMs(0),
            occurred_at: entry.occurred_at.as_deref().and_then(UnixMs::parse_rfc3339),
            seq: 0,
        });
        let job = Job {
            id: JobId(0),
            seq: u64::MAX,
            event: event.clone(),
            accepted_at: Clock::System.now(),
            attempts: 0,
            take_overs: 0,
            first_attempt_at: None,
            progress: Progress::default(),
            history: Vec::new(),
        };
        let first = match plan(
            event,
            &Known::at_start(&job, known, Care { thorough: false, pages_max: 0, at_wits_end: false }),
        ) {
            Next::Send(request) => in_words(&request),
            Next::Finish(Conclusion::Done { .. }) => {
                "none: older than what was applied, so it changes nothing".to_owned()
            }
            Next::Finish(_) => "none: there is nothing to find the person by".to_owned(),
        };
        Call { person: event.person.to_string(), known_as: entry.map(|entry| entry.user_name), first }
    }
}

fn in_words(request: &Request) -> String {
    match request {
        Request::Create(user) => {
            format!("POST /Users as {}; if they are a member already: look up, adopt", user.user_name)
        }
        Request::Get { id } => format!("GET /Users/{id}; PUT only if the names differ"),
        Request::Find { user_name } => {
            format!("GET /Users, filter userName eq {user_name:?}; PUT only if the names differ")
        }
        Request::Page { .. }
        | Request::Replace { .. }
        | Request::Activate { .. }
        | Request::Probe
        | Request::Discover => request.operation().as_str().to_owned(),
    }
}

fn print(report: &Report) {
    if let Some(problem) = &report.mapping.problem {
        say!("{}: {}", problem.code, problem.detail);
        say!("It would be kept as a dead letter: {}", problem.code.advice());
    }
    for record in &report.mapping.records {
        print_record(record);
    }
    if !report.calls.is_empty() {
        say!("at Postman");
    }
    for call in &report.calls {
        match &call.known_as {
            Some(user_name) => say!("  {} is known as {user_name}", call.person),
            None if report.directory_asked => say!("  {} is not known yet", call.person),
            None => say!("  {} (no bridge runs here that could be asked)", call.person),
        }
        say!("  first call: {}", call.first);
    }
}

fn print_record(record: &RecordExplanation) {
    say!("record {}", if record.at.is_empty() { "(the whole body)" } else { &record.at });
    for field in &record.fields {
        say!("  {:<12} {}", field.field, found(field));
    }
    match &record.result {
        RecordResult::Event { event } => say!("  => {} of {}", event.kind(), event.person),
        RecordResult::Ignored { type_value } => {
            say!("  => ignored: the mapping names no event of type {type_value:?}");
        }
        RecordResult::Unmapped { code, detail, .. } => say!("  => dead letter {code}: {detail}"),
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
    match &field.problem {
        Some(problem) => format!("{at}: {problem}"),
        None => at,
    }
}
