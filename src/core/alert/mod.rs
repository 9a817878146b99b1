//! Alerts: what needs attention, reported to a receiver elsewhere. What to report is the difference
//! between the problems that a receiver last heard of and the current ones; each receiver has at most one
//! pending message. So whatever a receiver misses while it is away comes in one message, and nothing
//! piles up.
//!
//! Lives here: that judgement, over one small document that all processes share (only the process whose
//! turn it is writes); in `outage`, the same judgement while the store with that document fails; in `message`, how a
//! message reads. Not here: sending.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::problems::Problem;
use super::time::UnixMs;

pub mod message;
pub mod outage;

pub use self::message::Format;

/// The document's name.
pub const DOCUMENT: &str = "alerts";
/// How long a turn lasts without a heartbeat: three looks, and longer than a message's timeout.
pub const TURN_MS: u64 = 15_000;
/// No turn may end later than this from now, unless a clock was set back.
const TURN_MS_MAX: u64 = 10 * 60_000;
/// The pause between two messages to one receiver: what happens meanwhile goes into one message.
const APART_MS: u64 = 10_000;
/// Growth is reported no sooner, unless the count doubled…
const GROWTH_MS_MIN: u64 = 20_000;
/// …and no later.
const GROWTH_MS_MAX: u64 = 3_600_000;
/// The first pause after a message that did not arrive, doubled up to the longest one.
const PAUSE_MS: u64 = 5_000;
const PAUSE_MS_MAX: u64 = 5 * 60_000;
/// A receiver's `Retry-After` counts up to this.
const ASKED_MS_MAX: u64 = 3_600_000;
/// A message that could not be delivered for this long is given up; a new one reports the state at that time.
const GIVE_UP_MS: u64 = 24 * 3_600_000;
/// Most problems reported to one receiver; far above what there can be at one time.
const TOLD_MAX: usize = 500;

/// The last judgement of a process on what needs attention.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// All problems, if the store could be read and written; none before the first time.
    pub problems: Option<Arc<[Problem]>>,
    /// When that was.
    pub at: Option<UnixMs>,
    /// The store's own trouble, if the last judgement is too old: nothing else is known then.
    pub outage: Vec<Problem>,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Alerts {
    /// Whose turn it is.
    pub turn: Option<Turn>,
    /// By receiver, whose key is a hash of its address.
    pub receivers: BTreeMap<String, Receiver>,
}

/// The process that sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The process.
    pub by: String,
    /// Others may take it then.
    pub until: UnixMs,
    /// Whether it has a worker, too: a process that only accepts webhooks often cannot reach the internet.
    #[serde(default)]
    pub works: bool,
}

/// What one receiver was sent, and its pending message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Receiver {
    /// Its host, for people.
    pub host: String,
    /// What was reported to it, by [`Problem::key`].
    pub told: BTreeMap<String, ReportedProblem>,
    /// When a message last arrived.
    pub delivered_at: Option<UnixMs>,
    /// The pending message.
    pub message: Option<Message>,
    /// Since when messages do not arrive.
    pub failing: Option<Failing>,
}

/// A problem as it was reported to a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedProblem {
    /// What was reported.
    pub line: Line,
    /// The first time.
    pub first_at: UnixMs,
    /// The last time.
    pub at: UnixMs,
}

/// What is reported about a problem. Nothing in it comes from outside, except names of types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// As `status` has it.
    pub code: String,
    /// As `status` has it.
    pub subject: String,
    /// [`Problem::brief`].
    pub what: String,
    /// What to do about it.
    pub action: String,
    /// How many people, deliveries, calls or dead letters.
    pub count: u64,
    /// When it began.
    pub since: UnixMs,
    /// The console's page with exactly these.
    pub page: String,
}

impl From<&Problem> for Line {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code.clone(),
            subject: problem.subject.clone(),
            what: problem.brief.clone(),
            action: problem.action.clone(),
            count: problem.count,
            since: problem.since,
            page: problem.page.clone(),
        }
    }
}

/// What a message says about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there before.
    Opened,
    /// It concerns more than in the last report.
    Grew,
    /// It is still there, and was not reported for a while.
    StillOpen,
    /// It is gone.
    Closed,
}

impl Change {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Grew => "grew",
            Self::StillOpen => "still_open",
            Self::Closed => "closed",
        }
    }
}

/// A message to a receiver, the same each time it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id, by which a receiver recognises it.
    pub id: String,
    /// When it was made.
    pub at: UnixMs,
    /// What it says.
    pub changes: Vec<(Change, Line)>,
    /// How many problems there are in all.
    pub open: u64,
}

