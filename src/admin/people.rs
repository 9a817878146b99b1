//! People, as an operator sees them: the document, what came in since, their state, their story; and how
//! to find them.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;

use super::error::AdminError;
use super::service::{AdminState, Noted};
use super::tokens::Actor;
use crate::clock;
use crate::core::audit::{Act, Audit};
use crate::core::code::Code;
use crate::core::person::document::Unreadable;
use crate::core::person::email::in_own_script;
use crate::core::person::job::{Finished, JobId};
use crate::core::person::story::{Note, StoryEntry};
use crate::core::person::{Document, Entry, EventKind, Mark, Person, PersonId, SourceName, Word};
use crate::core::reconcile::owner;
use crate::core::time::UnixMs;
use crate::store::{DeadFilter, DeadRow, LaneState, Listed, NewEntry, Page, PersonRow};

use super::shared;

/// Pages that are read for one page of a search by several words.
const SEARCH_PAGES_MAX: usize = 20;
/// Kept records of a source that are looked at for one person's.
const LETTERS_MAX: usize = 500;

/// A person, with what one row of the store says about them.
#[derive(Debug, Clone)]
pub struct PersonView {
    /// The person.
    pub person: Person,
    /// Their lane.
    pub row: PersonRow,
    /// Their document; none before their first event has been folded.
    pub document: Option<Document>,
    /// Why their document cannot be read.
    pub unreadable: Option<Unreadable>,
    /// New entries that were not folded yet, without those that cannot be read.
    pub inbox: Vec<Entry>,
}

/// A person with their story.
#[derive(Debug, Clone)]
pub struct WholePerson {
    /// What one row shows.
    pub view: PersonView,
    /// What happened, oldest first.
    pub story: Vec<StoryEntry>,
    /// How many older entries were dropped.
    pub story_dropped: u64,
    /// If they are incomplete: kept records about them that could not be used as a whole, newest first.
    pub letters: Vec<DeadRow>,
}

/// A job in any state.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// The person that it is about.
    pub person: Person,
    /// Its kind; none if only its end is still in the story.
    pub kind: Option<EventKind>,
    /// Its state.
    pub state: JobState,
    /// When it was accepted, if that is still in the story.
    pub accepted_at: Option<UnixMs>,
    /// When the person is due.
    pub due_at: Option<UnixMs>,
}

/// A job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It has not ended: it waits for what its person waits for.
    Open(LaneState),
    /// It has ended.
    Done(UnixMs, Finished),
}

impl JobState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            // A person who is up to date has no open jobs: this one has just arrived.
            Self::Open(LaneState::Idle) => "waiting",
            Self::Open(LaneState::Blocked) => "dead",
            Self::Open(state) => state.as_str(),
            Self::Done(..) => "done",
        }
    }
}

/// The people that a text means.
#[derive(Debug)]
pub enum Meant {
    /// Exactly this one.
    One(Box<WholePerson>),
    /// Several; at least these.
    Several(Vec<PersonView>),
    /// There is nobody like that.
    Nobody,
}

impl PersonView {
    /// The person in a row; none if it does not say who it is.
    #[must_use]
    pub fn of(row: PersonRow) -> Option<Self> {
        let read = row.document.as_deref().map(Document::from_bytes);
        let (document, unreadable) = match read {
            Some(Ok(document)) => (Some(document), None),
            Some(Err(unreadable)) => (None, Some(unreadable)),
            None => (None, None),
        };
        let inbox: Vec<Entry> = row.inbox.iter().filter_map(|entry| Entry::from_bytes(&entry.bytes)).collect();
        let told = inbox.iter().find_map(Entry::person);
        let person = document.as_ref().map(|document| document.person.clone()).or(told)?;
        Some(Self { person, row, document, unreadable, inbox })
    }

