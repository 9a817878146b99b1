//! The whole roster: rows of a file, or of an HR system's own list, are staged, the list of members is read in full,
//! and what would be done is planned by the same plan as the worker's, before anything is written.
//!
//! Lives here: staging (`import`), reading lists of HR systems (`fetch`), reading the list within the limiter
//! (`members`), planning, applying. Not here: judgement (`crate::core::roster`, `crate::core::reconcile`), and the
//! calls that an apply leads to: they are the worker's, through the lanes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::clock::{self, Clock};
use crate::core::code::Code;
use crate::core::guard::GuardOptions;
use crate::core::limiter::Rate;
use crate::core::person::fold::fold;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::{Document, Email, EmploymentState, Event, EventKind, Facts, Person, SourceName};
use crate::core::reconcile::claims::Turn;
use crate::core::reconcile::plan::PlanRules;
use crate::core::roster::{
    Columns, Decided, Fetch, FileProblem, NOT_IN_HR, PlanOutcome, PlanReport, PlanTerms, Planned, Planner, Selection,
    Stranger,
};
use crate::core::time::UnixMs;
use crate::scim::Client;
use crate::store::{Accepted, NewDelivery, NewEntry, Page, PersonRow, Store, StoreError, documents};

pub use self::drift::DriftOptions;
pub use self::fetch::HrLists;
use self::import::LeftOut;
pub use self::import::{IMPORTS, Imported, Imports, RefusedRow, missing};

mod drift;
mod fetch;
mod import;
mod members;
mod patience;

/// People read from the store at once.
const PEOPLE_AT_ONCE: usize = 500;
/// How many entries are put into inboxes at the same time.
const APPLIED_AT_ONCE: usize = 64;

/// Why an operation on a roster failed.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// The source is not configured.
    #[error("no source is called `{0}`")]
    NoSource(SourceName),
    /// That system cannot list people.
    #[error("the people of `{of}` cannot be listed: {why}")]
    NoList {
        /// The source.
        of: SourceName,
        /// Why, and what to do.
        why: String,
    },
    /// That was requested already.
    #[error("the list of `{0}` is already being read")]
    Fetching(SourceName),
    /// Another import has replaced this one.
    #[error("another import of `{0}` began before this one had ended: only that one counts")]
    Overtaken(SourceName),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has no room.
    #[error("too much is waiting in the store: import again when there is less")]
    Full,
    /// The list of members cannot be read.
    #[error("the list of members cannot be read: {what}")]
    Members {
        /// Why it cannot be read.
        what: String,
        /// What the target's answer means.
        code: Option<Code>,
    },
    /// Only a process that calls the target can tell.
    #[error("this process does not know the target's key, so it cannot read the list of members")]
    NoKey,
    /// What was planned is not what would be done by now.
    #[error("nothing was applied, because the plan is out of date: {0}")]
    Changed(String),
    /// It is not certain which members are not in HR.
    #[error("nothing was applied: {0}")]
    Unsure(String),
    /// Somebody must look at the plan first.
    #[error("nothing was applied: {0}")]
    Unseen(String),
}

/// What to apply.
#[derive(Debug, Clone, Default)]
pub struct ApplyRequest {
    /// The people selected.
    pub selection: Selection,
    /// The plan that was shown: if the current plan differs, nothing is applied.
    pub plan: Option<Box<PlanReport>>,
    /// The digest of the plan that was shown, instead of the plan itself.
    pub digest: Option<String>,
}

/// What an apply has started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    /// How many people it is about.
    pub applied: u64,
    /// Of these, members who are not in HR and are switched off.
    pub strangers: u64,
    /// People who have changes beyond those that were selected: they are left as they are.
    pub left_out: u64,
    /// The names given that match nobody in the plan.
    pub not_found: Vec<String>,
    /// Who they are, as `source/id`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
}

/// The roster. Cheap to clone.
#[derive(Clone)]
pub struct Roster {
    store: Arc<dyn Store>,
    /// None in a process that does not know the key.
    client: Option<Client>,
    clock: Clock,
    columns: Arc<HashMap<SourceName, Columns>>,
    rules: Arc<PlanRules>,
    guard: GuardOptions,
    rates: (Rate, Rate),
    drift: Arc<DriftOptions>,
    lists: self::fetch::Lists,
}

/// What a roster is built with.
pub struct RosterOptions {
    /// The columns of each source's files.
    pub columns: HashMap<SourceName, Columns>,
    /// How calls are planned.
    pub rules: PlanRules,
    /// What the guard allows.
    pub guard: GuardOptions,
    /// The target's limits, for writes and for reads.
    pub rates: (Rate, Rate),
    /// How drift is detected.
    pub drift: DriftOptions,
    /// The HR systems' own lists.
    pub lists: HrLists,
}

