//! Staging: each row of a roster is kept with the person it is about, and takes effect when it is applied.
//!
//! An import replaces the one before it, and counts once it is complete: one that a dead process or a full store left
//! unfinished is never applied.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::patience::patiently;
use super::{Roster, RosterError};
use crate::clock;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::{Document, Email, Event, KnownMember, PersonId, SourceName};
use crate::core::roster::{Field, read, text_of};
use crate::core::time::UnixMs;
use crate::store::{Accepted, NewDelivery, NewEntry, StoreError, documents};

/// The shared document about the last import of each source.
pub const IMPORTS: &str = "imports";
/// Rows staged in one step of the store.
const STAGED_AT_ONCE: usize = 500;
/// How many refused rows are kept, for `status`.
const REFUSED_KEPT: usize = 100;

/// How many columns are looked at.
const COLUMNS_MAX: usize = 1_000;
/// How many columns that the mapping does not use are kept, and how much of each name.
const NOT_FOLLOWED_MAX: usize = 50;
const COLUMN_CHARS_MAX: usize = 60;

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its number, from 1, the header not counted.
    pub row: u64,
    /// The field and the shape of its value.
    pub reason: String,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Its id.
    pub id: String,
    /// When it happened.
    pub at: UnixMs,
    /// Rows of the file.
    pub rows: u64,
    /// Rows that are staged.
    pub staged: u64,
    /// Rows that were refused; of many, only the first.
    pub refused: Vec<RefusedRow>,
    /// How many rows were refused in all.
    pub refused_rows: u64,
    /// Fields that every person needs, but for which no row has a column.
    #[serde(default)]
    pub missing_columns: Vec<String>,
    /// For some of these, the column that is called nearly so.
    #[serde(default)]
    pub close_columns: BTreeMap<String, String>,
    /// Rows that repeat another one word for word.
    #[serde(default)]
    pub repeated: u64,
    /// Rows of people excluded by the mapping.
    #[serde(default)]
    pub left_out: u64,
    /// Fields by which the mapping selects people, but for which no row has a column.
    #[serde(default)]
    pub unjudged: Vec<String>,
    /// Columns that the mapping does not use; of many, only the first.
    #[serde(default)]
    pub not_followed: Vec<String>,
    /// Whether it was complete.
    #[serde(default = "yes")]
    pub is_whole: bool,
    /// Whether people may be missing from it: then it says nothing about those it does not name.
    #[serde(default)]
    pub is_part: bool,
    /// When the list was complete; none if people may be missing.
    #[serde(default)]
    pub whole_at: Option<UnixMs>,
}

fn yes() -> bool {
    true
}

/// The last import of each source.
pub type Imports = std::collections::BTreeMap<String, Imported>;

/// `email (`E-Mail` comes close), last_name`
#[must_use]
pub fn missing(fields: &[String], close: &BTreeMap<String, String>) -> String {
    let named = |field: &String| match close.get(field) {
        Some(column) => format!("{field} (`{column}` comes close)"),
        None => field.clone(),
    };
    fields.iter().map(named).collect::<Vec<_>>().join(", ")
}

/// The addresses of people who are in a source's roster, and whom its mapping excludes. Hashes are enough: the people are not
/// known here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LeftOut {
    /// The import that they are of.
    pub(super) import: String,
    /// See [`KnownMember::address_hash`]; as many as a roster has rows.
    pub(super) addresses: Vec<u32>,
}

impl LeftOut {
    /// The name of a source's document.
    pub(super) fn document(source: &str) -> String {
        format!("left-out:{source}")
    }
}

/// An import in progress.
pub(super) struct Staging<'r> {
    roster: &'r Roster,
    source: &'r SourceName,
    imported: Imported,
    /// The row that each person was in.
    seen: HashMap<PersonId, u64>,
    /// A hash of what the rows of each person say; none if they contradict each other.
    expected: HashMap<PersonId, Option<u64>>,
    /// The hashed addresses of people whom the mapping excludes.
    left_out: Vec<u32>,
    rows: Vec<(Event, Option<UnixMs>)>,
    /// How long each step waits for the store.
    patience: Duration,
}

