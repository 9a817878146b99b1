//! Rosters that are read from HR systems' own lists: who requested one, which process reads it, its progress, and how
//! it ended. Without personal data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::code::Code;
use crate::core::time::UnixMs;

/// The shared document with each source's last fetch.
pub const FETCHES: &str = "roster-fetches";
/// A reading process without a heartbeat for this long has died. Longer than the longest wait for one answer.
const ABANDONED_MS: u64 = 180_000;
/// How many processes may begin one, so that a list that kills each of them, or a store that keeps failing, is not
/// retried without end.
const TAKES_MAX: u32 = 5;

/// The last fetch of each source.
pub type Fetches = BTreeMap<String, Fetch>;

/// A fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Its id.
    pub id: String,
    /// When it was requested.
    pub ordered_at: UnixMs,
    /// Only people who changed since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMs>,
    /// Whether its rows are added to what is staged.
    #[serde(default)]
    pub added: bool,
    /// Which process is reading it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// When that process last wrote a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<UnixMs>,
    /// How many times a process began it.
    #[serde(default)]
    pub taken: u32,
    /// How many requests were made.
    #[serde(default)]
    pub calls: u64,
    /// People who were listed.
    #[serde(default)]
    pub listed: u64,
    /// Of these, people who were read one by one.
    #[serde(default)]
    pub read: u64,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<FetchEnd>,
}

/// How a fetch ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchEnd {
    /// When it happened.
    pub at: UnixMs,
    /// Why nothing was staged; none if the roster is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FetchFailure>,
}

/// Why a fetch staged nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFailure {
    /// The stable code.
    pub code: String,
    /// What went wrong, without values.
    pub detail: String,
}

impl Fetch {
    /// A fetch that was just requested.
    #[must_use]
    pub fn new(id: String, since: Option<UnixMs>, added: bool, now: UnixMs) -> Self {
        Self {
            id,
            ordered_at: now,
            since,
            added,
            taken_by: None,
            heard_at: None,
            taken: 0,
            calls: 0,
            listed: 0,
            read: 0,
            end: None,
        }
    }

    /// Whether another may replace it: it has ended, or its process shows no heartbeat.
    #[must_use]
    pub fn gives_way(&self, now: UnixMs) -> bool {
        self.end.is_some() || self.is_abandoned(now)
    }

    /// The word for its state.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (&self.end, &self.taken_by) {
            (Some(FetchEnd { failure: Some(_), .. }), _) => "failed",
            (Some(_), _) => "staged",
            (None, Some(_)) => "reading",
            (None, None) => "waiting",
        }
    }

    fn is_abandoned(&self, now: UnixMs) -> bool {
        now.ms_since(self.heard_at.unwrap_or(self.ordered_at)) >= ABANDONED_MS
    }

    /// Ends it if it was begun often enough without being finished. Returns whether it did.
    pub fn give_up(&mut self, now: UnixMs) -> bool {
        let is_over = self.end.is_none() && self.is_free(now) && self.taken >= TAKES_MAX;
        if is_over {
            let detail = format!("it was started {TAKES_MAX} times, and no process finished it: their logs say why");
            let failure = FetchFailure { code: Code::FetchList.to_string(), detail };
            self.end = Some(FetchEnd { at: now, failure: Some(failure) });
        }
        is_over
    }

    fn is_free(&self, now: UnixMs) -> bool {
        self.taken_by.is_none() || self.is_abandoned(now)
    }

    /// A process begins it from the start. Returns whether it may.
    pub fn take(&mut self, by: &str, now: UnixMs) -> bool {
        if self.end.is_some() || !self.is_free(now) {
            return false;
        }
        (self.taken_by, self.heard_at) = (Some(by.to_owned()), Some(now));
        self.taken += 1;
        (self.calls, self.listed, self.read) = (0, 0, 0);
        true
    }

    /// Whether this process is reading it.
    #[must_use]
    pub fn is_of(&self, id: &str, by: &str) -> bool {
        self.id == id && self.end.is_none() && self.taken_by.as_deref() == Some(by)
    }

    /// Nobody reads it any more, so the next process takes it. Returns whether anybody did.
    pub fn let_go(&mut self) -> bool {
        self.heard_at = None;
        self.end.is_none() && self.taken_by.take().is_some()
    }

    /// The failure, if there is one and nothing complete was imported since.
    #[must_use]
    pub fn failed_after(&self, imported_at: Option<UnixMs>) -> Option<(UnixMs, &FetchFailure)> {
        let end = self.end.as_ref()?;
        let failure = end.failure.as_ref()?;
        imported_at.is_none_or(|at| at < self.ordered_at).then_some((end.at, failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_reads_the_list_until_it_falls_silent() {
        let mut fetch = Fetch::new("f".to_owned(), None, false, UnixMs(0));
        assert!(!fetch.gives_way(UnixMs(1_000)) && fetch.take("a", UnixMs(1_000)));
        assert!(fetch.is_of("f", "a") && !fetch.is_of("f", "b") && !fetch.is_of("g", "a"));
        fetch.calls = 7;
        assert!(!fetch.take("b", UnixMs(180_999)));
        assert!(fetch.take("b", UnixMs(181_000)) && fetch.calls == 0 && !fetch.is_of("f", "a"));
        assert!(fetch.let_go() && fetch.take("c", UnixMs(181_001)));
        fetch.end = Some(FetchEnd { at: UnixMs(182_000), failure: None });
        assert!(fetch.gives_way(UnixMs(182_000)) && !fetch.take("a", UnixMs(999_999)) && !fetch.let_go());
    }

    #[test]
    fn a_list_that_kills_every_process_is_given_up() {
        let mut fetch = Fetch::new("f".to_owned(), None, false, UnixMs(0));
        for n in 0..5 {
            let now = UnixMs(n * 200_000);
            assert!(!fetch.give_up(now) && fetch.take("a", now), "{n}");
        }
        assert!(!fetch.give_up(UnixMs(800_001)), "a process is reading it");
        assert!(fetch.give_up(UnixMs(1_000_000)) && fetch.state() == "failed" && !fetch.take("a", UnixMs(1_000_000)));
    }

    #[test]
    fn a_failure_stands_until_something_whole_is_imported() {
        let mut fetch = Fetch::new("f".to_owned(), None, false, UnixMs(10));
        let failure = FetchFailure { code: "FETCH-LIST".to_owned(), detail: String::new() };
        fetch.end = Some(FetchEnd { at: UnixMs(20), failure: Some(failure) });
        assert!(fetch.failed_after(None).is_some() && fetch.failed_after(Some(UnixMs(9))).is_some());
        assert!(fetch.failed_after(Some(UnixMs(10))).is_none());
    }
}