/// Messages do not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// When it began.
    pub since: UnixMs,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried again.
    pub next_at: UnixMs,
    /// The result of the last try: a status, or why there is none.
    pub reason: String,
}

/// What happens to a message that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// It is tried again.
    Again,
    /// It was tried for long enough.
    GivenUp,
    /// Another process was quicker.
    Stale,
}

impl Alerts {
    /// Takes the turn, or keeps it. Returns whether this process has it. Processes with a worker come first; the
    /// others wait for a turn's length longer.
    pub fn take_turn(&mut self, now: UnixMs, by: &str, works: bool) -> bool {
        let is_free = self.turn.as_ref().is_none_or(|turn| {
            let free_at = if works { turn.until } else { turn.until.plus_ms(TURN_MS) };
            turn.by == by || free_at <= now || turn.until.ms_since(now) > TURN_MS_MAX || (works && !turn.works)
        });
        if is_free {
            self.turn = Some(Turn { by: by.to_owned(), until: now.plus_ms(TURN_MS), works });
        }
        is_free
    }

    /// Gives the turn back. Returns whether this process had it.
    pub fn give_back(&mut self, now: UnixMs, by: &str) -> bool {
        let ours = self.turn.as_mut().filter(|turn| turn.by == by);
        let was_ours = ours.is_some();
        if let Some(turn) = ours {
            turn.until = now;
        }
        was_ours
    }

    /// Whether any process sends at all: otherwise what is known about receivers is out of date.
    #[must_use]
    pub fn is_kept(&self, now: UnixMs) -> bool {
        self.turn.as_ref().is_some_and(|turn| now.ms_since(turn.until) < TURN_MS)
    }
}

impl Receiver {
    /// Makes the next message if there is something to report and none is under way. Returns whether it did.
    pub fn judge(&mut self, now: UnixMs, problems: &[Problem], repeat_ms: u64, id: &str) -> bool {
        let is_too_soon = self.delivered_at.is_some_and(|at| at <= now && now.ms_since(at) < APART_MS);
        if self.message.is_some() || is_too_soon {
            return false;
        }
        let problems = problems.get(..TOLD_MAX).unwrap_or(problems);
        let changes = self.changes(now, problems, repeat_ms);
        if changes.is_empty() {
            return false;
        }
        let open = u64::try_from(problems.len()).unwrap_or(u64::MAX);
        self.message = Some(Message { id: id.to_owned(), at: now, changes, open });
        true
    }

    fn changes(&self, now: UnixMs, problems: &[Problem], repeat_ms: u64) -> Vec<(Change, Line)> {
        let reported_as = |problem: &Problem| self.told.get(&problem.key());
        let repeats = problems.iter().filter_map(reported_as).any(|reported| now.ms_since(reported.at) >= repeat_ms);
        let (mut news, mut grown, mut still) = (Vec::new(), Vec::new(), Vec::new());
        for problem in problems {
            let line = Line::from(problem);
            match reported_as(problem) {
                None => news.push((Change::Opened, line)),
                Some(reported) if reported.has_grown(now, problem.count) => grown.push((Change::Grew, line)),
                Some(_) if repeats => still.push((Change::StillOpen, line)),
                Some(_) => {}
            }
        }
        let is_there = |key: &String| problems.iter().any(|problem| problem.key() == *key);
        let gone = self.told.iter().filter(|(key, _)| !is_there(key));
        news.extend(grown);
        news.extend(gone.map(|(_, reported)| (Change::Closed, reported.line.clone())));
        news.extend(still);
        news
    }

    /// The message to send now.
    #[must_use]
    pub fn due(&self, now: UnixMs) -> Option<&Message> {
        let may = self.failing.as_ref().is_none_or(|failing| failing.next_at <= now || failing.since > now);
        self.message.as_ref().filter(|_| may)
    }

    /// Notes that a message arrived. Returns whether it was the pending one.
    pub fn delivered(&mut self, now: UnixMs, id: &str) -> bool {
        let Some(message) = self.message.take_if(|message| message.id == id) else { return false };
        self.failing = None;
        self.delivered_at = Some(now);
        for (change, line) in message.changes {
            let key = line.key();
            match change {
                Change::Closed => {
                    self.told.remove(&key);
                }
                Change::Opened | Change::Grew | Change::StillOpen => {
                    let first_at = self.told.get(&key).map_or(now, |reported| reported.first_at);
                    self.told.insert(key, ReportedProblem { line, first_at, at: now });
                }
            }
        }
        true
    }

