//! Captured deliveries: kept for a while so that an operator can look at them. Off unless an operator switches it on
//! for a source; everything is deleted after an hour.
//!
//! A shared document: any process may capture a delivery, and any may be asked for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

/// The name of the shared document.
pub const DOCUMENT: &str = "captures";
/// How long a delivery is kept, and how long a source is captured at most, in milliseconds.
pub const KEPT_MS: u64 = 3_600_000;
/// The most deliveries of one source that can be kept.
pub const KEEP_MAX: usize = 50;
/// How many deliveries of one source are kept by default.
pub const KEEP: usize = 10;
/// Largest body that is kept, in bytes.
pub const BODY_BYTES_MAX: usize = 262_144;
/// Bytes of all of them together: the document is written as a whole.
const BYTES_MAX: usize = 1_048_576;

/// The captured sources and deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Captures {
    /// The sources that are captured.
    pub orders: BTreeMap<String, Order>,
    /// The captured deliveries, oldest first.
    pub taken: Vec<Capture>,
}

/// How a source is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// When it ends.
    pub until: UnixMs,
    /// How many of its last deliveries are kept.
    pub keep: usize,
    /// Anything from before is not kept: it may contain a person who was erased.
    #[serde(default)]
    pub from: UnixMs,
}

/// A delivery as received. Contains personal data, and perhaps a secret that was sent with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Its id.
    pub id: String,
    /// The source that it was posted to.
    pub source: String,
    /// When it was received.
    pub at: UnixMs,
    /// From where, as reported by trusted proxies.
    pub client: String,
    /// The method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, in base64; none if it is incomplete, or too large.
    pub body: Option<String>,
    /// Its result: a word of the metric's `result`.
    pub result: String,
    /// Why it was refused, in the words of `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status that it was answered with.
    pub status: u16,
}

impl std::fmt::Debug for Capture {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("id", &self.id).field("result", &self.result).finish_non_exhaustive()
    }
}

impl Capture {
    /// About its size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        headers + self.url.len() + self.body.as_ref().map_or(0, String::len) + 256
    }
}

impl Captures {
    /// Captures a source from now on, for an hour.
    pub fn switch_on(&mut self, now: UnixMs, source: &str, keep: usize) -> Order {
        self.tidy(now);
        let from = self.orders.get(source).map(|order| order.from).unwrap_or_default();
        let order = Order { until: now.plus_ms(KEPT_MS), keep: keep.clamp(1, KEEP_MAX), from };
        self.orders.insert(source.to_owned(), order);
        order
    }

    /// Stops capturing a source, and deletes what was captured. Returns how many deliveries that were, or nothing if
    /// there was nothing to do.
    pub fn switch_off(&mut self, source: &str) -> Option<usize> {
        let before = self.taken.len();
        self.taken.retain(|capture| capture.source != source);
        let forgotten = before - self.taken.len();
        (self.orders.remove(source).is_some() || forgotten > 0).then_some(forgotten)
    }

    /// Deletes what was captured from a source until now, even what a process has not written yet. Returns whether
    /// there was anything to do.
    pub fn forget(&mut self, now: UnixMs, source: &str) -> bool {
        let before = self.taken.len();
        self.taken.retain(|capture| capture.source != source);
        let order = self.orders.get_mut(source);
        let is_on = order.map(|order| order.from = now).is_some();
        is_on || before != self.taken.len()
    }

    /// How a source is captured now, if it is.
    #[must_use]
    pub fn order(&self, now: UnixMs, source: &str) -> Option<Order> {
        self.orders.get(source).copied().filter(|order| now < order.until)
    }

    /// Keeps deliveries whose sources are still captured: the newest of each, as far as space allows. One that is there
    /// already is not added again: it was written before, and the reply was lost.
    pub fn keep(&mut self, now: UnixMs, new: Vec<Capture>) {
        for capture in new {
            let Some(order) = self.order(now, &capture.source) else { continue };
            if capture.at < order.from || self.taken.iter().any(|other| other.id == capture.id) {
                continue;
            }
            let of_source = |other: &Capture| other.source == capture.source;
            while self.taken.iter().filter(|other| of_source(other)).count() >= order.keep {
                let Some(oldest) = self.taken.iter().position(of_source) else { break };
                self.taken.remove(oldest);
            }
            self.taken.push(capture);
        }
        self.tidy(now);
        while self.taken.iter().map(Capture::bytes).sum::<usize>() > BYTES_MAX {
            self.taken.remove(0);
        }
    }

