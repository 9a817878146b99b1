//! What people look at. Read from the last commit, beside the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::control::Tally;
use super::rows::{JobRow, blob, from_json, id, signed, unsigned};
use super::schema;
use crate::core::event::{EventKind, Person};
use crate::core::job::{DeadLetter, DeadOrigin, DirectoryEntry, JobId, JobState};
use crate::core::time::UnixMs;
use crate::store::{JobView, Page, PersonView, Stats, StoreError};

/// Connections kept for the next reader.
const IDLE_MAX: usize = 4;

/// Read-only connections, made as they are needed.
#[derive(Clone)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Arc::default() }
    }

    /// Runs `read` on one state of the store, off the async threads.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.clone();
        tokio::task::spawn_blocking(move || {
            let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut db = match idle {
                Some(db) => db,
                None => schema::open_reader(&readers.path)?,
            };
            let snapshot = db.transaction()?;
            let value = read(&snapshot)?;
            drop(snapshot);
            let mut idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(db);
            }
            Ok(value)
        })
        .await
        .map_err(|_| StoreError::Unavailable("reading was broken off".to_owned()))?
    }
}

/// A job with its end and its lane: what [`view`] reads.
pub(super) const SELECT_VIEW: &str =
    "SELECT j.seq, j.id, j.person, j.kind, j.accepted_at, j.due_at, j.attempts, j.take_overs,
     j.first_attempt_at, j.progress, j.event, j.history, j.state, j.ended_at, j.outcome, p.lane_state, p.lane_seq,
     p.lane_at FROM jobs j JOIN people p ON p.person = j.person";

pub(super) fn view(row: &Row<'_>) -> Result<JobView, StoreError> {
    let job = JobRow::read(row)?;
    let ended_at: Option<i64> = row.get(13)?;
    let outcome: Option<String> = row.get(14)?;
    let lane: Option<String> = row.get(15)?;
    let is_lane_job = row.get::<_, Option<i64>>(16)? == Some(job.seq);
    let mut view = JobView { state: JobState::Waiting, due_at: None, finished: None, job: job.into_job()? };
    match row.get_ref(12)?.as_str().map_err(rusqlite::Error::from)? {
        "dead" => view.state = JobState::Dead,
        "done" => {
            view.state = JobState::Done;
            if let (Some(at), Some(outcome)) = (ended_at, outcome) {
                view.finished = Some((UnixMs(at), from_json(view.job.id, "outcome", &outcome)?));
            }
        }
        _ => match lane.as_deref() {
            Some("parked") => view.state = JobState::Parked,
            Some("leased") if is_lane_job => view.state = JobState::Running,
            Some("due") if is_lane_job => view.due_at = row.get::<_, Option<i64>>(17)?.map(UnixMs),
            _ => {}
        },
    }
    Ok(view)
}

fn views(db: &Connection, rest: &str, params: impl Params) -> Result<Vec<JobView>, StoreError> {
    let mut statement = db.prepare_cached(&format!("{SELECT_VIEW} {rest}"))?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(view(row)?);
    }
    Ok(found)
}

/// Jobs of a state, newest first.
pub(super) fn jobs(db: &Connection, state: JobState, page: &Page) -> Result<Vec<JobView>, StoreError> {
    let which = match state {
        JobState::Waiting => {
            "WHERE j.state = 'live' AND j.id < ?1
             AND (p.lane_state = 'due' OR (p.lane_state = 'leased' AND p.lane_seq <> j.seq))"
        }
        JobState::Running => "WHERE p.lane_state = 'leased' AND j.seq = p.lane_seq AND j.id < ?1",
        JobState::Parked => "WHERE p.lane_state = 'parked' AND j.state = 'live' AND j.id < ?1",
        JobState::Dead => "WHERE j.state = 'dead' AND j.id < ?1",
        JobState::Done => "WHERE j.state = 'done' AND j.id < ?1",
    };
    views(db, &format!("{which} ORDER BY j.id DESC LIMIT ?2"), params![before(page), limit(page)])
}

/// One job.
pub(super) fn job(db: &Connection, id: JobId) -> Result<Option<JobView>, StoreError> {
    Ok(views(db, "WHERE j.state IN ('live', 'dead', 'done') AND j.id = ?1", [blob(id)])?.pop())
}

/// All about a person.
pub(super) fn person(db: &Connection, person: &Person) -> Result<Option<PersonView>, StoreError> {
    let key = person.to_string();
    let known: Option<(i64, Option<String>)> = db
        .prepare_cached("SELECT person, directory FROM people WHERE key = ?1")?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut dead = letters(db, "SELECT * FROM unmapped WHERE person = ?1", [&key])?;
    let Some((number, directory)) = known else {
        let summaries = dead.iter().map(summary).collect::<Vec<_>>();
        let stranger = PersonView { person: person.clone(), directory: None, jobs: Vec::new(), dead: summaries };
        return Ok((!stranger.dead.is_empty()).then_some(stranger));
    };
    let directory = directory
        .map(|text| serde_json::from_str::<DirectoryEntry>(&text))
        .transpose()
        .map_err(|_| StoreError::Damaged("a person's directory entry does not read back".to_owned()))?;
    let jobs = views(db, "WHERE j.person = ?1 ORDER BY j.seq", [number])?;
    dead.extend(dead_jobs(db, "WHERE person = ?1 AND state = 'dead'", [number])?);
    dead.sort_by_key(|letter| std::cmp::Reverse(letter.id));
    Ok(Some(PersonView { person: person.clone(), directory, jobs, dead: dead.iter().map(summary).collect() }))
}