    /// Jobs that have not ended, oldest first: those in the document, then those in the inbox.
    #[must_use]
    pub fn open_jobs(&self) -> Vec<JobView> {
        let view = |id, kind, accepted_at, state| JobView {
            id,
            person: self.person.clone(),
            kind: Some(kind),
            state: JobState::Open(state),
            accepted_at: Some(accepted_at),
            due_at: self.row.lane.due,
        };
        let state = self.row.lane.state;
        let folded = self.document.iter().flat_map(|document| &document.open);
        let mut jobs: Vec<_> = folded.map(|job| view(job.id, job.kind, job.accepted_at, state)).collect();
        // New events make a blocked or held person due.
        let fresh = if state == LaneState::Running { LaneState::Running } else { LaneState::Waiting };
        for entry in &self.inbox {
            if let Word::Event { job, event, .. } = &entry.word {
                jobs.push(view(*job, event.kind, entry.accepted_at, fresh));
            }
        }
        jobs
    }

    /// The name from HR, or else the member's; empty if neither is known.
    #[must_use]
    pub fn name(&self) -> String {
        let Some(document) = &self.document else { return String::new() };
        let member = document.member.as_ref();
        let given = document.record.given_name().or(member.and_then(|member| member.given_name.as_deref()));
        let family = document.record.family_name().or(member.and_then(|member| member.family_name.as_deref()));
        [given, family].into_iter().flatten().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The address from HR, or else the member's.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        let document = self.document.as_ref()?;
        let told = document.record.email().map(crate::core::person::Email::as_received);
        told.or(document.member.as_ref().map(|member| member.user_name.as_str()))
    }
}

impl WholePerson {
    /// Any of their jobs.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobView> {
        let open = self.view.open_jobs().into_iter().find(|job| job.id == id);
        open.or_else(|| {
            let ended = self.story.iter().rev().find_map(|entry| match &entry.note {
                Note::Ended { job, outcome } if *job == id => Some((entry.at, *outcome)),
                _ => None,
            });
            let received = self.story.iter().find_map(|entry| match &entry.note {
                Note::Received { job, kind, .. } if *job == id => Some((entry.at, *kind)),
                _ => None,
            });
            let (at, outcome) = ended?;
            Some(JobView {
                id,
                person: self.view.person.clone(),
                kind: received.map(|(_, kind)| kind),
                state: JobState::Done(at, outcome),
                accepted_at: received.map(|(at, _)| at),
                due_at: None,
            })
        })
    }
}

/// Which people to list.
#[derive(Debug, Clone, Default)]
pub enum Whom {
    /// Everybody.
    #[default]
    All,
    /// People in this state, those in it longest first.
    Standing(LaneState),
    /// People with this mark.
    Marked(Mark),
    /// People found by these words: the beginnings of names, of an address, of an employee id.
    Called(String),
}

impl AdminState {
    /// One person in full.
    pub async fn person(&self, person: &Person) -> Result<WholePerson, AdminError> {
        let row = self.store.person(person.id()).await?.ok_or(AdminError::NotFound("person"))?;
        let view = PersonView::of(row.clone()).unwrap_or_else(|| nameless(person, row));
        if view.person != *person {
            // Another employee has this number in the store.
            return Err(AdminError::NotFound("person"));
        }
        self.with_story(view).await
    }

    /// A person by their number.
    pub async fn person_numbered(&self, id: PersonId) -> Result<WholePerson, AdminError> {
        let row = self.store.person(id).await?.ok_or(AdminError::NotFound("person"))?;
        let view = PersonView::of(row).ok_or(AdminError::NotFound("person"))?;
        self.with_story(view).await
    }

    async fn with_story(&self, view: PersonView) -> Result<WholePerson, AdminError> {
        let story = self.store.story(view.row.id).await?;
        let entries = story.entries.iter().filter_map(|bytes| StoryEntry::from_bytes(bytes)).collect();
        let letters = match view.row.lane.state {
            LaneState::Incomplete => self.letters_about(&view.person).await?,
            _ => Vec::new(),
        };
        Ok(WholePerson { view, story: entries, story_dropped: story.dropped, letters })
    }

    /// Kept records about somebody, newest first, among the last of their source.
    async fn letters_about(&self, person: &Person) -> Result<Vec<DeadRow>, AdminError> {
        let code = Some(Code::MapField.as_str().to_owned());
        let filter = DeadFilter { code, source: Some(person.source.clone()), ..DeadFilter::default() };
        let page = Page { rows_max: LETTERS_MAX, after: None };
        let rows = self.store.dead(&filter, &page).await?.rows.into_iter();
        Ok(rows.filter(|row| row.unmapped && row.person.as_ref() == Some(person)).collect())
    }

