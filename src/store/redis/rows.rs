//! Records as the scripts keep them (`lua/jobs.lua`, `lua/lanes.lua`), read into values. Fields that a
//! newer version added behind ours are left alone.

use serde::{Deserialize, Serialize};

use super::reply::{Reply, id_of, unexpected};
use crate::core::code::Code;
use crate::core::event::{Change, Email, Event, EventKind, Names, Person};
use crate::core::job::{DeadLetter, DeadOrigin, Finished, HistoryEntry, Job, JobId, JobState, Note, Progress};
use crate::core::time::UnixMs;
use crate::store::{DeadSummary, JobView, StoreError};

/// An event without its person and kind, which stand beside it. Short names: there may be a million.
#[derive(Serialize, Deserialize)]
struct EventRow {
    /// The e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<Email>,
    /// The given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<String>,
    /// The family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<String>,
    /// The locale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<String>,
    /// When it occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<UnixMs>,
}

pub(super) fn event_row(event: &Event) -> Result<String, StoreError> {
    to_json(&EventRow {
        e: event.email().cloned(),
        g: event.names().given().map(str::to_owned),
        f: event.names().family().map(str::to_owned),
        l: event.locale.clone(),
        o: event.occurred_at,
    })
}

fn parse_event(kind: &str, person: Person, row: &str) -> Option<Event> {
    let row: EventRow = serde_json::from_str(row).ok()?;
    let names = Names::parse(row.g.as_deref(), row.f.as_deref()).ok()?;
    let change = match kind {
        "h" => Change::Hire { email: row.e?, names },
        "r" => Change::Rename { email: row.e, names },
        _ => return None,
    };
    Some(Event { person, change, locale: row.l, occurred_at: row.o })
}

pub(super) fn kind_letter(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Hire => "h",
        EventKind::Rename => "r",
    }
}

/// An id as it is stored.
pub(super) fn blob(id: JobId) -> Vec<u8> {
    id.0.to_be_bytes().to_vec()
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Damaged("a value cannot be written as JSON".to_owned()))
}

/// Entries of a history, a line each.
pub(super) fn history_lines(history: &[HistoryEntry]) -> Result<String, StoreError> {
    let lines = history.iter().map(to_json).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join("\n"))
}

/// A job's record, for a store in which its sequence is raised by `base`.
pub(super) fn job_record(job: &Job, base: u64, due_at: UnixMs) -> Result<String, StoreError> {
    let progress = &job.progress;
    let first = job.first_attempt_at.map_or_else(|| "-".to_owned(), |at| at.0.to_string());
    let mut record = format!(
        "{} {} {} {} {} {} {first} {} {} {}\n{}\n{}",
        kind_letter(job.event.kind()),
        base + job.seq,
        job.accepted_at.0,
        due_at.0,
        job.attempts,
        job.take_overs,
        u8::from(progress.create_unknown),
        progress.not_found,
        progress.username_refused,
        job.event.person,
        event_row(&job.event)?
    );
    if !job.history.is_empty() {
        record.push('\n');
        record.push_str(&history_lines(&job.history)?);
    }
    Ok(record)
}

/// Reads an entry of a history. One that makes no sense is no reason not to do the job.
fn history_entry(line: &str) -> HistoryEntry {
    let nothing = || HistoryEntry { at: UnixMs::default(), note: Note::Other(serde_json::Map::new()) };
    serde_json::from_str(line).unwrap_or_else(|_| nothing())
}

/// Reads a job's record.
pub(super) fn job(id: JobId, record: &str) -> Result<Job, StoreError> {
    parse_job(id, record).ok_or_else(|| unexpected(&format!("job {id}")))
}

fn parse_job(id: JobId, record: &str) -> Option<Job> {
    let mut lines = record.split('\n');
    let fields: Vec<&str> = lines.next()?.split(' ').collect();
    let person = Person::from_key(lines.next()?)?;
    let [kind, seq, accepted_at, ref tried @ ..] = fields[..] else { return None };
    let event = parse_event(kind, person, lines.next()?)?;
    let history = lines.map(history_entry).collect();
    let mut job = Job {
        id,
        seq: seq.parse().ok()?,
        event,
        accepted_at: UnixMs(accepted_at.parse().ok()?),
        attempts: 0,
        take_overs: 0,
        first_attempt_at: None,
        progress: Progress::default(),
        history,
    };
    if let [_, attempts, take_overs, first, create_unknown, not_found, username_refused, ..] = tried {
        job.attempts = attempts.parse().ok()?;
        job.take_overs = take_overs.parse().ok()?;
        job.first_attempt_at = if *first == "-" { None } else { Some(UnixMs(first.parse().ok()?)) };
        job.progress = Progress {
            create_unknown: *create_unknown == "1",
            not_found: not_found.parse().ok()?,
            username_refused: username_refused.parse().ok()?,
        };
    }
    Some(job)
}

