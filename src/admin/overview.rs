//! The overview: figures, holds, and what needs attention.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::AdminError;
use super::service::AdminState;
use super::shared;
use crate::core::alert::{self, Alerts, Failing};
use crate::core::hold::Holds;
use crate::core::outdated::{self, Outdated};
use crate::core::person::{Document, EmploymentState, Mark, SourceName};
use crate::core::problems::{
    AlertFigure, DeadFigure, FetchFigure, Figures, ImportFigure, LEAVERS_TOLD_MS, LeaverFigure, MarkFigure, Problem,
    Seen, SourceFigures, problems, store_problems,
};
use crate::core::processes::Processes;
use crate::core::roster::{DriftReport, Fetch};
use crate::core::store_health::FailingOperation;
use crate::core::tally::{self, Ledger, SourceTally};
use crate::core::time::UnixMs;
use crate::roster::Imported;
use crate::store::{DeadFilter, LaneState, Page, Stats, StoreError};

/// For how many codes the newest dead letter is read for its detail.
const CODES_MAX: usize = 40;
/// How long the limiter is asked for a pause: a disk may hang.
const PAUSE_LOOK_MAX: Duration = Duration::from_millis(500);
/// How many incomplete people are examined, longest first: leavers who were reported long enough must not hide the rest.
const INCOMPLETE_MAX: u64 = 5_000;
/// How many people with a mark are counted, one by one.
const MARKED_MAX: u64 = 2_000;

/// The result of a comparison made by hand is reported for a day.
const BY_HAND_MS: u64 = 86_400_000;
/// How many people behind several holds are counted, one by one.
const HELD_MAX: usize = 5_000;

/// Figures, and what needs attention.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The store in figures.
    pub stats: Stats,
    /// The figures that were judged.
    pub figures: Figures,
    /// Most urgent first.
    pub problems: Vec<Problem>,
    /// Whether everything could be read; damaged data is missing.
    pub is_whole: bool,
    /// Whether the store could be read at all. Where not, the figures are those of an empty store, and the problems
    /// are the store's.
    pub is_readable: bool,
}

/// Collects everything that can be read; damage is skipped, and judged, too.
struct Reading {
    is_whole: bool,
}

impl Reading {
    fn part<T: Default>(&mut self, part: Result<T, impl Into<AdminError>>) -> Result<T, AdminError> {
        match part.map_err(Into::into) {
            Err(error @ AdminError::Store(StoreError::Damaged(_))) => {
                error.log();
                self.is_whole = false;
                Ok(T::default())
            }
            part => part,
        }
    }
}

impl Overview {
    /// Itself, for pages that have nothing to show without the store.
    pub(super) fn readable(self) -> Result<Self, AdminError> {
        if self.is_readable {
            return Ok(self);
        }
        Err(StoreError::Unavailable("its figures could not be read".to_owned()).into())
    }
}

impl AdminState {
    /// Looks at everything, and judges it. While the store cannot be read, that is all it reports.
    pub async fn overview(&self) -> Result<Overview, AdminError> {
        match self.whole_overview().await {
            Err(AdminError::Store(error)) => {
                let overview = self.overview_without_store(&error);
                AdminError::from(error).log();
                Ok(overview)
            }
            overview => overview,
        }
    }

    /// What is known of a store that answered so just now.
    fn overview_without_store(&self, error: &StoreError) -> Overview {
        let (now, judged_at) = (self.now(), self.judged.borrow().at);
        let store = Some(self.health.known_trouble().unwrap_or_else(|| error.told_as()));
        let figures = Figures { now, store, store_failing: self.health.failing(now), ..Figures::default() };
        let problems = store_problems(&figures, judged_at.unwrap_or(self.started_at));
        Overview { stats: Stats::default(), figures, problems, is_whole: false, is_readable: false }
    }

    async fn whole_overview(&self) -> Result<Overview, AdminError> {
        let mut reading = Reading { is_whole: true };
        let stats = reading.part(self.store.stats().await)?;
        let seen: Seen = reading.part(shared::read(&*self.store, shared::SEEN).await)?;
        let (now, holds) = (self.now(), reading.part(self.holds().await)?);
        let (sources, strangers, other_strangers) = reading.part(self.source_figures().await)?;
        let Incomplete { oldest_at, missing, leavers } = reading.part(self.incomplete(&stats, now).await)?;
        let figures = Figures {
            now,
            up_since: self.started_at,
            people: stats.lanes.clone(),
            held: reading.part(self.held(&holds).await)?,
            oldest_due_at: stats.oldest_due_at.filter(|at| *at <= now),
            oldest_incomplete_at: oldest_at,
            missing,
            leavers,
            entries: stats.entries.clone(),
            dead: reading.part(self.dead_figures(&stats).await)?,
            dead_by_source: stats.dead_by_source.clone(),
            dead_bytes: stats.dead_bytes,
            bounds: self.bounds,
            holds,
            paused_until: self.paused_until(now).await,
            activity: reading.part(shared::read(&*self.store, shared::ACTIVITY).await)?,
            processes: reading.part(shared::read(&*self.store, shared::PROCESSES).await)?,
            sources,
            strangers,
            other_strangers,
            gone: reading.part(self.gone_figures(&stats).await)?,
            imports: reading.part(self.import_figures().await)?,
            fetches: reading.part(self.fetch_figures(now).await)?,
            drift: reading.part(self.drift_figure(now).await)?,
            marked: reading.part(self.marked().await)?,
            alerts: reading.part(self.alert_figures(now).await)?,
            certificates: self.certificates.figures().await,
            store: None,
            store_failing: Vec::new(),
        };
        // Last, so that everything read just now counts.
        let store_failing = self.store_failing(&figures.processes);
        let figures = Figures { store: self.health.known_trouble(), store_failing, ..figures };
        let problems = problems(&figures, &seen);
        Ok(Overview { stats, figures, problems, is_whole: reading.is_whole, is_readable: true })
    }

