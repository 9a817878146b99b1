//! A job's notes and a dead letter in words, for API and console alike.

use crate::core::code::Code;
use crate::core::job::{DeadLetter, DeadOrigin, Job, JobState, Note};
use crate::store::{DeadSummary, JobView};

/// The stable word of a note.
pub(super) fn note_word(note: &Note) -> &'static str {
    match note {
        Note::Called { .. } => "called",
        Note::TakenOver => "taken_over",
        Note::RetryAt { .. } => "retry_at",
        Note::Held { .. } => "held",
        Note::GivenBack => "given_back",
        Note::Dead { .. } => "dead",
        Note::Replayed => "replayed",
        Note::Done { .. } => "done",
        Note::Omitted { .. } => "omitted",
        Note::Other(_) => "other",
    }
}

/// A note for people.
pub(super) fn note_text(note: &Note) -> String {
    match note {
        Note::Called { operation, status: Some(status), meaning } => {
            format!("{}: {status}, {meaning}", operation.as_http())
        }
        Note::Called { operation, status: None, meaning } => {
            format!("{}: no answer, {meaning}", operation.as_http())
        }
        Note::TakenOver => "Taken over from a worker that stopped in the middle".to_owned(),
        Note::RetryAt { due_at, code } => format!("Put off until {due_at} ({code})"),
        Note::Held { code } => format!("Held ({code}); not counted as an attempt"),
        Note::GivenBack => "Given back unfinished; not counted as an attempt".to_owned(),
        Note::Dead { code } => format!("Became a dead letter ({code})"),
        Note::Replayed => "Replayed by an operator".to_owned(),
        Note::Done { outcome } => format!("Finished: {}", outcome.as_str()),
        Note::Omitted { entries } => format!("{entries} entries are left out here"),
        Note::Other(_) => "Something that this version does not know".to_owned(),
    }
}

/// The code of a note, where it has one.
pub(super) fn note_code(note: &Note) -> Option<Code> {
    match note {
        Note::RetryAt { code, .. } | Note::Held { code } | Note::Dead { code } => Some(*code),
        Note::Called { .. }
        | Note::TakenOver
        | Note::GivenBack
        | Note::Replayed
        | Note::Done { .. }
        | Note::Omitted { .. }
        | Note::Other(_) => None,
    }
}

/// The HTTP status of a note, where it tells of an answered call.
pub(super) fn note_status(note: &Note) -> Option<u16> {
    match note {
        Note::Called { status, .. } => *status,
        Note::TakenOver
        | Note::RetryAt { .. }
        | Note::Held { .. }
        | Note::GivenBack
        | Note::Dead { .. }
        | Note::Replayed
        | Note::Done { .. }
        | Note::Omitted { .. }
        | Note::Other(_) => None,
    }
}

/// A dead letter's line in a listing.
pub(super) fn summary(letter: &DeadLetter) -> DeadSummary {
    let event = match &letter.origin {
        DeadOrigin::Job(job) => Some(job.event.kind()),
        DeadOrigin::Unmapped { .. } => None,
    };
    DeadSummary {
        id: letter.id,
        source: letter.source.clone(),
        person: letter.person().cloned(),
        event,
        died_at: letter.died_at,
        code: letter.code,
        detail: letter.detail.clone(),
        parks_lane: letter.parks_lane,
    }
}

/// A dead job as the listings show jobs.
pub(super) fn dead_view(job: &Job) -> JobView {
    JobView { job: job.clone(), state: JobState::Dead, due_at: None, finished: None }
}
