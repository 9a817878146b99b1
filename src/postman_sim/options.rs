//! The stand-in's options: set at start; some can be changed at run time.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::time::UnixMs;

/// How the stand-in behaves. All but `listen` and `seed` can be changed at run time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimOptions {
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The SCIM key that it accepts.
    pub key: String,
    /// Which form of `Authorization` it accepts.
    pub auth: AuthAccepted,
    /// Writes (POST, PUT, PATCH) allowed in any window; 0: no limit. Postman: 180.
    pub writes: u32,
    /// Reads (GET) allowed in any window; 0: no limit. Postman: 300.
    pub reads: u32,
    /// Length of the window in milliseconds; 0: no limits. Postman: a minute.
    pub window_ms: u64,
    /// Seats of the team: active members and open invitations; none: unlimited.
    pub seats: Option<usize>,
    /// Seed for ids, and for faults that strike a share of the calls.
    pub seed: u64,
    /// The effect of a PUT with another `userName`.
    pub username_change: UsernameChange,
    /// What a PUT does to everything besides the names and `active`.
    pub put: PutMeaning,
    /// The domains within which addresses may be changed; none: all.
    pub verified_domains: Option<Vec<String>>,
    /// Whether members have versions: `ETag`, `meta.version`, and `If-Match` is checked. Postman has no versions.
    pub versions: bool,
    /// Which `id` is in the 201 reply for somebody who is only invited.
    pub invited_id: InvitedId,
    /// Which headers say how long to wait, in the 429 of an exceeded limit. Postman documents none.
    pub hints: Vec<Hint>,
    /// How many journal entries are kept; the oldest are dropped first.
    pub journal_max: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            key: "sim-key".to_owned(),
            auth: AuthAccepted::Bearer,
            writes: 180,
            reads: 300,
            window_ms: 60_000,
            seats: None,
            seed: 1,
            username_change: UsernameChange::Ignore,
            put: PutMeaning::Names,
            verified_domains: None,
            versions: false,
            invited_id: InvitedId::Future,
            hints: Vec::new(),
            journal_max: 1_000_000,
        }
    }
}

impl SimOptions {
    /// Whether the domain of this address, in lower case, is verified.
    pub(super) fn is_verified(&self, user_name: &str) -> bool {
        let domain = user_name.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.verified_domains.as_ref().is_none_or(|verified| verified.iter().any(|one| one.to_lowercase() == domain))
    }
}

impl fmt::Debug for SimOptions {
    /// Leaves out the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimOptions")
            .field("listen", &self.listen)
            .field("writes", &self.writes)
            .field("reads", &self.reads)
            .field("window_ms", &self.window_ms)
            .field("seats", &self.seats)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Which form of `Authorization` the stand-in accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthAccepted {
    /// `Bearer KEY`
    #[default]
    Bearer,
    /// `KEY`
    Raw,
    /// Either of the two.
    Any,
}

/// The effect of a PUT with another `userName`; a difference in case only is not a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsernameChange {
    /// The names are applied, the `userName` stays.
    #[default]
    Ignore,
    /// 400, `username-failed`.
    Refuse,
}

/// What a PUT does to everything besides the names and `active`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutMeaning {
    /// It stays as it is, as at Postman.
    #[default]
    Names,
    /// What the request leaves out is removed (RFC 7644 §3.5.1).
    Whole,
}

/// Which `id` is in the 201 reply for somebody who is only invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitedId {
    /// Their later id; it is not found until they accept.
    #[default]
    Future,
    /// No `id` at all.
    Absent,
}

/// A header that says how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// Which header.
    pub header: HintHeader,
    /// Seconds to wait; none: until the window has room, or 60 if no window is full.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// The headers with which servers are known to say how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HintHeader {
    /// `Retry-After`, in seconds.
    RetryAfter,
    /// `Retry-After`, as an HTTP date.
    RetryAfterDate,
    /// `X-RateLimit-RetryAfter`, in seconds.
    XRatelimitRetryafter,
    /// `RetryAfter`, in seconds.
    Retryafter,
    /// `X-RateLimit-Reset`, UTC epoch seconds.
    XRatelimitReset,
    /// `RateLimit-Reset`, UTC epoch seconds.
    RatelimitReset,
    /// `RateLimit: limit=…, remaining=0, reset=N`, N in seconds.
    Ratelimit,
}