impl Roster {
    /// A roster over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, client: Option<Client>, clock: Clock, options: RosterOptions) -> Self {
        let RosterOptions { columns, rules, guard, rates, drift, lists } = options;
        let (columns, rules, drift) = (Arc::new(columns), Arc::new(rules), Arc::new(drift));
        Self { store, client, clock, columns, rules, guard, rates, drift, lists: Arc::new(lists) }
    }

    /// The target's limits, for writes and for reads.
    #[must_use]
    pub fn rates(&self) -> (Rate, Rate) {
        self.rates
    }

    /// What would be done if everything staged were applied to the selected people.
    pub async fn plan(&self, selection: &Selection) -> Result<PlanReport, RosterError> {
        Ok(self.work_out(selection, false).await?.0.report)
    }

    /// Applies what is staged, and what else is in the plan, to the selected people, through the lanes.
    pub async fn apply(&self, request: &ApplyRequest) -> Result<Applied, RosterError> {
        let (outcome, planned) = self.work_out(&request.selection, false).await?;
        if let Some(difference) = request.plan.as_ref().and_then(|plan| plan.difference(&outcome.report)) {
            return Err(RosterError::Changed(difference));
        }
        if request.digest.as_ref().is_some_and(|digest| *digest != outcome.report.digest) {
            return Err(RosterError::Changed("a record or member has changed since then".to_owned()));
        }
        if request.selection.strangers && !outcome.knows_strangers {
            return Err(RosterError::Unsure(outcome.report.warnings.join("; ")));
        }
        // Who gives a plan has seen what it would do.
        if let Some(what) = outcome.must_be_seen.filter(|_| request.plan.is_none() && request.digest.is_none()) {
            return Err(RosterError::Unseen(what));
        }
        let strangers = u64::try_from(outcome.strangers.len()).unwrap_or(u64::MAX);
        let mut people = self.put_all(planned, "apply").await?;
        let applied = u64::try_from(people.len()).unwrap_or(u64::MAX);
        self.note_shown(outcome.shown).await?;
        for stranger in &outcome.strangers {
            people.push(self.switch_off(stranger).await?);
        }
        info!(people = applied, strangers, "the roster is applied");
        Ok(Applied {
            applied: applied + strangers,
            strangers,
            left_out: outcome.left_out,
            not_found: outcome.not_found,
            people: people.iter().map(Person::to_string).collect(),
        })
    }

    /// Plans for everybody, in two passes over the store, so that documents are not kept in memory.
    async fn work_out(
        &self,
        selection: &Selection,
        is_drift: bool,
    ) -> Result<(PlanOutcome, Vec<(Person, Planned)>), RosterError> {
        let imports = if is_drift { Imports::new() } else { self.imports().await? };
        let imports = imports.into_iter().filter(|(source, _)| self.is_configured(source));
        let (whole, cut): (Vec<_>, Vec<_>) = imports.partition(|(_, imported)| imported.is_whole);
        let has_refused = whole.iter().filter(|(_, imported)| imported.refused_rows > 0);
        let refused: Vec<_> = has_refused.map(|(source, imported)| (source.clone(), imported.refused_rows)).collect();
        let unjudged = whole.iter().filter(|(_, imported)| !imported.unjudged.is_empty());
        let unjudged: Vec<_> =
            unjudged.map(|(source, imported)| (source.clone(), imported.unjudged.join(", "))).collect();
        let passed_over: Vec<_> = whole
            .iter()
            .filter(|(_, imported)| !imported.not_followed.is_empty())
            .map(|(source, imported)| (source.clone(), imported.not_followed.join(", ")))
            .collect();
        let parts: Vec<_> =
            whole.iter().filter(|(_, imported)| imported.is_part).map(|(source, _)| source.clone()).collect();
        let unlisted = if is_drift { Vec::new() } else { self.unlisted(&whole).await? };
        let is_listed = |source: &SourceName| whole.iter().chain(&cut).any(|(known, _)| known == source.as_str());
        let unimported: Vec<_> = self.columns.keys().filter(|source| !is_drift && !is_listed(source)).collect();
        let are_whole = cut.is_empty() && refused.is_empty() && parts.is_empty() && unlisted.is_empty();
        let terms = PlanTerms {
            hr_is_whole: are_whole && unimported.is_empty(),
            rules: &self.rules,
            guard: self.guard,
            rates: self.rates,
            imports: whole.into_iter().map(|(source, imported)| (source, imported.id)).collect(),
            selection,
            groups: self.group_ids().await?,
            only_idle: is_drift,
            now: self.clock.now(),
        };
        let left_out = self.left_out(&terms.imports).await?;
        let mut planner = Planner::new(terms, self.members().await?);
        planner.spare(left_out);
        for (source, _) in cut {
            planner.warn(format!("the last import of {source} did not finish: import it again"));
        }
        for (source, rows) in refused {
            planner.warn(format!("the last import of {source} has {rows} rows that were refused: `status` names them"));
        }
        for (source, columns) in unjudged {
            planner
                .warn(format!("the last import of {source} has no column for {columns}: nobody was excluded by that"));
        }
        for (source, columns) in passed_over {
            planner.warn(format!("of the last import of {source}, these columns are not used: {columns}"));
        }
        for source in parts {
            planner.warn(format!("the import of {source} may not contain everybody: import everybody once"));
        }
        for warning in unlisted {
            planner.warn(warning);
        }
        for source in unimported.into_iter().filter(|_| selection.strangers) {
            planner
                .warn(format!("no roster of {source} was imported, so everybody whom only it names would be missing"));
        }
        let mut page = Page { rows_max: PEOPLE_AT_ONCE, after: None };
        while let Some(documents) = self.people(&mut page).await? {
            for document in documents {
                planner.note(document);
            }
        }
        let (mut page, mut planned) = (Page { rows_max: PEOPLE_AT_ONCE, after: None }, Vec::new());
        let mut later = Vec::new();
        while let Some(documents) = self.people(&mut page).await? {
            for document in documents {
                let person = document.person.clone();
                match planner.plan(document, Turn::First) {
                    Decided::Later => later.push(person),
                    Decided::Now(to_do) => planned.extend(to_do.map(|to_do| (person, to_do))),
                }
            }
        }
        self.plan_later(&mut planner, &mut planned, later).await?;
        // Only those whom this covers are waited for.
        let covered: BTreeSet<Person> = planned.iter().map(|(person, _)| person.clone()).collect();
        for (_, to_do) in &mut planned {
            to_do.after.retain(|person| covered.contains(person));
        }
        Ok((planner.finish(), planned))
    }

    /// Plans for those who wait for what others give up, once it is known what these do.
    async fn plan_later(
        &self,
        planner: &mut Planner<'_>,
        planned: &mut Vec<(Person, Planned)>,
        mut later: Vec<Person>,
    ) -> Result<(), StoreError> {
        let mut turn = Turn::Again;
        while !later.is_empty() {
            let before = later.len();
            for person in std::mem::take(&mut later) {
                let row = self.store.person(person.id()).await?;
                let Some(document) = row.and_then(|row| document_of(&row, self.clock.now())) else { continue };
                match planner.plan(document, turn) {
                    Decided::Later => later.push(person),
                    Decided::Now(to_do) => planned.extend(to_do.map(|to_do| (person, to_do))),
                }
            }
            if later.len() == before {
                turn = Turn::Last;
            }
        }
        Ok(())
    }

    /// The hashed addresses of people who are in these imports, and whom a mapping excludes.
    async fn left_out(&self, imports: &BTreeMap<String, String>) -> Result<Vec<u32>, StoreError> {
        let mut addresses = Vec::new();
        for (source, import) in imports {
            let (kept, _): (LeftOut, _) = documents::read(self.store.as_ref(), &LeftOut::document(source)).await?;
            if kept.import == *import {
                addresses.extend(kept.addresses);
            }
        }
        Ok(addresses)
    }

    /// Whether a source of this name is configured: imports and fetches of others no longer count.
    fn is_configured(&self, source: &str) -> bool {
        self.columns.keys().any(|known| known.as_str() == source)
    }

    /// What to report about lists that HR systems have not shown completely, in addition to these imports.
    async fn unlisted(&self, whole: &[(String, Imported)]) -> Result<Vec<String>, StoreError> {
        let imported_at =
            |source: &str| whole.iter().find(|(known, _)| known == source).and_then(|(_, import)| import.whole_at);
        let reason = |(source, fetch): (String, Fetch)| match fetch.failed_after(imported_at(&source)) {
            Some((_, failure)) => {
                Some(format!("the HR system's list of {source} is incomplete ({}: {})", failure.code, failure.detail))
            }
            None if fetch.end.is_none() => Some(format!("the HR system's list of {source} is being read")),
            None => None,
        };
        Ok(self.fetches().await?.into_iter().filter_map(reason).collect())
    }

    /// The next page of everybody in the store, with the contents of their inboxes folded in; none after the last.
    async fn people(&self, page: &mut Page) -> Result<Option<Vec<Document>>, StoreError> {
        if page.rows_max == 0 {
            return Ok(None);
        }
        let listed = self.store.people(page).await?;
        match listed.next {
            Some(next) => page.after = Some(next),
            None => page.rows_max = 0,
        }
        Ok(Some(listed.rows.iter().filter_map(|row| document_of(row, self.clock.now())).collect()))
    }

    /// Puts an entry into the inbox of each of these people: their row counts from now on, or they are planned again.
    /// Returns the people it is about, without those erased meanwhile.
    async fn put_all(&self, planned: Vec<(Person, Planned)>, by: &str) -> Result<Vec<Person>, StoreError> {
        let word = |to_do: Planned| match to_do.import {
            Some(import) => Word::Apply { import, member: to_do.member, after: to_do.after },
            None => Word::TryAgain { by: by.to_owned() },
        };
        let (after, first): (Vec<_>, Vec<_>) = planned.into_iter().partition(|(_, to_do)| !to_do.after.is_empty());
        let words = first.into_iter().map(|(person, to_do)| (person, word(to_do))).collect();
        let mut put = self.put_words(words).await?;
        // Whoever comes after others finds these at work, or done.
        for (person, to_do) in after {
            put.extend(self.put_words(vec![(person, word(to_do))]).await?);
        }
        Ok(put)
    }

    /// Tells these people that the list of members has shown them.
    async fn note_shown(&self, shown: Vec<(Person, String)>) -> Result<(), StoreError> {
        let word = |id| Word::Apply { import: String::new(), member: Some(id), after: Vec::new() };
        self.put_words(shown.into_iter().map(|(person, id)| (person, word(id))).collect()).await?;
        Ok(())
    }

    async fn put_words(&self, words: Vec<(Person, Word)>) -> Result<Vec<Person>, StoreError> {
        stream::iter(words)
            .map(|(person, word)| async move {
                let now = self.clock.now();
                let bytes = Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes());
                let entry = NewEntry { job: clock::new_job_id(person.id()), person: person.clone(), bytes };
                Ok(self.store.put(now, entry).await?.then_some(person))
            })
            .buffer_unordered(APPLIED_AT_ONCE)
            .try_filter_map(|put| async move { Ok(put) })
            .try_collect()
            .await
    }

    /// Has a member who is not in HR switched off, through a lane of their own, so that the guard applies.
    async fn switch_off(&self, stranger: &Stranger) -> Result<Person, RosterError> {
        let source = SourceName::parse(NOT_IN_HR).map_err(RosterError::Unsure)?;
        let person = Person::parse(source.clone(), &stranger.id)
            .map_err(|problem| RosterError::Unsure(format!("a member's id cannot be kept: {}", problem.problem)))?;
        let facts = Facts {
            employment: Some((EmploymentState::Left, None)),
            email: Email::parse(&stranger.user_name).ok(),
            ..Facts::default()
        };
        let event = Event { person: person.clone(), kind: EventKind::Leave, at: None, facts };
        let (import, job, now) = (clock::new_name(), clock::new_job_id(person.id()), self.clock.now());
        let words = [
            Word::Staged { import: import.clone(), job, event: Box::new(event), leaves_at: None },
            Word::Apply { import, member: Some(stranger.id.clone()), after: Vec::new() },
        ];
        let entries = words.into_iter().map(|word| NewEntry {
            job: clock::new_job_id(person.id()),
            person: person.clone(),
            bytes: Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes()),
        });
        let delivery = NewDelivery { source, dedupe: None, entries: entries.collect(), unmapped: Vec::new() };
        match self.store.accept(now, delivery).await? {
            Accepted::Stored | Accepted::Duplicate { .. } | Accepted::Conflict { .. } => Ok(person),
            Accepted::Full(_) => Err(RosterError::Full),
        }
    }
}

fn document_of(row: &PersonRow, now: UnixMs) -> Option<Document> {
    let entries: Vec<(u64, Entry)> =
        row.inbox.iter().filter_map(|entry| Some((entry.seq, Entry::from_bytes(&entry.bytes)?))).collect();
    let mut document = match &row.document {
        Some(bytes) => Document::from_bytes(bytes).ok()?,
        None => Document::new(entries.iter().find_map(|(_, entry)| entry.person())?),
    };
    fold(&mut document, entries, now);
    Some(document)
}