    /// Deletes what is older than an hour. Returns whether there was anything.
    pub fn tidy(&mut self, now: UnixMs) -> bool {
        let before = (self.taken.len(), self.orders.len());
        self.taken.retain(|capture| now < capture.at.plus_ms(KEPT_MS));
        self.orders.retain(|_, order| now < order.until);
        before != (self.taken.len(), self.orders.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn capture(source: &str, id: usize, body_bytes: usize) -> Capture {
        Capture {
            id: id.to_string(),
            source: source.to_owned(),
            at: NOW,
            client: "192.0.2.1".to_owned(),
            method: "POST".to_owned(),
            url: "/webhooks/hr".to_owned(),
            headers: Vec::new(),
            body: Some("x".repeat(body_bytes)),
            result: "forged".to_owned(),
            reason: Some("mismatch".to_owned()),
            status: 401,
        }
    }

    fn ids(captures: &Captures) -> Vec<&str> {
        captures.taken.iter().map(|capture| capture.id.as_str()).collect()
    }

    #[test]
    fn the_last_deliveries_of_each_source_are_kept_while_it_is_captured() {
        let mut captures = Captures::default();
        captures.keep(NOW, vec![capture("hr", 0, 1)]);
        assert!(captures.taken.is_empty(), "off unless it is switched on");
        captures.switch_on(NOW, "hr", 2);
        captures.switch_on(NOW, "other", 99);
        assert_eq!(captures.order(NOW, "other").unwrap().keep, KEEP_MAX);
        captures.keep(NOW, vec![capture("other", 9, 1)]);
        captures.keep(NOW, (1..=3).map(|id| capture("hr", id, 1)).collect());
        assert_eq!(ids(&captures), ["9", "2", "3"]);
        assert_eq!(captures.switch_off("hr"), Some(2));
        assert_eq!((captures.switch_off("hr"), ids(&captures)), (None, vec!["9"]));
    }

    #[test]
    fn a_forgotten_capture_does_not_return_with_a_late_write() {
        let mut captures = Captures::default();
        captures.switch_on(NOW, "hr", 5);
        captures.switch_on(NOW, "other", 5);
        captures.keep(NOW, vec![capture("hr", 1, 1), capture("other", 2, 1)]);
        captures.keep(NOW, vec![capture("hr", 1, 1)]);
        assert_eq!(ids(&captures), ["1", "2"], "written twice, it is there once");
        assert!(captures.forget(NOW.plus_ms(1), "hr"));
        captures.switch_on(NOW.plus_ms(1), "hr", 7);
        let after = Capture { at: NOW.plus_ms(1), ..capture("hr", 4, 1) };
        captures.keep(NOW.plus_ms(2), vec![capture("hr", 3, 1), after]);
        assert_eq!(ids(&captures), ["2", "4"]);
        assert!(!captures.forget(NOW, "nobody"));
    }

    #[test]
    fn after_an_hour_nothing_is_left() {
        let mut captures = Captures::default();
        captures.switch_on(NOW, "hr", 2);
        captures.keep(NOW, vec![capture("hr", 1, 1)]);
        assert!(!captures.tidy(NOW.plus_ms(KEPT_MS - 1)) && captures.taken.len() == 1);
        assert!(captures.tidy(NOW.plus_ms(KEPT_MS)));
        assert_eq!(captures, Captures::default());
    }

    #[test]
    fn large_deliveries_push_out_older_ones() {
        let mut captures = Captures::default();
        captures.switch_on(NOW, "hr", 50);
        captures.keep(NOW, (1..=5).map(|id| capture("hr", id, 300_000)).collect());
        assert_eq!(ids(&captures), ["3", "4", "5"]);
        assert!(!format!("{captures:?}").contains("192.0.2.1"));
    }
}