impl HintHeader {
    const ALL: [(&'static str, Self); 7] = [
        ("retry-after", Self::RetryAfter),
        ("retry-after-date", Self::RetryAfterDate),
        ("x-ratelimit-retryafter", Self::XRatelimitRetryafter),
        ("retryafter", Self::Retryafter),
        ("x-ratelimit-reset", Self::XRatelimitReset),
        ("ratelimit-reset", Self::RatelimitReset),
        ("ratelimit", Self::Ratelimit),
    ];
}

impl Hint {
    /// The header's name and value at `now`, if the window has room after `wait_ms`.
    pub(super) fn header(self, now: UnixMs, wait_ms: u64, limit: u32) -> (&'static str, String) {
        let seconds = self.seconds.unwrap_or_else(|| wait_ms.div_ceil(1000));
        // Rounded up, so that a client that trusts it never comes too early.
        let epoch_s = u64::try_from(now.0).unwrap_or(0).div_ceil(1000).saturating_add(seconds);
        match self.header {
            HintHeader::RetryAfter => ("Retry-After", seconds.to_string()),
            HintHeader::RetryAfterDate => {
                let at = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(epoch_s));
                ("Retry-After", at.map(httpdate::fmt_http_date).unwrap_or_default())
            }
            HintHeader::XRatelimitRetryafter => ("X-RateLimit-RetryAfter", seconds.to_string()),
            HintHeader::Retryafter => ("RetryAfter", seconds.to_string()),
            HintHeader::XRatelimitReset => ("X-RateLimit-Reset", epoch_s.to_string()),
            HintHeader::RatelimitReset => ("RateLimit-Reset", epoch_s.to_string()),
            HintHeader::Ratelimit => ("RateLimit", format!("limit={limit}, remaining=0, reset={seconds}")),
        }
    }
}

/// A hint that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a hint: write HEADER or HEADER=SECONDS, such as retry-after=2")]
pub struct BadHint(pub String);

impl FromStr for Hint {
    type Err = BadHint;

    /// `HEADER` or `HEADER=SECONDS`, such as `retry-after=2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadHint(text.to_owned());
        let (name, seconds) = match text.split_once('=') {
            Some((name, s)) => (name, Some(s.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let header = HintHeader::ALL.iter().find(|(n, _)| *n == name).ok_or_else(bad)?.1;
        Ok(Self { header, seconds })
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = HintHeader::ALL.iter().find(|(_, h)| *h == self.header).map_or("", |(n, _)| n);
        match self.seconds {
            Some(s) => write!(f, "{name}={s}"),
            None => f.write_str(name),
        }
    }
}

macro_rules! words {
    ($type:ident { $($text:literal = $variant:ident),* }) => {
        impl FromStr for $type {
            type Err = BadWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(BadWord { word: other.to_owned(), known: concat!($(" ", $text),*) }),
                }
            }
        }
    };
}

/// A word that is not one of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of:{known}")]
pub struct BadWord {
    word: String,
    known: &'static str,
}

words!(AuthAccepted { "bearer" = Bearer, "raw" = Raw, "any" = Any });
words!(UsernameChange { "ignore" = Ignore, "refuse" = Refuse });
words!(PutMeaning { "names" = Names, "whole" = Whole });
words!(InvitedId { "future" = Future, "absent" = Absent });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_round_trips() {
        for (name, _) in HintHeader::ALL {
            for text in [name.to_owned(), format!("{name}=7")] {
                assert_eq!(text.parse::<Hint>().unwrap().to_string(), text);
            }
        }
        assert!("retry-after=soon".parse::<Hint>().is_err());
        assert!("later".parse::<Hint>().is_err());
    }

    #[test]
    fn every_hint_names_the_same_moment_in_its_own_way() {
        let now = UnixMs::parse_rfc3339("2026-11-22T10:00:00.5Z").unwrap();
        let said: Vec<_> = HintHeader::ALL
            .iter()
            .map(|(_, header)| {
                let (name, value) = Hint { header: *header, seconds: None }.header(now, 1500, 180);
                format!("{name}: {value}")
            })
            .collect();
        assert_eq!(
            said,
            [
                "Retry-After: 2",
                "Retry-After: Sun, 22 Nov 2026 10:00:03 GMT",
                "X-RateLimit-RetryAfter: 2",
                "RetryAfter: 2",
                "X-RateLimit-Reset: 1795341603",
                "RateLimit-Reset: 1795341603",
                "RateLimit: limit=180, remaining=0, reset=2",
            ]
        );
    }

    #[test]
    fn options_read_from_json_and_refuse_what_they_do_not_know() {
        let options: SimOptions = serde_json::from_str(r#"{"writes":0,"auth":"any","invited_id":"absent"}"#).unwrap();
        assert_eq!((options.writes, options.reads), (0, 300));
        assert_eq!(options.auth, AuthAccepted::Any);
        assert!(serde_json::from_str::<SimOptions>(r#"{"write":0}"#).is_err());
        assert!(!format!("{options:?}").contains("sim-key"));
    }
}
