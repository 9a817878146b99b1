//! "Why is Jane not in Postman?" answered in one sentence. A pure judgement over what is known.

use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::hold::{Hold, HoldScope};
use crate::core::job::{Finished, JobState, Note};
use crate::store::{JobView, PersonView};

/// How a person stands, most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Something of theirs is a dead letter: an operator must act.
    Stuck,
    /// A hold keeps their next job waiting.
    Held,
    /// Their next job failed, and is tried again.
    Retrying,
    /// A job waits or runs.
    OnTheWay,
    /// All that came in was brought to Postman.
    InLine,
    /// Nothing that is still kept says anything.
    Unknown,
}

impl Standing {
    /// The word for it in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Held => "held",
            Self::Retrying => "retrying",
            Self::OnTheWay => "on_the_way",
            Self::InLine => "in_line",
            Self::Unknown => "unknown",
        }
    }
}

/// The sentence, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How they stand.
    pub standing: Standing,
    /// In one sentence, without personal data.
    pub sentence: String,
    /// The code at the bottom of it, whose advice is the next step.
    pub code: Option<Code>,
}

/// Answers for one person.
#[must_use]
pub fn answer(view: &PersonView, holds: &[Hold]) -> Answer {
    stuck(view).or_else(|| waiting(view, holds)).unwrap_or_else(|| settled(view))
}

fn stuck(view: &PersonView) -> Option<Answer> {
    // The parking one first: it is what the others wait for.
    let dead = view.dead.iter().find(|d| d.parks_lane).or_else(|| view.dead.first())?;
    let what = match dead.event {
        Some(EventKind::Hire) => "Their hire",
        Some(EventKind::Rename) => "A rename of theirs",
        None => "Something that the HR system sent about them",
    };
    let parked = view.jobs.iter().filter(|j| j.state == JobState::Parked).count();
    let behind = match parked {
        0 => String::new(),
        1 => ", and one later change waits behind it".to_owned(),
        n => format!(", and {n} later changes wait behind it"),
    };
    let sentence = format!("{what} is a dead letter ({}){behind}: {}", dead.code, dead.code.title());
    Some(Answer { standing: Standing::Stuck, sentence, code: Some(dead.code) })
}

fn waiting(view: &PersonView, holds: &[Hold]) -> Option<Answer> {
    let head = view.jobs.iter().find(|j| matches!(j.state, JobState::Waiting | JobState::Running))?;
    let kind = head.job.event.kind();
    if head.state == JobState::Running {
        let sentence = format!("Their {kind} is being brought to Postman at this moment.");
        return Some(Answer { standing: Standing::OnTheWay, sentence, code: None });
    }
    if let Some(hold) = holds.iter().find(|h| covers(h.scope, kind)) {
        let sentence =
            format!("Their {kind} waits, unharmed, because of a hold ({}): {}", hold.code, hold.code.title());
        return Some(Answer { standing: Standing::Held, sentence, code: Some(hold.code) });
    }
    if let Some(code) = last_retry(head) {
        let at = head.due_at.map(|at| format!(" at {at}")).unwrap_or_default();
        let sentence = format!(
            "Their {kind} was tried {} without success ({code}) and is tried again{at}.",
            times(head.job.attempts)
        );
        return Some(Answer { standing: Standing::Retrying, sentence, code: Some(code) });
    }
    let sentence = format!("Their {kind} was accepted at {} and waits for its turn.", head.job.accepted_at);
    Some(Answer { standing: Standing::OnTheWay, sentence, code: None })
}

fn settled(view: &PersonView) -> Answer {
    let in_line = |sentence| Answer { standing: Standing::InLine, sentence, code: None };
    if let Some((at, outcome)) = view.jobs.iter().rev().find_map(|j| j.finished) {
        return in_line(match outcome {
            Finished::Created => {
                format!("Postman created them at {at}; an invitation e-mail is on its way or accepted.")
            }
            Finished::Invited => {
                format!(
                    "They were invited at {at}, and Postman does not list them: most likely the invitation is not accepted yet."
                )
            }
            Finished::Adopted => format!("They were in the team already, and were brought in line at {at}."),
            Finished::Updated => format!("Their names were brought in line at {at}."),
            Finished::Unchanged => format!("They were found as they should be at {at}."),
            Finished::Stale => format!(
                "Their last change, settled at {at}, was older than one applied before; nothing was to be done."
            ),
        });
    }
    match &view.directory {
        Some(entry) => in_line(format!("They were last brought in line at {}.", entry.in_line_at)),
        None => Answer {
            standing: Standing::Unknown,
            sentence: "Nothing that is still kept says anything about them.".to_owned(),
            code: None,
        },
    }
}

