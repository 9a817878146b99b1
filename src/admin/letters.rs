//! Dead letters: what blocks a person, and records that could not be mapped. They are listed, shown, replayed and
//! discarded, one by one or all that match.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::error::AdminError;
use super::people::WholePerson;
use super::remap::StillUnmapped;
use super::service::{AdminState, Noted};
use super::shared;
use super::tokens::Actor;
use crate::clock;
use crate::core::audit::Act;
use crate::core::code::Code;
use crate::core::person::job::JobId;
use crate::core::person::{Entry, Event, Person, PersonId, Word};
use crate::store::{DeadFilter, DeadRow, Listed, NewEntry, NewUnmapped, Page, Stats};

/// Most dead letters that one request acts on; a further request continues where it ended.
pub const BULK_MAX: usize = 2_000;
/// How many are processed at once: they share the store's group commits.
const AT_ONCE: usize = 64;
/// Rows per page while looking through all that match.
const ROWS: usize = 500;
/// Pages of rows that are counted for a page of the console, one by one: as many as one request acts on.
const COUNTED_PAGES_MAX: usize = BULK_MAX / ROWS;

/// How many dead letters match a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// How many.
    pub count: u64,
    /// At least this many: not all were counted.
    pub or_more: bool,
}

impl fmt::Display for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_more = if self.or_more { " or more" } else { "" };
        write!(f, "{}{or_more}", self.count)
    }
}

/// A dead letter in full.
#[derive(Debug)]
pub struct WholeLetter {
    /// Its row in the listing.
    pub row: DeadRow,
    /// The person that it blocks.
    pub person: Option<Box<WholePerson>>,
    /// The record as received, if it could not be mapped.
    pub payload: Option<Bytes>,
}

/// What to do with dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterAction {
    /// Tries them again.
    Replay,
    /// Discards them.
    Discard {
        /// The reason given.
        reason: Option<String>,
    },
}

/// Which dead letters, and how many at once.
#[derive(Debug, Clone, Default)]
pub struct Bulk {
    /// Which dead letters.
    pub filter: DeadFilter,
    /// Whether only to count them.
    pub dry_run: bool,
    /// Where the previous request ended.
    pub after: Option<String>,
}

/// The result of acting on dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// How many matched.
    pub matched: u64,
    /// How many were replayed or discarded.
    pub done: u64,
    /// How many still cannot be mapped, and stay.
    pub still_unmapped: u64,
    /// The sources of these that are not configured.
    pub gone: BTreeSet<String>,
    /// Where to continue; none if that was all.
    pub next: Option<String>,
}

/// Which mappings have been tried on the kept records, and how far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Tried {
    mappings: String,
}

impl AdminState {
    /// A page of the dead letters, newest first.
    pub async fn dead_letters(&self, filter: &DeadFilter, page: &Page) -> Result<Listed<DeadRow>, AdminError> {
        Ok(self.store.dead(filter, page).await?)
    }

    /// How many match. The store keeps figures by code and by source; for any other filter they are counted, up to
    /// [`COUNTED_PAGES_MAX`].
    pub async fn dead_letters_matched(&self, filter: &DeadFilter, stats: &Stats) -> Result<Matched, AdminError> {
        let figure = |figures: &BTreeMap<String, u64>, of: &str| figures.get(of).copied().unwrap_or(0);
        let known = match filter {
            DeadFilter { code, source: None, event: None, died_before: None } => {
                Some(code.as_ref().map_or_else(|| stats.dead.values().sum(), |code| figure(&stats.dead, code)))
            }
            DeadFilter { code: None, source: Some(source), event: None, died_before: None } => {
                Some(figure(&stats.dead_by_source, source.as_str()))
            }
            DeadFilter { .. } => None,
        };
        if let Some(count) = known {
            return Ok(Matched { count, or_more: false });
        }
        let (mut count, mut page) = (0, Page { rows_max: ROWS, after: None });
        for _ in 0..COUNTED_PAGES_MAX {
            let listed = self.store.dead(filter, &page).await?;
            count += u64::try_from(listed.rows.len()).unwrap_or(u64::MAX);
            page.after = listed.next;
            if page.after.is_none() {
                return Ok(Matched { count, or_more: false });
            }
        }
        Ok(Matched { count, or_more: true })
    }

