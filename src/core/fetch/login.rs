//! Fetching tokens: OAuth 2 client credentials, and grants whose refresh token may be replaced with each use.
//!
//! A used refresh token is gone, and the next one is only in the reply. So one process at a time
//! refreshes: it first records that it is about to, then records what it got, and only then uses it. If a process dies
//! between the two records, the old token is tried again after a while (most systems accept a token again if its
//! successor was never used). A new refresh token in the configuration replaces everything stored.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::auth::{ClientIn, TokenRules, basic};
use super::reply::{HrReply, not_before, text_of};
use super::request::{HrRequest, Method};
use super::template::percent;
use crate::core::code::Code;
use crate::core::person::SourceName;
use crate::core::time::UnixMs;

/// How long before its expiry a token is no longer used.
const MARGIN_MS: u64 = 60_000;
/// How long to use a token without an expiry.
const LIFE_S: u64 = 900;
/// A refresh that began this long ago counts as dead. Longer than the client's timeout.
const REFRESH_MS: u64 = 60_000;
/// How often a process that waits for another's refresh looks again.
const LOOK_AGAIN_MS: u64 = 1_000;

/// An access token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// When to stop using it.
    pub until: UnixMs,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("until", &self.until).finish_non_exhaustive()
    }
}

/// The document about a grant, which all processes share.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Grant {
    /// Fingerprint of the configured refresh token with which this grant began.
    seed: String,
    /// The current refresh token.
    refresh_token: Option<String>,
    /// The current access token.
    access: Option<AccessToken>,
    /// When a refresh began that has not ended yet.
    refreshing_since: Option<UnixMs>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("access", &self.access).finish_non_exhaustive()
    }
}

/// What to do to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantStep {
    /// Use this.
    Use(AccessToken),
    /// Write the document and, if that succeeds, refresh.
    Refresh,
    /// Another process is getting one: look again then.
    Wait(UnixMs),
}

impl Grant {
    /// The name of a source's document.
    #[must_use]
    pub fn name(source: &SourceName) -> String {
        format!("fetch-grant:{source}")
    }

    /// The next step. `configured` is the refresh token in the configuration; `refused` an access token that the
    /// system no longer accepts.
    pub fn next(&mut self, configured: &str, refused: Option<&str>, now: UnixMs) -> GrantStep {
        let seed = fingerprint(configured);
        if self.seed != seed {
            *self = Self { seed, ..Self::default() };
        }
        if let Some(access) = &self.access
            && access.until > now
            && refused != Some(&access.token)
        {
            return GrantStep::Use(access.clone());
        }
        match self.refreshing_since {
            // The second condition: a clock that was set back must not make anybody wait for long.
            Some(since) if now.ms_since(since) < REFRESH_MS && since.ms_since(now) < REFRESH_MS => {
                GrantStep::Wait(now.plus_ms(LOOK_AGAIN_MS))
            }
            Some(_) | None => {
                self.refreshing_since = Some(now);
                GrantStep::Refresh
            }
        }
    }

    /// The refresh token to send.
    #[must_use]
    pub fn refresh_token<'g>(&'g self, configured: &'g str) -> &'g str {
        self.refresh_token.as_deref().unwrap_or(configured)
    }

    /// Records the result of a refresh.
    pub fn refreshed(&mut self, got: &Got) {
        self.access = Some(got.access.clone());
        if let Some(next) = &got.refresh_token {
            self.refresh_token = Some(next.clone());
        }
        self.refreshing_since = None;
    }

    /// A refresh failed.
    pub fn not_refreshed(&mut self) {
        self.refreshing_since = None;
    }
}

/// 64 bits are plenty to distinguish a token from its successor.
fn fingerprint(token: &str) -> String {
    let digest = Sha256::digest(token);
    let first = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    format!("{first:016x}")
}

/// The answer to a request for a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Got {
    /// The access token.
    pub access: AccessToken,
    /// The new refresh token, if there is one.
    pub refresh_token: Option<String>,
}

