//! Follows a delivery's jobs through the admin API until each has ended.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::admin::api::shapes::{DeadBody, DeadRowBody, JobBody, PersonBody, PersonRef};
use crate::cli::api::Api;
use crate::cli::failure::Failure;

/// Short, since most jobs end within a few calls to Postman.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// For slower jobs: often enough for somebody who watches, and no load on the server.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A job, with its result or its current state.
#[derive(Debug, Serialize)]
pub(super) struct Followed {
    id: String,
    /// `source/employee id`, where known.
    person: Option<String>,
    /// `hire`, `update`, `leave` or `notice`; none for a record that could not be mapped.
    event: Option<String>,
    /// `done`, `dead`, `gone`, or its current state: `waiting`, `running`, `held`, `scheduled`, `incomplete`.
    state: String,
    /// What was done, if it is done.
    outcome: Option<String>,
    /// Why it is dead.
    code: Option<String>,
    /// The result or state as a sentence.
    text: String,
    /// What to do, if there is something to do.
    action: Option<String>,
}

impl Followed {
    pub(super) fn is_done(&self) -> bool {
        self.state == "done"
    }

    pub(super) fn print(&self) {
        let person = self.person.as_deref().unwrap_or("somebody unknown");
        let event = self.event.as_deref().unwrap_or("record");
        say!("{} {event} of {person} {}: {}", self.id, self.state, self.text);
        if let Some(action) = &self.action {
            say!("  what to do: {action}");
        }
    }

    fn done(job: JobBody) -> Self {
        let text = job.outcome.clone().unwrap_or_default();
        Self { outcome: job.outcome.clone(), ..Self::standing(job, text, None) }
    }

    fn standing(job: JobBody, text: String, action: Option<String>) -> Self {
        Self {
            person: job.person.as_ref().map(key),
            id: job.id,
            event: job.event,
            state: job.state,
            outcome: None,
            code: None,
            text,
            action,
        }
    }

    /// `row` is the dead letter that stops the job; it may be about a newer job of the same person.
    fn dead(id: &str, event: Option<String>, row: DeadRowBody) -> Self {
        Self {
            id: id.to_owned(),
            person: row.person.as_ref().map(key),
            event: event.or(row.event),
            state: "dead".to_owned(),
            outcome: None,
            text: format!("{} {} ({})", row.code, row.title, row.detail),
            code: Some(row.code),
            action: Some(row.action),
        }
    }

    /// The server does not know the job: the reply to a duplicate may name jobs that ended long ago.
    fn gone(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            person: None,
            event: None,
            state: "gone".to_owned(),
            outcome: None,
            code: None,
            text: "finished and not kept any longer, or discarded".to_owned(),
            action: Some(
                "`scim-bridge person SOURCE/ID` shows the person's state: a story loses its oldest entries first."
                    .to_owned(),
            ),
        }
    }
}

/// Follows jobs until each has ended or the time is up. The first request must succeed. Later ones may fail: the
/// server may be restarting.
pub(super) async fn follow(api: &Api, ids: &[String], timeout: Duration) -> Result<Vec<Followed>, Failure> {
    let deadline = Instant::now() + timeout;
    let mut followed = Vec::with_capacity(ids.len());
    for id in ids {
        followed.push(follow_one(api, id, deadline, followed.is_empty()).await?);
    }
    Ok(followed)
}

async fn follow_one(api: &Api, id: &str, deadline: Instant, first: bool) -> Result<Followed, Failure> {
    let mut must_answer = first;
    let mut pause = PAUSE_FIRST;
    loop {
        let last = Instant::now() >= deadline;
        match look(api, id).await {
            Ok(Look::Ended(followed)) => return Ok(followed),
            Ok(Look::Standing(job)) if last => return where_it_stands(api, *job).await,
            Err(failure) if last || must_answer => return Err(failure),
            Ok(Look::Standing(_)) | Err(_) => {}
        }
        must_answer = false;
        sleep_until((Instant::now() + pause).min(deadline)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

enum Look {
    Ended(Followed),
    Standing(Box<JobBody>),
}

async fn look(api: &Api, id: &str) -> Result<Look, Failure> {
    let job: Option<JobBody> = api.get_if_there(&format!("/api/v1/jobs/{}", Api::escaped(id))).await?;
    match job {
        Some(job) if job.state == "done" => return Ok(Look::Ended(Followed::done(job))),
        Some(job) if job.state != "dead" => return Ok(Look::Standing(Box::new(job))),
        Some(_) | None => {}
    }
    let dead: Option<DeadBody> = api.get_if_there(&format!("/api/v1/dead/{}", Api::escaped(id))).await?;
    Ok(match (dead, job) {
        (Some(dead), job) => Look::Ended(Followed::dead(id, job.and_then(|job| job.event), dead.row)),
        // Either the dead letter is about a newer job of this person, or it was replayed between the two requests.
        (None, Some(job)) => match trouble_of(api, &job).await? {
            Some(row) => Look::Ended(Followed::dead(id, job.event, row)),
            None => Look::Standing(Box::new(job)),
        },
        (None, None) => Look::Ended(Followed::gone(id)),
    })
}

/// The dead letter that blocks a job's person.
async fn trouble_of(api: &Api, job: &JobBody) -> Result<Option<DeadRowBody>, Failure> {
    let Some(person) = &job.person else { return Ok(None) };
    let about: PersonBody = api.get(&person_path(person)).await?;
    let Some(id) = about.dead_letter else { return Ok(None) };
    let dead: Option<DeadBody> = api.get_if_there(&format!("/api/v1/dead/{}", Api::escaped(&id))).await?;
    Ok(dead.map(|dead| dead.row))
}

fn key(person: &PersonRef) -> String {
    format!("{}/{}", person.source, person.employee_id)
}

fn person_path(person: &PersonRef) -> String {
    let source = Api::escaped(&person.source);
    format!("/api/v1/person?source={source}&employee_id={}", Api::escaped(&person.employee_id))
}

/// The person's page says more than the job's state: what the job waits for, and what to do.
async fn where_it_stands(api: &Api, job: JobBody) -> Result<Followed, Failure> {
    let nothing = || "Nothing, or give it more time with --timeout-s.".to_owned();
    let Some(person) = &job.person else {
        return Ok(Followed::standing(job, "not ended in time".to_owned(), Some(nothing())));
    };
    let person: PersonBody = api.get(&person_path(person)).await?;
    let action = person.waits_for.and_then(|waits_for| waits_for.action).unwrap_or_else(nothing);
    Ok(Followed::standing(job, format!("not ended in time: {}", person.answer), Some(action)))
}