    /// One dead letter in full.
    pub async fn dead_letter(&self, id: JobId) -> Result<WholeLetter, AdminError> {
        let (row, payload) = self.store.dead_letter(id).await?.ok_or(AdminError::NotFound("dead letter"))?;
        let person = match &row.person {
            Some(person) if !row.unmapped => self.person(person).await.ok().map(Box::new),
            Some(_) | None => None,
        };
        Ok(WholeLetter { row, person, payload })
    }

    /// Records in the audit log that a payload was looked at.
    pub async fn payload_shown(&self, by: &Actor, id: JobId) -> Result<(), AdminError> {
        self.note(by, Act::ShowPayload, Noted::of(&id.to_string())).await
    }

    /// Acts on one dead letter. If it still cannot be mapped, that is an error, and it stays.
    pub async fn act_on_one(&self, by: &Actor, id: JobId, action: &LetterAction) -> Result<(), AdminError> {
        let (row, _) = self.store.dead_letter(id).await?.ok_or(AdminError::NotFound("dead letter"))?;
        self.act(by, &row, action).await?;
        let target = id.to_string();
        self.note(by, action.act(), Noted { target: &target, count: None, reason: action.reason() }).await
    }

    /// Acts on all that match, at most [`BULK_MAX`] in one request; or counts them, without a limit.
    pub async fn act_on_all(&self, by: &Actor, bulk: &Bulk, action: &LetterAction) -> Result<Done, AdminError> {
        let mut done = Done::default();
        let mut page = Page { rows_max: ROWS, after: bulk.after.clone() };
        loop {
            let listed = self.store.dead(&bulk.filter, &page).await?;
            done.matched += u64::try_from(listed.rows.len()).unwrap_or(u64::MAX);
            if !bulk.dry_run {
                self.act_on_rows(by, &listed.rows, action, &mut done).await?;
            }
            done.next.clone_from(&listed.next);
            let is_full = !bulk.dry_run && done.matched >= u64::try_from(BULK_MAX).unwrap_or(u64::MAX);
            match listed.next {
                Some(next) if !is_full => page.after = Some(next),
                Some(_) | None => break,
            }
        }
        if done.done > 0 {
            let target = described(&bulk.filter);
            let noted = Noted { target: &target, count: Some(done.done), reason: action.reason() };
            self.note(by, action.act(), noted).await?;
        }
        Ok(done)
    }

    /// Acts on these.
    pub async fn act_on_these(&self, by: &Actor, ids: &[JobId], action: &LetterAction) -> Result<Done, AdminError> {
        let mut rows = Vec::new();
        for id in ids.iter().take(BULK_MAX) {
            rows.extend(self.store.dead_letter(*id).await?.map(|(row, _)| row));
        }
        let mut done = Done { matched: u64::try_from(rows.len()).unwrap_or(u64::MAX), ..Done::default() };
        self.act_on_rows(by, &rows, action, &mut done).await?;
        let noted = Noted { target: "selected dead letters", count: Some(done.done), reason: action.reason() };
        self.note(by, action.act(), noted).await?;
        Ok(done)
    }

