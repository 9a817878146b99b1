//! `[log]`: how much is logged, and in what form.

use serde::Deserialize;

use super::error::{ConfigCode, ConfigError, Findings};
use crate::telemetry::logs::{LogError, filter};

/// The environment variable that overrides `[log] level`.
const LEVEL_VARIABLE: &str = "RUST_LOG";

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// In what form.
    pub format: LogFormat,
    /// A level, or directives as `RUST_LOG` has them: `info,scim_bridge::worker=debug`. `RUST_LOG`
    /// has been taken into account.
    pub level: String,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `Human` on a terminal, else `Json`.
    #[default]
    Auto,
    /// A line of text for each event.
    Human,
    /// A JSON object for each event.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

impl LogConfig {
    pub(super) fn check(&self, key: &str, findings: &mut Findings) {
        let advice = "Give error, warn, info, debug or trace, or directives such as `info,scim_bridge=debug`.";
        let problem = match filter(&self.level) {
            Ok(_) => return,
            Err(LogError::Filter { problem, .. }) => problem,
            Err(error @ LogError::AlreadySetUp) => error.to_string(),
        };
        findings.push(ConfigError::new(key, ConfigCode::Value, problem).advise(advice));
    }

    /// Checks both, and lets the environment override them.
    pub(super) fn settle(mut self, rust_log: Option<&String>, findings: &mut Findings) -> Self {
        self.check("log.level", findings);
        if let Some(level) = rust_log.filter(|level| !level.trim().is_empty()) {
            self.level.clone_from(level);
            self.check(LEVEL_VARIABLE, findings);
        }
        self
    }

    pub(super) fn variable() -> &'static str {
        LEVEL_VARIABLE
    }
}