impl fmt::Debug for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Got").field("access", &self.access).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoToken {
    /// The login is refused, which concerns everybody.
    Refused {
        /// What was answered.
        detail: String,
    },
    /// Temporary trouble.
    TryAgain {
        /// The code of the trouble.
        code: Code,
        /// When to try again, if the system said so.
        not_before: Option<UnixMs>,
    },
    /// Another process is getting one.
    Later {
        /// When to look again.
        at: UnixMs,
    },
}

/// The client's credentials.
#[derive(Clone, Copy)]
pub struct Client<'c> {
    /// Its id.
    pub id: &'c str,
    /// Its secret, if it has one.
    pub secret: Option<&'c str>,
}

/// The request for a token (RFC 6749 §4.4.2, §6), with `refresh_token` if there is one.
#[must_use]
pub fn token_request(rules: &TokenRules, url: &str, client: Client<'_>, refresh_token: Option<&str>) -> HrRequest {
    let mut form: Vec<(&str, &str)> = match refresh_token {
        Some(token) => vec![("grant_type", "refresh_token"), ("refresh_token", token)],
        None => vec![("grant_type", "client_credentials")],
    };
    form.extend(rules.scope.as_deref().map(|scope| ("scope", scope)));
    let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
    match rules.client {
        ClientIn::Body => {
            form.push(("client_id", client.id));
            form.extend(client.secret.map(|secret| ("client_secret", secret)));
        }
        ClientIn::Basic => {
            let value = basic(&percent(client.id), &percent(client.secret.unwrap_or_default()));
            headers.push(("authorization".to_owned(), value));
        }
    }
    let body = form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&");
    HrRequest {
        method: Method::Post,
        url: url.to_owned(),
        headers,
        body: Some(("application/x-www-form-urlencoded", body)),
        is_list: false,
    }
}