    async fn act_on_rows(
        &self,
        by: &Actor,
        rows: &[DeadRow],
        action: &LetterAction,
        done: &mut Done,
    ) -> Result<(), AdminError> {
        for some in rows.chunks(AT_ONCE) {
            let mut acts = Vec::new();
            for row in some {
                acts.push(self.act(by, row, action).boxed());
            }
            for acted in join_all(acts).await {
                match acted {
                    Ok(()) => done.done += 1,
                    Err(AdminError::StillUnmapped { .. }) => done.still_unmapped += 1,
                    Err(AdminError::SourceGone(source)) => {
                        done.still_unmapped += 1;
                        done.gone.insert(source);
                    }
                    // Another user was faster.
                    Err(AdminError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn act(&self, by: &Actor, row: &DeadRow, action: &LetterAction) -> Result<(), AdminError> {
        let by = by.name.clone();
        match (action, &row.person) {
            (LetterAction::Replay, Some(person)) if !row.unmapped => self.put(person, Word::TryAgain { by }).await,
            (LetterAction::Discard { reason }, Some(person)) if !row.unmapped => {
                self.put(person, Word::Discard { by, reason: reason.clone() }).await
            }
            (LetterAction::Replay, _) => self.map_anew(row).await,
            (LetterAction::Discard { .. }, _) => {
                let is_gone = self.store.discard_unmapped(row.id).await?;
                if is_gone { Ok(()) } else { Err(AdminError::NotFound("dead letter")) }
            }
        }
    }

    /// Puts what the current mapping reads into inboxes, dated when it first came in. What still cannot be
    /// mapped stays.
    async fn map_anew(&self, row: &DeadRow) -> Result<(), AdminError> {
        let payload = self.store.dead_letter(row.id).await?.and_then(|(_, payload)| payload);
        let payload = payload.ok_or(AdminError::NotFound("dead letter"))?;
        self.put_mapped(row, &payload).await
    }

    /// Puts what the current mapping reads in this payload into inboxes, instead of the kept one.
    pub(super) async fn put_mapped(&self, row: &DeadRow, payload: &[u8]) -> Result<(), AdminError> {
        let remapped =
            (self.remap)(&row.source, payload).ok_or_else(|| AdminError::SourceGone(row.source.to_string()))?;
        if let (true, 0, Some(still)) = (remapped.events.is_empty(), remapped.ignored, remapped.unmapped.first()) {
            return Err(AdminError::StillUnmapped { code: still.code, detail: still.detail.clone() });
        }
        let entries = remapped.events.into_iter().map(|event| entry(row, event)).collect();
        let unmapped = remapped.unmapped.into_iter().map(|still| unmapped(row, still)).collect();
        let is_done = self.store.replay_unmapped(self.now(), row.id, entries, unmapped).await?;
        if is_done { Ok(()) } else { Err(AdminError::NotFound("dead letter")) }
    }

    /// Tries the current mappings on every record that could not be mapped, once after each change of the mappings, so
    /// that records heal by themselves once the mapping is corrected. Returns how many did.
    pub async fn remap_all(&self) -> Result<u64, AdminError> {
        let tried: Tried = shared::read(&*self.store, shared::REMAPPED).await?;
        if tried.mappings == self.mappings {
            return Ok(0);
        }
        let mut healed = 0;
        for code in [Code::MapField, Code::MapShape, Code::MapNotJson] {
            let filter = DeadFilter { code: Some(code.as_str().to_owned()), ..DeadFilter::default() };
            let mut page = Page { rows_max: ROWS, after: None };
            loop {
                let listed = self.store.dead(&filter, &page).await?;
                let (mut done, by) = (Done::default(), Actor::mapping());
                self.act_on_rows(&by, &listed.rows, &LetterAction::Replay, &mut done).await?;
                healed += done.done;
                match listed.next {
                    Some(next) if !self.lifecycle.is_stopping() => page.after = Some(next),
                    Some(_) => return Ok(healed),
                    None => break,
                }
            }
        }
        let is_tried = |tried: &mut Tried| {
            tried.mappings.clone_from(&self.mappings);
            Some(())
        };
        shared::update(&*self.store, shared::REMAPPED, is_tried).await?;
        if healed > 0 {
            tracing::info!(healed, "records that could not be mapped are mapped now");
        }
        Ok(healed)
    }
}

fn entry(row: &DeadRow, event: Event) -> NewEntry {
    let person = event.person.clone();
    let job = clock::new_job_id(person.id());
    let word = Word::Event { job, event: Box::new(event), letter: None };
    NewEntry { job, person, bytes: Entry { accepted_at: row.died_at, word, trace: None }.to_bytes().into() }
}

fn unmapped(row: &DeadRow, still: StillUnmapped) -> NewUnmapped {
    let person = still.person.as_ref().map_or(PersonId(0), Person::id);
    let row = DeadRow {
        id: clock::new_job_id(person),
        source: row.source.clone(),
        person: still.person,
        event: row.event,
        died_at: row.died_at,
        code: still.code.as_str().to_owned(),
        detail: still.detail,
        unmapped: true,
    };
    NewUnmapped { row, payload: still.payload }
}

impl LetterAction {
    fn act(&self) -> Act {
        match self {
            Self::Replay => Act::Replay,
            Self::Discard { .. } => Act::Discard,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Replay => None,
            Self::Discard { reason } => reason.as_deref(),
        }
    }
}

/// A filter in words, for the audit.
fn described(filter: &DeadFilter) -> String {
    let parts = [
        filter.code.as_ref().map(|code| format!("code {code}")),
        filter.source.as_ref().map(|source| format!("source {source}")),
        filter.event.map(|event| format!("event {event}")),
        filter.died_before.map(|at| format!("died before {at}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "all dead letters".to_owned() } else { parts.join(", ") }
}