impl Roster {
    /// Stages the rows of a file: once applied, they count as of `as_of`, or of now. They replace what was staged from
    /// this source before, or are `added` to it.
    pub async fn import(
        &self,
        source: &SourceName,
        file: &[u8],
        added: bool,
        as_of: Option<UnixMs>,
    ) -> Result<Imported, RosterError> {
        let columns = self.columns.get(source).ok_or_else(|| RosterError::NoSource(source.clone()))?;
        let read_all = || read(text_of(file)?, columns.names(Field::EmployeeId));
        let unjudged = columns.unasked(read_all()?);
        let rows = read_all()?;
        let now = self.clock.now();
        let at = as_of.map_or(now, |as_of| as_of.min(now));
        let mut staging = self.stage(source, added, at, None, Duration::ZERO).await?;
        for row in read_all()?.flatten() {
            if let Ok(Some(row)) = columns.event(source, &row, at, &unjudged) {
                staging.expect(&row.event, row.leaves_at);
            }
        }
        let mut lacking = None;
        // Whether the mapping uses a column, by the column's name.
        let mut known = BTreeMap::<String, bool>::new();
        for row in rows {
            let mut address = None;
            let (number, event) = match row {
                Ok(row) => {
                    address = columns.address(&row);
                    let lacks = columns.lacking(&row);
                    lacking.get_or_insert_with(|| lacks.clone()).retain(|name| lacks.contains(name));
                    for column in row.columns() {
                        if known.len() < COLUMNS_MAX && !known.contains_key(column) {
                            known.insert(column.to_owned(), columns.follows(column));
                        }
                    }
                    (row.number, columns.event(source, &row, at, &unjudged).map_err(|problem| problem.to_string()))
                }
                Err((number, problem)) => (number, Err(problem)),
            };
            match event.transpose() {
                Some(event) => staging.take(number, event.map(|row| (row.event, row.leaves_at))).await?,
                None => staging.leave_out(address.as_ref()),
            }
        }
        let lacking = lacking.unwrap_or_default();
        let close = |name: &&str| known.keys().find(|column| columns.may_mean(column, name));
        let close = lacking.iter().filter_map(|name| Some(((*name).to_owned(), shortened(close(name)?))));
        staging.imported.close_columns = close.collect();
        staging.imported.missing_columns = lacking.into_iter().map(str::to_owned).collect();
        staging.imported.unjudged = unjudged;
        let not_followed = known.into_iter().filter(|(_, is_followed)| !is_followed).map(|(column, _)| column);
        let not_followed = not_followed.take(NOT_FOLLOWED_MAX);
        staging.imported.not_followed = not_followed.map(|column| shortened(&column)).collect();
        staging.end().await
    }

    /// Begins an import that counts as of `at`; it may contain only people who changed since a given time. Each step
    /// waits this long for a store that does not answer.
    pub(super) async fn stage<'r>(
        &'r self,
        source: &'r SourceName,
        added: bool,
        at: UnixMs,
        since: Option<UnixMs>,
        patience: Duration,
    ) -> Result<Staging<'r>, RosterError> {
        let last = patiently(patience, || self.imports()).await?.remove(source.as_str());
        let known = last.filter(|known| added && known.is_whole);
        let whole_at = match (&known, since) {
            // The caller adds it to other rows, and there are none: so it is only a part.
            (None, None) => (!added).then_some(at),
            (None, Some(_)) => None,
            // People in refused rows may still be missing.
            (Some(known), _) if known.refused_rows > 0 => None,
            (Some(known), None) => known.whole_at,
            (Some(known), Some(since)) => known.whole_at.filter(|whole_at| since <= *whole_at).map(|_| at),
        };
        let imported = Imported {
            id: known.map_or_else(clock::new_name, |known| known.id),
            at,
            rows: 0,
            staged: 0,
            refused: Vec::new(),
            refused_rows: 0,
            missing_columns: Vec::new(),
            close_columns: BTreeMap::new(),
            repeated: 0,
            left_out: 0,
            unjudged: Vec::new(),
            not_followed: Vec::new(),
            is_whole: false,
            is_part: whole_at.is_none(),
            whole_at,
        };
        patiently(patience, || self.note(source, &imported)).await?;
        Ok(Staging {
            roster: self,
            source,
            imported,
            seen: HashMap::new(),
            expected: HashMap::new(),
            left_out: Vec::new(),
            rows: Vec::new(),
            patience,
        })
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

    /// Removes what is kept of this person's addresses, in case a mapping excluded them once.
    pub async fn forget_left_out(&self, document: Option<&Document>) -> Result<(), StoreError> {
        let Some(document) = document else { return Ok(()) };
        let named = document.record.email().into_iter().chain(&document.addresses).map(Email::lower);
        let named = named.chain(document.member.as_ref().map(|member| member.user_name.as_str()));
        let theirs: Vec<u32> = named.map(KnownMember::address_hash).collect();
        let forget = |kept: &mut LeftOut| {
            let before = kept.addresses.len();
            kept.addresses.retain(|address| !theirs.contains(address));
            (kept.addresses.len() < before).then_some(())
        };
        for source in self.imports().await?.keys() {
            documents::change(self.store.as_ref(), &LeftOut::document(source), forget).await?;
        }
        Ok(())
    }
}

