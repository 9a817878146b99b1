//! A story's notes in words, for API and console alike.

use crate::core::code::Code;
use crate::core::person::story::Note;

/// The stable name of a note.
pub(super) fn note_word(note: &Note) -> &'static str {
    match note {
        Note::Received { .. } => "received",
        Note::Called { .. } => "called",
        Note::Read { .. } => "read",
        Note::TakenOver => "taken_over",
        Note::RetryAt { .. } => "retry_at",
        Note::Held { .. } => "held",
        Note::Scheduled { .. } => "scheduled",
        Note::LooksAgain { .. } => "looks_again",
        Note::Incomplete { .. } => "incomplete",
        Note::GivenBack => "given_back",
        Note::Blocked { .. } => "blocked",
        Note::Replayed { .. } => "replayed",
        Note::Discarded { .. } => "discarded",
        Note::TakenFrom { .. } => "taken_from",
        Note::HandedOver { .. } => "handed_over",
        Note::Ended { .. } => "ended",
        Note::Other(_) => "other",
    }
}

/// A note for people.
pub(super) fn note_text(note: &Note) -> String {
    match note {
        Note::Received { kind, told_at, facts, news, .. } => {
            let facts = if facts.is_empty() { "nothing".to_owned() } else { facts.join(", ") };
            let news =
                if news.is_empty() { "none of it is news".to_owned() } else { format!("new: {}", news.join(", ")) };
            let told = told_at.map(|at| format!(", as of {at}")).unwrap_or_default();
            format!("HR sent an event ({kind}{told}) that states {facts}; {news}")
        }
        Note::Called { operation, status, meaning, ms, detail } => {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let detail = detail.as_ref().map(|detail| format!(": “{detail}”")).unwrap_or_default();
            format!("{}: {status} in {ms} ms, {meaning}{detail}", operation.as_http())
        }
        Note::Read { status, meaning, ms, facts, left_out } => {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let facts = if facts.is_empty() { String::new() } else { format!(": it states {}", facts.join(", ")) };
            let left_out =
                left_out.as_ref().map(|what| format!("; left out, as a later record takes its place: {what}"));
            format!("Read at the HR system: {status} in {ms} ms, {meaning}{facts}{}", left_out.unwrap_or_default())
        }
        Note::TakenOver => "Taken over from a worker that stopped in the middle".to_owned(),
        Note::RetryAt { due_at, code } => format!("Tried again at {due_at} ({code})"),
        Note::Held { scope, code } => format!("Held by `{scope}` ({code}); not counted as an attempt"),
        Note::Scheduled { due_at } => format!("Waits for {due_at}, which HR announced"),
        Note::LooksAgain { due_at } => {
            format!("Looked at once more at {due_at}: a write without an answer may still take effect, and undo this")
        }
        Note::Incomplete { missing } => format!("Waits for HR to send {}", missing.join(" and ")),
        Note::GivenBack => "Given back unfinished; not counted as an attempt".to_owned(),
        Note::Blocked { code } => format!("Blocked: a dead letter ({code})"),
        Note::Replayed { by } => format!("Tried again by {by}"),
        Note::Discarded { by } => format!("Discarded by {by}"),
        Note::TakenFrom { person } => format!("The member was taken over from {person}"),
        Note::HandedOver { person } => format!("The member was handed over to {person}"),
        Note::Ended { outcome, .. } => format!("Ended: {}", outcome.as_str().replace('_', " ")),
        Note::Other(_) => "An entry that this version does not know".to_owned(),
    }
}

/// The code of a note, if it has one.
pub(super) fn note_code(note: &Note) -> Option<Code> {
    match note {
        Note::RetryAt { code, .. } | Note::Held { code, .. } | Note::Blocked { code } => Some(*code),
        Note::Received { .. }
        | Note::Called { .. }
        | Note::Read { .. }
        | Note::TakenOver
        | Note::Scheduled { .. }
        | Note::LooksAgain { .. }
        | Note::Incomplete { .. }
        | Note::GivenBack
        | Note::Replayed { .. }
        | Note::Discarded { .. }
        | Note::TakenFrom { .. }
        | Note::HandedOver { .. }
        | Note::Ended { .. }
        | Note::Other(_) => None,
    }
}
