//! `explain`: what a payload would do, field by field, without touching anything.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use super::api::Api;
use super::failure::Failure;
use super::send::source_named;
use super::{Context, block_on, payload, request};
use crate::admin::api::shapes::PersonBody;
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, SourceConfig, process_env};
use crate::core::delivery::Delivery;
use crate::core::json::Charset;
use crate::core::mapping::{Explanation, FieldExplanation, RecordExplanation, RecordResult, Show, explain};
use crate::core::person::{Document, Event, KnownMember};
use crate::core::reconcile::preview::{Claims, preview};
use crate::core::reconcile::request::{Active, Attributes, Member};
use crate::core::signature::scheme::Auth;
use crate::core::signature::{Keys, Verifier, neighbours};

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The source whose mapping is to be used.
    #[arg(long)]
    source: String,
    /// The file with the payload; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "request")]
    file: Option<PathBuf>,
    /// A file with a whole delivery as raw HTTP (request line, headers, blank line, body): its signature is
    /// looked at, too. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    request: Option<PathBuf>,
    /// Show the values that were found. They are personal data.
    #[arg(long)]
    values: bool,
}

/// What a payload would do.
#[derive(Debug, Serialize)]
struct Report {
    /// Of a whole delivery: whether its sender is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    #[serde(flatten)]
    mapping: Explanation,
    /// For each record that is an event: what would be done.
    people: Vec<Effect>,
    /// Whether a running bridge was asked what it knows of the people.
    bridge_asked: bool,
}

/// Whether a delivery's sender is proven.
#[derive(Debug, Serialize)]
struct Proof {
    /// A handshake, which is answered before anything is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake: Option<&'static str>,
    /// The reason why it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Where the signature is looked for.
    looked_at: String,
    /// What is signed.
    signed: String,
    /// Of a refused one: under which neighbouring schemes it would verify, each by what would have to be
    /// otherwise. Never what the signature should have been.
    would_verify: Vec<String>,
}

impl Proof {
    /// What the source's scheme says of a delivery that comes in now.
    fn of(source: &SourceConfig, delivery: &Delivery) -> Result<Self, Failure> {
        let scheme = &source.signature;
        let verifier = Verifier::new(scheme.clone())
            .map_err(|_| Failure::failed("the source's scheme cannot be used: see `scim-bridge check`"))?;
        let secrets: Vec<_> = source.secrets.iter().map(|secret| (secret.secret.current(), secret.not_after)).collect();
        let keys = Keys::prepare(scheme, secrets.iter().map(|(secret, not_after)| (&**secret, *not_after)));
        let looked_at = match (&scheme.field, scheme.auth) {
            (Some(field), _) => format!("field {}", field.as_str()),
            (None, Auth::Basic) => "header authorization".to_owned(),
            (None, Auth::StaticHeaders) => "the headers that the secret names".to_owned(),
            (None, Auth::Hmac | Auth::StaticHeader) => format!("header {}", scheme.header.names().join(" or ")),
        };
        let signed = if scheme.auth == Auth::Hmac {
            scheme.signed.to_string()
        } else {
            "nothing: the secret is sent along".to_owned()
        };
        let mut proof =
            Self { handshake: None, refused: None, detail: None, looked_at, signed, would_verify: Vec::new() };
        if let Some(answer) = verifier.unsigned_handshake(&keys, delivery) {
            proof.handshake = Some(answer.as_str());
            return Ok(proof);
        }
        match verifier.verify(&keys, delivery.clone(), Clock::System.now()) {
            Ok(genuine) => proof.handshake = verifier.signed_handshake(&keys, &genuine).map(|answer| answer.as_str()),
            Err(refusal) => {
                proof.refused = Some(refusal.reason());
                proof.detail = Some(refusal.to_string());
                if !refusal.is_stale() {
                    let secrets: Vec<_> = secrets.iter().map(|(secret, _)| &**secret).collect();
                    let ways = neighbours(scheme, &secrets, delivery);
                    proof.would_verify = ways.into_iter().map(|changes| changes.join(" and ")).collect();
                }
            }
        }
        Ok(proof)
    }

    fn print(&self) {
        match (self.handshake, &self.detail) {
            (Some(handshake), _) => say!("a handshake ({handshake}): answered, and nothing is read"),
            (None, None) => say!("proven ({}, over {})", self.looked_at, self.signed),
            (None, Some(detail)) => {
                say!("refused: {detail}");
                say!("  looked at: {}; signed: {}", self.looked_at, self.signed);
                for way in &self.would_verify {
                    say!("  would verify with {way}");
                }
                if self.would_verify.is_empty() {
                    say!("  no neighbouring scheme makes this signature with the source's secrets");
                }
            }
        }
        say!();
    }
}

