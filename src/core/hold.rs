//! Holds: the target (or an HR system's API, or the guard) refuses everybody, so work waits, uncounted, until a
//! probe or an operator lifts the hold. One small document, the same for all workers; every change is a pure function
//! of it, and the store only keeps it with a version.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::code::Code;
use super::person::SourceName;
use super::time::UnixMs;

/// What a hold applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HoldScope {
    /// All work.
    All,
    /// People who would be created or switched on; updates go on.
    Creates,
    /// All writes; reads are served.
    Writes,
    /// People who would be switched off, beyond what the guard allows.
    Deactivations,
    /// People whose address would change, beyond what the guard allows.
    Addresses,
    /// People who must first be read at this source's HR system.
    Fetch(SourceName),
}

impl HoldScope {
    /// Parses the word for it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "all" => Self::All,
            "creates" => Self::Creates,
            "writes" => Self::Writes,
            "deactivations" => Self::Deactivations,
            "addresses" => Self::Addresses,
            other => Self::Fetch(SourceName::parse(other.strip_prefix("fetch:")?).ok()?),
        })
    }

    /// Whether it is one of the guard's: only an operator can let more people through.
    #[must_use]
    pub fn is_guard(&self) -> bool {
        matches!(self, Self::Deactivations | Self::Addresses)
    }
}

impl fmt::Display for HoldScope {
    /// The word for it in metrics, commands and answers, and the tag under which people wait.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Creates => f.write_str("creates"),
            Self::Writes => f.write_str("writes"),
            Self::Deactivations => f.write_str("deactivations"),
            Self::Addresses => f.write_str("addresses"),
            Self::Fetch(source) => write!(f, "fetch:{source}"),
        }
    }
}

impl TryFrom<String> for HoldScope {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a scope is all, creates, writes, deactivations, addresses or fetch:SOURCE")
    }
}

impl From<HoldScope> for String {
    fn from(scope: HoldScope) -> Self {
        scope.to_string()
    }
}

/// A hold in force. At most one per scope, and an operator's beside the guard's.
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
    /// A stored hold that cannot be read: of a newer version, or damaged. It must not count as no hold, so
    /// whatever it may be meant for waits.
    fn unreadable(unread: Value) -> Self {
        let scope = unread.get("scope").and_then(Value::as_str).and_then(HoldScope::parse);
        Self {
            scope: scope.unwrap_or(HoldScope::All),
            code: Code::HoldUnreadable,
            since: unread.get("since").and_then(Value::as_i64).map(UnixMs).unwrap_or_default(),
            next_probe_at: None,
            paused_at: None,
            probes: 0,
            probing: None,
            key: None,
            detail: None,
            by: None,
            reason: None,
            unread: Some(unread),
        }
    }
}

impl Hold {
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

/// A probe in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probing {
    /// By which worker.
    pub by: String,
    /// When another worker may take over: this one may have died.
    pub until: UnixMs,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMs>,
}

/// A hold that was lifted recently. If it comes back, its pauses between probes go on growing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Which.
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

/// How long to wait between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePauses {
    /// Before the first probe.
    pub first_ms: u64,
    /// The longest pause.
    pub max_ms: u64,
}

impl ProbePauses {
    /// The pause before probe number `probes + 1`: doubling from `first_ms` up to `max_ms`.
    #[must_use]
    pub fn after(self, probes: u32) -> u64 {
        self.first_ms.saturating_mul(1_u64.checked_shl(probes).unwrap_or(u64::MAX)).min(self.max_ms)
    }
}

/// Synchronised clocks of processes differ by less, so a larger difference means that a clock was set back.
const SET_BACK_MS: u64 = 600_000;

/// All holds: the document that workers share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Holds {
    /// Those in force.
    #[serde(deserialize_with = "read_each", serialize_with = "write_each")]
    pub holds: Vec<Hold>,
    /// Those that a probe lifted recently.
    #[serde(deserialize_with = "read_known")]
    pub lifted: Vec<Lifted>,
    /// Fields of a newer version: they are kept unchanged.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

