//! How a command fails: its message, and the exit code.

use std::process::ExitCode;

use crate::config::ConfigErrors;

/// Why a command did not end well.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 64: the configuration is wrong; every error at once.
    Config(ConfigErrors),
    /// Exit code 1: what was asked for did not work.
    Failed {
        /// What is wrong.
        what: String,
        /// What to do about it; may be empty.
        action: String,
    },
    /// Exit code 1: all has been said already.
    Told,
    /// Exit code 2: the words of the command do not go together.
    Usage(String),
    /// Exit code 3: something needs attention, and was said.
    Attention,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn failed(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), action: String::new() }
    }

    /// A failure with what to do about it.
    #[must_use]
    pub fn advise(what: impl Into<String>, action: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), action: action.into() }
    }

    /// Prints it to standard error (JSON goes to standard output), and returns the exit code.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        match self {
            Self::Config(errors) => {
                if json {
                    say!("{}", serde_json::json!({ "ok": false, "errors": errors }));
                } else {
                    eprintln!("{errors}");
                }
                ExitCode::from(64)
            }
            Self::Failed { what, action } => {
                if json {
                    say!("{}", serde_json::json!({ "ok": false, "error": what, "action": action }));
                } else if action.is_empty() {
                    eprintln!("error: {what}");
                } else {
                    eprintln!("error: {what}\n  what to do: {action}");
                }
                ExitCode::FAILURE
            }
            Self::Told => ExitCode::FAILURE,
            Self::Usage(what) => {
                if json {
                    say!("{}", serde_json::json!({ "ok": false, "error": what, "action": "See --help." }));
                } else {
                    eprintln!("error: {what}\n  what to do: see --help");
                }
                ExitCode::from(2)
            }
            Self::Attention => ExitCode::from(3),
        }
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}
