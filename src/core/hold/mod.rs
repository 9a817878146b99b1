//! Holds: the target (or an HR system's API, or the guard) refuses everybody, so work waits, uncounted, until a
//! probe or an operator lifts the hold. One small document, the same for all workers; every change is a pure function
//! of it, and the store only keeps it with a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::probe::{ProbePauses, Probing};
pub use self::scope::HoldScope;
use super::code::Code;
use super::time::UnixMs;

mod probe;
mod scope;
mod stored;
#[cfg(test)]
mod tests;

/// A hold in force. At most one per scope, except that an operator's may be in force in addition to the guard's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What waits.
    pub scope: HoldScope,
    /// Why: one of the `HOLD-` codes.
    pub code: Code,
    /// When it began.
    pub since: UnixMs,
    /// When the next probe may be made; none for a hold that only an operator lifts.
    pub next_probe_at: Option<UnixMs>,
    /// When that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<UnixMs>,
    /// How many probes have been made.
    pub probes: u32,
    /// The probe in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probing: Option<Probing>,
    /// The fingerprint of the refused key, if a key can be the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was answered, in a line without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The operator who set it, by the name of their token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Their reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The stored text, if this version cannot read it: it is kept unchanged.
    #[serde(skip)]
    pub unread: Option<Value>,
}

impl Hold {
    /// A hold that has just begun, and that nobody probes.
    fn new(scope: HoldScope, code: Code, since: UnixMs) -> Self {
        Self {
            scope,
            code,
            since,
            next_probe_at: None,
            paused_at: None,
            probes: 0,
            probing: None,
            key: None,
            detail: None,
            by: None,
            reason: None,
            unread: None,
        }
    }

    /// Who set it, and why: `set by admin: maintenance`.
    #[must_use]
    pub fn set_by(&self) -> Option<String> {
        set_by(self.by.as_deref(), self.reason.as_deref())
    }
}

/// `set by admin: maintenance`
#[must_use]
pub fn set_by(by: Option<&str>, reason: Option<&str>) -> Option<String> {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("set by {}{reason}", by?))
}

/// A hold that was lifted recently. If it comes back, its pauses between probes go on growing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Its scope.
    pub scope: HoldScope,
    /// Its code.
    pub code: Code,
    /// When it happened.
    pub at: UnixMs,
    /// How many probes it had.
    pub probes: u32,
}

/// Whether only an operator lifts a hold with this code. It has no probes, and no other hold replaces it.
#[must_use]
pub fn is_lifted_by_hand(code: Code) -> bool {
    matches!(code, Code::HoldOperator | Code::HoldCopied | Code::HoldGuard | Code::HoldUnreadable)
}

/// Where several stand side by side in one scope: which is lifted first.
fn rank(code: Code) -> u8 {
    match code {
        Code::HoldUnreadable => 2,
        Code::HoldGuard => 1,
        _ => 0,
    }
}

/// Whether a new key may lift a hold with this code.
#[must_use]
pub fn is_caused_by_key(code: Code) -> bool {
    matches!(
        code,
        Code::HoldKey
            | Code::HoldAdminLeft
            | Code::HoldTeamGone
            | Code::HoldPlan
            | Code::HoldRefused
            | Code::HoldReadOnly
            | Code::HoldFetch
    )
}

/// All holds: the document that workers share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Holds {
    /// Those in force.
    #[serde(deserialize_with = "stored::read_each", serialize_with = "stored::write_each")]
    pub holds: Vec<Hold>,
    /// Those that a probe lifted recently.
    #[serde(deserialize_with = "stored::read_known")]
    pub lifted: Vec<Lifted>,
    /// Fields of a newer version: they are kept unchanged.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// The longest answer that is kept.
const DETAIL_CHARS_MAX: usize = 200;

impl Holds {
    /// The hold of this scope; of several, the one that is lifted first.
    #[must_use]
    pub fn get(&self, scope: &HoldScope) -> Option<&Hold> {
        self.of(scope).first().copied()
    }

    /// All holds of this scope, side by side, in the order in which they are lifted.
    #[must_use]
    pub fn of(&self, scope: &HoldScope) -> Vec<&Hold> {
        let mut found: Vec<_> = self.holds.iter().filter(|hold| hold.scope == *scope).collect();
        found.sort_by_key(|hold| rank(hold.code));
        found
    }

    /// Sets a hold; returns whether anything changed. An existing hold with the same code stays as it is, with its
    /// pauses, and an operator's stays whatever the code. `not_before`: until when the target asked us to wait.
    pub fn set(
        &mut self,
        now: UnixMs,
        scope: HoldScope,
        code: Code,
        pauses: ProbePauses,
        not_before: Option<UnixMs>,
    ) -> bool {
        let mut standing = self.holds.iter().filter(|hold| hold.scope == scope);
        if standing.any(|hold| hold.code == code || is_lifted_by_hand(hold.code)) {
            return false;
        }
        let came_back = self
            .lifted
            .iter()
            .find(|lifted| lifted.scope == scope && lifted.code == code && now.ms_since(lifted.at) <= pauses.max_ms);
        let probes = came_back.map_or(0, |lifted| lifted.probes);
        let next_probe_at =
            (!is_lifted_by_hand(code)).then(|| now.plus_ms(pauses.after(probes)).max(not_before.unwrap_or(now)));
        self.holds.retain(|hold| hold.scope != scope);
        let paused_at = next_probe_at.map(|_| now);
        self.holds.push(Hold { next_probe_at, paused_at, probes, ..Hold::new(scope, code, now) });
        true
    }

