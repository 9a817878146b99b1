//! `[[alert]]`: whom to notify when something needs attention.

use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::error::{ConfigCode, ConfigError, Findings};
use super::presets;
use super::secret::{Fit, Reader, SecretSpec};
use crate::core::alert::Format;
use crate::core::signature::Scheme;
use crate::peer::is_on_this_machine;
use crate::secret::LiveSecret;

/// One `[[alert]]`.
#[derive(Debug, Clone)]
pub struct AlertConfig {
    /// Where to post. A secret: anybody who knows a Slack address can write there.
    pub url: LiveSecret,
    /// The signing secret; none only for Slack's format.
    pub secret: Option<LiveSecret>,
    /// The message's format.
    pub format: Format,
    /// A problem that stays open is reported again after this many hours.
    pub repeat_h: u64,
    /// How a message is signed.
    pub scheme: Scheme,
}

#[derive(Deserialize)]
pub(super) struct Raw {
    url: Option<SecretSpec>,
    secret: Option<SecretSpec>,
    #[serde(default)]
    format: Format,
    #[serde(default = "repeat_h")]
    repeat_h: u64,
}

/// Longer than a meeting, shorter than a working day.
fn repeat_h() -> u64 {
    4
}

/// How Standard Webhooks are signed: the same preset as for sources.
fn scheme() -> Option<Scheme> {
    #[derive(Deserialize)]
    struct Signed {
        signature: Scheme,
    }
    let preset = presets::built_in(presets::DEFAULT)?;
    toml::from_str::<Signed>(preset).ok().map(|preset| preset.signature)
}

/// The receivers that are complete. The problems of all of them are noted.
pub(super) fn build(
    raw: &[Raw],
    has_admin_url: bool,
    read: &mut Reader<'_>,
    findings: &mut Findings,
) -> Vec<AlertConfig> {
    if !raw.is_empty() && !has_admin_url {
        findings.notice(
            "alert: `server.admin_url` is not set, so the links in alerts lead to the admin listener's own address"
                .to_owned(),
        );
    }
    let mut built: Vec<(usize, AlertConfig)> = Vec::new();
    for (n, raw) in raw.iter().enumerate() {
        let Some(alert) = one(raw, n, read, findings) else { continue };
        if let Some((same, _)) = built.iter().find(|(_, other)| is_same_receiver(other, &alert)) {
            let problem = format!("the same receiver as alert[{same}].url, in the same format");
            let advice = "Remove one of the two: the state of a receiver is kept by its address and format.";
            findings.push(ConfigError::new(format!("alert[{n}].url"), ConfigCode::Value, problem).advise(advice));
        }
        built.push((n, alert));
    }
    built.into_iter().map(|(_, alert)| alert).collect()
}

/// Whether the state of these two would be kept under one key.
fn is_same_receiver(one: &AlertConfig, other: &AlertConfig) -> bool {
    let address = |alert: &AlertConfig| alert.url.current().expose_secret().trim().to_owned();
    one.format == other.format && address(one) == address(other)
}

fn one(raw: &Raw, n: usize, read: &mut Reader<'_>, findings: &mut Findings) -> Option<AlertConfig> {
    let at = format!("alert[{n}]");
    findings.bounds(&format!("{at}.repeat_h"), raw.repeat_h, 1, 720);
    let scheme = scheme()?;
    if raw.url.is_none() {
        let advice = "Give the address to post to, such as \"https://hooks.example.com/bridge\".";
        findings
            .push(ConfigError::new(format!("{at}.url"), ConfigCode::Value, "the alert has no address").advise(advice));
    }
    let url = raw.url.as_ref().and_then(|url| read.fitting_secret(&format!("{at}.url"), url, Fit::Url, findings));
    if let Some(host) = url.as_ref().and_then(plain_host) {
        findings.notice(format!("{at}.url: alerts cross the network to `{host}` in plain http"));
    }
    let secret = match (&raw.secret, raw.format) {
        (Some(secret), _) => {
            let fit = Fit::Scheme(Box::new(scheme.clone()));
            read.fitting_secret(&format!("{at}.secret"), secret, fit, findings)
        }
        (None, Format::Slack) => None,
        (None, Format::StandardWebhooks) => {
            let advice = "Give one of the form `whsec_` and base64 (`echo whsec_$(openssl rand -base64 24)` makes one), and the same to the receiver; or set format = \"slack\", which is not signed.";
            findings.push(
                ConfigError::new(format!("{at}.secret"), ConfigCode::Secret, "the alert has no secret to sign with")
                    .advise(advice),
            );
            None
        }
    };
    Some(AlertConfig { url: url?, secret, format: raw.format, repeat_h: raw.repeat_h, scheme })
}

/// The host of an address without TLS, if that is another machine.
fn plain_host(url: &LiveSecret) -> Option<String> {
    let url = Url::parse(url.current().expose_secret().trim()).ok()?;
    (url.scheme() == "http" && !is_on_this_machine(&url)).then(|| url.host_str().map(str::to_owned)).flatten()
}
