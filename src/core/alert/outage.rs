//! Alerts while the store fails. Whose turn it is, and what each receiver was sent, are kept in the store, so every
//! process reports from its own memory. All send the same message with the same id, so that a receiver can drop
//! repetitions.

use std::collections::BTreeMap;

use super::{Change, Line, Message, Receiver, Undelivered};
use crate::core::problems::Problem;
use crate::core::time::UnixMs;

/// How far apart the times at which processes notice may be: an id contains the minute.
const NOTICED_MS: i64 = 60_000;

/// A failing store, as one process reports it.
#[derive(Debug, Default)]
pub struct Outage {
    /// What is reported. It keeps its first wording, although the code may change from call to call.
    open: Vec<Problem>,
    /// Part of every id.
    minute: i64,
    /// What each receiver was sent, by the receiver's key.
    receivers: BTreeMap<String, Receiver>,
}

impl Outage {
    /// Notes that the store fails. `problems` is what is known about it.
    pub fn goes_on(&mut self, now: UnixMs, problems: &[Problem]) {
        if self.open.is_empty() {
            self.open = problems.to_vec();
            self.minute = problems.iter().map(|problem| problem.since).min().unwrap_or(now).0 / NOTICED_MS;
        }
    }

    /// Notes that the store serves. Whatever of `problems` remains is reported as usual, and not closed from here.
    pub fn is_over(&mut self, problems: &[Problem]) {
        self.open.clear();
        let stays = |key: &String| problems.iter().any(|problem| problem.key() == *key);
        let is_of_this = |line: &Line| !stays(&line.key());
        for receiver in self.receivers.values_mut() {
            receiver.told.retain(|key, _| !stays(key));
            if let Some(message) = &mut receiver.message {
                message.changes.retain(|(_, line)| is_of_this(line));
            }
            receiver.message.take_if(|message| message.changes.is_empty());
        }
        self.receivers.retain(|_, receiver| receiver.message.is_some() || !receiver.told.is_empty());
    }

    /// The message to send to a receiver now.
    pub fn due(&mut self, now: UnixMs, key: &str, repeat_ms: u64) -> Option<Message> {
        if self.open.is_empty() && !self.receivers.contains_key(key) {
            return None;
        }
        let receiver = self.receivers.entry(key.to_owned()).or_default();
        if receiver.judge(now, &self.open, repeat_ms, "") {
            let message = receiver.message.as_mut()?;
            message.id = id(self.minute, message);
        }
        receiver.due(now).cloned()
    }

    /// A message arrived.
    pub fn delivered(&mut self, now: UnixMs, key: &str, id: &str) {
        if let Some(receiver) = self.receivers.get_mut(key) {
            receiver.delivered(now, id);
            if self.open.is_empty() && receiver.told.is_empty() {
                self.receivers.remove(key);
            }
        }
    }

    /// A message did not arrive.
    pub fn failed(&mut self, now: UnixMs, key: &str, id: &str, reason: &str, asked_ms: Option<u64>) -> Undelivered {
        self.receivers.get_mut(key).map_or(Undelivered::Stale, |receiver| receiver.failed(now, id, reason, asked_ms))
    }
}

/// The id, the same from every process, for each report of one outage.
fn id(minute: i64, message: &Message) -> String {
    let change = message.changes.first().map_or(Change::Opened, |(change, _)| *change);
    // A problem that stays open is reported again every few hours.
    let again = match change {
        Change::StillOpen | Change::Grew => format!("_{}", message.at.0 / NOTICED_MS / 60),
        Change::Opened | Change::Closed => String::new(),
    };
    format!("msg_store_{minute}_{}{again}", change.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    /// At the beginning of a minute.
    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn problem(code: &str, since: UnixMs, count: u64) -> Problem {
        Problem {
            code: code.to_owned(),
            subject: "store".to_owned(),
            what: "It fails.".to_owned(),
            brief: "It fails.".to_owned(),
            count,
            since,
            action: "Mend it.".to_owned(),
            page: "/".to_owned(),
        }
    }

    /// What is sent to `a` at this second, once it has arrived, with its id.
    fn reported(outage: &mut Outage, seconds: u64) -> Option<(String, Vec<String>)> {
        let now = NOW.plus_ms(seconds * 1_000);
        let message = outage.due(now, "a", 4 * HOUR)?;
        outage.delivered(now, "a", &message.id);
        let changes = message.changes.iter().map(|(change, line)| format!("{} {}", change.as_str(), line.code));
        Some((message.id, changes.collect()))
    }

    #[test]
    fn every_process_sends_the_same_report_once_and_closes_it() {
        let run = |noticed_after: u64| {
            let mut outage = Outage::default();
            assert_eq!(reported(&mut outage, 0), None);
            let since = NOW.plus_ms(noticed_after * 1_000);
            outage.goes_on(since, &[problem("STORE-LOST", since, 1)]);
            let opened = reported(&mut outage, noticed_after).unwrap();
            // The same in other words, and one more problem.
            outage.goes_on(since, &[problem("STORE-UNREACHABLE", since, 9)]);
            assert_eq!(reported(&mut outage, noticed_after + 30), None);
            let again = reported(&mut outage, 4 * 3_600 + 60).unwrap();
            outage.is_over(&[]);
            let closed = reported(&mut outage, 5 * 3_600).unwrap();
            assert_eq!(reported(&mut outage, 6 * 3_600), None);
            assert!(outage.receivers.is_empty());
            [opened, again, closed]
        };
        let (one, other) = (run(2), run(7));
        assert_eq!(one, other);
        let changes: Vec<_> = one.iter().flat_map(|(_, changes)| changes.clone()).collect();
        assert_eq!(changes, ["opened STORE-LOST", "still_open STORE-LOST", "closed STORE-LOST"]);
        let ids: std::collections::BTreeSet<_> = one.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
    }

    #[test]
    fn an_undelivered_report_is_sent_after_the_outage_and_then_closed() {
        let mut outage = Outage::default();
        outage.goes_on(NOW, &[problem("STORE-LOST", NOW, 1)]);
        let message = outage.due(NOW, "a", HOUR).unwrap();
        assert_eq!(outage.failed(NOW, "a", &message.id, "no connection", None), Undelivered::Again);
        outage.is_over(&[]);
        assert_eq!(reported(&mut outage, 6).unwrap().1, ["opened STORE-LOST"]);
        assert_eq!(reported(&mut outage, 16).unwrap().1, ["closed STORE-LOST"]);
        assert!(outage.receivers.is_empty(), "a receiver that was sent everything is dropped");
    }

    #[test]
    fn a_problem_that_outlives_the_outage_is_not_closed_here() {
        let mut outage = Outage::default();
        outage.goes_on(NOW, &[problem("STORE-LOST", NOW, 1), problem("STORE-DAMAGED", NOW, 1)]);
        assert_eq!(reported(&mut outage, 0).unwrap().1.len(), 2);
        outage.is_over(&[problem("STORE-DAMAGED", NOW, 3)]);
        assert_eq!(reported(&mut outage, 20).unwrap().1, ["closed STORE-LOST"]);
        assert!(outage.receivers.is_empty());
    }
}
