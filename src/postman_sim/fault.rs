//! Configurable faults: what goes wrong, on which calls, and how often.
//!
//! On a command line a fault is `ON:WHAT` with any number of `:OPTION`s, such as
//! `create:no-slots:3`, `any:spike-503:5%`, `replace:reset:after`, `find:delay:delay=2000:forever`,
//! `any:rate-limited:2:hint=retry-after=2`:
//!
//! - `ON`: `any`, `write`, `read`, or one operation: `create`, `get`, `find`, `page`, `replace`,
//!   `activate`, `deactivate`, `set_user_name`, `discover`.
//! - `WHAT`: a reply of [`ReplyName`], a bare status such as `502`, or one of `reset`, `close`,
//!   `hang`, `half-body`, `empty`, `wrong-type`, `not-json`, `html`, `redirect`, `garbage`, `delay`,
//!   `lag` (a read shows the team as it was a while ago).
//! - `OPTION`: `N` (the next N calls), `P%` (that share of the calls, until removed), `forever`, `after` (the change is
//!   made first), `delay=MS`, `by=MS` (how far a read lags behind), `user=USERNAME-OR-ID`, `hint=HEADER[=SECONDS]`.
//!   Without a number, a share or `forever`, a fault strikes the next call only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::journal::{FaultName, Operation};
use super::options::Hint;
use super::replies::ReplyName;

/// One fault.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls it strikes.
    #[serde(default)]
    pub on: On,
    /// What happens to those calls.
    pub what: What,
    /// The change is made before the fault strikes, but the caller does not learn of it.
    #[serde(default)]
    pub after: bool,
    /// How many calls it strikes; none: all, until it is removed.
    #[serde(default)]
    pub times: Option<u64>,
    /// The share of calls that it strikes, in `[0, 1]`; none: all.
    #[serde(default)]
    pub share: Option<f64>,
    /// Only calls about this member: a `userName` (case does not matter) or an id.
    #[serde(default)]
    pub user: Option<String>,
    /// Delay of the reply in milliseconds; unless `after`, the change is delayed, too.
    #[serde(default)]
    pub delay_ms: u64,
    /// Milliseconds by which a read lags behind.
    #[serde(default)]
    pub by_ms: u64,
    /// Headers that say how long to wait.
    #[serde(default)]
    pub hints: Vec<Hint>,
}

impl Fault {
    /// `what` for the next `times` calls of `on`, before any change is made.
    #[must_use]
    pub fn next(times: u64, on: On, what: What) -> Self {
        let times = Some(times);
        Self { on, what, after: false, times, share: None, user: None, delay_ms: 0, by_ms: 0, hints: Vec::new() }
    }

    /// Restricts the fault to calls about this `userName` or id.
    #[must_use]
    pub fn about(self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self }
    }
}

/// Which calls a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Every call.
    #[default]
    Any,
    /// POST, PUT and PATCH.
    Write,
    /// GET.
    Read,
    /// One operation.
    #[serde(untagged)]
    Only(Operation),
}

impl On {
    fn strikes(self, operation: Operation) -> bool {
        match self {
            Self::Any => true,
            Self::Write => operation.is_write(),
            Self::Read => !operation.is_write(),
            Self::Only(only) => only == operation,
        }
    }
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A reply that Postman documents.
    Reply(ReplyName),
    /// Any reply.
    Custom(Custom),
    /// A TCP reset, without a byte of a reply.
    Reset,
    /// The connection is closed cleanly, without a byte of a reply.
    Close,
    /// No reply, until the client hangs up.
    Hang,
    /// The real reply, cut off after half of its body. The change is made.
    HalfBody,
    /// The real status with no body. The change is made.
    Empty,
    /// The real reply, labelled `text/plain`. The change is made.
    WrongType,
    /// The real status and type with a body that is not JSON. The change is made.
    NotJson,
    /// 502 with an HTML page, as gateways send it.
    Html,
    /// 302 to another address.
    Redirect,
    /// Bytes that are not HTTP.
    Garbage,
    /// Nothing but the fault's `delay_ms`.
    Delay,
    /// A read is answered from the team as it was the fault's `by_ms` ago.
    Lag,
}

impl What {
    /// Whether it needs the real reply, and so the change to be made.
    pub(super) fn spoils_the_true_reply(&self) -> bool {
        matches!(self, Self::HalfBody | Self::Empty | Self::WrongType | Self::NotJson | Self::Delay | Self::Lag)
    }