/// A job or dead letter with all that tells where it stands: what `lua/views.lua` answers.
#[derive(Clone)]
pub(super) struct View {
    id: JobId,
    job: String,
    ended: String,
    lane: Vec<u8>,
    due_at: Option<UnixMs>,
}

impl View {
    /// An id, and what is there; nothing where it is gone meanwhile.
    pub(super) fn read(mut reply: Reply) -> Result<(JobId, Option<Self>), StoreError> {
        let view = Self {
            id: reply.id()?,
            job: reply.text()?,
            ended: reply.text()?,
            lane: reply.bytes()?,
            due_at: reply.optional_time()?,
        };
        Ok((view.id, (!view.job.is_empty() || !view.ended.is_empty()).then_some(view)))
    }

    /// Where the job stands; none where this is an unmapped record.
    pub(super) fn state(&self) -> Option<JobState> {
        match self.ended.as_bytes().first() {
            Some(b'u') => None,
            Some(b'x') => Some(JobState::Dead),
            Some(_) => Some(JobState::Done),
            None => Some(match (self.lane.first(), self.lane.get(14..30)) {
                (Some(b'p'), _) => JobState::Parked,
                (Some(b'l'), Some(id)) if id_of(id).ok() == Some(self.id) => JobState::Running,
                _ => JobState::Waiting,
            }),
        }
    }

    /// From when the job may run, where it is at the head of its lane; none before its first attempt.
    pub(super) fn own_due_at(&self) -> Option<UnixMs> {
        self.job.lines().next()?.split(' ').nth(3)?.parse().ok().map(UnixMs)
    }

    /// The job; none where this is an unmapped record.
    pub(super) fn into_job(self) -> Result<Option<JobView>, StoreError> {
        let Some(state) = self.state() else { return Ok(None) };
        let finished = if state == JobState::Done {
            let mut words = self.ended.split(' ').skip(1);
            let at = words.next().and_then(|at| at.parse().ok()).map(UnixMs);
            let outcome = words.next().and_then(word::<Finished>);
            at.zip(outcome)
        } else {
            None
        };
        Ok(Some(JobView { job: job(self.id, &self.job)?, state, due_at: self.due_at, finished }))
    }

    /// The dead letter; none where this is no such thing.
    pub(super) fn into_letter(self) -> Result<Option<DeadLetter>, StoreError> {
        let id = self.id;
        let damage = || unexpected(&format!("dead letter {id}"));
        let (fields, rest) = self.ended.split_once('\n').unwrap_or((&self.ended, ""));
        let fields: Vec<&str> = fields.split(' ').collect();
        let (["x" | "u", died_at, code, ..], is_unmapped) = (&fields[..], self.ended.starts_with('u')) else {
            return Ok(None);
        };
        let died_at = died_at.parse().map(UnixMs).map_err(|_| damage())?;
        let code = word::<Code>(code).ok_or_else(damage)?;
        if is_unmapped {
            let source = fields.get(3).and_then(|source| (*source).to_owned().try_into().ok()).ok_or_else(damage)?;
            let mut parts = rest.splitn(3, '\n');
            let (Some(person), Some(detail), Some(payload)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(damage());
            };
            let origin = DeadOrigin::Unmapped { person: Person::from_key(person), payload: payload.to_owned() };
            let detail = detail.to_owned();
            return Ok(Some(DeadLetter { id, source, died_at, code, detail, parks_lane: false, origin }));
        }
        let job = job(id, &self.job)?;
        Ok(Some(DeadLetter {
            id,
            source: job.event.person.source.clone(),
            died_at,
            code,
            detail: rest.to_owned(),
            parks_lane: job.event.kind() == EventKind::Hire,
            origin: DeadOrigin::Job(Box::new(job)),
        }))
    }
}

/// Reads a word that is a unit of an enum.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

/// A dead letter's line in a listing.
pub(super) fn summary(letter: &DeadLetter) -> DeadSummary {
    DeadSummary {
        id: letter.id,
        source: letter.source.clone(),
        person: letter.person().cloned(),
        event: match &letter.origin {
            DeadOrigin::Job(job) => Some(job.event.kind()),
            DeadOrigin::Unmapped { .. } => None,
        },
        died_at: letter.died_at,
        code: letter.code,
        detail: letter.detail.clone(),
        parks_lane: letter.parks_lane,
    }
}