    /// What fails in the store, for this process and, as they report, for the others.
    fn store_failing(&self, processes: &Processes) -> Vec<FailingOperation> {
        let now = self.now();
        let others = processes.heard(now).filter(|process| process.id != self.process);
        let theirs = others.flat_map(|process| process.store_failing.iter().cloned());
        self.health.failing(now).into_iter().chain(theirs).collect()
    }

    /// The results of all sources' deliveries, as all processes counted them, of those to sources that do not exist, and
    /// of those to further such names.
    async fn source_figures(&self) -> Result<(Vec<SourceFigures>, Vec<SourceFigures>, SourceTally), AdminError> {
        let ledger: Ledger = shared::read(&*self.store, tally::DOCUMENT).await?;
        let outdated: Outdated = shared::read(&*self.store, outdated::DOCUMENT).await?;
        let now = self.now();
        let mut tallies = ledger.by_source();
        let of = |source: &SourceFigures| {
            let mut tally = tallies.remove(source.name.as_str()).unwrap_or_default();
            if let Some(mapping) = &source.mapping {
                tally.forget_named(mapping);
            }
            let outdated = outdated.of(source.name.as_str(), now);
            SourceFigures { tally, outdated, ..source.clone() }
        };
        let sources = self.sources.iter().map(of).collect();
        let others = tallies.remove(tally::OTHERS).unwrap_or_default();
        let stranger = |(name, tally): (String, SourceTally)| {
            Some(SourceFigures { tally, ..SourceFigures::new(SourceName::parse(&name).ok()?) })
        };
        Ok((sources, tallies.into_iter().filter_map(stranger).collect(), others))
    }

    /// How many wait behind each hold, if there are several: the first [`HELD_MAX`] are counted one by one.
    async fn held(&self, holds: &Holds) -> Result<BTreeMap<String, u64>, AdminError> {
        let mut held = BTreeMap::new();
        if holds.holds.len() < 2 {
            return Ok(held);
        }
        let (mut page, mut seen) = (Page { rows_max: 500, after: None }, 0);
        loop {
            let listed = self.store.lanes(LaneState::Held, &page).await?;
            seen += listed.rows.len();
            for tag in listed.rows.into_iter().filter_map(|row| row.lane.tag) {
                *held.entry(tag).or_default() += 1;
            }
            match listed.next {
                Some(next) if seen < HELD_MAX => page.after = Some(next),
                Some(_) | None => return Ok(held),
            }
        }
    }

    /// The rows that the last import of each source refused.
    async fn import_figures(&self) -> Result<Vec<ImportFigure>, AdminError> {
        let imports = self.roster.imports().await?;
        let figure = |(source, imported): (String, Imported)| {
            let first = imported.refused.first().map(|row| format!("row {}: {}", row.row, row.reason));
            ImportFigure { source, refused: imported.refused_rows, first: first.unwrap_or_default(), at: imported.at }
        };
        Ok(imports.into_iter().map(figure).collect())
    }

    /// Lists of HR systems that are being read, or were incomplete.
    async fn fetch_figures(&self, now: UnixMs) -> Result<Vec<FetchFigure>, AdminError> {
        let (fetches, imports) = (self.roster.fetches().await?, self.roster.imports().await?);
        let figure = |(source, fetch): (String, Fetch)| {
            let imported_at = imports.get(&source).filter(|import| import.is_whole).and_then(|import| import.whole_at);
            let failed = fetch.failed_after(imported_at);
            let since = match failed {
                Some((at, _)) => at,
                None if fetch.end.is_none() => fetch.ordered_at,
                None => return None,
            };
            let is_left_alone = fetch.end.is_none() && fetch.gives_way(now);
            let nobody = || "no worker reads it: is there one with a login in `[source.fetch]`?".to_owned();
            let failure = failed.map(|(_, failure)| format!("{}: {}", failure.code, failure.detail));
            let failure = failure.or_else(|| is_left_alone.then(nobody));
            let (state, listed, read) = (fetch.state(), fetch.listed, fetch.read);
            Some(FetchFigure { source, state, listed, read, since, failure })
        };
        Ok(fetches.into_iter().filter_map(figure).collect())
    }

