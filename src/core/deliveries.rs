//! The last deliveries of each source, one by one: what an operator looks at when the HR system claims to
//! have sent something. Without bodies, and bounded: accepted and refused deliveries are kept apart, so that
//! a flood of forgeries does not push out what is genuine.
//!
//! Every process collects its own for some seconds, and then adds them to a shared document for each source. Lives
//! here: what is kept about a delivery, and how many. Not here: where the document is stored.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::person::PersonId;
use super::person::job::JobId;
use super::time::UnixMs;

/// Deliveries kept for each source: this many accepted ones, and as many refused ones.
pub const KEPT_MAX: usize = 100;
/// Jobs shown for one delivery; of the others, only the number.
pub const JOBS_MAX: usize = 5;
/// Distinct words shown for the contents of a delivery.
pub const WORDS_MAX: usize = 5;
/// Longest text of a sender's that is kept, in characters.
const TEXT_CHARS_MAX: usize = 100;

/// The name of the shared document with a source's deliveries; with an empty name, of deliveries to sources that do
/// not exist.
#[must_use]
pub fn document(source: &str) -> String {
    format!("deliveries:{source}")
}

/// How a delivery was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// 200: queued.
    Accepted,
    /// 200: a duplicate.
    Duplicate,
    /// 200: nothing to do.
    Ignored,
    /// 200: kept as dead letters only.
    Unmapped,
    /// 200: a handshake or a ping.
    Handshake,
    /// 503: for now; the sender sends it again.
    PutOff,
    /// Anything else: refused.
    Refused,
    /// What this version does not know.
    #[serde(other)]
    Other,
}

impl Answered {
    /// All results that this version writes.
    pub const ALL: [Self; 7] =
        [Self::Accepted, Self::Duplicate, Self::Ignored, Self::Unmapped, Self::Handshake, Self::PutOff, Self::Refused];

    /// Its name in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Unmapped => "unmapped",
            Self::Handshake => "handshake",
            Self::PutOff => "put_off",
            Self::Refused => "refused",
            Self::Other => "other",
        }
    }

    /// Whether the answer was a 200.
    #[must_use]
    pub fn is_taken(self) -> bool {
        match self {
            Self::Accepted | Self::Duplicate | Self::Ignored | Self::Unmapped | Self::Handshake | Self::Other => true,
            Self::PutOff | Self::Refused => false,
        }
    }
}

/// What is kept about a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// When it was answered.
    pub at: UnixMs,
    /// The `X-Request-Id` of its answer, which its log lines have, too.
    pub request: String,
    /// How it was answered.
    pub answered: Answered,
    /// Why it was refused, deferred or ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address it came from, as reported by trusted proxies.
    pub peer: String,
    /// The sender's id for it, if the sender is authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Its contents: kinds of events, and types that the mapping does not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The first of its jobs and dead letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// How many there are in all.
    #[serde(default)]
    pub jobs_all: u64,
}

/// A sender's text, shortened and without control characters.
#[must_use]
pub fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(TEXT_CHARS_MAX).map(plain).collect()
}

/// The last deliveries, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deliveries {
    taken: VecDeque<Delivered>,
    refused: VecDeque<Delivered>,
}

impl Deliveries {
    /// Adds one.
    pub fn push(&mut self, delivered: Delivered) {
        let list = if delivered.answered.is_taken() { &mut self.taken } else { &mut self.refused };
        list.push_back(delivered);
        if list.len() > KEPT_MAX {
            list.pop_front();
        }
    }

    /// Adds another process's deliveries.
    pub fn add(&mut self, others: &Self) {
        for (mine, theirs) in [(&mut self.taken, &others.taken), (&mut self.refused, &others.refused)] {
            mine.extend(theirs.iter().cloned());
            mine.make_contiguous().sort_by_key(|delivered| delivered.at);
            mine.drain(..mine.len().saturating_sub(KEPT_MAX));
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_empty()
    }

    /// All of them, newest first.
    #[must_use]
    pub fn newest_first(self) -> Vec<Delivered> {
        let mut all: Vec<_> = self.taken.into_iter().chain(self.refused).collect();
        all.sort_by_key(|delivered| std::cmp::Reverse(delivered.at));
        all
    }

    /// Removes whatever leads to a person. Returns whether there was anything.
    pub fn forget(&mut self, person: PersonId) -> bool {
        let mut had = false;
        for delivered in self.taken.iter_mut().filter(|one| one.jobs.iter().any(|job| job.person() == person)) {
            delivered.jobs.retain(|job| job.person() != person);
            delivered.event_id = None;
            had = true;
        }
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(at: i64, answered: Answered) -> Delivered {
        Delivered {
            at: UnixMs(at),
            request: at.to_string(),
            answered,
            reason: None,
            peer: "192.0.2.1".to_owned(),
            event_id: Some("evt".to_owned()),
            types: vec!["hire".to_owned()],
            jobs: Vec::new(),
            jobs_all: 0,
        }
    }

    #[test]
    fn a_flood_of_refusals_does_not_push_out_accepted_deliveries() {
        let mut deliveries = Deliveries::default();
        deliveries.push(delivered(0, Answered::Accepted));
        for n in 1..1_000 {
            deliveries.push(delivered(n, Answered::Refused));
        }
        let all = deliveries.newest_first();
        assert_eq!((all.len(), all[0].at, all[KEPT_MAX].answered), (KEPT_MAX + 1, UnixMs(999), Answered::Accepted));
    }

    #[test]
    fn lists_of_several_processes_merge_in_order_of_time_within_bounds() {
        let (mut one, mut two) = (Deliveries::default(), Deliveries::default());
        for n in 0..KEPT_MAX {
            let at = i64::try_from(n).unwrap() * 2;
            one.push(delivered(at, Answered::Accepted));
            two.push(delivered(at + 1, Answered::Duplicate));
        }
        one.add(&two);
        let at: Vec<i64> = one.newest_first().iter().map(|delivered| delivered.at.0).collect();
        assert_eq!((at.len(), at[0], at[1]), (KEPT_MAX, 199, 198));
    }

    #[test]
    fn links_to_a_person_are_erased_and_the_delivery_stays() {
        let (theirs, others) = (JobId::about(1 << 80, PersonId(7)), JobId::about(1 << 80, PersonId(8)));
        let mut deliveries = Deliveries::default();
        deliveries.push(Delivered { jobs: vec![theirs, others], jobs_all: 2, ..delivered(1, Answered::Accepted) });
        assert!(!deliveries.forget(PersonId(9)));
        assert!(deliveries.forget(PersonId(7)));
        let kept = deliveries.newest_first().remove(0);
        assert_eq!((kept.jobs, kept.jobs_all, kept.event_id), (vec![others], 2, None));
    }

    #[test]
    fn entries_of_a_newer_version_are_read() {
        let text = r#"{"taken":[{"at":1,"request":"r","answered":"teleported","peer":"::1","colour":"red"}]}"#;
        let deliveries: Deliveries = serde_json::from_str(text).unwrap();
        assert_eq!(deliveries.newest_first()[0].answered, Answered::Other);
    }

    #[test]
    fn a_senders_text_is_cut_and_cannot_control_a_terminal() {
        assert_eq!(shown("a\u{1b}[2J"), "a\u{fffd}[2J");
        assert_eq!(shown(&"x".repeat(1_000)).len(), TEXT_CHARS_MAX);
    }
}