/// What an event would do for its person.
#[derive(Debug, Serialize)]
struct Effect {
    person: String,
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
    crate::app::name_target(&config);
    let source = source_named(&config, &args.source)?;
    let delivery = args.request.as_ref().map(|file| request::read(file)).transpose()?;
    let proof = delivery.as_ref().map(|delivery| Proof::of(source, delivery)).transpose()?;
    let (body, charset) = match (&delivery, &args.file) {
        (Some(delivery), _) => {
            (delivery.body.clone(), Charset::of(delivery.content_type()).unwrap_or_else(|_| Charset::utf8()))
        }
        (None, Some(file)) => (Bytes::from(payload::read(file)?), Charset::utf8()),
        (None, None) => return Err(Failure::failed("name a payload with --file, or a whole delivery with --request")),
    };
    let is_refused = proof.as_ref().is_some_and(|proof| proof.refused.is_some());
    if let Some(proof) = proof.as_ref().filter(|proof| proof.handshake.is_some()) {
        return context.print(proof, || proof.print());
    }
    let mapping = explain(&source.mapping, &source.name, &body, charset, Show { values: args.values });
    let bridge = RunningBridge::of(&config);
    let people = events(&mapping).map(|event| bridge.effect(&config, event)).collect();
    let report = Report { proof, mapping, people, bridge_asked: bridge.api.is_some() };
    context.print(&report, || print(&report))?;
    let whole = report.mapping.problem.is_none()
        && report.mapping.records.iter().all(|record| !matches!(record.result, RecordResult::Unmapped { .. }));
    if whole && !is_refused { Ok(()) } else { Err(Failure::Told) }
}

fn events(mapping: &Explanation) -> impl Iterator<Item = &Event> {
    mapping.records.iter().filter_map(|record| match &record.result {
        RecordResult::Event { event, .. } => Some(event),
        RecordResult::Ignored { .. } | RecordResult::Unmapped { .. } => None,
    })
}

/// A running bridge, which knows people; or none.
struct RunningBridge {
    api: Option<Api>,
}

impl RunningBridge {
    fn of(config: &Config) -> Self {
        let api = Api::of_config(config).ok();
        let answers = api.filter(|api| block_on(api.get::<serde_json::Value>("/api/v1/status")).is_ok());
        Self { api: answers }
    }

    fn person(&self, event: &Event) -> Option<PersonBody> {
        let source = Api::escaped(event.person.source.as_str());
        let id = Api::escaped(&event.person.employee_id);
        block_on(self.api.as_ref()?.get(&format!("/api/v1/person?source={source}&employee_id={id}"))).ok()
    }

    /// What the event would do for somebody who stands as the bridge knows them. Of the record only the member
    /// is known here, so all that the event states counts as news.
    fn effect(&self, config: &Config, event: &Event) -> Effect {
        let now = Clock::System.now();
        let mut document = Document::new(event.person.clone());
        let known = self.person(event).and_then(|person| person.member);
        let listed = known.as_ref().map(|member| Member {
            id: member.id.clone().unwrap_or_default(),
            user_name: member.user_name.clone(),
            given_name: member.given_name.clone(),
            family_name: member.family_name.clone(),
            active: match member.active {
                Some(true) => Active::On,
                Some(false) => Active::Off,
                None => Active::Unknown,
            },
            version: None,
            attributes: Attributes::default(),
        });
        document.member = listed.as_ref().map(|member| KnownMember {
            id: Some(member.id.clone()),
            user_name: member.user_name.clone(),
            given_name: member.given_name.clone(),
            family_name: member.family_name.clone(),
            active: member.active.known(),
            seen_at: now,
            created_at: None,
            user_name_written_at: None,
            names_written_at: None,
            active_written_at: None,
        });
        let news = document.record.fold(event, now, 1).news;
        let rules = app::plan_rules(config);
        let preview = preview(document, listed.as_ref(), &mut Claims::new(), &rules, now);
        Effect {
            person: event.person.to_string(),
            known_as: known.map(|member| member.user_name),
            news,
            calls: preview.operations.iter().map(|operation| operation.as_http()).collect(),
            blocked: preview.blocked.map(|(code, detail)| format!("{code} {} {detail}", code.title())),
        }
    }
}

fn print(report: &Report) {
    if let Some(proof) = &report.proof {
        proof.print();
    }
    if let Some(problem) = &report.mapping.problem {
        say!("{}: {}", problem.code, problem.detail);
        say!("It would be kept as a dead letter: {}", problem.code.advice());
    }
    for record in &report.mapping.records {
        print_record(record);
    }
    if !report.people.is_empty() {
        say!("what would be done, if all goes well");
    }
    for effect in &report.people {
        match &effect.known_as {
            Some(user_name) => say!("  {} is known as {user_name}", effect.person),
            None if report.bridge_asked => say!("  {} is not known yet", effect.person),
            None => say!("  {} (no bridge runs here that could be asked)", effect.person),
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
        RecordResult::Event { event, end } => {
            say!("  => {} of {}", event.kind, event.person);
            if end.is_some() {
                say!("  => and an end that is announced");
            }
        }
        RecordResult::Ignored { why, type_value } => say!("  => ignored ({why}): type {type_value:?}"),
        RecordResult::Unmapped { code, detail, .. } => {
            say!("  => dead letter {code}: {detail}");
            say!("  the record has: {}", record.paths.join(", "));
        }
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
    match &field.problem {
        Some(problem) => format!("{at}: {problem}"),
        None => at,
    }
}
