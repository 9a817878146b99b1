//! `[telemetry]`: where traces are sent. OpenTelemetry's variables override it.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use super::error::{ConfigCode, ConfigError, Findings};

const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const SERVICE_VARIABLE: &str = "OTEL_SERVICE_NAME";
const DISABLED_VARIABLE: &str = "OTEL_SDK_DISABLED";
const EXPORTER_VARIABLE: &str = "OTEL_TRACES_EXPORTER";
/// Where a collector takes traces, below its endpoint (OTLP 1.x, "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TelemetryConfig {
    /// Where a collector takes OTLP over HTTP, such as `http://collector:4318`; empty: nowhere. Once settled, the
    /// whole URL for traces, with the environment taken into account.
    pub otlp_endpoint: String,
    /// `service.name` of the traces.
    pub service_name: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), service_name: "scim-bridge".to_owned() }
    }
}

impl TelemetryConfig {
    /// Checks it, and lets the environment override it.
    pub(super) fn settle(mut self, env: &BTreeMap<String, String>, findings: &mut Findings) -> Self {
        let given = |name: &str| env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        check("telemetry.otlp_endpoint", &self.otlp_endpoint, findings);
        findings.when(
            self.service_name.trim().is_empty(),
            "telemetry.service_name",
            "it is empty",
            "Give the name to look traces up by, such as \"scim-bridge\".",
        );
        if let Some(whole) = given(TRACES_ENDPOINT_VARIABLE) {
            check(TRACES_ENDPOINT_VARIABLE, whole, findings);
            whole.clone_into(&mut self.otlp_endpoint);
        } else {
            if let Some(base) = given(ENDPOINT_VARIABLE) {
                check(ENDPOINT_VARIABLE, base, findings);
                base.clone_into(&mut self.otlp_endpoint);
            }
            if !self.otlp_endpoint.is_empty() {
                self.otlp_endpoint = format!("{}{TRACES_PATH}", self.otlp_endpoint.trim_end_matches('/'));
            }
        }
        if let Some(name) = given(SERVICE_VARIABLE) {
            name.clone_into(&mut self.service_name);
        }
        let is_disabled = given(DISABLED_VARIABLE).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || given(EXPORTER_VARIABLE) == Some("none") {
            self.otlp_endpoint.clear();
        }
        if !self.otlp_endpoint.is_empty() && !cfg!(feature = "otlp") {
            findings.notice(
                "an endpoint for traces is configured, but this build sends none: it was made without the cargo feature `otlp`"
                    .to_owned(),
            );
            self.otlp_endpoint.clear();
        }
        self
    }
}

fn check(key: &str, endpoint: &str, findings: &mut Findings) {
    if endpoint.is_empty() {
        return;
    }
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let problem = match url {
        None => "it is not an http or https URL",
        // A password here would show up in the log and in the settings.
        Some(url) if !url.username().is_empty() || url.password().is_some() => "it has a user or a password in it",
        Some(url) if url.query().is_some() || url.fragment().is_some() => "it has a query or a fragment",
        Some(_) => return,
    };
    let advice = "Give the URL at which the collector takes OTLP over HTTP, such as \"http://collector:4318\"; credentials \
                  go into OTEL_EXPORTER_OTLP_HEADERS.";
    findings.push(ConfigError::new(key, ConfigCode::Value, problem).advise(advice));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(endpoint: &str, env: &[(&str, &str)]) -> Result<(String, String), String> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut findings = Findings::default();
        let config = TelemetryConfig { otlp_endpoint: endpoint.to_owned(), ..TelemetryConfig::default() };
        let config = config.settle(&env, &mut findings);
        let both = (config.otlp_endpoint, config.service_name);
        findings.or(Some(both)).map(Option::unwrap_or_default).map_err(|errors| errors.to_string())
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn the_variables_of_opentelemetry_win_over_the_file() {
        let file = "http://file:4318/";
        for (env, expected) in [
            (&[][..], "http://file:4318/v1/traces"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://env/otlp/")], "https://env/otlp/v1/traces"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], "http://file:4318/v1/traces"),
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b/in")],
                "http://b/in",
            ),
            (&[("OTEL_SDK_DISABLED", "true")], ""),
            (&[("OTEL_TRACES_EXPORTER", "none")], ""),
        ] {
            assert_eq!(settled(file, env).unwrap().0, expected, "{env:?}");
        }
        assert_eq!(settled("", &[]).unwrap(), (String::new(), "scim-bridge".to_owned()));
        assert_eq!(settled("", &[("OTEL_SERVICE_NAME", "hr")]).unwrap().1, "hr");
    }

    #[test]
    fn an_invalid_endpoint_is_refused_without_showing_its_password() {
        for (endpoint, problem) in [
            ("collector:4318", "not an http or https URL"),
            ("grpc://collector", "not an http or https URL"),
            ("https://me:hunter2@collector", "a user or a password"),
            ("https://collector?key=hunter2", "a query"),
        ] {
            let error = settled(endpoint, &[]).unwrap_err();
            assert!(error.starts_with("telemetry.otlp_endpoint") && error.contains(problem), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
            let error = settled("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).unwrap_err();
            assert!(error.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT"), "{error}");
        }
    }
}
