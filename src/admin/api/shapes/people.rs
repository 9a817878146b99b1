//! People and their jobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PersonRef;
use crate::admin::people::{JobState, JobView, PersonView, WholePerson};
use crate::admin::summary::{WaitsFor, summary};
use crate::admin::words;
use crate::core::hold::Holds;
use crate::core::person::document::JoinedGroup;
use crate::core::person::label::Label;
use crate::core::person::story::{Note, StoryEntry};
use crate::core::person::{Document, EmploymentWord, Fact, KnownMember, Record, Scope, Stamp, TimedWord};
use crate::store::Listed;

/// A page of people.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PeopleBody {
    /// The people.
    pub people: Vec<PersonRowBody>,
    /// Give it as `after` for the next page; null on the last.
    pub next: Option<String>,
}

/// A person in a listing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonRowBody {
    /// The person.
    pub person: PersonRef,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: Option<String>,
    /// `idle`, `waiting`, `running`, `held`, `scheduled`, `incomplete` or `blocked`.
    pub state: String,
    /// Since when they are in this state.
    pub since: String,
    /// Whether their member is switched on, as last seen; null if it is not known.
    pub active: Option<bool>,
    /// What else to know: `after_close`, `switched_off`, `failing`, `gone_at_hr`, `groupless`,
    /// `groups_forbidden`.
    pub marks: Vec<String>,
}

impl From<&PersonView> for PersonRowBody {
    fn from(view: &PersonView) -> Self {
        let document = view.document.as_ref();
        let marks = document.map(Document::marks).unwrap_or_default();
        Self {
            person: PersonRef::from(&view.person),
            name: view.name(),
            email: view.email().map(str::to_owned),
            state: view.row.lane.state.as_str().to_owned(),
            since: view.row.since.to_string(),
            active: document.and_then(|document| document.member.as_ref()?.active),
            marks: marks.into_iter().map(|mark| mark.as_str().to_owned()).collect(),
        }
    }
}

impl From<&Listed<PersonView>> for PeopleBody {
    fn from(listed: &Listed<PersonView>) -> Self {
        Self { people: listed.rows.iter().map(PersonRowBody::from).collect(), next: listed.next.clone() }
    }
}

/// All that is known about a person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonBody {
    /// The person.
    pub person: PersonRef,
    /// Their number in the store.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    pub number: String,
    /// `idle`, `waiting`, `running`, `held`, `scheduled`, `incomplete` or `blocked`.
    pub state: String,
    /// Their situation, in one sentence.
    pub answer: String,
    /// What they wait for; null if they are up to date.
    pub waits_for: Option<WaitsForBody>,
    /// What HR says, fact by fact.
    pub record: RecordBody,
    /// The member at Postman, as last read or written; null if none is known.
    pub member: Option<MemberBody>,
    /// The groups that the bridge put the member into.
    #[serde(default)]
    pub groups: Vec<String>,
    /// When the bridge tries again to put the member into a group that they could not join yet.
    #[serde(default)]
    pub groups_due_at: Option<String>,
    /// Jobs that have not ended, oldest first.
    pub jobs: Vec<JobBody>,
    /// The id of the dead letter that blocks them.
    pub dead_letter: Option<String>,
    /// What else to know: `after_close`, `switched_off`, `failing`, `gone_at_hr`, `groupless`,
    /// `groups_forbidden`.
    pub marks: Vec<String>,
    /// What happened, oldest first.
    pub story: Vec<StoryBody>,
    /// How many older entries of the story were dropped.
    pub story_dropped: u64,
}

impl PersonBody {
    pub(in crate::admin) fn of(whole: &WholePerson, holds: &Holds) -> Self {
        let view = &whole.view;
        let document = view.document.as_ref();
        let told = summary(whole, holds);
        Self {
            person: PersonRef::from(&view.person),
            number: view.row.id.to_string(),
            state: view.row.lane.state.as_str().to_owned(),
            answer: told.sentence,
            waits_for: told.waits_for.as_ref().map(WaitsForBody::from),
            record: document.map(RecordBody::from).unwrap_or_default(),
            member: document.and_then(|document| document.member.as_ref()).map(MemberBody::from),
            groups: document.map(|document| names_of(&document.groups)).unwrap_or_default(),
            groups_due_at: document.and_then(|document| document.groups_wait).map(|wait| wait.due.to_string()),
            jobs: view.open_jobs().iter().map(JobBody::from).collect(),
            dead_letter: document.and_then(|document| document.trouble.as_ref()).map(|trouble| trouble.id.to_string()),
            marks: document
                .map(Document::marks)
                .unwrap_or_default()
                .iter()
                .map(|mark| mark.as_str().to_owned())
                .collect(),
            story: whole.story.iter().map(StoryBody::from).collect(),
            story_dropped: whole.story_dropped,
        }
    }
}