    const PLAIN: [(&'static str, Self); 12] = [
        ("reset", Self::Reset),
        ("close", Self::Close),
        ("hang", Self::Hang),
        ("half-body", Self::HalfBody),
        ("empty", Self::Empty),
        ("wrong-type", Self::WrongType),
        ("not-json", Self::NotJson),
        ("html", Self::Html),
        ("redirect", Self::Redirect),
        ("garbage", Self::Garbage),
        ("delay", Self::Delay),
        ("lag", Self::Lag),
    ];
}

/// A reply that is not in the table.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// Headers, except `Content-Type` and `Content-Length`.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// `Content-Type`; none: JSON; empty: the header is left out.
    #[serde(default)]
    pub content_type: Option<String>,
}

impl fmt::Debug for Custom {
    /// Without the body, which may contain personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({})", self.status)
    }
}

/// A fault that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFault {
    /// It does not follow the grammar in this module's documentation.
    #[error("{part:?} in the fault {fault:?} is not understood: write ON:WHAT[:OPTION]…, such as create:no-slots:3")]
    Grammar {
        /// The whole fault.
        fault: String,
        /// The part that was not understood.
        part: String,
    },
    /// A share outside of `[0, 1]`.
    #[error("a fault's share must be between 0 and 1 (0% and 100%)")]
    Share,
    /// A status outside of 200 to 599.
    #[error("a fault's status must be between 200 and 599")]
    Status,
    /// A header that would corrupt the reply.
    #[error("a fault's header names and values must be visible ASCII on one line")]
    Header,
}

impl Fault {
    /// Whether the fault is valid.
    pub(super) fn check(&self) -> Result<(), BadFault> {
        if self.share.is_some_and(|s| !(0.0..=1.0).contains(&s)) {
            return Err(BadFault::Share);
        }
        if let What::Custom(custom) = &self.what {
            if !(200..600).contains(&custom.status) {
                return Err(BadFault::Status);
            }
            let one_line = |s: &str| s.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            let named = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let fine = custom.headers.iter().all(|(k, v)| named(k) && one_line(v))
                && custom.content_type.as_deref().is_none_or(one_line);
            if !fine {
                return Err(BadFault::Header);
            }
        }
        Ok(())
    }
}

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |part: &str| BadFault::Grammar { fault: text.to_owned(), part: part.to_owned() };
        let mut parts = text.split(':');
        let on = parts.next().unwrap_or_default();
        let on = match on {
            "any" => On::Any,
            "write" => On::Write,
            "read" => On::Read,
            other => On::Only(other.parse().map_err(|_| bad(other))?),
        };
        let what = parts.next().unwrap_or_default();
        let what = if let Some((_, plain)) = What::PLAIN.iter().find(|(name, _)| *name == what) {
            plain.clone()
        } else if let Ok(status) = what.parse() {
            What::Custom(Custom { status, headers: Vec::new(), body: String::new(), content_type: None })
        } else {
            What::Reply(what.parse().map_err(|_| bad(what))?)
        };
        let mut fault = Self::next(1, on, what);
        for part in parts {
            match part.split_once('=') {
                None if part == "after" => fault.after = true,
                None if part == "forever" => fault.times = None,
                None => match part.strip_suffix('%') {
                    Some(percent) => {
                        fault.share = Some(percent.parse::<f64>().map_err(|_| bad(part))? / 100.0);
                        fault.times = None;
                    }
                    None => fault.times = Some(part.parse().map_err(|_| bad(part))?),
                },
                Some(("delay", ms)) => fault.delay_ms = ms.parse().map_err(|_| bad(part))?,
                Some(("by", ms)) => fault.by_ms = ms.parse().map_err(|_| bad(part))?,
                Some(("user", who)) => fault.user = Some(who.to_owned()),
                Some(("hint", hint)) => fault.hints.push(hint.parse().map_err(|_| bad(part))?),
                Some(_) => return Err(bad(part)),
            }
        }
        fault.check()?;
        Ok(fault)
    }
}

impl fmt::Display for Fault {
    /// Its name in the journal: where it strikes, what it is, and whether after the change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.on {
            On::Any => f.write_str("any")?,
            On::Write => f.write_str("write")?,
            On::Read => f.write_str("read")?,
            On::Only(operation) => f.write_str(operation.as_str())?,
        }
        match &self.what {
            What::Reply(reply) => write!(f, ":{reply}")?,
            What::Custom(custom) => write!(f, ":{}", custom.status)?,
            plain => {
                let name = What::PLAIN.iter().find(|(_, p)| p == plain).map_or("", |(name, _)| name);
                write!(f, ":{name}")?;
            }
        }
        if self.after { f.write_str(":after") } else { Ok(()) }
    }
}

