//! The stand-in's options: set at start, and some of them while it runs.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::time::UnixMs;

/// How the stand-in behaves. Everything but `listen` and `seed` may change while it runs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The SCIM key that it accepts.
    pub key: String,
    /// Which spelling of the key it accepts.
    pub auth: AuthAccepted,
    /// Writes (POST, PUT, PATCH) in any window; 0: no limit. Postman's: 180.
    pub writes: u32,
    /// Reads (GET) in any window; 0: no limit. Postman's: 300.
    pub reads: u32,
    /// Length of the window in milliseconds; 0: no limits. Postman's: a minute.
    pub window_ms: u64,
    /// Seats of the team: active members and open invitations; none: as many as come.
    pub seats: Option<usize>,
    /// Seed of ids and of the faults that strike a share of the calls.
    pub seed: u64,
    /// The effect of a PUT with another `userName`.
    pub username_change: UsernameChange,
    /// What a PUT means for all that is beside the names and `active`.
    pub put: PutMeaning,
    /// The domains within which addresses may change; none: all of them.
    pub verified_domains: Option<Vec<String>>,
    /// Whether members have versions: `ETag`, `meta.version`, and `If-Match` that counts. Postman has none.
    pub versions: bool,
    /// What the 201 of somebody who is only invited has for an `id`.
    pub invited_id: InvitedId,
    /// The hints about waiting in the 429 of an exceeded limit. Postman documents nothing: none.
    pub hints: Vec<Hint>,
    /// How many journal entries are kept; the oldest go first.
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
    /// Without the key.
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

/// Which spelling of the key the stand-in accepts in `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthAccepted {
    /// `Bearer KEY`
    #[default]
    Bearer,
    /// `KEY`
    Raw,
    /// Either.
    Any,
}

/// The effect of a PUT with another `userName`; one that differs only in case is not a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsernameChange {
    /// The names are applied, the `userName` stays.
    #[default]
    Ignore,
    /// 400, `username-failed`.
    Refuse,
}

/// What a PUT means for all that is beside the names and `active`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutMeaning {
    /// It stays as it is, as at Postman.
    #[default]
    Names,
    /// What is not sent is gone (RFC 7644 §3.5.1).
    Whole,
}

/// What the 201 of somebody who is only invited has for an `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvitedId {
    /// The id that they will have; it is not found until they accept.
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
    /// Seconds to wait; none: what the window says, or 60 if no window is full.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// The headers that have been seen to say how long to wait.
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
    /// The header's name and value at `now`, where the window asks for `wait_ms`.
    pub(super) fn header(self, now: UnixMs, wait_ms: u64, limit: u32) -> (&'static str, String) {
        let seconds = self.seconds.unwrap_or_else(|| wait_ms.div_ceil(1000));
        // Rounded up, so that a client which trusts it never comes too early.
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

/// A hint that cannot be read.
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

/// A word that is not among the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of:{known}")]
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
    fn a_hint_is_written_and_read_alike() {
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