fn names_of(groups: &[JoinedGroup]) -> Vec<String> {
    groups.iter().map(|joined| joined.name.clone()).collect()
}

/// What a person waits for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WaitsForBody {
    /// The state in which they wait.
    pub state: String,
    /// The code of the cause.
    pub code: Option<String>,
    /// What to do; null if there is nothing to do.
    pub action: Option<String>,
    /// When it began.
    pub since: String,
    /// When they are due.
    pub due_at: Option<String>,
    /// The hold that keeps them.
    pub hold: Option<String>,
    /// The facts that HR has not given.
    pub missing: Vec<String>,
}

impl From<&WaitsFor> for WaitsForBody {
    fn from(waits_for: &WaitsFor) -> Self {
        Self {
            state: waits_for.state.as_str().to_owned(),
            code: waits_for.code.map(|code| code.as_str().to_owned()),
            action: waits_for.action.clone(),
            since: waits_for.since.to_string(),
            due_at: waits_for.due_at.map(|at| at.to_string()),
            hold: waits_for.hold.as_ref().map(ToString::to_string),
            missing: waits_for.missing.clone(),
        }
    }
}

/// What HR says, fact by fact; null if it has not said anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RecordBody {
    /// Whether they are employed, in effect now or announced.
    pub employment: Vec<EmploymentBody>,
    /// Whether they are in scope by the source's rules: `in`, `out`, or `out from` an announced instant.
    pub scope: Option<FactBody>,
    /// The address.
    pub email: Option<FactBody>,
    /// The given name; an empty value: there is none.
    pub given_name: Option<FactBody>,
    /// The family name; an empty value: there is none.
    pub family_name: Option<FactBody>,
    /// The locale.
    pub locale: Option<FactBody>,
    /// Further facts by their names: what groups are derived from.
    #[serde(default)]
    pub facts: BTreeMap<String, ValuesBody>,
    /// To which record the member was handed over.
    pub handed_over_to: Option<PersonRef>,
}

/// One fact.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FactBody {
    /// What is so.
    pub value: String,
    /// When it became so, by HR's clock.
    pub at: String,
    /// When the event that stated it was accepted.
    pub accepted_at: String,
}

/// A fact of any number of values.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ValuesBody {
    /// The current values; empty if there are none.
    pub values: Vec<String>,
    /// When it became so, by HR's clock.
    pub at: String,
    /// When the event that stated it was accepted.
    pub accepted_at: String,
}

impl From<&Fact<Vec<Label>>> for ValuesBody {
    fn from(fact: &Fact<Vec<Label>>) -> Self {
        Self {
            values: fact.value.iter().map(|label| label.as_str().to_owned()).collect(),
            at: fact.stamp.at.to_string(),
            accepted_at: fact.stamp.accepted_at.to_string(),
        }
    }
}

/// One statement on employment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EmploymentBody {
    /// `employed` or `left`.
    pub state: String,
    /// From when on.
    pub from: String,
    /// When HR said so.
    pub at: String,
    /// When the event that stated it was accepted.
    pub accepted_at: String,
}

fn fact(value: &str, stamp: Stamp) -> FactBody {
    FactBody { value: value.to_owned(), at: stamp.at.to_string(), accepted_at: stamp.accepted_at.to_string() }
}

fn employment(word: &EmploymentWord) -> EmploymentBody {
    let state = match word.state {
        crate::core::person::EmploymentState::Employed => "employed",
        crate::core::person::EmploymentState::Left => "left",
    };
    EmploymentBody {
        state: state.to_owned(),
        from: word.from.to_string(),
        at: word.stamp.at.to_string(),
        accepted_at: word.stamp.accepted_at.to_string(),
    }
}

/// The statements that still count, oldest first.
fn employment_words(record: &Record) -> Vec<EmploymentBody> {
    record.employment.counting().map(employment).collect()
}

/// The last statement on scope, and from when on if it was announced.
fn scope_fact(word: &TimedWord<Scope>) -> FactBody {
    let is_announced = word.from > word.stamp.at;
    let value = word.state.as_str();
    let value = if is_announced { format!("{value} from {}", word.from) } else { value.to_owned() };
    fact(&value, word.stamp)
}