impl fmt::Debug for Fault {
    /// Leaves out the person that the fault is about: personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self}, times {:?}, share {:?})", self.times, self.share)
    }
}

/// A fault that is in force.
#[derive(Debug, Clone, Serialize)]
pub struct InjectedFault {
    /// Its number, by which it can be removed.
    pub id: u64,
    /// How many calls it has struck so far.
    pub struck: u64,
    /// The fault itself.
    #[serde(serialize_with = "shared")]
    pub fault: Arc<Fault>,
    #[serde(skip)]
    label: FaultName,
}

fn shared<S: serde::Serializer>(fault: &Fault, to: S) -> Result<S::Ok, S::Error> {
    fault.serialize(to)
}

/// All faults in force, oldest first; of those that match a call, the first one strikes.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pending: Vec<InjectedFault>,
    next_id: u64,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) -> Result<u64, BadFault> {
        fault.check()?;
        self.next_id += 1;
        let label = FaultName::new(&fault.to_string());
        self.pending.push(InjectedFault { id: self.next_id, struck: 0, fault: Arc::new(fault), label });
        Ok(self.next_id)
    }

    pub(super) fn list(&self) -> &[InjectedFault] {
        &self.pending
    }

    /// Removes one by its id, or all; returns how many.
    pub(super) fn remove(&mut self, id: Option<u64>) -> usize {
        let before = self.pending.len();
        self.pending.retain(|o| id.is_some_and(|id| o.id != id));
        before - self.pending.len()
    }

    /// The fault that strikes this call, and its name in the journal. `is_about` says whether the call is about the
    /// member that a fault names.
    pub(super) fn strike(
        &mut self,
        operation: Operation,
        is_about: impl Fn(&str) -> bool,
        rng: &mut fastrand::Rng,
    ) -> Option<(Arc<Fault>, FaultName)> {
        let at = self.pending.iter().position(|o| {
            let fault = &o.fault;
            fault.times.is_none_or(|times| o.struck < times)
                && fault.on.strikes(operation)
                && fault.user.as_deref().is_none_or(&is_about)
                && fault.share.is_none_or(|share| rng.f64() < share)
        })?;
        let hit = self.pending.get_mut(at)?;
        hit.struck += 1;
        let found = (Arc::clone(&hit.fault), hit.label.clone());
        if hit.fault.times.is_some_and(|times| hit.struck >= times) {
            self.pending.remove(at);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(faults: &mut Faults, operation: Operation, who: &str) -> Option<String> {
        let struck = faults.strike(operation, |named| named == who, &mut fastrand::Rng::with_seed(1));
        struck.map(|(_, name)| name.as_str().to_owned())
    }

    #[test]
    fn the_first_matching_fault_strikes_until_used_up() {
        let mut faults = Faults::default();
        for text in ["get:reset", "create:no-slots:2", "any:spike-503:forever"] {
            faults.inject(text.parse().unwrap()).unwrap();
        }
        let mut next = || strikes(&mut faults, Operation::Create, "");
        assert_eq!(
            [next(), next(), next()].map(Option::unwrap),
            ["create:no-slots", "create:no-slots", "any:spike-503"]
        );
        assert_eq!(faults.list().iter().map(|o| (o.id, o.struck)).collect::<Vec<_>>(), [(1, 0), (3, 1)]);
        assert_eq!((faults.remove(Some(2)), faults.remove(Some(3)), faults.remove(None)), (0, 1, 1));
    }

    #[test]
    fn a_fault_about_somebody_waits_for_them() {
        let mut faults = Faults::default();
        faults.inject("write:close:user=ada".parse().unwrap()).unwrap();
        assert_eq!(strikes(&mut faults, Operation::Replace, "bob"), None);
        assert_eq!(strikes(&mut faults, Operation::Get, "ada"), None);
        assert_eq!(strikes(&mut faults, Operation::Replace, "ada").as_deref(), Some("write:close"));
        assert_eq!(strikes(&mut faults, Operation::Replace, "ada"), None);
    }

    #[test]
    fn a_share_of_zero_never_strikes() {
        let mut faults = Faults::default();
        faults.inject("any:reset:0%".parse().unwrap()).unwrap();
        assert!((0..100).all(|_| strikes(&mut faults, Operation::Get, "").is_none()));
        assert_eq!("any:reset:101%".parse::<Fault>(), Err(BadFault::Share));
    }
}
