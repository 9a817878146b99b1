//! What follows from a read: the one place that counts reads and gives up.

use serde::{Deserialize, Serialize};

use super::facts::PersonRead;
use super::read::ReadEnd;
use crate::core::code::Code;
use crate::core::mapping::Record;
use crate::core::person::{EmploymentState, Event, EventKind, Facts, Person};
use crate::core::retry_hint::SLEEP_MS_MAX;
use crate::core::time::UnixMs;

/// How often to look for a person who is not there (yet): some four minutes with the default pauses, for systems that
/// send a webhook before the API shows the record.
const NOT_FOUND_TRIES: u32 = 10;
/// How often a request with an unusable reply is repeated: a proxy, or a temporary failure, may have caused it.
const REFUSED_TRIES: u32 = 5;
/// Fewest failures before giving up on temporary trouble, however long it has lasted.
const FAILURES_MIN: u32 = 10;
/// With a constant stream of notices, a person is read after at most this many times the system's lag.
const LAGS_MAX: u64 = 10;

/// How often to read a person at a lagging system before it must show what the last notice is about: enough for
/// several edits in a row.
const LOOKS_MAX: u32 = 3;

/// A read that notices asked for. Kept in the person's document until a read has answered them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedRead {
    /// When the first notice was accepted that no read has answered.
    pub first_at: UnixMs,
    /// When the last one was.
    pub last_at: UnixMs,
    /// Reads that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// When the first of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<UnixMs>,
    /// Not before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UnixMs>,
    /// A read answered all of them, but it may have come too soon after the last one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looked: bool,
    /// How many such reads there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// The last of them said that the record was removed, and no answer has shown it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Since when an announced end that is due has waited for it, whatever notices came since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_since: Option<UnixMs>,
    /// The turn that the limiter gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<UnixMs>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl OwedRead {
    /// Notes a notice accepted at `at`, which may say that the record was removed; a later notice that says something
    /// else takes that back. Earlier failures no longer count, but pauses and turns stay.
    pub fn note(owed: &mut Option<Self>, at: UnixMs, removed: bool) {
        match owed {
            Some(owed) => {
                owed.last_at = owed.last_at.max(at);
                owed.tries = 0;
                owed.failing_since = None;
                owed.looked = false;
                owed.removed = removed;
            }
            None => {
                *owed = Some(Self {
                    first_at: at,
                    last_at: at,
                    tries: 0,
                    failing_since: None,
                    not_before: None,
                    looked: false,
                    looks: 0,
                    removed,
                    end_since: None,
                    turn: None,
                });
            }
        }
    }

    /// An announced end that came due at `from` waits for it. Returns since when.
    pub fn end_waits(&mut self, from: UnixMs, now: UnixMs) -> UnixMs {
        let since = self.end_since.filter(|since| *since >= from).unwrap_or(now);
        self.end_since = Some(since);
        since
    }

    /// An operator asked for another try at once.
    pub fn again(&mut self) {
        (self.tries, self.failing_since, self.not_before) = (0, None, None);
    }

    /// See [`crate::core::person::Document::set_right`].
    pub fn set_right(&mut self, now: UnixMs) {
        let longest = now.plus_ms(SLEEP_MS_MAX);
        let since = self.failing_since.iter_mut().chain(&mut self.end_since);
        for at in [&mut self.first_at, &mut self.last_at].into_iter().chain(since) {
            *at = at.set_right(now);
        }
        for at in self.not_before.iter_mut().chain(self.turn.as_mut()) {
            *at = (*at).min(longest);
        }
    }

    /// When it may begin: once the system shows what the newest notice is about. Before that there may be one early
    /// read, `soon`, whose answer may be out of date.
    #[must_use]
    pub fn due(&self, lag_ms: u64, soon: bool) -> UnixMs {
        if soon && !self.looked && self.looks < LOOKS_MAX {
            return self.not_before.unwrap_or(self.last_at);
        }
        let shown = self.last_at.plus_ms(lag_ms).min(self.first_at.plus_ms(lag_ms.saturating_mul(LAGS_MAX)));
        shown.max(self.not_before.unwrap_or(shown))
    }

    /// What is still owed after a read that began at `began_at`: notices so new that the system may not have shown
    /// their change yet.
    #[must_use]
    pub fn after_read(self, began_at: UnixMs, lag_ms: u64) -> Option<Self> {
        (lag_ms > 0 && self.last_at.plus_ms(lag_ms) > began_at).then_some(Self {
            first_at: self.last_at,
            looked: true,
            looks: self.looks.saturating_add(1),
            tries: 0,
            failing_since: None,
            not_before: None,
            turn: None,
            ..self
        })
    }
}

/// What a read is judged by, besides its end.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// HR has said that the person has left by now, or that their record is deleted, so a 404 is expected.
    pub has_left: bool,
    /// Others of this source have been served since this one began to fail.
    pub others_were_served: bool,
    /// The present.
    pub now: UnixMs,
    /// A random share in `[0, 1)`.
    pub jitter: f64,
}