    /// A message did not arrive.
    pub fn failed(&mut self, now: UnixMs, id: &str, reason: &str, asked_ms: Option<u64>) -> Undelivered {
        let Some(message) = self.message.as_ref().filter(|message| message.id == id) else {
            return Undelivered::Stale;
        };
        let made_at = message.at;
        let (since, tries) = self.failing.as_ref().map_or((now, 0), |failing| (failing.since, failing.tries));
        let pause_ms = PAUSE_MS.saturating_mul(1 << tries.min(16)).min(PAUSE_MS_MAX);
        let next_at = now.plus_ms(pause_ms.max(asked_ms.unwrap_or(0).min(ASKED_MS_MAX)));
        self.failing = Some(Failing { since, tries: tries.saturating_add(1), next_at, reason: reason.to_owned() });
        if now.ms_since(made_at) < GIVE_UP_MS {
            return Undelivered::Again;
        }
        self.message = None;
        Undelivered::GivenUp
    }
}

impl ReportedProblem {
    /// Reported at once if it doubled; otherwise, the longer it has been reported, the less often.
    fn has_grown(&self, now: UnixMs, count: u64) -> bool {
        let known_ms = self.at.ms_since(self.first_at).clamp(GROWTH_MS_MIN, GROWTH_MS_MAX);
        count > self.line.count && (count >= self.line.count.saturating_mul(2) || now.ms_since(self.at) >= known_ms)
    }
}

