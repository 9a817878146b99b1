//! The shared document: what all processes counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{OTHERS, SourceTally};
use crate::core::mapping::Mapping;
use crate::core::time::UnixMs;

/// A process that has not written for this long is gone.
const GONE_AFTER_MS: u64 = 60_000;
/// How many processes' counts are kept apart; beyond that, those silent the longest count as gone.
pub(super) const PROCESSES_MAX: usize = 64;
/// How many unknown source names are remembered; deliveries to others are counted together, as [`OTHERS`].
pub const UNKNOWN_SOURCES_MAX: usize = 20;

/// What all processes counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// By process.
    pub processes: BTreeMap<String, ProcessTally>,
    /// Counts of processes that are gone, by source.
    pub past: BTreeMap<String, SourceTally>,
}

/// What one process counted since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessTally {
    /// When it last wrote.
    pub written_at: UnixMs,
    /// By source.
    pub sources: BTreeMap<String, SourceTally>,
}

impl Ledger {
    /// Reads what is stored; empty if it cannot be read, since counts are not worth a failure.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of texts and numbers always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Writes a process's counts, and adds up those of processes that are gone.
    pub fn put(&mut self, now: UnixMs, process: &str, sources: BTreeMap<String, SourceTally>) {
        self.processes.insert(process.to_owned(), ProcessTally { written_at: now, sources });
        let is_gone = |tally: &ProcessTally| now.ms_since(tally.written_at) > GONE_AFTER_MS;
        let mut gone: Vec<String> =
            self.processes.iter().filter(|(_, tally)| is_gone(tally)).map(|(name, _)| name.clone()).collect();
        while self.processes.len() - gone.len() > PROCESSES_MAX {
            let left = self.processes.iter().filter(|(name, _)| !gone.contains(name));
            let Some((silent, _)) = left.min_by_key(|(_, tally)| tally.written_at) else { break };
            gone.push(silent.clone());
        }
        for name in gone {
            for (source, tally) in self.processes.remove(&name).unwrap_or_default().sources {
                self.past.entry(source).or_default().add(&tally);
            }
        }
    }

    /// Drops types that a source's mapping names by now and, in `past`, sources that no longer exist. Of those that
    /// still get deliveries, those that are worth most stay as long as they are reported.
    pub fn forget_mended<'m>(&mut self, now: UnixMs, mapping_of: impl Fn(&str) -> Option<&'m Mapping>) {
        // This is for processes that are gone and had an older mapping; a living one writes its counts again.
        for (source, tally) in self.processes.values_mut().flat_map(|process| &mut process.sources) {
            if let Some(mapping) = mapping_of(source) {
                tally.forget_named(mapping);
            }
        }
        self.past.retain(|source, tally| match mapping_of(source) {
            Some(mapping) => {
                tally.forget_named(mapping);
                true
            }
            None => tally.unknown_at().is_some(),
        });
        self.forget_unknown(now, |name| mapping_of(name).is_some());
    }

    fn forget_unknown(&mut self, now: UnixMs, is_configured: impl Fn(&str) -> bool) {
        let all = self.by_source().into_iter().filter(|(name, _)| !is_configured(name));
        let ranked = |(name, tally): (String, SourceTally)| tally.unknown_at().map(|_| (tally.unknown_rank(now), name));
        let mut unknown: Vec<_> = all.filter_map(ranked).collect();
        unknown.sort_unstable_by(|one, other| other.cmp(one));
        let (others, names): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|(_, name)| name == OTHERS);
        let seated = names.into_iter().enumerate().map(|(n, ranked)| (n < UNKNOWN_SOURCES_MAX, ranked));
        for (has_seat, ((is_reported, ..), name)) in seated.chain(others.into_iter().map(|ranked| (true, ranked))) {
            if !is_reported || !has_seat {
                if let Some(displaced) = self.past.remove(&name)
                    && is_reported
                {
                    self.past.entry(OTHERS.to_owned()).or_default().add_unknown(now, displaced.unknown());
                }
                for process in self.processes.values_mut() {
                    // Another process's configuration may have this source.
                    if process.sources.get(&name).is_some_and(|tally| tally.unknown_at().is_some()) {
                        process.sources.remove(&name);
                    }
                }
            }
        }
    }

    /// The results of each source's deliveries, over all processes.
    #[must_use]
    pub fn by_source(&self) -> BTreeMap<String, SourceTally> {
        let mut all = self.past.clone();
        for (source, tally) in self.processes.values().flat_map(|process| &process.sources) {
            all.entry(source.clone()).or_default().add(tally);
        }
        all
    }
}
