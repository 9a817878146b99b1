//! When the target asks us to come back: all known ways to say so.
//!
//! Postman's general API documents `X-RateLimit-RetryAfter` and `RetryAfter` (seconds; not
//! `Retry-After`), `X-RateLimit-Reset` and `RateLimit-Reset` (Unix seconds) and
//! `RateLimit: …, reset=N`; gateways send the standard `Retry-After` (RFC 9110 §10.2.3).

use std::time::UNIX_EPOCH;

use super::time::UnixMs;

/// A longer wait becomes a hold, so that it is reported.
pub const SLEEP_MS_MAX: u64 = 3_600_000;
/// No hint counts for longer than this: a month, as long as a quota may last.
const HINT_MS_MAX: u64 = 31 * 86_400_000;

/// A date that passed no longer ago than this still counts: clocks differ, and replies may be slow.
const JUST_PAST_MS: u64 = 3_600_000;

/// Above this many seconds a number is a date (2001-09-09), below it is a duration.
const EPOCH_SECONDS_MIN: u64 = 1_000_000_000;
/// Above this a date is in milliseconds.
const EPOCH_MS_MIN: u64 = 1_000_000_000_000;

/// The header that takes precedence over all others.
const RETRY_AFTER: &str = "retry-after";
/// The headers that may carry a hint, in lower case.
pub const HINT_HEADERS: [&str; 6] =
    [RETRY_AFTER, "x-ratelimit-retryafter", "retryafter", "x-ratelimit-reset", "ratelimit-reset", "ratelimit"];

/// When the target wants to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryHint {
    /// Not before then.
    pub at: UnixMs,
    /// `Retry-After` says so, about this very request; all others may only describe a limit's window.
    pub is_asked: bool,
}

/// Reads the hints: `Retry-After` if there is one, else the latest of the others. Those that cannot be parsed, or lie
/// in the past, are skipped.
#[must_use]
pub fn read(headers: &[(String, String)], now: UnixMs) -> Option<RetryHint> {
    let latest = |is_asked: bool| {
        headers
            .iter()
            .filter(|(name, _)| (name == RETRY_AFTER) == is_asked)
            .filter_map(|(name, value)| hint(name, value.trim(), now))
            .filter(|at| *at > now)
            .max()
            .map(|at| RetryHint { at: at.min(now.plus_ms(HINT_MS_MAX)), is_asked })
    };
    latest(true).or_else(|| latest(false))
}

/// Whether `Retry-After` asks to be called again at once: no seconds, or a date that has just passed. Older dates
/// are nonsense.
#[must_use]
pub fn asks_now(headers: &[(String, String)], now: UnixMs) -> bool {
    let is_now = |at: UnixMs| at <= now && now.ms_since(at) <= JUST_PAST_MS;
    headers.iter().any(|(name, value)| name == RETRY_AFTER && hint(name, value.trim(), now).is_some_and(is_now))
}

fn hint(name: &str, value: &str, now: UnixMs) -> Option<UnixMs> {
    match name {
        "ratelimit" => value
            .split([',', ';'])
            .filter_map(|part| part.trim().split_once('='))
            .find(|(key, _)| matches!(key.trim().to_ascii_lowercase().as_str(), "reset" | "t"))
            .and_then(|(_, seconds)| seconds_from(seconds.trim(), now)),
        _ if HINT_HEADERS.contains(&name) => longest(value, now).or_else(|| http_date(value)),
        _ => None,
    }
}

/// Some gateways add the header a second time, and both arrive as one list.
fn longest(value: &str, now: UnixMs) -> Option<UnixMs> {
    let all: Option<Vec<_>> = value.split(',').map(|seconds| seconds_from(seconds.trim(), now)).collect();
    all?.into_iter().max()
}

