//! The whole roster: rows of a file are staged, the list of members is read in full, and what would be
//! done is planned by the same plan as the worker's, before anything is written.
//!
//! Lives here: staging, reading the list within the limiter, applying. Not here: judgement
//! (`crate::core::roster`, `crate::core::reconcile`), and the calls that an apply leads to: they are the
//! worker's, through the lanes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::clock::{self, Clock};
use crate::core::limiter::{CallKind, Rate};
use crate::core::person::fold::fold;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::{Document, Event, Person, SourceName};
use crate::core::reconcile::listing::everybody;
use crate::core::reconcile::plan::PlanRules;
use crate::core::reconcile::reply::Reply;
use crate::core::reconcile::request::Request;
use crate::core::roster::{Columns, FileProblem, MemberList, PlanReport, plan_all, read};
use crate::core::time::UnixMs;
use crate::scim::Client;
use crate::store::{Accepted, NewDelivery, NewEntry, Page, PersonRow, Store, StoreError, Token, documents};

/// The shared document that tells of the last import of each source.
pub const IMPORTS: &str = "imports";
/// Rows staged in one step of the store.
const STAGED_AT_ONCE: usize = 500;
/// Rows whose refusal is kept, for `status`.
const REFUSED_KEPT: usize = 100;
/// People read from the store at once.
const PEOPLE_AT_ONCE: usize = 500;
/// Pages of members at the most: a hundred each.
const PAGES_MAX: u32 = 10_000;
/// How often a page is asked for again that did not come.
const PAGE_TRIES: u32 = 5;
/// Words put into inboxes at the same time.
const APPLIED_AT_ONCE: usize = 64;

/// Why a roster could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileProblem),
    /// There is no such source.
    #[error("no source is called `{0}`")]
    NoSource(SourceName),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has no room.
    #[error("too much waits in the store: import again when there is less")]
    Full,
    /// The list of members cannot be read.
    #[error("the list of members cannot be read: {0}")]
    Members(String),
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its number, from 1, the header not counted.
    pub row: u64,
    /// The field and the shape of its value.
    pub reason: String,
}

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Its id.
    pub id: String,
    /// When.
    pub at: UnixMs,
    /// Rows of the file.
    pub rows: u64,
    /// Rows that are staged.
    pub staged: u64,
    /// Rows that are not; of many, the first.
    pub refused: Vec<RefusedRow>,
    /// How many rows were refused in all.
    pub refused_rows: u64,
}

/// The last import of each source.
pub type Imports = std::collections::BTreeMap<String, Imported>;

/// The roster. Cheap to clone.
#[derive(Clone)]
pub struct Roster {
    store: Arc<dyn Store>,
    /// None in a process that does not know the key.
    client: Option<Client>,
    clock: Clock,
    columns: Arc<HashMap<SourceName, Columns>>,
    rules: Arc<PlanRules>,
    rates: (Rate, Rate),
}

/// What a roster is built with.
pub struct RosterOptions {
    /// The columns of each source's files.
    pub columns: HashMap<SourceName, Columns>,
    /// How calls are planned.
    pub rules: PlanRules,
    /// The target's limits, for writes and for reads.
    pub rates: (Rate, Rate),
}