impl Line {
    fn key(&self) -> String {
        super::problems::key(&self.code, &self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn problem(code: &str, count: u64) -> Problem {
        Problem {
            code: code.to_owned(),
            subject: "hr".to_owned(),
            what: format!("{code}: with something that was received."),
            brief: format!("{code}."),
            count,
            since: UnixMs(1),
            action: "Mend it.".to_owned(),
            page: "/hold".to_owned(),
        }
    }

    /// What the next message says, once it has arrived.
    fn reported(receiver: &mut Receiver, now: i64, problems: &[Problem]) -> Vec<String> {
        if !receiver.judge(UnixMs(now), problems, 4 * HOUR, &now.to_string()) {
            return Vec::new();
        }
        let message = receiver.due(UnixMs(now)).cloned().unwrap();
        assert!(receiver.delivered(UnixMs(now), &message.id));
        message.changes.iter().map(|(change, line)| format!("{} {}", change.as_str(), line.code)).collect()
    }

    #[test]
    fn a_problem_is_reported_only_when_it_opens_grows_and_closes() {
        let mut receiver = Receiver::default();
        assert_eq!(reported(&mut receiver, 0, &[]), [""; 0]);
        assert_eq!(reported(&mut receiver, 100_000, &[problem("A", 3)]), ["opened A"]);
        assert_eq!(reported(&mut receiver, 115_000, &[problem("A", 4)]), [""; 0], "one more, a moment later");
        assert_eq!(reported(&mut receiver, 121_000, &[problem("A", 4)]), ["grew A"]);
        assert_eq!(reported(&mut receiver, 132_000, &[problem("A", 8)]), ["grew A"], "it doubled");
        assert_eq!(reported(&mut receiver, 200_000, &[problem("A", 2)]), [""; 0], "it shrank");
        assert_eq!(reported(&mut receiver, 300_000, &[]), ["closed A"]);
        assert_eq!(reported(&mut receiver, 900_000, &[]), [""; 0]);
    }

    #[test]
    fn steady_growth_is_reported_less_and_less_often() {
        let mut receiver = Receiver::default();
        let mut messages = 0;
        for second in 0..36_000_u32 {
            let grown = [problem("A", 1_000_000 + u64::from(second))];
            messages += reported(&mut receiver, i64::from(second) * 1_000, &grown).len();
        }
        assert!((10..30).contains(&messages), "{messages} in ten hours");
    }

    #[test]
    fn problems_that_open_together_are_reported_together_and_open_ones_are_repeated() {
        let mut receiver = Receiver::default();
        assert_eq!(reported(&mut receiver, 100_000, &[problem("A", 1)]), ["opened A"]);
        assert_eq!(reported(&mut receiver, 105_000, &[problem("A", 1), problem("B", 1)]), [""; 0]);
        let all = [problem("A", 1), problem("B", 1), problem("C", 1)];
        assert_eq!(reported(&mut receiver, 110_000, &all), ["opened B", "opened C"]);
        let later = 100_000 + i64::try_from(4 * HOUR).unwrap();
        assert_eq!(reported(&mut receiver, later - 1, &all), [""; 0]);
        assert_eq!(reported(&mut receiver, later, &all), ["still_open A", "still_open B", "still_open C"]);
        assert_eq!(reported(&mut receiver, later + 20_000, &all[1..]), ["closed A"]);
    }

    #[test]
    fn an_undelivered_message_stays_the_same_and_is_retried_with_growing_pauses() {
        let mut receiver = Receiver::default();
        assert!(receiver.judge(UnixMs(0), &[problem("A", 1)], HOUR, "m1"));
        let first = receiver.message.clone();
        let mut now = UnixMs(0);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(receiver.failed(now, "m1", "answered 500", None), Undelivered::Again);
            // Whatever comes up meanwhile waits for this one.
            assert!(!receiver.judge(now, &[], HOUR, "m2"));
            assert_eq!(receiver.due(now), None);
            let next_at = receiver.failing.as_ref().unwrap().next_at;
            pauses.push(next_at.ms_since(now) / 1_000);
            now = next_at;
            assert_eq!(receiver.due(now), first.as_ref());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(receiver.failing.as_ref().unwrap().since, UnixMs(0));
        assert!(receiver.delivered(now, "m1"));
        assert_eq!(receiver.failing, None);
        assert_eq!(reported(&mut receiver, now.0 + 10_000, &[]), ["closed A"], "what it missed comes after");
    }

    #[test]
    fn an_undelivered_report_is_made_again() {
        let mut receiver = Receiver::default();
        assert!(receiver.judge(UnixMs(0), &[problem("A", 1)], HOUR, "m1"));
        let late = UnixMs(0).plus_ms(GIVE_UP_MS);
        assert_eq!(receiver.failed(late, "m1", "answered 400", Some(60_000)), Undelivered::GivenUp);
        assert_eq!(receiver.failed(late, "m1", "answered 400", None), Undelivered::Stale);
        assert!(receiver.judge(late, &[problem("A", 5)], HOUR, "m2"));
        assert_eq!(receiver.due(late.plus_ms(59_999)), None);
        assert_eq!(receiver.due(late.plus_ms(60_000)).unwrap().id, "m2");
    }

    #[test]
    fn one_process_has_the_turn_until_it_falls_silent_or_gives_it_back() {
        let mut alerts = Alerts::default();
        assert!(alerts.take_turn(UnixMs(0), "a", true) && alerts.take_turn(UnixMs(5_000), "a", true));
        assert!(!alerts.take_turn(UnixMs(19_999), "b", true));
        assert!(alerts.is_kept(UnixMs(19_999)));
        assert!(alerts.take_turn(UnixMs(20_000), "b", true));
        assert!(!alerts.give_back(UnixMs(20_000), "a"));
        assert!(alerts.give_back(UnixMs(20_001), "b") && alerts.take_turn(UnixMs(20_001), "a", true));
        assert!(!alerts.is_kept(UnixMs(90_000)));
        // After the clock was set back by a day, the turn is free.
        assert!(alerts.take_turn(UnixMs(20_001 - 86_400_000), "b", true));
    }

    #[test]
    fn a_process_with_a_worker_comes_before_one_that_only_accepts_webhooks() {
        let mut alerts = Alerts::default();
        assert!(alerts.take_turn(UnixMs(0), "intake", false));
        assert!(alerts.take_turn(UnixMs(1), "worker", true));
        assert!(!alerts.take_turn(UnixMs(15_001), "intake", false), "another worker may come");
        assert!(alerts.take_turn(UnixMs(30_001), "intake", false), "none came");
    }

    #[test]
    fn the_document_keeps_its_form() {
        let mut alerts = Alerts::default();
        alerts.take_turn(UnixMs(0), "a", true);
        let receiver = alerts.receivers.entry("r".to_owned()).or_default();
        receiver.judge(UnixMs(0), &[problem("A", 1)], HOUR, "m1");
        receiver.failed(UnixMs(1), "m1", "answered 500", None);
        let bytes = serde_json::to_vec(&alerts).unwrap();
        assert_eq!(serde_json::from_slice::<Alerts>(&bytes).unwrap(), alerts);
        assert!(!String::from_utf8(bytes).unwrap().contains("received"), "only the brief word leaves the house");
    }
}