    /// Sets an operator's hold in place of what the target caused in this scope. The guard's, and what cannot be read, stay
    /// in force, too: lifting the one must not lift the other. Returns whether anything changed: there may be one already.
    pub fn set_by_hand(&mut self, now: UnixMs, scope: &HoldScope) -> bool {
        if self.set_by_operator(scope).is_some() {
            return false;
        }
        self.holds.retain(|hold| hold.scope != *scope || is_lifted_by_hand(hold.code));
        self.holds.push(Hold::new(scope.clone(), Code::HoldOperator, now));
        true
    }

    /// Notes who set the operator's hold of this scope, and why. If there was one before, only a reason changes it.
    pub fn sign(&mut self, scope: &HoldScope, by: &str, reason: Option<&str>) {
        let is_it = |hold: &&mut Hold| hold.scope == *scope && hold.code == Code::HoldOperator;
        let Some(hold) = self.holds.iter_mut().find(is_it) else { return };
        if hold.by.is_none() || reason.is_some() {
            let shown = |reason: &str| reason.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS_MAX).collect();
            (hold.by, hold.reason) = (Some(by.to_owned()), reason.map(shown));
        }
    }

    /// Notes what was answered, for the operator. Returns whether that is news.
    pub fn say(&mut self, scope: &HoldScope, code: Code, detail: &str) -> bool {
        let is_it = |hold: &&mut Hold| hold.scope == *scope && hold.code == code;
        let Some(hold) = self.holds.iter_mut().find(is_it) else { return false };
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        let is_news = hold.detail.as_ref() != Some(&detail);
        hold.detail = Some(detail);
        is_news
    }

    /// The hold of this scope that an operator set.
    #[must_use]
    pub fn set_by_operator(&self, scope: &HoldScope) -> Option<&Hold> {
        self.holds
            .iter()
            .find(|hold| hold.scope == *scope && matches!(hold.code, Code::HoldOperator | Code::HoldCopied))
    }

    /// Whether the guard holds this scope.
    #[must_use]
    pub fn is_guarded(&self, scope: &HoldScope) -> bool {
        self.holds.iter().any(|hold| hold.scope == *scope && hold.code == Code::HoldGuard)
    }

    /// The hold that holds all of this scope, whatever the guard allows.
    #[must_use]
    pub fn keeps_back(&self, scope: &HoldScope) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.scope == *scope && hold.code != Code::HoldGuard)
    }

    /// Lifts this very hold, and no other of its scope.
    pub fn lift_same(&mut self, seen: &Hold) -> bool {
        let before = self.holds.len();
        let is_same = |hold: &Hold| hold.scope == seen.scope && hold.since == seen.since && hold.unread == seen.unread;
        self.holds.retain(|hold| !is_same(hold));
        self.holds.len() != before
    }

    /// Whether only an operator lets this scope's work go on: then nothing in it is tried, not even by a probe.
    fn waits_for_operator(&self, scope: &HoldScope) -> bool {
        let covers = |hold: &Hold| hold.scope == *scope || hold.scope == HoldScope::All;
        self.holds.iter().any(|hold| is_lifted_by_hand(hold.code) && covers(hold))
    }

    /// Lifts a hold by hand; its pauses are forgotten. Where several stand side by side in one scope, an operator's or the
    /// target's is lifted first, then the guard's, and last what cannot be read: to lift one says nothing about the others.
    /// Without a scope, all but the guard's and those that cannot be read are lifted. Returns those that were lifted.
    pub fn lift(&mut self, scope: Option<&HoldScope>) -> Vec<Hold> {
        let first = match scope {
            None => Some(0),
            Some(scope) => self.get(scope).map(|hold| rank(hold.code)),
        };
        let of_scope = |hold: &Hold| scope.is_none_or(|scope| hold.scope == *scope);
        self.lift_where(|hold| of_scope(hold) && Some(rank(hold.code)) == first)
    }

    /// Lifts the hold of this scope and code, and no other one of that scope.
    pub fn lift_one(&mut self, scope: &HoldScope, code: Code) -> Vec<Hold> {
        self.lift_where(|hold| hold.scope == *scope && hold.code == code)
    }

    fn lift_where(&mut self, is_meant: impl Fn(&Hold) -> bool) -> Vec<Hold> {
        let lifted: Vec<Hold> = self.holds.extract_if(.., |hold| is_meant(hold)).collect();
        self.lifted.retain(|past| lifted.iter().all(|hold| hold.scope != past.scope));
        lifted
    }

    /// Lifts the holds that a key can have caused, now that there may be another. If one comes back soon, its pauses go on
    /// growing. Returns what was held.
    pub fn lift_what_a_key_can_cause(&mut self, now: UnixMs) -> Vec<HoldScope> {
        let is_meant = |hold: &mut Hold| {
            let scopes = matches!(hold.scope, HoldScope::All | HoldScope::Writes | HoldScope::Fetch(_));
            scopes && is_caused_by_key(hold.code) && hold.unread.is_none()
        };
        let lifted: Vec<Hold> = self.holds.extract_if(.., is_meant).collect();
        for hold in &lifted {
            self.lifted.retain(|past| past.scope != hold.scope);
            self.lifted.push(Lifted { scope: hold.scope.clone(), code: hold.code, at: now, probes: hold.probes });
        }
        lifted.into_iter().map(|hold| hold.scope).collect()
    }
}
