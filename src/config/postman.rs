//! `[postman]`: the target, its key and its limits.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::error::{ConfigCode, ConfigError, Findings};
use super::pem::{self, Holds};
use super::secret::{Fit, Reader, SecretSpec};
use crate::peer::is_on_this_machine;
use crate::secret::LiveSecret;

/// The variable that holds the key if the configuration names none.
pub(super) const KEY_VARIABLE: &str = "POSTMAN_SCIM_KEY";

/// Postman's own, for all regions.
const BASE_URL: &str = "https://api.getpostman.com/scim/v2";

/// `[postman]`.
#[derive(Debug, Clone)]
pub struct PostmanConfig {
    /// The SCIM base URL, without a slash at its end.
    pub base_url: String,
    /// The SCIM API key.
    pub key: LiveSecret,
    /// How `Authorization` carries the key.
    pub auth: PostmanAuth,
    /// Whether the key is sent as `X-API-Key`, too.
    pub x_api_key: bool,
    /// `locale` of members whose source gives none.
    pub locale: String,
    /// Writes allowed in a window; 0: no limit.
    pub writes_per_minute: u32,
    /// Reads allowed in a window; 0: no limit.
    pub reads_per_minute: u32,
    /// The window of both limits, in seconds.
    pub rate_window_s: u64,
    /// How long one call may take, in seconds.
    pub timeout_s: u64,
    /// How long making a connection may take, in seconds.
    pub connect_timeout_s: u64,
    /// Most pages of members read in one look-up that pages through the list.
    pub look_up_pages_max: u32,
    /// A file of PEM certificates to trust in addition to the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// How long a read may lag behind what was written, in seconds.
    pub read_lag_s: u64,
    /// What happens to a changed address.
    pub email_change: EmailChange,
    /// The team's name, if configured: shown in status and console.
    pub team: Option<String>,
}

/// What happens to a changed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailChange {
    /// It is written.
    #[default]
    Apply,
    /// It is reported, and changed by hand.
    Report,
}

/// How `Authorization` carries the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostmanAuth {
    /// `Bearer <key>`.
    #[default]
    Bearer,
    /// The key alone.
    Raw,
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    base_url: String,
    key: SecretSpec,
    auth: PostmanAuth,
    x_api_key: bool,
    locale: String,
    writes_per_minute: u32,
    reads_per_minute: u32,
    rate_window_s: u64,
    timeout_s: u64,
    connect_timeout_s: u64,
    look_up_pages_max: u32,
    ca_file: Option<PathBuf>,
    allow_http: bool,
    read_lag_s: u64,
    email_change: EmailChange,
    team: Option<String>,
}

impl PostmanConfig {
    /// Whether this is the default address.
    pub(super) fn is_at_postman(&self) -> bool {
        self.base_url == BASE_URL
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            base_url: BASE_URL.to_owned(),
            key: SecretSpec::env(KEY_VARIABLE),
            auth: PostmanAuth::Bearer,
            x_api_key: false,
            locale: "en-US".to_owned(),
            writes_per_minute: 180,
            reads_per_minute: 300,
            rate_window_s: 60,
            timeout_s: 20,
            connect_timeout_s: 5,
            look_up_pages_max: 20,
            ca_file: None,
            allow_http: false,
            read_lag_s: 60,
            email_change: EmailChange::Apply,
            team: None,
        }
    }
}

impl Raw {
    pub(super) fn check(&self, lease_s: u64, findings: &mut Findings) {
        self.check_base_url(findings);
        findings.bounds("postman.writes_per_minute", self.writes_per_minute.into(), 0, 100_000);
        findings.bounds("postman.reads_per_minute", self.reads_per_minute.into(), 0, 100_000);
        findings.bounds("postman.rate_window_s", self.rate_window_s, 1, 3_600);
        findings.bounds("postman.timeout_s", self.timeout_s, 1, 300);
        findings.bounds("postman.connect_timeout_s", self.connect_timeout_s, 1, 300);
        findings.bounds("postman.look_up_pages_max", self.look_up_pages_max.into(), 1, 1_000);
        findings.bounds("postman.read_lag_s", self.read_lag_s, 0, 3_600);
        findings.when(
            self.team.as_ref().is_some_and(|team| {
                team.trim().is_empty() || team.chars().count() > 100 || team.chars().any(char::is_control)
            }),
            "postman.team",
            "is not a valid name",
            "Give 1 to 100 characters.",
        );
        let language = self.locale.split(['-', '_']).next().unwrap_or_default();
        let locale_ok = self.locale.len() <= 35
            && (2..=8).contains(&language.len())
            && language.bytes().all(|b| b.is_ascii_alphabetic())
            && self.locale.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        findings.when(!locale_ok, "postman.locale", "is not a locale", "Give a language tag such as `en-US`.");
        // 10 s: what claiming, planning and committing may take on top of the call.
        let lease_min_s = self.timeout_s.saturating_add(10);
        if lease_s < lease_min_s && (1..=300).contains(&self.timeout_s) {
            let problem = format!("{lease_s} is less than `postman.timeout_s` and 10 s more: a call could outlast it");
            let advice = format!("Give at least {lease_min_s}, or lower `postman.timeout_s`.");
            findings.push(ConfigError::new("worker.lease_s", ConfigCode::Value, problem).advise(advice));
        }
        pem::check("postman.ca_file", self.ca_file.as_ref(), Holds::Certificates, findings);
    }

    fn check_base_url(&self, findings: &mut Findings) {
        const KEY: &str = "postman.base_url";
        const EXAMPLE: &str = "Give one such as `https://api.getpostman.com/scim/v2`.";
        let Ok(url) = Url::parse(&self.base_url) else {
            findings.when(true, KEY, "is not a URL", EXAMPLE);
            return;
        };
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        findings.when(!web, KEY, "is not an http or https address", EXAMPLE);
        let credentials = !url.username().is_empty() || url.password().is_some();
        findings.when(credentials, KEY, "has credentials in it", "Take them out: the key is `postman.key`.");
        let extras = url.query().is_some() || url.fragment().is_some();
        findings.when(extras, KEY, "has a query or a fragment", EXAMPLE);
        findings.when(
            web && url.scheme() == "http" && !is_on_this_machine(&url) && !self.allow_http,
            KEY,
            "is plain http to another host, which would show the key and personal data to the network",
            "Use https, or set `postman.allow_http = true` where the network is your own.",
        );
    }

    pub(super) fn build(self, read: &mut Reader<'_>, findings: &mut Findings) -> PostmanConfig {
        let key = if read.role.works() { read.secret("postman.key", &self.key, findings) } else { None };
        if let Some(problem) = key.as_ref().and_then(|key| Fit::Header.check(&key.current()).err()) {
            findings.push(ConfigError::new("postman.key", ConfigCode::Secret, problem));
        }
        read.files.must_fit("postman.key", Fit::Header);
        PostmanConfig {
            base_url: self.base_url.trim_end_matches('/').to_owned(),
            key: key.unwrap_or_else(super::secret::none_yet),
            auth: self.auth,
            x_api_key: self.x_api_key,
            locale: self.locale,
            writes_per_minute: self.writes_per_minute,
            reads_per_minute: self.reads_per_minute,
            rate_window_s: self.rate_window_s,
            timeout_s: self.timeout_s,
            connect_timeout_s: self.connect_timeout_s,
            look_up_pages_max: self.look_up_pages_max,
            ca_file: self.ca_file,
            read_lag_s: self.read_lag_s,
            email_change: self.email_change,
            team: self.team,
        }
    }
}