/// Reads the answer to a request for a token made at `asked_at`.
///
/// # Errors
/// Why there is no token.
pub fn read_token(reply: &HrReply, asked_at: UnixMs, now: UnixMs) -> Result<Got, NoToken> {
    #[derive(Deserialize)]
    struct TokenBody {
        access_token: Option<String>,
        expires_in: Option<serde_json::Value>,
        refresh_token: Option<String>,
    }
    let HrReply::Http { status, headers, body, body_complete } = reply else {
        return Err(NoToken::TryAgain { code: Code::FetchUnreachable, not_before: None });
    };
    match status {
        200..=299 => {}
        429 => {
            let until = not_before(headers, now).unwrap_or(now.plus_ms(30_000));
            return Err(NoToken::TryAgain { code: Code::FetchRateLimited, not_before: Some(until) });
        }
        408 | 425 | 500..=599 => {
            return Err(NoToken::TryAgain { code: Code::FetchUnavailable, not_before: not_before(headers, now) });
        }
        _ => return Err(NoToken::Refused { detail: format!("no token was given ({status})") }),
    }
    let text = text_of(body).filter(|_| *body_complete).unwrap_or_default();
    // Personio's first API version wraps its answers.
    let answer = serde_json::from_str::<serde_json::Value>(text).ok();
    let inner =
        answer.map(|mut answer| if answer["access_token"].is_string() { answer } else { answer["data"].take() });
    let answer = inner.and_then(|answer| serde_json::from_value::<TokenBody>(answer).ok());
    let Some(TokenBody { access_token: Some(token), expires_in, refresh_token }) =
        answer.filter(|answer| answer.access_token.as_ref().is_some_and(|token| !token.is_empty()))
    else {
        return Err(NoToken::Refused { detail: "the answer contains no token".to_owned() });
    };
    let lifetime_s = expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    let life_ms = lifetime_s.unwrap_or(LIFE_S).saturating_mul(1_000);
    // A short-lived token is not used in the last tenth of its life.
    let until = asked_at.plus_ms(life_ms.saturating_sub(MARGIN_MS.min(life_ms / 10)));
    let refresh_token = refresh_token.filter(|token| !token.is_empty());
    Ok(Got { access: AccessToken { token, until }, refresh_token })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn reply(status: u16, body: &str) -> HrReply {
        HrReply::Http {
            status,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            body_complete: true,
        }
    }

    fn stored(grant: &Grant) -> Grant {
        serde_json::from_slice(&serde_json::to_vec(grant).unwrap()).unwrap()
    }

    fn got(refresh: &str, life_s: u64) -> Got {
        let body = format!(r#"{{"access_token":"A-{refresh}","expires_in":{life_s},"refresh_token":"{refresh}"}}"#);
        read_token(&reply(200, &body), UnixMs(0), UnixMs(0)).unwrap()
    }

    #[test]
    fn one_process_refreshes_the_token_and_the_others_wait_for_it() {
        let mut ours = Grant::default();
        assert_eq!(ours.next("R0", None, UnixMs(0)), GrantStep::Refresh);
        let mut theirs = stored(&ours);
        assert_eq!(theirs.next("R0", None, UnixMs(10)), GrantStep::Wait(UnixMs(1_010)));
        ours.refreshed(&got("R1", 7_200));
        let mut theirs = stored(&ours);
        assert!(matches!(theirs.next("R0", None, UnixMs(20)), GrantStep::Use(access) if access.token == "A-R1"));
        assert_eq!(theirs.refresh_token("R0"), "R1");
    }

    #[test]
    fn a_refresh_whose_process_died_is_tried_again_once_its_time_is_over() {
        let mut grant = Grant::default();
        grant.next("R0", None, UnixMs(0));
        assert!(matches!(grant.next("R0", None, UnixMs(59_999)), GrantStep::Wait(_)));
        assert_eq!(grant.next("R0", None, UnixMs(60_000)), GrantStep::Refresh);
        assert_eq!(grant.refresh_token("R0"), "R0");
    }

    #[test]
    fn a_newly_configured_token_wins_over_the_stored_one() {
        let mut grant = Grant::default();
        grant.next("R0", None, UnixMs(0));
        grant.refreshed(&got("R1", 7_200));
        assert_eq!(grant.next("S0", None, UnixMs(10)), GrantStep::Refresh);
        assert_eq!(grant.refresh_token("S0"), "S0");
    }

    #[test]
    fn a_token_that_was_refused_or_runs_out_is_not_used() {
        let mut grant = Grant::default();
        grant.next("R0", None, UnixMs(0));
        grant.refreshed(&got("R1", 7_200));
        assert_eq!(grant.clone().next("R0", Some("A-R1"), UnixMs(10)), GrantStep::Refresh);
        assert_eq!(grant.clone().next("R0", None, UnixMs(7_140_000)), GrantStep::Refresh);
        assert!(matches!(grant.next("R0", None, UnixMs(7_139_999)), GrantStep::Use(_)));
    }

    #[test]
    fn a_refusal_is_distinguished_from_a_transient_failure() {
        let read = |status, body| read_token(&reply(status, body), UnixMs(0), UnixMs(0));
        assert!(matches!(read(400, r#"{"error":"invalid_grant"}"#), Err(NoToken::Refused { .. })));
        assert!(matches!(read(200, "<html>"), Err(NoToken::Refused { .. })));
        assert!(matches!(read(503, ""), Err(NoToken::TryAgain { code: Code::FetchUnavailable, .. })));
        assert_eq!(read(200, r#"{"success":true,"data":{"access_token":"x"}}"#).unwrap().access.token, "x");
        assert!(!format!("{:?}", read(200, r#"{"access_token":"SECRET"}"#)).contains("SECRET"));
    }

    #[test]
    fn a_client_authenticates_in_the_body_or_by_basic() {
        let mut rules: TokenRules = toml::from_str("token_url = 'https://x/t'\nscope = 'a b'").unwrap();
        let client = Client { id: "me", secret: Some("s&t") };
        let (_, body) = token_request(&rules, "https://x/t", client, None).body.unwrap();
        assert_eq!(body, "grant_type=client_credentials&scope=a%20b&client_id=me&client_secret=s%26t");
        rules.client = ClientIn::Basic;
        let request = token_request(&rules, "https://x/t", client, Some("R0"));
        assert_eq!(request.body.unwrap().1, "grant_type=refresh_token&refresh_token=R0&scope=a%20b");
        assert!(request.headers.iter().any(|(name, value)| name == "authorization" && value == "Basic bWU6cyUyNnQ="));
    }
}