/// Dead letters, newest first.
pub(super) fn dead_letters(db: &Connection, page: &Page) -> Result<Vec<crate::store::DeadSummary>, StoreError> {
    let bounds = params![before(page), limit(page)];
    let mut found = dead_jobs(db, "WHERE state = 'dead' AND id < ?1 ORDER BY id DESC LIMIT ?2", bounds)?;
    found.extend(letters(db, "SELECT * FROM unmapped WHERE id < ?1 ORDER BY id DESC LIMIT ?2", bounds)?);
    found.sort_by_key(|letter| std::cmp::Reverse(letter.id));
    found.truncate(page.rows_max);
    Ok(found.iter().map(summary).collect())
}

/// One dead letter.
pub(super) fn dead_letter(db: &Connection, id: JobId) -> Result<Option<DeadLetter>, StoreError> {
    let found = dead_jobs(db, "WHERE state = 'dead' AND id = ?1", [blob(id)])?.pop();
    match found {
        Some(letter) => Ok(Some(letter)),
        None => Ok(letters(db, "SELECT * FROM unmapped WHERE id = ?1", [blob(id)])?.pop()),
    }
}

pub(super) fn dead_jobs(db: &Connection, which: &str, params: impl Params) -> Result<Vec<DeadLetter>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT seq, id, person, kind, accepted_at, due_at, attempts, take_overs, first_attempt_at, progress, event,
             history, ended_at, code, detail FROM jobs {which}"
    ))?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let job = JobRow::read(row)?;
        let parks_lane = job.kind == EventKind::Hire;
        let job = job.into_job()?;
        found.push(DeadLetter {
            id: job.id,
            source: job.event.person.source.clone(),
            died_at: UnixMs(row.get(12)?),
            code: from_json(job.id, "code", &row.get::<_, String>(13)?)?,
            detail: row.get(14)?,
            parks_lane,
            origin: DeadOrigin::Job(Box::new(job)),
        });
    }
    Ok(found)
}

/// Reads `id, source, person, died_at, code, detail, payload`.
pub(super) fn letters(db: &Connection, select: &str, params: impl Params) -> Result<Vec<DeadLetter>, StoreError> {
    let mut statement = db.prepare_cached(select)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = id(row, 0)?;
        let source: String = row.get(1)?;
        let person: Option<String> = row.get(2)?;
        let source = source.try_into().map_err(|_| super::failure::unreadable(id, "source"))?;
        found.push(DeadLetter {
            id,
            source,
            died_at: UnixMs(row.get(3)?),
            code: from_json(id, "code", &row.get::<_, String>(4)?)?,
            detail: row.get(5)?,
            parks_lane: false,
            origin: DeadOrigin::Unmapped { person: person.as_deref().and_then(Person::from_key), payload: row.get(6)? },
        });
    }
    Ok(found)
}

fn summary(letter: &DeadLetter) -> crate::store::DeadSummary {
    crate::store::DeadSummary {
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

/// The store in figures.
pub(super) fn stats(db: &Connection, tally: Tally, now: UnixMs) -> Result<Stats, StoreError> {
    let mut oldest_due_at = None;
    for kind in [EventKind::Hire, EventKind::Rename] {
        let mut statement = db.prepare_cached(
            "SELECT lane_at FROM people WHERE lane_state = 'due' AND lane_kind = ?1 AND lane_at <= ?2
             ORDER BY lane_at LIMIT 1",
        )?;
        let at = statement.query_row(params![kind.as_str(), now.0], |row| row.get(0)).optional()?.map(UnixMs);
        oldest_due_at = oldest_due_at.into_iter().chain(at).min();
    }
    let jobs = [
        (JobState::Waiting, tally.waiting),
        (JobState::Running, tally.running),
        (JobState::Parked, tally.parked),
        (JobState::Dead, tally.dead),
        (JobState::Done, tally.done),
    ];
    Ok(Stats {
        jobs: jobs.into_iter().map(|(state, number)| (state.as_str().to_owned(), unsigned(number))).collect(),
        oldest_due_at,
        lanes: unsigned(tally.lanes),
        people: unsigned(tally.people),
    })
}

/// Ids are ordered by time; only those below this one.
fn before(page: &Page) -> [u8; 16] {
    page.before.map_or([0xff; 16], blob)
}

fn limit(page: &Page) -> i64 {
    signed(page.rows_max as u64)
}
