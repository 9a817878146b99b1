//! `[store]`: where accepted events wait.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::Findings;

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// Which engine, and where.
    pub url: StoreUrl,
    /// Waiting jobs at which intake answers 503.
    pub high_water_jobs: u64,
    /// How long finished jobs are kept, in days.
    pub finished_keep_days: u64,
    /// How many finished jobs are kept at the most.
    pub finished_jobs_max: u64,
}

/// Which store, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// Files in a directory of the local disk, for one process: `embedded:./data`.
    Embedded {
        /// The directory; made where it is missing.
        dir: PathBuf,
    },
}

impl TryFrom<String> for StoreUrl {
    type Error = String;

    /// The error never shows the URL: a password may stand in it.
    fn try_from(url: String) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').unwrap_or((&url, ""));
        match scheme {
            "embedded" if !rest.is_empty() => Ok(Self::Embedded { dir: PathBuf::from(rest) }),
            "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis-cluster" | "rediss-cluster" => {
                Err("this build serves the embedded store only: give `embedded:` and a directory".to_owned())
            }
            _ => Err("no such store: give `embedded:` and a directory, such as `embedded:./data`".to_owned()),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: StoreUrl::Embedded { dir: PathBuf::from("./data") },
            high_water_jobs: 1_000_000,
            finished_keep_days: 30,
            finished_jobs_max: 100_000,
        }
    }
}

impl StoreConfig {
    pub(super) fn check(&self, findings: &mut Findings) {
        findings.bounds("store.high_water_jobs", self.high_water_jobs, 1, 100_000_000);
        findings.bounds("store.finished_keep_days", self.finished_keep_days, 0, 3_650);
        findings.bounds("store.finished_jobs_max", self.finished_jobs_max, 0, 100_000_000);
    }
}