    /// A page of people. Unreadable rows are skipped.
    pub async fn people(&self, whom: &Whom, page: &Page) -> Result<Listed<PersonView>, AdminError> {
        let listed = match whom {
            Whom::All => self.store.people(page).await?,
            Whom::Standing(state) => self.store.lanes(*state, page).await?,
            Whom::Marked(mark) => self.store.search(&mark.term(), page).await?,
            Whom::Called(text) => return self.search(text, page).await,
        };
        Ok(Listed { rows: listed.rows.into_iter().filter_map(PersonView::of).collect(), next: listed.next })
    }

    /// People by the beginnings of words; all words must match.
    async fn search(&self, text: &str, page: &Page) -> Result<Listed<PersonView>, AdminError> {
        let words = search_words(text);
        let Some(longest) = words.iter().max_by_key(|word| word.len()) else {
            return Ok(Listed { rows: Vec::new(), next: None });
        };
        let fits = |view: &PersonView| {
            let Some(document) = &view.document else { return false };
            let terms = document.search_terms();
            words.iter().all(|word| terms.iter().any(|term| term.starts_with(word.as_str())))
        };
        let mut after = page.after.clone();
        let mut rows = Vec::new();
        for _ in 0..SEARCH_PAGES_MAX {
            let left = Page { rows_max: page.rows_max - rows.len(), after };
            let listed = self.store.search(longest, &left).await?;
            rows.extend(listed.rows.into_iter().filter_map(PersonView::of).filter(fits));
            after = listed.next;
            if after.is_none() || rows.len() >= page.rows_max {
                break;
            }
        }
        Ok(Listed { rows, next: after })
    }

