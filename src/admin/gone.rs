//! Sources that were removed from the configuration, or renamed, while the store has people of theirs: events about these
//! people are not applied.
//!
//! All people are counted when the configured names have changed, and again when somebody who was counted no longer counts;
//! to find that out, a few of them are checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::AdminError;
use super::service::AdminState;
use super::shared;
use crate::core::person::{Document, EmploymentState, Person, SourceName};
use crate::core::problems::GoneFigure;
use crate::core::roster::NOT_IN_HR;
use crate::core::time::UnixMs;
use crate::store::{Page, PersonRow, Stats};

/// How many people are read at once.
const ROWS: usize = 500;
/// How many people of each source are checked to see whether the count still holds.
const LOOKED_AT: usize = 20;
/// How long a count stays valid for its names after a process with other names has counted: otherwise the two would count
/// in turns.
const GOOD_FOR_MS: u64 = 10 * 60_000;

/// The last count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Counted {
    /// Under which names, separated by spaces, a process has counted, and when.
    counts: BTreeMap<String, UnixMs>,
    /// The people of every source, even of configured ones: another process may not have those configured.
    sources: BTreeMap<String, Members>,
}

impl Counted {
    fn is_good_for(&self, names: &str, now: UnixMs) -> bool {
        let last = self.counts.values().max();
        self.counts.get(names).is_some_and(|at| Some(at) == last || is_recent(*at, now))
    }
}

fn is_recent(at: UnixMs, now: UnixMs) -> bool {
    now.ms_since(at) < GOOD_FOR_MS
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Members {
    people: u64,
    since: UnixMs,
    some: Vec<Person>,
}

impl AdminState {
    /// Counts the people of sources that are gone, if that may have changed.
    pub async fn count_gone(&self) -> Result<(), AdminError> {
        let counted: Counted = shared::read(&*self.store, shared::GONE).await?;
        let names: BTreeSet<&str> = self.source_names().map(SourceName::as_str).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(" ");
        let (now, mut sources) = (self.now(), BTreeMap::<String, Members>::new());
        if counted.is_good_for(&names, now) && self.still_holds(&counted).await? {
            return Ok(());
        }
        let mut page = Page { rows_max: ROWS, after: None };
        loop {
            let listed = self.store.people(&page).await?;
            for person in listed.rows.iter().filter_map(|row| self.employed(row)) {
                let source = person.source.to_string();
                let since = counted.sources.get(&source).map_or(now, |known| known.since);
                let members = sources.entry(source).or_insert_with(|| Members { since, ..Members::default() });
                members.people += 1;
                if members.some.len() < LOOKED_AT {
                    members.some.push(person);
                }
            }
            match listed.next {
                Some(next) if !self.lifecycle.is_stopping() => page.after = Some(next),
                Some(_) => return Ok(()),
                None => break,
            }
        }
        let write = |counted: &mut Counted| {
            counted.counts.retain(|_, at| is_recent(*at, now));
            counted.counts.insert(names.clone(), now);
            counted.sources.clone_from(&sources);
            Some(())
        };
        shared::update(&*self.store, shared::GONE, write).await?;
        Ok(())
    }

    /// What is known of sources that are gone.
    pub(super) async fn gone_figures(&self, stats: &Stats) -> Result<Vec<GoneFigure>, AdminError> {
        let counted: Counted = shared::read(&*self.store, shared::GONE).await?;
        let with_people = counted.sources.keys();
        let with_dead = stats.dead_by_source.iter().filter(|(_, n)| **n > 0).map(|(source, _)| source);
        let names: BTreeSet<&String> = with_people.chain(with_dead).filter(|source| self.is_gone(source)).collect();
        let figure = |source: &String| {
            let members = counted.sources.get(source);
            GoneFigure {
                source: source.clone(),
                people: members.map_or(0, |members| members.people),
                dead: stats.dead_by_source.get(source).copied().unwrap_or(0),
                since: members.map(|members| members.since),
            }
        };
        Ok(names.into_iter().map(figure).collect())
    }

    fn is_gone(&self, source: &str) -> bool {
        source != NOT_IN_HR && self.source_names().all(|known| known.as_str() != source)
    }

    /// The person, if HR's last word is that they are employed and their record counts.
    fn employed(&self, row: &PersonRow) -> Option<Person> {
        let document = Document::from_bytes(row.document.as_deref()?).ok()?;
        let is_employed = document.record.membership(self.now()) == Some(EmploymentState::Employed);
        (is_employed && document.record.closed.is_none()).then_some(document.person)
    }

    async fn still_holds(&self, counted: &Counted) -> Result<bool, AdminError> {
        for (_, members) in counted.sources.iter().filter(|(source, _)| self.is_gone(source)) {
            for person in &members.some {
                let row = self.store.person(person.id()).await?;
                if row.and_then(|row| self.employed(&row)).is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