fn covers(scope: HoldScope, kind: EventKind) -> bool {
    match scope {
        HoldScope::All => true,
        HoldScope::Creates => kind == EventKind::Hire,
    }
}

/// Why the job was last put off, where its last attempt failed.
pub(super) fn last_retry(job: &JobView) -> Option<Code> {
    job.job.history.iter().rev().find_map(|entry| match entry.note {
        Note::RetryAt { code, .. } => Some(Some(code)),
        // Whatever it failed of before was overcome, or an operator began anew.
        Note::Replayed | Note::Dead { .. } | Note::Done { .. } => Some(None),
        Note::Called { .. }
        | Note::TakenOver
        | Note::Held { .. }
        | Note::GivenBack
        | Note::Omitted { .. }
        | Note::Other(_) => None,
    })?
}

fn times(n: u32) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{Change, Email, Event, Names, Person, SourceName};
    use crate::core::job::{HistoryEntry, Job, JobId, Progress};
    use crate::core::time::UnixMs;
    use crate::store::DeadSummary;

    fn person() -> Person {
        Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap()
    }

    fn hire(state: JobState) -> JobView {
        let names = Names::parse(Some("Ada"), None).unwrap();
        let change = Change::Hire { email: Email::parse("ada@example.com").unwrap(), names };
        let job = Job {
            id: JobId(1),
            seq: 1,
            event: Event { person: person(), change, locale: None, occurred_at: None },
            accepted_at: UnixMs(0),
            attempts: 2,
            take_overs: 0,
            first_attempt_at: None,
            progress: Progress::default(),
            history: Vec::new(),
        };
        JobView { job, state, due_at: Some(UnixMs(60_000)), finished: None }
    }

    fn view(jobs: Vec<JobView>) -> PersonView {
        PersonView { person: person(), directory: None, jobs, dead: Vec::new() }
    }

    fn hold(scope: HoldScope) -> Hold {
        Hold { scope, code: Code::HoldSeats, since: UnixMs(0), next_probe_at: None, probes: 0 }
    }

    #[test]
    fn a_dead_hire_is_told_first_with_what_waits_behind_it() {
        let mut view = view(vec![hire(JobState::Dead), hire(JobState::Parked)]);
        view.dead.push(DeadSummary {
            id: JobId(1),
            source: person().source,
            person: Some(person()),
            event: Some(EventKind::Hire),
            died_at: UnixMs(0),
            code: Code::ScimElsewhere,
            detail: String::new(),
            parks_lane: true,
        });
        let answer = answer(&view, &[hold(HoldScope::All)]);
        assert_eq!(answer.standing, Standing::Stuck);
        assert_eq!(answer.code, Some(Code::ScimElsewhere));
        assert!(answer.sentence.contains("one later change waits behind it"), "{}", answer.sentence);
    }

    #[test]
    fn a_hold_explains_a_waiting_hire_and_only_what_it_covers() {
        let waiting = view(vec![hire(JobState::Waiting)]);
        assert_eq!(answer(&waiting, &[hold(HoldScope::Creates)]).standing, Standing::Held);
        assert_eq!(answer(&waiting, &[]).standing, Standing::OnTheWay);
    }

    #[test]
    fn a_failed_attempt_tells_when_it_is_tried_again() {
        let mut job = hire(JobState::Waiting);
        let note = Note::RetryAt { due_at: UnixMs(60_000), code: Code::ScimUnavailable };
        job.job.history.push(HistoryEntry { at: UnixMs(1), note });
        let answer = answer(&view(vec![job]), &[]);
        assert_eq!(answer.standing, Standing::Retrying);
        assert!(answer.sentence.contains("tried twice without success (SCIM-5XX)"), "{}", answer.sentence);
        assert!(answer.sentence.contains("1970-01-01T00:01:00Z"), "{}", answer.sentence);
    }

    #[test]
    fn a_finished_hire_says_when_and_how() {
        let mut job = hire(JobState::Done);
        job.finished = Some((UnixMs(0), Finished::Created));
        let answer_done = answer(&view(vec![job]), &[]);
        assert_eq!(answer_done.standing, Standing::InLine);
        assert!(answer_done.sentence.starts_with("Postman created them"));
        assert_eq!(answer(&view(Vec::new()), &[]).standing, Standing::Unknown);
    }
}