    /// Finds people by `source/id`, employee id, address, or name.
    pub async fn meant(&self, text: &str) -> Result<Meant, AdminError> {
        for person in self.named(text) {
            match self.person(&person).await {
                Ok(whole) => return Ok(Meant::One(Box::new(whole))),
                Err(AdminError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let page = Page { rows_max: 50, after: None };
        let mut found = self.search(text, &page).await?.rows;
        let exact: HashSet<PersonId> =
            found.iter().filter(|view| is_exactly(view, text)).map(|view| view.row.id).collect();
        if exact.len() == 1 {
            found.retain(|view| exact.contains(&view.row.id));
        }
        match found.len() {
            0 => Ok(Meant::Nobody),
            1 => Ok(Meant::One(Box::new(self.with_story(found.remove(0)).await?))),
            _ => Ok(Meant::Several(found)),
        }
    }

    /// People with this key or employee id.
    fn named(&self, text: &str) -> Vec<Person> {
        let by_key = Person::from_key(text);
        let by_id = self.source_names().filter_map(|source| Person::parse(source.clone(), text).ok());
        by_key.into_iter().chain(by_id).collect()
    }

    /// A job by its id, which says whose it is.
    pub async fn job(&self, id: JobId) -> Result<JobView, AdminError> {
        let whole = match self.person_numbered(id.person()).await {
            Err(AdminError::NotFound(_)) => return Err(AdminError::NotFound("job")),
            other => other?,
        };
        whole.job(id).ok_or(AdminError::NotFound("job"))
    }

    /// Has a person tried now, whatever they wait for.
    pub async fn try_now(&self, by: &Actor, person: &Person) -> Result<(), AdminError> {
        self.put(person, Word::TryAgain { by: by.name.clone() }).await?;
        let number = person.id().to_string();
        self.note(by, Act::TryNow, Noted::of(&number)).await
    }

    /// Puts an operator's entry into a person's inbox.
    pub(super) async fn put(&self, person: &Person, word: Word) -> Result<(), AdminError> {
        let now = self.now();
        let bytes = Entry { accepted_at: now, word, trace: None }.to_bytes().into();
        let entry = NewEntry { job: clock::new_job_id(person.id()), person: person.clone(), bytes };
        if self.store.put(now, entry).await? { Ok(()) } else { Err(AdminError::NotFound("person")) }
    }

    /// Erases a person, what operators wrote about them, and what was captured from their source.
    pub async fn erase(&self, by: &Actor, person: &Person) -> Result<(), AdminError> {
        let id = person.id();
        let number = id.to_string();
        let is_theirs = |target: &str| target == number || JobId::parse(target).is_some_and(|job| job.person() == id);
        let forget = |audit: &mut Audit| {
            audit.forget_reasons(is_theirs);
            Some(())
        };
        // First, since erasing also overwrites everything deleted until then.
        shared::update(&*self.store, shared::AUDIT, forget).await?;
        self.forget_deliveries(&person.source, id).await?;
        self.forget_captures(&person.source).await?;
        self.roster.forget(person).await?;
        let row = self.store.person(id).await?;
        let document = row.and_then(|row| row.document).and_then(|bytes| Document::from_bytes(&bytes).ok());
        self.roster.forget_left_out(document.as_ref()).await?;
        // People who wait for their claims can have them now.
        let released: Vec<_> = document.iter().flat_map(owner::claims).map(|claim| owner::tag(&claim)).collect();
        if !self.store.erase(self.now(), person, &released).await? {
            return Err(AdminError::NotFound("person"));
        }
        // Once more, for a delivery that was accepted in between.
        self.forget_deliveries(&person.source, id).await?;
        self.forget_captures(&person.source).await?;
        self.note(by, Act::Erase, Noted::of(&number)).await
    }

    /// A page of the open jobs of people in this state.
    pub async fn jobs(&self, state: LaneState, page: &Page) -> Result<Listed<JobView>, AdminError> {
        let people = self.people(&Whom::Standing(state), page).await?;
        let rows = people.rows.iter().flat_map(PersonView::open_jobs).collect();
        Ok(Listed { rows, next: people.next })
    }
}

/// The view of a row that does not say who it is, for a person who is known from the request.
fn nameless(person: &Person, row: PersonRow) -> PersonView {
    let read = row.document.as_deref().map(Document::from_bytes);
    let unreadable = read.and_then(Result::err);
    PersonView { person: person.clone(), row, document: None, unreadable, inbox: Vec::new() }
}

pub(super) fn search_words(text: &str) -> Vec<String> {
    // Marks begin with a control character: nobody finds people by typing one.
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.map(search_word).collect()
}

/// A word as [`Document::search_terms`] has it: in composed letters, a domain in its own script.
fn search_word(word: &str) -> String {
    in_own_script(&word.nfc().collect::<String>().to_lowercase())
}

/// Whether the text is a complete address, employee id or name of the person.
fn is_exactly(view: &PersonView, text: &str) -> bool {
    let text = search_words(text).join(" ");
    let is_address = view.document.as_ref().is_some_and(|document| {
        document.record.email().is_some_and(|email| email.is(&text))
            || document.member.as_ref().is_some_and(|member| member.user_name.to_lowercase() == text)
    });
    is_address || view.person.employee_id.to_lowercase() == text || view.name().to_lowercase() == text
}

/// A person as named in a request.
pub(super) fn parse_person(source: &str, employee_id: &str) -> Result<Person, AdminError> {
    let source = SourceName::parse(source).map_err(AdminError::BadRequest)?;
    Person::parse(source, employee_id).map_err(|error| AdminError::BadRequest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_matches_words_and_never_a_mark() {
        assert_eq!(search_words(" Ada  KING "), ["ada", "king"]);
        assert_eq!(search_words("\u{1}failing"), ["failing"]);
        assert_eq!(search_words("Ju\u{308}rgen@xn--bcher-kva.example"), ["jürgen@bücher.example"]);
        assert_eq!(search_words("person@"), ["person@"]);
        assert!(search_words(" \u{1} ").is_empty());
    }

    #[test]
    fn a_job_of_a_blocked_person_is_dead_and_one_that_has_just_arrived_waits() {
        assert_eq!(JobState::Open(LaneState::Blocked).as_str(), "dead");
        assert_eq!(JobState::Open(LaneState::Idle).as_str(), "waiting");
        assert_eq!(JobState::Open(LaneState::Scheduled).as_str(), "scheduled");
        assert_eq!(JobState::Done(UnixMs(0), Finished::Created).as_str(), "done");
    }
}