/// How failures are tried again, from `[retry]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRetry {
    /// Upper bound of the first pause.
    pub first_ms: u64,
    /// Upper bound of every pause.
    pub max_ms: u64,
    /// After this long, a temporary failure for one person is given up while others are served.
    pub give_up_after_ms: u64,
}

impl ReadRetry {
    /// Exponential, and only half of it jittered, so that a wait for a record to appear is not over at once.
    fn pause_ms(self, tries: u32, jitter: f64) -> u64 {
        let cap_ms = self.first_ms.saturating_mul(1_u64.checked_shl(tries).unwrap_or(u64::MAX)).min(self.max_ms);
        let share = std::time::Duration::from_millis(cap_ms).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        share.as_millis().try_into().unwrap_or(cap_ms)
    }
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadVerdict {
    /// The record was read.
    Fold(PersonRead),
    /// Events for the people they name.
    HandOn(Vec<Record>),
    /// It is read again then.
    Again {
        /// When it happened.
        at: UnixMs,
        /// The reason.
        code: Code,
    },
    /// Nobody may be read at this source before then.
    BackOff {
        /// The end of the pause.
        until: UnixMs,
    },
    /// The source's people wait.
    Hold {
        /// Fields and shapes.
        detail: String,
        /// When the system asked us to try again.
        not_before: Option<UnixMs>,
    },
    /// A dead letter, until something changes.
    Block {
        /// The reason.
        code: Code,
        /// Fields and shapes, never values.
        detail: String,
    },
}

/// Judges how a read of `person` ended, and counts it in `owed`.
#[must_use]
pub fn judge(end: ReadEnd, person: &Person, owed: &mut OwedRead, retry: ReadRetry, seen: Circumstances) -> ReadVerdict {
    let Circumstances { has_left, others_were_served, now, jitter } = seen;
    owed.removed &= !end.shows_record();
    match end {
        ReadEnd::Person(found) => ReadVerdict::Fold(found),
        ReadEnd::Listed(records) => ReadVerdict::HandOn(records),
        ReadEnd::NotFound if has_left => ReadVerdict::Fold(PersonRead {
            events: vec![left(person, now)],
            lost: None,
            outdone: None,
            lacks_employment: false,
        }),
        ReadEnd::NotFound => {
            let detail = "the HR system has nobody with this id, after several tries".to_owned();
            owed.fail(Code::FetchNotFound, detail, NOT_FOUND_TRIES, None, retry, seen)
        }
        ReadEnd::Refused { code, detail } => {
            // Only HR can correct the person's own fields.
            let tries = if matches!(code, Code::MapField | Code::MapShape) { 1 } else { REFUSED_TRIES };
            owed.fail(code, detail, tries, None, retry, seen)
        }
        ReadEnd::TryAgain { code, not_before } => owed.pass(code, not_before, retry, seen),
        ReadEnd::Later { at } => {
            owed.not_before = Some(at);
            ReadVerdict::Again { at, code: Code::FetchPaced }
        }
        // Again, and others were served in between: nobody else waits.
        ReadEnd::Limited { until } if owed.failing_since.is_some() && others_were_served => {
            owed.pass(Code::FetchRateLimited, Some(until), retry, seen)
        }
        ReadEnd::Limited { until } => {
            owed.failing_since.get_or_insert(now);
            owed.turn = None;
            ReadVerdict::BackOff { until }
        }
        ReadEnd::Hold { detail, not_before, may_be_own: true, .. } if others_were_served => {
            owed.fail(Code::FetchRefused, detail, REFUSED_TRIES, not_before, retry, Circumstances { jitter, ..seen })
        }
        ReadEnd::Hold { detail, not_before, .. } => {
            owed.failing_since.get_or_insert(now);
            ReadVerdict::Hold { detail, not_before }
        }
    }
}

impl OwedRead {
    /// Passing trouble blocks nobody, unless it lasts long while others are served.
    fn pass(&mut self, code: Code, not_before: Option<UnixMs>, retry: ReadRetry, seen: Circumstances) -> ReadVerdict {
        let since = self.failing_since.unwrap_or(seen.now);
        let is_long = seen.now.ms_since(since) >= retry.give_up_after_ms && seen.others_were_served;
        let tries = if is_long { FAILURES_MIN } else { u32::MAX };
        self.fail(code, "others of this source are served".to_owned(), tries, not_before, retry, seen)
    }

    fn fail(
        &mut self,
        code: Code,
        detail: String,
        tries_max: u32,
        not_before: Option<UnixMs>,
        retry: ReadRetry,
        seen: Circumstances,
    ) -> ReadVerdict {
        let pause_ms = retry.pause_ms(self.tries, seen.jitter);
        self.failing_since.get_or_insert(seen.now);
        self.tries = self.tries.saturating_add(1);
        self.turn = None;
        if self.tries >= tries_max {
            return ReadVerdict::Block { code, detail };
        }
        let at = seen.now.plus_ms(pause_ms).max(not_before.unwrap_or(seen.now));
        self.not_before = Some(at);
        ReadVerdict::Again { at, code }
    }
}

/// A person reported as a leaver by HR, whose record is gone.
fn left(person: &Person, at: UnixMs) -> Event {
    let facts = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
    Event { person: person.clone(), kind: EventKind::Update, at: Some(at), facts }
}
