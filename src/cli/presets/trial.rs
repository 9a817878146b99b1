//! What a delivery leads to under a source's rules, as lines that people can read and compare. Uses neither store nor
//! target.

use crate::config::SourceConfig;
use crate::core::delivery::{Delivery, is_taken};
use crate::core::json::Charset;
use crate::core::mapping::{IgnoredWhy, Record, RecordResult, Show, explain, map};
use crate::core::person::{EmploymentState, Event, InvalidField, Locale, Name, Scope, Stated};
use crate::core::signature::fields::Tolerance;
use crate::core::signature::{Keys, Verifier, neighbours};
use crate::core::time::UnixMs;

/// The result of a delivery that is answered before it is read.
const HANDSHAKE: &str = "handshake";

/// The result of a delivery.
pub struct Trial {
    /// A line for each event, or one that says why there is none.
    pub lines: Vec<String>,
    /// Whether it was accepted as genuine, and everything in it was understood.
    pub is_clean: bool,
    /// If not: similar schemes under which it would verify, and the paths in it that have values.
    pub hints: Vec<String>,
}

impl Trial {
    fn of(line: String, is_clean: bool) -> Self {
        Self { lines: vec![line], is_clean, hints: Vec::new() }
    }
}

/// Tries a delivery that comes in at `at`; without a time, its age is not judged.
#[must_use]
pub fn try_delivery(source: &SourceConfig, delivery: &Delivery, at: Option<UnixMs>) -> Trial {
    let mut scheme = source.signature.clone();
    if let (Some(rule), None) = (&mut scheme.timestamp, at) {
        // Of any age, but it must parse.
        (rule.past_s, rule.future_s) = (Tolerance::Seconds(u32::MAX), Tolerance::Seconds(u32::MAX));
    }
    let secrets: Vec<_> = source.secrets.iter().map(|secret| (secret.secret.current(), secret.not_after)).collect();
    let keys = Keys::prepare(&scheme, secrets.iter().map(|(secret, not_after)| (&**secret, *not_after)));
    let Ok(verifier) = Verifier::new(scheme) else {
        return Trial::of("refused: the scheme cannot be used".to_owned(), false);
    };
    let query = delivery.url.split_once('?').map_or("", |(_, query)| query);
    if delivery.method == "GET" && verifier.get_handshake(query).is_some() {
        return Trial::of(HANDSHAKE.to_owned(), true);
    }
    if delivery.method != "POST" {
        return Trial::of(format!("refused: method {}", delivery.method), false);
    }
    if !is_taken(&source.content_types, delivery.content_type()) {
        return Trial::of(format!("refused: content type {}", delivery.content_type().unwrap_or_default()), false);
    }
    if verifier.unsigned_handshake(&keys, delivery).is_some() {
        return Trial::of(HANDSHAKE.to_owned(), true);
    }
    let genuine = match verifier.verify(&keys, delivery.clone(), at.unwrap_or_default()) {
        Ok(genuine) => genuine,
        Err(refusal) => {
            let mut trial = Trial::of(format!("refused: {}", refusal.reason()), false);
            if !refusal.is_stale() {
                let secrets: Vec<_> = secrets.iter().map(|(secret, _)| &**secret).collect();
                let ways = neighbours(verifier.scheme(), &secrets, delivery);
                trial.hints =
                    ways.into_iter().map(|changes| format!("would verify with {}", changes.join(" and "))).collect();
            }
            return trial;
        }
    };
    if verifier.signed_handshake(&keys, &genuine).is_some() {
        return Trial::of(HANDSHAKE.to_owned(), true);
    }
    let records = map(&source.mapping, &source.name, &genuine.delivery);
    let is_clean = records.iter().all(is_understood);
    let hints = if is_clean { Vec::new() } else { paths(source, delivery) };
    Trial { lines: records.into_iter().map(shown).collect(), is_clean, hints }
}

/// The paths that have values in the records that were not understood.
fn paths(source: &SourceConfig, delivery: &Delivery) -> Vec<String> {
    let charset = Charset::of(delivery.content_type()).unwrap_or_else(|_| Charset::utf8());
    let explained = explain(&source.mapping, &source.name, &delivery.body, charset, Show::default());
    let not_understood = explained.records.into_iter().filter(|record| match record.result {
        RecordResult::Event { .. } => false,
        RecordResult::Ignored { why, .. } => why == IgnoredWhy::NotNamed.as_str(),
        RecordResult::Unmapped { .. } => true,
    });
    not_understood.map(|record| format!("the record has {}", record.paths.join(", "))).collect()
}

fn is_understood(record: &Record) -> bool {
    match record {
        Record::Event { .. } => true,
        Record::Ignored(ignored) => ignored.why != IgnoredWhy::NotNamed,
        Record::Unmapped { .. } => false,
    }
}

fn shown(record: Record) -> String {
    match record {
        Record::Event { event, dropped, .. } => shown_event(&event, &dropped),
        Record::Ignored(ignored) => {
            format!("ignored: {} {}", ignored.why.as_str(), ignored.type_value.unwrap_or_default())
        }
        Record::Unmapped { code, detail, .. } => {
            format!("unmapped {code}: {}", detail.split(" (").next().unwrap_or(""))
        }
    }
}

/// `hire E-1 at 2026-01-31T18:42:00Z: employed, email ada@example.com, given Ada, family Lovelace`, and the fields that
/// could not be used.
fn shown_event(event: &Event, dropped: &[InvalidField]) -> String {
    let mut text = format!("{} {}", event.kind, event.person.employee_id);
    if let Some(at) = event.at {
        text += &format!(" at {at}");
    }
    let facts = &event.facts;
    let mut told = Vec::new();
    if let Some((state, from)) = facts.employment {
        let word = match state {
            EmploymentState::Left => "left",
            EmploymentState::Employed => "employed",
        };
        told.push(from.map_or(word.to_owned(), |from| format!("{word} from {from}")));
    }
    if let Some((Scope::Out, from)) = facts.scope {
        told.push(from.map_or("out of scope".to_owned(), |from| format!("out of scope from {from}")));
    }
    let name = |name: Option<&Stated<Name>>| name.map(|name| name.value().map_or("(none)", Name::as_str).to_owned());
    told.extend(facts.email.as_ref().map(|email| format!("email {}", email.lower())));
    told.extend(name(facts.given_name_that_counts()).map(|name| format!("given {name}")));
    told.extend(name(facts.family_name.as_ref()).map(|name| format!("family {name}")));
    told.extend(facts.locale.as_ref().map(|locale| format!("locale {}", Locale::as_str(locale))));
    told.extend(dropped.iter().map(|problem| format!("left out {}", problem.field)));
    if told.is_empty() { text } else { format!("{text}: {}", told.join(", ")) }
}