fn read_each<'de, D: Deserializer<'de>>(stored: D) -> Result<Vec<Hold>, D::Error> {
    let read = |value: Value| Hold::deserialize(&value).unwrap_or_else(|_| Hold::unreadable(value));
    Ok(Vec::<Value>::deserialize(stored)?.into_iter().map(read).collect())
}

/// Only pauses depend on these: unreadable ones are left out.
fn read_known<'de, D: Deserializer<'de>>(stored: D) -> Result<Vec<Lifted>, D::Error> {
    let stored = Value::deserialize(stored)?;
    Ok(stored.as_array().into_iter().flatten().filter_map(|value| Lifted::deserialize(value).ok()).collect())
}

fn write_each<S: Serializer>(holds: &[Hold], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Stored<'a> {
        Unread(&'a Value),
        Read(&'a Hold),
    }
    to.collect_seq(holds.iter().map(|hold| hold.unread.as_ref().map_or(Stored::Read(hold), Stored::Unread)))
}

/// The longest answer that is kept.
const DETAIL_CHARS_MAX: usize = 200;
/// How much is kept of a document that cannot be read at all: more than any has.
const UNREAD_BYTES_MAX: usize = 65_536;

impl Holds {
    /// Reads the document. An unreadable part becomes a hold that only an operator lifts.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let stored = serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
        stored.and_then(|stored| Self::deserialize(stored).ok()).unwrap_or_else(|| {
            let kept = &bytes[..bytes.len().min(UNREAD_BYTES_MAX)];
            let text = String::from_utf8_lossy(kept).into_owned();
            Self { holds: vec![Hold::unreadable(Value::String(text))], ..Self::default() }
        })
    }

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
        self.holds.push(Hold {
            scope,
            code,
            since: now,
            next_probe_at,
            paused_at,
            probes,
            probing: None,
            key: None,
            detail: None,
            by: None,
            reason: None,
            unread: None,
        });
        true
    }

    /// Sets an operator's hold in place of what the target caused in this scope. The guard's, and what cannot be read, stay
    /// beside it: lifting the one must not lift the other. Returns whether anything changed: there may be one already.
    pub fn set_by_hand(&mut self, now: UnixMs, scope: &HoldScope) -> bool {
        if self.set_by_operator(scope).is_some() {
            return false;
        }
        self.holds.retain(|hold| hold.scope != *scope || is_lifted_by_hand(hold.code));
        self.holds.push(Hold {
            scope: scope.clone(),
            code: Code::HoldOperator,
            since: now,
            next_probe_at: None,
            paused_at: None,
            probes: 0,
            probing: None,
            key: None,
            detail: None,
            by: None,
            reason: None,
            unread: None,
        });
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

    /// The hold of this scope that an operator set, by a command of ours.
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

    /// The same for the hold of this scope and code, whatever stands beside it.
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

    /// The hold whose probe is due. If the clock was set back since a pause began, the pause is over: otherwise it would
    /// last until the clock has caught up.
    #[must_use]
    pub fn due_probe(&self, now: UnixMs) -> Option<&Hold> {
        let is_over = |since: Option<UnixMs>, until: UnixMs| {
            until <= now || since.is_some_and(|since| since > now.plus_ms(SET_BACK_MS))
        };
        self.holds.iter().filter(|hold| !self.waits_for_operator(&hold.scope)).find(|hold| {
            hold.next_probe_at.is_some_and(|at| is_over(hold.paused_at, at))
                && hold.probing.as_ref().is_none_or(|probing| is_over(probing.since, probing.until))
        })
    }

    /// When the next probe may be due.
    #[must_use]
    pub fn next_probe_at(&self) -> Option<UnixMs> {
        self.holds
            .iter()
            .filter(|hold| !self.waits_for_operator(&hold.scope))
            .filter_map(|hold| {
                let at = hold.next_probe_at?;
                Some(hold.probing.as_ref().map_or(at, |probing| at.max(probing.until)))
            })
            .min()
    }

    /// Takes a due probe for `worker`. Returns whether it got it.
    pub fn begin_probe(&mut self, now: UnixMs, scope: &HoldScope, by: &str, until: UnixMs) -> bool {
        let is_due = self.due_probe(now).is_some_and(|hold| hold.scope == *scope);
        let hold = self.holds.iter_mut().find(|hold| hold.scope == *scope && hold.unread.is_none() && is_due);
        if let Some(hold) = hold {
            hold.probing = Some(Probing { by: by.to_owned(), until, since: Some(now) });
            return true;
        }
        false
    }

    /// Ends the probe that `worker` made: the hold is lifted, or its next probe comes after a longer pause. Returns
    /// whether anything changed: there may be another hold by now.
    pub fn end_probe(
        &mut self,
        now: UnixMs,
        scope: &HoldScope,
        by: &str,
        has_passed: bool,
        pauses: ProbePauses,
    ) -> bool {
        let Some(place) = self
            .holds
            .iter()
            .position(|hold| hold.scope == *scope && hold.probing.as_ref().is_some_and(|probing| probing.by == by))
        else {
            return false;
        };
        if has_passed {
            let hold = self.holds.remove(place);
            self.lifted.retain(|lifted| lifted.scope != *scope && now.ms_since(lifted.at) <= pauses.max_ms);
            self.lifted.push(Lifted { scope: hold.scope, code: hold.code, at: now, probes: hold.probes + 1 });
        } else {
            let hold = &mut self.holds[place];
            hold.probes = hold.probes.saturating_add(1);
            hold.probing = None;
            (hold.next_probe_at, hold.paused_at) = (Some(now.plus_ms(pauses.after(hold.probes))), Some(now));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: ProbePauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };

    fn held() -> Holds {
        let mut holds = Holds::default();
        assert!(holds.set(UnixMs(0), HoldScope::All, Code::HoldKey, PAUSES, None));
        holds
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let all: Vec<u64> = (0..6).map(|n| PAUSES.after(n) / 1000).collect();
        assert_eq!(all, [30, 60, 120, 240, 300, 300]);
        assert_eq!(PAUSES.after(200), 300_000);
    }

    #[test]
    fn a_standing_hold_keeps_its_pauses() {
        let mut holds = held();
        assert!(!holds.set(UnixMs(5), HoldScope::All, Code::HoldKey, PAUSES, None));
        assert_eq!(holds.get(&HoldScope::All).unwrap().next_probe_at, Some(UnixMs(30_000)));
    }

    #[test]
    fn an_operators_hold_gives_way_to_no_other() {
        let mut holds = Holds::default();
        holds.set(UnixMs(0), HoldScope::All, Code::HoldOperator, PAUSES, None);
        assert!(!holds.set(UnixMs(5), HoldScope::All, Code::HoldKey, PAUSES, None));
        assert_eq!(holds.due_probe(UnixMs(i64::MAX)), None);
    }

    #[test]
    fn one_worker_probes_at_a_time_until_it_is_given_up() {
        let mut holds = held();
        assert!(!holds.begin_probe(UnixMs(29_999), &HoldScope::All, "a", UnixMs(90_000)));
        assert!(holds.begin_probe(UnixMs(30_000), &HoldScope::All, "a", UnixMs(90_000)));
        assert!(!holds.begin_probe(UnixMs(40_000), &HoldScope::All, "b", UnixMs(99_000)));
        assert!(holds.begin_probe(UnixMs(90_000), &HoldScope::All, "b", UnixMs(99_000)));
        assert!(!holds.end_probe(UnixMs(91_000), &HoldScope::All, "a", true, PAUSES));
        assert!(holds.end_probe(UnixMs(92_000), &HoldScope::All, "b", false, PAUSES));
        assert_eq!(holds.next_probe_at(), Some(UnixMs(92_000 + 60_000)));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_pause_and_does_not_prolong_it() {
        let hour = 3_600_000;
        let mut holds = Holds::default();
        holds.set(UnixMs(2 * hour), HoldScope::All, Code::HoldKey, PAUSES, None);
        assert!(holds.due_probe(UnixMs(2 * hour - 9_000)).is_none(), "another process's clock");
        assert!(holds.begin_probe(UnixMs(hour), &HoldScope::All, "a", UnixMs(hour + 60_000)));
        assert!(holds.due_probe(UnixMs(hour)).is_none(), "one at a time");
        assert!(holds.begin_probe(UnixMs(1_000), &HoldScope::All, "b", UnixMs(61_000)), "a's is over, too");
        holds.end_probe(UnixMs(2_000), &HoldScope::All, "b", false, PAUSES);
        assert!(holds.due_probe(UnixMs(2_000)).is_none());
    }

    #[test]
    fn a_returning_hold_continues_its_pauses() {
        let mut holds = held();
        holds.begin_probe(UnixMs(30_000), &HoldScope::All, "a", UnixMs(90_000));
        holds.end_probe(UnixMs(31_000), &HoldScope::All, "a", true, PAUSES);
        assert_eq!(holds.get(&HoldScope::All), None);
        holds.set(UnixMs(40_000), HoldScope::All, Code::HoldKey, PAUSES, None);
        assert_eq!(holds.next_probe_at(), Some(UnixMs(40_000 + 60_000)));
        holds.lift(Some(&HoldScope::All));
        holds.set(UnixMs(50_000), HoldScope::All, Code::HoldKey, PAUSES, None);
        assert_eq!(holds.next_probe_at(), Some(UnixMs(80_000)));
    }

    #[test]
    fn an_unreadable_hold_holds_its_scope_or_everything_until_lifted() {
        let stored = r#"{"holds":[{"scope":"writes","code":"HOLD-OF-TOMORROW","since":7,"next_probe_at":9,"new":[1]},
            {"scope":"creates","code":"HOLD-PLAN","since":1,"next_probe_at":2,"probes":0}],"lifted":[]}"#;
        let mut holds = Holds::from_bytes(stored.as_bytes());
        let tomorrow = holds.get(&HoldScope::Writes).unwrap();
        assert_eq!((tomorrow.code, tomorrow.since), (Code::HoldUnreadable, UnixMs(7)));
        assert_eq!(holds.get(&HoldScope::Creates).unwrap().code, Code::HoldPlan);
        assert!(!holds.set(UnixMs(8), HoldScope::Writes, Code::HoldReadOnly, PAUSES, None), "it stays");
        assert!(holds.set(UnixMs(8), HoldScope::All, Code::HoldKey, PAUSES, None));
        // A version that can read it finds it unchanged.
        let again = serde_json::to_string(&holds).unwrap();
        assert!(again.contains(r#""code":"HOLD-OF-TOMORROW""#) && again.contains(r#""new":[1]"#), "{again}");
        assert_eq!(Holds::from_bytes(again.as_bytes()), holds);
        assert_eq!(holds.lift(Some(&HoldScope::Writes)).len(), 1);
        assert!(!serde_json::to_string(&holds).unwrap().contains("TOMORROW"));

        for stored in ["garbage", "[]", "7", r#"{"holds":{}}"#, r#"{"holds":[17]}"#, "\u{0}\u{1}", "null"] {
            let mut holds = Holds::from_bytes(stored.as_bytes());
            assert_eq!(holds.get(&HoldScope::All).map(|hold| hold.code), Some(Code::HoldUnreadable), "{stored}");
            assert_eq!(Holds::from_bytes(&serde_json::to_vec(&holds).unwrap()), holds, "{stored}");
            assert!(holds.lift(Some(&HoldScope::All)).len() == 1 && holds.holds.is_empty(), "{stored}");
        }
        assert_eq!(Holds::from_bytes(b""), Holds::default());
        assert_eq!(Holds::from_bytes(b"{}"), Holds::default());
        let lifted = r#"{"lifted":[{"scope":"all","code":"HOLD-OF-TOMORROW","at":1,"probes":0}]}"#;
        assert_eq!(Holds::from_bytes(lifted.as_bytes()), Holds::default(), "it is over");
    }

    #[test]
    fn an_operators_hold_and_an_unreadable_one_are_lifted_separately() {
        let newer = r#"{"holds":[{"scope":"all","code":"HOLD-OF-TOMORROW","since":7}],"of_tomorrow":{"x":[1]}}"#;
        for stored in [newer, "garbage"] {
            let mut holds = Holds::from_bytes(stored.as_bytes());
            let unread = holds.holds[0].clone();
            assert!(holds.set_by_hand(UnixMs(9), &HoldScope::All) && !holds.set_by_hand(UnixMs(11), &HoldScope::All));
            let set = holds.set_by_operator(&HoldScope::All).unwrap().clone();
            assert_eq!((set.code, set.since, holds.holds.len()), (Code::HoldOperator, UnixMs(9), 2));
            let mut again = Holds::from_bytes(&serde_json::to_vec(&holds).unwrap());
            assert_eq!(again, holds, "nothing is lost");
            assert_eq!(again.lift(Some(&HoldScope::All)), [set], "it alone");
            assert_eq!(again.lift_what_a_key_can_cause(UnixMs(12)), []);
            assert_eq!(again.holds, std::slice::from_ref(&unread));
            assert_eq!((again.lift(None), again.lift(Some(&HoldScope::All))), (vec![], vec![unread]));
        }
        let holds = Holds::from_bytes(newer.as_bytes());
        assert!(serde_json::to_string(&holds).unwrap().contains(r#""of_tomorrow":{"x":[1]}"#));
        // It replaces what the target caused.
        let mut holds = held();
        assert!(holds.set_by_hand(UnixMs(5), &HoldScope::All));
        assert_eq!((holds.holds.len(), holds.holds[0].code), (1, Code::HoldOperator));
    }

    #[test]
    fn an_operators_hold_and_the_guards_are_lifted_separately() {
        let scope = HoldScope::Deactivations;
        let mut holds = Holds::default();
        assert!(holds.set(UnixMs(1), scope.clone(), Code::HoldGuard, PAUSES, None));
        assert!(holds.set_by_hand(UnixMs(2), &scope) && !holds.set_by_hand(UnixMs(3), &scope));
        let codes = |holds: &[Hold]| holds.iter().map(|hold| hold.code).collect::<Vec<_>>();
        assert_eq!(codes(&holds.holds), [Code::HoldGuard, Code::HoldOperator]);
        assert!(holds.is_guarded(&scope) && holds.keeps_back(&scope).is_some());
        for by in [None, Some(&scope)] {
            let mut holds = holds.clone();
            assert_eq!(codes(&holds.lift(by)), [Code::HoldOperator]);
            assert!(holds.is_guarded(&scope) && holds.keeps_back(&scope).is_none());
            assert_eq!(codes(&holds.lift(Some(&scope))), [Code::HoldGuard]);
            assert_eq!(holds.holds, []);
        }
        assert_eq!(holds.get(&scope).unwrap().code, Code::HoldOperator, "who lifts it must know of it first");
        // The guard's own goes without the operator's.
        let guards = holds.holds[0].clone();
        assert_eq!(holds.clone().lift_one(&scope, Code::HoldGuard), std::slice::from_ref(&guards));
        assert!(holds.lift_same(&guards));
        assert_eq!(codes(&holds.holds), [Code::HoldOperator]);
    }

    #[test]
    fn an_operators_hold_keeps_who_set_it_and_why() {
        let mut holds = held();
        holds.sign(&HoldScope::All, "admin", None);
        assert_eq!(holds.holds[0].set_by(), None, "the target caused it");
        holds.set_by_hand(UnixMs(1), &HoldScope::All);
        holds.sign(&HoldScope::All, "admin", Some("a\u{1b}move\nof offices"));
        holds.sign(&HoldScope::All, "night", None);
        let mut again = Holds::from_bytes(&serde_json::to_vec(&holds).unwrap());
        assert_eq!(again.holds[0].set_by().unwrap(), "set by admin: amoveof offices");
        again.sign(&HoldScope::All, "night", Some(&"x".repeat(300)));
        assert_eq!(again.holds[0].reason.as_ref().unwrap().len(), DETAIL_CHARS_MAX);
        assert_eq!(again.holds[0].by.as_deref(), Some("night"));
    }

    #[test]
    fn a_new_key_lifts_every_hold_that_a_key_can_cause() {
        let fetch = HoldScope::Fetch(SourceName::parse("hr").unwrap());
        for scope in [HoldScope::All, HoldScope::Writes, fetch] {
            for place in [0, 1] {
                let mut holds = Holds::default();
                holds.set(UnixMs(0), scope.clone(), Code::HoldKey, PAUSES, None);
                let unread = Hold::unreadable(serde_json::json!({ "scope": scope, "code": "HOLD-OF-TOMORROW" }));
                holds.holds.insert(place, unread.clone());
                assert_eq!(holds.lift_what_a_key_can_cause(UnixMs(1)), std::slice::from_ref(&scope), "{place}");
                assert_eq!((holds.holds, holds.lifted.len()), (vec![unread], 1));
            }
        }
    }

    #[test]
    fn a_hold_that_only_an_operator_lifts_is_never_probed() {
        let end = UnixMs(i64::MAX);
        for (by_hand, of_target, is_probed) in [
            (HoldScope::All, HoldScope::Writes, false),
            (HoldScope::All, HoldScope::All, false),
            (HoldScope::Writes, HoldScope::Writes, false),
            (HoldScope::Writes, HoldScope::All, true),
            (HoldScope::Deactivations, HoldScope::Writes, true),
        ] {
            let mut holds = Holds::default();
            holds.set(UnixMs(0), of_target.clone(), Code::HoldRefused, PAUSES, None);
            let unread = serde_json::json!({ "scope": by_hand, "code": "HOLD-OF-TOMORROW" });
            for place in [0, 1] {
                let mut holds = holds.clone();
                holds.holds.insert(place, Hold::unreadable(unread.clone()));
                let case = format!("{by_hand} {of_target} {place}");
                assert_eq!(holds.due_probe(end).is_some(), is_probed, "{case}");
                assert_eq!(holds.next_probe_at().is_some(), is_probed, "{case}");
                assert_eq!(holds.begin_probe(UnixMs(i64::MAX - 1), &of_target, "a", end), is_probed, "{case}");
            }
        }
    }

    #[test]
    fn a_hold_keeps_the_answer_that_caused_it() {
        let mut holds = held();
        assert!(holds.say(&HoldScope::All, Code::HoldKey, "403") && !holds.say(&HoldScope::All, Code::HoldKey, "403"));
        assert!(!holds.say(&HoldScope::All, Code::HoldPlan, "x") && !holds.say(&HoldScope::Writes, Code::HoldKey, "x"));
        let again = Holds::from_bytes(&serde_json::to_vec(&holds).unwrap());
        assert_eq!(again.holds[0].detail.as_deref(), Some("403"));
    }

    #[test]
    fn scopes_round_trip() {
        let fetch = HoldScope::Fetch(SourceName::parse("hr").unwrap());
        for scope in [
            HoldScope::All,
            HoldScope::Creates,
            HoldScope::Writes,
            HoldScope::Deactivations,
            HoldScope::Addresses,
            fetch,
        ] {
            assert_eq!(HoldScope::parse(&scope.to_string()), Some(scope));
        }
        assert_eq!(HoldScope::parse("nobody"), None);
    }
}
