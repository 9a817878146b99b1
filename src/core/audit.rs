//! Who did what, when and why: operators' latest actions, kept with the store. Without personal data:
//! a person is shown by number.

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

/// How many acts are kept; the oldest are dropped first.
pub const LINES_MAX: usize = 500;
/// Longest reason that is kept, in characters.
pub const REASON_CHARS_MAX: usize = 200;

/// What an operator can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Tried dead letters again.
    Replay,
    /// Discarded a dead letter.
    Discard,
    /// Had a waiting person tried at once.
    TryNow,
    /// Corrected a field of a record that could not be mapped, and tried it again.
    Correct,
    /// Set a hold.
    SetHold,
    /// Lifted a hold.
    LiftHold,
    /// Let more through the guard.
    Allow,
    /// Erased a person.
    Erase,
    /// Looked at a payload that could not be mapped.
    ShowPayload,
    /// Had a source's deliveries captured.
    CaptureOn,
    /// Stopped capturing a source's deliveries.
    CaptureOff,
    /// Looked at a captured delivery.
    ShowCapture,
    /// Staged a roster.
    Import,
    /// Applied the staged roster.
    Apply,
    /// Compared HR and the members.
    Compare,
    /// Logged in to the console.
    LogIn,
    /// An act that this version does not know.
    #[serde(other)]
    Other,
}

impl Act {
    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
            Self::TryNow => "tried now",
            Self::Correct => "corrected and replayed",
            Self::SetHold => "held",
            Self::LiftHold => "lifted the hold",
            Self::Allow => "let through",
            Self::Erase => "erased",
            Self::ShowPayload => "looked at the payload of",
            Self::CaptureOn => "captured",
            Self::CaptureOff => "stopped capturing",
            Self::ShowCapture => "looked at the captured delivery",
            Self::Import => "imported",
            Self::Apply => "applied",
            Self::Compare => "compared",
            Self::LogIn => "logged in",
            Self::Other => "did something else",
        }
    }
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it happened.
    pub at: UnixMs,
    /// The operator, by the name of their token.
    pub by: String,
    /// What was done.
    pub act: Act,
    /// To what: a dead letter's id, a scope, a filter, a person's number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// To how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The reason, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The last acts, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// The acts.
    pub lines: Vec<Line>,
    /// How many older ones were dropped.
    pub dropped: u64,
}

impl Audit {
    /// Adds an act.
    pub fn push(&mut self, mut line: Line) {
        line.reason = line.reason.map(|reason| reason.chars().take(REASON_CHARS_MAX).collect());
        self.lines.push(line);
        if self.lines.len() > LINES_MAX {
            self.lines.remove(0);
            self.dropped += 1;
        }
    }

    /// Removes what operators wrote about these targets: a reason may name a person.
    pub fn forget_reasons(&mut self, is_meant: impl Fn(&str) -> bool) {
        for line in self.lines.iter_mut().filter(|line| is_meant(&line.target)) {
            line.reason = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: i64) -> Line {
        let reason = Some("x".repeat(1_000));
        Line { at: UnixMs(n), by: "admin".to_owned(), act: Act::Discard, target: n.to_string(), count: None, reason }
    }

    #[test]
    fn the_last_acts_are_kept_and_the_others_counted() {
        let mut audit = Audit::default();
        (0..510).for_each(|n| audit.push(line(n)));
        assert_eq!((audit.lines.len(), audit.dropped, audit.lines[0].at), (LINES_MAX, 10, UnixMs(10)));
        assert_eq!(audit.lines[0].reason.as_ref().map(String::len), Some(REASON_CHARS_MAX));
    }

    #[test]
    fn a_reason_is_forgotten_and_the_act_stays() {
        let mut audit = Audit::default();
        (0..3).for_each(|n| audit.push(line(n)));
        audit.forget_reasons(|target| target == "1");
        assert_eq!(audit.lines.iter().map(|line| line.reason.is_some()).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn an_act_from_a_newer_version_is_shown_as_such() {
        let audit: Audit = serde_json::from_str(r#"{"lines":[{"at":1,"by":"a","act":"fly"}]}"#).unwrap();
        assert_eq!(audit.lines[0].act, Act::Other);
    }
}