impl From<&Document> for RecordBody {
    fn from(document: &Document) -> Self {
        let record = &document.record;
        let email = record.email.as_ref().map(|email| fact(email.value.as_received(), email.stamp));
        let name = |value: Option<&str>, stamp: Option<Stamp>| Some(fact(value?, stamp?));
        Self {
            employment: employment_words(record),
            scope: record.scope.newest().map(scope_fact),
            email,
            given_name: name(record.given_name(), record.given_name_fact().map(|fact| fact.stamp)),
            family_name: name(record.family_name(), record.family_name.as_ref().map(|fact| fact.stamp)),
            locale: name(record.locale(), record.locale.as_ref().map(|fact| fact.stamp)),
            facts: record.further.iter().map(|(name, fact)| (name.clone(), ValuesBody::from(fact))).collect(),
            handed_over_to: record.closed.as_ref().map(|closed| PersonRef::from(&closed.to)),
        }
    }
}

/// The member at Postman, as last read or written.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MemberBody {
    /// The SCIM `id`; null while they are invited and not shown by any look-up yet.
    pub id: Option<String>,
    /// Their `userName`.
    pub user_name: String,
    /// Their given name.
    pub given_name: Option<String>,
    /// Their family name.
    pub family_name: Option<String>,
    /// Whether they are switched on; null if it was never shown.
    pub active: Option<bool>,
    /// When they were last read or written.
    pub seen_at: String,
}

impl From<&KnownMember> for MemberBody {
    fn from(member: &KnownMember) -> Self {
        Self {
            id: member.id.clone(),
            user_name: member.user_name.clone(),
            given_name: member.given_name.clone(),
            family_name: member.family_name.clone(),
            active: member.active,
            seen_at: member.seen_at.to_string(),
        }
    }
}

/// A page of jobs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobsBody {
    /// The jobs of each person of the page, oldest first.
    pub jobs: Vec<JobBody>,
    /// Give it as `after` for the next page; null on the last.
    pub next: Option<String>,
}

/// A job and its state.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobBody {
    /// Its id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub id: String,
    /// Who it is about; null for a record that could not be mapped and does not say.
    pub person: Option<PersonRef>,
    /// `hire`, `update`, `leave` or `notice`; null if it is not known (any more).
    pub event: Option<String>,
    /// `waiting`, `running`, `held`, `scheduled`, `incomplete`, `dead` or `done`.
    pub state: String,
    /// When it was accepted, if that is still known.
    pub accepted_at: Option<String>,
    /// When the person is due.
    pub due_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How: `created`, `adopted`, `invited`, `updated`, `deactivated`, `unchanged`, `superseded`,
    /// `not_a_member`, `handed_over` or `discarded`.
    pub outcome: Option<String>,
}

impl From<&JobView> for JobBody {
    fn from(job: &JobView) -> Self {
        let ended = match job.state {
            JobState::Done(at, outcome) => Some((at, outcome)),
            JobState::Open(_) => None,
        };
        Self {
            id: job.id.to_string(),
            person: Some(PersonRef::from(&job.person)),
            event: job.kind.map(|kind| kind.as_str().to_owned()),
            state: job.state.as_str().to_owned(),
            accepted_at: job.accepted_at.map(|at| at.to_string()),
            due_at: job.due_at.map(|at| at.to_string()),
            ended_at: ended.map(|(at, _)| at.to_string()),
            outcome: ended.map(|(_, outcome)| outcome.as_str().to_owned()),
        }
    }
}

/// One line of a story.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StoryBody {
    /// When it happened.
    pub at: String,
    /// `received`, `called`, `taken_over`, `retry_at`, `held`, `scheduled`, `looks_again`, `incomplete`,
    /// `given_back`, `read`, `blocked`, `replayed`, `discarded`, `taken_from`, `handed_over`, `ended` or `other`.
    pub note: String,
    /// What happened, in words.
    pub text: String,
    /// The code, if the entry has one.
    pub code: Option<String>,
    /// The HTTP status, if a call was answered.
    pub status: Option<u16>,
    /// How long the call took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Postman's own words for a refusal.
    pub detail: Option<String>,
    /// The job, if the entry is about one.
    pub job: Option<String>,
}

impl From<&StoryEntry> for StoryBody {
    fn from(entry: &StoryEntry) -> Self {
        let (status, duration_ms, detail) = match &entry.note {
            Note::Called { status, ms, detail, .. } => (*status, Some(*ms), detail.clone()),
            Note::Read { status, ms, .. } => (*status, Some(*ms), None),
            _ => (None, None, None),
        };
        let job = match &entry.note {
            Note::Received { job, .. } | Note::Ended { job, .. } => Some(job.to_string()),
            _ => None,
        };
        Self {
            at: entry.at.to_string(),
            note: words::note_word(&entry.note).to_owned(),
            text: words::note_text(&entry.note),
            code: words::note_code(&entry.note).map(|code| code.as_str().to_owned()),
            status,
            duration_ms,
            detail,
            job,
        }
    }
}