fn seconds_from(text: &str, now: UnixMs) -> Option<UnixMs> {
    // Whole seconds; a fraction is rounded up.
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: u64 = whole.parse().ok()?;
    if number >= EPOCH_MS_MIN {
        return Some(UnixMs(0).plus_ms(number));
    }
    let ms = number.saturating_add(u64::from(fraction.bytes().any(|b| b != b'0'))).saturating_mul(1000);
    Some(if number >= EPOCH_SECONDS_MIN { UnixMs(0).plus_ms(ms) } else { now.plus_ms(ms) })
}

fn http_date(text: &str) -> Option<UnixMs> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMs(i64::try_from(since_epoch.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T10:00:00Z
    const NOW: UnixMs = UnixMs(1_795_341_600_000);

    fn wait_s(headers: &[(&str, &str)]) -> Option<u64> {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        read(&headers, NOW).map(|hint| hint.at.ms_since(NOW) / 1000)
    }

    #[test]
    fn every_known_form_of_hint_is_understood() {
        assert_eq!(NOW.to_string(), "2026-11-22T10:00:00Z");
        assert_eq!(wait_s(&[("retry-after", "17")]), Some(17));
        assert_eq!(wait_s(&[("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT")]), Some(30));
        assert_eq!(wait_s(&[("x-ratelimit-retryafter", "12")]), Some(12));
        assert_eq!(wait_s(&[("retryafter", "9.5")]), Some(10));
        assert_eq!(wait_s(&[("x-ratelimit-reset", "1795341645")]), Some(45));
        assert_eq!(wait_s(&[("x-ratelimit-reset", "1795341645000")]), Some(45));
        assert_eq!(wait_s(&[("ratelimit-reset", "1795341601")]), Some(1));
        assert_eq!(wait_s(&[("ratelimit-reset", "20")]), Some(20));
        assert_eq!(wait_s(&[("ratelimit", "limit=180, remaining=0, reset=33")]), Some(33));
        assert_eq!(wait_s(&[("ratelimit", "\"default\";r=0;t=21")]), Some(21));
    }

    #[test]
    fn retry_after_wins_otherwise_the_latest_hint() {
        assert_eq!(wait_s(&[("retry-after", "5"), ("x-ratelimit-reset", "1795341660")]), Some(5));
        assert_eq!(wait_s(&[("ratelimit-reset", "9"), ("x-ratelimit-reset", "1795341660")]), Some(60));
        assert_eq!(wait_s(&[("retry-after", "soon"), ("x-ratelimit-reset", "1795341660")]), Some(60));
    }

    #[test]
    fn nonsense_is_no_hint() {
        for nonsense in ["", "soon", "-5", "0", "NaN", "99999999999999999999999"] {
            assert_eq!(wait_s(&[("x-ratelimit-reset", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(wait_s(&[("retry-after", "Sun, 22 Nov 2020 10:00:30 GMT")]), None);
        assert_eq!(wait_s(&[("x-other", "30")]), None);
    }

    #[test]
    fn a_header_that_came_twice_is_read_and_the_longer_counts() {
        assert_eq!(wait_s(&[("retry-after", "2,2")]), Some(2));
        assert_eq!(wait_s(&[("retry-after", "2, 30")]), Some(30));
        assert_eq!(wait_s(&[("retry-after", "2, soon")]), None);
    }

    #[test]
    fn zero_seconds_and_a_just_passed_date_mean_now() {
        let asks = |value: &str| asks_now(&[("retry-after".to_owned(), value.to_owned())], NOW);
        assert!(asks("0") && asks("0,0") && asks("Sun, 22 Nov 2026 09:59:58 GMT"));
        assert!(!asks("1") && !asks("soon") && !asks("") && !asks("-1") && !asks("Sun, 22 Nov 2020 10:00:30 GMT"));
        assert!(
            !asks_now(&[("x-ratelimit-reset".to_owned(), "0".to_owned())], NOW),
            "it describes a window, and asks for nothing"
        );
    }

    #[test]
    fn no_hint_holds_for_longer_than_a_month() {
        assert_eq!(wait_s(&[("retry-after", "7200")]), Some(7200));
        assert_eq!(wait_s(&[("retry-after", "99999999")]), Some(31 * 86_400));
    }
}