    /// Receivers of alerts that are not reached.
    async fn alert_figures(&self, now: UnixMs) -> Result<Vec<AlertFigure>, AdminError> {
        let alerts: Alerts = shared::read(&*self.store, alert::DOCUMENT).await?;
        if !alerts.is_kept(now) {
            return Ok(Vec::new());
        }
        let failing = alerts.receivers.into_values().filter_map(|receiver| {
            let failing = receiver.failing?;
            let Failing { since, tries, reason, .. } = failing;
            Some(AlertFigure { host: receiver.host, since, tries, reason })
        });
        Ok(failing.collect())
    }

    /// The last comparison, if it is still of interest.
    async fn drift_figure(&self, now: UnixMs) -> Result<Option<DriftReport>, AdminError> {
        let every_ms = self.roster.drift_options().every_ms;
        let kept_ms = if every_ms == 0 { BY_HAND_MS } else { every_ms.saturating_mul(2) };
        let report = self.drift().await?.report;
        Ok(report.filter(|report| now.ms_since(report.at) < kept_ms))
    }

    /// Until when the target asked not to be called. This may need a store that can be written; all else can be read
    /// without.
    async fn paused_until(&self, now: UnixMs) -> Option<UnixMs> {
        tokio::time::timeout(PAUSE_LOOK_MAX, self.store.paused_until(now)).await.ok()?.ok()?
    }

    /// Since when people have been incomplete, and what the first of them lack.
    async fn incomplete(&self, stats: &Stats, now: UnixMs) -> Result<Incomplete, AdminError> {
        let mut figures = Incomplete::default();
        let all = stats.lanes.get(LaneState::Incomplete.as_str()).copied().unwrap_or_default();
        let (mut page, mut seen) = (Page { rows_max: 500, after: None }, 0);
        while seen < all.min(INCOMPLETE_MAX) {
            let listed = self.store.lanes(LaneState::Incomplete, &page).await?;
            for row in &listed.rows {
                let document = row.document.as_deref().and_then(|bytes| Document::from_bytes(bytes).ok());
                figures.note(document, row.since, now);
            }
            seen += u64::try_from(listed.rows.len()).unwrap_or(u64::MAX);
            page.after = listed.next;
            if page.after.is_none() {
                return Ok(figures);
            }
        }
        figures.leavers.unseen = all.saturating_sub(seen);
        Ok(figures)
    }

    async fn dead_figures(&self, stats: &Stats) -> Result<Vec<DeadFigure>, AdminError> {
        let mut figures = Vec::new();
        for (n, (code, count)) in stats.dead.iter().filter(|(_, count)| **count > 0).enumerate() {
            let filter = DeadFilter { code: Some(code.clone()), ..DeadFilter::default() };
            let newest = if n < CODES_MAX {
                self.store.dead(&filter, &Page { rows_max: 1, after: None }).await?.rows.pop()
            } else {
                None
            };
            figures.push(DeadFigure {
                code: code.clone(),
                count: *count,
                newest_at: newest.as_ref().map(|row| row.died_at),
                detail: newest.map(|row| row.detail).unwrap_or_default(),
            });
        }
        Ok(figures)
    }

    async fn marked(&self) -> Result<Vec<MarkFigure>, AdminError> {
        let mut figures = Vec::new();
        for mark in Mark::ALL {
            let mut page = Page { rows_max: 500, after: None };
            let (mut count, mut since, mut unread) = (0_u64, None, BTreeMap::<String, u64>::new());
            loop {
                let listed = self.store.search(&mark.term(), &page).await?;
                count += u64::try_from(listed.rows.len()).unwrap_or(u64::MAX);
                let documents = listed.rows.iter().filter_map(|row| row.document.as_deref());
                for document in documents.filter_map(|bytes| Document::from_bytes(bytes).ok()) {
                    since = [since, document.marked_since(mark)].into_iter().flatten().min();
                    if mark == Mark::Failing && document.cannot_be_read() {
                        *unread.entry(document.person.source.to_string()).or_default() += 1;
                    }
                }
                match listed.next {
                    Some(next) if count < MARKED_MAX => page.after = Some(next),
                    Some(_) | None => break,
                }
            }
            if count > 0 {
                figures.push(MarkFigure { mark, count, since, unread });
            }
        }
        Ok(figures)
    }
}

/// What is known of people about whom HR has not said enough.
#[derive(Default)]
struct Incomplete {
    oldest_at: Option<UnixMs>,
    missing: BTreeMap<String, u64>,
    leavers: LeaverFigure,
}

impl Incomplete {
    /// One of them, incomplete since then.
    fn note(&mut self, document: Option<Document>, since: UnixMs, now: UnixMs) {
        let has_left = |document: &Document| document.record.membership(now) == Some(EmploymentState::Left);
        if !document.as_ref().is_some_and(has_left) {
            self.oldest_at.get_or_insert(since);
            for field in document.into_iter().flat_map(|document| document.missing) {
                *self.missing.entry(field).or_default() += 1;
            }
        } else if now.ms_since(since) < LEAVERS_TOLD_MS {
            self.leavers.recent += 1;
            self.leavers.since.get_or_insert(since);
        } else {
            self.leavers.long_ago += 1;
        }
    }
}