impl Staging<'_> {
    /// Notes what a row will say: two rows of one person that say different things both count for nothing, as which one
    /// holds cannot be known.
    pub(super) fn expect(&mut self, event: &Event, leaves_at: Option<UnixMs>) {
        let mut hasher = DefaultHasher::new();
        // A struct of strings and numbers always serialises.
        serde_json::to_vec(&(event, leaves_at)).unwrap_or_default().hash(&mut hasher);
        let says = Some(hasher.finish());
        let known = self.expected.entry(event.person.id()).or_insert(says);
        if *known != says {
            *known = None;
        }
    }

    /// Takes a row, with the day on which the person will leave, or the reason why the row is refused.
    pub(super) async fn take(
        &mut self,
        number: u64,
        row: Result<(Event, Option<UnixMs>), String>,
    ) -> Result<(), RosterError> {
        self.imported.rows += 1;
        let row = row.and_then(|row| {
            let person = row.0.person.id();
            let contradicts = self.expected.get(&person) == Some(&None);
            match self.seen.insert(person, number) {
                None if contradicts => Err("employee_id: the same as in a later row, which says otherwise".to_owned()),
                Some(first) if contradicts => {
                    Err(format!("employee_id: the same as in row {first}, which says otherwise"))
                }
                None => Ok(Some(row)),
                // Everybody who counts is staged.
                Some(_) => Ok(None),
            }
        });
        match row {
            Ok(Some(row)) => self.rows.push(row),
            Ok(None) => self.imported.repeated += 1,
            Err(reason) => self.imported.refuse(number, reason),
        }
        if self.rows.len() >= STAGED_AT_ONCE { self.put().await } else { Ok(()) }
    }

    /// Counts a row of somebody excluded by the mapping. A member with their address is not one whom HR does not name.
    pub(super) fn leave_out(&mut self, address: Option<&Email>) {
        self.left_out.extend(address.map(|address| KnownMember::address_hash(address.lower())));
        self.imported.rows += 1;
        self.imported.left_out += 1;
    }

    /// Ends the import: what was staged counts from now on.
    pub(super) async fn end(mut self) -> Result<Imported, RosterError> {
        self.put().await?;
        self.note_left_out().await?;
        let begun = Imported { is_whole: true, ..self.imported.clone() };
        let change = |imports: &mut Imports| {
            let last = imports.get_mut(self.source.as_str())?;
            // Another import may have begun meanwhile; then that one counts. If this one is marked complete already, an
            // earlier attempt did it, and its reply was lost.
            let is_ours = last.id == begun.id && last.at == begun.at;
            is_ours.then(|| *last = begun.clone())
        };
        let end = || documents::change(self.roster.store.as_ref(), IMPORTS, change);
        if patiently(self.patience, end).await?.is_none() {
            return Err(RosterError::Overtaken(self.source.clone()));
        }
        self.imported.is_whole = true;
        let Imported { rows, staged, refused_rows, .. } = self.imported;
        info!(source = %self.source, rows, staged, refused_rows, "a roster is staged");
        Ok(self.imported)
    }

    async fn note_left_out(&self) -> Result<(), StoreError> {
        let note = |kept: &mut LeftOut| {
            if kept.import != self.imported.id {
                // Those of the import before this one are of no use any more.
                if self.left_out.is_empty() && kept.addresses.is_empty() {
                    return None;
                }
                *kept = LeftOut { import: self.imported.id.clone(), addresses: Vec::new() };
            }
            kept.addresses.extend(&self.left_out);
            kept.addresses.sort_unstable();
            kept.addresses.dedup();
            Some(())
        };
        let (store, name) = (self.roster.store.as_ref(), LeftOut::document(self.source.as_str()));
        patiently(self.patience, || documents::change(store, &name, note)).await?;
        // Nor is what is left of a source that is not configured any more.
        let clear = |kept: &mut LeftOut| (!std::mem::take(&mut kept.addresses).is_empty()).then_some(());
        for source in self.roster.imports().await?.keys().filter(|source| !self.roster.is_configured(source)) {
            let name = LeftOut::document(source);
            patiently(self.patience, || documents::change(store, &name, clear)).await?;
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<(), RosterError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let staged = u64::try_from(rows.len()).unwrap_or_default();
        let entries = rows.into_iter().map(|(event, leaves_at)| {
            let (job, person) = (clock::new_job_id(event.person.id()), event.person.clone());
            let word = Word::Staged { import: self.imported.id.clone(), job, event: Box::new(event), leaves_at };
            let bytes = Bytes::from(Entry { accepted_at: self.imported.at, word, trace: None }.to_bytes());
            NewEntry { job, person, bytes }
        });
        let (source, entries) = (self.source.clone(), entries.collect());
        let delivery = NewDelivery { source, dedupe: None, entries, unmapped: Vec::new() };
        let accept = || self.roster.store.accept(self.roster.clock.now(), delivery.clone());
        match patiently(self.patience, accept).await? {
            Accepted::Stored | Accepted::Duplicate { .. } | Accepted::Conflict { .. } => self.imported.staged += staged,
            Accepted::Full(_) => return Err(RosterError::Full),
        }
        Ok(())
    }
}

fn shortened(column: &str) -> String {
    column.chars().take(COLUMN_CHARS_MAX).collect()
}

impl Imported {
    /// The needed fields without a column, each with the column that may be meant for it.
    #[must_use]
    pub fn missing(&self) -> String {
        missing(&self.missing_columns, &self.close_columns)
    }

    fn refuse(&mut self, row: u64, reason: String) {
        self.refused_rows += 1;
        if self.refused.len() < REFUSED_KEPT {
            self.refused.push(RefusedRow { row, reason });
        }
    }
}