impl Roster {
    /// A roster over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, client: Option<Client>, clock: Clock, options: RosterOptions) -> Self {
        let RosterOptions { columns, rules, rates } = options;
        Self { store, client, clock, columns: Arc::new(columns), rules: Arc::new(rules), rates }
    }

    /// Stages the rows of a file: they count as of now, once they are applied.
    pub async fn import(&self, source: &SourceName, file: &[u8]) -> Result<Imported, RosterError> {
        let columns = self.columns.get(source).ok_or_else(|| RosterError::NoSource(source.clone()))?;
        let rows = read(file, columns.names(crate::core::roster::Field::EmployeeId))?;
        let mut imported = Imported { id: clock::new_name(), at: self.clock.now(), ..Imported::default() };
        let mut events: Vec<Event> = Vec::new();
        let mut seen: HashMap<Person, u64> = HashMap::new();
        for row in rows {
            imported.rows += 1;
            let (number, event) = match row {
                Ok(row) => (row.number, columns.event(source, &row).map_err(|problem| problem.to_string())),
                Err((number, problem)) => (number, Err(problem)),
            };
            let event = event.and_then(|event| match seen.insert(event.person.clone(), number) {
                None => Ok(event),
                Some(first) => Err(format!("employee_id: the same as in row {first}")),
            });
            match event {
                Ok(event) => events.push(event),
                Err(reason) => imported.refuse(number, reason),
            }
        }
        for chunk in events.chunks(STAGED_AT_ONCE) {
            self.stage(source, &imported, chunk).await?;
            imported.staged += u64::try_from(chunk.len()).unwrap_or_default();
        }
        self.note(source, &imported).await?;
        info!(%source, rows = imported.rows, staged = imported.staged, refused = imported.refused_rows, "a roster is staged");
        Ok(imported)
    }

    async fn stage(&self, source: &SourceName, imported: &Imported, events: &[Event]) -> Result<(), RosterError> {
        let entries = events.iter().map(|event| {
            let job = clock::new_job_id(event.person.id());
            let word = Word::Staged { import: imported.id.clone(), job, event: Box::new(event.clone()) };
            let bytes = Bytes::from(Entry { accepted_at: imported.at, word }.to_bytes());
            NewEntry { job, person: event.person.clone(), bytes }
        });
        let delivery =
            NewDelivery { source: source.clone(), dedupe: None, entries: entries.collect(), unmapped: Vec::new() };
        match self.store.accept(self.clock.now(), delivery).await? {
            Accepted::Stored | Accepted::Duplicate { .. } => Ok(()),
            Accepted::Full(_) => Err(RosterError::Full),
        }
    }

    async fn note(&self, source: &SourceName, imported: &Imported) -> Result<(), StoreError> {
        documents::change(self.store.as_ref(), IMPORTS, |imports: &mut Imports| {
            imports.insert(source.to_string(), imported.clone());
            Some(())
        })
        .await?;
        Ok(())
    }

    /// The last import of each source.
    pub async fn imports(&self) -> Result<Imports, StoreError> {
        Ok(documents::read(self.store.as_ref(), IMPORTS).await?.0)
    }

    /// What would be done if all that is staged were applied.
    pub async fn plan(&self) -> Result<PlanReport, RosterError> {
        let list = self.members().await?;
        let people = self.people().await?;
        Ok(plan_all(people, &list, &self.rules, self.rates, self.clock.now()))
    }

    /// Applies all that is staged, through the lanes. How many people it is about.
    pub async fn apply(&self) -> Result<u64, RosterError> {
        let list = self.members().await?;
        let people = self.people().await?;
        let staged = people.into_iter().filter_map(|document| {
            let import = document.staged.as_ref()?.import.clone();
            let mut wanted = document;
            if let Some(staged) = wanted.staged.take() {
                wanted.record.fold(&staged.event, staged.accepted_at, staged.seq);
            }
            let member = list.of(&wanted).map(|listed| listed.member.id.clone());
            Some((wanted.person, Word::Apply { import, member }))
        });
        let applied = stream::iter(staged)
            .map(|(person, word)| async move {
                let now = self.clock.now();
                let bytes = Bytes::from(Entry { accepted_at: now, word }.to_bytes());
                let entry = NewEntry { job: clock::new_job_id(person.id()), person, bytes };
                self.store.put(now, entry).await
            })
            .buffer_unordered(APPLIED_AT_ONCE)
            .try_fold(0_u64, |n, put| async move { Ok(n + u64::from(put)) })
            .await?;
        info!(people = applied, "the staged roster is applied");
        Ok(applied)
    }

    /// Everybody of whom anything is kept, with what waits in their inboxes folded in.
    async fn people(&self) -> Result<Vec<Document>, StoreError> {
        let mut people = Vec::new();
        let mut page = Page { rows_max: PEOPLE_AT_ONCE, after: None };
        loop {
            let listed = self.store.people(&page).await?;
            people.extend(listed.rows.into_iter().filter_map(|row| document_of(row, self.clock.now())));
            match listed.next {
                Some(next) => page.after = Some(next),
                None => return Ok(people),
            }
        }
    }

    /// The list of members, in full, within the limits that all workers share.
    async fn members(&self) -> Result<MemberList, RosterError> {
        let Some(client) = &self.client else {
            return Err(RosterError::Members("this process does not know the key: ask a worker".to_owned()));
        };
        let mut list = MemberList::default();
        let mut start_index = 1_u32;
        for _ in 0..PAGES_MAX {
            let (page, listed, total) = self.page(client, start_index).await?;
            let new = list.add(page);
            start_index = start_index.saturating_add(listed);
            let is_last = listed == 0 || total.is_some_and(|total| start_index > total && total > listed);
            // A page of nobody new: a server that does not page shows the same again and again.
            if is_last || (new == 0 && listed > 0) {
                return Ok(list);
            }
        }
        Err(RosterError::Members(format!("more than {PAGES_MAX} pages")))
    }

    async fn page(
        &self,
        client: &Client,
        start_index: u32,
    ) -> Result<(Vec<crate::core::roster::ListedMember>, u32, Option<u32>), RosterError> {
        let mut problem = String::new();
        for attempt in 0..PAGE_TRIES {
            while let Token::NotBefore(at) = self.store.take_token(self.clock.now(), CallKind::Read).await? {
                tokio::time::sleep(Duration::from_millis(at.ms_since(self.clock.now()).max(1))).await;
            }
            match client.send(&Request::Page { start_index }).await {
                Reply::Http(http) if http.status == 200 && http.body_complete => {
                    if let Some(page) = everybody(&http.body) {
                        return Ok(page);
                    }
                    problem = "a page is not what SCIM promises".to_owned();
                }
                Reply::Http(http) => problem = format!("status {}", http.status),
                Reply::NotSent { reason } | Reply::Lost { reason } => problem = reason.to_string(),
            }
            warn!(start_index, problem, "a page of members did not come");
            tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
        }
        Err(RosterError::Members(problem))
    }
}

impl Imported {
    fn refuse(&mut self, row: u64, reason: String) {
        self.refused_rows += 1;
        if self.refused.len() < REFUSED_KEPT {
            self.refused.push(RefusedRow { row, reason });
        }
    }
}

fn document_of(row: PersonRow, now: UnixMs) -> Option<Document> {
    let entries: Vec<(u64, Entry)> =
        row.inbox.iter().filter_map(|entry| Some((entry.seq, Entry::from_bytes(&entry.bytes)?))).collect();
    let mut document = match &row.document {
        Some(bytes) => Document::from_bytes(bytes).ok()?,
        None => Document::new(entries.iter().find_map(|(_, entry)| entry.person())?),
    };
    fold(&mut document, entries, now);
    Some(document)
}
